/* SPDX-License-Identifier: MIT
 *
 * blk-file/backend.c - "bp.block/1": requests in, completions out.
 *
 * The guest sees 0, -EIO, -ENOSPC, -EROFS or -EINVAL; what the host said is in the log, ten times
 * at most.
 */
#include "backend.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define ERRORS_TOLD 10u
#define PEEK_MISSES 8u /* then one read of 256 is tried */
#define TURNS 4u       /* of completions, before others of the loop have theirs */

/* The image takes the device's buffers as they are. */
_Static_assert(sizeof(struct bp_iovec) == sizeof(struct iovec) &&
                   offsetof(struct bp_iovec, data) == offsetof(struct iovec, iov_base) &&
                   offsetof(struct bp_iovec, len) == offsetof(struct iovec, iov_len),
               "a bp_iovec is an iovec");

/* ---- completions ---- */

static int told_status(struct backend *b, const struct op *op)
{
    static const char *const verbs[] = {"read", "write", "flush", "discard a part of",
                                        "write zeroes to"};

    switch (op->status) {
    case 0:
    case -EINVAL:
    case -EROFS:
        return op->status;
    default:
        break;
    }
    if (b->errors_told < ERRORS_TOLD) {
        b->errors_told++;
        bp_logf(b->host, b->node, BP_LOG_WARN, "cannot %s '%s': %s; the guest is told%s",
                verbs[op->request->type], b->image->path, strerror(-op->status),
                b->errors_told == ERRORS_TOLD ? "; there are no more messages like this" : "");
    }
    return op->status == -ENOSPC || op->status == -EDQUOT || op->status == -EFBIG ? -ENOSPC : -EIO;
}

static void finish(struct backend *b, struct op *op)
{
    struct bp_block_request *request = op->request;
    int status = told_status(b, op);

    free(op->rest);
    op->next = b->unused;
    b->unused = op;
    b->in_flight--;
    b->port->complete(b->port_self, request, status);
}

/* A transfer by the ring has ended, with what readv() would return: nonzero if it goes on. */
static int goes_on(struct backend *b, struct op *op, int result)
{
    const struct bp_block_request *r = op->request;

    if (result > 0)
        op->done += (uint64_t)result;
    if (result != -EINTR && result != -EAGAIN && (result <= 0 || op->done >= r->length)) {
        op->status = result < 0 ? result : op->done < r->length ? -EIO : 0;
        return 0;
    }
    if (op->done && !op->rest) {
        op->rest = calloc(r->niovecs, sizeof(*op->rest));
        if (!op->rest) {
            op->status = -EIO;
            return 0;
        }
    }
    op->status = uring_queue(b->uring, op, b->image->fd);
    return !op->status;
}

/* Completes what is done. What that brings, new requests and the rest of short transfers, goes to
 * the kernel in one call at the end. The number of requests. */
static uint32_t reap(struct backend *b)
{
    struct op_queue done = pool_take(&b->pool);
    uint32_t count = 0;
    struct op *op;
    int result;

    while (b->uring && (op = uring_reap(b->uring, &result))) {
        if (goes_on(b, op, result))
            continue;
        b->ring_writes -= op->request->type == BP_BLOCK_WRITE;
        b->image->ops->unmap(b->image, &op->range);
        op_push(&done, op);
    }
    b->reaping++;
    for (; (op = op_pop(&done)); count++)
        finish(b, op);
    b->reaping--;
    if (b->uring)
        uring_submit(b->uring);
    return count;
}

static void ready(void *self, int fd, uint32_t events)
{
    struct backend *b = self;

    (void)fd, (void)events;
    wake_clear(&b->event);
    /* What is in the page cache is done when submit() returns: no need to sleep for it. */
    for (uint32_t turn = 0; turn < TURNS && reap(b); turn++)
        ;
}

/* ---- requests ---- */

