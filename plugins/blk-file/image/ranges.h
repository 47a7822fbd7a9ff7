/* SPDX-License-Identifier: MIT
 *
 * image/ranges.h - which parts of a disk are being worked at: requests that would change where a
 * cluster lies exclude all others of that cluster.
 *
 * First come, first served: a request waits for every earlier one that is in its way, waiting ones
 * included, so none starves. A thread holds one range at most, so none waits for itself.
 */
#ifndef IMAGE_RANGES_H
#define IMAGE_RANGES_H

#include <pthread.h>
#include <stdint.h>

struct range {
    struct range *next, *prev;
    uint64_t first, last; /* both belong to it */
    uint32_t exclusive;
    uint32_t reserved;
};

struct ranges {
    pthread_mutex_t lock; /* a leaf; never held over I/O */
    pthread_cond_t left;
    struct range head; /* in order of arrival */
    uint32_t waiters;
    uint32_t reserved;
};

int ranges_init(struct ranges *r);
void ranges_end(struct ranges *r);
/* Waits until [first, last] can be had. `range` is the caller's until ranges_leave(). [any] */
void ranges_enter(struct ranges *r, struct range *range, uint64_t first, uint64_t last,
                  int exclusive);
/* The same, shared, or -EAGAIN if it had to wait. [any] */
int ranges_try(struct ranges *r, struct range *range, uint64_t first, uint64_t last);
void ranges_leave(struct ranges *r, struct range *range);

#endif
