/* SPDX-License-Identifier: MIT
 *
 * simd/lanes_crypto.h - AES, carry-less multiplication and SHA on 128 bits (SDM 1, 12.13; SDM 2 by
 * mnemonic; FIPS 197 and FIPS 180-4). The host's instruction if it has it; the portable forms
 * compute what AES tables would hold, and are not of constant time.
 */
#ifndef INTERP_LANES_CRYPTO_H
#define INTERP_LANES_CRYPTO_H

#include "lanes.h"

/* Portable: crypto_soft.c. */
x128 soft_aesenc(x128 state, x128 key, bool last);
x128 soft_aesdec(x128 state, x128 key, bool last);
x128 soft_aesimc(x128 state);
x128 soft_aeskeygenassist(x128 key, uint32_t constant);
x128 soft_pclmul(uint64_t a, uint64_t b);
x128 soft_sha1rnds4(x128 a, x128 b, uint32_t function);
x128 soft_sha256rnds2(x128 a, x128 b, x128 words);
x128 soft_sha256msg1(x128 a, x128 b);
x128 soft_sha256msg2(x128 a, x128 b);

/* ---- AES ------------------------------------------------------------------------------------ */

LANE_HOST_IF("aes", aesenc, "aesenc", soft_aesenc(a, b, false))
LANE_HOST_IF("aes", aesenclast, "aesenclast", soft_aesenc(a, b, true))
LANE_HOST_IF("aes", aesdec, "aesdec", soft_aesdec(a, b, false))
LANE_HOST_IF("aes", aesdeclast, "aesdeclast", soft_aesdec(a, b, true))
LANE_HOST_IF("aes", aesimc, "aesimc", soft_aesimc(b))
LANE(aeskeygenassist, soft_aeskeygenassist(b, imm))

/* ---- PCLMULQDQ: imm[0] and imm[4] choose the halves ----------------------------------------- */

static inline x128 carryless(uint64_t a, uint64_t b)
{
#if SIMD_HOST
    if (likely(__builtin_cpu_supports("pclmul"))) {
        x128 x = x128_of(a, 0);

        __asm__("pclmulqdq $0, %1, %0" : "+x"(x) : "x"(x128_of(b, 0)));
        return x;
    }
#endif
    return soft_pclmul(a, b);
}

LANE(pclmulqdq, carryless(a[imm & 1], b[imm >> 4 & 1]))

/* ---- SHA: what is short --------------------------------------------------------------------- */

#define ROTATE_LEFT(x, n) ((x) << (n) | (x) >> (32 - (n)))

LANE(sha1nexte, ((u32x4){((u32x4)b)[0], ((u32x4)b)[1], ((u32x4)b)[2],
                         ((u32x4)b)[3] + ROTATE_LEFT(((u32x4)a)[3], 30)}))
LANE(sha1msg1, x128_of(a[0] ^ b[1], a[1] ^ a[0]))

static inline x128 sha1_message(x128 a, x128 b)
{
    u32x4 x = (u32x4)a, y = (u32x4)b, r;

    r[3] = ROTATE_LEFT(x[3] ^ y[2], 1);
    r[2] = ROTATE_LEFT(x[2] ^ y[1], 1);
    r[1] = ROTATE_LEFT(x[1] ^ y[0], 1);
    r[0] = ROTATE_LEFT(x[0] ^ r[3], 1);
    return (x128)r;
}

LANE(sha1msg2, sha1_message(a, b))
LANE(sha1rnds4, soft_sha1rnds4(a, b, imm & 3))
LANE(sha256msg1, soft_sha256msg1(a, b))
LANE(sha256msg2, soft_sha256msg2(a, b))

#endif
