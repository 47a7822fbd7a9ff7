/* SPDX-License-Identifier: MIT
 *
 * bus/bus.h - the address spaces: which region answers at which address, and the dispatch to it.
 *
 * What is mapped where is an immutable view, replaced as a whole when a mapping changes. Readers
 * pin the view that they use; a retired view is freed when no reader has it pinned. So an access
 * takes no lock but its device's domain, and a guest that moves a BAR for ever costs no memory.
 *
 * Where regions overlap, the lower layer wins, and in one layer the one mapped earlier. An access
 * is decoded by its first byte: the region found takes all of it that lies within that region.
 */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "loop/domain.h"

#include <backplane/cpu.h>
#include <stdbool.h>

/* In order of priority. */
enum bus_layer {
    BUS_LAYER_SHADOW, /* ROM, and what else hides RAM below 1 MiB */
    BUS_LAYER_RAM,
    BUS_LAYER_FIXED,    /* configured devices, which may not overlap each other */
    BUS_LAYER_PLATFORM, /* the core's own: configured devices may cut holes into them */
    BUS_LAYER_BAR,      /* placed by the guest */
};

struct bus;
struct bus_view;

/* Told of each access of a callback's width, on the thread that makes it; inside the region's
 * domain unless that locks for itself. `region` NULL: nobody answers there. Calls nothing back. */
struct bus_tracer {
    void (*access)(void *context, const struct bp_region *region, uint32_t space, uint64_t address,
                   uint32_t width, uint64_t value, bool write);
    void *context;
};

/* A range of an address space: what plugins know as struct bp_region. */
struct bp_region {
    struct bus *bus;
    const void *owner; /* NULL: the core */
    struct domain *domain;
    struct bp_region_ops ops; /* at this host's size; unused for memory */
    void *self;
    /* What the two are for a tracer, who has put himself in their place. */
    struct bp_region_ops traced_ops;
    void *traced_self;
    uint8_t *ram; /* memory, or NULL */
    uint64_t ram_bytes;
    uint32_t ram_flags; /* BP_RAM_* */
    uint32_t space;     /* BP_SPACE_* */
    uint32_t layer;     /* enum bus_layer */
    uint32_t widths; /* the device's: 1 | 2 | 4 | 8 as far as its callbacks take them; memory: 0 */
    uint64_t length;
    uint64_t base;   /* BP_UNMAPPED: nowhere */
    uint64_t serial; /* of the last mapping: which is earlier */
};

/* One reader of views: a vCPU. Only its own thread uses it. */
struct bus_reader {
    struct bus_view *pinned; /* atomic */
    struct bus *bus;
    struct bus_reader *next;
    uint32_t depth;
    uint32_t last_mmio; /* index of the slot that answered last */
};

/* Told, under the bus's lock, that the set of memory slots is another one now. */
struct bus_listener {
    void (*memory_changed)(void *context, struct bus *bus);
    void *context;
};

int bus_new(const struct bus_listener *listener, struct bus **out);
/* Frees every region too. NULL is allowed. [main] */
void bus_free(struct bus *bus);

/* Lets `tracer`, who must outlive the bus, see all accesses to the regions that are made from now
 * on. Without one nothing is asked on the way to a device. [main] */
void bus_trace(struct bus *bus, const struct bus_tracer *tracer);

/* A device's region. -EINVAL with *why (constant) if `ops` or `length` break the rules of host.h.
 */
int bus_region_new(struct bus *bus, const void *owner, struct domain *domain, uint32_t space,
                   uint64_t length, const struct bp_region_ops *ops, void *self,
                   enum bus_layer layer, struct bp_region **out, const char **why);
/* A region that is `length` bytes of memory at `host`; `mapped`: munmap() them with the region. */
int bus_memory_new(struct bus *bus, const void *owner, uint64_t length, uint8_t *host,
                   uint32_t flags, bool mapped, enum bus_layer layer, struct bp_region **out,
                   const char **why);
/* Maps, moves, unmaps (BP_UNMAPPED). -EBUSY, with *other the region in the way, for what overlaps
 * in BUS_LAYER_FIXED or a fixed region over RAM; -EINVAL beyond the space. [main] [dom] */
int bus_place(struct bp_region *region, uint64_t base, const struct bp_region **other);
/* The end of a region in a layer below BARs that has some of [base, base + length), or 0. [main] */
uint64_t bus_taken(struct bus *bus, uint32_t space, uint64_t base, uint64_t length);
/* Where the region is mapped; BP_UNMAPPED. [any] */
uint64_t bus_place_of(const struct bp_region *region);
/* Who answers at `gpa`, as its regions are now; NULL: nobody. [any] */
const struct bp_region *bus_answers(struct bus *bus, uint64_t gpa);
/* Unmaps and frees every region of `owner`. [main] */
void bus_forget(struct bus *bus, const void *owner);

/* Between the two, changes are collected into one new view. [main] */
void bus_batch_begin(struct bus *bus);
int bus_batch_end(struct bus *bus);

/* Changes whenever a mapping does; load-acquire. */
const uint32_t *bus_generation(const struct bus *bus);

void bus_reader_init(struct bus_reader *reader, struct bus *bus);
void bus_reader_exit(struct bus_reader *reader);

/* Accesses of 1 to 8 bytes at any alignment. Unclaimed bytes read as ones. */
uint64_t bus_read(struct bus_reader *reader, uint32_t space, uint64_t address, uint32_t width);
void bus_write(struct bus_reader *reader, uint32_t space, uint64_t address, uint64_t value,
               uint32_t width);
/* As bp_bus.resolve, enter and leave. */
int bus_resolve(struct bus_reader *reader, uint64_t gpa, struct bp_slot *out);
int bus_enter(struct bus_reader *reader, const struct bp_slot *slot);
void bus_leave(struct bus_reader *reader, const struct bp_slot *slot);

/* The memory slots of the current view, whole pages only; calls `each` for every one, ascending.
 * [any] */
void bus_memory_slots(struct bus *bus,
                      void (*each)(void *context, uint64_t gpa, uint64_t length, uint8_t *host,
                                   uint32_t flags),
                      void *context);
/* Views that wait for their readers, for tests. */
uint32_t bus_retired_views(struct bus *bus);

#endif
