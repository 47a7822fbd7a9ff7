/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/ring/chain.c - the only reader of guest descriptors: from a head to a checked list of
 * segments (virtio 1.2, 2.6.5, 2.7 of the split, 2.8.5 to 2.8.7 of the packed ring), and the data
 * in them.
 *
 * Each descriptor is copied once, with dma_read(), before anything of it is looked at. A chain may
 * have as many descriptors as the queue has entries (2.6.5.3.1, 2.8.5): that bounds loops too.
 * Segments of length 0 carry nothing and are left out.
 */
#include "ring/queue.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define TABLE_AT_ONCE 64u /* entries of an indirect table in one copy */

struct descriptor {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, last; /* `last`: next (split) or id (packed) */
};

int ring_load16(const struct queue *q, uint64_t gpa, uint16_t *out)
{
    uint64_t len = 2;
    void *at = q->host->dma_map(q->node, gpa, &len, BP_DMA_READ);
    int err = -EFAULT;

    if (!at)
        return err;
    if (len == 2) {
        *out = __atomic_load_n((uint16_t *)at, __ATOMIC_SEQ_CST);
        err = 0;
    }
    q->host->dma_unmap(q->node, at, 0);
    return err;
}

int ring_store16(const struct queue *q, uint64_t gpa, uint16_t value)
{
    uint64_t len = 2;
    void *at = q->host->dma_map(q->node, gpa, &len, BP_DMA_WRITE);
    int err = -EFAULT;

    if (!at)
        return err;
    if (len == 2) {
        __atomic_store_n((uint16_t *)at, value, __ATOMIC_SEQ_CST);
        err = 0;
    }
    q->host->dma_unmap(q->node, at, err ? 0 : 2);
    return err;
}

static int broken(struct queue *q, const char *why)
{
    q->error = why;
    return -EPROTO;
}

/* What one is in the guest's memory. */
static void decode(const struct queue *q, const uint8_t raw[DESC_BYTES], struct descriptor *out)
{
    *out = (struct descriptor){.addr = bp_le64(raw),
                               .len = bp_le32(raw + 8),
                               .flags = bp_le16(raw + 12),
                               .last = bp_le16(raw + 14)};
    /* The packed ring has them the other way round: id, then flags. */
    if (q->packed)
        *out = (struct descriptor){
            .addr = out->addr, .len = out->len, .flags = out->last, .last = out->flags};
}

/* Entry `index` of the table at `table`, in one copy. */
static int fetch(struct queue *q, uint64_t table, uint32_t index, struct descriptor *out)
{
    uint8_t raw[DESC_BYTES];
    uint64_t at;

    if (__builtin_add_overflow(table, (uint64_t)index * DESC_BYTES, &at) ||
        q->host->dma_read(q->node, at, raw, sizeof(raw)))
        return broken(q, "a descriptor does not lie in RAM");
    decode(q, raw, out);
    return 0;
}

static void begin(struct chain *c, uint16_t id)
{
    c->id = id;
    c->slots = 1;
    c->readable = c->writable = 0;
    c->readable_bytes = c->writable_bytes = 0;
}

/* Appends the buffer of `d` to the chain. */
static int append(struct queue *q, struct chain *c, const struct descriptor *d)
{
    int writes = d->flags & DESC_F_WRITE;
    uint32_t *total = writes ? &c->writable_bytes : &c->readable_bytes;
    uint32_t count = (uint32_t)c->readable + c->writable;
    uint64_t end;

    if (!d->len)
        return 0;
    if (!writes && c->writable)
        return broken(q, "a readable buffer follows a writable one");
    if (__builtin_add_overflow(d->addr, d->len, &end))
        return broken(q, "a buffer wraps around the end of the address space");
    if (__builtin_add_overflow(*total, d->len, total)) /* 2^32 at the most (2.6.5) */
        return broken(q, "the buffers of one chain exceed 4 GiB");
    if (count == QUEUE_SIZE_MAX)
        return broken(q, "a chain has more descriptors than the queue has entries");
    c->segments[count] = (struct segment){.gpa = d->addr, .len = d->len};
    if (writes)
        c->writable++;
    else
        c->readable++;
    return 0;
}

/* The entries of the table that `d` points to, which is copied as a whole unless it is long: what
 * the guest changes meanwhile is not seen. */
static int walk_indirect(struct queue *q, const struct descriptor *d, struct chain *c)
{
    uint32_t count = d->len / DESC_BYTES, index = 0;
    uint8_t raw[TABLE_AT_ONCE * DESC_BYTES];
    int whole;

    if (!q->indirect)
        return broken(q, "an indirect descriptor, which was not negotiated");
    if (d->flags & DESC_F_NEXT)
        return broken(q, "a descriptor that is indirect and has a next one");
    if (!d->len || d->len % DESC_BYTES)
        return broken(q, "an indirect table whose length is not a multiple of 16");
    whole = count <= TABLE_AT_ONCE;
    if (whole && q->host->dma_read(q->node, d->addr, raw, (uint64_t)count * DESC_BYTES))
        return broken(q, "a descriptor does not lie in RAM");
    for (uint32_t seen = 0;; seen++) {
        struct descriptor e;
        int err = 0;

        if (seen == q->size)
            return broken(q, "a chain has more descriptors than the queue has entries");
        if (whole)
            decode(q, raw + (size_t)index * DESC_BYTES, &e);
        else
            err = fetch(q, d->addr, index, &e);
        if (!err && e.flags & DESC_F_INDIRECT)
            err = broken(q, "an indirect descriptor within an indirect table");
        if (!err)
            err = append(q, c, &e);
        if (err)
            return err;
        if (q->packed) { /* all of the table, in order (2.8.7) */
            if (++index == count)
                return 0;
            continue;
        }
        if (!(e.flags & DESC_F_NEXT))
            return 0;
        index = e.last;
        if (index >= count)
            return broken(q, "a descriptor whose next one is beyond its table");
    }
}

