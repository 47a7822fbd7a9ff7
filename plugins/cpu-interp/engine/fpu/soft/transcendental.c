/* SPDX-License-Identifier: MIT
 *
 * fpu/soft/transcendental.c - sine, tangent, logarithm and their kind by the host's libm. See
 * soft.h.
 *
 * SDM 1, 8.3.7 to 8.3.10; SDM 2, tables of FPATAN, FYL2X, FYL2XP1. Special operands, flags but PE,
 * and the range of FSIN are exact. Values are those of libm's long double functions, rounded to 64
 * bits: on aarch64 Linux, where long double has 113 bits, within about one unit of the last
 * place; where long double is double, only its 53 bits and its range are right. PE is flagged
 * for every result that is not one of the special ones; argument reduction is by pi itself, not by
 * the 66 bits of Intel's.
 */
#include <math.h>

#include "parts.h"

#define LN2 0.693147180559945309417232121458176568L

static long double to_long(const struct parts *p)
{
    long double value = ldexpl((long double)p->mantissa, p->exponent - 63);

    return p->negative ? -value : value;
}

/* Rounds what libm gave; it is never exact. */
static struct f80_out from_long(long double value, uint16_t control, uint32_t status)
{
    bool negative = signbit(value) != 0;
    uint64_t high, low;
    int exponent;

    value = fabsl(value);
    if (isnan(value))
        return invalid_out();
    if (isinf(value))
        return soft_round(negative, 0x8000, INTEGER_BIT, 1, 64, control, status);
    if (value == 0)
        return soft_round(negative, -0x8000, INTEGER_BIT, 1, 64, control, status);
    value = ldexpl(frexpl(value, &exponent), 64);
    high = (uint64_t)value;
    low = (uint64_t)ldexpl(value - (long double)high, 64);
    return soft_round(negative, exponent - 1, high, low | 1, 64, control, status);
}

static bool stops(uint32_t status, uint16_t control)
{
    return status & ~(uint32_t)control & DE;
}

static struct f80_out one_out(bool negative, uint32_t status)
{
    return (struct f80_out){make(negative, F80_BIAS, INTEGER_BIT), (uint16_t)status};
}

/* Two to the power of the argument, less 1; the argument is in [-1, 1]. */
struct f80_out soft_f2xm1(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    uint32_t status = p.denormal ? DE : 0;

    if (is_nan(&p))
        return soft_nan1(&p);
    if (p.kind == KIND_INFINITY)
        return p.negative ? one_out(true, 0) : infinity_out(false, 0);
    if (p.kind == KIND_ZERO || stops(status, control))
        return same_out(&p, a);
    if (p.exponent == 0 && p.mantissa == INTEGER_BIT)
        return p.negative ? (struct f80_out){make(true, F80_BIAS - 1, INTEGER_BIT), 0}
                          : one_out(false, 0);
    return from_long(expm1l(to_long(&p) * LN2), control, status);
}

/* ---- trigonometry --------------------------------------------------------------------------- */

/* What FSIN, FCOS, FSINCOS and FPTAN answer without computing: true. */
static bool special_angle(const struct f80 *a, const struct parts *p, uint16_t control,
                          struct f80_out *out)
{
    if (is_nan(p))
        *out = soft_nan1(p);
    else if (p->kind == KIND_INFINITY)
        *out = invalid_out();
    else if (p->kind == KIND_NUMBER && p->exponent >= 63)
        *out = (struct f80_out){*a, C2};
    else if (p->kind == KIND_NUMBER && stops(p->denormal ? DE : 0, control))
        *out = same_out(p, a);
    else
        return false;
    return true;
}

struct f80_out soft_sin(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    struct f80_out out;

    if (special_angle(a, &p, control, &out))
        return out;
    if (p.kind == KIND_ZERO)
        return same_out(&p, a);
    return from_long(sinl(to_long(&p)), control, p.denormal ? DE : 0);
}

struct f80_out soft_cos(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    struct f80_out out;

    if (special_angle(a, &p, control, &out))
        return out;
    if (p.kind == KIND_ZERO)
        return one_out(false, 0);
    return from_long(cosl(to_long(&p)), control, p.denormal ? DE : 0);
}

struct f80_pair soft_sincos(const struct f80 *a, uint16_t control)
{
    struct f80_out sine = soft_sin(a, control), cosine = soft_cos(a, control);

