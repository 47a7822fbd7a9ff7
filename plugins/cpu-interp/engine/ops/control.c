/* SPDX-License-Identifier: MIT
 *
 * ops/control.c - control and debug registers: MOV, LMSW, SMSW, CLTS, XGETBV, XSETBV.
 *
 * Intel SDM 3, 2.5 (rules), 4.1.2 (paging modes), 4.10.4.1 (invalidation), 9.8.5 (long mode),
 * 17.2 (debug registers); SDM 1, 13.3 (XCR0).
 */
#include "privileged.h"

#include <errno.h>

#include "../decode/emit.h"
#include "../decode/features.h"
#include "../engine.h"
#include "../fpu/x87.h"

#define CR0_DEFINED                                                                                \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |     \
     CR0_PG)
#define CR3_PCID_NOFLUSH (1ull << 63)
#define PDPTE_RESERVED 0x1e6u

/* ---- CR0, CR3, CR4, EFER --------------------------------------------------------------------- */

static uint64_t beyond_physical(const struct cpu *c)
{
    return ~((1ull << c->physical_bits) - 1);
}

static bool is_pae(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && (efer & EFER_LMA) == 0;
}

static int load_pdptes(struct cpu *c, uint64_t cr3)
{
    uint64_t at = cr3 & 0xffffffe0, entry[4];

    for (uint32_t i = 0; i < 4; i++) {
        entry[i] = physical_read(c, at + 8 * i, 8);
        if ((entry[i] & 1) != 0 && (entry[i] & (PDPTE_RESERVED | beyond_physical(c))) != 0)
            return -EINVAL;
    }
    for (uint32_t i = 0; i < 4; i++)
        c->pdpte[i] = entry[i];
    return 0;
}

int control_set_cr0(struct cpu *c, uint64_t value)
{
    uint64_t old = c->cr0, changed, efer = c->efer;

    if (value >> 32 != 0)
        return -EINVAL;
    value = (value & CR0_DEFINED) | CR0_ET;
    changed = old ^ value;
    if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0)
        return -EINVAL;
    if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0)
        return -EINVAL;
    if ((changed & value & CR0_PG) != 0 && (efer & EFER_LME) != 0) {
        if ((c->cr4 & CR4_PAE) == 0 || (c->seg[SEG_CS].attributes & SEG_L) != 0)
            return -EINVAL;
        efer |= EFER_LMA;
    }
    if ((changed & old & CR0_PG) != 0) {
        if (cpu_64bit(c) || (c->cr4 & CR4_PCIDE) != 0)
            return -EINVAL;
        efer &= ~(uint64_t)EFER_LMA;
    }
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) != 0 && is_pae(value, c->cr4, efer) &&
        load_pdptes(c, c->cr3) != 0)
        return -EINVAL;
    c->cr0 = value;
    c->efer = efer;
    if ((changed & (CR0_PG | CR0_WP | CR0_PE)) != 0)
        tlb_flush(c);
    cpu_mode_changed(c);
    x87_ferr_follow(c);
    return 0;
}

int control_set_cr3(struct cpu *c, uint64_t value)
{
    bool pcide = (c->cr4 & CR4_PCIDE) != 0, keep = pcide && (value & CR3_PCID_NOFLUSH) != 0;

    if (pcide)
        value &= ~CR3_PCID_NOFLUSH;
    if (cpu_long_mode(c)) {
        if ((value & beyond_physical(c)) != 0)
            return -EINVAL;
    } else {
        value &= UINT32_MAX;
        if (is_pae(c->cr0, c->cr4, c->efer) && load_pdptes(c, value) != 0)
            return -EINVAL;
    }
    tlb_switch(c, pcide ? (uint32_t)value & 0xfff : 0, keep);
    c->cr3 = value;
    return 0;
}

static uint64_t cr4_allowed(const struct cpu *c)
{
    static const struct {
        enum feature feature;
        uint32_t bits;
    } by_feature[] = {
        {FEATURE_PGE, CR4_PGE},           {FEATURE_FXSR, CR4_OSFXSR},
        {FEATURE_SSE, CR4_OSXMMEXCPT},    {FEATURE_UMIP, CR4_UMIP},
        {FEATURE_FSGSBASE, CR4_FSGSBASE}, {FEATURE_PCID, CR4_PCIDE},
        {FEATURE_XSAVE, CR4_OSXSAVE},     {FEATURE_SMEP, CR4_SMEP},
        {FEATURE_SMAP, CR4_SMAP},
    };
    uint64_t bits = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PCE;

    if (cpuid_has(c, 1, 0, 3, 1))
        bits |= CR4_VME | CR4_PVI;
    for (uint32_t i = 0; i < sizeof(by_feature) / sizeof(by_feature[0]); i++)
        if (cpu_has(c, by_feature[i].feature))
            bits |= by_feature[i].bits;
    return bits;
}

