/* SPDX-License-Identifier: MIT
 *
 * ops/far.c - far JMP, CALL and RET, loads of far pointers, SYSCALL, SYSRET, SYSENTER, SYSEXIT.
 *
 * Intel SDM 2 (JMP, CALL, RET, LDS, SYSCALL, SYSRET, SYSENTER, SYSEXIT); SDM 3, 5.8 (gates,
 * privileges) and 7.3 (tasks). Where AMD differs (SYSCALL in compatibility mode, SYSENTER in long
 * mode, SYSRET's checks) this is Intel's way. Left out: shadow stacks, indirect branch tracking.
 */
#include "privileged.h"

#include <Zydis/Mnemonic.h>

#include "../block/chain.h"
#include "../decode/emit.h"
#include "../decode/features.h"
#include "../engine.h"

#define CODE_FLAT_64 (SEG_P | SEG_S | SEG_CODE | SEG_WRITABLE | SEG_ACCESSED | SEG_L | SEG_G)
#define CODE_FLAT_32 (SEG_P | SEG_S | SEG_CODE | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G)
#define DATA_FLAT (SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G)

/* A far transfer to `selector`:`offset`. */
struct target {
    uint16_t selector;
    uint64_t offset;
    uint32_t size; /* of the operands: 2, 4, 8 */
    bool call;
};

/* ---- to code segments ------------------------------------------------------------------------ */

/* The rules for a segment named directly by JMP or CALL (SDM 3, 5.8.1). */
static void direct_check(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t code)
{
    uint32_t error = selector_error(selector, 0);

    if (desc_conforming(code) ? desc_dpl(code) > c->cpl
                              : (selector & 3u) > c->cpl || desc_dpl(code) != c->cpl)
        raise_error(c, u, EXC_GP, error);
    if (cpu_long_mode(c) && desc_long(code) && desc_big(code))
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(code))
        raise_error(c, u, EXC_NP, error);
}

static uint64_t far_direct(struct cpu *c, const struct uop *u, const struct target *t,
                           uint64_t code)
{
    bool to_64bit = cpu_long_mode(c) && desc_long(code);
    uint64_t offset = t->size == 2 ? (uint16_t)t->offset : t->offset;

    direct_check(c, u, t->selector, code);
    if (t->call) {
        struct stack s = stack_present(c, 0);
        stack_push(c, u, &s, c->seg[SEG_CS].selector, t->size);
        stack_push(c, u, &s, uop_next_rip(c, u), t->size);
        if (!code_holds(c, code, to_64bit ? offset : (uint32_t)offset))
            raise_error(c, u, EXC_GP, 0);
        cs_load(c, u, t->selector, code, c->cpl);
        stack_commit(c, &s);
    } else {
        if (!code_holds(c, code, to_64bit ? offset : (uint32_t)offset))
            raise_error(c, u, EXC_GP, 0);
        cs_load(c, u, t->selector, code, c->cpl);
    }
    cpu_mode_changed(c);
    return to_64bit ? offset : (uint32_t)offset;
}

/* ---- through call gates ---------------------------------------------------------------------- */

/* Parameters of a legacy gate, from the caller's stack: at most 31. */
static void copy_parameters(struct cpu *c, const struct uop *u, struct stack *s, uint32_t count,
                            uint32_t size)
{
    for (uint32_t i = count; i-- > 0;)
        stack_push(c, u, s, stack_peek(c, u, i * size, size), size);
}

