/* SPDX-License-Identifier: MIT
 *
 * simd/mmx.c - MMX, and what SSE, SSE2 and SSSE3 added on MMX registers (SDM 1, chapter 9; 10.4.4,
 * 11.4.2.3, 12.6).
 *
 * MMi is the mantissa of the physical register Ri. Every instruction sets TOP to 0 and all tags to
 * valid; a written register's exponent becomes all ones (9.5.1). EMMS is in fpu/x87_env.c, the
 * conversions in sse_convert.c. The operations are those of lanes.h on the low half.
 */
#include "mmx.h"
#include "lanes_sse4.h"
#include "tables.h"

#include <Zydis/Mnemonic.h>

#include "../fpu/x87.h"

void mmx_pending(struct cpu *c, const struct uop *u)
{
    if (c->cr0 & CR0_EM)
        raise_exception(c, u, EXC_UD);
    if (c->no_fpu)
        raise_exception(c, u, EXC_NM);
    x87_pending(c, u);
}

/* ---- operations ----------------------------------------------------------------------------- */

/* Those whose halves depend on each other. */
LANE(mmx_packsswb, lane_packsswb(x128_of(a[0], b[0]), b, 0))
LANE(mmx_packssdw, lane_packssdw(x128_of(a[0], b[0]), b, 0))
LANE(mmx_packuswb, lane_packuswb(x128_of(a[0], b[0]), b, 0))
LANE(mmx_punpckhbw, lane_punpcklbw(x128_of(a[0] >> 32, 0), x128_of(b[0] >> 32, 0), 0))
LANE(mmx_punpckhwd, lane_punpcklwd(x128_of(a[0] >> 32, 0), x128_of(b[0] >> 32, 0), 0))
LANE(mmx_punpckhdq, lane_punpckldq(x128_of(a[0] >> 32, 0), x128_of(b[0] >> 32, 0), 0))
LANE(mmx_phaddw, lane_phaddw(x128_of(a[0], b[0]), b, 0))
LANE(mmx_phaddd, lane_phaddd(x128_of(a[0], b[0]), b, 0))
LANE(mmx_phaddsw, lane_phaddsw(x128_of(a[0], b[0]), b, 0))
LANE(mmx_phsubw, lane_phsubw(x128_of(a[0], b[0]), b, 0))
LANE(mmx_phsubd, lane_phsubd(x128_of(a[0], b[0]), b, 0))
LANE(mmx_phsubsw, lane_phsubsw(x128_of(a[0], b[0]), b, 0))
LANE(mmx_pshufb, lane_pshufb(a, b &x128_of(0x8787878787878787u, 0), 0))
LANE(mmx_palignr, bytes_from(x128_of(b[0], a[0]), (x128){0}, imm))
LANE(mmx_pshufw, x128_of(shuffle_words(b[0], imm), 0))

