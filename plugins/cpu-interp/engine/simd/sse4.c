/* SPDX-License-Identifier: MIT
 *
 * simd/sse4.c - SSSE3, SSE4.1 and SSE4.2 (SDM 1, 12.6, 12.10, 12.12), without the floating-point
 * arithmetic, which is in sse_arith.c. The operations are in lanes_sse4.h and strings.h. POPCNT is
 * with the general instructions.
 */
#include "../ops/flags.h"
#include "lanes_sse4.h"
#include "strings.h"
#include "tables.h"

#include <Zydis/Mnemonic.h>

#define PACKED(mnemonic, name) SSE_HANDLERS(name, lane_##name, mem128a)
#define WIDEN(mnemonic, name, bits) SSE_HANDLERS(name, lane_##name, mem##bits)
SSSE3_BINARY(PACKED)
SSSE3_UNARY(PACKED)
SSE4_BINARY(PACKED)
HALVED_BINARY(PACKED)
SSE4_UNARY(PACKED)
SSE4_WIDEN(WIDEN)
SSE_HANDLERS(insertps_all, lane_insertps, mem32)

static bool emit_insertps(struct emit *e)
{
    if (!emit_insertps_all(e))
        return false;
    if (e->insn->op[1].kind == OPERAND_MEM)
        e->uop->imm8 &= 0x3f;
    return true;
}

/* ---- blends by XMM0 ------------------------------------------------------------------------- */

#define BLEND_HANDLERS(name, blend)                                                                \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        *xmm(c, u->d) = blend(*xmm(c, u->d), *xmm(c, u->s), *xmm(c, 0));                           \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        x128 source = mem128a(c, u);                                                               \
        *xmm(c, u->d) = blend(*xmm(c, u->d), source, *xmm(c, 0));                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_sse(e, op_##name##_rr, op_##name##_rm);                                        \
    }
BLEND_HANDLERS(pblendvb, blend_bytes)
BLEND_HANDLERS(blendvps, blend_dwords)
BLEND_HANDLERS(blendvpd, blend_qwords)

/* ---- one element ---------------------------------------------------------------------------- */

#define INSERT_HANDLERS(name, bits, vector)                                                        \
    static const struct uop *op_##name##_rr(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        vector r = (vector)*xmm(c, u->d);                                                          \
        r[u->imm8 & (128 / bits - 1)] = (uint##bits##_t)c->reg[u->s];                              \
        *xmm(c, u->d) = (x128)r;                                                                   \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_rm(struct cpu *c, const struct uop *u)                    \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        uint##bits##_t value = ld##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_READ));             \
        vector r = (vector)*xmm(c, u->d);                                                          \
        r[u->imm8 & (128 / bits - 1)] = value;                                                     \
        *xmm(c, u->d) = (x128)r;                                                                   \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_sse_mmx(e, op_##name##_rr, op_##name##_rm);                                    \
    }
INSERT_HANDLERS(pinsrb, 8, u8x16)
INSERT_HANDLERS(pinsrw, 16, u16x8)
INSERT_HANDLERS(pinsrd, 32, u32x4)
INSERT_HANDLERS(pinsrq, 64, u64x2)

#define EXTRACT_HANDLERS(name, bits)                                                               \
    static const struct uop *op_##name##_r(struct cpu *c, const struct uop *u)                     \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        c->reg[u->d] = c->v[u->s].u##bits[u->imm8 & (128 / bits - 1)];                             \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_##name##_m(struct cpu *c, const struct uop *u)                     \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        st##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_WRITE),                                    \
                 c->v[u->s].u##bits[u->imm8 & (128 / bits - 1)]);                                  \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        return emit_extract(e, op_##name##_r, op_##name##_m);                                      \
    }

