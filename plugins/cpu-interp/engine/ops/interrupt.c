/* SPDX-License-Identifier: MIT
 *
 * ops/interrupt.c - delivery of exceptions and interrupts; INT n, INT1, INT3, INTO, UD.
 *
 * Intel SDM 3, chapter 6 (6.8 flags, 6.12 frames, 6.13 error codes, 6.14 64-bit mode, table 6-5
 * double faults), 20.1.4 (real mode), 20.3 (virtual-8086 mode); SDM 2, INT n. Left out: shadow
 * stacks, and FRED.
 */
#include "privileged.h"

#include <Zydis/Mnemonic.h>

#include "../block/chain.h"
#include "../decode/emit.h"
#include "../engine.h"
#include "../trace.h"

/* Values of cpu.double_fault_stage: the class of the event that is being delivered. */
enum { STAGE_NONE, STAGE_BENIGN, STAGE_CONTRIBUTORY, STAGE_PAGE_FAULT, STAGE_DOUBLE_FAULT };

#define FLAGS_ALWAYS_CLEARED ((uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM))

/* One delivery: what is pushed. */
struct delivery {
    struct event event;
    uint64_t rip;   /* pushed */
    uint64_t flags; /* pushed */
    uint32_t ext;   /* bit 0 of error codes that the delivery itself raises */
};

/* Error code of a fault about an IDT entry. */
static uint32_t idt_error(const struct delivery *d)
{
    return d->event.vector * 8u + 2 + d->ext;
}

/* ---- the target ------------------------------------------------------------------------------ */

/* Checks of the gate that all modes share. */
static void gate_check(struct cpu *c, const struct delivery *d, uint64_t gate)
{
    if (d->event.soft && desc_dpl(gate) < c->cpl)
        raise_error(c, NULL, EXC_GP, idt_error(d));
    if (!desc_present(gate))
        raise_error(c, NULL, EXC_NP, idt_error(d));
}

/* The handler's code segment: its descriptor. */
static uint64_t gate_code(struct cpu *c, const struct delivery *d, uint16_t selector)
{
    uint32_t error = selector_error(selector, d->ext);
    uint64_t low;

    if (selector_null(selector))
        raise_error(c, NULL, EXC_GP, d->ext);
    low = desc_fetch(c, NULL, selector, EXC_GP, d->ext);
    if (!desc_is_code(low) || desc_dpl(low) > c->cpl)
        raise_error(c, NULL, EXC_GP, error);
    if (!desc_present(low))
        raise_error(c, NULL, EXC_NP, error);
    return low;
}

static void finish(struct cpu *c, uint64_t rip, uint64_t cleared)
{
    uint64_t flags = cpu_rflags(c) & ~cleared;

    c->shadow = 0;
    cpu_rflags_set(c, flags);
    cpu_mode_changed(c);
    c->rip = rip;
}

/* ---- long mode ------------------------------------------------------------------------------- */

