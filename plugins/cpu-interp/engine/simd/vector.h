/* SPDX-License-Identifier: MIT
 *
 * simd/vector.h - what the vector instructions share: lane types, availability checks, operands,
 * and the macros that make handlers from an operation on lanes.
 *
 * An operation is written once, as a function lane_<name>(a, b, imm) on 128 bits: `a` is the first
 * source (of legacy SSE: the destination), `b` the last one, which may be memory, `imm` the
 * immediate. Legacy SSE handlers are made from it here; VEX.128 and VEX.256 ones in vex.h.
 * SDM 1, chapters 9-15; SDM 3, 14.
 *
 * uop members: d, s, v and x are vector registers (x: the fourth one of VEX blends), imm8 the
 * immediate, y tells that ea_fast() computes the address.
 */
#ifndef INTERP_VECTOR_H
#define INTERP_VECTOR_H

#include "../coverage.h"
#include "../decode/emit.h"

/* A host's own instruction may do the work if it is an x86 with the same results by definition. A
 * test builds the portable paths on x86 by defining SIMD_PORTABLE. */
#if defined(__x86_64__) && !defined(SIMD_PORTABLE)
#define SIMD_HOST 1
#else
#define SIMD_HOST 0
#endif

typedef uint64_t x128 __attribute__((vector_size(16), may_alias));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef int64_t i64x2 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

/* ---- availability: vector.c ----------------------------------------------------------------- */

/* #UD or #NM, as CR0, CR4 and XCR0 say (SDM 3, table 14-1 and 2.6). */
_Noreturn void raise_no_sse(struct cpu *c, const struct uop *u);
_Noreturn void raise_no_avx(struct cpu *c, const struct uop *u);
_Noreturn void raise_misaligned(struct cpu *c, const struct uop *u);

static inline void sse_check(struct cpu *c, const struct uop *u)
{
    if (unlikely(c->no_sse))
        raise_no_sse(c, u);
}

static inline void avx_check(struct cpu *c, const struct uop *u)
{
    if (unlikely(c->no_avx))
        raise_no_avx(c, u);
}

/* ---- operands ------------------------------------------------------------------------------- */

/* The low or high 128 bits of a register. */
static inline x128 *xmm(struct cpu *c, uint32_t number)
{
    return (x128 *)&c->v[number].u64[0];
}

static inline x128 *ymm_high(struct cpu *c, uint32_t number)
{
    return (x128 *)&c->v[number].u64[2];
}

static inline x128 x128_of(uint64_t low, uint64_t high)
{
    return (x128){low, high};
}

/* Slow paths: values by register, so that a handler's locals keep no address. vector.c. */
x128 load128(struct cpu *c, const struct uop *u, uint64_t la);
void store128(struct cpu *c, const struct uop *u, uint64_t la, x128 value);
void store256(struct cpu *c, const struct uop *u, uint64_t la, x128 low, x128 high);

static inline x128 ld128(struct cpu *c, const struct uop *u, uint64_t la)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);
    x128 value;

    if (unlikely(!tlb_hit(e->rtag, la, 16)))
        return load128(c, u, la);
    memcpy(&value, tlb_host(e, la), 16);
    return value;
}

static inline void st128(struct cpu *c, const struct uop *u, uint64_t la, x128 value)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (unlikely(!tlb_hit(e->wtag, la, 16)))
        store128(c, u, la, value);
    else
        memcpy(tlb_host(e, la), &value, 16);
}

static inline void st256(struct cpu *c, const struct uop *u, uint64_t la, x128 low, x128 high)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (unlikely(!tlb_hit(e->wtag, la, 32))) {
        store256(c, u, la, low, high);
    } else {
        memcpy(tlb_host(e, la), &low, 16);
        memcpy((char *)tlb_host(e, la) + 16, &high, 16);
    }
}

static inline uint64_t vector_ea(struct cpu *c, const struct uop *u, uint32_t size, uint32_t access)
{
    return likely(u->y) ? ea_fast(c, u) : ea_any(c, u, size, access);
}

static inline uint64_t vector_ea_aligned(struct cpu *c, const struct uop *u, uint32_t size,
                                         uint32_t access)
{
    uint64_t la = vector_ea(c, u, size, access);

    if (unlikely(la & (size - 1)))
        raise_misaligned(c, u);
    return la;
}

/* Memory source operands by size, zero-extended; legacy SSE wants 16 bytes aligned. mem<size>() is
 * complete. fast_mem<size>() gives a host pointer for at_mem<size>() in the usual case of ea_fast()
 * and a TLB hit, and NULL otherwise: then a handler goes to its complete twin, so that it needs no
 * stack frame itself. */
