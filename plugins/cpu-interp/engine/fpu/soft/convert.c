/* SPDX-License-Identifier: MIT
 *
 * fpu/soft/convert.c - to narrower floats, integers and BCD, FRNDINT, FXTRACT, FSCALE and the
 * remainders. See soft.h.
 */
#include "parts.h"

/* ---- floats --------------------------------------------------------------------------------- */

/* FST does not flag denormals (SDM 2, FST). */
static struct f80_bits narrow(const struct f80 *a, uint16_t control, uint32_t exponent_bits)
{
    struct parts p = take_apart(a);
    uint32_t fraction_bits = exponent_bits == 8 ? 23 : 52, max = (1u << exponent_bits) - 1;
    uint32_t rounding = rounding_of(control), drop = 63 - fraction_bits, status = 0;
    uint64_t sign = (uint64_t)p.negative << (fraction_bits + exponent_bits), kept, rest;
    uint64_t infinity = (uint64_t)max << fraction_bits;
    int32_t biased = p.exponent + (int32_t)(max / 2);
    bool up;

    if (is_nan(&p)) {
        struct f80_out nan = soft_nan1(&p);

        sign = (uint64_t)(nan.value.sign_exponent >> 15) << (fraction_bits + exponent_bits);
        return (struct f80_bits){sign | infinity | (nan.value.mantissa << 1 >> (drop + 1)), 0,
                                 nan.status};
    }
    if (p.kind == KIND_ZERO)
        return (struct f80_bits){sign, 0, 0};
    if (p.kind == KIND_INFINITY)
        return (struct f80_bits){sign | infinity, 0, 0};
    kept = p.mantissa >> drop;
    rest = p.mantissa << (64 - drop);
    up = soft_increments(rounding, p.negative, kept & 1, rest);
    if (biased + (int32_t)((kept + up) >> (fraction_bits + 1)) < 1) {
        /* Tiny after rounding. */
        uint32_t more = biased < -64 ? 65 : (uint32_t)(1 - biased), shift = drop + more;

        if (!(control & UE))
            return (struct f80_bits){0, 0, UE};
        if (shift < 64) {
            kept = p.mantissa >> shift;
            rest = p.mantissa << (64 - shift);
        } else {
            kept = 0;
            rest = shift == 64 ? p.mantissa : 1;
        }
        up = soft_increments(rounding, p.negative, kept & 1, rest);
        if (rest)
            status = UE | PE | (up ? C1 : 0);
        /* A carry into the exponent's place makes the smallest normal number. */
        return (struct f80_bits){sign | (kept + up), 0, (uint16_t)status};
    }
    kept += up;
    if (kept >> (fraction_bits + 1)) {
        kept >>= 1;
        biased++;
    }
    if (rest)
        status = PE | (up ? C1 : 0);
    if (biased >= (int32_t)max) {
        if (!(control & OE))
            return (struct f80_bits){0, 0, OE};
        if (rounding == RC_NEAR || rounding == (p.negative ? RC_DOWN : RC_UP))
            return (struct f80_bits){sign | infinity, 0, OE | PE | C1};
        return (struct f80_bits){sign | (infinity - 1), 0, OE | PE};
    }
    return (struct f80_bits){sign | (uint64_t)biased << fraction_bits |
                                 (kept & ((UINT64_C(1) << fraction_bits) - 1)),
                             0, (uint16_t)status};
}

struct f80_bits soft_to_f32(const struct f80 *a, uint16_t control)
{
    return narrow(a, control, 8);
}

struct f80_bits soft_to_f64(const struct f80 *a, uint16_t control)
{
    return narrow(a, control, 11);
}

/* ---- integers ------------------------------------------------------------------------------- */

/* The magnitude of a number below 2^64 as an integer; *status gets PE and C1. False if it is 2^64
 * or more. */
static bool to_magnitude(const struct parts *p, uint32_t rounding, uint64_t *out, uint32_t *status)
{
    uint64_t kept, rest;

    if (p->exponent > 63)
        return false;
    if (p->exponent == 63) {
        kept = p->mantissa;
        rest = 0;
    } else if (p->exponent >= 0) {
        kept = p->mantissa >> (63 - p->exponent);
        rest = p->mantissa << (p->exponent + 1);
    } else {
        kept = 0;
        rest = p->exponent == -1 ? p->mantissa : 1;
    }
    if (rest)
        *status |= PE;
    if (soft_increments(rounding, p->negative, kept & 1, rest)) {
        if (++kept == 0)
            return false;
        *status |= C1;
    }
    *out = kept;
    return true;
}

