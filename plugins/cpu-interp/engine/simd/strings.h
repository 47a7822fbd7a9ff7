/* SPDX-License-Identifier: MIT
 *
 * simd/strings.h - PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (SDM 1, 12.14; SDM 2, 4.1).
 */
#ifndef INTERP_STRINGS_H
#define INTERP_STRINGS_H

#include "vector.h"

/* What a comparison leaves: IntRes2 and the flags; the number of elements is by imm[0]. */
struct string_result {
    uint32_t bits, flags;
};

/* Elements of `text` up to the first that is 0. imm[0]: words. */
uint32_t string_length(x128 text, uint32_t imm);
/* As EAX, EDX or RAX, RDX give a length: its magnitude, at most the number of elements. */
uint32_t string_length_of(int64_t value, uint32_t imm);
/* The comparison of a (the first operand) with b, of these lengths. */
struct string_result string_compare(x128 a, uint32_t a_length, x128 b, uint32_t b_length,
                                    uint32_t imm);
/* The whole of an instruction's comparison: lengths by terminators, or (`counted`) by EAX and EDX,
 * RAX and RDX if `wide`. */
struct string_result string_instruction(const struct cpu *c, x128 a, x128 b, uint32_t imm,
                                        bool counted, bool wide);
/* PCMPxSTRI's ECX, by imm[6]: the most or the least significant bit. */
uint32_t string_index(uint32_t bits, uint32_t imm);
/* PCMPxSTRM's XMM0, by imm[6]: a mask of elements or bits. */
x128 string_mask(uint32_t bits, uint32_t imm);

#endif
