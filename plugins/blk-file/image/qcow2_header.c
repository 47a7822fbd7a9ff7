/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_header.c - the header of a qcow2 file, and whether we can do what it asks for.
 *
 * Refused: encryption, data in another file, extended L2 entries, features that nobody has heard
 * of. Nothing of it is believed before it was compared with the size of the file.
 */
#include "qcow2.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifndef EUCLEAN /* Linux alone has it */
#define EUCLEAN EFTYPE
#endif

uint64_t get_be64(const void *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return __builtin_bswap64(value);
}

uint32_t get_be32(const void *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return __builtin_bswap32(value);
}

void put_be64(void *at, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof(value));
}

void put_be32(void *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof(value));
}

#define NUMBER32(member) h->member = get_be32(raw + offsetof(struct qcow2_header, member))
#define NUMBER64(member) h->member = get_be64(raw + offsetof(struct qcow2_header, member))

static void decode(const uint8_t raw[QCOW2_HEADER_MAX], struct qcow2_header *h)
{
    memset(h, 0, sizeof(*h));
    NUMBER32(magic);
    NUMBER32(version);
    NUMBER64(backing_offset);
    NUMBER32(backing_length);
    NUMBER32(cluster_bits);
    NUMBER64(length);
    NUMBER32(crypt_method);
    NUMBER32(l1_size);
    NUMBER64(l1_offset);
    NUMBER64(reftable_offset);
    NUMBER32(reftable_clusters);
    NUMBER32(snapshot_count);
    NUMBER64(snapshot_offset);
    h->refcount_order = 4;
    h->header_length = QCOW2_HEADER_V2;
    if (h->version < 3)
        return;
    NUMBER64(incompatible);
    NUMBER64(compatible);
    NUMBER64(autoclear);
    NUMBER32(refcount_order);
    NUMBER32(header_length);
    if (h->header_length > QCOW2_HEADER_V3)
        h->compression_type = raw[offsetof(struct qcow2_header, compression_type)];
}

static int check_features(const struct qcow2_header *h, const char *path, int readonly,
                          struct image_error *e)
{
    const uint64_t known =
        QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_DATA_FILE | QCOW2_COMPRESSION | QCOW2_EXTENDED_L2;

    if (h->crypt_method)
        return img_fail(e, -ENOTSUP,
                        "'%s' is encrypted, which is not supported; make a plain copy by qemu-img "
                        "convert",
                        path);
    if (h->incompatible & ~known)
        return img_fail(e, -ENOTSUP,
                        "'%s' needs features of qcow2 that are not known here (bits 0x%llx); make "
                        "a copy by qemu-img convert -O qcow2",
                        path, (unsigned long long)(h->incompatible & ~known));
    if (h->incompatible & QCOW2_DATA_FILE)
        return img_fail(e, -ENOTSUP,
                        "'%s' has its data in another file, which is not supported; make a copy "
                        "by qemu-img convert -O qcow2",
                        path);
    if (h->incompatible & QCOW2_EXTENDED_L2)
        return img_fail(e, -ENOTSUP,
                        "'%s' has extended L2 entries (subclusters), which are not supported; "
                        "make a copy by qemu-img convert -O qcow2",
                        path);
    if (!(h->incompatible & QCOW2_COMPRESSION) != !h->compression_type ||
        h->compression_type > QCOW2_ZSTD)
        return img_fail(e, -ENOTSUP,
                        "'%s' has compression type %u, expected 0 (deflate) or 1 (zstd), with "
                        "its feature bit; make a copy by qemu-img convert -O qcow2",
                        path, h->compression_type);
    if (readonly)
        return 0;
    if (h->incompatible & QCOW2_CORRUPT)
        return img_fail(e, -EUCLEAN,
                        "'%s' is marked as corrupt; repair it by qemu-img check -r all, or open "
                        "it with `readonly = yes`",
                        path);
    if (h->incompatible & QCOW2_DIRTY)
        return img_fail(e, -EUCLEAN,
                        "'%s' was not closed by whoever wrote it last, and its refcounts are "
                        "stale; repair it by qemu-img check -r all, or open it with `readonly = "
                        "yes`",
                        path);
    return 0;
}

static int bad(struct image_error *e, const char *path, const char *what, uint64_t value,
               const char *expected)
{
    return img_fail(e, -EINVAL,
                    "'%s' is no usable qcow2 image: its %s is %llu, expected %s; the file is "
                    "damaged, or made to do harm",
                    path, what, (unsigned long long)value, expected);
}

/* Whether a table of `bytes` at `offset` begins at a cluster and lies in the file. */
static int is_in_file(const struct qcow2_header *h, uint64_t offset, uint64_t bytes,
                      uint64_t file_bytes)
{
    uint64_t cluster = 1ull << h->cluster_bits;

    return !(offset & (cluster - 1)) && offset >= cluster && offset < file_bytes &&
           bytes <= file_bytes - offset;
}

static int check_numbers(const struct qcow2_header *h, const char *path, uint64_t file_bytes,
                         struct image_error *e)
{
    uint64_t l2_bytes, needed;

