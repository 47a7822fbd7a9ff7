/* SPDX-License-Identifier: MIT
 *
 * vectors.c - see vectors.h.
 */
#include "vectors.h"

#include <string.h>

#include "fpu/mxcsr.h"
#include "fpu/x87.h"

#define DIGEST_ROUNDS 16u
#define DESTINATION 1u /* of all forms that have one */

void vectors_start(struct vectors *f)
{
    f->bench = bench_create(1);
    f->cpu = bench_mode(f->bench, 0, BENCH_LONG);
    f->cpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    f->cpu->xcr0 = 7;
    cpu_mode_changed(f->cpu);
}

void vectors_stop(struct vectors *f)
{
    bench_destroy(f->bench);
}

/* ---- operands ------------------------------------------------------------------------------- */

uint64_t vectors_random(struct vectors *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random * 0x2545f4914f6cdd1d;
}

static uint32_t single(struct vectors *f)
{
    static const uint32_t pool[] = {
        0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00001,
        0xffc12345, 0x7f812345, 0xff800001, 1,          0x80000003, 0x007fffff, 0x00800000,
        0x7f7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x3f000000, 0x3fc00000, 0x40200000,
        0x5f000000, 0xdf000000, 0x4b7fffff, 0x33800000, 0x2e800000,
    };
    uint64_t r = vectors_random(f);

    if (r & 1)
        return pool[(r >> 8) % (sizeof(pool) / sizeof(pool[0]))];
    if (r & 2) /* near 1, so that sums and products are usual numbers */
        return (uint32_t)(r >> 32 & 0x80ffffff) | 0x3f000000;
    return (uint32_t)(r >> 32);
}

static uint64_t twice(struct vectors *f)
{
    static const uint64_t pool[] = {
        0,
        0x8000000000000000,
        0x3ff0000000000000,
        0xbff0000000000000,
        0x7ff0000000000000,
        0xfff0000000000000,
        0x7ff8000000000001,
        0xfff8000123456789,
        0x7ff0000123456789,
        0xfff0000000000001,
        1,
        0x800fffffffffffff,
        0x0010000000000000,
        0x7fefffffffffffff,
        0x41dfffffffc00000,
        0xc1e0000000000000,
        0xc1e0000000200000,
        0x43e0000000000000,
        0xc3e0000000000000,
        0x3fe0000000000000,
        0x4004000000000000,
        0x36a0000000000000,
        0x47efffffe0000000,
        0x3810000000000000,
    };
    uint64_t r = vectors_random(f);

    if (r & 1)
        return pool[(r >> 8) % (sizeof(pool) / sizeof(pool[0]))];
    r = vectors_random(f);
    return r & 1 ? (r & 0x800fffffffffffff) | 0x3ff0000000000000 : r;
}

static void fill(struct vectors *f, void *to, uint32_t bytes)
{
    uint64_t kind = vectors_random(f);

    for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t word;

        switch (kind & 7) {
        case 0:
        case 1:
            word = single(f) | (uint64_t)single(f) << 32;
            break;
        case 2:
        case 3:
            word = twice(f);
            break;
        case 4: /* a count, an index */
            word = i & 8 ? 0 : vectors_random(f) % 80;
            break;
        case 5: /* few different bytes: what compares equal, strings with an end */
            word = vectors_random(f) & 0x0301020301020103;
            break;
        case 6: /* saturation */
            word = (vectors_random(f) & 0x8080808080808080) | 0x7f7f7f7f7f7f7f7f;
            word ^= vectors_random(f) & 0x0101010101010101;
            break;
        default:
            word = vectors_random(f);
            break;
        }
        memcpy((uint8_t *)to + i, &word, 8);
    }
}

