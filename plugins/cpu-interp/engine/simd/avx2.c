/* SPDX-License-Identifier: MIT
 *
 * simd/avx2.c - what AVX and AVX2 have that SSE has not: broadcasts, lane inserts and extracts,
 * permutations, shifts by element, masked moves and gathers (SDM 1, 14.2 and 14.6; SDM 2 by
 * mnemonic).
 *
 * These work on a copy of the register: an element of the result may come from any other.
 */
#include "lanes_sse4.h"
#include "vex.h"

#include <Zydis/Mnemonic.h>

/* ---- operations on a whole register, out of line -------------------------------------------- */

/* `r` is the result, `a` the register v, `b` the last source; r and b are copies. */
typedef void whole_fn(union vreg *r, const union vreg *a, const union vreg *b, uint32_t imm,
                      uint32_t bytes);

/* x: memory; osize: the vector's bytes. */
static __attribute__((noinline)) void whole(struct cpu *c, const struct uop *u, whole_fn *fn)
{
    union vreg b, r;

    memset(&b, 0, sizeof(b));
    memset(&r, 0, sizeof(r));
    if (u->x)
        ld_vector(c, u, vector_ea(c, u, u->osize, ACCESS_READ), &b, u->osize);
    else
        b = c->v[u->s];
    fn(&r, &c->v[u->v], &b, u->imm8, u->osize);
    c->v[u->d] = r;
}

/* Results are zero where nothing is written: so the upper half of 128-bit forms. */
#define WHOLE(name, body)                                                                          \
    static void whole_##name(union vreg *r, const union vreg *a, const union vreg *b,              \
                             uint32_t imm, uint32_t bytes)                                         \
    {                                                                                              \
        (void)a, (void)imm, (void)bytes;                                                           \
        body;                                                                                      \
    }                                                                                              \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        whole(c, u, whole_##name);                                                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        return emit_whole(e, op_v##name);                                                          \
    }

static bool emit_whole(struct emit *e, op_fn *fn)
{
    const struct vex_ops ops = {fn, fn, NULL, NULL};
    bool three = e->insn->op[2].kind == OPERAND_REG || e->insn->op[2].kind == OPERAND_MEM;

    e->uop->osize = e->insn->vector;
    if (!emit_vex_scalar(e, &ops))
        return false;
    e->uop->x = e->insn->op[three ? 2 : 1].kind == OPERAND_MEM;
    return true;
}

#define EACH(bits, expression)                                                                     \
    for (uint32_t i = 0; i < bytes * 8 / bits; i++)                                                \
    r->u##bits[i] = expression

/* The half that i is in begins at this element of 32 or 64 bits. */
#define LANE32 (i & ~3u)
#define LANE64 (i & ~1u)

WHOLE(permilps_imm, EACH(32, b->u32[LANE32 + (imm >> 2 * (i & 3) & 3)]))
WHOLE(permilpd_imm, EACH(64, b->u64[LANE64 + (imm >> i & 1)]))
WHOLE(permilps_reg, EACH(32, a->u32[LANE32 + (b->u32[i] & 3)]))
WHOLE(permilpd_reg, EACH(64, a->u64[LANE64 + (b->u64[i] >> 1 & 1)]))
WHOLE(permd, EACH(32, b->u32[a->u32[i] & 7]))
WHOLE(permq, EACH(64, b->u64[imm >> 2 * i & 3]))
WHOLE(pblendd, EACH(32, imm >> i & 1 ? b->u32[i] : a->u32[i]))
WHOLE(psllvd, EACH(32, b->u32[i] < 32 ? a->u32[i] << b->u32[i] : 0))
WHOLE(psllvq, EACH(64, b->u64[i] < 64 ? a->u64[i] << b->u64[i] : 0))
WHOLE(psrlvd, EACH(32, b->u32[i] < 32 ? a->u32[i] >> b->u32[i] : 0))
WHOLE(psrlvq, EACH(64, b->u64[i] < 64 ? a->u64[i] >> b->u64[i] : 0))
WHOLE(psravd, EACH(32, (uint32_t)(a->i32[i] >> (b->u32[i] < 32 ? b->u32[i] : 31))))

