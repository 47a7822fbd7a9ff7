/* SPDX-License-Identifier: MIT
 *
 * simd/vex.h - handlers of VEX-encoded instructions, made from the lane operations (SDM 1, 14.1 to
 * 14.3).
 *
 * The first source is the register v, the last one s or memory, which need not be aligned. Those of
 * 128 bits clear the upper half of the destination; those of 256 do the same to both halves.
 */
#ifndef INTERP_VEX_H
#define INTERP_VEX_H

#include "../fpu/mxcsr.h"
#include "lanes.h"

struct vex_ops {
    op_fn *rr, *rm;         /* 128 bits, scalars */
    op_fn *rr_256, *rm_256; /* NULL: no such form */
};

/* Operand 0 is d; then v and the source, or the source alone; then an immediate, or the register x.
 * vector.c. */
bool emit_vex(struct emit *e, const struct vex_ops *ops);
/* Without a look at VEX.L: scalars. */
bool emit_vex_scalar(struct emit *e, const struct vex_ops *ops);

/* Both halves of a register, and the result of 128 bits. */
static inline void set_xmm(struct cpu *c, uint32_t number, x128 value)
{
    *xmm(c, number) = value;
    *ymm_high(c, number) = (x128){0};
}

static inline void set_ymm(struct cpu *c, uint32_t number, x128 low, x128 high)
{
    *xmm(c, number) = low;
    *ymm_high(c, number) = high;
}

/* The address of a memory operand of 32 bytes. */
static inline uint64_t mem256(struct cpu *c, const struct uop *u)
{
    return vector_ea(c, u, 32, ACCESS_READ);
}

/* Without floating-point exceptions. */
#define NO_BEGIN(c, a, b)                                                                          \
    do {                                                                                           \
    } while (0)
#define NO_END(c, u, r)                                                                            \
    do {                                                                                           \
    } while (0)

#define VEX_128_RR(name, lane, begin, end)                                                         \
    static const struct uop *op_v##name##_rr(struct cpu *c, const struct uop *u)                   \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 a = *xmm(c, u->v), b = *xmm(c, u->s);                                                 \
        begin(c, a, b);                                                                            \
        a = lane(a, b, u->imm8);                                                                   \
        end(c, u, a);                                                                              \
        set_xmm(c, u->d, a);                                                                       \
        NEXT(c, u);                                                                                \
    }
#define VEX_128_RM(name, lane, mem, begin, end)                                                    \
    static const struct uop *op_v##name##_rm(struct cpu *c, const struct uop *u)                   \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 b = mem(c, u), a = *xmm(c, u->v);                                                     \
        begin(c, a, b);                                                                            \
        a = lane(a, b, u->imm8);                                                                   \
        end(c, u, a);                                                                              \
        set_xmm(c, u->d, a);                                                                       \
        NEXT(c, u);                                                                                \
    }

#define VEX_128(name, lane, mem, begin, end)                                                       \
    VEX_128_RR(name, lane, begin, end)                                                             \
    VEX_128_RM(name, lane, mem, begin, end)

/* `shift`: how far the immediate is shifted for the high half. */
#define VEX_256(name, lane, shift, begin, end)                                                     \
    static const struct uop *op_v##name##_rr256(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        x128 a = *xmm(c, u->v), b = *xmm(c, u->s), low, high;                                      \
        begin(c, a, b);                                                                            \
        low = lane(a, b, u->imm8);                                                                 \
        high = lane(*ymm_high(c, u->v), *ymm_high(c, u->s), (uint32_t)u->imm8 >> (shift));         \
        end(c, u, low);                                                                            \
        set_ymm(c, u->d, low, high);                                                               \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_v##name##_rm256(struct cpu *c, const struct uop *u)                \
    {                                                                                              \
        avx_check(c, u);                                                                           \
        uint64_t la = mem256(c, u);                                                                \
        x128 b = ld128(c, u, la), b_high = ld128(c, u, la + 16), a = *xmm(c, u->v), low, high;     \
        begin(c, a, b);                                                                            \
        low = lane(a, b, u->imm8);                                                                 \
        high = lane(*ymm_high(c, u->v), b_high, (uint32_t)u->imm8 >> (shift));                     \
        end(c, u, low);                                                                            \
        set_ymm(c, u->d, low, high);                                                               \
        NEXT(c, u);                                                                                \
    }

#define VEX_EMIT(name)                                                                             \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_rm, op_v##name##_rr256,   \
                                           op_v##name##_rm256};                                    \
        return emit_vex(e, &ops);                                                                  \
    }

/* Both sizes; `shift` as above. */
#define VEX_INTEGER(name, lane, shift)                                                             \
    VEX_128(name, lane, mem128, NO_BEGIN, NO_END)                                                  \
    VEX_256(name, lane, shift, NO_BEGIN, NO_END)                                                   \
    VEX_EMIT(name)
#define VEX_FLOAT(name, lane, shift)                                                               \
    VEX_128(name, lane, mem128, MXCSR_BEGIN, MXCSR_END)                                            \
    VEX_256(name, lane, shift, MXCSR_BEGIN, MXCSR_END)                                             \
    VEX_EMIT(name)

/* 128 bits only. */
#define VEX_EMIT_128(name)                                                                         \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_rm, NULL, NULL};          \
        return emit_vex(e, &ops);                                                                  \
    }
#define VEX_INTEGER_128(name, lane)                                                                \
    VEX_128(name, lane, mem128, NO_BEGIN, NO_END)                                                  \
    VEX_EMIT_128(name)

#define VEX_EMIT_SCALAR(name)                                                                      \
    static bool emit_v##name(struct emit *e)                                                       \
    {                                                                                              \
        static const struct vex_ops ops = {op_v##name##_rr, op_v##name##_rm, NULL, NULL};          \
        return emit_vex_scalar(e, &ops);                                                           \
    }
#define VEX_FLOAT_SCALAR(name, lane, mem)                                                          \
    VEX_128(name, lane, mem, MXCSR_BEGIN, MXCSR_END)                                               \
    VEX_EMIT_SCALAR(name)

#endif
