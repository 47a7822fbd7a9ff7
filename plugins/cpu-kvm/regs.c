/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/regs.c - the register sets by name, and the two plainest: general registers and FPU.
 *
 * After api.rst: KVM_GET_REGS, KVM_SET_REGS, KVM_GET_XSAVE, KVM_GET_XSAVE2, KVM_SET_XSAVE. A set
 * may be written alone and in any order, except that x86.cpuid/1 comes first, and x86.sys/1 before
 * x86.lapic/1, whose format IA32_APIC_BASE decides.
 */
#include "kvm.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- by name -------------------------------------------------------------------------------- */

static const struct {
    const char *id;
    uint32_t size;
    int (*get)(struct vcpu *v, void *regs);
    int (*set)(struct vcpu *v, const void *regs);
} sets[] = {
    {BP_X86_GPR, sizeof(struct bp_x86_gpr), gpr_get, gpr_set},
    {BP_X86_SYS, sizeof(struct bp_x86_sys), sys_get, sys_set},
    {BP_X86_FPU, sizeof(struct bp_x86_fpu), fpu_get, fpu_set},
    {BP_X86_MSR, sizeof(struct bp_x86_msrs), msr_get, msr_set},
    {BP_X86_EVENTS, sizeof(struct bp_x86_events), events_get, events_set},
    {BP_X86_MP, sizeof(struct bp_x86_mp), mp_get, mp_set},
    {BP_X86_LAPIC, sizeof(struct bp_x86_lapic), lapic_get, lapic_set},
    {BP_X86_CPUID, sizeof(struct bp_x86_cpuid), cpuid_get, cpuid_set},
};

/* The index of a set, or -errno. */
static int find_set(struct vcpu *v, const char *set, uint32_t size)
{
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (strcmp(set, sets[i].id) == 0) {
            if (size != sets[i].size) {
                return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s has %u bytes, not %u", set,
                                sets[i].size, size);
            }
            return (int)i;
        }
    }
    return -ENOENT;
}

int regs_get(void *self, const char *set, void *regs, uint32_t size)
{
    struct vcpu *v = self;
    int i = find_set(v, set, size);

    if (i < 0)
        return i;
    memset(regs, 0, size);
    return sets[i].get(v, regs);
}

int regs_set(void *self, const char *set, const void *regs, uint32_t size)
{
    struct vcpu *v = self;
    int i = find_set(v, set, size);

    if (i < 0)
        return i;
    v->touched = true;
    return sets[i].set(v, regs);
}

/* ---- x86.gpr/1 ------------------------------------------------------------------------------ */

#define RFLAGS_FIXED 0x2u
#define RFLAGS_DEFINED UINT64_C(0x3f7fd7) /* SDM 1, 3.4.3 */

int gpr_get(struct vcpu *v, void *regs)
{
    struct bp_x86_gpr *to = regs;
    struct kvm_regs from;

    if (ioctl(v->fd, KVM_GET_REGS, &from) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_REGS failed: %m");
    *to = (struct bp_x86_gpr){
        .rax = from.rax,
        .rcx = from.rcx,
        .rdx = from.rdx,
        .rbx = from.rbx,
        .rsp = from.rsp,
        .rbp = from.rbp,
        .rsi = from.rsi,
        .rdi = from.rdi,
        .r8 = from.r8,
        .r9 = from.r9,
        .r10 = from.r10,
        .r11 = from.r11,
        .r12 = from.r12,
        .r13 = from.r13,
        .r14 = from.r14,
        .r15 = from.r15,
        .rip = from.rip,
        .rflags = from.rflags,
    };
    return 0;
}

int gpr_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_gpr *from = regs;
    struct kvm_regs to = {
        .rax = from->rax,
        .rcx = from->rcx,
        .rdx = from->rdx,
        .rbx = from->rbx,
        .rsp = from->rsp,
        .rbp = from->rbp,
        .rsi = from->rsi,
        .rdi = from->rdi,
        .r8 = from->r8,
        .r9 = from->r9,
        .r10 = from->r10,
        .r11 = from->r11,
        .r12 = from->r12,
        .r13 = from->r13,
        .r14 = from->r14,
        .r15 = from->r15,
        .rip = from->rip,
        .rflags = from->rflags | RFLAGS_FIXED,
    };
    struct bp_x86_events events;
    int err;

    if (from->rflags & ~RFLAGS_DEFINED) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                        "RFLAGS 0x%llx has bits set that no processor has",
                        (unsigned long long)from->rflags);
    }
    /* KVM_SET_REGS drops an exception that waits to be delivered, which is another set's. */
    err = events_get(v, &events);
    if (err)
        return err;
    if (ioctl(v->fd, KVM_SET_REGS, &to) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_SET_REGS failed: %m");
    return events.exception ? events_set(v, &events) : 0;
}

