/* SPDX-License-Identifier: MIT
 *
 * simd/vector.c - see vector.h: what is rare in vector instructions, and their emitters' helpers.
 */
#include "vector.h"

#include "vex.h"

void raise_no_sse(struct cpu *c, const struct uop *u)
{
    if ((c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR))
        raise_exception(c, u, EXC_UD);
    raise_exception(c, u, EXC_NM);
}

void raise_no_avx(struct cpu *c, const struct uop *u)
{
    if (!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & 6) != 6 || !cpu_protected(c))
        raise_exception(c, u, EXC_UD);
    raise_exception(c, u, EXC_NM);
}

void raise_misaligned(struct cpu *c, const struct uop *u)
{
    raise_error(c, u, EXC_GP, 0);
}

x128 load128(struct cpu *c, const struct uop *u, uint64_t la)
{
    x128 value;

    load_bytes(c, u, la, &value, 16, ACCESS_READ);
    return value;
}

void store128(struct cpu *c, const struct uop *u, uint64_t la, x128 value)
{
    store_bytes(c, u, la, &value, 16, ACCESS_WRITE);
}

void store256(struct cpu *c, const struct uop *u, uint64_t la, x128 low, x128 high)
{
    x128 value[2] = {low, high};

    store_bytes(c, u, la, value, 32, ACCESS_WRITE);
}

void store_masked_bytes(struct cpu *c, const struct uop *u, uint64_t la, x128 value, x128 mask,
                        uint32_t bytes)
{
    probe_write(c, u, la, bytes);
    for (uint32_t i = 0; i < bytes; i++)
        if (((i8x16)mask)[i] < 0)
            st8(c, u, la + i, ((u8x16)value)[i]);
}

bool emit_rdi(struct emit *e)
{
    struct operand o = {.kind = OPERAND_MEM, .seg = e->insn->seg, .base = RDI, .index = REG_ZERO};

    return emit_memory(e, &o);
}

bool emit_source(struct emit *e, const struct operand *o)
{
    if (o->kind != OPERAND_MEM) {
        e->uop->s = o->number;
        return false;
    }
    e->uop->y = emit_memory(e, o);
    return true;
}

bool emit_sse(struct emit *e, op_fn *reg, op_fn *mem)
{
    const struct insn *insn = e->insn;
    bool memory = emit_source(e, &insn->op[1]);

    e->uop->d = insn->op[0].number;
    if (insn->op[2].kind == OPERAND_IMM)
        e->uop->imm8 = (uint8_t)insn->op[2].imm;
    e->uop->fn = memory ? mem : reg;
    return true;
}

bool emit_sse_mmx(struct emit *e, op_fn *reg, op_fn *mem)
{
    if (e->insn->op[0].file == FILE_MMX || e->insn->op[1].file == FILE_MMX)
        return mmx_emit(e);
    return emit_sse(e, reg, mem);
}

/* ---- VEX ------------------------------------------------------------------------------------ */

static bool is_source(const struct operand *o)
{
    return o->kind == OPERAND_REG || o->kind == OPERAND_MEM;
}

bool emit_vex_scalar(struct emit *e, const struct vex_ops *ops)
{
    const struct insn *insn = e->insn;
    struct uop *u = e->uop;
    uint32_t at = 1;

    u->d = insn->op[0].number;
    if (is_source(&insn->op[2])) {
        u->v = insn->op[1].number;
        at = 2;
    }
    u->fn = emit_source(e, &insn->op[at]) ? ops->rm : ops->rr;
    if (insn->op[at + 1].kind == OPERAND_IMM)
        u->imm8 = (uint8_t)insn->op[at + 1].imm;
    else if (insn->op[at + 1].kind == OPERAND_REG)
        u->x = insn->op[at + 1].number;
    return u->fn != NULL;
}

bool emit_vex(struct emit *e, const struct vex_ops *ops)
{
    struct vex_ops wide = {ops->rr_256, ops->rm_256, NULL, NULL};

    return emit_vex_scalar(e, e->insn->vector == 32 ? &wide : ops);
}
