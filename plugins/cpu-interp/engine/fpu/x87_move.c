/* SPDX-License-Identifier: MIT
 *
 * fpu/x87_move.c - loads and stores of all formats, constants, FXCH, FCMOVcc, FABS, FCHS, FFREE,
 * FINCSTP and FDECSTP.
 *
 * SDM 1, 8.3.3 and 8.3.4. A store first computes, then writes memory, which may fault, and only
 * then notes its flags: an instruction that faults leaves no flags.
 */
#include "x87.h"

#include "../ops/flags.h"

#define QUIET (UINT64_C(1) << 62)

typedef struct f80_bits convert(const struct f80 *a, uint16_t control);

/* ---- loads ---------------------------------------------------------------------------------- */

X87_INLINE void push_float(struct cpu *c, const struct uop *u, struct f80_out in)
{
    if (unlikely(in.status & SW_IE))
        in.value.mantissa |= QUIET;
    x87_push(c, u, in.value, in.status);
}

X87_WORK fld_f32(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    push_float(c, u, f80_from_f32(ld32(c, u, x87_ea(c, u, 4, ACCESS_READ))));
}

X87_WORK fld_f64(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    push_float(c, u, f80_from_f64(ld64(c, u, x87_ea(c, u, 8, ACCESS_READ))));
}

X87_WORK fld_f80(struct cpu *c, const struct uop *u)
{
    struct f80 value = {0};

    x87_wait(c, u);
    ld_vector(c, u, x87_ea(c, u, 10, ACCESS_READ), &value, 10);
    x87_push(c, u, value, 0);
}

X87_WORK fild_i16(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    x87_push(c, u, f80_from_int((int16_t)ld16(c, u, x87_ea(c, u, 2, ACCESS_READ))), 0);
}

X87_WORK fild_i32(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    x87_push(c, u, f80_from_int((int32_t)ld32(c, u, x87_ea(c, u, 4, ACCESS_READ))), 0);
}

X87_WORK fild_i64(struct cpu *c, const struct uop *u)
{
    x87_wait(c, u);
    x87_push(c, u, f80_from_int((int64_t)ld64(c, u, x87_ea(c, u, 8, ACCESS_READ))), 0);
}

X87_WORK fbld(struct cpu *c, const struct uop *u)
{
    struct f80 bcd = {0};

    x87_wait(c, u);
    ld_vector(c, u, x87_ea(c, u, 10, ACCESS_READ), &bcd, 10);
    x87_push(c, u, F80(from_bcd)(bcd.mantissa, bcd.sign_exponent), 0);
}

X87_WORK fld_st(struct cpu *c, const struct uop *u)
{
    struct fpu *f = &c->fpu;

    x87_wait(c, u);
    if (likely(x87_filled(f, u->d)))
        x87_push(c, u, *x87_st(f, u->d), 0);
    else
        x87_push(c, u, f80_indefinite(), SW_IE | SW_SF);
}

/* Rounded as RC says from their 66 bits in the unit (SDM 1, 8.3.8). */
X87_WORK load_constant(struct cpu *c, const struct uop *u)
{
    static const struct {
        uint64_t down;
        uint16_t exponent;
        uint8_t exact, near_is_up;
    } of[] = {
        [F80_ONE] = {UINT64_C(0x8000000000000000), 0x3fff, 1, 0},
        [F80_L2T] = {UINT64_C(0xd49a784bcd1b8afe), 0x4000, 0, 0},
        [F80_L2E] = {UINT64_C(0xb8aa3b295c17f0bb), 0x3fff, 0, 1},
        [F80_PI] = {UINT64_C(0xc90fdaa22168c234), 0x4000, 0, 1},
        [F80_LG2] = {UINT64_C(0x9a209a84fbcff798), 0x3ffd, 0, 1},
        [F80_LN2] = {UINT64_C(0xb17217f7d1cf79ab), 0x3ffe, 0, 1},
        [F80_ZERO] = {0, 0, 1, 0},
    };
    uint32_t which = u->extra[X87_MODRM] & 7, rounding = c->fpu.control >> 10 & 3;
    struct f80 value = {of[which].down, of[which].exponent};

    x87_wait(c, u);
    if (!of[which].exact && (rounding == 2 || (rounding == 0 && of[which].near_is_up)))
        value.mantissa++;
    x87_push(c, u, value, 0);
}

