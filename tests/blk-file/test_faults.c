/* SPDX-License-Identifier: MIT
 *
 * blk-file/test_faults.c - a host that does not do as it is asked: interrupted and short transfers,
 * no room, I/O errors, a flush that fails, no io_uring.
 *
 * The plugin's transfers come by functions of this program, which has them fail. So threads do all
 * of them here.
 */
#include "disk.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_BYTES (16u << 20)
#define EXPORTED __attribute__((visibility("default")))

/* ---- faults ---- */

static _Atomic int ragged;      /* every second transfer is interrupted or short */
static _Atomic int read_error;  /* reads fail with it */
static _Atomic int write_error; /* writes fail with it, when writes_left is used up */
static _Atomic int writes_left;
static _Atomic int sync_error; /* the next fdatasync() fails with it */
static _Atomic unsigned calls;

EXPORTED ssize_t preadv64(int fd, const struct iovec *iov, int count, off64_t at);
EXPORTED ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at);
EXPORTED int fdatasync(int fd);

/* -1 with errno, or how many bytes of the first buffer may go; 0: all of all. */
static ssize_t fault(const struct iovec *iov, int err)
{
    unsigned n = atomic_fetch_add(&calls, 1);

    if (err) {
        errno = err;
        return -1;
    }
    if (!atomic_load(&ragged) || n % 2)
        return 0;
    if (n % 4) {
        errno = EINTR;
        return -1;
    }
    return (ssize_t)(iov->iov_len / 2 + 1);
}

static ssize_t transfer(long call, int fd, const struct iovec *iov, int count, off64_t at, int err)
{
    ssize_t some = fault(iov, err);
    struct iovec part = {.iov_base = iov->iov_base, .iov_len = (size_t)some};

    if (some < 0)
        return -1;
    return syscall(call, fd, some ? &part : iov, some ? 1 : count, (long)at, 0L);
}

ssize_t preadv64(int fd, const struct iovec *iov, int count, off64_t at)
{
    return transfer(SYS_preadv, fd, iov, count, at, atomic_load(&read_error));
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{
    int err = atomic_load(&write_error);

    if (err && atomic_fetch_sub(&writes_left, 1) > 0)
        err = 0;
    return transfer(SYS_pwritev, fd, iov, count, at, err);
}

int fdatasync(int fd)
{
    int err = atomic_exchange(&sync_error, 0);

    if (err) {
        errno = err;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- fixture ---- */

struct fixture {
    char *folder;
    const char *raw, *qcow2;
    struct file_config config; /* the plugin's as long as the disk lives */
    struct disk *disk;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct qcow2_create c = {.length = DISK_BYTES};
    struct image_error e;
    FILE *file;

    assert_non_null(f);
    f->folder = folder_new();
    f->raw = strdup(in(f->folder, "raw"));
    f->qcow2 = strdup(in(f->folder, "qcow2"));
    make_file(f->raw, DISK_BYTES);
    file = fopen(f->qcow2, "w+");
    assert_non_null(file);
    assert_int_equal(qcow2_create(fileno(file), &c, &e), 0);
    fclose(file);
    ragged = read_error = write_error = sync_error = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ragged = read_error = write_error = sync_error = 0;
    disk_free(f->disk);
    folder_remove(f->folder);
    free((void *)f->raw);
    free((void *)f->qcow2);
    free(f);
    return 0;
}

static struct disk *by_threads(struct fixture *f, const char *path)
{
    f->config = disk_config(path);
    f->config.io = IO_THREADS;
    return disk_new(&f->config);
}

/* ---- the tests ---- */

static void bad_96_interrupted_and_short_transfers_go_on(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        f->disk = by_threads(f, i ? f->qcow2 : f->raw);
        ragged = 1;
        for (unsigned n = 0; n < 32; n++)
            disk_fill(f->disk, n * 300032ull, 300032, (uint8_t)(n + 1));
        for (unsigned n = 0; n < 32; n++)
            disk_expect(f->disk, n * 300032ull, 300032, (uint8_t)(n + 1));
        assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE_ZEROES, 512, NULL, 100352), 0);
        assert_int_equal(disk_flush(f->disk), 0);
        disk_expect(f->disk, 512, 100352, 0);
        disk_free(f->disk);
        f->disk = NULL;
        ragged = 0;
    }
    need_qemu_img();
    expect_sound(f->qcow2, 0);
}

