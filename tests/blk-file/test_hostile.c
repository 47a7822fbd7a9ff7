/* SPDX-License-Identifier: MIT
 *
 * blk-file/test_hostile.c - qcow2 images that are damaged or were made to do harm: each field of
 * the header, tables that point where they should not, backing files. Rows 96 of the list of bad
 * inputs.
 *
 * The image is one of our own: header at 0, refcount table at 0x10000, refcount block at 0x20000,
 * L1 table at 0x30000, clusters of 64 KiB.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB 0x100000u
#define L1_AT 0x30000u

struct fixture {
    char *folder;
    char *image;
    struct disk *disk;
};

static void new_image(const char *path, uint64_t length, const char *backing, uint32_t format)
{
    const struct qcow2_create c = {.length = length, .backing = backing, .backing_format = format};
    struct image_error e;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(qcow2_create(fd, &c, &e), 0);
    close(fd);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->folder = folder_new();
    f->image = strdup(in(f->folder, "image"));
    new_image(f->image, MIB, NULL, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    disk_free(f->disk);
    folder_remove(f->folder);
    free(f->image);
    free(f);
    return 0;
}

static void refuses(const struct fixture *f, int err, const char *expected)
{
    const struct file_config config = disk_config(f->image);

    disk_refuses(&config, f->folder, err, expected);
}

/* ---- the header ---- */

static void bad_96_every_field_of_the_header(void **state)
{
    static const struct {
        uint32_t at, bytes;
        uint64_t value;
        const char *what, *expected;
    } fields[] = {
        {4, 4, 1, "version is 1", "2 or 3"},
        {4, 4, 4, "version is 4", "2 or 3"},
        {4, 4, UINT32_MAX, "version is 4294967295", "2 or 3"},
        {20, 4, 0, "cluster_bits is 0", "9 to 21"},
        {20, 4, 8, "cluster_bits is 8", "9 to 21"},
        {20, 4, 22, "cluster_bits is 22", "9 to 21"},
        {20, 4, 63, "cluster_bits is 63", "9 to 21"},
        {20, 4, UINT32_MAX, "cluster_bits is 4294967295", "9 to 21"},
        {24, 8, 0, "disk size is 0", "a multiple of 512, from 512 to 2^60"},
        {24, 8, 513, "disk size is 513", "a multiple of 512, from 512 to 2^60"},
        {24, 8, 0xfffffffffffffe00, "disk size is 18446744073709551104",
         "a multiple of 512, from 512 to 2^60"},
        {24, 8, 1ull << 40, "l1_size is 1",
         "at least what the disk's size takes, and 4194304 at most"},
        {36, 4, 0, "l1_size is 0", "at least what the disk's size takes, and 4194304 at most"},
        {36, 4, UINT32_MAX, "l1_size is 4294967295",
         "at least what the disk's size takes, and 4194304 at most"},
        {36, 4, 4194304, "l1_table_offset is 196608", "a cluster of the file"},
        {40, 8, 0, "l1_table_offset is 0", "a cluster of the file"},
        {40, 8, 0x30008, "l1_table_offset is 196616", "a cluster of the file"},
        {40, 8, 0x4000000, "l1_table_offset is 67108864", "a cluster of the file"},
        {40, 8, 0xffffffffffff0000, "l1_table_offset is 18446744073709486080",
         "a cluster of the file"},
        {48, 8, 0, "refcount_table_offset is 0", "a cluster of the file"},
        {48, 8, 0x10200, "refcount_table_offset is 66048", "a cluster of the file"},
        {48, 8, 0xffffffffffff0000, "refcount_table_offset is 18446744073709486080",
         "a cluster of the file"},
        {56, 4, 0, "refcount_table_clusters is 0", "at least 1, and 8 MiB of them at most"},
        {56, 4, UINT32_MAX, "refcount_table_clusters is 4294967295",
         "at least 1, and 8 MiB of them at most"},
        {56, 4, 100, "refcount_table_offset is 65536", "a cluster of the file"},
        {60, 4, 65537, "nb_snapshots is 65537", "65536 at most"},
        {60, 4, 1, "snapshots_offset is 0", "a cluster of the file"},
        {96, 4, 7, "refcount_order is 7", "0 to 6"},
        {96, 4, UINT32_MAX, "refcount_order is 4294967295", "0 to 6"},
        {100, 4, 72, "header_length is 72", "a multiple of 8, from 104 to a cluster"},
        {100, 4, 108, "header_length is 108", "a multiple of 8, from 104 to a cluster"},
        {100, 4, 0xfffffff8, "header_length is 4294967288",
         "a multiple of 8, from 104 to a cluster"},
        {8, 8, 1, "backing_file_size is 0",
         "1 to 1023 bytes in the first cluster, after the header"},
        {8, 8, 200, "backing_file_size is 0",
         "1 to 1023 bytes in the first cluster, after the header"},
        {116, 4, 100000, NULL, NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; fields[i].what; i++) {
        char expected[512];

        new_image(f->image, MIB, NULL, 0);
        if (fields[i].bytes == 4)
            patch32(f->image, fields[i].at, (uint32_t)fields[i].value);
        else
            patch64(f->image, fields[i].at, fields[i].value);
        snprintf(expected, sizeof(expected),
                 "'DIR/image' is no usable qcow2 image: its %s, expected %s; the file is damaged, "
                 "or made to do harm",
                 fields[i].what, fields[i].expected);
        refuses(f, -EINVAL, expected);
    }
}

static void bad_96_a_backing_name_that_is_too_long(void **state)
{
    struct fixture *f = *state;

    patch64(f->image, 8, 512);
    patch32(f->image, 16, 1024);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its backing_file_size is 1024, expected 1 to "
            "1023 bytes in the first cluster, after the header; the file is damaged, or made to do "
            "harm");
    patch64(f->image, 8, 65530);
    patch32(f->image, 16, 10);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its backing_file_size is 10, expected 1 to 1023 "
            "bytes in the first cluster, after the header; the file is damaged, or made to do "
            "harm");
    patch32(f->image, 16, 3);
    refuses(f, -EINVAL, "'DIR/image' has no usable name of its backing file");
}