static struct f80_bits to_int(const struct f80 *a, uint16_t control, uint32_t bits)
{
    struct parts p = take_apart(a);
    uint64_t sign = UINT64_C(1) << (bits - 1), magnitude = 0, mask = sign | (sign - 1);
    uint32_t status = 0;

    if (p.kind == KIND_ZERO)
        return (struct f80_bits){0, 0, 0};
    if (p.kind != KIND_NUMBER || !to_magnitude(&p, rounding_of(control), &magnitude, &status) ||
        magnitude > sign - !p.negative)
        return (struct f80_bits){sign, 0, IE};
    return (struct f80_bits){(p.negative ? 0 - magnitude : magnitude) & mask, 0, (uint16_t)status};
}

struct f80_bits soft_to_i16(const struct f80 *a, uint16_t control)
{
    return to_int(a, control, 16);
}

struct f80_bits soft_to_i32(const struct f80 *a, uint16_t control)
{
    return to_int(a, control, 32);
}

struct f80_bits soft_to_i64(const struct f80 *a, uint16_t control)
{
    return to_int(a, control, 64);
}

struct f80_bits soft_to_bcd(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    struct f80_bits out = {0};
    uint64_t magnitude = 0;
    uint32_t status = 0;

    if (p.kind != KIND_ZERO &&
        (p.kind != KIND_NUMBER || !to_magnitude(&p, rounding_of(control), &magnitude, &status) ||
         magnitude > UINT64_C(999999999999999999)))
        return (struct f80_bits){UINT64_C(0xc000000000000000), 0xffff, IE};
    for (uint32_t digit = 0; digit < 18; digit++) {
        uint64_t value = magnitude % 10;

        if (digit < 16)
            out.bits |= value << 4 * digit;
        else
            out.high = (uint16_t)(out.high | value << 4 * (digit - 16));
        magnitude /= 10;
    }
    if (p.negative)
        out.high |= 0x8000;
    out.status = (uint16_t)status;
    return out;
}

/* Digits above 9 are undefined: each counts for what it is. */
struct f80 soft_from_bcd(uint64_t low, uint16_t high)
{
    uint64_t magnitude = 0;
    struct f80 out;

    for (uint32_t digit = 18; digit-- > 0;) {
        uint64_t value = digit < 16 ? low >> 4 * digit : (uint64_t)high >> 4 * (digit - 16);

        magnitude = magnitude * 10 + (value & 15);
    }
    out = f80_from_int((int64_t)magnitude);
    out.sign_exponent = (uint16_t)((out.sign_exponent & F80_EXPONENT) | (high & F80_SIGN));
    return out;
}

/* ---- FRNDINT, FXTRACT, FSCALE --------------------------------------------------------------- */

struct f80_out soft_rndint(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    struct f80_out out;
    uint32_t status = p.denormal ? DE : 0;
    uint64_t magnitude = 0;

    if (is_nan(&p))
        return soft_nan1(&p);
    if (p.kind != KIND_NUMBER || p.exponent >= 63 || status & ~(uint32_t)control & DE)
        return same_out(&p, a);
    (void)to_magnitude(&p, rounding_of(control), &magnitude, &status);
    if (magnitude == 0)
        return zero_out(p.negative, status);
    out.value = f80_from_int((int64_t)magnitude);
    if (magnitude >> 63)
        out.value = make(false, F80_BIAS + 63, magnitude);
    out.value.sign_exponent =
        (uint16_t)((out.value.sign_exponent & F80_EXPONENT) | (p.negative ? F80_SIGN : 0));
    out.status = (uint16_t)status;
    return out;
}

struct f80_pair soft_xtract(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    struct f80_out one;

    (void)control;
    if (is_nan(&p)) {
        one = soft_nan1(&p);
        return (struct f80_pair){one.value, one.value, one.status};
    }
    if (p.kind == KIND_ZERO)
        return (struct f80_pair){infinity_out(true, 0).value, *a, ZE};
    if (p.kind == KIND_INFINITY)
        return (struct f80_pair){infinity_out(false, 0).value, *a, 0};
    return (struct f80_pair){f80_from_int(p.exponent), make(p.negative, F80_BIAS, p.mantissa),
                             p.denormal ? DE : 0};
}

/* The scale's integer part, with what is out of every range brought to the edge. */
static int32_t whole(const struct parts *p)
{
    uint64_t magnitude;

    if (p->kind == KIND_ZERO || p->exponent < 0)
        return 0;
    if (p->exponent > 16)
        return p->negative ? -0x18000 : 0x18000;
    magnitude = p->mantissa >> (63 - p->exponent);
    return p->negative ? -(int32_t)magnitude : (int32_t)magnitude;
}

