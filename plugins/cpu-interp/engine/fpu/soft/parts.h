/* SPDX-License-Identifier: MIT
 *
 * fpu/soft/parts.h - an 80-bit operand taken apart, and rounding it together again.
 *
 * SDM 1, 4.2.2 (formats), 4.8.3.5 and table 4-7 (NaNs), 4.8.4 (rounding), 8.5 (exceptions).
 */
#ifndef INTERP_PARTS_H
#define INTERP_PARTS_H

#include "soft.h"

__extension__ typedef unsigned __int128 u128;

/* As in the status word; masks have the same places in the control word. */
#define IE 0x1u
#define DE 0x2u
#define ZE 0x4u
#define OE 0x8u
#define UE 0x10u
#define PE 0x20u
#define C0 0x100u
#define C1 0x200u
#define C2 0x400u
#define C3 0x4000u

#define RC_NEAR 0u
#define RC_DOWN 1u
#define RC_UP 2u
#define RC_ZERO 3u

#define INTEGER_BIT (UINT64_C(1) << 63)
#define QUIET_BIT (UINT64_C(1) << 62)

enum kind { KIND_ZERO, KIND_NUMBER, KIND_INFINITY, KIND_NAN, KIND_UNSUPPORTED };

/* A number is mantissa / 2^63 * 2^exponent, the mantissa with its highest bit set. */
struct parts {
    uint64_t mantissa;
    int32_t exponent;
    uint8_t kind, negative;
    uint8_t denormal; /* or was one in the format that it was loaded from */
    uint8_t signals;  /* KIND_NAN */
};

static inline uint32_t rounding_of(uint16_t control)
{
    return control >> 10 & 3;
}

/* A pseudo-denormal counts as a denormal; pseudo-NaNs, pseudo-infinities and unnormals are
 * unsupported (SDM 1, 8.2.2). */
static inline struct parts take_apart(const struct f80 *a)
{
    uint32_t exponent = a->sign_exponent & F80_EXPONENT;
    struct parts p = {.mantissa = a->mantissa,
                      .exponent = (int32_t)exponent - F80_BIAS,
                      .kind = KIND_NUMBER,
                      .negative = (a->sign_exponent & F80_SIGN) != 0};

    if (exponent == 0) {
        if (a->mantissa == 0) {
            p.kind = KIND_ZERO;
        } else {
            int shift = __builtin_clzll(a->mantissa);

            p.denormal = 1;
            p.mantissa <<= shift;
            p.exponent = 1 - F80_BIAS - shift;
        }
    } else if (!(a->mantissa & INTEGER_BIT)) {
        p.kind = KIND_UNSUPPORTED;
    } else if (exponent == F80_EXPONENT) {
        p.kind = a->mantissa << 1 ? KIND_NAN : KIND_INFINITY;
        p.signals = p.kind == KIND_NAN && !(a->mantissa & QUIET_BIT);
    }
    return p;
}

static inline struct f80 make(bool negative, uint32_t biased, uint64_t mantissa)
{
    return (struct f80){mantissa, (uint16_t)((negative ? F80_SIGN : 0) | biased)};
}

static inline struct f80_out zero_out(bool negative, uint32_t status)
{
    return (struct f80_out){make(negative, 0, 0), (uint16_t)status};
}

static inline struct f80_out infinity_out(bool negative, uint32_t status)
{
    return (struct f80_out){make(negative, F80_EXPONENT, INTEGER_BIT), (uint16_t)status};
}

static inline struct f80_out invalid_out(void)
{
    return (struct f80_out){f80_indefinite(), IE};
}

static inline struct f80_out nan_out(const struct parts *p)
{
    return (struct f80_out){make(p->negative, F80_EXPONENT, p->mantissa | QUIET_BIT),
                            p->signals ? IE : 0};
}

static inline bool is_nan(const struct parts *p)
{
    return p->kind >= KIND_NAN;
}

/* An f80_out: the operand itself. */
static inline struct f80_out same_out(const struct parts *p, const struct f80 *a)
{
    return (struct f80_out){*a, p->denormal ? DE : 0};
}

/* The result of an operation on two operands of which one is a NaN or unsupported. */
struct f80_out soft_nan2(const struct parts *a, const struct parts *b);
/* Likewise with one. */
struct f80_out soft_nan1(const struct parts *a);

/* Whether a magnitude with the remainder `rest` (top bit: one half; other bits: something more) is
 * to be incremented. */
bool soft_increments(uint32_t rounding, bool negative, bool odd, uint64_t rest);

/* Rounds `high`.`low` / 2^63 * 2^exponent, the highest bit of `high` set, to 24, 53 or 64 bits, and
 * does what is to be done about overflow and underflow. `status` is or'ed in. */
struct f80_out soft_round(bool negative, int32_t exponent, uint64_t high, uint64_t low,
                          uint32_t bits, uint16_t control, uint32_t status);
/* The bits that the precision control asks for. */
uint32_t soft_precision(uint16_t control);

#endif
