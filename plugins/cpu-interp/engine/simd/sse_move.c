/* SPDX-License-Identifier: MIT
 *
 * simd/sse_move.c - the moves of SSE, SSE2 and SSE3 between XMM registers, memory and general
 * registers (SDM 1, 10.4.1, 11.4.1 and 12.3), with the non-temporal ones, which are plain moves
 * here.
 *
 * MOVQ2DQ, MOVDQ2Q, and MOVD, MOVQ, PEXTRW, PINSRW and PMOVMSKB on MMX registers are in mmx.c.
 */
#include "lanes.h"

#include <Zydis/Mnemonic.h>

/* ---- 16 bytes ------------------------------------------------------------------------------- */

static const struct uop *op_mov_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = *xmm(c, u->s);
    NEXT(c, u);
}

/* The most frequent of all: aligned ones and others have handlers of their own. */
#define MOVE_HANDLERS(name, mem, store_ea)                                                         \
    SLOW static const struct uop *op_load_##name##_slow(struct cpu *c, const struct uop *u)        \
    {                                                                                              \
        coverage_count(op_load_##name##_slow);                                                     \
        sse_check(c, u);                                                                           \
        *xmm(c, u->d) = mem(c, u);                                                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_load_##name(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        const void *p = fast_##mem(c, u);                                                          \
        if (unlikely(!p) || unlikely(c->no_sse))                                                   \
            return op_load_##name##_slow(c, u);                                                    \
        *xmm(c, u->d) = at_##mem(p);                                                               \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    SLOW static const struct uop *op_store_##name##_slow(struct cpu *c, const struct uop *u)       \
    {                                                                                              \
        coverage_count(op_store_##name##_slow);                                                    \
        sse_check(c, u);                                                                           \
        st128(c, u, store_ea(c, u, 16, ACCESS_WRITE), *xmm(c, u->s));                              \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_store_##name(struct cpu *c, const struct uop *u)                   \
    {                                                                                              \
        void *p = fast_to_##mem(c, u);                                                             \
        if (unlikely(!p) || unlikely(c->no_sse))                                                   \
            return op_store_##name##_slow(c, u);                                                   \
        memcpy(p, xmm(c, u->s), 16);                                                               \
        NEXT(c, u);                                                                                \
    }
MOVE_HANDLERS(aligned, mem128a, vector_ea_aligned)
MOVE_HANDLERS(unaligned, mem128, vector_ea)

static bool emit_move(struct emit *e, op_fn *load, op_fn *store)
{
    const struct operand *to = &e->insn->op[0], *from = &e->insn->op[1];
    struct uop *u = e->uop;

    if (to->kind == OPERAND_MEM) {
        u->s = from->number;
        u->y = emit_memory(e, to);
        u->fn = store;
        return true;
    }
    return emit_sse(e, op_mov_rr, load);
}

static bool emit_mov_aligned(struct emit *e)
{
    return emit_move(e, op_load_aligned, op_store_aligned);
}

static bool emit_mov_unaligned(struct emit *e)
{
    return emit_move(e, op_load_unaligned, op_store_unaligned);
}

/* ---- scalars: loads clear the rest, register moves keep it ---------------------------------- */

static const struct uop *op_movss_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = first32(*xmm(c, u->d), c->v[u->s].u32[0]);
    NEXT(c, u);
}

static const struct uop *op_movsd_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = x128_of(c->v[u->s].u64[0], c->v[u->d].u64[1]);
    NEXT(c, u);
}

static const struct uop *op_movq_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = x128_of(c->v[u->s].u64[0], 0);
    NEXT(c, u);
}

#define SCALAR_HANDLERS(bits)                                                                      \
    SLOW static const struct uop *op_load##bits##_slow(struct cpu *c, const struct uop *u)         \
    {                                                                                              \
        coverage_count(op_load##bits##_slow);                                                      \
        sse_check(c, u);                                                                           \
        *xmm(c, u->d) = mem##bits(c, u);                                                           \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_load##bits(struct cpu *c, const struct uop *u)                     \
    {                                                                                              \
        const void *p = fast_mem##bits(c, u);                                                      \
        if (unlikely(!p) || unlikely(c->no_sse))                                                   \
            return op_load##bits##_slow(c, u);                                                     \
        *xmm(c, u->d) = at_mem##bits(p);                                                           \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    SLOW static const struct uop *op_store##bits##_slow(struct cpu *c, const struct uop *u)        \
    {                                                                                              \
        coverage_count(op_store##bits##_slow);                                                     \
        sse_check(c, u);                                                                           \
        st##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_WRITE), c->v[u->s].u##bits[0]);            \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_store##bits(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        void *p = fast_to(c, u, bits / 8, false);                                                  \
        if (unlikely(!p) || unlikely(c->no_sse))                                                   \
            return op_store##bits##_slow(c, u);                                                    \
        memcpy(p, &c->v[u->s].u##bits[0], bits / 8);                                               \
        NEXT(c, u);                                                                                \
    }
SCALAR_HANDLERS(32)
SCALAR_HANDLERS(64)

static bool emit_scalar(struct emit *e, op_fn *reg, uint32_t bytes)
{
    const struct operand *to = &e->insn->op[0], *from = &e->insn->op[1];
    struct uop *u = e->uop;

    if (to->kind == OPERAND_MEM) {
        u->s = from->number;
        u->y = emit_memory(e, to);
        u->fn = bytes == 4 ? op_store32 : op_store64;
        return true;
    }
    return emit_sse(e, reg, bytes == 4 ? op_load32 : op_load64);
}

static bool emit_movss(struct emit *e)
{
    return emit_scalar(e, op_movss_rr, 4);
}

static bool emit_movsd(struct emit *e)
{
    /* Or it is the string instruction of this name. */
    return e->insn->opcode_map == 1 && emit_scalar(e, op_movsd_rr, 8);
}

/* ---- MOVD and MOVQ -------------------------------------------------------------------------- */

static const struct uop *op_movd_from_gpr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = x128_of((uint32_t)c->reg[u->s], 0);
    NEXT(c, u);
}

static const struct uop *op_movq_from_gpr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = x128_of(c->reg[u->s], 0);
    NEXT(c, u);
}

static const struct uop *op_movd_to_gpr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    c->reg[u->d] = c->v[u->s].u32[0];
    NEXT(c, u);
}

static const struct uop *op_movq_to_gpr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    c->reg[u->d] = c->v[u->s].u64[0];
    NEXT(c, u);
}

static bool emit_movd_movq(struct emit *e, uint32_t bytes)
{
    const struct operand *to = &e->insn->op[0], *from = &e->insn->op[1];
    struct uop *u = e->uop;

    if (to->file == FILE_MMX || from->file == FILE_MMX)
        return mmx_emit(e);
    if (to->kind == OPERAND_REG && from->kind == OPERAND_REG && to->file != from->file) {
        u->d = to->number;
        u->s = from->number;
        if (to->file == FILE_GPR)
            u->fn = bytes == 4 ? op_movd_to_gpr : op_movq_to_gpr;
        else
            u->fn = bytes == 4 ? op_movd_from_gpr : op_movq_from_gpr;
        return true;
    }
    return emit_scalar(e, op_movq_rr, bytes);
}

static bool emit_movd(struct emit *e)
{
    return emit_movd_movq(e, 4);
}

static bool emit_movq(struct emit *e)
{
    return emit_movd_movq(e, 8);
}

/* ---- halves --------------------------------------------------------------------------------- */

/* Registers are always written whole: the host forwards a store to a load only if it has all of
 * it. */
static inline x128 with_half(x128 a, uint32_t which, uint64_t half)
{
    return which ? x128_of(a[0], half) : x128_of(half, a[1]);
}

/* An 8-byte half to another, or from and to memory: offsets in x (to) and imm8 (from). */
static const struct uop *op_half_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = with_half(*xmm(c, u->d), u->x, c->v[u->s].u64[u->imm8]);
    NEXT(c, u);
}

static const struct uop *op_half_load(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    uint64_t half = ld64(c, u, vector_ea(c, u, 8, ACCESS_READ));
    *xmm(c, u->d) = with_half(*xmm(c, u->d), u->x, half);
    NEXT(c, u);
}

static const struct uop *op_half_store(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    st64(c, u, vector_ea(c, u, 8, ACCESS_WRITE), c->v[u->s].u64[u->imm8]);
    NEXT(c, u);
}

static bool emit_half(struct emit *e, uint8_t to_half, uint8_t from_half)
{
    const struct operand *to = &e->insn->op[0], *from = &e->insn->op[1];
    struct uop *u = e->uop;

    if (to->kind == OPERAND_MEM) {
        u->y = emit_memory(e, to);
        u->s = from->number;
        u->fn = op_half_store;
    } else if (from->kind == OPERAND_MEM) {
        u->y = emit_memory(e, from);
        u->d = to->number;
        u->fn = op_half_load;
    } else {
        u->d = to->number;
        u->s = from->number;
        u->fn = op_half_rr;
    }
    u->x = to_half;
    u->imm8 = from_half;
    return true;
}

static bool emit_low_half(struct emit *e)
{
    return emit_half(e, 0, 0);
}

static bool emit_high_half(struct emit *e)
{
    return emit_half(e, 1, 1);
}

static bool emit_movhlps(struct emit *e)
{
    return emit_half(e, 0, 1);
}

static bool emit_movlhps(struct emit *e)
{
    return emit_half(e, 1, 0);
}

SSE_HANDLERS(movddup, lane_movddup, mem64)

/* ---- sign masks, MASKMOVDQU, MOVNTI --------------------------------------------------------- */

#define MASK_HANDLER(name, count, member, top)                                                     \
    static const struct uop *op_##name(struct cpu *c, const struct uop *u)                         \
    {                                                                                              \
        uint32_t mask = 0;                                                                         \
        sse_check(c, u);                                                                           \
        for (uint32_t i = 0; i < (count); i++)                                                     \
            mask |= (uint32_t)(c->v[u->s].member[i] >> (top)) << i;                                \
        c->reg[u->d] = mask;                                                                       \
        NEXT(c, u);                                                                                \
    }
MASK_HANDLER(movmskps, 4, u32, 31)
MASK_HANDLER(movmskpd, 2, u64, 63)

static const struct uop *op_pmovmskb(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    c->reg[u->d] = byte_mask(*xmm(c, u->s));
    NEXT(c, u);
}

static bool emit_mask(struct emit *e, op_fn *fn)
{
    e->uop->d = e->insn->op[0].number;
    e->uop->s = e->insn->op[1].number;
    e->uop->fn = fn;
    return true;
}

static bool emit_movmskps(struct emit *e)
{
    return emit_mask(e, op_movmskps);
}

static bool emit_movmskpd(struct emit *e)
{
    return emit_mask(e, op_movmskpd);
}

static bool emit_pmovmskb(struct emit *e)
{
    return e->insn->op[1].file == FILE_MMX ? mmx_emit(e) : emit_mask(e, op_pmovmskb);
}

/* DS:RDI with the segment of a prefix: the uop has base RDI and no displacement. All bytes are
 * checked before the first is written, though only selected ones are (SDM: behaviour with a zero
 * mask may vary). */
static const struct uop *op_maskmovdqu(struct cpu *c, const struct uop *u)
{
    uint64_t la;

    sse_check(c, u);
    la = vector_ea(c, u, 16, ACCESS_WRITE);
    store_masked_bytes(c, u, la, *xmm(c, u->d), *xmm(c, u->s), 16);
    NEXT(c, u);
}

static bool emit_maskmovdqu(struct emit *e)
{
    if (!emit_mask(e, op_maskmovdqu))
        return false;
    e->uop->y = emit_rdi(e);
    return true;
}

const struct emit_entry emit_sse_move[] = {
    {ZYDIS_MNEMONIC_MOVAPS, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVAPD, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVDQA, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVUPS, emit_mov_unaligned},
    {ZYDIS_MNEMONIC_MOVUPD, emit_mov_unaligned},
    {ZYDIS_MNEMONIC_MOVDQU, emit_mov_unaligned},
    {ZYDIS_MNEMONIC_LDDQU, emit_mov_unaligned},
    {ZYDIS_MNEMONIC_MOVNTPS, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVNTPD, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVNTDQ, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVNTDQA, emit_mov_aligned},
    {ZYDIS_MNEMONIC_MOVSS, emit_movss},
    {ZYDIS_MNEMONIC_MOVSD, emit_movsd},
    {ZYDIS_MNEMONIC_MOVD, emit_movd},
    {ZYDIS_MNEMONIC_MOVQ, emit_movq},
    {ZYDIS_MNEMONIC_MOVLPS, emit_low_half},
    {ZYDIS_MNEMONIC_MOVLPD, emit_low_half},
    {ZYDIS_MNEMONIC_MOVHPS, emit_high_half},
    {ZYDIS_MNEMONIC_MOVHPD, emit_high_half},
    {ZYDIS_MNEMONIC_MOVHLPS, emit_movhlps},
    {ZYDIS_MNEMONIC_MOVLHPS, emit_movlhps},
    {ZYDIS_MNEMONIC_MOVDDUP, emit_movddup},
    {ZYDIS_MNEMONIC_MOVMSKPS, emit_movmskps},
    {ZYDIS_MNEMONIC_MOVMSKPD, emit_movmskpd},
    {ZYDIS_MNEMONIC_PMOVMSKB, emit_pmovmskb},
    {ZYDIS_MNEMONIC_MASKMOVDQU, emit_maskmovdqu},
    {0, NULL},
};
