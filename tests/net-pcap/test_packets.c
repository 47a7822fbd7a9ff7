/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_packets.c - packets as they stand in a ring and in a file: made, found again one
 * after the other, and made to tell of more that is missing.
 */
#include "blocks.h"
#include "record.h"

#include <backplane/util/le.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 4096u

static uint8_t buffer[8 * ROOM];

/* Makes a packet of the buffer's `len` bytes at `at`; returns its bytes. */
static size_t make(const struct file_format *format, struct tails *tails, uint8_t *at,
                   struct record r, const char *data)
{
    r.caplen = r.len = (uint32_t)strlen(data);
    memcpy(at + format->head, data, r.caplen);
    return format->packet(at, &r, tails);
}

/* The packet at `at` as blocks.h has it. */
static struct block block_at(const uint8_t *at)
{
    return (struct block){.type = bp_le32(at),
                          .len = bp_le32(at + 4),
                          .data = at,
                          .options = 28 + ((bp_le32(at + 20) + 3u) & ~3u)};
}

static void packets_are_found_one_after_the_other(const struct file_format *format)
{
    static const char *const data[] = {"a", "bc", "def", "ghij", "", "klmno"};
    struct tails tails = {0};
    size_t sizes[6], len = 0;
    struct span s;

    for (size_t i = 0; i < 6; i++) {
        sizes[i] =
            make(format, &tails, buffer + len,
                 (struct record){.kind.direction = RECORD_INBOUND, .when_ns = 1000 + i}, data[i]);
        assert_int_equal(format->packet_size(buffer + len), sizes[i]);
        assert_true(format->packet_time(buffer + len) == 1000 + i);
        assert_true(sizes[i] <= strlen(data[i]) + PACKET_EXTRA);
        len += sizes[i];
    }
    s = span_of(format, buffer, len, UINT64_MAX);
    assert_int_equal(s.len, len);
    assert_int_equal(s.packets, 6);
    assert_ptr_equal(s.last, buffer + len - sizes[5]);
    s = span_of(format, buffer, len, sizes[0] + sizes[1]);
    assert_int_equal(s.len, sizes[0] + sizes[1]);
    assert_int_equal(s.packets, 2);
    assert_ptr_equal(s.last, buffer + sizes[0]);
    s = span_of(format, buffer, len, sizes[0] + sizes[1] - 1);
    assert_int_equal(s.packets, 1);
    s = span_of(format, buffer, len, sizes[0] - 1);
    assert_int_equal(s.len, 0);
    assert_int_equal(s.packets, 0);
    assert_null(s.last);
    assert_int_equal(span_of(format, buffer, 0, UINT64_MAX).packets, 0);
}

static void spans_end_between_packets(void **state)
{
    (void)state;
    packets_are_found_one_after_the_other(&format_pcapng);
    packets_are_found_one_after_the_other(&format_pcap);
}

/* Of the same packet otherwise. */
static void assert_missing(const uint8_t *packet, uint64_t missing, const char *data,
                           const char *comment)
{
    struct block b = block_at(packet);

    assert_int_equal(bp_le32(packet + b.len - 4), b.len);
    assert_int_equal(block_number(&b, 4), missing);
    assert_true((block_option(&b, 4, NULL) != NULL) == (missing != 0));
    assert_true(format_pcapng.packet_dropped(packet) == missing);
    assert_int_equal(block_number(&b, 2), RECORD_OUTBOUND);
    assert_string_equal(block_text(&b, 1), comment);
    assert_int_equal(bp_le32(packet + 20), strlen(data));
    assert_memory_equal(packet + 28, data, strlen(data));
    assert_true(packet_time(&b) == UINT64_C(0x1234567890));
}

