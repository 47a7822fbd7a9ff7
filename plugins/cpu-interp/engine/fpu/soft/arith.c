/* SPDX-License-Identifier: MIT
 *
 * fpu/soft/arith.c - sums, products, quotients, roots and comparisons. See soft.h.
 *
 * SDM 1, 8.3.5, 8.3.6; SDM 2, tables of FADD, FMUL, FDIV. A NaN keeps a denormal operand from being
 * flagged; so do the invalid operations.
 */
#include "parts.h"

static struct parts widened(struct f80_out in)
{
    struct parts p = take_apart(&in.value);

    p.denormal = (in.status & DE) != 0;
    return p;
}

static uint32_t denormals(const struct parts *a, const struct parts *b)
{
    return a->denormal | b->denormal ? DE : 0;
}

/* An unmasked denormal exception comes before anything is computed. */
static bool stops(uint32_t status, uint16_t control)
{
    return status & ~(uint32_t)control & DE;
}

static struct f80_out add_magnitudes(const struct parts *a, const struct parts *b, bool negative,
                                     uint16_t control, uint32_t status)
{
    const struct parts *big = a->exponent >= b->exponent ? a : b, *small = big == a ? b : a;
    uint32_t shift = (uint32_t)(big->exponent - small->exponent);
    u128 x = (u128)big->mantissa << 63, y = (u128)small->mantissa << 63, sum;
    int carry;

    if (shift > 126)
        y = 1;
    else if (shift)
        y = y >> shift | ((y & (((u128)1 << shift) - 1)) != 0);
    sum = x + y;
    carry = (int)(sum >> 127);
    sum <<= 1 - carry;
    return soft_round(negative, big->exponent + carry, (uint64_t)(sum >> 64), (uint64_t)sum,
                      soft_precision(control), control, status);
}

static struct f80_out subtract_magnitudes(const struct parts *a, const struct parts *b,
                                          bool negative, uint16_t control, uint32_t status)
{
    bool swap =
        a->exponent < b->exponent || (a->exponent == b->exponent && a->mantissa < b->mantissa);
    const struct parts *big = swap ? b : a, *small = swap ? a : b;
    uint32_t shift = (uint32_t)(big->exponent - small->exponent);
    u128 x = (u128)big->mantissa << 63, y = (u128)small->mantissa << 63, rest;
    int zeros;

    if (shift > 126)
        y = 1;
    else if (shift)
        y = y >> shift | ((y & (((u128)1 << shift) - 1)) != 0);
    rest = x - y;
    if (rest == 0)
        return zero_out(rounding_of(control) == RC_DOWN, status);
    zeros =
        rest >> 64 ? __builtin_clzll((uint64_t)(rest >> 64)) : 64 + __builtin_clzll((uint64_t)rest);
    rest <<= zeros;
    return soft_round(negative != swap, big->exponent + 1 - zeros, (uint64_t)(rest >> 64),
                      (uint64_t)rest, soft_precision(control), control, status);
}

/* a + b, with b's sign as given. */
static struct f80_out add(const struct parts *a, const struct parts *b, bool minus,
                          uint16_t control)
{
    bool negative = b->negative != minus;
    uint32_t status = denormals(a, b);

    if (is_nan(a) || is_nan(b))
        return soft_nan2(a, b);
    if (a->kind == KIND_INFINITY && b->kind == KIND_INFINITY)
        return a->negative == negative ? infinity_out(negative, 0) : invalid_out();
    if (a->kind == KIND_INFINITY)
        return infinity_out(a->negative, status);
    if (b->kind == KIND_INFINITY)
        return infinity_out(negative, status);
    if (stops(status, control))
        return zero_out(false, status);
    if (a->kind == KIND_ZERO && b->kind == KIND_ZERO)
        return zero_out(a->negative == negative ? negative : rounding_of(control) == RC_DOWN, 0);
    if (b->kind == KIND_ZERO)
        return soft_round(a->negative, a->exponent, a->mantissa, 0, soft_precision(control),
                          control, status);
    if (a->kind == KIND_ZERO)
        return soft_round(negative, b->exponent, b->mantissa, 0, soft_precision(control), control,
                          status);
    if (a->negative == negative)
        return add_magnitudes(a, b, negative, control, status);
    return subtract_magnitudes(a, b, a->negative, control, status);
}

