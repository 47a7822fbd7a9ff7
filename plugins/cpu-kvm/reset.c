/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/reset.c - power-on state, in place: a guest's reset needs no new virtual machine.
 *
 * KVM_CREATE_VCPU leaves a vCPU as SDM 3A, table 9-1 has it: vCPU 0 at F000:FFF0 with the BSP flag
 * in IA32_APIC_BASE, the others waiting for INIT. That state is read once, as the neutral register
 * sets, and written back for a reset. CPUID stays. So does the time stamp counter: SDM lets it
 * start at 0, but KVM takes a written 0 for "in step with the other vCPUs", and being in step is
 * what guests depend on; a guest's own changes to it (IA32_TSC, IA32_TSC_ADJUST) are undone.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int reset_capture(struct vcpu *v)
{
    struct reset_state *r = calloc(1, sizeof(*r));
    int err;

    v->reset = r;
    if (!r)
        return bp_failf(v->vm->host, v->vm->node, -ENOMEM, "out of memory");
    err = gpr_get(v, &r->gpr);
    err = err ? err : sys_get(v, &r->sys);
    err = err ? err : fpu_get(v, &r->fpu);
    err = err ? err : msr_get(v, &r->msrs);
    err = err ? err : events_get(v, &r->events);
    err = err ? err : mp_get(v, &r->mp);
    err = err ? err : lapic_get(v, &r->lapic);
    return err;
}

int vcpu_reset(void *self)
{
    struct vcpu *v = self;
    const struct reset_state *r = v->reset;
    struct kvm_mp_state flush;
    int err = 0;

    /* The chips have no owner among the vCPUs; they go with the first. */
    if (v->index == 0)
        err = irqchip_reset(v->vm);
    if (err || !v->touched)
        return err;
    /* Reading it has KVM act on an INIT or SIPI that is on its way, which would otherwise come out
     * of the reset. */
    ioctl(v->fd, KVM_GET_MP_STATE, &flush);
    /* IA32_APIC_BASE, in sys, decides the format of the local APIC's registers; MSRs before that,
     * for they turn off what KVM writes to guest memory by itself; events last, as general
     * registers and the MP state drop them. */
    err = msr_reset(v, &r->msrs);
    err = err ? err : sys_set(v, &r->sys);
    err = err ? err : gpr_set(v, &r->gpr);
    err = err ? err : fpu_set(v, &r->fpu);
    err = err ? err : lapic_set(v, &r->lapic);
    err = err ? err : mp_set(v, &r->mp);
    err = err ? err : events_set(v, &r->events);
    if (err)
        return err;
    tsc_reset(v);
    v->touched = false;
    return 0;
}
