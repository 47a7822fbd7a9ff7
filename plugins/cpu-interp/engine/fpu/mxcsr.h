/* SPDX-License-Identifier: MIT
 *
 * fpu/mxcsr.h - how SSE arithmetic runs in the guest's floating-point environment.
 *
 * After the Intel SDM 1, 10.2.3 (MXCSR) and 11.5 (SIMD floating-point exceptions).
 *
 * From mxcsr_enter() to mxcsr_leave(), that is all through cpu_run(), the host's MXCSR has the
 * guest's rounding control, FTZ and DAZ, and all exceptions masked. So a handler computes with
 * plain C or vector extensions, and rounding and the flags happen by themselves. The host collects
 * the flags; they are read only when somebody looks: mxcsr_sync(). No C code elsewhere in the
 * engine computes in floating point.
 *
 * A handler that can raise SSE exceptions looks like this, where `a` and `b` are its inputs,
 * already loaded, and `r` the result, all floating-point scalars or vectors in registers:
 *
 *     MXCSR_BEGIN(c, a, b);     or MXCSR_BEGIN(c, a, a)
 *     r = a + b;
 *     MXCSR_END(c, u, r);       raises #XM or #UD; does not return then
 *     c->v[u->d] = r;           only now
 *
 * With all exceptions masked, which is nearly always, these cost one test each. If the guest has
 * unmasked one, BEGIN clears the host's flags and END looks which ones the operation set. BEGIN
 * and END also keep the compiler from moving the operation out from between them. Operations
 * whose result is no floating-point value (compares, conversions to integers) pin it by
 * MXCSR_END_INT, on an integer in a register. Those that compute in several steps or loop over
 * elements may do so; the flags are those of all steps. A value that does not fit a register of the
 * host (32 bytes without AVX) is pinned by its halves.
 *
 * NaN operands: plain C on x86 hosts gives what the guest would get, as long as the compiler does
 * not exchange the operands of an addition or a multiplication (gcc and clang may; where both are
 * NaN the result is the first one): use a helper with an instruction's intrinsic or the
 * assembler's own instruction under __x86_64__ where that matters.
 *
 * Hosts that are not x86 use <fenv.h>: the denormal flag (DE) is never set there, and FTZ and DAZ
 * work where the host has them (aarch64's FPCR.FZ does both at once; it is set if the guest sets
 * both). A result that is tiny but exact does not underflow there though underflow be unmasked, and
 * aarch64 finds out that a result is tiny before it rounds, x86 after.
 *
 * Left out: after an unmasked underflow, PE is set too if the result was not exact or was below
 * the normal range.
 */
#ifndef INTERP_MXCSR_H
#define INTERP_MXCSR_H

#include "../cpu.h"
#include "../uop.h"

#define MXCSR_IE 0x1u
#define MXCSR_DE 0x2u
#define MXCSR_ZE 0x4u
#define MXCSR_OE 0x8u
#define MXCSR_UE 0x10u
#define MXCSR_PE 0x20u
#define MXCSR_FLAGS 0x3fu
#define MXCSR_DAZ 0x40u
#define MXCSR_MASKS 0x1f80u /* the six masks, each 7 bits above its flag */
#define MXCSR_RC 0x6000u    /* 0: to nearest even, 1: down, 2: up, 3: to zero */
#define MXCSR_FTZ 0x8000u
#define MXCSR_DEFAULT 0x1f80u
#define MXCSR_VALID 0xffffu /* all else is reserved: #GP(0). FXSAVE's MXCSR_MASK */

/* Takes over the host's floating-point environment for the guest of `c`: the first thing in
 * cpu_run(). The return value is for mxcsr_leave(), the last thing, which also collects the flags.
 * Both are cheap, but not free; a longjmp() to the run loop between them changes nothing. [vcpu] */
uint64_t mxcsr_enter(struct cpu *c);
void mxcsr_leave(struct cpu *c, uint64_t saved);

/* The guest's MXCSR with all its flags, which are noted in cpu.fpu.mxcsr. For STMXCSR, FXSAVE,
 * XSAVE; inside of cpu_run() or outside. [vcpu] */
uint32_t mxcsr_sync(struct cpu *c);
/* Sets the guest's MXCSR. `value` has no bits outside MXCSR_VALID: the caller has raised #GP(0).
 * For LDMXCSR, FXRSTOR, XRSTOR, reset; inside of cpu_run() or outside. [vcpu] */
void mxcsr_load(struct cpu *c, uint32_t value);

/* ---- arithmetic: see above ------------------------------------------------------------------ */

/* The guest has unmasked an exception: results may be written only after a look at the flags. */
static inline bool mxcsr_unmasked(const struct cpu *c)
{
    return (c->fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS;
}

/* Saves the flags up to here and clears them in the host. Only if mxcsr_unmasked(). */
void mxcsr_begin(struct cpu *c);
/* The flags since mxcsr_begin(); raises #XM (#UD if CR4.OSXMMEXCPT is 0) as the instruction `u` if
 * one of them is unmasked. */
void mxcsr_end(struct cpu *c, const struct uop *u);

/* The compiler must have computed `x`, or may compute with it, no earlier and no later than
 * here. */
#if defined(__x86_64__)
#define MXCSR_PIN(x) __asm__ volatile("" : "+x"(x))
#elif defined(__aarch64__)
#define MXCSR_PIN(x) __asm__ volatile("" : "+w"(x))
#else
#define MXCSR_PIN(x) __asm__ volatile("" : "+m"(x))
#endif
#define MXCSR_PIN_INT(x) __asm__ volatile("" : "+r"(x))

#define MXCSR_BEGIN(c, a, b)                                                                       \
    do {                                                                                           \
        if (unlikely(mxcsr_unmasked(c)))                                                           \
            mxcsr_begin(c);                                                                        \
        MXCSR_PIN(a);                                                                              \
        MXCSR_PIN(b);                                                                              \
    } while (0)

#define MXCSR_END(c, u, r)                                                                         \
    do {                                                                                           \
        MXCSR_PIN(r);                                                                              \
        if (unlikely(mxcsr_unmasked(c)))                                                           \
            mxcsr_end((c), (u));                                                                   \
    } while (0)

#define MXCSR_END_INT(c, u, r)                                                                     \
    do {                                                                                           \
        MXCSR_PIN_INT(r);                                                                          \
        if (unlikely(mxcsr_unmasked(c)))                                                           \
            mxcsr_end((c), (u));                                                                   \
    } while (0)

#endif
