/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/regs.c - the register sets of ext/x86.h, from and to struct cpu.
 */
#include "interp.h"

#include "engine/mmu/tlb.h"
#include "engine/ops/flags.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>

#define RFLAGS_DEFINED UINT64_C(0x3f7fd7) /* SDM 1, 3.4.3 */

static int bad(const struct vcpu *v, const char *set, const char *what)
{
    return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: %s", set, what);
}

/* ---- x86.gpr/1 ------------------------------------------------------------------------------ */

static int gpr_get(struct vcpu *v, void *regs)
{
    struct bp_x86_gpr *to = regs;

    memcpy(to, v->cpu->reg, 16 * sizeof(uint64_t));
    to->rip = v->cpu->rip;
    to->rflags = cpu_rflags(v->cpu);
    return 0;
}

static int gpr_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_gpr *from = regs;

    if (from->rflags & ~RFLAGS_DEFINED)
        return bad(v, BP_X86_GPR, "RFLAGS has bits set that no processor has");
    memcpy(v->cpu->reg, from, 16 * sizeof(uint64_t));
    v->cpu->rip = from->rip;
    cpu_rflags_set(v->cpu, from->rflags | FLAG_ONE);
    cpu_mode_changed(v->cpu);
    return 0;
}

/* ---- x86.sys/1 ------------------------------------------------------------------------------ */

static struct bp_x86_segment segment_get(const struct segment *s)
{
    return (struct bp_x86_segment){s->base, s->limit, s->selector, s->attributes};
}

static struct segment segment_set(const struct bp_x86_segment *s)
{
    return (struct segment){s->base, s->limit, s->selector, s->attributes};
}

static int sys_get(struct vcpu *v, void *regs)
{
    const struct cpu *c = v->cpu;
    struct bp_x86_sys *to = regs;

    *to = (struct bp_x86_sys){
        .es = segment_get(&c->seg[SEG_ES]),
        .cs = segment_get(&c->seg[SEG_CS]),
        .ss = segment_get(&c->seg[SEG_SS]),
        .ds = segment_get(&c->seg[SEG_DS]),
        .fs = segment_get(&c->seg[SEG_FS]),
        .gs = segment_get(&c->seg[SEG_GS]),
        .ldt = segment_get(&c->seg[SEG_LDT]),
        .tr = segment_get(&c->seg[SEG_TR]),
        .gdt = {.base = c->gdt.base, .limit = (uint16_t)c->gdt.limit},
        .idt = {.base = c->idt.base, .limit = (uint16_t)c->idt.limit},
        .cr0 = c->cr0,
        .cr2 = c->cr2,
        .cr3 = c->cr3,
        .cr4 = c->cr4,
        .cr8 = c->chip ? c->chip->cr8_get(c->chip_self, c->index) : 0,
        .efer = c->efer,
        .xcr0 = c->xcr0,
        .apic_base = c->apic_base,
        .dr6 = c->dr6,
        .dr7 = c->dr7,
    };
    memcpy(to->dr, c->dr, sizeof(to->dr));
    if (c->cr0 & CR0_PG && c->cr4 & CR4_PAE && !(c->efer & EFER_LMA))
        memcpy(to->pdpte, c->pdpte, sizeof(to->pdpte));
    return 0;
}

static int sys_check(const struct vcpu *v, const struct bp_x86_sys *s)
{
    if (s->cr0 & CR0_PG && !(s->cr0 & CR0_PE))
        return bad(v, BP_X86_SYS, "CR0 has paging without protection");
    if (s->efer & EFER_LMA && !(s->cr0 & CR0_PG && s->cr4 & CR4_PAE && s->efer & EFER_LME))
        return bad(v, BP_X86_SYS, "EFER.LMA needs EFER.LME, CR0.PG and CR4.PAE");
    if (s->cs.attributes & SEG_L && s->cs.attributes & SEG_DB)
        return bad(v, BP_X86_SYS, "CS has both L and D set");
    return 0;
}

static int sys_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_sys *from = regs;
    struct cpu *c = v->cpu;
    int err = sys_check(v, from);

    if (err)
        return err;
    if (c->chip && from->apic_base) {
        err = c->chip->apic_base_set(c->chip_self, c->index, from->apic_base);
        if (err)
            return bad(v, BP_X86_SYS, "IA32_APIC_BASE has reserved bits set");
    }
    if (from->apic_base)
        c->apic_base = from->apic_base;
    c->seg[SEG_ES] = segment_set(&from->es);
    c->seg[SEG_CS] = segment_set(&from->cs);
    c->seg[SEG_SS] = segment_set(&from->ss);
    c->seg[SEG_DS] = segment_set(&from->ds);
    c->seg[SEG_FS] = segment_set(&from->fs);
    c->seg[SEG_GS] = segment_set(&from->gs);
    c->seg[SEG_LDT] = segment_set(&from->ldt);
    c->seg[SEG_TR] = segment_set(&from->tr);
    c->gdt = (struct table){.base = from->gdt.base, .limit = from->gdt.limit};
    c->idt = (struct table){.base = from->idt.base, .limit = from->idt.limit};
    c->cr0 = from->cr0;
    c->cr2 = from->cr2;
    c->cr3 = from->cr3;
    c->cr4 = from->cr4;
    c->efer = from->efer;
    if (from->xcr0)
        c->xcr0 = from->xcr0;
    c->dr6 = from->dr6;
    c->dr7 = from->dr7;
    memcpy(c->dr, from->dr, sizeof(c->dr));
    memcpy(c->pdpte, from->pdpte, sizeof(c->pdpte));
    c->cpl = c->cr0 & CR0_PE ? (uint8_t)(from->ss.attributes >> SEG_DPL_SHIFT & 3) : 0;
    if (c->chip)
        c->chip->cr8_set(c->chip_self, c->index, from->cr8);
    cpu_mode_changed(c);
    tlb_flush(c);
    return 0;
}

