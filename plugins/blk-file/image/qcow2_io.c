/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_io.c - reads and writes.
 *
 * A write goes in place where its cluster is this image's alone. Elsewhere it takes new clusters,
 * writes them whole - what it does not cover comes from where the disk had it before - and then
 * changes the map.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>

static int read_backing(struct image *i, struct cursor *to, uint64_t offset, uint64_t length)
{
    uint64_t there = 0;
    int err = 0;

    if (i->backing && offset < i->backing->length)
        there = i->backing->length - offset;
    if (there > length)
        there = length;
    if (there)
        err = i->backing->ops->read(i->backing, to, offset, there);
    if (!err && there < length)
        cursor_zero(to, length - there);
    return err;
}

int qcow2_read_run(struct qcow2 *q, const struct run *r, struct cursor *to, uint64_t offset,
                   uint64_t length)
{
    switch (r->kind) {
    case RUN_DATA:
        return file_readv(q->image.fd, to, r->host, length,
                          cluster_of(q, r->host + length - 1) == q->short_cluster);
    case RUN_COMPRESSED:
        return compressed_read(q, r->entry, in_cluster(q, offset), length, to);
    case RUN_ZERO:
        cursor_zero(to, length);
        return 0;
    default:
        return read_backing(&q->image, to, offset, length);
    }
}

int qcow2_read(struct image *i, struct cursor *to, uint64_t offset, uint64_t length)
{
    struct qcow2 *q = (struct qcow2 *)i;
    struct range range;
    int err = 0;

    ranges_enter(&q->ranges, &range, cluster_of(q, offset), cluster_of(q, offset + length - 1), 0);
    while (!err && length) {
        struct run r;

        pthread_mutex_lock(&q->lock);
        err = qcow2_run(q, offset, length, 0, &r);
        pthread_mutex_unlock(&q->lock);
        if (err)
            break;
        err = qcow2_read_run(q, &r, to, offset, r.bytes);
        offset += r.bytes;
        length -= r.bytes;
    }
    ranges_leave(&q->ranges, &range);
    return err;
}

/* ---- writes ---- */

/* No data over metadata, whatever an L2 entry says. */
static int check_place(struct qcow2 *q, const struct run *r)
{
    uint64_t last = cluster_of(q, r->host + r->bytes - 1);

    for (uint64_t c = cluster_of(q, r->host); c <= last; c++)
        if (metaset_has(&q->meta, c))
            return qcow2_is_corrupt(q, "an L2 entry points at cluster %llu, which holds metadata",
                                    (unsigned long long)c);
    return 0;
}

/* Part of a new cluster that the write leaves out: `length` bytes at `offset` of the disk, which
 * are `r`'s, to `at` in the file. */
static int copy_part(struct qcow2 *q, const struct run *r, uint64_t offset, uint64_t length,
                     uint64_t at, int fresh)
{
    struct iovec iov = {.iov_len = length};
    struct cursor to = {.iov = &iov};
    int err;

    if (!length)
        return 0;
    if (fresh && (r->kind == RUN_ZERO || (r->kind == RUN_UNALLOCATED && !q->image.backing)))
        return 0;
    iov.iov_base = malloc(length);
    if (!iov.iov_base)
        return -ENOMEM;
    err = qcow2_read_run(q, r, &to, offset, length);
    if (!err)
        err = file_write(q->image.fd, iov.iov_base, at, length);
    free(iov.iov_base);
    return err;
}

/* New clusters for the write and how far they go. */
struct taken {
    struct run first, last; /* what their ends were, from the ends of the write outwards */
    uint64_t head, tail;    /* bytes of these */
    uint64_t at, count;     /* in the file: bytes, clusters */
    uint64_t bytes;         /* of the write */
    int fresh;
};

