/* SPDX-License-Identifier: MIT
 *
 * simd/lanes_convert.h - conversions between floating point and integers (SDM 1, 11.4.1.6 and
 * 4.8.4; SDM 2, by mnemonic). What does not fit an integer gives the integer indefinite, the
 * smallest one, and the invalid exception alone. The host's instruction on x86, as in
 * lanes_float.h.
 */
#ifndef INTERP_LANES_CONVERT_H
#define INTERP_LANES_CONVERT_H

#include "lanes_float.h"

/* ---- elements, for hosts that have no such instruction -------------------------------------- */

/* Rounded as MXCSR says, or chopped; `limit` is 2^31 or 2^63. */
static inline int64_t integer_of(double x, bool chop, double limit)
{
    double r = chop ? trunc(x) : nearbyint(x);

    /* NaNs fail too. */
    if (!(r >= -limit && r < limit)) {
        float_raise(FE_INVALID);
        return limit > 2147483648.0 ? INT64_MIN : INT32_MIN;
    }
    if (r != x)
        float_raise(FE_INEXACT);
    return (int64_t)r;
}

static inline uint32_t int32_of_float(uint32_t a, bool chop)
{
    /* By bits, so that a signaling NaN is not converted first. */
    double x = nan32(a) ? __builtin_nan("") : (double)float_of(a);

    return (uint32_t)integer_of(x, chop, 2147483648.0);
}

static inline uint32_t int32_of_double(uint64_t a, bool chop)
{
    double x = nan64(a) ? __builtin_nan("") : double_of(a);

    return (uint32_t)integer_of(x, chop, 2147483648.0);
}

static inline uint64_t int64_of_float(uint32_t a, bool chop)
{
    double x = nan32(a) ? __builtin_nan("") : (double)float_of(a);

    return (uint64_t)integer_of(x, chop, 9223372036854775808.0);
}

static inline uint64_t int64_of_double(uint64_t a, bool chop)
{
    double x = nan64(a) ? __builtin_nan("") : double_of(a);

    return (uint64_t)integer_of(x, chop, 9223372036854775808.0);
}

static inline uint64_t double_of_float(uint32_t a)
{
    if (nan32(a)) {
        if (!(a & QUIET32))
            float_raise(FE_INVALID);
        return (uint64_t)(a >> 31) << 63 | 0x7ff8000000000000 | (uint64_t)(a & 0x3fffff) << 29;
    }
    return bits_of_double((double)float_of(a));
}

static inline uint32_t float_of_double(uint64_t a)
{
    if (nan64(a)) {
        if (!(a & QUIET64))
            float_raise(FE_INVALID);
        return (uint32_t)(a >> 63) << 31 | 0x7fc00000 | ((uint32_t)(a >> 29) & 0x3fffff);
    }
    return bits_of_float((float)double_of(a));
}

static inline uint32_t float_of_int(int64_t a)
{
    return bits_of_float((float)a);
}

static inline uint64_t double_of_int(int64_t a)
{
    return bits_of_double((double)a);
}

/* ---- vectors -------------------------------------------------------------------------------- */

/* As FLOAT, but the destination is only written. */
#if SIMD_HOST
#define CONVERT(name, result)                                                                      \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        (void)imm, (void)a;                                                                        \
        __asm__ volatile(#name " %1, %0" : "=x"(a) : "x"(b));                                      \
        return a;                                                                                  \
    }
#else
#define CONVERT(name, result) LANE(name, result)
#endif

#define B_I32 ((i32x4)b)
#define PAIR_LOW(low, high) x128_of((uint64_t)(low) | (uint64_t)(high) << 32, 0)

CONVERT(cvtps2pd, x128_of(double_of_float(B32), double_of_float(((u32x4)b)[1])))
CONVERT(cvtpd2ps, PAIR_LOW(float_of_double(b[0]), float_of_double(b[1])))
CONVERT(cvtdq2ps, MAP32(float_of_int(B_I32[i])))
CONVERT(cvtdq2pd, x128_of(double_of_int(B_I32[0]), double_of_int(B_I32[1])))
CONVERT(cvtps2dq, MAP32(int32_of_float(B[i], false)))
CONVERT(cvttps2dq, MAP32(int32_of_float(B[i], true)))
CONVERT(cvtpd2dq, PAIR_LOW(int32_of_double(b[0], false), int32_of_double(b[1], false)))
CONVERT(cvttpd2dq, PAIR_LOW(int32_of_double(b[0], true), int32_of_double(b[1], true)))
FLOAT(cvtss2sd, FIRST64(double_of_float(B32)))
FLOAT(cvtsd2ss, FIRST32(float_of_double(b[0])))

/* Two integers to the low half of a; CVTPI2PS. Two singles to integers: CVTPS2PI, which must not
 * look at the other two. */
LANE(cvtpi2ps, x128_of(lane_cvtdq2ps(a, x128_of(b[0], 0), 0)[0], a[1]))
LANE(cvtps2pi, x128_of(lane_cvtps2dq(a, x128_of(b[0], 0), 0)[0], 0))
LANE(cvttps2pi, x128_of(lane_cvttps2dq(a, x128_of(b[0], 0), 0)[0], 0))

/* ---- with a general register ---------------------------------------------------------------- */

#if SIMD_HOST
#define FROM_INTEGER(name, type, text, result)                                                     \
    static inline x128 name(x128 a, type value)                                                    \
    {                                                                                              \
        __asm__ volatile(text " %1, %0" : "+x"(a) : "r"(value));                                   \
        return a;                                                                                  \
    }
#define TO_INTEGER(name, type, text, result)                                                       \
    static inline type name(x128 b)                                                                \
    {                                                                                              \
        type value;                                                                                \
        __asm__ volatile(text " %1, %0" : "=r"(value) : "x"(b));                                   \
        return value;                                                                              \
    }
#else
#define FROM_INTEGER(name, type, text, result)                                                     \
    static inline x128 name(x128 a, type value)                                                    \
    {                                                                                              \
        return result;                                                                             \
    }
#define TO_INTEGER(name, type, text, result)                                                       \
    static inline type name(x128 b)                                                                \
    {                                                                                              \
        return result;                                                                             \
    }
#endif
#define TO_INTEGERS(name, result32, result64)                                                      \
    TO_INTEGER(name##_32, uint32_t, #name, result32)                                               \
    TO_INTEGER(name##_64, uint64_t, #name, result64)

FROM_INTEGER(cvtsi2ss_32, int32_t, "cvtsi2ssl", FIRST32(float_of_int(value)))
FROM_INTEGER(cvtsi2ss_64, int64_t, "cvtsi2ssq", FIRST32(float_of_int(value)))
FROM_INTEGER(cvtsi2sd_32, int32_t, "cvtsi2sdl", FIRST64(double_of_int(value)))
FROM_INTEGER(cvtsi2sd_64, int64_t, "cvtsi2sdq", FIRST64(double_of_int(value)))
TO_INTEGERS(cvtss2si, int32_of_float((uint32_t)b[0], false), int64_of_float((uint32_t)b[0], false))
TO_INTEGERS(cvttss2si, int32_of_float((uint32_t)b[0], true), int64_of_float((uint32_t)b[0], true))
TO_INTEGERS(cvtsd2si, int32_of_double(b[0], false), int64_of_double(b[0], false))
TO_INTEGERS(cvttsd2si, int32_of_double(b[0], true), int64_of_double(b[0], true))

#endif
