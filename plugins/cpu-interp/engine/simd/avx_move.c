/* SPDX-License-Identifier: MIT
 *
 * simd/avx_move.c - moves, inserts, extracts, masks, blends, tests and string instructions in VEX
 * encoding (SDM 1, 14.1; SDM 2 by mnemonic), with VZEROUPPER, VZEROALL, VLDMXCSR and VSTMXCSR.
 */
#include "../ops/flags.h"
#include "lanes_sse4.h"
#include "strings.h"
#include "vex.h"

#include <Zydis/Mnemonic.h>

/* ---- 16 and 32 bytes ------------------------------------------------------------------------ */

static const struct uop *op_vmov_rr(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    set_xmm(c, u->d, *xmm(c, u->s));
    NEXT(c, u);
}

static const struct uop *op_vmov_rr256(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    set_ymm(c, u->d, *xmm(c, u->s), *ymm_high(c, u->s));
    NEXT(c, u);
}

/* x: the operand must be aligned. */
static inline uint64_t move_ea(struct cpu *c, const struct uop *u, uint32_t size, uint32_t access)
{
    return u->x ? vector_ea_aligned(c, u, size, access) : vector_ea(c, u, size, access);
}

static const struct uop *op_vmov_rm(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    x128 value = ld128(c, u, move_ea(c, u, 16, ACCESS_READ));
    set_xmm(c, u->d, value);
    NEXT(c, u);
}

static const struct uop *op_vmov_rm256(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    uint64_t la = move_ea(c, u, 32, ACCESS_READ);
    x128 low = ld128(c, u, la), high = ld128(c, u, la + 16);
    set_ymm(c, u->d, low, high);
    NEXT(c, u);
}

static const struct uop *op_vmov_mr(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    st128(c, u, move_ea(c, u, 16, ACCESS_WRITE), *xmm(c, u->s));
    NEXT(c, u);
}

static const struct uop *op_vmov_mr256(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    st256(c, u, move_ea(c, u, 32, ACCESS_WRITE), *xmm(c, u->s), *ymm_high(c, u->s));
    NEXT(c, u);
}

static bool emit_vmov(struct emit *e)
{
    static const struct vex_ops ops = {op_vmov_rr, op_vmov_rm, op_vmov_rr256, op_vmov_rm256};
    const struct insn *insn = e->insn;

    if (insn->op[0].kind != OPERAND_MEM)
        return emit_vex(e, &ops);
    e->uop->s = insn->op[1].number;
    e->uop->y = emit_memory(e, &insn->op[0]);
    e->uop->fn = insn->vector == 32 ? op_vmov_mr256 : op_vmov_mr;
    return true;
}

static bool emit_vmov_aligned(struct emit *e)
{
    bool done = emit_vmov(e);

    e->uop->x = 1;
    return done;
}

/* ---- scalars and halves: the result's other bits are those of v ----------------------------- */

LANE(merge32, first32(a, (uint32_t)b[0]))
LANE(merge64, x128_of(b[0], a[1]))
LANE(low, b)
LANE(movlps, x128_of(b[0], a[1]))
LANE(movhps, x128_of(a[0], b[0]))
LANE(movhlps, x128_of(b[1], a[1]))
LANE(zero64, x128_of(b[0], 0))

#define STORE_HANDLER(name, bits, source)                                                          \
    static const struct uop *op_v##name##_store(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        st##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_WRITE), source);                           \
        NEXT(c, u);                                                                                \
    }
STORE_HANDLER(movss, 32, c->v[u->s].u32[0])
STORE_HANDLER(movsd, 64, c->v[u->s].u64[0])
STORE_HANDLER(movhps, 64, c->v[u->s].u64[1])

static bool emit_store(struct emit *e, op_fn *fn)
{
    e->uop->s = e->insn->op[1].number;
    e->uop->y = emit_memory(e, &e->insn->op[0]);
    e->uop->fn = fn;
    return true;
}

