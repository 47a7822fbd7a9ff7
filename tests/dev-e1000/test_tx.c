/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_tx.c - descriptors of both kinds, write-back, and a backend that has no room.
 */
#include "nic.h"

#include <backplane/util/le.h>

#define SEND (TX_EOP | TX_IFCS | TX_RS)

static void legacy_descriptor_sends_a_frame(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    make_frame(n, ram(n, TX_DATA), 100, NULL);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(n->net->sent[0].len, 100);
    assert_memory_equal(n->net->sent[0].data, ram(n, TX_DATA), 100);
    assert_true(tx_is_done(n, 0));
    assert_int_equal(rd(n, E1000_TDH), 1);
    assert_int_equal(rd(n, E1000_ICR), INT_TXDW | INT_TXQE);
    nic_free(n);
}

static void descriptor_without_rs_is_not_written_back(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    tx_legacy(n, TX_DATA, 100, TX_EOP | TX_IFCS, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 1);
    assert_false(tx_is_done(n, 0));
    assert_int_equal(rd(n, E1000_ICR), INT_TXQE);
    nic_free(n);
}

static void frame_is_gathered_from_many_descriptors(void **state)
{
    struct nic *n = nic_started();
    uint8_t whole[1000];

    (void)state;
    make_frame(n, whole, sizeof(whole), NULL);
    for (uint32_t i = 0; i < 10; i++) {
        memcpy(ram(n, TX_DATA + i * 0x1003), whole + 100 * (size_t)i, 100);
        if (i % 2)
            tx_data(n, TX_DATA + i * 0x1003, 100, i == 9 ? SEND : TX_IFCS, 0, 0);
        else
            tx_legacy(n, TX_DATA + i * 0x1003, 100, TX_IFCS, 0, 0, 0);
    }
    tx_go(n);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(n->net->sent[0].len, 1000);
    assert_memory_equal(n->net->sent[0].data, whole, 1000);
    nic_free(n);
}

static void ring_wraps(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    for (uint32_t i = 0; i < 3 * RING_COUNT; i++) {
        make_frame(n, ram(n, TX_DATA), 60 + i, NULL);
        tx_legacy(n, TX_DATA, (uint16_t)(60 + i), SEND, 0, 0, 0);
        tx_go(n);
    }
    assert_int_equal(n->net->count, 3 * RING_COUNT);
    assert_int_equal(rd(n, E1000_TDH), 0);
    nic_free(n);
}

static void long_ring_takes_turns(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    nic_start(n);
    wr(n, E1000_TCTL, 0);
    wr(n, E1000_TDBAL, 0x40000);
    wr(n, E1000_TDLEN, 4096 * DESC_BYTES);
    for (uint32_t i = 0; i < 4095; i++) {
        uint8_t *d = ram(n, 0x40000 + i * DESC_BYTES);

        bp_put_le64(d, TX_DATA);
        bp_put_le32(d + 8, 60u | (TX_EOP | TX_IFCS) << 24);
    }
    wr(n, E1000_TCTL, TCTL_EN);
    wr(n, E1000_TDT, 4095);
    assert_true(n->net->count < 4095);
    fake_advance_ns(n->h, 1000);
    assert_int_equal(n->net->count, 4095);
    assert_int_equal(rd(n, E1000_TDH), 4095);
    nic_free(n);
}

static void short_frame_is_padded(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    make_frame(n, ram(n, TX_DATA), 20, NULL);
    tx_legacy(n, TX_DATA, 20, SEND, 0, 0, 0);
    wr(n, E1000_TDT, n->tdt);
    wr(n, E1000_TCTL, TCTL_EN);
    tx_legacy(n, TX_DATA, 20, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->sent[0].len, 60);
    assert_int_equal(n->net->sent[0].data[20], 0);
    assert_int_equal(n->net->sent[1].len, 20); /* TCTL.PSP is off */
    nic_free(n);
}

static void own_fcs_without_ifcs_is_taken_off(void **state)
{
    struct nic *n = nic_started();
    uint8_t *frame = ram(n, TX_DATA);
    uint32_t fcs;

    (void)state;
    make_frame(n, frame, 60, NULL);
    /* The receiver shows what the FCS is. */
    wr(n, E1000_RCTL, RCTL_EN | RCTL_UPE);
    rx_give(n, frame, 60);
    assert_int_equal(rx_length(n, 0), 64);
    memcpy(&fcs, ram(n, RX_BUFFER(0) + 60), 4);
    memcpy(frame + 60, &fcs, 4);
    tx_legacy(n, TX_DATA, 64, TX_EOP, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->sent[0].len, 60);
    frame[60] ^= 1;
    tx_legacy(n, TX_DATA, 64, TX_EOP, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->sent[1].len, 64); /* no FCS: forgiven */
    nic_free(n);
}

