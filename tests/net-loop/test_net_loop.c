/* SPDX-License-Identifier: MIT
 *
 * net-loop as built, between a fake adapter and a fake host: frames, back-pressure, queues and
 * offloads of `echo`, and what `null` takes.
 */
#include "net_loop.h"

#include "fakes/net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HDR_NEEDS_CSUM 1u
#define GSO_TCPV4 1u

static const struct echo_config plain_echo = {.depth = 256, .queues = 1, .swap = 1};

static struct fake_nic *echo_new(const struct echo_config *config)
{
    return fake_nic_new(fake_host_new(PLUGIN_FILE, "echo", config));
}

/* A frame of `len` bytes that is told from others by `number`. */
static uint64_t make_frame(uint8_t *data, uint64_t len, uint32_t number)
{
    for (uint64_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + number);
    memcpy(data + 14, &number, sizeof(number));
    return len;
}

static uint32_t number_of(const struct fake_frame *f)
{
    uint32_t number;

    memcpy(&number, f->data + 14, sizeof(number));
    return number;
}

static void echo_brings_a_frame_back_with_its_addresses_swapped(void **state)
{
    struct fake_nic *n = echo_new(&plain_echo);
    uint8_t data[64];

    (void)state;
    make_frame(data, sizeof(data), 1);
    assert_int_equal(fake_nic_send(n, 0, data, sizeof(data)), 1);
    assert_int_equal(n->got.count, 0); /* not from inside send() */
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 1);
    assert_int_equal(n->got.frames[0].len, sizeof(data));
    assert_memory_equal(n->got.frames[0].data, data + 6, 6);
    assert_memory_equal(n->got.frames[0].data + 6, data, 6);
    assert_memory_equal(n->got.frames[0].data + 12, data + 12, sizeof(data) - 12);
    fake_nic_expect_quiet(n);
    fake_nic_free(n);
}

static void echo_without_swap_changes_nothing(void **state)
{
    struct echo_config config = plain_echo;
    struct fake_nic *n;
    uint8_t data[1514];

    (void)state;
    config.swap = 0;
    n = echo_new(&config);
    make_frame(data, sizeof(data), 1);
    fake_nic_send(n, 0, data, sizeof(data));
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 1);
    assert_memory_equal(n->got.frames[0].data, data, sizeof(data));
    fake_nic_free(n);
}

static void echo_gathers_a_frame_of_many_pieces(void **state)
{
    struct echo_config config = plain_echo;
    struct bp_buf bufs[65];
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 65, .bufs = bufs};
    struct fake_nic *n;
    uint8_t data[64];

    (void)state;
    config.swap = 0;
    n = echo_new(&config);
    make_frame(data, sizeof(data), 3);
    for (uint32_t i = 0; i < 64; i++)
        bufs[i] = (struct bp_buf){data + i, 1};
    bufs[64] = (struct bp_buf){NULL, 0};
    assert_int_equal(fake_nic_send_frames(n, 0, &frame, 1), 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 1);
    assert_memory_equal(n->got.frames[0].data, data, sizeof(data));
    fake_nic_free(n);
}

static void full_echo_holds_the_sender_and_loses_nothing(void **state)
{
    struct echo_config config = plain_echo;
    struct fake_nic *n;
    uint8_t data[64];
    uint32_t sent = 0;

    (void)state;
    config.depth = 8;
    n = echo_new(&config);
    n->room[0] = 0;
    while (sent < 100) {
        make_frame(data, sizeof(data), sent);
        if (!fake_nic_send(n, 0, data, sizeof(data)))
            break;
        sent++;
        fake_nic_turn(n, 0);
    }
    assert_int_equal(sent, 8);
    assert_int_equal(n->refused, 1); /* then it waits for resume() */
    assert_int_equal(n->sent[0], 0);
    fake_nic_expect_quiet(n);
    fake_nic_resume(n, 0, 3);
    fake_nic_turn(n, 0);
    assert_int_equal(n->sent[0], 0); /* 5 of 8 still wait */
    fake_nic_resume(n, 0, 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->sent[0], 1);
    fake_nic_resume(n, 0, FAKE_NET_ANY);
    make_frame(data, sizeof(data), sent++);
    assert_int_equal(fake_nic_send(n, 0, data, sizeof(data)), 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 9);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(number_of(&n->got.frames[i]), i);
    assert_int_equal(n->unwanted, 0);
    fake_nic_free(n);
}