/* M(mnemonic, name, lane, bits of a memory operand) */
#define MMX_OPERATIONS(M)                                                                          \
    M(PADDB, paddb, lane_paddb, 64)                                                                \
    M(PADDW, paddw, lane_paddw, 64)                                                                \
    M(PADDD, paddd, lane_paddd, 64)                                                                \
    M(PADDQ, paddq, lane_paddq, 64)                                                                \
    M(PSUBB, psubb, lane_psubb, 64)                                                                \
    M(PSUBW, psubw, lane_psubw, 64)                                                                \
    M(PSUBD, psubd, lane_psubd, 64)                                                                \
    M(PSUBQ, psubq, lane_psubq, 64)                                                                \
    M(PADDSB, paddsb, lane_paddsb, 64)                                                             \
    M(PADDSW, paddsw, lane_paddsw, 64)                                                             \
    M(PADDUSB, paddusb, lane_paddusb, 64)                                                          \
    M(PADDUSW, paddusw, lane_paddusw, 64)                                                          \
    M(PSUBSB, psubsb, lane_psubsb, 64)                                                             \
    M(PSUBSW, psubsw, lane_psubsw, 64)                                                             \
    M(PSUBUSB, psubusb, lane_psubusb, 64)                                                          \
    M(PSUBUSW, psubusw, lane_psubusw, 64)                                                          \
    M(PAVGB, pavgb, lane_pavgb, 64)                                                                \
    M(PAVGW, pavgw, lane_pavgw, 64)                                                                \
    M(PMAXSW, pmaxsw, lane_pmaxsw, 64)                                                             \
    M(PMAXUB, pmaxub, lane_pmaxub, 64)                                                             \
    M(PMINSW, pminsw, lane_pminsw, 64)                                                             \
    M(PMINUB, pminub, lane_pminub, 64)                                                             \
    M(PMULLW, pmullw, lane_pmullw, 64)                                                             \
    M(PMULHW, pmulhw, lane_pmulhw, 64)                                                             \
    M(PMULHUW, pmulhuw, lane_pmulhuw, 64)                                                          \
    M(PMULUDQ, pmuludq, lane_pmuludq, 64)                                                          \
    M(PMADDWD, pmaddwd, lane_pmaddwd, 64)                                                          \
    M(PSADBW, psadbw, lane_psadbw, 64)                                                             \
    M(PAND, pand, lane_pand, 64)                                                                   \
    M(PANDN, pandn, lane_pandn, 64)                                                                \
    M(POR, por, lane_por, 64)                                                                      \
    M(PXOR, pxor, lane_pxor, 64)                                                                   \
    M(PCMPEQB, pcmpeqb, lane_pcmpeqb, 64)                                                          \
    M(PCMPEQW, pcmpeqw, lane_pcmpeqw, 64)                                                          \
    M(PCMPEQD, pcmpeqd, lane_pcmpeqd, 64)                                                          \
    M(PCMPGTB, pcmpgtb, lane_pcmpgtb, 64)                                                          \
    M(PCMPGTW, pcmpgtw, lane_pcmpgtw, 64)                                                          \
    M(PCMPGTD, pcmpgtd, lane_pcmpgtd, 64)                                                          \
    M(PACKSSWB, packsswb, lane_mmx_packsswb, 64)                                                   \
    M(PACKSSDW, packssdw, lane_mmx_packssdw, 64)                                                   \
    M(PACKUSWB, packuswb, lane_mmx_packuswb, 64)                                                   \
    M(PUNPCKLBW, punpcklbw, lane_punpcklbw, 32)                                                    \
    M(PUNPCKLWD, punpcklwd, lane_punpcklwd, 32)                                                    \
    M(PUNPCKLDQ, punpckldq, lane_punpckldq, 32)                                                    \
    M(PUNPCKHBW, punpckhbw, lane_mmx_punpckhbw, 64)                                                \
    M(PUNPCKHWD, punpckhwd, lane_mmx_punpckhwd, 64)                                                \
    M(PUNPCKHDQ, punpckhdq, lane_mmx_punpckhdq, 64)                                                \
    M(PSLLW, psllw, lane_psllw, 64)                                                                \
    M(PSLLD, pslld, lane_pslld, 64)                                                                \
    M(PSLLQ, psllq, lane_psllq, 64)                                                                \
    M(PSRLW, psrlw, lane_psrlw, 64)                                                                \
    M(PSRLD, psrld, lane_psrld, 64)                                                                \
    M(PSRLQ, psrlq, lane_psrlq, 64)                                                                \
    M(PSRAW, psraw, lane_psraw, 64)                                                                \
    M(PSRAD, psrad, lane_psrad, 64)                                                                \
    M(PSHUFW, pshufw, lane_mmx_pshufw, 64)                                                         \
    M(PSHUFB, pshufb, lane_mmx_pshufb, 64)                                                         \
    M(PHADDW, phaddw, lane_mmx_phaddw, 64)                                                         \
    M(PHADDD, phaddd, lane_mmx_phaddd, 64)                                                         \
    M(PHADDSW, phaddsw, lane_mmx_phaddsw, 64)                                                      \
    M(PHSUBW, phsubw, lane_mmx_phsubw, 64)                                                         \
    M(PHSUBD, phsubd, lane_mmx_phsubd, 64)                                                         \
    M(PHSUBSW, phsubsw, lane_mmx_phsubsw, 64)                                                      \
    M(PMADDUBSW, pmaddubsw, lane_pmaddubsw, 64)                                                    \
    M(PMULHRSW, pmulhrsw, lane_pmulhrsw, 64)                                                       \
    M(PSIGNB, psignb, lane_psignb, 64)                                                             \
    M(PSIGNW, psignw, lane_psignw, 64)                                                             \
    M(PSIGND, psignd, lane_psignd, 64)                                                             \
    M(PABSB, pabsb, lane_pabsb, 64)                                                                \
    M(PABSW, pabsw, lane_pabsw, 64)                                                                \
    M(PABSD, pabsd, lane_pabsd, 64)                                                                \
    M(PALIGNR, palignr, lane_mmx_palignr, 64)

