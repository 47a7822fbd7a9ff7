/* SPDX-License-Identifier: MIT
 *
 * boot/multiboot.c - Multiboot Specification 0.6.96: the header (3.1), the machine state (3.2) and
 * the information (3.3): memory, memory map, command line, modules, loader's name. Kernels are ELF
 * files or flat ones that use the header's address fields.
 *
 * Left out: video modes (a kernel that demands one is refused, as 3.1.1 wants it), symbols, drives,
 * APM. The command line is passed without a file name in front, a module's string whole.
 */
#include "boot/elf.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SEARCH_BYTES 8192u /* the header ends within these */
#define HEADER_MAGIC 0x1badb002u
#define HEADER_BYTES 12u         /* magic, flags, checksum */
#define HEADER_ADDRESS_BYTES 32u /* with the address fields */
#define LOADER_MAGIC 0x2badb002u /* in EAX */

#define FLAG_PAGE_ALIGN 0x1u
#define FLAG_MEMORY 0x2u
#define FLAG_VIDEO 0x4u
#define FLAGS_REQUIRED 0xffffu /* a loader that cannot do one of these must fail */
#define FLAG_ADDRESSES 0x10000u

#define INFO_BYTES 116u
#define INFO_MEMORY 0x1u
#define INFO_CMDLINE 0x4u
#define INFO_MODULES 0x8u
#define INFO_MAP 0x40u
#define INFO_LOADER_NAME 0x200u

#define MODULE_BYTES 16u
#define MAP_BYTES 24u
#define LOADER_NAME "Backplane"
#define NAME_BYTES 16u /* room for it */

_Static_assert(INFO_BYTES + NAME_BYTES + LOADER_MODULES_MAX * MODULE_BYTES + E820_MAX * MAP_BYTES <=
                   LOADER_INFO_BYTES,
               "the information and its tables fit");

struct multiboot_header {
    uint32_t offset; /* in the file */
    uint32_t flags;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr,
        entry_addr; /* with FLAG_ADDRESSES */
};

/* What the file's beginning holds. */
enum search {
    SEARCH_NOTHING,
    SEARCH_BAD_CHECKSUM, /* the magic, but nowhere a header that adds up to 0 */
    SEARCH_CUT,          /* a header whose address fields are not within the bytes searched */
    SEARCH_FOUND,
};

static int search(const struct image *image, struct multiboot_header *h, enum search *result,
                  struct error *e)
{
    uint8_t bytes[SEARCH_BYTES];
    uint32_t n = image->size < SEARCH_BYTES ? (uint32_t)image->size : SEARCH_BYTES;
    int err = image_read(image, 0, bytes, n, e);

    *result = SEARCH_NOTHING;
    for (uint32_t at = 0; !err && n >= HEADER_BYTES && at <= n - HEADER_BYTES; at += 4) {
        const uint8_t *p = bytes + at;

        if (bp_le32(p) != HEADER_MAGIC)
            continue;
        h->offset = at;
        h->flags = bp_le32(p + 4);
        if ((uint32_t)(HEADER_MAGIC + h->flags + bp_le32(p + 8))) {
            if (*result == SEARCH_NOTHING)
                *result = SEARCH_BAD_CHECKSUM;
            continue;
        }
        if (!(h->flags & FLAG_ADDRESSES)) {
            *result = SEARCH_FOUND;
            return 0;
        }
        *result = SEARCH_CUT;
        if (n - at < HEADER_ADDRESS_BYTES)
            return 0;
        h->header_addr = bp_le32(p + 12);
        h->load_addr = bp_le32(p + 16);
        h->load_end_addr = bp_le32(p + 20);
        h->bss_end_addr = bp_le32(p + 24);
        h->entry_addr = bp_le32(p + 28);
        *result = SEARCH_FOUND;
        return 0;
    }
    return err;
}

static int find_header(const struct image *image, struct multiboot_header *h, struct error *e)
{
    enum search result;
    int err = search(image, h, &result, e);

    if (err || result == SEARCH_FOUND)
        return err;
    if (result == SEARCH_CUT)
        return error_set(e, -EINVAL,
                         "%s: the multiboot header at byte %" PRIu32
                         " is cut off, expected %u bytes within the file's first %u",
                         image->path, h->offset, HEADER_ADDRESS_BYTES, SEARCH_BYTES);
    if (result == SEARCH_BAD_CHECKSUM)
        return error_set(
            e, -EINVAL,
            "%s: the multiboot header has a wrong checksum: magic, flags and checksum do "
            "not add up to 0",
            image->path);
    return error_set(e, -EINVAL,
                     "%s: has no multiboot header: expected 0x1badb002 at a multiple of 4 in the "
                     "first %u bytes",
                     image->path, SEARCH_BYTES);
}