static void echo_keeps_queues_apart(void **state)
{
    struct echo_config config = plain_echo;
    struct fake_nic *n;
    uint8_t data[64];

    (void)state;
    config.queues = 4;
    n = echo_new(&config);
    assert_int_equal(n->ops->set_queues(n->self, 4), 0);
    n->room[2] = 0;
    for (uint32_t i = 0; i < 4; i++) {
        make_frame(data, sizeof(data), i);
        assert_int_equal(fake_nic_send(n, i, data, sizeof(data)), 1);
    }
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(n->got.frames[i].queue, number_of(&n->got.frames[i]));
    fake_nic_resume(n, 2, 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 4);
    assert_int_equal(n->got.frames[3].queue, 2);
    fake_nic_free(n);
}

static void bad_queues_are_refused_and_their_frames_lost(void **state)
{
    struct fake_nic *n = echo_new(&plain_echo);
    uint8_t data[64];

    (void)state;
    make_frame(data, sizeof(data), 1);
    assert_int_equal(n->ops->set_queues(n->self, 0), -EINVAL);
    assert_int_equal(n->ops->set_queues(n->self, 2), -EINVAL);
    assert_int_equal(n->ops->set_queues(n->self, UINT32_MAX), -EINVAL);
    assert_int_equal(fake_nic_send(n, 1, data, sizeof(data)), 1);
    assert_int_equal(fake_nic_send(n, UINT32_MAX, data, sizeof(data)), 1);
    n->ops->resume(n->self, UINT32_MAX);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 0);
    fake_nic_free(n);
}

static void bad_lengths_are_lost(void **state)
{
    struct fake_nic *n = echo_new(&plain_echo);
    static uint8_t data[BP_FRAME_MAX + 1];
    struct bp_buf bufs[2] = {{data, UINT64_MAX}, {data, 64}};
    struct bp_frame wraps = {.size = sizeof(wraps), .nbufs = 2, .bufs = bufs};

    (void)state;
    assert_int_equal(fake_nic_send(n, 0, data, 0), 1);
    assert_int_equal(fake_nic_send(n, 0, data, 13), 1);
    assert_int_equal(fake_nic_send(n, 0, data, BP_FRAME_MAX + 1), 1);
    assert_int_equal(fake_nic_send_frames(n, 0, &wraps, 1), 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 0);
    assert_int_equal(fake_nic_send(n, 0, data, 14), 1);
    assert_int_equal(fake_nic_send(n, 0, data, BP_FRAME_MAX), 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 2);
    fake_ops(n->host)->stop(n->self);
    assert_string_equal(fake_log(n->host, NULL), "brought 2 frames back, lost 4");
    fake_nic_free(n);
}

static void memory_of_long_frames_is_bounded(void **state)
{
    struct echo_config config = plain_echo;
    static uint8_t data[BP_FRAME_MAX];
    struct fake_nic *n;
    uint32_t sent = 0;

    (void)state;
    config.depth = 4096;
    n = echo_new(&config);
    while (sent < 1000 && fake_nic_send(n, 0, data, sizeof(data)))
        sent++;
    assert_int_equal(sent, (4u << 20u) / BP_FRAME_MAX);
    FAKE_NIC_WAIT(n, n->got.count == sent);
    assert_int_equal(n->sent[0], 1);
    fake_nic_free(n);
}

static void offloads_come_back_when_both_take_them(void **state)
{
    struct echo_config config = plain_echo;
    struct fake_nic *n;
    uint8_t data[2000];
    struct bp_buf buf = {data, sizeof(data)};
    struct bp_frame frame = {.size = sizeof(frame),
                             .nbufs = 1,
                             .bufs = &buf,
                             .flags = HDR_NEEDS_CSUM,
                             .gso_type = GSO_TCPV4,
                             .hdr_len = 54,
                             .gso_size = 1000,
                             .csum_start = 34,
                             .csum_offset = 16};

    (void)state;
    make_frame(data, sizeof(data), 1);
    config.offloads = 1;
    n = echo_new(&config);
    assert_int_equal(n->ops->offloads(n->self), 15);
    assert_int_equal(n->ops->set_offloads(n->self, 16), -EINVAL);
    fake_nic_send_frames(n, 0, &frame, 1); /* taken, but the adapter would not understand it */
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 0);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4), 0);
    fake_nic_send_frames(n, 0, &frame, 1);
    frame.gso_type = 4; /* TCP over IPv6: not taken */
    fake_nic_send_frames(n, 0, &frame, 1);
    frame.gso_type = 2; /* none of the types */
    fake_nic_send_frames(n, 0, &frame, 1);
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 1);
    assert_int_equal(n->got.frames[0].header.flags, HDR_NEEDS_CSUM);
    assert_int_equal(n->got.frames[0].header.gso_type, GSO_TCPV4);
    assert_int_equal(n->got.frames[0].header.hdr_len, 54);
    assert_int_equal(n->got.frames[0].header.gso_size, 1000);
    assert_int_equal(n->got.frames[0].header.csum_start, 34);
    assert_int_equal(n->got.frames[0].header.csum_offset, 16);
    fake_nic_free(n);
}

