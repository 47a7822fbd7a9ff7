/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/blk/blk.h - the block device: its configuration, and what its two files share.
 */
#ifndef BLK_H
#define BLK_H

#include "virtio.h"

#define BLK_QUEUES_MAX 8u
#define BLK_SERIAL_BYTES 20u
#define BLK_SECTOR 512u        /* virtio's unit, whatever the image's is */
#define BLK_SIZE_MAX 0x400000u /* bytes of one segment */

struct blk_config {
    struct virtio_config virtio;
    struct bp_node *block;
    const char *serial;
    uint32_t queues;
    uint8_t readonly;
    uint8_t reserved[3];
};

extern const struct bp_instance_ops blk_ops;

/* struct virtio_blk_config (5.2.4) */
#define BLK_capacity 0u
#define BLK_size_max 8u
#define BLK_seg_max 12u
#define BLK_blk_size 20u
#define BLK_physical_block_exp 24u
#define BLK_alignment_offset 25u
#define BLK_min_io_size 26u
#define BLK_opt_io_size 28u
#define BLK_writeback 32u
#define BLK_num_queues 34u
#define BLK_max_discard_sectors 36u
#define BLK_max_discard_seg 40u
#define BLK_discard_sector_alignment 44u
#define BLK_max_write_zeroes_sectors 48u
#define BLK_max_write_zeroes_seg 52u
#define BLK_write_zeroes_may_unmap 56u
#define BLK_CONFIG_BYTES 60u

#define VIRTIO_BLK_F_SIZE_MAX 1u
#define VIRTIO_BLK_F_SEG_MAX 2u
#define VIRTIO_BLK_F_RO 5u
#define VIRTIO_BLK_F_BLK_SIZE 6u
#define VIRTIO_BLK_F_FLUSH 9u
#define VIRTIO_BLK_F_TOPOLOGY 10u
#define VIRTIO_BLK_F_CONFIG_WCE 11u
#define VIRTIO_BLK_F_MQ 12u
#define VIRTIO_BLK_F_DISCARD 13u
#define VIRTIO_BLK_F_WRITE_ZEROES 14u

/* Request types and status (5.2.6). */
#define VIRTIO_BLK_T_IN 0u
#define VIRTIO_BLK_T_OUT 1u
#define VIRTIO_BLK_T_FLUSH 4u
#define VIRTIO_BLK_T_GET_ID 8u
#define VIRTIO_BLK_T_DISCARD 11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u
#define VIRTIO_BLK_S_OK 0u
#define VIRTIO_BLK_S_IOERR 1u
#define VIRTIO_BLK_S_UNSUPP 2u

#define BLK_HEADER_BYTES 16u
#define BLK_RANGE_BYTES 16u /* of DISCARD and WRITE_ZEROES */
#define BLK_RANGE_UNMAP 1u

/* One request under way. */
struct blk_request {
    struct bp_block_request request;
    struct blk_request *next; /* free list, or those of the device under way */
    struct blk_request **previous;
    uint64_t epoch;      /* of the queue when it was taken: another one: it was reset meanwhile */
    uint64_t status_gpa; /* of the last byte that the device writes */
    uint32_t queue, map_count;
    uint32_t written; /* bytes for the guest, status included, if all goes well */
    uint16_t id, slots;
    struct bp_iovec iovecs[QUEUE_SIZE_MAX];
    struct chain_map maps[QUEUE_SIZE_MAX];
};

struct blk {
    struct virtio virtio;
    const struct blk_config *config;
    struct bp_peer backend;
    struct bp_block_info info;
    struct blk_request *free, *active;
    uint64_t epochs[BLK_QUEUES_MAX];
    uint32_t stale[BLK_QUEUES_MAX]; /* requests of epochs before */
    uint32_t holding; /* inside end(): what completes is shown to the driver afterwards, at once */
    uint32_t batched;
    struct bp_block_request *batch[32]; /* read from a queue, not yet submitted */
    char serial[BLK_SERIAL_BYTES];
};

/* Makes a request of a chain: VIRTIO_TAKEN after it was put into the batch, or the bytes written if
 * it is done already. */
int64_t blk_chain(struct virtio *v, uint32_t n, const struct chain *c);
/* Hands over the batch. */
void blk_submit(struct blk *b);
/* The port's complete(). */
void blk_complete(void *self, struct bp_block_request *request, int status);

#endif
