/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_offload.c - checksums and segmentation, done here and left to the backend.
 *
 * Every frame is checked as a receiver would: checksums by a plain loop of this file's own.
 */
#include "nic.h"

#include <backplane/util/le.h>

#define SEND (TX_EOP | TX_IFCS | TX_RS)
#define HEADERS 54u /* Ethernet, IPv4, TCP */
#define HEADERS6 74u

static uint32_t be16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t be32(const uint8_t *at)
{
    return be16(at) << 16 | be16(at + 2);
}

static uint32_t sum(const uint8_t *data, uint32_t len, uint32_t start)
{
    for (uint32_t i = 0; i < len; i++)
        start += i % 2 ? data[i] : (uint32_t)data[i] << 8;
    while (start >> 16)
        start = (start & 0xffffu) + (start >> 16);
    return start;
}

static void put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* A TCP packet as a driver hands it over: the sum of the pseudo header, without its length, where
 * the checksum goes. Returns its bytes. */
static uint32_t make_tcp4(struct nic *n, uint32_t payload, int with_length)
{
    uint8_t *f = ram(n, TX_DATA);

    make_frame(n, f, HEADERS + payload, NULL);
    put_bytes(f + 12, "\x08\x00\x45\x00\x00\x00\x12\x34\x40\x00\x40\x06\x00\x00", 14);
    put_bytes(f + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
    put_bytes(f + 34, "\x04\xd2\x00\x50\x00\x00\xff\xf0\x00\x00\x00\x07\x50\x19\x20\x00\x00\x00",
              18);
    put_be16(f + 52, 0);
    put_be16(f + 16, with_length ? 40 + payload : 0);
    put_be16(f + 50, sum(f + 26, 8, 6u + (with_length ? 20 + payload : 0)));
    return HEADERS + payload;
}

static uint32_t make_tcp6(struct nic *n, uint32_t payload)
{
    uint8_t *f = ram(n, TX_DATA);

    make_frame(n, f, HEADERS6 + payload, NULL);
    put_bytes(f + 12, "\x86\xdd\x60\x00\x00\x00\x00\x00\x06\x40", 10);
    for (uint32_t i = 0; i < 32; i++)
        f[22 + i] = (uint8_t)(0x20 + i);
    put_bytes(f + 54,
              "\x04\xd2\x00\x50\x00\x00\x00\x01\x00\x00\x00\x07\x50\x10\x20\x00\x00\x00\x00\x00",
              20);
    put_be16(f + 70, sum(f + 22, 32, 6u));
    return HEADERS6 + payload;
}

static struct e1000_context tcp4_context(uint32_t payload, uint16_t mss)
{
    return (struct e1000_context){.ipcss = 14,
                                  .ipcso = 24,
                                  .ipcse = 33,
                                  .tucss = 34,
                                  .tucso = 50,
                                  .paylen = payload,
                                  .mss = mss,
                                  .hdrlen = mss ? HEADERS : 0,
                                  .tucmd = (uint8_t)(TUCMD_TCP | TUCMD_IP | (mss ? TX_TSE : 0u))};
}

static void check_tcp4(const uint8_t *f, uint32_t len)
{
    assert_int_equal(be16(f + 16), len - 14);
    assert_int_equal(sum(f + 14, 20, 0), 0xffff);
    assert_int_equal(sum(f + 34, len - 34, sum(f + 26, 8, 6 + len - 34)), 0xffff);
}

static void send_tcp4(struct nic *n, uint32_t payload, uint16_t mss, uint8_t more)
{
    struct e1000_context c = tcp4_context(payload, mss);
    uint32_t len = make_tcp4(n, payload, 0);

    tx_context(n, &c);
    tx_data(n, TX_DATA, len, SEND | TX_TSE | more, POPTS_IXSM | POPTS_TXSM, 0x5005);
    tx_go(n);
}

static void checksums_of_ip_and_tcp_are_put_in(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = tcp4_context(0, 0);
    uint32_t len = make_tcp4(n, 101, 1);

    (void)state;
    tx_context(n, &c);
    tx_data(n, TX_DATA, 60, TX_IFCS, POPTS_IXSM | POPTS_TXSM, 0);
    tx_data(n, TX_DATA + 60, len - 60, SEND, 0, 0);
    tx_go(n);
    assert_int_equal(n->net->sent[0].len, len);
    assert_int_equal(n->net->sent[0].frame.flags, 0);
    check_tcp4(n->net->sent[0].data, len);
    nic_free(n);
}

static void transport_checksum_is_left_to_a_backend_that_takes_it(void **state)
{
    struct nic *n = nic_new();
    struct e1000_context c = tcp4_context(0, 0);
    uint32_t len;

    (void)state;
    fake_host_free(n->h);
    n->net->offloads = BP_NET_OFFLOAD_CSUM;
    nic_create(n);
    nic_start(n);
    len = make_tcp4(n, 100, 1);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_VME);
    tx_context(n, &c);
    tx_data(n, TX_DATA, len, SEND, POPTS_IXSM | POPTS_TXSM, 0);
    tx_data(n, TX_DATA, len, SEND | TX_VLE, POPTS_IXSM | POPTS_TXSM, 5);
    tx_go(n);
    assert_int_equal(n->net->sent[0].frame.flags, 1);
    assert_int_equal(n->net->sent[0].frame.csum_start, 34);
    assert_int_equal(n->net->sent[0].frame.csum_offset, 16);
    assert_int_equal(sum(n->net->sent[0].data + 14, 20, 0), 0xffff);
    assert_memory_equal(n->net->sent[0].data + 50, ram(n, TX_DATA + 50), 2);
    assert_int_equal(n->net->sent[1].frame.csum_start, 38);
    nic_free(n);
}