int chain_from_split(struct queue *q, uint16_t head, struct chain *out)
{
    uint16_t index = head;

    begin(out, head);
    for (uint32_t seen = 0;; seen++) {
        struct descriptor d;
        int err;

        if (index >= q->size)
            return broken(q, "a descriptor whose index is beyond the queue");
        if (seen == q->size)
            return broken(q, "a chain has more descriptors than the queue has entries");
        err = fetch(q, q->desc, index, &d);
        if (err)
            return err;
        if (d.flags & DESC_F_INDIRECT)
            return walk_indirect(q, &d, out);
        err = append(q, out, &d);
        if (err)
            return err;
        if (!(d.flags & DESC_F_NEXT))
            return 0;
        index = d.last;
    }
}

/* The first descriptor was seen to be available; those that follow were written before it (2.8.21).
 */
int chain_from_packed(struct queue *q, struct chain *out)
{
    uint32_t index = q->next_avail, seen = 0;
    struct descriptor d;

    begin(out, 0);
    do {
        int err;

        if (seen == q->size)
            return broken(q, "a chain has more descriptors than the queue has entries");
        err = fetch(q, q->desc, index, &d);
        if (!err && d.flags & DESC_F_INDIRECT) {
            if (seen)
                return broken(q, "an indirect descriptor within a chain");
            err = walk_indirect(q, &d, out);
        } else if (!err) {
            err = append(q, out, &d);
        }
        if (err)
            return err;
        seen++;
        index = index + 1 == q->size ? 0 : index + 1;
    } while (d.flags & DESC_F_NEXT);
    out->id = d.last; /* the last one's counts (2.8.5) */
    out->slots = (uint16_t)seen;
    return 0;
}

/* ---- data ---- */

/* What of one part lies from `offset` on. */
struct cursor {
    const struct segment *segment, *end;
    uint32_t skip; /* of *segment, bytes */
};

static struct cursor cursor_at(const struct chain *c, uint32_t part, uint32_t offset)
{
    struct cursor at = {.segment = c->segments, .end = c->segments + c->readable, .skip = offset};

    if (part == CHAIN_WRITABLE) {
        at.segment = at.end;
        at.end += c->writable;
    }
    while (at.segment < at.end && at.skip >= at.segment->len)
        at.skip -= at.segment++->len;
    return at;
}

static int64_t copy(const struct queue *q, const struct chain *c, uint32_t part, uint32_t offset,
                    uint8_t *to, const uint8_t *from, uint32_t len)
{
    struct cursor at = cursor_at(c, part, offset);
    uint32_t done = 0;

    for (; done < len && at.segment < at.end; at.segment++, at.skip = 0) {
        uint32_t n = at.segment->len - at.skip;
        uint64_t gpa = at.segment->gpa + at.skip;

        if (n > len - done)
            n = len - done;
        if (to ? q->host->dma_read(q->node, gpa, to + done, n)
               : q->host->dma_write(q->node, gpa, from + done, n))
            return -EFAULT;
        done += n;
    }
    return done;
}

int64_t chain_read(const struct queue *q, const struct chain *c, uint32_t offset, void *to,
                   uint32_t len)
{
    return copy(q, c, CHAIN_READABLE, offset, to, NULL, len);
}

int64_t chain_write(const struct queue *q, const struct chain *c, uint32_t offset, const void *from,
                    uint32_t len)
{
    return copy(q, c, CHAIN_WRITABLE, offset, NULL, from, len);
}

int chain_map(const struct queue *q, const struct chain *c, uint32_t part, uint32_t offset,
              uint32_t len, struct chain_map *out, uint32_t max)
{
    struct cursor at = cursor_at(c, part, offset);
    uint32_t dir = part == CHAIN_WRITABLE ? BP_DMA_WRITE : BP_DMA_READ, count = 0;
    int err = 0;

    while (len && !err) {
        uint64_t n;

        if (at.segment == at.end || count == max) {
            err = at.segment == at.end ? -EFAULT : -E2BIG;
            break;
        }
        n = at.segment->len - at.skip;
        if (n > len)
            n = len;
        out[count].data = q->host->dma_map(q->node, at.segment->gpa + at.skip, &n, dir);
        if (!out[count].data) {
            err = -EFAULT;
            break;
        }
        out[count++].len = n;
        len -= (uint32_t)n;
        at.skip += (uint32_t)n;
        if (at.skip == at.segment->len) {
            at.segment++;
            at.skip = 0;
        }
    }
    if (!err)
        return (int)count;
    chain_unmap(q, out, count, 0);
    return err;
}

void chain_unmap(const struct queue *q, const struct chain_map *maps, uint32_t count,
                 uint64_t written)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = written < maps[i].len ? written : maps[i].len;

        q->host->dma_unmap(q->node, maps[i].data, n);
        written -= n;
    }
}