void vectors_draw(struct vectors *f, struct state *s)
{
    uint32_t mxcsr = MXCSR_MASKS | (uint32_t)(vectors_random(f) & (MXCSR_RC | MXCSR_FLAGS));
    uint16_t control = 0x37f;

    memset(s, 0, sizeof(*s));
    if (vectors_random(f) & 1)
        mxcsr |= (uint32_t)(vectors_random(f) & (MXCSR_DAZ | MXCSR_FTZ));
    memcpy(s->image, &control, 2);
    s->image[3] = (uint8_t)((vectors_random(f) & 7) << 3); /* TOP */
    s->image[4] = 0;                                       /* all empty */
    memcpy(s->image + 24, &mxcsr, 4);
    for (uint32_t i = 0; i < 8; i++)
        fill(f, s->image + 32 + 16 * i, 8);
    for (uint32_t i = 0; i < 5; i++) {
        fill(f, s->v[i].u8, 16);
        fill(f, s->v[i].u8 + 16, 16);
    }
    for (uint32_t i = 0; i < S_GPRS; i++) {
        uint64_t r = vectors_random(f);
        s->reg[i] = r & 1 ? vectors_random(f) : r & 2 ? r >> 60 : 0 - (r >> 58);
    }
    s->reg[S_RSI] = DATA + AT;
    s->reg[S_RDI] = DATA + AT;
    s->flags = 0x202 | (vectors_random(f) & FLAGS_ARITHMETIC);
    fill(f, f->data + AT, 64);
}

/* ---- a run ---------------------------------------------------------------------------------- */

static const uint8_t gpr_of[S_GPRS] = {RAX, RCX, RDX, RBX, RSI, RDI};

int vectors_run(struct vectors *f, const uint8_t *bytes, size_t length, struct state *s)
{
    struct cpu *c = f->cpu;
    int stopped;

    if (fpu_image_set(c, s->image) != 0)
        return -1000;
    memcpy(c->v, s->v, sizeof(s->v));
    for (uint32_t i = 0; i < S_GPRS; i++)
        c->reg[gpr_of[i]] = s->reg[i];
    bench_rflags_set(f->bench, 0, s->flags & ~(uint64_t)FLAG_IF);
    memcpy(f->bench->ram + DATA, f->data, DATA_BYTES);
    stopped = bench_run(f->bench, bytes, (uint32_t)length);
    fpu_image_get(c, s->image);
    memcpy(s->v, c->v, sizeof(s->v));
    for (uint32_t i = 0; i < S_GPRS; i++)
        s->reg[i] = c->reg[gpr_of[i]];
    s->flags = bench_rflags(f->bench, 0);
    return stopped;
}

uint8_t vectors_gpr(uint32_t index)
{
    return gpr_of[index];
}

/* ---- digests -------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint32_t mix(uint32_t digest, const void *from, size_t length)
{
    const uint8_t *p = from;

    for (size_t i = 0; i < length; i++)
        digest = (digest ^ p[i]) * 16777619u;
    return digest;
}

/* The smallest normal number, rounded to: some hosts find that it was tiny, before. */
static bool has_smallest(const union vreg *v)
{
    for (uint32_t i = 0; i < 4; i++)
        if ((v->u64[i] & INT64_MAX) == 0x0010000000000000 ||
            (v->u64[i] & INT32_MAX) == 0x00800000 || (v->u64[i] >> 32 & INT32_MAX) == 0x00800000)
            return true;
    return false;
}

int vectors_digest(struct vectors *f, vectors_act *act, const uint8_t *bytes, size_t length,
                   uint32_t *values, uint32_t *mxcsr)
{
    uint64_t random = f->random;
    int result = 0;

    *values = *mxcsr = 2166136261u;
    /* Of the form alone, whatever came before. */
    f->random = 88172645463325252 ^ mix(*values, bytes, length);
    memset(f->data, 0, DATA_BYTES);
    for (uint32_t round = 0; round < DIGEST_ROUNDS && result == 0; round++) {
        struct state s __attribute__((aligned(64)));
        uint64_t flags;

        vectors_draw(f, &s);
        s.image[24] &= (uint8_t) ~(MXCSR_DAZ | MXCSR_FLAGS);
        s.image[25] &= (uint8_t) ~(MXCSR_FTZ >> 8);
        result = act(f, bytes, length, &s);
        flags = s.flags & FLAGS_ARITHMETIC;
        *values = mix(*values, s.v, 5 * sizeof(s.v[0]));
        *values = mix(*values, s.reg, sizeof(s.reg));
        *values = mix(*values, &flags, sizeof(flags));
        *values = mix(*values, s.image + 3, 2);
        for (uint32_t i = 0; i < 8; i++)
            *values = mix(*values, s.image + 32 + 16 * i, 10);
        *values = mix(*values, f->data, 2 * AT);
        s.image[24] &= (uint8_t)~MXCSR_DE;
        if (has_smallest(&s.v[DESTINATION]))
            s.image[24] &= (uint8_t)~MXCSR_UE;
        *mxcsr = mix(*mxcsr, s.image + 24, 4);
    }
    f->random = random;
    return result;
}