static uint64_t far_gate(struct cpu *c, const struct uop *u, const struct target *t, uint64_t gate)
{
    uint32_t error = selector_error(t->selector, 0);
    uint32_t size = cpu_long_mode(c) ? 8 : desc_kind(gate) == SYSTEM_CALL32 ? 4 : 2;
    uint64_t offset = gate_offset(gate), code, ss_low = 0;
    uint16_t selector = gate_selector(gate), ss = 0;
    uint64_t next = uop_next_rip(c, u);
    struct stack s;
    uint8_t cpl;

    if (desc_dpl(gate) < c->cpl || desc_dpl(gate) < (t->selector & 3u))
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(gate))
        raise_error(c, u, EXC_NP, error);
    if (size == 8) {
        uint64_t high = desc_fetch_high(c, u, t->selector, EXC_GP, 0);
        if ((high >> 40 & 0x1f) != 0)
            raise_error(c, u, EXC_GP, error);
        offset |= high << 32;
    } else if (size == 2) {
        offset &= UINT16_MAX;
    }
    if (selector_null(selector))
        raise_error(c, u, EXC_GP, 0);
    code = desc_fetch(c, u, selector, EXC_GP, 0);
    error = selector_error(selector, 0);
    if (!desc_is_code(code) || desc_dpl(code) > c->cpl ||
        (size == 8 && (!desc_long(code) || desc_big(code))))
        raise_error(c, u, EXC_GP, error);
    if (!t->call && !desc_conforming(code) && desc_dpl(code) != c->cpl)
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(code))
        raise_error(c, u, EXC_NP, error);

    if (!t->call) {
        if (!code_holds(c, code, offset))
            raise_error(c, u, EXC_GP, 0);
        cs_load(c, u, selector, code, c->cpl);
        cpu_mode_changed(c);
        return offset;
    }
    bool inner = !desc_conforming(code) && desc_dpl(code) < c->cpl;
    cpl = inner ? (uint8_t)desc_dpl(code) : c->cpl;
    if (!inner)
        s = stack_present(c, 0);
    else if (size == 8)
        s = (struct stack){.mask = UINT64_MAX,
                           .sp = rsp_of_tss(c, u, cpl, 0),
                           .supervisor = c->cpl == 3 && cpl != 3};
    else
        s = stack_of_tss(c, u, cpl, 0, &ss, &ss_low);
    if (size == 8)
        s.mask = UINT64_MAX; /* the gate leads to 64-bit code, whatever the caller's stack was */
    if (!code_holds(c, code, offset))
        raise_error(c, u, EXC_GP, 0);
    if (inner) {
        stack_push(c, u, &s, c->seg[SEG_SS].selector, size);
        stack_push(c, u, &s, c->reg[RSP], size);
        if (size != 8)
            copy_parameters(c, u, &s, (uint32_t)(gate >> 32) & 0x1f, size);
    }
    stack_push(c, u, &s, c->seg[SEG_CS].selector, size);
    stack_push(c, u, &s, next, size);
    if (inner && size == 8)
        ss_load_null(c, cpl, cpl);
    else if (inner)
        ss_load(c, u, ss, ss_low);
    cs_load(c, u, selector, code, cpl);
    stack_commit(c, &s);
    cpu_mode_changed(c);
    return offset;
}

/* ---- to tasks -------------------------------------------------------------------------------- */

/* Through a TSS, or a task gate that names one. */
static uint64_t far_task(struct cpu *c, const struct uop *u, const struct target *t, uint64_t low)
{
    uint16_t selector = t->selector;
    uint32_t error = selector_error(selector, 0);

    if (desc_dpl(low) < c->cpl || desc_dpl(low) < (selector & 3u))
        raise_error(c, u, EXC_GP, error);
    if (desc_kind(low) == SYSTEM_TASK_GATE) {
        if (!desc_present(low))
            raise_error(c, u, EXC_NP, error);
        selector = gate_selector(low);
        error = selector_error(selector, 0);
        if (selector_null(selector) || (selector & 4) != 0)
            raise_error(c, u, EXC_GP, error);
        low = desc_fetch(c, u, selector, EXC_GP, 0);
    }
    if ((selector & 4) != 0 || (desc_kind(low) != SYSTEM_TSS16 && desc_kind(low) != SYSTEM_TSS32))
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(low))
        raise_error(c, u, EXC_NP, error);
    task_switch(c, u, selector, t->call ? TASK_CALL : TASK_JUMP, 0, uop_next_rip(c, u));
    return c->rip;
}

