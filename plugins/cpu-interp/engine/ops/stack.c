/* SPDX-License-Identifier: MIT
 *
 * ops/stack.c - PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE.
 *
 * Intel SDM 2, each instruction's page; flags: POPF, table 4-17, and SDM 3, 20.2.7 (virtual-8086
 * mode). A selector pushed with 32 or 64 bits is zero-extended.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

/* ---- PUSH ----------------------------------------------------------------------------------- */

HANDLER(op_push_r64)
{
    uint64_t la = c->reg[RSP] - 8;

    st64(c, u, la, c->reg[u->s]);
    c->reg[RSP] = la;
    NEXT(c, u);
}

HANDLER(op_push_i64)
{
    uint64_t la = c->reg[RSP] - 8;

    st64(c, u, la, u->imm);
    c->reg[RSP] = la;
    NEXT(c, u);
}

HANDLER(op_push_rm)
{
    push_any(c, u, get_rm(c, u, u->osize), u->osize);
    NEXT(c, u);
}

HANDLER(op_push_i)
{
    push_any(c, u, u->imm, u->osize);
    NEXT(c, u);
}

HANDLER(op_push_sreg)
{
    push_any(c, u, c->seg[u->s].selector, u->osize);
    NEXT(c, u);
}

/* ---- POP ------------------------------------------------------------------------------------ */

HANDLER(op_pop_r64)
{
    uint64_t value = ld64(c, u, c->reg[RSP]);

    c->reg[RSP] += 8;
    c->reg[u->d] = value;
    NEXT(c, u);
}

HANDLER(op_pop_r)
{
    uint32_t bytes = u->osize;
    uint64_t value = load(c, u, stack_at(c, u, 0, bytes, ACCESS_READ), bytes);

    stack_set(c, c->reg[RSP] + bytes);
    set_reg(c, u->d, bytes, value);
    NEXT(c, u);
}

/* An address by RSP is that of after the pop: the emitter has added it to the displacement. */
HANDLER(op_pop_m)
{
    uint32_t bytes = u->osize;
    uint64_t value = load(c, u, stack_at(c, u, 0, bytes, ACCESS_READ), bytes);

    store(c, u, ea_any(c, u, bytes, ACCESS_WRITE), value, bytes);
    stack_set(c, c->reg[RSP] + bytes);
    NEXT(c, u);
}

HANDLER(op_pop_sreg)
{
    uint32_t bytes = u->osize;
    uint64_t value = load(c, u, stack_at(c, u, 0, bytes, ACCESS_READ), bytes);
    uint64_t mask = stack_mask(c), rsp = c->reg[RSP];

    segment_load(c, u, u->d, (uint16_t)value);
    c->reg[RSP] = (rsp & ~mask) | ((rsp + bytes) & mask);
    if (u->d == SEG_SS)
        c->shadow |= 2;
    LEAVE(c, uop_next_rip(c, u));
}

/* ---- all registers -------------------------------------------------------------------------- */

static __attribute__((noinline)) void push_all(struct cpu *c, const struct uop *u, uint32_t bytes)
{
    int64_t step = bytes;

    for (int64_t k = 0; k < 8; k++)
        probe_write(c, u, stack_at(c, u, -(k + 1) * step, bytes, ACCESS_WRITE), bytes);
    for (uint32_t k = 0; k < 8; k++)
        store(c, u, stack_at(c, u, -((int64_t)k + 1) * step, bytes, ACCESS_WRITE),
              get_reg(c, k, bytes), bytes);
    stack_set(c, c->reg[RSP] - 8 * bytes);
}

HANDLER(op_pusha)
{
    push_all(c, u, u->osize);
    NEXT(c, u);
}

static __attribute__((noinline)) void pop_all(struct cpu *c, const struct uop *u, uint32_t bytes)
{
    uint64_t value[8];

    for (uint32_t k = 0; k < 8; k++)
        value[k] = load(c, u, stack_at(c, u, (int64_t)(7 - k) * bytes, bytes, ACCESS_READ), bytes);
    for (uint32_t k = 0; k < 8; k++)
        if (k != RSP)
            set_reg(c, k, bytes, value[k]);
    stack_set(c, c->reg[RSP] + 8 * bytes);
}

HANDLER(op_popa)
{
    pop_all(c, u, u->osize);
    NEXT(c, u);
}

/* ---- flags ---------------------------------------------------------------------------------- */

HANDLER(op_pushf)
{
    uint64_t flags = cpu_rflags(c) & ~(uint64_t)(FLAG_RF | FLAG_VM);

    if (unlikely(cpu_v8086(c)) && cpu_iopl(c) < 3) {
        if (!(c->cr4 & CR4_VME) || u->osize != 2)
            raise_error(c, u, EXC_GP, 0);
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
    }
    push_any(c, u, flags, u->osize);
    NEXT(c, u);
}

