/* SPDX-License-Identifier: MIT
 *
 * mmu/walk.c - page walks, after the SDM 3, chapter 4: 32-bit paging with 4 MiB pages and PSE-36
 * (4.3), PAE paging (4.4), 4-level paging (4.5), and no paging at all.
 *
 * Entries are read once, checked level by level (present, reserved bits), then rights are those of
 * all levels together (4.6), then A and D are set, in RAM by compare-and-swap: if another vCPU has
 * changed an entry meanwhile, the walk begins anew. Left out: 5-level paging, protection keys.
 */
#include "tlb.h"

#include "../decode/features.h"
#include "../engine.h"
#include "../remote.h"
#include "access.h"
#include "physical.h"

#define PTE_P 0x1u
#define PTE_W 0x2u
#define PTE_U 0x4u
#define PTE_A 0x20u
#define PTE_D 0x40u
#define PTE_PS 0x80u
#define PTE_G 0x100u
#define PTE_NX ((uint64_t)1 << 63)
#define PTE_ADDRESS 0x000ffffffffff000u

/* Error code of #PF (SDM 3, 4.7). */
#define PF_P 0x1u
#define PF_W 0x2u
#define PF_U 0x4u
#define PF_RSVD 0x8u
#define PF_FETCH 0x10u

struct walk {
    uint64_t gpa[4], entry[4]; /* of the entries used, from the root */
    uint32_t levels, entry_bytes;
    uint64_t leaf;   /* guest physical address of `la` */
    uint32_t shift;  /* log2 of the page's bytes */
    uint64_t rights; /* PTE_W and PTE_U of all levels, PTE_NX of any */
};

static uint64_t bits_from(uint32_t low)
{
    return low < 64 ? UINT64_MAX << low : 0;
}

/* Takes the entry at `gpa`. False if it is not present. */
static bool take(struct cpu *c, struct walk *w, uint64_t gpa)
{
    uint64_t entry = physical_read(c, gpa, w->entry_bytes);

    w->gpa[w->levels] = gpa;
    w->entry[w->levels++] = entry;
    w->rights = (w->rights & (entry | ~(uint64_t)(PTE_W | PTE_U))) | (entry & PTE_NX);
    return (entry & PTE_P) != 0;
}

#define WALK_OK UINT32_MAX

static uint32_t walk_32(struct cpu *c, uint64_t la, struct walk *w)
{
    uint32_t top = c->physical_bits < 40 ? c->physical_bits : 40;
    uint64_t entry;

    w->entry_bytes = 4;
    if (!take(c, w, (c->cr3 & 0xfffff000u) | (la >> 22 & 0x3ff) << 2))
        return 0;
    entry = w->entry[0];
    if ((entry & PTE_PS) && (c->cr4 & CR4_PSE)) {
        /* PSE-36: bits 20:13 are bits 39:32 of the address, as far as there are any. */
        uint64_t reserved = bits_from(top - 19) & 0x3fe000u;

        if (entry & reserved)
            return PF_P | PF_RSVD;
        w->shift = 22;
        w->leaf = (entry & 0xffc00000u) | (entry & 0x1fe000u) << 19 | (la & 0x3fffff);
        return WALK_OK;
    }
    if (!take(c, w, (entry & 0xfffff000u) | (la >> 12 & 0x3ff) << 2))
        return 0;
    w->shift = 12;
    w->leaf = (w->entry[1] & 0xfffff000u) | (la & 0xfff);
    return WALK_OK;
}

/* From a table whose entries map 1 << `shift` bytes each, at `table`, down to the page. `reserved`:
 * bits that are so in every entry. */
