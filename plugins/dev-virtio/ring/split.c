/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/ring/split.c - the split virtqueue (virtio 1.2, 2.7), the device's side of it.
 *
 *     driver area:  flags, idx, ring[size] of le16, used_event      available ring
 *     device area:  flags, idx, ring[size] of {le32 id, len}, avail_event      used ring
 */
#include "ring/queue.h"

#include <backplane/util/le.h>
#include <errno.h>

#define RING_IDX 2u
#define RING_ENTRIES 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_BYTES 8u /* of an entry */

static int no_ram(struct queue *q)
{
    q->error = "a ring is not in RAM any more";
    return -EPROTO;
}

/* Entries that the driver has made available and the device has not taken; -EPROTO. */
static int available(struct queue *q)
{
    uint16_t idx, count;

    if (ring_load16(q, q->driver + RING_IDX, &idx))
        return no_ram(q);
    count = (uint16_t)(idx - q->next_avail);
    if (count > q->size || (uint32_t)count + q->in_flight > q->size) {
        q->error = "the available ring's index goes further than the queue has entries";
        return -EPROTO;
    }
    return count;
}

int split_pop(struct queue *q, struct chain *out)
{
    int count = available(q), err;
    uint16_t head;

    if (count <= 0)
        return count;
    /* The acquire of idx orders this read after it. */
    if (ring_load16(q, q->driver + RING_ENTRIES + 2u * (uint64_t)(q->next_avail & (q->size - 1u)),
                    &head))
        return no_ram(q);
    err = chain_from_split(q, head, out);
    if (err)
        return err;
    q->next_avail++;
    q->in_flight++;
    return 1;
}

int split_arm(struct queue *q)
{
    if (q->event_idx &&
        ring_store16(q, q->device + RING_ENTRIES + (uint64_t)USED_BYTES * q->size, q->next_avail))
        return 0; /* the next pop tells */
    /* The driver writes idx, then reads avail_event; this side the other way round (2.7.13.4.1),
     * which sequential consistency keeps apart. */
    return available(q) != 0;
}

/* Does the driver want to hear of `count` entries up to next_used? (2.7.7, 2.7.10) */
static int wants_interrupt(struct queue *q, uint32_t count)
{
    uint64_t at = q->driver;
    uint16_t word;

    if (q->event_idx)
        at += RING_ENTRIES + 2u * (uint64_t)q->size;
    if (ring_load16(q, at, &word))
        return no_ram(q);
    if (!q->event_idx)
        return !(word & AVAIL_NO_INTERRUPT);
    return (uint16_t)(q->next_used - word - 1) < count;
}

int split_publish(struct queue *q)
{
    uint32_t count = q->staged_count;
    int wanted;

    for (uint32_t i = 0; i < count; i++) {
        uint16_t slot = (uint16_t)(q->next_used + i) & (uint16_t)(q->size - 1u);
        uint8_t entry[USED_BYTES];

        bp_put_le32(entry, q->staged[i].id);
        bp_put_le32(entry + 4, q->staged[i].written);
        if (q->host->dma_write(q->node, q->device + RING_ENTRIES + (uint64_t)USED_BYTES * slot,
                               entry, sizeof(entry)))
            return no_ram(q);
    }
    q->staged_count = 0;
    if (count) {
        if (ring_store16(q, q->device + RING_IDX, (uint16_t)(q->next_used + count)))
            return no_ram(q);
        q->next_used = (uint16_t)(q->next_used + count);
        q->in_flight = (uint16_t)(q->in_flight - count);
        q->unsignalled += count;
    }
    if (!q->unsignalled)
        return 0;
    wanted = wants_interrupt(q, q->unsignalled > UINT16_MAX ? UINT16_MAX : q->unsignalled);
    q->unsignalled = 0; /* the driver looks again after it has moved used_event */
    return wanted;
}