/* Registers merge, loads clear. */
#define SCALAR_MOVE(name, mem, merge)                                                              \
    VEX_128_RR(name, merge, NO_BEGIN, NO_END)                                                      \
    VEX_128_RM(name##_load, lane_low, mem, NO_BEGIN, NO_END)                                       \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_load_rm, NULL, NULL};     \
        if (e->insn->op[0].kind == OPERAND_MEM)                                                    \
            return emit_store(e, op_v##name##_store);                                              \
        return emit_vex_scalar(e, &ops);                                                           \
    }
SCALAR_MOVE(movss, mem32, lane_merge32)
SCALAR_MOVE(movsd, mem64, lane_merge64)

#define HALF_MOVE(name, lane, store)                                                               \
    VEX_128(name, lane, mem64, NO_BEGIN, NO_END)                                                   \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_rm, NULL, NULL};          \
        if (e->insn->op[0].kind == OPERAND_MEM)                                                    \
            return emit_store(e, store);                                                           \
        return emit_vex(e, &ops);                                                                  \
    }
HALF_MOVE(movlps, lane_movlps, op_vmovsd_store)
HALF_MOVE(movhps, lane_movhps, op_vmovhps_store)
HALF_MOVE(movhlps, lane_movhlps, NULL)

VEX_128(movddup, lane_movddup, mem64, NO_BEGIN, NO_END)
VEX_256(movddup, lane_movddup, 0, NO_BEGIN, NO_END)
VEX_EMIT(movddup)

/* ---- MOVD and MOVQ -------------------------------------------------------------------------- */

VEX_128_RM(movd, lane_low, mem32, NO_BEGIN, NO_END)
VEX_128(movq, lane_zero64, mem64, NO_BEGIN, NO_END)

static const struct uop *op_vmov_from_gpr(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    set_xmm(c, u->d, x128_of(u->osize == 8 ? c->reg[u->s] : (uint32_t)c->reg[u->s], 0));
    NEXT(c, u);
}

static const struct uop *op_vmov_to_gpr(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    c->reg[u->d] = u->osize == 8 ? c->v[u->s].u64[0] : c->v[u->s].u32[0];
    NEXT(c, u);
}

static bool emit_vmovd_movq(struct emit *e, const struct vex_ops *ops, uint8_t bytes)
{
    const struct operand *to = &e->insn->op[0], *from = &e->insn->op[1];

    e->uop->osize = bytes;
    if (to->kind == OPERAND_MEM)
        return emit_store(e, bytes == 8 ? op_vmovsd_store : op_vmovss_store);
    if (to->file == FILE_GPR)
        return emit_sse(e, op_vmov_to_gpr, NULL);
    if (from->kind == OPERAND_REG && from->file == FILE_GPR)
        return emit_sse(e, op_vmov_from_gpr, NULL);
    return emit_vex(e, ops);
}

static bool emit_vmovd(struct emit *e)
{
    static const struct vex_ops ops = {NULL, op_vmovd_rm, NULL, NULL};

    return emit_vmovd_movq(e, &ops, 4);
}

static bool emit_vmovq(struct emit *e)
{
    static const struct vex_ops ops = {op_vmovq_rr, op_vmovq_rm, NULL, NULL};

    return emit_vmovd_movq(e, &ops, 8);
}

/* ---- one element ---------------------------------------------------------------------------- */

#define INSERT(name, bits, vector)                                                                 \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        uint64_t value =                                                                           \
            u->x ? ld##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_READ)) : c->reg[u->s];          \
        vector r = (vector)*xmm(c, u->v);                                                          \
        r[u->imm8 & (128 / bits - 1)] = (uint##bits##_t)value;                                     \
        set_xmm(c, u->d, (x128)r);                                                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name, op_v##name, NULL, NULL};                    \
        e->uop->x = e->insn->op[2].kind == OPERAND_MEM;                                            \
        return emit_vex(e, &ops);                                                                  \
    }
