/* SPDX-License-Identifier: MIT
 *
 * image/file.c - whole transfers, and the lock.
 *
 * Nothing is mapped: a file that shrinks under us is an error, not SIGBUS.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#define SLICE 64 /* buffers of one system call */
#define ZERO_STEP 262144u

/* QEMU's programs lock single bytes: 100 and up for what they do to an image, 200 and up for what
 * they suffer nobody else to do. */
#define LOCK_BYTE 100
#define LOCK_BYTES 200
#define LOCK_READS LOCK_BYTE                 /* "consistent read" */
#define LOCK_NO_WRITER (LOCK_BYTE + 100 + 1) /* others may not write */
#define LOCK_NO_RESIZE (LOCK_BYTE + 100 + 3) /* nor resize */

int cursor_slice(const struct cursor *c, uint64_t length, struct iovec *iov, int max,
                 uint64_t *bytes)
{
    const struct iovec *from = c->iov;
    uint64_t skip = c->skip;
    int count = 0;

    *bytes = 0;
    while (*bytes < length && count < max) {
        /* The buffers are as long as callers say, which the analyzer cannot see. */
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        uint64_t n = from->iov_len - skip;

        if (n > length - *bytes)
            n = length - *bytes;
        if (n) {
            iov[count].iov_base = (uint8_t *)from->iov_base + skip;
            iov[count++].iov_len = n;
        }
        *bytes += n;
        skip = 0;
        from++;
    }
    return count;
}

void cursor_advance(struct cursor *c, uint64_t length)
{
    while (length) {
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): as above */
        uint64_t left = c->iov->iov_len - c->skip;

        if (length < left) {
            c->skip += length;
            return;
        }
        length -= left;
        c->iov++;
        c->skip = 0;
    }
}

/* Calls of memcpy() and the like for each piece. */
static void *next_piece(struct cursor *c, uint64_t length, uint64_t *n)
{
    struct iovec piece;

    cursor_slice(c, length, &piece, 1, n);
    cursor_advance(c, *n);
    return piece.iov_base;
}

void cursor_put(struct cursor *c, const void *from, uint64_t length)
{
    const uint8_t *bytes = from;
    uint64_t n;

    for (; length; length -= n, bytes += n) {
        void *piece = next_piece(c, length, &n);

        memcpy(piece, bytes, n);
    }
}

void cursor_get(struct cursor *c, void *to, uint64_t length)
{
    uint8_t *bytes = to;
    uint64_t n;

    for (; length; length -= n, bytes += n) {
        const void *piece = next_piece(c, length, &n);

        memcpy(bytes, piece, n);
    }
}

void cursor_zero(struct cursor *c, uint64_t length)
{
    uint64_t n;

    for (; length; length -= n) {
        void *piece = next_piece(c, length, &n);

        memset(piece, 0, n);
    }
}

int file_readv(int fd, struct cursor *to, uint64_t at, uint64_t length, int zeroes)
{
    while (length) {
        struct iovec iov[SLICE];
        uint64_t bytes;
        int count = cursor_slice(to, length, iov, SLICE, &bytes);
        ssize_t n = preadv(fd, iov, count, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!n) {
            if (!zeroes)
                return -EIO;
            cursor_zero(to, length);
            return 0;
        }
        cursor_advance(to, (uint64_t)n);
        at += (uint64_t)n;
        length -= (uint64_t)n;
    }
    return 0;
}

int file_writev(int fd, struct cursor *from, uint64_t at, uint64_t length)
{
    while (length) {
        struct iovec iov[SLICE];
        uint64_t bytes;
        int count = cursor_slice(from, length, iov, SLICE, &bytes);
        ssize_t n = pwritev(fd, iov, count, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!n)
            return -EIO;
        cursor_advance(from, (uint64_t)n);
        at += (uint64_t)n;
        length -= (uint64_t)n;
    }
    return 0;
}

int file_read(int fd, void *to, uint64_t at, uint64_t length, int zeroes)
{
    const struct iovec iov = {.iov_base = to, .iov_len = length};
    struct cursor c = {.iov = &iov};

    return file_readv(fd, &c, at, length, zeroes);
}

int file_write(int fd, const void *from, uint64_t at, uint64_t length)
{
    const struct iovec iov = {.iov_base = (void *)from, .iov_len = length};
    struct cursor c = {.iov = &iov};

    return file_writev(fd, &c, at, length);
}

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
    static const uint8_t zeroes[ZERO_STEP];
    int err = allocate(fd, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, at, length);

    if (err != -EOPNOTSUPP && err != -ENOSYS && err != -EINVAL && err != -ENODEV)
        return err;
    for (err = 0; !err && length;) {
        uint64_t n = length < ZERO_STEP ? length : ZERO_STEP;

        err = file_write(fd, zeroes, at, n);
        at += n;
        length -= n;
    }
    return err;
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
