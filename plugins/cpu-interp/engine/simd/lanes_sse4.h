/* SPDX-License-Identifier: MIT
 *
 * simd/lanes_sse4.h - the integer operations of SSSE3, SSE4.1 and SSE4.2 on 128 bits (SDM 2, by
 * mnemonic). The host's instruction if it has it, as in lanes.h.
 */
#ifndef INTERP_LANES_SSE4_H
#define INTERP_LANES_SSE4_H

#include "lanes.h"

/* ---- SSSE3 ---------------------------------------------------------------------------------- */

/* Elements 2i and 2i + 1 of the two sources one after the other. */
#define EVEN(type, n) (2 * i < (n) ? ((type)a)[2 * i % (n)] : ((type)b)[2 * i % (n)])
#define ODD(type, n) (2 * i < (n) ? ((type)a)[2 * i % (n) + 1] : ((type)b)[2 * i % (n) + 1])
#define SIGNED_BY(x, y) ((y) < 0 ? -(x) : (y) > 0 ? (x) : 0)

LANE_HOST_IF("ssse3", pshufb, "pshufb", MAP(u8x16, uint8_t, B[i] & 0x80 ? 0 : A[B[i] & 15]))
LANE_HOST_IF("ssse3", phaddw, "phaddw", MAP(u16x8, uint16_t, EVEN(u16x8, 8) + ODD(u16x8, 8)))
LANE_HOST_IF("ssse3", phaddd, "phaddd", MAP(u32x4, uint32_t, EVEN(u32x4, 4) + ODD(u32x4, 4)))
LANE_HOST_IF("ssse3", phaddsw, "phaddsw",
             MAP(i16x8, int16_t, clamp(EVEN(i16x8, 8) + ODD(i16x8, 8), INT16_MIN, INT16_MAX)))
LANE_HOST_IF("ssse3", phsubw, "phsubw", MAP(u16x8, uint16_t, EVEN(u16x8, 8) - ODD(u16x8, 8)))
LANE_HOST_IF("ssse3", phsubd, "phsubd", MAP(u32x4, uint32_t, EVEN(u32x4, 4) - ODD(u32x4, 4)))
LANE_HOST_IF("ssse3", phsubsw, "phsubsw",
             MAP(i16x8, int16_t, clamp(EVEN(i16x8, 8) - ODD(i16x8, 8), INT16_MIN, INT16_MAX)))
LANE_HOST_IF("ssse3", pmaddubsw, "pmaddubsw",
             MAP(i16x8, int16_t,
                 clamp(((u8x16)a)[2 * i] * ((i8x16)b)[2 * i] +
                           ((u8x16)a)[2 * i + 1] * ((i8x16)b)[2 * i + 1],
                       INT16_MIN, INT16_MAX)))
LANE_HOST_IF("ssse3", pmulhrsw, "pmulhrsw", MAP(i16x8, int16_t, ((A[i] * B[i] >> 14) + 1) >> 1))
LANE_HOST_IF("ssse3", psignb, "psignb", MAP(i8x16, int8_t, SIGNED_BY(A[i], B[i])))
LANE_HOST_IF("ssse3", psignw, "psignw", MAP(i16x8, int16_t, SIGNED_BY(A[i], B[i])))
LANE_HOST_IF("ssse3", psignd, "psignd", MAP(u32x4, uint32_t, SIGNED_BY(A[i], (int32_t)B[i])))
LANE(pabsb, MAP(u8x16, uint8_t, B[i] & 0x80 ? -B[i] : B[i]))
LANE(pabsw, MAP(u16x8, uint16_t, B[i] & 0x8000 ? -B[i] : B[i]))
LANE(pabsd, MAP(u32x4, uint32_t, B[i] >> 31 ? -B[i] : B[i]))
LANE(palignr, bytes_from(b, a, imm))

/* ---- SSE4.1: arithmetic --------------------------------------------------------------------- */

