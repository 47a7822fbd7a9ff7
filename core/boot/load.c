/* SPDX-License-Identifier: MIT
 *
 * boot/load.c - boot_load(): finds the protocol of a kernel, runs it, and holds what the protocols
 * share: the loader's structures below 640 KiB, the command line, initrd and modules.
 *
 * The loader's fixed structures are taken first, so that a kernel that is linked over them is told
 * so.
 */
#include "boot/loader.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MODULE_PATH_MAX 4096u /* bytes of a module's path with its 0 */

const char *loader_cmdline(const struct loader *l)
{
    return l->request->cmdline ? l->request->cmdline : "";
}

int loader_check_cmdline(struct loader *l, uint64_t max)
{
    uint64_t length = strlen(loader_cmdline(l));

    if (length <= max)
        return 0;
    return error_set(l->e, -EINVAL,
                     "%s: the command line has %" PRIu64
                     " bytes, and this kernel takes at most %" PRIu64,
                     l->kernel->path, length, max);
}

int loader_no_modules(struct loader *l, const char *protocol)
{
    if (!l->request->module_count)
        return 0;
    return error_set(l->e, -EINVAL,
                     "%s: is started by %s, which has no modules; only PVH and multiboot have",
                     l->kernel->path, protocol);
}

int loader_take_tables(struct loader *l, uint32_t gib)
{
    int err = place_take(&l->place, l->kernel->path, "the GDT", BOOT_GDT_GPA, STATE_GDT_BYTES,
                         &l->gdt, l->e);

    l->gdt_gpa = BOOT_GDT_GPA;
    l->tables_gpa = BOOT_PAGE_TABLES_GPA;
    if (err || !gib)
        return err;
    return place_take(&l->place, l->kernel->path, "the page tables", BOOT_PAGE_TABLES_GPA,
                      state_table_bytes(gib), &l->tables, l->e);
}

/* At `fixed` if that is free, else at the lowest free page from 4 KiB on. */
static int take_near(struct loader *l, const char *what, uint64_t fixed, uint64_t length,
                     uint64_t *gpa, uint8_t **host)
{
    *gpa = fixed;
    if (place_is_free(&l->place, fixed, length))
        return place_take(&l->place, l->kernel->path, what, fixed, length, host, l->e);
    return place_take_free(&l->place, l->kernel->path, what, PLACE_LOWEST, length, RAM_PAGE,
                           RAM_PAGE, LOADER_LAST, gpa, host, l->e);
}

int loader_find_tables(struct loader *l, uint32_t gib)
{
    int err = take_near(l, "the GDT", BOOT_GDT_GPA, STATE_GDT_BYTES, &l->gdt_gpa, &l->gdt);

    if (err || !gib)
        return err;
    return take_near(l, "the page tables", BOOT_PAGE_TABLES_GPA, state_table_bytes(gib),
                     &l->tables_gpa, &l->tables);
}

int loader_take_strings(struct loader *l, bool modules)
{
    uint64_t length = strlen(loader_cmdline(l)) + 1;
    int err;

    if (modules && l->request->initrd)
        length += strlen(l->request->initrd) + 1;
    for (uint32_t i = 0; modules && i < l->request->module_count; i++)
        length += strlen(l->request->modules[i]) + 1;
    if (length > BOOT_CMDLINE_MAX)
        return error_set(l->e, -EINVAL,
                         "%s: the command line%s %s %" PRIu64
                         " bytes with the terminating 0, and there is room for %u",
                         l->kernel->path, modules ? " and the modules' strings" : "",
                         modules ? "have" : "has", length, BOOT_CMDLINE_MAX);
    err = place_take(&l->place, l->kernel->path, "the command line", BOOT_CMDLINE_GPA, length,
                     &l->strings, l->e);
    l->strings_gpa = BOOT_CMDLINE_GPA;
    l->strings_end = BOOT_CMDLINE_GPA + length;
    return err;
}

uint64_t loader_string(struct loader *l, const char *text)
{
    uint64_t gpa = l->strings_gpa, length = strlen(text) + 1;

    if (length > l->strings_end - gpa) /* not counted by loader_take_strings(): our own bug */
        return 0;
    memcpy(l->strings + (gpa - BOOT_CMDLINE_GPA), text, length);
    l->strings_gpa += length;
    return gpa;
}

int loader_take_info(struct loader *l, uint64_t length, uint8_t **info)
{
    int err = place_take(&l->place, l->kernel->path, "the boot information", BOOT_INFO_GPA, length,
                         info, l->e);

    if (!err)
        memset(*info, 0, length);
    return err;
}

int loader_file(struct loader *l, const char *path, const char *what, enum place_end end,
                uint64_t first, uint64_t last, struct loader_module *out)
{
    struct image image;
    uint8_t *host = NULL;
    int err = image_open(&image, path, l->e);

    if (err)
        return err;
    out->length = image.size;
    err = place_take_free(&l->place, path, what, end, image.size, RAM_PAGE, first, last, &out->gpa,
                          &host, l->e);
    if (!err)
        err = image_read(&image, 0, host, image.size, l->e);
    image_close(&image);
    return err;
}