INSERT(pinsrb, 8, u8x16)
INSERT(pinsrw, 16, u16x8)
INSERT(pinsrd, 32, u32x4)
INSERT(pinsrq, 64, u64x2)

#define EXTRACT(name, bits)                                                                        \
    static const struct uop *op_v##name##_r(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        c->reg[u->d] = c->v[u->s].u##bits[u->imm8 & (128 / bits - 1)];                             \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    STORE_HANDLER(name, bits, c->v[u->s].u##bits[u->imm8 & (128 / bits - 1)])                      \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        if (e->insn->op[0].kind == OPERAND_MEM)                                                    \
            emit_store(e, op_v##name##_store);                                                     \
        else                                                                                       \
            emit_sse(e, op_v##name##_r, NULL);                                                     \
        e->uop->imm8 = (uint8_t)e->insn->op[2].imm;                                                \
        return true;                                                                               \
    }
EXTRACT(pextrb, 8)
EXTRACT(pextrw, 16)
EXTRACT(pextrd, 32)
EXTRACT(pextrq, 64)

VEX_128(insertps, lane_insertps, mem32, NO_BEGIN, NO_END)

static bool emit_vinsertps(struct emit *e)
{
    static const struct vex_ops ops = {op_vinsertps_rr, op_vinsertps_rm, NULL, NULL};
    bool done = emit_vex(e, &ops);

    if (e->insn->op[2].kind == OPERAND_MEM)
        e->uop->imm8 &= 0x3f;
    return done;
}

/* ---- masks ---------------------------------------------------------------------------------- */

/* osize: the vector's bytes. */
#define MASK(name, bits)                                                                           \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        uint32_t mask = 0;                                                                         \
        avx_check(c, u);                                                                           \
        for (uint32_t i = 0; i < u->osize * 8u / bits; i++)                                        \
            mask |= (uint32_t)(c->v[u->s].u##bits[i] >> (bits - 1)) << i;                          \
        c->reg[u->d] = mask;                                                                       \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        e->uop->osize = e->insn->vector;                                                           \
        return emit_sse(e, op_v##name, NULL);                                                      \
    }
MASK(movmskps, 32)
MASK(movmskpd, 64)
MASK(pmovmskb, 8)

static const struct uop *op_vmaskmovdqu(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    uint64_t la = vector_ea(c, u, 16, ACCESS_WRITE);
    store_masked_bytes(c, u, la, *xmm(c, u->d), *xmm(c, u->s), 16);
    NEXT(c, u);
}

static bool emit_vmaskmovdqu(struct emit *e)
{
    e->uop->d = e->insn->op[0].number;
    e->uop->s = e->insn->op[1].number;
    e->uop->y = emit_rdi(e);
    e->uop->fn = op_vmaskmovdqu;
    return true;
}

/* ---- blends by the register x --------------------------------------------------------------- */

static inline x128 source_low(struct cpu *c, const struct uop *u, bool memory, uint64_t la)
{
    return memory ? ld128(c, u, la) : *xmm(c, u->s);
}

#define BLEND(name, blend, suffix, memory)                                                         \
    static const struct uop *op_v##name##_##suffix(struct cpu *c, const struct uop *u)             \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 b = source_low(c, u, memory, memory ? vector_ea(c, u, 16, ACCESS_READ) : 0);          \
        set_xmm(c, u->d, blend(*xmm(c, u->v), b, *xmm(c, u->x)));                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_v##name##_##suffix##256(struct cpu * c, const struct uop *u)       \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        uint64_t la = memory ? mem256(c, u) : 0;                                                   \
        x128 low = source_low(c, u, memory, la);                                                   \
        x128 high = memory ? ld128(c, u, la + 16) : *ymm_high(c, u->s);                            \
        low = blend(*xmm(c, u->v), low, *xmm(c, u->x));                                            \
        high = blend(*ymm_high(c, u->v), high, *ymm_high(c, u->x));                                \
        set_ymm(c, u->d, low, high);                                                               \
        NEXT(c, u);                                                                                \
    }
#define BLENDS(name, blend)                                                                        \
    BLEND(name, blend, rr, false)                                                                  \
    BLEND(name, blend, rm, true)                                                                   \
    VEX_EMIT(name)
BLENDS(pblendvb, blend_bytes)
BLENDS(blendvps, blend_dwords)
BLENDS(blendvpd, blend_qwords)

/* ---- tests ---------------------------------------------------------------------------------- */

/* ZF: nothing of a & b, CF: nothing of ~a & b, of the bits in `which`. x: memory; osize: bytes. */
static const struct uop *test_handler(struct cpu *c, const struct uop *u, uint64_t which)
{
    bool wide = u->osize == 32;
    uint64_t la = u->x ? vector_ea(c, u, u->osize, ACCESS_READ) : 0;
    x128 b = source_low(c, u, u->x, la), a = *xmm(c, u->d), mask = x128_of(which, which);
    x128 both = a & b, rest = ~a & b;

    if (wide) {
        b = u->x ? ld128(c, u, la + 16) : *ymm_high(c, u->s);
        both |= *ymm_high(c, u->d) & b;
        rest |= ~*ymm_high(c, u->d) & b;
    }
    both &= mask;
    rest &= mask;
    flags_set(c, (both[0] | both[1] ? 0 : FLAG_ZF) | (rest[0] | rest[1] ? 0 : FLAG_CF));
    return u + 1;
}

#define TEST(name, which)                                                                          \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        u = test_handler(c, u, which);                                                             \
        DISPATCH(c, u);                                                                            \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        e->uop->x = e->insn->op[1].kind == OPERAND_MEM;                                            \
        e->uop->osize = e->insn->vector;                                                           \
        return emit_sse(e, op_v##name, op_v##name);                                                \
    }
TEST(ptest, UINT64_MAX)
TEST(testps, 0x8000000080000000)
TEST(testpd, 0x8000000000000000)

/* ---- strings -------------------------------------------------------------------------------- */

static const struct uop *string_handler(struct cpu *c, const struct uop *u, bool counted,
                                        bool index)
{
    x128 a = *xmm(c, u->d), b = u->x ? mem128(c, u) : *xmm(c, u->s);
    struct string_result r = string_instruction(c, a, b, u->imm8, counted, u->osize == 8);

    if (index)
        c->reg[RCX] = string_index(r.bits, u->imm8);
    else
        set_xmm(c, 0, string_mask(r.bits, u->imm8));
    flags_set(c, r.flags);
    return u + 1;
}

#define STRING_HANDLER(name, counted, index)                                                       \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        u = string_handler(c, u, counted, index);                                                  \
        DISPATCH(c, u);                                                                            \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        e->uop->x = e->insn->op[1].kind == OPERAND_MEM;                                            \
        e->uop->osize = e->insn->w ? 8 : 4;                                                        \
        return emit_sse(e, op_v##name, op_v##name);                                                \
    }
STRING_HANDLER(pcmpestri, true, true)
STRING_HANDLER(pcmpestrm, true, false)
STRING_HANDLER(pcmpistri, false, true)
STRING_HANDLER(pcmpistrm, false, false)

/* ---- the whole file, and MXCSR -------------------------------------------------------------- */

/* x: all of the registers. Outside of 64-bit mode only the first eight (SDM 2). */
static const struct uop *op_vzero(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    for (uint32_t i = 0; i < (cpu_64bit(c) ? 16u : 8u); i++) {
        if (u->x)
            *xmm(c, i) = (x128){0};
        *ymm_high(c, i) = (x128){0};
    }
    NEXT(c, u);
}

static bool emit_vzero(struct emit *e)
{
    e->uop->x = e->insn->mnemonic == ZYDIS_MNEMONIC_VZEROALL;
    e->uop->fn = op_vzero;
    return true;
}

static const struct uop *op_vldmxcsr(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    uint32_t value = ld32(c, u, vector_ea(c, u, 4, ACCESS_READ));
    if (value & ~MXCSR_VALID)
        raise_error(c, u, EXC_GP, 0);
    mxcsr_load(c, value);
    NEXT(c, u);
}

static const struct uop *op_vstmxcsr(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    st32(c, u, vector_ea(c, u, 4, ACCESS_WRITE), mxcsr_sync(c));
    NEXT(c, u);
}

static bool emit_vmxcsr(struct emit *e)
{
    e->uop->y = emit_memory(e, &e->insn->op[0]);
    e->uop->fn = e->insn->mnemonic == ZYDIS_MNEMONIC_VLDMXCSR ? op_vldmxcsr : op_vstmxcsr;
    return true;
}

#define ENTRY(mnemonic, name)                                                                      \
    {                                                                                              \
        ZYDIS_MNEMONIC_V##mnemonic, emit_v##name                                                   \
    }
const struct emit_entry emit_avx_move[] = {
    ENTRY(MOVAPS, mov_aligned),
    ENTRY(MOVAPD, mov_aligned),
    ENTRY(MOVDQA, mov_aligned),
    ENTRY(MOVNTPS, mov_aligned),
    ENTRY(MOVNTPD, mov_aligned),
    ENTRY(MOVNTDQ, mov_aligned),
    ENTRY(MOVNTDQA, mov_aligned),
    ENTRY(MOVUPS, mov),
    ENTRY(MOVUPD, mov),
    ENTRY(MOVDQU, mov),
    ENTRY(LDDQU, mov),
    ENTRY(MOVSS, movss),
    ENTRY(MOVSD, movsd),
    ENTRY(MOVLPS, movlps),
    ENTRY(MOVLPD, movlps),
    ENTRY(MOVHPS, movhps),
    ENTRY(MOVHPD, movhps),
    ENTRY(MOVHLPS, movhlps),
    ENTRY(MOVLHPS, movhps),
    ENTRY(MOVDDUP, movddup),
    ENTRY(MOVD, movd),
    ENTRY(MOVQ, movq),
    ENTRY(PINSRB, pinsrb),
    ENTRY(PINSRW, pinsrw),
    ENTRY(PINSRD, pinsrd),
    ENTRY(PINSRQ, pinsrq),
    ENTRY(PEXTRB, pextrb),
    ENTRY(PEXTRW, pextrw),
    ENTRY(PEXTRD, pextrd),
    ENTRY(PEXTRQ, pextrq),
    ENTRY(EXTRACTPS, pextrd),
    ENTRY(INSERTPS, insertps),
    ENTRY(MOVMSKPS, movmskps),
    ENTRY(MOVMSKPD, movmskpd),
    ENTRY(PMOVMSKB, pmovmskb),
    ENTRY(MASKMOVDQU, maskmovdqu),
    ENTRY(PBLENDVB, pblendvb),
    ENTRY(BLENDVPS, blendvps),
    ENTRY(BLENDVPD, blendvpd),
    ENTRY(PTEST, ptest),
    ENTRY(TESTPS, testps),
    ENTRY(TESTPD, testpd),
    ENTRY(PCMPESTRI, pcmpestri),
    ENTRY(PCMPESTRM, pcmpestrm),
    ENTRY(PCMPISTRI, pcmpistri),
    ENTRY(PCMPISTRM, pcmpistrm),
    ENTRY(ZEROALL, zero),
    ENTRY(ZEROUPPER, zero),
    ENTRY(LDMXCSR, mxcsr),
    ENTRY(STMXCSR, mxcsr),
    {0, NULL},
};
