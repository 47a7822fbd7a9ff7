/* SPDX-License-Identifier: MIT
 *
 * random.c - numbers that find bugs: boundaries more often than anything else.
 */
#include "oracle.h"

#include <stdlib.h>
#include <string.h>

/* splitmix64. */
uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)((random_next(r) >> 32) * n >> 32);
}

bool random_once(struct random *r, uint32_t n)
{
    return random_below(r, n) == 0;
}

uint64_t random_integer(struct random *r)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       UINT64_MAX,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x100,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       0x10000,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xffffffff80000000,
                                       0xffffffffffff8000,
                                       0xffffffffffffff80,
                                       0x5555555555555555,
                                       0xaaaaaaaaaaaaaaaa};
    static const uint8_t counts[] = {3, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65};

    switch (random_below(r, 8)) {
    case 0:
    case 1:
        return special[random_below(r, sizeof(special) / sizeof(special[0]))];
    case 2:
        return counts[random_below(r, sizeof(counts))];
    case 3:
        return DATA_AT + random_below(r, DATA_BYTES);
    case 4:
        return random_next(r) >> random_below(r, 64);
    case 5:
        return (uint64_t)((int64_t)random_next(r) >> random_below(r, 64));
    default:
        return random_next(r);
    }
}

static uint32_t random_f32(struct random *r)
{
    static const uint32_t special[] = {
        0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, /* 0, 1, inf */
        0x7fc00000, 0xffc00000, 0x7fc12345, 0x7f800001, 0xffa00000,  /* quiet and signalling NaNs */
        0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff,  /* denormal, least, most */
        0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0xdf000000,  /* 2^31, 2^63 */
        0x3f000000, 0x3fc00000, 0x40200000, 0xbf000000, 0x40490fdb,  /* halves */
        0x33800000, 0xb8000000, 0x387fc000, 0x33000000, 0x477ff000}; /* of 16 bits: denormal, and
                                                                        the edges of what fits */

    if (random_once(r, 2))
        return special[random_below(r, sizeof(special) / sizeof(special[0]))];
    if (random_once(r, 2)) /* near 1 */
        return (uint32_t)random_next(r) % 0x08000000u + 0x3c000000u;
    return (uint32_t)random_next(r);
}

static uint64_t random_f64(struct random *r)
{
    static const uint64_t special[] = {
        0,
        0x8000000000000000,
        0x3ff0000000000000,
        0xbff0000000000000,
        0x7ff0000000000000,
        0xfff0000000000000,
        0x7ff8000000000000,
        0xfff8000000000000,
        0x7ff8000000012345,
        0x7ff0000000000001,
        0xfff4000000000000,
        0x0000000000000001,
        0x800fffffffffffff,
        0x0010000000000000,
        0x7fefffffffffffff,
        0xffefffffffffffff,
        0x41e0000000000000, /* 2^31 */
        0xc1e0000000000000,
        0x41dfffffffc00000,
        0x43e0000000000000, /* 2^63 */
        0xc3e0000000000000,
        0x3fe0000000000000, /* halves */
        0x3ff8000000000000,
        0x4004000000000000,
        0xbfe0000000000000,
        0x36a0000000000000, /* 2^-149: the least float */
        0x47efffffe0000000, /* the most */
        0x47effffff0000000,
        0x400921fb54442d18,
    };

    if (random_once(r, 2))
        return special[random_below(r, sizeof(special) / sizeof(special[0]))];
    if (random_once(r, 2))
        return random_next(r) % 0x0100000000000000u + 0x3f80000000000000u;
    return random_next(r);
}

static void random_f80(struct random *r, uint8_t to[10])
{
    static const struct {
        uint64_t mantissa;
        uint16_t exponent;
    } special[] = {
        {0, 0},
        {0x8000000000000000, 0x3fff}, /* 1 */
        {0x8000000000000000, 0x7fff}, /* infinity */
        {0xc000000000000000, 0x7fff}, /* indefinite */
        {0xc000000000012345, 0x7fff},
        {0x8000000000000001, 0x7fff}, /* signalling */
        {0x0000000000000001, 0},      /* denormal */
        {0x8000000000000000, 0},      /* pseudo-denormal */
        {0x8000000000000000, 1},
        {0xffffffffffffffff, 0x7ffe},
        {0x4000000000000000, 0x3fff}, /* unnormal */
        {0x0000000000000000, 0x7fff}, /* pseudo-infinity */
        {0x4000000000000000, 0x7fff}, /* pseudo-NaN */
        {0xc90fdaa22168c235, 0x4000}, /* pi */
        {0x8000000000000000, 0x403e}, /* 2^63 */
        {0x8000000000000000, 0x3ffe}, /* 1/2 */
        {0xc000000000000000, 0x3fff}, /* 3/2 */
        {0xde0b6b3a763ffff0, 0x403a}, /* 10^18 - 1, about */
        {0x8000000000000000, 0x3f81}, /* near the least float */
        {0x8000000000000000, 0x3c01},
    };
    uint64_t mantissa = random_next(r) | 0x8000000000000000;
    uint16_t exponent = (uint16_t)(random_next(r) & 0x7fff);
    uint32_t kind = random_below(r, 8);

    if (kind < 3) {
        uint32_t i = random_below(r, sizeof(special) / sizeof(special[0]));
        mantissa = special[i].mantissa;
        exponent = special[i].exponent;
    } else if (kind < 6) {
        exponent = (uint16_t)(0x3fff - 40 + random_below(r, 110));
        if (random_once(r, 2))
            mantissa &= UINT64_MAX << random_below(r, 64);
    } else if (kind == 6) {
        mantissa = random_next(r);
    }
    if (random_once(r, 2))
        exponent |= 0x8000;
    memcpy(to, &mantissa, 8);
    memcpy(to + 8, &exponent, 2);
}

