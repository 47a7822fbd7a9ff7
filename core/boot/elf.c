/* SPDX-License-Identifier: MIT
 *
 * boot/elf.c - ELF kernels: reads and places them, and starts those that bring no protocol of their
 * own as Linux starts a vmlinux: boot_params in RSI, ELF64 in 64-bit mode, ELF32 in flat protected
 * mode (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol" and "32-bit Boot Protocol").
 *
 * Left out: relocation (a kernel stands where its p_paddr says), section headers, more than
 * ELF_SEGMENTS_MAX program headers.
 */
#include "boot/elf.h"

#include "boot/params.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ELF_MAGIC 0x464c457fu /* "\177ELF" */
#define EI_CLASS 4u
#define EI_DATA 5u
#define CLASS_32 1u
#define CLASS_64 2u
#define DATA_LSB 1u
#define E_TYPE 16u
#define E_MACHINE 18u
#define ET_EXEC 2u
#define ET_DYN 3u
#define EM_386 3u
#define EM_X86_64 62u
#define EHDR32_BYTES 52u
#define EHDR64_BYTES 64u
#define PHDR32_BYTES 32u
#define PHDR64_BYTES 56u

#define LINUX_CMDLINE_MAX 2047u /* x86's COMMAND_LINE_SIZE, less its 0 */
#define LINUX_INITRD_MAX                                                                           \
    0x7fffffffu /* what every Linux takes: initrd_addr_max of its own bzImage */

int elf_detect(const struct image *image, struct error *e)
{
    uint8_t magic[4];
    int err;

    if (image->size < sizeof(magic))
        return 0;
    err = image_read(image, 0, magic, sizeof(magic), e);
    return err ? err : bp_le32(magic) == ELF_MAGIC;
}

static const char *machine_name(uint32_t machine)
{
    switch (machine) {
    case EM_386:
        return "i386";
    case EM_X86_64:
        return "x86-64";
    case 20:
    case 21:
        return "PowerPC";
    case 22:
        return "S/390";
    case 40:
        return "ARM";
    case 183:
        return "AArch64";
    case 243:
        return "RISC-V";
    default:
        return "unknown";
    }
}

static int check_ident(const struct image *image, const uint8_t *ehdr, struct elf_file *elf,
                       struct error *e)
{
    uint32_t machine = bp_le16(ehdr + E_MACHINE), type = bp_le16(ehdr + E_TYPE);

    if (bp_le32(ehdr) != ELF_MAGIC)
        return error_set(e, -EINVAL, "%s: is no ELF file", image->path);
    if (ehdr[EI_CLASS] != CLASS_32 && ehdr[EI_CLASS] != CLASS_64)
        return error_set(e, -EINVAL, "%s: has ELF class %u, expected 1 (32 bit) or 2 (64 bit)",
                         image->path, ehdr[EI_CLASS]);
    elf->bits = ehdr[EI_CLASS] == CLASS_64 ? 64 : 32;
    if (ehdr[EI_DATA] != DATA_LSB)
        return error_set(e, -EINVAL, "%s: is a big-endian ELF file, expected one for x86",
                         image->path);
    if (machine != (elf->bits == 64 ? EM_X86_64 : EM_386))
        return error_set(e, -EINVAL,
                         "%s: is an ELF%" PRIu32 " file for machine %" PRIu32
                         " (%s), expected ELF64 for x86-64 or ELF32 for i386",
                         image->path, elf->bits, machine, machine_name(machine));
    if (type != ET_EXEC && type != ET_DYN)
        return error_set(e, -EINVAL, "%s: has ELF type %" PRIu32 ", expected an executable (2)",
                         image->path, type);
    return 0;
}

/* The file's ELF header, zeros after its end. */
static int read_ehdr(const struct image *image, uint8_t ehdr[EHDR64_BYTES], struct elf_file *elf,
                     struct error *e)
{
    uint64_t n = image->size < EHDR64_BYTES ? image->size : EHDR64_BYTES;
    uint32_t needed;
    int err;

    memset(ehdr, 0, EHDR64_BYTES);
    err = image_read(image, 0, ehdr, n, e);
    if (err)
        return err;
    needed = ehdr[EI_CLASS] == CLASS_32 ? EHDR32_BYTES : EHDR64_BYTES;
    if (bp_le32(ehdr) == ELF_MAGIC && n < needed)
        return error_set(e, -EINVAL,
                         "%s: the file ends after %" PRIu64
                         " bytes, within the ELF header of %" PRIu32 "; it is truncated",
                         image->path, image->size, needed);
    return check_ident(image, ehdr, elf, e);
}

