/* SPDX-License-Identifier: MIT
 *
 * image/image.c - images and what they stand on: opened, locked, told apart, closed.
 *
 * Untrusted are the files, their headers included. A backing file is a regular file or a block
 * device, opened for reading, and never one that is in its own chain. Where an image does not say
 * of which format its backing file is, that is told by the content, but such a file may not name
 * another: it may have been a raw disk, whose guest wrote the name.
 */
#include "image.h"

#include "qcow2_format.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_NAME "/backplane-snapshot-XXXXXX"

int img_fail(struct image_error *e, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    return err;
}

void img_warn(const struct image *i, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (i->messages.warn)
        i->messages.warn(i->messages.context, text);
}

int img_sync(struct image *i)
{
    int err;

    /* What the system could not write it may have forgotten: no later sync brings it back. */
    if (__atomic_load_n(&i->sync_failed, __ATOMIC_RELAXED))
        return -EIO;
    err = file_sync(i->fd);
    if (err)
        __atomic_store_n(&i->sync_failed, 1, __ATOMIC_RELAXED);
    return err;
}

/* Of a call that has failed. */
static int last_error(void)
{
    return errno ? -errno : -EIO;
}

/* ---- one image ---- */

static const char *kind_of_file(mode_t mode)
{
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a named pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a character device";
}

