/* SPDX-License-Identifier: MIT
 *
 * blk-file/uring.c - transfers by io_uring (liburing).
 *
 * A kernel may lack it, forbid it (kernel.io_uring_disabled, seccomp in containers), or have one
 * that is too old: all of that is found when the ring is made.
 */
#include "backend.h"

#include <errno.h>
#include <stdlib.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#include <sys/uio.h>

#define ENTRIES 256u

struct uring {
    struct io_uring ring;
    uint32_t in_flight;       /* at most ENTRIES, so that completions have room */
    const struct wake *event; /* an eventfd, where there is an io_uring */
};

int uring_new(struct uring **out, const struct wake *event)
{
    struct uring *u = calloc(1, sizeof(*u));
    struct io_uring_probe *probe;
    int err;

    if (!u)
        return -ENOMEM;
    u->event = event;
    err = io_uring_queue_init(ENTRIES, &u->ring, 0);
    if (err) {
        free(u);
        return err;
    }
    probe = io_uring_get_probe_ring(&u->ring);
    if (!probe || !io_uring_opcode_supported(probe, IORING_OP_READV) ||
        !io_uring_opcode_supported(probe, IORING_OP_WRITEV))
        err = -EOPNOTSUPP;
    io_uring_free_probe(probe);
    if (!err)
        err = io_uring_register_eventfd(&u->ring, event->fd);
    if (err) {
        uring_free(u);
        return err;
    }
    *out = u;
    return 0;
}

void uring_free(struct uring *u)
{
    if (!u)
        return;
    io_uring_queue_exit(&u->ring);
    free(u);
}

int uring_queue(struct uring *u, struct op *op, int fd)
{
    const struct bp_block_request *r = op->request;
    struct io_uring_sqe *sqe = u->in_flight < ENTRIES ? io_uring_get_sqe(&u->ring) : NULL;
    struct cursor c = {.iov = (const struct iovec *)(const void *)r->iovecs};
    const struct iovec *iov = c.iov;
    unsigned count = r->niovecs;

    if (!sqe)
        return -EAGAIN;
    if (op->done) {
        uint64_t bytes;

        cursor_advance(&c, op->done);
        count = (unsigned)cursor_slice(&c, r->length - op->done, op->rest, (int)r->niovecs, &bytes);
        iov = op->rest;
    }
    if (r->type == BP_BLOCK_READ)
        io_uring_prep_readv(sqe, fd, iov, count, op->at + op->done);
    else
        io_uring_prep_writev2(sqe, fd, iov, count, op->at + op->done, op->durable ? RWF_DSYNC : 0);
    io_uring_sqe_set_data(sqe, op);
    u->in_flight++;
    return 0;
}

void uring_submit(struct uring *u)
{
    if (!io_uring_sq_ready(&u->ring))
        return;
    /* What the kernel does not take now stays queued. It may have nothing else to wake us for. */
    if (io_uring_submit(&u->ring) < 0 || io_uring_sq_ready(&u->ring))
        wake_signal(u->event);
}

struct op *uring_reap(struct uring *u, int *result)
{
    struct io_uring_cqe *cqe;
    struct op *op;

    if (io_uring_peek_cqe(&u->ring, &cqe))
        return NULL;
    op = io_uring_cqe_get_data(cqe);
    *result = cqe->res;
    io_uring_cqe_seen(&u->ring, cqe);
    u->in_flight--;
    return op;
}

#else

int uring_new(struct uring **out, const struct wake *event)
{
    (void)out, (void)event;
    return -ENOSYS;
}

void uring_free(struct uring *u)
{
    (void)u;
}

int uring_queue(struct uring *u, struct op *op, int fd)
{
    (void)u, (void)op, (void)fd;
    return -EAGAIN;
}

void uring_submit(struct uring *u)
{
    (void)u;
}

struct op *uring_reap(struct uring *u, int *result)
{
    (void)u, (void)result;
    return NULL;
}

#endif
