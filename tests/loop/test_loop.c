/* SPDX-License-Identifier: MIT
 *
 * The event loop: watches, timers in guest time, removal while callbacks are under way.
 */
#include "loop/loop.h"

#include "loop/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 10000

struct fixture {
    struct clock clock;
    struct loop *loop;
    struct domain *domain;
    int done; /* eventfd: callbacks add 1 */
    unsigned calls;
    char order[16];
    unsigned storm; /* atomic */
    struct timer timer[3];
};

static void say_done(struct fixture *f)
{
    uint64_t one = 1;
    assert_int_equal(write(f->done, &one, sizeof(one)), sizeof(one));
}

static uint64_t wait_done(const struct fixture *f, int patience_ms)
{
    struct pollfd p = {.fd = f->done, .events = POLLIN};
    uint64_t count = 0;

    if (poll(&p, 1, patience_ms) == 1)
        assert_int_equal(read(f->done, &count, sizeof(count)), sizeof(count));
    return count;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    clock_init(&f->clock);
    f->domain = domain_new();
    f->done = eventfd(0, EFD_CLOEXEC);
    *state = f;
    return loop_new(&f->clock, &f->loop);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    loop_free(f->loop);
    domain_free(f->domain);
    close(f->done);
    free(f);
    return 0;
}

static void ready(void *self, int fd, uint32_t events)
{
    struct fixture *f = self;
    char byte;

    assert_true(events & BP_FD_READ);
    assert_int_equal(read(fd, &byte, 1), 1);
    f->calls++;
    say_done(f);
}

static void calls_who_watches_a_readable_fd(void **state)
{
    struct fixture *f = *state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_watch(f->loop, f, f->domain, p[0], BP_FD_READ, ready, f), 0);
    assert_int_equal(loop_start(f->loop), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(wait_done(f, PATIENCE_MS), 1);
    loop_stop(f->loop);
    assert_int_equal(f->calls, 1);
    loop_forget(f->loop, f);
    close(p[0]);
    close(p[1]);
}

static void a_removed_watch_is_not_called(void **state)
{
    struct fixture *f = *state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(loop_watch(f->loop, f, f->domain, p[0], BP_FD_READ, ready, f), 0);
    domain_enter(f->domain); /* the loop cannot be inside the callback now */
    assert_int_equal(loop_start(f->loop), 0);
    usleep(20000); /* it is probably waiting for the domain */
    assert_int_equal(loop_watch(f->loop, f, f->domain, p[0], 0, NULL, NULL), 0);
    domain_leave(f->domain);
    loop_stop(f->loop);
    assert_int_equal(f->calls, 0);
    close(p[0]);
    close(p[1]);
}

static void two_owners_cannot_watch_one_fd(void **state)
{
    struct fixture *f = *state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_watch(f->loop, f, f->domain, p[0], BP_FD_READ, ready, f), 0);
    assert_int_equal(loop_watch(f->loop, state, f->domain, p[0], BP_FD_READ, ready, f), -EBUSY);
    assert_int_equal(loop_watch(f->loop, f, f->domain, -1, BP_FD_READ, ready, f), -EBADF);
    loop_forget(f->loop, f);
    assert_int_equal(loop_watch(f->loop, state, f->domain, p[0], BP_FD_READ, ready, f), 0);
    close(p[0]);
    close(p[1]);
}

static void fire(void *self, uint32_t id)
{
    struct fixture *f = self;

    f->order[f->calls++] = (char)('0' + id);
    say_done(f);
}

static void timer_init(struct fixture *f, uint32_t id)
{
    f->timer[id] = (struct timer){
        .domain = f->domain, .fire = fire, .self = f, .when_ns = UINT64_MAX, .id = id};
}

static void timers_fire_in_order_of_their_time(void **state)
{
    struct fixture *f = *state;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < 3; i++)
        timer_init(f, i);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[0], 3000000), 0);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[1], 1000000), 0);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[2], 2000000), 0);
    clock_start(&f->clock);
    assert_int_equal(loop_start(f->loop), 0);
    while (seen < 3) {
        uint64_t more = wait_done(f, PATIENCE_MS);
        assert_int_not_equal(more, 0);
        seen += more;
    }
    loop_stop(f->loop);
    assert_string_equal(f->order, "120");
}

