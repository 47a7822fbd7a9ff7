/* SPDX-License-Identifier: MIT
 *
 * image/host_linux.c - holes, flushes and locks of Linux.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

/* QEMU's programs lock single bytes: 100 and up for what they do to an image, 200 and up for what
 * they suffer nobody else to do. */
#define LOCK_BYTE 100
#define LOCK_BYTES 200
#define LOCK_READS LOCK_BYTE                 /* "consistent read" */
#define LOCK_NO_WRITER (LOCK_BYTE + 100 + 1) /* others may not write */
#define LOCK_NO_RESIZE (LOCK_BYTE + 100 + 3) /* nor resize */

static int allocate(int fd, int mode, uint64_t at, uint64_t length)
{
    int ret;

    do
        ret = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)length);
    while (ret && errno == EINTR);
    return ret ? -errno : 0;
}

int file_zero(int fd, uint64_t at, uint64_t length, int unmap)
{
    int err = allocate(fd, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, at, length);

    if (err != -EOPNOTSUPP && err != -ENOSYS && err != -EINVAL && err != -ENODEV)
        return err;
    return file_write_zeroes(fd, at, length);
}

int file_discard(int fd, uint64_t at, uint64_t length)
{
    int err = allocate(fd, FALLOC_FL_PUNCH_HOLE, at, length);

    return err == -EIO || err == -EFBIG ? err : 0;
}

int file_sync(int fd)
{
    int ret;

    do
        ret = fdatasync(fd);
    while (ret && errno == EINTR);
    return ret ? -errno : 0;
}

int64_t file_length(int fd)
{
    off_t length = lseek(fd, 0, SEEK_END);

    return length < 0 ? -errno : (int64_t)length;
}

static int set_lock(int fd, short type, off_t start, off_t length)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int ret;

    do
        ret = fcntl(fd, F_OFD_SETLK, &lock);
    while (ret && errno == EINTR);
    if (!ret)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

int file_lock(int fd, int exclusive)
{
    int err;

    if (exclusive)
        return set_lock(fd, F_WRLCK, LOCK_BYTE, LOCK_BYTES);
    err = set_lock(fd, F_RDLCK, LOCK_READS, 1);
    if (!err)
        err = set_lock(fd, F_RDLCK, LOCK_NO_WRITER, 1);
    if (!err)
        err = set_lock(fd, F_RDLCK, LOCK_NO_RESIZE, 1);
    if (err)
        return err;
    /* A program of QEMU's that writes holds these two. */
    for (int n = 1; n <= 3; n += 2) {
        struct flock writer = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE + n, .l_len = 1};

        if (!fcntl(fd, F_OFD_GETLK, &writer) && writer.l_type != F_UNLCK)
            return -EAGAIN;
    }
    return 0;
}