/* ---- x86.fpu/1 ------------------------------------------------------------------------------ */

/* XSAVE's standard format (SDM 1, 13.4). */
#define XSAVE_LEGACY 512u
#define XSAVE_HEADER_END 576u
#define XSAVE_AVX_BYTES 256u
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u

static int fpu_get(struct vcpu *v, void *regs)
{
    struct bp_x86_fpu *to = regs;
    struct cpu *c = v->cpu;
    uint64_t present = XCR0_X87 | XCR0_SSE;

    memset(to, 0, sizeof(*to));
    fpu_image_get(c, to->area);
    for (uint32_t i = 0; i < 16; i++) {
        memcpy(to->area + XSAVE_HEADER_END + (size_t)i * 16, &c->v[i].u8[16], 16);
        if (c->v[i].u64[2] | c->v[i].u64[3])
            present |=
                XCR0_AVX; /* else it is in its initial state, which processors without AVX take */
    }
    bp_put_le64(to->area + XSAVE_LEGACY, present);
    to->length = XSAVE_HEADER_END + XSAVE_AVX_BYTES;
    return 0;
}

static int fpu_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_fpu *from = regs;
    struct cpu *c = v->cpu;
    uint64_t present;

    if (from->length < XSAVE_HEADER_END || from->length > sizeof(from->area))
        return bad(v, BP_X86_FPU, "its length is not that of an XSAVE area");
    if (bp_le64(from->area + XSAVE_LEGACY + 8))
        return bad(v, BP_X86_FPU,
                   "the area is in compacted format, and the standard one is needed");
    present = bp_le64(from->area + XSAVE_LEGACY);
    if (present & ~(uint64_t)(XCR0_X87 | XCR0_SSE | XCR0_AVX))
        return bad(v, BP_X86_FPU, "it has components that this processor lacks");
    if (fpu_image_set(c, from->area))
        return bad(v, BP_X86_FPU, "MXCSR has reserved bits set");
    for (uint32_t i = 0; i < 16; i++) {
        memset(&c->v[i].u8[16], 0, 16);
        if (present & XCR0_AVX && from->length >= XSAVE_HEADER_END + XSAVE_AVX_BYTES)
            memcpy(&c->v[i].u8[16], from->area + XSAVE_HEADER_END + (size_t)i * 16, 16);
    }
    return 0;
}

/* ---- x86.msr/1 ------------------------------------------------------------------------------ */

/* All that hold state. */
static const uint32_t msrs[] = {
    0x10,       0x3b,       0x48,       0x174,      0x175,      0x176,      0x1a0,      0x277,
    0x2ff,      0x200,      0x201,      0x202,      0x203,      0x204,      0x205,      0x206,
    0x207,      0x208,      0x209,      0x20a,      0x20b,      0x20c,      0x20d,      0x20e,
    0x20f,      0x250,      0x258,      0x259,      0x268,      0x269,      0x26a,      0x26b,
    0x26c,      0x26d,      0x26e,      0x26f,      0x6e0,      0x4b564d00, 0x4b564d01, 0xc0000081,
    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103,
};

static int msr_list_get(struct vcpu *v, void *regs)
{
    struct bp_x86_msrs *to = regs;

    memset(to, 0, sizeof(*to));
    for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        struct bp_x86_msr *m = &to->msrs[to->count];
        m->index = msrs[i];
        if (msr_get(v->cpu, m->index, &m->value) == 0)
            to->count++;
    }
    return 0;
}

static int msr_list_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_msrs *from = regs;

    if (from->count > BP_X86_MSRS_MAX)
        return bad(v, BP_X86_MSR, "it has more than 512 MSRs");
    for (uint32_t i = 0; i < from->count; i++) {
        if (msr_restore(v->cpu, from->msrs[i].index, from->msrs[i].value))
            return bp_failf(v->vm->host, v->vm->node, -EINVAL, "%s: MSR 0x%x does not take 0x%llx",
                            BP_X86_MSR, from->msrs[i].index,
                            (unsigned long long)from->msrs[i].value);
    }
    return 0;
}

/* ---- x86.events/1, x86.mp/1, x86.lapic/1 ---------------------------------------------------- */

