/* SPDX-License-Identifier: MIT
 *
 * decode/insn.h - a decoded instruction, as the emitters see it.
 *
 * Filled by zydis.c, the only file that calls Zydis; mnemonics keep Zydis' numbers, so emitters
 * include <Zydis/Mnemonic.h> for their names. Operands are those of the assembler's syntax, in
 * Intel's order, destination first: also implicit ones that are written there (CL of a shift, AL of
 * IN), but not those of MUL, MOVS or XLAT.
 */
#ifndef INTERP_INSN_H
#define INTERP_INSN_H

#include "../cpu.h"

enum operand_kind { OPERAND_NONE, OPERAND_REG, OPERAND_MEM, OPERAND_IMM, OPERAND_FAR };

/* Register files. */
enum {
    FILE_GPR,     /* number 0..15; 8-bit: `high` tells AH..BH, number is that of RAX..RBX then */
    FILE_SEGMENT, /* SEG_* */
    FILE_CONTROL,
    FILE_DEBUG,
    FILE_X87,
    FILE_MMX,
    FILE_XMM, /* and YMM: `bytes` tells */
    FILE_OTHER
};

struct operand {
    uint8_t kind;  /* OPERAND_* */
    uint8_t bytes; /* size: 1, 2, 4, 8, 10, 16, 32; 0: it has none (LEA, INVLPG) or more than 32 */
    uint8_t file, number, high; /* OPERAND_REG */
    uint8_t seg;                /* OPERAND_MEM: SEG_*, with overrides as they count in this mode */
    uint8_t base, index,
        scale; /* REG_ZERO: none; base REG_RIP; scale 0..3. VSIB: index is a vector register */
    uint8_t read, written;
    int64_t disp;
    uint64_t imm; /* sign-extended where the instruction does so; OPERAND_FAR: the offset; relative
                     branches: from the end of the instruction */
    uint16_t selector; /* OPERAND_FAR */
};

#define INSN_OPERANDS 5

struct insn {
    uint16_t mnemonic; /* ZYDIS_MNEMONIC_* */
    uint8_t length;    /* bytes, 1..15 */
    uint8_t seg;       /* of implicit memory operands (strings, XLAT): the override, or SEG_DS */
    uint8_t osize;     /* operand size in bytes: 2, 4, 8, as prefixes and mode give it; 1: a byte
                          instruction */
    uint8_t asize;     /* address size */
    uint8_t stack;     /* stack pointer's size in bytes: 2, 4, 8 */
    uint8_t count;     /* operands */
    bool lock, rep, repne;
    bool vex;              /* VEX encoding */
    bool w;                /* REX.W or VEX.W */
    uint8_t vector;        /* VEX.L: 16 or 32 bytes */
    uint8_t opcode, modrm; /* the last opcode byte; ModRM if it has one */
    uint8_t opcode_map;    /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
    struct operand op[INSN_OPERANDS];
    uint32_t flags_read, flags_written; /* of FLAGS_ARITHMETIC; undefined ones count as written */
    bool ends;        /* control goes elsewhere, always: nothing after it belongs to the block */
    bool branches;    /* it may go elsewhere: flags are read there */
    bool faults;      /* it may: by memory, #DE, #XM, ... */
    uint16_t feature; /* FEATURE_* it belongs to: features.h */
};

/* Decodes one instruction of at most `available` bytes for MODE_*. 0; -EAGAIN if it goes on beyond
 * what is available (below 15); -EINVAL if it is invalid (#UD); -E2BIG if it is longer than 15
 * bytes (#GP). [any] */
int insn_decode(const uint8_t *bytes, uint32_t available, uint32_t mode, struct insn *out);
/* Intel syntax, into `text`. For traces. [any] */
void insn_format(const uint8_t *bytes, uint32_t available, uint32_t mode, uint64_t rip, char *text,
                 uint32_t size);

#endif
