/* SPDX-License-Identifier: MIT
 *
 * fpu/x87.c - which handler an x87 instruction has, and what becomes of unmasked exceptions.
 *
 * Opcodes D8 to DF: SDM 2, tables. The encodings that repeat others (DC D0, DD C8, DE
 * D0, DF C8, DF D0, DF D8, D9 D8) do what those do.
 */
#include "x87.h"

#include <Zydis/Mnemonic.h>

/* SDM 1, 8.6 and 8.7: the exception is pending from now on, and the pointers say whose it is. */
bool x87_raise(struct cpu *c, const struct uop *u, uint32_t status, uint32_t codes)
{
    struct fpu *f = &c->fpu;
    uint32_t raised = status & ~(uint32_t)f->control & SW_FLAGS;

    f->opcode = (uint16_t)((u->extra[X87_OPCODE] & 7) << 8 | u->extra[X87_MODRM]);
    if (u->extra[X87_MODRM] < 0xc0) {
        f->dp = ea_offset(c, u);
        f->ds = c->seg[u->seg].selector;
    }
    f->status |= SW_ES | SW_B;
    if (!(raised & (SW_IE | SW_DE | SW_ZE)))
        return true;
    f->status &= (uint16_t) ~(codes & (SW_C1 | SW_C2));
    f->status |= (uint16_t)(status & (SW_FLAGS | SW_SF));
    if (status & SW_SF)
        f->status |= (uint16_t)(status & SW_C1);
    return false;
}

/* SDM 1, 8.7.2 and D.2.1.1. FERR# is asserted here, as newer processors do, not when the exception
 * is found. */
__attribute__((noinline)) void x87_pending(struct cpu *c, const struct uop *u)
{
    if (c->cr0 & CR0_NE)
        raise_exception(c, u, EXC_MF);
    if (!c->chip || !BP_HAS(c->chip, ferr_set))
        return;
    c->ferr = 1;
    if (c->chip->ferr_set(c->chip_self, c->index, 1))
        return;
    c->rip = uop_rip(c, u);
    c->halted = HALTED_X87;
    longjmp(c->escape, 1);
}

void x87_ferr_fall(struct cpu *c)
{
    c->ferr = 0;
    (void)c->chip->ferr_set(c->chip_self, c->index, 0);
}

static bool emit(struct emit *e)
{
    op_fn *(*const of[])(uint8_t, uint8_t) = {x87_arith_handler, x87_compare_handler,
                                              x87_move_handler, x87_math_handler};

    for (uint32_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        op_fn *fn = of[i](e->insn->opcode, e->insn->modrm);

        if (fn) {
            x87_emit(e, fn);
            return true;
        }
    }
    return false;
}

#define ENTRY(name)                                                                                \
    {                                                                                              \
        ZYDIS_MNEMONIC_##name, emit                                                                \
    }

const struct emit_entry emit_x87[] = {
    ENTRY(F2XM1),   ENTRY(FABS),    ENTRY(FADD),    ENTRY(FADDP),   ENTRY(FBLD),    ENTRY(FBSTP),
    ENTRY(FCHS),    ENTRY(FCMOVB),  ENTRY(FCMOVBE), ENTRY(FCMOVE),  ENTRY(FCMOVNB), ENTRY(FCMOVNBE),
    ENTRY(FCMOVNE), ENTRY(FCMOVNU), ENTRY(FCMOVU),  ENTRY(FCOM),    ENTRY(FCOMI),   ENTRY(FCOMIP),
    ENTRY(FCOMP),   ENTRY(FCOMPP),  ENTRY(FCOS),    ENTRY(FDECSTP), ENTRY(FDIV),    ENTRY(FDIVP),
    ENTRY(FDIVR),   ENTRY(FDIVRP),  ENTRY(FFREE),   ENTRY(FFREEP),  ENTRY(FIADD),   ENTRY(FICOM),
    ENTRY(FICOMP),  ENTRY(FIDIV),   ENTRY(FIDIVR),  ENTRY(FILD),    ENTRY(FIMUL),   ENTRY(FINCSTP),
    ENTRY(FIST),    ENTRY(FISTP),   ENTRY(FISTTP),  ENTRY(FISUB),   ENTRY(FISUBR),  ENTRY(FLD),
    ENTRY(FLD1),    ENTRY(FLDL2E),  ENTRY(FLDL2T),  ENTRY(FLDLG2),  ENTRY(FLDLN2),  ENTRY(FLDPI),
    ENTRY(FLDZ),    ENTRY(FMUL),    ENTRY(FMULP),   ENTRY(FPATAN),  ENTRY(FPREM),   ENTRY(FPREM1),
    ENTRY(FPTAN),   ENTRY(FRNDINT), ENTRY(FSCALE),  ENTRY(FSIN),    ENTRY(FSINCOS), ENTRY(FSQRT),
    ENTRY(FST),     ENTRY(FSTP),    ENTRY(FSTPNCE), ENTRY(FSUB),    ENTRY(FSUBP),   ENTRY(FSUBR),
    ENTRY(FSUBRP),  ENTRY(FTST),    ENTRY(FUCOM),   ENTRY(FUCOMI),  ENTRY(FUCOMIP), ENTRY(FUCOMP),
    ENTRY(FUCOMPP), ENTRY(FXAM),    ENTRY(FXCH),    ENTRY(FXTRACT), ENTRY(FYL2X),   ENTRY(FYL2XP1),
    {0, NULL},
};
