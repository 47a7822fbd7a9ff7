/* SPDX-License-Identifier: MIT
 *
 * simd/lanes_float.h - floating-point operations on 128 bits (SDM 1, 10.4, 11.4, 11.5; SDM 2, by
 * mnemonic), in the environment of fpu/mxcsr.h.
 *
 * On an x86 host its own instructions compute, with operands in the guest's order, so that the
 * choice among NaNs is the guest's; as the assembler's instructions and not C, they are neither
 * exchanged nor folded nor moved across a change of MXCSR. Elsewhere C computes, and a NaN result
 * is replaced by what SDM 1, table 4-7 says. There RCP and RSQRT round to 12 bits, which the manual
 * allows, but no x86 does exactly so; DAZ is as far as the host's own.
 */
#ifndef INTERP_LANES_FLOAT_H
#define INTERP_LANES_FLOAT_H

#include "../fpu/mxcsr.h"
#include "lanes.h"

#include <fenv.h>
#include <math.h>

/* ---- elements, for hosts that have no such instruction -------------------------------------- */

static inline float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint32_t bits_of_float(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline uint64_t bits_of_double(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

#define QUIET32 0x400000u
#define INDEFINITE32 0xffc00000u
#define QUIET64 0x8000000000000u
#define INDEFINITE64 0xfff8000000000000u

/* Sets flags, FE_*, and no others. Glibc's feraiseexcept() sets some of them in the x87's status,
 * where there is an x87, and elsewhere lets an underflow be inexact. */
static inline void float_raise(int flags)
{
#if defined(__x86_64__)
    uint32_t mxcsr;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr |= (uint32_t)flags & MXCSR_FLAGS;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
#elif defined(__aarch64__)
    uint64_t fpsr;

    __asm__ volatile("mrs %0, fpsr" : "=r"(fpsr));
    fpsr |= (uint64_t)flags & FE_ALL_EXCEPT;
    __asm__ volatile("msr fpsr, %0" : : "r"(fpsr));
#else
    feraiseexcept(flags);
#endif
}

static inline bool nan32(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

static inline bool nan64(uint64_t bits)
{
    return (bits & 0x7fffffffffffffff) > 0x7ff0000000000000;
}

/* A result with the NaN that x86 gives for these sources. */
static inline uint32_t result32(float value, uint32_t a, uint32_t b)
{
    uint32_t bits = bits_of_float(value);

    if (!nan32(bits))
        return bits;
    return nan32(a) ? a | QUIET32 : nan32(b) ? b | QUIET32 : INDEFINITE32;
}

static inline uint64_t result64(double value, uint64_t a, uint64_t b)
{
    uint64_t bits = bits_of_double(value);

    if (!nan64(bits))
        return bits;
    return nan64(a) ? a | QUIET64 : nan64(b) ? b | QUIET64 : INDEFINITE64;
}

#define ELEMENT(name, expression32, expression64)                                                  \
    static inline uint32_t name##32(uint32_t a, uint32_t b)                                        \
    {                                                                                              \
        float x = float_of(a), y = float_of(b);                                                    \
        (void)x;                                                                                   \
        return result32(expression32, a, b);                                                       \
    }                                                                                              \
    static inline uint64_t name##64(uint64_t a, uint64_t b)                                        \
    {                                                                                              \
        double x = double_of(a), y = double_of(b);                                                 \
        (void)x;                                                                                   \
        return result64(expression64, a, b);                                                       \
    }
ELEMENT(add, x + y, x + y)
ELEMENT(sub, x - y, x - y)
ELEMENT(mul, x *y, x *y)
ELEMENT(div, x / y, x / y)
#undef ELEMENT

static inline uint32_t sqrt32(uint32_t a, uint32_t b)
{
    (void)a;
    return result32(sqrtf(float_of(b)), b, b);
}

static inline uint64_t sqrt64(uint64_t a, uint64_t b)
{
    (void)a;
    return result64(sqrt(double_of(b)), b, b);
}

/* The second source if either is a NaN or both are zeros (SDM 2, MINPS). */
static inline uint32_t min32(uint32_t a, uint32_t b)
{
    return float_of(a) < float_of(b) ? a : b;
}

static inline uint64_t min64(uint64_t a, uint64_t b)
{
    return double_of(a) < double_of(b) ? a : b;
}

static inline uint32_t max32(uint32_t a, uint32_t b)
{
    return float_of(a) > float_of(b) ? a : b;
}

static inline uint64_t max64(uint64_t a, uint64_t b)
{
    return double_of(a) > double_of(b) ? a : b;
}

/* 1 / b with 12 bits, without exceptions: denormals are zeros, tiny results become zero. */
static inline uint32_t rcp32(uint32_t a, uint32_t b)
{
    uint32_t sign = b & 0x80000000, exponent = b >> 23 & 0xff, m = b & 0x7fffff;

    (void)a;
    if (nan32(b))
        return b | QUIET32;
    if (exponent == 0)
        return sign | 0x7f800000;
    if (exponent >= 253) /* and infinity: the result is below the normal range */
        return sign;
    m = (uint32_t)((((uint64_t)1 << 47) / (m | 0x800000) + 0x400) & ~(uint64_t)0x7ff);
    /* 2^47 / m is in (2^23, 2^24]. */
    return sign | (((253 - exponent) << 23) + (m - 0x800000));
}

/* 1 / sqrt(b) with 12 bits, likewise. */
static inline uint32_t rsqrt32(uint32_t a, uint32_t b)
{
    uint32_t exponent = b >> 23 & 0xff, scale;
    uint64_t m, root = 0, target;

    (void)a;
    if (nan32(b))
        return b | QUIET32;
    if (exponent == 0)
        return (b & 0x80000000) | 0x7f800000;
    if (b >> 31)
        return INDEFINITE32;
    if (exponent == 255)
        return 0;
    /* b = m * 2^(scale * 2), m in [2^23, 2^25); root of 2^63 / m in (2^19, 2^20]. */
    m = (b & 0x7fffff) | 0x800000;
    if (!(exponent & 1))
        m <<= 1;
    scale = (exponent - !(exponent & 1)) / 2;
    target = ((uint64_t)1 << 63) / m;
    for (uint64_t bit = (uint64_t)1 << 20; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= target)
            root |= bit;
    root = ((root << 4) + 0x400) & ~(uint64_t)0x7ff;
    return (uint32_t)(((189 - scale) << 23) + (root - 0x800000));
}

/* The relations of CMPPS (SDM 2), 0..7. C's < and <= raise invalid for quiet NaNs too, == does
 * not: as these. */
static inline bool compare32(float x, float y, uint32_t relation)
{
    bool met;

    switch (relation & 3) {
    case 0:
        met = x == y;
        break;
    case 1:
        met = x < y;
        break;
    case 2:
        met = x <= y;
        break;
    default:
        met = !(x == x && y == y);
        break;
    }
    return met != (relation >> 2 & 1);
}

static inline bool compare64(double x, double y, uint32_t relation)
{
    bool met;

    switch (relation & 3) {
    case 0:
        met = x == y;
        break;
    case 1:
        met = x < y;
        break;
    case 2:
        met = x <= y;
        break;
    default:
        met = !(x == x && y == y);
        break;
    }
    return met != (relation >> 2 & 1);
}

/* ROUNDPS and its kind: imm[1:0] is the rounding, unless imm[2]: MXCSR's; imm[3]: not inexact. */
static inline double round_by(double x, uint32_t imm)
{
    double r;

    switch (imm & 7) {
    case 0:
        r = nearbyint(x);
        if (fabs(x) < 4503599627370496.0)
            r = x - floor(x) == 0.5 ? 2 * floor((x + 1) / 2) : floor(x + 0.5);
        r = copysign(r, x);
        break;
    case 1:
        r = floor(x);
        break;
    case 2:
        r = ceil(x);
        break;
    case 3:
        r = trunc(x);
        break;
    default:
        r = nearbyint(x);
        break;
    }
    return r;
}

static inline uint64_t round64(uint64_t b, uint32_t imm)
{
    double x = double_of(b), r;
    fenv_t saved;

    if (nan64(b)) {
        if (!(b & QUIET64))
            float_raise(FE_INVALID);
        return b | QUIET64;
    }
    fegetenv(&saved);
    if (!(imm & 4))
        fesetround(FE_TONEAREST);
    r = round_by(x, imm);
    fesetenv(&saved);
    if (r != x && !(imm & 8))
        float_raise(FE_INEXACT);
    return bits_of_double(r);
}

static inline uint32_t round32(uint32_t b, uint32_t imm)
{
    if (nan32(b)) {
        if (!(b & QUIET32))
            float_raise(FE_INVALID);
        return b | QUIET32;
    }
    /* An integer of at most 24 bits either way: exact as a float. */
    return bits_of_float((float)double_of(round64(bits_of_double((double)float_of(b)), imm)));
}

/* ---- vectors -------------------------------------------------------------------------------- */

#define MAP32(expression) MAP(u32x4, uint32_t, expression)
#define MAP64(expression) MAP(u64x2, uint64_t, expression)
#define FIRST32(value) first32(a, value)
#define FIRST64(value) x128_of(value, a[1])
#define A32 ((u32x4)a)[0]
#define B32 ((u32x4)b)[0]

#if SIMD_HOST
#define FLOAT(name, result)                                                                        \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        (void)imm;                                                                                 \
        __asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));                                      \
        return a;                                                                                  \
    }
