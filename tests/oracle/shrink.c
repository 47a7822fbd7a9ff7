/* SPDX-License-Identifier: MIT
 *
 * shrink.c - makes a case that differs as small as it can be while it still does.
 */
#include "oracle.h"

#include <stdlib.h>
#include <string.h>

struct shrinking {
    struct test *t;
    differs_fn *differs;
    void *context;
    struct outcome *outcomes; /* two */
    struct test *kept;
};

/* Takes the change back if the case does not differ any more. */
static bool keep(struct shrinking *s)
{
    if (s->differs(s->context, s->t, &s->outcomes[0], &s->outcomes[1])) {
        *s->kept = *s->t;
        return true;
    }
    *s->t = *s->kept;
    return false;
}

/* Zeroes stretches, halving them where the whole cannot go. */
static void zero(struct shrinking *s, uint8_t *part, uint32_t bytes, uint32_t least)
{
    static const uint8_t none[64];
    bool empty = true;

    for (uint32_t i = 0; i < bytes && empty; i += 64)
        empty = memcmp(part + i, none, bytes - i < 64 ? bytes - i : 64) == 0;
    if (empty)
        return;
    memset(part, 0, bytes);
    if (keep(s) || bytes <= least)
        return;
    zero(s, part, bytes / 2, least);
    zero(s, part + bytes / 2, bytes - bytes / 2, least);
}

/* Drops single instructions of a sequence, last ones first. */
static void drop(const struct forms *f, struct shrinking *s)
{
    uint32_t start[CASE_INSNS + 1], n = 0, at = 0;
    struct test *t = s->t;

    while (at < t->bytes && n < CASE_INSNS) {
        struct decoded d;
        if (!forms_decode(f, t->code + at, t->bytes - at, &d))
            return;
        start[n++] = at;
        at += d.insn.length;
    }
    start[n] = at;
    for (uint32_t i = n; i-- > 0 && t->count > 1;) {
        uint32_t bytes = start[i + 1] - start[i];
        memmove(t->code + start[i], t->code + start[i + 1], sizeof(t->code) - start[i + 1]);
        memset(t->code + sizeof(t->code) - bytes, 0xcc, bytes);
        t->bytes -= bytes;
        t->count--;
        if (keep(s))
            for (uint32_t k = i + 1; k <= n; k++)
                start[k] -= bytes;
    }
}

void test_shrink(const struct forms *f, struct test *t, differs_fn *differs, void *context)
{
    struct shrinking s = {.t = t, .differs = differs, .context = context};

    s.outcomes = malloc(2 * sizeof(*s.outcomes));
    s.kept = malloc(sizeof(*s.kept));
    if (s.outcomes && s.kept) {
        uint32_t mxcsr = 0x1f80;
        *s.kept = *t;
        drop(f, &s);
        zero(&s, t->memory, DATA_BYTES, 8);
        zero(&s, (uint8_t *)t->in.gpr, sizeof(t->in.gpr), 8);
        zero(&s, t->in.high, sizeof(t->in.high), 8);
        zero(&s, t->in.fx + FX_XMM, FX_BYTES - FX_XMM, 4);
        zero(&s, t->in.fx + FX_ST, FX_XMM - FX_ST, 8);
        t->in.rflags = 0x202;
        (void)keep(&s);
        memcpy(t->in.fx + FX_MXCSR, &mxcsr, 4);
        (void)keep(&s);
        memcpy(t->in.fx, "\x7f\x03\x00\x00\x00", 5);
        (void)keep(&s);
    }
    free(s.outcomes);
    free(s.kept);
}