static void deliver_long(struct cpu *c, const struct delivery *d)
{
    uint32_t at = d->event.vector * 16u;
    uint64_t gate, high, rip, code;
    uint32_t type, ist;
    uint16_t selector;
    uint8_t cpl;
    bool inner;

    if (at + 15 > c->idt.limit)
        raise_error(c, NULL, EXC_GP, idt_error(d));
    gate = ld_system(c, NULL, c->idt.base + at, 8);
    high = ld_system(c, NULL, c->idt.base + at + 8, 8);
    type = desc_kind(gate);
    if (type != SYSTEM_INTERRUPT32 && type != SYSTEM_TRAP32)
        raise_error(c, NULL, EXC_GP, idt_error(d));
    gate_check(c, d, gate);

    selector = gate_selector(gate);
    code = gate_code(c, d, selector);
    if (!desc_long(code) || desc_big(code))
        raise_error(c, NULL, EXC_GP, selector_error(selector, d->ext));
    inner = !desc_conforming(code) && desc_dpl(code) < c->cpl;
    cpl = inner ? (uint8_t)desc_dpl(code) : c->cpl;
    if (cpu_v8086(c) && cpl != 0)
        raise_error(c, NULL, EXC_GP, selector_error(selector, d->ext));

    ist = (uint32_t)(gate >> 32) & 7;
    struct stack s = {.mask = UINT64_MAX, .error = d->ext, .supervisor = c->cpl == 3 && cpl != 3};
    if (ist != 0)
        s.sp = rsp_of_tss(c, NULL, 3 + ist, d->ext);
    else if (inner)
        s.sp = rsp_of_tss(c, NULL, cpl, d->ext);
    else
        s.sp = c->reg[RSP] & stack_mask(c);
    if (!canonical(s.sp))
        raise_error(c, NULL, EXC_SS, d->ext);
    s.sp &= ~(uint64_t)15;
    rip = gate_offset(gate) | high << 32;
    if (!canonical(rip))
        raise_error(c, NULL, EXC_GP, d->ext);

    stack_push(c, NULL, &s, c->seg[SEG_SS].selector, 8);
    stack_push(c, NULL, &s, c->reg[RSP], 8);
    stack_push(c, NULL, &s, d->flags, 8);
    stack_push(c, NULL, &s, c->seg[SEG_CS].selector, 8);
    stack_push(c, NULL, &s, d->rip, 8);
    if (d->event.has_error)
        stack_push(c, NULL, &s, d->event.error, 8);

    cs_load(c, NULL, selector, code, cpl);
    if (inner)
        ss_load_null(c, cpl, cpl);
    stack_commit(c, &s);
    finish(c, rip, FLAGS_ALWAYS_CLEARED | (type == SYSTEM_INTERRUPT32 ? FLAG_IF : 0));
}

/* ---- protected mode -------------------------------------------------------------------------- */

static void deliver_task(struct cpu *c, const struct delivery *d, uint64_t gate)
{
    uint16_t selector = gate_selector(gate);
    uint32_t error = selector_error(selector, d->ext);
    uint64_t tss, next = d->rip;

    if (selector_null(selector) || (selector & 4) != 0)
        raise_error(c, NULL, EXC_GP, error);
    tss = desc_fetch(c, NULL, selector, EXC_GP, d->ext);
    if (desc_kind(tss) != SYSTEM_TSS16 && desc_kind(tss) != SYSTEM_TSS32)
        raise_error(c, NULL, EXC_GP, error);
    if (!desc_present(tss))
        raise_error(c, NULL, EXC_NP, error);
    /* A fault's saved image of EFLAGS has RF set, in the TSS as on a stack. */
    c->rflags |= d->flags & FLAG_RF;
    task_switch(c, NULL, selector, TASK_GATE, d->ext, next);
    if (d->event.has_error) {
        struct stack s = stack_present(c, d->ext);
        uint32_t size = (c->seg[SEG_TR].attributes & SYSTEM_WIDE) != 0 ? 4 : 2;
        stack_push(c, NULL, &s, d->event.error, size);
        stack_commit(c, &s);
    }
    c->shadow = 0;
    cpu_mode_changed(c);
}

static void push_frame(struct cpu *c, const struct delivery *d, struct stack *s, uint32_t size)
{
    stack_push(c, NULL, s, d->flags, size);
    stack_push(c, NULL, s, c->seg[SEG_CS].selector, size);
    stack_push(c, NULL, s, d->rip, size);
    if (d->event.has_error)
        stack_push(c, NULL, s, d->event.error, size);
}

