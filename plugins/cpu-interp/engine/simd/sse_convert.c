/* SPDX-License-Identifier: MIT
 *
 * simd/sse_convert.c - the conversions of SSE and SSE2 (SDM 1, 10.4.4 and 11.4.1.6). The operations
 * are in lanes_convert.h.
 */
#include "float.h"
#include "lanes_convert.h"
#include "mmx.h"

#include <Zydis/Mnemonic.h>

FLOAT_HANDLERS(cvtps2pd, lane_cvtps2pd, mem64)
FLOAT_HANDLERS(cvtpd2ps, lane_cvtpd2ps, mem128a)
FLOAT_HANDLERS(cvtdq2ps, lane_cvtdq2ps, mem128a)
FLOAT_HANDLERS(cvtdq2pd, lane_cvtdq2pd, mem64)
FLOAT_HANDLERS(cvtps2dq, lane_cvtps2dq, mem128a)
FLOAT_HANDLERS(cvttps2dq, lane_cvttps2dq, mem128a)
FLOAT_HANDLERS(cvtpd2dq, lane_cvtpd2dq, mem128a)
FLOAT_HANDLERS(cvttpd2dq, lane_cvttpd2dq, mem128a)
FLOAT_HANDLERS(cvtss2sd, lane_cvtss2sd, mem32)
FLOAT_HANDLERS(cvtsd2ss, lane_cvtsd2ss, mem64)

/* ---- general registers ---------------------------------------------------------------------- */

/* `source` is an expression of an integer. CVTSI2SD of 32 bits raises nothing. */
#define FROM_INTEGER_HANDLER(suffix, name, source)                                                 \
    static const struct uop *op_##name##_##suffix(struct cpu *c, const struct uop *u)              \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        x128 a = *xmm(c, u->d);                                                                    \
        source;                                                                                    \
        MXCSR_BEGIN(c, a, a);                                                                      \
        a = name(a, value);                                                                        \
        MXCSR_END(c, u, a);                                                                        \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }

#define REG_SOURCE(bits) int##bits##_t value = (int##bits##_t)c->reg[u->s]
#define MEM_SOURCE(bits)                                                                           \
    int##bits##_t value = (int##bits##_t)ld##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_READ))

