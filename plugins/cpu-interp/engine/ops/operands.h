/* SPDX-License-Identifier: MIT
 *
 * ops/operands.h - registers, operands and the stack, for the handlers of integer instructions.
 *
 * Names of handlers: op_<instruction>_<operands><bits>, where an operand is r (register), i
 * (immediate), m (memory by ea_fast) or n (memory by ea_any, in any mode).
 */
#ifndef INTERP_OPERANDS_H
#define INTERP_OPERANDS_H

#include "../block/chain.h"
#include "../decode/emit.h"
#include "flags.h"

#define INLINE static inline __attribute__((always_inline, unused))

/* ---- registers ------------------------------------------------------------------------------ */

/* `n` is a byte offset in cpu.reg: AH is 1. */
INLINE uint8_t get8(const struct cpu *c, uint32_t n)
{
    return ((const uint8_t *)c->reg)[n];
}

INLINE uint16_t get16(const struct cpu *c, uint32_t n)
{
    return (uint16_t)c->reg[n];
}

INLINE uint32_t get32(const struct cpu *c, uint32_t n)
{
    return (uint32_t)c->reg[n];
}

INLINE uint64_t get64(const struct cpu *c, uint32_t n)
{
    return c->reg[n];
}

INLINE void set8(struct cpu *c, uint32_t n, uint8_t value)
{
    ((uint8_t *)c->reg)[n] = value;
}

/* All 64 bits are written: a narrow store would make the next full load wait for it. */
INLINE void set16(struct cpu *c, uint32_t n, uint16_t value)
{
    c->reg[n] = (c->reg[n] & ~(uint64_t)UINT16_MAX) | value;
}

INLINE void set32(struct cpu *c, uint32_t n, uint32_t value)
{
    c->reg[n] = value;
}

INLINE void set64(struct cpu *c, uint32_t n, uint64_t value)
{
    c->reg[n] = value;
}

/* Of any size in bytes, zero-extended. */
INLINE uint64_t get_reg(const struct cpu *c, uint32_t n, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        return get8(c, n);
    case 2:
        return get16(c, n);
    case 4:
        return get32(c, n);
    default:
        return get64(c, n);
    }
}

INLINE void set_reg(struct cpu *c, uint32_t n, uint32_t bytes, uint64_t value)
{
    switch (bytes) {
    case 1:
        set8(c, n, (uint8_t)value);
        break;
    case 2:
        set16(c, n, (uint16_t)value);
        break;
    case 4:
        set32(c, n, (uint32_t)value);
        break;
    default:
        set64(c, n, value);
        break;
    }
}

INLINE uint64_t size_mask(uint32_t bytes)
{
    return UINT64_MAX >> (64 - 8 * bytes);
}

INLINE uint64_t sign_extend(uint64_t value, uint32_t bytes)
{
    return (uint64_t)((int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes));
}

/* ---- memory --------------------------------------------------------------------------------- */

INLINE uint64_t load(struct cpu *c, const struct uop *u, uint64_t la, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        return ld8(c, u, la);
    case 2:
        return ld16(c, u, la);
    case 4:
        return ld32(c, u, la);
    default:
        return ld64(c, u, la);
    }
}

INLINE void store(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        st8(c, u, la, (uint8_t)value);
        break;
    case 2:
        st16(c, u, la, (uint16_t)value);
        break;
    case 4:
        st32(c, u, la, (uint32_t)value);
        break;
    default:
        st64(c, u, la, value);
        break;
    }
}

/* A source that is a register (`s`) or, if the emitter said so in `extra[0]`, memory. */
INLINE uint64_t get_rm(struct cpu *c, const struct uop *u, uint32_t bytes)
{
    return u->extra[0] ? load(c, u, ea_any(c, u, bytes, ACCESS_READ), bytes)
                       : get_reg(c, u->s, bytes);
}