static void legacy_descriptor_inserts_one_checksum(void **state)
{
    struct nic *n = nic_started();
    uint32_t len = make_tcp4(n, 100, 1);

    (void)state;
    tx_legacy(n, TX_DATA, (uint16_t)len, SEND | TX_IC, 50, 34, 0);
    tx_go(n);
    assert_int_equal(
        sum(n->net->sent[0].data + 34, len - 34, sum(n->net->sent[0].data + 26, 8, 6 + len - 34)),
        0xffff);
    nic_free(n);
}

static void packet_is_segmented(void **state)
{
    struct nic *n = nic_started();
    uint32_t seen = 0;

    (void)state;
    send_tcp4(n, 5000, 1448, 0);
    assert_int_equal(n->net->count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct sent *s = &n->net->sent[i];
        uint32_t payload = i < 3 ? 1448 : 5000 - 3 * 1448;

        assert_int_equal(s->len, HEADERS + payload);
        check_tcp4(s->data, s->len);
        assert_int_equal(be16(s->data + 18), 0x1234 + i);
        assert_int_equal(be32(s->data + 38), 0xfff0 + seen);
        assert_int_equal(s->data[47], i < 3 ? 0x10 : 0x19); /* FIN and PSH in the last */
        assert_memory_equal(s->data + HEADERS, ram(n, TX_DATA + HEADERS + seen), payload);
        seen += payload;
    }
    assert_int_equal(rd(n, E1000_TSCTC), 1);
    assert_true(tx_is_done(n, 1));
    nic_free(n);
}

static void segments_are_tagged(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_VME);
    send_tcp4(n, 2000, 1000, TX_VLE);
    assert_int_equal(n->net->count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(n->net->sent[i].len, HEADERS + 1004);
        assert_memory_equal(n->net->sent[i].data + 12, "\x81\x00\x50\x05\x08\x00", 6);
        check_tcp4(n->net->sent[i].data + 4, n->net->sent[i].len - 4);
    }
    nic_free(n);
}

