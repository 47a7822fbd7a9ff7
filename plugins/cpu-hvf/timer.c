/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/timer.c - sleeping in HLT, and the timers of the local APICs.
 *
 * A vCPU in HLT sleeps until its own deadline. For one that runs guest code, a thread of the
 * machine waits for the earliest deadline of all and then takes the vCPU out of the guest. The
 * thread is woken only by a deadline earlier than the one it waits for: a guest that moves its
 * timer on, as nearly all do, costs no system call.
 */
#include "hvf.h"

#include <errno.h>
#include <shared/condition.h>

/* While guest time stands still the deadline does not come nearer. */
#define STOPPED_POLL_NS 1000000000ull
#define LONGEST_NS 1000000000ull

static uint64_t guest_now(const struct vm *vm)
{
    return vm->host->clock_ns(vm->node);
}

static uint64_t deadline_of(const struct vcpu *v)
{
    return v->chip ? __atomic_load_n(v->view.deadline_ns, __ATOMIC_SEQ_CST) : UINT64_MAX;
}

/* ---- HLT ------------------------------------------------------------------------------------ */

static bool is_awake(const struct vcpu *v, uint32_t ready)
{
    return __atomic_load_n(&v->kicked, __ATOMIC_SEQ_CST) ||
           (v->chip && __atomic_load_n(v->view.pending, __ATOMIC_SEQ_CST) & ready);
}

void timer_sleep(struct vcpu *v, uint32_t ready)
{
    uint64_t deadline = deadline_of(v);

    pthread_mutex_lock(&v->lock);
    while (!is_awake(v, ready)) {
        if (deadline == UINT64_MAX) {
            pthread_cond_wait(&v->woken, &v->lock);
            continue;
        }
        uint64_t now = guest_now(v->vm);
        if (now >= deadline)
            break;
        /* Never for long: guest time may have stood still meanwhile. */
        uint64_t left = deadline - now;
        condition_wait_ns(&v->woken, &v->lock, left < LONGEST_NS ? left : LONGEST_NS);
    }
    pthread_mutex_unlock(&v->lock);
}

void timer_wake(struct vcpu *v)
{
    pthread_mutex_lock(&v->lock);
    pthread_cond_signal(&v->woken);
    pthread_mutex_unlock(&v->lock);
}

/* ---- the thread ----------------------------------------------------------------------------- */

void timer_deadline_changed(struct vcpu *v)
{
    struct vm *vm = v->vm;

    if (deadline_of(v) >= __atomic_load_n(&vm->wake_ns, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&vm->timer_lock);
    pthread_cond_broadcast(&vm->timer_changed);
    pthread_mutex_unlock(&vm->timer_lock);
}

/* Takes vCPUs whose timer is due out of the guest; returns the next deadline. Holds timer_lock. */
static uint64_t tell_due(struct vm *vm, uint64_t now)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = vm->vcpus[i];
        if (!v || !v->chip)
            continue;
        uint64_t deadline = deadline_of(v);
        if (deadline > now) {
            next = deadline < next ? deadline : next;
        } else if (v->posted != deadline) {
            v->posted = deadline;
            hv_vcpu_interrupt(&v->id, 1);
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
        uint64_t left =
            __atomic_load_n(&vm->stopped, __ATOMIC_ACQUIRE) ? STOPPED_POLL_NS : next - now;
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