/* The operand, but a pseudo-denormal as the normal number that it is. No underflow. */
static struct f80_out unchanged(const struct f80 *a, uint32_t status)
{
    struct f80_out out = {*a, (uint16_t)status};

    if (!(a->sign_exponent & F80_EXPONENT))
        out.value.sign_exponent = (uint16_t)(a->sign_exponent | a->mantissa >> 63);
    return out;
}

struct f80_out soft_scale(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    struct parts p = take_apart(a), q = take_apart(b);
    uint32_t status = p.denormal | q.denormal ? DE : 0;

    if (is_nan(&p) || is_nan(&q))
        return soft_nan2(&p, &q);
    if (q.kind == KIND_INFINITY) {
        if (p.kind == (q.negative ? KIND_INFINITY : KIND_ZERO))
            return invalid_out();
        return q.negative ? zero_out(p.negative, status) : infinity_out(p.negative, status);
    }
    if (p.kind == KIND_INFINITY)
        return infinity_out(p.negative, status);
    if (p.kind == KIND_ZERO || status & ~(uint32_t)control & DE)
        return zero_out(p.negative, status);
    if (q.kind == KIND_ZERO)
        return unchanged(a, status);
    return soft_round(p.negative, p.exponent + whole(&q), p.mantissa, 0, 64, control, status);
}

/* ---- FPREM, FPREM1 -------------------------------------------------------------------------- */

/* The lowest three bits of the quotient. */
static uint32_t quotient_codes(uint64_t quotient)
{
    return (quotient & 4 ? C0 : 0) | (quotient & 2 ? C3 : 0) | (quotient & 1 ? C1 : 0);
}

/* x * 2^shift mod y, shift below 64; the quotient modulo 2^64 in *quotient. */
static uint64_t reduce(uint64_t x, uint64_t y, uint32_t shift, uint64_t *quotient)
{
    u128 all = (u128)x << shift;

    *quotient = (uint64_t)(all / y);
    return (uint64_t)(all % y);
}

static struct f80_out exact(bool negative, int32_t exponent, uint64_t mantissa, uint16_t control,
                            uint32_t status)
{
    int shift;

    if (mantissa == 0)
        return zero_out(negative, status);
    shift = __builtin_clzll(mantissa);
    return soft_round(negative, exponent - shift, mantissa << shift, 0, 64, control, status);
}

static struct f80_out remainder_of(const struct f80 *a, const struct f80 *b, uint16_t control,
                                   bool nearest)
{
    struct parts p = take_apart(a), q = take_apart(b);
    uint32_t status = p.denormal | q.denormal ? DE : 0;
    int32_t distance = p.exponent - q.exponent;
    uint64_t rest, quotient = 0;
    bool negative = p.negative;

    if (is_nan(&p) || is_nan(&q))
        return soft_nan2(&p, &q);
    if (p.kind == KIND_INFINITY || q.kind == KIND_ZERO)
        return invalid_out();
    if (status & ~(uint32_t)control & DE)
        return zero_out(negative, status);
    if (p.kind == KIND_ZERO)
        return zero_out(negative, status);
    if (q.kind == KIND_INFINITY)
        return unchanged(a, status);
    if (distance >= 64) {
        /* Not all at once: the unit takes away 32 to 63 bits of the quotient. */
        uint32_t step = 32 + ((uint32_t)distance & 31);

        rest = reduce(p.mantissa, q.mantissa, step, &quotient);
        return exact(negative, p.exponent - (int32_t)step, rest, control, status | C2);
    }
    if (distance < (nearest ? -1 : 0))
        return exact(negative, p.exponent, p.mantissa, control, status);
    if (distance >= 0) {
        rest = reduce(p.mantissa, q.mantissa, (uint32_t)distance, &quotient);
        if (nearest && (rest > q.mantissa - rest || (rest == q.mantissa - rest && quotient & 1))) {
            rest = q.mantissa - rest;
            quotient++;
            negative = !negative;
        }
        if (rest == 0)
            negative = p.negative;
        return exact(negative, q.exponent, rest, control, status | quotient_codes(quotient));
    }
    /* Between a half of the divisor and all of it: above the half, in units of half a bit. */
    if (p.mantissa > q.mantissa) {
        u128 wide = ((u128)q.mantissa << 1) - p.mantissa;

        return exact(!negative, p.exponent, (uint64_t)wide, control, status | quotient_codes(1));
    }
    return exact(negative, p.exponent, p.mantissa, control, status);
}

struct f80_out soft_prem(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    return remainder_of(a, b, control, false);
}

struct f80_out soft_prem1(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    return remainder_of(a, b, control, true);
}
