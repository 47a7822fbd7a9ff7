/* SPDX-License-Identifier: MIT
 *
 * image/image.h - disk images: raw and qcow2 behind one interface.
 *
 * Calls are synchronous. Those on an open image may come from any number of threads at once;
 * opening and closing may not. The plugin blk-file, the program backplane-img and the tests stand
 * on it; it knows nothing of Backplane.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "file.h"
#include "ranges.h"

#include <stdint.h>
#include <sys/types.h>

#define IMAGE_AUTO 0u /* by the first four bytes */
#define IMAGE_RAW 1u
#define IMAGE_QCOW2 2u

#define IMAGE_SECTOR 512u
#define IMAGE_CHAIN_MAX 64u           /* images above one another */
#define IMAGE_NAME_MAX 1023u          /* bytes of a backing file's name in a header (QCOW2, 2) */
#define IMAGE_LENGTH_MAX (1ull << 60) /* bytes of a disk */

/* Why a call failed: one sentence. */
struct image_error {
    char text[1400];
};

/* Writes the sentence and returns `err`. */
int img_fail(struct image_error *e, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What an image says while it is used, on whatever thread found it. */
struct image_messages {
    void (*warn)(void *context, const char *text);
    void *context;
};

struct image_options {
    const char *path;
    uint32_t format;    /* IMAGE_* */
    uint8_t readonly;   /* opened for reading, locked against writers only */
    uint8_t no_backing; /* an image that names a backing file is refused */
    uint8_t snapshot;   /* writes go to a file without a name, and are gone with it */
    uint8_t unsafe;     /* flush does not reach the disk */
    uint32_t reserved;
    struct image_messages messages;
};

struct image;

/* What a format does. Offsets and lengths are in bytes of the disk, within it, multiples of
 * IMAGE_SECTOR. Errors are negative errnos. [any] */
struct image_ops {
    const char *name; /* "raw" */
    int (*read)(struct image *i, struct cursor *to, uint64_t offset, uint64_t length);
    int (*write)(struct image *i, struct cursor *from, uint64_t offset, uint64_t length);
    int (*zero)(struct image *i, uint64_t offset, uint64_t length, int unmap);
    int (*discard)(struct image *i, uint64_t offset, uint64_t length);
    /* On return all that completed before is as durable as the image was opened for. */
    int (*flush)(struct image *i);
    /* Finds where a read, or a write that allocates nothing, can go straight to the file: 0, with
     * *at its place in i->fd and `r` held until unmap(); -EAGAIN if it has to be done by
     * read() or write(). Never waits and does no I/O. */
    int (*map)(struct image *i, struct range *r, uint64_t offset, uint64_t length, int is_write,
               uint64_t *at);
    void (*unmap)(struct image *i, struct range *r);
    /* Writes what is held in memory and frees `i`, but neither its fd nor its backing image. */
    int (*close)(struct image *i);
};

struct image {
    const struct image_ops *ops;
    char *path; /* for messages, and what backing names are relative to; owned */
    struct image *backing;
    uint64_t length; /* bytes of the disk */
    uint64_t inode;  /* identify the file, against loops */
    dev_t device;
    int fd;
    uint32_t cluster_size; /* bytes: what a good request is a multiple of; a power of two */
    uint8_t readonly, unsafe;
    uint8_t guarded;      /* raw because of its content: its guest may not make it a qcow2 image */
    uint8_t is_plain;     /* raw: a transfer is all that a write takes */
    uint32_t sync_failed; /* atomic */
    struct image_messages messages;
};

/* fdatasync(), which fails for ever after it failed once. [any] */
int img_sync(struct image *i);

/* Opens a chain of images and locks each. [main] */
int img_open(const struct image_options *o, struct image **out, struct image_error *e);
/* The same for an fd that is open already, not locked; it becomes the image's, unless this fails.
 * o->path is for messages only. [main] */
int img_open_fd(const struct image_options *o, int fd, struct image **out, struct image_error *e);
/* Writes what is left, closes the chain. The first error, or 0. [main] */
int img_close(struct image *i);

void img_warn(const struct image *i, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- formats ---- */

struct image *raw_new(void);
struct qcow2_create {
    uint64_t length;         /* bytes of the disk */
    const char *backing;     /* or NULL; as it shall stand in the header */
    uint32_t backing_format; /* IMAGE_RAW or IMAGE_QCOW2 */
    uint32_t reserved;
};
/* Writes an empty image into `fd`, an empty file. */
int qcow2_create(int fd, const struct qcow2_create *c, struct image_error *e);
/* Opens what is in `fd`. The caller opens what the header names as backing file: its name is in
 * `backing`, empty if there is none, and its format in *backing_format, IMAGE_AUTO if the header
 * does not say. */
int qcow2_open(const struct image_options *o, int fd, char backing[IMAGE_NAME_MAX + 1],
               uint32_t *backing_format, struct image **out, struct image_error *e);

/* For `img`. */
struct image_info {
    uint32_t format;
    uint32_t version, cluster_size, refcount_bits; /* qcow2 */
    uint32_t backing_format, snapshots;
    uint8_t zstd, lazy, dirty, corrupt;
    uint8_t reserved[4];
    uint64_t length;
    uint64_t file_bytes, used_bytes; /* of the file: its size, and what it takes on the disk */
    char backing[IMAGE_NAME_MAX + 1];
};
int img_info(const char *path, uint32_t format, struct image_info *out, struct image_error *e);
void qcow2_describe(const struct image *i, struct image_info *out);
/* Grows a qcow2 image that is open for writing and in no other use. */
int qcow2_grow(struct image *i, uint64_t length, struct image_error *e);

#endif
