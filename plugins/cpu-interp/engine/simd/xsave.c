/* SPDX-License-Identifier: MIT
 *
 * simd/xsave.c - XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR and XRSTORS (SDM 1, chapter 13) with the
 * components x87, SSE and AVX. XGETBV and XSETBV are in ops/control.c.
 *
 * AVX is the one component outside of the legacy region, so that the standard and the compacted
 * form have it at the same place. XSAVEOPT and XSAVES use the init optimization, not the modified
 * one. IA32_XSS has no bits.
 */
#include "../decode/features.h"
#include "../fpu/mxcsr.h"
#include "../fpu/x87.h"
#include "vector.h"

#include <Zydis/Mnemonic.h>

#define X87 1u
#define SSE 2u
#define AVX 4u

/* The area: 13.4. */
enum {
    AT_MXCSR = 24,
    AT_ST = 32,
    AT_XMM = 160,
    AT_HEADER = 512,
    AT_AVX = 576,
    AREA = 832,
    MXCSR_BYTES = 8 /* with its mask */
};

#define COMPACTED ((uint64_t)1 << 63)

struct header {
    uint64_t xstate_bv, xcomp_bv, reserved[6];
};

static_assert(sizeof(struct header) == AT_AVX - AT_HEADER, "64 bytes");

/* 13.6: which components are not in their initial configuration. */
static uint32_t in_use(struct cpu *c, const uint8_t image[512])
{
    static const uint8_t zero[128];
    const struct fpu *f = &c->fpu;
    uint32_t use = 0, registers = cpu_64bit(c) ? 16 : 8;

    if (f->control != CW_DEFAULT || f->status || f->top || f->valid || f->opcode || f->ip ||
        f->dp || f->cs || f->ds)
        use |= X87;
    for (uint32_t i = 0; i < 8; i++)
        if (memcmp(image + AT_ST + 16 * i, zero, 10) != 0)
            use |= X87;
    for (uint32_t i = 0; i < registers; i++) {
        if (c->v[i].u64[0] | c->v[i].u64[1])
            use |= SSE;
        if (c->v[i].u64[2] | c->v[i].u64[3])
            use |= AVX;
    }
    return use;
}

/* #UD, #NM, and #GP for a misaligned area; returns its address. */
static uint64_t area(struct cpu *c, const struct uop *u, uint32_t access)
{
    uint64_t la;

    if (!(c->cr4 & CR4_OSXSAVE))
        raise_exception(c, u, EXC_UD);
    if (c->cr0 & CR0_TS)
        raise_exception(c, u, EXC_NM);
    la = vector_ea(c, u, AT_AVX, access);
    if (la & 63)
        raise_misaligned(c, u);
    return la;
}

static uint32_t requested(const struct cpu *c)
{
    return (uint32_t)(c->reg[RAX] & c->xcr0) & (X87 | SSE | AVX);
}

/* ---- saving --------------------------------------------------------------------------------- */

enum { SAVE_PLAIN, SAVE_OPTIMIZED, SAVE_COMPACTED };

static void save_components(struct cpu *c, const struct uop *u, uint64_t la, const uint8_t *image,
                            uint32_t which, bool mxcsr)
{
    uint32_t registers = cpu_64bit(c) ? 16 : 8;
    uint8_t high[256];

    if (which & X87) {
        store_bytes(c, u, la, image, AT_MXCSR, ACCESS_WRITE);
        store_bytes(c, u, la + AT_ST, image + AT_ST, AT_XMM - AT_ST, ACCESS_WRITE);
    }
    if (mxcsr)
        store_bytes(c, u, la + AT_MXCSR, image + AT_MXCSR, MXCSR_BYTES, ACCESS_WRITE);
    if (which & SSE)
        store_bytes(c, u, la + AT_XMM, image + AT_XMM, 16 * registers, ACCESS_WRITE);
    if (which & AVX) {
        for (uint32_t i = 0; i < registers; i++)
            memcpy(high + 16 * i, &c->v[i].u64[2], 16);
        store_bytes(c, u, la + AT_AVX, high, 16 * registers, ACCESS_WRITE);
    }
}

