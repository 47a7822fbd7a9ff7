/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_compressed.c - compressed clusters, which are only read: by deflate without a header,
 * or by zstd.
 *
 * The result is a cluster, however much there is in the stream, and a stream that gives less is an
 * error. The last cluster is kept, as requests are often smaller than one.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

struct compressed {
    pthread_mutex_t lock; /* over all of it; a leaf */
    uint64_t entry;       /* whose content is in `cluster`; 0: nobody's */
    uint8_t *cluster, *stream;
    ZSTD_DCtx *zstd;
};

int compressed_new(struct qcow2 *q)
{
    struct compressed *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    if (pthread_mutex_init(&c->lock, NULL)) {
        free(c);
        return -ENOMEM;
    }
    q->compressed = c;
    return 0;
}

void compressed_free(struct qcow2 *q)
{
    struct compressed *c = q->compressed;

    if (!c)
        return;
    ZSTD_freeDCtx(c->zstd);
    free(c->cluster);
    free(c->stream);
    pthread_mutex_destroy(&c->lock);
    free(c);
    q->compressed = NULL;
}

static int inflate_cluster(struct qcow2 *q, uint64_t bytes)
{
    struct compressed *c = q->compressed;
    z_stream z = {.next_in = c->stream,
                  .avail_in = (uInt)bytes,
                  .next_out = c->cluster,
                  .avail_out = (uInt)q->cluster_size};
    int ret = inflateInit2(&z, -MAX_WBITS);

    if (ret != Z_OK)
        return ret == Z_MEM_ERROR ? -ENOMEM : -EIO;
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* Z_BUF_ERROR: there is more in the stream than a cluster, or its end mark does not fit. */
    return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !z.avail_out ? 0 : -EIO;
}

static int unzstd_cluster(struct qcow2 *q, uint64_t bytes)
{
    struct compressed *c = q->compressed;
    ZSTD_inBuffer in = {.src = c->stream, .size = bytes};
    ZSTD_outBuffer out = {.dst = c->cluster, .size = q->cluster_size};

    if (!c->zstd)
        c->zstd = ZSTD_createDCtx();
    if (!c->zstd)
        return -ENOMEM;
    ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
    while (out.pos < out.size) {
        size_t before = in.pos + out.pos;

        if (ZSTD_isError(ZSTD_decompressStream(c->zstd, &out, &in)))
            return -EIO;
        if (in.pos + out.pos == before)
            return -EIO;
    }
    return 0;
}

static int decompress(struct qcow2 *q, uint64_t entry)
{
    struct compressed *c = q->compressed;
    uint64_t at, bytes;
    int err;

    /* Their place is in the entry: at most two clusters. */
    if (!c->cluster)
        c->cluster = malloc(q->cluster_size);
    if (!c->stream)
        c->stream = malloc(2 * q->cluster_size + 512);
    if (!c->cluster || !c->stream)
        return -ENOMEM;
    c->entry = 0;
    qcow2_compressed_place(q, entry, &at, &bytes);
    err = file_read(q->image.fd, c->stream, at, bytes, 1);
    if (!err)
        err = q->compression_type == QCOW2_ZSTD ? unzstd_cluster(q, bytes)
                                                : inflate_cluster(q, bytes);
    if (!err)
        c->entry = entry;
    return err;
}

int compressed_read(struct qcow2 *q, uint64_t entry, uint64_t from, uint64_t length,
                    struct cursor *to)
{
    struct compressed *c = q->compressed;
    int err = 0;

    pthread_mutex_lock(&c->lock);
    if (c->entry != entry)
        err = decompress(q, entry);
    if (!err)
        cursor_put(to, c->cluster + from, length);
    pthread_mutex_unlock(&c->lock);
    return err;
}
