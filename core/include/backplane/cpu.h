/* SPDX-License-Identifier: MIT
 *
 * backplane/cpu.h - a CPU backend. It runs guest code, and calls the bus itself for what is not
 * RAM: a device access is a call, not a reason to leave vcpu_run().
 */
#ifndef BACKPLANE_CPU_H
#define BACKPLANE_CPU_H

#include "host.h"
BP_BEGIN

/* What lies at one address, good until *bp_bus.generation changes. Memory: `ram` is set. A device:
 * `ops` and `self` are; call it only between bus->enter and leave unless ops->flags has UNLOCKED.
 */
struct bp_slot {
    uint64_t base, length; /* the stretch of one kind around the address, bytes */
    uint8_t *ram;          /* host address of `base`, or NULL */
    uint32_t ram_flags;    /* BP_RAM_* */
    uint32_t generation;   /* of the map this was read from: for enter() */
    uint64_t offset;       /* of `base` in the device's region */
    const struct bp_region_ops *ops;
    void *self;
    struct bp_region *region;
};

/* The bus as vCPUs see it. Unclaimed reads give all ones, unclaimed writes are dropped. Any width
 * from 1 to 8 (PIO: 4) at any alignment; the bus splits and widens. */
struct bp_bus {
    uint32_t size;
    uint32_t reserved;
    const uint32_t *generation; /* load-acquire; changes whenever any mapping changes */
    uint64_t (*mmio_read)(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width); /* [vcpu] */
    void (*mmio_write)(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value,
                       uint32_t width);                                        /* [vcpu] */
    uint32_t (*pio_read)(struct bp_vcpu *vcpu, uint16_t port, uint32_t width); /* [vcpu] */
    void (*pio_write)(struct bp_vcpu *vcpu, uint16_t port, uint32_t value,
                      uint32_t width); /* [vcpu] */
    /* Describes what lies at `gpa`. 0; -ENOENT if nothing does, with base and length of the gap.
     * For a software TLB, and for decoders. [vcpu] */
    int (*resolve)(struct bp_vcpu *vcpu, uint64_t gpa, struct bp_slot *out);
    /* Takes the lock domain of the region in `slot`; -ESTALE if the map has changed since. [vcpu]
     */
    int (*enter)(struct bp_vcpu *vcpu, const struct bp_slot *slot);
    void (*leave)(struct bp_vcpu *vcpu, const struct bp_slot *slot);
};

/* What a backend can do here: the result of probe(). */
#define BP_CPU_IRQCHIP                                                                             \
    1u /* irq() and msi() work: PIC, I/O APIC, PIT and local APICs are its own; goes with          \
        * BP_MODEL_IRQCHIP of its model */
#define BP_CPU_SNAPSHOT 2u /* every register set is complete */

struct bp_mem_slot {
    uint32_t size;
    uint32_t index; /* small and stable: a slot with the same index is replaced */
    uint32_t flags; /* BP_RAM_READONLY */
    uint32_t reserved;
    uint64_t gpa, length; /* bytes, multiples of 4096; length 0 removes the slot */
    uint8_t *host;        /* stays mapped while the slot exists */
};

/* Why vcpu_run() came back, >= 0. */
#define BP_STOP_KICKED 0       /* vcpu_kick() was called */
#define BP_STOP_TRIPLE_FAULT 1 /* shutdown state: the machine decides */
#define BP_STOP_DEBUG 2        /* breakpoint or single step */

/* Time, as pause() is told. */
#define BP_TIME_STOPPED 0u
#define BP_TIME_RUNS 1u

struct bp_cpu_ops {
    uint32_t size;
    uint32_t reserved;
    /* Can this backend run a stock guest on this host? BP_CPU_* bits; or -ENODEV, -EACCES, -ENOTSUP
     * after host->fail() with one sentence. `auto` tries the next one then. Leaves nothing open.
     * The machine is not there yet: regions, watches and timers cannot be had. [main] */
    int64_t (*probe)(const struct bp_host *host, struct bp_node *node);
    int (*vm_create)(const struct bp_host *host, struct bp_node *node, const void *config,
                     uint32_t vcpus, void **vm); /* [main] */
    void (*vm_destroy)(void *vm);                /* after every vcpu_destroy(). [main] */
    /* BP_CPU_* bits of this VM. [main] */
    uint32_t (*vm_features)(void *vm);
    /* Adds, replaces or removes one stretch of guest memory. vCPUs may be running: while a slot is
     * replaced they may find nothing there, and go to the bus, which answers for memory too. [any]
     */
    int (*mem_set)(void *vm, const struct bp_mem_slot *slot);
    /* `index` counts from 0 and is the processor's hardware ID (x86: APIC ID). On the thread that
     * will run it, as Hypervisor.framework demands. [vcpu] */
    int (*vcpu_create)(void *vm, uint32_t index, struct bp_vcpu *vcpu, const struct bp_bus *bus,
                       void **self);
    void (*vcpu_destroy)(void *self); /* [vcpu] */
    /* Power-on state: vCPU 0 at its reset vector, the others waiting to be started by it. [vcpu] */
    int (*vcpu_reset)(void *self);
    /* Runs guest code until a BP_STOP_* reason; or -errno after host->fail(). HLT waits inside.
     * [vcpu] */
    int (*vcpu_run)(void *self);
    /* Makes vcpu_run() return BP_STOP_KICKED soon; a kick before the run is not lost. [any] */
    void (*vcpu_kick)(void *self);
    /* The register file `set` to or from its struct of `size` bytes in ext/x86.h: "x86.gpr/1".
     * There are no opaque sets: what one backend gives, another takes. -ENOENT for a set that
     * the backend does not know; -EINVAL for a wrong size or a state that no CPU can be in. [vcpu]
     */
    int (*regs_get)(void *self, const char *set, void *regs, uint32_t size);
    int (*regs_set)(void *self, const char *set, const void *regs, uint32_t size);
    /* The same for what is one a machine: "x86.pic/1". vm_get("x86.cpuid/1") tells what the backend
     * can offer to a guest; the host computes from it what each vCPU is given. [main] */
    int (*vm_get)(void *vm, const char *set, void *state, uint32_t size);
    int (*vm_set)(void *vm, const char *set, const void *state, uint32_t size);
    /* Guest time (TSC, paravirtual clock) stops, or goes on where it stopped: BP_TIME_*. [main] */
    void (*vm_time)(void *vm, uint32_t runs);
    void (*irq)(void *vm, uint32_t line, uint32_t level);   /* with BP_CPU_IRQCHIP. [any] */
    void (*msi)(void *vm, uint64_t address, uint32_t data); /* with BP_CPU_IRQCHIP. [any] */
    /* Guest memory changed behind the CPU's back, by DMA: drop translated code. Optional. [any] */
    void (*code_changed)(void *vm, uint64_t gpa, uint64_t length);
    /* An optional interface by id: "bp.doorbell/1", "bp.dirty-log/1". Optional. [any] */
    const void *(*extension)(void *vm, const char *id);
};

BP_END
#endif