static int check_request(const struct backend *b, const struct bp_block_request *r)
{
    const struct image *i = b->image;
    uint64_t bytes = 0;

    if (r->type > BP_BLOCK_WRITE_ZEROES)
        return -EINVAL;
    if (r->type == BP_BLOCK_FLUSH)
        return 0;
    if (r->type != BP_BLOCK_READ && i->readonly)
        return -EROFS;
    if (r->offset % IMAGE_SECTOR || r->length % IMAGE_SECTOR || r->offset > i->length ||
        r->length > i->length - r->offset)
        return -EINVAL;
    if (r->type == BP_BLOCK_DISCARD || r->type == BP_BLOCK_WRITE_ZEROES)
        return r->length > MAX_ZERO_BYTES ? -EINVAL : 0;
    if (r->niovecs > MAX_IOVECS || r->length > INT_MAX)
        return -EINVAL;
    for (uint32_t n = 0; n < r->niovecs; n++)
        if (__builtin_add_overflow(bytes, r->iovecs[n].len, &bytes))
            return -EINVAL;
    return bytes == r->length ? 0 : -EINVAL;
}

static struct op *op_new(struct backend *b)
{
    struct op *op = b->unused;

    if (!op)
        return calloc(1, sizeof(*op));
    b->unused = op->next;
    memset(op, 0, sizeof(*op));
    return op;
}

/* May a read look into the page cache first, and complete in end()? */
static int may_peek(struct backend *b, const struct op *op)
{
    if (!b->bracket || b->no_peeking || op->request->type != BP_BLOCK_READ)
        return 0;
    if (!b->cold)
        return 1;
    b->cold--;
    return 0;
}

/* Reads what is in the page cache as a whole: nonzero if it is done. A file that is not there is
 * not asked each time. */
static int peek(struct backend *b, struct op *op)
{
#if defined(RWF_NOWAIT) && !defined(BACKPLANE_PORTABLE)
    const struct bp_block_request *r = op->request;
    /* A bp_iovec is an iovec, see above. */
    const struct iovec *iov = (const struct iovec *)(const void *)r->iovecs;
    ssize_t got = preadv2(b->image->fd, iov, (int)r->niovecs, (off_t)op->at, RWF_NOWAIT);

    if (got >= 0 && (uint64_t)got == r->length) {
        b->misses = 0;
        return 1;
    }
    if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        b->no_peeking = 1;
    if (b->misses < PEEK_MISSES)
        b->misses++;
    b->cold = (1u << b->misses) - 1;
#else
    (void)op;
    b->no_peeking = 1;
#endif
    return 0;
}

/* Straight to the file, if it can. What has to be durable can in a raw image, where the transfer is
 * all that there is.
 *
 * Of writes there is one at a time: where a file system cannot write to its cache without the
 * chance of waiting (ext4), the kernel hands them to threads of its own, one after the other for a
 * file, and our own threads are the faster. */
static int submit_direct(struct backend *b, struct op *op)
{
    const struct bp_block_request *r = op->request;
    int is_write = r->type == BP_BLOCK_WRITE, may = may_peek(b, op);

    if ((!b->uring && !may) || (r->type != BP_BLOCK_READ && !is_write) ||
        (op->durable && !b->image->is_plain) || (is_write && b->ring_writes))
        return -EAGAIN;
    if (b->image->ops->map(b->image, &op->range, r->offset, r->length, is_write, &op->at))
        return -EAGAIN;
    if (may && peek(b, op)) {
        b->image->ops->unmap(b->image, &op->range);
        op_push(&b->ended, op);
        return 0;
    }
    if (b->uring && !uring_queue(b->uring, op, b->image->fd)) {
        b->ring_writes += (uint32_t)is_write;
        return 0;
    }
    b->image->ops->unmap(b->image, &op->range);
    return -EAGAIN;
}