static void a_timer_does_not_fire_while_guest_time_stands(void **state)
{
    struct fixture *f = *state;

    timer_init(f, 0);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[0], 1000), 0);
    assert_int_equal(loop_start(f->loop), 0); /* the clock stands at 0 */
    assert_int_equal(wait_done(f, 50), 0);
    loop_stop(f->loop);
    clock_start(&f->clock);
    assert_int_equal(loop_start(f->loop), 0);
    assert_int_equal(wait_done(f, PATIENCE_MS), 1);
}

static void a_disarmed_timer_does_not_fire(void **state)
{
    struct fixture *f = *state;

    timer_init(f, 0);
    timer_init(f, 1);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[0], 1000), 0);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[1], 2000), 0);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[0], UINT64_MAX), 0);
    clock_start(&f->clock);
    assert_int_equal(loop_start(f->loop), 0);
    assert_int_equal(wait_done(f, PATIENCE_MS), 1);
    loop_stop(f->loop);
    assert_string_equal(f->order, "1");
}

/* A device that asks to be called soon, in every call. */
static void fire_again(void *self, uint32_t id)
{
    struct fixture *f = self;

    __atomic_fetch_add(&f->storm, 1, __ATOMIC_RELAXED);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[id], 0), 0);
}

static void a_timer_that_asks_for_soon_for_ever_starves_nobody(void **state)
{
    struct fixture *f = *state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(loop_watch(f->loop, f, f->domain, p[0], BP_FD_READ, ready, f), 0);
    timer_init(f, 0);
    f->timer[0].fire = fire_again;
    timer_init(f, 1);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[0], 0), 0);
    clock_start(&f->clock);
    assert_int_equal(loop_start(f->loop), 0);
    while (__atomic_load_n(&f->storm, __ATOMIC_RELAXED) < 10)
        usleep(1000);
    /* Another timer, an fd, and the end of the loop have their turns. */
    domain_enter(f->domain);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[1], clock_now_ns(&f->clock)), 0);
    domain_leave(f->domain);
    assert_int_equal(wait_done(f, PATIENCE_MS), 1);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(wait_done(f, PATIENCE_MS), 1);
    loop_stop(f->loop);
    assert_int_equal(f->calls, 2);
    close(p[0]);
    close(p[1]);
}

static void timers_of_a_loop_that_runs_on_through_a_pause_fire_after_it(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(loop_start(f->loop), 0);
    timer_init(f, 0);
    /* The clock stands: nothing tells when that will be. */
    domain_enter(f->domain);
    assert_int_equal(loop_timer_set(f->loop, &f->timer[0], 1000), 0);
    domain_leave(f->domain);
    assert_int_equal(wait_done(f, 20), 0);
    clock_start(&f->clock);
    assert_int_equal(loop_start(f->loop), 0);
    assert_int_equal(wait_done(f, PATIENCE_MS), 1);
}

struct churn {
    struct fixture *f;
    struct domain *domain;
    struct timer timer;
    unsigned fires, fires_before_last;
    int pipe[2];
    bool watched; /* in the domain */
};

static void churn_ready(void *self, int fd, uint32_t events)
{
    struct churn *c = self;
    char bytes[64];
    (void)events;

    assert_true(c->watched); /* what was removed inside the domain is called no more */
    assert_true(read(fd, bytes, sizeof(bytes)) > 0);
}

static void churn_fire(void *self, uint32_t id)
{
    struct churn *c = self;
    (void)id;

    c->fires++;
}

