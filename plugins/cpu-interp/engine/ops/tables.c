/* SPDX-License-Identifier: MIT
 *
 * ops/tables.c - descriptor tables and their registers: LGDT, LIDT, LLDT, LTR and the stores of
 * them, LAR, LSL, VERR, VERW, ARPL.
 *
 * Intel SDM 2 (each instruction); SDM 3, 2.4 (registers), 3.5 (tables), 5.10 (pointer validation).
 */
#include "privileged.h"

#include "../engine.h"
#include "../ops/flags.h"

/* ---- GDTR, IDTR ------------------------------------------------------------------------------ */

static void umip(struct cpu *c, const struct uop *u)
{
    if ((c->cr4 & CR4_UMIP) != 0 && c->cpl != 0)
        raise_error(c, u, EXC_GP, 0);
}

static void table_store(struct cpu *c, const struct uop *u, const struct table *t)
{
    uint32_t size = cpu_64bit(c) ? 10 : 6;
    uint64_t la;

    umip(c, u);
    la = ea_any(c, u, size, ACCESS_WRITE);
    probe_write(c, u, la, size);
    st16(c, u, la, (uint16_t)t->limit);
    st_sized(c, u, la + 2, t->base, size - 2);
}

/* Operands of 16 bits load 24 bits of the base. */
static struct table table_fetch(struct cpu *c, const struct uop *u)
{
    uint32_t size = cpu_64bit(c) ? 10 : 6;
    struct table t;
    uint64_t la;

    need_cpl0(c, u);
    la = ea_any(c, u, size, ACCESS_READ);
    t = (struct table){.limit = ld16(c, u, la), .base = ld_sized(c, u, la + 2, size - 2)};
    if (size == 6 && u->osize == 2)
        t.base &= 0xffffff;
    if (!canonical(t.base))
        raise_error(c, u, EXC_GP, 0);
    return t;
}

const struct uop *op_sgdt(struct cpu *c, const struct uop *u)
{
    table_store(c, u, &c->gdt);
    NEXT(c, u);
}

const struct uop *op_sidt(struct cpu *c, const struct uop *u)
{
    table_store(c, u, &c->idt);
    NEXT(c, u);
}

const struct uop *op_lgdt(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    c->gdt = table_fetch(c, u);
    LEAVE(c, next);
}

const struct uop *op_lidt(struct cpu *c, const struct uop *u)
{
    uint64_t next = uop_next_rip(c, u);

    c->idt = table_fetch(c, u);
    LEAVE(c, next);
}

/* ---- LDTR, TR -------------------------------------------------------------------------------- */

static void need_protected(struct cpu *c, const struct uop *u)
{
    if (!cpu_protected(c))
        raise_exception(c, u, EXC_UD);
}

const struct uop *op_sldt(struct cpu *c, const struct uop *u)
{
    need_protected(c, u);
    umip(c, u);
    rm_write(c, u, c->seg[SEG_LDT].selector);
    NEXT(c, u);
}

const struct uop *op_str(struct cpu *c, const struct uop *u)
{
    need_protected(c, u);
    umip(c, u);
    rm_write(c, u, c->seg[SEG_TR].selector);
    NEXT(c, u);
}

/* A system descriptor of the GDT for LLDT and LTR: its upper half is 0 outside long mode. */
static uint64_t system_high(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low)
{
    uint64_t high;

    if (!cpu_long_mode(c))
        return 0;
    high = desc_fetch_high(c, u, selector, EXC_GP, 0);
    if ((high >> 40 & 0x1f) != 0 || !canonical(descriptor_segment(selector, low, high).base))
        raise_error(c, u, EXC_GP, selector_error(selector, 0));
    return high;
}

static __attribute__((noinline)) void load_ldt(struct cpu *c, const struct uop *u)
{
    uint32_t error;
    uint16_t selector;
    uint64_t low;

    need_protected(c, u);
    need_cpl0(c, u);
    selector = rm_read16(c, u);
    if (selector_null(selector)) {
        c->seg[SEG_LDT] = (struct segment){.selector = selector};
        return;
    }
    error = selector_error(selector, 0);
    if ((selector & 4) != 0)
        raise_error(c, u, EXC_GP, error);
    low = desc_fetch(c, u, selector, EXC_GP, 0);
    if (desc_kind(low) != SYSTEM_LDT)
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(low))
        raise_error(c, u, EXC_NP, error);
    c->seg[SEG_LDT] = descriptor_segment(selector, low, system_high(c, u, selector, low));
}

