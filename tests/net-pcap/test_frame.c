/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_frame.c - the length of a frame, and copies of its beginning, in however many
 * pieces it is.
 */
#include "frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES 70000u

static uint8_t data[BYTES + 64], to[BYTES + 64], expect[BYTES + 64];

static struct bp_frame frame_of(const struct bp_buf *bufs, uint32_t count)
{
    return (struct bp_frame){.size = sizeof(struct bp_frame), .nbufs = count, .bufs = bufs};
}

/* Copies `len` bytes from and to odd places, and sees that nothing else changes. */
static void copy(const struct bp_frame *frame, uint32_t len)
{
    memset(to, 0x55, sizeof(to));
    memset(expect, 0x55, sizeof(expect));
    memcpy(expect + 3, data + 1, len);
    assert_int_equal(frame_copy(frame, to + 3, len), len);
    assert_memory_equal(to, expect, sizeof(to));
}

static int setup(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 2654435761u >> 24);
    return 0;
}

static void copies_are_right_at_every_length_about_the_steps_of_a_long_one(void **state)
{
    struct bp_buf buf = {data + 1, BYTES};
    struct bp_frame frame = frame_of(&buf, 1);

    (void)state;
    for (uint32_t base = 0; base <= 8192; base += 512)
        for (uint32_t len = base > 3 ? base - 3 : 0; len <= base + 3; len++)
            copy(&frame, len);
    copy(&frame, 65226);
    copy(&frame, BYTES);
}

static void pieces_become_one(void **state)
{
    struct bp_buf bufs[4] = {
        {data + 1, 100}, {data + 101, 0}, {data + 101, 60000}, {data + 60101, 5000}};
    struct bp_frame frame = frame_of(bufs, 4);

    (void)state;
    assert_true(frame_len(&frame) == 65100);
    copy(&frame, 0);
    copy(&frame, 99);
    copy(&frame, 100);
    copy(&frame, 101);
    copy(&frame, 60101);
    copy(&frame, 65100);
    assert_int_equal(frame_copy(&frame, to, BYTES), 65100); /* there are no more */
}

static void bad_lengths_saturate(void **state)
{
    struct bp_buf bufs[2] = {{data, UINT64_MAX - 1}, {data, 2}};
    struct bp_frame frame = frame_of(bufs, 2);

    (void)state;
    assert_true(frame_len(&frame) == UINT64_MAX);
    frame.nbufs = 1;
    assert_true(frame_len(&frame) == UINT64_MAX - 1);
    frame.nbufs = 0;
    assert_true(frame_len(&frame) == 0);
    assert_int_equal(frame_copy(&frame, to, 100), 0);
    bufs[0] = (struct bp_buf){NULL, 0}; /* a piece of nothing may be nowhere */
    frame.nbufs = 1;
    assert_int_equal(frame_copy(&frame, to, 0), 0);
    assert_int_equal(frame_copy(&frame, to, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_right_at_every_length_about_the_steps_of_a_long_one),
        cmocka_unit_test(pieces_become_one),
        cmocka_unit_test(bad_lengths_saturate),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
