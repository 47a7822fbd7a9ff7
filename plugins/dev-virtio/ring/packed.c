/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/ring/packed.c - the packed virtqueue (virtio 1.2, 2.8), the device's side of it, and
 * what both kinds share.
 *
 *     descriptor ring:  size times {le64 addr, le32 len, le16 id, le16 flags}
 *     driver and device area:  le16 off_wrap, le16 flags     event suppression, 2.8.14
 */
#include "ring/queue.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define DESC_ID 12u
#define DESC_LEN 8u
#define DESC_FLAGS 14u

#define EVENT_FLAGS 2u /* offset in the areas */
#define EVENT_ENABLE 0u
#define EVENT_DISABLE 1u
#define EVENT_DESC 2u
#define EVENT_WRAP 0x8000u

static int no_ram(struct queue *q)
{
    q->error = "a ring is not in RAM any more";
    return -EPROTO;
}

/* 1 if the descriptor at next_avail is the driver's latest (2.8.1); 0; -EPROTO. */
static int is_available(struct queue *q)
{
    uint16_t flags;

    if (ring_load16(q, q->desc + (uint64_t)DESC_BYTES * q->next_avail + DESC_FLAGS, &flags))
        return no_ram(q);
    return !!(flags & DESC_F_AVAIL) == q->avail_wrap && !!(flags & DESC_F_USED) != q->avail_wrap;
}

int packed_pop(struct queue *q, struct chain *out)
{
    int there = q->in_flight < q->size ? is_available(q) : 0, err;
    uint32_t next;

    if (there <= 0)
        return there;
    err = chain_from_packed(q, out); /* after the acquire of its flags */
    if (err)
        return err;
    if ((uint32_t)q->in_flight + out->slots > q->size) {
        q->error = "a chain covers descriptors that the device still has";
        return -EPROTO;
    }
    next = (uint32_t)q->next_avail + out->slots;
    if (next >= q->size) {
        next -= q->size;
        q->avail_wrap ^= 1;
    }
    q->next_avail = (uint16_t)next;
    q->in_flight = (uint16_t)(q->in_flight + out->slots);
    return 1;
}

int packed_arm(struct queue *q)
{
    uint16_t flags = EVENT_ENABLE;

    if (q->event_idx) {
        flags = EVENT_DESC;
        if (ring_store16(q, q->device,
                         (uint16_t)(q->next_avail | (q->avail_wrap ? EVENT_WRAP : 0u))))
            return 0;
    }
    if (ring_store16(q, q->device + EVENT_FLAGS, flags))
        return 0;
    return q->in_flight < q->size && is_available(q) != 0;
}

/* Does the driver want to hear of the last `count` places up to next_used? */
static int wants_interrupt(struct queue *q, uint32_t count)
{
    uint16_t flags, off_wrap;
    int32_t event;

    if (ring_load16(q, q->driver + EVENT_FLAGS, &flags) || ring_load16(q, q->driver, &off_wrap))
        return no_ram(q);
    if (flags != EVENT_DESC || !q->event_idx)
        return flags != EVENT_DISABLE;
    event = off_wrap & (EVENT_WRAP - 1u);
    if (!!(off_wrap & EVENT_WRAP) != q->used_wrap)
        event -= q->size; /* of the lap before */
    return (uint16_t)(q->next_used - event - 1) < count;
}

/* Writes a used descriptor but for its flags, which are returned. */
static int write_used(struct queue *q, uint32_t at, uint8_t wrap, const struct queue_used *used,
                      uint16_t *flags)
{
    uint8_t raw[6];

    bp_put_le32(raw, used->written);
    bp_put_le16(raw + 4, used->id);
    *flags =
        (uint16_t)((wrap ? DESC_F_AVAIL | DESC_F_USED : 0u) | (used->written ? DESC_F_WRITE : 0u));
    return q->host->dma_write(q->node, q->desc + (uint64_t)DESC_BYTES * at + DESC_LEN, raw,
                              sizeof(raw));
}

/* The driver looks at them in order, so the first one's flags are written last (2.8.22). */
int packed_publish(struct queue *q)
{
    uint32_t at = q->next_used, first = at, slots = 0;
    uint8_t wrap = q->used_wrap;
    uint16_t first_flags = 0;
    int wanted;

    for (uint32_t i = 0; i < q->staged_count; i++) {
        const struct queue_used *used = &q->staged[i];
        uint16_t flags;

        if (write_used(q, at, wrap, used, &flags))
            return no_ram(q);
        if (i == 0)
            first_flags = flags;
        else if (ring_store16(q, q->desc + (uint64_t)DESC_BYTES * at + DESC_FLAGS, flags))
            return no_ram(q);
        slots += used->slots;
        at += used->slots;
        if (at >= q->size) {
            at -= q->size;
            wrap ^= 1;
        }
    }
    if (q->staged_count) {
        q->staged_count = 0;
        if (ring_store16(q, q->desc + (uint64_t)DESC_BYTES * first + DESC_FLAGS, first_flags))
            return no_ram(q);
        q->next_used = (uint16_t)at;
        q->used_wrap = wrap;
        q->in_flight = (uint16_t)(q->in_flight - slots);
        q->unsignalled += slots;
    }
    if (!q->unsignalled)
        return 0;
    wanted = wants_interrupt(q, q->unsignalled > UINT16_MAX ? UINT16_MAX : q->unsignalled);
    q->unsignalled = 0;
    return wanted;
}
