/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_rx.c - received frames: buffers of all sizes, chains, FCS, tags, and a ring that
 * is empty.
 */
#include "nic.h"

#include <backplane/util/le.h>
#include <errno.h>

#define RCTL_PLAIN (RCTL_EN | RCTL_BAM)

static void frame_is_received(void **state)
{
    struct nic *n = nic_started();
    uint8_t frame[100];

    (void)state;
    make_frame(n, frame, sizeof(frame), n->config.mac);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_length(n, 0), 100);
    assert_int_equal(rx_status(n, 0), RX_DD | RX_EOP | RX_IXSM);
    assert_int_equal(rx_errors(n, 0), 0);
    assert_memory_equal(ram(n, RX_BUFFER(0)), frame, 100);
    assert_int_equal(rd(n, E1000_RDH), 1);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0);
    nic_free(n);
}

/* The FCS of 60 bytes, as zlib computes it. */
static void fcs_is_there_unless_it_is_stripped(void **state)
{
    struct nic *n = nic_started();
    uint8_t frame[60] = {0};

    (void)state;
    memset(frame, 0xff, 6);
    wr(n, E1000_RCTL, RCTL_PLAIN);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_length(n, 0), 64);
    assert_int_equal(bp_le32(ram(n, RX_BUFFER(0) + 60)), 0x42c0941fu);
    nic_free(n);
}

/* Bit by bit, as IEEE 802.3 has it. */
static uint32_t slow_crc(const uint8_t *data, uint32_t len)
{
    uint32_t c = 0xffffffffu;

    for (uint32_t i = 0; i < 8 * len; i++) {
        c ^= (uint32_t)data[i / 8] >> i % 8 & 1u;
        c = c >> 1 ^ (c & 1u ? 0xedb88320u : 0u);
    }
    return ~c;
}

static void fcs_is_right_for_every_length(void **state)
{
    uint8_t frame[400];

    (void)state;
    for (uint32_t len = 60; len <= sizeof(frame); len++) {
        struct nic *n = nic_started();

        make_frame(n, frame, len, n->config.mac);
        wr(n, E1000_RCTL, RCTL_PLAIN);
        assert_int_equal(rx_give(n, frame, len), 0);
        assert_int_equal(rx_length(n, 0), len + 4);
        assert_int_equal(bp_le32(ram(n, RX_BUFFER(0) + len)), slow_crc(frame, len));
        nic_free(n);
    }
}

static void short_frame_is_padded_to_60_bytes(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    assert_int_equal(rx_give_frame(n, 20), 0);
    assert_int_equal(rx_length(n, 0), 60);
    assert_int_equal(*ram(n, RX_BUFFER(0) + 20), 0);
    nic_free(n);
}

static void frame_fills_buffers_of_every_size(void **state)
{
    static const struct {
        uint32_t bits, size;
    } sizes[] = {{0, 2048},
                 {1u << 16, 1024},
                 {2u << 16, 512},
                 {3u << 16, 256},
                 {RCTL_BSEX | 1u << 16, 16384},
                 {RCTL_BSEX | 2u << 16, 8192},
                 {RCTL_BSEX | 3u << 16, 4096}};
    uint8_t frame[9000];

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct nic *n = nic_started();
        uint32_t size = sizes[s].size, chain = (9000 + size - 1) / size;

        make_frame(n, frame, sizeof(frame), n->config.mac);
        wr(n, E1000_RCTL, RCTL_PLAIN | RCTL_SECRC | RCTL_LPE | sizes[s].bits);
        assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
        assert_int_equal(rd(n, E1000_RDH), chain);
        for (uint32_t i = 0; i < chain; i++) {
            uint32_t len = i < chain - 1 ? size : 9000 - i * size;

            assert_int_equal(rx_length(n, i), len);
            assert_int_equal(rx_status(n, i) & (RX_DD | RX_EOP),
                             i < chain - 1 ? RX_DD : RX_DD | RX_EOP);
            if (size <= 4096)
                assert_memory_equal(ram(n, RX_BUFFER(i)), frame + i * (size_t)size, len);
        }
        nic_free(n);
    }
}

