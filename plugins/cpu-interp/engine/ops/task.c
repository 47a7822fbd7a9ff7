/* SPDX-License-Identifier: MIT
 *
 * ops/task.c - hardware task switches.
 *
 * Intel SDM 3, 7.2 (TSS), 7.3 (switching, table 7-1 checks), 7.4 (links, table 7-2). 16- and 32-bit
 * TSS; there are none in long mode.
 */
#include "privileged.h"

#include "../block/chain.h"
#include "../engine.h"

/* A TSS' state as both kinds hold it. */
struct task {
    uint64_t cr3, ip, flags;
    uint64_t gpr[8];
    uint16_t selector[6]; /* ES CS SS DS FS GS */
    uint16_t ldt;
    bool trap;
};

/* Where each kind has it: offsets. */
struct layout {
    uint32_t ip, flags, gpr, selectors, ldt, size, stride, selector_count;
};

static const struct layout layout16 = {0x0e, 0x10, 0x12, 0x22, 0x2a, 2, 2, 4};
static const struct layout layout32 = {0x20, 0x24, 0x28, 0x48, 0x60, 4, 4, 6};

static const struct layout *layout_of(bool wide)
{
    return wide ? &layout32 : &layout16;
}

/* ---- TSS in memory --------------------------------------------------------------------------- */

static void task_read(struct cpu *c, const struct uop *u, uint64_t base, bool wide, struct task *t)
{
    const struct layout *l = layout_of(wide);

    *t = (struct task){0};
    t->ip = ld_system(c, u, base + l->ip, l->size);
    t->flags = ld_system(c, u, base + l->flags, l->size);
    for (uint32_t i = 0; i < 8; i++)
        t->gpr[i] = ld_system(c, u, base + l->gpr + i * l->stride, l->size);
    for (uint32_t i = 0; i < l->selector_count; i++)
        t->selector[i] = (uint16_t)ld_system(c, u, base + l->selectors + i * l->stride, 2);
    t->ldt = (uint16_t)ld_system(c, u, base + l->ldt, 2);
    if (wide) {
        t->cr3 = ld_system(c, u, base + 0x1c, 4);
        t->trap = (ld_system(c, u, base + 0x64, 2) & 1) != 0;
    } else {
        /* The upper halves are all ones (SDM 3, 7.6). */
        for (uint32_t i = 0; i < 8; i++)
            t->gpr[i] |= 0xffff0000;
    }
}

static void task_save(struct cpu *c, const struct uop *u, uint64_t ip, uint64_t flags)
{
    const struct segment *tr = &c->seg[SEG_TR];
    const struct layout *l = layout_of((tr->attributes & SYSTEM_WIDE) != 0);

    st_system(c, u, tr->base + l->ip, ip & (l->size == 4 ? UINT32_MAX : UINT16_MAX), l->size);
    st_system(c, u, tr->base + l->flags, flags & (l->size == 4 ? UINT32_MAX : UINT16_MAX), l->size);
    for (uint32_t i = 0; i < 8; i++)
        st_system(c, u, tr->base + l->gpr + i * l->stride,
                  l->size == 4 ? (uint32_t)c->reg[i] : (uint16_t)c->reg[i], l->size);
    for (uint32_t i = 0; i < l->selector_count; i++)
        st_system(c, u, tr->base + l->selectors + i * l->stride, c->seg[i].selector, 2);
}

/* ---- the new task's segments ----------------------------------------------------------------- */

/* From here on the new task is the one that faults: at its first instruction. */
static void load_ldt(struct cpu *c, uint16_t selector, uint32_t ext)
{
    uint32_t error = selector_error(selector, ext);
    uint64_t low;

    if (selector_null(selector))
        return;
    if ((selector & 4) != 0)
        raise_error(c, NULL, EXC_TS, error);
    low = desc_fetch(c, NULL, selector, EXC_TS, ext);
    if (desc_kind(low) != SYSTEM_LDT || !desc_present(low))
        raise_error(c, NULL, EXC_TS, error);
    c->seg[SEG_LDT] = descriptor_segment(selector, low, 0);
}

static void load_code(struct cpu *c, uint16_t selector, uint32_t ext)
{
    uint32_t error = selector_error(selector, ext), rpl = selector & 3u;
    uint64_t low;

    if (selector_null(selector))
        raise_error(c, NULL, EXC_TS, ext);
    low = desc_fetch(c, NULL, selector, EXC_TS, ext);
    if (!desc_is_code(low) || (desc_conforming(low) ? desc_dpl(low) > rpl : desc_dpl(low) != rpl))
        raise_error(c, NULL, EXC_TS, error);
    if (!desc_present(low))
        raise_error(c, NULL, EXC_NP, error);
    cs_load(c, NULL, selector, low, (uint8_t)rpl);
}

static void load_data(struct cpu *c, uint8_t seg, uint16_t selector, uint32_t ext)
{
    uint32_t error = selector_error(selector, ext);
    uint64_t low;

    if (selector_null(selector))
        return;
    low = desc_fetch(c, NULL, selector, EXC_TS, ext);
    if (!desc_s(low) || (desc_is_code(low) && (desc_type(low) & SEG_WRITABLE) == 0))
        raise_error(c, NULL, EXC_TS, error);
    if (!(desc_is_code(low) && desc_conforming(low)) &&
        (desc_dpl(low) < c->cpl || desc_dpl(low) < (selector & 3u)))
        raise_error(c, NULL, EXC_TS, error);
    if (!desc_present(low))
        raise_error(c, NULL, EXC_NP, error);
    if ((desc_type(low) & SEG_ACCESSED) == 0) {
        descriptor_accessed(c, NULL, selector, low);
        low |= 1ull << 40;
    }
    c->seg[seg] = descriptor_segment(selector, low, 0);
}

