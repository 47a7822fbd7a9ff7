/* SPDX-License-Identifier: MIT
 *
 * fpu/soft/round.c - rounding to the register format, and NaNs. See parts.h.
 */
#include "parts.h"

struct f80_out soft_nan1(const struct parts *a)
{
    return a->kind == KIND_UNSUPPORTED ? invalid_out() : nan_out(a);
}

/* SDM 1, table 4-7: a quiet NaN before a signalling one, otherwise the larger significand; of
 * equal ones the positive. */
struct f80_out soft_nan2(const struct parts *a, const struct parts *b)
{
    const struct parts *chosen;
    struct f80_out out;

    if (a->kind == KIND_UNSUPPORTED || b->kind == KIND_UNSUPPORTED)
        return invalid_out();
    if (a->kind != KIND_NAN)
        chosen = b;
    else if (b->kind != KIND_NAN)
        chosen = a;
    else if (a->signals != b->signals)
        chosen = a->signals ? b : a;
    else if (a->mantissa != b->mantissa)
        chosen = a->mantissa > b->mantissa ? a : b;
    else
        chosen = a->negative ? b : a;
    out = nan_out(chosen);
    if (a->signals || b->signals)
        out.status |= IE;
    return out;
}

uint32_t soft_precision(uint16_t control)
{
    switch (control >> 8 & 3) {
    case 0:
        return 24;
    case 2:
        return 53;
    default:
        return 64;
    }
}

bool soft_increments(uint32_t rounding, bool negative, bool odd, uint64_t rest)
{
    switch (rounding) {
    case RC_NEAR:
        return rest > INTEGER_BIT || (rest == INTEGER_BIT && odd);
    case RC_DOWN:
        return negative && rest;
    case RC_UP:
        return !negative && rest;
    default:
        return false;
    }
}

/* A mantissa rounded to some bits of its own. */
struct rounded {
    uint64_t mantissa;
    bool carry; /* it has become 2^64: mantissa is INTEGER_BIT, one exponent higher */
    bool inexact, up;
};

static struct rounded round_mantissa(uint64_t high, uint64_t low, uint32_t bits, uint32_t rounding,
                                     bool negative)
{
    struct rounded r = {high, false, false, false};
    uint64_t unit = UINT64_C(1) << (64 - bits), rest = low;

    if (bits < 64) {
        uint64_t cut = high & (unit - 1);

        rest = cut << bits | (low ? 1 : 0);
        r.mantissa = high - cut;
    }
    r.inexact = rest != 0;
    r.up = soft_increments(rounding, negative, (r.mantissa & unit) != 0, rest);
    if (r.up) {
        r.mantissa += unit;
        if (r.mantissa == 0) {
            r.carry = true;
            r.mantissa = INTEGER_BIT;
        }
    }
    return r;
}

static struct f80_out overflow(bool negative, int32_t exponent, const struct rounded *r,
                               uint32_t bits, uint16_t control, uint32_t status)
{
    uint32_t rounding = rounding_of(control);

    status |= OE;
    if (!(control & OE)) {
        /* 8.5.4: the exponent wraps; what is too large even so (FSCALE) is an infinity, whatever
         * the rounding.
         */
        if (exponent - 24576 + F80_BIAS >= (int32_t)F80_EXPONENT)
            return infinity_out(negative, status | PE | C1);
        if (r->inexact)
            status |= PE | (r->up ? C1 : 0);
        return (struct f80_out){
            make(negative, (uint32_t)(exponent - 24576 + F80_BIAS), r->mantissa), (uint16_t)status};
    }
    status |= PE;
    if (rounding == RC_NEAR || rounding == (negative ? RC_DOWN : RC_UP))
        return infinity_out(negative, status | C1);
    return (struct f80_out){make(negative, F80_EXPONENT - 1, UINT64_MAX << (64 - bits)),
                            (uint16_t)status};
}

struct f80_out soft_round(bool negative, int32_t exponent, uint64_t high, uint64_t low,
                          uint32_t bits, uint16_t control, uint32_t status)
{
    uint32_t rounding = rounding_of(control);
    struct rounded r = round_mantissa(high, low, bits, rounding, negative);
    int32_t biased = exponent + r.carry + F80_BIAS;

    if (biased >= (int32_t)F80_EXPONENT)
        return overflow(negative, exponent + r.carry, &r, bits, control, status);
    if (biased >= 1 || !(control & UE)) {
        if (biased < 1) {
            /* 8.5.5; what is too small even so (FSCALE) is a zero, whatever the rounding. */
            status |= UE;
            biased += 24576;
            if (biased < 1)
                return zero_out(negative, status | PE);
        }
        if (r.inexact)
            status |= PE | (r.up ? C1 : 0);
        return (struct f80_out){make(negative, (uint32_t)biased, r.mantissa), (uint16_t)status};
    }
    /* Tiny, after rounding: a denormal is rounded at its own place instead. */
    biased = exponent + F80_BIAS;
    {
        uint32_t shift = 1 - biased > 127 ? 127 : (uint32_t)(1 - biased);
        u128 all = (u128)high << 64 | low, cut = all & (((u128)1 << shift) - 1);

        all >>= shift;
        high = (uint64_t)(all >> 64);
        low = (uint64_t)all | (cut ? 1 : 0);
    }
    r = round_mantissa(high, low, bits, rounding, negative);
    if (r.inexact)
        status |= UE | PE | (r.up ? C1 : 0);
    /* Rounding may have made the smallest normal number. */
    return (struct f80_out){make(negative, r.mantissa >> 63 ? 1 : 0, r.mantissa), (uint16_t)status};
}
