/* SPDX-License-Identifier: MIT
 *
 * net-pcap/ring.h - a bounded buffer of bytes between one thread that adds and one that takes.
 *
 * What is added at once lies in one piece. Neither thread ever waits for the other: what does not
 * fit is dropped and counted.
 */
#ifndef NET_PCAP_RING_H
#define NET_PCAP_RING_H

#include <shared/wake.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *data;
    uint64_t size;    /* bytes, a power of two */
    struct wake wake; /* readable when the taker had better come */

    _Alignas(64) _Atomic uint64_t added; /* bytes ever, with those that are left out; the adder's */
    _Atomic uint64_t end;                /* of `added`: from here on the lap's rest is left out */
    _Atomic uint64_t dropped;            /* frames ever; the adder's */
    uint64_t missed;                     /* frames dropped since the last that was added */
    uint64_t known;                      /* `taken` as the adder saw it last */

    _Alignas(64) _Atomic uint64_t taken; /* as `added`; the taker's */
    _Atomic uint32_t asked;              /* `wake` was written and not looked at yet */
};

/* Makes an empty ring of `size` bytes, rounded up to a power of two. 0, -ENOMEM, or as wake_open()
 * says. */
int ring_init(struct ring *r, uint64_t size);
void ring_free(struct ring *r);
/* Has the memory made at once, which otherwise the adder waits for, page by page. Where the system
 * cannot do that nothing is done. On any thread. */
void ring_populate(struct ring *r);

/* The adder's side. */

/* For ring_reserve() and ring_add(), where a look at the taker is needed. */
uint8_t *ring_reserve_slowly(struct ring *r, uint64_t len);
void ring_look(struct ring *r);

/* Room for `len` bytes of a frame's; NULL if there is none: then a frame was dropped. */
static inline uint8_t *ring_reserve(struct ring *r, uint64_t len)
{
    uint64_t added = atomic_load_explicit(&r->added, memory_order_relaxed);
    uint64_t place = added & (r->size - 1);

    if (place + len > r->size || added - r->known + len > r->size)
        return ring_reserve_slowly(r, len);
    return r->data + place;
}

/* Adds the first `len` bytes of what was reserved. */
static inline void ring_add(struct ring *r, uint64_t len)
{
    uint64_t added = atomic_load_explicit(&r->added, memory_order_relaxed) + len;

    r->missed = 0;
    atomic_store_explicit(&r->added, added, memory_order_release);
    if (added - r->known > r->size / 2)
        ring_look(r);
}

/* Frames dropped since the last that was added. */
static inline uint64_t ring_missed(const struct ring *r)
{
    return r->missed;
}
/* Makes `wake` readable. On any thread. */
void ring_wake(struct ring *r);

/* The taker's side. */

/* The oldest bytes, as many as lie in one piece, which ends where an added one does; NULL if there
 * are none. Good until they are taken. */
const uint8_t *ring_oldest(struct ring *r, size_t *len);
/* Gives back the oldest `len` bytes. */
void ring_take(struct ring *r, size_t len);
/* Makes `wake` unreadable until the next reason. */
void ring_calm(struct ring *r);

#endif
