/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_sums.c - checksums of received frames: those that are looked at, those that are
 * known to be right, those that are filled in, and the packet checksum.
 */
#include "nic.h"

/* IPv4 10.0.0.1 to 10.0.0.2, UDP 1 to 2 with 4 bytes. */
static const uint8_t udp4[46] = {0x52, 0x54, 0,    0x12, 0x34, 0x56, 2,    0,    0,    0,   0,  1,
                                 8,    0,    0x45, 0,    0,    32,   0,    0,    0,    0,   64, 17,
                                 0x66, 0xcb, 10,   0,    0,    1,    10,   0,    0,    2,   0,  1,
                                 0,    2,    0,    12,   0x27, 0x0a, 0x61, 0x62, 0x63, 0x64};

static void checksums_are_verified(void **state)
{
    struct nic *n = nic_started();
    uint8_t frame[60] = {0};

    (void)state;
    memcpy(frame, udp4, sizeof(udp4));
    wr(n, E1000_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_status(n, 0), RX_DD | RX_EOP | RX_IPCS | RX_TCPCS);
    assert_int_equal(rx_errors(n, 0), 0);
    frame[42] ^= 1;
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_errors(n, 1), RX_TCPE);
    frame[42] ^= 1;
    frame[22]--;
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_errors(n, 2), RX_IPE);
    frame[22]++;
    frame[40] = frame[41] = 0; /* a datagram without a checksum */
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_status(n, 3), RX_DD | RX_EOP | RX_IPCS);
    wr(n, E1000_RXCSUM, 0);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_status(n, 4), RX_DD | RX_EOP | RX_IXSM);
    nic_free(n);
}

static void fragments_have_no_transport_checksum(void **state)
{
    struct nic *n = nic_started();
    uint8_t frame[60] = {0};

    (void)state;
    memcpy(frame, udp4, sizeof(udp4));
    frame[20] = 0x20; /* more fragments */
    wr(n, E1000_RXCSUM, RXCSUM_TUOFL);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_status(n, 0), RX_DD | RX_EOP | RX_IXSM);
    nic_free(n);
}

static void bad_lengths_in_ip_headers_are_not_followed(void **state)
{
    static const struct {
        uint8_t at, value;
    } edits[] = {{14, 0x44}, {14, 0x4f}, {16, 0xff}, {17, 19}, {14, 0x65}};
    struct nic *n = nic_started();

    (void)state;
    wr(n, E1000_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    for (uint32_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        uint8_t frame[60] = {0};

        memcpy(frame, udp4, sizeof(udp4));
        frame[edits[i].at] = edits[i].value;
        assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
        assert_false(rx_status(n, i) & RX_TCPCS);
    }
    nic_free(n);
}

/* One's complement of the sum from PCSS on, FCS and all unless it is stripped. */
static void packet_checksum_starts_at_pcss(void **state)
{
    struct nic *n = nic_started();
    uint8_t frame[60] = {0};

    (void)state;
    memcpy(frame, n->config.mac, 6);
    frame[50] = 0x12;
    frame[51] = 0x34;
    wr(n, E1000_RXCSUM, 14);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_checksum(n, 0), 0xffff - 0x1234);
    wr(n, E1000_RXCSUM, 51);
    assert_int_equal(rx_give(n, frame, sizeof(frame)), 0);
    assert_int_equal(rx_checksum(n, 1), 0xffff - 0x3400);
    nic_free(n);
}

static void checksum_left_to_the_receiver_is_filled_in(void **state)
{
    struct nic *n = nic_started();
    uint8_t data[60] = {0};
    struct bp_buf buf = {data, sizeof(data)};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = 1,
                             .csum_start = 34,
                             .csum_offset = 6};

    (void)state;
    memcpy(data, n->config.mac, 6);
    data[34] = 0x11;
    data[40] = 0x22; /* the pseudo header's part */
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
    assert_memory_equal(ram(n, RX_BUFFER(0) + 40), "\xcc\xff", 2);
    frame.csum_start = 0xfff0;
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
    nic_free(n);
}

/* The checksum that was filled in is right, and that of a frame which the backend looked at:
 * neither is looked at again. Another one in the same frame is. */
static void checksum_that_is_known_to_be_right_is_not_verified(void **state)
{
    struct nic *n = nic_started();
    uint8_t data[60] = {0};
    struct bp_buf buf = {data, sizeof(data)};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

    (void)state;
    wr(n, E1000_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    memcpy(data, udp4, sizeof(udp4));
    data[42] ^= 1; /* wrong, as its checksum says */
    frame.flags = 2;
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
    assert_int_equal(rx_status(n, 0), RX_DD | RX_EOP | RX_IPCS | RX_TCPCS);
    assert_int_equal(rx_errors(n, 0), 0);
    frame.flags = 1;
    frame.csum_start = 42; /* not that of the datagram */
    frame.csum_offset = 2;
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
    assert_int_equal(rx_errors(n, 1), RX_TCPE);
    memcpy(data, udp4, sizeof(udp4));
    data[40] = data[41] = 0;
    frame.csum_start = 34; /* without a pseudo header, which is the sender's to know */
    frame.csum_offset = 6;
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
    assert_int_equal(rx_status(n, 2), RX_DD | RX_EOP | RX_IPCS | RX_TCPCS);
    assert_int_equal(rx_errors(n, 2), 0);
    nic_free(n);
}

static void packet_checksum_is_that_of_words_whatever_the_length(void **state)
{
    uint8_t data[200];

    (void)state;
    for (uint32_t len = 60; len < sizeof(data); len++) {
        struct nic *n = nic_started();
        uint32_t start = 14 + len % 11, sum = 0;

        for (uint32_t i = 0; i < len; i++)
            data[i] = (uint8_t)(0xff - i * 7);
        memcpy(data, n->config.mac, 6);
        for (uint32_t i = start; i < len; i++)
            sum += (uint32_t)data[i] << ((i - start) % 2 ? 0 : 8);
        while (sum >> 16)
            sum = (sum & 0xffff) + (sum >> 16);
        wr(n, E1000_RXCSUM, start);
        assert_int_equal(rx_give(n, data, len), 0);
        assert_int_equal(rx_checksum(n, 0), 0xffff - sum);
        nic_free(n);
    }
}

static uint32_t plain_sum(const uint8_t *data, uint32_t len)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < len; i++)
        sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* A frame whose checksum is filled in on the way, at any place, is not added up twice; the guest's
 * buffer tells whether the sum is right all the same. */
