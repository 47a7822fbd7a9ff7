/* SPDX-License-Identifier: MIT
 *
 * engine/remote.c - see remote.h.
 *
 * One lock and one condition for all vCPUs of a machine: requests are rare, about one a page of
 * code. Nobody sleeps while another vCPU could go on only after him: who waits is counted as
 * outside (remote_service) or serves what he can (remote_mark_code).
 */
#include "remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/cache.h"
#include "mmu/tlb.h"

int remote_create(struct engine *e)
{
    size_t bytes = sizeof(struct remote) + e->cpu_max * sizeof(struct remote_cpu);
    struct remote *r = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

    if (!r)
        return -ENOMEM;
    memset(r, 0, bytes);
    r->count = e->cpu_max;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    e->remote = r;
    return 0;
}

void remote_destroy(struct engine *e)
{
    if (!e->remote)
        return;
    pthread_cond_destroy(&e->remote->changed);
    pthread_mutex_destroy(&e->remote->lock);
    free(e->remote);
    e->remote = NULL;
}

static uint32_t state_of(const struct remote_cpu *q)
{
    return __atomic_load_n(&q->state, __ATOMIC_SEQ_CST);
}

static void set_state(struct remote_cpu *q, uint32_t state)
{
    __atomic_store_n(&q->state, state, __ATOMIC_SEQ_CST);
}

void remote_tell(struct remote *r)
{
    pthread_mutex_lock(&r->lock);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Something was queued. Under the lock. */
static void notify(struct remote_cpu *q)
{
    if (state_of(q) != REMOTE_OUTSIDE)
        cpu_pend(q->c, PEND_REMOTE);
}

/* Serves what must not wait for a safe point. The lock is given up meanwhile. False if there was
 * nothing. */
static bool serve_urgent(struct remote *r, struct remote_cpu *q, struct cpu *c)
{
    uint64_t pages[REMOTE_PROTECTS], ticket = q->posted;
    uint32_t count = q->protects;
    bool flush = q->flush;

    if (!q->urgent)
        return false;
    memcpy(pages, q->protect, count * sizeof(pages[0]));
    q->protects = 0;
    q->flush = 0;
    __atomic_store_n(&q->urgent, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&r->lock);
    if (flush)
        tlb_flush(c);
    else
        for (uint32_t i = 0; i < count; i++)
            tlb_protect_code(c, pages[i]);
    pthread_mutex_lock(&r->lock);
    q->done = ticket;
    pthread_cond_broadcast(&r->changed);
    return true;
}

/* Likewise what must wait for one. */
static bool serve_drops(struct remote *r, struct remote_cpu *q, struct cpu *c)
{
    struct remote_drop drops[REMOTE_DROPS];
    uint32_t count = q->drops;
    bool all = q->drop_all;

    if (!count && !all)
        return false;
    memcpy(drops, q->drop, count * sizeof(drops[0]));
    q->drops = 0;
    q->drop_all = 0;
    pthread_mutex_unlock(&r->lock);
    if (all)
        blocks_drop_all(c);
    else
        for (uint32_t i = 0; i < count; i++)
            blocks_drop_chunks(c, drops[i].page, drops[i].chunks);
    pthread_mutex_lock(&r->lock);
    return true;
}

/* Until nothing is asked any more and nobody has stopped us: then in `guest`. Under the lock. */
static void serve_all(struct remote *r, struct remote_cpu *q, struct cpu *c)
{
    do {
        if (r->stopping) {
            set_state(q, REMOTE_OUTSIDE);
            pthread_cond_broadcast(&r->changed);
            while (r->stopping)
                pthread_cond_wait(&r->changed, &r->lock);
        }
    } while (serve_urgent(r, q, c) || serve_drops(r, q, c) || r->stopping);
    q->c = c;
    set_state(q, REMOTE_GUEST);
}

void remote_enter(struct cpu *c)
{
    struct remote *r = c->engine->remote;

    pthread_mutex_lock(&r->lock);
    serve_all(r, &r->cpu[c->index], c);
    pthread_mutex_unlock(&r->lock);
}

void remote_leave(struct cpu *c)
{
    struct remote *r = c->engine->remote;

    set_state(&r->cpu[c->index], REMOTE_OUTSIDE);
    if (__atomic_load_n(&r->waiters, __ATOMIC_SEQ_CST))
        remote_tell(r);
}

void remote_service(struct cpu *c)
{
    struct remote *r = c->engine->remote;

    __atomic_fetch_and(&c->pend, ~PEND_REMOTE, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&r->lock);
    serve_all(r, &r->cpu[c->index], c);
    pthread_mutex_unlock(&r->lock);
}

/* After an access to the bus: the vCPU is in the middle of an instruction, and its blocks must
 * live until the next safe point. */
void remote_bus_left(struct cpu *c)
{
    struct remote *r = c->engine->remote;
    struct remote_cpu *q = &r->cpu[c->index];

    pthread_mutex_lock(&r->lock);
    do {
        if (r->stopping) {
            set_state(q, REMOTE_BUS);
            pthread_cond_broadcast(&r->changed);
            while (r->stopping)
                pthread_cond_wait(&r->changed, &r->lock);
        }
    } while (serve_urgent(r, q, c) || r->stopping);
    set_state(q, REMOTE_GUEST);
    pthread_mutex_unlock(&r->lock);
}

/* True if every other vCPU has served `ticket`, or will before it touches guest memory. */
static bool all_served(const struct remote *r, uint32_t self, uint64_t ticket)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (i != self && r->cpu[i].done < ticket && state_of(&r->cpu[i]) == REMOTE_GUEST)
            return false;
    return true;
}