static void bad_96_extensions_that_do_not_fit(void **state)
{
    struct fixture *f = *state;

    patch32(f->image, 112, 0x12345678);
    patch32(f->image, 116, 100000);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its header extension's length is 100000, "
            "expected what the header has room for; the file is damaged, or made to do harm");
    patch32(f->image, 116, UINT32_MAX);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its header extension's length is 4294967295, "
            "expected what the header has room for; the file is damaged, or made to do harm");
}

static void bad_96_what_is_not_supported_is_told(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    patch32(f->image, 32, 1);
    refuses(f, -ENOTSUP,
            "'DIR/image' is encrypted, which is not supported; make a plain copy by qemu-img "
            "convert");
    patch32(f->image, 32, 0);
    patch64(f->image, 72, 16);
    refuses(f, -ENOTSUP,
            "'DIR/image' has extended L2 entries (subclusters), which are not supported; make a "
            "copy by qemu-img convert -O qcow2");
    patch64(f->image, 72, 4);
    refuses(f, -ENOTSUP,
            "'DIR/image' has its data in another file, which is not supported; make a copy by "
            "qemu-img convert -O qcow2");
    patch64(f->image, 72, 0x8000000000000040);
    refuses(f, -ENOTSUP,
            "'DIR/image' needs features of qcow2 that are not known here (bits "
            "0x8000000000000040); make a copy by qemu-img convert -O qcow2");
    patch64(f->image, 72, 8);
    refuses(f, -ENOTSUP,
            "'DIR/image' has compression type 0, expected 0 (deflate) or 1 (zstd), with its "
            "feature bit; make a copy by qemu-img convert -O qcow2");
    patch64(f->image, 72, 1);
    refuses(f, -EUCLEAN,
            "'DIR/image' was not closed by whoever wrote it last, and its refcounts are stale; "
            "repair it by qemu-img check -r all, or open it with `readonly = yes`");
    patch64(f->image, 72, 2);
    refuses(f, -EUCLEAN,
            "'DIR/image' is marked as corrupt; repair it by qemu-img check -r all, or open it with "
            "`readonly = yes`");
    config.readonly = 1;
    f->disk = disk_new(&config);
    disk_expect(f->disk, 0, MIB, 0);
}

