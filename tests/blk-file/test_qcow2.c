/* SPDX-License-Identifier: MIT
 *
 * blk-file/test_qcow2.c - qcow2 images that qemu-img makes, used here at random, and looked at by
 * qemu-img afterwards: qemu-img check, and qemu-img compare with what the disk should hold.
 *
 * A shadow of the disk in memory says what that is.
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

#define DISK_BYTES (24u << 20)
#define OPS 400
#define DEPTH 8

struct fixture {
    char *folder;
    const char *image;
    struct disk *disk;
    uint8_t *shadow;
    uint64_t seed;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->folder = folder_new();
    f->image = strdup(in(f->folder, "image.qcow2"));
    f->shadow = calloc(1, DISK_BYTES);
    f->seed = 88172645463325252ull;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    disk_free(f->disk);
    folder_remove(f->folder);
    free((void *)f->image);
    free(f->shadow);
    free(f);
    return 0;
}

static uint64_t draw(struct fixture *f, uint64_t below)
{
    f->seed ^= f->seed << 13;
    f->seed ^= f->seed >> 7;
    f->seed ^= f->seed << 17;
    return f->seed % below;
}

/* ---- what a guest might do ---- */

struct slot {
    struct disk_request r;
    uint8_t *data;
    uint64_t offset, length;
    int busy;
};

static int overlaps_one(const struct slot *slots, uint64_t offset, uint64_t length)
{
    for (int i = 0; i < DEPTH; i++)
        if (slots[i].busy && slots[i].offset < offset + length &&
            offset < slots[i].offset + slots[i].length)
            return 1;
    return 0;
}

static void end_one(struct fixture *f, struct slot *s)
{
    if (!s->busy)
        return;
    assert_int_equal(disk_wait(f->disk, &s->r), 0);
    if (s->r.request.type == BP_BLOCK_READ)
        assert_memory_equal(s->data, f->shadow + s->offset, s->length);
    free(s->data);
    s->busy = 0;
}

static void start_one(struct fixture *f, struct slot *slots, struct slot *s, int may_discard)
{
    static const uint16_t types[] = {BP_BLOCK_READ,         BP_BLOCK_READ,   BP_BLOCK_WRITE,
                                     BP_BLOCK_WRITE,        BP_BLOCK_WRITE,  BP_BLOCK_FLUSH,
                                     BP_BLOCK_WRITE_ZEROES, BP_BLOCK_DISCARD};
    uint16_t type = types[draw(f, 8)];
    uint64_t length = 512 * (1 + draw(f, draw(f, 4) ? 32 : 1024));
    uint64_t offset = 512 * draw(f, (DISK_BYTES - length) / 512 + 1);

    if (draw(f, 8) == 0 && DISK_BYTES - offset < (4u << 20))
        length = DISK_BYTES - offset;
    if (type == BP_BLOCK_DISCARD && !may_discard)
        type = BP_BLOCK_READ;
    if (type == BP_BLOCK_FLUSH)
        offset = length = 0;
    if (overlaps_one(slots, offset, length))
        return;
    s->offset = offset;
    s->length = length;
    s->data = NULL;
    if (type == BP_BLOCK_READ || type == BP_BLOCK_WRITE) {
        s->data = malloc(length);
        assert_non_null(s->data);
        memset(s->data, (int)draw(f, 255) + 1, length);
    }
    if (type == BP_BLOCK_WRITE)
        memcpy(f->shadow + offset, s->data, length);
    if (type == BP_BLOCK_WRITE_ZEROES)
        memset(f->shadow + offset, 0, length);
    s->busy = 1;
    f->disk->brackets = draw(f, 2) != 0;
    disk_start(f->disk, &s->r, type, offset, s->data, length);
    if (type != BP_BLOCK_DISCARD)
        return;
    /* What is there afterwards is not said: it is looked at, and has to stay. */
    assert_int_equal(disk_wait(f->disk, &s->r), 0);
    s->busy = 0;
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, offset, f->shadow + offset, length), 0);
}

static void use(struct fixture *f, int ops, int may_discard)
{
    struct slot slots[DEPTH] = {0};

    for (int n = 0; n < ops; n++) {
        struct slot *s = &slots[draw(f, DEPTH)];

        end_one(f, s);
        start_one(f, slots, s, may_discard);
    }
    for (int i = 0; i < DEPTH; i++)
        end_one(f, &slots[i]);
}

/* ---- QEMU's judgement ---- */

static void write_shadow(struct fixture *f, const char *path)
{
    make_file(path, 0);
    patch_file(path, 0, f->shadow, DISK_BYTES);
}

static void expect_image(struct fixture *f, int leaks)
{
    const char *expected = in(f->folder, "expected");

    write_shadow(f, expected);
    expect_sound(f->image, leaks);
    if (sh("qemu-img compare -f raw -F qcow2 '%s' '%s'", expected, f->image))
        fail_msg("qemu-img compare sees another disk in %s", f->image);
}

static struct file_config config_of(struct fixture *f)
{
    return disk_config(f->image);
}

