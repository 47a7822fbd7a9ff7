/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/firmware.h - "bp.firmware/1", offered by the host while the machine starts from
 * firmware (host->extension(node, BP_FIRMWARE_ID); NULL if it boots a kernel itself): what firmware
 * has to be told by the devices that it asks, and the shadow RAM below 1 MiB.
 */
#ifndef BACKPLANE_EXT_FIRMWARE_H
#define BACKPLANE_EXT_FIRMWARE_H

#include "../host.h"
BP_BEGIN

#define BP_FIRMWARE_ID "bp.firmware/1"

/* Types of memory, as ACPI's E820 numbers them (ACPI 6.4, table 15.4). */
#define BP_FIRMWARE_RAM 1u
#define BP_FIRMWARE_RESERVED 2u

/* A stretch of the memory map. */
struct bp_firmware_range {
    uint32_t size;
    uint32_t type;         /* BP_FIRMWARE_RAM, BP_FIRMWARE_RESERVED */
    uint64_t base, length; /* guest-physical address, bytes */
};

/* What must be done to a copy of the ACPI tables once its place is known. */
#define BP_FIRMWARE_POINTER 1u  /* add the address of the tables to `width` bytes at `at` */
#define BP_FIRMWARE_CHECKSUM 2u /* make [from, from + length) add up to 0 by the byte at `at` */
#define BP_FIRMWARE_IN_RSDP 0u
#define BP_FIRMWARE_IN_TABLES 1u

struct bp_firmware_fixup {
    uint32_t kind;         /* BP_FIRMWARE_POINTER, BP_FIRMWARE_CHECKSUM */
    uint32_t blob;         /* BP_FIRMWARE_IN_RSDP, BP_FIRMWARE_IN_TABLES: where the rest is */
    uint32_t at, width;    /* bytes; width 4 or 8, of pointers */
    uint32_t from, length; /* bytes, of checksums */
};

/* The machine's ACPI tables for address 0: the RSDP, and all others, aligned to 64 bytes. The
 * fixups are in the order in which they have to be made. */
struct bp_firmware_acpi {
    uint32_t size;
    uint32_t fixup_stride; /* sizeof(struct bp_firmware_fixup) as the host compiled it */
    const uint8_t *rsdp, *tables;
    uint64_t rsdp_length, tables_length; /* bytes */
    const struct bp_firmware_fixup *fixups;
    uint64_t fixup_count;
};

/* How a stretch of shadow RAM answers. What is not given to RAM is the ROM's where firmware's image
 * reaches, and nobody's elsewhere. */
#define BP_FIRMWARE_SHADOW_READ 1u  /* reads come from RAM */
#define BP_FIRMWARE_SHADOW_WRITE 2u /* writes go to RAM */

#define BP_FIRMWARE_SHADOW_BASE 0xc0000u
#define BP_FIRMWARE_SHADOW_END 0x100000u
#define BP_FIRMWARE_SHADOW_BLOCK 0x4000u /* bytes: the least that can be set */

struct bp_firmware {
    uint32_t size;
    uint32_t reserved;
    /* Bytes of RAM that the machine has. [any] */
    uint64_t (*ram_bytes)(struct bp_node *node);
    /* Processors, of which the first runs firmware. [any] */
    uint32_t (*cpus)(struct bp_node *node);
    /* Fills *out, whose size is set, with stretch `index` of the memory map, ascending; -ENOENT
     * past the last. From start() on. [main] */
    int (*range)(struct bp_node *node, uint32_t index, struct bp_firmware_range *out);
    /* Fills *out, whose size is set. What it points to is the host's, until the instance is stopped
     * and reset. -ENOENT if the machine has no ACPI. From start() on. [main] */
    int (*acpi)(struct bp_node *node, struct bp_firmware_acpi *out);
    /* Sets how [gpa, gpa + length), blocks of [BP_FIRMWARE_SHADOW_BASE, _END), answers processors:
     * BP_FIRMWARE_SHADOW_* or 0. Before the first call RAM answers, but where the ROM is. DMA
     * reaches the RAM whatever is set. -EINVAL, -ENOMEM; -EFAULT without RAM there. [main] [dom] */
    int (*shadow)(struct bp_node *node, uint64_t gpa, uint64_t length, uint32_t access);
};

BP_END
#endif
