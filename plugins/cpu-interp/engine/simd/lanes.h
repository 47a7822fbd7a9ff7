/* SPDX-License-Identifier: MIT
 *
 * simd/lanes.h - the integer operations of SSE2 on 128 bits (SDM 2, by mnemonic).
 *
 * Where the host has the instruction it is the definition; the portable form beside it is for
 * others, and for the test that compares the two.
 */
#ifndef INTERP_LANES_H
#define INTERP_LANES_H

#include "vector.h"

/* `a`, `b` and `imm` may be used in `result`, any vector type. */
#define LANE(name, result)                                                                         \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        (void)a, (void)b, (void)imm;                                                               \
        return (x128)(result);                                                                     \
    }

/* The host's instruction `text` of two operands, or `result`. */
#if SIMD_HOST
#define LANE_HOST(name, text, result)                                                              \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        (void)imm;                                                                                 \
        __asm__(text " %1, %0" : "+x"(a) : "x"(b));                                                \
        return a;                                                                                  \
    }
#define LANE_HOST_IF(feature, name, text, result)                                                  \
    static inline x128 lane_##name(x128 a, x128 b, uint32_t imm)                                   \
    {                                                                                              \
        (void)imm;                                                                                 \
        if (unlikely(!__builtin_cpu_supports(feature)))                                            \
            return (x128)(result);                                                                 \
        __asm__(text " %1, %0" : "+x"(a) : "x"(b));                                                \
        return a;                                                                                  \
    }
#else
#define LANE_HOST(name, text, result) LANE(name, result)
#define LANE_HOST_IF(feature, name, text, result) LANE(name, result)
#endif

/* A vector of `expression` for each i, where A and B are a and b as such vectors. */
#define MAP(vector, element, expression)                                                           \
    __extension__({                                                                                \
        vector map_ = {0};                                                                         \
        const vector A = (vector)a, B = (vector)b;                                                 \
        (void)A, (void)B;                                                                          \
        for (uint32_t i = 0; i < sizeof(vector) / sizeof(element); i++)                            \
            map_[i] = (element)(expression);                                                       \
        map_;                                                                                      \
    })

static inline int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

#define MIN_OF(x, y) ((x) < (y) ? (x) : (y))
#define MAX_OF(x, y) ((x) > (y) ? (x) : (y))

/* a with another first element. */
static inline x128 first32(x128 a, uint32_t value)
{
    u32x4 r = (u32x4)a;

    r[0] = value;
    return (x128)r;
}

/* ---- addition, subtraction, averages -------------------------------------------------------- */

LANE(paddb, (u8x16)a + (u8x16)b)
LANE(paddw, (u16x8)a + (u16x8)b)
LANE(paddd, (u32x4)a + (u32x4)b)
LANE(paddq, a + b)
LANE(psubb, (u8x16)a - (u8x16)b)
LANE(psubw, (u16x8)a - (u16x8)b)
LANE(psubd, (u32x4)a - (u32x4)b)
LANE(psubq, a - b)
LANE_HOST(paddsb, "paddsb", MAP(i8x16, int8_t, clamp(A[i] + B[i], INT8_MIN, INT8_MAX)))
LANE_HOST(paddsw, "paddsw", MAP(i16x8, int16_t, clamp(A[i] + B[i], INT16_MIN, INT16_MAX)))
LANE_HOST(paddusb, "paddusb", MAP(u8x16, uint8_t, clamp(A[i] + B[i], 0, UINT8_MAX)))
LANE_HOST(paddusw, "paddusw", MAP(u16x8, uint16_t, clamp(A[i] + B[i], 0, UINT16_MAX)))
LANE_HOST(psubsb, "psubsb", MAP(i8x16, int8_t, clamp(A[i] - B[i], INT8_MIN, INT8_MAX)))
LANE_HOST(psubsw, "psubsw", MAP(i16x8, int16_t, clamp(A[i] - B[i], INT16_MIN, INT16_MAX)))
LANE_HOST(psubusb, "psubusb", MAP(u8x16, uint8_t, clamp(A[i] - B[i], 0, UINT8_MAX)))
LANE_HOST(psubusw, "psubusw", MAP(u16x8, uint16_t, clamp(A[i] - B[i], 0, UINT16_MAX)))
LANE_HOST(pavgb, "pavgb", MAP(u8x16, uint8_t, (A[i] + B[i] + 1) >> 1))
LANE_HOST(pavgw, "pavgw", MAP(u16x8, uint16_t, (A[i] + B[i] + 1) >> 1))
LANE_HOST(pmaxsw, "pmaxsw", MAP(i16x8, int16_t, MAX_OF(A[i], B[i])))
LANE_HOST(pmaxub, "pmaxub", MAP(u8x16, uint8_t, MAX_OF(A[i], B[i])))
LANE_HOST(pminsw, "pminsw", MAP(i16x8, int16_t, MIN_OF(A[i], B[i])))
LANE_HOST(pminub, "pminub", MAP(u8x16, uint8_t, MIN_OF(A[i], B[i])))