static void bad_96_an_io_error_is_told_to_the_guest_and_passes(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4096];

    for (int i = 0; i < 2; i++) {
        f->disk = by_threads(f, i ? f->qcow2 : f->raw);
        disk_fill(f->disk, 65536, 4096, 7);
        read_error = EIO;
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 65536, data, 4096), -EIO);
        read_error = ENOMEM;
        assert_int_equal(disk_do(f->disk, BP_BLOCK_READ, 65536, data, 4096), -EIO);
        read_error = 0;
        disk_expect(f->disk, 65536, 4096, 7);
        /* Of a write it is what the disk said, and what was there before is read again, or not. */
        memset(data, 9, sizeof(data));
        writes_left = 0;
        write_error = EIO;
        assert_int_equal(disk_do(f->disk, BP_BLOCK_WRITE, 131072, data, 4096), -EIO);
        write_error = 0;
        disk_expect(f->disk, 65536, 4096, 7);
        disk_fill(f->disk, 131072, 4096, 9);
        disk_expect(f->disk, 131072, 4096, 9);
        assert_int_equal(disk_flush(f->disk), 0);
        disk_free(f->disk);
        f->disk = NULL;
    }
    need_qemu_img();
    expect_sound(f->qcow2, 0);
}

/* Wherever in a write that takes new clusters the room ends. */
static void bad_96_no_room_is_told_to_the_guest_and_passes(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4096] = {1};

    f->disk = by_threads(f, f->qcow2);
    for (int n = 0; n < 40; n++) {
        int status;

        writes_left = n % 5;
        write_error = n & 1 ? ENOSPC : EDQUOT;
        status = disk_do(f->disk, BP_BLOCK_WRITE, 131072ull * (unsigned)n + 4096, data, 4096);
        assert_true(status == -ENOSPC || (status == 0 && n % 5));
        status = disk_flush(f->disk);
        assert_true(status == -ENOSPC || status == 0);
        write_error = 0;
        disk_fill(f->disk, 131072ull * (unsigned)n + 4096, 4096, (uint8_t)n);
        if (n == 20)
            assert_int_equal(disk_flush(f->disk), 0);
    }
    assert_int_equal(fake_log_count(f->disk->host), 12); /* two at debug level */
    for (unsigned n = 0; n < 40; n++)
        disk_expect(f->disk, 131072ull * n + 4096, 4096, (uint8_t)n);
    disk_free(f->disk);
    f->disk = NULL;
    need_qemu_img();
    expect_sound(f->qcow2, 0);
}

static void bad_96_a_flush_that_failed_does_not_succeed_later(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        f->disk = by_threads(f, i ? f->qcow2 : f->raw);
        disk_fill(f->disk, 0, 4096, 7);
        sync_error = EIO;
        assert_int_equal(disk_flush(f->disk), -EIO);
        assert_int_equal(disk_flush(f->disk), -EIO);
        disk_expect(f->disk, 0, 4096, 7);
        disk_free(f->disk);
        f->disk = NULL;
    }
}

/* ---- a kernel that forbids io_uring ---- */

static void forbid_io_uring(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 4, .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(2);
}

#ifdef BACKPLANE_PORTABLE
#define NO_RING ENOSYS
#define NO_RING_TEXT "Function not implemented"
#else
#define NO_RING EPERM
#define NO_RING_TEXT "Operation not permitted"
#endif

static void without_io_uring(const char *path)
{
    struct file_config config = disk_config(path);
    struct fake_host *h;
    uint32_t level;
    struct disk *d;

    forbid_io_uring();
    d = disk_new(&config);
    if (strcmp(fake_log(d->host, &level),
               "transfers by 4 threads, as there is no io_uring here: " NO_RING_TEXT) != 0 ||
        level != BP_LOG_DEBUG)
        _exit(3);
    disk_fill(d, 4096, 4096, 9);
    disk_expect(d, 4096, 4096, 9);
    disk_free(d);
    config.io = IO_URING;
    if (fake_host_try(PLUGIN_FILE, NULL, &config, &h) != -NO_RING ||
        strcmp(fake_failure(), "there is no io_uring here: " NO_RING_TEXT "; leave `io` out, "
                               "and threads do the work") != 0)
        _exit(4);
    _exit(0);
}

static void io_uring_may_be_forbidden(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (!pid)
        without_io_uring(f->raw);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) {
        print_message("this system has no seccomp\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_96_interrupted_and_short_transfers_go_on),
        TEST(bad_96_an_io_error_is_told_to_the_guest_and_passes),
        TEST(bad_96_no_room_is_told_to_the_guest_and_passes),
        TEST(bad_96_a_flush_that_failed_does_not_succeed_later),
        TEST(io_uring_may_be_forbidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
