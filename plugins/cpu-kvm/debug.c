/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/debug.c - "bp.debug/1", by KVM_SET_GUEST_DEBUG (api.rst, 4.87).
 *
 * KVM steps by TF, which a guest can find set in flags that it, or an exception, pushes; and while
 * there are points the guest's own breakpoints do not stop it. A delivery is not a step of its own:
 * the first instruction of the handler is run with it.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define DR6_BS 0x4000u
#define DR7_FIXED 0x400u
#define RFLAGS_RF 0x10000u
#define VECTOR_BP 3u

#ifndef KVM_CAP_SET_GUEST_DEBUG2
#define KVM_CAP_SET_GUEST_DEBUG2 195
#endif
#ifndef KVM_GUESTDBG_BLOCKIRQ
#define KVM_GUESTDBG_BLOCKIRQ 0x00100000
#endif

static int arm(struct vcpu *v)
{
    if (ioctl(v->fd, KVM_SET_GUEST_DEBUG, &v->guest_debug))
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_SET_GUEST_DEBUG: %m");
    return 0;
}

/* The #DB of a breakpoint on an instruction leaves RF as it is, so that the instruction would meet
 * its point again (SDM 3B, 17.3.1.1). */
static int pass_points(struct vcpu *v)
{
    struct kvm_regs regs;

    v->debug_passes = false;
    if (ioctl(v->fd, KVM_GET_REGS, &regs))
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_REGS: %m");
    regs.rflags |= RFLAGS_RF;
    if (ioctl(v->fd, KVM_SET_REGS, &regs))
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_SET_REGS: %m");
    return 0;
}

int debug_begin(struct vcpu *v)
{
    int err = v->debug_passes ? pass_points(v) : 0;

    /* KVM keeps TF for the address that it was told of at, and for no other. */
    if (!err && v->debug.flags & BP_DEBUG_STEP)
        err = arm(v);
    return err;
}

static int debug_set(void *self, const struct bp_debug_request *request)
{
    struct kvm_guest_debug arg = {0};
    struct vcpu *v = self;
    const struct vm *vm = v->vm;

    if (!bp_debug_request_is_sound(request))
        return bp_failf(vm->host, vm->node, -EINVAL, "bp.debug/1: that request makes no sense");
    if (request->flags & BP_DEBUG_HOLD &&
        !(kvm_extension(vm->fd, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ))
        return bp_failf(vm->host, vm->node, -ENOTSUP,
                        "this host's KVM cannot hold interrupts while a guest is debugged: it "
                        "needs Linux 5.16 or later");
    if (request->flags || request->point_count)
        arg.control = KVM_GUESTDBG_ENABLE;
    if (request->flags & BP_DEBUG_STEP)
        arg.control |= KVM_GUESTDBG_SINGLESTEP;
    if (request->flags & BP_DEBUG_SOFTWARE)
        arg.control |= KVM_GUESTDBG_USE_SW_BP;
    if (request->flags & BP_DEBUG_HOLD)
        arg.control |= KVM_GUESTDBG_BLOCKIRQ;
    if (request->point_count) {
        arg.control |= KVM_GUESTDBG_USE_HW_BP;
        arg.arch.debugreg[7] = DR7_FIXED;
    }
    for (uint32_t n = 0; n < request->point_count; n++) {
        arg.arch.debugreg[n] = request->points[n].address;
        arg.arch.debugreg[7] |= bp_debug_dr7(&request->points[n], n);
    }
    v->guest_debug = arg;
    v->debug = *request;
    v->debug_stop = (struct bp_debug_stop){0};
    v->debug_passes &= request->point_count != 0;
    return arm(v);
}

/* KVM's emulator looks whether a step has ended only where it ends the instruction without an exit.
 * One that writes to a device it has ended before the exit, and what TF was set for is past by
 * then: the guest would run on. immediate_exit, which is looked at when an exit's instruction has
 * been finished, brings KVM back. Where KVM does stop by itself, which it does after OUT, that
 * comes first. */
void debug_write(struct vcpu *v)
{
    uint8_t none = 0;

    v->debug_wrote = true;
    __atomic_compare_exchange_n(&v->run->immediate_exit, &none, EXIT_AFTER_WRITE, false,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool debug_written(struct vcpu *v)
{
    uint8_t ours = EXIT_AFTER_WRITE;

    if (!v->debug_wrote)
        return false;
    v->debug_wrote = false;
    __atomic_compare_exchange_n(&v->run->immediate_exit, &ours, 0, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    v->debug_stop = (struct bp_debug_stop){.reasons = BP_DEBUG_BY_STEP};
    return true;
}

int debug_stopped(struct vcpu *v)
{
    const struct kvm_debug_exit_arch *arch = &v->run->debug.arch;
    struct bp_debug_stop *stop = &v->debug_stop;

    debug_written(v);
    *stop = (struct bp_debug_stop){0};
    if (arch->exception == VECTOR_BP) {
        stop->reasons = BP_DEBUG_BY_SOFTWARE;
        return BP_STOP_DEBUG;
    }
    if (arch->dr6 & DR6_BS || !v->debug.point_count)
        stop->reasons = BP_DEBUG_BY_STEP;
    stop->points = (uint32_t)arch->dr6 & ((1u << v->debug.point_count) - 1);
    if (stop->points)
        stop->reasons |= BP_DEBUG_BY_POINT;
    for (uint32_t n = 0; n < v->debug.point_count; n++)
        v->debug_passes |= stop->points >> n & 1 && v->debug.points[n].kind == BP_DEBUG_EXECUTE;
    return BP_STOP_DEBUG;
}

static void debug_why(void *self, struct bp_debug_stop *out)
{
    const struct vcpu *v = self;
    uint32_t size = out->size < sizeof(*out) ? out->size : (uint32_t)sizeof(*out);

    memcpy(out, &v->debug_stop, size);
    out->size = size;
}

const void *debug_table(void)
{
    static const struct bp_debug table = {
        .size = sizeof(table), .set = debug_set, .why = debug_why};

    return &table;
}