/* ---- JMP and CALL ---------------------------------------------------------------------------- */

static uint64_t far_real(struct cpu *c, const struct uop *u, const struct target *t)
{
    uint64_t offset = t->size == 2 ? (uint16_t)t->offset : (uint32_t)t->offset;

    if (offset > c->seg[SEG_CS].limit)
        raise_error(c, u, EXC_GP, 0);
    if (t->call) {
        struct stack s = stack_present(c, 0);
        stack_push(c, u, &s, c->seg[SEG_CS].selector, t->size);
        stack_push(c, u, &s, uop_next_rip(c, u), t->size);
        stack_commit(c, &s);
    }
    cs_load_real(c, t->selector);
    cpu_mode_changed(c);
    return offset;
}

static uint64_t far_transfer(struct cpu *c, const struct uop *u, const struct target *t)
{
    uint64_t low;

    if (!cpu_protected(c))
        return far_real(c, u, t);
    if (selector_null(t->selector))
        raise_error(c, u, EXC_GP, 0);
    low = desc_fetch(c, u, t->selector, EXC_GP, 0);
    if (desc_is_code(low))
        return far_direct(c, u, t, low);
    switch (desc_kind(low)) {
    case SYSTEM_CALL32:
        return far_gate(c, u, t, low);
    case SYSTEM_CALL16:
        if (!cpu_long_mode(c))
            return far_gate(c, u, t, low);
        break;
    case SYSTEM_TASK_GATE:
    case SYSTEM_TSS16:
    case SYSTEM_TSS32:
        if (!cpu_long_mode(c))
            return far_task(c, u, t, low);
        break;
    default:
        break;
    }
    raise_error(c, u, EXC_GP, selector_error(t->selector, 0));
}

/* selector in bits 47:32 of imm, call in bit 48 */
static uint64_t far_immediate(struct cpu *c, const struct uop *u)
{
    struct target t = {.selector = (uint16_t)(u->imm >> 32),
                       .offset = (uint32_t)u->imm,
                       .size = u->osize,
                       .call = (u->imm >> 48 & 1) != 0};

    return far_transfer(c, u, &t);
}

static uint64_t far_memory(struct cpu *c, const struct uop *u)
{
    uint64_t la = ea_any(c, u, u->osize + 2u, ACCESS_READ);
    struct target t = {.offset = ld_sized(c, u, la, u->osize),
                       .selector = ld16(c, u, la + u->osize),
                       .size = u->osize,
                       .call = u->x != 0};

    return far_transfer(c, u, &t);
}

static const struct uop *op_far_immediate(struct cpu *c, const struct uop *u)
{
    uint64_t rip = far_immediate(c, u);

    LEAVE(c, rip);
}

static const struct uop *op_far_memory(struct cpu *c, const struct uop *u)
{
    uint64_t rip = far_memory(c, u);

    LEAVE(c, rip);
}

/* ---- RET ------------------------------------------------------------------------------------- */

static uint64_t return_real(struct cpu *c, const struct uop *u, uint32_t size)
{
    uint64_t ip = stack_peek(c, u, 0, size);
    uint16_t cs = (uint16_t)stack_peek(c, u, size, size);

    if (ip > c->seg[SEG_CS].limit)
        raise_error(c, u, EXC_GP, 0);
    stack_drop(c, 2 * size + (uint32_t)u->imm);
    cs_load_real(c, cs);
    cpu_mode_changed(c);
    return ip;
}