/* ---- multiplication ------------------------------------------------------------------------- */

static inline uint64_t sum_of_differences(x128 a, x128 b, uint32_t half)
{
    uint64_t sum = 0;

    for (uint32_t i = half * 8; i < half * 8 + 8; i++)
        sum += (uint64_t)__builtin_abs(((u8x16)a)[i] - ((u8x16)b)[i]);
    return sum;
}

LANE(pmullw, (u16x8)a *(u16x8)b)
LANE_HOST(pmulhw, "pmulhw", MAP(i16x8, int16_t, A[i] * B[i] >> 16))
LANE_HOST(pmulhuw, "pmulhuw", MAP(u16x8, uint16_t, (uint32_t)A[i] * B[i] >> 16))
LANE_HOST(pmuludq, "pmuludq", MAP(u64x2, uint64_t, (A[i] & UINT32_MAX) * (B[i] & UINT32_MAX)))
LANE_HOST(pmaddwd, "pmaddwd",
          MAP(u32x4, uint32_t,
              (uint32_t)(((i16x8)a)[2 * i] * ((i16x8)b)[2 * i]) +
                  (uint32_t)(((i16x8)a)[2 * i + 1] * ((i16x8)b)[2 * i + 1])))
LANE_HOST(psadbw, "psadbw", x128_of(sum_of_differences(a, b, 0), sum_of_differences(a, b, 1)))

/* ---- logic and comparison ------------------------------------------------------------------- */

LANE(pand, a &b)
LANE(pandn, ~a &b)
LANE(por, a | b)
LANE(pxor, a ^ b)
LANE(pcmpeqb, (u8x16)a == (u8x16)b)
LANE(pcmpeqw, (u16x8)a == (u16x8)b)
LANE(pcmpeqd, (u32x4)a == (u32x4)b)
LANE(pcmpgtb, (i8x16)a > (i8x16)b)
LANE(pcmpgtw, (i16x8)a > (i16x8)b)
LANE(pcmpgtd, (i32x4)a > (i32x4)b)

/* ---- packing and interleaving --------------------------------------------------------------- */

/* Element i of the two sources one after the other. */
#define JOINED(type, n) (i < (n) ? ((type)a)[i % (n)] : ((type)b)[i % (n)])

LANE_HOST(packsswb, "packsswb", MAP(i8x16, int8_t, clamp(JOINED(i16x8, 8), INT8_MIN, INT8_MAX)))
LANE_HOST(packssdw, "packssdw", MAP(i16x8, int16_t, clamp(JOINED(i32x4, 4), INT16_MIN, INT16_MAX)))
LANE_HOST(packuswb, "packuswb", MAP(u8x16, uint8_t, clamp(JOINED(i16x8, 8), 0, UINT8_MAX)))

#define SHUFFLE __builtin_shufflevector