static bool emit_extract(struct emit *e, op_fn *reg, op_fn *mem)
{
    const struct insn *insn = e->insn;
    struct uop *u = e->uop;

    if (insn->op[1].file == FILE_MMX)
        return mmx_emit(e);
    u->s = insn->op[1].number;
    if (insn->op[0].kind == OPERAND_MEM) {
        u->y = emit_memory(e, &insn->op[0]);
        u->fn = mem;
    } else {
        u->d = insn->op[0].number;
        u->fn = reg;
    }
    u->imm8 = (uint8_t)insn->op[2].imm;
    return true;
}

EXTRACT_HANDLERS(pextrb, 8)
EXTRACT_HANDLERS(pextrw, 16)
EXTRACT_HANDLERS(pextrd, 32)
EXTRACT_HANDLERS(pextrq, 64)

/* ---- PTEST ---------------------------------------------------------------------------------- */

static inline uint32_t test_bits(x128 a, x128 b)
{
    x128 both = a & b, rest = ~a & b;

    return (both[0] | both[1] ? 0 : FLAG_ZF) | (rest[0] | rest[1] ? 0 : FLAG_CF);
}

static const struct uop *op_ptest_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    flags_set(c, test_bits(*xmm(c, u->d), *xmm(c, u->s)));
    NEXT(c, u);
}

static const struct uop *op_ptest_rm(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    x128 source = mem128a(c, u);
    flags_set(c, test_bits(*xmm(c, u->d), source));
    NEXT(c, u);
}

static bool emit_ptest(struct emit *e)
{
    return emit_sse(e, op_ptest_rr, op_ptest_rm);
}

/* ---- strings -------------------------------------------------------------------------------- */

/* x: memory; osize: 8 if REX.W makes the lengths those of RAX and RDX. These need no alignment. */
static const struct uop *string_handler(struct cpu *c, const struct uop *u, bool counted,
                                        bool index)
{
    x128 a = *xmm(c, u->d), b = u->x ? mem128(c, u) : *xmm(c, u->s);
    uint32_t imm = u->imm8;
    struct string_result r = string_instruction(c, a, b, imm, counted, u->osize == 8);

    if (index)
        c->reg[RCX] = string_index(r.bits, imm);
    else
        *xmm(c, 0) = string_mask(r.bits, imm);
    flags_set(c, r.flags);
    return u + 1;
}

