/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_offload.c - backplane/util/offload.h: checksums and cut packets, beside what RFCs
 * say of them.
 */
#include <backplane/util/offload.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAYLOAD 5000u

static uint8_t frame[6000], out[6000], whole[6000];

static void fill(uint32_t from)
{
    for (uint32_t i = from; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(i * 29 + i / 255);
}

/* Ethernet with `tags` VLAN tags; where the network header begins. */
static uint32_t ethernet(uint32_t tags, uint32_t type)
{
    uint32_t at = 12;

    memset(frame, 0, 100);
    for (uint32_t i = 0; i < tags; i++, at += 4)
        bp_put_be16(frame + at, 0x8100);
    bp_put_be16(frame + at, type);
    return at + 2;
}

static uint32_t ipv4(uint32_t at, uint32_t protocol, uint32_t len)
{
    frame[at] = 0x45;
    bp_put_be16(frame + at + 2, len - at);
    bp_put_be16(frame + at + 4, 0xfffe); /* the identification goes over its end */
    frame[at + 9] = (uint8_t)protocol;
    frame[at + 12] = frame[at + 16] = 10; /* 10.0.0.1 to 10.0.0.2 */
    frame[at + 15] = 1;
    frame[at + 19] = 2;
    return at + 20;
}

static void the_sum_is_that_of_rfc_1071(void **state)
{
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03,
                                      0xf4, 0xf5, 0xf6, 0xf7}; /* section 3 */

    (void)state;
    assert_int_equal(bp_sum(example, 8, 0), 0xddf2);
    assert_int_equal(bp_sum(example, 3, 0), 0x0001 + 0xf200);
    assert_int_equal(bp_sum(example, 0, 0x12345), 0x2346);
}

static uint32_t plain_sum(const uint8_t *data, uint64_t len)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < len; i++)
        sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

/* By both ways, of which a processor has one. */
static void expect_sum(const uint8_t *data, uint64_t len)
{
    uint32_t sum = plain_sum(data, len);

    assert_int_equal(bp_sum(data, len, 0), sum);
    assert_int_equal(bp_sum_network(bp_sum_plain(data, len)), sum);
}

/* At any address, also where the sums of sixteen words at once are as large, or as small, as can
 * be.
 */
static void the_sum_is_that_of_words_whatever_the_length(void **state)
{
    static const uint64_t lengths[] = {65553, 1048576, 1048575, 1048576 + 63};
    uint8_t *data = malloc(1048576 + 128);

    (void)state;
    assert_non_null(data);
    for (uint64_t i = 0; i < 1048576 + 128; i++)
        data[i] = (uint8_t)(i * 37 + i / 251);
    for (uint64_t len = 0; len < 300; len++)
        expect_sum(data + len % 17, len);
    for (uint32_t i = 0; i < 4; i++)
        expect_sum(data + i, lengths[i]);
    for (uint32_t value = 0; value < 256; value += 51) {
        memset(data, (int)value, 1048576 + 128);
        for (uint32_t i = 0; i < 4; i++)
            expect_sum(data, lengths[i]);
    }
    for (uint64_t i = 0; i < 1048576; i += 2)
        bp_put_be16(data + i, 0x80); /* 0x8000 in the host's order, or so */
    expect_sum(data, 524288);
    free(data);
}

/* Data that add up to 0xffff have a checksum of 0, which UDP alone has to write otherwise. */
static void a_checksum_of_zero_is_one(void **state)
{
    uint8_t header[20] = {0xff, 0xff};

    (void)state;
    assert_int_equal(bp_checksum_fill(header, sizeof(header), 0, 16), 0);
    assert_int_equal(bp_be16(header + 16), 0);
    assert_int_equal(bp_checksum_fill(header, sizeof(header), 0, BP_UDP_CHECKSUM), 0);
    assert_int_equal(bp_be16(header + 6), 0xffff);
}

static void tcp_over_ipv4_with_tags_is_cut(void **state)
{
    (void)state;
    for (uint32_t tags = 0; tags < 3; tags++) {
        uint32_t ip = ethernet(tags, 0x0800), tcp = ip + 20, len = tcp + 32 + PAYLOAD, at = 0;
        struct bp_segments s;

        ipv4(ip, 6, len);
        frame[tcp + 12] = 0x80; /* with 12 bytes of options */
        frame[tcp + 13] = 0x99; /* CWR, ACK, PSH, FIN */
        bp_put_be16(frame + tcp + 4, 0xffff);
        bp_put_be16(frame + tcp + 6, 0xff00);
        fill(tcp + 32);
        assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_TCPV4 | BP_GSO_ECN, tcp, 1000), 0);
        assert_int_equal(s.count, 5);
        for (uint32_t i = 0; i < s.count; i++) {
            uint32_t n = bp_segment(&s, i, out), segment = n - tcp;

            assert_int_equal(n, tcp + 32 + 1000);
            assert_int_equal(bp_be16(out + ip + 2), n - ip);
            assert_int_equal(bp_be16(out + ip + 4), (0xfffe + i) & 0xffff);
            assert_int_equal(bp_sum(out + ip, 20, 0), 0xffff);
            assert_int_equal(bp_be32(out + tcp + 4), (uint32_t)(0xffffff00u + at));
            assert_int_equal(out[tcp + 13], i == 0 ? 0x90 : i < 4 ? 0x10 : 0x19);
            assert_int_equal(bp_sum(out + tcp, segment, bp_sum(out + ip + 12, 8, 6 + segment)),
                             0xffff);
            assert_memory_equal(out + tcp + 32, frame + tcp + 32 + at, 1000);
            at += 1000;
        }
    }
}