#define FLOAT_IF(feature, name, result)                                                            \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        (void)imm;                                                                                 \
        if (unlikely(!__builtin_cpu_supports(feature)))                                            \
            return (x128)(result);                                                                 \
        __asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));                                      \
        return a;                                                                                  \
    }
#else
#define FLOAT(name, result) LANE(name, result)
#define FLOAT_IF(feature, name, result) LANE(name, result)
#endif

#define FLOAT4(name)                                                                               \
    FLOAT(name##ps, MAP32(name##32(A[i], B[i])))                                                   \
    FLOAT(name##pd, MAP64(name##64(A[i], B[i])))                                                   \
    FLOAT(name##ss, FIRST32(name##32(A32, B32)))                                                   \
    FLOAT(name##sd, FIRST64(name##64(a[0], b[0])))
FLOAT4(add)
FLOAT4(sub)
FLOAT4(mul)
FLOAT4(div)
FLOAT4(min)
FLOAT4(max)
FLOAT4(sqrt)
FLOAT(rcpps, MAP32(rcp32(A[i], B[i])))
FLOAT(rcpss, FIRST32(rcp32(A32, B32)))
FLOAT(rsqrtps, MAP32(rsqrt32(A[i], B[i])))
FLOAT(rsqrtss, FIRST32(rsqrt32(A32, B32)))

/* SSE3. */
FLOAT_IF("sse3", addsubps, MAP32(i & 1 ? add32(A[i], B[i]) : sub32(A[i], B[i])))
FLOAT_IF("sse3", addsubpd, MAP64(i & 1 ? add64(A[i], B[i]) : sub64(A[i], B[i])))
#define PAIR32(operation)                                                                          \
    operation##32(i < 2 ? A[2 * i & 3] : B[2 * i & 3],                                             \
                  i < 2 ? A[(2 * i + 1) & 3] : B[(2 * i + 1) & 3])
#define PAIR64(operation) operation##64(i ? B[0] : A[0], i ? B[1] : A[1])
FLOAT_IF("sse3", haddps, MAP32(PAIR32(add)))
FLOAT_IF("sse3", haddpd, MAP64(PAIR64(add)))
FLOAT_IF("sse3", hsubps, MAP32(PAIR32(sub)))
FLOAT_IF("sse3", hsubpd, MAP64(PAIR64(sub)))

/* CMPPS and its kind by an immediate that the host's instruction must have in itself. */
#if SIMD_HOST
#define COMPARE_CASE(name, n)                                                                      \
    case n:                                                                                        \
        __asm__ volatile(name " $" #n ", %1, %0" : "+x"(a) : "x"(b));                              \
        break;
#define COMPARE(name, result)                                                                      \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        switch (imm & 7) {                                                                         \
            COMPARE_CASE(#name, 0)                                                                 \
            COMPARE_CASE(#name, 1)                                                                 \
            COMPARE_CASE(#name, 2)                                                                 \
            COMPARE_CASE(#name, 3)                                                                 \
            COMPARE_CASE(#name, 4)                                                                 \
            COMPARE_CASE(#name, 5)                                                                 \
            COMPARE_CASE(#name, 6)                                                                 \
            COMPARE_CASE(#name, 7)                                                                 \
        }                                                                                          \
        return a;                                                                                  \
    }
#else
#define COMPARE(name, result) LANE(name, result)
#endif
#define MASK32(value) ((value) ? UINT32_MAX : 0)
#define MASK64(value) ((value) ? UINT64_MAX : 0)
COMPARE(cmpps, MAP32(MASK32(compare32(float_of(A[i]), float_of(B[i]), imm))))
COMPARE(cmppd, MAP64(MASK64(compare64(double_of(A[i]), double_of(B[i]), imm))))
COMPARE(cmpss, FIRST32(MASK32(compare32(float_of(A32), float_of(B32), imm))))
COMPARE(cmpsd, FIRST64(MASK64(compare64(double_of(a[0]), double_of(b[0]), imm))))

/* The 32 relations of VEX by the eight: those from 8 on are the same of exchanged sources, or
 * constant; bit 4 exchanges which of them raise invalid for a quiet NaN (SDM 2, table 3-1). */
#define COMPARE_VEX(name, type)                                                                    \
    static inline x128 lane_v##name(x128 a, x128 b, uint32_t imm)                                  \
    {                                                                                              \
        /* Relations 8..15: EQ_UQ NGE NGT FALSE NEQ_OQ GE GT TRUE. */                              \
        static const uint8_t exchanged[8] = {0, 6, 5, 0, 0, 2, 1, 0};                              \
        uint32_t relation = imm & 15, base = relation & 7;                                         \
        bool quiet_one = base == 0 || base == 3 || base == 4 || base == 7;                         \
        bool signals = quiet_one == ((imm & 16) != 0);                                             \
        x128 unordered = lane_##name(a, b, 3), x = a, y = b, met;                                  \
        if (signals) {                                                                             \
            x128 dropped = lane_##name(a, b, 1);                                                   \
            /* Or C would not be compared. */                                                      \
            MXCSR_PIN(dropped);                                                                    \
        }                                                                                          \
        /* What is left to compare raises nothing: NaNs are out. */                                \
        x = (x128)(type)(a & ~unordered);                                                          \
        y = (x128)(type)(b & ~unordered);                                                          \
        switch (relation) {                                                                        \
        case 3:                                                                                    \
            met = unordered;                                                                       \
            break;                                                                                 \
        case 7:                                                                                    \
            met = ~unordered;                                                                      \
            break;                                                                                 \
        case 11:                                                                                   \
            met = (x128){0};                                                                       \
            break;                                                                                 \
        case 15:                                                                                   \
            met = ~(x128){0};                                                                      \
            break;                                                                                 \
        case 0:                                                                                    \
        case 1:                                                                                    \
        case 2:                                                                                    \
            met = lane_##name(x, y, relation) & ~unordered;                                        \
            break;                                                                                 \
        case 4:                                                                                    \
        case 5:                                                                                    \
        case 6:                                                                                    \
            met = lane_##name(x, y, relation) | unordered;                                         \
            break;                                                                                 \
        case 8:                                                                                    \
            met = lane_##name(x, y, 0) | unordered;                                                \
            break;                                                                                 \
        case 9:                                                                                    \
        case 10:                                                                                   \
            met = lane_##name(y, x, exchanged[base]) | unordered;                                  \
            break;                                                                                 \
        case 12:                                                                                   \
            met = lane_##name(x, y, 4) & ~unordered;                                               \
            break;                                                                                 \
        default:                                                                                   \
            met = lane_##name(y, x, exchanged[base]) & ~unordered;                                 \
            break;                                                                                 \
        }                                                                                          \
        return met;                                                                                \
    }
COMPARE_VEX(cmpps, u32x4)
COMPARE_VEX(cmppd, u64x2)

/* Of scalars: the other elements are those of a, and must not raise anything. */
LANE(vcmpss, first32(a, (uint32_t)lane_vcmpps(x128_of(A32, 0), x128_of(B32, 0), imm)[0]))
LANE(vcmpsd, x128_of(lane_vcmppd(x128_of(a[0], 0), x128_of(b[0], 0), imm)[0], a[1]))

/* (U)COMISS, (U)COMISD: the flags. */
#if SIMD_HOST
#define COMPARE_FLAGS(name, order, result)                                                         \
    static inline uint32_t flags_##name(x128 a, x128 b)                                            \
    {                                                                                              \
        bool zero, parity, carry;                                                                  \
        __asm__ volatile(#name " %4, %3"                                                           \
                         : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry)                          \
                         : "x"(a), "x"(b));                                                        \
        return (zero ? FLAG_ZF : 0) | (parity ? FLAG_PF : 0) | (carry ? FLAG_CF : 0);              \
    }
#else
static inline uint32_t flags_of(bool unordered, bool equal, bool below)
{
    if (unordered)
        return FLAG_ZF | FLAG_PF | FLAG_CF;
    return equal ? FLAG_ZF : below ? FLAG_CF : 0;
}
#define COMPARE_FLAGS(name, order, result)                                                         \
    static inline uint32_t flags_##name(x128 a, x128 b)                                            \
    {                                                                                              \
        order x = order##_of(sizeof(order) == 4 ? (uint32_t)a[0] : a[0]);                          \
        order y = order##_of(sizeof(order) == 4 ? (uint32_t)b[0] : b[0]);                          \
        return result;                                                                             \
    }
#endif
COMPARE_FLAGS(ucomiss, float, flags_of(!(x == x && y == y), x == y, isless(x, y)))
COMPARE_FLAGS(ucomisd, double, flags_of(!(x == x && y == y), x == y, isless(x, y)))
COMPARE_FLAGS(comiss, float, flags_of(!(x == x && y == y), x <= y && x >= y, x < y))
COMPARE_FLAGS(comisd, double, flags_of(!(x == x && y == y), x <= y && x >= y, x < y))

/* ---- SSE4.1 --------------------------------------------------------------------------------- */

#if SIMD_HOST
#define ROUND_CASE(name, n)                                                                        \
    case n:                                                                                        \
        __asm__ volatile(name " $" #n ", %1, %0" : "+x"(a) : "x"(b));                              \
        break;
#define ROUND(name, result)                                                                        \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        if (unlikely(!__builtin_cpu_supports("sse4.1")))                                           \
            return (x128)(result);                                                                 \
        /* With imm[2] MXCSR's rounding counts, whatever imm[1:0]. */                              \
        switch (imm & 4 ? imm & 12 : imm & 15) {                                                   \
            ROUND_CASE(#name, 0)                                                                   \
            ROUND_CASE(#name, 1)                                                                   \
            ROUND_CASE(#name, 2)                                                                   \
            ROUND_CASE(#name, 3)                                                                   \
            ROUND_CASE(#name, 4)                                                                   \
            ROUND_CASE(#name, 8)                                                                   \
            ROUND_CASE(#name, 9)                                                                   \
            ROUND_CASE(#name, 10)                                                                  \
            ROUND_CASE(#name, 11)                                                                  \
            ROUND_CASE(#name, 12)                                                                  \
        }                                                                                          \
        return a;                                                                                  \
    }
#else
#define ROUND(name, result) LANE(name, result)
#endif
ROUND(roundps, MAP32(round32(B[i], imm)))
ROUND(roundpd, MAP64(round64(B[i], imm)))
ROUND(roundss, FIRST32(round32(B32, imm)))
ROUND(roundsd, FIRST64(round64(b[0], imm)))

/* Products where imm[7:4] says so, their sum where imm[3:0] does. Products that are not wanted are
 * 0 * 0, which raises nothing. Every element of the result is a sum of its own, in an order of its
 * own, which shows where NaNs are added. */
static inline x128 dot_single(x128 a, x128 b, uint32_t imm)
{
    u32x4 use = {MASK32(imm >> 4 & 1), MASK32(imm >> 5 & 1), MASK32(imm >> 6 & 1),
                 MASK32(imm >> 7 & 1)};
    u32x4 to = {MASK32(imm & 1), MASK32(imm >> 1 & 1), MASK32(imm >> 2 & 1), MASK32(imm >> 3 & 1)};
    u32x4 p = (u32x4)(lane_mulps(a & (x128)use, b & (x128)use, 0)) & use;
    u32x4 pairs = (u32x4)lane_addps((x128)SHUFFLE(p, p, 1, 0, 3, 2), (x128)p, 0);
    x128 sum = lane_addps((x128)pairs, (x128)SHUFFLE(pairs, pairs, 2, 3, 0, 1), 0);

    return sum & (x128)to;
}

static inline x128 dot_double(x128 a, x128 b, uint32_t imm)
{
    x128 use = {MASK64(imm >> 4 & 1), MASK64(imm >> 5 & 1)},
         to = {MASK64(imm & 1), MASK64(imm >> 1 & 1)};
    x128 p = lane_mulpd(a & use, b & use, 0) & use;
    x128 sum = lane_addpd(p, x128_of(p[1], p[0]), 0);

    return sum & to;
}

LANE(dpps, dot_single(a, b, imm))
LANE(dppd, dot_double(a, b, imm))

#endif
