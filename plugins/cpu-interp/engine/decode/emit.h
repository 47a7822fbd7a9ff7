/* SPDX-License-Identifier: MIT
 *
 * decode/emit.h - from a decoded instruction to a uop.
 *
 * Each group of instructions (a file of ops/, fpu/ or simd/) has its handlers and, at its end, its
 * emitters: functions that choose the handler for an instruction and fill the uop, in a table by
 * mnemonic. build.c calls them.
 */
#ifndef INTERP_EMIT_H
#define INTERP_EMIT_H

#include "../mmu/access.h"
#include "insn.h"

struct emit {
    struct cpu *cpu; /* for what is fixed while the block lives: mode, features */
    const struct insn *insn;
    const struct insn *next; /* the one after it in the block, NULL if none: for fusing */
    struct uop *uop;         /* zeroed; base and index are REG_ZERO; at is set */
    uint32_t mode;           /* MODE_* */
    uint32_t live; /* FLAGS_ARITHMETIC that are read after it: others need not be written */
    bool ends;     /* set by the emitter: the handler does not go on by NEXT */
    bool fused;    /* set by the emitter: `next` is done by this uop */
};

/* False: no such form; the instruction gives #UD. */
typedef bool emit_fn(struct emit *e);

struct emit_entry {
    uint16_t mnemonic;
    emit_fn *emit;
};

/* A group's table: ends with a NULL emit. */
extern const struct emit_entry emit_alu[], emit_shift[], emit_muldiv[], emit_mov[], emit_stack[],
    emit_branch[], emit_bit[], emit_bcd[], emit_atomic[], emit_string[], emit_far[], emit_iret[],
    emit_system[], emit_msr[], emit_io[], emit_interrupt[], emit_x87[], emit_x87_env[], emit_mmx[],
    emit_sse_move[], emit_sse_arith[], emit_sse_int[], emit_sse_convert[], emit_sse4[],
    emit_crypto[], emit_avx[], emit_avx_move[], emit_avx2[], emit_fma[], emit_xsave[];

/* Fills base, index, scale, seg, disp, asize from a memory operand. True if ea_fast() computes its
 * linear address; otherwise use ea_any(). RIP-relative ones become base REG_RIP. */
bool emit_memory(struct emit *e, const struct operand *o);
/* Byte offset in cpu.reg of an 8-bit register; the register's number for wider ones. */
uint8_t emit_gpr(const struct operand *o);

/* Does not read, write, or leave alone. */
static inline uint32_t size_log(uint32_t bytes)
{
    return (uint32_t)__builtin_ctz(bytes);
}

#endif
