/* SPDX-License-Identifier: MIT
 *
 * backplane/host.h - what the host offers to every plugin.
 *
 * The host is the Backplane core, but need not be: a unit test's fake, a validator or a process of
 * its own can stand in its place. A plugin reaches the world through this table only.
 */
#ifndef BACKPLANE_HOST_H
#define BACKPLANE_HOST_H

#include "abi.h"
BP_BEGIN

/* ---- regions -------------------------------------------------------------------------------- */

#define BP_SPACE_MMIO 0u
#define BP_SPACE_PIO 1u
#define BP_UNMAPPED UINT64_MAX /* region_place(): take the region out of the address space */

#define BP_REGION_UNLOCKED                                                                         \
    1u /* callbacks are [vcpu] instead of [dom]: the device locks for itself */

/* Names a register, for traces, `plugins show` and the manual. */
struct bp_register {
    const char *name;       /* as the datasheet spells it; NULL ends the table */
    uint64_t offset;        /* from the start of the region, bytes */
    uint32_t width, access; /* bytes; BP_REG_* */
};
#define BP_REG_RW 0u
#define BP_REG_RO 1u
#define BP_REG_WO 2u
#define BP_REG_RC 3u        /* read clears */
#define BP_REG_ACCESS 0xffu /* the part of `access` that is one of these */

/* Or'ed into `access`: what the driver of a device with DMA puts there. `backplane validate` makes
 * structures in guest memory and fills these registers in as a driver would, in the table's order;
 * it finds no ring by chance. Nothing else depends on them. */
#define BP_REG_ADDRESS 0x100u      /* a guest-physical address, or the lower half of one */
#define BP_REG_ADDRESS_HIGH 0x200u /* the upper half of the nearest ADDRESS before it */
#define BP_REG_LENGTH 0x400u       /* how many entries or bytes there are */
#define BP_REG_DOORBELL 0x800u     /* how far the driver is; the device begins to work */

/* Or'ed into `access` of a memory-mapped register: a write may arrive late, so that a CPU backend
 * can let the guest run on ("bp.posted/1"). It arrives in order with the vCPU's other accesses to
 * devices, and before the turn of the host's loop in which that calls the device. A device that
 * waits for the write looks, by a timer: nothing else need happen by itself. */
#define BP_REG_POSTED 0x1000u

/* How a device answers accesses to a region.
 *
 * Accesses arrive naturally aligned, 1, 2, 4 or 8 bytes wide, within [min_access, max_access]: the
 * bus splits what is wider or unaligned, and widens what is narrower (a read reads min_access bytes
 * and takes its part; a narrower write is given as a write of min_access bytes with zeroes in the
 * bytes not written). Values are in host order: bits above `width` are 0 on write, ignored on read.
 */
struct bp_region_ops {
    uint32_t size;
    uint8_t min_access, max_access; /* bytes: 1, 2, 4, 8; min <= max */
    uint8_t reserved[2];
    uint32_t flags;                      /* BP_REGION_* */
    uint32_t register_stride;            /* sizeof(struct bp_register) as the plugin compiled it */
    const char *name;                    /* "registers", "msix-table" */
    const struct bp_register *registers; /* or NULL */
    uint64_t (*read)(void *self, uint64_t offset, uint32_t width);              /* [dom] */
    void (*write)(void *self, uint64_t offset, uint64_t value, uint32_t width); /* [dom] */
};

#define BP_RAM_READONLY 1u /* the guest's writes are dropped */
#define BP_RAM_SHARED 2u   /* MAP_SHARED: another process may hold it */

/* ---- log ------------------------------------------------------------------------------------ */

#define BP_LOG_ERROR 1u
#define BP_LOG_WARN 2u
#define BP_LOG_INFO 3u
#define BP_LOG_DEBUG 4u
#define BP_LOG_GUEST 0x100u /* or'ed in: the guest broke a rule of the hardware; rate-limited */

/* ---- the machine ---------------------------------------------------------------------------- */

#define BP_REQUEST_POWER_OFF 1u /* ACPI S5 */
#define BP_REQUEST_RESET 2u     /* 0xCF9, i8042, the ACPI reset register */
#define BP_REQUEST_EXIT 3u      /* isa-debug-exit: `code` is the value written */
#define BP_REQUEST_PANIC 4u     /* the guest says that it panicked */
#define BP_REQUEST_QUIT 5u      /* the user asked to leave: Ctrl-A x */

#define BP_FD_READ 1u
#define BP_FD_WRITE 2u
#define BP_FD_HANGUP 4u /* in `ready` only: the other end is gone, or an error is pending */

#define BP_DMA_READ 1u  /* the device reads guest memory */
#define BP_DMA_WRITE 2u /* the device writes guest memory */

/* The far end of a reference. */
struct bp_peer {
    const void *ops; /* its table for the id asked for, normalised: every member may be called */
    void *self;      /* first argument of its functions */
};

struct bp_host {
    uint32_t size;
    uint32_t abi_minor;

    /* Writes one line: UTF-8, no newline; the host puts the section's name before it. [any] */
    void (*log)(struct bp_node *node, uint32_t level, const char *text);

