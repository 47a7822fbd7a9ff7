/* SPDX-License-Identifier: MIT
 *
 * simd/fma.c - FMA3 and F16C (SDM 1, 14.4 and 14.5; SDM 2 by mnemonic).
 *
 * On an x86 host with FMA its instructions compute. Elsewhere C's fma() does, with the NaNs of
 * SDM 1, table 14-16; F16C is in integers everywhere but for the flags.
 */
#include "lanes_float.h"
#include "vex.h"

#include <Zydis/Mnemonic.h>

/* ---- one multiplication and addition: a * b + c --------------------------------------------- */

static bool signaling32(uint32_t bits)
{
    return nan32(bits) && !(bits & QUIET32);
}

static bool signaling64(uint64_t bits)
{
    return nan64(bits) && !(bits & QUIET64);
}

/* NaNs count in the order of the operands a, b, c of the instruction's own form; what is given here
 * is x * y + z with `first`, `second`, `third` in that order. A quiet NaN for z makes infinity
 * times zero raise nothing, which hosts differ in. */
static uint32_t fma32(uint32_t x, uint32_t y, uint32_t z, uint32_t first, uint32_t second,
                      uint32_t third)
{
    uint32_t bits;

    if (nan32(first) || nan32(second) || nan32(third)) {
        if (signaling32(first) || signaling32(second) || signaling32(third))
            float_raise(FE_INVALID);
        return nan32(first) ? first | QUIET32 : nan32(second) ? second | QUIET32 : third | QUIET32;
    }
    bits = bits_of_float(fmaf(float_of(x), float_of(y), float_of(z)));
    return nan32(bits) ? INDEFINITE32 : bits;
}

static uint64_t fma64(uint64_t x, uint64_t y, uint64_t z, uint64_t first, uint64_t second,
                      uint64_t third)
{
    uint64_t bits;

    if (nan64(first) || nan64(second) || nan64(third)) {
        if (signaling64(first) || signaling64(second) || signaling64(third))
            float_raise(FE_INVALID);
        return nan64(first) ? first | QUIET64 : nan64(second) ? second | QUIET64 : third | QUIET64;
    }
    bits = bits_of_double(fma(double_of(x), double_of(y), double_of(z)));
    return nan64(bits) ? INDEFINITE64 : bits;
}

/* What an element does: the sign of the product, and of the addend in even and odd ones. */
#define SIGNS_madd 0, 0, 0
#define SIGNS_msub 0, 1, 1
#define SIGNS_nmadd 1, 0, 0
#define SIGNS_nmsub 1, 1, 1
#define SIGNS_maddsub 0, 1, 0
#define SIGNS_msubadd 0, 0, 1

/* Forms 132, 213, 231 of d (the destination), v and s, elements `count` of `bits`. */
#define SOFT(bits, vector)                                                                         \
    static x128 soft_fma##bits(x128 d, x128 v, x128 s, uint32_t form, uint32_t count,              \
                               uint32_t product, uint32_t even, uint32_t odd)                      \
    {                                                                                              \
        const uint##bits##_t sign = (uint##bits##_t)1 << (bits - 1);                               \
        vector r = (vector)d;                                                                      \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            uint##bits##_t a = ((vector)d)[i], b = ((vector)v)[i], e = ((vector)s)[i];             \
            uint##bits##_t x = form == 231 ? b : form == 213 ? b : a;                              \
            uint##bits##_t y = form == 213 ? a : e, z = form == 132 ? b : form == 213 ? e : a;     \
            uint##bits##_t p = product && !nan##bits(x) ? x ^ sign : x;                            \
            uint##bits##_t q = (i & 1 ? odd : even) && !nan##bits(z) ? z ^ sign : z;               \
            r[i] = fma##bits(p, y, q, x, y, z);                                                    \
        }                                                                                          \
        return (x128)r;                                                                            \
    }
SOFT(32, u32x4)
SOFT(64, u64x2)

