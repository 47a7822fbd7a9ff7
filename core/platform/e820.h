/* SPDX-License-Identifier: MIT
 *
 * platform/e820.h - the guest's memory map as firmware would tell it (ACPI 6.4, 15; Linux boot
 * protocol, E820 entries).
 */
#ifndef PLATFORM_E820_H
#define PLATFORM_E820_H

#include "memory/ram.h"

#define E820_RAM 1u
#define E820_RESERVED 2u
#define E820_ACPI 3u
#define E820_MAX 128u

struct e820_entry {
    uint64_t base, length; /* bytes */
    uint32_t type;         /* E820_* */
    uint32_t reserved;
};

struct e820 {
    uint32_t count;
    uint32_t reserved;
    struct e820_entry entries[E820_MAX]; /* ascending, not overlapping */
};

/* RAM's extents; reserved: [0xa0000, 1 MiB), which is ROM and the ACPI tables, stretches that
 * devices cut out of RAM, and [0xfec00000, 4 GiB), the interrupt controllers and ROM. The windows
 * of PCI are in no entry: Linux places no BAR in what E820 calls reserved. Whoever places ECAM adds
 * it by e820_set(). -ENOSPC if the table is full. [main] */
int e820_from_ram(struct e820 *map, const struct ram *ram);
/* Makes [base, base + length) of `type`, splitting what it cuts and joining neighbours of one type.
 * Length 0 changes nothing. -ENOSPC, -EINVAL if the range wraps; the map is unchanged then. [main]
 */
int e820_set(struct e820 *map, uint64_t base, uint64_t length, uint32_t type);

#endif
