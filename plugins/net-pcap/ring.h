/* SPDX-License-Identifier: MIT
 *
 * net-pcap/ring.h - a bounded buffer of records between one thread that adds and one that takes.
 *
 * Neither ever waits for the other: what does not fit is dropped and counted.
 */
#ifndef NET_PCAP_RING_H
#define NET_PCAP_RING_H

#include "record.h"

#include <shared/wake.h>
#include <stdatomic.h>

struct ring {
    uint8_t *data;
    uint64_t size;    /* bytes, a power of two */
    struct wake wake; /* readable when the taker had better come */

    _Alignas(64) _Atomic uint64_t added; /* bytes ever; the adder's */
    uint64_t missed;                     /* frames dropped since the last record; the adder's */
    _Atomic uint64_t dropped;            /* frames ever; the adder's */

    _Alignas(64) _Atomic uint64_t taken; /* bytes ever; the taker's */
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

/* Room for a record with `caplen` bytes of data after it, to be filled in (`caplen`, `total` and
 * `dropped` are) and given to ring_add(); NULL if there is none: then a frame was dropped. */
struct record *ring_reserve(struct ring *r, uint32_t caplen);
void ring_add(struct ring *r, const struct record *record);
/* Makes `wake` readable. On any thread. */
void ring_wake(struct ring *r);

/* The taker's side. */

/* The oldest record, or NULL. Good until ring_take(). */
const struct record *ring_oldest(struct ring *r);
void ring_take(struct ring *r, const struct record *record);
/* Makes `wake` unreadable until the next reason. */
void ring_calm(struct ring *r);

#endif
