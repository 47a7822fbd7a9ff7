/* SPDX-License-Identifier: MIT
 *
 * block/smc.c - code that changes: which blocks a store hits, and how they go.
 *
 * A word a page says which of its 128-byte chunks have code (struct memory_slot). Blocks are in the
 * list of each page that they have bytes of. Direct links stay within a page, so dropping a block
 * means looking through its page's list for links to it.
 */
#include "cache.h"

#include "../mmu/tlb.h"
#include "../remote.h"

#include <stdlib.h>

struct code_page *code_page_at(struct block_cache_private *p, uint64_t gpa, bool make)
{
    struct code_page **head = &p->page[(gpa >> 12) & (PAGE_BUCKETS - 1)];
    struct code_page *page = *head;

    gpa &= PAGE_MASK;
    while (page && page->gpa != gpa)
        page = page->next;
    if (!page && make) {
        page = malloc(sizeof(*page));
        if (page)
            *page = (struct code_page){.gpa = gpa, .next = *head};
        if (page)
            *head = page;
    }
    return page;
}

static void unlink_ref(struct code_page *page, const struct page_ref *ref)
{
    if (!page)
        return;
    for (struct page_ref **at = &page->first; *at; at = &(*at)->next) {
        if (*at == ref) {
            *at = ref->next;
            return;
        }
    }
}

/* Blocks that were just dropped from one page. */
struct dropped {
    struct block *block[64];
    uint32_t count;
};

/* Ends the links of the page's blocks to those that were dropped. What is not a direct branch holds
 * other things in that word, never the address of a block. */
static void cut_links(const struct code_page *page, struct dropped *d)
{
    const struct block *low = d->block[0], *high = d->block[0];

    for (uint32_t k = 1; k < d->count; k++) {
        low = d->block[k] < low ? d->block[k] : low;
        high = d->block[k] > high ? d->block[k] : high;
    }
    for (const struct page_ref *r = page->first; r && d->count; r = r->next) {
        for (uint32_t n = 0; n < r->block->count; n++) {
            struct uop *u = &r->block->uops[n];
            if (u->link < low || u->link > high)
                continue;
            for (uint32_t k = 0; k < d->count; k++)
                if (u->link == d->block[k])
                    u->link = NULL;
        }
    }
    d->count = 0;
}

void block_drop(struct cpu *c, struct block *b)
{
    struct block_cache_private *p = c->blocks->p;
    struct block **at = &p->bucket[block_bucket(b->gpa)];

    while (*at && *at != b)
        at = &(*at)->next;
    if (*at)
        *at = b->next;
    unlink_ref(code_page_at(p, b->gpa, false), &b->ref[0]);
    if (b->gpa_second)
        unlink_ref(code_page_at(p, b->gpa_second, false), &b->ref[1]);
    /* It may be running: its next uop leaves. Entries of the jump cache find the same. */
    for (uint32_t k = 0; k < b->count; k++)
        b->uops[k].fn = op_stale;
    b->dead = 1;
    b->next = p->dead;
    p->dead = b;
    cpu_pend(c, PEND_CHECK);
}

static bool has_bytes_in(const struct block *b, bool second, uint32_t mask)
{
    uint32_t first = PAGE_SIZE - (uint32_t)(b->gpa & 0xfff);

    if (second)
        return chunk_mask(b->gpa_second, b->bytes - first) & mask;
    return chunk_mask(b->gpa, b->bytes < first ? b->bytes : first) & mask;
}

void blocks_drop_chunks(struct cpu *c, uint64_t gpa, uint32_t mask)
{
    struct code_page *page = code_page_at(c->blocks->p, gpa, false);
    struct dropped d = {.count = 0};

    if (!page)
        return;
    for (struct page_ref *r = page->first, *next; r; r = next) {
        struct block *b = r->block;
        next = r->next;
        if (has_bytes_in(b, r == &b->ref[1], mask)) {
            /* The two references of one block may be neighbours, if both pages are the same one. */
            if (next && next->block == b)
                next = next->next;
            block_drop(c, b);
            d.block[d.count++] = b;
            if (d.count == sizeof(d.block) / sizeof(d.block[0]))
                cut_links(page, &d);
        }
    }
    if (d.count)
        cut_links(page, &d);
}

void smc_stored(struct cpu *c, uint64_t gpa, uint32_t bytes)
{
    const struct memory_slot *slot = memory_slot_at(c->engine, gpa);
    uint32_t mask = chunk_mask(gpa, bytes), *word;

    if (!slot)
        return;
    word = memory_code_word(slot, gpa);
    mask &= __atomic_load_n(word, __ATOMIC_SEQ_CST);
    if (!mask)
        return;
    /* First the marks: a vCPU that builds a block there from now on sees the store. One that did so
     * just before has its block dropped by what follows. */
    __atomic_fetch_and(word, ~mask, __ATOMIC_SEQ_CST);
    blocks_drop_chunks(c, gpa & PAGE_MASK, mask);
    remote_drop_chunks(c->engine, c, gpa & PAGE_MASK, mask);
}