static uint64_t return_far(struct cpu *c, const struct uop *u)
{
    uint32_t size = u->osize, more = (uint32_t)u->imm;
    uint64_t ip, code, sp, stack = 0;
    uint16_t cs, ss;
    bool to_64bit;
    uint8_t rpl;

    if (!cpu_protected(c))
        return return_real(c, u, size);
    ip = stack_peek(c, u, 0, size);
    cs = (uint16_t)stack_peek(c, u, size, size);
    code = desc_return_code(c, u, cs);
    rpl = cs & 3;
    to_64bit = cpu_long_mode(c) && desc_long(code);
    if (rpl == c->cpl) {
        if (!code_holds(c, code, ip))
            raise_error(c, u, EXC_GP, 0);
        stack_drop(c, 2 * size + more);
        cs_load(c, u, cs, code, rpl);
        cpu_mode_changed(c);
        return ip;
    }
    sp = stack_peek(c, u, 2 * size + more, size);
    ss = (uint16_t)stack_peek(c, u, 3 * size + more, size);
    if (!selector_null(ss))
        stack = ss_check(c, u, ss, rpl, EXC_GP, 0);
    else if (!to_64bit || rpl == 3 || (ss & 3u) != rpl)
        raise_error(c, u, EXC_GP, 0);
    if (!code_holds(c, code, ip))
        raise_error(c, u, EXC_GP, 0);
    if (stack == 0)
        ss_load_null(c, ss, rpl);
    else
        ss_load(c, u, ss, stack);
    cs_load(c, u, cs, code, rpl);
    if (to_64bit)
        c->reg[RSP] = sp + more;
    else if (desc_big(stack))
        c->reg[RSP] = (uint32_t)(sp + more);
    else
        c->reg[RSP] = (c->reg[RSP] & ~(uint64_t)UINT16_MAX) | ((sp + more) & UINT16_MAX);
    segments_drop(c);
    cpu_mode_changed(c);
    return ip;
}

static const struct uop *op_return_far(struct cpu *c, const struct uop *u)
{
    uint64_t rip = return_far(c, u);

    LEAVE(c, rip);
}

/* ---- LDS, LES, LSS, LFS, LGS ----------------------------------------------------------------- */

static void load_far_pointer(struct cpu *c, const struct uop *u)
{
    uint64_t la = ea_any(c, u, u->osize + 2u, ACCESS_READ);
    uint64_t offset = ld_sized(c, u, la, u->osize);

    segment_load(c, u, u->x, ld16(c, u, la + u->osize));
    if (u->osize == 2)
        c->reg[u->d] = (c->reg[u->d] & ~(uint64_t)UINT16_MAX) | offset;
    else
        c->reg[u->d] = offset;
}

static const struct uop *op_load_far_pointer(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    load_far_pointer(c, u);
    LEAVE(c, next);
}

/* ---- SYSCALL, SYSRET ------------------------------------------------------------------------- */

static struct segment flat(uint16_t selector, uint32_t attributes, uint32_t dpl)
{
    return (struct segment){.selector = selector,
                            .limit = UINT32_MAX,
                            .attributes = (uint16_t)(attributes | dpl << SEG_DPL_SHIFT)};
}

static __attribute__((noinline)) void syscall_enter(struct cpu *c, const struct uop *u)
{
    uint16_t selector = (uint16_t)(c->star >> 32) & 0xfffc;
    uint64_t flags = cpu_rflags(c) & ~(uint64_t)FLAG_RF;

    if ((c->efer & EFER_SCE) == 0 || !cpu_64bit(c))
        raise_exception(c, u, EXC_UD);
    c->reg[RCX] = uop_next_rip(c, u);
    c->reg[R11] = flags;
    cs_set(c, flat(selector, CODE_FLAT_64, 0), 0);
    c->seg[SEG_SS] = flat((uint16_t)(selector + 8), DATA_FLAT, 0);
    cpu_rflags_set(c, flags & ~c->sfmask);
    c->no_step = (c->rflags & FLAG_TF) == 0;
    cpu_mode_changed(c);
}

