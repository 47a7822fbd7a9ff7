/* SPDX-License-Identifier: MIT
 *
 * machine/firmware.c - a machine that starts from firmware: its ROM, up to 4 GiB and once more
 * below 1 MiB; the RAM under that copy, which a chipset may let through (shadow RAM); and
 * "bp.firmware/1", by which devices that firmware asks learn what the core knows.
 *
 * Shadow RAM is guest RAM like any other: DMA reaches it always. For processors something else lies
 * over it, in a layer of the bus above RAM, a block of 16 KiB at a time:
 *
 *     read  write
 *     ROM   -      the ROM's bytes as memory, so that they can be run at full speed
 *     RAM   -      the RAM's bytes once more, as memory that can only be read
 *     ROM   RAM    `mixed`, which is asked for each access; firmware copies itself in this way
 *     RAM   RAM    nothing
 */
#include "machine/machine_private.h"

#include "boot/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK BP_FIRMWARE_SHADOW_BLOCK
#define BLOCKS ((BP_FIRMWARE_SHADOW_END - BP_FIRMWARE_SHADOW_BASE) / BLOCK)

struct shadow_block {
    struct bp_machine *machine;
    uint64_t gpa;
    struct bp_region *rom, *ram, *mixed; /* NULL: there is none of it here */
    const uint8_t *rom_bytes;            /* of the ROM's first byte in this block */
    uint32_t rom_from;                   /* where in the block that is; BLOCK: nowhere */
    uint32_t access; /* BP_FIRMWARE_SHADOW_*; of `mixed`, whose callbacks read it: atomic */
    uint8_t *ram_bytes;
};

struct machine_firmware {
    struct shadow_block blocks[BLOCKS];
};

/* ---- blocks that are asked ----------------------------------------------------------------------
 */

static uint64_t mixed_read(void *self, uint64_t offset, uint32_t width)
{
    const struct shadow_block *b = self;
    uint64_t value = 0;

    for (uint32_t i = 0; i < width; i++) {
        uint64_t at = offset + i;
        uint64_t byte = at >= b->rom_from ? b->rom_bytes[at - b->rom_from] : 0xff;
        value |= byte << 8 * i;
    }
    return value;
}

static void mixed_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct shadow_block *b = self;
    uint8_t bytes[8];

    if (!(__atomic_load_n(&b->access, __ATOMIC_ACQUIRE) & BP_FIRMWARE_SHADOW_WRITE))
        return;
    for (uint32_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    memcpy(b->ram_bytes + offset, bytes, width);
    ram_mark_dirty(&b->machine->ram, b->gpa + offset, width);
    machine_code_changed(b->machine, b->gpa + offset, width);
}

/* Plain memory behind it, and one word: nothing to lock. */
static const struct bp_region_ops mixed_ops = {
    .size = sizeof(mixed_ops),
    .min_access = 1,
    .max_access = 8,
    .flags = BP_REGION_UNLOCKED,
    .register_stride = sizeof(struct bp_register),
    .name = "shadow",
    .read = mixed_read,
    .write = mixed_write,
};

/* ---- making them --------------------------------------------------------------------------------
 */

static int memory(struct bp_machine *m, uint64_t length, uint8_t *host, bool mapped,
                  enum bus_layer layer, struct bp_region **out)
{
    const char *why;

    return bus_memory_new(m->bus, NULL, length, host, BP_RAM_READONLY, mapped, layer, out, &why);
}

static int place(struct bp_region *region, uint64_t gpa)
{
    const struct bp_region *other;

    return region ? bus_place(region, gpa, &other) : 0;
}

static int build_block(struct bp_machine *m, struct shadow_block *b, uint64_t rom_gpa)
{
    const char *why;
    int err = 0;

    b->machine = m;
    b->rom_from = BLOCK;
    b->ram_bytes = ram_at(&m->ram, b->gpa, BLOCK);
    if (rom_gpa < b->gpa + BLOCK) {
        uint64_t first = rom_gpa > b->gpa ? rom_gpa : b->gpa;
        uint8_t *bytes = m->rom + m->plan.boot.firmware_bytes - (BOOT_ROM_LOW_END - first);
        b->rom_bytes = bytes;
        b->rom_from = (uint32_t)(first - b->gpa);
        err = memory(m, BLOCK - b->rom_from, bytes, false, BUS_LAYER_SHADOW, &b->rom);
        if (!err)
            err = place(b->rom, first);
    }
    if (!err && b->ram_bytes)
        err = memory(m, BLOCK, b->ram_bytes, false, BUS_LAYER_SHADOW, &b->ram);
    if (!err && b->ram_bytes)
        err = bus_region_new(m->bus, NULL, NULL, BP_SPACE_MMIO, BLOCK, &mixed_ops, b,
                             BUS_LAYER_SHADOW, &b->mixed, &why);
    return err;
}

int machine_firmware_new(struct bp_machine *m)
{
    uint64_t bytes = m->plan.boot.firmware_bytes;
    uint64_t low = bytes < BOOT_ROM_LOW_MAX ? bytes : BOOT_ROM_LOW_MAX;
    struct bp_region *region;
    int err;

    if (!bytes)
        return 0;
    void *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host == MAP_FAILED)
        return -ENOMEM;
    err = memory(m, bytes, host, true, BUS_LAYER_FIXED, &region);
    if (err) {
        munmap(host, bytes);
        return err;
    }
    m->rom = host;
    m->firmware = calloc(1, sizeof(*m->firmware));
    if (!m->firmware)
        return -ENOMEM;
    err = place(region, BOOT_ROM_END - bytes);
    for (uint32_t i = 0; i < BLOCKS && !err; i++) {
        m->firmware->blocks[i].gpa = BP_FIRMWARE_SHADOW_BASE + (uint64_t)i * BLOCK;
        err = build_block(m, &m->firmware->blocks[i], BOOT_ROM_LOW_END - low);
    }
    return err;
}

