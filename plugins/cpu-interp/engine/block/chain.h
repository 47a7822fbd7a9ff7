/* SPDX-License-Identifier: MIT
 *
 * block/chain.h - from the end of one block to the start of the next.
 *
 * A direct branch inside a page keeps the target's block in its uop. All other transfers look in
 * the jump cache, by RIP and mode. Every transfer looks at cpu.pend, so that no loop runs past an
 * interrupt.
 */
#ifndef INTERP_CHAIN_H
#define INTERP_CHAIN_H

#include "../uop.h"

#define JUMP_CACHE 4096u /* entries for each half of the address space */

/* A block in the list of a page that it has bytes of. */
struct page_ref {
    struct block *block;
    struct page_ref *next;
};

struct block {
    uint64_t gpa;       /* of the first byte */
    struct block *next; /* in the hash bucket, or of those that wait to be freed */
    struct page_ref
        ref[2]; /* in the lists of its page and, if an instruction crosses, the second one */
    uint64_t gpa_second; /* of the second page's first byte; 0: none */
    uint32_t mode;
    uint32_t allocated;    /* bytes */
    uint16_t bytes, count; /* `count` uops, and a last one that only bounds the last instruction */
    uint8_t dead;
    uint8_t uncached; /* code that is not in RAM: for one execution */
    uint8_t reserved[2];
    struct uop uops[];
};

struct jump {
    uint64_t key; /* rip ^ cpu.mode_key */
    struct block *block;
};

/* RIPs of the lower half, then those of the upper half. An operating system has its kernel in the
 * upper one, mapped globally, and then a change of address space leaves that half of the cache as
 * it is. */
struct block_cache {
    struct jump jumps[2 * JUMP_CACHE];
    struct block_cache_private *p;
};

static inline struct jump *jump_at(struct block_cache *cache, uint64_t rip)
{
    return &cache->jumps[((rip ^ rip >> 12) & (JUMP_CACHE - 1)) + (rip >> 63) * JUMP_CACHE];
}

/* The block at `rip`, from the jump cache, or NULL with cpu.rip set: it must be looked for, or
 * something is pending. */
static inline const struct uop *chain_jump(struct cpu *c, uint64_t rip)
{
    const struct jump *j = jump_at(c->blocks, rip);

    if (unlikely(j->key != (rip ^ c->mode_key)) ||
        unlikely(__atomic_load_n(&c->pend, __ATOMIC_RELAXED))) {
        c->rip = rip;
        return NULL;
    }
    c->reg[REG_RIP] = rip;
    return j->block->uops;
}

/* Looks up, or builds, the block of a direct branch's target, and notes it in the uop where that is
 * safe; or NULL as chain_jump(). Out of line. cache.c. */
const struct uop *chain_link(struct cpu *c, const struct uop *u, uint64_t rip);

static inline const struct uop *chain_branch(struct cpu *c, const struct uop *u)
{
    uint64_t rip = (c->reg[REG_RIP] + u->imm) & uop_ip_mask(c);
    struct block *b = u->link;

    if (unlikely(!b) || unlikely(__atomic_load_n(&c->pend, __ATOMIC_RELAXED)))
        return chain_link(c, u, rip);
    c->reg[REG_RIP] = rip;
    return b->uops;
}

/* How a handler ends its block: goes to `rip` (near indirect branches, RET; the caller has
 * truncated and checked it), or takes the direct branch `u`, to REG_RIP + imm. */
#define CHAIN_JUMP(c, rip)                                                                         \
    do {                                                                                           \
        const struct uop *chain_next = chain_jump((c), (rip));                                     \
        if (unlikely(!chain_next))                                                                 \
            return NULL;                                                                           \
        DISPATCH(c, chain_next);                                                                   \
    } while (0)

#define CHAIN_BRANCH(c, u)                                                                         \
    do {                                                                                           \
        const struct uop *chain_next = chain_branch((c), (u));                                     \
        if (unlikely(!chain_next))                                                                 \
            return NULL;                                                                           \
        DISPATCH(c, chain_next);                                                                   \
    } while (0)

#endif
