/* SPDX-License-Identifier: MIT
 *
 * vendor.c - what processors of AMD do in another way than Intel's, which the engine follows. Where
 * the host is one of them, these cases are not compared, or not in full.
 *
 * Sources: AMD64 Architecture Programmer's Manual 24594 (near branches with an operand-size
 * prefix), 26568 (MXCSR_MASK and misaligned SSE, SHA without alignment checks); the rest, such as
 * what a fault leaves of RFLAGS and MXCSR, was seen on family 25.
 */
#include "oracle.h"

#include <cpuid.h>
#include <string.h>

bool vendor_is_amd(void)
{
    uint32_t max, name[3];

    if (!__get_cpuid(0, &max, &name[0], &name[2], &name[1]))
        return false;
    return !memcmp(name, "AuthenticAMD", 12) || !memcmp(name, "HygonGenuine", 12);
}

static bool is_branch(const ZydisDecodedInstruction *i)
{
    switch (i->meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
        return true;
    default:
        return false;
    }
}

static bool has_prefix(const ZydisDecodedInstruction *i, uint8_t prefix)
{
    for (uint32_t k = 0; k < i->raw.prefix_count; k++)
        if (i->raw.prefixes[k].value == prefix)
            return true;
    return false;
}

bool vendor_skips(const struct decoded *d, const struct outcome *native,
                  const struct outcome *engine)
{
    const ZydisDecodedInstruction *i = &d->insn;
    bool faulted = native->vector != 3;

    if (is_branch(i)) {
        /* AMD truncates RIP to 16 bits, Intel ignores the prefix; and of LOOPE and LOOPNE an old
         * meaning of the other prefixes is left. */
        bool loop = i->mnemonic == ZYDIS_MNEMONIC_LOOPE || i->mnemonic == ZYDIS_MNEMONIC_LOOPNE;
        return has_prefix(i, 0x66) || (loop && (has_prefix(i, 0xf2) || has_prefix(i, 0xf3)));
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_SHA1MSG1:
    case ZYDIS_MNEMONIC_SHA1MSG2:
    case ZYDIS_MNEMONIC_SHA1NEXTE:
    case ZYDIS_MNEMONIC_SHA1RNDS4:
    case ZYDIS_MNEMONIC_SHA256MSG1:
    case ZYDIS_MNEMONIC_SHA256MSG2:
    case ZYDIS_MNEMONIC_SHA256RNDS2:
        return engine->vector == 13; /* misaligned */
    case ZYDIS_MNEMONIC_NOP:         /* PREFETCHW of a register is #UD */
        return i->opcode_map == ZYDIS_OPCODE_MAP_0F && i->opcode == 0x0d;
    case ZYDIS_MNEMONIC_PAUSE: /* with REX.B an exchange all the same */
        return i->raw.rex.B;
    case ZYDIS_MNEMONIC_UD0: /* not even looks for its operands */
    case ZYDIS_MNEMONIC_UD1:
        return engine->vector == 14;
    case ZYDIS_MNEMONIC_FXRSTOR: /* takes MXCSR's bit for misaligned SSE */
    case ZYDIS_MNEMONIC_FXRSTOR64:
        return engine->vector == 13;
    case ZYDIS_MNEMONIC_VCVTPS2PH: /* a store that faults has not converted anything */
        return faulted;
    case ZYDIS_MNEMONIC_MOVD: /* to memory: after a fault TOP is what it was */
    case ZYDIS_MNEMONIC_MOVQ:
    case ZYDIS_MNEMONIC_MOVNTQ:
        return faulted && i->meta.isa_ext != ZYDIS_ISA_EXT_SSE2;
    case ZYDIS_MNEMONIC_FBSTP:
    case ZYDIS_MNEMONIC_FIST: /* an unmasked exception is found after the address was checked */
    case ZYDIS_MNEMONIC_FISTP:
    case ZYDIS_MNEMONIC_FISTTP:
    case ZYDIS_MNEMONIC_FST:
    case ZYDIS_MNEMONIC_FSTP:
        return faulted && engine->vector == 3;
    case ZYDIS_MNEMONIC_VMASKMOVPS: /* what is masked out altogether, at any address */
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return faulted != (engine->vector != 3);
    case ZYDIS_MNEMONIC_MOVSXD: /* reads all 32 bits into 16, too */
        return faulted && d->op[0].size == 16;
    default:
        return false;
    }
}

void vendor_leaves_open(const struct decoded *d, bool faulted, struct undefined *u)
{
    const ZydisDecodedInstruction *i = &d->insn;

    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_DPPS:
    case ZYDIS_MNEMONIC_VDPPS:
        /* Which of several NaNs comes through; and which sums are made, those of what is not wanted
         * too. */
        u->nan_bits = 32;
        u->mxcsr = true;
        break;
    case ZYDIS_MNEMONIC_DPPD:
    case ZYDIS_MNEMONIC_VDPPD:
        u->nan_bits = 64;
        u->mxcsr = true;
        break;
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
        u->mxcsr_mask = true;
        break;
    default:
        break;
    }
    if (!faulted)
        return;
    if (i->meta.category == ZYDIS_CATEGORY_CALL)
        u->memory = true; /* the return address, for a target that is not canonical */
    if (i->meta.category == ZYDIS_CATEGORY_STRINGOP) {
        /* Intel: as they were before the instruction. AMD: as the last element leaves them. */
        u->flags |= F_ALL;
        if (i->address_width == 32)
            u->gpr |= 1u << 1 | 1u << 6 | 1u << 7;
    }
}