/* What of RFLAGS a POPF of `bytes` bytes may change, VME's 16-bit one apart. */
static uint32_t popf_mask(const struct cpu *c, uint32_t bytes)
{
    uint32_t mask = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;

    if (c->cpl <= cpu_iopl(c))
        mask |= FLAG_IF;
    if (c->cpl == 0)
        mask |= FLAG_IOPL;
    return bytes == 2 ? mask & UINT16_MAX : mask;
}

/* Virtual-8086 mode with IOPL below 3: IF is VIF. Returns the new RFLAGS. */
static uint64_t popf_virtual(struct cpu *c, const struct uop *u, uint64_t value)
{
    uint64_t old = cpu_rflags(c);
    uint32_t mask = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;

    if (!(c->cr4 & CR4_VME) || u->osize != 2 || (value & FLAG_TF) ||
        ((value & FLAG_IF) && (old & FLAG_VIP)))
        raise_error(c, u, EXC_GP, 0);
    return (old & ~(uint64_t)(mask | FLAG_VIF | FLAG_RF)) | (value & mask) |
           (value & FLAG_IF ? FLAG_VIF : 0);
}

HANDLER(op_popf)
{
    uint64_t value, old = c->rflags;
    uint32_t bytes = u->osize, mask;

    if (unlikely(cpu_v8086(c)) && cpu_iopl(c) < 3 && (bytes != 2 || !(c->cr4 & CR4_VME)))
        raise_error(c, u, EXC_GP, 0);
    value = load(c, u, stack_at(c, u, 0, bytes, ACCESS_READ), bytes);
    if (unlikely(cpu_v8086(c)) && cpu_iopl(c) < 3) {
        value = popf_virtual(c, u, value);
    } else {
        mask = popf_mask(c, bytes);
        value = (cpu_rflags(c) & ~(uint64_t)(mask | FLAG_RF)) | (value & mask);
    }
    stack_set(c, c->reg[RSP] + bytes);
    if (likely(!((old ^ value) & (FLAG_TF | FLAG_IF | FLAG_AC)))) {
        flags_set(c, (uint32_t)value);
        c->rflags = (value & ~(uint64_t)FLAGS_ARITHMETIC) | FLAG_ONE;
        NEXT(c, u);
    }
    cpu_rflags_set(c, value);
    LEAVE(c, uop_next_rip(c, u));
}

/* ---- frames --------------------------------------------------------------------------------- */

static __attribute__((noinline)) void enter(struct cpu *c, const struct uop *u, uint32_t bytes,
                                            uint32_t level)
{
    uint64_t mask = stack_mask(c), rbp = c->reg[RBP], frame;
    int64_t down = bytes;

    store(c, u, stack_at(c, u, -down, bytes, ACCESS_WRITE), get_reg(c, RBP, bytes), bytes);
    frame = c->reg[RSP] - bytes;
    for (uint32_t k = 1; k < level; k++) {
        rbp -= bytes;
        uint64_t value =
            load(c, u, ea_segment(c, u, SEG_SS, rbp & mask, bytes, ACCESS_READ), bytes);
        down += bytes;
        store(c, u, stack_at(c, u, -down, bytes, ACCESS_WRITE), value, bytes);
    }
    if (level) {
        down += bytes;
        store(c, u, stack_at(c, u, -down, bytes, ACCESS_WRITE), frame & size_mask(bytes), bytes);
    }
    down += (int64_t)(u->imm & UINT16_MAX);
    /* The new top of the stack must be writable (SDM 2, ENTER, exceptions). */
    probe_write(c, u, stack_at(c, u, -down, 1, ACCESS_WRITE), 1);
    set_reg(c, RBP, bytes,
            (c->reg[RSP] & ~mask) | (frame & mask)); /* a 16-bit stack keeps the upper half */
    stack_set(c, c->reg[RSP] - (uint64_t)down);
}

HANDLER(op_enter)
{
    enter(c, u, u->osize, (uint32_t)(u->imm >> 16) & 31);
    NEXT(c, u);
}

HANDLER(op_leave64)
{
    uint64_t la = c->reg[RBP], value = ld64(c, u, la);

    c->reg[RSP] = la + 8;
    c->reg[RBP] = value;
    NEXT(c, u);
}

