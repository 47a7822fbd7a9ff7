/* SPDX-License-Identifier: MIT
 *
 * fpu/x87.h - what the handlers of x87 instructions share: status bits, the register stack, and
 * pending exceptions.
 *
 * After the Intel SDM 1, chapter 8. FIP and FCS are noted by every instruction that is not a
 * control instruction; FOP and FDP only by one that raises an unmasked exception, as processors
 * do that announce so (FDP_EXCPTN_ONLY, CPUID 7.0 EBX bit 6; fopcode compatibility off), and FCS
 * and FDS are saved as 0 (deprecated, bit 13): both bits are to be announced.
 *
 * With CR0.NE = 0 a pending exception is told to the board: x87_pending().
 */
#ifndef INTERP_X87_H
#define INTERP_X87_H

#include "../decode/emit.h"
#include "f80.h"

/* Status word (SDM 1, 8.1.3). */
#define SW_IE 0x1u
#define SW_DE 0x2u
#define SW_ZE 0x4u
#define SW_OE 0x8u
#define SW_UE 0x10u
#define SW_PE 0x20u
#define SW_FLAGS 0x3fu
#define SW_SF 0x40u
#define SW_ES 0x80u
#define SW_C0 0x100u
#define SW_C1 0x200u
#define SW_C2 0x400u
#define SW_C3 0x4000u
#define SW_B 0x8000u
#define SW_CC (SW_C0 | SW_C1 | SW_C2 | SW_C3)
#define SW_TOP 0x3800u

/* Control word (SDM 1, 8.1.5): the masks have the flags' places. Bit 6 reads as 1, bit 12 keeps
 * what is written without effect. */
#define CW_MASKS 0x3fu
#define CW_PC 0x300u /* 0: 24 bits, 2: 53, 3: 64; 1 is reserved and counts as 64 */
#define CW_RC 0xc00u /* 0: to nearest even, 1: down, 2: up, 3: to zero */
#define CW_WRITABLE 0x1f3fu
#define CW_ONE 0x40u
#define CW_DEFAULT 0x37fu

/* In uop.extra. */
enum { X87_OPCODE, X87_MODRM, X87_FAST };

/* The image of FXSAVE, all of it or the form with 32-bit pointers, and back without its checks.
 * fpu/x87_image.c. */
void x87_image_get(struct cpu *c, uint8_t image[512], bool wide);
void x87_image_set(struct cpu *c, const uint8_t image[512], bool wide, uint32_t vectors);

/* FNINIT (SDM 1, table 8-1); the registers' contents stay. [vcpu] */
void x87_init(struct fpu *f);

static inline uint16_t x87_status(const struct fpu *f)
{
    return (uint16_t)(f->status | f->top << 11);
}

/* ES and B follow flags and masks. */
static inline void x87_update(struct fpu *f)
{
    uint32_t status = f->status & ~(SW_ES | SW_B);

    if (status & ~(uint32_t)f->control & SW_FLAGS)
        status |= SW_ES | SW_B;
    f->status = (uint16_t)status;
}

static inline void x87_set_status(struct fpu *f, uint16_t status)
{
    f->top = status >> 11 & 7;
    f->status = (uint16_t)(status & ~SW_TOP);
}

static inline void x87_set_control(struct fpu *f, uint16_t control)
{
    f->control = (uint16_t)((control & CW_WRITABLE) | CW_ONE);
}

/* #NM: of all instructions but FWAIT. */
static inline void x87_available(struct cpu *c, const struct uop *u)
{
    if (unlikely(c->no_fpu))
        raise_exception(c, u, EXC_NM);
}

/* What a waiting instruction does about an exception that an earlier one left (SDM 1, 8.7): #MF;
 * with CR0.NE = 0 FERR# is asserted, and unless the board asserts IGNNE#, the processor stands
 * still, to begin with this instruction again after an interrupt. Comes back if it is to be
 * ignored. */
void x87_pending(struct cpu *c, const struct uop *u);
/* FERR# falls. */
void x87_ferr_fall(struct cpu *c);

/* To be called where an exception may have ended, or CR0.NE been set. */
static inline void x87_ferr_follow(struct cpu *c)
{
    if (unlikely(c->ferr) && (!(c->fpu.status & SW_ES) || c->cr0 & CR0_NE))
        x87_ferr_fall(c);
}

/* #NM, or the above: of the waiting instructions. */
static inline void x87_wait(struct cpu *c, const struct uop *u)
{
    x87_available(c, u);
    if (unlikely(c->fpu.status & SW_ES))
        x87_pending(c, u);
}

