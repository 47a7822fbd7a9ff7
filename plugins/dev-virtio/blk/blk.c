/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/blk/blk.c - the block device (virtio 1.2, 5.2) on a backend of kind BLOCK: its
 * configuration space, features and life. request.c has what happens to a request.
 *
 * Requests may complete in any order, and all of them are complete when the machine is paused. Left
 * out: zoned devices, secure erase, lifetime; and the SCSI passthrough of older versions.
 */
#include "blk/blk.h"

#include <backplane/ext/dma_invalidate.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_STORAGE 0x018000u

static void kicked(struct virtio *v, uint32_t n)
{
    struct blk *b = (struct blk *)v;
    const struct bp_block *ops = b->backend.ops;

    ops->begin(b->backend.self);
    virtio_run(v, n);
    blk_submit(b);
    b->holding = 1;
    ops->end(b->backend.self);
    b->holding = 0;
    for (uint32_t i = 0; i < v->queue_count; i++)
        if (v->queues[i].staged_count)
            virtio_publish(v, i);
}

static uint32_t busy(const struct virtio *v, uint32_t n)
{
    return ((const struct blk *)v)->stale[n];
}

/* What is under way for queue `n` is not the guest's any more. */
static void forget(struct blk *b, uint32_t n)
{
    b->stale[n] = 0;
    b->epochs[n]++;
    for (const struct blk_request *r = b->active; r; r = r->next)
        b->stale[n] += r->queue == n;
}

static void queue_forgotten(struct virtio *v, uint32_t n)
{
    forget((struct blk *)v, n);
}

static void fill_config(struct blk *b)
{
    uint8_t *config = b->virtio.config;
    uint32_t size = b->virtio.queues[0].max_size;
    uint32_t sectors = b->info.max_discard ? b->info.max_discard : UINT32_MAX / BLK_SECTOR;
    uint32_t unit = b->info.sector_size / BLK_SECTOR, exponent = 0;
    uint32_t optimal = b->info.optimal_size;

    if (!b->info.max_discard)
        sectors = sectors / unit * unit;
    else if (__builtin_mul_overflow(sectors, unit, &sectors))
        sectors = UINT32_MAX / unit * unit;
    while (exponent < 16 && (b->info.sector_size << (exponent + 1)) <= optimal)
        exponent++;
    bp_put_le64(config + BLK_capacity, b->info.length / BLK_SECTOR);
    bp_put_le32(config + BLK_size_max, BLK_SIZE_MAX);
    bp_put_le32(config + BLK_seg_max, size > 2 ? size - 2 : 1);
    if (bp_le32(config + BLK_seg_max) > b->info.max_iovecs)
        bp_put_le32(config + BLK_seg_max, b->info.max_iovecs);
    bp_put_le32(config + BLK_blk_size, b->info.sector_size);
    config[BLK_physical_block_exp] = (uint8_t)exponent;
    bp_put_le16(config + BLK_min_io_size, 1);
    bp_put_le32(config + BLK_opt_io_size, optimal / b->info.sector_size);
    config[BLK_writeback] = !!(b->info.flags & BP_BLOCK_VOLATILE_CACHE);
    bp_put_le16(config + BLK_num_queues, (uint16_t)b->config->queues);
    bp_put_le32(config + BLK_max_discard_sectors, sectors);
    bp_put_le32(config + BLK_max_discard_seg, 1);
    bp_put_le32(config + BLK_discard_sector_alignment, unit);
    bp_put_le32(config + BLK_max_write_zeroes_sectors, sectors);
    bp_put_le32(config + BLK_max_write_zeroes_seg, 1);
    config[BLK_write_zeroes_may_unmap] = !!(b->info.flags & BP_BLOCK_CAN_DISCARD);
}

static uint64_t features(const struct blk *b)
{
    uint64_t bits = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
                    BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY);
    int readonly = b->config->readonly || b->info.flags & BP_BLOCK_READONLY;

    if (readonly)
        bits |= BIT(VIRTIO_BLK_F_RO);
    if (b->info.flags & BP_BLOCK_VOLATILE_CACHE)
        bits |= BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE);
    if (!readonly && b->info.flags & BP_BLOCK_CAN_DISCARD)
        bits |= BIT(VIRTIO_BLK_F_DISCARD);
    if (!readonly && b->info.flags & BP_BLOCK_CAN_ZERO)
        bits |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
    if (b->config->queues > 1)
        bits |= BIT(VIRTIO_BLK_F_MQ);
    return bits;
}

/* Only `writeback` can be written (5.2.4.2): the cache's mode. */
static void config_written(struct virtio *v, uint32_t offset, uint32_t value, uint32_t width)
{
    if (offset != BLK_writeback || width != 1 || value > 1 ||
        !virtio_has(v, VIRTIO_BLK_F_CONFIG_WCE)) {
        virtio_guest(v, "a write to the disk's configuration that is none of its cache mode was "
                        "ignored");
        return;
    }
    v->config[BLK_writeback] = (uint8_t)value;
}

