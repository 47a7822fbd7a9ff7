/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_refcount.c - refcounts of every width, and clusters by them.
 *
 * A cluster without a refcount block is free. The block that its area lacks is put at the first
 * cluster that is asked for there, which it counts itself. A refcount table that is too short is
 * made anew elsewhere, longer.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAKEN 1 /* of new_block(): look at the cluster again */

static uint32_t block_bits(const struct qcow2 *q)
{
    return q->cluster_bits + 3 - q->refcount_order;
}

static uint64_t refcount_get(const struct qcow2 *q, const uint8_t *block, uint64_t index)
{
    const uint8_t *at;
    uint32_t bits = 1u << q->refcount_order;

    if (bits < 8)
        return (uint32_t)block[index * bits / 8] >> index * bits % 8 & ((1u << bits) - 1);
    at = block + index * bits / 8;
    switch (bits) {
    case 8:
        return *at;
    case 16:
        return (uint64_t)at[0] << 8 | at[1];
    case 32:
        return get_be32(at);
    default:
        return get_be64(at);
    }
}

static void refcount_set(const struct qcow2 *q, struct table *t, uint64_t index, uint64_t value)
{
    uint32_t bits = 1u << q->refcount_order;
    uint64_t from = index * bits / 8, bytes = bits < 8 ? 1 : bits / 8;
    uint8_t *at = t->data + from;

    if (bits < 8) {
        uint32_t shift = (uint32_t)(index * bits % 8), mask = ((1u << bits) - 1) << shift;

        *at = (uint8_t)((*at & ~mask) | (uint32_t)value << shift);
    } else if (bits == 8) {
        *at = (uint8_t)value;
    } else if (bits == 16) {
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
    } else if (bits == 32) {
        put_be32(at, (uint32_t)value);
    } else {
        put_be64(at, value);
    }
    table_dirty(t, from, from + bytes);
}

/* The block that counts `cluster`; NULL in *out if there is none. */
static int block_of(struct qcow2 *q, uint64_t cluster, struct table **out, uint64_t *index)
{
    uint64_t area = cluster >> block_bits(q);

    *out = NULL;
    *index = cluster & ((1ull << block_bits(q)) - 1);
    if (area >= q->reftable_entries || !q->reftable[area])
        return 0;
    return qcow2_refblock(q, q->reftable[area], out);
}

static void note_used(struct qcow2 *q, uint64_t first, uint64_t count)
{
    if (first + count > q->file_clusters)
        q->file_clusters = first + count;
}

static void reftable_dirty(struct qcow2 *q, uint32_t entry)
{
    if (q->reftable_dirty_from == q->reftable_dirty_to) {
        q->reftable_dirty_from = entry;
        q->reftable_dirty_to = entry + 1;
    }
    if (entry < q->reftable_dirty_from)
        q->reftable_dirty_from = entry;
    if (entry >= q->reftable_dirty_to)
        q->reftable_dirty_to = entry + 1;
}

/* Makes the table in memory long enough for `area`, and room for it in the file. */
static int grow_reftable(struct qcow2 *q, uint64_t area)
{
    uint64_t per_cluster = q->cluster_size / 8;
    uint64_t entries = (area + 1) * 3 / 2 + per_cluster, offset = 0, got = 0;
    uint64_t *grown;
    int fresh, err;

    entries -= entries % per_cluster;
    if (entries * 8 > QCOW2_REFTABLE_BYTES_MAX)
        entries = QCOW2_REFTABLE_BYTES_MAX / 8 / per_cluster * per_cluster;
    if (entries <= area)
        return -EFBIG;
    grown = realloc(q->reftable, entries * 8);
    if (!grown)
        return -ENOMEM;
    memset(grown + q->reftable_entries, 0, (entries - q->reftable_entries) * 8);
    q->reftable = grown;
    q->reftable_entries = (uint32_t)entries;
    err = qcow2_alloc(q, entries / per_cluster, 1, &offset, &got, &fresh);
    for (uint64_t i = 0; !err && i < got; i++)
        err = metaset_add(&q->meta, cluster_of(q, offset) + i);
    if (err)
        return err;
    q->reftable_new = offset;
    return 0;
}

