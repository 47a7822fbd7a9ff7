/* SPDX-License-Identifier: MIT
 *
 * bus/view.h - the immutable map of both address spaces at one moment.
 */
#ifndef BUS_VIEW_H
#define BUS_VIEW_H

#include "bus/bus.h"

#define VIEW_NOTHING UINT32_MAX

/* A stretch of addresses that one region answers, and how it does. */
struct view_slot {
    uint64_t base, end; /* end is exclusive */
    uint64_t offset;    /* of `base` in the region */
    struct bp_region *region;
};

struct bus_view {
    uint32_t generation;
    uint32_t mmio_count, pio_count;
    uint32_t large_count;
    uint32_t page_bits; /* the hash of pages has 1 << page_bits entries */
    uint32_t reserved;
    struct bus_view *next_retired;
    struct view_slot *mmio, *pio; /* ascending, not overlapping */
    struct view_slot *large;      /* the slots that are too long for the hash, ascending; copies */
    struct view_page *pages;      /* hash: 4 KiB page to the MMIO slots that touch it */
    uint16_t *ports;              /* port to index in `pio` + 1; 0: unclaimed */
};

/* Makes the map of `count` placed regions. NULL: out of memory. */
struct bus_view *view_new(struct bp_region *const *regions, uint32_t count, uint32_t generation);
void view_free(struct bus_view *view);

/* The MMIO slot that holds `gpa`, or NULL, and then the gap around it in *base and *end if not
 * NULL. */
const struct view_slot *view_find_mmio(const struct bus_view *view, uint64_t gpa);
void view_gap(const struct bus_view *view, uint64_t gpa, uint64_t *base, uint64_t *end);

static inline const struct view_slot *view_find_pio(const struct bus_view *view, uint64_t port)
{
    uint16_t index = port < 0x10000 ? view->ports[port] : 0;
    return index ? &view->pio[index - 1] : NULL;
}

#endif
