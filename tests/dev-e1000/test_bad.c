/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_bad.c - what a hostile driver does. After each the card works again, at once or
 * after a reset.
 */
#include "nic.h"

#include <backplane/util/le.h>
#include <errno.h>

#define SEND (TX_EOP | TX_IFCS | TX_RS)
#define HEADERS 54u

/* The card is reset, and sends and receives. */
static void still_works(struct nic *n)
{
    uint32_t sent;

    wr(n, E1000_CTRL, CTRL_RST);
    fake_advance_ns(n->h, 1000000);
    memset(ram(n, TX_RING), 0, (size_t)RING_COUNT * DESC_BYTES);
    memset(ram(n, RX_RING), 0, (size_t)RING_COUNT * DESC_BYTES);
    n->tdt = 0;
    nic_start(n);
    sent = n->net->count;
    make_frame(n, ram(n, TX_DATA), 100, NULL);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, sent + 1);
    assert_true(tx_is_done(n, 0));
    assert_int_equal(rx_give_frame(n, 100), 0);
    assert_int_equal(rx_length(n, 0), 100);
    nic_free(n);
}

/* Every descriptor of the ring sends 60 bytes. */
static void fill_ring(struct nic *n)
{
    make_frame(n, ram(n, TX_DATA), 60, NULL);
    for (uint32_t i = 0; i < RING_COUNT; i++)
        tx_legacy(n, TX_DATA, 60, SEND, 0, 0, 0);
}

static void bad_1_tdh_beyond_the_ring_is_one_lap_at_most(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    fill_ring(n);
    wr(n, E1000_TCTL, 0);
    wr(n, E1000_TDH, 5000);
    wr(n, E1000_TDT, 7);
    wr(n, E1000_TCTL, TCTL_EN);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, 7);
    assert_int_equal(rd(n, E1000_TDH), 7);
    assert_string_equal(fake_log(n->h, NULL),
                        "TDH is 5000, in a ring of 64 descriptors: taken as 0");
    /* With a tail that is never met: one lap. */
    wr(n, E1000_TCTL, 0);
    wr(n, E1000_TDH, 0xffff);
    wr(n, E1000_TDT, 5000);
    wr(n, E1000_TCTL, TCTL_EN);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, 7 + RING_COUNT);
    still_works(n);
}

static void bad_2_rdh_beyond_the_ring_drops_and_counts(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDH, 64);
    assert_int_equal(rx_give_frame(n, 100), -ENOBUFS);
    wr(n, E1000_RDH, 0xffff);
    assert_int_equal(rx_give_frame(n, 100), -ENOBUFS);
    wr(n, E1000_RDH, 0);
    wr(n, E1000_RDT, 64);
    assert_int_equal(rx_give_frame(n, 100), -ENOBUFS);
    assert_int_equal(rd(n, E1000_MPC), 3);
    assert_true(rd(n, E1000_ICR) & INT_RXO);
    still_works(n);
}

static uint32_t dma_reads;

static void count_dma_read(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    (void)h, (void)gpa, (void)len;
    dma_reads++;
}

static void bad_3_ring_of_length_0_does_nothing(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    fill_ring(n);
    dma_reads = 0;
    fake_after_dma_read(n->h, count_dma_read);
    wr(n, E1000_TDLEN, 0);
    wr(n, E1000_TDT, 7);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, 0);
    wr(n, E1000_RDLEN, 0);
    assert_int_equal(rx_give_frame(n, 100), -ENOBUFS);
    assert_int_equal(dma_reads, 0);
    fake_after_dma_read(n->h, NULL);
    assert_false(tx_is_done(n, 0));
    assert_int_equal(rx_status(n, 0), 0);
    still_works(n);
}

static void bad_4_ring_length_is_a_multiple_of_128(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_TDLEN, 0x17f);
    wr(n, E1000_RDLEN, 0x17f);
    assert_int_equal(rd(n, E1000_TDLEN), 0x100);
    assert_int_equal(rd(n, E1000_RDLEN), 0x100);
    still_works(n);
}

