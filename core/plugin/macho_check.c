/* SPDX-License-Identifier: MIT
 *
 * plugin/macho_check.c - the headers of a Mach-O file, read before dlopen() sees the file.
 *
 * After "OS X ABI Mach-O File Format Reference": mach_header_64, load commands, segment_command_64;
 * fat_header for files that hold several. The structs are declared here, in the one byte order that
 * both processors have, so that this is tested wherever it is built. Signatures are the system's to
 * judge.
 */
#include "plugin/macho_check.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define MAGIC_64 0xfeedfacfu
#define MAGIC_32 0xfeedfaceu
#define MAGIC_64_OTHER 0xcffaedfeu /* of a big-endian file */
#define MAGIC_FAT 0xcafebabeu      /* big-endian, as all of that header */
#define TYPE_DYLIB 6u
#define TYPE_BUNDLE 8u

#define HEADER_BYTES 32u
#define FAT_HEADER_BYTES 8u
#define FAT_ARCH_BYTES 20u
#define FAT_ARCHS_MAX                                                                              \
    64u /* Java's class files have the same magic, and a version of 45 or more here */
#define COMMANDS_MAX 4096u
#define COMMANDS_BYTES_MAX 0x100000u
#define LC_SEGMENT_64 0x19u
#define SEGMENT_BYTES 72u

/* One image: the whole file, or a part of a universal one. */
struct image {
    const struct elf_source *file;
    const char *path;
    uint64_t offset, length;
};

static uint32_t be32(const uint8_t *p)
{
    return __builtin_bswap32(bp_le32(p));
}

static int read_at(const struct image *image, uint64_t offset, void *to, uint64_t length,
                   const char *what, struct error *e)
{
    uint64_t end;
    int err;

    if (__builtin_add_overflow(offset, length, &end))
        end = UINT64_MAX;
    if (end > image->length)
        return error_set(e, -ENOEXEC,
                         "%s is truncated: it has %" PRIu64
                         " bytes, but its %s reach to byte %" PRIu64 "; build or copy it again",
                         image->path, image->length, what, end);
    err = image->file->read(image->file->context, image->offset + offset, to, length);
    return err ? error_set(e, err, "%s cannot be read: %s; check the file system that it is on",
                           image->path, strerror(-err))
               : 0;
}

static int damaged(const struct image *image, const char *why, struct error *e)
{
    return error_set(e, -ENOEXEC, "%s is a damaged Mach-O file: %s; build or copy it again",
                     image->path, why);
}

static const char *machine_name(uint32_t machine)
{
    return machine == MACHO_X86_64  ? "x86-64"
           : machine == MACHO_ARM64 ? "arm64"
           : machine == 7u          ? "i386"
                                    : "an unknown processor";
}

static int wrong_machine(const struct image *image, uint32_t found, uint32_t machine,
                         struct error *e)
{
    return error_set(e, -ENOEXEC,
                     "%s is built for %s (%u); this host is %s (%u): build it for this host",
                     image->path, machine_name(found), found, machine_name(machine), machine);
}

static const char *type_name(uint32_t type)
{
    switch (type) {
    case 1:
        return "a relocatable object";
    case 2:
        return "a program";
    case 4:
        return "a core dump";
    default:
        return "of no known kind";
    }
}

/* Takes the part for `machine` of a universal file as the image. */
static int choose_part(struct image *image, uint32_t machine, struct error *e)
{
    uint8_t head[FAT_HEADER_BYTES] = {0}, arch[FAT_ARCH_BYTES] = {0};
    int err = read_at(image, 0, head, sizeof(head), "headers", e);
    uint32_t count = err ? 0 : be32(head + 4), found = 0;

    if (err)
        return err;
    if (count == 0 || count > FAT_ARCHS_MAX)
        return damaged(image, "it is for no processor, or for more than 64", e);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end;

        err = read_at(image, FAT_HEADER_BYTES + (uint64_t)i * FAT_ARCH_BYTES, arch, sizeof(arch),
                      "headers", e);
        if (err)
            return err;
        found = be32(arch);
        if (found != machine)
            continue;
        end = (uint64_t)be32(arch + 8) + be32(arch + 12);
        if (end > image->length)
            return error_set(e, -ENOEXEC,
                             "%s is truncated: it has %" PRIu64
                             " bytes, but its part for %s reaches to byte %" PRIu64
                             "; build or copy it again",
                             image->path, image->length, machine_name(machine), end);
        image->offset = be32(arch + 8);
        image->length = be32(arch + 12);
        return 0;
    }
    return wrong_machine(image, found, machine, e);
}