static void load_segments(struct cpu *c, const struct task *t, uint32_t ext)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

    load_ldt(c, t->ldt, ext);
    if (cpu_v8086(c)) {
        c->cpl = 3;
        for (uint8_t i = 0; i < 6; i++)
            segment_load_real(c, i, t->selector[i]);
        return;
    }
    c->cpl = t->selector[SEG_CS] & 3;
    uint64_t ss = ss_check(c, NULL, t->selector[SEG_SS], c->cpl, EXC_TS, ext);
    ss_load(c, NULL, t->selector[SEG_SS], ss);
    for (uint32_t i = 0; i < 4; i++)
        load_data(c, data[i], t->selector[data[i]], ext);
    load_code(c, t->selector[SEG_CS], ext);
}

/* ---- the switch ------------------------------------------------------------------------------ */

/* The task that IRET returns to: its descriptor. */
static uint64_t linked(struct cpu *c, const struct uop *u, uint16_t selector)
{
    uint32_t error = selector_error(selector, 0);
    uint64_t low;

    if ((selector & 4) != 0 || selector_null(selector))
        raise_error(c, u, EXC_TS, error);
    low = desc_fetch(c, u, selector, EXC_TS, 0);
    if (desc_kind(low) != SYSTEM_TSS16_BUSY && desc_kind(low) != SYSTEM_TSS32_BUSY)
        raise_error(c, u, EXC_TS, error);
    if (!desc_present(low))
        raise_error(c, u, EXC_NP, error);
    return low;
}

static void load_task(struct cpu *c, const struct task *t, struct segment tr, uint64_t flags)
{
    c->seg[SEG_TR] = tr;
    c->cr0 |= CR0_TS;
    if ((tr.attributes & SYSTEM_WIDE) != 0 && (c->cr0 & CR0_PG) != 0) {
        /* With PAE, a bad directory pointer would be #GP of the old task; the new CR3 is refused
         * and the old one kept. */
        if (control_set_cr3(c, t->cr3) != 0)
            raise_error(c, NULL, EXC_TS, selector_error(tr.selector, 0));
    }
    for (uint32_t i = 0; i < 8; i++)
        c->reg[i] = (uint32_t)t->gpr[i];
    c->rip = t->ip;
    /* Selectors all change, though not all segments may turn out to be usable. */
    c->seg[SEG_LDT] = (struct segment){.selector = t->ldt};
    for (uint32_t i = 0; i < 6; i++) {
        c->seg[i].selector = t->selector[i];
        c->seg[i].attributes &= (uint16_t)~SEG_P;
    }
    c->dr7 &= ~0x55ull; /* local breakpoints */
    cpu_rflags_set(c, flags);
    jumps_flush(c);
}

void task_switch(struct cpu *c, const struct uop *u, uint16_t selector, enum task_reason reason,
                 uint32_t ext, uint64_t next)
{
    uint16_t old = c->seg[SEG_TR].selector;
    uint64_t low, flags = cpu_rflags(c);
    struct segment tr;
    struct task t;
    bool wide;

    low = reason == TASK_IRET ? linked(c, u, selector) : desc_fetch(c, u, selector, EXC_GP, ext);
    tr = descriptor_segment(selector, low, 0);
    wide = (tr.attributes & SYSTEM_WIDE) != 0;
    if (tr.limit < (wide ? 0x67 : 0x2bu))
        raise_error(c, u, EXC_TS, selector_error(selector, ext));
    if (unlikely(c->engine->user.task != NULL)) {
        if (u != NULL)
            c->rip = uop_rip(c, u);
        c->engine->user.task(c->engine->user.context, c, selector, reason, next);
    }
    task_read(c, u, tr.base, wide, &t);

    if (reason == TASK_IRET)
        flags &= ~(uint64_t)FLAG_NT;
    task_save(c, u, next, flags);
    if (reason == TASK_JUMP || reason == TASK_IRET)
        desc_busy(c, u, old, false);
    if (reason != TASK_IRET) {
        desc_busy(c, u, selector, true);
        tr.attributes |= SYSTEM_BUSY;
    }
    flags = (t.flags & FLAGS_DEFINED) | FLAG_ONE;
    if (!wide)
        flags &= UINT16_MAX;
    if (reason == TASK_CALL || reason == TASK_GATE) {
        st_system(c, u, tr.base, old, 2);
        flags |= FLAG_NT;
    }

    load_task(c, &t, tr, flags);
    load_segments(c, &t, ext);
    c->rip = wide ? t.ip : (uint16_t)t.ip;
    cpu_mode_changed(c);
    if (c->rip > c->seg[SEG_CS].limit)
        raise_error(c, NULL, EXC_GP, ext);
    if (t.trap) {
        c->pending_db |= DR6_BT;
        cpu_pend(c, PEND_CHECK);
    }
}
