/* SPDX-License-Identifier: MIT
 *
 * boot/elf.h - the part of an ELF executable that a boot loader needs: x86 program headers, checked
 * against the file. After the System V ABI, chapters 4 and 5, and its x86-64 supplement.
 */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include "boot/loader.h"

#define ELF_SEGMENTS_MAX 128u /* program headers; kernels have some five */

#define ELF_PT_LOAD 1u
#define ELF_PT_NOTE 4u

struct elf_segment {
    uint32_t type; /* ELF_PT_* */
    uint32_t index;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_file {
    uint64_t entry;
    uint32_t bits; /* 32 or 64 */
    uint32_t count;
    struct elf_segment segments[ELF_SEGMENTS_MAX]; /* PT_LOAD with memsz > 0 and PT_NOTE */
};

/* Reads and checks the headers: an x86 executable in ELF32 or ELF64, each segment within the file.
 * -EINVAL, -ENODATA. [main] */
int elf_read(const struct image *image, struct elf_file *elf, struct error *e);

/* Loads the PT_LOAD segments at their physical addresses, zeroing what the file does not have.
 * [main] */
int elf_place(struct loader *l, const struct elf_file *elf);

/* The first address after the highest PT_LOAD segment. */
uint64_t elf_end(const struct elf_file *elf);

/* Where the entry point is in physical memory: `entry` itself, or translated if only the segments'
 * virtual addresses have it. -EINVAL if no segment's file part has it, or if it is above 4 GiB.
 * [main] */
int elf_entry(const struct loader *l, const struct elf_file *elf, uint64_t entry, uint64_t *gpa);

#endif
