/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/task.c - hardware task switches, which VMX leaves to its user.
 *
 * Intel SDM 3C, 25.4.2 (what is checked before the exit), table 27-2 (qualification); 3A, 7.2
 * (TSS), 7.3 (switching, table 7-1), 7.4 (links). 32-bit kernels handle #DF by one. Left out:
 * faults while the TSSs themselves are read and written are told as #PF of the old task, after part
 * of it may have been saved.
 */
#include "hvf.h"

#include <errno.h>

#define TYPE(low) ((uint32_t)((low) >> 40) & 0x1f) /* with S */
#define DPL(low) ((uint32_t)((low) >> 45) & 3)
#define PRESENT(low) ((low) >> 47 & 1)
#define BUSY_BIT (UINT64_C(2) << 40)
#define ACCESSED_BIT (UINT64_C(1) << 40)
#define RIGHTS_PRESENT 0x80u
#define RIGHTS_WIDE 0x8u /* in the type of a TSS */
#define CR0_TS 0x8u
#define RFLAGS_NT 0x4000u

enum source { SOURCE_CALL, SOURCE_IRET, SOURCE_JMP, SOURCE_GATE };

/* Where each kind of TSS has the state: offsets. */
struct layout {
    uint32_t ip, flags, gpr, selectors, ldt, bytes, selector_count;
};

static const struct layout layouts[2] = {{0x0e, 0x10, 0x12, 0x22, 0x2a, 2, 4},
                                         {0x20, 0x24, 0x28, 0x48, 0x60, 4, 6}};

struct task {
    uint64_t base;
    uint32_t cr3, ip, flags, gpr[8], selector[6], ldt;
    bool wide, trap;
};

/* ---- memory --------------------------------------------------------------------------------- */

static int read(struct vcpu *v, uint64_t la, uint32_t bytes, uint32_t *value)
{
    *value = 0;
    return linear_read(v, la, value, bytes, ACCESS_READ | ACCESS_SYSTEM);
}

static int write(struct vcpu *v, uint64_t la, uint32_t bytes, uint64_t value)
{
    return linear_write(v, la, &value, bytes, ACCESS_WRITE | ACCESS_SYSTEM);
}

static int task_read(struct vcpu *v, struct task *t)
{
    const struct layout *l = &layouts[t->wide];
    int err = read(v, t->base + l->ip, l->bytes, &t->ip);

    if (!err)
        err = read(v, t->base + l->flags, l->bytes, &t->flags);
    for (uint32_t i = 0; i < 8 && !err; i++)
        err = read(v, t->base + l->gpr + (uint64_t)i * l->bytes, l->bytes, &t->gpr[i]);
    for (uint32_t i = 0; i < l->selector_count && !err; i++)
        err = read(v, t->base + l->selectors + (uint64_t)i * l->bytes, 2, &t->selector[i]);
    if (!err)
        err = read(v, t->base + l->ldt, 2, &t->ldt);
    if (!err && t->wide) {
        uint32_t trap = 0;

        err = read(v, t->base + 0x1c, 4, &t->cr3);
        if (!err)
            err = read(v, t->base + 0x64, 2, &trap);
        t->trap = trap & 1;
    }
    /* The upper halves are all ones (SDM 3A, 7.6). */
    for (uint32_t i = 0; i < 8 && !t->wide; i++)
        t->gpr[i] |= 0xffff0000;
    return err;
}