static struct f80_out multiply(const struct parts *a, const struct parts *b, uint16_t control)
{
    bool negative = a->negative != b->negative;
    uint32_t status = denormals(a, b);
    u128 product;
    int carry;

    if (is_nan(a) || is_nan(b))
        return soft_nan2(a, b);
    if (a->kind == KIND_INFINITY || b->kind == KIND_INFINITY) {
        if (a->kind == KIND_ZERO || b->kind == KIND_ZERO)
            return invalid_out();
        return infinity_out(negative, status);
    }
    if (stops(status, control) || a->kind == KIND_ZERO || b->kind == KIND_ZERO)
        return zero_out(negative, status);
    product = (u128)a->mantissa * b->mantissa;
    carry = (int)(product >> 127);
    product <<= 1 - carry;
    return soft_round(negative, a->exponent + b->exponent + carry, (uint64_t)(product >> 64),
                      (uint64_t)product, soft_precision(control), control, status);
}

static struct f80_out divide(const struct parts *a, const struct parts *b, uint16_t control)
{
    bool negative = a->negative != b->negative;
    uint32_t status = denormals(a, b);
    int32_t exponent = a->exponent - b->exponent;
    uint64_t high, low, rest;
    u128 dividend;

    if (is_nan(a) || is_nan(b))
        return soft_nan2(a, b);
    if (a->kind == KIND_INFINITY)
        return b->kind == KIND_INFINITY ? invalid_out() : infinity_out(negative, status);
    if (b->kind == KIND_INFINITY)
        return zero_out(negative, status);
    if (b->kind == KIND_ZERO) {
        if (a->kind == KIND_ZERO)
            return invalid_out();
        return infinity_out(negative, ZE);
    }
    if (stops(status, control) || a->kind == KIND_ZERO)
        return zero_out(negative, status);
    dividend = (u128)a->mantissa << 63;
    if (a->mantissa < b->mantissa) {
        dividend <<= 1;
        exponent--;
    }
    high = (uint64_t)(dividend / b->mantissa);
    rest = (uint64_t)(dividend % b->mantissa);
    dividend = (u128)rest << 64;
    low = (uint64_t)(dividend / b->mantissa) | (dividend % b->mantissa != 0);
    return soft_round(negative, exponent, high, low, soft_precision(control), control, status);
}

static struct f80_out compute(uint32_t op, const struct parts *a, const struct parts *b,
                              uint16_t control)
{
    switch (op) {
    case 0:
        return add(a, b, false, control);
    case 1:
        return multiply(a, b, control);
    case 4:
        return add(a, b, true, control);
    case 5:
        return add(b, a, true, control);
    case 6:
        return divide(a, b, control);
    default:
        return divide(b, a, control);
    }
}

/* `op` as in the encoding. */
#define DEFINE(name, op)                                                                           \
    struct f80_out soft_##name(const struct f80 *a, const struct f80 *b, uint16_t control)         \
    {                                                                                              \
        struct parts x = take_apart(a), y = take_apart(b);                                         \
                                                                                                   \
        return compute(op, &x, &y, control);                                                       \
    }                                                                                              \
    struct f80_out soft_##name##_f32(const struct f80 *a, uint32_t b, uint16_t control)            \
    {                                                                                              \
        struct parts x = take_apart(a), y = widened(f80_from_f32(b));                              \
                                                                                                   \
        return compute(op, &x, &y, control);                                                       \
    }                                                                                              \
    struct f80_out soft_##name##_f64(const struct f80 *a, uint64_t b, uint16_t control)            \
    {                                                                                              \
        struct parts x = take_apart(a), y = widened(f80_from_f64(b));                              \
                                                                                                   \
        return compute(op, &x, &y, control);                                                       \
    }

