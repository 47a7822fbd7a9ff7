/* SPDX-License-Identifier: MIT
 *
 * vCPU threads: parking, kicks, calls, creation that fails half way.
 *
 * The backend is a table in this file whose guest counts. Its kicks are as cpu.h wants them: one
 * before the run is not lost. What real backends make of a kick is their own tests' affair.
 */
#include "vcpu/vcpu.h"

#include "loop/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CPUS 4u
#define PATIENCE_MS 10000
#define NEVER UINT32_MAX

struct backend;

struct cpu {
    struct backend *vm;
    uint32_t index;
    pthread_t thread;
    uint64_t count;  /* atomic: instructions of the guest */
    uint32_t kicked; /* atomic */
};

/* The backend's VM, and what it saw. */
struct backend {
    uint32_t fail_at; /* vcpu_create() of this one fails */
    uint32_t stop_at; /* this one leaves with `stop` after a few instructions */
    int stop;
    uint32_t created, destroyed; /* atomic */
    uint32_t told;               /* atomic: events.stopped */
    int told_stop;
    struct cpu *cpu[CPUS];
    struct bus *bus;
    struct vcpus *vcpus;
};

static int cpu_create(void *vm, uint32_t index, struct bp_vcpu *vcpu, const struct bp_bus *bus,
                      void **self)
{
    struct backend *b = vm;
    (void)vcpu, (void)bus;

    *self = b; /* what an untidy backend leaves there must not be used */
    if (index == b->fail_at)
        return -ENOSPC;
    assert_int_equal(index, b->created); /* in order */
    struct cpu *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->vm = b;
    c->index = index;
    c->thread = pthread_self();
    b->cpu[index] = c;
    __atomic_fetch_add(&b->created, 1, __ATOMIC_RELAXED);
    *self = c;
    return 0;
}

static void cpu_destroy(void *self)
{
    struct cpu *c = self;

    assert_true(pthread_equal(c->thread, pthread_self()));
    __atomic_fetch_add(&c->vm->destroyed, 1, __ATOMIC_RELAXED);
    free(c);
}

static int cpu_run(void *self)
{
    struct cpu *c = self;

    assert_true(pthread_equal(c->thread, pthread_self()));
    while (!__atomic_exchange_n(&c->kicked, 0, __ATOMIC_ACQ_REL)) {
        uint64_t count = __atomic_add_fetch(&c->count, 1, __ATOMIC_RELAXED);
        if (c->index == c->vm->stop_at && count % 8 == 0)
            return c->vm->stop;
    }
    return BP_STOP_KICKED;
}

static void cpu_kick(void *self)
{
    struct cpu *c = self;

    __atomic_store_n(&c->kicked, 1, __ATOMIC_RELEASE);
}

static const struct bp_cpu_ops ops = {.size = sizeof(ops),
                                      .vcpu_create = cpu_create,
                                      .vcpu_destroy = cpu_destroy,
                                      .vcpu_run = cpu_run,
                                      .vcpu_kick = cpu_kick};

static void stopped(void *context, struct bp_vcpu *vcpu, int stop)
{
    struct backend *b = context;

    assert_int_equal(vcpu->index, b->stop_at);
    __atomic_store_n(&b->told_stop, stop, __ATOMIC_RELAXED);
    __atomic_fetch_add(&b->told, 1, __ATOMIC_RELEASE);
}

static int make(struct backend *b)
{
    static const struct bp_bus bus_ops = {.size = sizeof(bus_ops)};
    const struct vcpu_events events = {.stopped = stopped, .context = b};

    return vcpus_new(CPUS, &ops, b, b->bus, &bus_ops, &events, &b->vcpus);
}

static int setup(void **state)
{
    struct backend *b = calloc(1, sizeof(*b));

    if (!b || bus_new(NULL, &b->bus))
        return -1;
    b->fail_at = b->stop_at = NEVER;
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct backend *b = *state;

    vcpus_free(b->vcpus);
    assert_int_equal(b->created, b->destroyed);
    bus_free(b->bus);
    free(b);
    return 0;
}

static uint64_t count_of(struct backend *b, uint32_t index)
{
    return __atomic_load_n(&b->cpu[index]->count, __ATOMIC_RELAXED);
}

/* Waits until every vCPU has run on. */
static void see_all_run(struct backend *b)
{
    uint64_t then[CPUS];

    for (uint32_t i = 0; i < CPUS; i++)
        then[i] = count_of(b, i);
    for (uint32_t i = 0; i < CPUS; i++) {
        for (int ms = 0; ms < PATIENCE_MS && count_of(b, i) == then[i]; ms++)
            usleep(1000);
        assert_true(count_of(b, i) > then[i]);
    }
}

static void they_are_made_parked_and_in_order(void **state)
{
    struct backend *b = *state;

    assert_int_equal(make(b), 0);
    assert_int_equal(vcpus_count(b->vcpus), CPUS);
    assert_int_equal(b->created, CPUS);
    for (uint32_t i = 0; i < CPUS; i++)
        assert_int_equal(count_of(b, i), 0);
}

static void parked_ones_stand_until_they_may_run(void **state)
{
    struct backend *b = *state;
    uint64_t then[CPUS];

    assert_int_equal(make(b), 0);
    vcpus_run(b->vcpus);
    see_all_run(b);
    vcpus_park(b->vcpus);
    for (uint32_t i = 0; i < CPUS; i++)
        then[i] = count_of(b, i);
    usleep(20000);
    for (uint32_t i = 0; i < CPUS; i++)
        assert_int_equal(count_of(b, i), then[i]);
    vcpus_park(b->vcpus); /* they are */
    vcpus_run(b->vcpus);
    see_all_run(b);
}

