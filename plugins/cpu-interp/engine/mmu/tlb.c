/* SPDX-License-Identifier: MIT
 *
 * mmu/tlb.c - filling and flushing the software TLB: see tlb.h.
 *
 * What may be cached, and what each instruction must drop: SDM 3, 4.10. More is dropped than is
 * asked for where that is simpler, which is always right.
 *
 * Process-context identifiers: user pages of the last few address spaces have a TLB each, and the
 * RIPs of each have a number in the jump cache. A space that is flushed has a new number, so that
 * the jump cache need not be searched.
 */
#include "tlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../engine.h"

#define SPACE_IDS 512u /* bits 48 to 56 of cpu.mode_key */

static void clear(struct tlb_entry *e)
{
    e->rtag = TLB_NONE;
    e->wtag = TLB_NONE;
    e->xtag = TLB_NONE;
}

static bool is_clear(const struct tlb_entry *e)
{
    return e->rtag == TLB_NONE && e->wtag == TLB_NONE && e->xtag == TLB_NONE;
}

int tlb_create(struct cpu *c)
{
    size_t bytes = (TLB_KINDS * sizeof(struct tlb) + 63) & ~(size_t)63;
    struct tlb *tlbs = aligned_alloc(64, bytes);

    if (!tlbs)
        return -ENOMEM;
    memset(tlbs, 0, bytes);
    for (uint32_t kind = 0; kind < TLB_KINDS; kind++)
        for (uint32_t i = 0; i < TLB_ENTRIES; i++)
            clear(&tlbs[kind].entry[i]);
    c->tlbs = tlbs;
    c->tlb = tlbs;
    return 0;
}

void tlb_destroy(struct cpu *c)
{
    free(c->tlbs);
    c->tlbs = NULL;
    c->tlb = NULL;
}

static void flush_local(struct tlb *t)
{
    if (t->used > TLB_LISTED) {
        for (uint32_t i = 0; i < TLB_ENTRIES; i++)
            if (!t->global[i])
                clear(&t->entry[i]);
    } else {
        for (uint32_t i = 0; i < t->used; i++)
            if (!t->global[t->listed[i]])
                clear(&t->entry[t->listed[i]]);
    }
    t->used = 0;
}

/* The PCID of the present address space. */
static uint32_t pcid_now(const struct cpu *c)
{
    return c->cr4 & CR4_PCIDE ? (uint32_t)c->cr3 & 0xfff : 0;
}

/* RIPs of the space are no longer known to the jump cache: it has a new number. */
static void renew(struct cpu *c, uint32_t space)
{
    if (c->last_id < SPACE_IDS - 1) {
        c->spaces[space].id = ++c->last_id;
        return;
    }
    jumps_flush(c);
    for (uint32_t i = 0; i < SPACES; i++)
        c->spaces[i].id = (uint16_t)i;
    c->last_id = SPACES - 1;
    c->mode_key = cpu_mode_key(c, c->mode);
}

static void enter(struct cpu *c, uint32_t space)
{
    c->space = (uint8_t)space;
    c->spaces[space].used = 0;
    c->mode_key = cpu_mode_key(c, c->mode);
    if (c->cpl == 3 && !c->slow)
        c->tlb = &c->tlbs[TLB_USER + space];
}

static void flush_user(struct cpu *c, uint32_t space)
{
    flush_local(&c->tlbs[TLB_USER + space]);
    renew(c, space);
}

static void flush_supervisor(struct cpu *c)
{
    flush_local(&c->tlbs[TLB_SUPERVISOR]);
    flush_local(&c->tlbs[TLB_SUPERVISOR_AC]);
    jumps_flush_local(c);
}

/* What supervisors have accessed for user processes is few pages, and is not kept. */
void tlb_switch(struct cpu *c, uint32_t pcid, bool keep)
{
    uint32_t old = pcid_now(c), space = c->space;

    flush_supervisor(c);
    if (pcid != old) {
        c->spaces[space].pcid = (uint16_t)old;
        c->spaces[space].used = 1;
        for (space = 0; space < SPACES; space++)
            if (c->spaces[space].used && c->spaces[space].pcid == pcid)
                break;
        if (space == SPACES) {
            space = c->victim != c->space ? c->victim : (c->victim + 1) % SPACES;
            c->victim = (uint8_t)((space + 1) % SPACES);
            keep = false;
        }
    }
    if (!keep)
        flush_user(c, space);
    enter(c, space);
}

void tlb_flush_pcid(struct cpu *c, uint32_t pcid)
{
    if (pcid == pcid_now(c)) {
        tlb_switch(c, pcid, false);
        return;
    }
    for (uint32_t i = 0; i < SPACES; i++)
        if (c->spaces[i].used && c->spaces[i].pcid == pcid)
            flush_user(c, i);
}

void tlb_flush_local(struct cpu *c)
{
    for (uint32_t i = 0; i < SPACES; i++)
        if (c->spaces[i].used) {
            flush_local(&c->tlbs[TLB_USER + i]);
            c->spaces[i].used = 0;
        }
    tlb_switch(c, pcid_now(c), false);
}