static void bad_5_descriptor_across_the_end_of_ram_is_not_read(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    /* The base is a multiple of 16: only what lies behind the end can be asked for. */
    wr(n, E1000_TDBAL, FAKE_RAM_BYTES - 16);
    memset(ram(n, FAKE_RAM_BYTES - 16), 0, 16);
    bp_put_le32(ram(n, FAKE_RAM_BYTES - 8), 60u | (uint32_t)SEND << 24);
    wr(n, E1000_TDT, 3);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(rd(n, E1000_TDH), 1);
    wr(n, E1000_RDBAL, FAKE_RAM_BYTES - 16);
    memset(ram(n, FAKE_RAM_BYTES - 16), 0, 16);
    bp_put_le64(ram(n, FAKE_RAM_BYTES - 16), RX_BUFFER(0));
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | 3u << 16);
    assert_int_equal(rx_give_frame(n, 300), -EFAULT);
    assert_int_equal(*ram(n, FAKE_RAM_BYTES - 4), 0); /* nothing of the chain was written */
    still_works(n);
}

static void bad_6_ring_address_that_wraps_is_not_read(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_TDBAH, 0xffffffff);
    wr(n, E1000_TDBAL, 0xfffffff0);
    wr(n, E1000_TDH, 1);
    wr(n, E1000_TDT, 3);
    assert_int_equal(rd(n, E1000_TDH), 1);
    wr(n, E1000_RDBAH, 0xffffffff);
    wr(n, E1000_RDBAL, 0xfffffff0);
    wr(n, E1000_RDH, 1);
    assert_int_equal(rx_give_frame(n, 100), -EFAULT);
    still_works(n);
}

static void bad_7_tail_beyond_the_ring_is_one_lap_a_kick(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    fill_ring(n);
    wr(n, E1000_TDT, 1000);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, RING_COUNT);
    wr(n, E1000_TDT, 0xffff);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, 2 * RING_COUNT);
    still_works(n);
}

