/* SPDX-License-Identifier: MIT
 *
 * fpu/x87_arith.c - FADD, FMUL, FSUB, FSUBR, FDIV, FDIVR with registers, floats and integers in
 * memory.
 *
 * SDM 1, 8.3.3; SDM 2. In the register forms the operation is always that of the encoding's bits 5
 * to 3 on ST(0) and ST(i), in this order, whichever of them is the destination.
 */
#include "x87.h"

typedef struct f80_out with_f80(const struct f80 *a, const struct f80 *b, uint16_t control);
typedef struct f80_out with_f32(const struct f80 *a, uint32_t b, uint16_t control);
typedef struct f80_out with_f64(const struct f80 *a, uint64_t b, uint16_t control);

X87_INLINE void registers(struct cpu *c, const struct uop *u, with_f80 *fn, bool to_st0, bool pop)
{
    struct fpu *f = &c->fpu;
    uint32_t to = to_st0 ? 0 : u->d;

    x87_wait(c, u);
    if (likely(x87_filled(f, 0) && x87_filled(f, u->d))) {
        struct f80_out out = fn(x87_st(f, 0), x87_st(f, u->d), f->control);

        if (unlikely(!x87_flags(c, u, out.status, SW_C1)))
            return;
        x87_fill(f, to, out.value);
    } else {
        if (!x87_underflow(c, u, SW_C1))
            return;
        x87_fill(f, to, f80_indefinite());
    }
    if (pop)
        x87_pop(f);
}

/* What memory forms have in common after the load. */
X87_INLINE void finish(struct cpu *c, const struct uop *u, struct f80_out out)
{
    if (likely(x87_flags(c, u, out.status, SW_C1)))
        x87_fill(&c->fpu, 0, out.value);
}

static __attribute__((noinline)) void missing(struct cpu *c, const struct uop *u)
{
    if (x87_underflow(c, u, SW_C1))
        x87_fill(&c->fpu, 0, f80_indefinite());
}

X87_INLINE void float32(struct cpu *c, const struct uop *u, with_f32 *fn)
{
    uint32_t b;

    x87_wait(c, u);
    b = ld32(c, u, x87_ea(c, u, 4, ACCESS_READ));
    if (likely(x87_filled(&c->fpu, 0)))
        finish(c, u, fn(x87_st(&c->fpu, 0), b, c->fpu.control));
    else
        missing(c, u);
}

X87_INLINE void float64(struct cpu *c, const struct uop *u, with_f64 *fn)
{
    uint64_t b;

    x87_wait(c, u);
    b = ld64(c, u, x87_ea(c, u, 8, ACCESS_READ));
    if (likely(x87_filled(&c->fpu, 0)))
        finish(c, u, fn(x87_st(&c->fpu, 0), b, c->fpu.control));
    else
        missing(c, u);
}

X87_INLINE void integer(struct cpu *c, const struct uop *u, with_f80 *fn, bool wide)
{
    struct f80 b;

    x87_wait(c, u);
    if (wide)
        b = f80_from_int((int32_t)ld32(c, u, x87_ea(c, u, 4, ACCESS_READ)));
    else
        b = f80_from_int((int16_t)ld16(c, u, x87_ea(c, u, 2, ACCESS_READ)));
    if (likely(x87_filled(&c->fpu, 0)))
        finish(c, u, fn(x87_st(&c->fpu, 0), &b, c->fpu.control));
    else
        missing(c, u);
}

#define DEFINE(name)                                                                               \
    X87_WORK name##_st0(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        registers(c, u, F80(name), true, false);                                                   \
    }                                                                                              \
    X87_WORK name##_sti(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        registers(c, u, F80(name), false, false);                                                  \
    }                                                                                              \
    X87_WORK name##_pop(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        registers(c, u, F80(name), false, true);                                                   \
    }                                                                                              \
    X87_WORK name##_f32(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        float32(c, u, F80(name##_f32));                                                            \
    }                                                                                              \
    X87_WORK name##_f64(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        float64(c, u, F80(name##_f64));                                                            \
    }                                                                                              \
    X87_WORK name##_i32(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        integer(c, u, F80(name), true);                                                            \
    }                                                                                              \
    X87_WORK name##_i16(struct cpu *c, const struct uop *u)                                        \
    {                                                                                              \
        integer(c, u, F80(name), false);                                                           \
    }                                                                                              \
    X87_HANDLER(name##_st0)                                                                        \
    X87_HANDLER(name##_sti)                                                                        \
    X87_HANDLER(name##_pop)                                                                        \
    X87_HANDLER(name##_f32)                                                                        \
    X87_HANDLER(name##_f64)                                                                        \
    X87_HANDLER(name##_i32)                                                                        \
    X87_HANDLER(name##_i16)

DEFINE(add)
DEFINE(mul)
DEFINE(sub)
DEFINE(subr)
DEFINE(div)
DEFINE(divr)

#define ROW(suffix)                                                                                \
    {                                                                                              \
        op_add_##suffix, op_mul_##suffix, NULL, NULL, op_sub_##suffix, op_subr_##suffix,           \
            op_div_##suffix, op_divr_##suffix                                                      \
    }

op_fn *x87_arith_handler(uint8_t opcode, uint8_t modrm)
{
    /* By bits 2 and 1 of the opcode (D8, DA, DC, DE). */
    static op_fn *const memory[4][8] = {ROW(f32), ROW(i32), ROW(f64), ROW(i16)};
    static op_fn *const reg[4][8] = {ROW(st0), {NULL}, ROW(sti), ROW(pop)};

    if (opcode & 1)
        return NULL;
    return (modrm < 0xc0 ? memory : reg)[opcode >> 1 & 3][modrm >> 3 & 7];
}
