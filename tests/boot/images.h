/* SPDX-License-Identifier: MIT
 *
 * Synthetic kernels, small and correct, that tests and the fuzz corpora start from and then damage.
 */
#ifndef TESTS_BOOT_IMAGES_H
#define TESTS_BOOT_IMAGES_H

#include <stdint.h>

#define BLOB_MAX 0x8000u

struct blob {
    uint32_t size;
    uint8_t bytes[BLOB_MAX];
};

/* A relocatable 64-bit bzImage of protocol 2.15: setup_sects 1, BZIMAGE_CODE_BYTES of code,
 * pref_address 16 MiB, init_size 2 MiB, alignment 2 MiB. Byte i of the code is (uint8_t)(i * 7). */
#define BZIMAGE_CODE_OFFSET 0x400u
#define BZIMAGE_CODE_BYTES 0x1000u
#define BZIMAGE_INIT_SIZE 0x200000u
void make_bzimage(struct blob *b);

/* An ELF executable with two PT_LOAD segments at 2 MiB (0x300 bytes) and 4 MiB (0x100 bytes, 0x2000
 * in memory) and, with ELF_PVH, a note segment whose entry is 2 MiB + 0x10. The entry point is 2
 * MiB. Virtual addresses are physical ones + 0xffffffff80000000 (ELF64) or 0x80000000 (ELF32). With
 * ELF_MULTIBOOT the first segment begins with a multiboot header of flags 3. */
#define ELF_PVH 1u
#define ELF_MULTIBOOT 2u
#define ELF_TEXT_GPA 0x200000u
#define ELF_TEXT_OFFSET 0x200u
#define ELF_TEXT_BYTES 0x300u
#define ELF_DATA_GPA 0x400000u
#define ELF_DATA_OFFSET 0x500u
#define ELF_DATA_BYTES 0x100u
#define ELF_DATA_MEMORY 0x2000u
#define ELF_NOTE_OFFSET 0x600u /* a GNU note of 0x20 bytes, then Xen's */
#define ELF_NOTE_BYTES 0x38u
void make_elf(struct blob *b, unsigned bits, unsigned flags);
/* The file offset of program header i: text, data, then the note. */
uint32_t elf_phdr(unsigned bits, unsigned i);

/* A flat multiboot kernel of 0x800 bytes: header at byte 0x40, loaded whole at 1 MiB, bss to 1 MiB
 * + 0x3000, entry at 1 MiB + 0x100. */
#define MULTIBOOT_HEADER 0x40u
#define MULTIBOOT_GPA 0x100000u
#define MULTIBOOT_BYTES 0x800u
void make_multiboot(struct blob *b);
/* Sets the flags, and the checksum that goes with them. */
void multiboot_flags(struct blob *b, uint32_t offset, uint32_t flags);

#endif