/* Physical register of ST(i), whether something is in it, and the stack's movements. */
static inline uint32_t x87_at(const struct fpu *f, uint32_t i)
{
    return (f->top + i) & 7;
}

static inline struct f80 *x87_st(struct fpu *f, uint32_t i)
{
    return &f->r[x87_at(f, i)];
}

static inline bool x87_filled(const struct fpu *f, uint32_t i)
{
    return f->valid >> x87_at(f, i) & 1;
}

static inline void x87_pop(struct fpu *f)
{
    f->valid = (uint8_t)(f->valid & ~(1u << f->top));
    f->top = (f->top + 1) & 7;
}

static inline void x87_fill(struct fpu *f, uint32_t i, struct f80 value)
{
    uint32_t at = x87_at(f, i);

    f->r[at].mantissa = value.mantissa;
    f->r[at].sign_exponent = value.sign_exponent;
    f->valid = (uint8_t)(f->valid | 1u << at);
}

/* What ends every instruction that is not a control instruction: notes where it is, and the flags
 * and, of `codes`, the condition codes of its `status`. False if an unmasked invalid, denormal or
 * division exception keeps it from changing operands: of `codes`, C1 and C2 become 0 then, but for
 * the C1 of a stack fault. */
bool x87_raise(struct cpu *c, const struct uop *u, uint32_t status, uint32_t codes);

static inline bool x87_flags(struct cpu *c, const struct uop *u, uint32_t status, uint32_t codes)
{
    struct fpu *f = &c->fpu;

    f->ip = uop_rip(c, u);
    f->cs = c->seg[SEG_CS].selector;
    if (unlikely(status & ~(uint32_t)f->control & SW_FLAGS) && !x87_raise(c, u, status, codes))
        return false;
    f->status = (uint16_t)((f->status & ~codes) | (status & (SW_FLAGS | SW_SF | codes)));
    return true;
}

/* An operand is missing (SDM 1, 8.5.1.1); `codes`: those that become 0. True: give the masked
 * response. */
static inline bool x87_underflow(struct cpu *c, const struct uop *u, uint32_t codes)
{
    return x87_flags(c, u, SW_IE | SW_SF, codes);
}

/* Pushes, or does what is done when there is no room. */
static inline void x87_push(struct cpu *c, const struct uop *u, struct f80 value, uint32_t status)
{
    struct fpu *f = &c->fpu;

    if (unlikely(x87_filled(f, 7)) && !(status & SW_SF)) {
        status = SW_IE | SW_SF | SW_C1;
        value = f80_indefinite();
    }
    /* A denormal is loaded even if that exception is unmasked. */
    if (likely(x87_flags(c, u, status, SW_C1)) || !(status & ~(uint32_t)f->control & SW_IE)) {
        f->top = (f->top - 1) & 7;
        x87_fill(f, 0, value);
    }
}

/* The handler of an instruction, by its opcode D8 to DF and ModRM; NULL: not of this file. */
op_fn *x87_arith_handler(uint8_t opcode, uint8_t modrm);
op_fn *x87_compare_handler(uint8_t opcode, uint8_t modrm);
op_fn *x87_move_handler(uint8_t opcode, uint8_t modrm);
op_fn *x87_math_handler(uint8_t opcode, uint8_t modrm);

/* A handler whose work is a function of its own: so no local's address is in the way of the jump.
 */
#define X87_HANDLER(name)                                                                          \
    static const struct uop *op_##name(struct cpu *c, const struct uop *u)                         \
    {                                                                                              \
        name(c, u);                                                                                \
        NEXT(c, u);                                                                                \
    }
#define X87_WORK static __attribute__((noinline)) void
#define X87_INLINE static inline __attribute__((always_inline))

/* The memory operand's linear address. */
static inline uint64_t x87_ea(struct cpu *c, const struct uop *u, uint32_t size, uint32_t access)
{
    return u->extra[X87_FAST] ? ea_fast(c, u) : ea_any(c, u, size, access);
}

/* Of every emitter here. */
static inline void x87_emit(struct emit *e, op_fn *fn)
{
    e->uop->fn = fn;
    e->uop->osize = e->insn->osize;
    e->uop->extra[X87_OPCODE] = e->insn->opcode;
    e->uop->extra[X87_MODRM] = e->insn->modrm;
    e->uop->d = e->insn->modrm & 7;
    if (e->insn->count && e->insn->op[0].kind == OPERAND_MEM)
        e->uop->extra[X87_FAST] = emit_memory(e, &e->insn->op[0]);
}

#endif
