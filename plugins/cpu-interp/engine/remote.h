/* SPDX-License-Identifier: MIT
 *
 * engine/remote.h - what one thread wants done on the vCPUs of others.
 *
 * vCPUs run without locks. Each is in one of three states:
 *
 *     outside   not in cpu_run(), asleep in HLT, or stopped
 *     guest     runs guest code, builds blocks, walks page tables
 *     bus       waits for a device in the middle of an instruction
 *
 * Only one in `guest` touches memory slots, its TLB and guest memory; whoever waits for the others
 * waits for those only, and each does what was asked of it meanwhile before it is in `guest` again.
 * Requests:
 *
 *   - protect: "the page has code now". remote_mark_code() sets bits of the page's code word; if it
 *     was 0 it comes back only when no vCPU has a write tag for the page any more, nor a host
 *     pointer of one: all their later stores see the code word, and all earlier ones have been
 *     done. So what is read from the page then is what the marks stand for. While it waits the
 *     caller serves the same requests of others: two may mark pages at once. If another vCPU is
 *     just protecting some page, that it may be this one is reason enough to wait as well.
 *   - drop: "the bytes under these chunks have changed". Nobody waits: as on hardware, another
 *     processor sees changed code when it serializes, at the latest at its next safe point. The
 *     queue is bounded; when it is full, all blocks go.
 *   - stop: remote_stop() comes back when no vCPU is in `guest`, and none gets there until
 *     remote_go(). Used for changing memory slots. A device may do that from within an access by a
 *     vCPU, while other vCPUs wait for that device's lock: therefore `bus`, around all calls of
 *     bp_bus.
 *
 * A safe point is a place in the run loop between two blocks. Nothing that was looked up in TLB,
 * slots or block cache may be kept across a safe point; no host pointer into guest memory, and
 * no memory slot, may be kept across an access to the bus.
 *
 * remote.lock is taken last: nothing else is locked under it, and nothing is called.
 */
#ifndef INTERP_REMOTE_H
#define INTERP_REMOTE_H

#include "engine.h"

#define REMOTE_PROTECTS 32u
#define REMOTE_DROPS 64u

enum { REMOTE_OUTSIDE, REMOTE_GUEST, REMOTE_BUS };

struct remote_drop {
    uint64_t page; /* guest physical address */
    uint32_t chunks;
    uint32_t reserved;
};

/* What waits for one vCPU. Under remote.lock, but for the atomic ones. */
struct remote_cpu {
    uint32_t state;        /* REMOTE_*, atomic; leaves REMOTE_OUTSIDE under the lock only */
    uint32_t urgent;       /* atomic: to be served before guest memory is touched again */
    struct cpu *c;         /* valid unless REMOTE_OUTSIDE */
    uint64_t posted, done; /* tickets of protect requests: the newest one, and the newest served */
    uint32_t protects, drops; /* in the queues */
    uint8_t flush, drop_all;
    uint64_t protect[REMOTE_PROTECTS];
    struct remote_drop drop[REMOTE_DROPS];
} __attribute__((aligned(64)));

struct remote {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a state, `done` or `stopping` */
    uint32_t stopping;      /* atomic; changes under the lock */
    uint32_t waiters;       /* atomic: threads that wait for a change of somebody's state */
    uint64_t ticket;
    uint32_t marking; /* atomic: vCPUs in remote_mark_code() */
    uint32_t count;
    struct remote_cpu cpu[];
};

/* Sets engine.remote, for engine.cpu_max vCPUs. 0 or -ENOMEM. [main] */
int remote_create(struct engine *e);
void remote_destroy(struct engine *e);

/* Around guest execution, and the other way round while the vCPU sleeps: remote_enter() waits while
 * somebody has stopped the vCPUs, and does what was asked meanwhile. [vcpu] */
void remote_enter(struct cpu *c);
void remote_leave(struct cpu *c);
/* At a safe point, when PEND_REMOTE is set, which it clears. [vcpu] */
void remote_service(struct cpu *c);

/* As told above: or's `chunks` into the code word of the page that `gpa` is in. The caller is in
 * `guest`, at no safe point: its own blocks stay as they are. [vcpu] */
void remote_mark_code(struct cpu *c, uint32_t *word, uint32_t chunks, uint64_t gpa);
/* Has the blocks of `chunks` (bits as in a code word) of the page at `gpa` dropped on all vCPUs but
 * `except`, which may be NULL. [any] */
void remote_drop_chunks(struct engine *e, const struct cpu *except, uint64_t gpa, uint32_t chunks);
/* The same on all of them, for who has remote.lock. [any] */
void remote_queue_drop(struct remote *r, uint64_t page, uint32_t chunks);

/* remote_stop() comes back with remote.lock taken; remote_go() has every vCPU flush its TLB and
 * drop all its blocks. Not from a vCPU in `guest`. [any] */
void remote_stop(struct engine *e);
void remote_go(struct engine *e);

/* Who reads guest memory then, on the vCPU's thread, calls remote_enter() and remote_leave(). */
static inline bool remote_is_outside(const struct cpu *c)
{
    return __atomic_load_n(&c->engine->remote->cpu[c->index].state, __ATOMIC_RELAXED) ==
           REMOTE_OUTSIDE;
}

/* ---- around calls of cpu.bus ---------------------------------------------------------------- */

void remote_tell(struct remote *r);
void remote_bus_left(struct cpu *c);

/* Both do nothing for a vCPU that is outside: its registers are being set, or read. */
static inline void remote_bus_enter(struct cpu *c)
{
    struct remote *r = c->engine->remote;
    struct remote_cpu *q = &r->cpu[c->index];

    if (__atomic_load_n(&q->state, __ATOMIC_RELAXED) != REMOTE_GUEST)
        return;
    __atomic_store_n(&q->state, REMOTE_BUS, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&r->waiters, __ATOMIC_SEQ_CST)))
        remote_tell(r);
}

static inline void remote_bus_leave(struct cpu *c)
{
    struct remote *r = c->engine->remote;
    struct remote_cpu *q = &r->cpu[c->index];

    if (__atomic_load_n(&q->state, __ATOMIC_RELAXED) != REMOTE_BUS)
        return;
    __atomic_store_n(&q->state, REMOTE_GUEST, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&r->stopping, __ATOMIC_SEQ_CST)) ||
        unlikely(__atomic_load_n(&q->urgent, __ATOMIC_SEQ_CST)))
        remote_bus_left(c);
}

#endif