static void tcp_over_ipv6_is_cut(void **state)
{
    uint32_t ip = ethernet(0, 0x86dd), tcp = ip + 40, len = tcp + 20 + PAYLOAD, at = 0;
    struct bp_segments s;

    (void)state;
    frame[ip] = 0x60;
    frame[ip + 6] = 6;
    for (uint32_t i = 8; i < 40; i++)
        frame[ip + i] = (uint8_t)(i * 11);
    frame[tcp + 12] = 0x50;
    fill(tcp + 20);
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_TCPV6, tcp, 1440), 0);
    assert_int_equal(s.count, 4);
    for (uint32_t i = 0; i < s.count; i++) {
        uint32_t n = bp_segment(&s, i, out), segment = n - tcp;

        assert_int_equal(bp_be16(out + ip + 4), segment);
        assert_int_equal(bp_sum(out + tcp, segment, bp_sum(out + ip + 8, 32, 6 + segment)), 0xffff);
        assert_memory_equal(out + tcp + 20, frame + tcp + 20 + at, segment - 20);
        at += segment - 20;
    }
    assert_int_equal(at, PAYLOAD);
}

/* Fragments, put together again, are the datagram, whose checksum is right. */
static void a_udp_datagram_is_fragmented(void **state)
{
    uint32_t ip = ethernet(0, 0x0800), udp = ip + 20, len = udp + 8 + PAYLOAD, total = 0;
    struct bp_segments s;

    (void)state;
    ipv4(ip, 17, len);
    bp_put_be16(frame + udp + 4, 8 + PAYLOAD);
    fill(udp + 8);
    bp_put_be16(frame + udp + 6, bp_sum(frame + ip + 12, 8, 17 + 8 + PAYLOAD));
    assert_int_equal(bp_checksum_fill(frame, len, udp, 6), 0);
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 1483), 0);
    for (uint32_t i = 0; i < s.count; i++) {
        uint32_t n = bp_segment(&s, i, out), word = bp_be16(out + ip + 6);

        assert_int_equal(!!(word & 0x2000), i + 1 < s.count);
        assert_int_equal(bp_sum(out + ip, 20, 0), 0xffff);
        assert_int_equal(bp_be16(out + ip + 4), 0xfffe); /* one datagram, one identification */
        memcpy(whole + (size_t)(word & 0x1fff) * 8, out + udp, n - udp);
        total += n - udp;
    }
    assert_int_equal(total, len - udp);
    assert_memory_equal(whole, frame + udp, total);
    assert_int_equal(bp_sum(whole, total, bp_sum(frame + ip + 12, 8, 17 + total)), 0xffff);
}

/* The same over IPv6, behind extension headers (`headers`, ended by UDP's number): those for
 * routers are in each fragment, the rest is part of what is cut. */
