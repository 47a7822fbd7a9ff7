/* SPDX-License-Identifier: MIT
 *
 * image/qcow2.c - a qcow2 image from open to close.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory for tables: L2_BYTES map 32 GiB of a disk with clusters of 64 KiB. */
#define L2_BYTES (4u << 20)
#define REFBLOCK_BYTES (1u << 20)
#define TABLES_MIN 4u
#define TABLES_MAX 256u

static uint32_t table_count(const struct qcow2 *q, uint32_t bytes)
{
    uint64_t count = bytes >> q->cluster_bits;

    return (uint32_t)(count < TABLES_MIN ? TABLES_MIN : count > TABLES_MAX ? TABLES_MAX : count);
}

static int qcow2_flush(struct image *i)
{
    struct qcow2 *q = (struct qcow2 *)i;
    int err;

    if (i->readonly)
        return 0;
    pthread_mutex_lock(&q->lock);
    err = qcow2_commit(q);
    pthread_mutex_unlock(&q->lock);
    if (!err && !i->unsafe)
        err = img_sync(i);
    return err;
}

static int qcow2_image_map(struct image *i, struct range *range, uint64_t offset, uint64_t length,
                           int is_write, uint64_t *at)
{
    struct qcow2 *q = (struct qcow2 *)i;
    struct run r;
    int err =
        ranges_try(&q->ranges, range, cluster_of(q, offset), cluster_of(q, offset + length - 1));

    if (err)
        return err;
    if (pthread_mutex_trylock(&q->lock)) {
        ranges_leave(&q->ranges, range);
        return -EAGAIN;
    }
    err = qcow2_run(q, offset, length, 1, &r);
    if (!err && (r.kind != RUN_DATA || r.bytes != length || (is_write && !r.in_place)))
        err = -EAGAIN;
    /* Its place is checked, and the header told, on the other way. */
    if (!err && is_write && (q->corrupt || !q->writing))
        err = -EAGAIN;
    for (uint64_t c = 0;
         !err && is_write && c <= cluster_of(q, r.host + length - 1) - cluster_of(q, r.host); c++)
        if (metaset_has(&q->meta, cluster_of(q, r.host) + c))
            err = -EAGAIN;
    /* Beyond the end of the file there are zeroes, which the other way knows. */
    if (!err && !is_write && cluster_of(q, r.host + length - 1) == q->short_cluster)
        err = -EAGAIN;
    pthread_mutex_unlock(&q->lock);
    if (err)
        ranges_leave(&q->ranges, range);
    else
        *at = r.host;
    return err ? -EAGAIN : 0;
}

static void qcow2_image_unmap(struct image *i, struct range *range)
{
    ranges_leave(&((struct qcow2 *)i)->ranges, range);
}

static void destroy(struct qcow2 *q)
{
    compressed_free(q);
    cache_end(&q->l2);
    cache_end(&q->refblocks);
    metaset_free(&q->meta);
    ranges_end(&q->ranges);
    pthread_mutex_destroy(&q->lock);
    free(q->freed);
    free(q->reftable);
    free(q->l1);
    free(q);
}

static int qcow2_close(struct image *i)
{
    struct qcow2 *q = (struct qcow2 *)i;
    int err;

    pthread_mutex_lock(&q->lock);
    err = q->corrupt ? -EIO : qcow2_commit(q);
    pthread_mutex_unlock(&q->lock);
    destroy(q);
    return err;
}

static const struct image_ops qcow2_ops = {
    .name = "qcow2",
    .read = qcow2_read,
    .write = qcow2_write,
    .zero = qcow2_zero,
    .discard = qcow2_discard,
    .flush = qcow2_flush,
    .map = qcow2_image_map,
    .unmap = qcow2_image_unmap,
    .close = qcow2_close,
};

static struct qcow2 *new_image(void)
{
    struct qcow2 *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    if (pthread_mutex_init(&q->lock, NULL)) {
        free(q);
        return NULL;
    }
    if (ranges_init(&q->ranges)) {
        pthread_mutex_destroy(&q->lock);
        free(q);
        return NULL;
    }
    return q;
}

int qcow2_open(const struct image_options *o, int fd, char backing[IMAGE_NAME_MAX + 1],
               uint32_t *backing_format, struct image **out, struct image_error *e)
{
    struct qcow2 *q = new_image();
    struct qcow2_header h;
    int64_t file_bytes = file_length(fd);
    int err;

    if (!q)
        return img_fail(e, -ENOMEM, "no memory to open '%s'", o->path);
    q->image.ops = &qcow2_ops;
    q->image.fd = fd;
    q->image.readonly = o->readonly;
    q->image.unsafe = o->unsafe;
    q->image.messages = o->messages;
    q->image.path = (char *)o->path; /* until the caller gives it one of its own */
    if (file_bytes < 0)
        err = img_fail(e, -EIO, "cannot find the size of '%s'", o->path);
    else
        err = qcow2_header_read(q, &h, (uint64_t)file_bytes, e);
    if (!err)
        err = qcow2_tables_read(q, &h, (uint64_t)file_bytes, e);
    if (!err &&
        (cache_init(&q->l2, table_count(q, L2_BYTES), (uint32_t)q->cluster_size) ||
         cache_init(&q->refblocks, table_count(q, REFBLOCK_BYTES), (uint32_t)q->cluster_size) ||
         compressed_new(q)))
        err = img_fail(e, -ENOMEM, "no memory to open '%s'", o->path);
    if (err) {
        destroy(q);
        return err;
    }
    memcpy(backing, q->backing_name, sizeof(q->backing_name));
    *backing_format = q->backing_format;
    *out = &q->image;
    return 0;
}

void qcow2_describe(const struct image *i, struct image_info *out)
{
    const struct qcow2 *q = (const struct qcow2 *)i;

    out->version = q->version;
    out->cluster_size = (uint32_t)q->cluster_size;
    out->refcount_bits = 1u << q->refcount_order;
    out->backing_format = q->backing_format;
    out->snapshots = q->snapshot_count;
    out->zstd = q->compression_type == QCOW2_ZSTD;
    out->lazy = (q->compatible & QCOW2_LAZY) != 0;
    out->dirty = (q->incompatible & QCOW2_DIRTY) != 0;
    out->corrupt = (q->incompatible & QCOW2_CORRUPT) != 0;
    memcpy(out->backing, q->backing_name, sizeof(out->backing));
}
