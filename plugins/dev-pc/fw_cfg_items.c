/* SPDX-License-Identifier: MIT
 *
 * dev-pc/fw_cfg_items.c - what fw_cfg has for firmware: the few items with a fixed number, and the
 * files of its directory that SeaBIOS reads (its docs/Runtime_config.md). ACPI tables come with a
 * script of three commands by which firmware puts them anywhere: allocate, add a pointer, make a
 * checksum (QEMU's docs/specs and its BIOS linker and loader).
 *
 * Leaves out SMBIOS tables, which SeaBIOS makes itself, option ROMs, NUMA, and kernels.
 */
#include "fw_cfg.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers. */
#define KEY_SIGNATURE 0x00u
#define KEY_ID 0x01u
#define KEY_RAM_SIZE 0x03u
#define KEY_NB_CPUS 0x05u
#define KEY_BOOT_MENU 0x0eu
#define KEY_MAX_CPUS 0x0fu
#define KEY_FILE_DIR 0x19u
#define KEY_FILE_FIRST 0x20u
#define KEY_IRQ0_OVERRIDE 0x8002u

#define ID_TRADITIONAL 1u
#define ID_DMA 2u

/* The script. */
#define ENTRY_BYTES 128u
#define COMMAND_ALLOCATE 1u
#define COMMAND_ADD_POINTER 2u
#define COMMAND_ADD_CHECKSUM 3u
#define ZONE_HIGH 1u
#define ZONE_FSEG 2u /* where guests scan for the RSDP */

#define FILE_ENTRY_BYTES 64u
#define E820_ENTRY_BYTES 20u
#define DEVICES 32u
#define FUNCTIONS 8u

/* ---- the list -----------------------------------------------------------------------------------
 */

static struct fw_cfg_item *add(struct fw_cfg_items *items, uint32_t key, const void *data,
                               uint64_t length)
{
    if (items->err)
        return NULL;
    struct fw_cfg_item *item = &items->items[items->count];
    if (items->count == FW_CFG_ITEMS_MAX || length > INT32_MAX) {
        items->err = -ENOSPC;
        return NULL;
    }
    *item = (struct fw_cfg_item){.key = (uint16_t)key, .length = (uint32_t)length};
    item->data = malloc(length + 1);
    if (!item->data) {
        items->err = -ENOMEM;
        return NULL;
    }
    if (length)
        memcpy(item->data, data, length);
    items->count++;
    return item;
}

static void add_number(struct fw_cfg_items *items, uint32_t key, uint64_t value, uint32_t width)
{
    uint8_t bytes[8];

    bp_put_le64(bytes, value);
    add(items, key, bytes, width);
}

static uint32_t files(const struct fw_cfg_items *items)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < items->count; i++)
        count += items->items[i].name[0] != 0;
    return count;
}

static void add_file(struct fw_cfg_items *items, const char *name, const void *data,
                     uint64_t length)
{
    struct fw_cfg_item *item = add(items, KEY_FILE_FIRST + files(items), data, length);

    if (item)
        snprintf(item->name, sizeof(item->name), "%s", name);
}

static void add_file_number(struct fw_cfg_items *items, const char *name, uint64_t value,
                            uint32_t width)
{
    uint8_t bytes[8];

    bp_put_le64(bytes, value);
    add_file(items, name, bytes, width);
}

static void put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_be32(uint8_t *at, uint32_t value)
{
    put_be16(at, value >> 16);
    put_be16(at + 2, value);
}

/* Numbers here are big-endian, unlike those in the items. */
static void add_directory(struct fw_cfg_items *items)
{
    uint8_t directory[4 + FW_CFG_ITEMS_MAX * FILE_ENTRY_BYTES] = {0}, *at = directory + 4;

    put_be32(directory, files(items));
    for (uint32_t i = 0; i < items->count; i++) {
        const struct fw_cfg_item *item = &items->items[i];
        if (!item->name[0])
            continue;
        put_be32(at, item->length);
        put_be16(at + 4, item->key);
        memcpy(at + 8, item->name, sizeof(item->name));
        at += FILE_ENTRY_BYTES;
    }
    add(items, KEY_FILE_DIR, directory, (uint64_t)(at - directory));
}

