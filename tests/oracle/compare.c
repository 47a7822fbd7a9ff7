/* SPDX-License-Identifier: MIT
 *
 * compare.c - do two outcomes say the same, and if not, where?
 */
#include "oracle.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const gpr_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    if (!t || t->used >= t->size)
        return;
    va_start(args, format);
    n = vsnprintf(t->to + t->used, t->size - t->used, format, args);
    va_end(args);
    if (n > 0)
        t->used += (uint32_t)n;
}

static bool differ(struct text *text, const char *name, uint64_t native, uint64_t engine)
{
    if (native == engine)
        return false;
    text_add(text, "    %-8s host %016" PRIx64 "  engine %016" PRIx64 "\n", name, native, engine);
    return true;
}

/* ---- what may differ ------------------------------------------------------------------------ */

static void gather_undefined(const struct forms *f, const struct test *t,
                             const struct outcome *native, const struct outcome *engine,
                             struct undefined *u)
{
    uint32_t at = 0, flags = 0;
    uint64_t start = CODE_AT + t->at;
    /* Otherwise a branch has left it somewhere. */
    bool linear = native->s.rip >= start && native->s.rip <= start + t->bytes + 1;

    memset(u, 0, sizeof(*u));
    for (uint32_t i = 0; i < t->count; i++) {
        struct decoded d;
        struct undefined one = {0};
        if (!forms_decode(f, t->code + at, t->bytes - at, &d))
            break;
        if (f->amd)
            makers_part(&d, native, engine, u);
        if (native->vector != 3 && native->s.rip == start + at) {
            undefined_fault(&d, u); /* else all is as before it */
            break;
        }
        at += d.insn.length;
        undefined_after(&d, &t->in, &one);
        if (t->count > 1)
            one.flags = undefined_flags_ever(&d);
        /* In a straight line later instructions may define them again. */
        if (linear && d.insn.cpu_flags && !(d.insn.meta.category == ZYDIS_CATEGORY_SHIFT) &&
            !(d.insn.meta.category == ZYDIS_CATEGORY_ROTATE) &&
            !(d.insn.meta.category == ZYDIS_CATEGORY_STRINGOP))
            flags &=
                ~(d.insn.cpu_flags->modified | d.insn.cpu_flags->set_0 | d.insn.cpu_flags->set_1);
        flags |= one.flags;
        u->fsw |= one.fsw;
        u->gpr |= one.gpr;
        u->memory |= one.memory;
        u->approximate |= one.approximate;
        u->x87_last_bit |= one.x87_last_bit;
        u->nan_bytes |= one.nan_bytes;
        /* What others make of one NaN or another cannot be followed. */
        u->everything |= one.nan_bytes && t->count > 1;
    }
    u->flags |= flags;
}

/* A process sees less of the error code than the processor gave: for the kernel's half Linux always
 * says that the page is there. What lies below is the engine's supervisor memory. */
static uint32_t error_mask(const struct outcome *native)
{
    if (native->vector != 14)
        return UINT32_MAX;
    if (native->cr2 >> 63 || native->cr2 < 0x100000)
        return 0x16;
    return 0x1f;
}

/* ---- parts ---------------------------------------------------------------------------------- */

static bool differ_end(const struct outcome *a, const struct outcome *b, const struct undefined *u,
                       struct text *text)
{
    bool any = false;

    if (u->order && a->vector != 3 && b->vector != 3) {
        any = false;
    } else if (a->vector != b->vector) {
        text_add(text, "    vector   host %" PRIu32 "  engine %" PRIu32 "\n", a->vector, b->vector);
        any = true;
    } else {
        any |= differ(text, "error", a->error & error_mask(a), b->error & error_mask(a));
        if (a->vector == 14)
            any |= differ(text, "cr2", a->cr2 & ~u->address, b->cr2 & ~u->address);
    }
    any |= differ(text, "rip", a->s.rip, b->s.rip);
    return any;
}

/* True if the two values differ in floats of `bytes` bytes that are NaN on both sides, and in
 * nothing else. */
static bool differ_in_nans(uint64_t v, uint64_t w, uint32_t bytes)
{
    uint64_t lane = bytes == 8 ? UINT64_MAX : UINT32_MAX;
    uint64_t infinity = bytes == 8 ? 0x7ff0000000000000u : 0x7f800000u;

    for (uint32_t i = 0; bytes && i < 8 / bytes; i++) {
        uint64_t x = v >> (8 * bytes * i) & lane, y = w >> (8 * bytes * i) & lane;

        if (x != y && ((x & lane >> 1) <= infinity || (y & lane >> 1) <= infinity))
            return false;
    }
    return bytes != 0;
}