static void tag_is_inserted_with_vle(void **state)
{
    struct nic *n = nic_started();
    uint8_t *frame = ram(n, TX_DATA);

    (void)state;
    make_frame(n, frame, 100, NULL);
    tx_legacy(n, TX_DATA, 100, SEND | TX_VLE, 0, 0, 0x6123);
    tx_go(n);
    assert_int_equal(n->net->sent[0].len, 100); /* CTRL.VME is off */
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_VME);
    tx_legacy(n, TX_DATA, 100, SEND | TX_VLE, 0, 0, 0x6123);
    tx_go(n);
    assert_int_equal(n->net->sent[1].len, 104);
    assert_memory_equal(n->net->sent[1].data, frame, 12);
    assert_memory_equal(n->net->sent[1].data + 12, "\x81\x00\x61\x23", 4);
    assert_memory_equal(n->net->sent[1].data + 16, frame + 12, 88);
    nic_free(n);
}

static void jumbo_frame_is_sent(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    make_frame(n, ram(n, TX_DATA), 9014, NULL);
    tx_data(n, TX_DATA, 9014, SEND, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->sent[0].len, 9014);
    assert_memory_equal(n->net->sent[0].data, ram(n, TX_DATA), 9014);
    nic_free(n);
}

static void backend_without_room_stops_the_ring_until_sent(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    n->net->room = 2;
    for (uint32_t i = 0; i < 5; i++) {
        make_frame(n, ram(n, TX_DATA + 0x1000 * i), 100 + i, NULL);
        tx_legacy(n, TX_DATA + 0x1000 * i, (uint16_t)(100 + i), SEND, 0, 0, 0);
    }
    tx_go(n);
    assert_int_equal(n->net->count, 2);
    assert_int_equal(rd(n, E1000_TDH), 2);
    assert_false(tx_is_done(n, 2));
    /* More work from the guest does not ask the backend again. */
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 2);
    n->net->room = UINT32_MAX;
    n->net->owed = 0;
    n->net->port->sent(n->net->port_self, 0);
    assert_int_equal(n->net->count, 6);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(n->net->sent[i].len, 100 + i);
    assert_true(tx_is_done(n, 4));
    nic_free(n);
}

static void frame_that_waits_is_the_one_that_was_checked(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    n->net->room = 0;
    make_frame(n, ram(n, TX_DATA), 100, NULL);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    memset(ram(n, TX_DATA), 0xee, 100);
    n->net->room = 1;
    n->net->owed = 0;
    n->net->port->sent(n->net->port_self, 0);
    assert_int_not_equal(n->net->sent[0].data[50], 0xee);
    nic_free(n);
}

/* The machine is reset: the backend first, which forgets that it owes sent(). */
static void machine_reset_ends_the_wait_for_a_full_backend(void **state)
{
    struct nic *n = nic_started();
    struct e1000 *e = fake_self(n->h);

    (void)state;
    n->net->room = 0;
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_true(n->net->owed);
    n->net->room = UINT32_MAX;
    n->net->owed = 0;
    fake_ops(n->h)->stop(e);
    fake_ops(n->h)->reset(e, BP_RESET_WARM);
    assert_int_equal(fake_ops(n->h)->start(e), 0);
    fake_pci_start(n->h, n->devfn);
    n->tdt = 0;
    nic_start(n);
    assert_int_equal(n->net->count, 0);
    make_frame(n, ram(n, TX_DATA), 80, NULL);
    tx_legacy(n, TX_DATA, 80, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(n->net->sent[0].len, 80);
    nic_free(n);
}

static void without_a_link_frames_are_lost(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    n->net->inside = 1;
    n->net->port->link(n->net->port_self, 0);
    n->net->inside = 0;
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    assert_true(tx_is_done(n, 0));
    nic_free(n);
}

static void tail_before_enable_is_sent_at_enable(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_TCTL, 0);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    wr(n, E1000_TCTL, TCTL_EN);
    assert_int_equal(n->net->count, 1);
    nic_free(n);
}

