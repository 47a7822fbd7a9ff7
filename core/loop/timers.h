/* SPDX-License-Identifier: MIT
 *
 * loop/timers.h - a heap of armed timers, earliest first. The loop's; callers hold its lock.
 */
#ifndef LOOP_TIMERS_H
#define LOOP_TIMERS_H

#include "loop/loop.h"

struct timer_heap {
    struct timer **slots;
    uint32_t count, capacity;
};

/* The earliest timer, or NULL. */
struct timer *timer_heap_first(const struct timer_heap *heap);
/* Puts `timer` in its place for timer->when_ns; takes it out for UINT64_MAX. -ENOMEM. */
int timer_heap_update(struct timer_heap *heap, struct timer *timer);
void timer_heap_free(struct timer_heap *heap);

#endif