static bool differ_xmm(const struct outcome *a, const struct outcome *b, const struct undefined *u,
                       struct text *text)
{
    bool any = false;

    for (uint32_t i = 0; i < 16; i++) {
        char name[16];
        for (uint32_t k = 0; k < 4; k++) {
            const uint8_t *x =
                k < 2 ? a->s.fx + FX_XMM + 16 * i + 8 * k : a->s.high + 16 * i + 8 * (k - 2);
            const uint8_t *y =
                k < 2 ? b->s.fx + FX_XMM + 16 * i + 8 * k : b->s.high + 16 * i + 8 * (k - 2);
            uint64_t v, w;
            float p[2], q[2];
            memcpy(&v, x, 8);
            memcpy(&w, y, 8);
            memcpy(p, x, 8);
            memcpy(q, y, 8);
            if (u->nan_bytes && differ_in_nans(v, w, u->nan_bytes))
                continue;
            if (u->approximate && v != w) {
                bool near = true;
                for (uint32_t n = 0; n < 2; n++)
                    near &= memcmp(&p[n], &q[n], 4) == 0 ||
                            fabsf(p[n] - q[n]) <= fabsf(p[n]) * (1.0f / 1024);
                if (near)
                    continue;
            }
            (void)snprintf(name, sizeof(name), "ymm%u.%u", i, k);
            any |= differ(text, name, v, w);
        }
    }
    return any;
}

static bool differ_x87(const struct outcome *a, const struct outcome *b, const struct undefined *u,
                       struct text *text)
{
    uint16_t x, y;
    bool any = false;

    memcpy(&x, a->s.fx + FX_FCW, 2);
    memcpy(&y, b->s.fx + FX_FCW, 2);
    any |= differ(text, "fcw", x, y);
    memcpy(&x, a->s.fx + FX_FSW, 2);
    memcpy(&y, b->s.fx + FX_FSW, 2);
    any |= differ(text, "fsw", x & ~u->fsw & 0xffff, y & ~u->fsw & 0xffff);
    any |= differ(text, "ftw", a->s.fx[FX_FTW], b->s.fx[FX_FTW]);
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t v, w;
        char name[16];
        memcpy(&v, a->s.fx + FX_ST + 16 * i, 8);
        memcpy(&w, b->s.fx + FX_ST + 16 * i, 8);
        memcpy(&x, a->s.fx + FX_ST + 16 * i + 8, 2);
        memcpy(&y, b->s.fx + FX_ST + 16 * i + 8, 2);
        if (u->x87_last_bit && x == y && v - w + 64 <= 128)
            continue;
        (void)snprintf(name, sizeof(name), "st%u", i);
        any |= differ(text, name, v, w);
        (void)snprintf(name, sizeof(name), "st%u.exp", i);
        any |= differ(text, name, x, y);
    }
    return any;
}

static bool differ_memory(const struct outcome *a, const struct outcome *b, struct text *text)
{
    uint32_t shown = 0;

    if (memcmp(a->memory, b->memory, WRITABLE_BYTES) == 0)
        return false;
    for (uint32_t i = 0; i < WRITABLE_BYTES && shown < 8; i += 8) {
        uint64_t x, y;
        char name[16];
        memcpy(&x, a->memory + i, 8);
        memcpy(&y, b->memory + i, 8);
        (void)snprintf(name, sizeof(name), "[%x]", DATA_AT + i);
        shown += differ(text, name, x, y);
    }
    return true;
}

bool outcomes_comparable(const struct forms *f, const struct test *t, const struct outcome *native,
                         const struct outcome *engine)
{
    struct undefined u;

    gather_undefined(f, t, native, engine, &u);
    return !u.everything;
}

