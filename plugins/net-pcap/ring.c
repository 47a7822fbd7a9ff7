/* SPDX-License-Identifier: MIT
 *
 * net-pcap/ring.c - the bounded buffer between a link and the thread that writes its file.
 *
 * `added` and `taken` only grow; their difference is what the ring holds. A record lies in one
 * piece: where the end of the memory is too near, a record of padding fills it. The taker sleeps
 * until its next flush, so the adder wakes it only when the ring is half full or a frame was
 * dropped: most frames cost no system call.
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RING_ALIGN 4096u /* a page is, or is a multiple of, that */

int ring_init(struct ring *r, uint64_t size)
{
    void *data;

    memset(r, 0, sizeof(*r));
    r->wake = WAKE_NONE;
    for (r->size = 4096; r->size < size;)
        r->size *= 2;
    if (posix_memalign(&data, RING_ALIGN, r->size))
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
    if (!atomic_exchange(&r->asked, 1))
        wake_signal(&r->wake);
}

void ring_calm(struct ring *r)
{
    wake_clear(&r->wake);
    atomic_store(&r->asked, 0);
}

static struct record *record_at(const struct ring *r, uint64_t position)
{
    return (struct record *)(void *)(r->data + (position & (r->size - 1)));
}

struct record *ring_reserve(struct ring *r, uint32_t caplen)
{
    uint64_t added = atomic_load_explicit(&r->added, memory_order_relaxed);
    uint64_t used = added - atomic_load_explicit(&r->taken, memory_order_acquire);
    uint64_t total = (sizeof(struct record) + (uint64_t)caplen + 7) & ~UINT64_C(7);
    uint64_t to_end = r->size - (added & (r->size - 1));
    uint64_t padding = to_end < total ? to_end : 0;
    struct record *record;

    if (total > r->size || padding + total > r->size - used) {
        r->missed++;
        atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
        ring_wake(r);
        return NULL;
    }
    if (padding) {
        record = record_at(r, added);
        /* At the very end there may be room for no more than these two. */
        record->total = (uint32_t)padding;
        record->caplen = RING_PADDING;
        atomic_store_explicit(&r->added, added + padding, memory_order_release);
        added += padding;
    }
    record = record_at(r, added);
    memset(record, 0, sizeof(*record));
    record->total = (uint32_t)total;
    record->caplen = caplen;
    record->dropped = r->missed;
    return record;
}

void ring_add(struct ring *r, const struct record *record)
{
    uint64_t added =
        atomic_load_explicit(&r->added, memory_order_relaxed) + (uint64_t)record->total;

    r->missed = 0;
    atomic_store_explicit(&r->added, added, memory_order_release);
    if (added - atomic_load_explicit(&r->taken, memory_order_relaxed) > r->size / 2)
        ring_wake(r);
}

const struct record *ring_oldest(struct ring *r)
{
    uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
    uint64_t added = atomic_load_explicit(&r->added, memory_order_acquire);
    const struct record *record;

    if (taken == added)
        return NULL;
    record = record_at(r, taken);
    if (record->caplen != RING_PADDING)
        return record;
    ring_take(r, record);
    return ring_oldest(r);
}

void ring_take(struct ring *r, const struct record *record)
{
    uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);

    atomic_store_explicit(&r->taken, taken + record->total, memory_order_release);
}
