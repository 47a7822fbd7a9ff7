/* SPDX-License-Identifier: MIT
 *
 * ops/system.c - HLT, CLI, STI, cache and TLB control, SWAPGS, FS and GS bases, time-stamp counter,
 * random numbers, MONITOR; and the table of all system instructions.
 *
 * Intel SDM 2 (each instruction); SDM 3, 20.3 (virtual interrupts of virtual-8086 mode), 4.10.4
 * (invalidation). Caches are not modelled: what flushes them does its checks only. VMX is left out.
 */
#include "privileged.h"

#include <sys/random.h>

#include <Zydis/Mnemonic.h>

#include "../block/chain.h"
#include "../decode/emit.h"
#include "../decode/features.h"
#include "../engine.h"
#include "flags.h"

/* ---- operands -------------------------------------------------------------------------------- */

void need_cpl0(struct cpu *c, const struct uop *u)
{
    if (c->cpl != 0)
        raise_error(c, u, EXC_GP, 0);
}

void reg_write(struct cpu *c, uint8_t reg, uint64_t value, uint32_t size)
{
    if (size == 2)
        c->reg[reg] = (c->reg[reg] & ~(uint64_t)UINT16_MAX) | (uint16_t)value;
    else
        c->reg[reg] = size == 4 ? (uint32_t)value : value;
}

void emit_rm(struct emit *e, uint32_t operand)
{
    const struct operand *o = &e->insn->op[operand];

    if (o->kind == OPERAND_MEM) {
        emit_memory(e, o);
        e->uop->x = 1;
    } else {
        e->uop->d = emit_gpr(o);
    }
}

uint16_t rm_read16(struct cpu *c, const struct uop *u)
{
    return u->x ? ld16(c, u, ea_any(c, u, 2, ACCESS_READ)) : (uint16_t)c->reg[u->d];
}

void rm_write(struct cpu *c, const struct uop *u, uint64_t value)
{
    if (u->x)
        st16(c, u, ea_any(c, u, 2, ACCESS_WRITE), (uint16_t)value);
    else
        reg_write(c, u->d, value, u->osize);
}

/* ---- HLT, CLI, STI --------------------------------------------------------------------------- */

static const struct uop *op_hlt(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    need_cpl0(c, u);
    c->halted = HALTED_HLT;
    LEAVE(c, next);
}

/* Which flag CLI and STI work on: IF, VIF, or none (#GP). */
static uint32_t interrupt_flag(const struct cpu *c)
{
    if ((c->cr0 & CR0_PE) == 0 || cpu_iopl(c) >= c->cpl)
        return FLAG_IF;
    if (cpu_v8086(c) ? (c->cr4 & CR4_VME) != 0 : c->cpl == 3 && (c->cr4 & CR4_PVI) != 0)
        return FLAG_VIF;
    return 0;
}

static const struct uop *op_cli(struct cpu *c, const struct uop *u)
{
    uint32_t flag = interrupt_flag(c);

    if (flag == 0)
        raise_error(c, u, EXC_GP, 0);
    c->rflags &= ~(uint64_t)flag;
    NEXT(c, u);
}

/* Interrupts stay away for one more instruction if they were off. */
static const struct uop *op_sti(struct cpu *c, const struct uop *u)
{
    uint32_t flag = interrupt_flag(c);
    uint64_t next = uop_next_rip(c, u);

    if (flag == 0 || (flag == FLAG_VIF && (c->rflags & FLAG_VIP) != 0))
        raise_error(c, u, EXC_GP, 0);
    if (flag == FLAG_IF && (c->rflags & FLAG_IF) == 0) {
        c->shadow |= 1;
        cpu_mode_changed(c);
        cpu_pend(c, PEND_CHECK);
    }
    c->rflags |= flag;
    LEAVE(c, next);
}

static void set_ac(struct cpu *c, const struct uop *u, bool on)
{
    if (!cpu_has(c, FEATURE_SMAP) || c->cpl != 0)
        raise_exception(c, u, EXC_UD);
    c->rflags = on ? c->rflags | FLAG_AC : c->rflags & ~(uint64_t)FLAG_AC;
    cpu_mode_changed(c);
}

/* The block goes on: what AC changes is which TLB is looked at. */
static const struct uop *op_clac(struct cpu *c, const struct uop *u)
{
    set_ac(c, u, false);
    NEXT(c, u);
}

