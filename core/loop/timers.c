/* SPDX-License-Identifier: MIT
 *
 * loop/timers.c - a binary heap that knows where each of its timers is.
 */
#include "loop/timers.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct timer_heap *heap, uint32_t at, struct timer *timer)
{
    heap->slots[at] = timer;
    timer->heap_index_plus_1 = at + 1;
}

static void sift_up(struct timer_heap *heap, uint32_t at, struct timer *timer)
{
    while (at) {
        uint32_t parent = (at - 1) / 2;
        if (heap->slots[parent]->when_ns <= timer->when_ns)
            break;
        put(heap, at, heap->slots[parent]);
        at = parent;
    }
    put(heap, at, timer);
}

static void sift_down(struct timer_heap *heap, uint32_t at, struct timer *timer)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->slots[child + 1]->when_ns < heap->slots[child]->when_ns)
            child++;
        if (timer->when_ns <= heap->slots[child]->when_ns)
            break;
        put(heap, at, heap->slots[child]);
        at = child;
    }
    put(heap, at, timer);
}

struct timer *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count ? heap->slots[0] : NULL;
}

static void take_out(struct timer_heap *heap, struct timer *timer)
{
    uint32_t at = timer->heap_index_plus_1 - 1;
    struct timer *last = heap->slots[--heap->count];

    timer->heap_index_plus_1 = 0;
    if (last == timer)
        return;
    sift_down(heap, at, last);
    sift_up(heap, last->heap_index_plus_1 - 1, last);
}

int timer_heap_update(struct timer_heap *heap, struct timer *timer)
{
    if (timer->heap_index_plus_1)
        take_out(heap, timer);
    if (timer->when_ns == UINT64_MAX)
        return 0;
    if (heap->count == heap->capacity) {
        uint32_t capacity = heap->capacity ? 2 * heap->capacity : 16;
        struct timer **slots = realloc(heap->slots, capacity * sizeof(*slots));
        if (!slots)
            return -ENOMEM;
        heap->slots = slots;
        heap->capacity = capacity;
    }
    sift_up(heap, heap->count++, timer);
    return 0;
}

void timer_heap_free(struct timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        heap->slots[i]->heap_index_plus_1 = 0;
    free(heap->slots);
    *heap = (struct timer_heap){0};
}
