/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the virtio disk (virtio_fuzz.h): requests that the backend ends late, in another order,
 * with errors, and after resets; sizes that change; a backend without a cache or without discard.
 */
#include "virtio_fuzz.h"

#include "blk/blk.h"
#include "fakes/block.h"

#include <backplane/ext/dma_invalidate.h>

#define DISK_BYTES 0x40000u

static struct fake_block *disks[FUZZ_SETS];
static struct bp_node *nodes[FUZZ_SETS];
static struct blk_config configs[FUZZ_SETS];

static void *config(uint32_t options, uint32_t set)
{
    struct fake_block *d;

    if (!disks[set]) {
        disks[set] = fake_block_new(DISK_BYTES);
        nodes[set] = fake_peer(BP_BLOCK_ID, &fake_block_ops, disks[set]);
    }
    d = disks[set];
    d->attached = 0;
    d->fails = 0;
    d->pending_count = 0;
    d->info.length = DISK_BYTES;
    d->info.flags = (options & 1 ? 0 : BP_BLOCK_VOLATILE_CACHE) | BP_BLOCK_CAN_DISCARD |
                    (options & 2 ? 0 : BP_BLOCK_CAN_ZERO) | (options & 4 ? BP_BLOCK_READONLY : 0);
    d->info.sector_size = options & 8 ? 4096 : 512;
    d->info.max_iovecs = options & 0x10 ? 3 : 256;
    configs[set] = (struct blk_config){
        .block = nodes[set], .queues = 1 + (options >> 5 & 3), .readonly = options >> 7 & 1};
    return &configs[set];
}

static uint32_t queues(uint32_t options)
{
    return 1 + (options >> 5 & 3);
}

static void event(struct rig *r, struct fuzz_input *in, uint32_t set)
{
    static const int errors[] = {0, 0, 0, -5, -28, -4, -22, -95};
    struct fake_block *d = disks[set];
    uint32_t what = (uint32_t)fuzz_take(in, 1);
    const struct bp_dma_invalidate *dma;

    switch (what & 3) {
    case 0:
    case 1:
        d->fails = errors[what >> 3 & 7];
        fake_block_complete(d, what & 1);
        break;
    case 2:
        d->info.length = fuzz_take(in, 1) * 4096 % (DISK_BYTES + 1);
        d->port->resized(d->port_self, d->info.length);
        break;
    default:
        dma = fake_ops(r->host)->extension(fake_self(r->host), BP_DMA_INVALIDATE_ID);
        dma->invalidate(fake_self(r->host));
        assert_int_equal(d->pending_count, 0);
    }
}

static void settle(uint32_t set)
{
    disks[set]->fails = 0;
    fake_block_complete(disks[set], 0);
    disks[set]->info.length = DISK_BYTES;
    disks[set]->port->resized(disks[set]->port_self, DISK_BYTES);
}

/* Reads two sectors of 4096 bytes. */
static void probe(struct rig *r, uint32_t set)
{
    static const uint8_t header[16] = {0, 0, 0, 0, 0, 0, 0, 0, 8};
    const struct rig_buffer b[] = {
        {RIG_DATA, 16, 0}, {RIG_DATA + 0x1000, 8192, 1}, {RIG_DATA + 0x4000, 1, 1}};
    uint16_t id = rig_add(r, 0, b, 3), got = 0;
    uint32_t len = 0;

    memcpy(rig_ram(r, RIG_DATA), header, 16);
    *rig_ram(r, RIG_DATA + 0x4000) = 0xff;
    rig_notify(r, 0);
    fake_poll(r->host, 0);
    fake_block_complete(disks[set], 0);
    assert_true(rig_used(r, 0, &got, &len));
    assert_int_equal(got, id);
    assert_int_equal(len, 8193);
    assert_int_equal(*rig_ram(r, RIG_DATA + 0x4000), 0);
    assert_memory_equal(rig_ram(r, RIG_DATA + 0x1000), disks[set]->data + 4096, 8192);
}

const struct fuzz_device fuzz_device = {
    .model = "blk",
    .config = config,
    .queues = queues,
    .event = event,
    .settle = settle,
    .probe = probe,
};
