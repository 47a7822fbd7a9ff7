/* SPDX-License-Identifier: MIT
 *
 * simd/strings.c - see strings.h.
 */
#include "strings.h"

static uint32_t elements(uint32_t imm)
{
    return imm & 1 ? 8 : 16;
}

/* Element i as imm[1:0] says: bytes or words, unsigned or signed. */
static int32_t element(x128 text, uint32_t i, uint32_t imm)
{
    switch (imm & 3) {
    case 0:
        return ((u8x16)text)[i];
    case 1:
        return ((u16x8)text)[i];
    case 2:
        return ((i8x16)text)[i];
    default:
        return ((i16x8)text)[i];
    }
}

uint32_t string_length(x128 text, uint32_t imm)
{
    uint32_t i, n = elements(imm);

    for (i = 0; i < n; i++)
        if (element(text, i, imm) == 0)
            break;
    return i;
}

uint32_t string_length_of(int64_t value, uint32_t imm)
{
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    uint32_t n = elements(imm);

    return magnitude > n ? n : (uint32_t)magnitude;
}

/* Aggregations, imm[3:2]; elements beyond a length are invalid (table 4-7 of SDM 2, 4.1.6). */
static uint32_t equal_any(x128 a, uint32_t na, x128 b, uint32_t nb, uint32_t imm)
{
    uint32_t bits = 0;

    for (uint32_t j = 0; j < nb; j++)
        for (uint32_t i = 0; i < na; i++)
            if (element(a, i, imm) == element(b, j, imm))
                bits |= 1u << j;
    return bits;
}

static uint32_t ranges(x128 a, uint32_t na, x128 b, uint32_t nb, uint32_t imm)
{
    uint32_t bits = 0;

    for (uint32_t j = 0; j < nb; j++)
        for (uint32_t i = 0; i + 1 < na; i += 2)
            if (element(b, j, imm) >= element(a, i, imm) &&
                element(b, j, imm) <= element(a, i + 1, imm))
                bits |= 1u << j;
    return bits;
}

static uint32_t equal_each(x128 a, uint32_t na, x128 b, uint32_t nb, uint32_t imm)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < elements(imm); i++) {
        bool both_end = i >= na && i >= nb;

        if (both_end || (i < na && i < nb && element(a, i, imm) == element(b, i, imm)))
            bits |= 1u << i;
    }
    return bits;
}

static uint32_t equal_ordered(x128 a, uint32_t na, x128 b, uint32_t nb, uint32_t imm)
{
    uint32_t bits = 0, n = elements(imm);

    for (uint32_t j = 0; j < n; j++) {
        bool met = true;

        /* What of a sticks out at the end is not looked at. */
        for (uint32_t i = 0; i < na && i + j < n; i++)
            if (i + j >= nb || element(a, i, imm) != element(b, i + j, imm))
                met = false;
        if (met)
            bits |= 1u << j;
    }
    return bits;
}

struct string_result string_compare(x128 a, uint32_t a_length, x128 b, uint32_t b_length,
                                    uint32_t imm)
{
    uint32_t n = elements(imm), bits, flags = 0;

    switch (imm >> 2 & 3) {
    case 0:
        bits = equal_any(a, a_length, b, b_length, imm);
        break;
    case 1:
        bits = ranges(a, a_length, b, b_length, imm);
        break;
    case 2:
        bits = equal_each(a, a_length, b, b_length, imm);
        break;
    default:
        bits = equal_ordered(a, a_length, b, b_length, imm);
        break;
    }
    /* Polarity, imm[5:4]: bit 5 spares what is beyond the end of b. */
    if (imm & 0x10)
        bits ^= imm & 0x20 ? (1u << b_length) - 1 : (1u << n) - 1;
    if (bits)
        flags |= FLAG_CF;
    if (b_length < n)
        flags |= FLAG_ZF;
    if (a_length < n)
        flags |= FLAG_SF;
    if (bits & 1)
        flags |= FLAG_OF;
    return (struct string_result){bits, flags};
}

struct string_result string_instruction(const struct cpu *c, x128 a, x128 b, uint32_t imm,
                                        bool counted, bool wide)
{
    int64_t rax = (int64_t)c->reg[RAX], rdx = (int64_t)c->reg[RDX];

    if (!counted)
        return string_compare(a, string_length(a, imm), b, string_length(b, imm), imm);
    if (!wide) {
        rax = (int32_t)rax;
        rdx = (int32_t)rdx;
    }
    return string_compare(a, string_length_of(rax, imm), b, string_length_of(rdx, imm), imm);
}

uint32_t string_index(uint32_t bits, uint32_t imm)
{
    if (bits == 0)
        return elements(imm);
    return imm & 0x40 ? 31 - (uint32_t)__builtin_clz(bits) : (uint32_t)__builtin_ctz(bits);
}

x128 string_mask(uint32_t bits, uint32_t imm)
{
    u8x16 bytes = {0};
    u16x8 words = {0};

    if (!(imm & 0x40))
        return x128_of(bits, 0);
    if (imm & 1) {
        for (uint32_t i = 0; i < 8; i++)
            words[i] = bits >> i & 1 ? 0xffff : 0;
        return (x128)words;
    }
    for (uint32_t i = 0; i < 16; i++)
        bytes[i] = bits >> i & 1 ? 0xff : 0;
    return (x128)bytes;
}