/* Has all other vCPUs drop their write tags for the page, and waits until they have. */
static void protect_page(struct remote *r, struct cpu *c, uint64_t page)
{
    struct remote_cpu *self = &r->cpu[c->index];
    uint64_t ticket;

    pthread_mutex_lock(&r->lock);
    ticket = ++r->ticket;
    for (uint32_t i = 0; i < r->count; i++) {
        struct remote_cpu *q = &r->cpu[i];

        if (q == self)
            continue;
        if (q->protects < REMOTE_PROTECTS)
            q->protect[q->protects++] = page;
        else
            q->flush = 1;
        q->posted = ticket;
        __atomic_store_n(&q->urgent, 1, __ATOMIC_SEQ_CST);
        notify(q);
    }
    pthread_cond_broadcast(&r->changed); /* for who waits here himself */
    __atomic_fetch_add(&r->waiters, 1, __ATOMIC_SEQ_CST);
    while (!all_served(r, c->index, ticket))
        if (!serve_urgent(r, self, c))
            pthread_cond_wait(&r->changed, &r->lock);
    __atomic_fetch_sub(&r->waiters, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&r->lock);
}

void remote_mark_code(struct cpu *c, uint32_t *word, uint32_t chunks, uint64_t gpa)
{
    struct remote *r = c->engine->remote;
    uint64_t page = gpa & PAGE_MASK;
    uint32_t before;

    __atomic_fetch_add(&r->marking, 1, __ATOMIC_SEQ_CST);
    before = __atomic_fetch_or(word, chunks, __ATOMIC_SEQ_CST);
    if (!before)
        tlb_protect_code(c, page);
    if (r->count > 1 && (!before || __atomic_load_n(&r->marking, __ATOMIC_SEQ_CST) > 1))
        protect_page(r, c, page);
    __atomic_fetch_sub(&r->marking, 1, __ATOMIC_SEQ_CST);
}

/* Under the lock. */
static void queue_drop(struct remote_cpu *q, uint64_t page, uint32_t chunks)
{
    if (q->drop_all)
        return;
    if (q->drops && q->drop[q->drops - 1].page == page)
        q->drop[q->drops - 1].chunks |= chunks;
    else if (q->drops < REMOTE_DROPS)
        q->drop[q->drops++] = (struct remote_drop){.page = page, .chunks = chunks};
    else
        q->drop_all = 1;
    notify(q);
}

void remote_queue_drop(struct remote *r, uint64_t page, uint32_t chunks)
{
    for (uint32_t i = 0; i < r->count; i++)
        queue_drop(&r->cpu[i], page, chunks);
}

void remote_drop_chunks(struct engine *e, const struct cpu *except, uint64_t gpa, uint32_t chunks)
{
    struct remote *r = e->remote;

    if (except && r->count == 1)
        return;
    pthread_mutex_lock(&r->lock);
    for (uint32_t i = 0; i < r->count; i++)
        if (!except || i != except->index)
            queue_drop(&r->cpu[i], gpa & PAGE_MASK, chunks);
    pthread_mutex_unlock(&r->lock);
}

static bool any_in_guest(const struct remote *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (state_of(&r->cpu[i]) == REMOTE_GUEST)
            return true;
    return false;
}

void remote_stop(struct engine *e)
{
    struct remote *r = e->remote;

    pthread_mutex_lock(&r->lock);
    while (r->stopping)
        pthread_cond_wait(&r->changed, &r->lock);
    __atomic_store_n(&r->stopping, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < r->count; i++)
        notify(&r->cpu[i]);
    __atomic_fetch_add(&r->waiters, 1, __ATOMIC_SEQ_CST);
    while (any_in_guest(r))
        pthread_cond_wait(&r->changed, &r->lock);
    __atomic_fetch_sub(&r->waiters, 1, __ATOMIC_SEQ_CST);
}

void remote_go(struct engine *e)
{
    struct remote *r = e->remote;

    for (uint32_t i = 0; i < r->count; i++) {
        struct remote_cpu *q = &r->cpu[i];

        q->flush = 1;
        q->drop_all = 1;
        q->posted = r->ticket;
        __atomic_store_n(&q->urgent, 1, __ATOMIC_SEQ_CST);
        notify(q);
    }
    __atomic_store_n(&r->stopping, 0, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}