static const struct uop *op_stac(struct cpu *c, const struct uop *u)
{
    set_ac(c, u, true);
    NEXT(c, u);
}

/* ---- TLB and caches -------------------------------------------------------------------------- */

/* No fault: INVLPG of an address that is not canonical does nothing. */
static const struct uop *op_invlpg(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u), la;

    need_cpl0(c, u);
    la = ea_offset(c, u);
    if (!cpu_64bit(c))
        la = (uint32_t)(la + c->seg[u->seg].base);
    else if (u->seg == SEG_FS || u->seg == SEG_GS)
        la += c->seg[u->seg].base;
    tlb_flush_page(c, la);
    LEAVE(c, next);
}

static __attribute__((noinline)) void invpcid(struct cpu *c, const struct uop *u)
{
    uint64_t la, pcid, address, type;

    need_cpl0(c, u);
    type = cpu_64bit(c) ? c->reg[u->v] : (uint32_t)c->reg[u->v];
    la = ea_any(c, u, 16, ACCESS_READ);
    pcid = ld64(c, u, la);
    address = ld64(c, u, la + 8);
    if (type > 3 || (type < 2 && pcid >> 12 != 0) ||
        (type < 2 && pcid != 0 && (c->cr4 & CR4_PCIDE) == 0) || (type == 0 && !canonical(address)))
        raise_error(c, u, EXC_GP, 0);
    if (type == 0)
        tlb_flush_page(c, address);
    else if (type == 1)
        tlb_flush_pcid(c, (uint32_t)pcid);
    else if (type == 2)
        tlb_flush(c);
    else
        tlb_flush_local(c);
}

static const struct uop *op_invpcid(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    invpcid(c, u);
    LEAVE(c, next);
}

static const struct uop *op_caches(struct cpu *c, const struct uop *u)
{
    need_cpl0(c, u);
    NEXT(c, u);
}

/* CLFLUSH and its kind fault as a load of one byte does. */
static const struct uop *op_cache_line(struct cpu *c, const struct uop *u)
{
    probe_read(c, u, ea_any(c, u, 1, ACCESS_READ), 1);
    NEXT(c, u);
}

static const struct uop *op_serialize(struct cpu *c, const struct uop *u)
{
    LEAVE(c, uop_next_rip(c, u));
}

/* ---- FS and GS ------------------------------------------------------------------------------- */

