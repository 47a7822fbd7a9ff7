/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_commit.c - metadata on their way to the file, in the order of qcow2.h.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int barrier(struct qcow2 *q)
{
    return q->image.unsafe ? 0 : img_sync(&q->image);
}

/* Entries [from, to) of a table that is kept in host order, to the table at `at` in the file. */
static int write_entries(struct qcow2 *q, const uint64_t *table, uint64_t at, uint32_t from,
                         uint32_t to)
{
    uint8_t step[4096];

    while (from < to) {
        uint32_t n = to - from < sizeof(step) / 8 ? to - from : (uint32_t)(sizeof(step) / 8);
        int err;

        for (uint32_t i = 0; i < n; i++)
            put_be64(step + (size_t)8 * i, table[from + i]);
        err = file_write(q->image.fd, step, at + 8ull * from, 8ull * n);
        if (err)
            return err;
        from += n;
    }
    return 0;
}

/* A table that has moved is written as a whole, and the header points to it afterwards. */
static int move_reftable(struct qcow2 *q)
{
    uint64_t clusters = cluster_of(q, 8ull * q->reftable_entries + q->cluster_size - 1);
    uint64_t old = q->reftable_offset, old_clusters = q->reftable_clusters;
    uint8_t fields[12];
    int err = write_entries(q, q->reftable, q->reftable_new, 0, q->reftable_entries);

    if (!err)
        err = barrier(q);
    if (err)
        return err;
    put_be64(fields, q->reftable_new);
    put_be32(fields + 8, (uint32_t)clusters);
    err = file_write(q->image.fd, fields, offsetof(struct qcow2_header, reftable_offset),
                     sizeof(fields));
    if (err)
        return err;
    q->reftable_offset = q->reftable_new;
    q->reftable_clusters = clusters;
    q->reftable_new = 0;
    return qcow2_forget(q, old, old_clusters, 1);
}

static int write_reftable(struct qcow2 *q)
{
    int err;

    if (q->reftable_dirty_from == q->reftable_dirty_to && !q->reftable_new)
        return 0;
    /* The blocks that it points to are there first. */
    err = barrier(q);
    if (!err && q->reftable_new)
        err = move_reftable(q);
    else if (!err)
        err = write_entries(q, q->reftable, q->reftable_offset, q->reftable_dirty_from,
                            q->reftable_dirty_to);
    if (!err)
        q->reftable_dirty_from = q->reftable_dirty_to = 0;
    return err;
}

static int write_tables(struct qcow2 *q, struct table_cache *c, int only_new)
{
    int err = 0;

    for (uint32_t i = 0; !err && i < c->count; i++)
        if (!only_new || c->tables[i].is_new)
            err = table_write(q, &c->tables[i]);
    return err;
}

static int is_dirty(const struct qcow2 *q)
{
    for (uint32_t i = 0; i < q->l2.count; i++)
        if (q->l2.tables[i].dirty_from != q->l2.tables[i].dirty_to)
            return 1;
    return q->l1_dirty_from != q->l1_dirty_to || q->freed_count;
}

/* Where two entries of a damaged image name one cluster, the first frees it, it may become
 * metadata, and the second would free these. */
static int not_what_it_is(struct qcow2 *q, uint64_t cluster, int is_meta)
{
    return qcow2_is_corrupt(q,
                            is_meta ? "cluster %llu is freed as metadata, and holds data"
                                    : "cluster %llu is freed as data, and holds metadata",
                            (unsigned long long)cluster);
}

