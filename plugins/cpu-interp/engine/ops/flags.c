/* SPDX-License-Identifier: MIT
 *
 * ops/flags.c - see flags.h.
 */
#include "flags.h"

uint32_t flags_get(const struct cpu *c)
{
    uint32_t kind = c->cc_op & ~3u, size_log = c->cc_op & 3;
    uint32_t top = (8u << size_log) - 1; /* the sign's bit number */
    uint64_t result = c->cc_res, b = c->cc_src, a;
    uint32_t flags;

    if (kind == CC_EXPLICIT)
        return (uint32_t)b & FLAGS_ARITHMETIC;
    flags = flags_szp(result, size_log) | flags_carry(c);
    switch (kind) {
    case CC_ADD:
        a = result - b;
        flags |= (uint32_t)(a ^ b ^ result) & FLAG_AF;
        if (((a ^ result) & (b ^ result)) >> top & 1)
            flags |= FLAG_OF;
        break;
    case CC_SUB:
        a = result + b;
        flags |= (uint32_t)(a ^ b ^ result) & FLAG_AF;
        if (((a ^ b) & (a ^ result)) >> top & 1)
            flags |= FLAG_OF;
        break;
    case CC_INC:
        if ((result & 0xf) == 0)
            flags |= FLAG_AF;
        if (result == (uint64_t)1 << top)
            flags |= FLAG_OF;
        break;
    case CC_DEC:
        if ((result & 0xf) == 0xf)
            flags |= FLAG_AF;
        if (result == ((uint64_t)1 << top) - 1)
            flags |= FLAG_OF;
        break;
    default:
        break;
    }
    return flags;
}

bool flags_condition(const struct cpu *c, uint32_t condition)
{
    uint32_t flags;
    bool met;

    switch (condition >> 1) {
    case 1:
        met = flags_carry(c);
        break;
    case 2:
        met = flags_zero(c);
        break;
    case 3:
        met = flags_carry(c) || flags_zero(c);
        break;
    default:
        flags = flags_get(c);
        switch (condition >> 1) {
        case 0:
            met = (flags & FLAG_OF) != 0;
            break;
        case 4:
            met = (flags & FLAG_SF) != 0;
            break;
        case 5:
            met = (flags & FLAG_PF) != 0;
            break;
        case 6:
            met = !(flags & FLAG_SF) != !(flags & FLAG_OF);
            break;
        default:
            met = (flags & FLAG_ZF) || !(flags & FLAG_SF) != !(flags & FLAG_OF);
            break;
        }
        break;
    }
    return met != (condition & 1);
}
