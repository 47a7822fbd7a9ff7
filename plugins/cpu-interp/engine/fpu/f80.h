/* SPDX-License-Identifier: MIT
 *
 * fpu/f80.h - what one x87 operation takes and gives, whoever computes it.
 *
 * Two implementations with the same functions: host.h, by the x87 of an x86-64 host, and soft/, in
 * integers, for all other hosts. Tests compare them. Handlers call f80_<name>().
 *
 * Each takes the guest's control word, masks included, and gives the status bits of this one
 * operation: flags and condition codes. The value is that of the masked response, or what an
 * unmasked overflow or underflow leaves in a register (exponent wrapped by 24576, SDM 1, 8.5.4 and
 * 8.5.5). If an invalid, denormal or division flag is set whose mask is clear, the value means
 * nothing; likewise, for a conversion to a narrower float, with an unmasked overflow or underflow.
 * The functions know nothing of the register stack.
 */
#ifndef INTERP_F80_H
#define INTERP_F80_H

#include "../cpu.h"

struct f80_out {
    struct f80 value;
    uint16_t status;
};

/* Of FSINCOS, FPTAN, FXTRACT: `lower` replaces ST(0), `upper` is pushed. */
struct f80_pair {
    struct f80 lower, upper;
    uint16_t status;
};

/* A conversion: the bits of the narrower type, zero-extended; BCD: ten bytes in all. */
struct f80_bits {
    uint64_t bits;
    uint16_t high; /* of BCD: the last two bytes */
    uint16_t status;
};

/* Constants of FLD1 and its kind, by the low three bits of ModRM (7 is none). */
enum { F80_ONE, F80_L2T, F80_L2E, F80_PI, F80_LG2, F80_LN2, F80_ZERO };

#define F80_SIGN 0x8000u
#define F80_EXPONENT 0x7fffu
#define F80_BIAS 16383

/* Real indefinite: the masked response to an invalid operation. */
static inline struct f80 f80_indefinite(void)
{
    return (struct f80){UINT64_C(0xc000000000000000), 0xffff};
}

/* An integer is exact. */
static inline struct f80 f80_from_int(int64_t value)
{
    struct f80 r = {value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 0};
    int shift;

    if (value == 0)
        return r;
    shift = __builtin_clzll(r.mantissa);
    r.mantissa <<= shift;
    r.sign_exponent = (uint16_t)((value < 0 ? F80_SIGN : 0) | (uint32_t)(F80_BIAS + 63 - shift));
    return r;
}

/* Formats with fewer bits fit, so only what the load itself finds is flagged: IE for a signalling
 * NaN, which is left signalling, and DE for a denormal. */
static inline struct f80_out f80_widen(uint64_t bits, uint32_t exponent_bits)
{
    uint32_t fraction_bits = exponent_bits == 8 ? 23 : 52, max = (1u << exponent_bits) - 1;
    uint64_t fraction = bits & ((UINT64_C(1) << fraction_bits) - 1);
    uint32_t exponent = (uint32_t)(bits >> fraction_bits) & max;
    uint32_t sign = (bits >> (fraction_bits + exponent_bits) & 1) ? F80_SIGN : 0;
    struct f80_out out = {{fraction << (63 - fraction_bits), (uint16_t)sign}, 0};

    if (exponent == max) {
        out.value.sign_exponent = (uint16_t)(sign | F80_EXPONENT);
        if (fraction && !(fraction >> (fraction_bits - 1)))
            out.status = 1;
        out.value.mantissa |= UINT64_C(1) << 63;
    } else if (exponent) {
        out.value.sign_exponent = (uint16_t)(sign | (exponent + F80_BIAS - max / 2));
        out.value.mantissa |= UINT64_C(1) << 63;
    } else if (fraction) {
        uint32_t shift = (uint32_t)__builtin_clzll(out.value.mantissa);

        out.value.mantissa <<= shift;
        out.value.sign_exponent = (uint16_t)(sign | (F80_BIAS - max / 2 + 1 - shift));
        out.status = 2;
    }
    return out;
}

static inline struct f80_out f80_from_f32(uint32_t bits)
{
    return f80_widen(bits, 8);
}

static inline struct f80_out f80_from_f64(uint64_t bits)
{
    return f80_widen(bits, 11);
}

/* INTERP_SOFT_X87 makes an x86-64 host do without its own unit: to try the soft one. */
#if defined(__x86_64__) && !defined(INTERP_SOFT_X87)
#include "host.h"
#define F80(name) host_##name
#else
#include "soft/soft.h"
#define F80(name) soft_##name
#endif

#endif