/* ---- stores --------------------------------------------------------------------------------- */

X87_INLINE void put(struct cpu *c, const struct uop *u, uint64_t la, struct f80_bits out,
                    uint32_t bytes)
{
    struct f80 ten = {out.bits, out.high};

    switch (bytes) {
    case 2:
        st16(c, u, la, (uint16_t)out.bits);
        break;
    case 4:
        st32(c, u, la, (uint32_t)out.bits);
        break;
    case 8:
        st64(c, u, la, out.bits);
        break;
    default:
        st_vector(c, u, la, &ten, 10);
        break;
    }
}

/* `indefinite` is what the masked response to an empty register stores; the `blocking` exceptions,
 * unmasked, keep it from storing and popping. */
X87_INLINE void store(struct cpu *c, const struct uop *u, convert *fn, uint32_t bytes,
                      struct f80_bits indefinite, uint32_t rounding, uint32_t blocking, bool pop)
{
    struct fpu *f = &c->fpu;
    struct f80_bits out;
    uint64_t la;

    x87_wait(c, u);
    la = x87_ea(c, u, bytes, ACCESS_WRITE);
    if (likely(x87_filled(f, 0))) {
        out = fn(x87_st(f, 0), (uint16_t)(f->control | rounding));
    } else {
        out = indefinite;
        out.status = SW_IE | SW_SF;
    }
    if (unlikely(out.status & ~(uint32_t)f->control & blocking)) {
        (void)x87_flags(c, u, out.status, SW_C1);
        return;
    }
    put(c, u, la, out, bytes);
    (void)x87_flags(c, u, out.status, SW_C1);
    if (pop)
        x87_pop(f);
}

/* As it is: nothing is raised. */
X87_INLINE struct f80_bits as_it_is(const struct f80 *a, uint16_t control)
{
    (void)control;
    return (struct f80_bits){a->mantissa, a->sign_exponent, 0};
}

#define FLOAT_BLOCKING (SW_IE | SW_OE | SW_UE)
#define STORE(name, fn, bytes, low, top, rounding, blocking, pop)                                  \
    X87_WORK name(struct cpu *c, const struct uop *u)                                              \
    {                                                                                              \
        const struct f80_bits indefinite = {UINT64_C(low), top, 0};                                \
                                                                                                   \
        store(c, u, fn, bytes, indefinite, rounding, blocking, pop);                               \
    }                                                                                              \
    X87_HANDLER(name)

STORE(fst_f32, F80(to_f32), 4, 0xffc00000, 0, 0, FLOAT_BLOCKING, false)
STORE(fstp_f32, F80(to_f32), 4, 0xffc00000, 0, 0, FLOAT_BLOCKING, true)
STORE(fst_f64, F80(to_f64), 8, 0xfff8000000000000, 0, 0, FLOAT_BLOCKING, false)
STORE(fstp_f64, F80(to_f64), 8, 0xfff8000000000000, 0, 0, FLOAT_BLOCKING, true)
STORE(fstp_f80, as_it_is, 10, 0xc000000000000000, 0xffff, 0, SW_IE, true)
STORE(fist_i16, F80(to_i16), 2, 0x8000, 0, 0, SW_IE, false)
STORE(fistp_i16, F80(to_i16), 2, 0x8000, 0, 0, SW_IE, true)
STORE(fisttp_i16, F80(to_i16), 2, 0x8000, 0, CW_RC, SW_IE, true)
STORE(fist_i32, F80(to_i32), 4, 0x80000000, 0, 0, SW_IE, false)
STORE(fistp_i32, F80(to_i32), 4, 0x80000000, 0, 0, SW_IE, true)
STORE(fisttp_i32, F80(to_i32), 4, 0x80000000, 0, CW_RC, SW_IE, true)
STORE(fistp_i64, F80(to_i64), 8, 0x8000000000000000, 0, 0, SW_IE, true)
STORE(fisttp_i64, F80(to_i64), 8, 0x8000000000000000, 0, CW_RC, SW_IE, true)
STORE(fbstp, F80(to_bcd), 10, 0xc000000000000000, 0xffff, 0, SW_IE, true)

