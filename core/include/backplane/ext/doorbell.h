/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/doorbell.h - "bp.doorbell/1": guest writes that only wake somebody (ioeventfd), and
 * interrupts raised from any thread by writing an fd (irqfd). Devices ask their host for it
 * (host->extension(node, BP_DOORBELL_ID)); the host asks the CPU backend. A host without it answers
 * NULL, and the device's ordinary write callback does the work.
 */
#ifndef BACKPLANE_EXT_DOORBELL_H
#define BACKPLANE_EXT_DOORBELL_H

#include "../host.h"
BP_BEGIN

#define BP_DOORBELL_ID "bp.doorbell/1"

#define BP_DOORBELL_ANY_VALUE UINT64_MAX

/* As the host offers it. Doorbells of an instance end with it. */
struct bp_doorbell {
    uint32_t size;
    uint32_t reserved;
    /* Writes of `width` bytes (0: any) and of `value` (or ANY_VALUE) at `offset` of `region`,
     * wherever that is mapped, add 1 to the eventfd `fd` and never reach the region's write().
     * -ENOSPC if the backend has no more, -EINVAL. [main] [dom] */
    int (*ring_fd)(struct bp_node *node, struct bp_region *region, uint64_t offset, uint32_t width,
                   uint64_t value, int fd);
    /* Ends it. -ENOENT. [main] [dom] */
    int (*unring_fd)(struct bp_node *node, struct bp_region *region, uint64_t offset,
                     uint32_t width, uint64_t value, int fd);
    /* A write to the eventfd `fd` delivers this message; the same fd again changes it. [main] [dom]
     */
    int (*msi_fd)(struct bp_node *node, int fd, uint64_t address, uint32_t data);
    /* Ends it. -ENOENT. [main] [dom] */
    int (*unmsi_fd)(struct bp_node *node, int fd);
};

/* As a CPU backend offers it through bp_cpu_ops.extension. Addresses instead of regions. */
struct bp_cpu_doorbell {
    uint32_t size;
    uint32_t reserved;
    /* `on` 1 adds, 0 removes. `space` BP_SPACE_*. [any] */
    int (*ioeventfd)(void *vm, uint32_t space, uint64_t address, uint32_t width, uint64_t value,
                     int fd, uint32_t on);
    /* `on` 1 adds or changes, 0 removes. [any] */
    int (*irqfd)(void *vm, int fd, uint64_t address, uint32_t data, uint32_t on);
};

BP_END
#endif