static void bad_8_packet_without_an_end_is_capped_and_lost(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    for (uint32_t lap = 0; lap < 4; lap++) {
        for (uint32_t i = 0; i < RING_COUNT - 1; i++)
            tx_data(n, TX_DATA, 0x8000, TX_IFCS | TX_RS, 0, 0);
        tx_go(n);
    }
    tx_data(n, TX_DATA, 60, SEND, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    assert_string_equal(fake_log(n->h, NULL), "a packet has more than 16384 bytes: it is dropped");
    tx_legacy(n, TX_DATA, 60, SEND, 0, 0, 0); /* the next is a packet of its own */
    tx_go(n);
    assert_int_equal(n->net->count, 1);
    still_works(n);
}

/* A packet to be segmented, `len` bytes long, by context `c`. */
static void segment(struct nic *n, const struct e1000_context *c, uint32_t len)
{
    tx_context(n, c);
    tx_data(n, TX_DATA, len, SEND | TX_TSE, POPTS_IXSM | POPTS_TXSM, 0);
    tx_go(n);
    fake_advance_ns(n->h, 10000000);
}

static struct e1000_context context(uint16_t mss, uint8_t hdrlen, uint32_t paylen)
{
    return (struct e1000_context){.ipcss = 14,
                                  .ipcso = 24,
                                  .ipcse = 33,
                                  .tucss = 34,
                                  .tucso = 50,
                                  .paylen = paylen,
                                  .mss = mss,
                                  .hdrlen = hdrlen,
                                  .tucmd = TUCMD_TCP | TUCMD_IP | TX_TSE};
}

static void bad_9_segmentation_with_mss_0_is_dropped(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = context(0, HEADERS, 2000);

    (void)state;
    segment(n, &c, 2000 + HEADERS);
    assert_int_equal(n->net->count, 0);
    assert_true(tx_is_done(n, 1));
    assert_int_equal(rd(n, E1000_TSCTFC), 1);
    assert_string_equal(fake_log(n->h, NULL),
                        "a packet to be segmented has 2054 bytes, HDRLEN 54, MSS 0: it is dropped");
    still_works(n);
}

static void bad_10_header_of_0_or_all_of_the_packet_is_dropped(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context none = context(1000, 0, 2000), all = context(1000, 200, 100);

    (void)state;
    segment(n, &none, 2000);
    segment(n, &all, 200);
    segment(n, &all, 150);
    assert_int_equal(n->net->count, 0);
    still_works(n);
}

static void bad_11_segment_above_the_buffer_is_dropped(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context most = context(0xffff, 255, 60000),
                         edge = context(FRAME_MAX - 255, 255, 60000);

    (void)state;
    segment(n, &most, 60255);
    assert_int_equal(n->net->count, 0);
    segment(n, &edge, 60255);
    assert_int_equal(n->net->count, 4);
    assert_int_equal(n->net->sent[0].len, FRAME_MAX);
    still_works(n);
}

static void bad_12_context_in_mid_packet_changes_nothing(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = context(1000, HEADERS, 2000), other = context(1, 20, 2000);

    (void)state;
    tx_context(n, &c);
    tx_data(n, TX_DATA, 500, TX_IFCS | TX_TSE, 0, 0);
    tx_context(n, &other);
    tx_data(n, TX_DATA + 500, 1500 + HEADERS, SEND | TX_TSE, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 2);
    assert_int_equal(n->net->sent[0].len, HEADERS + 1000);
    still_works(n);
}

/* Offsets beyond the packet, and reversed: the frame goes out as it was. */
static void bad_13_checksum_beyond_the_packet_is_not_made(void **state)
{
    static const struct {
        uint8_t css, cso;
        uint16_t cse;
    } cases[] = {{200, 50, 0}, {34, 200, 0},  {34, 99, 0},      {80, 50, 40},
                 {100, 50, 0}, {34, 50, 100}, {34, 50, 0xffff}, {255, 255, 0xffff}};
    const size_t count = sizeof(cases) / sizeof(cases[0]);
    struct nic *n = nic_started();

    (void)state;
    make_frame(n, ram(n, TX_DATA), 100, NULL);
    for (size_t i = 0; i < 2 * count; i++) { /* the transport's, and the one of IP */
        struct e1000_context c = {.tucss = cases[i % count].css,
                                  .tucso = cases[i % count].cso,
                                  .tucse = cases[i % count].cse};

        if (i >= count)
            c = (struct e1000_context){
                .ipcss = c.tucss, .ipcso = c.tucso, .ipcse = c.tucse, .tucse = 0xffff};
        tx_context(n, &c);
        tx_data(n, TX_DATA, 100, SEND, i < count ? POPTS_TXSM : POPTS_IXSM, 0);
        tx_go(n);
        assert_int_equal(n->net->sent[i].len, 100);
        assert_memory_equal(n->net->sent[i].data, ram(n, TX_DATA), 100);
    }
    tx_legacy(n, TX_DATA, 100, SEND | TX_IC, 99, 34, 0);
    tx_legacy(n, TX_DATA, 100, SEND | TX_IC, 50, 100, 0);
    tx_go(n);
    for (size_t i = 2 * count; i < 2 * count + 2; i++)
        assert_memory_equal(n->net->sent[i].data, ram(n, TX_DATA), 100);
    /* The last byte that is there is no bad end. */
    tx_context(n, &(struct e1000_context){.tucss = 34, .tucso = 50, .tucse = 99});
    tx_data(n, TX_DATA, 100, SEND, POPTS_TXSM, 0);
    tx_go(n);
    assert_memory_not_equal(n->net->sent[2 * count + 2].data, ram(n, TX_DATA), 100);
    still_works(n);
}

static void bad_13_offsets_beyond_the_header_are_not_followed(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = context(100, 20, 980);

    (void)state;
    make_frame(n, ram(n, TX_DATA), 1000, NULL);
    c.ipcss = 254;
    c.tucss = 255;
    c.tucso = 255;
    segment(n, &c, 1000);
    assert_int_equal(n->net->count, 10);
    c.tucmd = TX_TSE;
    segment(n, &c, 1000);
    assert_int_equal(n->net->count, 20);
    for (uint32_t i = 0; i < 20; i++) { /* nothing but the packet is in them, and it is as it was */
        uint32_t at = i % 10 * 100, bytes = i % 10 < 9 ? 100 : 80;

        assert_int_equal(n->net->sent[i].len, 20 + bytes);
        assert_memory_equal(n->net->sent[i].data, ram(n, TX_DATA), 20);
        assert_memory_equal(n->net->sent[i].data + 20, ram(n, TX_DATA + 20 + at), bytes);
    }
    still_works(n);
}

static void bad_14_ipcso_at_the_last_byte_is_not_written(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = {.ipcss = 14, .ipcso = 99, .ipcse = 0};
    uint32_t sum = 0;

    (void)state;
    make_frame(n, ram(n, TX_DATA), 100, NULL);
    tx_context(n, &c);
    tx_data(n, TX_DATA, 100, SEND, POPTS_IXSM, 0);
    c.ipcso = 98;
    tx_context(n, &c);
    tx_data(n, TX_DATA, 100, SEND, POPTS_IXSM, 0);
    tx_go(n);
    assert_memory_equal(n->net->sent[0].data, ram(n, TX_DATA), 100);
    assert_memory_equal(n->net->sent[1].data, ram(n, TX_DATA), 98);
    for (uint32_t i = 14; i < 100; i += 2) /* what stood at the place takes part */
        sum += (uint32_t)ram(n, TX_DATA)[i] << 8 | ram(n, TX_DATA)[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    assert_int_equal(n->net->sent[1].len, 100);
    assert_int_equal(n->net->sent[1].data[98], sum >> 8);
    assert_int_equal(n->net->sent[1].data[99], sum & 0xff);
    still_works(n);
}

static void bad_15_paylen_of_a_megabyte_with_one_byte_ends(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = context(1000, HEADERS, 0xfffff);

    (void)state;
    segment(n, &c, HEADERS + 1);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(n->net->sent[0].len, 60);
    still_works(n);
}

/* A quarter of a million frames by one descriptor: other work has its turns between. */
static void bad_15_segments_of_one_byte_take_turns(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = context(1, HEADERS, 200000);

    (void)state;
    tx_context(n, &c);
    tx_data(n, TX_DATA, 200000 + HEADERS, SEND | TX_TSE, 0, 0);
    tx_go(n);
    assert_true(n->net->count <= 1024);
    assert_false(tx_is_done(n, 1));
    wr(n, E1000_CTRL, CTRL_RST); /* and a reset ends it */
    fake_advance_ns(n->h, 1000000);
    assert_true(n->net->count <= 1024);
    still_works(n);
}

static void bad_16_tx_zero_length_writes_back_dd_only(void **state)
{
    struct nic *n = nic_started();
    uint8_t before[2 * DESC_BYTES];

    (void)state;
    tx_legacy(n, TX_DATA, 0, SEND, 0x51, 0x52, 0x5354);
    tx_data(n, UINT64_MAX, 0, SEND, POPTS_TXSM, 0x5556);
    memcpy(before, ram(n, TX_RING), sizeof(before));
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    for (uint32_t i = 0; i < 2; i++)
        before[i * DESC_BYTES + 12] = TX_DD;
    assert_memory_equal(ram(n, TX_RING), before, sizeof(before));
    assert_int_equal(rd(n, E1000_TDH), 2);
    still_works(n);
}

static void bad_17_transmit_buffer_in_its_own_registers_is_refused(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    tx_legacy(n, FAKE_BAR_MEMORY(n->devfn, 0), 100, SEND, 0, 0, 0);
    tx_legacy(n, FAKE_RAM_BYTES - 50, 100, SEND, 0, 0, 0);
    tx_legacy(n, UINT64_MAX - 10, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    assert_int_equal(rd(n, E1000_TDH), 3);
    still_works(n);
}

static void bad_18_ring_in_registers_is_refused(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    /* Its own registers, and where another device's are. */
    for (uint32_t devfn = n->devfn; devfn <= n->devfn + 8; devfn += 8) {
        wr(n, E1000_TDBAL, (uint32_t)FAKE_BAR_MEMORY(devfn, 0));
        wr(n, E1000_TDT, 5);
        assert_int_equal(rd(n, E1000_TDH), 0);
        assert_int_equal(n->net->count, 0);
        wr(n, E1000_RDBAL, (uint32_t)FAKE_BAR_MEMORY(devfn, 0));
        assert_int_equal(rx_give_frame(n, 100), -EFAULT);
        assert_int_equal(rd(n, E1000_RDH), 0);
    }
    still_works(n);
}

static void bad_19_receive_buffer_in_its_registers_is_refused(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    bp_put_le64(ram(n, RX_RING), FAKE_BAR_MEMORY(n->devfn, 0) + E1000_TDT);
    assert_int_equal(rx_give_frame(n, 100), -EFAULT);
    assert_int_equal(rd(n, E1000_MPC), 1);
    assert_int_equal(rx_status(n, 0), 0);
    assert_int_equal(rd(n, E1000_TDT), 0);
    still_works(n);
}

/* What is looped back is written over the descriptors that are read next. */
static void bad_20_loopback_into_the_transmit_ring_ends(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    fill_ring(n);
    make_frame(n, ram(n, TX_DATA), 60, n->config.mac);
    for (uint32_t i = 0; i < RING_COUNT; i++)
        bp_put_le64(ram(n, RX_RING + i * DESC_BYTES), TX_RING + i * DESC_BYTES);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_LBM);
    wr(n, E1000_TDT, 0xffff);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, 0);
    assert_in_range(rd(n, E1000_TPT), 1, RING_COUNT); /* a lap, whatever stands there by now */
    /* Both rings in one place. */
    fill_ring(n);
    make_frame(n, ram(n, TX_DATA), 60, n->config.mac);
    wr(n, E1000_RDBAL, TX_RING);
    wr(n, E1000_TDT, 0xfffe);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, 0);
    assert_in_range(rd(n, E1000_TPT), 1, RING_COUNT);
    still_works(n);
}