static __attribute__((noinline)) void load_task(struct cpu *c, const struct uop *u)
{
    struct segment tr;
    uint32_t error;
    uint16_t selector;
    uint64_t low;

    need_protected(c, u);
    need_cpl0(c, u);
    selector = rm_read16(c, u);
    error = selector_error(selector, 0);
    if ((selector & 4) != 0 || selector_null(selector))
        raise_error(c, u, EXC_GP, error);
    low = desc_fetch(c, u, selector, EXC_GP, 0);
    if (desc_kind(low) != SYSTEM_TSS32 && (cpu_long_mode(c) || desc_kind(low) != SYSTEM_TSS16))
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(low))
        raise_error(c, u, EXC_NP, error);
    tr = descriptor_segment(selector, low, system_high(c, u, selector, low));
    desc_busy(c, u, selector, true);
    tr.attributes |= SYSTEM_BUSY;
    c->seg[SEG_TR] = tr;
}

const struct uop *op_lldt(struct cpu *c, const struct uop *u)
{
    load_ldt(c, u);
    NEXT(c, u);
}

const struct uop *op_ltr(struct cpu *c, const struct uop *u)
{
    load_task(c, u);
    NEXT(c, u);
}

/* ---- LAR, LSL, VERR, VERW, ARPL -------------------------------------------------------------- */

static void set_zf(struct cpu *c, bool zero)
{
    flags_set(c, (flags_get(c) & ~FLAG_ZF) | (zero ? FLAG_ZF : 0));
}

/* Is the descriptor there, and of a privilege that the instruction may look at? Conforming code
 * always is. */
static bool visible(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t *low)
{
    if (selector_null(selector) || !descriptor_read(c, u, selector, low))
        return false;
    if (desc_is_code(*low) && desc_conforming(*low))
        return true;
    return desc_dpl(*low) >= c->cpl && desc_dpl(*low) >= (selector & 3u);
}

/* Types of system descriptors that LAR and LSL accept (SDM 2, tables 3-55 and 3-57). */
static bool accepted(const struct cpu *c, uint64_t low, bool limit)
{
    const uint32_t legacy_lar = 0x1a3e, legacy_lsl = 0x0a0e, long_lar = 0x1a04, long_lsl = 0x0a04;

    if (desc_s(low))
        return true;
    return ((cpu_long_mode(c) ? limit ? long_lsl : long_lar
             : limit          ? legacy_lsl
                              : legacy_lar) >>
                desc_type(low) &
            1) != 0;
}

static __attribute__((noinline)) void lar(struct cpu *c, const struct uop *u)
{
    uint64_t low = 0;
    bool good;

    need_protected(c, u);
    good = visible(c, u, rm_read16(c, u), &low) && accepted(c, low, false);
    if (good)
        reg_write(c, u->v, low >> 32 & 0xf0ff00, u->osize);
    set_zf(c, good);
}

static __attribute__((noinline)) void lsl(struct cpu *c, const struct uop *u)
{
    uint64_t low = 0;
    bool good;

    need_protected(c, u);
    good = visible(c, u, rm_read16(c, u), &low) && accepted(c, low, true);
    if (good)
        reg_write(c, u->v, descriptor_segment(0, low, 0).limit, u->osize);
    set_zf(c, good);
}

static __attribute__((noinline)) void verify(struct cpu *c, const struct uop *u, bool write)
{
    uint64_t low = 0;
    bool good;

    need_protected(c, u);
    good = visible(c, u, rm_read16(c, u), &low) && desc_s(low);
    if (good && desc_is_code(low))
        good = !write && (desc_type(low) & SEG_WRITABLE) != 0;
    else if (good)
        good = !write || (desc_type(low) & SEG_WRITABLE) != 0;
    set_zf(c, good);
}

static __attribute__((noinline)) void arpl(struct cpu *c, const struct uop *u)
{
    uint16_t rpl = (uint16_t)c->reg[u->v] & 3, value;
    uint64_t la = 0;

    need_protected(c, u);
    if (u->x) {
        la = ea_any(c, u, 2, ACCESS_WRITE);
        probe_write(c, u, la, 2);
        value = ld16(c, u, la);
    } else {
        value = (uint16_t)c->reg[u->d];
    }
    if ((value & 3) < rpl) {
        value = (uint16_t)((value & ~3) | rpl);
        if (u->x)
            st16(c, u, la, value);
        else
            reg_write(c, u->d, value, 2);
        set_zf(c, true);
    } else {
        set_zf(c, false);
    }
}

const struct uop *op_lar(struct cpu *c, const struct uop *u)
{
    lar(c, u);
    NEXT(c, u);
}

const struct uop *op_lsl(struct cpu *c, const struct uop *u)
{
    lsl(c, u);
    NEXT(c, u);
}

const struct uop *op_verr(struct cpu *c, const struct uop *u)
{
    verify(c, u, false);
    NEXT(c, u);
}

const struct uop *op_verw(struct cpu *c, const struct uop *u)
{
    verify(c, u, true);
    NEXT(c, u);
}

const struct uop *op_arpl(struct cpu *c, const struct uop *u)
{
    arpl(c, u);
    NEXT(c, u);
}
