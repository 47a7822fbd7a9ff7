/* SPDX-License-Identifier: MIT
 *
 * net-pcap/ring.c - the bounded buffer between a link and the thread that writes its file.
 *
 * `added` and `taken` only grow; their difference is what the ring holds. What is added lies in one
 * piece: where the end of the memory is too near, it begins at the start, and `end` says where the
 * bytes end that are left out. One `end` is enough: the next is set a lap later, and so far the
 * adder comes only when the taker is beyond the one before.
 *
 * The taker sleeps until its next flush, so the adder wakes it only when the ring is half full or a
 * frame was dropped: most frames cost no system call. Nor do they cost the adder a look at what the
 * taker writes, as long as there is room by the last one.
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RING_ALIGN 4096u               /* a page is, or is a multiple of, that */
#define LARGE_PAGE (UINT64_C(2) << 20) /* where the system has them, they spare faults */

int ring_init(struct ring *r, uint64_t size)
{
    void *data;

    memset(r, 0, sizeof(*r));
    r->wake = WAKE_NONE;
    r->end = UINT64_MAX;
    for (r->size = 4096; r->size < size;)
        r->size *= 2;
    if (posix_memalign(&data, r->size < LARGE_PAGE ? RING_ALIGN : LARGE_PAGE, r->size))
        return -ENOMEM;
    r->data = data;
    return wake_open(&r->wake);
}

void ring_populate(struct ring *r)
{
#ifdef MADV_POPULATE_WRITE /* Linux 5.14 */
    (void)madvise(r->data, r->size, MADV_POPULATE_WRITE);
#else
    (void)r;
#endif
}

void ring_free(struct ring *r)
{
    wake_close(&r->wake);
    free(r->data);
}

void ring_wake(struct ring *r)
{
    if (!atomic_load(&r->asked) && !atomic_exchange(&r->asked, 1))
        wake_signal(&r->wake);
}

void ring_calm(struct ring *r)
{
    wake_clear(&r->wake);
    atomic_store(&r->asked, 0);
}

/* Of the ring's memory the place for a count of bytes. */
static uint64_t place(const struct ring *r, uint64_t count)
{
    return count & (r->size - 1);
}

/* ---- the adder ---- */

/* Do `len` bytes fit behind `padding` that are left out? */
static int fits(struct ring *r, uint64_t added, uint64_t padding, uint64_t len)
{
    if (added - r->known + padding + len <= r->size)
        return 1;
    r->known = atomic_load_explicit(&r->taken, memory_order_acquire);
    /* An empty ring has all of its memory, wherever it stands. */
    return added == r->known ? len <= r->size : added - r->known + padding + len <= r->size;
}

uint8_t *ring_reserve_slowly(struct ring *r, uint64_t len)
{
    uint64_t added = atomic_load_explicit(&r->added, memory_order_relaxed);
    uint64_t to_end = r->size - place(r, added);
    uint64_t padding = to_end < len ? to_end : 0;

    if (!fits(r, added, padding, len)) {
        r->missed++;
        atomic_store_explicit(&r->dropped,
                              atomic_load_explicit(&r->dropped, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        ring_wake(r);
        return NULL;
    }
    if (padding) {
        atomic_store_explicit(&r->end, added, memory_order_relaxed);
        added += padding;
        atomic_store_explicit(&r->added, added, memory_order_release);
    }
    return r->data + place(r, added);
}

void ring_look(struct ring *r)
{
    r->known = atomic_load_explicit(&r->taken, memory_order_acquire);
    if (atomic_load_explicit(&r->added, memory_order_relaxed) - r->known > r->size / 2)
        ring_wake(r);
}

/* ---- the taker ---- */

const uint8_t *ring_oldest(struct ring *r, size_t *len)
{
    uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
    uint64_t added = atomic_load_explicit(&r->added, memory_order_acquire);
    uint64_t end = atomic_load_explicit(&r->end, memory_order_relaxed), to_end;

    if (end == taken && end < added) {
        taken += r->size - place(r, taken);
        atomic_store_explicit(&r->taken, taken, memory_order_release);
    }
    if (taken == added)
        return NULL;
    if (end >= taken && end < added)
        added = end;
    to_end = r->size - place(r, taken);
    *len = (size_t)(added - taken < to_end ? added - taken : to_end);
    return r->data + place(r, taken);
}

void ring_take(struct ring *r, size_t len)
{
    atomic_store_explicit(&r->taken, atomic_load_explicit(&r->taken, memory_order_relaxed) + len,
                          memory_order_release);
}