static int open_file(const struct image_options *o, struct image_error *e)
{
    const char *path = o->path;
    struct stat st;
    int fd;

    if (stat(path, &st))
        return img_fail(e, last_error(), "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return img_fail(e, -EINVAL, "'%s' is %s, expected a file or a block device", path,
                        kind_of_file(st.st_mode));
    fd = open(path, (o->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return fd;
    if (!o->readonly && (errno == EACCES || errno == EROFS || errno == EPERM))
        return img_fail(e, last_error(),
                        "cannot open '%s' for writing: %s; say `readonly = yes`, or `snapshot = "
                        "yes`",
                        path, strerror(errno));
    return img_fail(e, last_error(), "cannot open '%s': %s", path, strerror(errno));
}

static int lock_file(const struct image_options *o, int fd, struct image_error *e)
{
    int err = file_lock(fd, !o->readonly);

    if (err == -EAGAIN && o->readonly)
        return img_fail(e, err,
                        "'%s' is in use: another machine or program may write to it; end that "
                        "first",
                        o->path);
    if (err == -EAGAIN)
        return img_fail(e, err,
                        "'%s' is in use by another machine or program, so that it cannot be "
                        "written; end that first, or let both open it with `readonly = yes` or "
                        "`snapshot = yes`",
                        o->path);
    if (err && o->messages.warn) {
        char text[1024];

        snprintf(text, sizeof(text),
                 "'%.600s' cannot be locked: %s; see to it that no other program writes to it",
                 o->path, strerror(-err));
        o->messages.warn(o->messages.context, text);
    }
    return 0;
}

static int is_qcow2(int fd)
{
    uint8_t magic[4];

    return !file_read(fd, magic, 0, sizeof(magic), 0) && !memcmp(magic, QCOW2_MAGIC, sizeof(magic));
}

static int open_raw(const struct image_options *o, int fd, struct image **out,
                    struct image_error *e)
{
    int64_t length = file_length(fd);
    struct image *i;

    if (length < 0)
        return img_fail(e, (int)length, "cannot find the size of '%s': %s", o->path,
                        strerror((int)-length));
    if (!length)
        return img_fail(e, -EINVAL, "'%s' is empty; give it a size: backplane img resize '%s' 10G",
                        o->path, o->path);
    if (length % IMAGE_SECTOR)
        return img_fail(e, -EINVAL,
                        "'%s' has %lld bytes, expected a multiple of 512 for a raw image: it was "
                        "cut short, or is something else",
                        o->path, (long long)length);
    i = raw_new();
    if (!i)
        return img_fail(e, -ENOMEM, "no memory to open '%s'", o->path);
    i->length = (uint64_t)length;
    i->cluster_size = 4096;
    i->fd = fd;
    i->readonly = o->readonly;
    i->unsafe = o->unsafe;
    i->messages = o->messages;
    i->is_plain = 1;
    i->guarded = o->format == IMAGE_AUTO;
    *out = i;
    return 0;
}

static int open_format(const struct image_options *o, int fd, char *backing,
                       uint32_t *backing_format, struct image **out, struct image_error *e)
{
    struct stat st;
    int err;

    *out = NULL;
    backing[0] = '\0';
    *backing_format = IMAGE_AUTO;
    if (fstat(fd, &st)) {
        err = last_error();
        img_fail(e, err, "cannot open '%s': %s", o->path, strerror(-err));
        return err;
    }
    if (o->format == IMAGE_QCOW2 || (o->format == IMAGE_AUTO && is_qcow2(fd)))
        err = qcow2_open(o, fd, backing, backing_format, out, e);
    else
        err = open_raw(o, fd, out, e);
    if (err)
        return err;
    assert(*out);
    (*out)->device = st.st_dev;
    (*out)->inode = st.st_ino;
    (*out)->path = strdup(o->path);
    if ((*out)->path)
        return 0;
    (*out)->ops->close(*out);
    img_fail(e, -ENOMEM, "no memory to open '%s'", o->path);
    return -ENOMEM;
}

/* ---- chains ---- */

/* `name` as the image at `path` means it: relative to its folder. NULL: no memory. */
static char *beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    char *joined;

    if (name[0] == '/' || !slash)
        return strdup(name);
    return asprintf(&joined, "%.*s/%s", (int)(slash - path), path, name) < 0 ? NULL : joined;
}

static int open_backing(const struct image_options *o, struct image *top, char *name,
                        uint32_t format, struct image_error *e)
{
    struct image_options options = *o;
    struct image *at = top;
    uint32_t depth = 0;
    int err = 0;

    while (!err && name[0]) {
        char next[IMAGE_NAME_MAX + 1], *path;
        struct image *image = NULL;
        uint32_t next_format;
        int fd;

        if (o->no_backing)
            return img_fail(e, -EPERM,
                            "'%s' names the backing file '%s', and `backing = no` forbids that",
                            at->path, name);
        if (++depth == IMAGE_CHAIN_MAX)
            return img_fail(e, -ELOOP, "'%s' stands on more than %u backing files", top->path,
                            IMAGE_CHAIN_MAX - 1);
        if (strncmp(name, "json:", 5) == 0 ||
            (strstr(name, "://") && strcspn(name, "/") > strcspn(name, ":")))
            return img_fail(e, -ENOTSUP,
                            "'%s' names the backing file '%s', which is no path of a file; "
                            "expected one",
                            at->path, name);
        path = beside(at->path, name);
        if (!path)
            return img_fail(e, -ENOMEM, "no memory to open '%s'", name);
        options.path = path;
        options.format = format;
        options.readonly = 1;
        fd = open_file(&options, e);
        err = fd < 0 ? fd : 0;
        if (!err) {
            struct stat st;

            if (fstat(fd, &st))
                err = img_fail(e, last_error(), "cannot open '%s': %s", path, strerror(errno));
            for (struct image *i = top; !err && i; i = i->backing)
                if (i->inode == st.st_ino && i->device == st.st_dev)
                    err = img_fail(e, -ELOOP,
                                   "'%s' is its own backing file, by way of '%s'; give it another "
                                   "by qemu-img rebase -u",
                                   i->path, at->path);
        }
        if (!err)
            err = lock_file(&options, fd, e);
        if (!err)
            err = open_format(&options, fd, next, &next_format, &image, e);
        if (err && fd >= 0)
            close(fd);
        free(path);
        if (err)
            return err;
        assert(image);
        at->backing = image;
        if (format == IMAGE_AUTO && next[0])
            return img_fail(e, -EPERM,
                            "'%s' does not say of which format its backing file '%s' is, which "
                            "names another one: that is not believed; say it by qemu-img rebase "
                            "-u -F qcow2 -b '%s' '%s'",
                            at->path, name, name, at->path);
        at = image;
        memcpy(name, next, sizeof(next));
        format = next_format;
    }
    return err;
}

static void close_chain(struct image *i)
{
    while (i) {
        struct image *backing = i->backing;
        char *path = i->path;

        close(i->fd);
        i->ops->close(i);
        free(path);
        i = backing;
    }
}

int img_close(struct image *i)
{
    struct image *backing = i->backing;
    char *path = i->path;
    int fd = i->fd, err = i->ops->close(i);

    free(path);
    if (close(fd) && !err)
        err = last_error();
    close_chain(backing);
    return err;
}

/* ---- writes that are thrown away ---- */

static int temp_file(struct image_error *e)
{
    const char *folder = getenv("TMPDIR");
    char *path = NULL;
    int fd;

    if (!folder || folder[0] != '/')
        folder = "/var/tmp";
    if (asprintf(&path, "%s%s", folder, TEMP_NAME) < 0)
        return img_fail(e, -ENOMEM, "no memory for a snapshot");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        fd = img_fail(e, last_error(),
                      "cannot make a file for `snapshot = yes` in '%s': %s; let TMPDIR be a folder "
                      "with room",
                      folder, strerror(errno));
    else
        unlink(path);
    free(path);
    return fd;
}

static int put_overlay(const struct image_options *o, struct image **image, struct image_error *e)
{
    const struct qcow2_create create = {.length = (*image)->length};
    struct image_options options = *o;
    char backing[IMAGE_NAME_MAX + 1];
    uint32_t format;
    struct image *overlay = NULL;
    int fd = temp_file(e), err;

    if (fd < 0)
        return fd;
    options.format = IMAGE_QCOW2;
    options.readonly = 0;
    options.unsafe = 1;
    err = qcow2_create(fd, &create, e);
    if (!err)
        err = open_format(&options, fd, backing, &format, &overlay, e);
    if (err) {
        close(fd);
        return err;
    }
    overlay->backing = *image;
    *image = overlay;
    return 0;
}

/* ---- opening ---- */

int img_open_fd(const struct image_options *o, int fd, struct image **out, struct image_error *e)
{
    char backing[IMAGE_NAME_MAX + 1];
    struct image_options options = *o;
    struct image *image = NULL;
    uint32_t format;
    int err;

    if (o->snapshot)
        options.readonly = 1;
    err = open_format(&options, fd, backing, &format, &image, e);
    if (err)
        return err;
    assert(image);
    err = open_backing(&options, image, backing, format, e);
    if (!err && o->snapshot)
        err = put_overlay(o, &image, e);
    if (err) {
        struct image *below = image->backing;
        char *path = image->path;

        image->ops->close(image);
        free(path);
        close_chain(below);
        return err;
    }
    *out = image;
    return 0;
}

int img_open(const struct image_options *o, struct image **out, struct image_error *e)
{
    struct image_options options = *o;
    int fd, err;

    if (o->snapshot)
        options.readonly = 1;
    fd = open_file(&options, e);
    if (fd < 0)
        return fd;
    err = lock_file(&options, fd, e);
    if (!err)
        err = img_open_fd(o, fd, out, e);
    if (err)
        close(fd);
    return err;
}

int img_info(const char *path, uint32_t format, struct image_info *out, struct image_error *e)
{
    const struct image_options o = {.path = path, .format = format, .readonly = 1};
    uint32_t backing_format;
    struct image *image = NULL;
    struct stat st;
    int fd, err;

    memset(out, 0, sizeof(*out));
    fd = open_file(&o, e);
    if (fd < 0)
        return fd;
    err = lock_file(&o, fd, e);
    if (!err)
        err = open_format(&o, fd, out->backing, &backing_format, &image, e);
    if (err) {
        close(fd);
        return err;
    }
    assert(image);
    out->format = strcmp(image->ops->name, "qcow2") == 0 ? IMAGE_QCOW2 : IMAGE_RAW;
    out->length = image->length;
    if (out->format == IMAGE_QCOW2)
        qcow2_describe(image, out);
    if (!fstat(fd, &st)) {
        out->file_bytes = S_ISBLK(st.st_mode) ? (uint64_t)file_length(fd) : (uint64_t)st.st_size;
        out->used_bytes = 512ull * (uint64_t)st.st_blocks;
    }
    img_close(image);
    return 0;
}