bool outcomes_equal(const struct forms *f, const struct test *t, const struct outcome *native,
                    const struct outcome *engine, bool strict, struct text *text)
{
    const uint64_t flags = F_ALL | F_DF;
    struct undefined u;
    uint32_t mxcsr[2];
    bool any;

    gather_undefined(f, t, native, engine, &u);
    if (strict)
        u = (struct undefined){0};
    if (u.everything)
        return true;
    any = differ_end(native, engine, &u, text);
    for (uint32_t i = 0; i < 16; i++)
        if (!(u.gpr >> i & 1))
            any |= differ(text, gpr_names[i], native->s.gpr[i], engine->s.gpr[i]);
    any |= differ(text, "rflags", native->s.rflags & flags & ~(uint64_t)u.flags,
                  engine->s.rflags & flags & ~(uint64_t)u.flags);
    memcpy(&mxcsr[0], native->s.fx + FX_MXCSR, 4);
    memcpy(&mxcsr[1], engine->s.fx + FX_MXCSR, 4);
    /* Not known to the engine, which says so in fpu/mxcsr.h: whether a result that has overflowed
     * or underflowed unmasked was exact. */
    if (native->vector == 19 && mxcsr[0] & 0x18 && !strict)
        mxcsr[1] = (mxcsr[1] & ~0x20u) | (mxcsr[0] & 0x20);
    any |= differ(text, "mxcsr", mxcsr[0] & ~u.mxcsr, mxcsr[1] & ~u.mxcsr);
    any |= differ_xmm(native, engine, &u, text);
    any |= differ_x87(native, engine, &u, text);
    if (!u.memory)
        any |= differ_memory(native, engine, text);
    return !any;
}

/* ---- the case ------------------------------------------------------------------------------- */

static void print_code(const struct forms *f, const struct test *t, struct text *text)
{
    ZydisFormatter formatter;
    uint32_t at = 0;

    (void)ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    while (at < t->bytes) {
        struct decoded d;
        char line[128];
        if (!forms_decode(f, t->code + at, t->bytes - at, &d))
            break;
        (void)ZydisFormatterFormatInstruction(&formatter, &d.insn, d.op,
                                              d.insn.operand_count_visible, line, sizeof(line),
                                              CODE_AT + t->at + at, NULL);
        text_add(text, "  %x  ", CODE_AT + t->at + at);
        for (uint32_t i = 0; i < d.insn.length; i++)
            text_add(text, "%02x", t->code[at + i]);
        text_add(text, "  %s\n", line);
        at += d.insn.length;
    }
}

void test_print(const struct forms *f, const struct test *t, struct text *text)
{
    uint32_t mxcsr;

    print_code(f, t, text);
    text_add(text, "    before: rflags=%" PRIx64, t->in.rflags);
    for (uint32_t i = 0; i < 16; i++)
        if (t->in.gpr[i])
            text_add(text, " %s=%" PRIx64, gpr_names[i], t->in.gpr[i]);
    memcpy(&mxcsr, t->in.fx + FX_MXCSR, 4);
    if (mxcsr != 0x1f80)
        text_add(text, " mxcsr=%" PRIx32, mxcsr);
    for (uint32_t i = 0; i < 16; i++) {
        uint64_t v[4];
        memcpy(v, t->in.fx + FX_XMM + 16 * i, 16);
        memcpy(v + 2, t->in.high + 16 * i, 16);
        if (v[0] | v[1] | v[2] | v[3])
            text_add(text,
                     "\n      ymm%-2u %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64, i,
                     v[3], v[2], v[1], v[0]);
    }
    if (memcmp(t->in.fx, "\x7f\x03\x00\x00\x00", 5) != 0) {
        uint16_t control, status;
        memcpy(&control, t->in.fx + FX_FCW, 2);
        memcpy(&status, t->in.fx + FX_FSW, 2);
        text_add(text, "\n      fcw=%x fsw=%x ftw=%x", control, status, t->in.fx[FX_FTW]);
    }
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t mantissa;
        uint16_t exponent;
        memcpy(&mantissa, t->in.fx + FX_ST + 16 * i, 8);
        memcpy(&exponent, t->in.fx + FX_ST + 16 * i + 8, 2);
        if (mantissa || exponent)
            text_add(text, "\n      st%u %04x %016" PRIx64, i, exponent, mantissa);
    }
    for (uint32_t i = 0, shown = 0; i < DATA_BYTES && shown < 12; i += 8) {
        uint64_t v;
        memcpy(&v, t->memory + i, 8);
        if (v) {
            text_add(text, "\n      [%x] %016" PRIx64, DATA_AT + i, v);
            shown++;
        }
    }
    text_add(text, "\n");
}