static inline __attribute__((always_inline)) void *
fast_host(struct cpu *c, const struct uop *u, uint32_t size, bool aligned, bool writes)
{
    const struct tlb_entry *e;
    uint64_t la;

    if (unlikely(!u->y))
        return NULL;
    la = ea_fast(c, u);
    e = tlb_at(c->tlb, la);
    if (unlikely(!tlb_hit(writes ? e->wtag : e->rtag, la, size)) ||
        (aligned && unlikely(la & (size - 1))))
        return NULL;
    return tlb_host(e, la);
}

static inline const void *fast_at(struct cpu *c, const struct uop *u, uint32_t size, bool aligned)
{
    return fast_host(c, u, size, aligned, false);
}

/* Likewise, to be written. */
static inline void *fast_to(struct cpu *c, const struct uop *u, uint32_t size, bool aligned)
{
    return fast_host(c, u, size, aligned, true);
}

static inline x128 mem128a(struct cpu *c, const struct uop *u)
{
    return ld128(c, u, vector_ea_aligned(c, u, 16, ACCESS_READ));
}

static inline x128 mem128(struct cpu *c, const struct uop *u)
{
    return ld128(c, u, vector_ea(c, u, 16, ACCESS_READ));
}

static inline const void *fast_mem128a(struct cpu *c, const struct uop *u)
{
    return fast_at(c, u, 16, true);
}

static inline const void *fast_mem128(struct cpu *c, const struct uop *u)
{
    return fast_at(c, u, 16, false);
}

static inline void *fast_to_mem128a(struct cpu *c, const struct uop *u)
{
    return fast_to(c, u, 16, true);
}

static inline void *fast_to_mem128(struct cpu *c, const struct uop *u)
{
    return fast_to(c, u, 16, false);
}

static inline x128 at_mem128(const void *p)
{
    x128 value;

    memcpy(&value, p, 16);
    return value;
}

static inline x128 at_mem128a(const void *p)
{
    return at_mem128(p);
}

#define DEFINE_MEM(bits)                                                                           \
    static inline x128 mem##bits(struct cpu *c, const struct uop *u)                               \
    {                                                                                              \
        return x128_of(ld##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_READ)), 0);                 \
    }                                                                                              \
    static inline const void *fast_mem##bits(struct cpu *c, const struct uop *u)                   \
    {                                                                                              \
        return fast_at(c, u, bits / 8, false);                                                     \
    }                                                                                              \
    static inline x128 at_mem##bits(const void *p)                                                 \
    {                                                                                              \
        uint64_t value = 0;                                                                        \
        memcpy(&value, p, bits / 8);                                                               \
        return x128_of(value, 0);                                                                  \
    }
DEFINE_MEM(8)
DEFINE_MEM(16)
DEFINE_MEM(32)
DEFINE_MEM(64)
#undef DEFINE_MEM

/* Stores those of the `bytes` bytes of `value` whose byte in `mask` has its top bit set, after
 * checking all for a write. vector.c. */
void store_masked_bytes(struct cpu *c, const struct uop *u, uint64_t la, x128 value, x128 mask,
                        uint32_t bytes);

/* ---- emitters: vector.c --------------------------------------------------------------------- */

/* Takes operand 0 as d, operand 1 as the source, an immediate after it as imm8. */
bool emit_sse(struct emit *e, op_fn *reg, op_fn *mem);
/* As emit_sse(), and MMX operands go to mmx_emit(). */
bool emit_sse_mmx(struct emit *e, op_fn *reg, op_fn *mem);
/* Operand `o` as the source: memory, or a register into s. True if it is memory. */
bool emit_source(struct emit *e, const struct operand *o);
/* DS:RDI, or with the prefix's segment, as the memory operand; what emit_memory() returns. */
bool emit_rdi(struct emit *e);
/* The MMX form of an instruction that exists with XMM registers too. mmx.c. */
bool mmx_emit(struct emit *e);

/* ---- handlers of legacy SSE ----------------------------------------------------------------- */

/* A handler's twin that does all that is rare. */
#define SLOW __attribute__((cold, noinline))

/* op_<name>_rr and op_<name>_rm, and their emitter; `mem` is one of the loads above. The upper half
 * of the YMM register stays. */
#define SSE_HANDLERS(name, lane, mem)                                                              \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        *xmm(c, u->d) = lane(*xmm(c, u->d), *xmm(c, u->s), u->imm8);                               \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    SLOW static const struct uop *op_##name##_rm_slow(struct cpu *c, const struct uop *u)          \
    {                                                                                              \
        coverage_count(op_##name##_rm_slow);                                                       \
        sse_check(c, u);                                                                           \
        x128 source = mem(c, u);                                                                   \
        *xmm(c, u->d) = lane(*xmm(c, u->d), source, u->imm8);                                      \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        const void *p = fast_##mem(c, u);                                                          \
        if (unlikely(!p) || unlikely(c->no_sse))                                                   \
            return op_##name##_rm_slow(c, u);                                                      \
        *xmm(c, u->d) = lane(*xmm(c, u->d), at_##mem(p), u->imm8);                                 \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_sse_mmx(e, op_##name##_rr, op_##name##_rm);                                    \
    }

#endif