/* What vCPUs do to a loop through their devices. */
static void *churn(void *argument)
{
    struct churn *c = argument;
    struct loop *loop = c->f->loop;

    for (unsigned i = 0; i < 2000; i++) {
        domain_enter(c->domain);
        assert_int_equal(write(c->pipe[1], "x", 1), 1);
        c->watched = i % 3 != 0;
        assert_int_equal(
            loop_watch(loop, c, c->domain, c->pipe[0], c->watched ? BP_FD_READ : 0, churn_ready, c),
            0);
        uint64_t when = i % 4 == 0   ? UINT64_MAX
                        : i % 4 == 1 ? 0
                                     : clock_now_ns(&c->f->clock) + i % 100 * 1000ull;
        assert_int_equal(loop_timer_set(loop, &c->timer, when), 0);
        domain_leave(c->domain);
        if (i % 16 == 0)
            usleep(100);
    }
    domain_enter(c->domain);
    assert_int_equal(loop_watch(loop, c, c->domain, c->pipe[0], 0, NULL, NULL), 0);
    c->watched = false;
    c->fires_before_last = c->fires;
    assert_int_equal(loop_timer_set(loop, &c->timer, 0), 0);
    domain_leave(c->domain);
    return NULL;
}

static void watches_and_timers_change_under_a_running_loop(void **state)
{
    struct fixture *f = *state;
    struct churn c[2] = {{.f = f}, {.f = f}};
    pthread_t thread[2];

    clock_start(&f->clock);
    assert_int_equal(loop_start(f->loop), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(c[i].pipe), 0);
        c[i].domain = domain_new();
        c[i].timer = (struct timer){.domain = c[i].domain,
                                    .fire = churn_fire,
                                    .self = &c[i],
                                    .when_ns = UINT64_MAX,
                                    .id = (uint32_t)i};
        assert_int_equal(thread_start(&thread[i], "churn", churn, &c[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    /* The last timer of each is still to fire, once. */
    for (int i = 0; i < 2; i++) {
        bool fired = false;
        for (int k = 0; k < PATIENCE_MS && !fired; k++) {
            usleep(1000);
            domain_enter(c[i].domain);
            fired = c[i].fires > c[i].fires_before_last;
            domain_leave(c[i].domain);
        }
        assert_true(fired);
    }
    loop_stop(f->loop);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(c[i].fires, c[i].fires_before_last + 1);
        domain_free(c[i].domain);
        close(c[i].pipe[0]);
        close(c[i].pipe[1]);
    }
}

static void *look_at_mask(void *argument)
{
    pthread_sigmask(SIG_SETMASK, NULL, argument);
    return NULL;
}

static void threads_are_deaf_to_all_signals_but_their_own_faults(void **state)
{
    pthread_t thread;
    sigset_t mask, before, after;
    (void)state;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(thread_start(&thread, "a-name-that-is-too-long", look_at_mask, &mask), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    assert_true(sigismember(&mask, SIGTERM));
    assert_true(sigismember(&mask, SIGWINCH));
    assert_true(sigismember(&mask, SIGRTMIN));
    assert_false(sigismember(&mask, SIGSEGV));
    assert_false(sigismember(&mask, SIGBUS));
    assert_false(sigismember(&mask, SIGFPE));
    assert_false(sigismember(&mask, SIGABRT));
}

static void guest_time_stands_while_stopped(void **state)
{
    struct clock c;
    (void)state;

    clock_init(&c);
    assert_int_equal(clock_now_ns(&c), 0);
    clock_start(&c);
    usleep(1000);
    clock_stop(&c);
    uint64_t then = clock_now_ns(&c);
    assert_true(then >= 1000000);
    usleep(1000);
    assert_true(clock_now_ns(&c) == then);
    clock_start(&c);
    assert_true(clock_now_ns(&c) >= then);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(calls_who_watches_a_readable_fd),
        TEST(a_removed_watch_is_not_called),
        TEST(two_owners_cannot_watch_one_fd),
        TEST(timers_fire_in_order_of_their_time),
        TEST(a_timer_does_not_fire_while_guest_time_stands),
        TEST(a_disarmed_timer_does_not_fire),
        TEST(a_timer_that_asks_for_soon_for_ever_starves_nobody),
        TEST(timers_of_a_loop_that_runs_on_through_a_pause_fire_after_it),
        TEST(watches_and_timers_change_under_a_running_loop),
        cmocka_unit_test(threads_are_deaf_to_all_signals_but_their_own_faults),
        cmocka_unit_test(guest_time_stands_while_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
