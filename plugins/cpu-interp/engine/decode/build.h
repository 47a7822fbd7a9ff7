/* SPDX-License-Identifier: MIT
 *
 * decode/build.h - from code bytes to the uops of a block.
 */
#ifndef INTERP_BUILD_H
#define INTERP_BUILD_H

#include "../block/chain.h"
#include "insn.h"

#define BLOCK_INSNS 64u
/* A limit check before, the end and the bound after them; and one before each, where
 * engine_user.instruction asks for it. */
#define BLOCK_UOPS (2 * BLOCK_INSNS + 3)

/* Which function emits a mnemonic. */
struct emit_table;
const struct emit_table *emit_table_new(void); /* NULL: no memory */
void emit_table_free(const struct emit_table *t);

/* What build_block() works on and gives; large, kept by the block cache. */
struct builder {
    struct insn insns[BLOCK_INSNS];
    uint32_t live[BLOCK_INSNS];
    struct uop uops[BLOCK_UOPS];
    uint32_t count; /* uops, without the bound */
    uint32_t bytes; /* of code */
};

/* Builds uops from the `available` bytes at `code`. All of them are of one page, unless `single`:
 * then only the first instruction counts. Returns 0, or -EAGAIN if the first instruction goes on
 * beyond what is available. What cannot be decoded becomes a uop that raises the exception. [vcpu]
 */
int build_block(struct cpu *c, struct builder *b, const uint8_t *code, uint32_t available,
                uint32_t mode, bool single);

/* What every uop of a dropped block becomes: leaves for the run loop at its instruction. */
op_fn op_stale;

#endif