void machine_firmware_free(struct bp_machine *m)
{
    free(m->firmware);
    m->firmware = NULL;
    m->rom = NULL;
}

uint64_t machine_firmware_ram_part(const struct bp_machine *m, uint64_t gpa, uint64_t length)
{
    static const uint64_t edges[] = {BP_FIRMWARE_SHADOW_BASE, BP_FIRMWARE_SHADOW_END};

    for (uint32_t i = 0; m->plan.boot.firmware_bytes && i < 2; i++)
        if (gpa < edges[i] && edges[i] - gpa < length)
            return edges[i] - gpa;
    return length;
}

/* ---- "bp.firmware/1" ----------------------------------------------------------------------------
 */

/* What is seen changes step by step; RAM is there in between. */
static int set_block(struct shadow_block *b, uint32_t access)
{
    bool read = access & BP_FIRMWARE_SHADOW_READ, write = access & BP_FIRMWARE_SHADOW_WRITE;
    int err = place(b->rom, BP_UNMAPPED);

    __atomic_store_n(&b->access, access, __ATOMIC_RELEASE);
    if (!err && !(read && !write))
        err = place(b->ram, BP_UNMAPPED);
    if (!err && read)
        err = place(b->mixed, BP_UNMAPPED);
    if (err || (read && write))
        return err;
    if (read)
        return place(b->ram, b->gpa);
    /* The earlier of two is seen: the ROM, and `mixed` where it does not reach. */
    if (!write && b->rom) {
        err = place(b->mixed, BP_UNMAPPED);
        if (!err)
            err = place(b->rom, b->gpa + b->rom_from);
    }
    return err || (!write && !b->rom_from) ? err : place(b->mixed, b->gpa);
}

static int shadow(struct bp_node *node, uint64_t gpa, uint64_t length, uint32_t access)
{
    struct machine_firmware *f = node->machine->firmware;
    uint64_t from = gpa - BP_FIRMWARE_SHADOW_BASE, all = (uint64_t)BLOCKS * BLOCK;
    int err = 0;

    if (!length || from >= all || length > all - from || from % BLOCK || length % BLOCK ||
        access & ~(BP_FIRMWARE_SHADOW_READ | BP_FIRMWARE_SHADOW_WRITE))
        return node_fail(
            node, -EINVAL,
            "shadow RAM of 0x%llx bytes at 0x%llx cannot be set to %u: expected blocks "
            "of 0x%x from 0x%x to 0x%x, and 0 to 3",
            (unsigned long long)length, (unsigned long long)gpa, access, BLOCK,
            BP_FIRMWARE_SHADOW_BASE, BP_FIRMWARE_SHADOW_END);
    for (uint64_t i = from / BLOCK; i < (from + length) / BLOCK; i++)
        if (!f->blocks[i].ram_bytes)
            return node_fail(node, -EFAULT, "there is no RAM at 0x%llx to be shadow RAM",
                             (unsigned long long)f->blocks[i].gpa);
    for (uint64_t i = from / BLOCK; i < (from + length) / BLOCK && !err; i++)
        err = set_block(&f->blocks[i], access);
    return err ? node_fail(node, err, "no memory for another map of shadow RAM") : 0;
}

static uint64_t ram_bytes(struct bp_node *node)
{
    return node->machine->ram.size;
}

static uint32_t cpus(struct bp_node *node)
{
    return (uint32_t)node->machine->plan.machine.cpus;
}

static int range(struct bp_node *node, uint32_t index, struct bp_firmware_range *out)
{
    const struct e820 *map = &node->machine->e820;
    struct bp_firmware_range range = {.size = out->size};

    if (index >= map->count)
        return -ENOENT;
    range.type = map->entries[index].type;
    range.base = map->entries[index].base;
    range.length = map->entries[index].length;
    memcpy(out, &range, out->size < sizeof(range) ? out->size : sizeof(range));
    return 0;
}

static int acpi(struct bp_node *node, struct bp_firmware_acpi *out)
{
    const struct acpi_blob *blob = &node->machine->acpi;
    struct bp_firmware_acpi acpi = {.size = out->size,
                                    .fixup_stride = sizeof(struct bp_firmware_fixup),
                                    .rsdp = blob->rsdp,
                                    .tables = blob->tables,
                                    .rsdp_length = sizeof(blob->rsdp),
                                    .tables_length = blob->tables_length,
                                    .fixups = blob->fixups,
                                    .fixup_count = blob->fixup_count};

    if (!blob->tables)
        return -ENOENT;
    memcpy(out, &acpi, out->size < sizeof(acpi) ? out->size : sizeof(acpi));
    return 0;
}

const struct bp_firmware machine_firmware = {
    .size = sizeof(machine_firmware),
    .ram_bytes = ram_bytes,
    .cpus = cpus,
    .range = range,
    .acpi = acpi,
    .shadow = shadow,
};