int control_set_cr4(struct cpu *c, uint64_t value)
{
    const uint64_t paging =
        CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_LA57;
    uint64_t changed = c->cr4 ^ value;

    if ((value & ~cr4_allowed(c)) != 0)
        return -EINVAL;
    if (cpu_long_mode(c) && (value & CR4_PAE) == 0)
        return -EINVAL;
    if ((changed & value & CR4_PCIDE) != 0 && (!cpu_long_mode(c) || (c->cr3 & 0xfff) != 0))
        return -EINVAL;
    if ((changed & (CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP)) != 0 &&
        is_pae(c->cr0, value, c->efer) && load_pdptes(c, c->cr3) != 0)
        return -EINVAL;
    c->cr4 = value;
    if ((changed & paging) != 0)
        tlb_flush(c);
    cpu_mode_changed(c);
    return 0;
}

/* LMA is the processor's own: what is written to it does not count. */
int control_set_efer(struct cpu *c, uint64_t value)
{
    uint64_t allowed = EFER_LMA, changed;

    if (cpu_has(c, FEATURE_SYSCALL))
        allowed |= EFER_SCE;
    if (cpu_has(c, FEATURE_LONG))
        allowed |= EFER_LME;
    if (cpu_has(c, FEATURE_NX))
        allowed |= EFER_NXE;
    if ((value & ~allowed) != 0)
        return -EINVAL;
    value = (value & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA);
    changed = c->efer ^ value;
    if ((changed & EFER_LME) != 0 && (c->cr0 & CR0_PG) != 0)
        return -EINVAL;
    c->efer = value;
    if ((changed & EFER_NXE) != 0)
        tlb_flush(c);
    cpu_mode_changed(c);
    return 0;
}

/* ---- MOV to and from control registers ------------------------------------------------------- */

/* The register's width: 64 bits in 64-bit mode, else 32, whatever the prefixes say. */
static uint64_t gpr_get(const struct cpu *c, uint8_t reg)
{
    return cpu_64bit(c) ? c->reg[reg] : (uint32_t)c->reg[reg];
}

static void gpr_set(struct cpu *c, uint8_t reg, uint64_t value)
{
    c->reg[reg] = cpu_64bit(c) ? value : (uint32_t)value;
}

static int cr8_set(struct cpu *c, uint64_t value)
{
    if (value > 15)
        return -EINVAL;
    if (c->chip != NULL)
        c->chip->cr8_set(c->chip_self, c->index, value);
    return 0;
}

static void control_write(struct cpu *c, const struct uop *u)
{
    uint64_t value = gpr_get(c, u->s);
    int err = 0;

    need_cpl0(c, u);
    switch (u->d) {
    case 0:
        err = control_set_cr0(c, value);
        break;
    case 2:
        c->cr2 = value;
        break;
    case 3:
        err = control_set_cr3(c, value);
        break;
    case 4:
        err = control_set_cr4(c, value);
        break;
    default:
        err = cr8_set(c, value);
        break;
    }
    if (err != 0)
        raise_error(c, u, EXC_GP, 0);
}

static void control_read(struct cpu *c, const struct uop *u)
{
    uint64_t value;

    need_cpl0(c, u);
    switch (u->s) {
    case 0:
        value = c->cr0;
        break;
    case 2:
        value = c->cr2;
        break;
    case 3:
        value = c->cr3;
        break;
    case 4:
        value = c->cr4;
        break;
    default:
        value = c->chip != NULL ? c->chip->cr8_get(c->chip_self, c->index) : 0;
        break;
    }
    gpr_set(c, u->d, value);
}

static const struct uop *op_control_write(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    control_write(c, u);
    LEAVE(c, next);
}

static const struct uop *op_control_read(struct cpu *c, const struct uop *u)
{
    control_read(c, u);
    NEXT(c, u);
}

/* ---- MOV to and from debug registers --------------------------------------------------------- */

/* DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE; DR7.GD makes every access #DB (SDM 3, 17.2).
 * The check of CPL comes before both. */
static uint8_t debug_number(struct cpu *c, const struct uop *u, uint8_t number)
{
    need_cpl0(c, u);
    if (number == 4 || number == 5) {
        if ((c->cr4 & CR4_DE) != 0)
            raise_exception(c, u, EXC_UD);
        number += 2;
    }
    if ((c->dr7 & DR7_GD) != 0) {
        c->pending_db |= DR6_BD;
        raise_exception(c, u, EXC_DB);
    }
    return number;
}

