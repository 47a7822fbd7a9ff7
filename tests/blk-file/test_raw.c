/* SPDX-License-Identifier: MIT
 *
 * blk-file/test_raw.c - raw images, and what all formats share: requests and their completion,
 * locks, snapshots, errors of the host.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB 0x100000u

struct fixture {
    char *folder;
    const char *image;
    struct disk *disk;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->folder = folder_new();
    f->image = strdup(in(f->folder, "image"));
    make_file(f->image, MIB);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    disk_free(f->disk);
    folder_remove(f->folder);
    free((void *)f->image);
    free(f);
    return 0;
}

static void what_is_written_is_read_and_in_the_file(void **state)
{
    struct fixture *f = *state;

    for (uint32_t io = IO_AUTO; io <= IO_THREADS; io += IO_THREADS) {
        struct file_config config = disk_config(f->image);
        uint8_t byte = (uint8_t)(0x41 + io);
        char found[2];
        int fd;

        config.io = io;
        f->disk = disk_new(&config);
        assert_int_equal(f->disk->info.length, MIB);
        assert_int_equal(f->disk->info.flags,
                         BP_BLOCK_CAN_DISCARD | BP_BLOCK_CAN_ZERO | BP_BLOCK_VOLATILE_CACHE);
        disk_fill(f->disk, 512, 8192, byte);
        disk_expect(f->disk, 0, 512, io ? 0x55 : 0);
        disk_expect(f->disk, 512, 8192, byte);
        assert_int_equal(disk_flush(f->disk), 0);
        fd = open(f->image, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, found, 2, 512), 2);
        assert_int_equal(found[0], byte);
        close(fd);
        disk_fill(f->disk, 0, 512, 0x55);
        disk_free(f->disk);
        f->disk = NULL;
    }
}

/* Does the kernel read this file without waiting? What is on the disk and was just written is in
 * the page cache, but not every file system says so. */
static int reads_at_once(const char *path, uint64_t offset)
{
#ifdef BACKPLANE_PORTABLE /* nor is it asked there */
    (void)path, (void)offset;
    return 0;
#else
    char data[512];
    const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = preadv2(fd, &iov, 1, (off_t)offset, RWF_NOWAIT);

    close(fd);
    return n == sizeof(data);
#endif
}

static void what_is_in_the_page_cache_completes_at_once(void **state)
{
    struct fixture *f = *state;

    for (uint32_t io = IO_AUTO; io <= IO_THREADS; io += IO_THREADS) {
        struct file_config config = disk_config(f->image);
        struct disk_request r, write;
        uint8_t data[4096], other[512] = {7};
        int at_once;

        config.io = io;
        f->disk = disk_new(&config);
        disk_fill(f->disk, 4096, 4096, 0x31);
        f->disk->brackets = 1;
        at_once = reads_at_once(f->image, 4096);
        disk_start(f->disk, &r, BP_BLOCK_READ, 4096, data, sizeof(data));
        assert_true(!at_once || r.status == 0);
        assert_int_equal(disk_wait(f->disk, &r), 0);
        for (size_t i = 0; i < sizeof(data); i++)
            assert_int_equal(data[i], 0x31);
        /* Others, and those that nobody waits for in end(), complete as ever. */
        disk_start(f->disk, &write, BP_BLOCK_WRITE, 0, other, sizeof(other));
        assert_int_equal(disk_wait(f->disk, &write), 0);
        f->disk->brackets = 0;
        disk_start(f->disk, &r, BP_BLOCK_READ, 0, data, sizeof(other));
        assert_int_equal(r.status, DISK_PENDING);
        assert_int_equal(disk_wait(f->disk, &r), 0);
        assert_memory_equal(data, other, sizeof(other));
        disk_free(f->disk);
        f->disk = NULL;
    }
}

static void what_is_not_in_the_page_cache_is_read_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    uint8_t data[4096];
    int fd;

    f->disk = disk_new(&config);
    for (unsigned i = 0; i < MIB / 4096; i++)
        disk_fill(f->disk, i * 4096ull, 4096, (uint8_t)i);
    assert_int_equal(disk_flush(f->disk), 0);
    f->disk->brackets = 1;
    for (unsigned i = 0; i < MIB / 4096; i++) {
        struct disk_request r;

        if (i % 8 == 0) {
            fd = open(f->image, O_RDONLY | O_CLOEXEC);
            assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
            close(fd);
        }
        disk_start(f->disk, &r, BP_BLOCK_READ, i * 4096ull, data, sizeof(data));
        assert_int_equal(disk_wait(f->disk, &r), 0);
        for (size_t k = 0; k < sizeof(data); k++)
            assert_int_equal(data[k], (uint8_t)i);
    }
}