static void bad_21_long_frame_without_lpe_is_dropped(void **state)
{
    struct nic *n = nic_started();
    uint8_t *frame = calloc(1, 70000);
    struct bp_buf bufs[3] = {{frame, 16000}, {frame, 385}, {frame, UINT64_MAX}};
    struct bp_frame over = {.size = sizeof(over), .nbufs = 2, .bufs = bufs};

    (void)state;
    assert_int_equal(rx_give_frame(n, 16384), 0);
    assert_int_equal(rd(n, E1000_RDH), 0);
    assert_int_equal(rd(n, E1000_ROC), 1);
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &over), -EMSGSIZE);
    over.nbufs = 3;
    bufs[1].len = 1;
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &over), -EMSGSIZE);
    assert_int_equal(n->net->port->receive(n->net->port_self, 1, &over), -EINVAL);
    free(frame);
    still_works(n);
}

static void bad_22_reserved_buffer_size_is_taken_as_2048(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_BSEX | RCTL_LPE);
    assert_int_equal(rx_give_frame(n, 3000), 0);
    assert_int_equal(rx_length(n, 0), 2048);
    assert_int_equal(rx_length(n, 1), 952);
    still_works(n);
}

static void bad_22_frame_that_the_ring_never_holds_is_lost(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RDLEN, 128);
    wr(n, E1000_RDT, 7);
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | 3u << 16 | RCTL_LPE);
    assert_int_equal(rx_give_frame(n, 8 * 256), -ENOBUFS);
    assert_int_equal(rx_give_frame(n, 7 * 256), 0);
    still_works(n);
}

