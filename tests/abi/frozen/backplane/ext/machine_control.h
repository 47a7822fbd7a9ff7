/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/machine_control.h - "bp.machine-control/1", offered by the host to services: see
 * and steer the machine.
 */
#ifndef BACKPLANE_EXT_MACHINE_CONTROL_H
#define BACKPLANE_EXT_MACHINE_CONTROL_H

#include "../host.h"
BP_BEGIN

#define BP_MACHINE_CONTROL_ID "bp.machine-control/1"

#define BP_MACHINE_BUILT 0u /* not yet started */
#define BP_MACHINE_RUNNING 1u
#define BP_MACHINE_PAUSED 2u
#define BP_MACHINE_STOPPED 3u

struct bp_instance_info {
    uint32_t size;
    uint32_t kind; /* BP_KIND_* */
    const char *name, *plugin, *model;
};

struct bp_machine_control {
    uint32_t size;
    uint32_t reserved;
    /* BP_MACHINE_*. [any] */
    uint32_t (*state)(struct bp_node *node);
    /* Fills *out for the instance number `index`; -ENOENT past the last. [any] */
    int (*instance)(struct bp_node *node, uint32_t index, struct bp_instance_info *out);
    uint32_t (*vcpus)(struct bp_node *node); /* [any] */
    /* Ask for it and return at once; `changed` of subscribe() tells when it is so. Of pause and
     * resume the later holds. A service's own callbacks go on while the machine is paused, its
     * timers, in guest time, do not. [any] */
    void (*pause)(struct bp_node *node);
    void (*resume)(struct bp_node *node);
    void (*reset)(struct bp_node *node);
    void (*stop)(struct bp_node *node);
    /* Guest memory, as host->dma_read and dma_write. [any] */
    int (*read)(struct bp_node *node, uint64_t gpa, void *to, uint64_t len);
    int (*write)(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len);
    /* A register set of vCPU `index`, as bp_cpu_ops.regs_get and regs_set. -EBUSY unless PAUSED.
     * [dom] */
    int (*regs_get)(struct bp_node *node, uint32_t index, const char *set, void *regs,
                    uint32_t size);
    int (*regs_set)(struct bp_node *node, uint32_t index, const char *set, const void *regs,
                    uint32_t size);
    /* `changed(self, state)` is called after each change of state, in the service's domain. [main]
     */
    int (*subscribe)(struct bp_node *node, void (*changed)(void *self, uint32_t state), void *self);
};

BP_END
#endif
