/* SPDX-License-Identifier: MIT
 *
 * machine/replica_watch.c - ends a step of bp_machine_compare()'s second backend that does not end:
 * a vCPU that waits for what does not come, or runs on.
 */
#include "machine/compare.h"

#include "loop/thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#define TICKS 10u /* that the patience has: it may be exceeded by one */

/* watch->step is odd while a step runs. */
static void *keep_watch(void *argument)
{
    struct watch *w = argument;
    struct pollfd wake = {.fd = w->wake.fd, .events = POLLIN};
    uint64_t seen = 0;
    uint32_t ticks = 0;
    uint64_t tick_ms = w->seconds * UINT64_C(1000) / TICKS;
    int got;

    do {
        uint64_t step;

        got = poll(&wake, 1, tick_ms < INT_MAX ? (int)tick_ms : INT_MAX);
        step = __atomic_load_n(&w->step, __ATOMIC_ACQUIRE);
        ticks = got == 0 && step & 1 && step == seen ? ticks + 1 : 0;
        seen = step;
        if (ticks < TICKS)
            continue;
        __atomic_store_n(&w->over, true, __ATOMIC_RELEASE);
        w->vcpu->ops->vcpu_kick(w->vcpu->self);
    } while (got == 0 || (got < 0 && errno == EINTR));
    return NULL;
}

int watch_open(struct watch *w, uint32_t seconds)
{
    int err = wake_open(&w->wake);

    if (err)
        return err;
    w->seconds = seconds;
    err = thread_start(&w->thread, "bp-compare", keep_watch, w);
    if (err)
        wake_close(&w->wake);
    w->open = !err;
    return err;
}

void watch_close(struct watch *w)
{
    if (!w->open)
        return;
    wake_signal(&w->wake);
    pthread_join(w->thread, NULL);
    wake_close(&w->wake);
    w->open = false;
}

void watch_begins(struct watch *w)
{
    __atomic_store_n(&w->step, w->step + 1, __ATOMIC_RELEASE);
}

void watch_ends(struct watch *w)
{
    __atomic_store_n(&w->step, w->step + 1, __ATOMIC_RELEASE);
}

bool watch_is_over(const struct watch *w)
{
    return __atomic_load_n(&w->over, __ATOMIC_ACQUIRE);
}
