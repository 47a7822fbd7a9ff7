/* SPDX-License-Identifier: MIT
 *
 * fpu/x87_compare.c - FCOM, FUCOM, FCOMI, FUCOMI and FICOM with their popping forms, FTST and
 * FXAM.
 *
 * SDM 1, 8.3.6 and tables 8-6 to 8-8. An unmasked exception keeps them from popping only:
 * processors set the condition codes all the same.
 */
#include "x87.h"

#include "../ops/flags.h"

#define CODES (SW_C3 | SW_C2 | SW_C1 | SW_C0)
#define UNORDERED (SW_C3 | SW_C2 | SW_C0)

typedef struct f80_out compare(const struct f80 *a, const struct f80 *b, uint16_t control);

X87_INLINE void pops(struct cpu *c, uint32_t count)
{
    while (count--)
        x87_pop(&c->fpu);
}

/* `status` of a comparison, or of its stack fault. */
X87_INLINE void finish(struct cpu *c, const struct uop *u, uint32_t status, uint32_t count)
{
    c->fpu.status = (uint16_t)((c->fpu.status & ~UNORDERED) | (status & UNORDERED));
    if (likely(x87_flags(c, u, status, SW_C1)))
        pops(c, count);
}

static uint32_t missing(void)
{
    return SW_IE | SW_SF | UNORDERED;
}

X87_INLINE void registers(struct cpu *c, const struct uop *u, compare *fn, uint32_t i,
                          uint32_t count)
{
    struct fpu *f = &c->fpu;
    uint32_t status;

    x87_wait(c, u);
    if (likely(x87_filled(f, 0) && x87_filled(f, i)))
        status = fn(x87_st(f, 0), x87_st(f, i), f->control).status;
    else
        status = missing();
    finish(c, u, status, count);
}

/* C3, C2, C0 have the places of ZF, PF, CF in AH. */
X87_INLINE void to_eflags(struct cpu *c, const struct uop *u, compare *fn, bool pop)
{
    struct fpu *f = &c->fpu;
    uint32_t status;

    x87_wait(c, u);
    if (likely(x87_filled(f, 0) && x87_filled(f, u->d)))
        status = fn(x87_st(f, 0), x87_st(f, u->d), f->control).status;
    else
        status = missing();
    flags_set(c, status >> 8 & (FLAG_ZF | FLAG_PF | FLAG_CF));
    /* C1 stays, but for a stack fault. */
    if (likely(x87_flags(c, u, status & ~UNORDERED, status & SW_SF ? SW_C1 : 0)) && pop)
        x87_pop(f);
}

X87_INLINE void float32(struct cpu *c, const struct uop *u, uint32_t count)
{
    struct fpu *f = &c->fpu;
    uint32_t b;

    x87_wait(c, u);
    b = ld32(c, u, x87_ea(c, u, 4, ACCESS_READ));
    finish(c, u, x87_filled(f, 0) ? F80(com_f32)(x87_st(f, 0), b, f->control).status : missing(),
           count);
}

X87_INLINE void float64(struct cpu *c, const struct uop *u, uint32_t count)
{
    struct fpu *f = &c->fpu;
    uint64_t b;

    x87_wait(c, u);
    b = ld64(c, u, x87_ea(c, u, 8, ACCESS_READ));
    finish(c, u, x87_filled(f, 0) ? F80(com_f64)(x87_st(f, 0), b, f->control).status : missing(),
           count);
}

X87_INLINE void integer(struct cpu *c, const struct uop *u, bool wide, uint32_t count)
{
    struct fpu *f = &c->fpu;
    struct f80 b;

    x87_wait(c, u);
    if (wide)
        b = f80_from_int((int32_t)ld32(c, u, x87_ea(c, u, 4, ACCESS_READ)));
    else
        b = f80_from_int((int16_t)ld16(c, u, x87_ea(c, u, 2, ACCESS_READ)));
    finish(c, u, x87_filled(f, 0) ? F80(com)(x87_st(f, 0), &b, f->control).status : missing(),
           count);
}

#define DEFINE(name, call)                                                                         \
    X87_WORK name(struct cpu *c, const struct uop *u)                                              \
    {                                                                                              \
        call;                                                                                      \
    }                                                                                              \
    X87_HANDLER(name)