int multiboot_detect(const struct image *image, struct error *e)
{
    struct multiboot_header h;
    enum search result;
    int err = search(image, &h, &result, e), elf;

    if (err)
        return err;
    if (result == SEARCH_FOUND || result == SEARCH_NOTHING)
        return result == SEARCH_FOUND;
    /* The magic number in an ELF file may be chance, and the file starts without; a flat one
     * cannot. */
    elf = elf_detect(image, e);
    if (elf)
        return elf < 0 ? elf : 0;
    return find_header(image, &h, e);
}

/* The flat file, by the header's address fields (3.1.3). */
static int place_flat(struct loader *l, const struct multiboot_header *h, uint64_t *end)
{
    const struct image *image = l->kernel;
    uint64_t before = (uint64_t)h->header_addr - h->load_addr; /* bytes of text before the header */
    uint64_t offset, length, memory;
    uint8_t *host = NULL;
    int err;

    if (h->header_addr < h->load_addr || before > h->offset)
        return error_set(l->e, -EINVAL,
                         "%s: multiboot load_addr 0x%" PRIx32 " and header_addr 0x%" PRIx32
                         " do not fit a header at byte %" PRIu32 " of the file",
                         image->path, h->load_addr, h->header_addr, h->offset);
    offset = h->offset - before;
    if (h->load_end_addr && h->load_end_addr <= h->load_addr)
        return error_set(l->e, -EINVAL,
                         "%s: multiboot load_end_addr 0x%" PRIx32
                         " is not above load_addr 0x%" PRIx32,
                         image->path, h->load_end_addr, h->load_addr);
    length = h->load_end_addr ? h->load_end_addr - h->load_addr : image->size - offset;
    if (length > image->size - offset)
        return error_set(l->e, -EINVAL,
                         "%s: multiboot load_addr and load_end_addr ask for %" PRIu64
                         " bytes at byte %" PRIu64 ", but the file has only %" PRIu64
                         " bytes; it is truncated",
                         image->path, length, offset, image->size);
    memory = length;
    if (h->bss_end_addr) {
        if (h->bss_end_addr < h->load_addr + length)
            return error_set(l->e, -EINVAL,
                             "%s: multiboot bss_end_addr 0x%" PRIx32
                             " is below the end of what is loaded, 0x%" PRIx64,
                             image->path, h->bss_end_addr, h->load_addr + length);
        memory = h->bss_end_addr - h->load_addr;
    }
    if (h->entry_addr < h->load_addr || h->entry_addr - h->load_addr >= length)
        return error_set(l->e, -EINVAL,
                         "%s: multiboot entry_addr 0x%" PRIx32
                         " is outside what is loaded, 0x%" PRIx32 "-0x%" PRIx64,
                         image->path, h->entry_addr, h->load_addr, h->load_addr + length - 1);
    *end = h->load_addr + memory;
    err = place_take(&l->place, image->path, "the kernel", h->load_addr, memory, &host, l->e);
    if (!err)
        err = image_read(image, offset, host, length, l->e);
    if (!err)
        memset(host + length, 0, memory - length);
    return err;
}

static int place_elf(struct loader *l, uint64_t *entry, uint64_t *end)
{
    struct elf_file elf;
    int found = elf_detect(l->kernel, l->e), err;

    if (found < 0)
        return found;
    if (!found)
        return error_set(
            l->e, -EINVAL,
            "%s: the multiboot header has no address fields (flags bit 16), and the file "
            "is no ELF file",
            l->kernel->path);
    err = elf_read(l->kernel, &elf, l->e);
    if (!err)
        err = elf_place(l, &elf);
    if (!err)
        err = elf_entry(l, &elf, elf.entry, entry);
    *end = err ? 0 : elf_end(&elf);
    return err;
}

