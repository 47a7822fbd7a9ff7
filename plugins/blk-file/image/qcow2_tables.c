/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_tables.c - what of a qcow2 image is read when it is opened: L1 table, refcount table,
 * and where all metadata are.
 *
 * No cluster of metadata may be one twice: an L2 table that is a refcount block too would let a
 * guest write refcounts. An image that is only read needs no refcounts, so they are left alone.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_HEADER 40u

static int overlap(const struct qcow2 *q, int err, const char *what, uint64_t offset,
                   struct image_error *e)
{
    if (err == -EEXIST)
        return img_fail(e, -EINVAL,
                        "'%s' is no usable qcow2 image: %s at 0x%llx overlaps other metadata; "
                        "qemu-img check -r all may repair it",
                        q->image.path, what, (unsigned long long)offset);
    return img_fail(e, err, "no memory to open '%s'", q->image.path);
}

static int add(struct qcow2 *q, const char *what, uint64_t offset, uint64_t bytes,
               struct image_error *e)
{
    uint64_t last = cluster_of(q, offset + bytes - 1);

    for (uint64_t c = cluster_of(q, offset); c <= last; c++) {
        int err = metaset_add(&q->meta, c);

        if (err)
            return overlap(q, err, what, offset, e);
    }
    return 0;
}

/* Reads a table of offsets of clusters. */
static int read_table(struct qcow2 *q, const char *what, uint64_t offset, uint64_t entries,
                      uint64_t flags, uint64_t file_bytes, uint64_t **out, struct image_error *e)
{
    uint64_t *table = malloc(entries * 8);
    int err = table ? file_read(q->image.fd, table, offset, entries * 8, 0) : -ENOMEM;

    if (err) {
        free(table);
        return img_fail(e, err, "cannot read the %s table of '%s': %s", what, q->image.path,
                        strerror(-err));
    }
    for (uint64_t i = 0; i < entries; i++) {
        uint64_t entry = __builtin_bswap64(table[i]), at = entry & QCOW2_OFFSET;

        table[i] = entry;
        if (!(entry & ~(QCOW2_OFFSET | flags)) && !in_cluster(q, at) &&
            (!at || (at < file_bytes && q->cluster_size <= file_bytes - at)))
            continue;
        free(table);
        return img_fail(e, -EINVAL,
                        "'%s' is no usable qcow2 image: entry %llu of its %s table is 0x%llx, "
                        "which is no cluster of the file; qemu-img check -r all may repair it",
                        q->image.path, (unsigned long long)i, what, (unsigned long long)entry);
    }
    *out = table;
    return 0;
}

/* The snapshot table, and the L1 tables of the snapshots. Every entry of the table has to lie in
 * the file, and the L1 tables of all together are bounded, so that a small sparse file costs
 * neither memory nor time. */
static int add_snapshots(struct qcow2 *q, const struct qcow2_header *h, uint64_t file_bytes,
                         struct image_error *e)
{
    uint64_t at = h->snapshot_offset, tables = 0;

    for (uint32_t i = 0; i < h->snapshot_count; i++) {
        uint8_t s[SNAPSHOT_HEADER];
        uint64_t l1_offset, l1_bytes;
        int err = file_read(q->image.fd, s, at, sizeof(s), 0);

        l1_offset = get_be64(s);
        l1_bytes = 8ull * get_be32(s + 8);
        if (err || in_cluster(q, l1_offset) || l1_bytes > QCOW2_L1_BYTES_MAX ||
            l1_offset > file_bytes || l1_bytes > file_bytes - l1_offset ||
            (tables += l1_bytes) > QCOW2_SNAPSHOT_TABLES_MAX)
            return img_fail(e, -EINVAL,
                            "'%s' is no usable qcow2 image: its snapshot %u has no L1 table in "
                            "the file, or those of all exceed 256 MiB",
                            q->image.path, i);
        at += (uint64_t)SNAPSHOT_HEADER + get_be32(s + 36) + ((uint64_t)s[12] << 8 | s[13]) +
              ((uint64_t)s[14] << 8 | s[15]);
        at = (at + 7) & ~7ull;
        if (at > ((file_bytes + 7) & ~7ull))
            return img_fail(e, -EINVAL,
                            "'%s' is no usable qcow2 image: the entry of its snapshot %u goes on "
                            "behind the file's end; the file is damaged, or made to do harm",
                            q->image.path, i);
        if (l1_bytes)
            err = add(q, "a snapshot's L1 table", l1_offset, l1_bytes, e);
        if (err)
            return err;
    }
    return add(q, "the snapshot table", h->snapshot_offset, at - h->snapshot_offset, e);
}

static int add_entries(struct qcow2 *q, const char *what, const uint64_t *table, uint64_t entries,
                       struct image_error *e)
{
    int err = 0;

    for (uint64_t i = 0; !err && i < entries; i++)
        if (table[i] & QCOW2_OFFSET)
            err = add(q, what, table[i] & QCOW2_OFFSET, 1, e);
    return err;
}

int qcow2_tables_read(struct qcow2 *q, const struct qcow2_header *h, uint64_t file_bytes,
                      struct image_error *e)
{
    int err = read_table(q, "L1", h->l1_offset, h->l1_size, QCOW2_COPIED, file_bytes, &q->l1, e);

    q->l1_offset = h->l1_offset;
    q->l1_size = h->l1_size;
    q->file_clusters = cluster_of(q, file_bytes + q->cluster_size - 1);
    q->short_cluster = in_cluster(q, file_bytes) ? cluster_of(q, file_bytes) : UINT64_MAX;
    q->reftable_offset = h->reftable_offset;
    q->reftable_clusters = h->reftable_clusters;
    if (err || q->image.readonly)
        return err;
    q->reftable_entries = (uint32_t)((uint64_t)h->reftable_clusters << q->cluster_bits >> 3);
    err = read_table(q, "refcount", h->reftable_offset, q->reftable_entries, 0, file_bytes,
                     &q->reftable, e);
    if (!err)
        err = add(q, "the header", 0, 1, e);
    if (!err)
        err = add(q, "the L1 table", h->l1_offset, 8ull * h->l1_size, e);
    if (!err)
        err = add(q, "the refcount table", h->reftable_offset,
                  (uint64_t)h->reftable_clusters << q->cluster_bits, e);
    if (!err)
        err = add_entries(q, "a refcount block", q->reftable, q->reftable_entries, e);
    if (!err)
        err = add_entries(q, "an L2 table", q->l1, q->l1_size, e);
    if (!err && h->snapshot_count)
        err = add_snapshots(q, h, file_bytes, e);
    return err;
}
