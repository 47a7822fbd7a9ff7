/* SPDX-License-Identifier: MIT
 *
 * image/raw.c - a raw image: a byte of the disk is the byte of the file, or of the block device, at
 * its place.
 *
 * An image that is taken for raw because of what is in it could become another format under its
 * guest's hands, whose header would name a file of the host as its backing file the next time. So a
 * guarded image refuses to get qcow2's magic number. What the guest changes while it is looked at
 * does not matter: the first sector is copied before.
 */
#include "image.h"
#include "qcow2_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct raw {
    struct image image; /* first */
    uint32_t told;
    uint32_t reserved;
};

static int raw_read(struct image *i, struct cursor *to, uint64_t offset, uint64_t length)
{
    return file_readv(i->fd, to, offset, length, 0);
}

static int write_first_sector(struct image *i, struct cursor *from)
{
    struct raw *r = (struct raw *)i;
    uint8_t sector[IMAGE_SECTOR];

    cursor_get(from, sector, sizeof(sector));
    if (memcmp(sector, QCOW2_MAGIC, 4) != 0)
        return file_write(i->fd, sector, 0, sizeof(sector));
    if (!__atomic_exchange_n(&r->told, 1, __ATOMIC_RELAXED))
        img_warn(i,
                 "the guest wants to make '%s' look like a qcow2 image, which is refused; if it "
                 "may, say `format = raw`",
                 i->path);
    return -EIO;
}

static int raw_write(struct image *i, struct cursor *from, uint64_t offset, uint64_t length)
{
    if (i->guarded && !offset) {
        int err = write_first_sector(i, from);

        if (err)
            return err;
        offset += IMAGE_SECTOR;
        length -= IMAGE_SECTOR;
    }
    return file_writev(i->fd, from, offset, length);
}

static int raw_zero(struct image *i, uint64_t offset, uint64_t length, int unmap)
{
    return file_zero(i->fd, offset, length, unmap);
}

static int raw_discard(struct image *i, uint64_t offset, uint64_t length)
{
    return file_discard(i->fd, offset, length);
}

static int raw_flush(struct image *i)
{
    return i->unsafe || i->readonly ? 0 : img_sync(i);
}

static int raw_map(struct image *i, struct range *range, uint64_t offset, uint64_t length,
                   int is_write, uint64_t *at)
{
    (void)range, (void)length;
    if (is_write && i->guarded && !offset)
        return -EAGAIN;
    *at = offset;
    return 0;
}

static void raw_unmap(struct image *i, struct range *range)
{
    (void)i, (void)range;
}

static int raw_close(struct image *i)
{
    free(i);
    return 0;
}

static const struct image_ops raw_ops = {
    .name = "raw",
    .read = raw_read,
    .write = raw_write,
    .zero = raw_zero,
    .discard = raw_discard,
    .flush = raw_flush,
    .map = raw_map,
    .unmap = raw_unmap,
    .close = raw_close,
};

struct image *raw_new(void)
{
    struct raw *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->image.ops = &raw_ops;
    return &r->image;
}
