/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/blk/request.c - one request, from the guest's chain to the backend and back
 * (virtio 1.2, 5.2.6).
 *
 *     readable: le32 type, reserved, le64 sector, data or ranges     writable: data, status
 *
 * Data is not copied: the backend reads and writes guest memory. The header is copied once.
 *
 * Errors. A request that breaks a rule, or that the backend could not do, ends with IOERR (UNSUPP
 * for a type that was not offered), is logged, and the queue goes on: a disk that is full or broken
 * is the guest's to handle, as a real one is. A machine that stands still because of it could not
 * even save its data elsewhere. A chain with no byte for a status is given back empty.
 */
#include "blk/blk.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The guest-physical address of byte `at` of the writable part, which there is. */
static uint64_t writable_gpa(const struct chain *c, uint32_t at)
{
    const struct segment *s = c->segments + c->readable;

    while (at >= s->len)
        at -= s++->len;
    return s->gpa + at;
}

/* Ends a request with `status`, after `data` bytes of what the guest reads were written. What the
 * used ring says counts from the start without gaps (2.7.8.2). */
static int64_t finish_data(struct blk *b, uint32_t n, const struct chain *c, uint8_t status,
                           uint32_t data)
{
    struct virtio *v = &b->virtio;

    if (chain_write(&v->queues[n], c, c->writable_bytes - 1, &status, 1) != 1) {
        virtio_guest(v, "a request's status byte is not in RAM");
        return 0;
    }
    return data == c->writable_bytes - 1 ? c->writable_bytes : data;
}

static int64_t finish(struct blk *b, uint32_t n, const struct chain *c, uint8_t status)
{
    return finish_data(b, n, c, status, 0);
}

static int64_t fail(struct blk *b, uint32_t n, const struct chain *c, const char *why)
{
    virtio_guest(&b->virtio, why);
    return finish(b, n, c, VIRTIO_BLK_S_IOERR);
}

static struct blk_request *take(struct blk *b)
{
    struct blk_request *r = b->free;

    if (r)
        b->free = r->next;
    else
        r = malloc(sizeof(*r));
    if (!r)
        return NULL;
    r->next = b->active;
    r->previous = &b->active;
    if (r->next)
        r->next->previous = &r->next;
    b->active = r;
    return r;
}

static void put(struct blk *b, struct blk_request *r)
{
    *r->previous = r->next;
    if (r->next)
        r->next->previous = r->previous;
    r->next = b->free;
    b->free = r;
}

void blk_submit(struct blk *b)
{
    const struct bp_block *ops = b->backend.ops;
    uint32_t count = b->batched;

    b->batched = 0;
    if (count)
        ops->submit(b->backend.self, b->batch, count);
}

static int64_t submit(struct blk *b, uint32_t n, const struct chain *c, struct blk_request *r)
{
    r->queue = n;
    r->epoch = b->epochs[n];
    r->id = c->id;
    r->slots = c->slots;
    r->status_gpa = writable_gpa(c, c->writable_bytes - 1);
    r->request.size = sizeof(r->request);
    r->request.reserved = 0;
    r->request.iovecs = r->iovecs;
    r->request.niovecs = r->map_count;
    r->request.cookie = 0;
    if (b->batched == sizeof(b->batch) / sizeof(b->batch[0]))
        blk_submit(b);
    b->batch[b->batched++] = &r->request;
    return VIRTIO_TAKEN;
}

/* [sector, sector + bytes) lies on the disk and begins and ends with sectors of the image. */
static int is_on_disk(const struct blk *b, uint64_t sector, uint64_t bytes)
{
    uint64_t at, end;

    return !__builtin_mul_overflow(sector, BLK_SECTOR, &at) &&
           !__builtin_add_overflow(at, bytes, &end) && end <= b->info.length &&
           at % b->info.sector_size == 0 && bytes % b->info.sector_size == 0;
}

static int is_readonly(const struct blk *b)
{
    return b->config->readonly || b->info.flags & BP_BLOCK_READONLY;
}

/* Write-through (5.2.6.2): the driver did not ask for a cache, or switched it off. */
static uint16_t durability(const struct blk *b)
{
    const struct virtio *v = &b->virtio;
    int cached = virtio_has(v, VIRTIO_BLK_F_CONFIG_WCE) ? v->config[BLK_writeback]
                                                        : virtio_has(v, VIRTIO_BLK_F_FLUSH);

    return (uint16_t)(cached || !(b->info.flags & BP_BLOCK_VOLATILE_CACHE) ? 0u : BP_BLOCK_FUA);
}

