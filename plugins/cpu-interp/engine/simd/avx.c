/* SPDX-License-Identifier: MIT
 *
 * simd/avx.c - the instructions of SSE to SSE4.2, AES and PCLMULQDQ in VEX encoding (SDM 1, 14.1
 * and 14.7): the arithmetic and what else follows the tables. Moves and their kind are in
 * avx_move.c, what is new in AVX and AVX2 in avx2.c.
 */
#include "../ops/flags.h"
#include "lanes_convert.h"
#include "lanes_crypto.h"
#include "lanes_sse4.h"
#include "tables.h"
#include "vex.h"

#include <Zydis/Mnemonic.h>

#define INTEGER_128(mnemonic, name) VEX_INTEGER_128(name, lane_##name)
#define SAME(mnemonic, name) VEX_INTEGER(name, lane_##name, 0)

/* ---- integers ------------------------------------------------------------------------------- */

/* Where the immediate has bits of its own for the high half. */
VEX_INTEGER(shufpd, lane_shufpd, 2)
VEX_INTEGER(blendps, lane_blendps, 4)
VEX_INTEGER(blendpd, lane_blendpd, 2)
VEX_INTEGER(mpsadbw, lane_mpsadbw, 3)
SSE2_BINARY(SAME)
SSE4_BINARY(SAME)
SSE2_UNARY(SAME)
SSSE3_BINARY(SAME)
SSSE3_UNARY(SAME)
SSE4_UNARY(INTEGER_128)
AES_BINARY(INTEGER_128)
AES_UNARY(INTEGER_128)