static void read_phdr(const uint8_t *p, uint32_t bits, struct elf_segment *s)
{
    s->type = bp_le32(p);
    if (bits == 64) {
        s->offset = bp_le64(p + 8);
        s->vaddr = bp_le64(p + 16);
        s->paddr = bp_le64(p + 24);
        s->filesz = bp_le64(p + 32);
        s->memsz = bp_le64(p + 40);
        s->align = bp_le64(p + 48);
    } else {
        s->offset = bp_le32(p + 4);
        s->vaddr = bp_le32(p + 8);
        s->paddr = bp_le32(p + 12);
        s->filesz = bp_le32(p + 16);
        s->memsz = bp_le32(p + 20);
        s->align = bp_le32(p + 28);
    }
}

/* Keeps a segment that matters, after checking it. */
static int add_segment(const struct image *image, struct elf_file *elf, const struct elf_segment *s,
                       struct error *e)
{
    if (s->type == ELF_PT_LOAD && s->filesz > s->memsz)
        return error_set(e, -EINVAL,
                         "%s: segment %" PRIu32 " has %" PRIu64 " bytes in the file but %" PRIu64
                         " in memory (p_filesz > p_memsz)",
                         image->path, s->index, s->filesz, s->memsz);
    if (s->type == ELF_PT_LOAD && !s->memsz)
        return 0;
    if (s->type != ELF_PT_LOAD && s->type != ELF_PT_NOTE)
        return 0;
    if (s->filesz && (s->offset > image->size || s->filesz > image->size - s->offset))
        return error_set(e, -EINVAL,
                         "%s: segment %" PRIu32 " has %" PRIu64 " bytes at byte %" PRIu64
                         ", but the file has only %" PRIu64 " bytes; it is truncated",
                         image->path, s->index, s->filesz, s->offset, image->size);
    elf->segments[elf->count++] = *s;
    return 0;
}

int elf_read(const struct image *image, struct elf_file *elf, struct error *e)
{
    uint8_t ehdr[EHDR64_BYTES], phdrs[ELF_SEGMENTS_MAX * PHDR64_BYTES];
    uint32_t count, stride, expected;
    uint64_t offset;
    int err;

    elf->bits = 0;
    elf->count = 0;
    err = read_ehdr(image, ehdr, elf, e);
    if (err)
        return err;
    elf->entry = elf->bits == 64 ? bp_le64(ehdr + 24) : bp_le32(ehdr + 24);
    offset = elf->bits == 64 ? bp_le64(ehdr + 32) : bp_le32(ehdr + 28);
    stride = bp_le16(ehdr + (elf->bits == 64 ? 54 : 42));
    count = bp_le16(ehdr + (elf->bits == 64 ? 56 : 44));
    expected = elf->bits == 64 ? PHDR64_BYTES : PHDR32_BYTES;
    if (!count || count > ELF_SEGMENTS_MAX)
        return error_set(e, -EINVAL, "%s: has %" PRIu32 " program headers, expected 1 to %u",
                         image->path, count, ELF_SEGMENTS_MAX);
    if (stride != expected)
        return error_set(e, -EINVAL,
                         "%s: has program headers of %" PRIu32
                         " bytes (e_phentsize), expected %" PRIu32,
                         image->path, stride, expected);
    if (offset > image->size || (uint64_t)count * stride > image->size - offset)
        return error_set(e, -EINVAL,
                         "%s: has %" PRIu32 " program headers at byte %" PRIu64
                         ", but the file has only %" PRIu64 " bytes; it is truncated",
                         image->path, count, offset, image->size);
    err = image_read(image, offset, phdrs, (uint64_t)count * stride, e);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct elf_segment segment = {.index = i};

        read_phdr(phdrs + (uint64_t)i * stride, elf->bits, &segment);
        err = add_segment(image, elf, &segment, e);
    }
    return err;
}