    if (h->version != 2 && h->version != 3)
        return bad(e, path, "version", h->version, "2 or 3");
    if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
        return bad(e, path, "cluster_bits", h->cluster_bits, "9 to 21");
    if (h->version >= 3 && (h->header_length < QCOW2_HEADER_V3 ||
                            h->header_length > 1u << h->cluster_bits || h->header_length % 8))
        return bad(e, path, "header_length", h->header_length,
                   "a multiple of 8, from 104 to a cluster");
    if (h->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
        return bad(e, path, "refcount_order", h->refcount_order, "0 to 6");
    if (!h->length || h->length % IMAGE_SECTOR || h->length > IMAGE_LENGTH_MAX)
        return bad(e, path, "disk size", h->length, "a multiple of 512, from 512 to 2^60");
    l2_bytes = 1ull << (2 * h->cluster_bits - 3);
    needed = (h->length + l2_bytes - 1) / l2_bytes;
    if (h->l1_size < needed || 8ull * h->l1_size > QCOW2_L1_BYTES_MAX)
        return bad(e, path, "l1_size", h->l1_size,
                   "at least what the disk's size takes, and 4194304 at most");
    if (!is_in_file(h, h->l1_offset, 8ull * h->l1_size, file_bytes))
        return bad(e, path, "l1_table_offset", h->l1_offset, "a cluster of the file");
    if (!h->reftable_clusters ||
        (uint64_t)h->reftable_clusters << h->cluster_bits > QCOW2_REFTABLE_BYTES_MAX)
        return bad(e, path, "refcount_table_clusters", h->reftable_clusters,
                   "at least 1, and 8 MiB of them at most");
    if (!is_in_file(h, h->reftable_offset, (uint64_t)h->reftable_clusters << h->cluster_bits,
                    file_bytes))
        return bad(e, path, "refcount_table_offset", h->reftable_offset, "a cluster of the file");
    if (h->snapshot_count > QCOW2_SNAPSHOTS_MAX)
        return bad(e, path, "nb_snapshots", h->snapshot_count, "65536 at most");
    if (h->snapshot_count && !is_in_file(h, h->snapshot_offset, 1, file_bytes))
        return bad(e, path, "snapshots_offset", h->snapshot_offset, "a cluster of the file");
    if (h->backing_offset &&
        (h->backing_length > IMAGE_NAME_MAX || !h->backing_length ||
         h->backing_offset < h->header_length || h->backing_offset > 1ull << h->cluster_bits ||
         h->backing_length > (1ull << h->cluster_bits) - h->backing_offset))
        return bad(e, path, "backing_file_size", h->backing_length,
                   "1 to 1023 bytes in the first cluster, after the header");
    return 0;
}

/* The name of the backing file's format, in an extension. */
static int read_extensions(struct qcow2 *q, const struct qcow2_header *h, struct image_error *e)
{
    uint64_t at = h->header_length;
    uint64_t end = h->backing_offset ? h->backing_offset : q->cluster_size;

    while (at + 8 <= end) {
        uint8_t head[8];
        char name[16] = "";
        uint32_t type, length;

        if (file_read(q->image.fd, head, at, sizeof(head), 1))
            return img_fail(e, -EIO, "cannot read the header of '%s'", q->image.path);
        type = get_be32(head);
        length = get_be32(head + 4);
        at += sizeof(head);
        if (type == QCOW2_EXT_END)
            break;
        if (length > end - at)
            return bad(e, q->image.path, "header extension's length", length,
                       "what the header has room for");
        if (type == QCOW2_EXT_CRYPTO)
            return img_fail(e, -ENOTSUP,
                            "'%s' is encrypted, which is not supported; make a plain copy by "
                            "qemu-img convert",
                            q->image.path);
        if (type == QCOW2_EXT_BACKING_FORMAT && h->backing_offset) {
            if (length >= sizeof(name) || file_read(q->image.fd, name, at, length, 0))
                return bad(e, q->image.path, "backing format's length", length, "15 at most");
            q->backing_format = !strcmp(name, "raw")     ? IMAGE_RAW
                                : !strcmp(name, "qcow2") ? IMAGE_QCOW2
                                                         : IMAGE_AUTO;
            if (q->backing_format == IMAGE_AUTO)
                return img_fail(e, -ENOTSUP,
                                "the backing file of '%s' has a format that is not supported, "
                                "expected raw or qcow2",
                                q->image.path);
        }
        at += ((uint64_t)length + 7) & ~7ull;
    }
    return 0;
}

int qcow2_header_read(struct qcow2 *q, struct qcow2_header *h, uint64_t file_bytes,
                      struct image_error *e)
{
    const char *path = q->image.path;
    uint8_t raw[QCOW2_HEADER_MAX];
    int err;

    if (file_bytes < QCOW2_HEADER_V2)
        return img_fail(e, -EINVAL, "'%s' has %llu bytes, too few for a qcow2 image", path,
                        (unsigned long long)file_bytes);
    err = file_read(q->image.fd, raw, 0, sizeof(raw), 1);
    if (err)
        return img_fail(e, err, "cannot read '%s': %s", path, strerror(-err));
    decode(raw, h);
    if (memcmp(raw, QCOW2_MAGIC, 4) != 0)
        return img_fail(e, -EINVAL,
                        "'%s' is no qcow2 image: it does not begin with \"QFI\\xfb\"; say "
                        "`format = raw`, or auto",
                        path);
    err = check_numbers(h, path, file_bytes, e);
    if (!err)
        err = check_features(h, path, q->image.readonly, e);
    if (err)
        return err;
    q->version = h->version;
    q->cluster_bits = h->cluster_bits;
    q->cluster_size = 1ull << h->cluster_bits;
    q->l2_bits = h->cluster_bits - 3;
    q->refcount_order = h->refcount_order;
    q->compression_type = h->compression_type;
    q->snapshot_count = h->snapshot_count;
    q->header_length = h->header_length;
    q->incompatible = h->incompatible;
    q->compatible = h->compatible;
    q->image.length = h->length;
    q->image.cluster_size = (uint32_t)q->cluster_size;
    if (h->backing_offset) {
        err = file_read(q->image.fd, q->backing_name, h->backing_offset, h->backing_length, 0);
        if (err || strlen(q->backing_name) != h->backing_length)
            return img_fail(e, -EINVAL, "'%s' has no usable name of its backing file", path);
    }
    return read_extensions(q, h, e);
}