static uint32_t walk_64(struct cpu *c, uint64_t la, struct walk *w, uint64_t table, uint32_t shift,
                        uint64_t reserved)
{
    for (;; shift -= 9) {
        uint64_t page = ((uint64_t)1 << shift) - 1, entry;
        bool huge = shift == 21 || (shift == 30 && cpu_has(c, FEATURE_PAGE1GB));

        if (!take(c, w, (table & PTE_ADDRESS) | (la >> shift & 0x1ff) << 3))
            return 0;
        entry = w->entry[w->levels - 1];
        if (entry & reserved)
            return PF_P | PF_RSVD;
        if (shift == 12 || (huge && (entry & PTE_PS))) {
            /* Bit 12 of a large page's entry is PAT. */
            if (shift > 12 && (entry & page & 0x3fffe000u))
                return PF_P | PF_RSVD;
            w->shift = shift;
            w->leaf = (entry & PTE_ADDRESS & ~page) | (la & page);
            return WALK_OK;
        }
        if (entry & PTE_PS)
            return PF_P | PF_RSVD;
        table = entry;
    }
}

/* The leaf, or the error code's bits P and RSVD. */
static uint32_t walk_tables(struct cpu *c, uint64_t la, struct walk *w)
{
    uint64_t reserved = bits_from(c->physical_bits) & PTE_ADDRESS;

    *w = (struct walk){.rights = PTE_W | PTE_U};
    if (!(c->cr4 & CR4_PAE))
        return walk_32(c, la, w);
    if (!(c->efer & EFER_NXE))
        reserved |= PTE_NX;
    w->entry_bytes = 8;
    if (!cpu_long_mode(c)) {
        uint64_t pdpte = c->pdpte[la >> 30 & 3];

        return pdpte & PTE_P ? walk_64(c, la, w, pdpte, 21, reserved | 0x7ff0000000000000u) : 0;
    }
    return walk_64(c, la, w, c->cr3, 39, reserved);
}

/* Rights by SDM 3, 4.6.1. False: a protection violation. */
static bool rights(const struct cpu *c, const struct walk *w, uint32_t access,
                   struct translation *out)
{
    bool implicit = (access & ACCESS_SYSTEM) != 0, user_mode = !implicit && c->cpl == 3;
    bool writable = (w->rights & PTE_W) != 0, executable = !(w->rights & PTE_NX);

    out->user = (w->rights & PTE_U) != 0;
    if (user_mode) {
        out->readable = out->user;
        out->writable = out->user && writable;
        out->executable = out->user && executable;
    } else {
        out->readable =
            !out->user || !(c->cr4 & CR4_SMAP) || (!implicit && (c->rflags & FLAG_AC) != 0);
        out->writable = out->readable && (writable || !(c->cr0 & CR0_WP));
        out->executable = executable && !(out->user && (c->cr4 & CR4_SMEP));
    }
    if (access & ACCESS_FETCH)
        return out->executable;
    return access & ACCESS_WRITE ? out->writable : out->readable;
}

