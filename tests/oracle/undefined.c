/* SPDX-License-Identifier: MIT
 *
 * undefined.c - what the manual leaves undefined, by mnemonic (SDM 2, "Flags Affected" and
 * "Operation" of each instruction; SDM 1, appendix A).
 */
#include "oracle.h"

#include <string.h>

enum kind {
    ALWAYS,       /* the flags are undefined whatever the operands are */
    SHIFT,        /* SHL, SHR, SAR */
    ROTATE,       /* ROL, ROR, RCL, RCR */
    DOUBLE_SHIFT, /* SHLD, SHRD */
    BIT_SCAN      /* BSF, BSR */
};

static const struct {
    uint16_t mnemonic;
    uint8_t kind;
    uint32_t flags; /* in some case */
} table[] = {
    {ZYDIS_MNEMONIC_AND, ALWAYS, F_AF},
    {ZYDIS_MNEMONIC_OR, ALWAYS, F_AF},
    {ZYDIS_MNEMONIC_XOR, ALWAYS, F_AF},
    {ZYDIS_MNEMONIC_TEST, ALWAYS, F_AF},
    {ZYDIS_MNEMONIC_MUL, ALWAYS, F_SF | F_ZF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_IMUL, ALWAYS, F_SF | F_ZF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_DIV, ALWAYS, F_ALL},
    {ZYDIS_MNEMONIC_IDIV, ALWAYS, F_ALL},
    {ZYDIS_MNEMONIC_BT, ALWAYS, F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_BTS, ALWAYS, F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_BTR, ALWAYS, F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_BTC, ALWAYS, F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_BSF, BIT_SCAN, F_CF | F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_BSR, BIT_SCAN, F_CF | F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_LZCNT, ALWAYS, F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_TZCNT, ALWAYS, F_OF | F_SF | F_AF | F_PF},
    {ZYDIS_MNEMONIC_ANDN, ALWAYS, F_AF | F_PF},
    {ZYDIS_MNEMONIC_BEXTR, ALWAYS, F_AF | F_SF | F_PF},
    {ZYDIS_MNEMONIC_BLSI, ALWAYS, F_AF | F_PF},
    {ZYDIS_MNEMONIC_BLSMSK, ALWAYS, F_AF | F_PF},
    {ZYDIS_MNEMONIC_BLSR, ALWAYS, F_AF | F_PF},
    {ZYDIS_MNEMONIC_BZHI, ALWAYS, F_AF | F_PF},
    {ZYDIS_MNEMONIC_SHL, SHIFT, F_CF | F_OF | F_AF},
    {ZYDIS_MNEMONIC_SHR, SHIFT, F_CF | F_OF | F_AF},
    {ZYDIS_MNEMONIC_SAR, SHIFT, F_OF | F_AF},
    {ZYDIS_MNEMONIC_ROL, ROTATE, F_OF},
    {ZYDIS_MNEMONIC_ROR, ROTATE, F_OF},
    {ZYDIS_MNEMONIC_RCL, ROTATE, F_OF},
    {ZYDIS_MNEMONIC_RCR, ROTATE, F_OF},
    {ZYDIS_MNEMONIC_SHLD, DOUBLE_SHIFT, F_ALL},
    {ZYDIS_MNEMONIC_SHRD, DOUBLE_SHIFT, F_ALL},
};

#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static size_t table_find(ZydisMnemonic m)
{
    size_t i = 0;

    while (i < TABLE_COUNT && table[i].mnemonic != m)
        i++;
    return i;
}

uint32_t undefined_flags_ever(const struct decoded *d)
{
    size_t i = table_find(d->insn.mnemonic);

    return i < TABLE_COUNT ? table[i].flags : 0;
}

static int gpr_number(const ZydisDecodedOperand *o)
{
    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return -1;
    return ZydisRegisterGetId(
        ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value));
}

/* The count of a shift, masked as the instruction does. */
static uint32_t count_of(const struct decoded *d, const struct state *in)
{
    uint32_t last = d->insn.operand_count_visible - 1u;
    uint64_t count =
        d->op[last].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? d->op[last].imm.value.u : in->gpr[1];

    return (uint32_t)count & (d->op[0].size == 64 ? 63 : 31);
}

static void undefined_result(const struct decoded *d, struct undefined *u)
{
    int n = gpr_number(&d->op[0]);

    if (n >= 0)
        u->gpr |= (uint16_t)(1u << n);
    else
        u->memory = true;
}

static void undefined_flags(const struct decoded *d, const struct state *in, size_t i,
                            struct undefined *u)
{
    uint32_t bits = d->op[0].size, count;

    switch (table[i].kind) {
    case SHIFT:
        count = count_of(d, in);
        if (count == 0)
            return;
        u->flags |= F_AF;
        if (count > 1)
            u->flags |= F_OF;
        if (count >= bits)
            u->flags |= table[i].flags;
        return;
    case ROTATE:
        if (count_of(d, in) > 1)
            u->flags |= F_OF;
        return;
    case DOUBLE_SHIFT:
        count = count_of(d, in);
        if (count == 0)
            return;
        u->flags |= F_AF;
        if (count > 1)
            u->flags |= F_OF;
        if (count > bits) {
            u->flags |= F_ALL;
            undefined_result(d, u);
        }
        return;
    default:
        u->flags |= table[i].flags;
        return;
    }
}

/* ---- x87 ---------------------------------------------------------------------------------- */

