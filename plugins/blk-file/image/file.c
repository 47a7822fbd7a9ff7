/* SPDX-License-Identifier: MIT
 *
 * image/file.c - whole transfers.
 *
 * Nothing is mapped: a file that shrinks under us is an error, not SIGBUS.
 */
#include "file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SLICE 64 /* buffers of one system call */
#define ZERO_STEP 262144u

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

int file_write_zeroes(int fd, uint64_t at, uint64_t length)
{
    static const uint8_t zeroes[ZERO_STEP];
    int err = 0;

    while (!err && length) {
        uint64_t n = length < ZERO_STEP ? length : ZERO_STEP;

        err = file_write(fd, zeroes, at, n);
        at += n;
        length -= n;
    }
    return err;
}