/* Puts the block of `cluster`'s area at `cluster`. */
static int new_block(struct qcow2 *q, uint64_t cluster)
{
    uint64_t area = cluster >> block_bits(q);
    struct table *t;
    int err;

    if (area >= q->reftable_entries) {
        /* One that is under way has to be in the file before the next. */
        err = q->reftable_new ? qcow2_commit(q) : 0;
        if (!err)
            err = grow_reftable(q, area);
        return err ? err : TAKEN;
    }
    err = metaset_add(&q->meta, cluster);
    if (err == -EEXIST)
        return qcow2_is_corrupt(q, "cluster %llu holds metadata, and is not counted",
                                (unsigned long long)cluster);
    if (!err)
        err = qcow2_refblock_slot(q, &t);
    if (err)
        return err;
    memset(t->data, 0, q->cluster_size);
    cache_take(&q->refblocks, t, cluster << q->cluster_bits);
    table_dirty(t, 0, q->cluster_size);
    refcount_set(q, t, cluster & ((1ull << block_bits(q)) - 1), 1);
    q->reftable[area] = cluster << q->cluster_bits;
    reftable_dirty(q, (uint32_t)area);
    note_used(q, cluster, 1);
    return TAKEN;
}

/* The file is as long as its clusters, so that a read beyond its end means that somebody has cut
 * it. A block device cannot be made longer, and says so when it is written. */
static int lengthen(struct qcow2 *q, uint64_t clusters)
{
    if (clusters <= q->file_clusters ||
        !ftruncate(q->image.fd, (off_t)(clusters << q->cluster_bits)) || errno == EINVAL)
        return 0;
    return -errno;
}

static int set_run(struct qcow2 *q, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct table *t;
        uint64_t index;
        int err = block_of(q, first + i, &t, &index);

        if (err || !t)
            return err ? err : -EIO;
        refcount_set(q, t, index, 1);
    }
    note_used(q, first, count);
    return 0;
}

int qcow2_alloc(struct qcow2 *q, uint64_t want, int exactly, uint64_t *offset, uint64_t *got,
                int *fresh)
{
    const uint64_t limit = (QCOW2_OFFSET + 512) >> q->cluster_bits;
    uint64_t hint = q->free_hint, first = hint, count = 0, at = hint, ever = q->file_clusters;
    int skipped = 0, err;

    while (count < want) {
        struct table *t;
        uint64_t index;

        if (at >= limit)
            return -EFBIG;
        err = block_of(q, at, &t, &index);
        if (err)
            return err;
        if (t && !refcount_get(q, t->data, index)) {
            if (metaset_has(&q->meta, at))
                return qcow2_is_corrupt(q, "cluster %llu holds metadata, and is not counted",
                                        (unsigned long long)at);
            if (!count++)
                first = at;
            at++;
            continue;
        }
        if (count && !exactly)
            break;
        skipped |= count != 0;
        count = 0;
        if (t) {
            at++;
            continue;
        }
        err = new_block(q, at);
        if (err != TAKEN)
            return err;
    }
    err = lengthen(q, first + count);
    if (!err)
        err = set_run(q, first, count);
    if (err)
        return err;
    /* It may have been lowered meanwhile, by a commit. */
    if (!skipped && q->free_hint == hint)
        q->free_hint = first + count;
    *offset = first << q->cluster_bits;
    *got = count;
    *fresh = first >= ever;
    return 0;
}

int qcow2_refcount_drop(struct qcow2 *q, uint64_t cluster, uint64_t *left)
{
    struct table *t;
    uint64_t index, value;
    int err = block_of(q, cluster, &t, &index);

    if (err)
        return err;
    value = t ? refcount_get(q, t->data, index) : 0;
    if (!t || !value)
        return qcow2_is_corrupt(q, "cluster %llu is in use, and is not counted",
                                (unsigned long long)cluster);
    *left = value - 1;
    refcount_set(q, t, index, *left);
    return 0;
}