/* Bytes of one kind of number. */
static void random_lanes(struct random *r, uint8_t *to, uint32_t bytes)
{
    uint32_t kind = random_below(r, 8);

    for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t v;
        if (kind < 3)
            v = random_f32(r) | (uint64_t)random_f32(r) << 32;
        else if (kind < 5)
            v = random_f64(r);
        else if (kind == 5)
            v = random_next(r);
        else
            v = random_integer(r);
        memcpy(to + i, &v, 8);
    }
}

#define POOL_BYTES 0x40000u

struct pool {
    uint8_t bytes[POOL_BYTES];
};

struct pool *pool_create(void)
{
    struct pool *p = malloc(sizeof(*p));
    struct random r = {1};

    for (uint32_t i = 0; p && i < POOL_BYTES; i += 64)
        random_lanes(&r, p->bytes + i, 64);
    return p;
}

void pool_destroy(struct pool *p)
{
    free(p);
}

void random_memory(const struct pool *p, struct random *r, uint8_t *memory, uint32_t bytes)
{
    memcpy(memory, p->bytes + random_below(r, (POOL_BYTES - bytes) / 8) * 8, bytes);
}

static void random_x87(struct random *r, uint8_t *fx)
{
    static const uint16_t precision[] = {0x300, 0x300, 0x200, 0x000};
    uint16_t control, status;

    control = (uint16_t)(0x7f | precision[random_below(r, 4)] | random_below(r, 4) << 10);
    if (random_once(r, 2))
        control = 0x37f;
    if (random_once(r, 16))
        control &= (uint16_t)~random_below(r, 64);
    status = (uint16_t)(random_below(r, 8) << 11);
    if (random_once(r, 4))
        status |= (uint16_t)(random_next(r) & 0x477f);
    if (status & ~control & 0x3f) { /* ES and B follow from the rest */
        if (random_once(r, 4))
            status |= 0x8080;
        else
            status &= (uint16_t)(control | ~0x3f);
    }
    memcpy(fx + FX_FCW, &control, 2);
    memcpy(fx + FX_FSW, &status, 2);
    fx[FX_FTW] = (uint8_t)(random_once(r, 4)   ? random_next(r)
                           : random_once(r, 4) ? 0
                           : random_once(r, 3) ? 0x7f
                                               : 0xff);
    for (uint32_t i = 0; i < 8; i++) {
        random_f80(r, fx + FX_ST + 16 * i);
        if (random_once(r, 4)) { /* as MMX leaves it */
            random_lanes(r, fx + FX_ST + 16 * i, 8);
            memset(fx + FX_ST + 16 * i + 8, 0xff, 2);
        }
    }
}

void random_state(struct random *r, struct state *s)
{
    uint32_t mxcsr = 0x1f80;

    memset(s, 0, sizeof(*s));
    for (uint32_t i = 0; i < 16; i++)
        s->gpr[i] = random_integer(r);
    s->rflags = (random_next(r) & F_ALL) | 0x202;
    if (random_once(r, 4))
        s->rflags |= F_DF;
    random_x87(r, s->fx);
    if (random_once(r, 2))
        mxcsr |= (uint32_t)random_next(r) & 0x6000; /* rounding */
    if (random_once(r, 4))
        mxcsr |= (uint32_t)random_next(r) & 0x8040; /* FTZ, DAZ */
    if (random_once(r, 4))
        mxcsr |= (uint32_t)random_next(r) & 0x3f;
    if (random_once(r, 16))
        mxcsr &= ~((uint32_t)random_next(r) & 0x1f80);
    memcpy(s->fx + FX_MXCSR, &mxcsr, 4);
    for (uint32_t i = 0; i < 16; i++) {
        random_lanes(r, s->fx + FX_XMM + 16 * i, 16);
        random_lanes(r, s->high + 16 * i, 16);
    }
}