static void submit_one(struct backend *b, struct bp_block_request *r)
{
    struct op *op = op_new(b);

    if (!op) {
        /* Too early by the rules, but there is nothing left to remember it by. */
        b->port->complete(b->port_self, r, -EIO);
        return;
    }
    b->in_flight++;
    op->request = r;
    op->durable = b->config->cache != CACHE_UNSAFE &&
                  (b->config->cache == CACHE_WRITETHROUGH || r->flags & BP_BLOCK_FUA);
    op->status = check_request(b, r);
    if (op->status || (!r->length && r->type != BP_BLOCK_FLUSH))
        pool_finish(b, op);
    else if (submit_direct(b, op))
        pool_submit(b, op);
}

static void block_submit(void *self, struct bp_block_request *const *requests, uint32_t count)
{
    struct backend *b = self;

    for (uint32_t i = 0; i < count; i++)
        submit_one(b, requests[i]);
    if (b->uring && !b->bracket && !b->reaping)
        uring_submit(b->uring);
}

static void block_begin(void *self)
{
    struct backend *b = self;

    b->bracket = 1;
}

static void finish_ended(struct backend *b)
{
    struct op *op;

    while ((op = op_pop(&b->ended)))
        finish(b, op);
}

static void block_end(void *self)
{
    struct backend *b = self;

    b->bracket = 0;
    if (b->uring && !b->reaping)
        uring_submit(b->uring);
    finish_ended(b);
}

static void block_drain(void *self)
{
    struct backend *b = self;

    while (b->in_flight) {
        struct pollfd wait = {.fd = b->event.fd, .events = POLLIN};

        finish_ended(b); /* nobody may be about to call end() */
        if (b->uring)
            uring_submit(b->uring);
        if (!b->in_flight)
            break;
        (void)poll(&wait, 1, 1000);
        wake_clear(&b->event);
        reap(b);
    }
}

static int block_attach(void *self, const struct bp_block_port *port, void *port_self)
{
    struct backend *b = self;

    if (b->port)
        return -EBUSY;
    b->port = port;
    b->port_self = port_self;
    return 0;
}

static void block_info(void *self, struct bp_block_info *out)
{
    const struct backend *b = self;
    const struct image *i = b->image;
    struct bp_block_info info = {
        .size = out->size,
        .flags = (i->readonly ? BP_BLOCK_READONLY : BP_BLOCK_CAN_DISCARD | BP_BLOCK_CAN_ZERO) |
                 (b->config->cache == CACHE_WRITETHROUGH ? 0u : BP_BLOCK_VOLATILE_CACHE),
        .length = i->length,
        .sector_size = IMAGE_SECTOR,
        .optimal_size = i->cluster_size,
        .max_iovecs = MAX_IOVECS,
        .max_discard = (uint32_t)(MAX_ZERO_BYTES / IMAGE_SECTOR)};

    memcpy(out, &info, out->size < sizeof(info) ? out->size : sizeof(info));
}

static const struct bp_block block_ops = {
    .size = sizeof(struct bp_block),
    .attach = block_attach,
    .info = block_info,
    .submit = block_submit,
    .drain = block_drain,
    .begin = block_begin,
    .end = block_end,
};

/* ---- life ---- */

static void warn(void *context, const char *text)
{
    const struct backend *b = context;

    b->host->log(b->node, BP_LOG_WARN, text);
}

static void backend_destroy(void *self)
{
    struct backend *b = self;

    block_drain(b);
    pool_end(&b->pool);
    if (b->image) {
        char *path = strdup(b->image->path);
        int err = img_close(b->image);

        if (err)
            bp_logf(b->host, b->node, BP_LOG_ERROR, "cannot write the end of '%s': %s",
                    path ? path : "the image", strerror(-err));
        free(path);
    }
    if (b->watched)
        b->host->fd_watch(b->node, b->event.fd, 0, NULL, NULL);
    uring_free(b->uring);
    wake_close(&b->event);
    while (b->unused) {
        struct op *next = b->unused->next;

        free(b->unused);
        b->unused = next;
    }
    free(b);
}

