/* SPDX-License-Identifier: MIT
 *
 * ops/bit.c - BT BTS BTR BTC, BSF BSR TZCNT LZCNT POPCNT, BMI1 and BMI2.
 *
 * Intel SDM 2, each instruction's page. BT and its kind leave ZF alone, and clear the flags that
 * the manual leaves undefined. BSF and BSR of 0 leave the destination alone.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)

enum { BT, BTS, BTR, BTC };

/* ---- bit tests: extra[1] is which; extra[2]: the bit's number is imm8 instead of register s ---
 */

INLINE void bit_flags(struct cpu *c, uint64_t bit)
{
    flags_set(c, (uint32_t)(bit & 1) | (flags_zero(c) ? FLAG_ZF : 0));
}

static uint64_t with_bit(uint32_t op, uint64_t a, uint32_t n)
{
    uint64_t bit = (uint64_t)1 << n;

    return op == BTS ? a | bit : op == BTR ? a & ~bit : op == BTC ? a ^ bit : a;
}

HANDLER(op_bt_r)
{
    uint32_t bytes = u->osize;
    uint32_t n = (u->extra[2] ? u->imm8 : (uint32_t)c->reg[u->s]) & (bytes * 8 - 1);
    uint64_t a = get_reg(c, u->d, bytes);

    if (u->extra[1] != BT)
        set_reg(c, u->d, bytes, with_bit(u->extra[1], a, n));
    bit_flags(c, a >> n);
    NEXT(c, u);
}

/* A register's bit number reaches beyond the operand, to either side. */
static uint64_t bit_address(struct cpu *c, const struct uop *u, uint32_t access)
{
    uint32_t bytes = u->osize;
    int64_t number = (int64_t)sign_extend(get_reg(c, u->s, bytes), bytes);
    uint64_t words = (uint64_t)(number >> (3 + size_log(bytes)));

    if (u->extra[2])
        return ea_any(c, u, bytes, access);
    return ea_segment(c, u, u->seg, (ea_offset(c, u) + words * bytes) & size_mask(u->asize), bytes,
                      access);
}

HANDLER(op_bt_m)
{
    uint32_t bytes = u->osize;
    uint32_t n = (u->extra[2] ? u->imm8 : (uint32_t)c->reg[u->s]) & (bytes * 8 - 1);
    uint64_t la, a;

    if (u->extra[1] == BT) {
        a = load(c, u, bit_address(c, u, ACCESS_READ), bytes);
    } else {
        la = bit_address(c, u, ACCESS_WRITE);
        probe_write(c, u, la, bytes);
        a = load(c, u, la, bytes);
        store(c, u, la, with_bit(u->extra[1], a, n), bytes);
    }
    bit_flags(c, a >> n);
    NEXT(c, u);
}

/* ---- counts --------------------------------------------------------------------------------- */

HANDLER(op_bsf)
{
    uint64_t a = get_rm(c, u, u->osize);

    if (a)
        set_reg(c, u->d, u->osize, (uint64_t)__builtin_ctzll(a));
    flags_set(c, a ? 0 : FLAG_ZF);
    NEXT(c, u);
}

HANDLER(op_bsr)
{
    uint64_t a = get_rm(c, u, u->osize);

    if (a)
        set_reg(c, u->d, u->osize, 63 - (uint64_t)__builtin_clzll(a));
    flags_set(c, a ? 0 : FLAG_ZF);
    NEXT(c, u);
}

HANDLER(op_tzcnt)
{
    uint32_t bits = u->osize * 8u;
    uint64_t a = get_rm(c, u, u->osize), r = a ? (uint64_t)__builtin_ctzll(a) : bits;

    set_reg(c, u->d, u->osize, r);
    flags_set(c, (a ? 0 : FLAG_CF) | (r ? 0 : FLAG_ZF));
    NEXT(c, u);
}

HANDLER(op_lzcnt)
{
    uint32_t bits = u->osize * 8u;
    uint64_t a = get_rm(c, u, u->osize), r = bits;

    if (a)
        r = (uint64_t)__builtin_clzll(a) - (64 - bits);
    set_reg(c, u->d, u->osize, r);
    flags_set(c, (a ? 0 : FLAG_CF) | (r ? 0 : FLAG_ZF));
    NEXT(c, u);
}

HANDLER(op_popcnt)
{
    uint64_t a = get_rm(c, u, u->osize);

    set_reg(c, u->d, u->osize, (uint64_t)__builtin_popcountll(a));
    flags_set(c, a ? 0 : FLAG_ZF);
    NEXT(c, u);
}

/* ---- BMI: extra[1] is the register in VEX.vvvv ---------------------------------------------- */

INLINE void bmi_result(struct cpu *c, const struct uop *u, uint64_t r, bool carry)
{
    r &= size_mask(u->osize);
    set_reg(c, u->d, u->osize, r);
    flags_set(c, (flags_szp(r, size_log(u->osize)) & ~FLAG_PF) | (carry ? FLAG_CF : 0));
}

HANDLER(op_andn)
{
    uint64_t a = get_rm(c, u, u->osize);

    bmi_result(c, u, ~c->reg[u->extra[1]] & a, false);
    NEXT(c, u);
}

/* SF is undefined: 0. */
HANDLER(op_bextr)
{
    uint64_t a = get_rm(c, u, u->osize), control = c->reg[u->extra[1]];
    uint32_t start = control & 0xff, length = control >> 8 & 0xff;

    a = start < 64 ? a >> start : 0;
    if (length < 64)
        a &= ((uint64_t)1 << length) - 1;
    set_reg(c, u->d, u->osize, a);
    flags_set(c, a ? 0 : FLAG_ZF);
    NEXT(c, u);
}