static void bad_96_files_that_are_cut_short(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    assert_int_equal(truncate(f->image, 0x30000), 0);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its l1_table_offset is 196608, expected a "
            "cluster of the file; the file is damaged, or made to do harm");
    assert_int_equal(truncate(f->image, 512), 0);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its l1_table_offset is 196608, expected a "
            "cluster of the file; the file is damaged, or made to do harm");
    config.format = IMAGE_QCOW2;
    assert_int_equal(truncate(f->image, 8), 0);
    disk_refuses(&config, f->folder, -EINVAL, "'DIR/image' has 8 bytes, too few for a qcow2 image");
    make_file(f->image, MIB);
    disk_refuses(&config, f->folder, -EINVAL,
                 "'DIR/image' is no qcow2 image: it does not begin with \"QFI\\xfb\"; say "
                 "`format = raw`, or auto");
}

/* ---- tables ---- */

static void bad_96_l1_entries_that_point_anywhere(void **state)
{
    static const struct {
        uint64_t entry;
        const char *expected;
    } entries[] = {
        {0x8000000000000200, "entry 0 of its L1 table is 0x8000000000000200, which is no cluster "
                             "of the file"},
        {0x8000000000040000, "entry 0 of its L1 table is 0x8000000000040000, which is no cluster "
                             "of the file"},
        {0x80fffffffffe0000, "entry 0 of its L1 table is 0x80fffffffffe0000, which is no cluster "
                             "of the file"},
        {0x4000000000020000, "entry 0 of its L1 table is 0x4000000000020000, which is no cluster "
                             "of the file"},
        {0x8000000000010000, "an L2 table at 0x10000 overlaps other metadata"},
        {0x8000000000020000, "an L2 table at 0x20000 overlaps other metadata"},
        {0x8000000000030000, "an L2 table at 0x30000 overlaps other metadata"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        char expected[512];

        patch64(f->image, L1_AT, entries[i].entry);
        snprintf(expected, sizeof(expected),
                 "'DIR/image' is no usable qcow2 image: %s; qemu-img check -r all may repair it",
                 entries[i].expected);
        refuses(f, -EINVAL, expected);
    }
}

static void bad_96_refcount_tables_that_point_anywhere(void **state)
{
    struct fixture *f = *state;

    patch64(f->image, 0x10000, 0x20200);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: entry 0 of its refcount table is 0x20200, which "
            "is no cluster of the file; qemu-img check -r all may repair it");
    patch64(f->image, 0x10000, 0x100000);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: entry 0 of its refcount table is 0x100000, "
            "which is no cluster of the file; qemu-img check -r all may repair it");
    patch64(f->image, 0x10000, 0x30000);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: a refcount block at 0x30000 overlaps other "
            "metadata; qemu-img check -r all may repair it");
    patch64(f->image, 0x10000, 0x20000);
    patch64(f->image, 0x10008, 0x20000);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: a refcount block at 0x20000 overlaps other "
            "metadata; qemu-img check -r all may repair it");
}

/* An entry of the snapshot table: where its L1 table is (64 bits), its entries (32), ..., the bytes
 * of extra data (32). */
static void bad_96_snapshots_that_are_not_in_the_file(void **state)
{
    struct fixture *f = *state;
    const struct file_config config = disk_config(f->image);

    assert_int_equal(truncate(f->image, 0x60000), 0);
    patch32(f->image, 60, 1);
    patch64(f->image, 64, 0x40000);
    patch64(f->image, 0x40000, 0x50000);
    patch32(f->image, 0x40008, 0x2001);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its snapshot 0 has no L1 table in the file, or "
            "those of all exceed 256 MiB");
    patch32(f->image, 0x40008, 1);
    patch32(f->image, 0x40024, UINT32_MAX);
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: the entry of its snapshot 0 goes on behind the "
            "file's end; the file is damaged, or made to do harm");
    patch32(f->image, 0x40024, 0);
    f->disk = disk_new(&config);
    disk_expect(f->disk, 0, MIB, 0);
}

/* A sparse file has room for the L1 tables of 65536 snapshots, which nobody may have to look at. */
static void bad_96_snapshots_that_are_too_many(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(truncate(f->image, (off_t)1 << 40), 0);
    patch32(f->image, 60, 9);
    patch64(f->image, 64, 0x40000);
    for (uint32_t i = 0; i < 9; i++) {
        patch64(f->image, 0x40000 + 40ull * i, (uint64_t)(i + 1) << 32);
        patch32(f->image, 0x40008 + 40ull * i, (32u << 20) / 8);
    }
    refuses(f, -EINVAL,
            "'DIR/image' is no usable qcow2 image: its snapshot 8 has no L1 table in the file, or "
            "those of all exceed 256 MiB");
}

