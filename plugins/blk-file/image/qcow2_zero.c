/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_zero.c - discard and write-zeroes. Whole clusters change their entry, the rest is
 * written.
 *
 * A discarded cluster never shows what the backing image has there: it reads as zeroes, or, in
 * version 2, which cannot say so, stays as it is.
 */
#include "qcow2.h"

#include <errno.h>

#define ZERO_STEP 65536u
#define FREED_MAX 1024u /* pieces that are forgotten before a commit */

static int write_zeroes(struct qcow2 *q, uint64_t offset, uint64_t length)
{
    static const uint8_t zeroes[ZERO_STEP];
    int err = 0;

    while (!err && length) {
        uint64_t n = length < ZERO_STEP ? length : ZERO_STEP;
        const struct iovec iov = {.iov_base = (void *)zeroes, .iov_len = n};
        struct cursor from = {.iov = &iov};

        err = qcow2_write(&q->image, &from, offset, n);
        offset += n;
        length -= n;
    }
    return err;
}

/* Writes where there are no zeroes already. */
static int zero_part(struct qcow2 *q, uint64_t offset, uint64_t length)
{
    int err = 0;

    while (!err && length) {
        struct run r;

        pthread_mutex_lock(&q->lock);
        err = qcow2_run(q, offset, length, 0, &r);
        pthread_mutex_unlock(&q->lock);
        if (err)
            break;
        if (r.kind != RUN_ZERO && (r.kind != RUN_UNALLOCATED || q->image.backing))
            err = write_zeroes(q, offset, r.bytes);
        offset += r.bytes;
        length -= r.bytes;
    }
    return err;
}

/* What the entries of [offset, offset + length), whole clusters in one L2 table, become. [lock] */
static int set_entries(struct qcow2 *q, uint64_t offset, uint64_t length, uint64_t entry)
{
    int err = qcow2_begin_writing(q);

    while (!err && length) {
        struct run r;

        err = qcow2_run(q, offset, length, 0, &r);
        if (err)
            break;
        /* Nothing to do where it is so already: no table is made for it. */
        if (r.kind == RUN_UNALLOCATED ? entry != 0 : r.entry != entry)
            err = qcow2_map_set(q, offset, cluster_of(q, r.bytes), entry);
        offset += r.bytes;
        length -= r.bytes;
        if (!err && q->freed_count > FREED_MAX)
            err = qcow2_commit(q);
    }
    return err;
}

/* Whole clusters, a table's worth at a time. */
static int set_clusters(struct qcow2 *q, uint64_t first, uint64_t count, uint64_t entry)
{
    struct range range;
    int err = 0;

    while (!err && count) {
        uint64_t n = (1ull << q->l2_bits) - (first & ((1ull << q->l2_bits) - 1));

        if (n > count)
            n = count;
        ranges_enter(&q->ranges, &range, first, first + n - 1, 1);
        pthread_mutex_lock(&q->lock);
        err = set_entries(q, first << q->cluster_bits, n << q->cluster_bits, entry);
        pthread_mutex_unlock(&q->lock);
        ranges_leave(&q->ranges, &range);
        first += n;
        count -= n;
    }
    return err;
}

/* The clusters that lie wholly in a piece of the disk. The last one may end beyond the disk. */
static uint64_t whole_clusters(const struct qcow2 *q, uint64_t offset, uint64_t length,
                               uint64_t *first)
{
    uint64_t end = offset + length;

    *first = cluster_of(q, offset + q->cluster_size - 1);
    end = cluster_of(q, end == q->image.length ? end + q->cluster_size - 1 : end);
    return end > *first ? end - *first : 0;
}

int qcow2_zero(struct image *i, uint64_t offset, uint64_t length, int unmap)
{
    struct qcow2 *q = (struct qcow2 *)i;
    uint64_t first, count = whole_clusters(q, offset, length, &first), end = offset + length, from,
                    to;
    int err;

    (void)unmap; /* a cluster of zeroes takes no space either way */
    if (!count || (q->version < 3 && i->backing))
        return zero_part(q, offset, length);
    from = first << q->cluster_bits;
    to = (first + count) << q->cluster_bits;
    err = zero_part(q, offset, from - offset);
    if (!err)
        err = set_clusters(q, first, count, i->backing ? QCOW2_ZERO : 0);
    if (!err && to < end)
        err = zero_part(q, to, end - to);
    return err == -EFBIG ? -ENOSPC : err;
}

int qcow2_discard(struct image *i, uint64_t offset, uint64_t length)
{
    struct qcow2 *q = (struct qcow2 *)i;
    uint64_t first, count = whole_clusters(q, offset, length, &first);
    int err;

    if (!count || (q->version < 3 && i->backing))
        return 0;
    err = set_clusters(q, first, count, i->backing ? QCOW2_ZERO : 0);
    return err == -EFBIG ? -ENOSPC : err;
}