static void ipv6_is_segmented(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = {.ipcss = 14,
                              .ipcso = 24,
                              .tucss = 54,
                              .tucso = 70,
                              .paylen = 2500,
                              .mss = 1000,
                              .hdrlen = HEADERS6,
                              .tucmd = TUCMD_TCP | TX_TSE};
    uint32_t len = make_tcp6(n, 2500);

    (void)state;
    tx_context(n, &c);
    tx_data(n, TX_DATA, len, SEND | TX_TSE, POPTS_TXSM, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct sent *s = &n->net->sent[i];

        assert_int_equal(be16(s->data + 18), s->len - 54);
        assert_int_equal(sum(s->data + 54, s->len - 54, sum(s->data + 22, 32, 6 + s->len - 54)),
                         0xffff);
        assert_int_equal(be32(s->data + 58), 1 + 1000 * i);
    }
    nic_free(n);
}

static void datagram_gets_a_length_in_each_segment(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context c = {.ipcss = 14,
                              .ipcso = 24,
                              .ipcse = 33,
                              .tucss = 34,
                              .tucso = 40,
                              .paylen = 1500,
                              .mss = 1000,
                              .hdrlen = 42,
                              .tucmd = TUCMD_IP | TX_TSE};
    uint8_t *f = ram(n, TX_DATA);

    (void)state;
    make_tcp4(n, 1488, 0);
    f[23] = 17;
    put_be16(f + 40, sum(f + 26, 8, 17));
    tx_context(n, &c);
    tx_data(n, TX_DATA, 1542, SEND | TX_TSE, POPTS_IXSM | POPTS_TXSM, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct sent *s = &n->net->sent[i];

        assert_int_equal(be16(s->data + 38), s->len - 34);
        assert_int_equal(sum(s->data + 14, 20, 0), 0xffff);
        assert_int_equal(sum(s->data + 34, s->len - 34, sum(s->data + 26, 8, 17 + s->len - 34)),
                         0xffff);
    }
    nic_free(n);
}

static void segments_wait_for_a_backend_without_room(void **state)
{
    struct nic *n = nic_started();

    (void)state;
    n->net->room = 2;
    send_tcp4(n, 5000, 1448, 0);
    assert_int_equal(n->net->count, 2);
    assert_false(tx_is_done(n, 1));
    n->net->room = UINT32_MAX;
    n->net->owed = 0;
    n->net->port->sent(n->net->port_self, 0);
    assert_int_equal(n->net->count, 4);
    for (uint32_t i = 0; i < 4; i++)
        check_tcp4(n->net->sent[i].data, n->net->sent[i].len);
    assert_int_equal(be32(n->net->sent[3].data + 38), 0xfff0 + 3 * 1448);
    assert_true(tx_is_done(n, 1));
    nic_free(n);
}

static struct nic *with_tso(void)
{
    struct nic *n = nic_new();

    fake_host_free(n->h);
    n->net->offloads = BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6;
    nic_create(n);
    nic_start(n);
    return n;
}

static void packet_goes_whole_to_a_backend_that_segments(void **state)
{
    struct nic *n = with_tso();
    const struct sent *s = &n->net->sent[0];

    (void)state;
    send_tcp4(n, 60000, 1448, 0);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(s->len, HEADERS + 60000);
    assert_int_equal(s->frame.gso_type, 1);
    assert_int_equal(s->frame.gso_size, 1448);
    assert_int_equal(s->frame.hdr_len, HEADERS);
    assert_int_equal(s->frame.flags, 1);
    assert_int_equal(s->frame.csum_start, 34);
    assert_int_equal(s->frame.csum_offset, 16);
    assert_int_equal(be16(s->data + 16), s->len - 14);
    assert_int_equal(sum(s->data + 14, 20, 0), 0xffff);
    assert_int_equal(be16(s->data + 50), sum(s->data + 26, 8, 6 + s->len - 34));
    assert_int_equal(rd(n, E1000_GPTC), (60000 + 1447) / 1448);
    assert_int_equal(rd(n, E1000_GOTCL), 60000 + 42 * (HEADERS + 4));
    nic_free(n);
}

