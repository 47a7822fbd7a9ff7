/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/posted.h - "bp.posted/1", offered by a CPU backend: writes of the guest's that wait
 * in a queue instead of interrupting it (KVM's coalesced MMIO). For which registers a device allows
 * that is in its table (BP_REG_POSTED of host.h); the host knows where they are and asks for it.
 */
#ifndef BACKPLANE_EXT_POSTED_H
#define BACKPLANE_EXT_POSTED_H

#include "../abi.h"
BP_BEGIN

#define BP_POSTED_ID "bp.posted/1"

/* The backend hands over the queue, by bp_bus.mmio_write, whenever a vCPU leaves the guest and
 * before anything that it left for is answered. */
struct bp_cpu_posted {
    uint32_t size;
    uint32_t reserved;
    /* Writes to memory-mapped registers that lie in [gpa, gpa + length) wait from now on (`on` 1),
     * or no longer (0); those that wait already are handed over all the same. -ENOSPC if the
     * backend has no more room for ranges, or another -errno. [any] */
    int (*post)(void *vm, uint64_t gpa, uint64_t length, uint32_t on);
    /* Hands over what waits, in order, by calls of `write`. When it returns, all that waited before
     * the call has arrived, by this call or by another thread's. [any], in no lock domain */
    void (*deliver)(void *vm,
                    void (*write)(void *context, uint64_t gpa, uint64_t value, uint32_t width),
                    void *context);
};

BP_END
#endif
