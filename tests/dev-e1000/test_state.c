/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_state.c - a card that goes on in another instance, and snapshots that are damaged.
 */
#include "nic.h"

#include <errno.h>

#define SEND (TX_EOP | TX_IFCS | TX_RS)

/* A second card, and the first one's guest memory: what a snapshot of the machine brings. */
static struct nic *moved(struct nic *from)
{
    struct nic *to = nic_new();

    memcpy(ram(to, 0), ram(from, 0), FAKE_RAM_BYTES);
    to->rdt = from->rdt;
    to->tdt = from->tdt;
    fake_move_state(from->h, to->h);
    return to;
}

static void card_goes_on_where_it_was(void **state)
{
    struct nic *n = nic_started(), *m;

    (void)state;
    wr(n, E1000_IMS, INT_RXT0);
    wr(n, E1000_MTA + 4, 77);
    rx_give_frame(n, 100);
    rx_give_frame(n, 100);
    m = moved(n);
    nic_free(n);
    assert_int_equal(intx(m), 1);
    assert_int_equal(rd(m, E1000_MTA + 4), 77);
    assert_int_equal(rd(m, E1000_RDH), 2);
    assert_int_equal(rd(m, E1000_GPRC), 2);
    assert_true(rd(m, E1000_STATUS) & STATUS_LU);
    assert_int_equal(rd(m, E1000_ICR), INT_RXT0);
    assert_int_equal(rx_give_frame(m, 100), 0);
    tx_legacy(m, TX_DATA, 100, SEND, 0, 0, 0);
    tx_go(m);
    assert_int_equal(m->net->count, 1);
    nic_free(m);
}

static void packet_that_waited_is_sent_by_the_other_card(void **state)
{
    struct nic *n = nic_started(), *m;

    (void)state;
    n->net->room = 0;
    make_frame(n, ram(n, TX_DATA), 500, NULL);
    tx_legacy(n, TX_DATA, 500, SEND, 0, 0, 0);
    tx_go(n);
    m = moved(n);
    memset(ram(m, TX_DATA), 0, 500); /* it was copied when it was sent */
    fake_advance_ns(m->h, 1000);
    assert_int_equal(m->net->count, 1);
    assert_memory_equal(m->net->sent[0].data, ram(n, TX_DATA), 500);
    assert_true(tx_is_done(m, 0));
    nic_free(n);
    nic_free(m);
}

static void half_a_packet_is_finished_by_the_other_card(void **state)
{
    struct nic *n = nic_started(), *m;

    (void)state;
    make_frame(n, ram(n, TX_DATA), 500, NULL);
    tx_legacy(n, TX_DATA, 200, TX_IFCS, 0, 0, 0);
    tx_go(n);
    m = moved(n);
    tx_legacy(m, TX_DATA + 200, 300, SEND, 0, 0, 0);
    tx_go(m);
    assert_int_equal(m->net->sent[0].len, 500);
    assert_memory_equal(m->net->sent[0].data, ram(n, TX_DATA), 500);
    nic_free(n);
    nic_free(m);
}

static void delays_go_on(void **state)
{
    struct nic *n = nic_started(), *m;

    (void)state;
    wr(n, E1000_RDTR, 100);
    rx_give_frame(n, 100);
    fake_advance_ns(n->h, 102000);
    m = moved(n);
    assert_int_equal(rd(m, E1000_ICR), 0);
    fake_advance_ns(m->h, 400);
    assert_int_equal(rd(m, E1000_ICR), INT_RXT0);
    nic_free(n);
    nic_free(m);
}

/* Not held back by the ITR a second time. */
static void interrupt_that_is_up_stays_up(void **state)
{
    struct nic *n = nic_started(), *m;

    (void)state;
    wr(n, E1000_ITR, 1000);
    wr(n, E1000_IMS, INT_RXT0);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1);
    m = moved(n);
    assert_int_equal(intx(m), 1);
    nic_free(n);
    nic_free(m);
}

/* A card that waits for no backend sends nothing that it was not told to send. */
static void load_sends_nothing_of_its_own(void **state)
{
    struct nic *n = nic_started(), *m;

    (void)state;
    make_frame(n, ram(n, TX_DATA), 100, NULL);
    tx_legacy(n, TX_DATA, 100, SEND, 0, 0, 0);
    m = moved(n); /* before TDT was written */
    fake_advance_ns(m->h, 1000);
    assert_int_equal(m->net->count, 0);
    assert_int_equal(rd(m, E1000_TDH), 0);
    tx_go(m);
    assert_int_equal(m->net->count, 1);
    nic_free(n);
    nic_free(m);
}