/* From virtual-8086 mode the data segments are saved, and become null (SDM 3, 20.3.1). */
static void push_v8086_segments(struct cpu *c, struct stack *s, uint32_t size)
{
    static const uint8_t order[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

    for (uint32_t i = 0; i < 4; i++)
        stack_push(c, NULL, s, c->seg[order[i]].selector, size);
}

static void drop_v8086_segments(struct cpu *c)
{
    static const uint8_t order[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

    for (uint32_t i = 0; i < 4; i++)
        c->seg[order[i]] = (struct segment){0};
}

static void deliver_protected(struct cpu *c, const struct delivery *d)
{
    uint32_t at = d->event.vector * 8u;
    bool v8086 = cpu_v8086(c);
    uint16_t selector, ss = 0;
    uint64_t gate, rip, code, ss_low = 0;
    uint32_t type, size;
    struct stack s;
    uint8_t cpl;
    bool inner;

    if (at + 7 > c->idt.limit)
        raise_error(c, NULL, EXC_GP, idt_error(d));
    gate = ld_system(c, NULL, c->idt.base + at, 8);
    type = desc_kind(gate);
    if (type != SYSTEM_TASK_GATE && type != SYSTEM_INTERRUPT16 && type != SYSTEM_TRAP16 &&
        type != SYSTEM_INTERRUPT32 && type != SYSTEM_TRAP32)
        raise_error(c, NULL, EXC_GP, idt_error(d));
    gate_check(c, d, gate);
    if (type == SYSTEM_TASK_GATE) {
        deliver_task(c, d, gate);
        return;
    }

    selector = gate_selector(gate);
    code = gate_code(c, d, selector);
    inner = !desc_conforming(code) && desc_dpl(code) < c->cpl;
    cpl = inner ? (uint8_t)desc_dpl(code) : c->cpl;
    if (v8086 && cpl != 0)
        raise_error(c, NULL, EXC_GP, selector_error(selector, d->ext));
    size = (type & SYSTEM_WIDE) != 0 ? 4 : 2;
    rip = gate_offset(gate) & (size == 4 ? UINT32_MAX : UINT16_MAX);

    s = inner ? stack_of_tss(c, NULL, cpl, d->ext, &ss, &ss_low) : stack_present(c, d->ext);
    if (!code_holds(c, code, rip))
        raise_error(c, NULL, EXC_GP, d->ext);
    if (v8086)
        push_v8086_segments(c, &s, size);
    if (inner) {
        stack_push(c, NULL, &s, c->seg[SEG_SS].selector, size);
        stack_push(c, NULL, &s, c->reg[RSP], size);
    }
    push_frame(c, d, &s, size);

    if (inner)
        ss_load(c, NULL, ss, ss_low);
    cs_load(c, NULL, selector, code, cpl);
    if (v8086)
        drop_v8086_segments(c);
    stack_commit(c, &s);
    finish(c, rip, FLAGS_ALWAYS_CLEARED | ((type & 1) == 0 ? FLAG_IF : 0));
}

/* ---- real mode ------------------------------------------------------------------------------- */

/* Through a vector table at `base`: real mode, and INT n that virtual-8086 mode redirects. */
static void deliver_real(struct cpu *c, const struct delivery *d, uint64_t base, uint64_t cleared)
{
    uint64_t la = base + d->event.vector * 4u;
    bool v8086 = cpu_v8086(c);
    struct stack s = stack_present(c, 0);
    uint16_t ip, cs;

    /* In virtual-8086 mode the table is the task's own, at its linear address 0. */
    ip = v8086 ? ld16(c, NULL, la) : (uint16_t)ld_system(c, NULL, la, 2);
    cs = v8086 ? ld16(c, NULL, la + 2) : (uint16_t)ld_system(c, NULL, la + 2, 2);
    stack_push(c, NULL, &s, d->flags, 2);
    stack_push(c, NULL, &s, c->seg[SEG_CS].selector, 2);
    stack_push(c, NULL, &s, d->rip, 2);
    cs_load_real(c, cs);
    stack_commit(c, &s);
    finish(c, ip, cleared);
}

static void deliver(struct cpu *c, const struct delivery *d)
{
    if (unlikely(c->trace_events))
        trace_int_begin(c, &d->event);
    if ((c->cr0 & CR0_PE) == 0) {
        if (d->event.vector * 4u + 3 > c->idt.limit)
            raise_error(c, NULL, EXC_GP, idt_error(d));
        deliver_real(c, d, c->idt.base, FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
    } else if (cpu_long_mode(c)) {
        deliver_long(c, d);
    } else {
        deliver_protected(c, d);
    }
    if (unlikely(c->trace_events))
        trace_int_end(c);
}

/* ---- exceptions and interrupts --------------------------------------------------------------- */

static uint8_t stage_of(const struct event *e)
{
    if (e->external || e->soft)
        return STAGE_BENIGN;
    switch (e->vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP:
        return STAGE_CONTRIBUTORY;
    case EXC_PF:
        return STAGE_PAGE_FAULT;
    case EXC_DF:
        return STAGE_DOUBLE_FAULT;
    default:
        return STAGE_BENIGN;
    }
}

/* SDM 3, table 6-5. */
static bool is_double_fault(uint8_t first, uint8_t second)
{
    if (first == STAGE_CONTRIBUTORY)
        return second == STAGE_CONTRIBUTORY;
    return first == STAGE_PAGE_FAULT &&
           (second == STAGE_CONTRIBUTORY || second == STAGE_PAGE_FAULT);
}

/* Faults push RF set, that the instruction is not stopped again at its breakpoint; not #DB, whose
 * handler decides, nor aborts (SDM 3, 17.3.1.1). */
static bool is_fault(const struct event *e)
{
    return !e->external && !e->soft && e->vector != EXC_DB && e->vector != EXC_NMI &&
           e->vector != EXC_BP && e->vector != EXC_OF && e->vector != EXC_DF && e->vector != EXC_MC;
}

void event_deliver(struct cpu *c)
{
    struct delivery d = {.event = c->event, .rip = c->rip, .ext = c->event.soft ? 0 : 1};
    uint8_t stage = stage_of(&d.event);

    if (unlikely(c->engine->user.event != NULL))
        c->engine->user.event(c->engine->user.context, c);
    if (d.event.vector == EXC_PF && !d.event.external && !d.event.soft)
        c->cr2 = d.event.cr2;
    if (c->double_fault_stage == STAGE_DOUBLE_FAULT &&
        (stage == STAGE_CONTRIBUTORY || stage == STAGE_PAGE_FAULT)) {
        c->double_fault_stage = STAGE_NONE;
        c->shutdown = 1;
        if (unlikely(c->trace_events))
            trace_int_begin(c, &d.event);
        return;
    }
    if (is_double_fault(c->double_fault_stage, stage)) {
        d.event = (struct event){.vector = EXC_DF, .has_error = 1};
        stage = STAGE_DOUBLE_FAULT;
    }
    /* A fault in the delivery of #DF's own benign fault is still one in #DF's. */
    if (c->double_fault_stage != STAGE_DOUBLE_FAULT)
        c->double_fault_stage = stage;

    if (d.event.vector == EXC_DB && !d.event.external) {
        c->dr6 |= c->pending_db;
        c->pending_db = 0;
        c->dr7 &= ~(uint64_t)DR7_GD;
    }
    if (d.event.vector == EXC_NMI && d.event.external)
        c->nmi_masked = 1;
    c->halted = 0;
    d.flags = cpu_rflags(c) | (is_fault(&d.event) ? FLAG_RF : 0);
    if (cpu_long_mode(c) || (c->cr0 & CR0_PE) != 0) {
        deliver(c, &d);
    } else {
        d.event.has_error = 0;
        deliver(c, &d);
    }
    c->double_fault_stage = STAGE_NONE;
    c->debug.progress |= PROGRESS_EVENT;
}

/* ---- software interrupts --------------------------------------------------------------------- */

/* INT n in virtual-8086 mode with CR4.VME: is its bit in the TSS' redirection map clear (SDM 3,
 * 20.3.3)? */
static bool is_redirected(struct cpu *c, uint8_t vector)
{
    const struct segment *tr = &c->seg[SEG_TR];
    uint64_t map;
    uint32_t at;

    if ((c->cr4 & CR4_VME) == 0 || (tr->attributes & SYSTEM_WIDE) == 0 || tr->limit < 0x67)
        return false;
    map = ld_system(c, NULL, tr->base + 0x66, 2);
    if (map < 32)
        return false;
    at = (uint32_t)map - 32 + vector / 8;
    if (at > tr->limit)
        return false;
    return (ld_system(c, NULL, tr->base + at, 1) >> (vector & 7) & 1) == 0;
}

static void redirect(struct cpu *c, struct delivery *d)
{
    uint64_t cleared = FLAG_TF | FLAG_NT | FLAG_RF;

    if (cpu_iopl(c) == 3) {
        cleared |= FLAG_IF;
    } else {
        /* VIF takes IF's place, and IOPL looks like 3. */
        d->flags = (d->flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
        if ((d->flags & FLAG_VIF) != 0)
            d->flags |= FLAG_IF;
        cleared |= FLAG_VIF;
    }
    if (unlikely(c->trace_events))
        trace_int_begin(c, &d->event);
    deliver_real(c, d, 0, cleared);
    if (unlikely(c->trace_events))
        trace_int_end(c);
    c->no_step = 1;
}

void interrupt_soft(struct cpu *c, uint8_t vector, bool soft, uint64_t next)
{
    struct delivery d = {.event = {.vector = vector, .soft = soft},
                         .rip = next,
                         .flags = cpu_rflags(c) & ~(uint64_t)FLAG_RF,
                         .ext = soft ? 0 : 1};

    deliver(c, &d);
    c->no_step = 1;
    c->debug.progress |= PROGRESS_EVENT;
}

static void int_n(struct cpu *c, uint8_t vector, uint64_t next)
{
    if (cpu_v8086(c)) {
        if (is_redirected(c, vector)) {
            struct delivery d = {.event = {.vector = vector, .soft = 1},
                                 .rip = next,
                                 .flags = cpu_rflags(c) & ~(uint64_t)FLAG_RF};
            redirect(c, &d);
            return;
        }
        if (cpu_iopl(c) < 3)
            raise_error(c, NULL, EXC_GP, 0);
    }
    interrupt_soft(c, vector, true, next);
}

static const struct uop *op_int(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    c->rip = uop_rip(c, u);
    int_n(c, (uint8_t)u->imm, next);
    LEAVE(c, c->rip);
}

/* INT3 and INTO are not IOPL-sensitive, and never redirected. INT1 is as an exception: the gate's
 * DPL does not count. */
static const struct uop *op_int3(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    c->rip = uop_rip(c, u);
    if (unlikely(c->debug.request.flags & BP_DEBUG_SOFTWARE)) {
        c->debug.stop.reasons |= BP_DEBUG_BY_SOFTWARE;
        cpu_leave(c);
    }
    interrupt_soft(c, EXC_BP, true, next);
    LEAVE(c, c->rip);
}

static const struct uop *op_int1(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    c->rip = uop_rip(c, u);
    interrupt_soft(c, EXC_DB, false, next);
    LEAVE(c, c->rip);
}

static const struct uop *op_into(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    if ((cpu_rflags(c) & FLAG_OF) == 0)
        LEAVE(c, next);
    c->rip = uop_rip(c, u);
    interrupt_soft(c, EXC_OF, true, next);
    LEAVE(c, c->rip);
}

static const struct uop *op_undefined(struct cpu *c, const struct uop *u)
{
    raise_exception(c, u, EXC_UD);
}

/* ---- emitters -------------------------------------------------------------------------------- */

static bool emit_int(struct emit *e)
{
    switch (e->insn->mnemonic) {
    case ZYDIS_MNEMONIC_INT:
        e->uop->fn = op_int;
        e->uop->imm = (uint8_t)e->insn->op[0].imm;
        break;
    case ZYDIS_MNEMONIC_INT3:
        e->uop->fn = op_int3;
        break;
    case ZYDIS_MNEMONIC_INT1:
        e->uop->fn = op_int1;
        break;
    case ZYDIS_MNEMONIC_INTO:
        if ((e->mode & MODE_64) != 0)
            return false;
        e->uop->fn = op_into;
        break;
    default:
        e->uop->fn = op_undefined;
        break;
    }
    e->ends = true;
    return true;
}

const struct emit_entry emit_interrupt[] = {
    {ZYDIS_MNEMONIC_INT, emit_int},     {ZYDIS_MNEMONIC_INT1, emit_int},
    {ZYDIS_MNEMONIC_INT3, emit_int},    {ZYDIS_MNEMONIC_INTO, emit_int},
    {ZYDIS_MNEMONIC_UD0, emit_int},     {ZYDIS_MNEMONIC_UD1, emit_int},
    {ZYDIS_MNEMONIC_UD2, emit_int},     {ZYDIS_MNEMONIC_VMCALL, emit_int},
    {ZYDIS_MNEMONIC_VMMCALL, emit_int}, {0, NULL},
};
