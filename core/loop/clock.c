/* SPDX-License-Identifier: MIT
 *
 * loop/clock.c - guest time.
 */
#include "loop/clock.h"

#include <time.h>

uint64_t clock_host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void clock_init(struct clock *c)
{
    __atomic_store_n(&c->offset_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->stopped_at_ns, 0, __ATOMIC_RELEASE);
}

uint64_t clock_now_ns(const struct clock *c)
{
    for (;;) {
        uint64_t offset = __atomic_load_n(&c->offset_ns, __ATOMIC_ACQUIRE);
        uint64_t stopped = __atomic_load_n(&c->stopped_at_ns, __ATOMIC_ACQUIRE);
        if (stopped != CLOCK_RUNNING)
            return stopped;
        uint64_t now = clock_host_ns();
        /* A thread that slept here while the clock was stopped, or started again, would count the
         * pause, or take an offset from a time that is older: and go below 0. */
        if (clock_runs(c) && __atomic_load_n(&c->offset_ns, __ATOMIC_ACQUIRE) == offset)
            return now - offset;
    }
}

bool clock_runs(const struct clock *c)
{
    return __atomic_load_n(&c->stopped_at_ns, __ATOMIC_ACQUIRE) == CLOCK_RUNNING;
}

uint64_t clock_to_host_ns(const struct clock *c, uint64_t when_ns)
{
    uint64_t host;

    if (when_ns == UINT64_MAX ||
        __builtin_add_overflow(when_ns, __atomic_load_n(&c->offset_ns, __ATOMIC_RELAXED), &host))
        return UINT64_MAX;
    return host;
}

void clock_stop(struct clock *c)
{
    if (clock_runs(c))
        __atomic_store_n(&c->stopped_at_ns, clock_now_ns(c), __ATOMIC_RELEASE);
}

void clock_start(struct clock *c)
{
    uint64_t stopped = __atomic_load_n(&c->stopped_at_ns, __ATOMIC_ACQUIRE);

    if (stopped == CLOCK_RUNNING)
        return;
    __atomic_store_n(&c->offset_ns, clock_host_ns() - stopped, __ATOMIC_RELEASE);
    __atomic_store_n(&c->stopped_at_ns, CLOCK_RUNNING, __ATOMIC_RELEASE);
}
