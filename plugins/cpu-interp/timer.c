/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/timer.c - sleeping in HLT, and the local APICs' timers.
 *
 * A vCPU in HLT sleeps until its own deadline. For one that runs, a thread of the machine waits for
 * the earliest deadline of all (shared/alarm.h) and then sets PEND_TIMER, so that the vCPU looks at
 * it between two blocks.
 */
#include "interp.h"

#include <shared/condition.h>

#define LONGEST_NS 1000000000ull

uint64_t timer_now(void *context)
{
    const struct vm *vm = context;

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
        uint64_t now = timer_now(vm);
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

/* ---- the local APICs' timers ----------------------------------------------------------------- */

void timer_deadline_changed(void *context, struct cpu *c)
{
    struct vm *vm = context;

    if (c->chip)
        alarm_moved(&vm->alarm, __atomic_load_n(c->chip_view.deadline_ns, __ATOMIC_SEQ_CST));
}

uint64_t timer_due(void *context, uint64_t now)
{
    struct vm *vm = context;
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
