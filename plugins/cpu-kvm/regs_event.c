/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/regs_event.c - x86.events/1, x86.mp/1 and x86.lapic/1: what a vCPU is about to do.
 *
 * After api.rst: KVM_GET_VCPU_EVENTS, KVM_GET_MP_STATE, KVM_GET_LAPIC, and their KVM_SET_*. Two
 * bits of system management mode have no place in the neutral set: SMM entered from an NMI handler,
 * and an INIT latched in it.
 */
#include "kvm.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- x86.events/1 --------------------------------------------------------------------------- */

#define SHADOW_STI 1u
#define SHADOW_MOV_SS 2u

int events_get(struct vcpu *v, void *regs)
{
    struct bp_x86_events *to = regs;
    struct kvm_vcpu_events e;

    if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_VCPU_EVENTS failed: %m");
    *to = (struct bp_x86_events){
        .nmi_injected = e.nmi.injected,
        .nmi_pending = e.nmi.pending,
        .nmi_masked = e.nmi.masked,
        .sipi_vector = e.sipi_vector,
    };
    if (e.exception.injected || e.exception.pending) {
        to->exception = e.exception.injected ? BP_X86_EVENT_INJECTED : BP_X86_EVENT_PENDING;
        to->exception_vector = e.exception.nr;
        to->exception_has_error = e.exception.has_error_code;
        to->exception_error = e.exception.error_code;
        if (e.flags & KVM_VCPUEVENT_VALID_PAYLOAD) {
            to->exception_has_payload = e.exception_has_payload;
            to->exception_payload = e.exception_payload;
        }
    }
    if (e.interrupt.injected) {
        to->interrupt = BP_X86_EVENT_INJECTED;
        to->interrupt_vector = e.interrupt.nr;
        to->interrupt_soft = e.interrupt.soft;
    }
    if (e.flags & KVM_VCPUEVENT_VALID_SHADOW) {
        to->shadow =
            (uint8_t)((e.interrupt.shadow & KVM_X86_SHADOW_INT_STI ? SHADOW_STI : 0) |
                      (e.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS ? SHADOW_MOV_SS : 0));
    }
    if (e.flags & KVM_VCPUEVENT_VALID_SMM) {
        to->smm = e.smi.smm;
        to->smi_pending = e.smi.pending;
    }
    if (e.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
        to->triple_fault_pending = e.triple_fault.pending;
    return 0;
}

/* What KVM would take and then trip over. */
static int events_check(struct vcpu *v, const struct bp_x86_events *e)
{
    const struct bp_host *host = v->vm->host;
    struct bp_node *node = v->vm->node;

    if (e->exception > BP_X86_EVENT_INJECTED || (e->exception && e->exception_vector > 31)) {
        return bp_failf(host, node, -EINVAL, "%s: exception %u in state %u does not exist",
                        BP_X86_EVENTS, e->exception_vector, e->exception);
    }
    if (e->interrupt != 0 && e->interrupt != BP_X86_EVENT_INJECTED) {
        return bp_failf(host, node, -EINVAL, "%s: an interrupt is 0 or injected, not in state %u",
                        BP_X86_EVENTS, e->interrupt);
    }
    if ((e->smm || e->smi_pending) && !v->vm->has_smm) {
        return bp_failf(host, node, -EINVAL, "%s: this host's KVM has no system management mode",
                        BP_X86_EVENTS);
    }
    if (e->triple_fault_pending && !v->vm->has_triple_fault_event) {
        return bp_failf(host, node, -EINVAL,
                        "%s: this host's KVM cannot be given a pending triple fault",
                        BP_X86_EVENTS);
    }
    return 0;
}

int events_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_events *from = regs;
    struct kvm_vcpu_events e;
    int err = events_check(v, from);

    if (err)
        return err;
    memset(&e, 0, sizeof(e));
    e.flags =
        KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_PAYLOAD;
    if (from->exception) {
        e.exception.injected = from->exception == BP_X86_EVENT_INJECTED;
        e.exception.pending = from->exception == BP_X86_EVENT_PENDING;
        e.exception.nr = from->exception_vector;
        e.exception.has_error_code = from->exception_has_error != 0;
        e.exception.error_code = from->exception_error;
        e.exception_has_payload = from->exception_has_payload != 0;
        e.exception_payload = from->exception_payload;
    }
    if (from->interrupt) {
        e.interrupt.injected = 1;
        e.interrupt.nr = from->interrupt_vector;
        e.interrupt.soft = from->interrupt_soft != 0;
    }
    e.interrupt.shadow = (uint8_t)((from->shadow & SHADOW_STI ? KVM_X86_SHADOW_INT_STI : 0) |
                                   (from->shadow & SHADOW_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0));
    e.nmi.injected = from->nmi_injected != 0;
    e.nmi.pending = from->nmi_pending;
    e.nmi.masked = from->nmi_masked != 0;
    if (from->sipi_vector) {
        e.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
        e.sipi_vector = from->sipi_vector;
    }
    if (v->vm->has_smm) {
        e.flags |= KVM_VCPUEVENT_VALID_SMM;
        e.smi.smm = from->smm != 0;
        e.smi.pending = from->smi_pending != 0;
    }
    if (v->vm->has_triple_fault_event) {
        e.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
        e.triple_fault.pending = from->triple_fault_pending != 0;
    }
    if (ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM refuses the events: %m");
    return 0;
}

/* ---- x86.mp/1 ------------------------------------------------------------------------------- */

static const struct {
    uint32_t neutral, kvm;
} mp_states[] = {
    {BP_X86_MP_RUNNABLE, KVM_MP_STATE_RUNNABLE},
    {BP_X86_MP_WAIT_INIT, KVM_MP_STATE_UNINITIALIZED},
    {BP_X86_MP_WAIT_SIPI, KVM_MP_STATE_INIT_RECEIVED},
    {BP_X86_MP_HALTED, KVM_MP_STATE_HALTED},
    {BP_X86_MP_SIPI, KVM_MP_STATE_SIPI_RECEIVED},
};
#define MP_STATES (sizeof(mp_states) / sizeof(mp_states[0]))

int mp_get(struct vcpu *v, void *regs)
{
    struct bp_x86_mp *to = regs;
    struct kvm_mp_state from;

    if (ioctl(v->fd, KVM_GET_MP_STATE, &from) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_MP_STATE failed: %m");
    for (size_t i = 0; i < MP_STATES; i++) {
        if (mp_states[i].kvm == from.mp_state) {
            to->state = mp_states[i].neutral;
            return 0;
        }
    }
    return bp_failf(v->vm->host, v->vm->node, -EIO,
                    "KVM_GET_MP_STATE gives %u, which is no x86 state", from.mp_state);
}

int mp_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_mp *from = regs;

    for (size_t i = 0; i < MP_STATES; i++) {
        if (mp_states[i].neutral == from->state) {
            struct kvm_mp_state to = {.mp_state = mp_states[i].kvm};

            if (ioctl(v->fd, KVM_SET_MP_STATE, &to) != 0)
                return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_SET_MP_STATE failed: %m");
            return 0;
        }
    }
    return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: state %u does not exist", BP_X86_MP,
                    from->state);
}