static void bad_23_reset_while_a_packet_waits_forgets_it(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    n->net->room = 0;
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    wr(n, E1000_CTRL, CTRL_RST);
    n->net->room = UINT32_MAX;
    n->net->owed = 0;
    n->net->port->sent(n->net->port_self, 0);
    assert_int_equal(n->net->count, 0);
    assert_int_equal(rx_give_frame(n, 100), -ENETDOWN);
    still_works(n);
}

static void bad_23_reset_between_two_turns_of_a_lap_ends_it(void **state)
{
    struct nic *n = nic_started();
    const uint32_t ring = 0x40000, count = 2048;
    uint32_t sent;

    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        bp_put_le64(ram(n, ring + 16 * i), TX_DATA);
        bp_put_le64(ram(n, ring + 16 * i + 8), 60u | (uint64_t)SEND << 24);
    }
    wr(n, E1000_TDBAL, ring);
    wr(n, E1000_TDLEN, 16 * count);
    wr(n, E1000_TDH, 0);
    wr(n, E1000_TDT, count - 1);
    sent = n->net->count;
    assert_true(sent > 0 && sent < count - 1); /* the lap is under way */
    wr(n, E1000_CTRL, CTRL_RST);
    assert_int_equal(rx_give_frame(n, 100), -ENETDOWN);
    fake_advance_ns(n->h, 1000000);
    assert_int_equal(n->net->count, sent);
    assert_int_equal(rd(n, E1000_TDH), 0);
    still_works(n);
}