HANDLER(op_blsi)
{
    uint64_t a = get_rm(c, u, u->osize);

    bmi_result(c, u, a & (0 - a), a != 0);
    NEXT(c, u);
}

HANDLER(op_blsmsk)
{
    uint64_t a = get_rm(c, u, u->osize);

    bmi_result(c, u, a ^ (a - 1), a == 0);
    NEXT(c, u);
}

HANDLER(op_blsr)
{
    uint64_t a = get_rm(c, u, u->osize);

    bmi_result(c, u, a & (a - 1), a == 0);
    NEXT(c, u);
}

HANDLER(op_bzhi)
{
    uint64_t a = get_rm(c, u, u->osize);
    uint32_t n = c->reg[u->extra[1]] & 0xff, bits = u->osize * 8u;

    bmi_result(c, u, n < bits ? a & (((uint64_t)1 << n) - 1) : a, n >= bits);
    NEXT(c, u);
}

static uint64_t deposit(uint64_t from, uint64_t mask)
{
    uint64_t r = 0;

    for (; mask; mask &= mask - 1, from >>= 1)
        if (from & 1)
            r |= mask & (0 - mask);
    return r;
}

static uint64_t extract(uint64_t from, uint64_t mask)
{
    uint64_t r = 0;

    for (uint32_t k = 0; mask; mask &= mask - 1, k++)
        if (from & mask & (0 - mask))
            r |= (uint64_t)1 << k;
    return r;
}

HANDLER(op_pdep)
{
    uint64_t mask = get_rm(c, u, u->osize);

    set_reg(c, u->d, u->osize, deposit(get_reg(c, u->extra[1], u->osize), mask));
    NEXT(c, u);
}

HANDLER(op_pext)
{
    uint64_t mask = get_rm(c, u, u->osize);

    set_reg(c, u->d, u->osize, extract(get_reg(c, u->extra[1], u->osize), mask));
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

static bool emit_bit_test(struct emit *e, uint8_t op)
{
    const struct operand *d = &e->insn->op[0], *s = &e->insn->op[1];
    struct uop *u = e->uop;

    if (e->insn->lock)
        return emit_locked(e);
    if (d->kind == OPERAND_MEM) {
        emit_memory(e, d);
        u->fn = op_bt_m;
    } else {
        u->d = emit_gpr(d);
        u->fn = op_bt_r;
    }
    if (s->kind == OPERAND_IMM) {
        u->imm8 = (uint8_t)s->imm;
        u->extra[2] = 1;
    } else {
        u->s = emit_gpr(s);
    }
    u->osize = d->bytes;
    u->extra[1] = op;
    return true;
}

static bool emit_bt(struct emit *e)
{
    return emit_bit_test(e, BT);
}

static bool emit_bts(struct emit *e)
{
    return emit_bit_test(e, BTS);
}

static bool emit_btr(struct emit *e)
{
    return emit_bit_test(e, BTR);
}

static bool emit_btc(struct emit *e)
{
    return emit_bit_test(e, BTC);
}

/* `rm` and `vvvv` are the numbers of the operands; vvvv 0: none, or the destination. */
static bool emit_operands(struct emit *e, op_fn *fn, uint32_t rm, uint32_t vvvv)
{
    emit_rm(e, &e->insn->op[rm], e->insn->op[0].bytes);
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->extra[1] = emit_gpr(&e->insn->op[vvvv]);
    e->uop->fn = fn;
    return true;
}

#define DEFINE_EMITTER(name, rm, vvvv)                                                             \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_operands(e, op_##name, rm, vvvv);                                              \
    }
DEFINE_EMITTER(bsf, 1, 0)
DEFINE_EMITTER(bsr, 1, 0)
DEFINE_EMITTER(tzcnt, 1, 0)
DEFINE_EMITTER(lzcnt, 1, 0)
DEFINE_EMITTER(popcnt, 1, 0)
DEFINE_EMITTER(andn, 2, 1)
DEFINE_EMITTER(bextr, 1, 2)
DEFINE_EMITTER(blsi, 1, 0)
DEFINE_EMITTER(blsmsk, 1, 0)
DEFINE_EMITTER(blsr, 1, 0)
DEFINE_EMITTER(bzhi, 1, 2)
DEFINE_EMITTER(pdep, 2, 1)
DEFINE_EMITTER(pext, 2, 1)

const struct emit_entry emit_bit[] = {
    {ZYDIS_MNEMONIC_BT, emit_bt},         {ZYDIS_MNEMONIC_BTS, emit_bts},
    {ZYDIS_MNEMONIC_BTR, emit_btr},       {ZYDIS_MNEMONIC_BTC, emit_btc},
    {ZYDIS_MNEMONIC_BSF, emit_bsf},       {ZYDIS_MNEMONIC_BSR, emit_bsr},
    {ZYDIS_MNEMONIC_TZCNT, emit_tzcnt},   {ZYDIS_MNEMONIC_LZCNT, emit_lzcnt},
    {ZYDIS_MNEMONIC_POPCNT, emit_popcnt}, {ZYDIS_MNEMONIC_ANDN, emit_andn},
    {ZYDIS_MNEMONIC_BEXTR, emit_bextr},   {ZYDIS_MNEMONIC_BLSI, emit_blsi},
    {ZYDIS_MNEMONIC_BLSMSK, emit_blsmsk}, {ZYDIS_MNEMONIC_BLSR, emit_blsr},
    {ZYDIS_MNEMONIC_BZHI, emit_bzhi},     {ZYDIS_MNEMONIC_PDEP, emit_pdep},
    {ZYDIS_MNEMONIC_PEXT, emit_pext},     {0, NULL},
};
