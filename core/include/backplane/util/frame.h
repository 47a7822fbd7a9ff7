/* SPDX-License-Identifier: MIT
 *
 * backplane/util/frame.h - walking and copying struct bp_frame, and a bounded queue of copies, for
 * network backends and filters. A queue is its owner's: it locks nothing.
 */
#ifndef BACKPLANE_UTIL_FRAME_H
#define BACKPLANE_UTIL_FRAME_H

#include "../net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the longest frame: an IP datagram of 65,535, an Ethernet header and a VLAN tag. */
#define BP_FRAME_MAX 65553u
#define BP_FRAME_MIN 14u /* an Ethernet header */

/* Frame `i` of an array, whose elements are as long as their author compiled them. */
static inline const struct bp_frame *bp_frame_at(const struct bp_frame *frames, uint32_t i)
{
    return (const struct bp_frame *)(const void *)((const uint8_t *)frames +
                                                   (size_t)i * frames->size);
}

/* Bytes in all buffers; UINT64_MAX if that is more than BP_FRAME_MAX. */
static inline uint64_t bp_frame_len(const struct bp_frame *frame)
{
    uint64_t len = 0;

    for (uint32_t i = 0; i < frame->nbufs; i++)
        if (__builtin_add_overflow(len, frame->bufs[i].len, &len) || len > BP_FRAME_MAX)
            return UINT64_MAX;
    return len;
}

/* Copies up to `cap` bytes of the frame, from its start, to `to`; returns how many. */
static inline uint64_t bp_frame_gather(const struct bp_frame *frame, void *to, uint64_t cap)
{
    uint64_t len = 0;

    for (uint32_t i = 0; i < frame->nbufs && len < cap; i++) {
        uint64_t n = frame->bufs[i].len;

        if (n > cap - len)
            n = cap - len;
        if (n)
            memcpy((uint8_t *)to + len, frame->bufs[i].data, (size_t)n);
        len += n;
    }
    return len;
}

/* A copy of a frame, in one buffer. */
struct bp_frame_copy {
    struct bp_frame_copy *next;
    struct bp_buf buf; /* the bytes, which follow this struct */
    struct bp_frame frame;
};

/* All zero but `limit` and `limit_bytes`: an empty queue. */
struct bp_frame_queue {
    struct bp_frame_copy *first, *last;
    uint64_t bytes, limit_bytes;
    uint32_t count, limit; /* frames */
};

/* Nonzero if a frame of BP_FRAME_MAX bytes would not fit, or one frame more. */
static inline int bp_frame_queue_is_full(const struct bp_frame_queue *q)
{
    return q->count >= q->limit || q->bytes + BP_FRAME_MAX > q->limit_bytes;
}

/* Appends a copy. -EMSGSIZE if it has less than BP_FRAME_MIN or more than BP_FRAME_MAX bytes,
 * -ENOBUFS if the queue is full, -ENOMEM. */
static inline int bp_frame_queue_push(struct bp_frame_queue *q, const struct bp_frame *frame)
{
    uint64_t len = bp_frame_len(frame);
    struct bp_frame_copy *copy;

    if (len < BP_FRAME_MIN || len > BP_FRAME_MAX)
        return -EMSGSIZE;
    if (q->count >= q->limit || q->bytes + len > q->limit_bytes)
        return -ENOBUFS;
    copy = (struct bp_frame_copy *)malloc(sizeof(*copy) + (size_t)len);
    if (!copy)
        return -ENOMEM;
    copy->next = NULL;
    copy->buf.data = copy + 1;
    bp_frame_gather(frame, copy->buf.data, len);
    copy->buf.len = len;
    memset(&copy->frame, 0, sizeof(copy->frame));
    memcpy(&copy->frame, frame,
           frame->size < sizeof(copy->frame) ? frame->size : sizeof(copy->frame));
    copy->frame.size = sizeof(copy->frame);
    copy->frame.more = 0; /* was about another callback */
    copy->frame.nbufs = 1;
    copy->frame.bufs = &copy->buf;
    if (q->last)
        q->last->next = copy;
    else
        q->first = copy;
    q->last = copy;
    q->count++;
    q->bytes += len;
    return 0;
}

/* Drops the oldest frame. The queue must not be empty. */
static inline void bp_frame_queue_pop(struct bp_frame_queue *q)
{
    struct bp_frame_copy *copy = q->first;

    q->first = copy->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    q->bytes -= copy->buf.len;
    free(copy);
}

static inline void bp_frame_queue_clear(struct bp_frame_queue *q)
{
    while (q->first)
        bp_frame_queue_pop(q);
}

#endif