/* Whatever waits: for end(), for the ring or for a thread. */
static void drain_inside_a_bracket_completes_all(void **state)
{
    struct fixture *f = *state;

    for (uint32_t io = IO_AUTO; io <= IO_THREADS; io += IO_THREADS) {
        struct file_config config = disk_config(f->image);
        struct disk_request r[2];
        uint8_t data[4096], other[512] = {7};

        config.io = io;
        f->disk = disk_new(&config);
        disk_fill(f->disk, 4096, 4096, 0x31);
        f->disk->ops->begin(f->disk->self);
        disk_start(f->disk, &r[0], BP_BLOCK_READ, 4096, data, sizeof(data));
        disk_start(f->disk, &r[1], BP_BLOCK_WRITE, 0, other, sizeof(other));
        f->disk->ops->drain(f->disk->self);
        assert_int_equal(r[0].status, 0);
        assert_int_equal(r[1].status, 0);
        f->disk->ops->end(f->disk->self);
        assert_int_equal(data[4095], 0x31);
        disk_free(f->disk);
        f->disk = NULL;
    }
}

static void many_requests_are_in_flight_and_each_completes_once(void **state)
{
    enum { COUNT = 600 };
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct disk_request *r = calloc(COUNT, sizeof(*r));
    uint8_t(*data)[512] = calloc(COUNT, 512);

    f->disk = disk_new(&config);
    for (unsigned i = 0; i < COUNT; i++) {
        memset(data[i], (int)(i % 251), 512);
        disk_start(f->disk, &r[i], BP_BLOCK_WRITE, i * 512ull, data[i], 512);
    }
    f->disk->ops->drain(f->disk->self);
    assert_int_equal(f->disk->completed, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(r[i].status, 0);
        memset(data[i], 0xff, 512);
        disk_start(f->disk, &r[i], BP_BLOCK_READ, i * 512ull, data[i], 512);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(disk_wait(f->disk, &r[i]), 0);
        assert_int_equal(data[i][511], i % 251);
    }
    free(data);
    free(r);
}

static void a_request_may_be_in_a_thousand_pieces(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct bp_iovec iov[1024];
    struct disk_request r = {.status = DISK_PENDING};
    struct bp_block_request *request = &r.request;
    static uint8_t data[1024 * 64], back[1024 * 64];

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 / 3);
    for (uint32_t io = IO_AUTO; io <= IO_THREADS; io += IO_THREADS) {
        config.io = io;
        f->disk = disk_new(&config);
        for (uint16_t type = BP_BLOCK_READ; type <= BP_BLOCK_WRITE; type++) {
            uint16_t now = type == BP_BLOCK_READ ? BP_BLOCK_WRITE : BP_BLOCK_READ;

            for (unsigned i = 0; i < 1024; i++)
                iov[i] = (struct bp_iovec){
                    .data = (now == BP_BLOCK_WRITE ? data : back) + 64ull * i, .len = 64};
            r.status = DISK_PENDING;
            r.request = (struct bp_block_request){.size = sizeof(r.request),
                                                  .type = now,
                                                  .offset = 4096,
                                                  .length = sizeof(data),
                                                  .iovecs = iov,
                                                  .niovecs = 1024};
            f->disk->ops->submit(f->disk->self, &request, 1);
            assert_int_equal(disk_wait(f->disk, &r), 0);
        }
        assert_memory_equal(data, back, sizeof(data));
        memset(back, 0, sizeof(back));
        disk_free(f->disk);
        f->disk = NULL;
    }
}

static void zeroes_and_discard_give_space_back(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct stat before, after;

    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, MIB, 0x11);
    assert_int_equal(disk_flush(f->disk), 0);
    assert_int_equal(stat(f->image, &before), 0);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 0, NULL, MIB / 2), 0);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE_ZEROES, MIB / 2 + 512, NULL, 1024), 0);
    disk_expect(f->disk, MIB / 2, 512, 0x11);
    disk_expect(f->disk, MIB / 2 + 512, 1024, 0);
    disk_expect(f->disk, MIB / 2 + 1536, 512, 0x11);
    assert_int_equal(stat(f->image, &after), 0);
    assert_int_equal(after.st_size, MIB);
    assert_true(after.st_blocks <= before.st_blocks);
}

