/* SPDX-License-Identifier: MIT
 *
 * boot/image.c - an untrusted file that is being loaded.
 *
 * The kind is looked at before the file is opened, because opening a device can have effects, and
 * again after, because the path may name something else by then. O_NONBLOCK: a FIFO without a
 * writer must not block.
 */
#include "boot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX 0x40000000u /* bytes a call; Linux cuts reads at 2 GiB */

static int check_kind(const struct stat *st, const char *path, struct error *e)
{
    const char *kind = "no regular file";

    if (S_ISREG(st->st_mode))
        return st->st_size > 0 ? 0 : error_set(e, -EINVAL, "%s: is empty (0 bytes)", path);
    if (S_ISDIR(st->st_mode))
        return error_set(e, -EISDIR, "%s: is a directory, expected a file", path);
    if (S_ISFIFO(st->st_mode))
        kind = "a FIFO";
    else if (S_ISCHR(st->st_mode))
        kind = "a character device";
    else if (S_ISBLK(st->st_mode))
        kind = "a block device";
    else if (S_ISSOCK(st->st_mode))
        kind = "a socket";
    return error_set(e, -EINVAL, "%s: is %s, expected a regular file", path, kind);
}

static int open_failed(const char *path, int err, struct error *e)
{
    if (err == ENOENT || err == ENOTDIR)
        return error_set(e, -ENOENT, "%s: there is no such file", path);
    if (err == EACCES)
        return error_set(e, -EACCES, "%s: no permission to read this file", path);
    return error_set(e, -err, "%s: cannot be opened: %s", path, strerror(err));
}

int image_check(const char *path, struct error *e)
{
    uint64_t bytes;

    return image_check_size(path, &bytes, e);
}

int image_check_size(const char *path, uint64_t *bytes, struct error *e)
{
    struct stat st;
    int err;

    if (stat(path, &st))
        return open_failed(path, errno, e);
    err = check_kind(&st, path, e);
    if (!err && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS))
        err = open_failed(path, errno, e);
    *bytes = err ? 0 : (uint64_t)st.st_size;
    return err;
}

int image_open(struct image *image, const char *path, struct error *e)
{
    struct stat st;
    int err, fd;

    *image = (struct image){.path = path, .fd = -1};
    err = image_check(path, e);
    if (err)
        return err;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, errno, e);
    if (fstat(fd, &st)) {
        err = open_failed(path, errno, e);
        goto fail;
    }
    err = check_kind(&st, path, e);
    if (err)
        goto fail;
    image->fd = fd;
    image->size = (uint64_t)st.st_size;
    return 0;
fail:
    close(fd);
    return err;
}

void image_from_memory(struct image *image, const char *name, const void *bytes, uint64_t size)
{
    *image = (struct image){.path = name, .bytes = bytes, .size = size, .fd = -1};
}

void image_close(struct image *image)
{
    if (image->fd >= 0)
        close(image->fd);
    image->fd = -1;
}

int image_read(const struct image *image, uint64_t offset, void *to, uint64_t len, struct error *e)
{
    uint8_t *out = to;

    if (offset > image->size || len > image->size - offset)
        return error_set(e, -ENODATA,
                         "%s: ends after %" PRIu64 " bytes, but %" PRIu64 " are needed at %" PRIu64
                         "; the file is truncated",
                         image->path, image->size, len, offset);
    if (image->bytes) {
        if (len)
            memcpy(out, image->bytes + offset, len);
        return 0;
    }
    while (len) {
        size_t piece = len < READ_MAX ? (size_t)len : READ_MAX;
        ssize_t got = pread(image->fd, out, piece, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(e, -EIO, "%s: cannot be read at byte %" PRIu64 ": %s", image->path,
                             offset, strerror(errno));
        if (got == 0)
            return error_set(e, -ENODATA,
                             "%s: ends after %" PRIu64 " bytes, but had %" PRIu64
                             " when it was opened; it must not change while it is loaded",
                             image->path, offset, image->size);
        out += got;
        offset += (uint64_t)got;
        len -= (uint64_t)got;
    }
    return 0;
}