/* Between two instructions, where a vCPU always is when it is asked, nothing is half delivered. */
static int events_get(struct vcpu *v, void *regs)
{
    const struct cpu *c = v->cpu;
    struct bp_x86_events *to = regs;

    memset(to, 0, sizeof(*to));
    to->shadow = c->shadow;
    to->nmi_masked = c->nmi_masked;
    to->triple_fault_pending = c->shutdown;
    if (c->pending_db) {
        to->exception = BP_X86_EVENT_PENDING;
        to->exception_vector = EXC_DB;
        to->exception_has_payload = 1;
        to->exception_payload = c->pending_db;
    }
    if (c->chip) {
        uint32_t pending = __atomic_load_n(c->chip_view.pending, __ATOMIC_ACQUIRE);
        to->nmi_pending = (pending & BP_IRQCHIP_NMI) != 0;
        to->smi_pending = (pending & BP_IRQCHIP_SMI) != 0;
    }
    return 0;
}

static int events_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_events *from = regs;
    struct cpu *c = v->cpu;

    if (from->exception > BP_X86_EVENT_INJECTED || (from->exception && from->exception_vector > 31))
        return bad(v, BP_X86_EVENTS, "that exception does not exist");
    if (from->smm || from->smi_pending)
        return bad(v, BP_X86_EVENTS, "this processor has no system management mode");
    c->shadow = from->shadow & 3;
    c->nmi_masked = from->nmi_masked != 0;
    c->shutdown = from->triple_fault_pending != 0;
    if (from->nmi_pending && c->chip)
        c->chip->post(c->chip_self, c->index, BP_IRQCHIP_NMI, 0);
    if (from->exception || from->interrupt || from->nmi_injected) {
        c->waiting = (struct event){
            .vector = from->nmi_injected ? EXC_NMI
                      : from->exception  ? from->exception_vector
                                         : from->interrupt_vector,
            .has_error = from->exception && from->exception_has_error,
            .error = from->exception_error,
            .soft = !from->exception && from->interrupt_soft,
            .external = !from->exception && !from->interrupt_soft,
            .cr2 = from->exception_has_payload && from->exception_vector == EXC_PF
                       ? from->exception_payload
                       : c->cr2,
        };
        c->has_waiting = 1;
        if (from->exception_has_payload && from->exception_vector == EXC_DB)
            c->dr6 |= from->exception_payload;
    }
    cpu_pend(c, PEND_CHECK);
    return 0;
}

static int mp_get(struct vcpu *v, void *regs)
{
    const struct cpu *c = v->cpu;
    struct bp_x86_mp *to = regs;

    to->state = c->mp_state == BP_X86_MP_RUNNABLE && c->halted == HALTED_HLT ? BP_X86_MP_HALTED
                                                                             : c->mp_state;
    to->reserved = 0;
    return 0;
}

static int mp_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_mp *from = regs;
    struct cpu *c = v->cpu;

    if (from->state > BP_X86_MP_SIPI)
        return bad(v, BP_X86_MP, "there is no such state");
    c->halted = from->state == BP_X86_MP_HALTED;
    c->mp_state = from->state == BP_X86_MP_HALTED ? BP_X86_MP_RUNNABLE
                  : from->state == BP_X86_MP_SIPI ? BP_X86_MP_WAIT_SIPI
                                                  : (uint8_t)from->state;
    cpu_pend(c, PEND_CHECK | PEND_IRQ);
    return 0;
}

/* ---- by name -------------------------------------------------------------------------------- */

static int cpuid_get(struct vcpu *v, void *regs)
{
    memcpy(regs, &v->cpu->cpuid, sizeof(v->cpu->cpuid));
    return 0;
}

static int cpuid_set(struct vcpu *v, const void *regs)
{
    const struct bp_x86_cpuid *from = regs;

    if (from->count > BP_X86_CPUID_MAX)
        return bad(v, BP_X86_CPUID, "it has more than 256 leaves");
    cpu_cpuid_set(v->cpu, from);
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
    {BP_X86_MSR, sizeof(struct bp_x86_msrs), msr_list_get, msr_list_set},
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
            return bp_failf(v->vm->host, v->vm->node, -EINVAL,
                            "%s has %u bytes here, and %u were given", name, sets[i].size, size);
        return (int)i;
    }
    return -ENOENT;
}

int regs_get(void *self, const char *set, void *regs, uint32_t size)
{
    struct vcpu *v = self;
    const struct cpu *c = v->cpu;
    int i;

    if (v->running)
        return -EBUSY;
    if (strcmp(set, BP_X86_LAPIC) == 0 && c->chip)
        return c->chip->state_get(c->chip_self, c->index, set, regs, size);
    i = find_set(v, set, size);
    return i < 0 ? i : sets[i].get(v, regs);
}

int regs_set(void *self, const char *set, const void *regs, uint32_t size)
{
    struct vcpu *v = self;
    const struct cpu *c = v->cpu;
    int i;

    if (strcmp(set, BP_X86_LAPIC) == 0 && c->chip)
        return c->chip->state_set(c->chip_self, c->index, set, regs, size);
    i = find_set(v, set, size);
    return i < 0 ? i : sets[i].set(v, regs);
}