static void loopback_gives_frames_back(void **state)
{
    struct nic *n = nic_started();
    uint8_t *frame = ram(n, TX_DATA);

    (void)state;
    make_frame(n, frame, 100, n->config.mac);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | 1u << 6);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    assert_int_equal(rx_length(n, 0), 100);
    assert_memory_equal(ram(n, RX_BUFFER(0)), frame, 100);
    /* And the PHY's, which needs no cable. */
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) & ~RCTL_LBM);
    phy_write(n, 0, 0x4140);
    assert_true(rd(n, E1000_STATUS) & STATUS_LU);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    assert_int_equal(rx_length(n, 1), 100);
    nic_free(n);
}

static void txd_low_tells_of_an_emptying_ring(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_TXDCTL, 1u << TXDCTL_LWTHRESH_SHIFT);
    for (uint32_t i = 0; i < 8; i++)
        tx_legacy(n, TX_DATA, 100, TX_EOP | TX_IFCS, 0, 0, 0);
    tx_go(n);
    assert_int_equal(rd(n, E1000_ICR), INT_TXQE);
    for (uint32_t i = 0; i < 9; i++)
        tx_legacy(n, TX_DATA, 100, TX_EOP | TX_IFCS, 0, 0, 0);
    tx_go(n);
    assert_int_equal(rd(n, E1000_ICR), INT_TXQE | INT_TXD_LOW);
    nic_free(n);
}

static void pause_frame_stops_the_transmitter_for_its_time(void **state)
{
    static const uint8_t pause[60] = {1, 0x80, 0xc2, 0,    0, 1, 2, 0,    0,
                                      0, 0,    1,    0x88, 8, 0, 1, 0x10, 0x00};
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_FCAL, 0x00c28001);
    wr(n, E1000_FCAH, 0x0100);
    wr(n, E1000_FCT, 0x8808);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_RFCE);
    assert_int_equal(rx_give(n, pause, sizeof(pause)), 0);
    assert_int_equal(rd(n, E1000_XOFFRXC), 1);
    assert_true(rd(n, E1000_STATUS) & STATUS_TXOFF);
    assert_int_equal(rx_status(n, 0), 0); /* it is the MAC's */
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    fake_advance_ns(n->h, 4096 * 512 - 1);
    assert_int_equal(n->net->count, 0);
    fake_advance_ns(n->h, 1);
    assert_int_equal(n->net->count, 1);
    assert_false(rd(n, E1000_STATUS) & STATUS_TXOFF);
    nic_free(n);
}

static void software_can_send_a_pause_frame(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_FCAL, 0x00c28001);
    wr(n, E1000_FCAH, 0x0100);
    wr(n, E1000_FCT, 0x8808);
    wr(n, E1000_FCTTV, 0x1234);
    wr(n, E1000_TCTL, rd(n, E1000_TCTL) | TCTL_SWXOFF);
    assert_int_equal(n->net->count, 1);
    assert_memory_equal(n->net->sent[0].data,
                        "\x01\x80\xc2\x00\x00\x01\x52\x54\x00\x12\x34\x56\x88\x08\x00\x01\x12\x34",
                        18);
    assert_int_equal(rd(n, E1000_XOFFTXC), 1);
    assert_false(rd(n, E1000_TCTL) & TCTL_SWXOFF);
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy_descriptor_sends_a_frame),
        cmocka_unit_test(descriptor_without_rs_is_not_written_back),
        cmocka_unit_test(frame_is_gathered_from_many_descriptors),
        cmocka_unit_test(ring_wraps),
        cmocka_unit_test(long_ring_takes_turns),
        cmocka_unit_test(short_frame_is_padded),
        cmocka_unit_test(own_fcs_without_ifcs_is_taken_off),
        cmocka_unit_test(tag_is_inserted_with_vle),
        cmocka_unit_test(jumbo_frame_is_sent),
        cmocka_unit_test(backend_without_room_stops_the_ring_until_sent),
        cmocka_unit_test(frame_that_waits_is_the_one_that_was_checked),
        cmocka_unit_test(machine_reset_ends_the_wait_for_a_full_backend),
        cmocka_unit_test(without_a_link_frames_are_lost),
        cmocka_unit_test(tail_before_enable_is_sent_at_enable),
        cmocka_unit_test(loopback_gives_frames_back),
        cmocka_unit_test(txd_low_tells_of_an_emptying_ring),
        cmocka_unit_test(pause_frame_stops_the_transmitter_for_its_time),
        cmocka_unit_test(software_can_send_a_pause_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