static void bad_25_accesses_of_other_widths_are_of_doublewords(void **state)
{
    struct nic *n = nic_started();
    uint64_t bar = FAKE_BAR_MEMORY(n->devfn, 0);

    (void)state;
    wr(n, E1000_FCAL, 0x11223344);
    assert_int_equal(fake_read(n->h, BP_SPACE_MMIO, bar + E1000_FCAL, 1), 0x44);
    assert_int_equal(fake_read(n->h, BP_SPACE_MMIO, bar + E1000_FCAL + 1, 2), 0x2233);
    assert_int_equal(fake_read(n->h, BP_SPACE_MMIO, bar + E1000_FCAL, 8), 0x11223344);
    fake_write(n->h, BP_SPACE_MMIO, bar + E1000_FCAL + 3, 0x55, 1);
    assert_int_equal(rd(n, E1000_FCAL), 0x55000000);
    fake_write(n->h, BP_SPACE_MMIO, bar + E1000_FCAL, 0x0000778812345678, 8);
    assert_int_equal(rd(n, E1000_FCAL), 0x12345678);
    assert_int_equal(rd(n, E1000_FCAH), 0x7788);
    for (uint32_t at = 0; at < E1000_BAR_BYTES; at += 1021)
        for (uint32_t width = 1; width <= 8; width *= 2)
            fake_read(n->h, BP_SPACE_MMIO, bar + at, width);
    still_works(n);
}

static void bad_26_storm_is_held_to_the_throttle(void **state)
{
    struct nic *n = nic_started();
    uint32_t count = 0;

    (void)state;
    wr(n, E1000_ITR, 0xffff); /* 16.8 ms */
    wr(n, E1000_RADV, 0xffff);
    wr(n, E1000_IMS, ALL);
    for (uint32_t i = 0; i < 1000; i++) {
        wr(n, E1000_ICS, ALL);
        if (intx(n)) {
            count++;
            rd(n, E1000_ICR);
        }
        fake_advance_ns(n->h, 10000);
    }
    assert_int_equal(count, 1);
    still_works(n);
}

static void bad_26_extremes_of_delays_let_interrupts_through(void **state)
{
    struct nic *n = nic_started();
    uint32_t count = 0, waited = 0;

    (void)state;
    wr(n, E1000_ITR, 0); /* no throttle: each cause is an interrupt of its own */
    wr(n, E1000_IMS, ALL);
    for (uint32_t i = 0; i < 1000; i++) {
        wr(n, E1000_ICS, ALL);
        count += intx(n);
        rd(n, E1000_ICR);
        assert_false(intx(n));
    }
    assert_int_equal(count, 1000);
    /* A relative delay that every frame begins anew is ended by the absolute one. */
    wr(n, E1000_RDTR, 0xffff);
    wr(n, E1000_RADV, 1000);
    for (uint32_t i = 0; i < 40 && !intx(n); i++, waited++) {
        assert_int_equal(rx_give_frame(n, 100), 0);
        fake_advance_ns(n->h, 100000);
    }
    assert_true(intx(n) && waited <= 12); /* 1000 times 1.024 us, in steps of 100 us */
    rd(n, E1000_ICR);
    /* Both at their longest: 67 ms, and the frame is told. */
    wr(n, E1000_RADV, 0xffff);
    assert_int_equal(rx_give_frame(n, 100), 0);
    fake_advance_ns(n->h, 60000000);
    assert_false(intx(n));
    fake_advance_ns(n->h, 10000000);
    assert_true(intx(n));
    still_works(n);
}

static void bad_27_tag_on_five_bytes_is_dropped(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_VME);
    for (uint16_t len = 1; len < 14; len++) {
        tx_legacy(n, TX_DATA, len, SEND | TX_VLE, 0, 0, 5);
        tx_go(n);
    }
    assert_int_equal(n->net->count, 0);
    tx_legacy(n, TX_DATA, 14, SEND | TX_VLE, 0, 0, 5);
    tx_go(n);
    assert_int_equal(n->net->sent[0].len, 60);
    still_works(n);
}

