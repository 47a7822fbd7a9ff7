/* SPDX-License-Identifier: MIT
 *
 * simd/sse_int.c - the integer, logical and shuffling instructions of SSE and SSE2 on XMM registers
 * (SDM 1, 11.4). The operations are in lanes.h, the moves in sse_move.c.
 */
#include "lanes.h"
#include "tables.h"

#include <Zydis/Mnemonic.h>

#define X(mnemonic, name) SSE_HANDLERS(name, lane_##name, mem128a)
SSE2_BINARY(X)
SSE2_UNARY(X)
#undef X

/* A shift's second operand is a count in a register or in memory, or an immediate. */
#define SHIFT_HANDLERS(name)                                                                       \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        *xmm(c, u->d) = lane_##name(*xmm(c, u->d), *xmm(c, u->s), 0);                              \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        x128 count = mem128a(c, u);                                                                \
        *xmm(c, u->d) = lane_##name(*xmm(c, u->d), count, 0);                                      \
        NEXT(c, u);                                                                                \
    }

#define SHIFT_IMMEDIATE(name)                                                                      \
    static const struct uop *op_##name##_ri(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        *xmm(c, u->d) = lane_##name##_i(*xmm(c, u->d), *xmm(c, u->d), u->imm8);                    \
        NEXT(c, u);                                                                                \
    }

static bool emit_shift_immediate(struct emit *e, op_fn *fn)
{
    e->uop->d = e->insn->op[0].number;
    e->uop->imm8 = (uint8_t)e->insn->op[1].imm;
    e->uop->fn = fn;
    return true;
}

#define X(mnemonic, name)                                                                          \
    SHIFT_HANDLERS(name)                                                                           \
    SHIFT_IMMEDIATE(name)                                                                          \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        if (e->insn->op[0].file == FILE_MMX)                                                       \
            return mmx_emit(e);                                                                    \
        if (e->insn->op[1].kind == OPERAND_IMM)                                                    \
            return emit_shift_immediate(e, op_##name##_ri);                                        \
        return emit_sse(e, op_##name##_rr, op_##name##_rm);                                        \
    }
SSE2_SHIFT(X)
#undef X

#define X(mnemonic, name)                                                                          \
    SHIFT_IMMEDIATE(name)                                                                          \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_shift_immediate(e, op_##name##_ri);                                            \
    }
SSE2_SHIFT_BYTES(X)
#undef X

#define ENTRY(mnemonic, name) {ZYDIS_MNEMONIC_##mnemonic, emit_##name},
const struct emit_entry emit_sse_int[] = {SSE2_BINARY(ENTRY) SSE2_BINARY_SAME(ENTRY) SSE2_UNARY(
    ENTRY) SSE2_SHIFT(ENTRY) SSE2_SHIFT_BYTES(ENTRY){0, NULL}};
