/* SPDX-License-Identifier: MIT
 *
 * engine/state.c - state that is computed from other state, exceptions, reset.
 *
 * Intel SDM 3, 2.3 (EFLAGS), 2.5 (control registers), 9.1 (reset, INIT), 17.2 (debug registers).
 * Left out: the state of shadow stacks, protection keys, and performance monitoring.
 */
#include "cpu.h"

#include <string.h>

#include "engine.h"
#include "fpu/x87.h"
#include "mmu/tlb.h"
#include "ops/flags.h"
#include "ops/privileged.h"
#include "uop.h"

/* ---- exceptions ------------------------------------------------------------------------------ */

static _Noreturn void leave(struct cpu *c, const struct uop *u, struct event event)
{
    if (u != NULL)
        c->rip = uop_rip(c, u);
    c->event = event;
    longjmp(c->escape, 1);
}

void raise_exception(struct cpu *c, const struct uop *u, uint8_t vector)
{
    leave(c, u, (struct event){.vector = vector});
}

void raise_error(struct cpu *c, const struct uop *u, uint8_t vector, uint32_t error)
{
    leave(c, u, (struct event){.vector = vector, .has_error = 1, .error = error});
}

void raise_page_fault(struct cpu *c, const struct uop *u, uint64_t la, uint32_t error)
{
    leave(c, u, (struct event){.vector = EXC_PF, .has_error = 1, .error = error, .cr2 = la});
}

