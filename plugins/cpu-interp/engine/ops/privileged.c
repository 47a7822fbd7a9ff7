/* SPDX-License-Identifier: MIT
 *
 * ops/privileged.c - descriptors, stacks of another privilege and the TSS, as far transfers,
 * interrupts and task switches use them.
 *
 * Intel SDM 3, 3.4.5, 5.8 and 7.2.
 */
#include "privileged.h"

#include "../engine.h"

/* ---- descriptors ----------------------------------------------------------------------------- */

uint64_t desc_fetch(struct cpu *c, const struct uop *u, uint16_t selector, uint8_t vector,
                    uint32_t ext)
{
    uint64_t low = 0;

    if (!descriptor_read(c, u, selector, &low))
        raise_error(c, u, vector, selector_error(selector, ext));
    return low;
}

uint64_t desc_return_code(struct cpu *c, const struct uop *u, uint16_t cs)
{
    uint32_t error = selector_error(cs, 0), rpl = cs & 3u;
    uint64_t low;

    if (selector_null(cs))
        raise_error(c, u, EXC_GP, 0);
    low = desc_fetch(c, u, cs, EXC_GP, 0);
    if (!desc_is_code(low) || rpl < c->cpl ||
        (desc_conforming(low) ? desc_dpl(low) > rpl : desc_dpl(low) != rpl) ||
        (cpu_long_mode(c) && desc_long(low) && desc_big(low)))
        raise_error(c, u, EXC_GP, error);
    if (!desc_present(low))
        raise_error(c, u, EXC_NP, error);
    return low;
}

uint64_t desc_address(const struct cpu *c, uint16_t selector)
{
    return ((selector & 4) != 0 ? c->seg[SEG_LDT].base : c->gdt.base) + (selector & 0xfff8u);
}

uint64_t desc_fetch_high(struct cpu *c, const struct uop *u, uint16_t selector, uint8_t vector,
                         uint32_t ext)
{
    uint32_t limit = (selector & 4) != 0 ? c->seg[SEG_LDT].limit : c->gdt.limit;

    if ((selector & 0xfff8u) + 15 > limit)
        raise_error(c, u, vector, selector_error(selector, ext));
    return ld_system(c, u, desc_address(c, selector) + 8, 8);
}

void desc_busy(struct cpu *c, const struct uop *u, uint16_t selector, bool busy)
{
    uint64_t la = desc_address(c, selector) + 5;
    uint64_t type = ld_system(c, u, la, 1);

    st_system(c, u, la, busy ? type | SYSTEM_BUSY : type & ~(uint64_t)SYSTEM_BUSY, 1);
}

/* ---- code segments --------------------------------------------------------------------------- */

void cs_set(struct cpu *c, struct segment cs, uint8_t cpl)
{
    bool moved = cs.base != c->seg[SEG_CS].base;

    c->seg[SEG_CS] = cs;
    c->cpl = cpl;
    /* The jump cache knows offsets, not linear addresses. */
    if (moved)
        jumps_flush(c);
}

void cs_load(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low, uint8_t cpl)
{
    struct segment cs;

    if ((desc_type(low) & SEG_ACCESSED) == 0) {
        descriptor_accessed(c, u, selector, low);
        low |= 1ull << 40;
    }
    cs = descriptor_segment(selector, low, 0);
    cs.selector = (uint16_t)((selector & 0xfffc) | cpl);
    if (cpu_long_mode(c) && desc_long(low))
        cs.base = 0;
    cs_set(c, cs, cpl);
}

void cs_load_real(struct cpu *c, uint16_t selector)
{
    uint64_t base = c->seg[SEG_CS].base;

    segment_load_real(c, SEG_CS, selector);
    if (!cpu_v8086(c))
        c->seg[SEG_CS].attributes |= SEG_CODE;
    if (c->seg[SEG_CS].base != base)
        jumps_flush(c);
}

bool code_holds(const struct cpu *c, uint64_t low, uint64_t rip)
{
    if (cpu_long_mode(c) && desc_long(low))
        return canonical(rip);
    return rip <= descriptor_segment(0, low, 0).limit;
}

/* ---- stack segments -------------------------------------------------------------------------- */

void ss_load_null(struct cpu *c, uint16_t selector, uint8_t cpl)
{
    c->seg[SEG_SS] =
        (struct segment){.selector = selector, .attributes = (uint16_t)(cpl << SEG_DPL_SHIFT)};
}

void ss_load(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low)
{
    if ((desc_type(low) & SEG_ACCESSED) == 0) {
        descriptor_accessed(c, u, selector, low);
        low |= 1ull << 40;
    }
    c->seg[SEG_SS] = descriptor_segment(selector, low, 0);
}

