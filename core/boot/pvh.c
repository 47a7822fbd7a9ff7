/* SPDX-License-Identifier: MIT
 *
 * boot/pvh.c - PVH direct boot: an ELF file whose note XEN_ELFNOTE_PHYS32_ENTRY names a 32-bit
 * entry point, and hvm_start_info version 1 in EBX. After Xen's docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h.
 */
#include "boot/elf.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NOTE_PHYS32_ENTRY 18u
#define NOTE_HEADER_BYTES 12u /* namesz, descsz, type */
#define NOTES_MAX 1024u       /* looked at in one file */

#define START_MAGIC 0x336ec578u
#define START_BYTES 56u  /* hvm_start_info version 1 */
#define MODULE_BYTES 32u /* hvm_modlist_entry */
#define MAP_BYTES 24u    /* hvm_memmap_table_entry */

_Static_assert(START_BYTES + LOADER_MODULES_MAX * MODULE_BYTES + E820_MAX * MAP_BYTES <=
                   LOADER_INFO_BYTES,
               "hvm_start_info and its tables fit");

/* Looks for the entry note in one PT_NOTE segment: 1 with *entry, 0, or -errno. *budget bounds the
 * work on a file full of notes. */
static int find_in_segment(const struct image *image, const struct elf_segment *s, uint32_t *budget,
                           uint64_t *entry, struct error *e)
{
    uint64_t align = s->align == 8 ? 8 : 4, at = 0;

    while (s->filesz - at >= NOTE_HEADER_BYTES && *budget) {
        uint8_t note[NOTE_HEADER_BYTES + 4 + 8] = {0};
        uint64_t left = s->filesz - at, name_bytes, desc_bytes, desc, next;
        int err =
            image_read(image, s->offset + at, note, left < sizeof(note) ? left : sizeof(note), e);

        if (err)
            return err;
        --*budget;
        name_bytes = bp_le32(note);
        desc_bytes = bp_le32(note + 4);
        desc = (NOTE_HEADER_BYTES + name_bytes + align - 1) & ~(align - 1);
        next = (desc + desc_bytes + align - 1) & ~(align - 1);
        if (bp_le32(note + 8) == NOTE_PHYS32_ENTRY && name_bytes == 4 &&
            !memcmp(note + NOTE_HEADER_BYTES, "Xen", 4)) {
            if ((desc_bytes != 4 && desc_bytes != 8) || desc + desc_bytes > left)
                return error_set(e, -EINVAL,
                                 "%s: the PVH entry note has %" PRIu64
                                 " bytes, expected 4 or 8 within its segment",
                                 image->path, desc_bytes);
            *entry = desc_bytes == 8 ? bp_le64(note + desc) : bp_le32(note + desc);
            return 1;
        }
        if (next > left)
            break; /* a note that is longer than its segment: nothing can follow */
        at += next;
    }
    return 0;
}

static int find_entry(const struct image *image, const struct elf_file *elf, uint64_t *entry,
                      struct error *e)
{
    uint32_t budget = NOTES_MAX;
    int found = 0;

    for (uint32_t i = 0; i < elf->count && !found; i++)
        if (elf->segments[i].type == ELF_PT_NOTE)
            found = find_in_segment(image, &elf->segments[i], &budget, entry, e);
    return found;
}

int pvh_detect(const struct image *image, struct error *e)
{
    struct elf_file elf;
    uint64_t entry;
    int err = elf_read(image, &elf, e);

    return err ? err : find_entry(image, &elf, &entry, e);
}

static void write_start_info(struct loader *l, uint8_t *info, const struct loader_module *modules,
                             uint32_t count)
{
    const struct e820 *map = l->target->map;
    uint8_t *list = info + START_BYTES, *entries = list + (uint64_t)count * MODULE_BYTES;

    bp_put_le32(info, START_MAGIC);
    bp_put_le32(info + 4, 1);
    bp_put_le32(info + 12, count);
    bp_put_le64(info + 16, count ? BOOT_INFO_GPA + START_BYTES : 0);
    bp_put_le64(info + 24, loader_string(l, loader_cmdline(l)));
    bp_put_le64(info + 32, l->target->rsdp_gpa);
    bp_put_le64(info + 40, BOOT_INFO_GPA + (uint64_t)(entries - info));
    bp_put_le32(info + 48, map->count);
    for (uint32_t i = 0; i < count; i++, list += MODULE_BYTES) {
        bp_put_le64(list, modules[i].gpa);
        bp_put_le64(list + 8, modules[i].length);
        bp_put_le64(list + 16, loader_string(l, modules[i].string));
    }
    for (uint32_t i = 0; i < map->count; i++, entries += MAP_BYTES) {
        bp_put_le64(entries, map->entries[i].base);
        bp_put_le64(entries + 8, map->entries[i].length);
        bp_put_le32(entries + 16, map->entries[i].type);
    }
}

int pvh_load(struct loader *l)
{
    struct loader_module modules[LOADER_MODULES_MAX];
    struct elf_file elf;
    uint64_t note = 0, entry = 0;
    uint32_t count = 0;
    uint8_t *info = NULL;
    int err = elf_read(l->kernel, &elf, l->e);

    if (!err) {
        int found = find_entry(l->kernel, &elf, &note, l->e);

        err = found < 0 ? found : 0;
        if (!found)
            err = error_set(l->e, -EINVAL,
                            "%s: has no PVH entry: expected an ELF note of type 18 by \"Xen\" "
                            "(a Linux kernel has it with CONFIG_PVH)",
                            l->kernel->path);
    }
    if (!err)
        err = loader_module_count(l, &count);
    if (!err)
        err = loader_take_tables(l, 0);
    if (!err)
        err = loader_take_info(l,
                               START_BYTES + (uint64_t)count * MODULE_BYTES +
                                   (uint64_t)l->target->map->count * MAP_BYTES,
                               &info);
    if (!err)
        err = loader_take_strings(l, true);
    if (!err)
        err = elf_place(l, &elf);
    if (!err)
        err = elf_entry(l, &elf, note, &entry);
    if (!err)
        err = loader_modules(l, PLACE_HIGHEST, LOADER_HIGH_FIRST, modules);
    if (err)
        return err;
    write_start_info(l, info, modules, count);
    state_flat32(l, entry);
    l->state->gpr.rbx = BOOT_INFO_GPA;
    l->state->protocol = "PVH";
    return 0;
}
