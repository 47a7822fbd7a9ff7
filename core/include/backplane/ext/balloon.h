/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/balloon.h - "bp.balloon/1", offered by a device by which the guest gives memory
 * back: for services that decide how much (host->peer()). All functions lock for themselves.
 */
#ifndef BACKPLANE_EXT_BALLOON_H
#define BACKPLANE_EXT_BALLOON_H

#include "../abi.h"
BP_BEGIN

#define BP_BALLOON_ID "bp.balloon/1"

#define BP_BALLOON_UNKNOWN UINT64_MAX /* of a statistic: the guest did not say */

/* As the guest told them last (virtio 1.2, 5.5.6.4): bytes, or counts since its start. */
struct bp_balloon_stats {
    uint32_t size;
    uint32_t reserved;
    uint64_t updates; /* how often it has told; 0: nothing below is known */
    uint64_t swap_in, swap_out, major_faults, minor_faults, free_memory, total_memory;
    uint64_t available_memory, disk_caches, hugetlb_allocations, hugetlb_failures;
};

struct bp_balloon {
    uint32_t size;
    uint32_t reserved;
    /* Asks the guest to give back `bytes` in all, rounded down to pages. It may give less, or take
     * its time. [any] */
    void (*set_target)(void *self, uint64_t bytes);
    /* What it was asked for, and what it says it has given. [any] */
    uint64_t (*target)(void *self);
    uint64_t (*actual)(void *self);
    void (*stats)(void *self,
                  struct bp_balloon_stats *out); /* out->size is set by the caller. [any] */
};

BP_END
#endif
