/* SPDX-License-Identifier: MIT
 *
 * boot/image.h - an untrusted file that is being loaded: read piece by piece, never mapped, so that
 * a file that shrinks meanwhile is an error and no SIGBUS.
 */
#ifndef BOOT_IMAGE_H
#define BOOT_IMAGE_H

#include "base/error.h"

#include <stdint.h>

struct image {
    const char *path;     /* for messages; the caller's */
    const uint8_t *bytes; /* content in memory (fuzz targets, tests), or NULL: read from fd */
    uint64_t size;        /* bytes */
    int fd;
};

/* As image_open(), without opening. [main] */
int image_check(const char *path, struct error *e);
/* image_check(), which gives the file's size too. [main] */
int image_check_size(const char *path, uint64_t *bytes, struct error *e);
/* Opens a regular, non-empty file. -ENOENT, -EACCES, -EISDIR, -EINVAL (FIFO, device, empty). [main]
 */
int image_open(struct image *image, const char *path, struct error *e);
/* An image that is `size` bytes at `bytes`, which stay the caller's. */
void image_from_memory(struct image *image, const char *name, const void *bytes, uint64_t size);
void image_close(struct image *image);

/* Reads [offset, offset + len) into `to`. -ENODATA if the file ends before, -EIO. [main] */
int image_read(const struct image *image, uint64_t offset, void *to, uint64_t len, struct error *e);

#endif