/* Writes a cluster, so that there is an L2 table; where that is. */
static uint64_t write_one(struct fixture *f)
{
    struct file_config config = disk_config(f->image);

    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, 65536, 0x44);
    disk_free(f->disk);
    f->disk = NULL;
    return peek64(f->image, L1_AT) & 0x00fffffffffffe00;
}

static void keep_first(void *context, const char *text)
{
    char *kept = context;

    if (!*kept)
        snprintf(kept, 512, "%s", text);
}

/* What the image says when its first sector is read. */
static void warns(const struct fixture *f, const char *what)
{
    char expected[512], kept[512] = "";
    const struct image_options o = {.path = f->image,
                                    .format = IMAGE_QCOW2,
                                    .readonly = 1,
                                    .messages = {.warn = keep_first, .context = kept}};
    uint8_t data[512];
    const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct cursor c = {.iov = &iov};
    struct image_error e;
    struct image *i;

    assert_int_equal(img_open(&o, &i, &e), 0);
    assert_int_equal(i->ops->read(i, &c, 0, sizeof(data)), -EIO);
    img_close(i);
    snprintf(expected, sizeof(expected),
             "'%s' is corrupt: %s; it is not written any more; qemu-img check -r all may repair it",
             f->image, what);
    assert_string_equal(kept, expected);
}

static void bad_96_l2_entries_that_point_anywhere(void **state)
{
    static const struct {
        uint64_t entry;
        const char *expected;
    } entries[] = {
        {0x8000000000000200, "an L2 entry is 0x8000000000000200, which is no cluster of the file"},
        {0x80fffffffffe0000, "an L2 entry is 0x80fffffffffe0000, which is no cluster of the file"},
        {0x8000000010000000, "an L2 entry is 0x8000000010000000, which is no cluster of the file"},
        {0x8000000000040002, "an L2 entry is 0x8000000000040002, with reserved bits set"},
        {0x2000000000040000, "an L2 entry is 0x2000000000040000, with reserved bits set"},
        {0x4000000100000000,
         "an L2 entry is 0x4000000100000000, a compressed cluster that is not in the file"},
        {0x7fffffffffffffff,
         "an L2 entry is 0x7fffffffffffffff, a compressed cluster that is not in the file"},
    };
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    uint64_t l2 = write_one(f);
    uint8_t data[512] = {0};

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        patch64(f->image, l2, entries[i].entry);
        warns(f, entries[i].expected);
        f->disk = disk_new(&config);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 0, data, 512), -EIO);
        /* Beside it all is well, but nothing is written. */
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 65536, data, 512), 0);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 65536, data, 512), -EIO);
        assert_int_equal(disk_flush(f->disk), -EIO);
        disk_free(f->disk);
        f->disk = NULL;
        assert_int_equal(peek64(f->image, 72), 2);
        patch64(f->image, 72, 0);
    }
}

static void bad_96_data_are_never_written_over_metadata(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    uint64_t l2 = write_one(f);

    for (uint64_t at = 0; at < 4; at++) {
        uint8_t data[512] = {0};
        uint64_t before;

        patch64(f->image, l2, 0x8000000000000000 | (at ? at << 16 : l2));
        before = peek64(f->image, at ? at << 16 : l2);
        f->disk = disk_new(&config);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 512), -EIO);
        disk_free(f->disk);
        f->disk = NULL;
        assert_int_equal(peek64(f->image, at ? at << 16 : l2), before);
        patch64(f->image, 72, 0);
    }
}

/* The refcounts say that the header, and all the rest, is free. */
static void bad_96_metadata_that_are_not_counted_are_not_given_away(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    static const uint8_t zeroes[64];
    uint8_t data[512] = {0};

    patch_file(f->image, 0x20000, zeroes, sizeof(zeroes));
    f->disk = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 512), -EIO);
    disk_free(f->disk);
    f->disk = NULL;
    assert_int_equal(peek64(f->image, 0) >> 32, 0x514649fb);
}

/* A write to a cluster that others have too, which an entry says of metadata: they are not freed.
 */