static void debug_write(struct cpu *c, const struct uop *u)
{
    uint8_t number = debug_number(c, u, u->d);
    uint64_t value = gpr_get(c, u->s);

    if (number < 4) {
        c->dr[number] = value;
    } else {
        if (value >> 32 != 0)
            raise_error(c, u, EXC_GP, 0);
        if (number == 6)
            c->dr6 = (value & 0xe00f) | DR6_FIXED;
        else
            c->dr7 = (value & 0xffff2bff) | DR7_FIXED;
    }
    cpu_mode_changed(c);
}

static void debug_read(struct cpu *c, const struct uop *u)
{
    uint8_t number = debug_number(c, u, u->s);

    gpr_set(c, u->d, number < 4 ? c->dr[number] : number == 6 ? c->dr6 : c->dr7);
}

static const struct uop *op_debug_write(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    debug_write(c, u);
    LEAVE(c, next);
}

static const struct uop *op_debug_read(struct cpu *c, const struct uop *u)
{
    debug_read(c, u);
    NEXT(c, u);
}

/* Opcodes 0F 20..23; other forms of MOV are other groups'. */
bool emit_mov_control(struct emit *e)
{
    const struct insn *i = e->insn;
    bool to = (i->opcode & 2) != 0, debug = (i->opcode & 1) != 0;
    const struct operand *special = &i->op[to ? 0 : 1], *gpr = &i->op[to ? 1 : 0];

    if (i->opcode_map != 1 || (i->opcode & 0xfc) != 0x20)
        return false;
    if (debug ? special->number > 7 : (0x11du >> special->number & 1) == 0)
        return false;
    e->uop->d = to ? special->number : emit_gpr(gpr);
    e->uop->s = to ? emit_gpr(gpr) : special->number;
    if (debug)
        e->uop->fn = to ? op_debug_write : op_debug_read;
    else
        e->uop->fn = to ? op_control_write : op_control_read;
    e->ends = to;
    return true;
}

/* ---- LMSW, SMSW, CLTS ------------------------------------------------------------------------ */

const struct uop *op_lmsw(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u), value;

    need_cpl0(c, u);
    value = rm_read16(c, u) & 0xf;
    /* PE can be set by it, not cleared. */
    value = (c->cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS)) | value;
    if (control_set_cr0(c, value) != 0)
        raise_error(c, u, EXC_GP, 0);
    LEAVE(c, next);
}

const struct uop *op_smsw(struct cpu *c, const struct uop *u)
{
    if ((c->cr4 & CR4_UMIP) != 0 && c->cpl != 0)
        raise_error(c, u, EXC_GP, 0);
    rm_write(c, u, c->cr0);
    NEXT(c, u);
}

const struct uop *op_clts(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    need_cpl0(c, u);
    c->cr0 &= ~(uint64_t)CR0_TS;
    cpu_mode_changed(c);
    LEAVE(c, next);
}

/* ---- XCR0 ------------------------------------------------------------------------------------ */

static uint64_t xcr0_allowed(const struct cpu *c)
{
    uint32_t leaf[4];

    cpuid_answer(c, 0xd, 0, leaf);
    return leaf[0] | (uint64_t)leaf[3] << 32;
}

static __attribute__((noinline)) void xcr_read(struct cpu *c, const struct uop *u)
{
    uint32_t index = (uint32_t)c->reg[RCX];

    if ((c->cr4 & CR4_OSXSAVE) == 0)
        raise_exception(c, u, EXC_UD);
    /* 1: what of XCR0 is in use; all of it, as XINUSE is not kept. */
    if (index != 0 && !(index == 1 && cpuid_has(c, 0xd, 1, 0, 2)))
        raise_error(c, u, EXC_GP, 0);
    c->reg[RAX] = (uint32_t)c->xcr0;
    c->reg[RDX] = c->xcr0 >> 32;
}

static __attribute__((noinline)) void xcr_write(struct cpu *c, const struct uop *u)
{
    uint64_t value = (uint32_t)c->reg[RAX] | c->reg[RDX] << 32;

    if ((c->cr4 & CR4_OSXSAVE) == 0)
        raise_exception(c, u, EXC_UD);
    need_cpl0(c, u);
    if ((uint32_t)c->reg[RCX] != 0 || (value & ~xcr0_allowed(c)) != 0 || (value & 1) == 0 ||
        (value & 6) == 4)
        raise_error(c, u, EXC_GP, 0);
    c->xcr0 = value;
    cpu_mode_changed(c);
}

const struct uop *op_xgetbv(struct cpu *c, const struct uop *u)
{
    xcr_read(c, u);
    NEXT(c, u);
}

const struct uop *op_xsetbv(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    xcr_write(c, u);
    LEAVE(c, next);
}