int elf_place(struct loader *l, const struct elf_file *elf)
{
    uint8_t *hosts[ELF_SEGMENTS_MAX] = {0};
    uint32_t loaded = 0;
    int err = 0;

    /* All are placed before the first byte is read: a bad file costs nothing. */
    for (uint32_t i = 0; i < elf->count && !err; i++) {
        const struct elf_segment *s = &elf->segments[i];
        char what[PLACE_WHAT_BYTES];

        if (s->type != ELF_PT_LOAD)
            continue;
        snprintf(what, sizeof(what), "segment %" PRIu32, s->index);
        err = place_take(&l->place, l->kernel->path, what, s->paddr, s->memsz, &hosts[i], l->e);
        loaded++;
    }
    if (!err && !loaded)
        err = error_set(l->e, -EINVAL, "%s: has no segment to load (PT_LOAD)", l->kernel->path);
    for (uint32_t i = 0; i < elf->count && !err; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type != ELF_PT_LOAD)
            continue;
        err = image_read(l->kernel, s->offset, hosts[i], s->filesz, l->e);
        if (!err) /* RAM is not zero when a machine starts again */
            memset(hosts[i] + s->filesz, 0, s->memsz - s->filesz);
    }
    return err;
}

uint64_t elf_end(const struct elf_file *elf)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type == ELF_PT_LOAD && s->paddr + s->memsz > end)
            end = s->paddr + s->memsz;
    }
    return end;
}

int elf_entry(const struct loader *l, const struct elf_file *elf, uint64_t entry, uint64_t *gpa)
{
    uint64_t translated = 0;
    bool physical = false, virtual = false;

    for (uint32_t i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type != ELF_PT_LOAD)
            continue;
        if (entry - s->paddr < s->filesz && entry >= s->paddr)
            physical = true;
        if (!virtual && entry >= s->vaddr && entry - s->vaddr < s->filesz) {
            virtual = true;
            translated = entry - s->vaddr + s->paddr;
        }
    }
    if (!physical && !virtual)
        return error_set(l->e, -EINVAL,
                         "%s: the entry point 0x%" PRIx64 " is in no segment that the file fills",
                         l->kernel->path, entry);
    *gpa = physical ? entry : translated;
    if (*gpa > LOADER_LAST)
        return error_set(l->e, -EINVAL,
                         "%s: the entry point is at physical address 0x%" PRIx64
                         ", expected one below 4 GiB",
                         l->kernel->path, *gpa);
    return 0;
}

/* What a bzImage's setup header would have told the kernel about itself. */
static void write_header(uint8_t *params)
{
    bp_put_le16(params + SETUP_BOOT_FLAG, BOOT_FLAG_VALUE);
    bp_put_le32(params + SETUP_HEADER, HEADER_MAGIC);
    bp_put_le16(params + SETUP_VERSION, 0x20f);
    params[SETUP_LOADFLAGS] = LOADFLAGS_LOADED_HIGH;
    bp_put_le32(params + SETUP_INITRD_ADDR_MAX, LINUX_INITRD_MAX);
    bp_put_le32(params + SETUP_CMDLINE_SIZE, LINUX_CMDLINE_MAX);
}

int elf_load(struct loader *l)
{
    struct loader_module initrd = {0};
    struct elf_file elf;
    uint8_t *params = NULL;
    uint64_t entry = 0;
    int err = elf_read(l->kernel, &elf, l->e);

    if (!err)
        err = loader_no_modules(l, "the Linux boot protocol");
    if (!err)
        err = loader_check_cmdline(l, LINUX_CMDLINE_MAX);
    if (!err)
        err = loader_take_tables(l, elf.bits == 64 ? GIB_MAPPED : 0);
    if (!err)
        err = loader_take_info(l, PARAMS_BYTES, &params);
    if (!err)
        err = loader_take_strings(l, false);
    if (!err)
        err = elf_place(l, &elf);
    if (!err)
        err = elf_entry(l, &elf, elf.entry, &entry);
    if (!err && l->request->initrd)
        err = loader_file(l, l->request->initrd, "the initrd", PLACE_HIGHEST, LOADER_HIGH_FIRST,
                          LINUX_INITRD_MAX, &initrd);
    if (err)
        return err;
    write_header(params);
    params_write(l, params, l->request->initrd ? &initrd : NULL);
    if (elf.bits == 64)
        state_long(l, entry, GIB_MAPPED);
    else
        state_flat32(l, entry);
    l->state->gpr.rsi = BOOT_INFO_GPA;
    l->state->protocol = elf.bits == 64 ? "ELF 64-bit" : "ELF 32-bit";
    return 0;
}