#define MMX_HANDLERS(mnemonic, name, lane, bits)                                                   \
    static const struct uop *op_mmx_##name##_rr(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        mmx_check(c, u);                                                                           \
        mmx_write(c, u->d, lane(x128_of(mmx(c, u->d), 0), x128_of(mmx(c, u->s), 0), u->imm8)[0]);  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_mmx_##name##_rm(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        mmx_check(c, u);                                                                           \
        x128 source = mem##bits(c, u);                                                             \
        mmx_write(c, u->d, lane(x128_of(mmx(c, u->d), 0), source, u->imm8)[0]);                    \
        NEXT(c, u);                                                                                \
    }
MMX_OPERATIONS(MMX_HANDLERS)

#define SHIFT_IMMEDIATE(mnemonic, name)                                                            \
    static const struct uop *op_mmx_##name##_ri(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        mmx_check(c, u);                                                                           \
        mmx_write(c, u->d, lane_##name##_i((x128){0}, x128_of(mmx(c, u->d), 0), u->imm8)[0]);      \
        NEXT(c, u);                                                                                \
    }
SSE2_SHIFT(SHIFT_IMMEDIATE)

/* ---- moves ---------------------------------------------------------------------------------- */

static const struct uop *op_mmx_movq_rr(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_write(c, u->d, mmx(c, u->s));
    NEXT(c, u);
}

static const struct uop *op_mmx_load64(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_write(c, u->d, ld64(c, u, vector_ea(c, u, 8, ACCESS_READ)));
    NEXT(c, u);
}

static const struct uop *op_mmx_load32(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_write(c, u->d, ld32(c, u, vector_ea(c, u, 4, ACCESS_READ)));
    NEXT(c, u);
}

/* TOP is 0 even if the store faults: so it is on processors. */
static const struct uop *op_mmx_store64(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    c->fpu.top = 0;
    st64(c, u, vector_ea(c, u, 8, ACCESS_WRITE), mmx(c, u->s));
    mmx_enter(c);
    NEXT(c, u);
}

static const struct uop *op_mmx_store32(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    c->fpu.top = 0;
    st32(c, u, vector_ea(c, u, 4, ACCESS_WRITE), (uint32_t)mmx(c, u->s));
    mmx_enter(c);
    NEXT(c, u);
}

static const struct uop *op_mmx_movd_from_gpr(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_write(c, u->d, (uint32_t)c->reg[u->s]);
    NEXT(c, u);
}

static const struct uop *op_mmx_movq_from_gpr(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_write(c, u->d, c->reg[u->s]);
    NEXT(c, u);
}

static const struct uop *op_mmx_movd_to_gpr(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    c->reg[u->d] = (uint32_t)mmx(c, u->s);
    mmx_enter(c);
    NEXT(c, u);
}

static const struct uop *op_mmx_movq_to_gpr(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    c->reg[u->d] = mmx(c, u->s);
    mmx_enter(c);
    NEXT(c, u);
}

static bool emit_mmx_move(struct emit *e)
{
    const struct operand *to = &e->insn->op[0], *from = &e->insn->op[1];
    bool wide = e->insn->mnemonic != ZYDIS_MNEMONIC_MOVD;
    struct uop *u = e->uop;

    u->d = to->number;
    u->s = from->number;
    if (to->kind == OPERAND_MEM) {
        u->y = emit_memory(e, to);
        u->fn = wide ? op_mmx_store64 : op_mmx_store32;
    } else if (from->kind == OPERAND_MEM) {
        u->y = emit_memory(e, from);
        u->fn = wide ? op_mmx_load64 : op_mmx_load32;
    } else if (to->file == FILE_GPR) {
        u->fn = wide ? op_mmx_movq_to_gpr : op_mmx_movd_to_gpr;
    } else if (from->file == FILE_GPR) {
        u->fn = wide ? op_mmx_movq_from_gpr : op_mmx_movd_from_gpr;
    } else {
        u->fn = op_mmx_movq_rr;
    }
    return true;
}

/* Between the files: of SSE's checks, #UD and #NM are those of MMX with OSFXSR. */
static const struct uop *op_movq2dq(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    mmx_check(c, u);
    *xmm(c, u->d) = x128_of(mmx(c, u->s), 0);
    mmx_enter(c);
    NEXT(c, u);
}

static const struct uop *op_movdq2q(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    mmx_check(c, u);
    mmx_write(c, u->d, c->v[u->s].u64[0]);
    NEXT(c, u);
}

/* ---- words, masks --------------------------------------------------------------------------- */