    /* Records why the current call fails and returns `err`, a negative errno, so that a plugin can
     * write `return host->fail(node, -EINVAL, "irq 300 is not below 24")`. Say what was found, what
     * was expected and what to do. [any] */
    int (*fail)(struct bp_node *node, int err, const char *text);

    /* The section's name in the machine file. Valid until destroy(). [any] */
    const char *(*name)(struct bp_node *node);

    /* An optional interface of the host by id, "bp.pci/1"; NULL if it has none. [any] */
    const void *(*extension)(struct bp_node *node, const char *id);

    /* Reaches the instance that a REF property names. 0 and *out; -ENOENT if it does not offer
     * `id`. Instances are created after those that they name. [main] */
    int (*peer)(struct bp_node *node, struct bp_node *ref, const char *id, struct bp_peer *out);

    /* As peer(), and gives the far end a way back: its attach() is called with `port`, the table
     * that its header names for this ("bp.char/1": struct bp_char_port), and `port_self`.
     * Both ends share one lock domain from now on. Errors also as attach() gives them. [main] */
    int (*link)(struct bp_node *node, struct bp_node *ref, const char *id, const void *port,
                void *port_self, struct bp_peer *out);

    /* Asks the machine to stop, start over or leave. Returns at once; the first request wins, but
     * QUIT takes the place of a RESET that waits. [any] */
    void (*request)(struct bp_node *node, uint32_t what, uint32_t code);

    /* --- address spaces --------------------------------------------------------------------- */

    /* Makes a region of `length` bytes (PIO: ports); `ops` and `self` must outlive it. It is mapped
     * nowhere yet. -EINVAL, -ENOMEM. The host frees every region of an instance after destroy().
     * [main] */
    int (*region_new)(struct bp_node *node, uint32_t space, uint64_t length,
                      const struct bp_region_ops *ops, void *self, struct bp_region **out);
    /* Makes a region that is memory: ROM, frame buffer, a BAR that needs no exits. `length` is a
     * multiple of 4096; `fd` < 0: fresh zeroed memory; `flags` BP_RAM_*. *host_address is where the
     * plugin finds it. [main] */
    int (*ram_region_new)(struct bp_node *node, uint64_t length, uint32_t flags, int fd,
                          uint64_t fd_offset, void **host_address, struct bp_region **out);
    /* Maps the region at `base`, moves it there, or takes it out (BP_UNMAPPED). Accesses that start
     * after it returns see the new map; one in flight on another vCPU may still reach the old
     * place. -EBUSY if it would overlap RAM or a region that another instance placed, -EINVAL if it
     * ends beyond the address space. [main] [dom] */
    int (*region_place)(struct bp_region *region, uint64_t base);

    /* --- interrupts -------------------------------------------------------------------------- */

    /* Sets the instance's level on interrupt line `line`, an input of the interrupt controller from
     * 0. Lines are wired-or: up while any instance holds it up. Setting the level it already
     * has costs nothing. [any] */
    void (*irq_set)(struct bp_node *node, uint32_t line, uint32_t level);
    /* Delivers a message-signalled interrupt as the guest programmed it. [any] */
    void (*msi_send)(struct bp_node *node, uint64_t address, uint32_t data);

    /* --- guest memory: RAM only, never MMIO --------------------------------------------------- */

    /* Copies out of and into guest memory. -EFAULT, and nothing copied, unless all of it is RAM,
     * and, of an instance on PCI, a function of its is a bus master (ext/pci.h).
     * [any] */
    int (*dma_read)(struct bp_node *node, uint64_t gpa, void *to, uint64_t len);
    int (*dma_write)(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len);
    /* The memory at [gpa, gpa + *len); *len shrinks to what is contiguous here. NULL if the first
     * byte is no RAM or gpa + *len wraps. It may be a bounce buffer. dma_unmap() ends it, before
     * the callback returns unless the instance offers "bp.dma-invalidate/1". `dir`: BP_DMA_*. [any]
     */
    void *(*dma_map)(struct bp_node *node, uint64_t gpa, uint64_t *len, uint32_t dir);
    /* Ends a mapping: `written` bytes from its start are marked dirty and their translated code is
     * dropped. [any] */
    void (*dma_unmap)(struct bp_node *node, void *ptr, uint64_t written);

    /* --- event loop ----------------------------------------------------------------------------
     */

    /* Watches `fd`, level-triggered, replacing an earlier watch of it; `events` BP_FD_*, 0 ends it:
     * on return no callback runs any more. Remove the watch before closing `fd`. [main] [dom] */
    int (*fd_watch)(struct bp_node *node, int fd, uint32_t events,
                    void (*ready)(void *self, int fd, uint32_t events) /* [dom] */, void *self);
    /* Guest time in ns since the machine was powered on. Stands still while it is paused. [any] */
    uint64_t (*clock_ns)(struct bp_node *node);
    /* The guest's wall clock, ns since 1970 UTC. [any] */
    uint64_t (*utc_ns)(struct bp_node *node);
    /* Arms one-shot timer `id`, a small number of the instance's choosing, for guest time
     * `when_ns`; UINT64_MAX disarms. instance->timer(self, id) is called at or after that time; a
     * time in the past means soon, after the current callback. [main] [dom] */
    int (*timer_set)(struct bp_node *node, uint32_t id, uint64_t when_ns);
};

BP_END
#endif
