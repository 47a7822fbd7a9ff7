/* SPDX-License-Identifier: MIT
 *
 * boot/params.c - fills Linux's boot_params ("zero page").
 */
#include "boot/params.h"

#include <backplane/util/le.h>

void params_write(struct loader *l, uint8_t *params, const struct loader_module *initrd)
{
    const struct e820 *map = l->target->map;
    uint32_t count = map->count < PARAMS_E820_MAX ? map->count : PARAMS_E820_MAX;
    uint64_t cmdline = loader_string(l, loader_cmdline(l));
    uint64_t initrd_gpa = initrd ? initrd->gpa : 0, initrd_bytes = initrd ? initrd->length : 0;

    bp_put_le64(params + PARAMS_ACPI_RSDP_ADDR, l->target->rsdp_gpa);
    bp_put_le32(params + SETUP_RAMDISK_IMAGE, (uint32_t)initrd_gpa);
    bp_put_le32(params + SETUP_RAMDISK_SIZE, (uint32_t)initrd_bytes);
    bp_put_le32(params + SETUP_CMD_LINE_PTR, (uint32_t)cmdline);
    bp_put_le32(params + PARAMS_EXT_RAMDISK_IMAGE, (uint32_t)(initrd_gpa >> 32));
    bp_put_le32(params + PARAMS_EXT_RAMDISK_SIZE, (uint32_t)(initrd_bytes >> 32));
    bp_put_le32(params + PARAMS_EXT_CMD_LINE_PTR, (uint32_t)(cmdline >> 32));
    params[SETUP_TYPE_OF_LOADER] = TYPE_OF_LOADER_UNKNOWN;
    params[SETUP_EXT_LOADER_VER] = 0;
    params[SETUP_EXT_LOADER_TYPE] = 0;

    params[PARAMS_E820_ENTRIES] = (uint8_t)count;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *entry = params + PARAMS_E820_TABLE + i * PARAMS_E820_ENTRY_BYTES;

        bp_put_le64(entry, map->entries[i].base);
        bp_put_le64(entry + 8, map->entries[i].length);
        bp_put_le32(entry + 16, map->entries[i].type);
    }
}