static int task_save(struct vcpu *v, uint64_t ip, uint64_t flags)
{
    uint64_t base = field_read(v, VMX_ES_BASE + 2 * SEG_TR);
    const struct layout *l =
        &layouts[(field_read(v, VMX_ES_RIGHTS + 2 * SEG_TR) & RIGHTS_WIDE) != 0];
    int err = write(v, base + l->ip, l->bytes, ip);

    if (!err)
        err = write(v, base + l->flags, l->bytes, flags);
    for (uint32_t i = 0; i < 8 && !err; i++)
        err = write(v, base + l->gpr + (uint64_t)i * l->bytes, l->bytes, gpr_read(v, i));
    for (uint32_t i = 0; i < l->selector_count && !err; i++)
        err = write(v, base + l->selectors + (uint64_t)i * l->bytes, 2,
                    field_read(v, VMX_ES_SELECTOR + 2 * i));
    return err;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static uint64_t table_of(const struct vcpu *v, uint32_t selector)
{
    return selector & 4 ? field_read(v, VMX_ES_BASE + 2 * SEG_LDT) : field_read(v, VMX_GDTR_BASE);
}

/* 0; -EFAULT with an exception ready, `vector` with the selector if it is beyond the table. */
static int fetch(struct vcpu *v, uint32_t selector, uint32_t vector, uint32_t ext, uint64_t *low)
{
    uint64_t limit = field_read(v, VMX_GDTR_LIMIT);

    if (selector & 4)
        limit = field_read(v, VMX_ES_RIGHTS + 2 * SEG_LDT) & RIGHTS_UNUSABLE
                    ? 0
                    : field_read(v, VMX_ES_LIMIT + 2 * SEG_LDT);
    if ((selector & 0xfff8) + 7 > limit) {
        exit_raise_error(v, vector, (selector & 0xfffc) | ext);
        return -EFAULT;
    }
    return linear_read(v, table_of(v, selector) + (selector & 0xfff8), low, 8,
                       ACCESS_READ | ACCESS_SYSTEM);
}

static int store(struct vcpu *v, uint32_t selector, uint64_t low)
{
    return write(v, table_of(v, selector) + (selector & 0xfff8) + 4, 4, low >> 32);
}

static uint64_t base_of(uint64_t low)
{
    return (low >> 16 & 0xffffff) | (low >> 32 & 0xff000000);
}

static void segment_put(struct vcpu *v, uint32_t seg, uint32_t selector, uint64_t low)
{
    uint64_t limit = (low & 0xffff) | (low >> 32 & 0xf0000);

    field_write(v, VMX_ES_SELECTOR + 2 * seg, selector);
    field_write(v, VMX_ES_BASE + 2 * seg, base_of(low));
    field_write(v, VMX_ES_LIMIT + 2 * seg, low >> 55 & 1 ? limit << 12 | 0xfff : limit);
    field_write(v, VMX_ES_RIGHTS + 2 * seg, (low >> 40 & 0xff) | (low >> 40 & 0xf000));
}

static int refuse(struct vcpu *v, uint32_t vector, uint32_t selector, uint32_t ext)
{
    exit_raise_error(v, vector, (selector & 0xfffc) | ext);
    return -EFAULT;
}

/* ---- the new task's segments ---------------------------------------------------------------- */

static int load_ldt(struct vcpu *v, uint32_t selector, uint32_t ext)
{
    uint64_t low = 0;

    if (!(selector & 0xfffc))
        return 0;
    if (selector & 4)
        return refuse(v, EXC_TS, selector, ext);
    if (fetch(v, selector, EXC_TS, ext, &low))
        return -EFAULT;
    if (TYPE(low) != 2 || !PRESENT(low))
        return refuse(v, EXC_TS, selector, ext);
    segment_put(v, SEG_LDT, selector, low);
    return 0;
}

/* What each kind of segment asks of its descriptor, but for presence. */
static bool fits(uint64_t low, uint32_t seg, uint32_t selector, uint32_t cpl)
{
    uint32_t type = TYPE(low), dpl = DPL(low), rpl = selector & 3;
    bool code = (type & 0x18) == 0x18, conforming = (type & 0x1c) == 0x1c;

    if (seg == SEG_CS)
        return code && (conforming ? dpl <= rpl : dpl == rpl);
    if (seg == SEG_SS)
        return (type & 0x1a) == 0x12 && rpl == cpl && dpl == cpl;
    return type & 0x10 && (!code || type & 2) && (conforming || (dpl >= cpl && dpl >= rpl));
}

static int load_segment(struct vcpu *v, uint32_t seg, uint32_t selector, uint32_t cpl, uint32_t ext)
{
    uint64_t low = 0;

    if (!(selector & 0xfffc)) {
        if (seg == SEG_CS || seg == SEG_SS)
            return refuse(v, EXC_TS, 0, ext);
        return 0;
    }
    if (fetch(v, selector, EXC_TS, ext, &low))
        return -EFAULT;
    if (!fits(low, seg, selector, cpl))
        return refuse(v, EXC_TS, selector, ext);
    if (!PRESENT(low))
        return refuse(v, seg == SEG_SS ? EXC_SS : EXC_NP, selector, ext);
    if (!(low & ACCESSED_BIT)) {
        low |= ACCESSED_BIT;
        if (store(v, selector, low))
            return -EFAULT;
    }
    segment_put(v, seg, selector, low);
    return 0;
}

static int load_segments(struct vcpu *v, const struct task *t, uint32_t flags, uint32_t ext)
{
    static const uint32_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS, SEG_CS};
    uint32_t cpl = t->selector[SEG_CS] & 3;
    int err = load_ldt(v, t->ldt, ext);

    if (!err && flags & RFLAGS_VM) {
        for (uint32_t i = 0; i < 6; i++)
            segment_put(v, i, t->selector[i],
                        UINT64_C(0x0000f3000000ffff) | (uint64_t)t->selector[i] << 20);
        return 0;
    }
    for (uint32_t i = 0; i < 6 && !err; i++)
        err = load_segment(v, order[i], t->selector[order[i]], cpl, ext);
    return err;
}