static const struct uop *op_swapgs(struct cpu *c, const struct uop *u)
{
    uint64_t base = c->seg[SEG_GS].base;

    need_cpl0(c, u);
    c->seg[SEG_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = base;
    NEXT(c, u);
}

static const struct uop *op_read_base(struct cpu *c, const struct uop *u)
{
    if ((c->cr4 & CR4_FSGSBASE) == 0)
        raise_exception(c, u, EXC_UD);
    reg_write(c, u->d, c->seg[u->s].base, u->osize);
    NEXT(c, u);
}

static const struct uop *op_write_base(struct cpu *c, const struct uop *u)
{
    uint64_t base = u->osize == 8 ? c->reg[u->d] : (uint32_t)c->reg[u->d];

    if ((c->cr4 & CR4_FSGSBASE) == 0)
        raise_exception(c, u, EXC_UD);
    if (!canonical(base))
        raise_error(c, u, EXC_GP, 0);
    c->seg[u->s].base = base;
    NEXT(c, u);
}

/* ---- counters and random numbers ------------------------------------------------------------- */

static __attribute__((noinline)) void tsc_read(struct cpu *c, const struct uop *u)
{
    uint64_t tsc;

    if ((c->cr4 & CR4_TSD) != 0 && c->cpl != 0)
        raise_error(c, u, EXC_GP, 0);
    tsc = cpu_tsc(c);
    c->reg[RAX] = (uint32_t)tsc;
    c->reg[RDX] = tsc >> 32;
}

static const struct uop *op_rdtsc(struct cpu *c, const struct uop *u)
{
    tsc_read(c, u);
    NEXT(c, u);
}

static const struct uop *op_rdtscp(struct cpu *c, const struct uop *u)
{
    tsc_read(c, u);
    c->reg[RCX] = (uint32_t)c->tsc_aux;
    NEXT(c, u);
}

static const struct uop *op_rdpid(struct cpu *c, const struct uop *u)
{
    reg_write(c, u->d, (uint32_t)c->tsc_aux, cpu_64bit(c) ? 8 : 4);
    NEXT(c, u);
}

/* There is no counter: every index is wrong. */
static const struct uop *op_rdpmc(struct cpu *c, const struct uop *u)
{
    raise_error(c, u, EXC_GP, 0);
}

/* The host's source, 8 bytes. Returns false if it has none just now. */
static __attribute__((noinline)) bool random_read(uint64_t *value)
{
    return getentropy(value, sizeof(*value)) == 0;
}

/* CF: whether there was one; without, the register is 0 (SDM 1, 7.3.17). */
static __attribute__((noinline)) void random_load(struct cpu *c, const struct uop *u)
{
    uint64_t value = 0;
    bool good = random_read(&value);

    reg_write(c, u->d, good ? value : 0, u->osize);
    flags_set(c, good ? FLAG_CF : 0);
}

static const struct uop *op_random(struct cpu *c, const struct uop *u)
{
    random_load(c, u);
    NEXT(c, u);
}

/* ---- MONITOR, MWAIT -------------------------------------------------------------------------- */

static __attribute__((noinline)) void monitor(struct cpu *c, const struct uop *u)
{
    uint64_t mask = u->asize == 8 ? UINT64_MAX : u->asize == 4 ? UINT32_MAX : UINT16_MAX;

    if (c->cpl != 0)
        raise_exception(c, u, EXC_UD);
    if ((uint32_t)c->reg[RCX] != 0)
        raise_error(c, u, EXC_GP, 0);
    probe_read(c, u, ea_segment(c, u, u->seg, c->reg[RAX] & mask, 1, ACCESS_READ), 1);
}

static const struct uop *op_monitor(struct cpu *c, const struct uop *u)
{
    monitor(c, u);
    NEXT(c, u);
}

/* A wait that is over at once, as the architecture allows (SDM 2, MWAIT). */
static const struct uop *op_mwait(struct cpu *c, const struct uop *u)
{
    if (c->cpl != 0)
        raise_exception(c, u, EXC_UD);
    if ((c->reg[RCX] & UINT32_MAX & ~1ull) != 0)
        raise_error(c, u, EXC_GP, 0);
    LEAVE(c, uop_next_rip(c, u));
}

/* ---- emitters -------------------------------------------------------------------------------- */

enum shape {
    SHAPE_NONE,
    SHAPE_MEMORY,   /* op[0] is memory */
    SHAPE_RM,       /* op[0] is r/m16 */
    SHAPE_REG_RM,   /* op[0] is a register, op[1] r/m16 */
    SHAPE_RM_REG,   /* op[0] is r/m16, op[1] a register */
    SHAPE_REG_MEM,  /* op[0] is a register, op[1] memory */
    SHAPE_REG,      /* op[0] is a register */
    SHAPE_IN_64BIT, /* no operands, exists in 64-bit mode only */
    SHAPE_REG_FS,   /* op[0] is a register; FS base; in 64-bit mode only */
    SHAPE_REG_GS,
    SHAPE_RAX /* memory at DS:rAX */
};

static const struct form {
    uint16_t mnemonic;
    uint8_t shape;
    bool ends;
    op_fn *fn;
} forms[] = {
    {ZYDIS_MNEMONIC_LMSW, SHAPE_RM, true, op_lmsw},
    {ZYDIS_MNEMONIC_SMSW, SHAPE_RM, false, op_smsw},
    {ZYDIS_MNEMONIC_CLTS, SHAPE_NONE, true, op_clts},
    {ZYDIS_MNEMONIC_XGETBV, SHAPE_NONE, false, op_xgetbv},
    {ZYDIS_MNEMONIC_XSETBV, SHAPE_NONE, true, op_xsetbv},
    {ZYDIS_MNEMONIC_SGDT, SHAPE_MEMORY, false, op_sgdt},
    {ZYDIS_MNEMONIC_SIDT, SHAPE_MEMORY, false, op_sidt},
    {ZYDIS_MNEMONIC_LGDT, SHAPE_MEMORY, true, op_lgdt},
    {ZYDIS_MNEMONIC_LIDT, SHAPE_MEMORY, true, op_lidt},
    {ZYDIS_MNEMONIC_SLDT, SHAPE_RM, false, op_sldt},
    {ZYDIS_MNEMONIC_STR, SHAPE_RM, false, op_str},
    {ZYDIS_MNEMONIC_LLDT, SHAPE_RM, false, op_lldt},
    {ZYDIS_MNEMONIC_LTR, SHAPE_RM, false, op_ltr},
    {ZYDIS_MNEMONIC_LAR, SHAPE_REG_RM, false, op_lar},
    {ZYDIS_MNEMONIC_LSL, SHAPE_REG_RM, false, op_lsl},
    {ZYDIS_MNEMONIC_VERR, SHAPE_RM, false, op_verr},
    {ZYDIS_MNEMONIC_VERW, SHAPE_RM, false, op_verw},
    {ZYDIS_MNEMONIC_ARPL, SHAPE_RM_REG, false, op_arpl},
    {ZYDIS_MNEMONIC_HLT, SHAPE_NONE, true, op_hlt},
    {ZYDIS_MNEMONIC_CLI, SHAPE_NONE, false, op_cli},
    {ZYDIS_MNEMONIC_STI, SHAPE_NONE, true, op_sti},
    {ZYDIS_MNEMONIC_CLAC, SHAPE_NONE, false, op_clac},
    {ZYDIS_MNEMONIC_STAC, SHAPE_NONE, false, op_stac},
    {ZYDIS_MNEMONIC_INVLPG, SHAPE_MEMORY, true, op_invlpg},
    {ZYDIS_MNEMONIC_INVPCID, SHAPE_REG_MEM, true, op_invpcid},
    {ZYDIS_MNEMONIC_INVD, SHAPE_NONE, false, op_caches},
    {ZYDIS_MNEMONIC_WBINVD, SHAPE_NONE, false, op_caches},
    {ZYDIS_MNEMONIC_CLFLUSH, SHAPE_MEMORY, false, op_cache_line},
    {ZYDIS_MNEMONIC_CLFLUSHOPT, SHAPE_MEMORY, false, op_cache_line},
    {ZYDIS_MNEMONIC_CLWB, SHAPE_MEMORY, false, op_cache_line},
    {ZYDIS_MNEMONIC_SERIALIZE, SHAPE_NONE, true, op_serialize},
    {ZYDIS_MNEMONIC_SWAPGS, SHAPE_IN_64BIT, false, op_swapgs},
    {ZYDIS_MNEMONIC_RDFSBASE, SHAPE_REG_FS, false, op_read_base},
    {ZYDIS_MNEMONIC_RDGSBASE, SHAPE_REG_GS, false, op_read_base},
    {ZYDIS_MNEMONIC_WRFSBASE, SHAPE_REG_FS, false, op_write_base},
    {ZYDIS_MNEMONIC_WRGSBASE, SHAPE_REG_GS, false, op_write_base},
    {ZYDIS_MNEMONIC_RDTSC, SHAPE_NONE, false, op_rdtsc},
    {ZYDIS_MNEMONIC_RDTSCP, SHAPE_NONE, false, op_rdtscp},
    {ZYDIS_MNEMONIC_RDPID, SHAPE_REG, false, op_rdpid},
    {ZYDIS_MNEMONIC_RDPMC, SHAPE_NONE, true, op_rdpmc},
    {ZYDIS_MNEMONIC_RDRAND, SHAPE_REG, false, op_random},
    {ZYDIS_MNEMONIC_RDSEED, SHAPE_REG, false, op_random},
    {ZYDIS_MNEMONIC_MONITOR, SHAPE_RAX, false, op_monitor},
    {ZYDIS_MNEMONIC_MWAIT, SHAPE_NONE, true, op_mwait},
};

static bool emit_shape(struct emit *e, const struct form *f)
{
    const struct insn *i = e->insn;
    bool in_64bit = (e->mode & MODE_64) != 0;

    switch (f->shape) {
    case SHAPE_MEMORY:
        if (i->op[0].kind != OPERAND_MEM)
            return false;
        emit_memory(e, &i->op[0]);
        break;
    case SHAPE_RM:
        emit_rm(e, 0);
        break;
    case SHAPE_REG_RM:
        emit_rm(e, 1);
        e->uop->v = emit_gpr(&i->op[0]);
        break;
    case SHAPE_RM_REG:
        emit_rm(e, 0);
        e->uop->v = emit_gpr(&i->op[1]);
        break;
    case SHAPE_REG_MEM:
        if (i->op[1].kind != OPERAND_MEM)
            return false;
        emit_memory(e, &i->op[1]);
        e->uop->v = emit_gpr(&i->op[0]);
        break;
    case SHAPE_IN_64BIT:
        return in_64bit;
    case SHAPE_REG_FS:
    case SHAPE_REG_GS:
        e->uop->s = f->shape == SHAPE_REG_FS ? SEG_FS : SEG_GS;
        e->uop->d = emit_gpr(&i->op[0]);
        return in_64bit;
    case SHAPE_REG:
        e->uop->d = emit_gpr(&i->op[0]);
        break;
    case SHAPE_RAX:
        e->uop->seg = i->seg;
        e->uop->asize = i->asize;
        break;
    default:
        break;
    }
    return true;
}

static bool emit_form(struct emit *e)
{
    for (uint32_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].mnemonic != e->insn->mnemonic)
            continue;
        e->uop->fn = forms[i].fn;
        e->uop->osize = e->insn->osize;
        e->ends = forms[i].ends;
        return emit_shape(e, &forms[i]);
    }
    return false;
}