/* 13.7 to 13.11. imm8: SAVE_*; osize: 8 with REX.W. */
static __attribute__((noinline)) void save(struct cpu *c, const struct uop *u)
{
    uint64_t la = area(c, u, ACCESS_WRITE);
    uint32_t rfbm = requested(c), use, which;
    struct header h = {0};
    uint8_t image[512];
    bool mxcsr;

    x87_image_get(c, image, u->osize == 8);
    use = in_use(c, image);
    probe_write(c, u, la, rfbm & AVX ? AREA : AT_AVX);
    if (u->imm8 == SAVE_COMPACTED) {
        /* With another MXCSR SSE counts as in use (13.10). */
        if ((mxcsr_sync(c)) != MXCSR_DEFAULT)
            use |= SSE;
        which = rfbm & use;
        mxcsr = (which & SSE) != 0;
        h.xstate_bv = which;
        h.xcomp_bv = rfbm | COMPACTED;
        store_bytes(c, u, la + AT_HEADER, &h, 16, ACCESS_WRITE);
    } else {
        uint64_t old = load_slow(c, u, la + AT_HEADER, 8);

        which = u->imm8 == SAVE_OPTIMIZED ? rfbm & use : rfbm;
        mxcsr = (rfbm & (SSE | AVX)) != 0;
        old = (old & ~(uint64_t)rfbm) | (rfbm & use);
        store_bytes(c, u, la + AT_HEADER, &old, 8, ACCESS_WRITE);
    }
    save_components(c, u, la, image, which, mxcsr);
}

/* ---- restoring ------------------------------------------------------------------------------ */

/* The checks of 13.8.1 and 13.12. */
static void check_header(struct cpu *c, const struct uop *u, const struct header *h, bool system)
{
    uint64_t reserved = 0, xcomp = h->xcomp_bv & ~COMPACTED;
    bool compacted = (h->xcomp_bv & COMPACTED) != 0, good;

    for (uint32_t i = 0; i < 6; i++)
        reserved |= h->reserved[i];
    if (compacted)
        good = (system || cpu_has(c, FEATURE_XSAVEC)) && !(xcomp & ~c->xcr0) &&
               !(h->xstate_bv & ~xcomp) && !reserved;
    else /* of the reserved bytes only the first 8 must be zeros */
        good = !system && !(h->xstate_bv & ~c->xcr0) && !xcomp && !h->reserved[0];
    if (!good)
        raise_error(c, u, EXC_GP, 0);
}

/* imm8: XRSTORS; osize as above. All is loaded and checked before anything is changed. */
static __attribute__((noinline)) void restore(struct cpu *c, const struct uop *u)
{
    uint64_t la = area(c, u, ACCESS_READ);
    uint32_t rfbm = requested(c), load, mxcsr = MXCSR_DEFAULT, registers = cpu_64bit(c) ? 16 : 8;
    uint16_t control = CW_DEFAULT;
    uint8_t image[512], memory[512], high[256];
    bool wide = u->osize == 8 || !(rfbm & X87), compacted;
    struct header h;

    load_bytes(c, u, la + AT_HEADER, &h, sizeof(h), ACCESS_READ);
    check_header(c, u, &h, u->imm8);
    compacted = (h.xcomp_bv & COMPACTED) != 0;
    load = rfbm & (uint32_t)h.xstate_bv;
    load_bytes(c, u, la, memory, sizeof(memory), ACCESS_READ);
    memset(high, 0, sizeof(high));
    if (load & AVX)
        load_bytes(c, u, la + AT_AVX, high, 16 * registers, ACCESS_READ);
    x87_image_get(c, image, wide);
    /* MXCSR: with SSE or AVX in the standard form, whatever XSTATE_BV says; with SSE in the other.
     */
    if (compacted ? load & SSE : rfbm & (SSE | AVX)) {
        memcpy(&mxcsr, memory + AT_MXCSR, 4);
        if (mxcsr & ~MXCSR_VALID)
            raise_error(c, u, EXC_GP, 0);
        memcpy(image + AT_MXCSR, &mxcsr, 4);
    } else if (rfbm & SSE) {
        memcpy(image + AT_MXCSR, &mxcsr, 4);
    }
    if (load & X87) {
        memcpy(image, memory, AT_MXCSR);
        memcpy(image + AT_ST, memory + AT_ST, AT_XMM - AT_ST);
    } else if (rfbm & X87) {
        memset(image, 0, AT_MXCSR);
        memcpy(image, &control, 2);
        memset(image + AT_ST, 0, AT_XMM - AT_ST);
    }
    if (load & SSE)
        memcpy(image + AT_XMM, memory + AT_XMM, 256);
    else if (rfbm & SSE)
        memset(image + AT_XMM, 0, 256);
    x87_image_set(c, image, wide, registers);
    if (rfbm & AVX)
        for (uint32_t i = 0; i < registers; i++)
            memcpy(&c->v[i].u64[2], high + 16 * i, 16);
}

