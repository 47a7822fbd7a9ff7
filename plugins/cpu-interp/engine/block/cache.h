/* SPDX-License-Identifier: MIT
 *
 * block/cache.h - the translated blocks of one vCPU.
 *
 * Blocks are found by guest physical address and mode, so that they outlive changes of page tables;
 * the jump cache in front of them goes by RIP and is forgotten with the TLB. A block that is
 * dropped stays in memory, each of its uops replaced by op_stale, until the next safe point: the
 * instruction that dropped it may be its own.
 */
#ifndef INTERP_CACHE_H
#define INTERP_CACHE_H

#include "../decode/build.h"
#include "../engine.h"
#include "../mmu/tlb.h"

#define BLOCK_BUCKETS 32768u
#define PAGE_BUCKETS 4096u
#define BLOCK_BYTES (24u << 20) /* of one vCPU's blocks together; beyond that all are dropped */

#define JUMP_PAGES 4096u

struct code_page {
    uint64_t gpa;
    struct page_ref *first;
    struct code_page *next;
};

struct block_cache_private {
    struct block *bucket[BLOCK_BUCKETS];
    struct code_page *page[PAGE_BUCKETS];
    struct block *dead; /* to be freed at the next safe point */
    uint64_t bytes;     /* allocated */
    uint64_t cs_base;   /* of the jump cache's entries */
    uint8_t drop_all;   /* at the next safe point */
    /* Of the halves of the jump cache: */
    uint8_t local[2]; /* it has entries that go with CR3 */
    uint8_t large[2]; /* it has entries of code in large pages, or in pages of a size unknown */
    uint64_t pages[2][JUMP_PAGES / 64]; /* bit n: it has entries of a page n + k * JUMP_PAGES */
    struct builder builder;
    uint8_t code[2 * BLOCK_INSNS * 15 + 32];
};

/* Where in `bucket` a block is that begins there. */
static inline uint32_t block_bucket(uint64_t gpa)
{
    return (uint32_t)(gpa * 0x9e3779b97f4a7c15 >> 32) & (BLOCK_BUCKETS - 1);
}

/* c->blocks. 0 or -ENOMEM. [vcpu] */
int blocks_create(struct cpu *c);
void blocks_destroy(struct cpu *c);
/* The block at cpu.rip in cpu.mode, built if need be, with REG_RIP set. Raises what fetching it
 * raises. NULL: no memory, or something is pending now. [vcpu] */
const struct uop *blocks_find(struct cpu *c);
/* Frees what was dropped. No block is running. [vcpu] */
void blocks_safe_point(struct cpu *c);

/* ---- smc.c ---------------------------------------------------------------------------------- */

/* The 128-byte chunks of a page that [gpa, gpa + bytes) touches, as bits; it does not go beyond
 * the page. */
static inline uint32_t chunk_mask(uint64_t gpa, uint32_t bytes)
{
    uint32_t first = (uint32_t)(gpa & 0xfff) >> 7;
    uint32_t last = (uint32_t)((gpa & 0xfff) + bytes - 1) >> 7;

    return UINT32_MAX << first & UINT32_MAX >> (31 - last);
}

/* The list of the page's blocks; NULL if it has none, unless `make`. */
struct code_page *code_page_at(struct block_cache_private *p, uint64_t gpa, bool make);
/* Drops the blocks of this vCPU that have bytes in these chunks of the page. [vcpu] */
void blocks_drop_chunks(struct cpu *c, uint64_t page, uint32_t mask);
/* Takes a block out of all lists, and makes it stale. [vcpu] */
void block_drop(struct cpu *c, struct block *b);

#endif
