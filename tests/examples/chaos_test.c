/* SPDX-License-Identifier: MIT
 *
 * examples/chaos_test.c - the example of a filter, between an adapter and a network of the test's.
 */
#include "fakes/host.h"
#include "fakes/net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct config {
    struct bp_node *net;
    uint64_t rate, seed;
    uint32_t delay, jitter;
    uint16_t loss, duplicate, reorder, corrupt, limit;
};

struct fixture {
    struct fake_net *net;
    struct fake_nic *nic;
};

/* A link with these keys; `limit` 64 and seed 1 unless they are given. */
static struct fixture make(const struct config *keys)
{
    static struct config
        config; /* the instance's until it is destroyed; a test has one at a time */
    struct fixture f = {.net = fake_net_new()};

    config = *keys;
    config.net = f.net->node;
    config.limit = config.limit ? config.limit : 64;
    config.seed = config.seed ? config.seed : 1;
    f.nic = fake_nic_new(fake_host_new(PLUGIN_FILE, NULL, &config));
    return f;
}

static void end(struct fixture *f)
{
    fake_nic_free(f->nic);
    fake_net_free(f->net);
}

/* Frame `number`: 100 bytes, each of which says so. */
static uint32_t send(struct fixture *f, uint8_t number)
{
    uint8_t frame[100];

    memset(frame, number, sizeof(frame));
    return fake_nic_send(f->nic, 0, frame, sizeof(frame));
}

static int deliver(struct fixture *f, uint8_t number)
{
    uint8_t frame[100];

    memset(frame, number, sizeof(frame));
    return fake_net_deliver(f->net, 0, frame, sizeof(frame));
}

static void advance_us(struct fixture *f, uint64_t us)
{
    fake_advance_ns(f->nic->host, us * 1000);
}

static void without_keys_frames_pass_both_ways(void **state)
{
    struct fixture f = make(&(struct config){0});

    (void)state;
    for (uint8_t i = 0; i < 50; i++) {
        assert_int_equal(send(&f, i), 1);
        assert_int_equal(deliver(&f, i), 0);
    }
    for (int i = 0; i < 3; i++) /* FRAMES_AT_ONCE, and the rest */
        advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 50);
    assert_int_equal(f.nic->got.count, 50);
    for (uint8_t i = 0; i < 50; i++) {
        assert_int_equal(f.net->sent.frames[i].data[99], i);
        assert_int_equal(f.nic->got.frames[i].data[99], i);
        assert_int_equal(f.nic->got.frames[i].len, 100);
    }
    fake_net_link(f.net, 1);
    assert_int_equal(f.nic->up, 1);
    end(&f);
}

static void delay_is_guest_time(void **state)
{
    struct fixture f = make(&(struct config){.delay = 1000});

    (void)state;
    send(&f, 1);
    advance_us(&f, 600);
    deliver(&f, 2);
    advance_us(&f, 399);
    assert_int_equal(f.net->sent.count, 0);
    advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 1);
    assert_int_equal(f.nic->got.count, 0);
    advance_us(&f, 600);
    assert_int_equal(f.nic->got.count, 1);
    end(&f);
}

static void jitter_keeps_the_order(void **state)
{
    struct fixture f = make(&(struct config){.delay = 10, .jitter = 1000});

    (void)state;
    for (uint8_t i = 0; i < 60; i++)
        send(&f, i);
    advance_us(&f, 10);
    assert_in_range(f.net->sent.count, 0, 59);
    advance_us(&f, 1000);
    advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 60);
    for (uint8_t i = 0; i < 60; i++)
        assert_int_equal(f.net->sent.frames[i].data[0], i);
    end(&f);
}

static void rate_is_of_bits(void **state)
{
    struct fixture f = make(&(struct config){.rate = 800000}); /* a frame of 100 bytes: 1 ms */

    (void)state;
    for (uint8_t i = 0; i < 10; i++)
        send(&f, i);
    for (uint32_t i = 0; i < 10; i++) {
        advance_us(&f, 999);
        assert_int_equal(f.net->sent.count, i);
        advance_us(&f, 1);
        assert_int_equal(f.net->sent.count, i + 1);
    }
    end(&f);
}

/* Sends 1000 frames and returns how many came; `sum` is of what they were, in their order. */
static uint32_t thousand(const struct config *keys, uint64_t *sum)
{
    struct fixture f = make(keys);
    uint32_t count;

    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(send(&f, (uint8_t)i), 1);
        advance_us(&f, 1);
    }
    advance_us(&f, 1000);
    count = f.net->sent.count;
    *sum = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < 100; k++)
            *sum = *sum * 31 + f.net->sent.frames[i].data[k];
    end(&f);
    return count;
}

static void a_share_is_lost_and_a_share_doubled(void **state)
{
    uint64_t sum;

    (void)state;
    assert_int_equal(thousand(&(struct config){.loss = 1000}, &sum), 0);
    assert_in_range(thousand(&(struct config){.loss = 250}, &sum), 650, 850);
    assert_int_equal(thousand(&(struct config){.duplicate = 1000}, &sum), 2000);
    assert_in_range(thousand(&(struct config){.duplicate = 250}, &sum), 1150, 1350);
}

static void the_seed_decides(void **state)
{
    struct config keys = {.delay = 20,
                          .jitter = 5,
                          .loss = 100,
                          .duplicate = 100,
                          .reorder = 100,
                          .corrupt = 100,
                          .seed = 7};
    uint64_t first, again, other;

    (void)state;
    assert_int_equal(thousand(&keys, &first), thousand(&keys, &again));
    assert_true(first == again);
    keys.seed = 8;
    thousand(&keys, &other);
    assert_true(first != other);
}

