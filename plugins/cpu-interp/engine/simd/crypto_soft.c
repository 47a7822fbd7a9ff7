/* SPDX-License-Identifier: MIT
 *
 * simd/crypto_soft.c - see lanes_crypto.h: AES, carry-less multiplication and SHA in C.
 */
#include "lanes_crypto.h"

/* ---- AES: FIPS 197 -------------------------------------------------------------------------- */

/* In GF(2^8) with x^8 + x^4 + x^3 + x + 1 (4.2). */
static uint8_t times_x(uint8_t a)
{
    return (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
}

static uint8_t times(uint8_t a, uint8_t b)
{
    uint8_t product = 0;

    for (; b; b >>= 1, a = times_x(a))
        if (b & 1)
            product ^= a;
    return product;
}

static uint8_t rotate8(uint8_t a, uint32_t n)
{
    return (uint8_t)(a << n | a >> (8 - n));
}

/* a^254 is the inverse, and 0 of 0. */
static uint8_t inverse(uint8_t a)
{
    uint8_t power = a, result = 1;

    for (uint32_t bit = 1; bit < 8; bit++) {
        power = times(power, power);
        result = times(result, power);
    }
    return result;
}

/* SubBytes (5.1.1) and back (5.3.2). */
static uint8_t substitute(uint8_t a)
{
    uint8_t i = inverse(a);

    return (uint8_t)(i ^ rotate8(i, 1) ^ rotate8(i, 2) ^ rotate8(i, 3) ^ rotate8(i, 4) ^ 0x63);
}

static uint8_t substitute_back(uint8_t a)
{
    return inverse((uint8_t)(rotate8(a, 1) ^ rotate8(a, 3) ^ rotate8(a, 6) ^ 0x05));
}

/* MixColumns with these factors of the column's bytes from a byte's own row on (5.1.3, 5.3.3). */
static u8x16 mix(u8x16 s, const uint8_t factor[4])
{
    u8x16 r = {0};

    for (uint32_t i = 0; i < 16; i++)
        for (uint32_t k = 0; k < 4; k++)
            r[i] ^= times(s[(i & ~3u) | ((i + k) & 3)], factor[k]);
    return r;
}

static const uint8_t forwards[4] = {2, 3, 1, 1}, backwards[4] = {14, 11, 13, 9};

x128 soft_aesenc(x128 state, x128 key, bool last)
{
    u8x16 s = (u8x16)state, r = {0};

    /* Row n, bytes n, n + 4, ..., is rotated by n columns (5.1.2). */
    for (uint32_t i = 0; i < 16; i++)
        r[i] = substitute(s[(i + 4 * (i & 3)) & 15]);
    if (!last)
        r = mix(r, forwards);
    return (x128)r ^ key;
}

x128 soft_aesdec(x128 state, x128 key, bool last)
{
    u8x16 s = (u8x16)state, r = {0};

    for (uint32_t i = 0; i < 16; i++)
        r[i] = substitute_back(s[(i - 4 * (i & 3)) & 15]);
    if (!last)
        r = mix(r, backwards);
    return (x128)r ^ key;
}

x128 soft_aesimc(x128 state)
{
    return (x128)mix((u8x16)state, backwards);
}

/* With four equal columns ShiftRows does nothing, and the last round is SubBytes. */
static uint32_t substitute_word(uint32_t word)
{
    u32x4 columns = {word, word, word, word};

    return (uint32_t)lane_aesenclast((x128)columns, (x128){0}, 0)[0];
}

x128 soft_aeskeygenassist(x128 key, uint32_t constant)
{
    uint32_t x1 = substitute_word(((u32x4)key)[1]), x3 = substitute_word(((u32x4)key)[3]);
    u32x4 r = {x1, (x1 >> 8 | x1 << 24) ^ constant, x3, (x3 >> 8 | x3 << 24) ^ constant};

    return (x128)r;
}

/* ---- PCLMULQDQ ------------------------------------------------------------------------------ */

x128 soft_pclmul(uint64_t a, uint64_t b)
{
    uint64_t low = 0, high = 0;

    for (uint32_t i = 0; i < 64; i++) {
        if (!(b >> i & 1))
            continue;
        low ^= a << i;
        high ^= i ? a >> (64 - i) : 0;
    }
    return x128_of(low, high);
}

/* ---- SHA: FIPS 180-4 ------------------------------------------------------------------------ */

static uint32_t rotate(uint32_t x, uint32_t n)
{
    return x >> n | x << (32 - n);
}

/* 4.1.1: the functions and constants of rounds 0-19, 20-39, 40-59, 60-79. */
static uint32_t sha1_function(uint32_t x, uint32_t y, uint32_t z, uint32_t which)
{
    switch (which) {
    case 0:
        return (x & y) ^ (~x & z);
    case 2:
        return (x & y) ^ (x & z) ^ (y & z);
    default:
        return x ^ y ^ z;
    }
}

x128 soft_sha1rnds4(x128 a, x128 b, uint32_t function)
{
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    u32x4 state = (u32x4)a, words = (u32x4)b;
    uint32_t A = state[3], B = state[2], C = state[1], D = state[0], E = 0;

    /* The first word has E added by SHA1NEXTE. */
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t t = sha1_function(B, C, D, function) + rotate(A, 27) + words[3 - i] + E +
                     constants[function];

        E = D;
        D = C;
        C = rotate(B, 2);
        B = A;
        A = t;
    }
    return (x128)(u32x4){D, C, B, A};
}

/* 4.1.2. */
x128 soft_sha256rnds2(x128 a, x128 b, x128 words)
{
    u32x4 cdgh = (u32x4)a, abef = (u32x4)b;
    uint32_t A = abef[3], B = abef[2], C = cdgh[3], D = cdgh[2];
    uint32_t E = abef[1], F = abef[0], G = cdgh[1], H = cdgh[0];

    for (uint32_t i = 0; i < 2; i++) {
        uint32_t t1 = H + (rotate(E, 6) ^ rotate(E, 11) ^ rotate(E, 25)) + ((E & F) ^ (~E & G)) +
                      ((u32x4)words)[i];
        uint32_t t2 =
            (rotate(A, 2) ^ rotate(A, 13) ^ rotate(A, 22)) + ((A & B) ^ (A & C) ^ (B & C));

        H = G;
        G = F;
        F = E;
        E = D + t1;
        D = C;
        C = B;
        B = A;
        A = t1 + t2;
    }
    return (x128)(u32x4){F, E, B, A};
}

static uint32_t sigma0(uint32_t x)
{
    return rotate(x, 7) ^ rotate(x, 18) ^ x >> 3;
}

static uint32_t sigma1(uint32_t x)
{
    return rotate(x, 17) ^ rotate(x, 19) ^ x >> 10;
}

x128 soft_sha256msg1(x128 a, x128 b)
{
    u32x4 w = (u32x4)a;

    return (x128)(u32x4){w[0] + sigma0(w[1]), w[1] + sigma0(w[2]), w[2] + sigma0(w[3]),
                         w[3] + sigma0(((u32x4)b)[0])};
}

x128 soft_sha256msg2(x128 a, x128 b)
{
    u32x4 x = (u32x4)a, w = (u32x4)b;
    uint32_t w16 = x[0] + sigma1(w[2]), w17 = x[1] + sigma1(w[3]);

    return (x128)(u32x4){w16, w17, x[2] + sigma1(w16), x[3] + sigma1(w17)};
}
