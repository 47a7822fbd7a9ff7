/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/timer.c - sleeping in HLT, and the timers of the local APICs.
 *
 * A vCPU in HLT sleeps until its own deadline. For one that runs guest code, a thread of the
 * machine waits for the earliest deadline of all (shared/alarm.h) and then takes the vCPU out of
 * the guest.
 */
#include "hvf.h"

#include <shared/condition.h>

#define LONGEST_NS 1000000000ull

uint64_t timer_now(void *context)
{
    const struct vm *vm = context;

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
        uint64_t now = timer_now(v->vm);
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

/* ---- the local APICs' timers ----------------------------------------------------------------- */

void timer_deadline_changed(struct vcpu *v)
{
    alarm_moved(&v->vm->alarm, deadline_of(v));
}

/* Takes vCPUs whose timer is due out of the guest. */
uint64_t timer_due(void *context, uint64_t now)
{
    struct vm *vm = context;
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