static void frame_of_9014_bytes_needs_lpe(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    assert_int_equal(rx_give_frame(n, 9014), 0);
    assert_int_equal(rd(n, E1000_RDH), 0);
    assert_int_equal(rd(n, E1000_ROC), 1);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_LPE);
    assert_int_equal(rx_give_frame(n, 9014), 0);
    assert_int_equal(rd(n, E1000_RDH), 5);
    nic_free(n);
}

static void descriptors_without_a_buffer_are_given_back_empty(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    bp_put_le64(ram(n, RX_RING), 0);
    bp_put_le64(ram(n, RX_RING + 2 * DESC_BYTES), 0);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | 3u << 16); /* 256 bytes */
    assert_int_equal(rx_give_frame(n, 300), 0);
    assert_int_equal(rx_status(n, 0), RX_DD);
    assert_int_equal(rx_length(n, 0), 0);
    assert_int_equal(rx_length(n, 1), 256);
    assert_int_equal(rx_status(n, 2), RX_DD);
    assert_int_equal(rx_length(n, 3), 44);
    assert_true(rx_status(n, 3) & RX_EOP);
    assert_int_equal(rd(n, E1000_RDH), 4);
    nic_free(n);
}

static void empty_ring_holds_the_frame_until_rdt_moves(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDT, 1);
    n->net->resumes = 0;
    assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(rx_give_frame(n, 101), -EAGAIN);
    assert_int_equal(rx_give_frame(n, 101), -EAGAIN);
    assert_int_equal(rd(n, E1000_RNBC), 1);
    assert_int_equal(rd(n, E1000_MPC), 0);
    assert_int_equal(n->net->resumes, 0);
    wr(n, E1000_RDT, 5);
    assert_int_equal(n->net->resumes, 1);
    assert_int_equal(rx_give_frame(n, 101), 0);
    assert_int_equal(rx_length(n, 1), 101);
    wr(n, E1000_RDT, 6);
    assert_int_equal(n->net->resumes, 1);
    nic_free(n);
}

static void frame_waits_until_all_of_its_descriptors_are_there(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_LPE);
    wr(n, E1000_RDT, 3);
    assert_int_equal(rx_give_frame(n, 9000), -EAGAIN);
    assert_int_equal(rx_status(n, 0), 0);
    wr(n, E1000_RDT, 5);
    assert_int_equal(rx_give_frame(n, 9000), 0);
    assert_true(rx_status(n, 4) & RX_EOP);
    nic_free(n);
}

static void what_waits_is_lost_when_the_receiver_is_disabled(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDT, 0);
    assert_int_equal(rx_give_frame(n, 100), -EAGAIN);
    wr(n, E1000_RCTL, 0);
    assert_int_equal(n->net->resumes, 1);
    assert_int_equal(rx_give_frame(n, 100), -ENETDOWN);
    nic_free(n);
}

static void rxdmt0_comes_when_the_threshold_is_crossed(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    for (uint32_t i = 0; i < RING_COUNT / 2 - 2; i++)
        assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0);
    assert_int_equal(rx_give_frame(n, 100), 0); /* 32 are left of 64 */
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0 | INT_RXDMT0);
    assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0);
    nic_free(n);
}

static void tag_is_taken_off_with_vme(void **state)
{
    struct nic *n = nic_started();
    uint8_t frame[104];

    (void)state;
    make_frame(n, frame, sizeof(frame), n->config.mac);
    put_bytes(frame + 12, "\x81\x00\x60\x07\x88\xb5", 6);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_length(n, 0), 104);
    assert_false(rx_status(n, 0) & RX_VP);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_VME);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_length(n, 1), 100);
    assert_true(rx_status(n, 1) & RX_VP);
    assert_int_equal(rx_special(n, 1), 0x6007);
    assert_memory_equal(ram(n, RX_BUFFER(1)), frame, 12);
    assert_memory_equal(ram(n, RX_BUFFER(1) + 12), frame + 16, 88);
    nic_free(n);
}

static int give_more(struct nic *n, uint16_t more, uint32_t len)
{
    uint8_t data[100] = {0};
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf, .more = more};

    memcpy(data, n->config.mac, 6);
    return n->net->port->receive(n->net->port_self, 0, &frame);
}

