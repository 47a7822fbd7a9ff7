/* SPDX-License-Identifier: MIT
 *
 * ops/muldiv.c - MUL, IMUL, DIV, IDIV, MULX, and the sign extensions of the accumulator.
 *
 * Intel SDM 2, each instruction's page. Flags that the manual leaves undefined: multiplications
 * clear them, which costs nothing, and divisions leave all alone.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

/* CF and OF: the upper half says something. */
INLINE void multiply_flags(struct cpu *c, bool overflow)
{
    flags_set(c, overflow ? FLAG_CF | FLAG_OF : 0);
}

/* ---- multiplication ------------------------------------------------------------------------- */

/* To rDX:rAX. */
#define DEFINE_MUL(bits, wide, swide, form, source)                                                \
    HANDLER(op_mul_##form##bits)                                                                   \
    {                                                                                              \
        wide r = (wide)get##bits(c, RAX) * (wide)source;                                           \
                                                                                                   \
        set##bits(c, RAX, (uint##bits##_t)r);                                                      \
        set##bits(c, RDX, (uint##bits##_t)(r >> bits));                                            \
        multiply_flags(c, r >> bits != 0);                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_mulq_##form##bits)                                                                  \
    {                                                                                              \
        wide r = (wide)get##bits(c, RAX) * (wide)source;                                           \
                                                                                                   \
        set##bits(c, RAX, (uint##bits##_t)r);                                                      \
        set##bits(c, RDX, (uint##bits##_t)(r >> bits));                                            \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_imul1_##form##bits)                                                                 \
    {                                                                                              \
        swide r = (swide)(int##bits##_t)get##bits(c, RAX) * (swide)(int##bits##_t)source;          \
                                                                                                   \
        set##bits(c, RAX, (uint##bits##_t)r);                                                      \
        set##bits(c, RDX, (uint##bits##_t)(r >> bits));                                            \
        multiply_flags(c, r != (int##bits##_t)r);                                                  \
        NEXT(c, u);                                                                                \
    }
#define DEFINE_MULS(bits, wide, swide)                                                             \
    DEFINE_MUL(bits, wide, swide, r, get##bits(c, u->s))                                           \
    DEFINE_MUL(bits, wide, swide, m, ld##bits(c, u, ea_fast(c, u)))                                \
    DEFINE_MUL(bits, wide, swide, n, ld##bits(c, u, ea_any(c, u, bits / 8, ACCESS_READ)))
DEFINE_MULS(16, uint32_t, int32_t)
DEFINE_MULS(32, uint64_t, int64_t)
DEFINE_MULS(64, u128, i128)

/* Rows: MUL, MUL without flags, IMUL; r, m, n. */
#define MUL_ROW(op)                                                                                \
    {                                                                                              \
        MUL_COLUMN(op, 16), MUL_COLUMN(op, 32), MUL_COLUMN(op, 64)                                 \
    }
#define MUL_COLUMN(op, bits)                                                                       \
    {                                                                                              \
        op_##op##_r##bits, op_##op##_m##bits, op_##op##_n##bits                                    \
    }
static op_fn *const table_mul[3][3][3] = {MUL_ROW(mul), MUL_ROW(mulq), MUL_ROW(imul1)};

/* AL times a byte to AX. extra[1]: signed. */
HANDLER(op_mul8)
{
    uint8_t b = (uint8_t)get_rm(c, u, 1), a = get8(c, RAX);
    int32_t r = u->extra[1] ? (int8_t)a * (int8_t)b : a * b;

    set16(c, RAX, (uint16_t)r);
    multiply_flags(c, u->extra[1] ? r != (int8_t)r : r > UINT8_MAX);
    NEXT(c, u);
}

/* To a register of the operands' size. q: nobody reads the flags. */
#define DEFINE_IMUL(bits, form, left, right)                                                       \
    HANDLER(op_imul_##form##bits)                                                                  \
    {                                                                                              \
        int##bits##_t r, b = (int##bits##_t)(right), a = (int##bits##_t)(left);                    \
        bool over = __builtin_mul_overflow(a, b, &r);                                              \
                                                                                                   \
        set##bits(c, u->d, (uint##bits##_t)r);                                                     \
        multiply_flags(c, over);                                                                   \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_imulq_##form##bits)                                                                 \
    {                                                                                              \
        uint64_t b = (uint##bits##_t)(right);                                                      \
                                                                                                   \
        set##bits(c, u->d, (uint##bits##_t)((uint##bits##_t)(left)*b));                            \
        NEXT(c, u);                                                                                \
    }
#define DEFINE_IMULS(bits)                                                                         \
    DEFINE_IMUL(bits, rr, get##bits(c, u->d), get##bits(c, u->s))                                  \
    DEFINE_IMUL(bits, rm, get##bits(c, u->d), ld##bits(c, u, ea_fast(c, u)))                       \
    DEFINE_IMUL(bits, rn, get##bits(c, u->d), ld##bits(c, u, ea_any(c, u, bits / 8, ACCESS_READ))) \
    DEFINE_IMUL(bits, rri, get##bits(c, u->s), (int64_t)u->imm)                                    \
    DEFINE_IMUL(bits, rmi, ld##bits(c, u, ea_fast(c, u)), u->imm32)                                \
    DEFINE_IMUL(bits, rni, ld##bits(c, u, ea_any(c, u, bits / 8, ACCESS_READ)), u->imm32)
DEFINE_IMULS(16)
DEFINE_IMULS(32)
DEFINE_IMULS(64)

#define IMUL_COLUMN(op, bits)                                                                      \
    {                                                                                              \
        op_##op##_rr##bits, op_##op##_rm##bits, op_##op##_rn##bits, op_##op##_rri##bits,           \
            op_##op##_rmi##bits, op_##op##_rni##bits                                               \
    }
static op_fn *const table_imul[2][3][6] = {
    {IMUL_COLUMN(imul, 16), IMUL_COLUMN(imul, 32), IMUL_COLUMN(imul, 64)},
    {IMUL_COLUMN(imulq, 16), IMUL_COLUMN(imulq, 32), IMUL_COLUMN(imulq, 64)},
};

/* Upper half to d, lower half to extra[1], the former last. */
HANDLER(op_mulx)
{
    uint32_t bytes = u->osize;
    uint64_t b = get_rm(c, u, bytes);
    u128 r = (u128)b * get_reg(c, RDX, bytes);

    set_reg(c, u->extra[1], bytes, (uint64_t)r);
    set_reg(c, u->d, bytes, (uint64_t)(r >> (8 * bytes)));
    NEXT(c, u);
}

/* ---- division ------------------------------------------------------------------------------- */

#define DEFINE_DIV(bits, wide, swide)                                                              \
    static void divide##bits(struct cpu *c, const struct uop *u, uint##bits##_t b)                 \
    {                                                                                              \
        wide a = (wide)((wide)get##bits(c, RDX) << bits | get##bits(c, RAX));                      \
                                                                                                   \
        if (b == 0 || (uint##bits##_t)(a >> bits) >= b)                                            \
            raise_exception(c, u, EXC_DE);                                                         \
        set##bits(c, RAX, (uint##bits##_t)(a / b));                                                \
        set##bits(c, RDX, (uint##bits##_t)(a % b));                                                \
    }                                                                                              \
    static void idivide##bits(struct cpu *c, const struct uop *u, uint##bits##_t divisor)          \
    {                                                                                              \
        swide a = (swide)((wide)get##bits(c, RDX) << bits | get##bits(c, RAX)), q;                 \
        int##bits##_t b = (int##bits##_t)divisor;                                                  \
                                                                                                   \
        if (b == 0 || (b == -1 && a == (swide)((wide)1 << (2 * bits - 1))))                        \
            raise_exception(c, u, EXC_DE);                                                         \
        q = a / b;                                                                                 \
        if (q != (int##bits##_t)q)                                                                 \
            raise_exception(c, u, EXC_DE);                                                         \
        set##bits(c, RAX, (uint##bits##_t)q);                                                      \
        set##bits(c, RDX, (uint##bits##_t)(a % b));                                                \
    }
DEFINE_DIV(16, uint32_t, int32_t)
DEFINE_DIV(32, uint64_t, int64_t)

static void divide64(struct cpu *c, const struct uop *u, uint64_t b)
{
    uint64_t high = c->reg[RDX];

    if (high >= b) /* b is 0, or the quotient too wide */
        raise_exception(c, u, EXC_DE);
    if (high == 0) {
        uint64_t low = c->reg[RAX];
        c->reg[RAX] = low / b;
        c->reg[RDX] = low % b;
        return;
    }
    u128 a = (u128)high << 64 | c->reg[RAX];
    c->reg[RAX] = (uint64_t)(a / b);
    c->reg[RDX] = (uint64_t)(a % b);
}

static void idivide64(struct cpu *c, const struct uop *u, uint64_t divisor)
{
    i128 a = (i128)((u128)c->reg[RDX] << 64 | c->reg[RAX]), q;
    int64_t b = (int64_t)divisor;

    if (b == 0 || (b == -1 && a == (i128)((u128)1 << 127)))
        raise_exception(c, u, EXC_DE);
    q = a / b;
    if (q != (int64_t)q)
        raise_exception(c, u, EXC_DE);
    c->reg[RAX] = (uint64_t)q;
    c->reg[RDX] = (uint64_t)(a % b);
}

/* AX by a byte: quotient to AL, remainder to AH. */
static void divide8(struct cpu *c, const struct uop *u, uint8_t b)
{
    uint32_t a = get16(c, RAX);

    if (b == 0 || a / b > UINT8_MAX)
        raise_exception(c, u, EXC_DE);
    set16(c, RAX, (uint16_t)(a % b << 8 | a / b));
}

static void idivide8(struct cpu *c, const struct uop *u, uint8_t divisor)
{
    int32_t a = (int16_t)get16(c, RAX), b = (int8_t)divisor;

    if (b == 0 || a / b != (int8_t)(a / b))
        raise_exception(c, u, EXC_DE);
    set16(c, RAX, (uint16_t)((uint32_t)(a % b) << 8 | (uint8_t)(a / b)));
}

#define DEFINE_DIV_HANDLERS(bits)                                                                  \
    HANDLER(op_div##bits)                                                                          \
    {                                                                                              \
        divide##bits(c, u, (uint##bits##_t)get_rm(c, u, bits / 8));                                \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    HANDLER(op_idiv##bits)                                                                         \
    {                                                                                              \
        idivide##bits(c, u, (uint##bits##_t)get_rm(c, u, bits / 8));                               \
        NEXT(c, u);                                                                                \
    }
DEFINE_DIV_HANDLERS(8)
DEFINE_DIV_HANDLERS(16)
DEFINE_DIV_HANDLERS(32)
DEFINE_DIV_HANDLERS(64)

static op_fn *const table_div[2][4] = {{op_div8, op_div16, op_div32, op_div64},
                                       {op_idiv8, op_idiv16, op_idiv32, op_idiv64}};

/* ---- sign extension of the accumulator ------------------------------------------------------ */

HANDLER(op_cbw)
{
    set16(c, RAX, (uint16_t)(int8_t)get8(c, RAX));
    NEXT(c, u);
}

HANDLER(op_cwde)
{
    set32(c, RAX, (uint32_t)(int16_t)get16(c, RAX));
    NEXT(c, u);
}

HANDLER(op_cdqe)
{
    set64(c, RAX, (uint64_t)(int32_t)get32(c, RAX));
    NEXT(c, u);
}

HANDLER(op_cwd)
{
    set16(c, RDX, (uint16_t)((int16_t)get16(c, RAX) >> 15));
    NEXT(c, u);
}

HANDLER(op_cdq)
{
    set32(c, RDX, (uint32_t)((int32_t)get32(c, RAX) >> 31));
    NEXT(c, u);
}

HANDLER(op_cqo)
{
    set64(c, RDX, (uint64_t)((int64_t)get64(c, RAX) >> 63));
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

/* One operand. `row` of table_mul. */
static bool emit_wide(struct emit *e, uint32_t row)
{
    const struct operand *o = &e->insn->op[0];
    struct uop *u = e->uop;
    uint32_t form = 0;

    if (o->bytes == 1) {
        emit_rm(e, o, 1);
        u->extra[1] = row == 2;
        u->fn = op_mul8;
        return true;
    }
    if (o->kind == OPERAND_MEM)
        form = emit_memory(e, o) ? 1 : 2;
    else
        u->s = emit_gpr(o);
    u->fn = table_mul[row][size_log(o->bytes) - 1][form];
    return true;
}

static bool emit_mul(struct emit *e)
{
    return emit_wide(e, e->live ? 0 : 1);
}

static bool emit_imul(struct emit *e)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    struct uop *u = e->uop;
    uint32_t form = 0;

    if (e->insn->opcode_map == 0 && (e->insn->opcode & 0xfe) == 0xf6)
        return emit_wide(e, 2);
    u->d = emit_gpr(d);
    if (s->kind == OPERAND_MEM)
        form = emit_memory(e, s) ? 1 : 2;
    else
        u->s = emit_gpr(s);
    if (e->insn->opcode_map == 0) { /* 69 and 6B */
        if (form)
            u->imm32 = (int32_t)(uint32_t)e->insn->op[2].imm;
        else
            u->imm = e->insn->op[2].imm;
        form += 3;
    }
    u->fn = table_imul[!e->live][size_log(d->bytes) - 1][form];
    return true;
}

static bool emit_division(struct emit *e, bool is_signed)
{
    const struct operand *o = &e->insn->op[0];

    emit_rm(e, o, o->bytes);
    e->uop->fn = table_div[is_signed][size_log(o->bytes)];
    return true;
}

static bool emit_div(struct emit *e)
{
    return emit_division(e, false);
}

static bool emit_idiv(struct emit *e)
{
    return emit_division(e, true);
}

static bool emit_mulx(struct emit *e)
{
    emit_rm(e, &e->insn->op[2], e->insn->op[0].bytes);
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->extra[1] = emit_gpr(&e->insn->op[1]);
    e->uop->fn = op_mulx;
    return true;
}

#define DEFINE_PLAIN(name)                                                                         \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        e->uop->fn = op_##name;                                                                    \
        return true;                                                                               \
    }
DEFINE_PLAIN(cbw)
DEFINE_PLAIN(cwde)
DEFINE_PLAIN(cdqe)
DEFINE_PLAIN(cwd)
DEFINE_PLAIN(cdq)
DEFINE_PLAIN(cqo)

const struct emit_entry emit_muldiv[] = {
    {ZYDIS_MNEMONIC_MUL, emit_mul},   {ZYDIS_MNEMONIC_IMUL, emit_imul},
    {ZYDIS_MNEMONIC_DIV, emit_div},   {ZYDIS_MNEMONIC_IDIV, emit_idiv},
    {ZYDIS_MNEMONIC_MULX, emit_mulx}, {ZYDIS_MNEMONIC_CBW, emit_cbw},
    {ZYDIS_MNEMONIC_CWDE, emit_cwde}, {ZYDIS_MNEMONIC_CDQE, emit_cdqe},
    {ZYDIS_MNEMONIC_CWD, emit_cwd},   {ZYDIS_MNEMONIC_CDQ, emit_cdq},
    {ZYDIS_MNEMONIC_CQO, emit_cqo},   {0, NULL},
};
