/* SPDX-License-Identifier: MIT
 *
 * ops/flags.h - the arithmetic flags, computed when somebody looks (SDM 1, 3.4.3.1).
 *
 * The last instruction that writes them leaves its kind and size (cc_op), result (cc_res) and
 * second operand (cc_src). Instructions whose flags do not follow from these compute them at once:
 * CC_EXPLICIT.
 */
#ifndef INTERP_FLAGS_H
#define INTERP_FLAGS_H

#include "../cpu.h"

/* The six flags where RFLAGS has them. */
uint32_t flags_get(const struct cpu *c);

static inline void flags_set(struct cpu *c, uint32_t flags)
{
    c->cc_op = CC_EXPLICIT;
    c->cc_src = flags & FLAGS_ARITHMETIC;
}

/* CF alone, 0 or 1: of ADC, SBB, RCL, INC and their kind. */
static inline uint32_t flags_carry(const struct cpu *c)
{
    switch (c->cc_op & ~3u) {
    case CC_EXPLICIT:
        return c->cc_src & FLAG_CF;
    case CC_ADD:
        return c->cc_res < c->cc_src;
    case CC_SUB: {
        /* The first operand, brought back to its size, was below the second. */
        uint32_t shift = 64 - (8u << (c->cc_op & 3));
        return ((c->cc_res + c->cc_src) << shift) < (c->cc_src << shift);
    }
    case CC_LOGIC:
        return 0;
    default:
        return (uint32_t)c->cc_src;
    }
}

static inline bool flags_zero(const struct cpu *c)
{
    return c->cc_op == CC_EXPLICIT ? (c->cc_src & FLAG_ZF) != 0 : c->cc_res == 0;
}

/* PF, ZF, SF of a result of 1 << `size_log` bytes, zero-extended. */
static inline uint32_t flags_szp(uint64_t result, uint32_t size_log)
{
    uint32_t flags = __builtin_parity((uint32_t)result & 0xff) ? 0 : FLAG_PF;

    if (result == 0)
        flags |= FLAG_ZF;
    return flags | ((uint32_t)(result >> ((8u << size_log) - 8)) & FLAG_SF);
}

/* Condition code 0..15 (SDM 1, appendix B): O NO B AE E NE BE A S NS P NP L GE LE G. */
bool flags_condition(const struct cpu *c, uint32_t condition);

#endif
