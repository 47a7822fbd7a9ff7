/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_create.c - new qcow2 images, and larger ones.
 *
 * A new one is of version 3, with clusters of 64 KiB and refcounts of 16 bits: header, refcount
 * table, refcount block, L1 table, each in clusters of its own, in this order.
 */
#include "qcow2.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLUSTER_BITS 16u
#define CLUSTER (1u << CLUSTER_BITS)
#define REFCOUNT_ORDER 4u

#define PUT32(member, value) put_be32(at + offsetof(struct qcow2_header, member), value)
#define PUT64(member, value) put_be64(at + offsetof(struct qcow2_header, member), value)

static void write_header(uint8_t *at, const struct qcow2_create *c, uint64_t l1_entries)
{
    uint8_t *extension = at + QCOW2_HEADER_MAX;
    const char *format = c->backing_format == IMAGE_QCOW2 ? "qcow2" : "raw";

    PUT32(magic, QCOW2_MAGIC_NUMBER);
    PUT32(version, 3);
    PUT32(cluster_bits, CLUSTER_BITS);
    PUT64(length, c->length);
    PUT32(l1_size, (uint32_t)l1_entries);
    PUT64(l1_offset, 3ull * CLUSTER);
    PUT64(reftable_offset, CLUSTER);
    PUT32(reftable_clusters, 1);
    PUT32(refcount_order, REFCOUNT_ORDER);
    PUT32(header_length, QCOW2_HEADER_MAX);
    if (!c->backing)
        return;
    put_be32(extension, QCOW2_EXT_BACKING_FORMAT);
    put_be32(extension + 4, (uint32_t)strlen(format));
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): its length is in the file */
    memcpy(extension + 8, format, strlen(format));
    extension += 8 + 8 + 8; /* the next one's type and length are 0: the end */
    PUT64(backing_offset, (uint64_t)(extension - at));
    PUT32(backing_length, (uint32_t)strlen(c->backing));
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): as above */
    memcpy(extension, c->backing, strlen(c->backing));
}

int qcow2_create(int fd, const struct qcow2_create *c, struct image_error *e)
{
    uint64_t l2_bytes = 1ull << (2 * CLUSTER_BITS - 3);
    uint64_t l1_entries = (c->length + l2_bytes - 1) / l2_bytes;
    uint64_t clusters = 3 + (8 * l1_entries + CLUSTER - 1) / CLUSTER;
    uint8_t *at;
    int err = 0;

    if (!c->length || c->length % IMAGE_SECTOR || 8 * l1_entries > QCOW2_L1_BYTES_MAX)
        return img_fail(e, -EINVAL,
                        "a disk of %llu bytes cannot be: expected a multiple of 512, up to 2 EiB",
                        (unsigned long long)c->length);
    if (c->backing && (!*c->backing || strlen(c->backing) > IMAGE_NAME_MAX))
        return img_fail(e, -EINVAL, "the name of a backing file has 1 to %u bytes", IMAGE_NAME_MAX);
    at = calloc(3, CLUSTER);
    if (!at)
        return img_fail(e, -ENOMEM, "no memory to make an image");
    write_header(at, c, l1_entries);
    put_be64(at + CLUSTER, 2ull * CLUSTER);
    for (uint64_t i = 0; i < clusters; i++)
        at[2ull * CLUSTER + 2 * i + 1] = 1;
    if (ftruncate(fd, (off_t)(clusters * CLUSTER)))
        err = -errno;
    /* The header last: until then it is no image. */
    if (!err)
        err = file_write(fd, at + CLUSTER, CLUSTER, 2ull * CLUSTER);
    if (!err)
        err = file_write(fd, at, 0, CLUSTER);
    free(at);
    return err ? img_fail(e, err, "cannot write the new image: %s", strerror(-err)) : 0;
}

/* Makes a longer L1 table and lets the header point to it. [lock] */
static int grow_l1(struct qcow2 *q, uint64_t entries)
{
    uint64_t old = q->l1_offset, old_size = q->l1_size, offset, got;
    uint64_t clusters = cluster_of(q, 8 * entries + q->cluster_size - 1);
    uint8_t fields[12], *table;
    uint64_t *grown;
    int fresh, err = qcow2_commit(q);

    if (!err)
        err = qcow2_alloc(q, clusters, 1, &offset, &got, &fresh);
    for (uint64_t i = 0; !err && i < got; i++)
        err = metaset_add(&q->meta, cluster_of(q, offset) + i);
    if (!err)
        err = qcow2_commit(q);
    if (err)
        return err;
    entries = (clusters << q->cluster_bits) / 8;
    if (8 * entries > QCOW2_L1_BYTES_MAX)
        entries = QCOW2_L1_BYTES_MAX / 8;
    grown = realloc(q->l1, 8 * entries);
    if (!grown)
        return -ENOMEM;
    q->l1 = grown;
    table = calloc(clusters, q->cluster_size);
    if (!table)
        return -ENOMEM;
    memset(q->l1 + old_size, 0, 8 * (entries - old_size));
    for (uint64_t i = 0; i < old_size; i++)
        put_be64(table + 8 * i, q->l1[i]);
    err = file_write(q->image.fd, table, offset, clusters << q->cluster_bits);
    free(table);
    if (!err)
        err = img_sync(&q->image);
    put_be32(fields, (uint32_t)entries);
    put_be64(fields + 4, offset);
    if (!err)
        err =
            file_write(q->image.fd, fields, offsetof(struct qcow2_header, l1_size), sizeof(fields));
    if (!err)
        err = img_sync(&q->image);
    if (err)
        return err;
    q->l1_offset = offset;
    q->l1_size = (uint32_t)entries;
    return qcow2_forget(q, old, cluster_of(q, 8 * old_size + q->cluster_size - 1), 1);
}

int qcow2_grow(struct image *i, uint64_t length, struct image_error *e)
{
    struct qcow2 *q = (struct qcow2 *)i;
    uint64_t l2_bytes = q->cluster_size << q->l2_bits;
    uint64_t entries = (length + l2_bytes - 1) / l2_bytes;
    uint8_t field[8];
    int err = 0;

    if (q->snapshot_count)
        return img_fail(e, -ENOTSUP,
                        "'%s' has snapshots, so that it cannot be resized here; qemu-img can",
                        i->path);
    if (length % IMAGE_SECTOR || 8 * entries > QCOW2_L1_BYTES_MAX || length > IMAGE_LENGTH_MAX)
        return img_fail(e, -EINVAL,
                        "'%s' cannot have %llu bytes: expected a multiple of 512 that its "
                        "clusters of %u bytes can reach",
                        i->path, (unsigned long long)length, i->cluster_size);
    pthread_mutex_lock(&q->lock);
    err = qcow2_begin_writing(q);
    if (!err && entries > q->l1_size)
        err = grow_l1(q, entries);
    if (!err)
        err = qcow2_commit(q);
    put_be64(field, length);
    if (!err)
        err = file_write(i->fd, field, offsetof(struct qcow2_header, length), sizeof(field));
    if (!err)
        err = img_sync(i);
    if (!err)
        i->length = length;
    pthread_mutex_unlock(&q->lock);
    return err ? img_fail(e, err, "cannot resize '%s': %s", i->path, strerror(-err)) : 0;
}