LANE(pmulld, (u32x4)a *(u32x4)b)
LANE(pmuldq, MAP(i64x2, int64_t, (int64_t)(int32_t)A[i] * (int32_t)B[i]))
LANE_HOST_IF("sse4.1", pminsb, "pminsb", MAP(i8x16, int8_t, MIN_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pminuw, "pminuw", MAP(u16x8, uint16_t, MIN_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pminsd, "pminsd", MAP(i32x4, int32_t, MIN_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pminud, "pminud", MAP(u32x4, uint32_t, MIN_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pmaxsb, "pmaxsb", MAP(i8x16, int8_t, MAX_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pmaxuw, "pmaxuw", MAP(u16x8, uint16_t, MAX_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pmaxsd, "pmaxsd", MAP(i32x4, int32_t, MAX_OF(A[i], B[i])))
LANE_HOST_IF("sse4.1", pmaxud, "pmaxud", MAP(u32x4, uint32_t, MAX_OF(A[i], B[i])))
LANE(pcmpeqq, a == b)
LANE(pcmpgtq, (i64x2)a > (i64x2)b)
LANE_HOST_IF("sse4.1", packusdw, "packusdw",
             MAP(u16x8, uint16_t, clamp(JOINED(i32x4, 4), 0, UINT16_MAX)))

/* The least word, and where it is first. */
static inline uint32_t least_word(x128 b)
{
    uint32_t at = 0;

    for (uint32_t i = 1; i < 8; i++)
        if (((u16x8)b)[i] < ((u16x8)b)[at])
            at = i;
    return ((u16x8)b)[at] | at << 16;
}

LANE(phminposuw, x128_of(least_word(b), 0))

/* Sums of four differences, from byte a[from + i], against bytes b[4 * block ...]. */
static inline x128 sums_of_differences(x128 a, x128 b, uint32_t from, uint32_t block)
{
    u16x8 sums = {0};

    for (uint32_t i = 0; i < 8; i++) {
        int sum = 0;

        for (uint32_t k = 0; k < 4; k++)
            sum += __builtin_abs(((u8x16)a)[from + i + k] - ((u8x16)b)[4 * block + k]);
        sums[i] = (uint16_t)sum;
    }
    return (x128)sums;
}

LANE(mpsadbw, sums_of_differences(a, b, imm & 4, imm & 3))

/* ---- SSE4.1: widening, of the low bytes of b ------------------------------------------------ */

LANE(pmovsxbw, MAP(i16x8, int16_t, ((i8x16)b)[i]))
LANE(pmovsxbd, MAP(i32x4, int32_t, ((i8x16)b)[i]))
LANE(pmovsxbq, MAP(i64x2, int64_t, ((i8x16)b)[i]))
LANE(pmovsxwd, MAP(i32x4, int32_t, ((i16x8)b)[i]))
LANE(pmovsxwq, MAP(i64x2, int64_t, ((i16x8)b)[i]))
LANE(pmovsxdq, MAP(i64x2, int64_t, ((i32x4)b)[i]))
LANE(pmovzxbw, MAP(u16x8, uint16_t, ((u8x16)b)[i]))
LANE(pmovzxbd, MAP(u32x4, uint32_t, ((u8x16)b)[i]))
LANE(pmovzxbq, MAP(u64x2, uint64_t, ((u8x16)b)[i]))
LANE(pmovzxwd, MAP(u32x4, uint32_t, ((u16x8)b)[i]))
LANE(pmovzxwq, MAP(u64x2, uint64_t, ((u16x8)b)[i]))
LANE(pmovzxdq, MAP(u64x2, uint64_t, ((u32x4)b)[i]))

/* ---- SSE4.1: blends ------------------------------------------------------------------------- */

LANE(pblendw, MAP(u16x8, uint16_t, imm >> i & 1 ? B[i] : A[i]))
LANE(blendps, MAP(u32x4, uint32_t, imm >> i & 1 ? B[i] : A[i]))
LANE(blendpd, MAP(u64x2, uint64_t, imm >> i & 1 ? B[i] : A[i]))

/* Where the mask's element is negative, b's. */
static inline x128 blend_bytes(x128 a, x128 b, x128 mask)
{
    x128 choice = (x128)((i8x16)mask < 0);

    return (a & ~choice) | (b & choice);
}

static inline x128 blend_dwords(x128 a, x128 b, x128 mask)
{
    x128 choice = (x128)((i32x4)mask < 0);

    return (a & ~choice) | (b & choice);
}

static inline x128 blend_qwords(x128 a, x128 b, x128 mask)
{
    x128 choice = (x128)((i64x2)mask < 0);

    return (a & ~choice) | (b & choice);
}

/* INSERTPS of a register: element imm[7:6] of b to element imm[5:4], then zeros by imm[3:0]. Of
 * memory, imm[7:6] does not count: the emitter clears it. */
static inline x128 insert_single(x128 a, x128 b, uint32_t imm)
{
    u32x4 r = (u32x4)a;

    r[imm >> 4 & 3] = ((u32x4)b)[imm >> 6 & 3];
    for (uint32_t i = 0; i < 4; i++)
        if (imm >> i & 1)
            r[i] = 0;
    return (x128)r;
}

LANE(insertps, insert_single(a, b, imm))

#endif