void tlb_flush(struct cpu *c)
{
    for (uint32_t kind = 0; kind < TLB_SLOW; kind++) {
        struct tlb *t = &c->tlbs[kind];

        if (t->has_global) {
            memset(t->global, 0, sizeof(t->global));
            t->used = TLB_LISTED + 1;
        }
        flush_local(t);
        t->has_global = 0;
        t->has_large[0] = t->has_large[1] = 0;
    }
    for (uint32_t i = 0; i < SPACES; i++)
        c->spaces[i].used = 0;
    jumps_flush(c);
}

bool tlb_is_small(const struct cpu *c, uint64_t la)
{
    struct tlb *t = &c->tlbs[tlb_kind(c, ACCESS_FETCH)];
    const struct tlb_entry *e = tlb_at(t, la);

    return e->xtag == (la & PAGE_MASK) && t->shift[e - t->entry] == 12;
}

bool tlb_is_global(const struct cpu *c, uint64_t la)
{
    struct tlb *t = &c->tlbs[tlb_kind(c, ACCESS_FETCH)];
    const struct tlb_entry *e = tlb_at(t, la);

    return e->xtag == (la & PAGE_MASK) && t->global[e - t->entry];
}

/* The page that the entry stands for: one of the tags has it. */
static bool entry_is(const struct tlb_entry *e, uint64_t page)
{
    return e->rtag == page || e->wtag == page || e->xtag == page;
}

static uint64_t entry_page(const struct tlb_entry *e)
{
    return e->rtag != TLB_NONE ? e->rtag : e->wtag != TLB_NONE ? e->wtag : e->xtag;
}

void tlb_forget(struct cpu *c, uint64_t la)
{
    for (uint32_t kind = 0; kind < TLB_SLOW; kind++) {
        struct tlb_entry *e = tlb_at(&c->tlbs[kind], la);

        if (entry_is(e, la & PAGE_MASK))
            clear(e);
    }
}

/* A large page is cached in parts, and goes as a whole (SDM 3, 4.10.2.3). */
void tlb_flush_page(struct cpu *c, uint64_t la)
{
    tlb_forget(c, la);
    for (uint32_t kind = 0; kind < TLB_SLOW; kind++) {
        struct tlb *t = &c->tlbs[kind];

        if (!t->has_large[la >> 63])
            continue;
        for (uint32_t i = 0; i < TLB_ENTRIES; i++)
            if (t->shift[i] > 12 && !is_clear(&t->entry[i]) &&
                (entry_page(&t->entry[i]) ^ la) >> t->shift[i] == 0)
                clear(&t->entry[i]);
    }
    jumps_flush_page(c, la);
}

void tlb_protect_code(struct cpu *c, uint64_t gpa)
{
    gpa &= PAGE_MASK;
    for (uint32_t kind = 0; kind < TLB_SLOW; kind++) {
        struct tlb *t = &c->tlbs[kind];

        for (uint32_t i = 0; i < TLB_ENTRIES; i++)
            if (t->gpa[i] == gpa)
                t->entry[i].wtag = TLB_NONE;
    }
}

uint32_t tlb_kind(const struct cpu *c, uint32_t access)
{
    if (access & ACCESS_SYSTEM)
        return TLB_SUPERVISOR;
    if (c->cpl == 3)
        return TLB_USER + c->space;
    return (c->cr4 & CR4_SMAP) && (c->rflags & FLAG_AC) ? TLB_SUPERVISOR_AC : TLB_SUPERVISOR;
}

/* Notes a filled entry for flush_local(). `listed`: it is in the list already. */
static void note(struct tlb *t, uint32_t i, bool listed)
{
    if (t->global[i] || listed || t->used > TLB_LISTED)
        return;
    if (t->used < TLB_LISTED)
        t->listed[t->used] = (uint16_t)i;
    t->used++;
}

void tlb_allow_writes(struct tlb *t, uint32_t i, uint64_t page, const struct memory_slot *slot)
{
    if (__atomic_load_n(memory_code_word(slot, t->gpa[i]), __ATOMIC_SEQ_CST) == 0)
        t->entry[i].wtag = page;
}

void tlb_fill(struct cpu *c, uint64_t la, uint32_t access, const struct translation *t,
              const struct memory_slot *slot)
{
    struct tlb *tlb = &c->tlbs[tlb_kind(c, access)];
    struct tlb_entry *e = tlb_at(tlb, la);
    uint32_t i = (uint32_t)(e - tlb->entry);
    uint64_t page = la & PAGE_MASK, gpa = t->gpa & PAGE_MASK;
    bool listed = !is_clear(e) && !tlb->global[i];
    bool writable = t->writable && t->dirty && memory_takes_stores(slot, gpa);

    e->rtag = t->readable ? page : TLB_NONE;
    e->wtag = TLB_NONE;
    e->xtag = t->executable ? page : TLB_NONE;
    e->addend = (uintptr_t)(slot->host + (gpa - slot->gpa)) - (uintptr_t)page;
    tlb->gpa[i] = gpa;
    tlb->writable[i] = writable;
    tlb->global[i] = t->global;
    tlb->shift[i] = (uint8_t)__builtin_ctz(t->page_bytes);
    tlb->has_global |= t->global;
    tlb->has_large[la >> 63] |= t->page_bytes > PAGE_SIZE;
    note(tlb, i, listed);
    if (writable)
        tlb_allow_writes(tlb, i, page, slot);
}