HANDLER(op_leave_any)
{
    uint32_t bytes = u->osize;
    uint64_t offset = c->reg[RBP] & stack_mask(c);
    uint64_t value = load(c, u, ea_segment(c, u, SEG_SS, offset, bytes, ACCESS_READ), bytes);

    stack_set(c, offset + bytes);
    set_reg(c, RBP, bytes, value);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

/* The stack operand's size: in 64-bit code 8 or 2. */
static uint8_t stack_bytes(const struct emit *e)
{
    return e->mode & MODE_64 && e->insn->osize == 4 ? 8 : e->insn->osize;
}

static bool emit_push(struct emit *e)
{
    const struct operand *o = &e->insn->op[0];
    struct uop *u = e->uop;
    uint8_t bytes = stack_bytes(e);
    bool wide = e->mode & MODE_64 && bytes == 8;

    u->seg = SEG_SS;
    u->osize = bytes;
    if (o->kind == OPERAND_IMM) {
        u->imm = o->imm;
        u->fn = wide ? op_push_i64 : op_push_i;
    } else if (o->kind == OPERAND_REG && o->file == FILE_SEGMENT) {
        u->s = o->number;
        u->fn = op_push_sreg;
    } else {
        emit_rm(e, o, bytes);
        u->fn = wide && o->kind == OPERAND_REG ? op_push_r64 : op_push_rm;
    }
    return true;
}

static bool emit_pop(struct emit *e)
{
    const struct operand *o = &e->insn->op[0];
    struct uop *u = e->uop;
    uint8_t bytes = stack_bytes(e);

    u->seg = SEG_SS;
    if (o->kind == OPERAND_MEM) {
        emit_memory(e, o);
        if (u->base == RSP)
            u->disp = (int32_t)((uint32_t)u->disp + bytes);
        u->fn = op_pop_m;
    } else if (o->file == FILE_SEGMENT) {
        if (o->number == SEG_CS)
            return false;
        u->d = o->number;
        u->fn = op_pop_sreg;
        e->ends = true;
    } else {
        u->d = o->number;
        u->fn = e->mode & MODE_64 && bytes == 8 ? op_pop_r64 : op_pop_r;
    }
    u->osize = bytes;
    return true;
}

static bool emit_all(struct emit *e, op_fn *fn, uint8_t bytes)
{
    e->uop->seg = SEG_SS;
    e->uop->osize = bytes;
    e->uop->fn = fn;
    return true;
}

#define DEFINE_SIZED(name, handler, bytes)                                                         \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_all(e, handler, bytes);                                                        \
    }
DEFINE_SIZED(pusha, op_pusha, 2)
DEFINE_SIZED(pushad, op_pusha, 4)
DEFINE_SIZED(popa, op_popa, 2)
DEFINE_SIZED(popad, op_popa, 4)
DEFINE_SIZED(pushf, op_pushf, 2)
DEFINE_SIZED(pushfd, op_pushf, 4)
DEFINE_SIZED(pushfq, op_pushf, 8)
DEFINE_SIZED(popf, op_popf, 2)
DEFINE_SIZED(popfd, op_popf, 4)
DEFINE_SIZED(popfq, op_popf, 8)

static bool emit_enter(struct emit *e)
{
    e->uop->imm = (e->insn->op[0].imm & UINT16_MAX) | (e->insn->op[1].imm & 0xff) << 16;
    return emit_all(e, op_enter, stack_bytes(e));
}

static bool emit_leave(struct emit *e)
{
    uint8_t bytes = stack_bytes(e);

    return emit_all(e, e->mode & MODE_64 && bytes == 8 ? op_leave64 : op_leave_any, bytes);
}

const struct emit_entry emit_stack[] = {
    {ZYDIS_MNEMONIC_PUSH, emit_push},
    {ZYDIS_MNEMONIC_POP, emit_pop},
    {ZYDIS_MNEMONIC_PUSHA, emit_pusha},
    {ZYDIS_MNEMONIC_PUSHAD, emit_pushad},
    {ZYDIS_MNEMONIC_POPA, emit_popa},
    {ZYDIS_MNEMONIC_POPAD, emit_popad},
    {ZYDIS_MNEMONIC_PUSHF, emit_pushf},
    {ZYDIS_MNEMONIC_PUSHFD, emit_pushfd},
    {ZYDIS_MNEMONIC_PUSHFQ, emit_pushfq},
    {ZYDIS_MNEMONIC_POPF, emit_popf},
    {ZYDIS_MNEMONIC_POPFD, emit_popfd},
    {ZYDIS_MNEMONIC_POPFQ, emit_popfq},
    {ZYDIS_MNEMONIC_ENTER, emit_enter},
    {ZYDIS_MNEMONIC_LEAVE, emit_leave},
    {0, NULL},
};