/* Does the file system of the image make holes? */
static int has_holes(const struct fixture *f)
{
    int fd = open(in(f->folder, "holes"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int has = !ftruncate(fd, MIB) &&
              !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB / 2);

    close(fd);
    return has;
}

/* From the middle of a block into the middle of another, with what is beside left as it is. */
static void a_hole_may_begin_and_end_anywhere(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct disk_request r = {.status = DISK_PENDING};
    struct bp_block_request *request = &r.request;
    struct stat before, after;

    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, MIB, 0x11);
    assert_int_equal(disk_flush(f->disk), 0);
    assert_int_equal(stat(f->image, &before), 0);
    r.request = (struct bp_block_request){.size = sizeof(r.request),
                                          .type = BP_BLOCK_WRITE_ZEROES,
                                          .flags = BP_BLOCK_UNMAP,
                                          .offset = 1536,
                                          .length = MIB - 4096};
    f->disk->ops->submit(f->disk->self, &request, 1);
    assert_int_equal(disk_wait(f->disk, &r), 0);
    disk_expect(f->disk, 0, 1536, 0x11);
    disk_expect(f->disk, 1536, MIB - 4096, 0);
    disk_expect(f->disk, MIB - 2560, 2560, 0x11);
    assert_int_equal(stat(f->image, &after), 0);
    assert_int_equal(after.st_size, MIB);
    if (has_holes(f))
        assert_true(after.st_blocks < before.st_blocks / 2);
    /* Less than a block. */
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, MIB - 1024, NULL, 512), 0);
    disk_expect(f->disk, MIB - 512, 512, 0x11);
}

static void writethrough_has_no_volatile_cache(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    config.cache = CACHE_WRITETHROUGH;
    f->disk = disk_new(&config);
    assert_int_equal(f->disk->info.flags, BP_BLOCK_CAN_DISCARD | BP_BLOCK_CAN_ZERO);
    disk_fill(f->disk, 0, 4096, 1);
    disk_expect(f->disk, 0, 4096, 1);
}

static void a_snapshot_takes_writes_and_leaves_the_image(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    patch_file(f->image, 4096, "original", 8);
    config.snapshot = 1;
    chmod(f->image, 0444);
    f->disk = disk_new(&config);
    disk_fill(f->disk, 4096, 512, 0x22);
    disk_expect(f->disk, 4096, 512, 0x22);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 0, NULL, 65536), 0);
    disk_expect(f->disk, 4096, 512, 0);
    assert_int_equal(disk_flush(f->disk), 0);
    disk_free(f->disk);
    config.snapshot = 0;
    config.readonly = 1;
    f->disk = disk_new(&config);
    assert_int_equal(peek64(f->image, 4096), 0x6f726967696e616cull);
}

static void readonly_refuses_writes_and_two_may_read(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct disk *other;
    uint8_t data[512] = {0};

    config.readonly = 1;
    f->disk = disk_new(&config);
    assert_int_equal(f->disk->info.flags, BP_BLOCK_READONLY | BP_BLOCK_VOLATILE_CACHE);
    other = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 512), -EROFS);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE_ZEROES, 0, NULL, 512), -EROFS);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 0, NULL, 512), -EROFS);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 0, data, 512), 0);
    assert_int_equal(disk_flush(f->disk), 0);
    disk_free(other);
}

static void bad_96_two_machines_on_one_image(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    f->disk = disk_new(&config);
    disk_refuses(
        &config, f->folder, -EAGAIN,
        "'DIR/image' is in use by another machine or program, so that it cannot be written; "
        "end that first, or let both open it with `readonly = yes` or `snapshot = yes`");
    config.readonly = 1;
    disk_refuses(
        &config, f->folder, -EAGAIN,
        "'DIR/image' is in use: another machine or program may write to it; end that first");
    config.readonly = 0;
    config.snapshot = 1;
    disk_refuses(
        &config, f->folder, -EAGAIN,
        "'DIR/image' is in use: another machine or program may write to it; end that first");
    disk_free(f->disk);
    config.snapshot = 0;
    f->disk = disk_new(&config);
}