static void bad_28_index_beyond_an_array_is_ignored(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_MTA + 4 * 127, 7);
    wr(n, 0x5ffc, 0xffffffff);
    wr(n, E1000_FFMT + 4, 0xffffffff); /* between two of them */
    wr(n, E1000_FFVT + 8 * 128, 0xffffffff);
    wr(n, E1000_WUPM + 4 * 32, 0xffffffff);
    assert_int_equal(rd(n, 0x5ffc), 0);
    assert_int_equal(rd(n, E1000_FFMT + 4), 0);
    assert_int_equal(rd(n, E1000_FFVT + 8 * 128), 0);
    assert_int_equal(rd(n, E1000_RA), 0x12005452); /* what follows MTA */
    /* Behind the addresses, up to the table of VLANs, nothing is; nor behind the filters. */
    for (uint32_t at = E1000_RA + 4 * 32; at < E1000_VFTA; at += 4) {
        wr(n, at, 0xffffffff);
        assert_int_equal(rd(n, at), 0);
    }
    assert_int_equal(rd(n, E1000_RA + 4 * 31), 0);
    assert_int_equal(rd(n, E1000_VFTA), 0);
    wr(n, E1000_FFLT + 8 * 4, 0xffffffff);
    wr(n, E1000_IP4AT + 8 * 4, 0xffffffff);
    assert_int_equal(rd(n, E1000_FFLT + 8 * 4), 0);
    assert_int_equal(rd(n, E1000_IP4AT + 8 * 4), 0);
    /* By way of IODATA the same, and registers end with the BAR. */
    fake_write(n->h, BP_SPACE_PIO, FAKE_BAR_IO(n->devfn, 1), E1000_RA + 4 * 32, 4);
    fake_write(n->h, BP_SPACE_PIO, FAKE_BAR_IO(n->devfn, 1) + 4, 0xffffffff, 4);
    assert_int_equal(fake_read(n->h, BP_SPACE_PIO, FAKE_BAR_IO(n->devfn, 1) + 4, 4), 0);
    for (uint64_t at = E1000_BAR_BYTES; at <= UINT32_MAX; at = at * 2 + 4) {
        fake_write(n->h, BP_SPACE_PIO, FAKE_BAR_IO(n->devfn, 1), at, 4);
        fake_write(n->h, BP_SPACE_PIO, FAKE_BAR_IO(n->devfn, 1) + 4, 0xffffffff, 4);
        assert_int_equal(fake_read(n->h, BP_SPACE_PIO, FAKE_BAR_IO(n->devfn, 1) + 4, 4), 0);
    }
    assert_int_equal(rd(n, E1000_PBM + 4 * 16383), 0);
    still_works(n);
}

static void bad_ring_of_descriptors_without_buffers_ends(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    for (uint32_t i = 0; i < RING_COUNT; i++)
        bp_put_le64(ram(n, RX_RING + i * DESC_BYTES), 0);
    assert_int_equal(rx_give_frame(n, 100), -ENOBUFS);
    still_works(n);
}

/* A driver on another processor that changes all that the card reads as soon as it was read. */
static void spoil(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    memset(fake_ram(h) + gpa, 0xff, len);
}

static void bad_what_changes_when_it_was_read_is_not_read_again(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = context(1000, HEADERS, 2000);
    uint8_t packet[2000 + HEADERS], frame[3000];

    (void)state;
    make_frame(n, ram(n, TX_DATA), sizeof(packet), NULL);
    memcpy(packet, ram(n, TX_DATA), sizeof(packet));
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_context(n, &c);
    tx_data(n, TX_DATA + 0x1000, sizeof(packet), SEND | TX_TSE, 0, 0);
    memcpy(ram(n, TX_DATA + 0x1000), packet, sizeof(packet));
    fake_after_dma_read(n->h, spoil);
    tx_go(n);
    assert_int_equal(n->net->count, 3);
    assert_int_equal(rd(n, E1000_TDH), 3);
    assert_int_equal(n->net->sent[0].len, 100);
    assert_memory_equal(n->net->sent[0].data, packet, 100);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(n->net->sent[i].len, HEADERS + 1000);
        assert_memory_equal(n->net->sent[i].data, packet, 14); /* Ethernet's; TCP's is changed */
        assert_memory_equal(n->net->sent[i].data + HEADERS,
                            packet + HEADERS + (size_t)1000 * (i - 1), 1000);
    }
    wr(n, E1000_RCTL, rd(n, E1000_RCTL) | RCTL_LPE);
    make_frame(n, frame, sizeof(frame), n->config.mac);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rd(n, E1000_RDH), 2);
    assert_memory_equal(ram(n, RX_BUFFER(0)), frame, 2048);
    assert_memory_equal(ram(n, RX_BUFFER(1)), frame + 2048, sizeof(frame) - 2048);
    fake_after_dma_read(n->h, NULL);
    still_works(n);
}