static int check_segment(const struct image *image, const uint8_t *command, struct error *e)
{
    uint64_t vmsize = bp_le64(command + 32), offset = bp_le64(command + 40);
    uint64_t filesize = bp_le64(command + 48), end;

    if (filesize > vmsize)
        return damaged(image, "a segment is larger in the file than in memory", e);
    if (__builtin_add_overflow(offset, filesize, &end) || end > image->length)
        return error_set(e, -ENOEXEC,
                         "%s is truncated: it has %" PRIu64
                         " bytes, but its segments reach beyond; build or copy it again",
                         image->path, image->length);
    return 0;
}

static int check_commands(const struct image *image, uint32_t count, uint32_t bytes,
                          struct error *e)
{
    uint32_t at = 0;
    bool loads = false;
    int err = 0;

    for (uint32_t i = 0; i < count && !err; i++) {
        uint8_t command[SEGMENT_BYTES] = {0};
        uint32_t size;

        if (bytes - at < 8)
            return damaged(image, "its load commands are longer than it says", e);
        err = read_at(image, HEADER_BYTES + at, command, 8, "load commands", e);
        if (err)
            return err;
        size = bp_le32(command + 4);
        if (size < 8 || size % 8 || size > bytes - at)
            return damaged(image, "a load command has a size that cannot be", e);
        if (bp_le32(command) == LC_SEGMENT_64) {
            if (size < SEGMENT_BYTES)
                return damaged(image, "a segment's load command is too short", e);
            err = read_at(image, HEADER_BYTES + at, command, sizeof(command), "load commands", e);
            if (!err)
                err = check_segment(image, command, e);
            loads = true;
        }
        at += size;
    }
    return err || loads ? err : damaged(image, "it has nothing to load", e);
}

int macho_check(const struct elf_source *file, uint32_t machine, const char *path, struct error *e)
{
    struct image image = {.file = file, .path = path, .length = file->length};
    uint8_t head[HEADER_BYTES] = {0};
    uint32_t magic, type, bytes;
    int err;

    if (file->length == 0)
        return error_set(e, -ENOEXEC,
                         "%s is empty; expected a shared object: build or copy it again", path);
    err = read_at(&image, 0, head, file->length < 4 ? file->length : 4, "headers", e);
    if (!err && be32(head) == MAGIC_FAT) {
        err = choose_part(&image, machine, e);
        if (!err)
            err = read_at(&image, 0, head, 4, "headers", e);
    }
    if (err)
        return err;
    magic = bp_le32(head);
    if (magic == MAGIC_32 || magic == MAGIC_64_OTHER)
        return error_set(e, -ENOEXEC,
                         "%s is built for another kind of processor; this host is %s, 64-bit, "
                         "little-endian: build it for this host",
                         path, machine_name(machine));
    if (magic != MAGIC_64)
        return error_set(e, -ENOEXEC,
                         "%s is not a Mach-O file (it begins with %02x %02x %02x %02x); expected a "
                         "shared object, as bp_add_plugin() or cc -bundle builds it",
                         path, head[0], head[1], head[2], head[3]);
    err = read_at(&image, 0, head, sizeof(head), "headers", e);
    if (err)
        return err;
    if (bp_le32(head + 4) != machine)
        return wrong_machine(&image, bp_le32(head + 4), machine, e);
    type = bp_le32(head + 12);
    if (type != TYPE_BUNDLE && type != TYPE_DYLIB)
        return error_set(e, -ENOEXEC,
                         "%s is %s (Mach-O type %u); expected a bundle (type 8): link it with "
                         "-bundle",
                         path, type_name(type), type);
    bytes = bp_le32(head + 20);
    if (bp_le32(head + 16) > COMMANDS_MAX || bytes > COMMANDS_BYTES_MAX)
        return damaged(&image, "it has more than 4096 load commands, or 1 MiB of them", e);
    return check_commands(&image, bp_le32(head + 16), bytes, e);
}