const struct fw_cfg_item *fw_cfg_item_find(const struct fw_cfg_items *items, uint32_t key)
{
    for (uint32_t i = 0; i < items->count; i++)
        if (items->items[i].key == key)
            return &items->items[i];
    return NULL;
}

void fw_cfg_items_free(struct fw_cfg_items *items)
{
    for (uint32_t i = 0; i < items->count; i++)
        free(items->items[i].data);
    *items = (struct fw_cfg_items){0};
}

/* ---- the memory map -----------------------------------------------------------------------------
 */

static void add_e820(struct fw_cfg_items *items, const struct bp_firmware *firmware,
                     struct bp_node *node)
{
    struct bp_firmware_range range = {.size = sizeof(range)};
    uint32_t count = 0;

    while (firmware->range(node, count, &range) == 0)
        count++;
    uint8_t *map = calloc(count + 1, E820_ENTRY_BYTES);
    if (!map) {
        items->err = items->err ? items->err : -ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < count && firmware->range(node, i, &range) == 0; i++) {
        uint8_t *at = map + (size_t)i * E820_ENTRY_BYTES;
        bp_put_le64(at, range.base);
        bp_put_le64(at + 8, range.length);
        bp_put_le32(at + 16, range.type);
    }
    add_file(items, "etc/e820", map, (uint64_t)count * E820_ENTRY_BYTES);
    free(map);
}

/* ---- ACPI ---------------------------------------------------------------------------------------
 */

static const char rsdp_name[] = "etc/acpi/rsdp", tables_name[] = "etc/acpi/tables";

/*     ALLOCATE      0 command | 4 file | 60 alignment | 64 zone (a byte)
 *     ADD_POINTER   0 command | 4 file with it | 60 file it points to | 116 offset | 120 width (a
 *                   byte)
 *     ADD_CHECKSUM  0 command | 4 file | 60 offset | 64 start | 68 length */
static void put_name(uint8_t *at, const char *name)
{
    snprintf((char *)at, FW_CFG_NAME_BYTES, "%s", name);
}

static void put_allocate(uint8_t *entry, const char *name, uint32_t alignment, uint8_t zone)
{
    bp_put_le32(entry, COMMAND_ALLOCATE);
    put_name(entry + 4, name);
    bp_put_le32(entry + 60, alignment);
    entry[64] = zone;
}

static void put_fixup(uint8_t *entry, const struct bp_firmware_fixup *fixup)
{
    put_name(entry + 4, fixup->blob == BP_FIRMWARE_IN_RSDP ? rsdp_name : tables_name);
    if (fixup->kind == BP_FIRMWARE_POINTER) {
        bp_put_le32(entry, COMMAND_ADD_POINTER);
        put_name(entry + 60, tables_name);
        bp_put_le32(entry + 116, fixup->at);
        entry[120] = (uint8_t)fixup->width;
    } else {
        bp_put_le32(entry, COMMAND_ADD_CHECKSUM);
        bp_put_le32(entry + 60, fixup->at);
        bp_put_le32(entry + 64, fixup->from);
        bp_put_le32(entry + 68, fixup->length);
    }
}

static void add_acpi(struct fw_cfg_items *items, const struct bp_firmware *firmware,
                     struct bp_node *node)
{
    struct bp_firmware_acpi acpi = {.size = sizeof(acpi)};