static const struct uop *op_syscall(struct cpu *c, const struct uop *u)
{
    syscall_enter(c, u);
    CHAIN_JUMP(c, c->lstar);
}

/* RCX is checked while CPL is 0: #GP comes at the kernel's stack. */
static __attribute__((noinline)) uint64_t syscall_return(struct cpu *c, const struct uop *u)
{
    bool wide = u->osize == 8;
    uint16_t selector = (uint16_t)(c->star >> 48);
    uint64_t rip = wide ? c->reg[RCX] : (uint32_t)c->reg[RCX];

    if ((c->efer & EFER_SCE) == 0 || !cpu_64bit(c))
        raise_exception(c, u, EXC_UD);
    if (c->cpl != 0 || !canonical(rip))
        raise_error(c, u, EXC_GP, 0);
    cs_set(
        c,
        flat((uint16_t)((selector + (wide ? 16 : 0)) | 3), wide ? CODE_FLAT_64 : CODE_FLAT_32, 3),
        3);
    c->seg[SEG_SS] = flat((uint16_t)((selector + 8) | 3), DATA_FLAT, 3);
    cpu_rflags_set(c, c->reg[R11] & FLAGS_DEFINED & ~(uint64_t)(FLAG_RF | FLAG_VM));
    cpu_mode_changed(c);
    return rip;
}

static const struct uop *op_sysret(struct cpu *c, const struct uop *u)
{
    bool to_64bit = u->osize == 8;
    uint64_t rip = syscall_return(c, u);

    if (!to_64bit)
        LEAVE(c, rip);
    CHAIN_JUMP(c, rip);
}

/* ---- SYSENTER, SYSEXIT ----------------------------------------------------------------------- */

static uint64_t sysenter(struct cpu *c, const struct uop *u)
{
    uint16_t selector = (uint16_t)c->sysenter_cs & 0xfffc;
    bool wide = cpu_long_mode(c);

    if ((c->cr0 & CR0_PE) == 0 || selector == 0)
        raise_error(c, u, EXC_GP, 0);
    c->reg[RSP] = wide ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    cpu_rflags_set(c, cpu_rflags(c) & ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF));
    cs_set(c, flat(selector, wide ? CODE_FLAT_64 : CODE_FLAT_32, 0), 0);
    c->seg[SEG_SS] = flat((uint16_t)(selector + 8), DATA_FLAT, 0);
    cpu_mode_changed(c);
    return wide ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
}

static uint64_t sysexit(struct cpu *c, const struct uop *u)
{
    bool wide = u->osize == 8;
    uint16_t selector = (uint16_t)c->sysenter_cs & 0xfffc;
    uint64_t rip = wide ? c->reg[RDX] : (uint32_t)c->reg[RDX];
    uint64_t rsp = wide ? c->reg[RCX] : (uint32_t)c->reg[RCX];

    if (!cpu_protected(c) || selector == 0 || c->cpl != 0 || !canonical(rip) || !canonical(rsp))
        raise_error(c, u, EXC_GP, 0);
    selector = (uint16_t)((selector + (wide ? 32 : 16)) | 3);
    c->reg[RSP] = rsp;
    cs_set(c, flat(selector, wide ? CODE_FLAT_64 : CODE_FLAT_32, 3), 3);
    c->seg[SEG_SS] = flat((uint16_t)(selector + 8), DATA_FLAT, 3);
    cpu_mode_changed(c);
    return rip;
}

static const struct uop *op_sysenter(struct cpu *c, const struct uop *u)
{
    uint64_t rip = sysenter(c, u);

    LEAVE(c, rip);
}

static const struct uop *op_sysexit(struct cpu *c, const struct uop *u)
{
    uint64_t rip = sysexit(c, u);

    LEAVE(c, rip);
}

/* ---- emitters -------------------------------------------------------------------------------- */