LANE(punpcklbw, SHUFFLE((u8x16)a, (u8x16)b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23))
LANE(punpckhbw,
     SHUFFLE((u8x16)a, (u8x16)b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
LANE(punpcklwd, SHUFFLE((u16x8)a, (u16x8)b, 0, 8, 1, 9, 2, 10, 3, 11))
LANE(punpckhwd, SHUFFLE((u16x8)a, (u16x8)b, 4, 12, 5, 13, 6, 14, 7, 15))
LANE(punpckldq, SHUFFLE((u32x4)a, (u32x4)b, 0, 4, 1, 5))
LANE(punpckhdq, SHUFFLE((u32x4)a, (u32x4)b, 2, 6, 3, 7))
LANE(punpcklqdq, x128_of(a[0], b[0]))
LANE(punpckhqdq, x128_of(a[1], b[1]))

/* ---- shifts: by the low 64 bits of b, and by the immediate ---------------------------------- */

/* Counts of the width or more give 0, or all sign bits (as a shift by one less). */
#define COUNT_BELOW(n) (b[0] < (n))
#define COUNT_UP_TO(n) (b[0] < (n) ? (int)b[0] : (n))

LANE_HOST(psllw, "psllw", COUNT_BELOW(16) ? (x128)((u16x8)a << (uint16_t)b[0]) : (x128){0})
LANE_HOST(pslld, "pslld", COUNT_BELOW(32) ? (x128)((u32x4)a << (uint32_t)b[0]) : (x128){0})
LANE_HOST(psllq, "psllq", COUNT_BELOW(64) ? a << b[0] : (x128){0})
LANE_HOST(psrlw, "psrlw", COUNT_BELOW(16) ? (x128)((u16x8)a >> (uint16_t)b[0]) : (x128){0})
LANE_HOST(psrld, "psrld", COUNT_BELOW(32) ? (x128)((u32x4)a >> (uint32_t)b[0]) : (x128){0})
LANE_HOST(psrlq, "psrlq", COUNT_BELOW(64) ? a >> b[0] : (x128){0})
LANE_HOST(psraw, "psraw", (i16x8)a >> (int16_t)COUNT_UP_TO(15))
LANE_HOST(psrad, "psrad", (i32x4)a >> COUNT_UP_TO(31))

/* The source is b: in the immediate forms of VEX it is the last register. */
LANE(psllw_i, lane_psllw(b, x128_of(imm, 0), 0))
LANE(pslld_i, lane_pslld(b, x128_of(imm, 0), 0))
LANE(psllq_i, lane_psllq(b, x128_of(imm, 0), 0))
LANE(psrlw_i, lane_psrlw(b, x128_of(imm, 0), 0))
LANE(psrld_i, lane_psrld(b, x128_of(imm, 0), 0))
LANE(psrlq_i, lane_psrlq(b, x128_of(imm, 0), 0))
LANE(psraw_i, lane_psraw(b, x128_of(imm, 0), 0))
LANE(psrad_i, lane_psrad(b, x128_of(imm, 0), 0))

/* Of 256 bits, the 128 from byte `at`, 0..31; zeros beyond. PALIGNR, PSLLDQ, PSRLDQ. */
static inline x128 bytes_from(x128 low, x128 high, uint32_t at)
{
    uint32_t bits = at * 8;

    if (at >= 32)
        return (x128){0};
    if (bits >= 128) {
        low = high;
        high = (x128){0};
        bits -= 128;
    }
    if (bits >= 64) {
        low = x128_of(low[1], high[0]);
        high = x128_of(high[1], 0);
        bits -= 64;
    }
    if (bits == 0)
        return low;
    return x128_of(low[0] >> bits | low[1] << (64 - bits), low[1] >> bits | high[0] << (64 - bits));
}

LANE(pslldq_i, bytes_from((x128){0}, b, imm > 15 ? 0 : 16 - imm))
LANE(psrldq_i, bytes_from(b, (x128){0}, imm))

/* ---- shuffles by an immediate --------------------------------------------------------------- */

#define FIELD(n) (imm >> 2 * (n)&3)

LANE(pshufd, ((u32x4){((u32x4)b)[FIELD(0)], ((u32x4)b)[FIELD(1)], ((u32x4)b)[FIELD(2)],
                      ((u32x4)b)[FIELD(3)]}))

/* Four words by the immediate. */
static inline uint64_t shuffle_words(uint64_t w, uint32_t imm)
{
    return (w >> 16 * FIELD(0) & 0xffff) | (w >> 16 * FIELD(1) & 0xffff) << 16 |
           (w >> 16 * FIELD(2) & 0xffff) << 32 | (w >> 16 * FIELD(3) & 0xffff) << 48;
}

LANE(pshuflw, x128_of(shuffle_words(b[0], imm), b[1]))
LANE(pshufhw, x128_of(b[0], shuffle_words(b[1], imm)))
LANE(shufps, ((u32x4){((u32x4)a)[FIELD(0)], ((u32x4)a)[FIELD(1)], ((u32x4)b)[FIELD(2)],
                      ((u32x4)b)[FIELD(3)]}))
LANE(shufpd, x128_of(a[imm & 1], b[imm >> 1 & 1]))

/* ---- sign bits ------------------------------------------------------------------------------- */

static inline uint32_t byte_mask(x128 a)
{
    uint32_t mask = 0;

#if SIMD_HOST
    __asm__("pmovmskb %1, %0" : "=r"(mask) : "x"(a));
#else
    for (uint32_t i = 0; i < 16; i++)
        mask |= (uint32_t)((u8x16)a)[i] >> 7 << i;
#endif
    return mask;
}

/* ---- moves that rearrange (SSE3) ------------------------------------------------------------ */

LANE(movddup, x128_of(b[0], b[0]))
LANE(movsldup, SHUFFLE((u32x4)b, (u32x4)b, 0, 0, 2, 2))
LANE(movshdup, SHUFFLE((u32x4)b, (u32x4)b, 1, 1, 3, 3))

#endif