/* ---- handlers ------------------------------------------------------------------------------- */

static const struct uop *op_xsave(struct cpu *c, const struct uop *u)
{
    save(c, u);
    NEXT(c, u);
}

static const struct uop *op_xsaves(struct cpu *c, const struct uop *u)
{
    if (c->cpl)
        raise_error(c, u, EXC_GP, 0);
    save(c, u);
    NEXT(c, u);
}

static const struct uop *op_xrstor(struct cpu *c, const struct uop *u)
{
    if (u->imm8 && c->cpl)
        raise_error(c, u, EXC_GP, 0);
    restore(c, u);
    NEXT(c, u);
}

static bool emit(struct emit *e, op_fn *fn, uint8_t kind)
{
    e->uop->y = emit_memory(e, &e->insn->op[0]);
    e->uop->osize = e->insn->w ? 8 : 4;
    e->uop->imm8 = kind;
    e->uop->fn = fn;
    return true;
}

static bool emit_xsave_plain(struct emit *e)
{
    return emit(e, op_xsave, SAVE_PLAIN);
}

static bool emit_xsaveopt(struct emit *e)
{
    return emit(e, op_xsave, SAVE_OPTIMIZED);
}

static bool emit_xsavec(struct emit *e)
{
    return emit(e, op_xsave, SAVE_COMPACTED);
}

static bool emit_xsaves(struct emit *e)
{
    return emit(e, op_xsaves, SAVE_COMPACTED);
}

static bool emit_xrstor(struct emit *e)
{
    return emit(e, op_xrstor, false);
}

static bool emit_xrstors(struct emit *e)
{
    return emit(e, op_xrstor, true);
}

const struct emit_entry emit_xsave[] = {
    {ZYDIS_MNEMONIC_XSAVE, emit_xsave_plain},
    {ZYDIS_MNEMONIC_XSAVE64, emit_xsave_plain},
    {ZYDIS_MNEMONIC_XSAVEOPT, emit_xsaveopt},
    {ZYDIS_MNEMONIC_XSAVEOPT64, emit_xsaveopt},
    {ZYDIS_MNEMONIC_XSAVEC, emit_xsavec},
    {ZYDIS_MNEMONIC_XSAVEC64, emit_xsavec},
    {ZYDIS_MNEMONIC_XSAVES, emit_xsaves},
    {ZYDIS_MNEMONIC_XSAVES64, emit_xsaves},
    {ZYDIS_MNEMONIC_XRSTOR, emit_xrstor},
    {ZYDIS_MNEMONIC_XRSTOR64, emit_xrstor},
    {ZYDIS_MNEMONIC_XRSTORS, emit_xrstors},
    {ZYDIS_MNEMONIC_XRSTORS64, emit_xrstors},
    {0, NULL},
};