static int64_t transfer(struct blk *b, uint32_t n, const struct chain *c, uint64_t sector,
                        int is_write)
{
    struct virtio *v = &b->virtio;
    uint32_t bytes = is_write ? c->readable_bytes - BLK_HEADER_BYTES : c->writable_bytes - 1;
    const struct segment *s = c->segments + (is_write ? 0 : c->readable);
    const struct segment *end = s + (is_write ? c->readable : c->writable);
    struct blk_request *r;
    int count;

    if (is_write && is_readonly(b))
        return fail(b, n, c, "a write to a disk that is read-only");
    if (!is_on_disk(b, sector, bytes))
        return fail(b, n, c, "a request beyond the disk's end, or for parts of a sector");
    for (; virtio_has(v, VIRTIO_BLK_F_SIZE_MAX) && s < end; s++)
        if (s->len > BLK_SIZE_MAX)
            return fail(b, n, c, "a segment longer than size_max");
    if (!bytes)
        return finish(b, n, c, VIRTIO_BLK_S_OK);
    r = take(b);
    if (!r)
        return fail(b, n, c, "no memory for a request");
    count = chain_map(&v->queues[n], c, is_write ? CHAIN_READABLE : CHAIN_WRITABLE,
                      is_write ? BLK_HEADER_BYTES : 0, bytes, r->maps, QUEUE_SIZE_MAX);
    if (count < 0 || (uint32_t)count > b->info.max_iovecs) {
        if (count > 0)
            chain_unmap(&v->queues[n], r->maps, (uint32_t)count, 0);
        put(b, r);
        return fail(b, n, c, "a request's data is not in RAM, or in more pieces than seg_max");
    }
    for (int i = 0; i < count; i++)
        r->iovecs[i] = (struct bp_iovec){.data = r->maps[i].data, .len = r->maps[i].len};
    r->map_count = (uint32_t)count;
    r->written = is_write ? 1 : bytes + 1;
    r->request.type = is_write ? BP_BLOCK_WRITE : BP_BLOCK_READ;
    r->request.flags = is_write ? durability(b) : 0;
    r->request.offset = sector * BLK_SECTOR;
    r->request.length = bytes;
    return submit(b, n, c, r);
}

static int64_t submit_plain(struct blk *b, uint32_t n, const struct chain *c, uint16_t type,
                            uint16_t flags, uint64_t offset, uint64_t length)
{
    struct blk_request *r = take(b);

    if (!r)
        return fail(b, n, c, "no memory for a request");
    r->map_count = 0;
    r->written = 1;
    r->request.type = type;
    r->request.flags = flags;
    r->request.offset = offset;
    r->request.length = length;
    return submit(b, n, c, r);
}

static int64_t flush(struct blk *b, uint32_t n, const struct chain *c)
{
    if (!(b->info.flags & BP_BLOCK_VOLATILE_CACHE))
        return finish(b, n, c, VIRTIO_BLK_S_OK);
    return submit_plain(b, n, c, BP_BLOCK_FLUSH, 0, 0, 0);
}