DEFINE(fcom, registers(c, u, F80(com), u->d, 0))
DEFINE(fcomp, registers(c, u, F80(com), u->d, 1))
DEFINE(fcompp, registers(c, u, F80(com), 1, 2))
DEFINE(fucom, registers(c, u, F80(ucom), u->d, 0))
DEFINE(fucomp, registers(c, u, F80(ucom), u->d, 1))
DEFINE(fucompp, registers(c, u, F80(ucom), 1, 2))
DEFINE(fcomi, to_eflags(c, u, F80(com), false))
DEFINE(fcomip, to_eflags(c, u, F80(com), true))
DEFINE(fucomi, to_eflags(c, u, F80(ucom), false))
DEFINE(fucomip, to_eflags(c, u, F80(ucom), true))
DEFINE(fcom_f32, float32(c, u, 0))
DEFINE(fcomp_f32, float32(c, u, 1))
DEFINE(fcom_f64, float64(c, u, 0))
DEFINE(fcomp_f64, float64(c, u, 1))
DEFINE(ficom_i32, integer(c, u, true, 0))
DEFINE(ficomp_i32, integer(c, u, true, 1))
DEFINE(ficom_i16, integer(c, u, false, 0))
DEFINE(ficomp_i16, integer(c, u, false, 1))

X87_WORK ftst(struct cpu *c, const struct uop *u)
{
    struct fpu *f = &c->fpu;
    const struct f80 zero = {0, 0};

    x87_wait(c, u);
    finish(c, u, x87_filled(f, 0) ? F80(com)(x87_st(f, 0), &zero, f->control).status : missing(),
           0);
}
X87_HANDLER(ftst)

/* Looks at empty registers too, and raises nothing. A pseudo-denormal is a denormal. */
X87_WORK fxam(struct cpu *c, const struct uop *u)
{
    struct fpu *f = &c->fpu;
    const struct f80 *a = x87_st(f, 0);
    uint32_t exponent = a->sign_exponent & F80_EXPONENT, status;

    x87_wait(c, u);
    if (!x87_filled(f, 0))
        status = SW_C3 | SW_C0;
    else if (exponent == 0)
        status = a->mantissa ? SW_C3 | SW_C2 : SW_C3;
    else if (!(a->mantissa >> 63))
        status = 0;
    else if (exponent == F80_EXPONENT)
        status = a->mantissa << 1 ? SW_C0 : SW_C2 | SW_C0;
    else
        status = SW_C2;
    if (a->sign_exponent & F80_SIGN)
        status |= SW_C1;
    (void)x87_flags(c, u, status, CODES);
}
X87_HANDLER(fxam)

op_fn *x87_compare_handler(uint8_t opcode, uint8_t modrm)
{
    static op_fn *const memory[4][2] = {{op_fcom_f32, op_fcomp_f32},
                                        {op_ficom_i32, op_ficomp_i32},
                                        {op_fcom_f64, op_fcomp_f64},
                                        {op_ficom_i16, op_ficomp_i16}};
    uint32_t row = (uint32_t)opcode << 8 | (modrm & 0xf8);

    if (modrm < 0xc0) {
        uint32_t op = modrm >> 3 & 7;

        return opcode & 1 || (op & 6) != 2 ? NULL : memory[opcode >> 1 & 3][op & 1];
    }
    switch (row) {
    case 0xd8d0:
    case 0xdcd0:
        return op_fcom;
    case 0xd8d8:
    case 0xdcd8:
    case 0xded0:
        return op_fcomp;
    case 0xded8:
        return modrm == 0xd9 ? op_fcompp : NULL;
    case 0xdde0:
        return op_fucom;
    case 0xdde8:
        return op_fucomp;
    case 0xdae8:
        return modrm == 0xe9 ? op_fucompp : NULL;
    case 0xdbf0:
        return op_fcomi;
    case 0xdff0:
        return op_fcomip;
    case 0xdbe8:
        return op_fucomi;
    case 0xdfe8:
        return op_fucomip;
    default:
        return opcode != 0xd9 ? NULL : modrm == 0xe4 ? op_ftst : modrm == 0xe5 ? op_fxam : NULL;
    }
}