/* A shift's count is one for both halves: the low 64 bits of an XMM register or of 16 bytes. */
#define SHIFT(mnemonic, name)                                                                      \
    VEX_128(name, lane_##name, mem128, NO_BEGIN, NO_END)                                           \
    VEX_128(name##_i, lane_##name##_i, mem128, NO_BEGIN, NO_END)                                   \
    VEX_256(name##_i, lane_##name##_i, 0, NO_BEGIN, NO_END)                                        \
    static const struct uop *op_v##name##_rr256(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 count = *xmm(c, u->s);                                                                \
        set_ymm(c, u->d, lane_##name(*xmm(c, u->v), count, 0),                                     \
                lane_##name(*ymm_high(c, u->v), count, 0));                                        \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_v##name##_rm256(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 count = mem128(c, u);                                                                 \
        set_ymm(c, u->d, lane_##name(*xmm(c, u->v), count, 0),                                     \
                lane_##name(*ymm_high(c, u->v), count, 0));                                        \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_rm, op_v##name##_rr256,   \
                                           op_v##name##_rm256};                                    \
        static const struct vex_ops by_imm = {op_v##name##_i_rr, op_v##name##_i_rm,                \
                                              op_v##name##_i_rr256, op_v##name##_i_rm256};         \
        return emit_vex(e, e->insn->op[2].kind == OPERAND_IMM ? &by_imm : &ops);                   \
    }
SSE2_SHIFT(SHIFT)

#define SHIFT_BYTES(mnemonic, name)                                                                \
    VEX_128(name, lane_##name##_i, mem128, NO_BEGIN, NO_END)                                       \
    VEX_256(name, lane_##name##_i, 0, NO_BEGIN, NO_END)                                            \
    VEX_EMIT(name)
SSE2_SHIFT_BYTES(SHIFT_BYTES)

/* Widening: 256 bits come of twice the source of 128. */
#define MEM_TWICE_64 mem128
#define MEM_TWICE_32 mem64
#define MEM_TWICE_16 mem32
#define WIDEN_256(name, bits, suffix, source)                                                      \
    static const struct uop *op_v##name##_##suffix(struct cpu *c, const struct uop *u)             \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 b = source;                                                                           \
        set_ymm(c, u->d, lane_##name(b, b, 0),                                                     \
                lane_##name(b, bytes_from(b, (x128){0}, bits / 8), 0));                            \
        NEXT(c, u);                                                                                \
    }
#define WIDEN(mnemonic, name, bits)                                                                \
    VEX_128(name, lane_##name, mem##bits, NO_BEGIN, NO_END)                                        \
    WIDEN_256(name, bits, rr256, *xmm(c, u->s))                                                    \
    WIDEN_256(name, bits, rm256, MEM_TWICE_##bits(c, u))                                           \
    VEX_EMIT(name)
SSE4_WIDEN(WIDEN)

/* ---- floating point ------------------------------------------------------------------------- */

#define PACKED(mnemonic, name) VEX_FLOAT(name, lane_##name, 0)
#define SINGLE(mnemonic, name) VEX_FLOAT_SCALAR(name, lane_##name, mem32)
#define DOUBLE(mnemonic, name) VEX_FLOAT_SCALAR(name, lane_##name, mem64)
FLOAT_PACKED(PACKED)
FLOAT_SINGLE(SINGLE)
FLOAT_DOUBLE(DOUBLE)
VEX_FLOAT(cmpps, lane_vcmpps, 0)
VEX_FLOAT(cmppd, lane_vcmppd, 0)
VEX_FLOAT_SCALAR(cmpss, lane_vcmpss, mem32)
VEX_FLOAT_SCALAR(cmpsd, lane_vcmpsd, mem64)

#define FLAG_HANDLERS(name, mem)                                                                   \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 b = u->x ? mem(c, u) : *xmm(c, u->s), a = *xmm(c, u->d);                              \
        MXCSR_BEGIN(c, a, b);                                                                      \
        uint32_t flags = flags_##name(a, b);                                                       \
        MXCSR_END_INT(c, u, flags);                                                                \
        flags_set(c, flags);                                                                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        e->uop->x = e->insn->op[1].kind == OPERAND_MEM;                                            \
        return emit_sse(e, op_v##name, op_v##name);                                                \
    }
FLAG_HANDLERS(comiss, mem32)
FLAG_HANDLERS(comisd, mem64)
FLAG_HANDLERS(ucomiss, mem32)
FLAG_HANDLERS(ucomisd, mem64)

/* ---- conversions ---------------------------------------------------------------------------- */

VEX_FLOAT(cvtdq2ps, lane_cvtdq2ps, 0)
VEX_FLOAT(cvtps2dq, lane_cvtps2dq, 0)
VEX_FLOAT(cvttps2dq, lane_cvttps2dq, 0)
VEX_FLOAT_SCALAR(cvtss2sd, lane_cvtss2sd, mem32)
VEX_FLOAT_SCALAR(cvtsd2ss, lane_cvtsd2ss, mem64)

/* To twice the size: 256 bits of 128. */
#define CONVERT_UP_256(name, suffix, source)                                                       \
    static const struct uop *op_v##name##_##suffix(struct cpu *c, const struct uop *u)             \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 b = source, low, high;                                                                \
        MXCSR_BEGIN(c, b, b);                                                                      \
        low = lane_##name(b, b, 0);                                                                \
        high = lane_##name(b, x128_of(b[1], 0), 0);                                                \
        MXCSR_END(c, u, low);                                                                      \
        set_ymm(c, u->d, low, high);                                                               \
        NEXT(c, u);                                                                                \
    }
#define CONVERT_UP(name)                                                                           \
    VEX_128(name, lane_##name, mem64, MXCSR_BEGIN, MXCSR_END)                                      \
    CONVERT_UP_256(name, rr256, *xmm(c, u->s))                                                     \
    CONVERT_UP_256(name, rm256, mem128(c, u))                                                      \
    VEX_EMIT(name)
CONVERT_UP(cvtps2pd)
CONVERT_UP(cvtdq2pd)

/* To half the size: 128 bits of 256. */
#define CONVERT_DOWN_256(name, suffix, source)                                                     \
    static const struct uop *op_v##name##_##suffix(struct cpu *c, const struct uop *u)             \
    {                                                                                              \
        x128 low, high;                                                                            \
        avx_check(c, u);                                                                           \
        source;                                                                                    \
        MXCSR_BEGIN(c, low, high);                                                                 \
        low = lane_##name(low, low, 0);                                                            \
        high = lane_##name(high, high, 0);                                                         \
        MXCSR_END(c, u, low);                                                                      \
        set_xmm(c, u->d, x128_of(low[0], high[0]));                                                \
        NEXT(c, u);                                                                                \
    }
#define REG_HALVES (low = *xmm(c, u->s), high = *ymm_high(c, u->s))
#define MEM_HALVES                                                                                 \
    uint64_t la = mem256(c, u);                                                                    \
    low = ld128(c, u, la), high = ld128(c, u, la + 16)
#define CONVERT_DOWN(name)                                                                         \
    VEX_128(name, lane_##name, mem128, MXCSR_BEGIN, MXCSR_END)                                     \
    CONVERT_DOWN_256(name, rr256, REG_HALVES)                                                      \
    CONVERT_DOWN_256(name, rm256, MEM_HALVES)                                                      \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_rm, op_v##name##_rr256,   \
                                           op_v##name##_rm256};                                    \
        return emit_vex(e, &ops);                                                                  \
    }
CONVERT_DOWN(cvtpd2ps)
CONVERT_DOWN(cvtpd2dq)
CONVERT_DOWN(cvttpd2dq)

/* From and to general registers. x: memory; osize: the integer's bytes. */
#define FROM_INTEGER_HANDLER(name, bits)                                                           \
    static const struct uop *op_v##name##_##bits(struct cpu *c, const struct uop *u)               \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        uint64_t value =                                                                           \
            u->x ? ld##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_READ)) : c->reg[u->s];          \
        x128 a = *xmm(c, u->v);                                                                    \
        MXCSR_BEGIN(c, a, a);                                                                      \
        a = name##_##bits(a, (int##bits##_t)value);                                                \
        MXCSR_END(c, u, a);                                                                        \
        set_xmm(c, u->d, a);                                                                       \
        NEXT(c, u);                                                                                \
    }
#define FROM_INTEGER_HANDLERS(name)                                                                \
    FROM_INTEGER_HANDLER(name, 32)                                                                 \
    FROM_INTEGER_HANDLER(name, 64)                                                                 \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops[2] = {{op_v##name##_32, op_v##name##_32, NULL, NULL},      \
                                              {op_v##name##_64, op_v##name##_64, NULL, NULL}};     \
        bool done = emit_vex_scalar(e, &ops[e->insn->op[2].bytes == 8]);                           \
        e->uop->x = e->insn->op[2].kind == OPERAND_MEM;                                            \
        return done;                                                                               \
    }
FROM_INTEGER_HANDLERS(cvtsi2ss)
FROM_INTEGER_HANDLERS(cvtsi2sd)

#define TO_INTEGER_HANDLER(name, bits, mem)                                                        \
    static const struct uop *op_v##name##_##bits(struct cpu *c, const struct uop *u)               \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 b = u->x ? mem(c, u) : *xmm(c, u->s);                                                 \
        MXCSR_BEGIN(c, b, b);                                                                      \
        uint##bits##_t value = name##_##bits(b);                                                   \
        MXCSR_END_INT(c, u, value);                                                                \
        c->reg[u->d] = value;                                                                      \
        NEXT(c, u);                                                                                \
    }
#define TO_INTEGER_HANDLERS(name, mem)                                                             \
    TO_INTEGER_HANDLER(name, 32, mem)                                                              \
    TO_INTEGER_HANDLER(name, 64, mem)                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        op_fn *fn = e->insn->op[0].bytes == 8 ? op_v##name##_64 : op_v##name##_32;                 \
        e->uop->x = e->insn->op[1].kind == OPERAND_MEM;                                            \
        return emit_sse(e, fn, fn);                                                                \
    }
TO_INTEGER_HANDLERS(cvtss2si, mem32)
TO_INTEGER_HANDLERS(cvttss2si, mem32)
TO_INTEGER_HANDLERS(cvtsd2si, mem64)
TO_INTEGER_HANDLERS(cvttsd2si, mem64)

#define ENTRY(mnemonic, name) {ZYDIS_MNEMONIC_V##mnemonic, emit_v##name},
#define ENTRY_WIDEN(mnemonic, name, bits) ENTRY(mnemonic, name)
const struct emit_entry emit_avx[] = {
    SSE2_BINARY(ENTRY) HALVED_BINARY(ENTRY) SSE2_BINARY_SAME(ENTRY) SSE2_UNARY(ENTRY) SSE2_SHIFT(
        ENTRY) SSE2_SHIFT_BYTES(ENTRY) SSSE3_BINARY(ENTRY) SSSE3_UNARY(ENTRY) SSE4_BINARY(ENTRY)
        SSE4_UNARY(ENTRY) SSE4_WIDEN(ENTRY_WIDEN) AES_BINARY(ENTRY) AES_UNARY(ENTRY)
            FLOAT_PACKED(ENTRY) FLOAT_SINGLE(ENTRY) FLOAT_DOUBLE(ENTRY) FLOAT_COMPARE_PACKED(ENTRY)
                FLOAT_COMPARE_SINGLE(ENTRY) ENTRY(CMPSD, cmpsd) ENTRY(COMISS, comiss)
                    ENTRY(COMISD, comisd) ENTRY(UCOMISS, ucomiss) ENTRY(UCOMISD, ucomisd) ENTRY(
                        CVTDQ2PS, cvtdq2ps) ENTRY(CVTPS2DQ, cvtps2dq) ENTRY(CVTTPS2DQ, cvttps2dq)
                        ENTRY(CVTSS2SD, cvtss2sd) ENTRY(CVTSD2SS, cvtsd2ss)
                            ENTRY(CVTPS2PD, cvtps2pd) ENTRY(CVTDQ2PD, cvtdq2pd)
                                ENTRY(CVTPD2PS, cvtpd2ps) ENTRY(CVTPD2DQ, cvtpd2dq)
                                    ENTRY(CVTTPD2DQ, cvttpd2dq) ENTRY(CVTSI2SS, cvtsi2ss)
                                        ENTRY(CVTSI2SD, cvtsi2sd) ENTRY(CVTSS2SI, cvtss2si)
                                            ENTRY(CVTTSS2SI, cvttss2si) ENTRY(CVTSD2SI, cvtsd2si)
                                                ENTRY(CVTTSD2SI, cvttsd2si){0, NULL},
};
