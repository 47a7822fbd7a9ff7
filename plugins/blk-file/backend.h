/* SPDX-License-Identifier: MIT
 *
 * blk-file/backend.h - an image as "bp.block/1": the parts of the plugin and what they share.
 *
 * A request goes one of two ways. If it needs nothing but the transfer of bytes between guest
 * memory and one place of the file, and the kernel has io_uring, the ring gets it at once.
 * Everything else is done by threads, which call the image and wait. Both signal one wake, which
 * the loop watches, so that completions are told inside the domain.
 */
#ifndef BLK_FILE_BACKEND_H
#define BLK_FILE_BACKEND_H

#include "image/image.h"

#include <backplane/plugin.h>
#include <pthread.h>
#include <shared/wake.h>

#define CACHE_WRITEBACK 0u
#define CACHE_WRITETHROUGH 1u
#define CACHE_UNSAFE 2u

#define IO_AUTO 0u /* io_uring if there is one */
#define IO_URING 1u
#define IO_THREADS 2u

#define MAX_IOVECS 1024u            /* IOV_MAX of Linux */
#define MAX_ZERO_BYTES (1ull << 30) /* of one DISCARD or WRITE_ZEROES */

struct file_config {
    const char *file;
    uint32_t format;  /* IMAGE_* */
    uint32_t cache;   /* CACHE_* */
    uint32_t io;      /* IO_* */
    uint32_t threads; /* 1 to 64 */
    uint8_t readonly, snapshot, backing;
    uint8_t reserved[5];
};

struct backend;

/* A request under way. */
struct op {
    struct op *next;
    struct bp_block_request *request;
    struct range range; /* held while `is_direct` */
    uint64_t at, done;  /* is_direct: place in the file; bytes transferred */
    struct iovec *rest; /* is_direct: what is left after a short transfer, or NULL */
    int32_t status;
    uint8_t is_direct;
    uint8_t durable; /* is to be on the disk when it completes */
    uint8_t reserved[2];
};

struct op_queue {
    struct op *first, *last;
};

void op_push(struct op_queue *q, struct op *op);
struct op *op_pop(struct op_queue *q);

struct pool {
    pthread_mutex_t lock; /* over all of it */
    pthread_cond_t work;
    struct op_queue waiting, done;
    pthread_t threads[64];
    uint32_t count, idle, limit;
    uint32_t ending;
};

struct uring;

struct backend {
    const struct bp_host *host;
    struct bp_node *node;
    const struct file_config *config;
    struct image *image;
    const struct bp_block_port *port; /* NULL: no device */
    void *port_self;
    struct uring *uring; /* NULL: none */
    struct pool pool;
    struct op *unused;
    struct op_queue ended; /* done at once: completes in end() */
    uint32_t bracket;      /* between begin() and end() */
    uint32_t cold;         /* reads that need not try the page cache, after one that missed it */
    uint32_t misses;       /* of the page cache, in a row */
    uint32_t no_peeking;   /* the kernel cannot do that with this file */
    uint32_t in_flight, ring_writes; /* requests; writes of them that the ring has */
    struct wake event;               /* something is done */
    uint32_t watched;
    uint32_t errors_told; /* atomic */
    uint32_t reaping;     /* completions are being told: what they bring is submitted afterwards */
};

/* ---- pool.c ---- */

int pool_init(struct pool *p, uint32_t threads);
/* Nothing may be in flight. */
void pool_end(struct pool *p);
/* Lets a thread do it. [dom] */
void pool_submit(struct backend *b, struct op *op);
/* Done already: completes with op->status from the loop. [any] */
void pool_finish(struct backend *b, struct op *op);
/* All that is done. */
struct op_queue pool_take(struct pool *p);

/* ---- uring.c ---- */

/* Whether the kernel lets us have a ring that can do what is needed: 0 and *out, or -errno. [main]
 */
int uring_new(struct uring **out, const struct wake *event);
void uring_free(struct uring *u);
/* Queues a transfer: 0, or -EAGAIN if the ring is full. [dom] */
int uring_queue(struct uring *u, struct op *op, int fd);
/* Hands over what was queued. What the kernel refuses is tried again after `event`. [dom] */
void uring_submit(struct uring *u);
/* The next one that is done, or NULL, and its result as of readv(). [dom] */
struct op *uring_reap(struct uring *u, int *result);

extern const struct bp_instance_ops backend_ops;

#endif
