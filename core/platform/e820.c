/* SPDX-License-Identifier: MIT
 *
 * platform/e820.c - the guest's memory map as firmware would tell it.
 *
 * The windows in which PCI devices are placed are left out of the map on purpose: Linux takes
 * everything that E820 calls reserved out of a host bridge's windows (arch/x86/kernel/resource.c)
 * and would have no room left for BARs.
 */
#include "platform/e820.h"

#include <errno.h>
#include <string.h>

#define VGA_GPA 0xa0000ull
#define MIB_1 0x100000ull
#define CHIPS_GPA 0xfec00000ull /* I/O APIC, HPET, local APICs, ROM: all between here and 4 GiB */

static int append(struct e820 *map, uint64_t base, uint64_t end, uint32_t type)
{
    struct e820_entry *last = map->count ? &map->entries[map->count - 1] : NULL;

    if (base >= end)
        return 0;
    if (last && last->type == type && last->base + last->length == base) {
        last->length += end - base;
        return 0;
    }
    if (map->count == E820_MAX)
        return -ENOSPC;
    map->entries[map->count++] =
        (struct e820_entry){.base = base, .length = end - base, .type = type};
    return 0;
}

int e820_set(struct e820 *map, uint64_t base, uint64_t length, uint32_t type)
{
    struct e820 out = {0};
    uint64_t end;
    int err = 0, placed = 0;

    if (__builtin_add_overflow(base, length, &end))
        return -EINVAL;
    if (!length)
        return 0;
    for (uint32_t i = 0; i < map->count && !err; i++) {
        const struct e820_entry *old = &map->entries[i];
        uint64_t old_end = old->base + old->length;

        /* What of the old entry lies before, then the new one in its place, then the rest. */
        err = append(&out, old->base, old_end < base ? old_end : base, old->type);
        if (!err && !placed && old_end > base) {
            err = append(&out, base, end, type);
            placed = 1;
        }
        if (!err)
            err = append(&out, old->base > end ? old->base : end, old_end, old->type);
    }
    if (!err && !placed)
        err = append(&out, base, end, type);
    if (!err)
        *map = out;
    return err;
}

int e820_from_ram(struct e820 *map, const struct ram *ram)
{
    uint64_t low = ram->size < RAM_LOW_END ? ram->size : RAM_LOW_END;
    int err;

    /* What devices cut out of RAM stays reserved: nothing else may be put there. */
    memset(map, 0, sizeof(*map));
    err = e820_set(map, 0, low, E820_RESERVED);
    if (!err)
        err = e820_set(map, RAM_HIGH_BASE, ram->size - low, E820_RESERVED);
    for (uint32_t i = 0; i < ram->count && !err; i++)
        err = e820_set(map, ram->extents[i].gpa, ram->extents[i].length, E820_RAM);
    if (!err)
        err = e820_set(map, VGA_GPA, MIB_1 - VGA_GPA, E820_RESERVED);
    if (!err)
        err = e820_set(map, CHIPS_GPA, RAM_HIGH_BASE - CHIPS_GPA, E820_RESERVED);
    return err;
}
