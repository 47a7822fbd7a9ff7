/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/regs.c - the register sets of ext/x86.h, from and to the VMCS and the framework.
 */
#include "hvf.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>

static int bad(const struct vcpu *v, const char *set, const char *what)
{
    return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: %s", set, what);
}

/* ---- x86.gpr/1 ------------------------------------------------------------------------------ */

static int gpr_get(struct vcpu *v, void *regs)
{
    uint64_t *to = regs;

    for (uint32_t i = 0; i < 16; i++)
        to[i] = gpr_read(v, i);
    to[16] = field_read(v, VMX_RIP);
    to[17] = field_read(v, VMX_RFLAGS);
    return 0;
}

static int gpr_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_gpr *from = regs;
    const uint64_t *word = regs;

    if (from->rflags & ~(uint64_t)RFLAGS_DEFINED)
        return bad(v, BP_X86_GPR, "RFLAGS has bits set that no processor has");
    for (uint32_t i = 0; i < 16; i++)
        gpr_write(v, i, word[i]);
    field_write(v, VMX_RIP, from->rip);
    field_write(v, VMX_RFLAGS, from->rflags | 2);
    return 0;
}

/* ---- x86.sys/1 ------------------------------------------------------------------------------ */

static struct bp_x86_segment segment_get(const struct vcpu *v, uint32_t seg)
{
    uint64_t rights = field_read(v, VMX_ES_RIGHTS + 2 * seg);

    return (struct bp_x86_segment){
        .base = field_read(v, VMX_ES_BASE + 2 * seg),
        .limit = (uint32_t)field_read(v, VMX_ES_LIMIT + 2 * seg),
        .selector = (uint16_t)field_read(v, VMX_ES_SELECTOR + 2 * seg),
        .attributes = (uint16_t)(rights & RIGHTS_UNUSABLE ? rights & 0xf07f : rights & 0xf0ff)};
}

/* A segment that is not present is unusable. A limit that G could not give is of a descriptor
 * without G: what firmware, or another backend, has for 4 GiB - 1 is fine. */
static void segment_set(struct vcpu *v, uint32_t seg, const struct bp_x86_segment *s)
{
    uint32_t rights = s->attributes & 0xf0ff;

    if (!(rights & 0x80))
        rights |= RIGHTS_UNUSABLE;
    field_write(v, VMX_ES_BASE + 2 * seg, s->base);
    field_write(v, VMX_ES_LIMIT + 2 * seg, s->limit);
    field_write(v, VMX_ES_SELECTOR + 2 * seg, s->selector);
    field_write(v, VMX_ES_RIGHTS + 2 * seg, rights);
}

static int sys_get(struct vcpu *v, void *regs)
{
    struct bp_x86_sys *to = regs;
    struct bp_x86_segment *segment = &to->es;

    memset(to, 0, sizeof(*to));
    for (uint32_t i = 0; i < SEGS; i++)
        segment[i] = segment_get(v, i);
    to->gdt = (struct bp_x86_table){.base = field_read(v, VMX_GDTR_BASE),
                                    .limit = (uint16_t)field_read(v, VMX_GDTR_LIMIT)};
    to->idt = (struct bp_x86_table){.base = field_read(v, VMX_IDTR_BASE),
                                    .limit = (uint16_t)field_read(v, VMX_IDTR_LIMIT)};
    to->cr0 = cr0_read(v);
    to->cr2 = reg_read(v, HV_X86_CR2);
    to->cr3 = field_read(v, VMX_CR3);
    to->cr4 = cr4_read(v);
    to->cr8 = v->chip ? v->chip->cr8_get(v->chip_self, v->index) : 0;
    to->efer = field_read(v, VMX_EFER);
    to->xcr0 = reg_read(v, HV_X86_XCR0);
    msr_read(v, BP_IRQCHIP_MSR_APIC_BASE, &to->apic_base);
    for (uint32_t i = 0; i < 4; i++)
        to->dr[i] = dr_read(v, i);
    to->dr6 = dr_read(v, 6);
    to->dr7 = dr_read(v, 7);
    if (to->cr0 & CR0_PG && to->cr4 & CR4_PAE && !(to->efer & EFER_LMA))
        for (uint32_t i = 0; i < 4; i++)
            to->pdpte[i] = field_read(v, VMX_PDPTE0 + 2 * i);
    return 0;
}