static int check_flags(const struct loader *l, const struct multiboot_header *h)
{
    uint32_t unknown = h->flags & FLAGS_REQUIRED & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY);

    if (unknown & FLAG_VIDEO)
        return error_set(
            l->e, -EINVAL,
            "%s: the multiboot header demands a video mode (flags bit 2), and this machine "
            "has no display",
            l->kernel->path);
    if (unknown)
        return error_set(l->e, -EINVAL,
                         "%s: the multiboot header has flags 0x%" PRIx32
                         ", expected none of bits 3 to 15, which multiboot 1 does not define",
                         l->kernel->path, h->flags);
    return 0;
}

/* KiB of RAM from `base` to the first thing that is none. */
static uint32_t contiguous_kib(const struct e820 *map, uint64_t base)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct e820_entry *entry = &map->entries[i];
        uint64_t kib;

        if (entry->type != E820_RAM || base < entry->base || base - entry->base >= entry->length)
            continue;
        kib = (entry->length - (base - entry->base)) >> 10;
        return kib > UINT32_MAX ? UINT32_MAX : (uint32_t)kib;
    }
    return 0;
}

static void write_info(struct loader *l, uint8_t *info, const struct loader_module *modules,
                       uint32_t count)
{
    const struct e820 *map = l->target->map;
    uint8_t *name = info + INFO_BYTES, *list = name + NAME_BYTES;
    uint8_t *entries = list + (uint64_t)count * MODULE_BYTES;
    uint32_t lower = contiguous_kib(map, 0);

    bp_put_le32(info, INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER_NAME);
    bp_put_le32(info + 4, lower < 640 ? lower : 640);
    bp_put_le32(info + 8, contiguous_kib(map, LOADER_HIGH_FIRST));
    bp_put_le32(info + 16, (uint32_t)loader_string(l, loader_cmdline(l)));
    bp_put_le32(info + 20, count);
    bp_put_le32(info + 24, BOOT_INFO_GPA + (uint32_t)(list - info));
    bp_put_le32(info + 44, map->count * MAP_BYTES);
    bp_put_le32(info + 48, BOOT_INFO_GPA + (uint32_t)(entries - info));
    bp_put_le32(info + 64, BOOT_INFO_GPA + INFO_BYTES);
    memcpy(name, LOADER_NAME, sizeof(LOADER_NAME));
    for (uint32_t i = 0; i < count; i++, list += MODULE_BYTES) {
        bp_put_le32(list, (uint32_t)modules[i].gpa);
        bp_put_le32(list + 4, (uint32_t)(modules[i].gpa + modules[i].length));
        bp_put_le32(list + 8, (uint32_t)loader_string(l, modules[i].string));
    }
    for (uint32_t i = 0; i < map->count; i++, entries += MAP_BYTES) {
        bp_put_le32(entries, MAP_BYTES - 4); /* the size does not count itself */
        bp_put_le64(entries + 4, map->entries[i].base);
        bp_put_le64(entries + 12, map->entries[i].length);
        bp_put_le32(entries + 20, map->entries[i].type);
    }
}

int multiboot_load(struct loader *l)
{
    struct loader_module modules[LOADER_MODULES_MAX];
    struct multiboot_header h = {0};
    uint64_t entry = 0, end = 0;
    uint32_t count = 0;
    uint8_t *info = NULL;
    int err = find_header(l->kernel, &h, l->e);

    if (!err)
        err = check_flags(l, &h);
    if (!err)
        err = loader_module_count(l, &count);
    if (!err)
        err = loader_take_tables(l, 0);
    if (!err)
        err = loader_take_info(l,
                               INFO_BYTES + NAME_BYTES + (uint64_t)count * MODULE_BYTES +
                                   (uint64_t)l->target->map->count * MAP_BYTES,
                               &info);
    if (!err)
        err = loader_take_strings(l, true);
    if (err)
        return err;
    entry = h.entry_addr;
    err = h.flags & FLAG_ADDRESSES ? place_flat(l, &h, &end) : place_elf(l, &entry, &end);
    /* Right above the kernel, where small kernels that map little memory can reach them. */
    if (!err)
        err = loader_modules(l, PLACE_LOWEST, end > LOADER_HIGH_FIRST ? end : LOADER_HIGH_FIRST,
                             modules);
    if (err)
        return err;
    write_info(l, info, modules, count);
    state_flat32(l, entry);
    l->state->gpr.rax = LOADER_MAGIC;
    l->state->gpr.rbx = BOOT_INFO_GPA;
    l->state->protocol = "multiboot";
    return 0;
}
