/* SPDX-License-Identifier: MIT
 *
 * bus/access.c - splitting and widening. Values are in host order and hosts are little endian (x86,
 * arm64).
 */
#include "bus/access.h"

#include <string.h>

/* The widest naturally aligned piece that begins at `offset` and ends by `left` bytes, at most
 * `max` bytes wide. */
static uint32_t piece(uint64_t offset, uint32_t left, uint32_t max)
{
    uint32_t width = max;

    while (width > left || offset & (width - 1))
        width /= 2;
    return width;
}

/* Guest memory is shared with a guest that may write it at any time: what is read may be torn,
 * which is the guest's affair. tests/tsan.supp names these two. */
static uint64_t guest_load(const uint8_t *from, uint32_t width)
{
    uint64_t value = 0;

    memcpy(&value, from, width);
    return value;
}

static void guest_store(uint8_t *to, uint64_t value, uint32_t width)
{
    memcpy(to, &value, width);
}

uint64_t access_read(const struct bp_region *region, uint64_t offset, uint32_t width)
{
    const struct bp_region_ops *ops = &region->ops;
    uint64_t value = 0;

    if (region->ram)
        return guest_load(region->ram + offset, width);
    if (access_fits(region, offset, width))
        return access_mask(ops->read(region->self, offset, width), width);
    for (uint32_t done = 0; done < width;) {
        uint32_t part = piece(offset + done, width - done, ops->max_access);
        uint64_t at = offset + done, got;
        if (part < ops->min_access) {
            uint64_t aligned = at & ~(uint64_t)(ops->min_access - 1);
            got = ops->read(region->self, aligned, ops->min_access) >> 8 * (at - aligned);
        } else {
            got = ops->read(region->self, at, part);
        }
        value |= access_mask(got, part) << 8 * done;
        done += part;
    }
    return value;
}

void access_write(const struct bp_region *region, uint64_t offset, uint64_t value, uint32_t width)
{
    const struct bp_region_ops *ops = &region->ops;

    if (region->ram) {
        if (!(region->ram_flags & BP_RAM_READONLY))
            guest_store(region->ram + offset, value, width);
        return;
    }
    if (access_fits(region, offset, width)) {
        ops->write(region->self, offset, access_mask(value, width), width);
        return;
    }
    for (uint32_t done = 0; done < width;) {
        uint32_t part = piece(offset + done, width - done, ops->max_access);
        uint64_t at = offset + done, bytes = access_mask(value >> 8 * done, part);
        if (part < ops->min_access) {
            uint64_t aligned = at & ~(uint64_t)(ops->min_access - 1);
            ops->write(region->self, aligned, bytes << 8 * (at - aligned), ops->min_access);
        } else {
            ops->write(region->self, at, bytes, part);
        }
        done += part;
    }
}