#define STRING_HANDLER(name, counted, index)                                                       \
    static const struct uop *op_##name(struct cpu *c, const struct uop *u)                         \
    {                                                                                              \
        sse_check(c, u);                                                                           \
        u = string_handler(c, u, counted, index);                                                  \
        DISPATCH(c, u);                                                                            \
    }                                                                                              \
    static bool emit_##name(struct emit *e)                                                        \
    {                                                                                              \
        e->uop->x = e->insn->op[1].kind == OPERAND_MEM;                                            \
        e->uop->osize = e->insn->w ? 8 : 4;                                                        \
        return emit_sse(e, op_##name, op_##name);                                                  \
    }
STRING_HANDLER(pcmpestri, true, true)
STRING_HANDLER(pcmpestrm, true, false)
STRING_HANDLER(pcmpistri, false, true)
STRING_HANDLER(pcmpistrm, false, false)

/* ---- CRC32 ---------------------------------------------------------------------------------- */

/* The polynomial 11EDC6F41H, bits reflected (SDM 2, CRC32). */
static uint32_t crc32c(uint32_t crc, uint64_t data, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        crc ^= (uint32_t)(data >> 8 * i) & 0xff;
        for (uint32_t bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return crc;
}

static inline uint32_t crc32c_of(uint32_t crc, uint64_t data, uint32_t bytes)
{
#if SIMD_HOST
    if (likely(__builtin_cpu_supports("sse4.2"))) {
        uint64_t wide = crc;

        switch (bytes) {
        case 1:
            __asm__("crc32b %b1, %k0" : "+r"(crc) : "r"(data));
            return crc;
        case 2:
            __asm__("crc32w %w1, %k0" : "+r"(crc) : "r"(data));
            return crc;
        case 4:
            __asm__("crc32l %k1, %k0" : "+r"(crc) : "r"(data));
            return crc;
        default:
            __asm__("crc32q %1, %0" : "+r"(wide) : "r"(data));
            return (uint32_t)wide;
        }
    }
#endif
    return crc32c(crc, data, bytes);
}

#define CRC_HANDLERS(bits, source)                                                                 \
    static const struct uop *op_crc32_##bits##_rr(struct cpu *c, const struct uop *u)              \
    {                                                                                              \
        c->reg[u->d] = crc32c_of((uint32_t)c->reg[u->d], source, bits / 8);                        \
        NEXT(c, u);                                                                                \
    }                                                                                              \
    static const struct uop *op_crc32_##bits##_rm(struct cpu *c, const struct uop *u)              \
    {                                                                                              \
        uint64_t data = ld##bits(c, u, vector_ea(c, u, bits / 8, ACCESS_READ));                    \
        c->reg[u->d] = crc32c_of((uint32_t)c->reg[u->d], data, bits / 8);                          \
        NEXT(c, u);                                                                                \
    }
CRC_HANDLERS(8, ((const uint8_t *)c->reg)[u->s])
CRC_HANDLERS(16, c->reg[u->s])
CRC_HANDLERS(32, c->reg[u->s])
CRC_HANDLERS(64, c->reg[u->s])

static bool emit_crc32(struct emit *e)
{
    bool done;

    switch (e->insn->op[1].bytes) {
    case 1:
        done = emit_sse(e, op_crc32_8_rr, op_crc32_8_rm);
        if (e->insn->op[1].kind == OPERAND_REG)
            e->uop->s = emit_gpr(&e->insn->op[1]);
        return done;
    case 2:
        return emit_sse(e, op_crc32_16_rr, op_crc32_16_rm);
    case 4:
        return emit_sse(e, op_crc32_32_rr, op_crc32_32_rm);
    default:
        return emit_sse(e, op_crc32_64_rr, op_crc32_64_rm);
    }
}

#define ENTRY(mnemonic, name) {ZYDIS_MNEMONIC_##mnemonic, emit_##name},
#define ENTRY_WIDEN(mnemonic, name, bits) ENTRY(mnemonic, name)
const struct emit_entry emit_sse4[] = {
    SSSE3_BINARY(ENTRY) SSSE3_UNARY(ENTRY) SSE4_BINARY(ENTRY) HALVED_BINARY(ENTRY) SSE4_UNARY(ENTRY)
        SSE4_WIDEN(ENTRY_WIDEN){ZYDIS_MNEMONIC_INSERTPS, emit_insertps},
    {ZYDIS_MNEMONIC_EXTRACTPS, emit_pextrd},
    {ZYDIS_MNEMONIC_PBLENDVB, emit_pblendvb},
    {ZYDIS_MNEMONIC_BLENDVPS, emit_blendvps},
    {ZYDIS_MNEMONIC_BLENDVPD, emit_blendvpd},
    {ZYDIS_MNEMONIC_PINSRB, emit_pinsrb},
    {ZYDIS_MNEMONIC_PINSRW, emit_pinsrw},
    {ZYDIS_MNEMONIC_PINSRD, emit_pinsrd},
    {ZYDIS_MNEMONIC_PINSRQ, emit_pinsrq},
    {ZYDIS_MNEMONIC_PEXTRB, emit_pextrb},
    {ZYDIS_MNEMONIC_PEXTRW, emit_pextrw},
    {ZYDIS_MNEMONIC_PEXTRD, emit_pextrd},
    {ZYDIS_MNEMONIC_PEXTRQ, emit_pextrq},
    {ZYDIS_MNEMONIC_PTEST, emit_ptest},
    {ZYDIS_MNEMONIC_PCMPESTRI, emit_pcmpestri},
    {ZYDIS_MNEMONIC_PCMPESTRM, emit_pcmpestrm},
    {ZYDIS_MNEMONIC_PCMPISTRI, emit_pcmpistri},
    {ZYDIS_MNEMONIC_PCMPISTRM, emit_pcmpistrm},
    {ZYDIS_MNEMONIC_CRC32, emit_crc32},
    {0, NULL},
};