static void bad_96_metadata_are_not_freed_as_data(void **state)
{
    static const uint64_t entries[] = {0x10000, 0x20000, 0x30000, 0x4000000000000000,
                                       0x4000000000030000};
    struct fixture *f = *state;
    const struct file_config config = disk_config(f->image);
    const uint64_t l2 = write_one(f);

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        uint8_t data[65536] = {0};

        patch64(f->image, l2, entries[i]);
        f->disk = disk_new(&config);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, sizeof(data)), -EIO);
        assert_int_equal(disk_flush(f->disk), -EIO);
        disk_free(f->disk);
        f->disk = NULL;
        assert_int_equal(peek64(f->image, 0) >> 32, 0x514649fb);
        assert_int_equal(peek64(f->image, 72), 2);
        patch64(f->image, 72, 0);
    }
}

/* Two entries for one cluster. By the first it is freed, and becomes an L2 table: the second may
 * not free that. */
static void bad_96_a_cluster_that_is_freed_twice(void **state)
{
    struct fixture *f = *state;
    const struct file_config config = disk_config(f->image);
    uint64_t l2;
    uint8_t data[512] = {1};

    new_image(f->image, 1024ull * MIB, NULL, 0);
    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, 131072, 0x44);
    disk_free(f->disk);
    l2 = peek64(f->image, L1_AT) & 0x00fffffffffffe00;
    patch64(f->image, l2 + 16, peek64(f->image, l2 + 8));
    f->disk = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 0, NULL, 131072), 0);
    assert_int_equal(disk_flush(f->disk), 0);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 131072, NULL, 65536), 0);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 512ull * MIB, data, sizeof(data)), 0);
    assert_int_equal(peek64(f->image, 72), 0);
    assert_int_equal(disk_flush(f->disk), -EIO);
    assert_int_equal(peek64(f->image, 72), 2);
}

static void bad_96_compressed_clusters_that_are_bombs_or_rubbish(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    uint64_t l2 = write_one(f), at = 0x60000;
    static uint8_t data[65536], rubbish[65536];

    /* As long as a compressed cluster can be, full of what is no stream. */
    for (unsigned i = 0; i < sizeof(rubbish); i++)
        rubbish[i] = (uint8_t)(i * 37 + 11);
    patch_file(f->image, at, rubbish, sizeof(rubbish));
    patch64(f->image, l2, 0x4000000000000000 | 127ull << 54 | at);
    f->disk = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 0, data, sizeof(data)), -EIO);
    disk_free(f->disk);
    f->disk = NULL;
    /* A gigabyte of zeroes, deflated: a cluster of it is taken. */
    if (sh("command -v python3 && python3 -c \"import zlib,sys;c=zlib.compressobj(9,zlib.DEFLATED,"
           "-12);d=c.compress(bytes(1<<26))+c.flush();f=open('%s','r+b');f.seek(%llu);f.write(d[:"
           "65024])\"",
           f->image, (unsigned long long)at))
        return;
    f->disk = disk_new(&config);
    disk_expect(f->disk, 0, 65536, 0);
}

static void bad_96_a_running_image_that_shrinks(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    uint8_t data[512];

    for (uint32_t io = IO_AUTO; io <= IO_THREADS; io += IO_THREADS) {
        new_image(f->image, MIB, NULL, 0);
        write_one(f);
        config.io = io;
        f->disk = disk_new(&config);
        assert_int_equal(truncate(f->image, 0x30000), 0);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 0, data, 512), -EIO);
        disk_free(f->disk);
        f->disk = NULL;
    }
}

/* ---- backing files ---- */

static void bad_96_backing_files_that_go_in_circles(void **state)
{
    struct fixture *f = *state;

    new_image(f->image, MIB, "image", IMAGE_QCOW2);
    refuses(f, -ELOOP,
            "'DIR/image' is its own backing file, by way of 'DIR/image'; give it another by "
            "qemu-img rebase -u");
    new_image(f->image, MIB, "b", IMAGE_QCOW2);
    new_image(in(f->folder, "b"), MIB, "image", IMAGE_QCOW2);
    refuses(f, -ELOOP,
            "'DIR/image' is its own backing file, by way of 'DIR/b'; give it another by qemu-img "
            "rebase -u");
}