static int open_image(struct backend *b)
{
    const struct file_config *c = b->config;
    const struct image_options o = {.path = c->file,
                                    .format = c->format,
                                    .readonly = c->readonly,
                                    .no_backing = !c->backing,
                                    .snapshot = c->snapshot,
                                    .unsafe = c->cache == CACHE_UNSAFE,
                                    .messages = {.warn = warn, .context = b}};
    struct image_error e;
    int err;

    if (c->readonly && c->snapshot)
        return bp_failf(b->host, b->node, -EINVAL,
                        "`readonly = yes` and `snapshot = yes` contradict each other: a snapshot "
                        "takes writes and throws them away");
    err = img_open(&o, &b->image, &e);
    if (err)
        return b->host->fail(b->node, err, e.text);
    bp_logf(b->host, b->node, BP_LOG_DEBUG, "'%s' is %s, %llu bytes%s", c->file,
            b->image->ops->name, (unsigned long long)b->image->length,
            c->snapshot          ? ", writes are thrown away"
            : b->image->readonly ? ", read only"
                                 : "");
    return 0;
}

static int choose_io(struct backend *b)
{
    const struct file_config *c = b->config;
    int err;

    if (c->io == IO_THREADS)
        err = -ECANCELED;
    else
        err = uring_new(&b->uring, &b->event);
    if (err && c->io == IO_URING)
        return bp_failf(b->host, b->node, err,
                        "there is no io_uring here: %s; leave `io` out, and threads do the work",
                        strerror(-err));
    if (!err)
        bp_logf(b->host, b->node, BP_LOG_DEBUG, "transfers by io_uring, the rest by %u threads",
                c->threads);
    else if (c->io == IO_THREADS)
        bp_logf(b->host, b->node, BP_LOG_DEBUG, "transfers by %u threads", c->threads);
    else
        bp_logf(b->host, b->node, BP_LOG_DEBUG,
                "transfers by %u threads, as there is no io_uring here: %s", c->threads,
                strerror(-err));
    return 0;
}

static int backend_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    struct backend *b = calloc(1, sizeof(*b));
    int err;

    if (!b)
        return bp_failf(host, node, -ENOMEM, "no memory for a disk");
    b->host = host;
    b->node = node;
    b->config = config;
    err = wake_open(&b->event);
    if (err) {
        bp_failf(host, node, err, "cannot make what wakes the loop: %s", strerror(-err));
        goto fail;
    }
    err = pool_init(&b->pool, b->config->threads);
    if (err) {
        bp_failf(host, node, err, "cannot make threads: %s", strerror(-err));
        goto fail;
    }
    err = open_image(b);
    if (!err)
        err = choose_io(b);
    if (err)
        goto fail;
    err = host->fd_watch(node, b->event.fd, BP_FD_READ, ready, b);
    if (err) {
        bp_failf(host, node, err, "cannot watch what wakes the loop: %s", strerror(-err));
        goto fail;
    }
    b->watched = 1;
    *self = b;
    return 0;
fail:
    backend_destroy(b);
    return err;
}

/* The disk keeps what is on it. */
static void backend_reset(void *self, uint32_t kind)
{
    (void)self, (void)kind;
}

/* While the machine stands, the file is complete. */
static void backend_stop(void *self)
{
    struct backend *b = self;
    int err;

    block_drain(b);
    err = b->image->ops->flush(b->image);
    if (err)
        bp_logf(b->host, b->node, BP_LOG_ERROR, "cannot flush '%s': %s", b->image->path,
                strerror(-err));
}

static const void *backend_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_BLOCK_ID) == 0 ? &block_ops : NULL;
}

const struct bp_instance_ops backend_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = backend_create,
    .destroy = backend_destroy,
    .reset = backend_reset,
    .stop = backend_stop,
    .extension = backend_extension,
};