/* Sets `bits` in the entry. False: it is no longer what was read. */
static bool entry_set(struct cpu *c, const struct walk *w, uint32_t level, uint32_t bits)
{
    uint64_t gpa = w->gpa[level], entry = w->entry[level];
    const struct memory_slot *slot;
    bool done;

    if ((entry & bits) == bits)
        return true;
    slot = memory_slot_at(c->engine, gpa);
    /* A table in ROM, or a device: there is nothing to set. */
    if (!slot || (slot->flags & BP_RAM_READONLY))
        return true;
    if (unlikely(!memory_takes_stores(slot, gpa))) {
        physical_write(c, gpa, entry | bits, w->entry_bytes);
        return true;
    }
    if (w->entry_bytes == 4) {
        uint32_t *at = (uint32_t *)(void *)(slot->host + (gpa - slot->gpa));
        uint32_t before = (uint32_t)entry;

        done = __atomic_compare_exchange_n(at, &before, before | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    } else {
        uint64_t *at = (uint64_t *)(void *)(slot->host + (gpa - slot->gpa));

        done = __atomic_compare_exchange_n(at, &entry, entry | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    }
    if (done && __atomic_load_n(memory_code_word(slot, gpa), __ATOMIC_SEQ_CST))
        smc_stored(c, gpa, w->entry_bytes);
    return done;
}

static bool entries_used(struct cpu *c, const struct walk *w, uint32_t access)
{
    for (uint32_t level = 0; level < w->levels; level++) {
        bool leaf = level + 1 == w->levels;

        if (!entry_set(c, w, level, leaf && (access & ACCESS_WRITE) ? PTE_A | PTE_D : PTE_A))
            return false;
    }
    return true;
}

static void no_paging(uint64_t la, struct translation *out)
{
    *out = (struct translation){.gpa = la & UINT32_MAX,
                                .page_bytes = PAGE_SIZE,
                                .readable = 1,
                                .writable = 1,
                                .executable = 1,
                                .user = 1,
                                .dirty = 1};
}

static uint32_t error_code(const struct cpu *c, uint32_t access, uint32_t found)
{
    if (access & ACCESS_WRITE)
        found |= PF_W;
    if (!(access & ACCESS_SYSTEM) && c->cpl == 3)
        found |= PF_U;
    if ((access & ACCESS_FETCH) &&
        ((c->cr4 & CR4_SMEP) || ((c->cr4 & CR4_PAE) && (c->efer & EFER_NXE))))
        found |= PF_FETCH;
    return found;
}

bool mmu_walk(struct cpu *c, uint64_t la, uint32_t access, struct translation *out, uint32_t *error)
{
    struct walk w;
    uint32_t found;

    if (!(c->cr0 & CR0_PG)) {
        no_paging(la, out);
        return true;
    }
    if (!cpu_long_mode(c))
        la &= UINT32_MAX;
    do {
        c->walking = WALKING_TABLES;
        found = walk_tables(c, la, &w);
        if (found == WALK_OK && !rights(c, &w, access, out))
            found = PF_P;
        if (found != WALK_OK) {
            c->walking = 0;
            *error = error_code(c, access, found);
            return false;
        }
    } while (!entries_used(c, &w, access));
    c->walking = 0;
    out->gpa = w.leaf;
    out->page_bytes = 1u << w.shift;
    out->global = (w.entry[w.levels - 1] & PTE_G) && (c->cr4 & CR4_PGE);
    out->dirty = (access & ACCESS_WRITE) || (w.entry[w.levels - 1] & PTE_D);
    return true;
}

int64_t mmu_debug_translate(struct cpu *c, uint64_t la)
{
    bool outside = remote_is_outside(c);
    struct walk w;
    uint32_t found;

    if (!(c->cr0 & CR0_PG))
        return (int64_t)(la & UINT32_MAX);
    if (!cpu_long_mode(c))
        la &= UINT32_MAX;
    else if (!canonical(la))
        return -1;
    if (outside)
        remote_enter(c);
    found = walk_tables(c, la, &w);
    if (outside)
        remote_leave(c);
    return found == WALK_OK ? (int64_t)w.leaf : -1;
}

uint64_t mmu_fetch(struct cpu *c, uint64_t la)
{
    uint32_t kind = tlb_kind(c, ACCESS_FETCH), error;
    const struct tlb_entry *e = tlb_at(&c->tlbs[kind], la);
    const struct memory_slot *slot;
    struct translation t;

    if (e->xtag == (la & PAGE_MASK))
        return c->tlbs[kind].gpa[e - c->tlbs[kind].entry] | (la & ~PAGE_MASK);
    if (cpu_64bit(c) && !canonical(la))
        raise_bad_address(c, NULL, SEG_CS);
    if (!mmu_walk(c, la, ACCESS_FETCH, &t, &error)) {
        tlb_forget(c, la);
        raise_page_fault(c, NULL, la, error);
    }
    slot = memory_slot_at(c->engine, t.gpa);
    if (slot && !mmu_is_apic(c, t.gpa))
        tlb_fill(c, la, ACCESS_FETCH, &t, slot);
    return t.gpa;
}