#if SIMD_HOST
#define FMA_LANE(name, form, kind, bits, count)                                                    \
    static inline x128 fma_##name(x128 d, x128 v, x128 s)                                          \
    {                                                                                              \
        if (likely(__builtin_cpu_supports("fma"))) {                                               \
            __asm__ volatile("v" #name " %2, %1, %0" : "+x"(d) : "x"(v), "x"(s));                  \
            return d;                                                                              \
        }                                                                                          \
        return soft_fma##bits(d, v, s, form, count, SIGNS_##kind);                                 \
    }
#else
#define FMA_LANE(name, form, kind, bits, count)                                                    \
    static inline x128 fma_##name(x128 d, x128 v, x128 s)                                          \
    {                                                                                              \
        return soft_fma##bits(d, v, s, form, count, SIGNS_##kind);                                 \
    }
#endif

/* ---- handlers ------------------------------------------------------------------------------- */

/* x: memory; osize: 32 for both halves (packed). */
#define FMA(name, form, signs, bits, count, mem, packed)                                           \
    FMA_LANE(name, form, signs, bits, count)                                                       \
    static const struct uop *op_v##name(struct cpu *c, const struct uop *u)                        \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        bool both = packed && u->osize == 32;                                                      \
        uint64_t la = both && u->x ? mem256(c, u) : 0;                                             \
        x128 s = !u->x ? *xmm(c, u->s) : both ? ld128(c, u, la) : mem(c, u);                       \
        x128 s_high = !both ? (x128){0} : u->x ? ld128(c, u, la + 16) : *ymm_high(c, u->s);        \
        x128 d = *xmm(c, u->d), high = {0};                                                        \
        MXCSR_BEGIN(c, d, s);                                                                      \
        d = fma_##name(d, *xmm(c, u->v), s);                                                       \
        if (both)                                                                                  \
            high = fma_##name(*ymm_high(c, u->d), *ymm_high(c, u->v), s_high);                     \
        MXCSR_END(c, u, d);                                                                        \
        set_ymm(c, u->d, d, high);                                                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name, op_v##name, NULL, NULL};                    \
        e->uop->x = e->insn->op[2].kind == OPERAND_MEM;                                            \
        e->uop->osize = e->insn->vector;                                                           \
        return emit_vex_scalar(e, &ops);                                                           \
    }

