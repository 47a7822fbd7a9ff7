/* SPDX-License-Identifier: MIT
 *
 * engine/uop.h - one decoded instruction, and how handlers pass control.
 *
 * A block is an array of uops, one an instruction (a compare and the branch after it may be one).
 * A handler does its instruction and goes on to the next by a tail call: NEXT(c, u). Where the
 * compiler cannot be trusted with that (no optimization, sanitizers) it returns the next uop to a
 * loop instead: the signature is the same.
 *
 * Every handler is a function `op_<name>`. One that ends its block ends in one of the functions of
 * block/chain.h, or in LEAVE, after which the run loop looks at cpu.rip, cpu.mode and cpu.pend.
 */
#ifndef INTERP_UOP_H
#define INTERP_UOP_H

#include "cpu.h"

#include <assert.h>

struct block;

/* Returns the uop to go on with, or NULL to go to the run loop: cpu.rip is set then. */
typedef const struct uop *op_fn(struct cpu *c, const struct uop *u);

/* Kept to half a cache line; members that one handler uses together share a word. */
struct uop {
    op_fn *fn;
    uint8_t d, s;        /* registers: number, or for 8-bit ones byte offset in cpu.reg */
    uint8_t base, index; /* of the memory operand; REG_ZERO: none; base REG_RIP: RIP-relative */
    uint8_t scale;       /* 0..3 */
    uint8_t seg;         /* SEG_* of the memory operand */
    uint16_t at;         /* bytes from the block's start: u[1].at is where the next one begins */
    union {
        uint64_t imm; /* without a memory operand; branches: target - RIP of the block */
        struct {
            int32_t disp;
            union {
                int32_t imm32; /* with a memory operand: sign-extended by the handler */
                struct {
                    uint8_t imm8, v; /* v: VEX.vvvv, or a third register */
                    uint8_t x, y;    /* as the handler likes */
                };
            };
        };
    };
    union {
        struct block *link; /* direct branches: the target's block, NULL if not known */
        struct {
            uint8_t asize; /* address size in bytes: 2, 4, 8 */
            uint8_t osize; /* operand size in bytes, where the handler serves several */
            uint8_t extra[6];
        };
    };
};

static_assert(sizeof(struct uop) == 32, "two uops a cache line");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define INTERP_TAIL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INTERP_TAIL 0
#else
#define INTERP_TAIL 1
#endif
#else
#define INTERP_TAIL 1
#endif

#if INTERP_TAIL && defined(__clang__)
#define DISPATCH(c, u) __attribute__((musttail)) return (u)->fn((c), (u))
#elif INTERP_TAIL
#define DISPATCH(c, u) return (u)->fn((c), (u))
#else
#define DISPATCH(c, u) return (void)(c), (u)
#endif

/* Goes on with the next instruction of the block. */
#define NEXT(c, u) DISPATCH(c, (u) + 1)

/* The instruction's own RIP and the next one's. 16- and 32-bit code: already truncated. */
static inline uint64_t uop_ip_mask(const struct cpu *c)
{
    return c->ip_mask;
}

static inline uint64_t uop_rip(const struct cpu *c, const struct uop *u)
{
    return (c->reg[REG_RIP] + u->at) & uop_ip_mask(c);
}

static inline uint64_t uop_next_rip(const struct cpu *c, const struct uop *u)
{
    return (c->reg[REG_RIP] + u[1].at) & uop_ip_mask(c);
}

/* Goes to the run loop; the guest goes on at `rip`. */
#define LEAVE(c, where)                                                                            \
    do {                                                                                           \
        (c)->rip = (where);                                                                        \
        return NULL;                                                                               \
    } while (0)

#endif