static void completed(uint32_t strip, uint32_t ctrl, uint32_t len, uint32_t pcss, uint32_t at,
                      uint8_t fill, uint16_t offset)
{
    struct nic *n = nic_started();
    uint8_t data[200];
    struct bp_buf buf = {data, len};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = 1,
                             .csum_start = (uint16_t)at,
                             .csum_offset = offset};

    for (uint32_t i = 0; i < len; i++)
        data[i] = fill ? (uint8_t)(fill - i * 7) : 0;
    memcpy(data, n->config.mac, 6);
    if (ctrl & CTRL_VME)
        put_bytes(data + 12, "\x81\x00\x00\x05", 4);
    if (!fill)
        data[at + offset] = data[at + offset + 1] = 0xff;
    wr(n, E1000_RCTL, (rd(n, E1000_RCTL) & ~RCTL_SECRC) | strip);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | ctrl);
    wr(n, E1000_RXCSUM, pcss);
    assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
    assert_int_equal(rx_length(n, 0), len - (ctrl ? 4 : 0) + (strip ? 0 : 4));
    assert_int_equal(rx_checksum(n, 0),
                     0xffff - plain_sum(ram(n, RX_BUFFER(0) + pcss), rx_length(n, 0) - pcss));
    nic_free(n);
}

static void packet_checksum_is_right_where_another_was_filled_in(void **state)
{
    static const uint32_t starts[] = {0, 13, 14, 33, 34, 35, 55};
    static const uint32_t places[] = {14, 33, 34, 35, 54};

    (void)state;
    for (uint32_t i = 0; i < 7; i++) {
        for (uint32_t k = 0; k < 5; k++) {
            for (uint32_t len = 64; len < 67; len++) {
                completed(RCTL_SECRC, 0, len, starts[i], places[k], (uint8_t)(1 + 37 * k + i), 2);
                completed(0, 0, len, starts[i], places[k], 0xff, 2);
                completed(RCTL_SECRC, CTRL_VME, len, starts[i], places[k], 0x55, 2);
                completed(0, CTRL_VME, len, starts[i], places[k], 0xaa, 2);
                completed(RCTL_SECRC, 0, len, starts[i], places[k], 0, 2);
                completed(0, 0, len, starts[i], places[k], 0x33, 3);
            }
        }
    }
}

/* Where it is said to begin in front of what a tag's removal moves, it is none of the datagram's.
 */
static void checksum_in_the_addresses_says_nothing_of_the_datagram(void **state)
{
    static const uint8_t tag[] = {0x81, 0, 0, 5};
    struct nic *n = nic_started();
    uint8_t data[64] = {0};
    struct bp_buf buf = {data, sizeof(data)};
    struct bp_frame frame = {
        .size = sizeof(frame), .nbufs = 1, .bufs = &buf, .flags = 1, .csum_offset = 6};

    (void)state;
    wr(n, E1000_RXCSUM, RXCSUM_TUOFL);
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_VME);
    memcpy(data, udp4, 12);
    memcpy(data + 12, tag, sizeof(tag));
    memcpy(data + 16, udp4 + 12, sizeof(udp4) - 12);
    data[46] ^= 1;
    for (uint32_t i = 0; i < 5; i++) {
        frame.csum_start = (uint16_t)i;
        assert_int_equal(n->net->port->receive(n->net->port_self, 0, &frame), 0);
        assert_int_equal(rx_status(n, i), RX_DD | RX_EOP | RX_VP | RX_TCPCS);
        assert_int_equal(rx_errors(n, i), RX_TCPE);
        memcpy(data, udp4, 12);
    }
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_verified),
        cmocka_unit_test(fragments_have_no_transport_checksum),
        cmocka_unit_test(bad_lengths_in_ip_headers_are_not_followed),
        cmocka_unit_test(packet_checksum_starts_at_pcss),
        cmocka_unit_test(checksum_left_to_the_receiver_is_filled_in),
        cmocka_unit_test(checksum_that_is_known_to_be_right_is_not_verified),
        cmocka_unit_test(packet_checksum_is_that_of_words_whatever_the_length),
        cmocka_unit_test(packet_checksum_is_right_where_another_was_filled_in),
        cmocka_unit_test(checksum_in_the_addresses_says_nothing_of_the_datagram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