/* [lock] */
static int take(struct qcow2 *q, uint64_t offset, uint64_t length, struct taken *t)
{
    uint64_t room = ((cluster_of(q, offset) >> q->l2_bits) + 1) << (q->l2_bits + q->cluster_bits);
    uint64_t clusters = 0, end;
    int err = qcow2_begin_writing(q);

    if (err)
        return err;
    if (length > room - offset)
        length = room - offset;
    end = offset + length;
    for (uint64_t at = offset; at < end;) {
        struct run r;

        err = qcow2_run(q, at, end - at, 0, &r);
        if (err)
            return err;
        if (r.in_place)
            break;
        at += r.bytes;
        clusters = cluster_of(q, at - 1) - cluster_of(q, offset) + 1;
    }
    if (!clusters)
        return -EIO; /* the range is ours, so that it was not so before */
    err = qcow2_alloc(q, clusters, 0, &t->at, &t->count, &t->fresh);
    if (err)
        return err;
    t->head = in_cluster(q, offset);
    t->bytes = (t->count << q->cluster_bits) - t->head;
    if (t->bytes > length)
        t->bytes = length;
    t->tail = (t->count << q->cluster_bits) - t->head - t->bytes;
    if (t->head)
        err = qcow2_run(q, offset - t->head, t->head, 0, &t->first);
    if (!err && t->tail)
        err = qcow2_run(q, offset + t->bytes, t->tail, 0, &t->last);
    if (err)
        (void)qcow2_forget(q, t->at, t->count, 0);
    return err;
}

static int write_new(struct qcow2 *q, struct cursor *from, uint64_t offset, uint64_t length,
                     uint64_t *done)
{
    struct taken t = {0};
    int err;

    pthread_mutex_lock(&q->lock);
    err = take(q, offset, length, &t);
    pthread_mutex_unlock(&q->lock);
    if (err)
        return err;
    err = copy_part(q, &t.first, offset - t.head, t.head, t.at, t.fresh);
    if (!err)
        err = file_writev(q->image.fd, from, t.at + t.head, t.bytes);
    if (!err)
        err = copy_part(q, &t.last, offset + t.bytes, t.tail, t.at + t.head + t.bytes, t.fresh);
    pthread_mutex_lock(&q->lock);
    /* If there is no room for the map, the new clusters leak. */
    if (!err)
        err = qcow2_map_set(q, offset, t.count, t.at | QCOW2_COPIED);
    else
        (void)qcow2_forget(q, t.at, t.count, 0);
    pthread_mutex_unlock(&q->lock);
    *done = t.bytes;
    return err;
}

/* As much as can be written in place: -EAGAIN if that is nothing. */
static int write_in_place(struct qcow2 *q, struct cursor *from, uint64_t offset, uint64_t length,
                          uint64_t *done)
{
    struct run r;
    int err;

    pthread_mutex_lock(&q->lock);
    err = qcow2_begin_writing(q);
    if (!err)
        err = qcow2_run(q, offset, length, 0, &r);
    if (!err && !r.in_place)
        err = -EAGAIN;
    if (!err)
        err = check_place(q, &r);
    pthread_mutex_unlock(&q->lock);
    if (err)
        return err;
    *done = r.bytes;
    return file_writev(q->image.fd, from, r.host, r.bytes);
}

int qcow2_write(struct image *i, struct cursor *from, uint64_t offset, uint64_t length)
{
    struct qcow2 *q = (struct qcow2 *)i;
    struct range range;
    int exclusive = 0, err = 0;

    ranges_enter(&q->ranges, &range, cluster_of(q, offset), cluster_of(q, offset + length - 1), 0);
    while (!err && length) {
        uint64_t done = 0;

        err = write_in_place(q, from, offset, length, &done);
        if (err == -EAGAIN && !exclusive) {
            ranges_leave(&q->ranges, &range);
            ranges_enter(&q->ranges, &range, cluster_of(q, offset),
                         cluster_of(q, offset + length - 1), 1);
            exclusive = 1;
            err = 0;
            continue;
        }
        if (err == -EAGAIN)
            err = write_new(q, from, offset, length, &done);
        offset += done;
        length -= done;
    }
    ranges_leave(&q->ranges, &range);
    return err == -EFBIG ? -ENOSPC : err;
}