/* Opens the image, uses it, closes it and has it judged, twice. */
static void used_and_judged(struct fixture *f, int may_discard)
{
    struct file_config config = config_of(f);

    for (int round = 0; round < 2; round++) {
        config.io = round ? IO_THREADS : IO_AUTO;
        f->disk = disk_new(&config);
        assert_int_equal(f->disk->info.length, DISK_BYTES);
        use(f, OPS, may_discard);
        disk_free(f->disk);
        f->disk = NULL;
        expect_image(f, 0);
    }
}

static void fill_shadow(struct fixture *f)
{
    for (uint64_t at = 0; at < DISK_BYTES; at += 4096)
        if (draw(f, 3))
            memset(f->shadow + at, (int)draw(f, 256), 4096);
}

/* ---- the variants ---- */

static void new_image_of(struct fixture *f, const char *options)
{
    need_qemu_img();
    assert_int_equal(sh("qemu-img create -f qcow2 -o %s '%s' %u", options, f->image, DISK_BYTES),
                     0);
}

static void version_3_is_used_and_sound(void **state)
{
    new_image_of(*state, "compat=1.1");
    used_and_judged(*state, 1);
}

static void version_2_is_used_and_sound(void **state)
{
    new_image_of(*state, "compat=0.10");
    used_and_judged(*state, 1);
}

static void every_width_of_refcounts_is_used_and_sound(void **state)
{
    static const char *const widths[] = {"1", "2", "4", "8", "32", "64"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        char options[64];

        snprintf(options, sizeof(options), "refcount_bits=%s", widths[i]);
        unlink(f->image);
        new_image_of(f, options);
        memset(f->shadow, 0, DISK_BYTES);
        used_and_judged(f, 1);
    }
}

/* Refcount blocks cover 128 KiB of file here, tables grow again and again. */
static void the_smallest_clusters_are_used_and_sound(void **state)
{
    new_image_of(*state, "cluster_size=512");
    used_and_judged(*state, 1);
}

static void the_largest_clusters_are_used_and_sound(void **state)
{
    new_image_of(*state, "cluster_size=2M");
    used_and_judged(*state, 1);
}

static void preallocated_and_lazy_images_are_used_and_sound(void **state)
{
    struct fixture *f = *state;

    new_image_of(f, "preallocation=metadata");
    used_and_judged(f, 1);
    unlink(f->image);
    memset(f->shadow, 0, DISK_BYTES);
    new_image_of(f, "lazy_refcounts=on");
    used_and_judged(f, 1);
}

static void with_backing(struct fixture *f, const char *format, const char *options)
{
    const char *raw = in(f->folder, "base.raw"), *base;

    need_qemu_img();
    fill_shadow(f);
    write_shadow(f, raw);
    if (!strcmp(format, "qcow2")) {
        base = in(f->folder, "base.qcow2");
        assert_int_equal(sh("qemu-img convert -f raw -O qcow2 '%s' '%s'", raw, base), 0);
    }
    /* The name is relative to the image, and not to where we are. */
    assert_int_equal(sh("cd / && qemu-img create -f qcow2 -b base.%s -F %s -o %s '%s'", format,
                        format, options, f->image),
                     0);
}

static void a_raw_backing_file_shows_through(void **state)
{
    struct fixture *f = *state;

    with_backing(f, "raw", "compat=1.1");
    used_and_judged(f, 1);
}

static void a_qcow2_backing_file_shows_through(void **state)
{
    struct fixture *f = *state;

    with_backing(f, "qcow2", "cluster_size=4k");
    used_and_judged(f, 1);
}

static void a_backing_file_of_a_version_2_image_shows_through(void **state)
{
    struct fixture *f = *state;

    with_backing(f, "raw", "compat=0.10");
    used_and_judged(f, 1);
}

static void a_shorter_backing_file_is_followed_by_zeroes(void **state)
{
    struct fixture *f = *state;

    with_backing(f, "raw", "compat=1.1");
    assert_int_equal(truncate(in(f->folder, "base.raw"), DISK_BYTES / 2 + 512), 0);
    memset(f->shadow + DISK_BYTES / 2 + 512, 0, DISK_BYTES / 2 - 512);
    used_and_judged(f, 1);
}

static void a_chain_of_images_shows_through(void **state)
{
    struct fixture *f = *state;
    const char *below = f->image;

    with_backing(f, "raw", "compat=1.1");
    used_and_judged(f, 1);
    f->image = strdup(in(f->folder, "top.qcow2"));
    assert_int_equal(sh("qemu-img create -f qcow2 -b image.qcow2 -F qcow2 '%s'", f->image), 0);
    used_and_judged(f, 1);
    free((void *)below);
}

static void compressed(struct fixture *f, const char *type)
{
    const char *raw = in(f->folder, "base.raw");

    need_qemu_img();
    fill_shadow(f);
    write_shadow(f, raw);
    assert_int_equal(sh("qemu-img convert -c -f raw -O qcow2 -o compression_type=%s '%s' '%s'",
                        type, raw, f->image),
                     0);
    used_and_judged(f, 1);
}

static void deflated_clusters_are_read_and_replaced(void **state)
{
    compressed(*state, "zlib");
}