static void power_on_leaves_no_cause_of_the_link_that_was(void **state)
{
    struct nic *n = nic_started();
    struct e1000 *e = fake_self(n->h);

    (void)state;
    assert_true(rd(n, E1000_STATUS) & STATUS_LU);
    fake_ops(n->h)->stop(e);
    fake_ops(n->h)->reset(e, BP_RESET_COLD);
    assert_int_equal(fake_ops(n->h)->start(e), 0);
    assert_int_equal(e->phy[19], 0); /* the PHY's interrupt status */
    assert_int_equal(e->reg[R_ICR], 0);
    nic_free(n);
}

static void eeprom_goes_along(void **state)
{
    struct nic *n = nic_new(), *m;

    (void)state;
    fake_host_free(n->h);
    n->config.mac[5] = 0x99;
    nic_create(n);
    m = moved(n);
    wr(m, E1000_EERD, EERD_START | 2u << 8);
    assert_int_equal(rd(m, E1000_EERD) >> 16, 0x9934);
    nic_free(n);
    nic_free(m);
}

/* The last bit of a word was the 16th, and the pins have not moved since. */
static void word_just_written_goes_along(void **state)
{
    struct nic *n = nic_new(), *m;
    uint32_t bits = 1u << 24 | 1u << 22 | 3u << 16 | 0x1234u; /* start, WRITE, word 3 */

    (void)state;
    wr(n, E1000_EECD, EECD_REQ);
    for (uint32_t i = 25; i--;) {
        uint32_t pins = EECD_REQ | EECD_CS | (bits >> i & 1u ? EECD_DI : 0u);

        wr(n, E1000_EECD, pins);
        wr(n, E1000_EECD, pins | EECD_SK);
    }
    m = moved(n);
    assert_true(rd(m, E1000_EECD) & EECD_DO);
    nic_free(n);
    nic_free(m);
}

/* The member at `field` of a running card's state as a damaged file would have it. */
static void refuses(uint32_t offset, uint32_t width, uint64_t value)
{
    struct nic *n = nic_started();
    uint8_t *self = fake_self(n->h);

    memcpy(self + offset, &value, width);
    fake_ops(n->h)->stop(self);
    assert_int_equal(fake_ops(n->h)->after_load(self), -EINVAL);
    assert_string_equal(fake_failure(),
                        "the snapshot's network card is in a state that no 82540EM can have; the "
                        "file is damaged");
    fake_ops(n->h)->start(self);
    assert_int_equal(rd(n, E1000_RCTL), 0);
    nic_free(n);
}

#define REFUSES(member, value)                                                                     \
    refuses((uint32_t)offsetof(struct e1000, member),                                              \
            (uint32_t)sizeof(((struct e1000 *)0)->member), (value))

static void bad_snapshots_are_refused(void **state)
{
    (void)state;
    REFUSES(tx.size, PACKET_MAX + 1u);
    REFUSES(tx.size, FRAME_MAX + VLAN_BYTES + 1u);
    REFUSES(tx.start, 5);
    REFUSES(tx.sent, 1);
    REFUSES(tx.pending, 1);
    REFUSES(ee_state, 6);
    REFUSES(ee_count, 16);
    REFUSES(ee_address, 64);
    REFUSES(reg[R_TDLEN], 0xffffffff);
    REFUSES(reg[R_RDH], 0x10000);
    REFUSES(d3, 2);
    REFUSES(blocked, 2);
}

/* Timers that are set for ever are silence for ever; no real one is seconds away. */
static void bad_snapshot_with_interrupts_at_the_end_of_time(void **state)
{
    struct nic *n = nic_started();
    uint8_t *self = fake_self(n->h);
    struct e1000 *e = (struct e1000 *)(void *)self;

    (void)state;
    wr(n, E1000_ITR, 1000);
    wr(n, E1000_IMS, INT_RXT0);
    fake_ops(n->h)->stop(self);
    e->reg[R_ICR] = INT_RXT0;
    e->itr_until_ns = UINT64_MAX;
    for (uint32_t i = TIMER_ITR; i <= TIMER_TADV; i++)
        e->deadline_ns[i] = UINT64_MAX - 1;
    assert_int_equal(fake_ops(n->h)->after_load(self), 0);
    fake_ops(n->h)->start(self);
    assert_int_equal(intx(n), 0);
    fake_advance_ns(n->h, UINT64_C(5000000000));
    assert_int_equal(intx(n), 1);
    assert_int_equal(rd(n, E1000_ICR), INT_RXT0 | INT_TXDW);
    fake_advance_ns(n->h, 256000);
    rx_give_frame(n, 100);
    assert_int_equal(intx(n), 1);
    nic_free(n);
}

#define HEADERS 54u
#define PAYLOAD 2000u