/* Each half: one of the four halves of a and b, or zeros. */
static uint64_t chosen_half(const union vreg *a, const union vreg *b, uint32_t control, uint32_t i)
{
    const union vreg *from = control & 2 ? b : a;

    return control & 8 ? 0 : from->u64[(control & 1) * 2 + i];
}

WHOLE(perm2f128, EACH(64, chosen_half(a, b, imm >> (i & 2) * 2, i & 1)))

static bool emit_vpermilps(struct emit *e)
{
    return e->insn->op[2].kind == OPERAND_IMM ? emit_vpermilps_imm(e) : emit_vpermilps_reg(e);
}

static bool emit_vpermilpd(struct emit *e)
{
    return e->insn->op[2].kind == OPERAND_IMM ? emit_vpermilpd_imm(e) : emit_vpermilpd_reg(e);
}

/* ---- broadcasts, halves --------------------------------------------------------------------- */

static inline x128 spread(x128 b, uint32_t bits)
{
    uint64_t value = b[0];

    if (bits == 8)
        value = (value & 0xff) * 0x0101010101010101u;
    else if (bits == 16)
        value = (value & 0xffff) * 0x0001000100010001u;
    else if (bits == 32)
        value = (value & UINT32_MAX) * 0x0000000100000001u;
    return bits == 128 ? b : x128_of(value, value);
}