/* First half of a plain read-modify-write: faults are raised, *p is what mem_rw() returned. */
#define DEFINE_RMW(bits)                                                                           \
    INLINE uint##bits##_t rmw_load##bits(struct cpu *c, const struct uop *u, uint64_t la,          \
                                         const void *p)                                            \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
                                                                                                   \
        if (likely(p != NULL)) {                                                                   \
            memcpy(&value, p, sizeof(value));                                                      \
            return value;                                                                          \
        }                                                                                          \
        probe_write(c, u, la, bits / 8);                                                           \
        return (uint##bits##_t)load_slow(c, u, la, bits / 8);                                      \
    }                                                                                              \
    INLINE void rmw_store##bits(struct cpu *c, const struct uop *u, uint64_t la, void *p,          \
                                uint##bits##_t value)                                              \
    {                                                                                              \
        if (likely(p != NULL))                                                                     \
            memcpy(p, &value, sizeof(value));                                                      \
        else                                                                                       \
            store_slow(c, u, la, value, bits / 8);                                                 \
    }
DEFINE_RMW(8)
DEFINE_RMW(16)
DEFINE_RMW(32)
DEFINE_RMW(64)
#undef DEFINE_RMW

/* ---- flags ---------------------------------------------------------------------------------- */

INLINE void flags_lazy(struct cpu *c, uint32_t op, uint64_t result, uint64_t source)
{
    c->cc_op = op;
    c->cc_res = result;
    c->cc_src = source;
}

/* Condition code 0..15, a constant; see flags_condition(). */
INLINE bool condition(const struct cpu *c, uint32_t code)
{
    bool met;

    switch (code >> 1) {
    case 1:
        met = flags_carry(c);
        break;
    case 2:
        met = flags_zero(c);
        break;
    case 4:
        met = c->cc_op == CC_EXPLICIT ? (c->cc_src & FLAG_SF) != 0
                                      : c->cc_res >> ((8u << (c->cc_op & 3)) - 1);
        break;
    default:
        return flags_condition(c, code);
    }
    return met != (code & 1);
}

/* Calls `what` for each condition code with its name. */
#define ALL_CONDITIONS(what)                                                                       \
    what(o, 0) what(no, 1) what(b, 2) what(nb, 3) what(z, 4) what(nz, 5) what(be, 6) what(nbe, 7)  \
        what(s, 8) what(ns, 9) what(p, 10) what(np, 11) what(l, 12) what(nl, 13) what(le, 14)      \
            what(nle, 15)

/* ---- the stack ------------------------------------------------------------------------------ */

INLINE uint64_t stack_mask(const struct cpu *c)
{
    return c->mode & MODE_64 ? UINT64_MAX : c->mode & MODE_SS32 ? UINT32_MAX : UINT16_MAX;
}

INLINE void stack_set(struct cpu *c, uint64_t offset)
{
    uint64_t mask = stack_mask(c);

    c->reg[RSP] = (c->reg[RSP] & ~mask) | (offset & mask);
}

/* Linear address of `bytes` bytes at RSP + delta. Raises #SS. */
INLINE uint64_t stack_at(struct cpu *c, const struct uop *u, int64_t delta, uint32_t bytes,
                         uint32_t access)
{
    return ea_segment(c, u, SEG_SS, (c->reg[RSP] + (uint64_t)delta) & stack_mask(c), bytes, access);
}

/* In any mode. */
INLINE void push_any(struct cpu *c, const struct uop *u, uint64_t value, uint32_t bytes)
{
    store(c, u, stack_at(c, u, -(int64_t)bytes, bytes, ACCESS_WRITE), value, bytes);
    stack_set(c, c->reg[RSP] - bytes);
}

/* ---- emitters ------------------------------------------------------------------------------- */

/* Fills osize, and `s` or the memory operand with extra[0] set, for get_rm(). */
static inline void emit_rm(struct emit *e, const struct operand *o, uint32_t bytes)
{
    if (o->kind == OPERAND_MEM) {
        emit_memory(e, o);
        e->uop->extra[0] = 1;
    } else {
        e->uop->s = emit_gpr(o);
    }
    e->uop->osize = (uint8_t)bytes;
}

/* A LOCK prefix: atomic.c has them all. */
bool emit_locked(struct emit *e);
/* Tries to do the compare or arithmetic instruction and the Jcc after it in one uop; the uop is as
 * before if it returns false. branch.c. */
bool emit_fused(struct emit *e);

#endif
