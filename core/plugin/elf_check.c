/* SPDX-License-Identifier: MIT
 *
 * plugin/elf_check.c - the headers of a shared object, read before dlopen() sees the file.
 *
 * System V ABI (gABI 4.1), chapter 4 (ELF header) and chapter 5 (program header); machine numbers
 * from the gABI's list of e_machine. Sections, relocations and the dynamic section's content are
 * the system loader's to judge. Every header is read once into a local; sums are checked for
 * overflow.
 */
#include "plugin/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What this host's own plugins carry. */
#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#elif defined(__riscv)
#define HOST_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define HOST_MACHINE EM_PPC64
#elif defined(__s390x__)
#define HOST_MACHINE EM_S390
#elif defined(__loongarch__)
#define HOST_MACHINE 258
#else
#error "name this processor's e_machine here"
#endif
#define HOST_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define HOST_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)
_Static_assert(sizeof(void *) == 8, "the program headers below are read as ELF-64");

/* More than any linker makes; bounds the work on a hostile file. */
#define PHDRS_MAX 1024u

static const char *machine_name(uint32_t machine)
{
    static const struct {
        uint32_t machine;
        const char *name;
    } names[] = {
        {EM_386, "i386"},        {EM_MIPS, "mips"},     {EM_PPC, "powerpc"},
        {EM_PPC64, "powerpc64"}, {EM_S390, "s390"},     {EM_ARM, "arm"},
        {EM_SPARCV9, "sparc64"}, {EM_X86_64, "x86-64"}, {EM_RISCV, "riscv"},
        {EM_AARCH64, "aarch64"}, {258, "loongarch"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "an unknown processor";
}

static const char *type_name(uint32_t type)
{
    switch (type) {
    case ET_REL:
        return "a relocatable object";
    case ET_EXEC:
        return "a program";
    case ET_CORE:
        return "a core dump";
    default:
        return "of no known kind";
    }
}

static int truncated(const struct elf_source *file, const char *path, const char *what,
                     uint64_t end, struct error *e)
{
    return error_set(e, -ENOEXEC,
                     "%s is truncated: it has %" PRIu64 " bytes, but its %s %s to byte %" PRIu64
                     "; build or copy it again",
                     path, file->length, what, what[strlen(what) - 1] == 's' ? "reach" : "reaches",
                     end);
}

static int damaged(const char *path, const char *why, struct error *e)
{
    return error_set(e, -ENOEXEC, "%s is a damaged ELF file: %s; build or copy it again", path,
                     why);
}

static int check_extent(const struct elf_source *file, const char *path, const char *what,
                        uint64_t offset, uint64_t length, struct error *e)
{
    uint64_t end;

    if (__builtin_add_overflow(offset, length, &end))
        end = UINT64_MAX;
    return end > file->length ? truncated(file, path, what, end, e) : 0;
}

static int read_at(const struct elf_source *file, const char *path, uint64_t offset, void *to,
                   uint64_t length, struct error *e)
{
    int err = file->read(file->context, offset, to, length);

    return err ? error_set(e, err, "%s cannot be read: %s; check the file system that it is on",
                           path, strerror(-err))
               : 0;
}

/* e_ident and e_machine, which stand at the same place whatever the class. */
static int check_machine(const struct elf_source *file, const char *path, struct error *e)
{
    uint8_t head[20] = {0};
    uint64_t have = file->length < sizeof(head) ? file->length : sizeof(head);
    uint32_t machine;
    bool little;
    int err;

    if (file->length == 0)
        return error_set(e, -ENOEXEC,
                         "%s is empty; expected a shared object: build or copy it again", path);
    err = read_at(file, path, 0, head, have, e);
    if (err)
        return err;
    if (memcmp(head, ELFMAG, SELFMAG) != 0)
        return error_set(e, -ENOEXEC,
                         "%s is not an ELF file (it begins with %02x %02x %02x %02x); expected a "
                         "shared object, as bp_add_plugin() or cc -shared builds it",
                         path, head[0], head[1], head[2], head[3]);
    if (have < sizeof(head))
        return truncated(file, path, "header", sizeof(Elf64_Ehdr), e);
    little = head[EI_DATA] != ELFDATA2MSB;
    machine = little ? head[18] | (uint32_t)head[19] << 8 : head[19] | (uint32_t)head[18] << 8;
    if (head[EI_CLASS] != HOST_CLASS || head[EI_DATA] != HOST_DATA || machine != HOST_MACHINE)
        return error_set(e, -ENOEXEC,
                         "%s is built for %s (%u), %s, %s-endian; this host is %s (%d), 64-bit, "
                         "%s-endian: build it for this host",
                         path, machine_name(machine), machine,
                         head[EI_CLASS] == ELFCLASS64   ? "64-bit"
                         : head[EI_CLASS] == ELFCLASS32 ? "32-bit"
                                                        : "of no known class",
                         little ? "little" : "big", machine_name(HOST_MACHINE), HOST_MACHINE,
                         HOST_DATA == ELFDATA2LSB ? "little" : "big");
    if (head[EI_VERSION] != EV_CURRENT)
        return damaged(path, "its version is not 1", e);
    return 0;
}

static int check_header(const struct elf_source *file, const char *path, Elf64_Ehdr *h,
                        struct error *e)
{
    int err = check_extent(file, path, "header", 0, sizeof(*h), e);

    if (!err)
        err = read_at(file, path, 0, h, sizeof(*h), e);
    if (err)
        return err;
    if (h->e_type != ET_DYN)
        return error_set(e, -ENOEXEC,
                         "%s is %s (ELF type %u); expected a shared object (type 3): link it with "
                         "-shared",
                         path, type_name(h->e_type), h->e_type);
    if (h->e_phnum == 0 || h->e_phentsize != sizeof(Elf64_Phdr))
        return damaged(path, "it has no program headers of the known size", e);
    if (h->e_phnum > PHDRS_MAX)
        return damaged(path, "it has more than 1024 program headers", e);
    err = check_extent(file, path, "program headers", h->e_phoff,
                       (uint64_t)h->e_phnum * sizeof(Elf64_Phdr), e);
    /* Nobody needs the section headers to run it, but they come last: a cut file lacks them first.
     */
    if (!err && h->e_shoff)
        err = check_extent(file, path, "section headers", h->e_shoff,
                           (uint64_t)h->e_shnum * h->e_shentsize, e);
    return err;
}

int elf_check(const struct elf_source *file, const char *path, struct error *e)
{
    uint64_t loaded_to = 0, load_end;
    bool loads = false, dynamic = false;
    Elf64_Ehdr h;
    Elf64_Phdr p;
    int err = check_machine(file, path, e);

    if (!err)
        err = check_header(file, path, &h, e);
    for (uint32_t i = 0; !err && i < h.e_phnum; i++) {
        err = read_at(file, path, h.e_phoff + (uint64_t)i * sizeof(p), &p, sizeof(p), e);
        if (err)
            return err;
        if (p.p_type == PT_DYNAMIC) {
            dynamic = p.p_filesz != 0;
            err = check_extent(file, path, "dynamic section", p.p_offset, p.p_filesz, e);
        }
        if (p.p_type != PT_LOAD)
            continue;
        err = check_extent(file, path, "segments", p.p_offset, p.p_filesz, e);
        if (err)
            return err;
        if (p.p_filesz > p.p_memsz || __builtin_add_overflow(p.p_vaddr, p.p_memsz, &load_end))
            return damaged(path, "a segment is larger in the file than in memory, or wraps", e);
        /* gABI 5: loadable segments stand in ascending order of p_vaddr. */
        if (loads && p.p_vaddr < loaded_to)
            return damaged(path, "its segments lie over each other", e);
        loads = true;
        loaded_to = load_end;
    }
    if (!err && (!loads || !dynamic))
        return damaged(path, "it has nothing to load, or no dynamic section", e);
    return err;
}