static void bad_96_a_tower_of_backing_files(void **state)
{
    struct fixture *f = *state;
    char name[16] = "image", next[16];

    for (int i = 0; i < 70; i++) {
        snprintf(next, sizeof(next), "b%d", i);
        new_image(in(f->folder, name), MIB, next, IMAGE_QCOW2);
        memcpy(name, next, sizeof(name));
    }
    make_file(in(f->folder, name), MIB);
    refuses(f, -ELOOP, "'DIR/image' stands on more than 63 backing files");
}

static void bad_96_backing_files_that_are_no_files(void **state)
{
    struct fixture *f = *state;

    new_image(f->image, MIB, "/dev/zero", IMAGE_RAW);
    refuses(f, -EINVAL, "'/dev/zero' is a character device, expected a file or a block device");
    new_image(f->image, MIB, "absent", IMAGE_RAW);
    refuses(f, -ENOENT, "cannot open 'DIR/absent': No such file or directory");
    new_image(f->image, MIB, "nbd://localhost/disk", IMAGE_RAW);
    refuses(f, -ENOTSUP,
            "'DIR/image' names the backing file 'nbd://localhost/disk', which is no path of a "
            "file; expected one");
    new_image(f->image, MIB, "json:{\"driver\":\"null-co\"}", IMAGE_RAW);
    refuses(f, -ENOTSUP,
            "'DIR/image' names the backing file 'json:{\"driver\":\"null-co\"}', which is no path "
            "of a file; expected one");
}

static void bad_96_backing_files_can_be_forbidden(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    make_file(in(f->folder, "b"), MIB);
    new_image(f->image, MIB, "b", IMAGE_RAW);
    config.backing = 0;
    disk_refuses(&config, f->folder, -EPERM,
                 "'DIR/image' names the backing file 'b', and `backing = no` forbids that");
    config.backing = 1;
    f->disk = disk_new(&config);
}

/* A raw disk whose guest wrote a header that names a file of the host's. */
static void bad_96_a_name_in_a_probed_backing_file_is_not_believed(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    new_image(in(f->folder, "b"), MIB, "/etc/passwd", IMAGE_RAW);
    new_image(f->image, MIB, "b", IMAGE_RAW);
    f->disk = disk_new(&config);
    disk_free(f->disk);
    f->disk = NULL;
    patch32(f->image, 112, 0); /* no format any more */
    refuses(f, -EPERM,
            "'DIR/image' does not say of which format its backing file 'b' is, which names another "
            "one: that is not believed; say it by qemu-img rebase -u -F qcow2 -b 'b' 'DIR/image'");
}

static void bad_96_a_backing_file_in_use_by_a_writer(void **state)
{
    struct fixture *f = *state;
    const char *base = in(f->folder, "b");
    struct file_config config = disk_config(base);

    make_file(base, MIB);
    new_image(f->image, MIB, "b", IMAGE_RAW);
    f->disk = disk_new(&config);
    refuses(f, -EAGAIN,
            "'DIR/b' is in use: another machine or program may write to it; end that first");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_96_every_field_of_the_header),
        TEST(bad_96_a_backing_name_that_is_too_long),
        TEST(bad_96_extensions_that_do_not_fit),
        TEST(bad_96_what_is_not_supported_is_told),
        TEST(bad_96_files_that_are_cut_short),
        TEST(bad_96_l1_entries_that_point_anywhere),
        TEST(bad_96_refcount_tables_that_point_anywhere),
        TEST(bad_96_snapshots_that_are_not_in_the_file),
        TEST(bad_96_snapshots_that_are_too_many),
        TEST(bad_96_l2_entries_that_point_anywhere),
        TEST(bad_96_data_are_never_written_over_metadata),
        TEST(bad_96_metadata_that_are_not_counted_are_not_given_away),
        TEST(bad_96_metadata_are_not_freed_as_data),
        TEST(bad_96_a_cluster_that_is_freed_twice),
        TEST(bad_96_compressed_clusters_that_are_bombs_or_rubbish),
        TEST(bad_96_a_running_image_that_shrinks),
        TEST(bad_96_backing_files_that_go_in_circles),
        TEST(bad_96_a_tower_of_backing_files),
        TEST(bad_96_backing_files_that_are_no_files),
        TEST(bad_96_backing_files_can_be_forbidden),
        TEST(bad_96_a_name_in_a_probed_backing_file_is_not_believed),
        TEST(bad_96_a_backing_file_in_use_by_a_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