/* ---- the switch ----------------------------------------------------------------------------- */

/* Selectors all change, though not all segments may turn out to be usable. CPL is SS' DPL. */
static void load_selectors(struct vcpu *v, const struct task *t)
{
    uint32_t cpl = t->selector[SEG_CS] & 3;

    for (uint32_t i = 0; i < 6; i++) {
        field_write(v, VMX_ES_SELECTOR + 2 * i, t->selector[i]);
        if (i != SEG_CS)
            field_write(v, VMX_ES_RIGHTS + 2 * i,
                        RIGHTS_UNUSABLE | (i == SEG_SS ? cpl << 5 | 0x13 : 0));
    }
    field_write(v, VMX_LDTR_SELECTOR, t->ldt);
    field_write(v, VMX_ES_RIGHTS + 2 * SEG_LDT, RIGHTS_UNUSABLE);
}

static int load_cr3(struct vcpu *v, const struct task *t)
{
    uint64_t cr0 = cr0_read(v);

    if (!t->wide || !(cr0 & CR0_PG))
        return 0;
    if (field_read(v, VMX_CR4) & CR4_PAE && load_pdptes(v, t->cr3))
        return refuse(v, EXC_TS, (uint32_t)field_read(v, VMX_TR_SELECTOR), 0);
    field_write(v, VMX_CR3, t->cr3);
    hv_vcpu_invalidate_tlb(v->id);
    return 0;
}

static int load_task(struct vcpu *v, const struct task *t, uint32_t flags, uint32_t ext)
{
    int err;

    cr0_put(v, cr0_read(v) | CR0_TS);
    err = load_cr3(v, t);
    if (err)
        return err;
    for (uint32_t i = 0; i < 8; i++)
        gpr_write(v, i, t->gpr[i]);
    field_write(v, VMX_RIP, t->ip);
    field_write(v, VMX_RFLAGS, flags);
    dr_write(v, 7, dr_read(v, 7) & ~UINT64_C(0x55)); /* local breakpoints */
    load_selectors(v, t);
    err = load_segments(v, t, flags, ext);
    if (!err && t->ip > field_read(v, VMX_ES_LIMIT + 2 * SEG_CS))
        err = refuse(v, EXC_GP, 0, ext);
    return err;
}