static void fragment_ipv6(const uint8_t *headers, uint32_t count, uint32_t per_fragment)
{
    uint32_t ip = ethernet(1, 0x86dd), at = ip + 40, udp = at + 8 * count, len, total = 0, id = 0;
    uint32_t cut = at + 8 * per_fragment, next_at = per_fragment ? cut - 8 : ip + 6;
    struct bp_segments s;

    frame[ip] = 0x60;
    frame[ip + 6] = headers[0];
    for (uint32_t i = 8; i < 40; i++)
        frame[ip + i] = (uint8_t)(i * 11);
    for (uint32_t i = 0; i < count; i++)
        frame[at + 8 * i] = headers[i + 1];
    len = udp + 8 + PAYLOAD;
    bp_put_be16(frame + ip + 4, len - ip - 40);
    fill(udp);
    bp_put_be16(frame + udp + 4, 8 + PAYLOAD);
    bp_put_be16(frame + udp + 6, bp_sum(frame + ip + 8, 32, 17 + 8 + PAYLOAD));
    assert_int_equal(bp_checksum_fill(frame, len, udp, 6), 0);
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 1447), 0);
    assert_int_equal(s.count, (len - cut + 1439) / 1440);
    for (uint32_t i = 0; i < s.count; i++) {
        uint32_t n = bp_segment(&s, i, out), word = bp_be16(out + cut + 2);

        assert_true(n <= cut + 1440 + BP_SEGMENT_EXTRA);
        assert_int_equal(bp_be16(out + ip + 4), n - ip - 40);
        assert_int_equal(out[next_at], 44);
        assert_int_equal(out[cut], headers[per_fragment]);
        assert_int_equal(out[cut + 1], 0);
        assert_int_equal(word & 7, i + 1 < s.count);
        if (i == 0)
            id = bp_be32(out + cut + 4);
        assert_int_equal(bp_be32(out + cut + 4), id);
        out[next_at] = headers[per_fragment]; /* as a receiver does it (4.5) */
        bp_put_be16(out + ip + 4, len - ip - 40);
        assert_memory_equal(out, frame, cut);
        memcpy(whole + (word & ~7u), out + cut + 8, n - cut - 8);
        total += n - cut - 8;
    }
    assert_int_equal(total, len - cut);
    assert_memory_equal(whole, frame + cut, total);
    assert_int_equal(bp_sum(frame + udp, len - udp, bp_sum(frame + ip + 8, 32, 17 + len - udp)),
                     0xffff);
    frame[len - 1] ^= 1; /* another datagram has another number */
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 1447), 0);
    assert_int_not_equal(s.identification, id);
}

static void a_udp_datagram_over_ipv6_is_fragmented(void **state)
{
    static const uint8_t plain[] = {17}, options[] = {0, 60, 43, 60, 17}, late[] = {60, 17};

    (void)state;
    fragment_ipv6(plain, 0, 0);
    fragment_ipv6(options, 4, 3);
    fragment_ipv6(late, 1, 0);
}

static void bad_ipv6_headers_are_refused(void **state)
{
    uint32_t ip = ethernet(0, 0x86dd), udp = ip + 56, len = udp + 1000;
    struct bp_segments s;

    (void)state;
    frame[ip] = 0x60;
    frame[ip + 40] = 60; /* hop-by-hop, destination options, UDP */
    frame[ip + 48] = 17;
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 500), 0);
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp - 8, 500), -1);
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp + 8, 500), -1);
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp - 3, 500), -1);
    frame[ip + 48] = 6;
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 500), -1);
    frame[ip + 48] = 0; /* goes on where UDP should be */
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 500), -1);
    frame[ip + 48] = 17;
    frame[ip + 41] = 255; /* beyond it */
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 500), -1);
    frame[ip + 41] = 0;
    frame[ip + 6] = 44; /* a fragment already */
    assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_UDP, udp, 500), -1);
}

static void bad_packets_are_refused(void **state)
{
    uint32_t ip = ethernet(0, 0x0800), tcp = ipv4(ip, 6, 1000);
    struct bp_segments s;

    (void)state;
    frame[tcp + 12] = 0x50;
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV4, tcp, 100), 0);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV4, tcp, 0), -1);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV4, tcp + 4, 100), -1);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV4, 65535, 100), -1);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV6, tcp, 100), -1);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_NONE, tcp, 100), -1);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_UDP, tcp, 7), -1);
    assert_int_equal(bp_segment_begin(&s, frame, tcp + 19, BP_GSO_TCPV4, tcp, 100), -1);
    assert_int_equal(bp_segment_begin(&s, frame, tcp + 20, BP_GSO_TCPV4, tcp, 100), -1);
    frame[tcp + 12] = 0x40;
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV4, tcp, 100), -1);
    ethernet(3, 0x0800);
    assert_int_equal(bp_segment_begin(&s, frame, 1000, BP_GSO_TCPV4, 60, 100), -1);
    for (uint32_t len = 0; len < 14; len++)
        assert_int_equal(bp_segment_begin(&s, frame, len, BP_GSO_TCPV4, 0, 100), -1);
    assert_int_equal(bp_checksum_fill(frame, 100, 98, 1), -1);
    assert_int_equal(bp_checksum_fill(frame, 100, 98, 0), 0);
    assert_int_equal(bp_checksum_fill(frame, 100, 100, 0), -1);
    assert_int_equal(bp_checksum_fill(frame, 100, 0, 0xffff), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_that_of_rfc_1071),
        cmocka_unit_test(the_sum_is_that_of_words_whatever_the_length),
        cmocka_unit_test(a_checksum_of_zero_is_one),
        cmocka_unit_test(tcp_over_ipv4_with_tags_is_cut),
        cmocka_unit_test(tcp_over_ipv6_is_cut),
        cmocka_unit_test(a_udp_datagram_is_fragmented),
        cmocka_unit_test(a_udp_datagram_over_ipv6_is_fragmented),
        cmocka_unit_test(bad_ipv6_headers_are_refused),
        cmocka_unit_test(bad_packets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