/* A large packet of which one segment is sent, and the next one waits for the backend; *e is the
 * card. With `offloads` all of it waits. */
static struct nic *with_a_packet_that_waits(uint32_t offloads, struct e1000 **e)
{
    static const uint8_t headers[HEADERS] = {
        [12] = 8, [14] = 0x45, [16] = 8, [23] = 6, [34 + 12] = 0x50};
    struct e1000_context c = {.ipcss = 14,
                              .ipcso = 24,
                              .ipcse = 33,
                              .tucss = 34,
                              .tucso = 50,
                              .paylen = PAYLOAD,
                              .mss = 1000,
                              .hdrlen = HEADERS,
                              .tucmd = TUCMD_TCP | TUCMD_IP | TX_TSE};
    struct nic *n = nic_new();

    fake_host_free(n->h);
    n->net->offloads = offloads;
    nic_create(n);
    nic_start(n);
    put_bytes(ram(n, TX_DATA), headers, sizeof(headers));
    tx_context(n, &c);
    tx_data(n, TX_DATA, HEADERS + PAYLOAD, SEND | TX_TSE, POPTS_IXSM | POPTS_TXSM, 0);
    n->net->room = offloads ? 0 : 1;
    tx_go(n);
    *e = fake_self(n->h);
    assert_true((*e)->tx.pending);
    assert_int_equal((*e)->tx.whole, offloads != 0);
    assert_int_equal((*e)->tx.sent, offloads ? 0 : 1000);
    return n;
}

static int load(struct nic *n)
{
    int err;

    fake_ops(n->h)->stop(fake_self(n->h));
    err = fake_ops(n->h)->after_load(fake_self(n->h));
    fake_ops(n->h)->start(fake_self(n->h));
    return err;
}

/* Of a packet that waits something is left: else the next segment would be what lies behind it. */
static void bad_snapshot_with_more_sent_than_there_was(void **state)
{
    static const uint32_t sent[] = {PAYLOAD, PAYLOAD + 1, PAYLOAD + HEADERS};
    struct e1000 *e;
    struct nic *n;

    (void)state;
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        n = with_a_packet_that_waits(0, &e);
        e->tx.sent = sent[i];
        assert_int_equal(load(n), -EINVAL);
        assert_int_equal(rd(n, E1000_RCTL), 0);
        nic_free(n);
    }
    n = with_a_packet_that_waits(0, &e);
    e->tx.sent = PAYLOAD - 1;
    n->net->room = 10;
    n->net->owed = 0;
    assert_int_equal(load(n), 0);
    fake_advance_ns(n->h, 1000);
    assert_int_equal(n->net->count, 2);
    assert_int_equal(n->net->sent[1].len, 60); /* a byte, padded */
    nic_free(n);
}

/* The backend relies upon what a frame says of its checksum and its segments, and upon its length.
 */
static void bad_snapshot_with_what_no_backend_is_given(void **state)
{
    struct e1000 *e;
    struct nic *n;

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        n = with_a_packet_that_waits(i ? BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 : 0, &e);
        switch (i) {
        case 0: /* goes in one piece, and is none to be segmented */
            e->tx.whole = 1;
            e->tx.tse = 0;
            e->tx.sent = 0;
            break;
        case 1:
            e->tx.context.tucso = 20; /* before the start */
            break;
        case 2:
            e->tx.context.mss = 10;
            e->tx.context.hdrlen = 14;
            e->tx.context.tucso = 50;
            e->tx.size = 51;
            break;
        case 3:
            e->tx.tse = e->tx.whole = 0;
            e->tx.checksum = 1;
            e->tx.size = 51;
            break;
        default: /* more than an IP packet, and so than a backend takes */
            e->tx.size = 65536 + 14;
        }
        assert_int_equal(load(n), -EINVAL);
        assert_int_equal(rd(n, E1000_RCTL), 0);
        nic_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_goes_on_where_it_was),
        cmocka_unit_test(packet_that_waited_is_sent_by_the_other_card),
        cmocka_unit_test(half_a_packet_is_finished_by_the_other_card),
        cmocka_unit_test(delays_go_on),
        cmocka_unit_test(interrupt_that_is_up_stays_up),
        cmocka_unit_test(load_sends_nothing_of_its_own),
        cmocka_unit_test(power_on_leaves_no_cause_of_the_link_that_was),
        cmocka_unit_test(eeprom_goes_along),
        cmocka_unit_test(word_just_written_goes_along),
        cmocka_unit_test(bad_snapshots_are_refused),
        cmocka_unit_test(bad_snapshot_with_interrupts_at_the_end_of_time),
        cmocka_unit_test(bad_snapshot_with_more_sent_than_there_was),
        cmocka_unit_test(bad_snapshot_with_what_no_backend_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