    if (firmware->acpi(node, &acpi))
        return;
    uint64_t entries = acpi.fixup_count + 2;
    uint8_t *script = calloc(entries, ENTRY_BYTES);
    if (!script) {
        items->err = items->err ? items->err : -ENOMEM;
        return;
    }
    put_allocate(script, rsdp_name, 16, ZONE_FSEG);
    put_allocate(script + ENTRY_BYTES, tables_name, 64, ZONE_HIGH);
    for (uint64_t i = 0; i < acpi.fixup_count; i++) {
        const uint8_t *fixup = (const uint8_t *)acpi.fixups + i * acpi.fixup_stride;
        put_fixup(script + (i + 2) * ENTRY_BYTES,
                  (const struct bp_firmware_fixup *)(const void *)fixup);
    }
    add_file(items, rsdp_name, acpi.rsdp, acpi.rsdp_length);
    add_file(items, tables_name, acpi.tables, acpi.tables_length);
    add_file(items, "etc/table-loader", script, entries * ENTRY_BYTES);
    free(script);
}

/* ---- booting ------------------------------------------------------------------------------------
 */

int fw_cfg_parse_place(const char *text, uint32_t *devfn)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    uint32_t device = 0, count = 0, function = 0;

    for (; *text && strchr(digits, *text) && count < 2; text++, count++)
        device = device << 4 | (uint32_t)((strchr(digits, *text) - digits) & 15);
    if (text[0] == '.' && text[1] >= '0' && text[1] < '0' + (char)FUNCTIONS) {
        function = (uint32_t)(text[1] - '0');
        text += 2;
    }
    if (!count || *text || device >= DEVICES)
        return -EINVAL;
    *devfn = device << 3 | function;
    return 0;
}

/* Open Firmware's paths, a line each. The device's name is not looked at, so that of a disk stands
 * for all. */
static void add_boot_order(struct fw_cfg_items *items, const struct bp_list *order)
{
    const char *const *places = order->items;
    char *text = malloc(order->count * 40 + 1), *at = text;

    if (!text) {
        items->err = items->err ? items->err : -ENOMEM;
        return;
    }
    for (uint64_t i = 0; i < order->count; i++) {
        uint32_t devfn = 0;
        if (fw_cfg_parse_place(places[i], &devfn))
            continue; /* create() refused it */
        at += sprintf(at, "%s/pci@i0cf8/disk@%x", at == text ? "" : "\n", devfn >> 3);
        if (devfn & 7)
            at += sprintf(at, ",%x", devfn & 7);
    }
    *at = 0;
    add_file(items, "bootorder", text, (uint64_t)(at - text) + 1);
    free(text);
}

int fw_cfg_items_fill(struct fw_cfg_items *items, const struct fw_cfg_config *config,
                      const struct bp_firmware *firmware, struct bp_node *node)
{
    uint32_t cpus = firmware ? firmware->cpus(node) : 1;

    *items = (struct fw_cfg_items){0};
    add(items, KEY_SIGNATURE, "QEMU", 4); /* what every firmware looks for */
    add_number(items, KEY_ID, ID_TRADITIONAL | ID_DMA, 4);
    if (firmware)
        add_number(items, KEY_RAM_SIZE, firmware->ram_bytes(node), 8);
    add_number(items, KEY_NB_CPUS, cpus, 2);
    add_number(items, KEY_MAX_CPUS, cpus, 2);
    add_number(items, KEY_BOOT_MENU, config->menu, 2);
    add_number(items, KEY_IRQ0_OVERRIDE, 1, 1); /* the timer is at input 2 of the I/O APIC */
    if (config->boot_order.count)
        add_boot_order(items, &config->boot_order);
    if (firmware)
        add_acpi(items, firmware, node);
    add_file_number(items, "etc/boot-cpus", cpus, 2);
    /* In ms; all ones: it stays at the message. */
    add_file_number(items, "etc/boot-fail-wait",
                    config->retry ? config->retry * UINT64_C(1000) : UINT32_MAX, 4);
    if (firmware)
        add_e820(items, firmware, node);
    if (config->console)
        add_file_number(items, "etc/sercon-port", config->console, 2);
    add_directory(items);
    return items->err;
}