#define FROM_INTEGER_HANDLERS(name)                                                                \
    FROM_INTEGER_HANDLER(rr, name##_32, REG_SOURCE(32))                                            \
    FROM_INTEGER_HANDLER(rm, name##_32, MEM_SOURCE(32))                                            \
    FROM_INTEGER_HANDLER(rr, name##_64, REG_SOURCE(64))                                            \
    FROM_INTEGER_HANDLER(rm, name##_64, MEM_SOURCE(64))                                            \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        if (e->insn->op[1].bytes == 8)                                                             \
            return emit_sse(e, op_##name##_64_rr, op_##name##_64_rm);                              \
        return emit_sse(e, op_##name##_32_rr, op_##name##_32_rm);                                  \
    }
FROM_INTEGER_HANDLERS(cvtsi2ss)
FROM_INTEGER_HANDLERS(cvtsi2sd)

#define TO_INTEGER_HANDLER(suffix, name, type, source)                                             \
    static const struct uop *op_##name##_##suffix(struct cpu *c, const struct uop *u)              \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        x128 b = source;                                                                           \
        MXCSR_BEGIN(c, b, b);                                                                      \
        type value = name(b);                                                                      \
        MXCSR_END_INT(c, u, value);                                                                \
        c->reg[u->d] = value;                                                                      \
        NEXT(c, u);                                                                                \
    }

#define TO_INTEGER_HANDLERS(name, mem)                                                             \
    TO_INTEGER_HANDLER(rr, name##_32, uint32_t, *xmm(c, u->s))                                     \
    TO_INTEGER_HANDLER(rm, name##_32, uint32_t, mem(c, u))                                         \
    TO_INTEGER_HANDLER(rr, name##_64, uint64_t, *xmm(c, u->s))                                     \
    TO_INTEGER_HANDLER(rm, name##_64, uint64_t, mem(c, u))                                         \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        if (e->insn->op[0].bytes == 8)                                                             \
            return emit_sse(e, op_##name##_64_rr, op_##name##_64_rm);                              \
        return emit_sse(e, op_##name##_32_rr, op_##name##_32_rm);                                  \
    }
TO_INTEGER_HANDLERS(cvtss2si, mem32)
TO_INTEGER_HANDLERS(cvttss2si, mem32)
TO_INTEGER_HANDLERS(cvtsd2si, mem64)
TO_INTEGER_HANDLERS(cvttsd2si, mem64)

/* ---- MMX registers -------------------------------------------------------------------------- */

/* With a memory operand the x87 state stays as it is: SDM 2 says so of CVTPI2PD, and processors do
 * so for CVTPI2PS as well. */
#define FROM_MMX(name, lane)                                                                       \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        mmx_check(c, u);                                                                           \
        x128 a = *xmm(c, u->d), b = x128_of(mmx(c, u->s), 0);                                      \
        mmx_enter(c);                                                                              \
        MXCSR_BEGIN(c, a, b);                                                                      \
        a = lane(a, b, 0);                                                                         \
        MXCSR_END(c, u, a);                                                                        \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        x128 b = mem64(c, u), a = *xmm(c, u->d);                                                   \
        MXCSR_BEGIN(c, a, b);                                                                      \
        a = lane(a, b, 0);                                                                         \
        MXCSR_END(c, u, a);                                                                        \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_sse(e, op_##name##_rr, op_##name##_rm);                                        \
    }
FROM_MMX(cvtpi2ps, lane_cvtpi2ps)
FROM_MMX(cvtpi2pd, lane_cvtdq2pd)

#define TO_MMX(name, lane, mem)                                                                    \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        mmx_check(c, u);                                                                           \
        x128 b = *xmm(c, u->s);                                                                    \
        mmx_enter(c);                                                                              \
        MXCSR_BEGIN(c, b, b);                                                                      \
        b = lane(b, b, 0);                                                                         \
        MXCSR_END(c, u, b);                                                                        \
        mmx_write(c, u->d, b[0]);                                                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        mmx_check(c, u);                                                                           \
        x128 b = mem(c, u);                                                                        \
        mmx_enter(c);                                                                              \
        MXCSR_BEGIN(c, b, b);                                                                      \
        b = lane(b, b, 0);                                                                         \
        MXCSR_END(c, u, b);                                                                        \
        mmx_write(c, u->d, b[0]);                                                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_sse(e, op_##name##_rr, op_##name##_rm);                                        \
    }
TO_MMX(cvtps2pi, lane_cvtps2pi, mem64)
TO_MMX(cvttps2pi, lane_cvttps2pi, mem64)
TO_MMX(cvtpd2pi, lane_cvtpd2dq, mem128a)
TO_MMX(cvttpd2pi, lane_cvttpd2dq, mem128a)

const struct emit_entry emit_sse_convert[] = {
    {ZYDIS_MNEMONIC_CVTPS2PD, emit_cvtps2pd},
    {ZYDIS_MNEMONIC_CVTPD2PS, emit_cvtpd2ps},
    {ZYDIS_MNEMONIC_CVTDQ2PS, emit_cvtdq2ps},
    {ZYDIS_MNEMONIC_CVTDQ2PD, emit_cvtdq2pd},
    {ZYDIS_MNEMONIC_CVTPS2DQ, emit_cvtps2dq},
    {ZYDIS_MNEMONIC_CVTTPS2DQ, emit_cvttps2dq},
    {ZYDIS_MNEMONIC_CVTPD2DQ, emit_cvtpd2dq},
    {ZYDIS_MNEMONIC_CVTTPD2DQ, emit_cvttpd2dq},
    {ZYDIS_MNEMONIC_CVTSS2SD, emit_cvtss2sd},
    {ZYDIS_MNEMONIC_CVTSD2SS, emit_cvtsd2ss},
    {ZYDIS_MNEMONIC_CVTSI2SS, emit_cvtsi2ss},
    {ZYDIS_MNEMONIC_CVTSI2SD, emit_cvtsi2sd},
    {ZYDIS_MNEMONIC_CVTSS2SI, emit_cvtss2si},
    {ZYDIS_MNEMONIC_CVTTSS2SI, emit_cvttss2si},
    {ZYDIS_MNEMONIC_CVTSD2SI, emit_cvtsd2si},
    {ZYDIS_MNEMONIC_CVTTSD2SI, emit_cvttsd2si},
    {ZYDIS_MNEMONIC_CVTPI2PS, emit_cvtpi2ps},
    {ZYDIS_MNEMONIC_CVTPI2PD, emit_cvtpi2pd},
    {ZYDIS_MNEMONIC_CVTPS2PI, emit_cvtps2pi},
    {ZYDIS_MNEMONIC_CVTTPS2PI, emit_cvttps2pi},
    {ZYDIS_MNEMONIC_CVTPD2PI, emit_cvtpd2pi},
    {ZYDIS_MNEMONIC_CVTTPD2PI, emit_cvttpd2pi},
    {0, NULL},
};