int loader_module_count(struct loader *l, uint32_t *count)
{
    uint64_t n = (uint64_t)l->request->module_count + (l->request->initrd ? 1 : 0);

    if (n > LOADER_MODULES_MAX)
        return error_set(l->e, -EINVAL,
                         "%s: %" PRIu64 " modules were asked for, at most %u are possible",
                         l->kernel->path, n, LOADER_MODULES_MAX);
    *count = (uint32_t)n;
    return 0;
}

/* Loads "path [arguments]". */
static int load_module(struct loader *l, const char *string, uint32_t number, enum place_end end,
                       uint64_t first, struct loader_module *out)
{
    char path[MODULE_PATH_MAX], what[PLACE_WHAT_BYTES];
    size_t length = strcspn(string, " ");

    if (!length || length >= sizeof(path))
        return error_set(l->e, -EINVAL,
                         "%s: module %" PRIu32
                         " is \"%.40s\", expected a path and, after a space, its "
                         "arguments",
                         l->kernel->path, number, string);
    memcpy(path, string, length);
    path[length] = 0;
    snprintf(what, sizeof(what), "module %" PRIu32, number);
    out->string = string;
    return loader_file(l, path, what, end, first, LOADER_LAST, out);
}

int loader_modules(struct loader *l, enum place_end end, uint64_t first,
                   struct loader_module modules[LOADER_MODULES_MAX])
{
    uint32_t n = 0;
    int err = 0;

    if (l->request->initrd) {
        modules[n].string = l->request->initrd;
        err =
            loader_file(l, l->request->initrd, "the initrd", end, first, LOADER_LAST, &modules[n]);
        n++;
    }
    for (uint32_t i = 0; i < l->request->module_count && !err; i++, n++)
        err = load_module(l, l->request->modules[i], i + 1, end, first, &modules[n]);
    return err;
}

/* What an unknown file is, where its first bytes tell. */
static const char *compression(const struct image *image)
{
    uint8_t magic[4] = {0};
    struct error ignored;

    if (image_read(image, 0, magic, image->size < 4 ? image->size : 4, &ignored))
        return NULL;
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return "gzip";
    if (bp_le32(magic) == 0x587a37fdu)
        return "xz";
    if (bp_le32(magic) == 0xfd2fb528u)
        return "zstd";
    if (!memcmp(magic, "BZh", 3))
        return "bzip2";
    return NULL;
}

static int unknown_kind(struct loader *l)
{
    const char *packed = compression(l->kernel);

    if (packed)
        return error_set(l->e, -EINVAL, "%s: is compressed with %s; unpack it first",
                         l->kernel->path, packed);
    return error_set(l->e, -EINVAL,
                     "%s: is no kernel that can be started: expected a Linux bzImage, an ELF file "
                     "(vmlinux, PVH or multiboot) or a multiboot 1 header in the first 8192 bytes; "
                     "a flat binary is started by `binary`, or --binary",
                     l->kernel->path);
}

static int detect(struct loader *l, enum boot_protocol *protocol)
{
    int found = bzimage_detect(l->kernel, l->e);
    int elf;

    *protocol = BOOT_LINUX;
    if (found)
        return found < 0 ? found : 0;
    elf = elf_detect(l->kernel, l->e);
    if (elf < 0)
        return elf;
    if (elf) {
        *protocol = BOOT_PVH;
        found = pvh_detect(l->kernel, l->e);
        if (found)
            return found < 0 ? found : 0;
    }
    *protocol = BOOT_MULTIBOOT;
    found = multiboot_detect(l->kernel, l->e);
    if (found)
        return found < 0 ? found : 0;
    *protocol = BOOT_ELF;
    return elf ? 0 : unknown_kind(l);
}

int loader_run(const struct boot_request *request, const struct image *kernel,
               const struct boot_target *target, struct boot_state *state, struct error *e)
{
    struct loader l = {
        .request = request, .kernel = kernel, .target = target, .state = state, .e = e};
    enum boot_protocol protocol = request->protocol;

    place_init(&l.place, target->ram, target->map);
    if (protocol == BOOT_AUTO) {
        int err = detect(&l, &protocol);
        if (err)
            return err;
    }
    switch (protocol) {
    case BOOT_LINUX:
        return bzimage_load(&l);
    case BOOT_ELF:
        return elf_load(&l);
    case BOOT_PVH:
        return pvh_load(&l);
    case BOOT_MULTIBOOT:
        return multiboot_load(&l);
    case BOOT_RAW:
        return raw_load(&l);
    case BOOT_AUTO:
        break;
    }
    return error_set(e, -EINVAL, "%s: unknown boot protocol %d", kernel->path, (int)protocol);
}

int boot_check_file(const char *path, struct error *e)
{
    return image_check(path, e);
}

int boot_load(const struct boot_request *request, const struct boot_target *target,
              struct boot_state *state, struct error *e)
{
    struct image kernel;

    if (request->firmware)
        return firmware_load(request->firmware, target, state, e);
    int err = image_open(&kernel, request->kernel, e);
    if (err)
        return err;
    err = loader_run(request, &kernel, target, state, e);
    image_close(&kernel);
    return err;
}
