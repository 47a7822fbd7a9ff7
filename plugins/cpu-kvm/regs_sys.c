/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/regs_sys.c - x86.sys/1: segments, tables, control and debug registers, XCR0, EFER.
 *
 * After api.rst: KVM_GET_SREGS, KVM_GET_SREGS2, KVM_GET_DEBUGREGS, KVM_GET_XCRS, and their
 * KVM_SET_*. Where KVM has no SREGS2 (before Linux 5.14) the PAE page directory pointers read as 0,
 * and are loaded from memory when set.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PAE (UINT64_C(1) << 5)
#define EFER_LMA (UINT64_C(1) << 10)
#define XCR0_X87 1u

/* struct kvm_sregs and kvm_sregs2 are equal up to apic_base: one conversion serves both. */
_Static_assert(offsetof(struct kvm_sregs, apic_base) == offsetof(struct kvm_sregs2, apic_base),
               "common part of kvm_sregs and kvm_sregs2");
#define SREGS_COMMON (offsetof(struct kvm_sregs, apic_base) + sizeof(uint64_t))

static struct bp_x86_segment segment_get(const struct kvm_segment *s)
{
    unsigned present = s->present && !s->unusable;

    return (struct bp_x86_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .attributes = (uint16_t)((s->type & 15u) | (s->s & 1u) << 4 | (s->dpl & 3u) << 5 |
                                 present << 7 | (s->avl & 1u) << 12 | (s->l & 1u) << 13 |
                                 (s->db & 1u) << 14 | (s->g & 1u) << 15),
    };
}

static struct kvm_segment segment_set(const struct bp_x86_segment *s)
{
    unsigned a = s->attributes;

    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = a & 15,
        .s = a >> 4 & 1,
        .dpl = a >> 5 & 3,
        .present = a >> 7 & 1,
        .unusable = !(a >> 7 & 1),
        .avl = a >> 12 & 1,
        .l = a >> 13 & 1,
        .db = a >> 14 & 1,
        .g = a >> 15 & 1,
    };
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

static int sregs_read(struct vcpu *v, struct kvm_sregs2 *s)
{
    struct kvm_sregs old;

    if (v->vm->has_sregs2) {
        if (ioctl(v->fd, KVM_GET_SREGS2, s) != 0)
            return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_SREGS2 failed: %m");
        return 0;
    }
    if (ioctl(v->fd, KVM_GET_SREGS, &old) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_SREGS failed: %m");
    memset(s, 0, sizeof(*s));
    memcpy(s, &old, SREGS_COMMON);
    return 0;
}

static int sregs_write(struct vcpu *v, const struct kvm_sregs2 *s)
{
    struct kvm_sregs old;
    int result;

    if (v->vm->has_sregs2) {
        result = ioctl(v->fd, KVM_SET_SREGS2, s);
    } else {
        memset(&old, 0, sizeof(old)); /* no interrupt in its bitmap: x86.events/1 has that */
        memcpy(&old, s, SREGS_COMMON);
        result = ioctl(v->fd, KVM_SET_SREGS, &old);
    }
    if (result != 0) {
        return bp_failf(
            v->vm->host, v->vm->node, -errno,
            "KVM refuses the state cr0 0x%llx cr3 0x%llx cr4 0x%llx efer 0x%llx apic_base "
            "0x%llx: %m",
            s->cr0, s->cr3, s->cr4, s->efer, s->apic_base);
    }
    return 0;
}

static int xcr0_get(struct vcpu *v, uint64_t *value)
{
    struct kvm_xcrs xcrs;

    *value = XCR0_X87;
    if (!v->vm->has_xcrs)
        return 0;
    if (ioctl(v->fd, KVM_GET_XCRS, &xcrs) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_XCRS failed: %m");
    for (uint32_t i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++)
        if (xcrs.xcrs[i].xcr == 0)
            *value = xcrs.xcrs[i].value;
    return 0;
}

static int xcr0_set(struct vcpu *v, uint64_t value)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = value}}};
    uint64_t now;
    int err = xcr0_get(v, &now);

    if (err || now == value)
        return err;
    if (!v->vm->has_xcrs || ioctl(v->fd, KVM_SET_XCRS, &xcrs) != 0) {
        return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                        "KVM refuses XCR0 0x%llx: the guest's CPUID or this host lacks a component",
                        (unsigned long long)value);
    }
    return 0;
}

