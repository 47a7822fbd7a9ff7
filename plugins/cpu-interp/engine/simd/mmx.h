/* SPDX-License-Identifier: MIT
 *
 * simd/mmx.h - access to MMX registers: mmx.c, and the conversions of sse_convert.c.
 */
#ifndef INTERP_MMX_H
#define INTERP_MMX_H

#include "vector.h"

/* Exception summary in the x87 status word: an unmasked exception is pending. */
#define MMX_PENDING 0x80u

/* Out of line: #UD, #NM or #MF (SDM 3, table 13-1 and SDM 2, 2.4.1 "exception type 22"), or what
 * else becomes of a pending exception; comes back if it is ignored. mmx.c. */
void mmx_pending(struct cpu *c, const struct uop *u);

static inline void mmx_check(struct cpu *c, const struct uop *u)
{
    if (unlikely(c->no_fpu | (c->fpu.status & MMX_PENDING)))
        mmx_pending(c, u);
}

static inline uint64_t mmx(const struct cpu *c, uint32_t number)
{
    return c->fpu.r[number].mantissa;
}

/* What every MMX instruction does to the x87 state: once its operands are there, before it stores
 * or raises #XM. */
static inline void mmx_enter(struct cpu *c)
{
    c->fpu.top = 0;
    c->fpu.valid = 0xff;
}

static inline void mmx_write(struct cpu *c, uint32_t number, uint64_t value)
{
    c->fpu.r[number].mantissa = value;
    c->fpu.r[number].sign_exponent = 0xffff;
    mmx_enter(c);
}

#endif