static void what_is_missing_is_added_to_what_a_packet_says(void **state)
{
    static const struct record kinds[] = {
        {.kind.direction = RECORD_OUTBOUND, .when_ns = UINT64_C(0x1234567890)},
        {.kind = {.direction = RECORD_OUTBOUND, .flags = 1, .csum_start = 34, .csum_offset = 6},
         .when_ns = UINT64_C(0x1234567890)}};
    static const char *const comments[] = {"",
                                           "checksum at byte 40 is to be filled in over 34 and up"};
    /* The last looks like the option that is not there. */
    static const char *const data[] = {"abcdefg", "", "\4\1\10\1\1\1\1\1\1\1\1\1", "ab\4"};
    struct tails tails = {0};

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        struct record r = kinds[i / 4];
        const char *text = data[i % 4], *comment = comments[i / 4];
        size_t len = make(&format_pcapng, &tails, buffer, r, text);

        assert_missing(buffer, 0, text, comment);
        assert_int_equal(format_pcapng.packet_with(buffer + ROOM, buffer, 7), len + 12);
        assert_missing(buffer + ROOM, 7, text, comment);
        r.dropped = 5;
        assert_int_equal(make(&format_pcapng, &tails, buffer, r, text), len + 12);
        assert_missing(buffer, 5, text, comment);
        assert_int_equal(format_pcapng.packet_with(buffer + ROOM, buffer, UINT64_C(1) << 40),
                         len + 12);
        assert_missing(buffer + ROOM, (UINT64_C(1) << 40) + 5, text, comment);
    }
}

static void classic_packets_cannot_say_what_is_missing(void **state)
{
    struct tails tails = {0};
    size_t len = make(&format_pcap, &tails, buffer, (struct record){.dropped = 5}, "abc");

    (void)state;
    assert_int_equal(len, 19);
    assert_true(format_pcap.packet_dropped(buffer) == 0);
    assert_int_equal(format_pcap.packet_with(buffer + ROOM, buffer, 7), len);
    assert_memory_equal(buffer, buffer + ROOM, len);
}

/* More kinds in turn than tails are kept, so that each is made, kept, given up, and made again. */
static void each_kind_of_frame_has_its_own_comment(void **state)
{
    struct tails tails = {0};
    char expect[200];

    (void)state;
    for (uint32_t turn = 0; turn < 100; turn++) {
        uint16_t n = (uint16_t)(turn / 2 % (TAILS + 3));
        struct record r = {.kind = {.direction = turn % 2 ? RECORD_INBOUND : RECORD_OUTBOUND,
                                    .flags = n % 2,
                                    .gso_type = n % 3 ? 1 : 0,
                                    .gso_size = (uint16_t)(1000 + n),
                                    .csum_start = (uint16_t)(100 + n),
                                    .csum_offset = 16}};
        struct block b;

        make(&format_pcapng, &tails, buffer, r, "frame");
        b = block_at(buffer);
        expect[0] = '\0';
        if (n % 2)
            snprintf(expect, sizeof(expect),
                     "checksum at byte %d is to be filled in over %d and up", 116 + n, 100 + n);
        if (n % 3)
            snprintf(expect + strlen(expect), sizeof(expect) - strlen(expect),
                     "%sto be cut into segments of %d bytes (TCP over IPv4)", n % 2 ? "; " : "",
                     1000 + n);
        assert_string_equal(block_text(&b, 1), expect);
        assert_int_equal(block_number(&b, 2), r.kind.direction);
    }
}

static void the_longest_comment_leaves_a_packet_within_its_bounds(void **state)
{
    struct tails tails = {0};
    struct record r = {.kind = {.direction = RECORD_OUTBOUND,
                                .flags = 0xff,
                                .gso_type = 0xff,
                                .gso_size = UINT16_MAX,
                                .csum_start = UINT16_MAX,
                                .csum_offset = UINT16_MAX},
                       .dropped = UINT64_MAX};
    struct block b;

    (void)state;
    assert_true(make(&format_pcapng, &tails, buffer, r, "f") <= 1 + PACKET_EXTRA);
    b = block_at(buffer);
    assert_string_equal(block_text(&b, 1),
                        "checksum at byte 131070 is to be filled in over 65535 and up; to be cut "
                        "into segments of 65535 bytes (unknown)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_end_between_packets),
        cmocka_unit_test(what_is_missing_is_added_to_what_a_packet_says),
        cmocka_unit_test(classic_packets_cannot_say_what_is_missing),
        cmocka_unit_test(each_kind_of_frame_has_its_own_comment),
        cmocka_unit_test(the_longest_comment_leaves_a_packet_within_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
