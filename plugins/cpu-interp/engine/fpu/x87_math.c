/* SPDX-License-Identifier: MIT
 *
 * fpu/x87_math.c - FSQRT, FRNDINT, FSCALE, FPREM, FPREM1, FXTRACT, and the transcendental
 * instructions.
 *
 * SDM 1, 8.3.5, 8.3.7 to 8.3.10. C2 says that FPREM's reduction is not complete, or that the
 * argument of a trigonometric function is out of range and nothing was done.
 */
#include "x87.h"

typedef struct f80_out unary(const struct f80 *a, uint16_t control);
typedef struct f80_out binary(const struct f80 *a, const struct f80 *b, uint16_t control);
typedef struct f80_pair pushing(const struct f80 *a, uint16_t control);

X87_INLINE void one(struct cpu *c, const struct uop *u, unary *fn, uint32_t codes)
{
    struct fpu *f = &c->fpu;

    x87_wait(c, u);
    if (likely(x87_filled(f, 0))) {
        struct f80_out out = fn(x87_st(f, 0), f->control);

        /* Out of range, the value is the old one. */
        if (x87_flags(c, u, out.status, codes))
            x87_fill(f, 0, out.value);
    } else if (x87_underflow(c, u, codes & (SW_C1 | SW_C2))) {
        x87_fill(f, 0, f80_indefinite());
    }
}

/* The result goes to ST(0), or to ST(1) and ST(0) is popped. */
X87_INLINE void two(struct cpu *c, const struct uop *u, binary *fn, uint32_t codes, bool pop)
{
    struct fpu *f = &c->fpu;
    uint32_t to = pop ? 1 : 0;

    x87_wait(c, u);
    if (likely(x87_filled(f, 0) && x87_filled(f, 1))) {
        struct f80_out out = fn(x87_st(f, 0), x87_st(f, 1), f->control);

        /* C0 and C3 say nothing of a NaN, and stay. */
        if ((out.value.sign_exponent & F80_EXPONENT) == F80_EXPONENT)
            codes &= SW_C1 | SW_C2;
        if (!x87_flags(c, u, out.status, codes))
            return;
        x87_fill(f, to, out.value);
    } else {
        if (!x87_underflow(c, u, codes & (SW_C1 | SW_C2)))
            return;
        x87_fill(f, to, f80_indefinite());
    }
    if (pop)
        x87_pop(f);
}

X87_INLINE void split(struct cpu *c, const struct uop *u, pushing *fn, uint32_t codes)
{
    struct fpu *f = &c->fpu;
    struct f80_pair out;

    x87_wait(c, u);
    if (unlikely(!x87_filled(f, 0) || x87_filled(f, 7))) {
        out.lower = out.upper = f80_indefinite();
        out.status = SW_IE | SW_SF;
        if (x87_filled(f, 0))
            out.status |= SW_C1;
    } else {
        out = fn(x87_st(f, 0), f->control);
    }
    if (!x87_flags(c, u, out.status, codes) || out.status & codes & SW_C2)
        return;
    x87_fill(f, 0, out.lower);
    f->top = (f->top - 1) & 7;
    x87_fill(f, 0, out.upper);
}

#define DEFINE(name, call)                                                                         \
    X87_WORK name(struct cpu *c, const struct uop *u)                                              \
    {                                                                                              \
        call;                                                                                      \
    }                                                                                              \
    X87_HANDLER(name)

DEFINE(f2xm1, one(c, u, F80(f2xm1), SW_C1))
DEFINE(fsqrt, one(c, u, F80(sqrt), SW_C1))
DEFINE(frndint, one(c, u, F80(rndint), SW_C1))
DEFINE(fsin, one(c, u, F80(sin), SW_C1 | SW_C2))
DEFINE(fcos, one(c, u, F80(cos), SW_C1 | SW_C2))
DEFINE(fyl2x, two(c, u, F80(yl2x), SW_C1, true))
DEFINE(fyl2xp1, two(c, u, F80(yl2xp1), SW_C1, true))
DEFINE(fpatan, two(c, u, F80(patan), SW_C1, true))
DEFINE(fscale, two(c, u, F80(scale), SW_C1, false))
DEFINE(fprem, two(c, u, F80(prem), SW_CC, false))
DEFINE(fprem1, two(c, u, F80(prem1), SW_CC, false))
DEFINE(fxtract, split(c, u, F80(xtract), SW_C1))
DEFINE(fptan, split(c, u, F80(ptan), SW_C1 | SW_C2))
DEFINE(fsincos, split(c, u, F80(sincos), SW_C1 | SW_C2))

op_fn *x87_math_handler(uint8_t opcode, uint8_t modrm)
{
    static op_fn *const of[16] = {
        [0x0] = op_f2xm1,   [0x1] = op_fyl2x,   [0x2] = op_fptan,   [0x3] = op_fpatan,
        [0x4] = op_fxtract, [0x5] = op_fprem1,  [0x8] = op_fprem,   [0x9] = op_fyl2xp1,
        [0xa] = op_fsqrt,   [0xb] = op_fsincos, [0xc] = op_frndint, [0xd] = op_fscale,
        [0xe] = op_fsin,    [0xf] = op_fcos,
    };

    return opcode == 0xd9 && modrm >= 0xf0 ? of[modrm & 0xf] : NULL;
}
