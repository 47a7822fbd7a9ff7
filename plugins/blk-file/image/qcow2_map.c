/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_map.c - from an offset of the disk to its place in the file, by L1 and L2 tables.
 *
 * Every entry is checked where it is read: L1 entries when the image is opened, L2 entries here.
 */
#include "qcow2.h"

#include <errno.h>
#include <string.h>

static uint64_t l1_index(const struct qcow2 *q, uint64_t offset)
{
    return offset >> (q->cluster_bits + q->l2_bits);
}

static uint64_t l2_index(const struct qcow2 *q, uint64_t offset)
{
    return cluster_of(q, offset) & ((1ull << q->l2_bits) - 1);
}

void qcow2_compressed_place(const struct qcow2 *q, uint64_t entry, uint64_t *at, uint64_t *bytes)
{
    uint32_t shift = 62 - (q->cluster_bits - 8);

    *at = entry & ((1ull << shift) - 1);
    *bytes = ((entry & (QCOW2_COMPRESSED - 1)) >> shift) * 512 + 512 - (*at & 511);
}

/* What kind an L2 entry is of; -EIO and what is wrong with it in *what. */
static int kind_of(const struct qcow2 *q, uint64_t entry, const char **what)
{
    uint64_t offset = entry & QCOW2_OFFSET, at, bytes;

    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_place(q, entry, &at, &bytes);
        *what = "a compressed cluster that is not in the file";
        /* Its last sector may be cut short by the end of the file. */
        return cluster_of(q, at + bytes - 1) < q->file_clusters + 1 &&
                       cluster_of(q, at) < q->file_clusters && !(entry & QCOW2_COPIED)
                   ? (int)RUN_COMPRESSED
                   : -EIO;
    }
    *what = "with reserved bits set";
    if (entry & ~(QCOW2_OFFSET | QCOW2_COPIED | (q->version >= 3 ? QCOW2_ZERO : 0)))
        return -EIO;
    *what = "which is no cluster of the file";
    if (in_cluster(q, offset) || cluster_of(q, offset) >= q->file_clusters)
        return -EIO;
    if (entry & QCOW2_ZERO)
        return RUN_ZERO;
    return offset ? RUN_DATA : RUN_UNALLOCATED;
}

static int bad_entry(struct qcow2 *q, uint64_t entry, const char *what)
{
    return qcow2_is_corrupt(q, "an L2 entry is 0x%llx, %s", (unsigned long long)entry, what);
}

static uint64_t entry_at(const struct table *t, uint64_t index)
{
    return get_be64(t->data + 8 * index);
}

int qcow2_run(struct qcow2 *q, uint64_t offset, uint64_t length, int cached_only, struct run *out)
{
    uint64_t index = l2_index(q, offset), count = (1ull << q->l2_bits) - index, n = 1;
    uint64_t l2_offset = q->l1[l1_index(q, offset)] & QCOW2_OFFSET;
    uint64_t wanted = cluster_of(q, in_cluster(q, offset) + length + q->cluster_size - 1);
    const char *what;
    struct table *t;
    int kind, err;

    if (count > wanted)
        count = wanted;
    memset(out, 0, sizeof(*out));
    if (!l2_offset) {
        out->bytes = (count << q->cluster_bits) - in_cluster(q, offset);
        if (out->bytes > length)
            out->bytes = length;
        return 0;
    }
    t = cache_find(&q->l2, l2_offset);
    if (!t && cached_only)
        return -EAGAIN;
    err = t ? 0 : qcow2_l2_table(q, l2_offset, &t);
    if (err)
        return err;
    out->entry = entry_at(t, index);
    kind = kind_of(q, out->entry, &what);
    if (kind < 0)
        return bad_entry(q, out->entry, what);
    out->kind = (uint32_t)kind;
    out->host = (out->entry & QCOW2_OFFSET) + in_cluster(q, offset);
    out->in_place = kind == RUN_DATA && out->entry & QCOW2_COPIED;
    /* What is odd about an entry is told when it is its turn. */
    for (; n < count && kind != RUN_COMPRESSED; n++) {
        uint64_t entry = entry_at(t, index + n);

        if (kind_of(q, entry, &what) != kind ||
            (kind == RUN_DATA && entry != out->entry + (n << q->cluster_bits)))
            break;
    }
    out->bytes = (n << q->cluster_bits) - in_cluster(q, offset);
    if (out->bytes > length)
        out->bytes = length;
    return 0;
}

/* The L2 table of `offset` as one that may be changed: new if there is none, a copy if a snapshot
 * has it too. */
static int writable_table(struct qcow2 *q, uint64_t offset, struct table **out)
{
    uint64_t index = l1_index(q, offset), old = q->l1[index] & QCOW2_OFFSET, at, got;
    struct table *t;
    int fresh, err;

    if (old && q->l1[index] & QCOW2_COPIED)
        return qcow2_l2_table(q, old, out);
    err = qcow2_alloc(q, 1, 1, &at, &got, &fresh);
    if (!err)
        err = metaset_add(&q->meta, cluster_of(q, at));
    if (!err)
        err = qcow2_l2_slot(q, &t);
    if (err)
        return err;
    t->offset = 0;
    if (old)
        err = file_read(q->image.fd, t->data, old, q->cluster_size, 0);
    else
        memset(t->data, 0, q->cluster_size);
    if (err)
        return err;
    cache_take(&q->l2, t, at);
    table_dirty(t, 0, q->cluster_size);
    t->is_new = 1;
    q->l1[index] = at | QCOW2_COPIED;
    if (q->l1_dirty_from == q->l1_dirty_to) {
        q->l1_dirty_from = (uint32_t)index;
        q->l1_dirty_to = (uint32_t)index + 1;
    }
    if (index < q->l1_dirty_from)
        q->l1_dirty_from = (uint32_t)index;
    if (index >= q->l1_dirty_to)
        q->l1_dirty_to = (uint32_t)index + 1;
    *out = t;
    return old ? qcow2_forget(q, old, 1, 1) : 0;
}

static int forget_entry(struct qcow2 *q, uint64_t entry)
{
    uint64_t at, bytes;

    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_place(q, entry, &at, &bytes);
        return qcow2_forget(q, at, cluster_of(q, at + bytes - 1) - cluster_of(q, at) + 1, 0);
    }
    return entry & QCOW2_OFFSET ? qcow2_forget(q, entry & QCOW2_OFFSET, 1, 0) : 0;
}

int qcow2_map_set(struct qcow2 *q, uint64_t offset, uint64_t count, uint64_t entry)
{
    uint64_t index = l2_index(q, offset);
    const char *what;
    struct table *t;
    int err = writable_table(q, offset, &t);

    for (uint64_t i = 0; !err && i < count; i++) {
        uint64_t old = entry_at(t, index + i);
        uint64_t now = entry & QCOW2_OFFSET ? entry + (i << q->cluster_bits) : entry;

        if (kind_of(q, old, &what) < 0)
            return bad_entry(q, old, what);
        if (old == now)
            continue;
        err = forget_entry(q, old);
        if (err)
            return err;
        put_be64(t->data + 8 * (index + i), now);
        table_dirty(t, 8 * (index + i), 8 * (index + i) + 8);
    }
    return err;
}
