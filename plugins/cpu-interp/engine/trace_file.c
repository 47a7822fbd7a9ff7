/* SPDX-License-Identifier: MIT
 *
 * trace_file.c - the output of a trace. See trace_file.h.
 *
 * SIGPIPE is the program's to ignore. A pipe is not waited for without end: a reader that stands
 * still would hold the guest, and the user who wants to end it.
 */
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define BUFFER (1u << 18)
#define LEVEL 1 /* lines are much alike: higher levels take more time than they save */
#define PATIENCE_MS 10000

struct trace_file {
    int fd;
    int err; /* of the first failure */
    ZSTD_CCtx *zstd;
    char *packed; /* room for ZSTD_CStreamOutSize() */
    uint32_t used;
    char buffer[BUFFER];
};

static int ends_in(const char *text, const char *end)
{
    size_t tlen = strlen(text), elen = strlen(end);

    return tlen >= elen && strcmp(text + tlen - elen, end) == 0;
}

static int compressed(struct trace_file *f)
{
    f->packed = malloc(ZSTD_CStreamOutSize());
    f->zstd = ZSTD_createCCtx();
    if (!f->packed || !f->zstd)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_checksumFlag, 1);
    return 0;
}

static void release(struct trace_file *f)
{
    if (f->fd > STDERR_FILENO)
        close(f->fd);
    ZSTD_freeCCtx(f->zstd);
    free(f->packed);
    free(f);
}

int trace_file_open(const char *path, struct trace_file **out)
{
    struct trace_file *f = calloc(1, sizeof(*f));
    int err = 0;

    if (!f)
        return -ENOMEM;
    f->fd = STDERR_FILENO;
    if (path && ends_in(path, ".zst"))
        err = compressed(f);
    if (!err && path) {
        /* Not blocking: a named pipe that nobody reads is an error here, and no hang. */
        f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
        if (f->fd < 0)
            err = -errno;
    }
    if (err) {
        release(f);
        return err;
    }
    *out = f;
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int wait_for_room(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n = poll(&p, 1, PATIENCE_MS);

    if (n == 0)
        return -ETIMEDOUT;
    return n < 0 && errno != EINTR ? -errno : 0;
}

static int write_all(int fd, const char *from, size_t bytes)
{
    int err = 0;

    while (bytes && !err) {
        ssize_t n = write(fd, from, bytes);
        if (n >= 0) {
            from += n;
            bytes -= (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            err = wait_for_room(fd);
        } else if (errno != EINTR) {
            err = -errno;
        }
    }
    return err;
}

static int pack(struct trace_file *f, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {.src = f->buffer, .size = f->used};
    size_t left;
    int err;

    do {
        ZSTD_outBuffer to = {.dst = f->packed, .size = ZSTD_CStreamOutSize()};
        left = ZSTD_compressStream2(f->zstd, &to, &in, how);
        if (ZSTD_isError(left))
            return -EIO;
        err = write_all(f->fd, f->packed, to.pos);
    } while (!err && (how == ZSTD_e_continue ? in.pos < in.size : left != 0));
    return err;
}

static int drain(struct trace_file *f, ZSTD_EndDirective how)
{
    if (!f->err)
        f->err = f->zstd ? pack(f, how) : write_all(f->fd, f->buffer, f->used);
    f->used = 0;
    return f->err;
}

int trace_file_write(struct trace_file *f, const char *text, uint32_t bytes)
{
    while (bytes && !f->err) {
        uint32_t room = BUFFER - f->used, n = bytes < room ? bytes : room;

        memcpy(f->buffer + f->used, text, n);
        f->used += n;
        text += n;
        bytes -= n;
        if (f->used == BUFFER)
            drain(f, ZSTD_e_continue);
    }
    return f->err;
}

int trace_file_flush(struct trace_file *f)
{
    return drain(f, ZSTD_e_flush);
}

int trace_file_close(struct trace_file *f)
{
    int err;

    if (!f)
        return 0;
    err = drain(f, ZSTD_e_end);
    release(f);
    return err;
}

int trace_file_is_compressed(const struct trace_file *f)
{
    return f->zstd != NULL;
}