/* The TSSs' part: what is saved, busy bits and the link. */
static int leave_old(struct vcpu *v, uint32_t selector, uint64_t low, enum source source,
                     uint64_t next)
{
    uint32_t old = (uint32_t)field_read(v, VMX_TR_SELECTOR);
    uint64_t flags = field_read(v, VMX_RFLAGS), old_low = 0;
    int err;

    if (source == SOURCE_IRET)
        flags &= ~(uint64_t)RFLAGS_NT;
    /* A fault's saved image has RF set. */
    if (source == SOURCE_GATE && (v->inject.info & INTERRUPTION_TYPE) == INTERRUPTION_EXCEPTION)
        flags |= RFLAGS_RF;
    err = task_save(v, next, flags);
    if (!err && (source == SOURCE_JMP || source == SOURCE_IRET)) {
        err = fetch(v, old, EXC_TS, 0, &old_low);
        if (!err)
            err = store(v, old, old_low & ~BUSY_BIT);
    }
    if (!err && source != SOURCE_IRET)
        err = store(v, selector, low | BUSY_BIT);
    if (!err && (source == SOURCE_CALL || source == SOURCE_GATE))
        err = write(v, base_of(low), 2, old);
    return err;
}

static int push_error(struct vcpu *v, bool wide, uint32_t error)
{
    uint64_t big = field_read(v, VMX_ES_RIGHTS + 2 * SEG_SS) & 0x4000;
    uint64_t mask = big ? UINT32_MAX : UINT16_MAX, rsp = gpr_read(v, GPR_RSP);
    uint64_t sp = (rsp - (wide ? 4 : 2)) & mask;
    int err = linear_write(v, field_read(v, VMX_ES_BASE + 2 * SEG_SS) + sp, &error, wide ? 4 : 2,
                           ACCESS_WRITE);

    if (!err)
        gpr_write(v, GPR_RSP, (rsp & ~mask) | sp);
    return err;
}

/* What came by a gate, and what is saved as the old task's RIP: that of the next instruction for
 * software interrupts and the instructions that switch. */
static uint64_t next_rip(const struct vcpu *v, enum source source, const struct injection *event)
{
    uint64_t rip = field_read(v, VMX_RIP);

    if (source != SOURCE_GATE)
        return rip + field_read(v, VMX_EXIT_LENGTH);
    return (event->info & INTERRUPTION_TYPE) >= INTERRUPTION_SOFTWARE ? rip + event->length : rip;
}

int task_exit(struct vcpu *v)
{
    uint64_t qualification = field_read(v, VMX_EXIT_QUALIFICATION), low = 0;
    uint32_t selector = (uint16_t)qualification, flags;
    enum source source = (enum source)(qualification >> 30 & 3);
    struct injection event = v->inject;
    bool soft = (event.info & INTERRUPTION_TYPE) >= INTERRUPTION_SOFTWARE;
    uint32_t ext = source == SOURCE_GATE && !soft;
    struct task t = {0};

    if (fetch(v, selector, EXC_TS, ext, &low))
        return 0;
    t.base = base_of(low);
    t.wide = TYPE(low) & RIGHTS_WIDE;
    if (task_read(v, &t) || leave_old(v, selector, low, source, next_rip(v, source, &event)))
        return 0;
    /* The switch is the delivery. */
    v->inject = (struct injection){0};
    flags = (t.flags & (t.wide ? RFLAGS_DEFINED : RFLAGS_DEFINED & UINT16_MAX)) | 2;
    if (source == SOURCE_CALL || source == SOURCE_GATE)
        flags |= RFLAGS_NT;
    segment_put(v, SEG_TR, selector, low | BUSY_BIT);
    field_write(v, VMX_INTERRUPTIBILITY, field_read(v, VMX_INTERRUPTIBILITY) & BLOCKED_BY_NMI);
    if (load_task(v, &t, flags, ext))
        return 0;
    if (event.info & INTERRUPTION_HAS_ERROR && push_error(v, t.wide, event.error))
        return 0;
    v->debug.progress = true;
    if (t.trap) {
        reg_write(v, HV_X86_DR6, reg_read(v, HV_X86_DR6) | 0x8000);
        exit_raise(v, EXC_DB);
    }
    return 0;
}