static void frames_that_follow_each_other_make_one_interrupt(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_RXT0);
    assert_int_equal(give_more(n, 1, 100), 0);
    assert_int_equal(give_more(n, 1, 100), 0);
    assert_int_equal(rx_status(n, 1), RX_DD | RX_EOP | RX_IXSM);
    assert_int_equal(intx(n), 0);
    assert_int_equal(give_more(n, 0, 100), 0);
    assert_int_equal(intx(n), 1);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0);
    assert_int_equal(intx(n), 0);
    /* The last one need not be for the guest, */
    assert_int_equal(give_more(n, 1, 100), 0);
    n->net->port->link(n->net->port_self, 0);
    assert_int_equal(intx(n), 0);
    assert_int_equal(give_more(n, 0, 100), -ENETDOWN);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

/* and may find no room. */
static void frame_that_waits_holds_no_interrupt_back(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_IMS, INT_RXT0);
    for (uint32_t i = 0; i < RING_COUNT - 1; i++)
        assert_int_equal(give_more(n, 1, 100), 0);
    assert_int_equal(intx(n), 0); /* nor does RXDMT0 end it */
    assert_int_equal(give_more(n, 1, 100), -EAGAIN);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

/* The write of RDT may wait until the loop makes a turn. */
static void while_a_frame_waits_the_loop_is_woken_less_and_less_often(void **state)
{
    struct nic *n = nic_started();
    uint64_t least = 50000, most = 10000000;

    (void)state;
    for (uint32_t i = 0; i < RING_COUNT - 1; i++)
        assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(fake_timer_ns(n->h, TIMER_LOOK), UINT64_MAX);
    assert_int_equal(rx_give_frame(n, 100), -EAGAIN);
    for (uint64_t next = least; next < 4 * most; next *= 2) {
        uint64_t ns = next < most ? next : most;

        assert_int_equal(fake_timer_ns(n->h, TIMER_LOOK), fake_now_ns(n->h) + ns);
        fake_advance_ns(n->h, ns);
    }
    /* Nothing waits any more; and when something does, it begins anew. */
    wr(n, E1000_RDT, RING_COUNT - 2);
    assert_int_equal(n->net->resumes, 1);
    fake_advance_ns(n->h, most);
    assert_int_equal(fake_timer_ns(n->h, TIMER_LOOK), UINT64_MAX);
    for (uint32_t i = 0; i < RING_COUNT - 1; i++)
        assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(rx_give_frame(n, 100), -EAGAIN);
    assert_int_equal(fake_timer_ns(n->h, TIMER_LOOK), fake_now_ns(n->h) + least);
    nic_free(n);
}

static void without_a_link_nothing_is_received(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    n->net->port->link(n->net->port_self, 0);
    assert_int_equal(rx_give_frame(n, 100), -ENETDOWN);
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_is_received),
        cmocka_unit_test(fcs_is_there_unless_it_is_stripped),
        cmocka_unit_test(fcs_is_right_for_every_length),
        cmocka_unit_test(short_frame_is_padded_to_60_bytes),
        cmocka_unit_test(frame_fills_buffers_of_every_size),
        cmocka_unit_test(frame_of_9014_bytes_needs_lpe),
        cmocka_unit_test(descriptors_without_a_buffer_are_given_back_empty),
        cmocka_unit_test(empty_ring_holds_the_frame_until_rdt_moves),
        cmocka_unit_test(frame_waits_until_all_of_its_descriptors_are_there),
        cmocka_unit_test(what_waits_is_lost_when_the_receiver_is_disabled),
        cmocka_unit_test(rxdmt0_comes_when_the_threshold_is_crossed),
        cmocka_unit_test(tag_is_taken_off_with_vme),
        cmocka_unit_test(frames_that_follow_each_other_make_one_interrupt),
        cmocka_unit_test(frame_that_waits_holds_no_interrupt_back),
        cmocka_unit_test(while_a_frame_waits_the_loop_is_woken_less_and_less_often),
        cmocka_unit_test(without_a_link_nothing_is_received),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