uint64_t ss_check(struct cpu *c, const struct uop *u, uint16_t selector, uint32_t cpl,
                  uint8_t vector, uint32_t ext)
{
    const uint32_t care = SEG_S | SEG_CODE | SEG_WRITABLE;
    uint32_t error = selector_error(selector, ext);
    uint64_t low;

    if (selector_null(selector))
        raise_error(c, u, vector, ext);
    low = desc_fetch(c, u, selector, vector, ext);
    if ((selector & 3u) != cpl || desc_dpl(low) != cpl ||
        (desc_kind(low) & care) != (SEG_S | SEG_WRITABLE))
        raise_error(c, u, vector, error);
    if (!desc_present(low))
        raise_error(c, u, EXC_SS, error);
    return low;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

uint64_t stack_mask(const struct cpu *c)
{
    return c->mode & MODE_64 ? UINT64_MAX : c->mode & MODE_SS32 ? UINT32_MAX : UINT16_MAX;
}

struct stack stack_present(const struct cpu *c, uint32_t ext)
{
    uint64_t mask = stack_mask(c);

    return (struct stack){
        .ss = c->seg[SEG_SS], .sp = c->reg[RSP] & mask, .mask = mask, .error = ext};
}

/* Is the segment usable, and are `size` bytes at `offset` within its limit (SDM 3, 5.3)? */
static bool segment_holds(const struct segment *s, uint64_t offset, uint32_t size)
{
    uint64_t last = offset + size - 1;

    if ((s->attributes & SEG_P) == 0)
        return false;
    if ((s->attributes & (SEG_CODE | SEG_DOWN)) == SEG_DOWN)
        return offset > s->limit && last <= (s->attributes & SEG_DB ? UINT32_MAX : UINT16_MAX);
    return last <= s->limit;
}

uint64_t ld_sized(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    return size == 8 ? ld64(c, u, la) : size == 4 ? ld32(c, u, la) : ld16(c, u, la);
}

void st_sized(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size)
{
    if (size == 8)
        st64(c, u, la, value);
    else if (size == 4)
        st32(c, u, la, (uint32_t)value);
    else
        st16(c, u, la, (uint16_t)value);
}

void stack_push(struct cpu *c, const struct uop *u, struct stack *s, uint64_t value, uint32_t size)
{
    uint64_t sp = (s->sp - size) & s->mask;
    uint64_t la = sp;

    if (s->mask == UINT64_MAX) {
        if (!canonical(sp) || !canonical(sp + size - 1))
            raise_error(c, u, EXC_SS, s->error);
    } else {
        if (!segment_holds(&s->ss, sp, size))
            raise_error(c, u, EXC_SS, s->error);
        la = (s->ss.base + sp) & UINT32_MAX;
    }
    if (s->supervisor)
        st_system(c, u, la,
                  size == 8   ? value
                  : size == 4 ? (uint32_t)value
                              : (uint16_t)value,
                  size);
    else
        st_sized(c, u, la, value, size);
    s->sp = sp;
}

static void sp_set(struct cpu *c, uint64_t sp, uint64_t mask)
{
    if (mask == UINT16_MAX)
        c->reg[RSP] = (c->reg[RSP] & ~mask) | (sp & mask);
    else
        c->reg[RSP] = sp & mask;
}

void stack_commit(struct cpu *c, const struct stack *s)
{
    sp_set(c, s->sp, s->mask);
}

uint64_t stack_peek(struct cpu *c, const struct uop *u, uint32_t offset, uint32_t size)
{
    uint64_t at = (c->reg[RSP] + offset) & stack_mask(c);

    return ld_sized(c, u, ea_segment(c, u, SEG_SS, at, size, ACCESS_READ), size);
}

void stack_drop(struct cpu *c, uint32_t bytes)
{
    sp_set(c, c->reg[RSP] + bytes, stack_mask(c));
}

/* ---- the TSS --------------------------------------------------------------------------------- */

struct stack stack_of_tss(struct cpu *c, const struct uop *u, uint32_t cpl, uint32_t ext,
                          uint16_t *selector, uint64_t *low)
{
    const struct segment *tr = &c->seg[SEG_TR];
    bool wide = (tr->attributes & SYSTEM_WIDE) != 0;
    uint32_t at = wide ? 4 + cpl * 8 : 2 + cpl * 4;
    uint64_t sp;

    if (at + (wide ? 5u : 3u) > tr->limit)
        raise_error(c, u, EXC_TS, selector_error(tr->selector, ext));
    sp = ld_system(c, u, tr->base + at, wide ? 4 : 2);
    *selector = (uint16_t)ld_system(c, u, tr->base + at + (wide ? 4 : 2), 2);
    *low = ss_check(c, u, *selector, cpl, EXC_TS, ext);
    return (struct stack){.ss = descriptor_segment(*selector, *low, 0),
                          .sp = sp,
                          .mask = desc_big(*low) ? UINT32_MAX : UINT16_MAX,
                          .error = selector_error(*selector, ext),
                          .supervisor = c->cpl == 3 && cpl != 3};
}

uint64_t rsp_of_tss(struct cpu *c, const struct uop *u, uint32_t index, uint32_t ext)
{
    const struct segment *tr = &c->seg[SEG_TR];
    uint32_t at = 4 + index * 8;

    if (at + 7 > tr->limit)
        raise_error(c, u, EXC_TS, selector_error(tr->selector, ext));
    return ld_system(c, u, tr->base + at, 8);
}

void segments_drop(struct cpu *c)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

    for (uint32_t i = 0; i < 4; i++) {
        struct segment *s = &c->seg[data[i]];
        bool conforming = (s->attributes & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN);
        if (conforming || (s->attributes >> SEG_DPL_SHIFT & 3) >= c->cpl)
            continue;
        /* Base and limit stay, as processors have it; in 64-bit mode the base still counts. */
        s->selector = 0;
        s->attributes &= (uint16_t)~SEG_P;
    }
}
