/* SPDX-License-Identifier: MIT
 *
 * backplane/block.h - the two ends of a disk: "bp.block/1" is a backend (an image file),
 * bp_block_port the device that uses it. host->link() joins them; they share a lock domain.
 */
#ifndef BACKPLANE_BLOCK_H
#define BACKPLANE_BLOCK_H

#include "instance.h"
BP_BEGIN

#define BP_BLOCK_ID "bp.block/1"

#define BP_BLOCK_READ 0u
#define BP_BLOCK_WRITE 1u
#define BP_BLOCK_FLUSH 2u        /* completes when all that completed before it is durable */
#define BP_BLOCK_DISCARD 3u      /* the range's content is no longer needed */
#define BP_BLOCK_WRITE_ZEROES 4u /* the range reads as zeroes afterwards */

#define BP_BLOCK_FUA 1u   /* WRITE, WRITE_ZEROES: durable on completion */
#define BP_BLOCK_UNMAP 2u /* WRITE_ZEROES: may give the space back */

struct bp_iovec {
    void *data;
    uint64_t len; /* bytes */
};

/* One request. It and what it points to belong to the backend from submit() to complete(). */
struct bp_block_request {
    uint32_t size;
    uint16_t type, flags;          /* BP_BLOCK_* */
    uint64_t offset, length;       /* bytes; multiples of the sector size */
    const struct bp_iovec *iovecs; /* READ, WRITE: together `length` bytes */
    uint32_t niovecs;
    uint32_t reserved;
    uint64_t cookie; /* the device's own */
};

#define BP_BLOCK_READONLY 1u
#define BP_BLOCK_CAN_DISCARD 2u
#define BP_BLOCK_CAN_ZERO 4u
#define BP_BLOCK_VOLATILE_CACHE 8u /* FLUSH matters */

struct bp_block_info {
    uint32_t size;
    uint32_t flags;        /* BP_BLOCK_READONLY, ... */
    uint64_t length;       /* bytes, a multiple of sector_size */
    uint32_t sector_size;  /* smallest addressable unit: 512 or 4096 */
    uint32_t optimal_size; /* a good request's granularity, bytes; a power of two */
    uint32_t max_iovecs;   /* of one request */
    uint32_t max_discard;  /* sectors in one DISCARD or WRITE_ZEROES; 0: no bound */
};

/* The device's side. */
struct bp_block_port {
    uint32_t size;
    uint32_t reserved;
    /* `request` is done: `status` is 0 or -EIO, -ENOSPC, -EROFS, -EINVAL. [dom] */
    void (*complete)(void *port_self, struct bp_block_request *request, int status);
    /* The image's size changed. Optional. [dom] */
    void (*resized)(void *port_self, uint64_t length);
};

/* The backend's side. */
struct bp_block {
    uint32_t size;
    uint32_t reserved;
    /* Called by host->link(). -EBUSY if a device is attached already. [main] */
    int (*attach)(void *self, const struct bp_block_port *port, void *port_self);
    void (*info)(void *self,
                 struct bp_block_info *out); /* out->size is set by the caller. [main] [dom] */
    /* Starts `count` requests. Every one completes, once, after submit() returned. [dom] */
    void (*submit)(void *self, struct bp_block_request *const *requests, uint32_t count);
    /* Returns when no request is in flight, all completed. Before stop and snapshot. [main] */
    void (*drain)(void *self);
    /* What the device submits from begin() to end(), inside one callback, may complete in end():
     * then nobody has to be woken for a request that is done at once. Optional, both: nothing.
     * [dom] */
    void (*begin)(void *self);
    void (*end)(void *self);
};

BP_END
#endif