static void zstd_clusters_are_read_and_replaced(void **state)
{
    compressed(*state, "zstd");
}

static void snapshots_inside_the_image_keep_what_they_have(void **state)
{
    struct fixture *f = *state;
    struct file_config config = config_of(f);
    const char *expected = in(f->folder, "snapshot");

    new_image_of(f, "compat=1.1");
    f->disk = disk_new(&config);
    use(f, OPS, 1);
    disk_free(f->disk);
    f->disk = NULL;
    write_shadow(f, expected);
    assert_int_equal(sh("qemu-img snapshot -c one '%s'", f->image), 0);
    used_and_judged(f, 1);
    assert_int_equal(sh("qemu-img convert -l one -O raw '%s' '%s.back' && cmp '%s' '%s.back'",
                        f->image, expected, expected, expected),
                     0);
    assert_int_equal(sh("qemu-img snapshot -a one '%s'", f->image), 0);
    expect_sound(f->image, 0);
}

/* ---- one thing each ---- */

static void discarded_clusters_are_given_back_and_taken_again(void **state)
{
    struct fixture *f = *state;
    struct file_config config = config_of(f);
    struct stat full, used;

    new_image_of(f, "compat=1.1");
    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, DISK_BYTES, 0x77);
    assert_int_equal(disk_flush(f->disk), 0);
    assert_int_equal(stat(f->image, &full), 0);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 0, NULL, DISK_BYTES), 0);
    assert_int_equal(disk_flush(f->disk), 0);
    assert_int_equal(stat(f->image, &used), 0);
    assert_true(used.st_blocks < full.st_blocks / 4);
    disk_fill(f->disk, 0, DISK_BYTES, 0x78);
    assert_int_equal(disk_flush(f->disk), 0);
    assert_int_equal(stat(f->image, &used), 0);
    assert_true(used.st_size <= full.st_size);
    disk_free(f->disk);
    f->disk = NULL;
    memset(f->shadow, 0x78, DISK_BYTES);
    expect_image(f, 0);
}

static void writes_to_one_cluster_at_a_time_all_arrive(void **state)
{
    struct fixture *f = *state;
    struct file_config config = config_of(f);
    struct disk_request r[128];
    uint8_t data[128][512];

    new_image_of(f, "cluster_size=64k");
    f->disk = disk_new(&config);
    for (unsigned i = 0; i < 128; i++) {
        memset(data[i], (int)i + 1, 512);
        memcpy(f->shadow + 512ull * i, data[i], 512);
        disk_start(f->disk, &r[i], BP_BLOCK_WRITE, 512ull * i, data[i], 512);
    }
    for (unsigned i = 0; i < 128; i++)
        assert_int_equal(disk_wait(f->disk, &r[i]), 0);
    disk_free(f->disk);
    f->disk = NULL;
    expect_image(f, 0);
}

static void a_snapshot_of_a_qcow2_image_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    struct file_config config = config_of(f);

    new_image_of(f, "compat=1.1");
    f->disk = disk_new(&config);
    use(f, OPS, 1);
    disk_free(f->disk);
    config.snapshot = 1;
    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, DISK_BYTES, 0x99);
    disk_expect(f->disk, 0, DISK_BYTES, 0x99);
    disk_free(f->disk);
    f->disk = NULL;
    expect_image(f, 0);
}

static void writethrough_leaves_a_sound_image_after_each_write(void **state)
{
    struct fixture *f = *state;
    struct file_config config = config_of(f);

    config.cache = CACHE_WRITETHROUGH;
    new_image_of(f, "compat=1.1");
    f->disk = disk_new(&config);
    disk_fill(f->disk, 1 << 20, 65536, 0x31);
    memset(f->shadow + (1 << 20), 0x31, 65536);
    assert_int_equal(sh("cp '%s' '%s.copy'", f->image, f->image), 0);
    disk_free(f->disk);
    f->disk = NULL;
    assert_int_equal(sh("mv '%s.copy' '%s'", f->image, f->image), 0);
    expect_image(f, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(version_3_is_used_and_sound),
        TEST(version_2_is_used_and_sound),
        TEST(every_width_of_refcounts_is_used_and_sound),
        TEST(the_smallest_clusters_are_used_and_sound),
        TEST(the_largest_clusters_are_used_and_sound),
        TEST(preallocated_and_lazy_images_are_used_and_sound),
        TEST(a_raw_backing_file_shows_through),
        TEST(a_qcow2_backing_file_shows_through),
        TEST(a_backing_file_of_a_version_2_image_shows_through),
        TEST(a_shorter_backing_file_is_followed_by_zeroes),
        TEST(a_chain_of_images_shows_through),
        TEST(deflated_clusters_are_read_and_replaced),
        TEST(zstd_clusters_are_read_and_replaced),
        TEST(snapshots_inside_the_image_keep_what_they_have),
        TEST(discarded_clusters_are_given_back_and_taken_again),
        TEST(writes_to_one_cluster_at_a_time_all_arrive),
        TEST(a_snapshot_of_a_qcow2_image_is_thrown_away),
        TEST(writethrough_leaves_a_sound_image_after_each_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
