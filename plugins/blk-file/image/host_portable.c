/* SPDX-License-Identifier: MIT
 *
 * image/host_portable.c - holes, flushes and locks where there are no fallocate() and no open file
 * description locks to rely on: macOS (fcntl(2), flock(2)).
 *
 * Holes consist of whole blocks of the file system; what is left of a range at its ends is written.
 * On Linux, where tests run this file, fallocate() stands in for F_PUNCHHOLE and is as strict.
 *
 * The lock is flock()'s: it belongs to the open file, and so holds between processes and between
 * two opens in one process. It is one for the whole file, where QEMU's programs lock bytes: nothing
 * says that they see each other's.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/disk.h>
#else
#include <linux/falloc.h>
#endif

/* The file system, or this kind of file, has no such call. */
static int is_lacking(int err)
{
    return err == -EOPNOTSUPP || err == -ENOTSUP || err == -ENOSYS || err == -EINVAL ||
           err == -ENODEV || err == -ENOTTY;
}

#ifdef __APPLE__

static int punch(int fd, uint64_t at, uint64_t length)
{
    struct fpunchhole hole = {.fp_offset = (off_t)at, .fp_length = (off_t)length};

    return fcntl(fd, F_PUNCHHOLE, &hole);
}

/* fsync() leaves what was written in the cache of the disk, F_FULLFSYNC does not. */
static int sync_once(int fd)
{
    int ret = fcntl(fd, F_FULLFSYNC);

    return ret && is_lacking(-errno) ? fsync(fd) : ret;
}

/* lseek() finds no end of a disk. Nonzero, and errno, if that is not known. */
static int disk_length(int fd, int64_t *out)
{
    uint32_t block;
    uint64_t blocks;

    if (ioctl(fd, DKIOCGETBLOCKSIZE, &block) || ioctl(fd, DKIOCGETBLOCKCOUNT, &blocks))
        return -1;
    if (!__builtin_mul_overflow(blocks, block, out))
        return 0;
    errno = EOVERFLOW;
    return -1;
}

#else

/* As F_PUNCHHOLE: `at` and `length` are multiples of the file system's blocks. */
static int punch(int fd, uint64_t at, uint64_t length)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)length);
}

static int sync_once(int fd)
{
    return fdatasync(fd);
}

static int disk_length(int fd, int64_t *out)
{
    *out = lseek(fd, 0, SEEK_END);
    return *out < 0 ? -1 : 0;
}

#endif

/* Makes a hole of the whole blocks in a range; [*from, *to) is what it covers, nothing after an
 * error. 0 or -errno. */
static int punch_blocks(int fd, uint64_t at, uint64_t length, uint64_t *from, uint64_t *to)
{
    struct statvfs fs;
    uint64_t block, first, end;
    int ret;

    *from = *to = at;
    if (fstatvfs(fd, &fs))
        return -errno;
    block = fs.f_frsize ? fs.f_frsize : 4096;
    first = (at + block - 1) / block * block;
    end = (at + length) / block * block;
    if (first >= end)
        return 0;
    do
        ret = punch(fd, first, end - first);
    while (ret && errno == EINTR);
    if (ret)
        return -errno;
    *from = first;
    *to = end;
    return 0;
}

int file_zero(int fd, uint64_t at, uint64_t length, int unmap)
{
    uint64_t from = at, to = at;
    int err = unmap ? punch_blocks(fd, at, length, &from, &to) : 0;

    if (err && !is_lacking(err))
        return err;
    err = file_write_zeroes(fd, at, from - at);
    return err ? err : file_write_zeroes(fd, to, at + length - to);
}

int file_discard(int fd, uint64_t at, uint64_t length)
{
    uint64_t from, to;
    int err = punch_blocks(fd, at, length, &from, &to);

    return err == -EIO || err == -EFBIG ? err : 0;
}

int file_sync(int fd)
{
    int ret;

    do
        ret = sync_once(fd);
    while (ret && errno == EINTR);
    return ret ? -errno : 0;
}

int64_t file_length(int fd)
{
    struct stat st;
    int64_t length = 0;

    if (fstat(fd, &st))
        return -errno;
    if (!S_ISBLK(st.st_mode))
        return st.st_size;
    return disk_length(fd, &length) ? -errno : length;
}

int file_lock(int fd, int exclusive)
{
    int ret;

    do
        ret = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    while (ret && errno == EINTR);
    if (!ret)
        return 0;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}