static void echo_has_no_offloads_unless_asked(void **state)
{
    struct fake_nic *n = echo_new(&plain_echo);

    (void)state;
    assert_int_equal(n->ops->offloads(n->self), 0);
    assert_int_equal(n->ops->set_offloads(n->self, 0), 0);
    assert_int_equal(n->ops->set_offloads(n->self, BP_NET_OFFLOAD_CSUM), -EINVAL);
    fake_nic_free(n);
}

static void reset_empties_the_wire(void **state)
{
    struct fake_nic *n = echo_new(&plain_echo);
    uint8_t data[64];

    (void)state;
    make_frame(data, sizeof(data), 1);
    n->room[0] = 0;
    fake_nic_send(n, 0, data, sizeof(data));
    fake_nic_turn(n, 0);
    fake_ops(n->host)->stop(n->self);
    fake_ops(n->host)->reset(n->self, BP_RESET_WARM);
    assert_int_equal(fake_ops(n->host)->start(n->self), 0);
    n->room[0] = FAKE_NET_ANY;
    n->held[0] = 0;
    make_frame(data, sizeof(data), 2);
    fake_nic_send(n, 0, data, sizeof(data));
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 1);
    assert_int_equal(number_of(&n->got.frames[0]), 2);
    fake_nic_free(n);
}

static void frames_that_the_adapter_drops_are_lost(void **state)
{
    struct fake_nic *n = echo_new(&plain_echo);
    uint8_t data[64];

    (void)state;
    make_frame(data, sizeof(data), 1);
    n->error = -EINVAL;
    fake_nic_send(n, 0, data, sizeof(data));
    fake_nic_turn(n, 0);
    n->error = 0;
    fake_nic_turn(n, 0);
    assert_int_equal(n->got.count, 0);
    fake_nic_free(n);
}

static void null_takes_all_and_brings_none(void **state)
{
    static const struct null_config config = {.queues = 2};
    struct fake_nic *n = fake_nic_new(fake_host_new(PLUGIN_FILE, "null", &config));
    uint8_t data[64];

    (void)state;
    make_frame(data, sizeof(data), 1);
    assert_int_equal(n->ops->offloads(n->self), 15);
    assert_int_equal(n->ops->set_offloads(n->self, 15), 0);
    assert_int_equal(n->ops->set_offloads(n->self, 16), -EINVAL);
    assert_int_equal(n->ops->set_queues(n->self, 2), 0);
    assert_int_equal(n->ops->set_queues(n->self, 3), -EINVAL);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(fake_nic_send(n, 1, data, sizeof(data)), 1);
    assert_int_equal(fake_nic_send(n, 0, data, 3), 1);
    fake_nic_resume(n, 0, FAKE_NET_ANY);
    fake_nic_turn(n, 1);
    assert_int_equal(n->got.count, 0);
    fake_ops(n->host)->stop(n->self);
    assert_string_equal(
        fake_log(n->host, NULL),
        "took 1000 frames of 64000 bytes; 1 more were no Ethernet frames by their length");
    fake_nic_free(n);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(echo_brings_a_frame_back_with_its_addresses_swapped),
        TEST(echo_without_swap_changes_nothing),
        TEST(echo_gathers_a_frame_of_many_pieces),
        TEST(full_echo_holds_the_sender_and_loses_nothing),
        TEST(echo_keeps_queues_apart),
        TEST(bad_queues_are_refused_and_their_frames_lost),
        TEST(bad_lengths_are_lost),
        TEST(memory_of_long_frames_is_bounded),
        TEST(offloads_come_back_when_both_take_them),
        TEST(echo_has_no_offloads_unless_asked),
        TEST(reset_empties_the_wire),
        TEST(frames_that_the_adapter_drops_are_lost),
        TEST(null_takes_all_and_brings_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
