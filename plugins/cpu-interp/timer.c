/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/timer.c - sleeping in HLT, and the local APICs' timers.
 *
 * A vCPU in HLT sleeps until its own deadline. For one that runs, a thread of the machine waits for
 * the earliest deadline of all and then sets PEND_TIMER, so that the vCPU looks at it between two
 * blocks. The thread is woken only by a deadline earlier than the one it waits for: a guest that
 * moves its timer on, as nearly all do, costs no system call.
 */
#include "interp.h"

#include <errno.h>
#include <shared/condition.h>

/* While guest time stands still the deadline does not come nearer. */
#define STOPPED_POLL_NS 1000000000ull
#define LONGEST_NS 1000000000ull

static uint64_t guest_now(struct vm *vm)
{
    return vm->host->clock_ns(vm->node);
}

/* ---- HLT ------------------------------------------------------------------------------------ */

void timer_sleep(void *context, struct cpu *c, uint64_t deadline_ns)
{
    struct vm *vm = context;
    struct vcpu *v = vm->vcpus[c->index];

    pthread_mutex_lock(&v->lock);
    __atomic_store_n(&v->sleeping, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&c->pend, __ATOMIC_SEQ_CST)) {
        if (deadline_ns == UINT64_MAX) {
            pthread_cond_wait(&v->woken, &v->lock);
            continue;
        }
        uint64_t now = guest_now(vm);
        if (now >= deadline_ns)
            break;
        /* Never for long: guest time may have stood still meanwhile. */
        uint64_t left = deadline_ns - now;
        condition_wait_ns(&v->woken, &v->lock, left < LONGEST_NS ? left : LONGEST_NS);
    }
    __atomic_store_n(&v->sleeping, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&v->lock);
}

void timer_wake(void *context, struct cpu *c)
{
    struct vm *vm = context;
    struct vcpu *v = vm->vcpus[c->index];

    if (!v || !__atomic_load_n(&v->sleeping, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&v->lock);
    pthread_cond_signal(&v->woken);
    pthread_mutex_unlock(&v->lock);
}

/* ---- the thread ----------------------------------------------------------------------------- */

void timer_deadline_changed(void *context, struct cpu *c)
{
    struct vm *vm = context;

    if (!c->chip || __atomic_load_n(c->chip_view.deadline_ns, __ATOMIC_SEQ_CST) >=
                        __atomic_load_n(&vm->wake_ns, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&vm->timer_lock);
    pthread_cond_broadcast(&vm->timer_changed);
    pthread_mutex_unlock(&vm->timer_lock);
}

/* Tells vCPUs whose timer is due; returns the next deadline. Holds timer_lock. */
static uint64_t tell_due(struct vm *vm, uint64_t now)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = vm->vcpus[i];
        if (!v || !v->cpu || !v->cpu->chip)
            continue;
        uint64_t deadline = __atomic_load_n(v->cpu->chip_view.deadline_ns, __ATOMIC_SEQ_CST);
        if (deadline <= now) {
            if (v->posted != deadline) {
                v->posted = deadline;
                cpu_pend(v->cpu, PEND_TIMER);
                timer_wake(vm, v->cpu);
            }
        } else if (deadline < next) {
            next = deadline;
        }
    }
    return next;
}

static void *timer_thread(void *context)
{
    struct vm *vm = context;

    pthread_mutex_lock(&vm->timer_lock);
    while (!vm->ends) {
        /* From here on a vCPU with an earlier deadline must come and tell. */
        __atomic_store_n(&vm->wake_ns, UINT64_MAX, __ATOMIC_SEQ_CST);
        uint64_t now = guest_now(vm);
        uint64_t next = tell_due(vm, now);
        __atomic_store_n(&vm->wake_ns, next, __ATOMIC_SEQ_CST);
        if (tell_due(vm, now) < next)
            continue;
        if (next == UINT64_MAX) {
            pthread_cond_wait(&vm->timer_changed, &vm->timer_lock);
            continue;
        }
        uint64_t left = vm->stopped ? STOPPED_POLL_NS : next - now;
        condition_wait_ns(&vm->timer_changed, &vm->timer_lock,
                          left < LONGEST_NS ? left : LONGEST_NS);
    }
    pthread_mutex_unlock(&vm->timer_lock);
    return NULL;
}

int timer_start(struct vm *vm)
{
    int err;

    vm->wake_ns = UINT64_MAX;
    err = pthread_create(&vm->timer, NULL, timer_thread, vm);
    vm->timer_runs = err == 0;
    return -err;
}

void timer_stop(struct vm *vm)
{
    if (!vm->timer_runs)
        return;
    pthread_mutex_lock(&vm->timer_lock);
    vm->ends = true;
    pthread_cond_broadcast(&vm->timer_changed);
    pthread_mutex_unlock(&vm->timer_lock);
    pthread_join(vm->timer, NULL);
    vm->timer_runs = false;
}