static void bad_dma_without_bus_master_is_refused(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    fake_pci_write(n->h, n->devfn, 4, 3, 2);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 0);
    assert_int_equal(rx_give_frame(n, 100), -EFAULT);
    fake_pci_write(n->h, n->devfn, 4, 7, 2);
    still_works(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_1_tdh_beyond_the_ring_is_one_lap_at_most),
        cmocka_unit_test(bad_2_rdh_beyond_the_ring_drops_and_counts),
        cmocka_unit_test(bad_3_ring_of_length_0_does_nothing),
        cmocka_unit_test(bad_4_ring_length_is_a_multiple_of_128),
        cmocka_unit_test(bad_5_descriptor_across_the_end_of_ram_is_not_read),
        cmocka_unit_test(bad_6_ring_address_that_wraps_is_not_read),
        cmocka_unit_test(bad_7_tail_beyond_the_ring_is_one_lap_a_kick),
        cmocka_unit_test(bad_8_packet_without_an_end_is_capped_and_lost),
        cmocka_unit_test(bad_9_segmentation_with_mss_0_is_dropped),
        cmocka_unit_test(bad_10_header_of_0_or_all_of_the_packet_is_dropped),
        cmocka_unit_test(bad_11_segment_above_the_buffer_is_dropped),
        cmocka_unit_test(bad_12_context_in_mid_packet_changes_nothing),
        cmocka_unit_test(bad_13_checksum_beyond_the_packet_is_not_made),
        cmocka_unit_test(bad_13_offsets_beyond_the_header_are_not_followed),
        cmocka_unit_test(bad_14_ipcso_at_the_last_byte_is_not_written),
        cmocka_unit_test(bad_15_paylen_of_a_megabyte_with_one_byte_ends),
        cmocka_unit_test(bad_15_segments_of_one_byte_take_turns),
        cmocka_unit_test(bad_16_tx_zero_length_writes_back_dd_only),
        cmocka_unit_test(bad_17_transmit_buffer_in_its_own_registers_is_refused),
        cmocka_unit_test(bad_18_ring_in_registers_is_refused),
        cmocka_unit_test(bad_19_receive_buffer_in_its_registers_is_refused),
        cmocka_unit_test(bad_20_loopback_into_the_transmit_ring_ends),
        cmocka_unit_test(bad_21_long_frame_without_lpe_is_dropped),
        cmocka_unit_test(bad_22_reserved_buffer_size_is_taken_as_2048),
        cmocka_unit_test(bad_22_frame_that_the_ring_never_holds_is_lost),
        cmocka_unit_test(bad_23_reset_while_a_packet_waits_forgets_it),
        cmocka_unit_test(bad_23_reset_between_two_turns_of_a_lap_ends_it),
        cmocka_unit_test(bad_25_accesses_of_other_widths_are_of_doublewords),
        cmocka_unit_test(bad_26_storm_is_held_to_the_throttle),
        cmocka_unit_test(bad_26_extremes_of_delays_let_interrupts_through),
        cmocka_unit_test(bad_27_tag_on_five_bytes_is_dropped),
        cmocka_unit_test(bad_28_index_beyond_an_array_is_ignored),
        cmocka_unit_test(bad_ring_of_descriptors_without_buffers_ends),
        cmocka_unit_test(bad_what_changes_when_it_was_read_is_not_read_again),
        cmocka_unit_test(bad_dma_without_bus_master_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