/* What another process gets that opens the image to write (1) or to read (0). */
static int lock_of_another_process(const char *path, int exclusive)
{
    pid_t child = fork();
    int status = -1;

    if (!child) {
        int fd = open(path, O_RDWR | O_CLOEXEC);

        _exit(-file_lock(fd, exclusive));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void locks_hold_between_processes(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    f->disk = disk_new(&config);
    assert_int_equal(lock_of_another_process(f->image, 1), -EAGAIN);
    assert_int_equal(lock_of_another_process(f->image, 0), -EAGAIN);
    disk_free(f->disk);
    config.readonly = 1;
    f->disk = disk_new(&config);
    assert_int_equal(lock_of_another_process(f->image, 1), -EAGAIN);
    assert_int_equal(lock_of_another_process(f->image, 0), 0);
    disk_free(f->disk);
    f->disk = NULL;
    assert_int_equal(lock_of_another_process(f->image, 1), 0);
}

#ifndef BACKPLANE_PORTABLE /* there the lock is flock()'s */
static void locks_are_qemus_too(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    need_qemu_img();
    f->disk = disk_new(&config);
    assert_int_not_equal(sh("qemu-io -f raw -c 'read 0 512' '%s'", f->image), 0);
    assert_int_not_equal(sh("qemu-io -f raw -r -c 'read 0 512' '%s'", f->image), 0);
    disk_free(f->disk);
    config.readonly = 1;
    f->disk = disk_new(&config);
    assert_int_not_equal(sh("qemu-io -f raw -c 'write 0 512' '%s'", f->image), 0);
    assert_int_equal(sh("qemu-io -f raw -r -c 'read 0 512' '%s'", f->image), 0);
}

#endif

static void bad_96_sizes_that_are_no_disks(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    make_file(f->image, 0);
    disk_refuses(&config, f->folder, -EINVAL,
                 "'DIR/image' is empty; give it a size: backplane img resize 'DIR/image' 10G");
    make_file(f->image, 511);
    disk_refuses(
        &config, f->folder, -EINVAL,
        "'DIR/image' has 511 bytes, expected a multiple of 512 for a raw image: it was cut "
        "short, or is something else");
    make_file(f->image, 513);
    disk_refuses(
        &config, f->folder, -EINVAL,
        "'DIR/image' has 513 bytes, expected a multiple of 512 for a raw image: it was cut "
        "short, or is something else");
    make_file(f->image, 512);
    f->disk = disk_new(&config);
    disk_expect(f->disk, 0, 512, 0);
}

static void bad_96_files_that_are_no_images(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    unlink(f->image);
    disk_refuses(&config, f->folder, -ENOENT, "cannot open 'DIR/image': No such file or directory");
    assert_int_equal(mkfifo(f->image, 0600), 0);
    disk_refuses(&config, f->folder, -EINVAL,
                 "'DIR/image' is a named pipe, expected a file or a block device");
    config.file = f->folder;
    disk_refuses(&config, f->folder, -EINVAL,
                 "'DIR' is a folder, expected a file or a block device");
    config.file = "/dev/zero";
    disk_refuses(&config, f->folder, -EINVAL,
                 "'/dev/zero' is a character device, expected a file or a block device");
}

static void bad_96_an_image_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    chmod(f->folder, 0755);
    chmod(f->image, 0444);
    if (!geteuid())
        assert_int_equal(seteuid(65534), 0);
    disk_refuses(&config, f->folder, -EACCES,
                 "cannot open 'DIR/image' for writing: Permission denied; say `readonly = yes`, or "
                 "`snapshot = yes`");
    if (!getuid())
        assert_int_equal(seteuid(0), 0);
    config.readonly = config.snapshot = 1;
    disk_refuses(
        &config, f->folder, -EINVAL,
        "`readonly = yes` and `snapshot = yes` contradict each other: a snapshot takes writes "
        "and throws them away");
}

static void bad_96_an_image_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    chmod(f->folder, 0755);
    chmod(f->image, 0);
    if (!geteuid())
        assert_int_equal(seteuid(65534), 0);
    config.readonly = 1;
    disk_refuses(&config, f->folder, -EACCES, "cannot open 'DIR/image': Permission denied");
    config.readonly = 0;
    config.snapshot = 1;
    disk_refuses(&config, f->folder, -EACCES, "cannot open 'DIR/image': Permission denied");
    config.snapshot = 0;
    /* One that can be written and not read is no disk either. */
    if (!getuid())
        assert_int_equal(seteuid(0), 0);
    chmod(f->image, 0222);
    if (!geteuid())
        assert_int_equal(seteuid(65534), 0);
    disk_refuses(&config, f->folder, -EACCES,
                 "cannot open 'DIR/image' for writing: Permission denied; say `readonly = yes`, or "
                 "`snapshot = yes`");
    if (!getuid())
        assert_int_equal(seteuid(0), 0);
}

static void bad_96_a_file_that_shrinks_is_an_error_and_no_signal(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    char expected[512];
    uint8_t data[4096];

    for (uint32_t io = IO_AUTO; io <= IO_THREADS; io += IO_THREADS) {
        make_file(f->image, MIB);
        config.io = io;
        f->disk = disk_new(&config);
        assert_int_equal(truncate(f->image, 65536 + 1024), 0);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 65536, data, 4096), -EIO);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, MIB - 4096, data, 4096), -EIO);
        snprintf(expected, sizeof(expected),
                 "cannot read '%s': Input/output error; the guest is told", f->image);
        assert_string_equal(fake_log(f->disk->host, NULL), expected);
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 0, data, 4096), 0);
        for (int i = 0; i < 30; i++)
            assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 65536, data, 4096), -EIO);
        assert_true(fake_log_count(f->disk->host) <= 12);
        disk_free(f->disk);
        f->disk = NULL;
    }
}

