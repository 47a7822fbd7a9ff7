/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_rewrite.c - addresses rewritten in frames: checksums that were good are good, and
 * nothing is touched beyond a frame.
 */
#include "link.h"
#include "rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const ips[] = {"10.0.0.1>192.0.2.200", "10.0.0.2>255.254.1.1"};
static const char *const macs[] = {"52:54:00:00:00:01>02:00:00:00:00:AA"};

static void set_up(struct rewrite *rw)
{
    struct bp_list ip = {.items = ips, .count = 2}, mac = {.items = macs, .count = 1};

    memset(rw, 0, sizeof(*rw));
    assert_null(rewrite_parse_ips(rw, &ip));
    assert_null(rewrite_parse_macs(rw, &mac));
}

/* The one's complement sum of good data with its checksum is 0xffff. */
static uint32_t sum(const uint8_t *data, uint32_t len, uint32_t s)
{
    for (uint32_t i = 0; i < len; i++)
        s += (uint32_t)data[i] << (i & 1 ? 0 : 8);
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void expect_good(const uint8_t *frame, uint32_t len, uint32_t protocol)
{
    assert_int_equal(sum(frame + 14, 20, 0), 0xffff);
    assert_int_equal(sum(frame + 26, len - 26, protocol + len - 34), 0xffff);
}

static void udp_keeps_good_checksums(void **state)
{
    struct rewrite rw;
    uint8_t f[101];

    (void)state;
    set_up(&rw);
    for (uint32_t port = 0; port < 65536; port += 3) { /* many sums */
        link_udp(f, sizeof(f), (uint16_t)port);
        expect_good(f, sizeof(f), 17);
        rewrite_frame(&rw, f, sizeof(f));
        expect_good(f, sizeof(f), 17);
        assert_true(f[40] || f[41]);
    }
    assert_memory_equal(f + 26, "\xc0\x00\x02\xc8\xff\xfe\x01\x01", 8);
    assert_memory_equal(f, "\x52\x54\x00\x00\x00\x02\x02\x00\x00\x00\x00\xaa", 12);
}

static void udp_without_a_checksum_stays_without_one(void **state)
{
    struct rewrite rw;
    uint8_t f[60];

    (void)state;
    set_up(&rw);
    link_udp(f, sizeof(f), 7);
    put16(f + 40, 0);
    rewrite_frame(&rw, f, sizeof(f));
    assert_int_equal(f[40] | f[41], 0);
}

static void wrong_checksum_stays_wrong_by_the_same(void **state)
{
    struct rewrite rw;
    uint8_t f[60];

    (void)state;
    set_up(&rw);
    link_udp(f, sizeof(f), 7);
    put16(f + 40, 0x1234);
    rewrite_frame(&rw, f, sizeof(f));
    assert_int_not_equal(sum(f + 26, sizeof(f) - 26, 17 + sizeof(f) - 34), 0xffff);
}

static void tcp_keeps_a_good_checksum(void **state)
{
    struct rewrite rw;
    uint8_t f[77];

    (void)state;
    set_up(&rw);
    link_udp(f, sizeof(f), 7);
    f[23] = 6;
    put16(f + 24, 0);
    put16(f + 24, ~sum(f + 14, 20, 0));
    put16(f + 50, 0);
    put16(f + 50, ~sum(f + 26, sizeof(f) - 26, 6 + sizeof(f) - 34));
    expect_good(f, sizeof(f), 6);
    rewrite_frame(&rw, f, sizeof(f));
    expect_good(f, sizeof(f), 6);
}

static void vlan_tags_are_looked_behind(void **state)
{
    struct rewrite rw;
    uint8_t f[60], tagged[68];

    (void)state;
    set_up(&rw);
    link_udp(f, sizeof(f), 7);
    memcpy(tagged, f, 12);
    put16(tagged + 12, 0x88a8);
    put16(tagged + 14, 5);
    put16(tagged + 16, 0x8100);
    put16(tagged + 18, 6);
    memcpy(tagged + 20, f + 12, 48);
    rewrite_frame(&rw, f, sizeof(f));
    rewrite_frame(&rw, tagged, sizeof(tagged));
    assert_memory_equal(tagged + 20, f + 12, 48);
}

static void arp_gets_both_kinds_of_addresses(void **state)
{
    static const uint8_t arp[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0,  6, 4, 0,
        1,    0x52, 0x54, 0,    0,    0,    1,    10,   0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
    struct rewrite rw;
    uint8_t f[42];

    (void)state;
    set_up(&rw);
    memcpy(f, arp, sizeof(f));
    rewrite_frame(&rw, f, sizeof(f));
    assert_memory_equal(f, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\xaa", 12);
    assert_memory_equal(f + 22, "\x02\x00\x00\x00\x00\xaa\xc0\x00\x02\xc8", 10);
    assert_memory_equal(f + 32, "\0\0\0\0\0\0\xff\xfe\x01\x01", 10);
    /* A new source is ARP's sender, too; broadcasts stay what they are. */
    memset(&rw, 0, sizeof(rw));
    memcpy(rw.source, "\x02\0\0\0\0\1", 6);
    memcpy(rw.destination, "\x02\0\0\0\0\2", 6);
    memcpy(f, arp, sizeof(f));
    rewrite_frame(&rw, f, sizeof(f));
    assert_memory_equal(f, "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\1", 12);
    assert_memory_equal(f + 22, "\x02\0\0\0\0\1", 6);
    assert_memory_equal(f + 32, "\0\0\0\0\0\0", 6);
}

static void later_fragments_have_no_ports_to_look_for(void **state)
{
    struct rewrite rw;
    uint8_t f[60], before[26];

    (void)state;
    set_up(&rw);
    link_udp(f, sizeof(f), 7);
    put16(f + 20, 0x2005);
    put16(f + 24, 0);
    put16(f + 24, ~sum(f + 14, 20, 0));
    memcpy(before, f + 34, sizeof(before));
    rewrite_frame(&rw, f, sizeof(f));
    assert_int_equal(sum(f + 14, 20, 0), 0xffff);
    assert_memory_equal(f + 34, before, sizeof(before));
}

static void icmp_error_is_good_with_its_quoted_header(void **state)
{
    struct rewrite rw;
    uint8_t f[70], inner[60];

    (void)state;
    set_up(&rw);
    link_udp(inner, sizeof(inner), 7);
    link_udp(f, sizeof(f), 7);
    f[23] = 1;
    put16(f + 24, 0);
    put16(f + 24, ~sum(f + 14, 20, 0));
    memset(f + 34, 0, 8);
    f[34] = 3; /* unreachable */
    memcpy(f + 42, inner + 14, 28);
    put16(f + 36, ~sum(f + 34, sizeof(f) - 34, 0));
    rewrite_frame(&rw, f, sizeof(f));
    assert_int_equal(sum(f + 14, 20, 0), 0xffff);
    assert_int_equal(sum(f + 42, 20, 0), 0xffff);
    assert_int_equal(sum(f + 34, sizeof(f) - 34, 0), 0xffff);
    assert_memory_equal(f + 54, "\xc0\x00\x02\xc8\xff\xfe\x01\x01", 8);
}

/* Every length and every first byte of a header, in memory of exactly that size: a sanitizer sees
 * what reaches beyond. */
static void bad_97_short_frames_are_left_alone(void **state)
{
    struct rewrite rw;

    (void)state;
    set_up(&rw);
    for (uint32_t len = 1; len < 80; len++) {
        for (uint32_t byte = 0; byte < 256; byte += 5) {
            uint8_t whole[100], *f = malloc(len);

            assert_non_null(f);
            link_udp(whole, sizeof(whole), 7);
            whole[14] = (uint8_t)byte;
            whole[23] = (uint8_t)(byte % 20);
            memcpy(f, whole, len);
            rewrite_frame(&rw, f, len);
            free(f);
        }
    }
}

static void bad_pairs_are_found(void **state)
{
    static const char *const bad_macs[] = {
        "",
        ">",
        "52:54:00:00:00:01",
        "52:54:00:00:00:01>",
        "52:54:00:00:00:01>52:54:00:00:00:0",
        "52:54:00:00:00:01>52:54:00:00:00:0g",
        "52:54:00:00:00:01>52-54-00-00-00-01",
        "52:54:00:00:00:01 >52:54:00:00:00:02",
    };
    static const char *const bad_ips[] = {"",
                                          ">",
                                          "1.2.3.4",
                                          "1.2.3.4>",
                                          "1.2.3>1.2.3.4",
                                          "1.2.3.4>1.2.3.256",
                                          "1.2.3.4>::1",
                                          "111.111.111.1111>1.2.3.4"};
    struct bp_list list = {.count = 1};
    struct rewrite rw = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad_macs) / sizeof(bad_macs[0]); i++) {
        list.items = &bad_macs[i];
        assert_ptr_equal(rewrite_parse_macs(&rw, &list), bad_macs[i]);
    }
    for (size_t i = 0; i < sizeof(bad_ips) / sizeof(bad_ips[0]); i++) {
        list.items = &bad_ips[i];
        assert_ptr_equal(rewrite_parse_ips(&rw, &list), bad_ips[i]);
    }
    list.count = 65;
    assert_string_equal(rewrite_parse_ips(&rw, &list), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_keeps_good_checksums),
        cmocka_unit_test(udp_without_a_checksum_stays_without_one),
        cmocka_unit_test(wrong_checksum_stays_wrong_by_the_same),
        cmocka_unit_test(tcp_keeps_a_good_checksum),
        cmocka_unit_test(vlan_tags_are_looked_behind),
        cmocka_unit_test(arp_gets_both_kinds_of_addresses),
        cmocka_unit_test(later_fragments_have_no_ports_to_look_for),
        cmocka_unit_test(icmp_error_is_good_with_its_quoted_header),
        cmocka_unit_test(bad_97_short_frames_are_left_alone),
        cmocka_unit_test(bad_pairs_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
