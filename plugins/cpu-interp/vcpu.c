/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/vcpu.c - a vCPU's life, and how it is interrupted.
 */
#include "interp.h"

#include "engine/mmu/tlb.h"
#include "engine/trace.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <shared/condition.h>
#include <stdlib.h>
#include <string.h>

int vcpu_create(void *vm_self, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self)
{
    struct vm *vm = vm_self;
    const struct bp_peer *chip = vm->host->extension(vm->node, BP_IRQCHIP_ID);
    struct vcpu *v;
    int err = -ENOMEM;

    if (index >= vm->vcpu_count)
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "vCPU %u is not below %u, the machine's number", index, vm->vcpu_count);
    v = calloc(1, sizeof(*v));
    if (!v)
        return bp_failf(vm->host, vm->node, err, "out of memory");
    v->vm = vm;
    pthread_mutex_init(&v->lock, NULL);
    condition_init(&v->woken);
    /* Its controller may want attention as soon as it is attached. */
    pthread_mutex_lock(&vm->alarm.lock);
    vm->vcpus[index] = v;
    if (chip)
        vm->chip = chip;
    pthread_mutex_unlock(&vm->alarm.lock);
    struct cpu *c = NULL;
    err = cpu_create(vm->engine, index, handle, bus, chip ? chip->ops : NULL,
                     chip ? chip->self : NULL, &c);
    if (!err && vm->trace) {
        err = trace_attach(vm->trace, c);
        if (err)
            cpu_destroy(c);
    }
    pthread_mutex_lock(&vm->alarm.lock);
    v->cpu = err ? NULL : c;
    if (err)
        vm->vcpus[index] = NULL;
    pthread_mutex_unlock(&vm->alarm.lock);
    if (err) {
        pthread_cond_destroy(&v->woken);
        pthread_mutex_destroy(&v->lock);
        free(v);
        return bp_failf(vm->host, vm->node, err, "vCPU %u cannot be created: %s", index,
                        strerror(-err));
    }
    *self = v;
    return 0;
}

void vcpu_destroy(void *self)
{
    struct vcpu *v = self;
    struct vm *vm = v->vm;

    pthread_mutex_lock(&vm->alarm.lock);
    vm->vcpus[v->cpu->index] = NULL;
    pthread_mutex_unlock(&vm->alarm.lock);
    cpu_destroy(v->cpu);
    pthread_cond_destroy(&v->woken);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

int vcpu_reset(void *self)
{
    struct vcpu *v = self;
    struct cpu *c = v->cpu;

    cpu_reset(c, false);
    c->mp_state = c->index ? BP_X86_MP_WAIT_INIT : BP_X86_MP_RUNNABLE;
    /* Memory was filled anew. */
    tlb_flush(c);
    blocks_drop_all(c);
    return 0;
}

int vcpu_run(void *self)
{
    struct vcpu *v = self;
    int stop;

    v->running = 1;
    stop = cpu_run(v->cpu);
    v->running = 0;
    return stop;
}

void vcpu_kick(void *self)
{
    struct vcpu *v = self;

    cpu_pend(v->cpu, PEND_KICK);
    timer_wake(v->vm, v->cpu);
}