/* A file may not grow beyond a limit: what a full disk is to a raw image that is sparse cannot be
 * had without a file system of our own; a limit takes the same way. */
static void bad_96_a_full_disk_is_told_to_the_guest(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct rlimit before, limit;
    uint8_t data[4096] = {1};

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 65536;
    f->disk = disk_new(&config);
    assert_int_equal(truncate(f->image, 65536), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 131072, data, 4096), -ENOSPC);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 65536 - 2048, data, 4096), -ENOSPC);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 4096), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void bad_50_requests_that_make_no_sense(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    struct disk_request r;
    struct bp_block_request *request = &r.request;
    uint8_t data[1024] = {0};

    f->disk = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, MIB, data, 512), -EINVAL);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, MIB - 512, data, 1024), -EINVAL);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, UINT64_MAX - 511, data, 512), -EINVAL);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 1, data, 512), -EINVAL);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 100), -EINVAL);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_DISCARD, 0, NULL, 2ull << 30), -EINVAL);
    assert_int_equal(disk_do(f->disk, 99, 0, data, 512), -EINVAL);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 0, data, 0), 0);
    memset(&r, 0, sizeof(r));
    r.status = DISK_PENDING;
    r.iov = (struct bp_iovec){.data = data, .len = UINT64_MAX};
    r.request = (struct bp_block_request){.size = sizeof(r.request),
                                          .type = BP_BLOCK_READ,
                                          .length = 512,
                                          .iovecs = &r.iov,
                                          .niovecs = 1};
    f->disk->ops->submit(f->disk->self, &request, 1);
    assert_int_equal(disk_wait(f->disk, &r), -EINVAL);
}

static void bad_96_a_guest_cannot_turn_a_probed_image_into_qcow2(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);
    uint8_t data[1024] = "QFI\xfb";
    char expected[512];

    f->disk = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 1024), -EIO);
    snprintf(expected, sizeof(expected), "cannot write '%s': Input/output error; the guest is told",
             f->image);
    assert_string_equal(fake_log(f->disk->host, NULL), expected);
    disk_expect(f->disk, 0, 1024, 0);
    data[0] = 'q';
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 1024), 0);
    data[0] = 'Q';
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 512, data, 512), 0);
    disk_free(f->disk);
    config.format = IMAGE_RAW;
    f->disk = disk_new(&config);
    assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 0, data, 1024), 0);
}

static void unsafe_flushes_nothing_and_works(void **state)
{
    struct fixture *f = *state;
    struct file_config config = disk_config(f->image);

    config.cache = CACHE_UNSAFE;
    f->disk = disk_new(&config);
    disk_fill(f->disk, 0, 4096, 3);
    assert_int_equal(disk_flush(f->disk), 0);
    disk_expect(f->disk, 0, 4096, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_and_in_the_file),
        TEST(what_is_in_the_page_cache_completes_at_once),
        TEST(what_is_not_in_the_page_cache_is_read_all_the_same),
        TEST(drain_inside_a_bracket_completes_all),
        TEST(many_requests_are_in_flight_and_each_completes_once),
        TEST(a_request_may_be_in_a_thousand_pieces),
        TEST(zeroes_and_discard_give_space_back),
        TEST(a_hole_may_begin_and_end_anywhere),
        TEST(writethrough_has_no_volatile_cache),
        TEST(a_snapshot_takes_writes_and_leaves_the_image),
        TEST(readonly_refuses_writes_and_two_may_read),
        TEST(locks_hold_between_processes),
#ifndef BACKPLANE_PORTABLE
        TEST(locks_are_qemus_too),
#endif
        TEST(unsafe_flushes_nothing_and_works),
        TEST(bad_50_requests_that_make_no_sense),
        TEST(bad_96_two_machines_on_one_image),
        TEST(bad_96_sizes_that_are_no_disks),
        TEST(bad_96_files_that_are_no_images),
        TEST(bad_96_an_image_that_cannot_be_written),
        TEST(bad_96_an_image_that_cannot_be_read),
        TEST(bad_96_a_file_that_shrinks_is_an_error_and_no_signal),
        TEST(bad_96_a_full_disk_is_told_to_the_guest),
        TEST(bad_96_a_guest_cannot_turn_a_probed_image_into_qcow2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