static void reset(struct virtio *v)
{
    struct blk *b = (struct blk *)v;

    for (uint32_t n = 0; n < v->queue_count; n++)
        forget(b, n);
    v->config[BLK_writeback] = !!(b->info.flags & BP_BLOCK_VOLATILE_CACHE);
}

static void drain(struct virtio *v)
{
    struct blk *b = (struct blk *)v;
    const struct bp_block *ops = b->backend.ops;

    ops->drain(b->backend.self);
}

/* Snapshots of a disk that has another size by now. */
static int after_load(struct virtio *v)
{
    struct blk *b = (struct blk *)v;
    uint8_t capacity[8];

    bp_put_le64(capacity, b->info.length / BLK_SECTOR);
    if (memcmp(capacity, v->config + BLK_capacity, sizeof(capacity)) != 0) {
        memcpy(v->config + BLK_capacity, capacity, sizeof(capacity));
        virtio_config_changed(v);
    }
    return 0;
}

static void invalidate(void *self)
{
    drain(self);
}

static const struct bp_dma_invalidate dma_invalidate = {
    .size = sizeof(struct bp_dma_invalidate),
    .invalidate = invalidate,
};

static const void *extension(struct virtio *v, const char *id)
{
    (void)v;
    return strcmp(id, BP_DMA_INVALIDATE_ID) ? NULL : &dma_invalidate;
}

static void destroy(struct virtio *v)
{
    struct blk *b = (struct blk *)v;
    struct blk_request *next;

    for (struct blk_request *r = b->free; r; r = next) {
        next = r->next;
        free(r);
    }
}

static void port_resized(void *self, uint64_t length)
{
    struct blk *b = self;

    b->info.length = length - length % b->info.sector_size;
    bp_put_le64(b->virtio.config + BLK_capacity, b->info.length / BLK_SECTOR);
    virtio_config_changed(&b->virtio);
}

static const struct bp_block_port port = {
    .size = sizeof(struct bp_block_port),
    .complete = blk_complete,
    .resized = port_resized,
};

static const struct virtio_device device = {
    .id = 2,
    .class_code = CLASS_STORAGE,
    .kicked = kicked,
    .chain = blk_chain,
    .reset = reset,
    .queue_reset = queue_forgotten,
    .config_written = config_written,
    .busy = busy,
    .destroy = destroy,
    .stop = drain,
    .after_load = after_load,
    .extension = extension,
};

static int open_backend(struct blk *b, const struct bp_host *host, struct bp_node *node)
{
    const struct blk_config *c = b->config;
    const struct bp_block *ops;
    int err = host->link(node, c->block, BP_BLOCK_ID, &port, b, &b->backend);

    if (err)
        return bp_failf(host, node, err,
                        "cannot use the section that `block` names: %s; name a block backend that "
                        "no other device uses",
                        strerror(-err));
    ops = b->backend.ops;
    b->info.size = sizeof(b->info);
    ops->info(b->backend.self, &b->info);
    if ((b->info.sector_size != 512 && b->info.sector_size != 4096) || !b->info.max_iovecs ||
        b->info.length % b->info.sector_size)
        return bp_failf(host, node, -EINVAL,
                        "the block backend has sectors of %u bytes and %llu bytes in all; expected "
                        "sectors of 512 or 4096 bytes, and a whole number of them",
                        b->info.sector_size, (unsigned long long)b->info.length);
    return 0;
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct blk_config *c = config;
    const char *serial = c->serial ? c->serial : host->name(node);
    struct blk *b;
    int err;

    if (c->serial && strlen(c->serial) > BLK_SERIAL_BYTES)
        return bp_failf(host, node, -EINVAL,
                        "serial has %zu bytes; a disk's serial number has at most %u",
                        strlen(c->serial), BLK_SERIAL_BYTES);
    b = virtio_alloc(host, node, &device, sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->config = c;
    memcpy(b->serial, serial, strnlen(serial, BLK_SERIAL_BYTES));
    err = open_backend(b, host, node);
    if (!err) {
        b->virtio.config_bytes = BLK_CONFIG_BYTES;
        b->virtio.queues[0].max_size = (uint16_t)c->virtio.queue_size;
        fill_config(b);
        err = virtio_init(&b->virtio, &c->virtio, c->queues, features(b));
    }
    if (err) {
        virtio_free(&b->virtio);
        return err;
    }
    *self = b;
    return 0;
}

static const struct bp_field fields[] = {VIRTIO_FIELDS, {.name = NULL}};

const struct bp_instance_ops blk_ops = VIRTIO_INSTANCE(create, fields);
