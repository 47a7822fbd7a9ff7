/* SPDX-License-Identifier: MIT
 *
 * Writes the seeds of the loaders' fuzz targets into a folder: one small good kernel of each kind,
 * and some that are nearly good.
 */
#include "boot/images.h"

#include <backplane/util/le.h>
#include <stdio.h>
#include <string.h>

static int save(const char *folder, const char *name, const struct blob *b)
{
    char path[1024];
    FILE *f;
    int err;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "wb");
    if (!f) {
        perror(path);
        return 1;
    }
    err = fwrite(b->bytes, 1, b->size, f) != b->size;
    err |= fclose(f);
    if (err)
        fprintf(stderr, "%s: cannot be written\n", path);
    return err;
}

static int save_bzimages(const char *folder)
{
    struct blob b;
    int err;

    make_bzimage(&b);
    memset(b.bytes + 0x26c, 0, b.size - 0x26c);
    bp_put_le32(b.bytes + 0x1f4, 0x21);
    b.size = BZIMAGE_CODE_OFFSET + 0x210;
    err = save(folder, "bzimage/64-bit", &b);
    bp_put_le16(b.bytes + 0x236, 0);
    err |= save(folder, "bzimage/32-bit", &b);
    b.bytes[0x234] = 0;
    err |= save(folder, "bzimage/fixed", &b);
    bp_put_le16(b.bytes + 0x206, 0x206);
    b.bytes[0x201] = 0x3a;
    err |= save(folder, "bzimage/protocol-2.06", &b);
    b.size = 0x290;
    return err | save(folder, "bzimage/truncated", &b);
}

static int save_elves(const char *folder)
{
    struct blob b;
    int err;

    make_elf(&b, 64, 0);
    err = save(folder, "elf/elf64", &b);
    make_elf(&b, 32, 0);
    err |= save(folder, "elf/elf32", &b);
    make_elf(&b, 64, ELF_PVH);
    err |= save(folder, "elf/pvh64", &b);
    make_elf(&b, 32, ELF_MULTIBOOT);
    err |= save(folder, "elf/multiboot32", &b);
    b.size = 0x80;
    return err | save(folder, "elf/truncated", &b);
}

static int save_multiboot(const char *folder)
{
    struct blob b;
    uint8_t *header = b.bytes + MULTIBOOT_HEADER;
    int err;

    make_multiboot(&b);
    b.size = 0x120;
    bp_put_le32(header + 20, MULTIBOOT_GPA + b.size);
    err = save(folder, "multiboot/flat", &b);
    bp_put_le32(header + 20, 0);
    bp_put_le32(header + 24, 0);
    err |= save(folder, "multiboot/whole-file", &b);
    header[8] ^= 1;
    err |= save(folder, "multiboot/checksum", &b);
    multiboot_flags(&b, MULTIBOOT_HEADER, 0x10007);
    return err | save(folder, "multiboot/video", &b);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    return save_bzimages(argv[1]) | save_elves(argv[1]) | save_multiboot(argv[1]);
}