    return (struct f80_pair){sine.value, cosine.value,
                             (uint16_t)(sine.status | (cosine.status & ~C1))};
}

struct f80_pair soft_ptan(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    struct f80_out out;

    if (special_angle(a, &p, control, &out)) {
        /* A NaN is pushed as well. */
        return (struct f80_pair){out.value, out.value, out.status};
    }
    if (p.kind == KIND_ZERO)
        out = same_out(&p, a);
    else
        out = from_long(tanl(to_long(&p)), control, p.denormal ? DE : 0);
    return (struct f80_pair){out.value, one_out(false, 0).value, out.status};
}

struct f80_out soft_patan(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    struct parts x = take_apart(a), y = take_apart(b);
    uint32_t status = x.denormal | y.denormal ? DE : 0;
    long double angle;

    if (is_nan(&x) || is_nan(&y))
        return soft_nan2(&x, &y);
    if (stops(status, control))
        return zero_out(y.negative, status);
    if (!x.negative &&
        ((y.kind == KIND_ZERO) || (x.kind == KIND_INFINITY && y.kind != KIND_INFINITY)))
        return zero_out(y.negative, status);
    angle = atan2l(y.kind == KIND_ZERO       ? copysignl(0, y.negative ? -1 : 1)
                   : y.kind == KIND_INFINITY ? copysignl(INFINITY, y.negative ? -1 : 1)
                                             : to_long(&y),
                   x.kind == KIND_ZERO       ? copysignl(0, x.negative ? -1 : 1)
                   : x.kind == KIND_INFINITY ? copysignl(INFINITY, x.negative ? -1 : 1)
                                             : to_long(&x));
    return from_long(angle, control, status);
}

/* ---- logarithms ----------------------------------------------------------------------------- */

/* y times a logarithm that is an infinity. */
static struct f80_out times_infinity(const struct parts *y, bool negative, uint32_t status)
{
    if (y->kind == KIND_ZERO)
        return invalid_out();
    return infinity_out(y->negative != negative, status);
}

/* y times a logarithm that is neither 0 nor an infinity; `negative`: its sign. */
static struct f80_out times(const struct parts *y, long double log, bool negative, uint16_t control,
                            uint32_t status)
{
    if (y->kind == KIND_INFINITY)
        return infinity_out(y->negative != negative, status);
    if (y->kind == KIND_ZERO)
        return zero_out(y->negative != negative, status);
    return from_long(to_long(y) * log, control, status);
}

struct f80_out soft_yl2x(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    struct parts x = take_apart(a), y = take_apart(b);
    uint32_t status = x.denormal | y.denormal ? DE : 0;
    bool below = x.exponent < 0;

    if (is_nan(&x) || is_nan(&y))
        return soft_nan2(&x, &y);
    if (x.kind == KIND_ZERO)
        return times_infinity(&y, true, y.kind == KIND_NUMBER ? ZE : 0);
    if (x.negative)
        return invalid_out();
    if (x.kind == KIND_INFINITY)
        return times_infinity(&y, false, status);
    if (stops(status, control))
        return zero_out(false, status);
    if (x.exponent == 0 && x.mantissa == INTEGER_BIT)
        return y.kind == KIND_INFINITY ? invalid_out() : zero_out(y.negative, status);
    return times(&y, log2l(to_long(&x)), below, control, status);
}

/* The argument is in (-(1 - sqrt(2) / 2), sqrt(2) - 1); other values are undefined. */
struct f80_out soft_yl2xp1(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    struct parts x = take_apart(a), y = take_apart(b);
    uint32_t status = x.denormal | y.denormal ? DE : 0;

    if (is_nan(&x) || is_nan(&y))
        return soft_nan2(&x, &y);
    if (x.kind == KIND_INFINITY)
        return x.negative ? invalid_out() : times_infinity(&y, false, status);
    if (stops(status, control))
        return zero_out(false, status);
    if (x.kind == KIND_ZERO)
        return y.kind == KIND_INFINITY ? invalid_out() : zero_out(x.negative != y.negative, status);
    if (x.negative && x.exponent >= 0)
        return invalid_out();
    /* The logarithm of so small a number is a multiple of it, which a denormal could not hold. */
    if (x.exponent < -120 && y.kind == KIND_NUMBER)
        return from_long(to_long(&y) / LN2 * to_long(&x), control, status);
    return times(&y, log1pl(to_long(&x)) / LN2, x.negative, control, status);
}
