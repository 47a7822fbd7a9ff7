/* SPDX-License-Identifier: MIT
 *
 * bus/access.h - the one place that splits and widens accesses to what a region takes.
 */
#ifndef BUS_ACCESS_H
#define BUS_ACCESS_H

#include "bus/bus.h"

/* [offset, offset + width) lies in the region; width is 1..8. Called inside the region's domain. */
uint64_t access_read(const struct bp_region *region, uint64_t offset, uint32_t width);
void access_write(const struct bp_region *region, uint64_t offset, uint64_t value, uint32_t width);

/* True if the region's callbacks take the access as it is. */
static inline bool access_fits(const struct bp_region *region, uint64_t offset, uint32_t width)
{
    return region->widths & width && !(width & (width - 1)) && !(offset & (width - 1));
}

/* `value` without the bits above `width` bytes. */
static inline uint64_t access_mask(uint64_t value, uint32_t width)
{
    return width < 8 ? value & ((1ull << 8 * width) - 1) : value;
}

#endif