/* DISCARD and WRITE_ZEROES with the one range that max_*_seg allows (5.2.6.2). */
static int64_t erase(struct blk *b, uint32_t n, const struct chain *c, int is_discard)
{
    struct virtio *v = &b->virtio;
    uint8_t raw[BLK_RANGE_BYTES];
    uint64_t sector, count;
    uint32_t flags, max;

    if (!virtio_has(v, is_discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
        return finish(b, n, c, VIRTIO_BLK_S_UNSUPP);
    if (c->readable_bytes != BLK_HEADER_BYTES + BLK_RANGE_BYTES ||
        chain_read(&v->queues[n], c, BLK_HEADER_BYTES, raw, sizeof(raw)) != sizeof(raw))
        return fail(b, n, c, "a discard or write-zeroes request that has not just one range");
    sector = bp_le64(raw);
    count = bp_le32(raw + 8);
    flags = bp_le32(raw + 12);
    max =
        bp_le32(v->config + (is_discard ? BLK_max_discard_sectors : BLK_max_write_zeroes_sectors));
    if (flags & ~BLK_RANGE_UNMAP || (is_discard && flags)) {
        virtio_guest(v, "a discard or write-zeroes request with flags that do not exist");
        return finish(b, n, c, VIRTIO_BLK_S_UNSUPP);
    }
    if (is_readonly(b))
        return fail(b, n, c, "a write to a disk that is read-only");
    if (count > max || !is_on_disk(b, sector, count * BLK_SECTOR))
        return fail(b, n, c, "a request beyond the disk's end, or for parts of a sector");
    if (!count)
        return finish(b, n, c, VIRTIO_BLK_S_OK);
    if (is_discard)
        return submit_plain(b, n, c, BP_BLOCK_DISCARD, 0, sector * BLK_SECTOR, count * BLK_SECTOR);
    return submit_plain(b, n, c, BP_BLOCK_WRITE_ZEROES,
                        (uint16_t)(durability(b) | (flags & BLK_RANGE_UNMAP ? BP_BLOCK_UNMAP : 0)),
                        sector * BLK_SECTOR, count * BLK_SECTOR);
}

static int64_t get_id(struct blk *b, uint32_t n, const struct chain *c)
{
    struct virtio *v = &b->virtio;
    uint32_t len = c->writable_bytes - 1;

    if (len > BLK_SERIAL_BYTES)
        len = BLK_SERIAL_BYTES;
    if (chain_write(&v->queues[n], c, 0, b->serial, len) < 0)
        return fail(b, n, c, "a request's data is not in RAM");
    return finish_data(b, n, c, VIRTIO_BLK_S_OK, len);
}

int64_t blk_chain(struct virtio *v, uint32_t n, const struct chain *c)
{
    struct blk *b = (struct blk *)v;
    uint8_t header[BLK_HEADER_BYTES];
    uint64_t sector;

    if (!c->writable_bytes) {
        virtio_guest(v, "a request without a status byte");
        return 0;
    }
    if (c->readable_bytes < BLK_HEADER_BYTES ||
        chain_read(&v->queues[n], c, 0, header, sizeof(header)) != sizeof(header))
        return fail(b, n, c, "a request without a complete header in RAM");
    sector = bp_le64(header + 8);
    switch (bp_le32(header)) {
    case VIRTIO_BLK_T_IN:
        return transfer(b, n, c, sector, 0);
    case VIRTIO_BLK_T_OUT:
        return transfer(b, n, c, sector, 1);
    case VIRTIO_BLK_T_FLUSH:
        return flush(b, n, c);
    case VIRTIO_BLK_T_GET_ID:
        return get_id(b, n, c);
    case VIRTIO_BLK_T_DISCARD:
        return erase(b, n, c, 1);
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return erase(b, n, c, 0);
    default:
        return finish(b, n, c, VIRTIO_BLK_S_UNSUPP);
    }
}

static const char *what_of(uint16_t type)
{
    static const char *const names[] = {
        [BP_BLOCK_READ] = "read",
        [BP_BLOCK_WRITE] = "write",
        [BP_BLOCK_FLUSH] = "flush",
        [BP_BLOCK_DISCARD] = "discard",
        [BP_BLOCK_WRITE_ZEROES] = "write zeroes",
    };

    return names[type];
}

void blk_complete(void *self, struct bp_block_request *request, int status)
{
    struct blk *b = self;
    struct virtio *v = &b->virtio;
    struct blk_request *r = (struct blk_request *)request; /* its first member */
    struct queue *q = &v->queues[r->queue];
    uint32_t n = r->queue, written = r->written;
    uint8_t code = status ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;

    if (status && request->type == BP_BLOCK_READ)
        written = 0;
    chain_unmap(q, r->maps, r->map_count, request->type == BP_BLOCK_READ ? request->length : 0);
    if (status)
        bp_logf(v->host, v->node, BP_LOG_WARN,
                "cannot %s %llu bytes at %llu: %s; the guest is told", what_of(request->type),
                (unsigned long long)request->length, (unsigned long long)request->offset,
                strerror(-status));
    put(b, r);
    if (r->epoch != b->epochs[n]) { /* the queue was reset: the guest has its buffers back */
        b->stale[n]--;
        virtio_idle(v);
        return;
    }
    if (v->status & STATUS_NEEDS_RESET)
        return;
    if (v->host->dma_write(v->node, r->status_gpa, &code, 1)) {
        virtio_guest(v, "a request's status byte is not in RAM");
        written = 0;
    }
    queue_stage(q, r->id, r->slots, written);
    if (!b->holding || q->staged_count == QUEUE_STAGED)
        virtio_publish(v, n);
}