int sys_get(struct vcpu *v, void *regs)
{
    struct bp_x86_sys *to = regs;
    struct kvm_sregs2 s = {0};
    struct kvm_debugregs debug;
    int err = sregs_read(v, &s);

    if (err)
        return err;
    if (ioctl(v->fd, KVM_GET_DEBUGREGS, &debug) != 0)
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM_GET_DEBUGREGS failed: %m");
    *to = (struct bp_x86_sys){
        .es = segment_get(&s.es),
        .cs = segment_get(&s.cs),
        .ss = segment_get(&s.ss),
        .ds = segment_get(&s.ds),
        .fs = segment_get(&s.fs),
        .gs = segment_get(&s.gs),
        .ldt = segment_get(&s.ldt),
        .tr = segment_get(&s.tr),
        .gdt = {.base = s.gdt.base, .limit = s.gdt.limit},
        .idt = {.base = s.idt.base, .limit = s.idt.limit},
        .cr0 = s.cr0,
        .cr2 = s.cr2,
        .cr3 = s.cr3,
        .cr4 = s.cr4,
        .cr8 = s.cr8,
        .efer = s.efer,
        .apic_base = s.apic_base,
        .dr6 = debug.dr6,
        .dr7 = debug.dr7,
    };
    memcpy(to->dr, debug.db, sizeof(to->dr));
    if (pae_paging(s.cr0, s.cr4, s.efer) && (s.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID))
        memcpy(to->pdpte, s.pdptrs, sizeof(to->pdpte));
    return xcr0_get(v, &to->xcr0);
}

int sys_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_sys *from = regs;
    struct kvm_debugregs debug = {.dr6 = from->dr6, .dr7 = from->dr7};
    struct kvm_sregs2 s = {0};
    int err = sregs_read(v, &s);

    if (err)
        return err;
    s = (struct kvm_sregs2){
        .es = segment_set(&from->es),
        .cs = segment_set(&from->cs),
        .ss = segment_set(&from->ss),
        .ds = segment_set(&from->ds),
        .fs = segment_set(&from->fs),
        .gs = segment_set(&from->gs),
        .ldt = segment_set(&from->ldt),
        .tr = segment_set(&from->tr),
        .gdt = {.base = from->gdt.base, .limit = from->gdt.limit},
        .idt = {.base = from->idt.base, .limit = from->idt.limit},
        .cr0 = from->cr0,
        .cr2 = from->cr2,
        .cr3 = from->cr3,
        .cr4 = from->cr4,
        .cr8 = from->cr8,
        .efer = from->efer,
        .apic_base = from->apic_base ? from->apic_base : s.apic_base,
    };
    if (pae_paging(s.cr0, s.cr4, s.efer)) {
        s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
        memcpy(s.pdptrs, from->pdpte, sizeof(s.pdptrs));
    }
    err = sregs_write(v, &s);
    if (err)
        return err;
    memcpy(debug.db, from->dr, sizeof(debug.db));
    if (ioctl(v->fd, KVM_SET_DEBUGREGS, &debug) != 0) {
        return bp_failf(v->vm->host, v->vm->node, -errno, "KVM refuses dr6 0x%llx dr7 0x%llx: %m",
                        (unsigned long long)from->dr6, (unsigned long long)from->dr7);
    }
    /* 0 is no value that XCR0 can have; a loader that fills in the struct leaves it so. */
    return from->xcr0 ? xcr0_set(v, from->xcr0) : 0;
}
