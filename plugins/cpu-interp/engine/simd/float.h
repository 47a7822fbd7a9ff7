/* SPDX-License-Identifier: MIT
 *
 * simd/float.h - handlers of legacy SSE that may raise floating-point exceptions: as SSE_HANDLERS
 * of vector.h, in the protocol of fpu/mxcsr.h.
 */
#ifndef INTERP_FLOAT_H
#define INTERP_FLOAT_H

#include "lanes_float.h"

/* What keeps a handler from being done with masked exceptions. */
static inline bool float_slow(const struct cpu *c)
{
    return unlikely(c->no_sse) || unlikely(mxcsr_unmasked(c));
}

/* As MXCSR_BEGIN, with all exceptions masked. */
#define FLOAT_PIN(a, b)                                                                            \
    do {                                                                                           \
        MXCSR_PIN(a);                                                                              \
        MXCSR_PIN(b);                                                                              \
    } while (0)

#define FLOAT_HANDLERS(name, lane, mem)                                                            \
    SLOW static const struct uop *op_##name##_rr_slow(struct cpu *c, const struct uop *u)          \
    {                                                                                              \
        coverage_count(op_##name##_rr_slow);                                                       \
        sse_check(c, u);                                                                           \
        x128 a = *xmm(c, u->d), b = *xmm(c, u->s);                                                 \
        MXCSR_BEGIN(c, a, b);                                                                      \
        a = lane(a, b, u->imm8);                                                                   \
        MXCSR_END(c, u, a);                                                                        \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        if (float_slow(c))                                                                         \
            return op_##name##_rr_slow(c, u);                                                      \
        x128 a = *xmm(c, u->d), b = *xmm(c, u->s);                                                 \
        FLOAT_PIN(a, b);                                                                           \
        a = lane(a, b, u->imm8);                                                                   \
        MXCSR_PIN(a);                                                                              \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    SLOW static const struct uop *op_##name##_rm_slow(struct cpu *c, const struct uop *u)          \
    {                                                                                              \
        coverage_count(op_##name##_rm_slow);                                                       \
        sse_check(c, u);                                                                           \
        x128 b = mem(c, u), a = *xmm(c, u->d);                                                     \
        MXCSR_BEGIN(c, a, b);                                                                      \
        a = lane(a, b, u->imm8);                                                                   \
        MXCSR_END(c, u, a);                                                                        \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        const void *p = fast_##mem(c, u);                                                          \
        if (unlikely(!p) || float_slow(c))                                                         \
            return op_##name##_rm_slow(c, u);                                                      \
        x128 b = at_##mem(p), a = *xmm(c, u->d);                                                   \
        FLOAT_PIN(a, b);                                                                           \
        a = lane(a, b, u->imm8);                                                                   \
        MXCSR_PIN(a);                                                                              \
        *xmm(c, u->d) = a;                                                                         \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_sse_mmx(e, op_##name##_rr, op_##name##_rm);                                    \
    }

#endif