static void ipv6_packet_goes_whole_to_a_backend_that_segments(void **state)
{
    struct nic *n = with_tso();
    struct e1000_context c = {.ipcss = 14,
                              .tucss = 54,
                              .tucso = 70,
                              .paylen = 2500,
                              .mss = 1000,
                              .hdrlen = HEADERS6,
                              .tucmd = TUCMD_TCP | TX_TSE};
    uint32_t len = make_tcp6(n, 2500);

    (void)state;
    tx_context(n, &c);
    tx_data(n, TX_DATA, len, SEND | TX_TSE, POPTS_TXSM, 0);
    tx_go(n);
    assert_int_equal(n->net->count, 1);
    assert_int_equal(n->net->sent[0].frame.gso_type, 4);
    assert_int_equal(be16(n->net->sent[0].data + 18), len - 54);
    nic_free(n);
}

/* Whatever a backend would not recognise is segmented as the context says. */
static void bad_headers_are_not_given_to_a_backend_that_segments(void **state)
{
    static const struct {
        uint16_t at;
        uint8_t value;
    } edits[] = {{12, 0x86}, {14, 0x46}, {14, 0x65}, {23, 17}, {46, 0x60}, {46, 0x40}, {47, 0x80}};

    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct nic *n = with_tso();
        struct e1000_context c = tcp4_context(2000, 1000);
        uint32_t len = make_tcp4(n, 2000, 0);

        *ram(n, TX_DATA + edits[i].at) = edits[i].value;
        tx_context(n, &c);
        tx_data(n, TX_DATA, len, SEND | TX_TSE, POPTS_IXSM | POPTS_TXSM, 0);
        tx_go(n);
        assert_int_equal(n->net->count, 2);
        assert_int_equal(n->net->sent[0].frame.flags, 0);
        assert_int_equal(n->net->sent[0].frame.gso_type, 0);
        nic_free(n);
    }
}

static void contexts_of_both_kinds_are_kept(void **state)
{
    struct nic *n = nic_started();
    struct e1000_context plain = tcp4_context(0, 0);
    uint32_t len;

    (void)state;
    plain.tucso = 48; /* recognisable */
    tx_context(n, &plain);
    send_tcp4(n, 2000, 1000, 0);
    assert_int_equal(n->net->count, 2);
    check_tcp4(n->net->sent[0].data, n->net->sent[0].len);
    len = make_tcp4(n, 100, 1);
    tx_data(n, TX_DATA, len, SEND, POPTS_TXSM, 0);
    tx_go(n);
    assert_memory_not_equal(n->net->sent[2].data + 48, ram(n, TX_DATA + 48), 2);
    assert_memory_equal(n->net->sent[2].data + 50, ram(n, TX_DATA + 50), 2);
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_of_ip_and_tcp_are_put_in),
        cmocka_unit_test(transport_checksum_is_left_to_a_backend_that_takes_it),
        cmocka_unit_test(legacy_descriptor_inserts_one_checksum),
        cmocka_unit_test(packet_is_segmented),
        cmocka_unit_test(segments_are_tagged),
        cmocka_unit_test(ipv6_is_segmented),
        cmocka_unit_test(datagram_gets_a_length_in_each_segment),
        cmocka_unit_test(segments_wait_for_a_backend_without_room),
        cmocka_unit_test(packet_goes_whole_to_a_backend_that_segments),
        cmocka_unit_test(ipv6_packet_goes_whole_to_a_backend_that_segments),
        cmocka_unit_test(bad_headers_are_not_given_to_a_backend_that_segments),
        cmocka_unit_test(contexts_of_both_kinds_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
