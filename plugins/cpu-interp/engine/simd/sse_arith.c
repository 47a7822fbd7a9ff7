/* SPDX-License-Identifier: MIT
 *
 * simd/sse_arith.c - the floating-point arithmetic of SSE, SSE2, SSE3 and SSE4.1 on XMM registers
 * (SDM 1, 10.4.1, 11.4.1, 12.3, 12.10). The operations are in lanes_float.h.
 */
#include "../ops/flags.h"
#include "float.h"
#include "tables.h"

#include <Zydis/Mnemonic.h>

#define PACKED(mnemonic, name) FLOAT_HANDLERS(name, lane_##name, mem128a)
#define SINGLE(mnemonic, name) FLOAT_HANDLERS(name, lane_##name, mem32)
#define DOUBLE(mnemonic, name) FLOAT_HANDLERS(name, lane_##name, mem64)
FLOAT_PACKED(PACKED)
FLOAT_COMPARE_PACKED(PACKED)
FLOAT_SINGLE(SINGLE)
FLOAT_COMPARE_SINGLE(SINGLE)
FLOAT_DOUBLE(DOUBLE)
FLOAT_HANDLERS(cmpsd, lane_cmpsd, mem64)

static bool emit_cmpsd_sse(struct emit *e)
{
    /* Or it is the string instruction of this name. */
    return e->insn->opcode_map == 1 && emit_cmpsd(e);
}

/* ---- comparisons into RFLAGS ---------------------------------------------------------------- */

#define FLAG_HANDLERS(name, mem)                                                                   \
    SLOW static const struct uop *op_##name##_slow(struct cpu *c, const struct uop *u)             \
    {                                                                                              \
        coverage_count(op_##name##_slow);                                                          \
        sse_check(c, u);                                                                           \
        x128 b = u->x ? mem(c, u) : *xmm(c, u->s), a = *xmm(c, u->d);                              \
        MXCSR_BEGIN(c, a, b);                                                                      \
        uint32_t flags = flags_##name(a, b);                                                       \
        MXCSR_END_INT(c, u, flags);                                                                \
        flags_set(c, flags);                                                                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        if (float_slow(c))                                                                         \
            return op_##name##_slow(c, u);                                                         \
        x128 a = *xmm(c, u->d), b = *xmm(c, u->s);                                                 \
        FLOAT_PIN(a, b);                                                                           \
        uint32_t flags = flags_##name(a, b);                                                       \
        MXCSR_PIN_INT(flags);                                                                      \
        flags_set(c, flags);                                                                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        const void *p = fast_##mem(c, u);                                                          \
        if (unlikely(!p) || float_slow(c))                                                         \
            return op_##name##_slow(c, u);                                                         \
        x128 b = at_##mem(p), a = *xmm(c, u->d);                                                   \
        FLOAT_PIN(a, b);                                                                           \
        uint32_t flags = flags_##name(a, b);                                                       \
        MXCSR_PIN_INT(flags);                                                                      \
        flags_set(c, flags);                                                                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        e->uop->x = e->insn->op[1].kind == OPERAND_MEM;                                            \
        return emit_sse(e, op_##name##_rr, op_##name##_rm);                                        \
    }
FLAG_HANDLERS(comiss, mem32)
FLAG_HANDLERS(comisd, mem64)
FLAG_HANDLERS(ucomiss, mem32)
FLAG_HANDLERS(ucomisd, mem64)

#define ENTRY(mnemonic, name) {ZYDIS_MNEMONIC_##mnemonic, emit_##name},
const struct emit_entry emit_sse_arith[] = {FLOAT_PACKED(ENTRY) FLOAT_COMPARE_PACKED(ENTRY) /* */
                                            FLOAT_SINGLE(ENTRY) FLOAT_COMPARE_SINGLE(ENTRY) /* */
                                            FLOAT_DOUBLE(ENTRY) ENTRY(CMPSD, cmpsd_sse)     /* */
                                            ENTRY(COMISS, comiss) ENTRY(COMISD, comisd)     /* */
                                            ENTRY(UCOMISS, ucomiss)
                                                ENTRY(UCOMISD, ucomisd){0, NULL}};