/* Refcounts follow what was forgotten, and the space goes back to the file system. */
static int drop_freed(struct qcow2 *q)
{
    uint64_t hole = 0, hole_count = 0;
    int err = 0;

    while (!err && q->freed && q->freed_count) {
        struct freed *f = &q->freed[q->freed_count - 1];
        uint64_t cluster = f->first + f->count - 1, left;

        if (metaset_has(&q->meta, cluster) != (int)f->is_meta)
            err = not_what_it_is(q, cluster, (int)f->is_meta);
        if (!err)
            err = qcow2_refcount_drop(q, cluster, &left);
        if (err)
            break;
        if (!--f->count)
            q->freed_count--;
        if (left)
            continue;
        metaset_remove(&q->meta, cluster);
        if (cluster < q->free_hint)
            q->free_hint = cluster;
        if (hole_count && cluster + 1 == hole) {
            hole = cluster;
            hole_count++;
            continue;
        }
        if (hole_count)
            (void)file_discard(q->image.fd, hole << q->cluster_bits, hole_count << q->cluster_bits);
        hole = cluster;
        hole_count = 1;
    }
    if (hole_count)
        (void)file_discard(q->image.fd, hole << q->cluster_bits, hole_count << q->cluster_bits);
    return err;
}

int qcow2_commit(struct qcow2 *q)
{
    int err;

    if (q->image.readonly)
        return 0;
    if (q->corrupt)
        return -EIO;
    err = write_tables(q, &q->refblocks, 0);
    if (!err)
        err = write_tables(q, &q->l2, 1);
    if (!err)
        err = write_reftable(q);
    if (err || !is_dirty(q))
        return err;
    err = barrier(q);
    if (!err)
        err = write_tables(q, &q->l2, 0);
    if (!err)
        err = write_entries(q, q->l1, q->l1_offset, q->l1_dirty_from, q->l1_dirty_to);
    if (err)
        return err;
    q->l1_dirty_from = q->l1_dirty_to = 0;
    if (!q->freed_count)
        return 0;
    err = barrier(q);
    if (!err)
        err = drop_freed(q);
    if (!err)
        err = write_tables(q, &q->refblocks, 0);
    return err;
}

int qcow2_forget(struct qcow2 *q, uint64_t offset, uint64_t count, int is_meta)
{
    struct freed *last = q->freed_count ? &q->freed[q->freed_count - 1] : NULL;
    uint64_t first = cluster_of(q, offset);

    for (uint64_t i = 0; i < count; i++)
        if (metaset_has(&q->meta, first + i) != is_meta)
            return not_what_it_is(q, first + i, is_meta);
    if (last && last->is_meta == (uint32_t)is_meta && last->first + last->count == first) {
        last->count += count;
        return 0;
    }
    if (!q->freed || q->freed_count == q->freed_capacity) {
        uint32_t capacity = q->freed_capacity ? q->freed_capacity * 2 : 64;
        struct freed *grown = realloc(q->freed, capacity * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        q->freed = grown;
        q->freed_capacity = capacity;
    }
    q->freed[q->freed_count++] =
        (struct freed){.first = first, .count = count, .is_meta = (uint32_t)is_meta};
    return 0;
}

int qcow2_is_corrupt(struct qcow2 *q, const char *format, ...)
{
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (q->corrupt)
        return -EIO;
    q->corrupt = 1;
    img_warn(&q->image,
             "'%s' is corrupt: %s; it is not written any more; qemu-img check -r all "
             "may repair it",
             q->image.path, what);
    if (!q->image.readonly && q->version >= 3) {
        uint8_t bits[8];

        q->incompatible |= QCOW2_CORRUPT;
        put_be64(bits, q->incompatible);
        (void)file_write(q->image.fd, bits, offsetof(struct qcow2_header, incompatible),
                         sizeof(bits));
    }
    return -EIO;
}

int qcow2_begin_writing(struct qcow2 *q)
{
    static const uint8_t none[8];
    int err;

    if (q->corrupt)
        return -EIO;
    if (q->writing || q->version < 3) {
        q->writing = 1;
        return 0;
    }
    err = file_write(q->image.fd, none, offsetof(struct qcow2_header, autoclear), sizeof(none));
    if (!err)
        q->writing = 1;
    return err;
}
