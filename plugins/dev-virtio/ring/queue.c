/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/ring/queue.c - what split and packed queues share: configuration, and the choice
 * between the two.
 */
#include "ring/queue.h"

#include <errno.h>

void queue_reset(struct queue *q)
{
    *q = (struct queue){.host = q->host,
                        .node = q->node,
                        .size = q->max_size,
                        .max_size = q->max_size,
                        .vector = UINT16_MAX,
                        .avail_wrap = 1,
                        .used_wrap = 1};
}

/* An area of a queue: RAM throughout. */
static int check_area(const struct queue *q, uint64_t gpa, uint64_t len)
{
    while (len) {
        uint64_t n = len;
        void *at = q->host->dma_map(q->node, gpa, &n, BP_DMA_READ);

        if (!at)
            return -EINVAL;
        q->host->dma_unmap(q->node, at, 0);
        gpa += n;
        len -= n;
    }
    return 0;
}

/* 2.7 and 2.8.10. Words of rings are read and written by one access each, which must not be one
 * over the edge of what the processor does at once. */
static int is_aligned(const struct queue *q)
{
    return q->desc % 16 == 0 && q->driver % (q->packed ? 4 : 2) == 0 && q->device % 4 == 0;
}

int queue_check(const struct queue *q)
{
    if (!is_aligned(q))
        return -EINVAL;
    if (!q->size || q->size > q->max_size || (!q->packed && (q->size & (q->size - 1))))
        return -EINVAL;
    if (q->in_flight > q->size ||
        (q->packed && (q->next_avail >= q->size || q->next_used >= q->size)) || q->avail_wrap > 1 ||
        q->used_wrap > 1 || (!q->packed && (uint16_t)(q->next_avail - q->next_used) > q->size))
        return -EINVAL;
    return 0;
}

/* Are the areas of the queue where they can be? */
static int check_areas(const struct queue *q)
{
    uint64_t size = q->size;

    if (q->packed)
        return check_area(q, q->desc, DESC_BYTES * size) || check_area(q, q->driver, 4) ||
                       check_area(q, q->device, 4)
                   ? -EINVAL
                   : 0;
    return check_area(q, q->desc, DESC_BYTES * size) || check_area(q, q->driver, 6 + 2 * size) ||
                   check_area(q, q->device, 6 + 8 * size)
               ? -EINVAL
               : 0;
}

int queue_enable(struct queue *q, uint64_t features)
{
    q->packed = features >> VIRTIO_F_RING_PACKED & 1;
    q->event_idx = features >> VIRTIO_F_EVENT_IDX & 1;
    q->indirect = features >> VIRTIO_F_INDIRECT_DESC & 1;
    q->next_avail = q->next_used = q->in_flight = 0;
    q->avail_wrap = q->used_wrap = 1;
    q->unsignalled = q->staged_count = 0;
    q->resetting = 0;
    if (queue_check(q) || check_areas(q)) {
        q->error = "a queue was enabled whose size is none of its sizes, or whose rings are not "
                   "aligned or not in RAM";
        return -EINVAL;
    }
    q->enabled = 1;
    return 0;
}

int queue_pop(struct queue *q, struct chain *out)
{
    return q->packed ? packed_pop(q, out) : split_pop(q, out);
}

int queue_arm(struct queue *q)
{
    return q->packed ? packed_arm(q) : split_arm(q);
}

struct queue_mark queue_mark(const struct queue *q)
{
    return (struct queue_mark){.staged_count = q->staged_count,
                               .next_avail = q->next_avail,
                               .in_flight = q->in_flight,
                               .avail_wrap = q->avail_wrap};
}

void queue_rewind(struct queue *q, const struct queue_mark *mark)
{
    q->next_avail = mark->next_avail;
    q->in_flight = mark->in_flight;
    q->avail_wrap = mark->avail_wrap;
    q->staged_count = mark->staged_count;
}

int queue_stage(struct queue *q, uint16_t id, uint16_t slots, uint32_t written)
{
    if (q->staged_count == QUEUE_STAGED)
        return -ENOSPC;
    q->staged[q->staged_count++] =
        (struct queue_used){.id = id, .slots = slots, .written = written};
    return 0;
}

int queue_publish(struct queue *q)
{
    return q->packed ? packed_publish(q) : split_publish(q);
}