/* Operands of 8 bytes only by REX.W, unlike near branches. */
static uint8_t far_size(const struct emit *e)
{
    if ((e->mode & MODE_64) != 0 && e->insn->w)
        return 8;
    return e->insn->osize == 2 ? 2 : 4;
}

/* JMP and CALL share their mnemonics with the near ones, which branch.c has. */
static bool emit_transfer(struct emit *e)
{
    const struct operand *o = &e->insn->op[0];
    bool call = e->insn->mnemonic == ZYDIS_MNEMONIC_CALL;

    if (e->insn->opcode_map != 0)
        return false;
    if (o->kind == OPERAND_FAR) {
        e->uop->fn = op_far_immediate;
        e->uop->imm = (uint32_t)o->imm | (uint64_t)o->selector << 32 | (uint64_t)call << 48;
    } else if (o->kind == OPERAND_MEM && e->insn->opcode == 0xff &&
               (e->insn->modrm >> 3 & 7) == (call ? 3 : 5)) {
        e->uop->fn = op_far_memory;
        emit_memory(e, o);
        e->uop->x = call;
    } else {
        return false;
    }
    e->uop->osize = far_size(e);
    e->ends = true;
    return true;
}

static bool emit_return_far(struct emit *e)
{
    if (e->insn->opcode_map != 0 || (e->insn->opcode & 0xfe) != 0xca)
        return false;
    e->uop->fn = op_return_far;
    e->uop->osize = far_size(e);
    if (e->insn->opcode == 0xca)
        e->uop->imm = e->insn->op[0].imm & 0xffff;
    e->ends = true;
    return true;
}

static bool emit_load_far_pointer(struct emit *e)
{
    switch (e->insn->mnemonic) {
    case ZYDIS_MNEMONIC_LDS:
        e->uop->x = SEG_DS;
        break;
    case ZYDIS_MNEMONIC_LES:
        e->uop->x = SEG_ES;
        break;
    case ZYDIS_MNEMONIC_LSS:
        e->uop->x = SEG_SS;
        break;
    case ZYDIS_MNEMONIC_LFS:
        e->uop->x = SEG_FS;
        break;
    default:
        e->uop->x = SEG_GS;
        break;
    }
    e->uop->fn = op_load_far_pointer;
    emit_memory(e, &e->insn->op[1]);
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->osize = far_size(e);
    e->ends = true;
    return true;
}

static bool emit_fast_call(struct emit *e)
{
    switch (e->insn->mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
        e->uop->fn = op_syscall;
        break;
    case ZYDIS_MNEMONIC_SYSRET:
        e->uop->fn = op_sysret;
        break;
    case ZYDIS_MNEMONIC_SYSENTER:
        e->uop->fn = op_sysenter;
        break;
    default:
        e->uop->fn = op_sysexit;
        break;
    }
    e->uop->osize = (e->mode & MODE_64) != 0 && e->insn->w ? 8 : 4;
    e->ends = true;
    return true;
}

const struct emit_entry emit_far[] = {
    {ZYDIS_MNEMONIC_JMP, emit_transfer},
    {ZYDIS_MNEMONIC_CALL, emit_transfer},
    {ZYDIS_MNEMONIC_RET, emit_return_far},
    {ZYDIS_MNEMONIC_LDS, emit_load_far_pointer},
    {ZYDIS_MNEMONIC_LES, emit_load_far_pointer},
    {ZYDIS_MNEMONIC_LSS, emit_load_far_pointer},
    {ZYDIS_MNEMONIC_LFS, emit_load_far_pointer},
    {ZYDIS_MNEMONIC_LGS, emit_load_far_pointer},
    {ZYDIS_MNEMONIC_SYSCALL, emit_fast_call},
    {ZYDIS_MNEMONIC_SYSRET, emit_fast_call},
    {ZYDIS_MNEMONIC_SYSENTER, emit_fast_call},
    {ZYDIS_MNEMONIC_SYSEXIT, emit_fast_call},
    {0, NULL},
};