/* ---- x86.fpu/1 ------------------------------------------------------------------------------ */

#define XSAVE_MIN 576u      /* legacy region and header (SDM 1, 13.4) */
#define XSAVE_XCOMP_BV 520u /* SDM 1, 13.4.2 */
#define XCOMP_COMPACTED (UINT64_C(1) << 63)
#define XSAVE_LEAF 0xdu

/* Bytes that the components of the guest's CPUID leaf 0xD take: those in XCR0 and not in IA32_XSS,
 * whose state is in MSRs. */
static uint32_t fpu_length(const struct vcpu *v)
{
    uint64_t length = XSAVE_MIN;

    for (uint32_t i = 0; i < v->cpuid.count; i++) {
        const struct bp_x86_cpuid_leaf *c = &v->cpuid.leaves[i];

        if (c->leaf == XSAVE_LEAF && c->subleaf >= 2 && !(c->ecx & 1) && c->eax != 0 &&
            (uint64_t)c->ebx + c->eax > length)
            length = (uint64_t)c->ebx + c->eax;
    }
    return length < v->vm->xsave_bytes ? (uint32_t)length : v->vm->xsave_bytes;
}

int fpu_get(struct vcpu *v, void *regs)
{
    struct bp_x86_fpu *to = regs;
    uint32_t bytes = v->vm->xsave_bytes;
    struct kvm_xsave *from = calloc(1, bytes);
    int err = 0;

    if (!from)
        return bp_failf(v->vm->host, v->vm->node, -ENOMEM, "out of memory");
    if (ioctl(v->fd, bytes > sizeof(*from) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, from) != 0) {
        err = bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_XSAVE failed: %m");
    } else if (fpu_length(v) > sizeof(to->area)) {
        err = bp_failf(v->vm->host, v->vm->node, -EINVAL,
                       "the guest's XSAVE area has %u bytes, more "
                       "than the %zu of %s",
                       fpu_length(v), sizeof(to->area), BP_X86_FPU);
    } else {
        to->length = fpu_length(v);
        memcpy(to->area, from, to->length);
    }
    free(from);
    return err;
}

int fpu_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_fpu *from = regs;
    uint32_t bytes = v->vm->xsave_bytes;
    struct kvm_xsave *to;
    int err = 0;

    if (from->length < XSAVE_MIN || from->length > sizeof(from->area)) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                        "%s: a length of %llu is not within %u and %zu", BP_X86_FPU,
                        (unsigned long long)from->length, XSAVE_MIN, sizeof(from->area));
    }
    if (bp_le64(from->area + XSAVE_XCOMP_BV) & XCOMP_COMPACTED) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                        "%s: the area is in compacted format, and the standard one is needed",
                        BP_X86_FPU);
    }
    for (uint64_t i = bytes; i < from->length; i++) {
        if (from->area[i] != 0) {
            return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                            "%s: this host saves %u bytes, and byte %llu is in use", BP_X86_FPU,
                            bytes, (unsigned long long)i);
        }
    }
    to = calloc(1, bytes);
    if (!to)
        return bp_failf(v->vm->host, v->vm->node, -ENOMEM, "out of memory");
    memcpy(to, from->area, from->length < bytes ? from->length : bytes);
    if (ioctl(v->fd, KVM_SET_XSAVE, to) != 0) {
        err = bp_failf(v->vm->host, v->vm->node, -errno,
                       "KVM_SET_XSAVE refuses the state: it has components that this host or guest "
                       "lacks, or reserved bits of MXCSR");
    }
    free(to);
    return err;
}