static int sys_check(const struct vcpu *v, const struct bp_x86_sys *s)
{
    if (s->cr0 & CR0_PG && !(s->cr0 & CR0_PE))
        return bad(v, BP_X86_SYS, "CR0 has paging without protection");
    if (s->efer & EFER_LMA && !(s->cr0 & CR0_PG && s->cr4 & CR4_PAE && s->efer & EFER_LME))
        return bad(v, BP_X86_SYS, "EFER.LMA needs EFER.LME, CR0.PG and CR4.PAE");
    if (s->cs.attributes & 0x2000 && s->cs.attributes & 0x4000)
        return bad(v, BP_X86_SYS, "CS has both L and D set");
    return 0;
}

static int sys_set_apic_base(struct vcpu *v, uint64_t value)
{
    if (!value)
        return 0;
    if (v->chip && v->chip->apic_base_set(v->chip_self, v->index, value))
        return bad(v, BP_X86_SYS, "IA32_APIC_BASE has reserved bits set");
    v->apic_base = value;
    return 0;
}

static int sys_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_sys *from = regs;
    const struct bp_x86_segment *segment = &from->es;
    int err = sys_check(v, from);

    if (!err && from->xcr0 && hv_vcpu_write_register(v->id, HV_X86_XCR0, from->xcr0) != HV_SUCCESS)
        err = bad(v, BP_X86_SYS, "XCR0 has states that this processor lacks");
    if (!err)
        err = sys_set_apic_base(v, from->apic_base);
    if (err)
        return err;
    for (uint32_t i = 0; i < SEGS; i++)
        segment_set(v, i, &segment[i]);
    field_write(v, VMX_GDTR_BASE, from->gdt.base);
    field_write(v, VMX_GDTR_LIMIT, from->gdt.limit);
    field_write(v, VMX_IDTR_BASE, from->idt.base);
    field_write(v, VMX_IDTR_LIMIT, from->idt.limit);
    efer_put(v, from->efer);
    cr0_put(v, from->cr0);
    cr4_put(v, from->cr4);
    reg_write(v, HV_X86_CR2, from->cr2);
    field_write(v, VMX_CR3, from->cr3);
    for (uint32_t i = 0; i < 4; i++) {
        dr_write(v, i, from->dr[i]);
        field_write(v, VMX_PDPTE0 + 2 * i, from->pdpte[i]);
    }
    dr_write(v, 6, from->dr6);
    dr_write(v, 7, from->dr7 | 0x400);
    if (v->chip)
        v->chip->cr8_set(v->chip_self, v->index, from->cr8);
    return 0;
}

/* ---- x86.fpu/1 ------------------------------------------------------------------------------ */

/* The framework's area is of XSAVE's standard format, too. */
#define XSAVE_LEGACY 512u
#define XSAVE_HEADER_END 576u
#define XSAVE_AVX_END 832u
#define FRAMEWORK_BYTES 4096u

static int fpu_get(struct vcpu *v, void *regs)
{
    uint8_t area[FRAMEWORK_BYTES] __attribute__((aligned(64))) = {0};
    struct bp_x86_fpu *to = regs;

    memset(to, 0, sizeof(*to));
    if (hv_vcpu_read_fpstate(v->id, area, sizeof(area)) != HV_SUCCESS)
        return bad(v, BP_X86_FPU, "Hypervisor.framework does not give the state");
    to->length = cpuid_xcr0(v) & 4 ? XSAVE_AVX_END : XSAVE_HEADER_END;
    memcpy(to->area, area, to->length);
    bp_put_le64(to->area + XSAVE_LEGACY,
                bp_le64(area + XSAVE_LEGACY) & (to->length == XSAVE_AVX_END ? 7u : 3u));
    memset(to->area + XSAVE_LEGACY + 8, 0, 56);
    return 0;
}

static int fpu_set(struct vcpu *v, const void *regs)
{
    uint8_t area[FRAMEWORK_BYTES] __attribute__((aligned(64))) = {0};
    const struct bp_x86_fpu *from = regs;
    uint64_t present;

    if (from->length < XSAVE_HEADER_END || from->length > sizeof(from->area))
        return bad(v, BP_X86_FPU, "its length is not that of an XSAVE area");
    if (bp_le64(from->area + XSAVE_LEGACY + 8))
        return bad(v, BP_X86_FPU,
                   "the area is in compacted format, and the standard one is needed");
    present = bp_le64(from->area + XSAVE_LEGACY);
    if (present & ~(uint64_t)7)
        return bad(v, BP_X86_FPU, "it has components that this processor lacks");
    memcpy(area, from->area, from->length < XSAVE_AVX_END ? from->length : XSAVE_AVX_END);
    if (hv_vcpu_write_fpstate(v->id, area, sizeof(area)) != HV_SUCCESS)
        return bad(v, BP_X86_FPU, "MXCSR has reserved bits set");
    return 0;
}