const struct emit_entry emit_system[] = {
    {ZYDIS_MNEMONIC_MOV, emit_mov_control},
    {ZYDIS_MNEMONIC_CPUID, emit_cpuid},
    {ZYDIS_MNEMONIC_LMSW, emit_form},
    {ZYDIS_MNEMONIC_SMSW, emit_form},
    {ZYDIS_MNEMONIC_CLTS, emit_form},
    {ZYDIS_MNEMONIC_XGETBV, emit_form},
    {ZYDIS_MNEMONIC_XSETBV, emit_form},
    {ZYDIS_MNEMONIC_SGDT, emit_form},
    {ZYDIS_MNEMONIC_SIDT, emit_form},
    {ZYDIS_MNEMONIC_LGDT, emit_form},
    {ZYDIS_MNEMONIC_LIDT, emit_form},
    {ZYDIS_MNEMONIC_SLDT, emit_form},
    {ZYDIS_MNEMONIC_STR, emit_form},
    {ZYDIS_MNEMONIC_LLDT, emit_form},
    {ZYDIS_MNEMONIC_LTR, emit_form},
    {ZYDIS_MNEMONIC_LAR, emit_form},
    {ZYDIS_MNEMONIC_LSL, emit_form},
    {ZYDIS_MNEMONIC_VERR, emit_form},
    {ZYDIS_MNEMONIC_VERW, emit_form},
    {ZYDIS_MNEMONIC_ARPL, emit_form},
    {ZYDIS_MNEMONIC_HLT, emit_form},
    {ZYDIS_MNEMONIC_CLI, emit_form},
    {ZYDIS_MNEMONIC_STI, emit_form},
    {ZYDIS_MNEMONIC_CLAC, emit_form},
    {ZYDIS_MNEMONIC_STAC, emit_form},
    {ZYDIS_MNEMONIC_INVLPG, emit_form},
    {ZYDIS_MNEMONIC_INVPCID, emit_form},
    {ZYDIS_MNEMONIC_INVD, emit_form},
    {ZYDIS_MNEMONIC_WBINVD, emit_form},
    {ZYDIS_MNEMONIC_CLFLUSH, emit_form},
    {ZYDIS_MNEMONIC_CLFLUSHOPT, emit_form},
    {ZYDIS_MNEMONIC_CLWB, emit_form},
    {ZYDIS_MNEMONIC_SERIALIZE, emit_form},
    {ZYDIS_MNEMONIC_SWAPGS, emit_form},
    {ZYDIS_MNEMONIC_RDFSBASE, emit_form},
    {ZYDIS_MNEMONIC_RDGSBASE, emit_form},
    {ZYDIS_MNEMONIC_WRFSBASE, emit_form},
    {ZYDIS_MNEMONIC_WRGSBASE, emit_form},
    {ZYDIS_MNEMONIC_RDTSC, emit_form},
    {ZYDIS_MNEMONIC_RDTSCP, emit_form},
    {ZYDIS_MNEMONIC_RDPID, emit_form},
    {ZYDIS_MNEMONIC_RDPMC, emit_form},
    {ZYDIS_MNEMONIC_RDRAND, emit_form},
    {ZYDIS_MNEMONIC_RDSEED, emit_form},
    {ZYDIS_MNEMONIC_MONITOR, emit_form},
    {ZYDIS_MNEMONIC_MWAIT, emit_form},
    {0, NULL},
};