/* ---- x86.lapic/1 ---------------------------------------------------------------------------- */

#define LAPIC_REGISTERS 64u
#define LAPIC_TIMER_COUNT 0x39u /* current count, offset 0x390 */

_Static_assert(LAPIC_REGISTERS * 16 == KVM_APIC_REG_SIZE, "a register every 16 bytes");

int lapic_get(struct vcpu *v, void *regs)
{
    struct bp_x86_lapic *to = regs;
    struct kvm_lapic_state from;

    if (ioctl(v->fd, KVM_GET_LAPIC, &from) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_LAPIC failed: %m");
    for (uint32_t i = 0; i < LAPIC_REGISTERS; i++)
        to->registers[i] = bp_le32(from.regs + (size_t)i * 16);
    if (v->vm->time.stopped) {
        to->registers[LAPIC_TIMER_COUNT] = v->stopped_count;
        to->tsc_deadline = v->stopped_deadline;
    } else if (msr_read(v, MSR_TSC_DEADLINE, &to->tsc_deadline) != 0) {
        to->tsc_deadline = 0; /* the guest's CPUID does not have it */
    }
    return 0;
}

int lapic_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_lapic *from = regs;
    struct kvm_lapic_state to;

    memset(&to, 0, sizeof(to));
    for (uint32_t i = 0; i < LAPIC_REGISTERS; i++)
        bp_put_le32(to.regs + (size_t)i * 16, from->registers[i]);
    if (ioctl(v->fd, KVM_SET_LAPIC, &to) != 0) {
        return bp_failf(v->vm->host, v->vm->node, -errno,
                        "KVM refuses the local APIC's state with ID register 0x%x: %m",
                        from->registers[2]);
    }
    if (v->vm->time.stopped) {
        v->stopped_count = from->registers[LAPIC_TIMER_COUNT];
        v->stopped_deadline = from->tsc_deadline;
    } else if (msr_write(v, MSR_TSC_DEADLINE, from->tsc_deadline) != 0 && from->tsc_deadline) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                        "KVM refuses TSC deadline 0x%llx: the guest's CPUID lacks it",
                        (unsigned long long)from->tsc_deadline);
    }
    return 0;
}
