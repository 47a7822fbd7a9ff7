/* SPDX-License-Identifier: MIT
 *
 * net-socket/wire.c alone: frames in a stream that comes in pieces, lengths that are none, and
 * what a socket takes of a frame.
 */
#include "wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct wire_in in;
static struct wire_out out;

static int begin(void **state)
{
    (void)state;
    memset(&in, 0xa5, sizeof(in));
    in.start = in.end = in.skip = in.refused = 0;
    memset(&out, 0xa5, sizeof(out));
    out.start = out.end = 0;
    return 0;
}

static void put(const uint8_t *data, uint32_t n)
{
    while (n) {
        uint32_t room, part;
        uint8_t *at = wire_room(&in, &room);

        assert_true(room > 0);
        part = n < room ? n : room;
        memcpy(at, data, part);
        wire_filled(&in, part);
        data += part;
        n -= part;
    }
}

static uint32_t make(uint8_t *to, uint32_t len, uint8_t seed)
{
    to[0] = (uint8_t)(len >> 24);
    to[1] = (uint8_t)(len >> 16);
    to[2] = (uint8_t)(len >> 8);
    to[3] = (uint8_t)len;
    for (uint32_t i = 0; i < len; i++)
        to[4 + i] = (uint8_t)(seed + i * 3);
    return 4 + len;
}

static void expect(uint32_t len, uint8_t seed)
{
    struct bp_buf frame;

    assert_int_equal(wire_next(&in, &frame), 1);
    assert_int_equal(frame.len, len);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(((const uint8_t *)frame.data)[i], (uint8_t)(seed + i * 3));
    wire_pop(&in);
}

static void frames_come_out_wherever_the_stream_is_cut(void **state)
{
    uint8_t data[256];
    struct bp_buf frame;
    uint32_t len = make(data, 14, 1);

    (void)state;
    len += make(data + len, 100, 2);
    len += make(data + len, 60, 3);
    for (uint32_t a = 0; a <= len; a++) {
        for (uint32_t b = a; b <= len; b++) {
            uint32_t cuts[] = {0, a, b, len}, got = 0;

            for (uint32_t i = 0; i < 3; i++) {
                static const struct {
                    uint32_t len;
                    uint8_t seed;
                } want[] = {{14, 1}, {100, 2}, {60, 3}};

                put(data + cuts[i], cuts[i + 1] - cuts[i]);
                while (wire_next(&in, &frame) == 1) {
                    expect(want[got].len, want[got].seed);
                    got++;
                }
            }
            assert_int_equal(got, 3);
        }
    }
    assert_int_equal(in.refused, 0);
}

static void the_longest_frames_fit_one_after_the_other(void **state)
{
    uint8_t *data = malloc(WIRE_PREFIX + BP_FRAME_MAX);
    struct bp_buf frame;

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t len = make(data, BP_FRAME_MAX, (uint8_t)i);

        put(data, 1000 + i * 777);
        assert_int_equal(wire_next(&in, &frame), 0);
        put(data + 1000 + (size_t)i * 777, len - 1000 - i * 777);
        expect(BP_FRAME_MAX, (uint8_t)i);
    }
    free(data);
}

static void bad_lengths_that_are_no_frame_are_skipped(void **state)
{
    static const uint32_t lengths[] = {0, 1, 13, BP_FRAME_MAX + 1, WIRE_LENGTH_MAX};
    uint8_t *data = malloc(WIRE_PREFIX + WIRE_LENGTH_MAX);
    struct bp_buf frame;

    (void)state;
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint32_t len = make(data, lengths[i], 1);

        for (uint32_t at = 0; at < len;) { /* in parts, looked at in between */
            uint32_t n = len - at < 5000 ? len - at : 5000;

            put(data + at, n);
            assert_int_equal(wire_next(&in, &frame), 0);
            at += n;
        }
        assert_int_equal(in.refused, i + 1);
        put(data, make(data, 60, 7));
        expect(60, 7);
    }
    free(data);
}

static void bad_lengths_beyond_all_frames_end_the_stream(void **state)
{
    static const uint32_t lengths[] = {WIRE_LENGTH_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff,
                                       0x48545450 /* "HTTP" */};
    struct bp_buf frame;
    uint8_t data[4];

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        begin(state);
        for (int b = 0; b < 4; b++)
            data[b] = (uint8_t)(lengths[i] >> (24 - 8 * b));
        put(data, 4);
        assert_int_equal(wire_next(&in, &frame), -EPROTO);
        assert_int_equal(wire_next(&in, &frame), -EPROTO);
    }
}

/* Takes all frames of `count` pieces each through a socket whose buffer is small. */
static void through_a_socket(uint32_t count)
{
    static uint8_t data[BP_FRAME_MAX], copy[WIRE_PREFIX + BP_FRAME_MAX];
    struct bp_buf *bufs = calloc(count, sizeof(*bufs));
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = count, .bufs = bufs};
    int fds[2], small = 4096, partial = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    assert_int_equal(make(copy, BP_FRAME_MAX, 9), sizeof(copy));
    memcpy(data, copy + 4, sizeof(data));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t from = (uint64_t)BP_FRAME_MAX * i / count;

        bufs[i] = (struct bp_buf){data + from, (uint64_t)BP_FRAME_MAX * (i + 1) / count - from};
    }
    for (uint32_t sent = 0, got = 0; got < 8;) {
        uint32_t room;
        uint8_t *at;
        ssize_t n;

        if (out.end)
            (void)wire_flush(&out, fds[0]);
        if (!out.end && sent < 8) {
            int err = wire_send(&out, fds[0], &frame, BP_FRAME_MAX);

            assert_true(err == 0 || err == -EAGAIN);
            sent += !err;
            partial += !!out.end;
        }
        at = wire_room(&in, &room);
        n = recv(fds[1], at, room < 3000 ? room : 3000, 0);
        if (n > 0)
            wire_filled(&in, (uint32_t)n);
        for (struct bp_buf b; wire_next(&in, &b) == 1; got++)
            expect(BP_FRAME_MAX, 9);
    }
    assert_true(partial > 0);
    close(fds[1]);
    assert_int_equal(wire_send(&out, fds[0], &frame, BP_FRAME_MAX), -EPIPE);
    close(fds[0]);
    free(bufs);
}

static void what_a_socket_takes_in_parts_arrives_whole(void **state)
{
    (void)state;
    through_a_socket(1);
    through_a_socket(64);
}

static void frames_of_many_pieces_arrive_whole(void **state)
{
    (void)state;
    through_a_socket(500);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(frames_come_out_wherever_the_stream_is_cut, begin),
        cmocka_unit_test_setup(the_longest_frames_fit_one_after_the_other, begin),
        cmocka_unit_test_setup(bad_lengths_that_are_no_frame_are_skipped, begin),
        cmocka_unit_test_setup(bad_lengths_beyond_all_frames_end_the_stream, begin),
        cmocka_unit_test_setup(what_a_socket_takes_in_parts_arrives_whole, begin),
        cmocka_unit_test_setup(frames_of_many_pieces_arrive_whole, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