#define C0 0x0100u
#define C1 0x0200u
#define C2 0x0400u
#define C3 0x4000u

/* C0, C2 and C3 are undefined after all that does not say what they are. */
static bool x87_defines_conditions(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_FCOM:
    case ZYDIS_MNEMONIC_FCOMP:
    case ZYDIS_MNEMONIC_FCOMPP:
    case ZYDIS_MNEMONIC_FUCOM:
    case ZYDIS_MNEMONIC_FUCOMP:
    case ZYDIS_MNEMONIC_FUCOMPP:
    case ZYDIS_MNEMONIC_FICOM:
    case ZYDIS_MNEMONIC_FICOMP:
    case ZYDIS_MNEMONIC_FTST:
    case ZYDIS_MNEMONIC_FXAM:
    case ZYDIS_MNEMONIC_FPREM:
    case ZYDIS_MNEMONIC_FPREM1:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNINIT:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTSW:
        return true;
    default:
        return false;
    }
}

/* C1 too. */
static bool x87_defines_nothing(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_FFREE:
    case ZYDIS_MNEMONIC_FFREEP:
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_FNCLEX:
    case ZYDIS_MNEMONIC_FNOP:
    case ZYDIS_MNEMONIC_FNSTCW:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FWAIT:
        return true;
    default:
        return false;
    }
}

static bool x87_transcendental(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_F2XM1:
    case ZYDIS_MNEMONIC_FCOS:
    case ZYDIS_MNEMONIC_FPATAN:
    case ZYDIS_MNEMONIC_FPTAN:
    case ZYDIS_MNEMONIC_FSIN:
    case ZYDIS_MNEMONIC_FSINCOS:
    case ZYDIS_MNEMONIC_FYL2X:
    case ZYDIS_MNEMONIC_FYL2XP1:
        return true;
    default:
        return false;
    }
}

static void undefined_x87(const struct decoded *d, struct undefined *u)
{
    if (!x87_defines_conditions(d->insn.mnemonic))
        u->fsw |= C0 | C2 | C3;
    if (x87_defines_nothing(d->insn.mnemonic))
        u->fsw |= C1;
    if (x87_transcendental(d->insn.mnemonic)) {
        u->x87_last_bit = true;
        /* C2 says that the argument is out of range; C1 which way was rounded. */
        u->fsw = C0 | C1 | C3;
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool source_zero(const struct decoded *d, const struct state *in)
{
    const ZydisDecodedOperand *o = &d->op[1];

    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return true; /* not looked for in memory */
    return (in->gpr[gpr_number(o)] & (o->size == 64 ? UINT64_MAX : (1ull << o->size) - 1)) == 0;
}

/* With 32-bit addresses a repetition of nothing may leave the upper halves of the pointers, or
 * clear them as one element would: the host does so for those that are fast. */
static void undefined_string(const struct decoded *d, const struct state *in, struct undefined *u)
{
    if (d->insn.meta.category == ZYDIS_CATEGORY_STRINGOP && d->insn.address_width == 32 &&
        (uint32_t)in->gpr[1] == 0)
        u->gpr |= 1u << 1 | 1u << 6 | 1u << 7;
}

void undefined_after(const struct decoded *d, const struct state *in, struct undefined *u)
{
    size_t i = table_find(d->insn.mnemonic);

    if (i < TABLE_COUNT) {
        undefined_flags(d, in, i, u);
        if (table[i].kind == BIT_SCAN && source_zero(d, in))
            undefined_result(d, u);
    }
    if (d->insn.meta.isa_ext == ZYDIS_ISA_EXT_X87)
        undefined_x87(d, u);
    undefined_string(d, in, u);
    switch (d->insn.mnemonic) {
    case ZYDIS_MNEMONIC_BSWAP:
        if (d->op[0].size == 16)
            undefined_result(d, u);
        break;
    case ZYDIS_MNEMONIC_RCPPS:
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_RSQRTPS:
    case ZYDIS_MNEMONIC_RSQRTSS:
    case ZYDIS_MNEMONIC_VRCPPS:
    case ZYDIS_MNEMONIC_VRCPSS:
    case ZYDIS_MNEMONIC_VRSQRTPS:
    case ZYDIS_MNEMONIC_VRSQRTSS:
        u->approximate = true;
        break;
    case ZYDIS_MNEMONIC_DPPS: /* which of several NaNs survives the additions */
    case ZYDIS_MNEMONIC_VDPPS:
        u->nan_bytes = 4;
        break;
    case ZYDIS_MNEMONIC_DPPD:
    case ZYDIS_MNEMONIC_VDPPD:
        u->nan_bytes = 8;
        break;
    default:
        break;
    }
}

/* Nothing says in which order the parts of a large operand are accessed, nor that all are checked
 * before the first is written; nor which of two operands comes first. */
void undefined_fault(const struct decoded *d, struct undefined *u)
{
    switch (d->insn.mnemonic) {
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FBSTP:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_MASKMOVQ:
        u->memory = true;
        u->order = true;
        break;
    case ZYDIS_MNEMONIC_FSTP: /* of 80 bits */
    case ZYDIS_MNEMONIC_MOVBE:
        u->memory = true;
        u->address = 0xfff;
        break;
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FBLD:
        u->order = true;
        break;
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        u->address = 0xfff;
        break;
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_CMPSQ:
        u->order = true;
        break;
    default:
        break;
    }
}
