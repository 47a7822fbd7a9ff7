/* SPDX-License-Identifier: MIT
 *
 * makers.c - where AMD's processors are not Intel's, which are the engine's model.
 *
 * Each row is a place where the two makers' manuals differ, or where only hardware tells; found on
 * Zen 4 with everything else equal. A case that falls under one is not compared, or not in that
 * part, and counted by `oracle` in its last line. On Intel's processors nothing is left out. AMD64
 * Architecture Programmer's Manual: volumes 1 to 5 as "APM".
 */
#include "oracle.h"

#include <cpuid.h>
#include <string.h>

#define MXCSR_FLAGS 0x3fu

bool maker_is_amd(void)
{
    uint32_t eax, regs[3] = {0};

    return __get_cpuid(0, &eax, &regs[0], &regs[2], &regs[1]) &&
           (memcmp(regs, "AuthenticAMD", 12) == 0 || memcmp(regs, "HygonGenuine", 12) == 0);
}

static bool has_prefix(const struct decoded *d, uint8_t byte)
{
    for (uint32_t i = 0; i < d->insn.raw.prefix_count; i++)
        if (d->insn.raw.prefixes[i].value == byte)
            return true;
    return false;
}

static bool has_memory(const struct decoded *d)
{
    for (uint32_t i = 0; i < d->insn.operand_count_visible; i++)
        if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return true;
    return false;
}

/* With 66h a near branch has an operand size of 16 bits, which Intel's ignore in 64-bit mode: RIP
 * is cut, and CALL and RET move two bytes (APM 3, "Near Branches in 64-Bit Mode"). */
static bool short_branch(const struct decoded *d)
{
    return d->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && has_prefix(d, 0x66);
}

static bool other_instruction(const struct decoded *d)
{
    switch (d->insn.mnemonic) {
    case ZYDIS_MNEMONIC_PAUSE: /* with REX.B it is XCHG r8, rAX; Intel's pause */
        return (d->insn.attributes & ZYDIS_ATTRIB_HAS_REX) && d->insn.raw.rex.B;
    case ZYDIS_MNEMONIC_NOP: /* 0F 0D is PREFETCH, and #UD for a register (APM 3) */
        return d->insn.opcode == 0x0d;
    case ZYDIS_MNEMONIC_LOOPE: /* F2 and F3 say of which flag they are, whatever the opcode does */
    case ZYDIS_MNEMONIC_LOOPNE:
        return has_prefix(d, 0xf2) || has_prefix(d, 0xf3);
    case ZYDIS_MNEMONIC_MOVSXD: /* to 16 bits: reads 32 all the same */
        return d->op[0].size == 16;
    default:
        return false;
    }
}

/* Of two things that are wrong with one instruction, the other one is told. */
static bool other_order(const struct decoded *d, const struct outcome *native,
                        const struct outcome *engine)
{
    switch (d->insn.mnemonic) {
    case ZYDIS_MNEMONIC_UD0: /* ends with its opcode, so that no byte after it can be absent */
    case ZYDIS_MNEMONIC_UD1:
        return native->vector == 6 && engine->vector == 14;
    case ZYDIS_MNEMONIC_VCVTPS2PH: /* the address before the numbers */
        return native->vector != 3 && native->vector != 19 && engine->vector == 19;
    case ZYDIS_MNEMONIC_FIST: /* likewise; an unmasked x87 exception stores nothing */
    case ZYDIS_MNEMONIC_FISTP:
    case ZYDIS_MNEMONIC_FISTTP:
    case ZYDIS_MNEMONIC_FST:
    case ZYDIS_MNEMONIC_FSTP:
    case ZYDIS_MNEMONIC_FBSTP:
        return native->vector == 14 && engine->vector == 3;
    case ZYDIS_MNEMONIC_FXRSTOR: /* bit 17 of MXCSR, MM, is there (APM 2, 11.5.10) */
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
        return native->vector == 3 && engine->vector == 13;
    case ZYDIS_MNEMONIC_VMASKMOVPS: /* an address that is not canonical, of which nothing is wanted
                                     */
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return native->vector == 3 && (engine->vector == 13 || engine->vector == 12);
    case ZYDIS_MNEMONIC_DPPS: /* flags of products and sums that are not asked for */
    case ZYDIS_MNEMONIC_VDPPS:
    case ZYDIS_MNEMONIC_DPPD:
    case ZYDIS_MNEMONIC_VDPPD:
        return (native->vector == 19) != (engine->vector == 19);
    default:
        return false;
    }
}

void makers_part(const struct decoded *d, const struct outcome *native,
                 const struct outcome *engine, struct undefined *u)
{
    bool faulted = native->vector == 14 || native->vector == 13 || native->vector == 12;

    if (short_branch(d) || other_instruction(d) || other_order(d, native, engine))
        u->everything = true;
    switch (d->insn.meta.isa_ext) {
    case ZYDIS_ISA_EXT_SHA: /* wants no alignment */
        if (has_memory(d) && engine->vector == 13)
            u->everything = true;
        break;
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
        /* A store of an MMX register that faults has not set the x87's TOP to 0 yet. */
        if (d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY && faulted)
            u->everything = true;
        break;
    default:
        break;
    }
    switch (d->insn.mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE: /* MXCSR_MASK has MM, bit 17 (APM 2, 11.5.10) */
    case ZYDIS_MNEMONIC_FXSAVE64:
        u->memory = true;
        break;
    case ZYDIS_MNEMONIC_VCVTPS2PH: /* a store that faults has not set MXCSR's flags yet */
        if (faulted)
            u->mxcsr |= MXCSR_FLAGS;
        break;
    case ZYDIS_MNEMONIC_DPPS:
    case ZYDIS_MNEMONIC_VDPPS:
    case ZYDIS_MNEMONIC_DPPD:
    case ZYDIS_MNEMONIC_VDPPD:
        u->mxcsr |= MXCSR_FLAGS;
        break;
    case ZYDIS_MNEMONIC_CALL: /* the target is looked at before the return address is pushed */
        if (native->vector == 13)
            u->memory = true;
        break;
    default:
        break;
    }
    if (d->insn.meta.category == ZYDIS_CATEGORY_STRINGOP &&
        (has_prefix(d, 0xf2) || has_prefix(d, 0xf3)) && faulted) {
        /* Flags of the elements before the fault stay; Intel's go back to those before all. */
        u->flags |= F_ALL;
        /* And a first element that faults leaves pointers' upper halves alone. */
        if (d->insn.address_width == 32)
            u->gpr |= 1u << 1 | 1u << 6 | 1u << 7;
    }
}