X87_HANDLER(fld_f32)
X87_HANDLER(fld_f64)
X87_HANDLER(fld_f80)
X87_HANDLER(fild_i16)
X87_HANDLER(fild_i32)
X87_HANDLER(fild_i64)
X87_HANDLER(fbld)
X87_HANDLER(fld_st)
X87_HANDLER(load_constant)

/* ---- between registers ---------------------------------------------------------------------- */

X87_INLINE void to_register(struct cpu *c, const struct uop *u, bool pop)
{
    struct fpu *f = &c->fpu;
    struct f80 value = *x87_st(f, 0);

    x87_wait(c, u);
    if (unlikely(!x87_filled(f, 0))) {
        if (!x87_underflow(c, u, SW_C1))
            return;
        value = f80_indefinite();
    } else {
        (void)x87_flags(c, u, 0, SW_C1);
    }
    x87_fill(f, u->d, value);
    if (pop)
        x87_pop(f);
}

X87_WORK fst_st(struct cpu *c, const struct uop *u)
{
    to_register(c, u, false);
}
X87_HANDLER(fst_st)

X87_WORK fstp_st(struct cpu *c, const struct uop *u)
{
    to_register(c, u, true);
}
X87_HANDLER(fstp_st)

/* D9 D8: FSTP that does not mind an empty register, and only pops then. */
X87_WORK fstpnce(struct cpu *c, const struct uop *u)
{
    struct fpu *f = &c->fpu;

    x87_wait(c, u);
    (void)x87_flags(c, u, 0, SW_C1);
    if (x87_filled(f, 0))
        x87_fill(f, u->d, *x87_st(f, 0));
    x87_pop(f);
}
X87_HANDLER(fstpnce)

X87_WORK fxch(struct cpu *c, const struct uop *u)
{
    struct fpu *f = &c->fpu;
    struct f80 a = *x87_st(f, 0), b = *x87_st(f, u->d);

    x87_wait(c, u);
    if (unlikely(!x87_filled(f, 0) || !x87_filled(f, u->d))) {
        if (!x87_underflow(c, u, SW_C1))
            return;
        if (!x87_filled(f, 0))
            a = f80_indefinite();
        if (!x87_filled(f, u->d))
            b = f80_indefinite();
    } else {
        (void)x87_flags(c, u, 0, SW_C1);
    }
    x87_fill(f, 0, b);
    x87_fill(f, u->d, a);
}
X87_HANDLER(fxch)

/* The register must hold something even if it is not moved. */
X87_WORK fcmov(struct cpu *c, const struct uop *u)
{
    /* B, E, BE, U as condition codes; DB's are their contraries. */
    static const uint8_t condition[4] = {2, 4, 6, 10};
    struct fpu *f = &c->fpu;
    bool met;

    x87_wait(c, u);
    if (unlikely(!x87_filled(f, 0) || !x87_filled(f, u->d))) {
        if (x87_underflow(c, u, SW_C1))
            x87_fill(f, 0, f80_indefinite());
        return;
    }
    met = flags_condition(c, condition[u->extra[X87_MODRM] >> 3 & 3] ^ (u->extra[X87_OPCODE] & 1u));
    (void)x87_flags(c, u, 0, 0);
    if (met)
        x87_fill(f, 0, *x87_st(f, u->d));
}
X87_HANDLER(fcmov)

/* FABS and FCHS change a NaN's sign as well, and raise nothing. */
X87_INLINE void sign(struct cpu *c, const struct uop *u, uint32_t keep, uint32_t flip)
{
    struct fpu *f = &c->fpu;

    x87_wait(c, u);
    if (likely(x87_filled(f, 0))) {
        struct f80 *a = x87_st(f, 0);

        (void)x87_flags(c, u, 0, SW_C1);
        a->sign_exponent = (uint16_t)((a->sign_exponent & keep) ^ flip);
    } else if (x87_underflow(c, u, SW_C1)) {
        x87_fill(f, 0, f80_indefinite());
    }
}