void raise_bad_address(struct cpu *c, const struct uop *u, uint8_t seg)
{
    raise_error(c, u, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

/* ---- mode ------------------------------------------------------------------------------------ */

static bool flat_data(const struct segment *s)
{
    const uint32_t care = SEG_P | SEG_S | SEG_CODE | SEG_DOWN | SEG_WRITABLE;

    return s->base == 0 && s->limit == UINT32_MAX &&
           (s->attributes & care) == (SEG_P | SEG_S | SEG_WRITABLE);
}

static bool flat_code(const struct segment *s)
{
    const uint32_t care = SEG_P | SEG_S | SEG_CODE | SEG_WRITABLE;

    return s->base == 0 && s->limit == UINT32_MAX && (s->attributes & care) == care;
}

/* DR7 has 2 enable bits for each of 4 breakpoints, and from bit 16 on 2 bits each for the kind: 0
 * execution, 1 writes, 2 ports, 3 reads and writes (SDM 3, 17.2.4). */
static bool data_breakpoints(const struct cpu *c)
{
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t kind = (uint32_t)(c->dr7 >> (16 + 4 * i)) & 3;
        if ((c->dr7 >> (2 * i) & 3) != 0 && (kind & 1) != 0)
            return true;
    }
    return false;
}

static uint32_t mode_now(const struct cpu *c)
{
    uint32_t mode = 0;

    if (cpu_long_mode(c) && (c->seg[SEG_CS].attributes & SEG_L) != 0) {
        mode = MODE_64 | MODE_FLAT;
    } else {
        if ((c->seg[SEG_CS].attributes & SEG_DB) != 0)
            mode |= MODE_32;
        if ((c->seg[SEG_SS].attributes & SEG_DB) != 0)
            mode |= MODE_SS32;
        if (flat_code(&c->seg[SEG_CS]) && flat_data(&c->seg[SEG_SS]) &&
            flat_data(&c->seg[SEG_DS]) && flat_data(&c->seg[SEG_ES]))
            mode |= MODE_FLAT;
    }
    if (c->cpl == 3)
        mode |= MODE_USER;
    if ((c->cr0 & CR0_PE) != 0 && (c->rflags & FLAG_VM) == 0)
        mode |= MODE_PE;
    /* The run loop's own. */
    return mode | (c->mode & MODE_STEP);
}

static uint32_t hit_kind(const struct cpu *c)
{
    if (c->slow)
        return TLB_SLOW;
    if (c->cpl == 3)
        return TLB_USER + c->space;
    return (c->cr4 & CR4_SMAP) != 0 && (c->rflags & FLAG_AC) != 0 ? TLB_SUPERVISOR_AC
                                                                  : TLB_SUPERVISOR;
}

void cpu_mode_changed(struct cpu *c)
{
    bool emulated = (c->cr0 & (CR0_EM | CR0_TS)) != 0;

    c->mode = mode_now(c);
    c->mode_key = cpu_mode_key(c, c->mode);
    c->slow = ((c->cr0 & CR0_AM) != 0 && (c->rflags & FLAG_AC) != 0 && c->cpl == 3) ||
              ((c->dr7 & 0xff) != 0 && data_breakpoints(c)) || c->debug.watches;
    c->tlb = &c->tlbs[hit_kind(c)];
    c->no_fpu = emulated;
    c->no_sse = emulated || (c->cr4 & CR4_OSFXSR) == 0;
    c->no_avx = (c->cr0 & CR0_TS) != 0 || (c->cr4 & CR4_OSXSAVE) == 0 || (c->xcr0 & 6) != 6;
    /* From the next instruction on, the run loop must look at each one. */
    if ((c->rflags & FLAG_TF) != 0 || c->shadow != 0 || (c->dr7 & 0xff) != 0 || c->debug.on)
        cpu_pend(c, PEND_CHECK);
}

/* ---- flags ----------------------------------------------------------------------------------- */

uint64_t cpu_rflags(const struct cpu *c)
{
    return c->rflags | flags_get(c);
}

void cpu_rflags_set(struct cpu *c, uint64_t value)
{
    uint64_t now = (value & FLAGS_DEFINED & ~(uint64_t)FLAGS_ARITHMETIC) | FLAG_ONE;
    uint64_t changed = c->rflags ^ now;

    flags_set(c, (uint32_t)value);
    c->rflags = now;
    if ((changed & (FLAG_VM | FLAG_AC | FLAG_TF)) != 0)
        cpu_mode_changed(c);
    if ((changed & now & FLAG_IF) != 0)
        cpu_pend(c, PEND_CHECK);
}

/* ---- reset ----------------------------------------------------------------------------------- */

static void reset_segments(struct cpu *c)
{
    for (uint32_t i = 0; i < SEGS; i++)
        c->seg[i] = (struct segment){.limit = 0xffff,
                                     .attributes = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED};
    c->seg[SEG_CS].selector = 0xf000;
    c->seg[SEG_CS].base = 0xffff0000;
    c->seg[SEG_CS].attributes |= SEG_CODE;
    c->seg[SEG_LDT].attributes = SEG_P | SYSTEM_LDT;
    c->seg[SEG_TR].attributes = SEG_P | SYSTEM_TSS32_BUSY;
    c->gdt = (struct table){.limit = 0xffff};
    c->idt = (struct table){.limit = 0xffff};
}

/* What INIT leaves alone. */
static void power_on(struct cpu *c)
{
    memset(c->v, 0, sizeof(c->v));
    memset(&c->fpu, 0, sizeof(c->fpu));
    c->fpu.control = 0x40;
    c->fpu.valid = 0xff; /* the tag word is 5555h: eight zeros */
    c->fpu.mxcsr = 0x1f80;
    c->xcr0 = 1;
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = c->tsc_aux = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->pat = 0x0007040600070406;
    c->misc_enable = 1; /* fast strings */
    c->mtrr_def_type = 0;
    memset(c->mtrr, 0, sizeof(c->mtrr));
    c->spec_ctrl = 0;
    c->kvm_wall_clock = c->kvm_system_time = 0;
    c->tsc_adjust = 0;
    c->tsc_offset = 0;
    c->tsc_offset = -(int64_t)cpu_tsc(c);
}

/* The controller keeps IA32_APIC_BASE over an INIT (SDM 3, 11.4.7.3). */
static void reset_apic_base(struct cpu *c)
{
    if (c->chip == NULL ||
        c->chip->msr_read(c->chip_self, c->index, BP_IRQCHIP_MSR_APIC_BASE, &c->apic_base) != 0)
        c->apic_base = 0xfee00800 | (c->index == 0 ? 0x100 : 0);
}

void cpu_reset(struct cpu *c, bool init)
{
    uint32_t signature = 0;

    for (uint32_t i = 0; i < c->cpuid.count; i++)
        if (c->cpuid.leaves[i].leaf == 1)
            signature = c->cpuid.leaves[i].eax;
    memset(c->reg, 0, sizeof(c->reg));
    c->reg[RDX] = signature;
    c->rip = 0xfff0;
    c->rflags = FLAG_ONE;
    flags_set(c, 0);
    c->cpl = 0;
    reset_segments(c);
    c->cr0 = CR0_ET | (init ? c->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW);
    c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
    memset(c->dr, 0, sizeof(c->dr));
    memset(c->pdpte, 0, sizeof(c->pdpte));
    c->dr6 = DR6_FIXED;
    c->dr7 = DR7_FIXED;
    c->shadow = c->nmi_masked = c->halted = 0;
    c->double_fault_stage = c->shutdown = 0;
    c->event = (struct event){0};
    c->pending_db = 0;
    if (!init)
        power_on(c);
    x87_ferr_follow(c);
    reset_apic_base(c);
    c->mp_state = c->index == 0 ? BP_X86_MP_RUNNABLE
                  : init        ? BP_X86_MP_WAIT_SIPI
                                : BP_X86_MP_WAIT_INIT;
    cpu_mode_changed(c);
    tlb_flush(c);
}