static void what_overtakes_is_spared_the_delay(void **state)
{
    struct fixture f = make(&(struct config){.delay = 100, .reorder = 500});
    uint32_t backwards = 0;

    (void)state;
    for (uint8_t i = 0; i < 60; i++)
        send(&f, i);
    advance_us(&f, 1);
    assert_in_range(f.net->sent.count, 10, 50);
    advance_us(&f, 100);
    advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 60);
    for (uint32_t i = 1; i < 60; i++)
        backwards += f.net->sent.frames[i].data[0] < f.net->sent.frames[i - 1].data[0];
    assert_int_equal(backwards, 1); /* the first that waited comes after all that did not */
    end(&f);
}

static void one_bit_is_flipped(void **state)
{
    struct fixture f = make(&(struct config){.corrupt = 1000});

    (void)state;
    for (int i = 0; i < 50; i++)
        send(&f, 0);
    advance_us(&f, 1);
    advance_us(&f, 1);
    for (uint32_t i = 0; i < 50; i++) {
        int bits = 0;

        for (uint32_t k = 0; k < 100; k++)
            bits += __builtin_popcount(f.net->sent.frames[i].data[k]);
        assert_int_equal(bits, 1);
    }
    end(&f);
}

static void a_full_link_holds_the_senders(void **state)
{
    struct fixture f = make(&(struct config){.delay = 100, .limit = 3});

    (void)state;
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(send(&f, i), 1);
        assert_int_equal(deliver(&f, i), 0);
    }
    assert_int_equal(send(&f, 3), 0);
    assert_int_equal(deliver(&f, 3), -EAGAIN);
    advance_us(&f, 99);
    assert_int_equal(f.nic->sent[0], 0);
    assert_int_equal(f.net->resumed[0], 0);
    advance_us(&f, 1);
    assert_int_equal(f.nic->sent[0], 1);
    assert_int_equal(f.net->resumed[0], 1);
    assert_int_equal(send(&f, 3), 1);
    end(&f);
}

static void receivers_without_room_lose_nothing(void **state)
{
    struct fixture f = make(&(struct config){.limit = 4});

    (void)state;
    f.nic->room[0] = 1;
    f.net->room = 1;
    for (uint8_t i = 0; i < 4; i++) {
        assert_int_equal(send(&f, i), 1);
        assert_int_equal(deliver(&f, i), 0);
    }
    advance_us(&f, 1);
    advance_us(&f, 1000);
    assert_int_equal(f.net->sent.count, 1);
    assert_int_equal(f.nic->got.count, 1);
    assert_int_equal(f.nic->refused, 1); /* asked once, not again */
    fake_net_sent(f.net, 0, FAKE_NET_ANY);
    fake_nic_resume(f.nic, 0, FAKE_NET_ANY);
    advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 4);
    assert_int_equal(f.nic->got.count, 4);
    assert_int_equal(f.nic->unwanted, 0);
    assert_int_equal(f.nic->got.frames[3].data[0], 3);
    end(&f);
}

static void bad_frames_of_no_or_absurd_length_are_lost(void **state)
{
    static uint8_t data[BP_FRAME_MAX + 1];
    struct fixture f = make(&(struct config){.duplicate = 1000, .corrupt = 1000});

    (void)state;
    assert_int_equal(fake_nic_send(f.nic, 0, data, 0), 1);
    assert_int_equal(fake_nic_send(f.nic, 0, data, 13), 1);
    assert_int_equal(fake_nic_send(f.nic, 0, data, BP_FRAME_MAX + 1), 1);
    assert_int_equal(fake_nic_send(f.nic, 0, data, UINT64_MAX), 1);
    advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 0);
    assert_int_equal(fake_nic_send(f.nic, 0, data, BP_FRAME_MAX), 1);
    advance_us(&f, 1);
    assert_int_equal(f.net->sent.count, 2);
    end(&f);
}

static void a_reset_empties_the_link(void **state)
{
    struct fixture f = make(&(struct config){.delay = 100});
    const struct bp_instance_ops *ops = fake_ops(f.nic->host);
    void *self = fake_self(f.nic->host);

    (void)state;
    send(&f, 1);
    ops->stop(self);
    assert_string_equal(fake_log(f.nic->host, NULL),
                        "frames so far: 0 lost, 0 doubled, 0 overtook, 0 corrupted");
    ops->reset(self, BP_RESET_WARM);
    assert_int_equal(ops->start(self), 0);
    advance_us(&f, 1000);
    assert_int_equal(f.net->sent.count, 0);
    end(&f);
}

static void bad_keys_are_refused(void **state)
{
    struct fake_net *net = fake_net_new();
    struct config config = {.net = net->node, .reorder = 5, .limit = 64};
    struct fake_host *h;

    (void)state;
    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "reorder = 5 without delay and jitter: nobody waits who could be "
                        "overtaken; give `delay` a value");
    fake_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_keys_frames_pass_both_ways),
        cmocka_unit_test(delay_is_guest_time),
        cmocka_unit_test(jitter_keeps_the_order),
        cmocka_unit_test(rate_is_of_bits),
        cmocka_unit_test(a_share_is_lost_and_a_share_doubled),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(what_overtakes_is_spared_the_delay),
        cmocka_unit_test(one_bit_is_flipped),
        cmocka_unit_test(a_full_link_holds_the_senders),
        cmocka_unit_test(receivers_without_room_lose_nothing),
        cmocka_unit_test(bad_frames_of_no_or_absurd_length_are_lost),
        cmocka_unit_test(a_reset_empties_the_link),
        cmocka_unit_test(bad_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
