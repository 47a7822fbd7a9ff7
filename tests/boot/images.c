/* SPDX-License-Identifier: MIT
 *
 * Synthetic kernels for tests and fuzz corpora. Offsets are written out as numbers here, so that a
 * wrong constant in the loader does not agree with itself.
 */
#include "boot/images.h"

#include <backplane/util/le.h>
#include <string.h>

static void fill(struct blob *b, uint32_t offset, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        b->bytes[offset + i] = (uint8_t)(i * 7);
}

void make_bzimage(struct blob *b)
{
    uint8_t *p = b->bytes;

    memset(b, 0, sizeof(*b));
    b->size = BZIMAGE_CODE_OFFSET + BZIMAGE_CODE_BYTES;
    p[0x1f1] = 1;
    bp_put_le32(p + 0x1f4, BZIMAGE_CODE_BYTES / 16);
    bp_put_le16(p + 0x1fa, 0xffff); /* vid_mode */
    bp_put_le16(p + 0x1fe, 0xaa55);
    p[0x200] = 0xeb;
    p[0x201] = 0x6a; /* the header ends at 0x26c */
    bp_put_le32(p + 0x202, 0x53726448);
    bp_put_le16(p + 0x206, 0x20f);
    p[0x211] = 1; /* loaded high */
    bp_put_le32(p + 0x214, 0x100000);
    bp_put_le32(p + 0x22c, 0x7fffffff);
    bp_put_le32(p + 0x230, 0x200000);
    p[0x234] = 1;
    p[0x235] = 21;
    bp_put_le16(p + 0x236, 0x7f);
    bp_put_le32(p + 0x238, 2047);
    bp_put_le64(p + 0x250, 0xdeadbeefdeadbeef); /* setup_data: not to be believed */
    bp_put_le64(p + 0x258, 0x1000000);
    bp_put_le32(p + 0x260, BZIMAGE_INIT_SIZE);
    memset(p + 0x26c, 0xee, 0x400 - 0x26c); /* setup code: not to be copied */
    fill(b, BZIMAGE_CODE_OFFSET, BZIMAGE_CODE_BYTES);
}

uint32_t elf_phdr(unsigned bits, unsigned i)
{
    return bits == 64 ? 64 + i * 56 : 52 + i * 32;
}

static void put_phdr(struct blob *b, unsigned bits, unsigned i, const uint64_t v[7])
{
    uint8_t *p = b->bytes + elf_phdr(bits, i);

    bp_put_le32(p, (uint32_t)v[0]);
    for (unsigned k = 1; k < 7; k++) {
        static const uint8_t at64[] = {0, 8, 16, 24, 32, 40, 48};
        static const uint8_t at32[] = {0, 4, 8, 12, 16, 20, 28};

        if (bits == 64)
            bp_put_le64(p + at64[k], v[k]);
        else
            bp_put_le32(p + at32[k], (uint32_t)v[k]);
    }
}

static void put_notes(struct blob *b)
{
    uint8_t *p = b->bytes + ELF_NOTE_OFFSET;

    bp_put_le32(p, 4);
    bp_put_le32(p + 4, 14); /* a build id whose length is no multiple of 4 */
    bp_put_le32(p + 8, 3);
    memcpy(p + 12, "GNU", 4);
    p += 0x20;
    bp_put_le32(p, 4);
    bp_put_le32(p + 4, 4);
    bp_put_le32(p + 8, 18);
    memcpy(p + 12, "Xen", 4);
    bp_put_le32(p + 16, ELF_TEXT_GPA + 0x10);
}

void make_elf(struct blob *b, unsigned bits, unsigned flags)
{
    uint64_t offset = bits == 64 ? 0xffffffff80000000 : 0x80000000;
    unsigned count = flags & ELF_PVH ? 3 : 2;
    uint8_t *p = b->bytes;

    memset(b, 0, sizeof(*b));
    b->size = ELF_NOTE_OFFSET + (flags & ELF_PVH ? ELF_NOTE_BYTES : 0);
    bp_put_le32(p, 0x464c457f);
    p[4] = bits == 64 ? 2 : 1;
    p[5] = 1;
    p[6] = 1;
    bp_put_le16(p + 16, 2);
    bp_put_le16(p + 18, bits == 64 ? 62 : 3);
    bp_put_le32(p + 20, 1);
    if (bits == 64) {
        bp_put_le64(p + 24, ELF_TEXT_GPA);
        bp_put_le64(p + 32, 64);
        bp_put_le16(p + 52, 64);
        bp_put_le16(p + 54, 56);
        bp_put_le16(p + 56, (uint16_t)count);
    } else {
        bp_put_le32(p + 24, ELF_TEXT_GPA);
        bp_put_le32(p + 28, 52);
        bp_put_le16(p + 40, 52);
        bp_put_le16(p + 42, 32);
        bp_put_le16(p + 44, (uint16_t)count);
    }
    put_phdr(b, bits, 0,
             (uint64_t[]){1, ELF_TEXT_OFFSET, ELF_TEXT_GPA + offset, ELF_TEXT_GPA, ELF_TEXT_BYTES,
                          ELF_TEXT_BYTES, 0x1000});
    put_phdr(b, bits, 1,
             (uint64_t[]){1, ELF_DATA_OFFSET, ELF_DATA_GPA + offset, ELF_DATA_GPA, ELF_DATA_BYTES,
                          ELF_DATA_MEMORY, 0x1000});
    fill(b, ELF_TEXT_OFFSET, ELF_TEXT_BYTES);
    fill(b, ELF_DATA_OFFSET, ELF_DATA_BYTES);
    if (flags & ELF_PVH) {
        put_phdr(b, bits, 2,
                 (uint64_t[]){4, ELF_NOTE_OFFSET, 0, 0, ELF_NOTE_BYTES, ELF_NOTE_BYTES, 4});
        put_notes(b);
    }
    if (flags & ELF_MULTIBOOT)
        multiboot_flags(b, ELF_TEXT_OFFSET, 3);
}

void multiboot_flags(struct blob *b, uint32_t offset, uint32_t flags)
{
    bp_put_le32(b->bytes + offset, 0x1badb002);
    bp_put_le32(b->bytes + offset + 4, flags);
    bp_put_le32(b->bytes + offset + 8, 0u - 0x1badb002u - flags);
}

void make_multiboot(struct blob *b)
{
    uint8_t *p = b->bytes + MULTIBOOT_HEADER;

    memset(b, 0, sizeof(*b));
    b->size = MULTIBOOT_BYTES;
    fill(b, 0, MULTIBOOT_BYTES);
    multiboot_flags(b, MULTIBOOT_HEADER, 0x10003);
    bp_put_le32(p + 12, MULTIBOOT_GPA + MULTIBOOT_HEADER);
    bp_put_le32(p + 16, MULTIBOOT_GPA);
    bp_put_le32(p + 20, MULTIBOOT_GPA + MULTIBOOT_BYTES);
    bp_put_le32(p + 24, MULTIBOOT_GPA + 0x3000);
    bp_put_le32(p + 28, MULTIBOOT_GPA + 0x100);
}
