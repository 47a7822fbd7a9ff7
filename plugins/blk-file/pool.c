/* SPDX-License-Identifier: MIT
 *
 * blk-file/pool.c - threads that wait for files: started when there is work that none is free for,
 * up to a number, and ended with the instance.
 */
#include "backend.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

void op_push(struct op_queue *q, struct op *op)
{
    op->next = NULL;
    if (q->last)
        q->last->next = op;
    else
        q->first = op;
    q->last = op;
}

struct op *op_pop(struct op_queue *q)
{
    struct op *op = q->first;

    if (!op)
        return NULL;
    q->first = op->next;
    if (!q->first)
        q->last = NULL;
    return op;
}

int pool_init(struct pool *p, uint32_t threads)
{
    int err = pthread_mutex_init(&p->lock, NULL);

    if (err)
        return -err;
    err = pthread_cond_init(&p->work, NULL);
    if (err) {
        pthread_mutex_destroy(&p->lock);
        return -err;
    }
    p->limit = threads;
    return 0;
}

void pool_end(struct pool *p)
{
    if (!p->limit)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = 1;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
}

void pool_finish(struct backend *b, struct op *op)
{
    int was_empty;

    pthread_mutex_lock(&b->pool.lock);
    was_empty = !b->pool.done.first;
    op_push(&b->pool.done, op);
    pthread_mutex_unlock(&b->pool.lock);
    if (was_empty)
        wake_signal(&b->event);
}

struct op_queue pool_take(struct pool *p)
{
    struct op_queue done;

    pthread_mutex_lock(&p->lock);
    done = p->done;
    memset(&p->done, 0, sizeof(p->done));
    pthread_mutex_unlock(&p->lock);
    return done;
}

static int perform(struct image *i, const struct op *op)
{
    const struct bp_block_request *r = op->request;
    /* A bp_iovec is an iovec, see backend.c. */
    struct cursor c = {.iov = (const struct iovec *)(const void *)r->iovecs};
    int err;

    switch (r->type) {
    case BP_BLOCK_READ:
        return i->ops->read(i, &c, r->offset, r->length);
    case BP_BLOCK_WRITE:
        err = i->ops->write(i, &c, r->offset, r->length);
        break;
    case BP_BLOCK_WRITE_ZEROES:
        err = i->ops->zero(i, r->offset, r->length, r->flags & BP_BLOCK_UNMAP);
        break;
    case BP_BLOCK_DISCARD:
        return i->ops->discard(i, r->offset, r->length);
    default:
        return i->ops->flush(i);
    }
    return err || !op->durable ? err : i->ops->flush(i);
}

static void *work(void *context)
{
    struct backend *b = context;
    struct pool *p = &b->pool;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct op *op = op_pop(&p->waiting);

        if (!op && p->ending)
            break;
        if (!op) {
            p->idle++;
            pthread_cond_wait(&p->work, &p->lock);
            p->idle--;
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        op->status = perform(b->image, op);
        pool_finish(b, op);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* One more, with all signals left to the program. [lock] */
static int start_thread(struct backend *b)
{
    struct pool *p = &b->pool;
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&p->threads[p->count], NULL, work, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        return -err;
#ifdef __linux__ /* elsewhere threads have names that only they can set */
    pthread_setname_np(p->threads[p->count], "bp-blk-file");
#endif
    p->count++;
    return 0;
}

void pool_submit(struct backend *b, struct op *op)
{
    struct pool *p = &b->pool;
    int err = 0;

    pthread_mutex_lock(&p->lock);
    if (!p->idle && p->count < p->limit)
        err = start_thread(b);
    if (err && !p->count) {
        pthread_mutex_unlock(&p->lock);
        op->status = -EIO;
        pool_finish(b, op);
        return;
    }
    op_push(&p->waiting, op);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}