#define BROADCAST(bits)                                                                            \
    static const struct uop *op_broadcast##bits(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 value = spread(u->x ? mem##bits(c, u) : *xmm(c, u->s), bits);                         \
        set_ymm(c, u->d, value, u->osize == 32 ? value : (x128){0});                               \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_vbroadcast##bits(struct emit *e)                                              \
    {                                                                                              \
        return emit_whole(e, op_broadcast##bits);                                                  \
    }
BROADCAST(8)
BROADCAST(16)
BROADCAST(32)
BROADCAST(64)
BROADCAST(128)

static const struct uop *op_vinsert128(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    x128 half = u->x ? mem128(c, u) : *xmm(c, u->s);
    x128 low = *xmm(c, u->v), high = *ymm_high(c, u->v);
    set_ymm(c, u->d, u->imm8 & 1 ? low : half, u->imm8 & 1 ? half : high);
    NEXT(c, u);
}

static bool emit_vinsert128(struct emit *e)
{
    return emit_whole(e, op_vinsert128);
}

static const struct uop *op_vextract128(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    x128 half = u->imm8 & 1 ? *ymm_high(c, u->s) : *xmm(c, u->s);
    if (u->x)
        st128(c, u, vector_ea(c, u, 16, ACCESS_WRITE), half);
    else
        set_xmm(c, u->d, half);
    NEXT(c, u);
}

static bool emit_vextract128(struct emit *e)
{
    const struct operand *to = &e->insn->op[0];

    e->uop->s = e->insn->op[1].number;
    e->uop->x = to->kind == OPERAND_MEM;
    if (e->uop->x)
        e->uop->y = emit_memory(e, to);
    else
        e->uop->d = to->number;
    e->uop->imm8 = (uint8_t)e->insn->op[2].imm;
    e->uop->fn = op_vextract128;
    return true;
}

/* ---- masked moves: what the mask leaves out is not accessed and does not fault --------------- */

/* extra[0]: bytes of an element. The mask is the register v. */
static bool masked(const union vreg *mask, uint32_t i, uint32_t bytes)
{
    return bytes == 8 ? mask->i64[i] < 0 : mask->i32[i] < 0;
}

static __attribute__((noinline)) void load_masked(struct cpu *c, const struct uop *u)
{
    uint32_t bytes = u->extra[0];
    uint64_t la = vector_ea(c, u, u->osize, ACCESS_READ);
    union vreg r;

    memset(&r, 0, sizeof(r));
    for (uint32_t i = 0; i < u->osize / bytes; i++) {
        if (!masked(&c->v[u->v], i, bytes))
            continue;
        if (bytes == 8)
            r.u64[i] = ld64(c, u, la + i * 8);
        else
            r.u32[i] = ld32(c, u, la + i * 4);
    }
    c->v[u->d] = r;
}

static __attribute__((noinline)) void store_masked(struct cpu *c, const struct uop *u)
{
    uint32_t bytes = u->extra[0];
    uint64_t la = vector_ea(c, u, u->osize, ACCESS_WRITE);
    const union vreg *from = &c->v[u->s];

    for (uint32_t i = 0; i < u->osize / bytes; i++)
        if (masked(&c->v[u->v], i, bytes))
            probe_write(c, u, la + i * bytes, bytes);
    for (uint32_t i = 0; i < u->osize / bytes; i++) {
        if (!masked(&c->v[u->v], i, bytes))
            continue;
        if (bytes == 8)
            st64(c, u, la + i * 8, from->u64[i]);
        else
            st32(c, u, la + i * 4, from->u32[i]);
    }
}

static const struct uop *op_vmaskmov_load(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    load_masked(c, u);
    NEXT(c, u);
}

static const struct uop *op_vmaskmov_store(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    store_masked(c, u);
    NEXT(c, u);
}

static bool emit_vmaskmov(struct emit *e, uint8_t bytes)
{
    const struct insn *insn = e->insn;
    struct uop *u = e->uop;
    bool store = insn->op[0].kind == OPERAND_MEM;

    u->v = insn->op[1].number;
    u->y = emit_memory(e, &insn->op[store ? 0 : 2]);
    if (store)
        u->s = insn->op[2].number;
    else
        u->d = insn->op[0].number;
    u->osize = insn->vector;
    u->extra[0] = bytes;
    u->fn = store ? op_vmaskmov_store : op_vmaskmov_load;
    return true;
}

static bool emit_vmaskmov32(struct emit *e)
{
    return emit_vmaskmov(e, 4);
}

static bool emit_vmaskmov64(struct emit *e)
{
    return emit_vmaskmov(e, 8);
}

/* ---- gathers -------------------------------------------------------------------------------- */

/* extra[0]: bytes of an element, extra[1]: of an index, extra[2]: the index register. The mask is
 * the register v. An element that is loaded clears its mask, so that after a fault the instruction
 * goes on where it was (SDM 2, VGATHERDPS). d, v and the index are different, or #UD. */
static __attribute__((noinline)) void gather(struct cpu *c, const struct uop *u)
{
    uint32_t bytes = u->extra[0], index_bytes = u->extra[1];
    uint32_t count = u->osize / (bytes > index_bytes ? bytes : index_bytes);
    union vreg *mask = &c->v[u->v], *to = &c->v[u->d];
    const union vreg *index = &c->v[u->extra[2]];
    uint64_t address_mask = u->asize == 8 ? UINT64_MAX : UINT32_MAX;

    for (uint32_t i = 0; i < count; i++) {
        int64_t by = index_bytes == 8 ? index->i64[i] : index->i32[i];
        uint64_t offset, la;

        if (!masked(mask, i, bytes))
            continue;
        offset = (c->reg[u->base] + ((uint64_t)by << u->scale) + (uint64_t)(int64_t)u->disp) &
                 address_mask;
        la = ea_segment(c, u, u->seg, offset, bytes, ACCESS_READ);
        if (bytes == 8) {
            to->u64[i] = ld64(c, u, la);
            mask->u64[i] = 0;
        } else {
            to->u32[i] = ld32(c, u, la);
            mask->u32[i] = 0;
        }
    }
    for (uint32_t i = count * bytes; i < 32; i++)
        to->u8[i] = 0;
    memset(mask, 0, sizeof(*mask));
}

static const struct uop *op_vgather(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    gather(c, u);
    NEXT(c, u);
}

static bool emit_gather(struct emit *e, uint8_t bytes, uint8_t index_bytes)
{
    const struct insn *insn = e->insn;
    struct uop *u = e->uop;
    uint8_t index = insn->op[1].index;

    u->d = insn->op[0].number;
    u->v = insn->op[2].number;
    if (u->d == u->v || u->d == index || u->v == index)
        return false;
    (void)emit_memory(e, &insn->op[1]);
    u->index = REG_ZERO;
    u->osize = insn->vector;
    u->extra[0] = bytes;
    u->extra[1] = index_bytes;
    u->extra[2] = index;
    u->fn = op_vgather;
    return true;
}

static bool emit_gather_dd(struct emit *e)
{
    return emit_gather(e, 4, 4);
}

static bool emit_gather_dq(struct emit *e)
{
    return emit_gather(e, 8, 4);
}

static bool emit_gather_qd(struct emit *e)
{
    return emit_gather(e, 4, 8);
}

static bool emit_gather_qq(struct emit *e)
{
    return emit_gather(e, 8, 8);
}

const struct emit_entry emit_avx2[] = {
    {ZYDIS_MNEMONIC_VPERMILPS, emit_vpermilps},
    {ZYDIS_MNEMONIC_VPERMILPD, emit_vpermilpd},
    {ZYDIS_MNEMONIC_VPERMD, emit_vpermd},
    {ZYDIS_MNEMONIC_VPERMPS, emit_vpermd},
    {ZYDIS_MNEMONIC_VPERMQ, emit_vpermq},
    {ZYDIS_MNEMONIC_VPERMPD, emit_vpermq},
    {ZYDIS_MNEMONIC_VPERM2F128, emit_vperm2f128},
    {ZYDIS_MNEMONIC_VPERM2I128, emit_vperm2f128},
    {ZYDIS_MNEMONIC_VPBLENDD, emit_vpblendd},
    {ZYDIS_MNEMONIC_VPSLLVD, emit_vpsllvd},
    {ZYDIS_MNEMONIC_VPSLLVQ, emit_vpsllvq},
    {ZYDIS_MNEMONIC_VPSRLVD, emit_vpsrlvd},
    {ZYDIS_MNEMONIC_VPSRLVQ, emit_vpsrlvq},
    {ZYDIS_MNEMONIC_VPSRAVD, emit_vpsravd},
    {ZYDIS_MNEMONIC_VPBROADCASTB, emit_vbroadcast8},
    {ZYDIS_MNEMONIC_VPBROADCASTW, emit_vbroadcast16},
    {ZYDIS_MNEMONIC_VPBROADCASTD, emit_vbroadcast32},
    {ZYDIS_MNEMONIC_VPBROADCASTQ, emit_vbroadcast64},
    {ZYDIS_MNEMONIC_VBROADCASTSS, emit_vbroadcast32},
    {ZYDIS_MNEMONIC_VBROADCASTSD, emit_vbroadcast64},
    {ZYDIS_MNEMONIC_VBROADCASTF128, emit_vbroadcast128},
    {ZYDIS_MNEMONIC_VBROADCASTI128, emit_vbroadcast128},
    {ZYDIS_MNEMONIC_VINSERTF128, emit_vinsert128},
    {ZYDIS_MNEMONIC_VINSERTI128, emit_vinsert128},
    {ZYDIS_MNEMONIC_VEXTRACTF128, emit_vextract128},
    {ZYDIS_MNEMONIC_VEXTRACTI128, emit_vextract128},
    {ZYDIS_MNEMONIC_VMASKMOVPS, emit_vmaskmov32},
    {ZYDIS_MNEMONIC_VMASKMOVPD, emit_vmaskmov64},
    {ZYDIS_MNEMONIC_VPMASKMOVD, emit_vmaskmov32},
    {ZYDIS_MNEMONIC_VPMASKMOVQ, emit_vmaskmov64},
    {ZYDIS_MNEMONIC_VGATHERDPS, emit_gather_dd},
    {ZYDIS_MNEMONIC_VPGATHERDD, emit_gather_dd},
    {ZYDIS_MNEMONIC_VGATHERDPD, emit_gather_dq},
    {ZYDIS_MNEMONIC_VPGATHERDQ, emit_gather_dq},
    {ZYDIS_MNEMONIC_VGATHERQPS, emit_gather_qd},
    {ZYDIS_MNEMONIC_VPGATHERQD, emit_gather_qd},
    {ZYDIS_MNEMONIC_VGATHERQPD, emit_gather_qq},
    {ZYDIS_MNEMONIC_VPGATHERQQ, emit_gather_qq},
    {0, NULL},
};