/* ---- x86.msr/1 ------------------------------------------------------------------------------ */

/* All that hold state. */
static const uint32_t msrs[] = {
    0x10,       0x3b,       0x174,      0x175,      0x176,      0x1a0,      0x277, 0x2ff, 0x200,
    0x201,      0x202,      0x203,      0x204,      0x205,      0x206,      0x207, 0x208, 0x209,
    0x20a,      0x20b,      0x20c,      0x20d,      0x20e,      0x20f,      0x250, 0x258, 0x259,
    0x268,      0x269,      0x26a,      0x26b,      0x26c,      0x26d,      0x26e, 0x26f, 0x6e0,
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103,
};

static int msr_get(struct vcpu *v, void *regs)
{
    struct bp_x86_msrs *to = regs;

    memset(to, 0, sizeof(*to));
    for (uint32_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        struct bp_x86_msr *m = &to->msrs[to->count];

        m->index = msrs[i];
        if (msr_read(v, m->index, &m->value) == 0)
            to->count++;
    }
    return 0;
}

/* IA32_TSC_ADJUST is told, and the TSC stays: it has an entry of its own. */
static int msr_put(struct vcpu *v, uint32_t index, uint64_t value)
{
    int err;

    if (index == 0x3b) {
        v->msrs.tsc_adjust = value;
        return 0;
    }
    if (index == 0x10) {
        uint64_t adjust = v->msrs.tsc_adjust;

        err = msr_write(v, index, value);
        v->msrs.tsc_adjust = adjust;
        return err;
    }
    return msr_write(v, index, value);
}

static int msr_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_msrs *from = regs;

    if (from->count > BP_X86_MSRS_MAX)
        return bad(v, BP_X86_MSR, "it has more than 512 MSRs");
    for (uint32_t i = 0; i < from->count; i++) {
        if (msr_put(v, from->msrs[i].index, from->msrs[i].value))
            return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: MSR 0x%x does not take 0x%llx",
                            BP_X86_MSR, from->msrs[i].index,
                            (unsigned long long)from->msrs[i].value);
    }
    return 0;
}

/* ---- x86.events/1, x86.mp/1 ----------------------------------------------------------------- */

static int events_get(struct vcpu *v, void *regs)
{
    uint64_t blocked = field_read(v, VMX_INTERRUPTIBILITY);
    uint64_t debug = field_read(v, VMX_PENDING_DEBUG);
    uint32_t type = v->inject.info & INTERRUPTION_TYPE;
    struct bp_x86_events *to = regs;

    memset(to, 0, sizeof(*to));
    to->shadow = blocked & 3;
    to->nmi_masked = (blocked & BLOCKED_BY_NMI) != 0;
    to->triple_fault_pending = v->shutdown;
    if (v->inject.info && (type == INTERRUPTION_EXCEPTION || type > INTERRUPTION_SOFTWARE)) {
        to->exception = BP_X86_EVENT_INJECTED;
        to->exception_vector = v->inject.info & INTERRUPTION_VECTOR;
        to->exception_has_error = (v->inject.info & INTERRUPTION_HAS_ERROR) != 0;
        to->exception_error = v->inject.error;
    } else if (v->inject.info && type == INTERRUPTION_NMI) {
        to->nmi_injected = 1;
    } else if (v->inject.info) {
        to->interrupt = BP_X86_EVENT_INJECTED;
        to->interrupt_vector = v->inject.info & INTERRUPTION_VECTOR;
        to->interrupt_soft = type == INTERRUPTION_SOFTWARE;
    } else if (debug) {
        to->exception = BP_X86_EVENT_PENDING;
        to->exception_vector = EXC_DB;
        to->exception_has_payload = 1;
        to->exception_payload = debug & 0x400f;
    }
    if (v->chip) {
        uint32_t pending = __atomic_load_n(v->view.pending, __ATOMIC_ACQUIRE);

        to->nmi_pending = (pending & BP_IRQCHIP_NMI) != 0;
        to->smi_pending = (pending & BP_IRQCHIP_SMI) != 0;
    }
    return 0;
}