static uint64_t insert_word(uint64_t to, uint64_t word, uint32_t at)
{
    uint32_t shift = (at & 3) * 16;

    return (to & ~((uint64_t)0xffff << shift)) | (word & 0xffff) << shift;
}

static const struct uop *op_mmx_pinsrw_rr(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_write(c, u->d, insert_word(mmx(c, u->d), c->reg[u->s], u->imm8));
    NEXT(c, u);
}

static const struct uop *op_mmx_pinsrw_rm(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    uint64_t word = ld16(c, u, vector_ea(c, u, 2, ACCESS_READ));
    mmx_write(c, u->d, insert_word(mmx(c, u->d), word, u->imm8));
    NEXT(c, u);
}

static const struct uop *op_mmx_pextrw(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    c->reg[u->d] = mmx(c, u->s) >> (u->imm8 & 3) * 16 & 0xffff;
    mmx_enter(c);
    NEXT(c, u);
}

static const struct uop *op_mmx_pmovmskb(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    c->reg[u->d] = byte_mask(x128_of(mmx(c, u->s), 0));
    mmx_enter(c);
    NEXT(c, u);
}

static const struct uop *op_maskmovq(struct cpu *c, const struct uop *u)
{
    mmx_check(c, u);
    mmx_enter(c);
    uint64_t la = vector_ea(c, u, 8, ACCESS_WRITE);
    store_masked_bytes(c, u, la, x128_of(mmx(c, u->d), 0), x128_of(mmx(c, u->s), 0), 8);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

static const struct form {
    uint16_t mnemonic;
    op_fn *reg, *mem;
} forms[] = {
#define FORM(mnemonic, name, lane, bits)                                                           \
    {ZYDIS_MNEMONIC_##mnemonic, op_mmx_##name##_rr, op_mmx_##name##_rm},
    MMX_OPERATIONS(FORM)
#undef FORM
        {ZYDIS_MNEMONIC_PINSRW, op_mmx_pinsrw_rr, op_mmx_pinsrw_rm},
    {ZYDIS_MNEMONIC_PEXTRW, op_mmx_pextrw, NULL},
    {ZYDIS_MNEMONIC_PMOVMSKB, op_mmx_pmovmskb, NULL},
    {ZYDIS_MNEMONIC_MOVQ2DQ, op_movq2dq, NULL},
    {ZYDIS_MNEMONIC_MOVDQ2Q, op_movdq2q, NULL},
};

static op_fn *shift_immediate(uint16_t mnemonic)
{
    switch (mnemonic) {
#define CASE(mnemonic, name)                                                                       \
    case ZYDIS_MNEMONIC_##mnemonic:                                                                \
        return op_mmx_##name##_ri;
        SSE2_SHIFT(CASE)
#undef CASE
    default:
        return NULL;
    }
}

bool mmx_emit(struct emit *e)
{
    const struct insn *insn = e->insn;

    if (insn->mnemonic == ZYDIS_MNEMONIC_MOVD || insn->mnemonic == ZYDIS_MNEMONIC_MOVQ ||
        insn->mnemonic == ZYDIS_MNEMONIC_MOVNTQ)
        return emit_mmx_move(e);
    if (insn->op[1].kind == OPERAND_IMM) {
        e->uop->d = insn->op[0].number;
        e->uop->imm8 = (uint8_t)insn->op[1].imm;
        e->uop->fn = shift_immediate(insn->mnemonic);
        return e->uop->fn != NULL;
    }
    /* A linear search: MMX is rare. */
    for (uint32_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (forms[i].mnemonic == insn->mnemonic)
            return emit_sse(e, forms[i].reg, forms[i].mem) && e->uop->fn;
    return false;
}

static bool emit_maskmovq(struct emit *e)
{
    e->uop->d = e->insn->op[0].number;
    e->uop->s = e->insn->op[1].number;
    e->uop->y = emit_rdi(e);
    e->uop->fn = op_maskmovq;
    return true;
}

/* What has no form on XMM registers; the others are reached from their emitters. */
const struct emit_entry emit_mmx[] = {
    {ZYDIS_MNEMONIC_PSHUFW, mmx_emit},        {ZYDIS_MNEMONIC_MOVNTQ, mmx_emit},
    {ZYDIS_MNEMONIC_MOVQ2DQ, mmx_emit},       {ZYDIS_MNEMONIC_MOVDQ2Q, mmx_emit},
    {ZYDIS_MNEMONIC_MASKMOVQ, emit_maskmovq}, {0, NULL},
};