X87_WORK fabs_st(struct cpu *c, const struct uop *u)
{
    sign(c, u, F80_EXPONENT, 0);
}
X87_HANDLER(fabs_st)

X87_WORK fchs(struct cpu *c, const struct uop *u)
{
    sign(c, u, 0xffff, F80_SIGN);
}
X87_HANDLER(fchs)

X87_INLINE void release(struct cpu *c, const struct uop *u, bool pop)
{
    struct fpu *f = &c->fpu;

    x87_wait(c, u);
    (void)x87_flags(c, u, 0, SW_C1);
    f->valid = (uint8_t)(f->valid & ~(1u << x87_at(f, u->d)));
    if (pop)
        x87_pop(f);
}

X87_WORK ffree(struct cpu *c, const struct uop *u)
{
    release(c, u, false);
}
X87_HANDLER(ffree)

X87_WORK ffreep(struct cpu *c, const struct uop *u)
{
    release(c, u, true);
}
X87_HANDLER(ffreep)

X87_INLINE void turn(struct cpu *c, const struct uop *u, int by)
{
    x87_wait(c, u);
    (void)x87_flags(c, u, 0, SW_C1);
    c->fpu.top = (uint8_t)(c->fpu.top + by) & 7;
}

X87_WORK fincstp(struct cpu *c, const struct uop *u)
{
    turn(c, u, 1);
}
X87_HANDLER(fincstp)

X87_WORK fdecstp(struct cpu *c, const struct uop *u)
{
    turn(c, u, -1);
}
X87_HANDLER(fdecstp)

/* ---- by opcode ------------------------------------------------------------------------------ */

static op_fn *in_registers(uint8_t opcode, uint8_t modrm)
{
    switch (opcode << 8 | (modrm & 0xf8)) {
    case 0xd9c0:
        return op_fld_st;
    case 0xd9c8:
    case 0xddc8:
    case 0xdfc8:
        return op_fxch;
    case 0xd9e8:
        return (modrm & 7) <= F80_ZERO ? op_load_constant : NULL;
    case 0xddc0:
        return op_ffree;
    case 0xdfc0:
        return op_ffreep;
    case 0xddd0:
        return op_fst_st;
    case 0xd9d8:
        return op_fstpnce;
    case 0xddd8:
    case 0xdfd0:
    case 0xdfd8:
        return op_fstp_st;
    default:
        break;
    }
    if ((opcode == 0xda || opcode == 0xdb) && modrm < 0xe0)
        return op_fcmov;
    switch (opcode << 8 | modrm) {
    case 0xd9e0:
        return op_fchs;
    case 0xd9e1:
        return op_fabs_st;
    case 0xd9f6:
        return op_fdecstp;
    case 0xd9f7:
        return op_fincstp;
    default:
        return NULL;
    }
}

op_fn *x87_move_handler(uint8_t opcode, uint8_t modrm)
{
    /* D9, DB, DD, DF by bits 2 and 1; then bits 5 to 3 of ModRM. */
    static op_fn *const memory[4][8] = {
        {op_fld_f32, NULL, op_fst_f32, op_fstp_f32},
        {op_fild_i32, op_fisttp_i32, op_fist_i32, op_fistp_i32, NULL, op_fld_f80, NULL,
         op_fstp_f80},
        {op_fld_f64, op_fisttp_i64, op_fst_f64, op_fstp_f64},
        {op_fild_i16, op_fisttp_i16, op_fist_i16, op_fistp_i16, op_fbld, op_fild_i64, op_fbstp,
         op_fistp_i64},
    };

    if (modrm >= 0xc0)
        return in_registers(opcode, modrm);
    return opcode & 1 ? memory[opcode >> 1 & 3][modrm >> 3 & 7] : NULL;
}