static void exception_set(struct vcpu *v, const struct bp_x86_events *from)
{
    if (from->exception_has_payload && from->exception_vector == EXC_PF)
        reg_write(v, HV_X86_CR2, from->exception_payload);
    if (from->exception_has_payload && from->exception_vector == EXC_DB)
        reg_write(v, HV_X86_DR6, reg_read(v, HV_X86_DR6) | from->exception_payload);
    if (from->exception_has_error)
        exit_raise_error(v, from->exception_vector, from->exception_error);
    else
        exit_raise(v, from->exception_vector);
}

static int events_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_events *from = regs;

    if (from->exception > BP_X86_EVENT_INJECTED || (from->exception && from->exception_vector > 31))
        return bad(v, BP_X86_EVENTS, "that exception does not exist");
    if (from->smm || from->smi_pending)
        return bad(v, BP_X86_EVENTS, "this processor has no system management mode");
    v->inject = (struct injection){0};
    field_write(v, VMX_PENDING_DEBUG, 0);
    /* Hardware has one kind at a time. */
    field_write(v, VMX_INTERRUPTIBILITY,
                (from->shadow & 2 ? BLOCKED_BY_MOV_SS : from->shadow & 1) |
                    (from->nmi_masked ? BLOCKED_BY_NMI : 0));
    v->shutdown = from->triple_fault_pending != 0;
    if (from->nmi_pending && v->chip)
        v->chip->post(v->chip_self, v->index, BP_IRQCHIP_NMI, 0);
    if (from->nmi_injected)
        v->inject.info = 2 | INTERRUPTION_NMI | INTERRUPTION_VALID;
    else if (from->exception)
        exception_set(v, from);
    else if (from->interrupt)
        v->inject = (struct injection){
            .info = from->interrupt_vector | INTERRUPTION_VALID |
                    (from->interrupt_soft ? INTERRUPTION_SOFTWARE : INTERRUPTION_EXTERNAL),
            .length = 2};
    return 0;
}

static int mp_get(struct vcpu *v, void *regs)
{
    struct bp_x86_mp *to = regs;

    to->state = v->mp_state == BP_X86_MP_RUNNABLE && v->halted ? BP_X86_MP_HALTED : v->mp_state;
    to->reserved = 0;
    return 0;
}

static int mp_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_mp *from = regs;

    if (from->state > BP_X86_MP_SIPI)
        return bad(v, BP_X86_MP, "there is no such state");
    v->halted = from->state == BP_X86_MP_HALTED;
    v->mp_state = from->state == BP_X86_MP_HALTED ? BP_X86_MP_RUNNABLE
                  : from->state == BP_X86_MP_SIPI ? BP_X86_MP_WAIT_SIPI
                                                  : from->state;
    return 0;
}

/* ---- by name -------------------------------------------------------------------------------- */

static int cpuid_get(struct vcpu *v, void *regs)
{
    memcpy(regs, &v->cpuid, sizeof(v->cpuid));
    return 0;
}

static int cpuid_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_cpuid *from = regs;

    if (from->count > BP_X86_CPUID_MAX)
        return bad(v, BP_X86_CPUID, "it has more than 256 leaves");
    cpuid_take(v, from);
    return 0;
}

static const struct {
    const char *name;
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
    {BP_X86_CPUID, sizeof(struct bp_x86_cpuid), cpuid_get, cpuid_set},
};

static int find_set(const struct vcpu *v, const char *name, uint32_t size)
{
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (strcmp(sets[i].name, name) != 0)
            continue;
        if (sets[i].size != size)
            return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s has %u bytes, not %u", name,
                            sets[i].size, size);
        return (int)i;
    }
    return -ENOENT;
}

int regs_get(void *self, const char *set, void *regs, uint32_t size)
{
    struct vcpu *v = self;
    int i;

    if (strcmp(set, BP_X86_LAPIC) == 0 && v->chip)
        return v->chip->state_get(v->chip_self, v->index, set, regs, size);
    i = find_set(v, set, size);
    return i < 0 ? i : sets[i].get(v, regs);
}

int regs_set(void *self, const char *set, const void *regs, uint32_t size)
{
    struct vcpu *v = self;
    int i;

    if (strcmp(set, BP_X86_LAPIC) == 0 && v->chip)
        return v->chip->state_set(v->chip_self, v->index, set, regs, size);
    i = find_set(v, set, size);
    return i < 0 ? i : sets[i].set(v, regs);
}
