/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_ring.c - the buffer between a link and the thread that writes: what is added comes
 * out whole, in order, in one piece; what finds no room is counted; who takes is woken in time.
 */
#include "ring.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 65536u

static int setup(void **state)
{
    static struct ring r;

    *state = &r;
    return ring_init(&r, SIZE - 1); /* rounded up */
}

static int teardown(void **state)
{
    ring_free(*state);
    return 0;
}

/* Bytes of the n-th thing that is added, and what it is: its number, and then that byte. */
static uint32_t len_of(uint32_t n)
{
    return 8 + n * 2654435761u % 9000u;
}

static int add(struct ring *r, uint32_t n, uint32_t len)
{
    uint8_t *to = ring_reserve(r, len);

    if (!to)
        return 0;
    memset(to, (int)(n & 0xffu), len);
    memcpy(to, &n, sizeof(n));
    memcpy(to + 4, &len, sizeof(len));
    ring_add(r, len);
    return 1;
}

/* Takes the oldest piece, which must be whole things from number `n` on; returns the next one's
 * number. */
static uint32_t take(struct ring *r, uint32_t n)
{
    size_t len = 0;
    const uint8_t *at = ring_oldest(r, &len);
    static uint8_t expect[SIZE];

    for (size_t done = 0; at && done < len; n++) {
        uint32_t number, bytes;

        assert_true(len - done >= 8);
        memcpy(&number, at + done, sizeof(number));
        memcpy(&bytes, at + done + 4, sizeof(bytes));
        assert_int_equal(number, n);
        assert_true(bytes <= len - done);
        memset(expect, (int)(n & 0xffu), bytes);
        assert_memory_equal(at + done + 8, expect, bytes - 8);
        done += bytes;
    }
    if (at)
        ring_take(r, len);
    return n;
}

static int is_awake(const struct ring *r)
{
    struct pollfd p = {.fd = r->wake.fd, .events = POLLIN};

    return poll(&p, 1, 0);
}

static void what_is_added_comes_out_whole_and_in_order(void **state)
{
    struct ring *r = *state;
    uint32_t added = 0, taken = 0;
    size_t len;

    for (uint32_t turn = 0; turn < 2000; turn++) {
        for (uint32_t i = 0; i < turn % 9; i++)
            added += (uint32_t)add(r, added, len_of(added));
        taken = take(r, taken);
    }
    while (taken < added)
        taken = take(r, taken);
    assert_true(added > 2000);
    assert_null(ring_oldest(r, &len));
}

static void less_may_be_added_than_was_reserved(void **state)
{
    struct ring *r = *state;
    size_t len;

    memcpy(ring_reserve(r, 1000), "abc", 3);
    ring_add(r, 3);
    memcpy(ring_reserve(r, 1000), "def", 3);
    ring_add(r, 3);
    assert_memory_equal(ring_oldest(r, &len), "abcdef", 6);
    assert_int_equal(len, 6);
}

static void taking_may_end_anywhere(void **state)
{
    struct ring *r = *state;
    size_t len;

    memcpy(ring_reserve(r, 6), "abcdef", 6);
    ring_add(r, 6);
    assert_non_null(ring_oldest(r, &len));
    ring_take(r, 2);
    assert_memory_equal(ring_oldest(r, &len), "cdef", 4);
    assert_int_equal(len, 4);
}

static void what_finds_no_room_is_counted_until_something_is_added(void **state)
{
    struct ring *r = *state;
    uint32_t added = 0, taken = 0;

    while (add(r, added, 1000))
        added++;
    assert_int_equal(added, SIZE / 1000);
    assert_false(add(r, added, 1000));
    assert_int_equal(ring_missed(r), 2);
    taken = take(r, taken);
    assert_int_equal(taken, added);
    assert_int_equal(ring_missed(r), 2);
    assert_true(add(r, added, 1000));
    assert_int_equal(ring_missed(r), 0);
    assert_int_equal(atomic_load(&r->dropped), 2);
}

/* The place where a large one began before, so that neither what is behind nor what is before
 * holds another. */
static void an_empty_ring_has_room_for_all_that_it_can_hold(void **state)
{
    struct ring *r = *state;
    uint32_t taken = 0;

    assert_true(add(r, 0, 30000));
    taken = take(r, taken);
    for (uint32_t n = 1; n < 20; n++) {
        assert_true(add(r, n, n % 3 ? SIZE - 1000 : SIZE));
        assert_false(add(r, n, SIZE)); /* it is not empty now */
        taken = take(r, taken);
        assert_int_equal(taken, n + 1);
    }
}

static void bad_what_is_larger_than_the_ring_never_fits(void **state)
{
    struct ring *r = *state;

    assert_null(ring_reserve(r, SIZE + 1));
    assert_null(ring_reserve(r, UINT32_MAX));
    assert_int_equal(ring_missed(r), 2);
    assert_true(add(r, 0, SIZE));
}

static void the_taker_is_woken_when_half_is_used_and_when_something_is_dropped(void **state)
{
    struct ring *r = *state;
    uint32_t taken = 0;

    assert_true(add(r, 0, SIZE / 2));
    assert_false(is_awake(r));
    assert_true(add(r, 1, 8));
    assert_true(is_awake(r));
    ring_calm(r);
    assert_false(is_awake(r));
    taken = take(r, taken);
    assert_int_equal(taken, 2);
    /* What the adder knew of the taker was old, and is looked up. */
    assert_true(add(r, 2, SIZE / 2 - 100));
    assert_false(is_awake(r));
    assert_null(ring_reserve(r, SIZE));
    assert_true(is_awake(r));
}

#define THINGS 5000u

static void *add_all(void *arg)
{
    for (uint32_t n = 0; n < THINGS;)
        if (add(arg, n, len_of(n)))
            n++;
        else
            sched_yield();
    return NULL;
}

static void two_threads_use_it_without_a_lock(void **state)
{
    struct ring *r = *state;
    pthread_t thread;
    uint32_t taken = 0;

    ring_populate(r);
    assert_int_equal(pthread_create(&thread, NULL, add_all, r), 0);
    while (taken < THINGS) {
        uint32_t before = taken;

        taken = take(r, taken);
        if (taken == before)
            sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(taken, THINGS);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(what_is_added_comes_out_whole_and_in_order),
        RING_TEST(less_may_be_added_than_was_reserved),
        RING_TEST(taking_may_end_anywhere),
        RING_TEST(what_finds_no_room_is_counted_until_something_is_added),
        RING_TEST(an_empty_ring_has_room_for_all_that_it_can_hold),
        RING_TEST(bad_what_is_larger_than_the_ring_never_fits),
        RING_TEST(the_taker_is_woken_when_half_is_used_and_when_something_is_dropped),
        RING_TEST(two_threads_use_it_without_a_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
