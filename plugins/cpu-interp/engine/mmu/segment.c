/* SPDX-License-Identifier: MIT
 *
 * mmu/segment.c - descriptors, and loading segment registers (SDM 3, 3.4, 3.5, 5.4 to 5.6).
 *
 * CS, LDTR and TR are loaded by the instructions that do so (ops/far.c, ops/system.c), with the
 * helpers here. A segment register that holds a null selector has no P bit: every use of it fails.
 */
#include "../engine.h"
#include "access.h"

#define DESCRIPTOR_ACCESSED ((uint64_t)1 << 40)

bool descriptor_read(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t *low)
{
    uint32_t offset = selector & 0xfff8u, limit = c->gdt.limit;
    uint64_t base = c->gdt.base;

    if (selector & 4) {
        const struct segment *ldt = &c->seg[SEG_LDT];

        if (!(ldt->attributes & SEG_P))
            return false;
        base = ldt->base;
        limit = ldt->limit;
    }
    if (offset + 7 > limit)
        return false;
    *low = ld_system(c, u, base + offset, 8);
    return true;
}

void descriptor_accessed(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low)
{
    uint64_t base = selector & 4 ? c->seg[SEG_LDT].base : c->gdt.base;

    if (!(low & DESCRIPTOR_ACCESSED))
        st_system(c, u, base + (selector & 0xfff8u) + 5, (low >> 40 & 0xff) | SEG_ACCESSED, 1);
}

struct segment descriptor_segment(uint16_t selector, uint64_t low, uint64_t high)
{
    struct segment s = {.selector = selector};

    s.base = (low >> 16 & 0xffffff) | (low >> 32 & 0xff000000) | high << 32;
    s.limit = (uint32_t)(low & 0xffff) | (uint32_t)(low >> 32 & 0xf0000);
    s.attributes = (uint16_t)((low >> 40 & 0xff) | (low >> 40 & 0xf000));
    if (s.attributes & SEG_G)
        s.limit = s.limit << 12 | 0xfff;
    return s;
}

void segment_load_real(struct cpu *c, uint8_t seg, uint16_t selector)
{
    struct segment *s = &c->seg[seg];

    if (cpu_v8086(c)) {
        s->limit = UINT16_MAX;
        s->attributes = SEG_P | 3u << SEG_DPL_SHIFT | SEG_S | SEG_WRITABLE | SEG_ACCESSED;
    } else {
        /* Limit and size stay as they were: BIOSes and boot loaders count on that ("unreal
         * mode"). */
        if (!(s->attributes & SEG_P)) {
            s->limit = UINT16_MAX;
            s->attributes = 0;
        }
        s->attributes = (uint16_t)((s->attributes & (SEG_DB | SEG_G)) | SEG_P | SEG_S |
                                   SEG_WRITABLE | SEG_ACCESSED);
    }
    s->selector = selector;
    s->base = (uint64_t)selector << 4;
}

static uint32_t dpl_of(const struct segment *s)
{
    return s->attributes >> SEG_DPL_SHIFT & 3;
}

/* SDM 2, MOV: a null selector in SS is for 64-bit mode's inner rings only. */
static void load_null(struct cpu *c, const struct uop *u, uint8_t seg, uint16_t selector)
{
    struct segment *s = &c->seg[seg];

    if (seg == SEG_SS && (!cpu_64bit(c) || c->cpl == 3 || (selector & 3) != c->cpl))
        raise_error(c, u, EXC_GP, 0);
    *s = (struct segment){.selector = selector};
    if (seg == SEG_SS)
        s->attributes = (uint16_t)(c->cpl << SEG_DPL_SHIFT);
}

static void check_stack(struct cpu *c, const struct uop *u, const struct segment *s)
{
    uint32_t error = s->selector & 0xfffcu;

    if ((s->selector & 3) != c->cpl || dpl_of(s) != c->cpl ||
        (s->attributes & (SEG_S | SEG_CODE | SEG_WRITABLE)) != (SEG_S | SEG_WRITABLE))
        raise_error(c, u, EXC_GP, error);
    if (!(s->attributes & SEG_P))
        raise_error(c, u, EXC_SS, error);
}

static void check_data(struct cpu *c, const struct uop *u, const struct segment *s)
{
    uint32_t error = s->selector & 0xfffcu;
    uint32_t code = s->attributes & SEG_CODE;

    if (!(s->attributes & SEG_S) || (code && !(s->attributes & SEG_WRITABLE)))
        raise_error(c, u, EXC_GP, error);
    /* Conforming code can be read from everywhere. */
    if (!(code && (s->attributes & SEG_DOWN)) &&
        (dpl_of(s) < c->cpl || dpl_of(s) < (s->selector & 3u)))
        raise_error(c, u, EXC_GP, error);
    if (!(s->attributes & SEG_P))
        raise_error(c, u, EXC_NP, error);
}

void segment_load(struct cpu *c, const struct uop *u, uint8_t seg, uint16_t selector)
{
    struct segment s;
    uint64_t low;

    if (!cpu_protected(c)) {
        segment_load_real(c, seg, selector);
    } else if (!(selector & 0xfffc)) {
        load_null(c, u, seg, selector);
    } else {
        if (!descriptor_read(c, u, selector, &low))
            raise_error(c, u, EXC_GP, selector & 0xfffcu);
        s = descriptor_segment(selector, low, 0);
        if (seg == SEG_SS)
            check_stack(c, u, &s);
        else
            check_data(c, u, &s);
        descriptor_accessed(c, u, selector, low);
        s.attributes |= SEG_ACCESSED;
        c->seg[seg] = s;
    }
    cpu_mode_changed(c);
}