static void *ask_again_and_again(void *argument)
{
    struct backend *b = argument;

    for (int i = 0; i < 500; i++) {
        vcpus_ask_to_park(b->vcpus);
        if (i % 8 == 0)
            usleep(200);
    }
    return NULL;
}

static void no_kick_is_lost_in_a_thousand_rounds(void **state)
{
    struct backend *b = *state;
    pthread_t thread;

    assert_int_equal(make(b), 0);
    assert_int_equal(thread_start(&thread, "asker", ask_again_and_again, b), 0);
    for (int i = 0; i < 1000; i++) {
        vcpus_run(b->vcpus);
        if (i % 7 == 0)
            usleep(100);
        vcpus_park(b->vcpus);
        if (i % 50 == 0) {
            uint64_t then = count_of(b, CPUS - 1);
            usleep(200);
            assert_int_equal(count_of(b, CPUS - 1), then);
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    vcpus_run(b->vcpus);
    see_all_run(b);
}

static int own_thread(struct bp_vcpu *vcpu, void *argument)
{
    const struct cpu *c = vcpu->self;

    *(uint32_t *)argument += 1;
    return pthread_equal(c->thread, pthread_self()) ? (int)vcpu->index + 100 : -EINVAL;
}

static void a_call_runs_on_the_thread_of_the_parked_vcpu(void **state)
{
    struct backend *b = *state;
    uint32_t calls = 0;

    assert_int_equal(make(b), 0);
    for (uint32_t i = 0; i < CPUS; i++)
        assert_int_equal(vcpus_call(b->vcpus, i, own_thread, &calls), (int)i + 100);
    assert_int_equal(calls, CPUS);
    assert_int_equal(vcpus_call(b->vcpus, CPUS, own_thread, &calls), -ENOENT);
    vcpus_run(b->vcpus);
    assert_int_equal(vcpus_call(b->vcpus, 0, own_thread, &calls), -EBUSY);
    vcpus_park(b->vcpus);
    assert_int_equal(vcpus_call(b->vcpus, 0, own_thread, &calls), 100);
    assert_int_equal(calls, CPUS + 1);
}

static int slow(struct bp_vcpu *vcpu, void *argument)
{
    (void)vcpu;
    usleep(500);
    return *(const int *)argument;
}

static void *call_many_times(void *argument)
{
    struct backend *b = argument;

    for (int i = 0; i < 100; i++)
        assert_int_equal(vcpus_call(b->vcpus, 1, slow, &i), i);
    return NULL;
}

static void two_callers_wait_for_each_other_and_get_their_own_result(void **state)
{
    struct backend *b = *state;
    pthread_t thread;

    assert_int_equal(make(b), 0);
    assert_int_equal(thread_start(&thread, "caller", call_many_times, b), 0);
    for (int i = 1000; i < 1100; i++)
        assert_int_equal(vcpus_call(b->vcpus, 1, slow, &i), i);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void one_that_left_for_good_is_told_once_and_does_not_run_on(void **state)
{
    struct backend *b = *state;

    b->stop_at = 2;
    b->stop = BP_STOP_TRIPLE_FAULT;
    assert_int_equal(make(b), 0);
    vcpus_run(b->vcpus);
    for (int ms = 0; ms < PATIENCE_MS && !__atomic_load_n(&b->told, __ATOMIC_ACQUIRE); ms++)
        usleep(1000);
    usleep(5000);
    assert_int_equal(__atomic_load_n(&b->told, __ATOMIC_ACQUIRE), 1);
    assert_int_equal(b->told_stop, BP_STOP_TRIPLE_FAULT);
    assert_int_equal(count_of(b, 2), 8);
    vcpus_park(b->vcpus);
    b->stop = -EIO;
    vcpus_run(b->vcpus);
    for (int ms = 0; ms < PATIENCE_MS && __atomic_load_n(&b->told, __ATOMIC_ACQUIRE) < 2; ms++)
        usleep(1000);
    assert_int_equal(b->told_stop, -EIO);
}

static void bad_98_creation_that_fails_takes_back_what_was_made(void **state)
{
    struct backend *b = *state;

    for (b->fail_at = 0; b->fail_at < CPUS; b->fail_at++) {
        b->created = b->destroyed = 0;
        assert_int_equal(make(b), -ENOSPC);
        assert_null(b->vcpus);
        assert_int_equal(b->created, b->fail_at);
        assert_int_equal(b->destroyed, b->fail_at);
    }
}

static void they_may_be_freed_while_they_run(void **state)
{
    struct backend *b = *state;

    for (int i = 0; i < 20; i++) {
        b->created = b->destroyed = 0;
        assert_int_equal(make(b), 0);
        vcpus_run(b->vcpus);
        vcpus_free(b->vcpus);
        b->vcpus = NULL;
        assert_int_equal(b->destroyed, CPUS);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(they_are_made_parked_and_in_order),
        TEST(parked_ones_stand_until_they_may_run),
        TEST(no_kick_is_lost_in_a_thousand_rounds),
        TEST(a_call_runs_on_the_thread_of_the_parked_vcpu),
        TEST(two_callers_wait_for_each_other_and_get_their_own_result),
        TEST(one_that_left_for_good_is_told_once_and_does_not_run_on),
        TEST(bad_98_creation_that_fails_takes_back_what_was_made),
        TEST(they_may_be_freed_while_they_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