DEFINE(add, 0)
DEFINE(mul, 1)
DEFINE(sub, 4)
DEFINE(subr, 5)
DEFINE(div, 6)
DEFINE(divr, 7)

/* ---- comparisons ---------------------------------------------------------------------------- */

/* -1, 0, 1 for numbers, zeros and infinities. */
static int order(const struct parts *a, const struct parts *b)
{
    int sign = a->negative ? -1 : 1;

    if (a->kind == KIND_ZERO && b->kind == KIND_ZERO)
        return 0;
    if (a->kind == KIND_ZERO)
        return b->negative ? 1 : -1;
    if (b->kind == KIND_ZERO || a->negative != b->negative)
        return sign;
    if (a->kind == KIND_INFINITY || b->kind == KIND_INFINITY)
        return a->kind == b->kind ? 0 : a->kind == KIND_INFINITY ? sign : -sign;
    if (a->exponent != b->exponent)
        return a->exponent > b->exponent ? sign : -sign;
    if (a->mantissa != b->mantissa)
        return a->mantissa > b->mantissa ? sign : -sign;
    return 0;
}

static struct f80_out compare(const struct parts *a, const struct parts *b, bool quiet)
{
    struct f80_out out = {{0, 0}, 0};
    int o;

    if (is_nan(a) || is_nan(b)) {
        out.status = C3 | C2 | C0;
        if (!quiet || a->signals || b->signals || a->kind == KIND_UNSUPPORTED ||
            b->kind == KIND_UNSUPPORTED)
            out.status |= IE;
        return out;
    }
    o = order(a, b);
    out.status = (uint16_t)(denormals(a, b) | (o < 0 ? C0 : o == 0 ? C3 : 0));
    return out;
}

struct f80_out soft_com(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    struct parts x = take_apart(a), y = take_apart(b);

    (void)control;
    return compare(&x, &y, false);
}

struct f80_out soft_ucom(const struct f80 *a, const struct f80 *b, uint16_t control)
{
    struct parts x = take_apart(a), y = take_apart(b);

    (void)control;
    return compare(&x, &y, true);
}

struct f80_out soft_com_f32(const struct f80 *a, uint32_t b, uint16_t control)
{
    struct parts x = take_apart(a), y = widened(f80_from_f32(b));

    (void)control;
    return compare(&x, &y, false);
}

struct f80_out soft_com_f64(const struct f80 *a, uint64_t b, uint16_t control)
{
    struct parts x = take_apart(a), y = widened(f80_from_f64(b));

    (void)control;
    return compare(&x, &y, false);
}

/* ---- square root ---------------------------------------------------------------------------- */

/* The root's 64 bits one by one; with more than the root left over, the next bit would be 1. */
struct f80_out soft_sqrt(const struct f80 *a, uint16_t control)
{
    struct parts p = take_apart(a);
    uint32_t status = p.denormal ? DE : 0;
    u128 number, root = 0, bit = (u128)1 << 126;
    uint64_t low;

    if (is_nan(&p))
        return soft_nan1(&p);
    if (p.kind == KIND_ZERO)
        return zero_out(p.negative, 0);
    if (p.negative)
        return invalid_out();
    if (p.kind == KIND_INFINITY)
        return infinity_out(false, 0);
    if (stops(status, control))
        return zero_out(false, status);
    number = (u128)p.mantissa << (63 + (p.exponent & 1));
    for (; bit; bit >>= 2) {
        if (number >= root + bit) {
            number -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    low = number > root ? INTEGER_BIT | 1 : number ? 1 : 0;
    return soft_round(false, p.exponent >> 1, (uint64_t)root, low, soft_precision(control), control,
                      status);
}
