/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/arm64/vcpu.c - a vCPU: its life, the loop around hv_vcpu_run(), kicks, WFI.
 *
 * A kick is noted in `kicked` first, and then takes the vCPU out by hv_vcpus_exit(), which ends
 * hv_vcpu_run(), or the next one if none runs.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>

#define PSTATE_EL1H_MASKED 0x3c5u /* EL1, SP_EL1; D, A, I and F masked: D1.9.1 */

void vcpu_kick(void *self)
{
    struct vcpu *v = self;

    __atomic_store_n(&v->kicked, 1, __ATOMIC_SEQ_CST);
    hv_vcpus_exit(&v->id, 1);
    pthread_mutex_lock(&v->lock);
    pthread_cond_signal(&v->woken);
    pthread_mutex_unlock(&v->lock);
}

int vcpu_create(void *vm_self, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                void **self)
{
    struct vm *vm = vm_self;
    hv_return_t result;
    struct vcpu *v;

    if (index >= vm->vcpu_count)
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "vCPU %u is not below %u, the machine's number", index, vm->vcpu_count);
    v = calloc(1, sizeof(*v));
    if (!v)
        return bp_failf(vm->host, vm->node, -ENOMEM, "out of memory");
    v->vm = vm;
    v->index = index;
    v->handle = handle;
    v->bus = bus;
    result = hv_vcpu_create(&v->id, &v->exit, NULL);
    if (result != HV_SUCCESS) {
        free(v);
        return bp_failf(vm->host, vm->node, -EIO, "vCPU %u cannot be created: %s", index,
                        hvf_error(result));
    }
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->woken, NULL);
    vcpu_reset(v);
    *self = v;
    return 0;
}

void vcpu_destroy(void *self)
{
    struct vcpu *v = self;

    hv_vcpu_destroy(v->id);
    pthread_cond_destroy(&v->woken);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

int vcpu_reset(void *self)
{
    struct vcpu *v = self;

    for (uint32_t i = 0; i < 31; i++)
        reg_write(v, i, 0);
    hv_vcpu_set_reg(v->id, HV_REG_PC, 0);
    hv_vcpu_set_reg(v->id, HV_REG_CPSR, PSTATE_EL1H_MASKED);
    /* No interrupt controller could take it. */
    hv_vcpu_set_vtimer_mask(v->id, true);
    v->waits = false;
    return 0;
}

/* WFI: until a kick, as nothing else can come. */
static void sleep_in_wfi(struct vcpu *v)
{
    pthread_mutex_lock(&v->lock);
    while (!__atomic_load_n(&v->kicked, __ATOMIC_SEQ_CST))
        pthread_cond_wait(&v->woken, &v->lock);
    pthread_mutex_unlock(&v->lock);
}

int vcpu_run(void *self)
{
    struct vcpu *v = self;

    for (;;) {
        hv_return_t result;
        int err = 0;

        if (__atomic_exchange_n(&v->kicked, 0, __ATOMIC_SEQ_CST))
            return BP_STOP_KICKED;
        if (v->waits) {
            sleep_in_wfi(v);
            continue;
        }
        result = hv_vcpu_run(v->id);
        if (result != HV_SUCCESS)
            return bp_failf(v->vm->host, v->vm->node, -EIO, "vCPU %u cannot run: %s", v->index,
                            hvf_error(result));
        switch (v->exit->reason) {
        case HV_EXIT_REASON_CANCELED:
            break;
        case HV_EXIT_REASON_EXCEPTION:
            err = exit_exception(v);
            break;
        case HV_EXIT_REASON_VTIMER_ACTIVATED:
            hv_vcpu_set_vtimer_mask(v->id, true);
            break;
        default:
            err = bp_failf(v->vm->host, v->vm->node, -EIO,
                           "vCPU %u left the guest for reason %d, which was not asked for",
                           v->index, (int)v->exit->reason);
            break;
        }
        if (err)
            return err;
    }
}
