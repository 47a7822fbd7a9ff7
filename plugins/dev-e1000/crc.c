/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/crc.c - the frame check sequence (IEEE 802.3, 3.2.9): CRC-32, eight bytes at a time, or
 * by carry-less multiplication where the processor has it.
 *
 * A guest sees the FCS of what it receives unless RCTL.SECRC strips it, and Linux's driver does not
 * set that. The tables are the instance's: 8 KiB, made once.
 *
 * Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
 * Instruction", Intel 2009): 16 bytes, as a polynomial, are worth the same 64 bytes further on when
 * their halves are multiplied by x^(512 + 32) and x^(512 - 32), modulo the polynomial. What is left
 * in the end are 16 bytes with the CRC of all that went into them.
 */
#include "e1000.h"

#include <backplane/util/le.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLYNOMIAL 0xedb88320u /* bits reversed, as they are on the wire */

/* x^n modulo the polynomial, reversed, and shifted as a product of reversed polynomials needs it.
 */
static uint64_t power(uint32_t n)
{
    uint32_t r = 0x80000000u; /* x^0 */

    while (n--)
        r = r >> 1 ^ (r & 1u ? POLYNOMIAL : 0u);
    return (uint64_t)r << 1;
}

void crc_init(struct e1000 *e)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (uint32_t bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1u ? POLYNOMIAL : 0u);
        e->crc[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (uint32_t t = 1; t < 8; t++)
            e->crc[t][i] = e->crc[t - 1][i] >> 8 ^ e->crc[0][e->crc[t - 1][i] & 0xffu];
    e->crc_fold[0] = power(512 + 32);
    e->crc_fold[1] = power(512 - 32);
    e->crc_fold[2] = power(128 + 32);
    e->crc_fold[3] = power(128 - 32);
#if defined(__x86_64__)
    /* AVX for its form of instructions alone, which spares copies. */
    e->crc_folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx");
#endif
}

static uint32_t by_table(const struct e1000 *e, uint32_t c, const uint8_t *data, uint32_t len)
{
    for (; len >= 8; len -= 8, data += 8) {
        uint32_t low = bp_le32(data) ^ c, high = bp_le32(data + 4);

        c = e->crc[7][low & 0xffu] ^ e->crc[6][low >> 8 & 0xffu] ^ e->crc[5][low >> 16 & 0xffu] ^
            e->crc[4][low >> 24] ^ e->crc[3][high & 0xffu] ^ e->crc[2][high >> 8 & 0xffu] ^
            e->crc[1][high >> 16 & 0xffu] ^ e->crc[0][high >> 24];
    }
    while (len--)
        c = c >> 8 ^ e->crc[0][(c ^ *data++) & 0xffu];
    return c;
}

#if defined(__x86_64__)
__attribute__((target("pclmul,avx"))) static inline __m128i fold(__m128i x, __m128i by,
                                                                 __m128i next)
{
    return _mm_xor_si128(
        _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
}

static inline __m128i load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* Of at least 64 bytes the largest number that is a multiple of 16 is taken. */
__attribute__((target("pclmul,avx"))) static uint32_t by_folding(const struct e1000 *e, uint32_t c,
                                                                 const uint8_t *data, uint32_t len)
{
    __m128i far = _mm_set_epi64x((int64_t)e->crc_fold[1], (int64_t)e->crc_fold[0]);
    __m128i near = _mm_set_epi64x((int64_t)e->crc_fold[3], (int64_t)e->crc_fold[2]);
    __m128i a = _mm_xor_si128(load(data), _mm_cvtsi32_si128((int32_t)c));
    __m128i b = load(data + 16), d = load(data + 32), f = load(data + 48);
    uint8_t rest[16];

    for (data += 64, len -= 64; len >= 64; data += 64, len -= 64) {
        a = fold(a, far, load(data));
        b = fold(b, far, load(data + 16));
        d = fold(d, far, load(data + 32));
        f = fold(f, far, load(data + 48));
    }
    a = fold(fold(fold(a, near, b), near, d), near, f);
    for (; len >= 16; data += 16, len -= 16)
        a = fold(a, near, load(data));
    _mm_storeu_si128((__m128i *)(void *)rest, a);
    return by_table(e, 0, rest, sizeof(rest));
}
#endif

uint32_t crc_frame(const struct e1000 *e, const uint8_t *data, uint32_t len)
{
    uint32_t c = 0xffffffffu;

#if defined(__x86_64__)
    if (e->crc_folds && len >= 64) {
        c = by_folding(e, c, data, len);
        data += len - len % 16;
        len %= 16;
    }
#endif
    return ~by_table(e, c, data, len);
}