#define FORMS_PACKED(kind)                                                                         \
    FMA(f##kind##132ps, 132, kind, 32, 4, mem128, true)                                            \
    FMA(f##kind##213ps, 213, kind, 32, 4, mem128, true)                                            \
    FMA(f##kind##231ps, 231, kind, 32, 4, mem128, true)                                            \
    FMA(f##kind##132pd, 132, kind, 64, 2, mem128, true)                                            \
    FMA(f##kind##213pd, 213, kind, 64, 2, mem128, true)                                            \
    FMA(f##kind##231pd, 231, kind, 64, 2, mem128, true)
#define FORMS(kind)                                                                                \
    FORMS_PACKED(kind)                                                                             \
    FMA(f##kind##132ss, 132, kind, 32, 1, mem32, false)                                            \
    FMA(f##kind##213ss, 213, kind, 32, 1, mem32, false)                                            \
    FMA(f##kind##231ss, 231, kind, 32, 1, mem32, false)                                            \
    FMA(f##kind##132sd, 132, kind, 64, 1, mem64, false)                                            \
    FMA(f##kind##213sd, 213, kind, 64, 1, mem64, false)                                            \
    FMA(f##kind##231sd, 231, kind, 64, 1, mem64, false)
FORMS(madd)
FORMS(msub)
FORMS(nmadd)
FORMS(nmsub)
FORMS_PACKED(maddsub)
FORMS_PACKED(msubadd)

/* ---- F16C ----------------------------------------------------------------------------------- */

/* Exact. A half's denormals are not flushed by DAZ and raise nothing (SDM 2, VCVTPH2PS). */
static uint32_t single_of_half(uint32_t h)
{
    uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, m = h & 0x3ff;

    if (exponent == 31) {
        if (m && !(m & 0x200))
            float_raise(FE_INVALID);
        return sign | 0x7f800000 | m << 13 | (m ? QUIET32 : 0);
    }
    if (exponent)
        return sign | (exponent + 112) << 23 | m << 13;
    if (m == 0)
        return sign;
    exponent = 113;
    while (!(m & 0x400)) {
        m <<= 1;
        exponent--;
    }
    return sign | exponent << 23 | (m & 0x3ff) << 13;
}

/* `flags` collects FE_*; FTZ does not count, DAZ does, a denormal source sets DE and one that is
 * too small UE. */
static uint32_t half_of_single(uint32_t a, uint32_t rounding, int *flags)
{
    uint32_t sign = a >> 16 & 0x8000, exponent = a >> 23 & 255, m = a & 0x7fffff, shift, rest, half;
    bool up;

    if (exponent == 255) {
        if (m && !(m & QUIET32))
            *flags |= FE_INVALID;
        return sign | 0x7c00 | (m ? 0x200 | m >> 13 : 0);
    }
    if (exponent == 0 && m == 0)
        return sign;
    /* In units of the half's last place: 2^-24, or by the exponent. */
    m |= exponent ? 0x800000 : 0;
    shift = exponent >= 113 ? 13 : exponent >= 88 ? 126 - exponent : 38;
    rest = shift >= 32 ? m : m & ((1u << shift) - 1);
    half = shift >= 32 ? 0 : m >> shift;
    if (exponent >= 113)
        half += (exponent - 113) << 10;
    switch (rounding) {
    case 0: {
        uint64_t middle = (uint64_t)1 << (shift - 1);
        up = rest > middle || (rest == middle && (half & 1));
        break;
    }
    case 1:
        up = sign && rest;
        break;
    case 2:
        up = !sign && rest;
        break;
    default:
        up = false;
        break;
    }
    if (rest)
        *flags |= FE_INEXACT | (exponent < 113 ? FE_UNDERFLOW : 0);
    half += up;
    if (half >= 0x7c00) {
        *flags |= FE_INEXACT | FE_OVERFLOW;
        half =
            rounding == 3 || (rounding == 1 && !sign) || (rounding == 2 && sign) ? 0x7bff : 0x7c00;
    }
    return sign | half;
}

static x128 halves_to_singles(uint64_t halves)
{
#if SIMD_HOST
    if (likely(
            __builtin_cpu_supports("avx2"))) { /* all that have it have F16C; clang has no name */
        x128 r;

        __asm__ volatile("vcvtph2ps %1, %0" : "=x"(r) : "x"(x128_of(halves, 0)));
        return r;
    }
#endif
    u32x4 r = {0};

    for (uint32_t i = 0; i < 4; i++)
        r[i] = single_of_half((uint32_t)(halves >> 16 * i) & 0xffff);
    return (x128)r;
}

/* imm[2]: by MXCSR. */
static uint64_t singles_to_halves(x128 a, uint32_t imm, uint32_t mxcsr)
{
    uint32_t rounding = imm & 4 ? (mxcsr & MXCSR_RC) >> 13 : imm & 3;
    uint64_t r = 0;
    int flags = 0;

#if SIMD_HOST
    if (likely(
            __builtin_cpu_supports("avx2"))) { /* all that have it have F16C; clang has no name */
        x128 h;

        switch (rounding) {
        case 0:
            __asm__ volatile("vcvtps2ph $0, %1, %0" : "=x"(h) : "x"(a));
            break;
        case 1:
            __asm__ volatile("vcvtps2ph $1, %1, %0" : "=x"(h) : "x"(a));
            break;
        case 2:
            __asm__ volatile("vcvtps2ph $2, %1, %0" : "=x"(h) : "x"(a));
            break;
        default:
            __asm__ volatile("vcvtps2ph $3, %1, %0" : "=x"(h) : "x"(a));
            break;
        }
        return h[0];
    }
#endif
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t e = ((u32x4)a)[i];

        if ((mxcsr & MXCSR_DAZ) && !(e & 0x7f800000))
            e &= 0x80000000;
        r |= (uint64_t)half_of_single(e, rounding, &flags) << 16 * i;
    }
    if (flags)
        float_raise(flags);
    return r;
}

/* With underflow unmasked a tiny result that is exact underflows too (SDM 1, 11.5.2.5). FTZ, which
 * shows that elsewhere (mxcsr_begin()), does not count here; but such a result is a denormal half.
 */
static void raise_if_tiny(const struct cpu *c, x128 halves)
{
    if (likely(c->fpu.mxcsr & MXCSR_UE << 7))
        return;
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t half = ((u16x8)halves)[i];

        if (!(half & 0x7c00) && (half & 0x3ff)) {
            float_raise(FE_UNDERFLOW);
            return;
        }
    }
}

/* x: memory; osize: 32 for eight elements. */
static const struct uop *op_vcvtph2ps(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    x128 b = !u->x ? *xmm(c, u->s) : u->osize == 32 ? mem128(c, u) : mem64(c, u), low, high = {0};
    MXCSR_BEGIN(c, b, b);
    low = halves_to_singles(b[0]);
    if (u->osize == 32)
        high = halves_to_singles(b[1]);
    MXCSR_END(c, u, low);
    set_ymm(c, u->d, low, high);
    NEXT(c, u);
}

static bool emit_vcvtph2ps(struct emit *e)
{
    e->uop->x = e->insn->op[1].kind == OPERAND_MEM;
    e->uop->osize = e->insn->vector;
    return emit_sse(e, op_vcvtph2ps, op_vcvtph2ps);
}

static const struct uop *op_vcvtps2ph(struct cpu *c, const struct uop *u)
{
    avx_check(c, u);
    x128 b = *xmm(c, u->s), r;
    MXCSR_BEGIN(c, b, b);
    r = x128_of(singles_to_halves(b, u->imm8, c->fpu.mxcsr), 0);
    if (u->osize == 32)
        r[1] = singles_to_halves(*ymm_high(c, u->s), u->imm8, c->fpu.mxcsr);
    raise_if_tiny(c, r);
    MXCSR_END(c, u, r);
    /* The flags of the conversion stay if the store faults. */
    if (!u->x)
        set_xmm(c, u->d, r);
    else if (u->osize == 32)
        st128(c, u, vector_ea(c, u, 16, ACCESS_WRITE), r);
    else
        st64(c, u, vector_ea(c, u, 8, ACCESS_WRITE), r[0]);
    NEXT(c, u);
}

static bool emit_vcvtps2ph(struct emit *e)
{
    const struct operand *to = &e->insn->op[0];

    e->uop->s = e->insn->op[1].number;
    e->uop->x = to->kind == OPERAND_MEM;
    if (e->uop->x)
        e->uop->y = emit_memory(e, to);
    else
        e->uop->d = to->number;
    e->uop->imm8 = (uint8_t)e->insn->op[2].imm;
    e->uop->osize = e->insn->vector;
    e->uop->fn = op_vcvtps2ph;
    return true;
}

#define ENTRY(mnemonic, name)                                                                      \
    {                                                                                              \
        ZYDIS_MNEMONIC_##mnemonic, emit_##name                                                     \
    }
#define ENTRIES_PACKED(upper, lower)                                                               \
    ENTRY(upper##132PS, lower##132ps), ENTRY(upper##213PS, lower##213ps),                          \
        ENTRY(upper##231PS, lower##231ps), ENTRY(upper##132PD, lower##132pd),                      \
        ENTRY(upper##213PD, lower##213pd), ENTRY(upper##231PD, lower##231pd)
#define ENTRIES(upper, lower)                                                                      \
    ENTRIES_PACKED(upper, lower), ENTRY(upper##132SS, lower##132ss),                               \
        ENTRY(upper##213SS, lower##213ss), ENTRY(upper##231SS, lower##231ss),                      \
        ENTRY(upper##132SD, lower##132sd), ENTRY(upper##213SD, lower##213sd),                      \
        ENTRY(upper##231SD, lower##231sd)
const struct emit_entry emit_fma[] = {
    ENTRIES(VFMADD, vfmadd),
    ENTRIES(VFMSUB, vfmsub),
    ENTRIES(VFNMADD, vfnmadd),
    ENTRIES(VFNMSUB, vfnmsub),
    ENTRIES_PACKED(VFMADDSUB, vfmaddsub),
    ENTRIES_PACKED(VFMSUBADD, vfmsubadd),
    ENTRY(VCVTPH2PS, vcvtph2ps),
    ENTRY(VCVTPS2PH, vcvtps2ph),
    {0, NULL},
};
