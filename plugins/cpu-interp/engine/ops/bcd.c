/* SPDX-License-Identifier: MIT
 *
 * ops/bcd.c - AAA AAS AAM AAD DAA DAS, SALC, BOUND: none of them exists in 64-bit code.
 *
 * Intel SDM 2, each instruction's page; SALC: AMD's and Intel's opcode maps, D6. Flags that the
 * manual leaves undefined are 0.
 */
#include "operands.h"

#include <Zydis/Mnemonic.h>

#define HANDLER(name) static const struct uop *name(struct cpu *c, const struct uop *u)
#define AL 0
#define AH 1

INLINE bool adjusts_low(const struct cpu *c, uint32_t flags)
{
    return (get8(c, AL) & 0xf) > 9 || (flags & FLAG_AF);
}

/* AAA, and AAS with `sign` -1. */
static void adjust_ascii(struct cpu *c, int32_t sign)
{
    uint32_t flags = 0;

    if (adjusts_low(c, flags_get(c))) {
        set16(c, RAX, (uint16_t)(get16(c, RAX) + sign * 0x106));
        flags = FLAG_AF | FLAG_CF;
    }
    set8(c, AL, get8(c, AL) & 0xf);
    flags_set(c, flags);
}

HANDLER(op_aaa)
{
    adjust_ascii(c, 1);
    NEXT(c, u);
}

/* AX - 6, then AH - 1: a borrow from AL counts as well. */
HANDLER(op_aas)
{
    adjust_ascii(c, -1);
    NEXT(c, u);
}

HANDLER(op_aam)
{
    uint8_t base = (uint8_t)u->imm, al = get8(c, AL);

    if (!base)
        raise_exception(c, u, EXC_DE);
    set8(c, AH, al / base);
    set8(c, AL, al % base);
    flags_set(c, flags_szp(al % base, 0));
    NEXT(c, u);
}

HANDLER(op_aad)
{
    uint8_t r = (uint8_t)(get8(c, AL) + get8(c, AH) * (uint8_t)u->imm);

    set16(c, RAX, r);
    flags_set(c, flags_szp(r, 0));
    NEXT(c, u);
}

HANDLER(op_daa)
{
    uint32_t old = flags_get(c), flags = 0;
    uint8_t al = get8(c, AL), r = al;

    if (adjusts_low(c, old)) {
        r = (uint8_t)(r + 6);
        flags |= FLAG_AF;
    }
    if (al > 0x99 || (old & FLAG_CF)) {
        r = (uint8_t)(r + 0x60);
        flags |= FLAG_CF;
    }
    set8(c, AL, r);
    flags_set(c, flags | flags_szp(r, 0));
    NEXT(c, u);
}

HANDLER(op_das)
{
    uint32_t old = flags_get(c), flags = 0;
    uint8_t al = get8(c, AL), r = al;

    if (adjusts_low(c, old)) {
        if (al < 6)
            flags |= FLAG_CF;
        r = (uint8_t)(r - 6);
        flags |= FLAG_AF;
    }
    if (al > 0x99 || (old & FLAG_CF)) {
        r = (uint8_t)(r - 0x60);
        flags |= FLAG_CF;
    }
    set8(c, AL, r);
    flags_set(c, flags | flags_szp(r, 0));
    NEXT(c, u);
}

HANDLER(op_salc)
{
    set8(c, AL, flags_carry(c) ? 0xff : 0);
    NEXT(c, u);
}

HANDLER(op_bound)
{
    uint32_t bytes = u->osize;
    uint64_t la = ea_any(c, u, bytes * 2, ACCESS_READ);
    int64_t low = (int64_t)sign_extend(load(c, u, la, bytes), bytes);
    int64_t high = (int64_t)sign_extend(load(c, u, la + bytes, bytes), bytes);
    int64_t index = (int64_t)sign_extend(get_reg(c, u->d, bytes), bytes);

    if (index < low || index > high)
        raise_exception(c, u, EXC_BR);
    NEXT(c, u);
}

/* ---- emitters ------------------------------------------------------------------------------- */

#define DEFINE_EMITTER(name)                                                                       \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        e->uop->imm = e->insn->op[0].imm; /* of AAM and AAD */                                     \
        e->uop->fn = op_##name;                                                                    \
        return !(e->mode & MODE_64);                                                               \
    }
DEFINE_EMITTER(aaa)
DEFINE_EMITTER(aas)
DEFINE_EMITTER(aam)
DEFINE_EMITTER(aad)
DEFINE_EMITTER(daa)
DEFINE_EMITTER(das)
DEFINE_EMITTER(salc)

static bool emit_bound(struct emit *e)
{
    if (e->mode & MODE_64 || e->insn->op[1].kind != OPERAND_MEM)
        return false;
    emit_memory(e, &e->insn->op[1]);
    e->uop->d = emit_gpr(&e->insn->op[0]);
    e->uop->osize = e->insn->op[0].bytes;
    e->uop->fn = op_bound;
    return true;
}

const struct emit_entry emit_bcd[] = {
    {ZYDIS_MNEMONIC_AAA, emit_aaa},
    {ZYDIS_MNEMONIC_AAS, emit_aas},
    {ZYDIS_MNEMONIC_AAM, emit_aam},
    {ZYDIS_MNEMONIC_AAD, emit_aad},
    {ZYDIS_MNEMONIC_DAA, emit_daa},
    {ZYDIS_MNEMONIC_DAS, emit_das},
    {ZYDIS_MNEMONIC_SALC, emit_salc},
    {ZYDIS_MNEMONIC_BOUND, emit_bound},
    {0, NULL},
};
