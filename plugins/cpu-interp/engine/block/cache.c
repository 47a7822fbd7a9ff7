/* SPDX-License-Identifier: MIT
 *
 * block/cache.c - finding blocks, building them, and chaining them. See cache.h.
 *
 * A block is built from a copy of the code. Stores of other vCPUs may come meanwhile: so its chunks
 * are marked, every vCPU loses the right to store there unseen, and then the copy is compared with
 * memory once more. A store after that finds the marks.
 */
#include "cache.h"

#include "../mmu/access.h"
#include "../remote.h"
#include "../trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ----------------------------------------------------------------------------------- */

int blocks_create(struct cpu *c)
{
    c->blocks = calloc(1, sizeof(*c->blocks));
    if (!c->blocks)
        return -ENOMEM;
    c->blocks->p = calloc(1, sizeof(*c->blocks->p));
    if (!c->blocks->p) {
        free(c->blocks);
        c->blocks = NULL;
        return -ENOMEM;
    }
    jumps_flush(c);
    return 0;
}

static void free_dead(struct block_cache_private *p)
{
    while (p->dead) {
        struct block *b = p->dead;
        p->dead = b->next;
        p->bytes -= b->allocated;
        free(b);
    }
}

static void drop_all(struct cpu *c)
{
    struct block_cache_private *p = c->blocks->p;

    for (uint32_t k = 0; k < BLOCK_BUCKETS; k++)
        while (p->bucket[k])
            block_drop(c, p->bucket[k]);
    for (uint32_t k = 0; k < PAGE_BUCKETS; k++) {
        while (p->page[k]) {
            struct code_page *page = p->page[k];
            p->page[k] = page->next;
            free(page);
        }
    }
    p->drop_all = 0;
}

void blocks_destroy(struct cpu *c)
{
    if (!c->blocks)
        return;
    drop_all(c);
    free_dead(c->blocks->p);
    free(c->blocks->p);
    free(c->blocks);
    c->blocks = NULL;
}

void blocks_drop_all(struct cpu *c)
{
    c->blocks->p->drop_all = 1;
    cpu_pend(c, PEND_CHECK);
}

void blocks_safe_point(struct cpu *c)
{
    struct block_cache_private *p = c->blocks->p;

    if (unlikely(p->drop_all || p->bytes > BLOCK_BYTES))
        drop_all(c);
    if (unlikely(p->dead)) {
        jumps_flush(c);
        free_dead(p);
    }
}

/* No key is all ones: it would be a RIP that is not canonical, or a mode with every bit set. */
static void flush_half(struct cpu *c, uint32_t half)
{
    struct block_cache_private *p = c->blocks->p;

    memset(&c->blocks->jumps[half * JUMP_CACHE], 0xff, JUMP_CACHE * sizeof(struct jump));
    memset(p->pages[half], 0, sizeof(p->pages[half]));
    p->local[half] = 0;
    p->large[half] = 0;
}

void jumps_flush(struct cpu *c)
{
    flush_half(c, 0);
    flush_half(c, 1);
}

void jumps_flush_local(struct cpu *c)
{
    for (uint32_t half = 0; half < 2; half++)
        if (c->blocks->p->local[half])
            flush_half(c, half);
}

void jumps_flush_page(struct cpu *c, uint64_t la)
{
    struct block_cache_private *p = c->blocks->p;
    uint32_t half = (uint32_t)(la >> 63), page = (uint32_t)(la >> 12) & (JUMP_PAGES - 1);

    if (p->large[half] || p->pages[half][page / 64] >> page % 64 & 1)
        flush_half(c, half);
}

/* ---- lookup --------------------------------------------------------------------------------- */

/* The linear address of cpu.rip, checked as a fetch of one byte there is. */
static uint64_t code_address(struct cpu *c)
{
    uint64_t rip = c->rip;

    if (c->mode & MODE_64) {
        if (unlikely(!canonical(rip)))
            raise_error(c, NULL, EXC_GP, 0);
        return rip;
    }
    if (unlikely(rip > c->seg[SEG_CS].limit))
        raise_error(c, NULL, EXC_GP, 0);
    return (uint32_t)(c->seg[SEG_CS].base + rip);
}

static struct block *lookup(struct cpu *c, uint64_t gpa, uint64_t la)
{
    struct block *b = c->blocks->p->bucket[block_bucket(gpa)];

    while (b && (b->gpa != gpa || b->mode != c->mode ||
                 (b->gpa_second && mmu_fetch(c, (la | 0xfff) + 1) != b->gpa_second)))
        b = b->next;
    return b;
}

/* ---- building ------------------------------------------------------------------------------- */

/* Code in RAM of one page, or of two if its first instruction goes on there. */
struct source {
    uint64_t gpa, gpa_second;
    struct memory_slot *slot, *slot_second; /* NULL: no RAM */
    uint32_t first;                         /* bytes in the first page */
    uint32_t available;
};

static void copy_code(struct cpu *c, struct memory_slot *slot, uint64_t gpa, uint8_t *to,
                      uint32_t bytes)
{
    if (slot) {
        memcpy(to, slot->host + (gpa - slot->gpa), bytes);
        return;
    }
    if (unlikely(c->trace_events))
        trace_at(c, NULL);
    c->walking = WALKING_CODE;
    for (uint32_t k = 0; k < bytes; k++)
        to[k] = (uint8_t)physical_read(c, gpa + k, 1);
    c->walking = 0;
}

/* Marks the chunks of [gpa, gpa + bytes) and takes all vCPUs the right to store there unseen. */
static void mark_code(struct cpu *c, struct memory_slot *slot, uint64_t gpa, uint32_t bytes)
{
    remote_mark_code(c, memory_code_word(slot, gpa), chunk_mask(gpa, bytes), gpa);
}

static bool unchanged(const struct memory_slot *slot, uint64_t gpa, const uint8_t *copy,
                      uint32_t bytes)
{
    return memcmp(slot->host + (gpa - slot->gpa), copy, bytes) == 0;
}

static void insert(struct cpu *c, struct block *b)
{
    struct block_cache_private *p = c->blocks->p;
    uint32_t bucket = block_bucket(b->gpa);

    b->next = p->bucket[bucket];
    p->bucket[bucket] = b;
    for (uint32_t k = 0; k < 2; k++) {
        uint64_t gpa = k ? b->gpa_second : b->gpa;
        struct code_page *page;

        b->ref[k].block = b;
        if (k && !b->gpa_second)
            break;
        page = code_page_at(p, gpa, true);
        if (page) {
            b->ref[k].next = page->first;
            page->first = &b->ref[k];
        }
    }
}

/* A block from what the builder has; NULL: no memory. */
static struct block *make_block(struct cpu *c, const struct source *s)
{
    struct block_cache_private *p = c->blocks->p;
    const struct builder *from = &p->builder;
    size_t bytes = sizeof(struct block) + (from->count + 1) * sizeof(struct uop);
    struct block *b = aligned_alloc(32, (bytes + 31) & ~(size_t)31);

    if (!b) {
        blocks_drop_all(c);
        return NULL;
    }
    memset(b, 0, sizeof(*b));
    b->gpa = s->gpa;
    b->mode = c->mode;
    b->allocated = (uint32_t)bytes;
    b->bytes = (uint16_t)from->bytes;
    b->count = (uint16_t)from->count;
    memcpy(b->uops, from->uops, (from->count + 1) * sizeof(struct uop));
    p->bytes += bytes;
    if (from->bytes > s->first)
        b->gpa_second = s->gpa_second;
    return b;
}

/* Where the code of cpu.rip is: finds its second page if the first instruction goes on there. */
static int read_source(struct cpu *c, uint64_t la, struct source *s)
{
    struct block_cache_private *p = c->blocks->p;
    uint32_t in_page = PAGE_SIZE - (uint32_t)(s->gpa & 0xfff);
    uint32_t most = BLOCK_INSNS * 15;
    int err;

    s->slot = memory_slot_at(c->engine, s->gpa);
    if (!s->slot)
        most = 15;
    s->first = s->available = in_page < most ? in_page : most;
    s->gpa_second = 0;
    copy_code(c, s->slot, s->gpa, p->code, s->first);
    err = build_block(c, &p->builder, p->code, s->available, c->mode, !s->slot || c->single);
    if (err != -EAGAIN)
        return err;
    /* Its last bytes are in the next page, whose absence is this instruction's fault. */
    s->gpa_second = mmu_fetch(c, (la | 0xfff) + 1);
    s->slot_second = memory_slot_at(c->engine, s->gpa_second);
    copy_code(c, s->slot_second, s->gpa_second, p->code + s->first, 15);
    s->available = s->first + 15;
    return build_block(c, &p->builder, p->code, s->available, c->mode, true);
}

static struct block *build(struct cpu *c, uint64_t gpa, uint64_t la)
{
    struct block_cache_private *p = c->blocks->p;
    struct source s = {.gpa = gpa};
    struct block *b;
    bool cached;

    for (;;) {
        if (read_source(c, la, &s))
            return NULL;
        /* A page table may have been behind the bus, where memory is rearranged. */
        s.slot = memory_slot_at(c->engine, gpa);
        s.slot_second = memory_slot_at(c->engine, s.gpa_second);
        uint32_t bytes = p->builder.bytes;
        uint32_t first = bytes < s.first ? bytes : s.first;
        cached = s.slot && (bytes <= s.first || s.slot_second) && !c->single;
        if (!cached)
            break;
        mark_code(c, s.slot, gpa, first);
        if (bytes > first)
            mark_code(c, s.slot_second, s.gpa_second, bytes - first);
        if (unchanged(s.slot, gpa, p->code, first) &&
            (bytes == first ||
             unchanged(s.slot_second, s.gpa_second, p->code + first, bytes - first)))
            break;
    }
    b = make_block(c, &s);
    if (!b)
        return NULL;
    if (cached) {
        insert(c, b);
    } else {
        b->uncached = 1;
        b->dead = 1;
        b->next = p->dead;
        p->dead = b;
        cpu_pend(c, PEND_CHECK);
    }
    return b;
}

/* What flushes have to look for in the jump cache. */
static void note_page(struct cpu *c, uint32_t half, uint64_t la)
{
    struct block_cache_private *p = c->blocks->p;
    uint32_t page = (uint32_t)(la >> 12) & (JUMP_PAGES - 1);

    p->pages[half][page / 64] |= 1ull << page % 64;
    if (!tlb_is_small(c, la))
        p->large[half] = 1;
    /* User code has the number of its address space in its key. */
    if (!(c->mode & MODE_USER) && !tlb_is_global(c, la))
        p->local[half] = 1;
}

static void note_mapping(struct cpu *c, uint64_t la, const struct block *b)
{
    uint32_t half = (uint32_t)(c->rip >> 63);

    note_page(c, half, la);
    if (b->gpa_second)
        note_page(c, half, (la | 0xfff) + 1);
}

const struct uop *blocks_find(struct cpu *c)
{
    struct block_cache_private *p = c->blocks->p;
    struct jump *j = jump_at(c->blocks, c->rip);
    struct block *b;

    if (unlikely(p->cs_base != c->seg[SEG_CS].base)) {
        jumps_flush(c);
        p->cs_base = c->seg[SEG_CS].base;
    }
    if (j->key == (c->rip ^ c->mode_key) && !c->single) {
        b = j->block;
    } else {
        uint64_t la = code_address(c);
        uint64_t gpa = mmu_fetch(c, la);
        b = c->single ? NULL : lookup(c, gpa, la);
        if (!b)
            b = build(c, gpa, la);
        if (!b)
            return NULL;
        /* Nothing may chain to a block that is to be stepped: the run loop looks after each. */
        if (!b->uncached && !(c->mode & MODE_STEP)) {
            j->key = c->rip ^ c->mode_key;
            j->block = b;
            note_mapping(c, la, b);
        }
    }
    c->reg[REG_RIP] = c->rip;
    return b->uops;
}

/* ---- chaining ------------------------------------------------------------------------------- */

const struct uop *chain_link(struct cpu *c, const struct uop *u, uint64_t rip)
{
    uint64_t from = c->reg[REG_RIP];
    const struct jump *j = jump_at(c->blocks, rip);
    struct block *b;

    if (__atomic_load_n(&c->pend, __ATOMIC_RELAXED) || j->key != (rip ^ c->mode_key)) {
        c->rip = rip;
        return NULL;
    }
    b = j->block;
    /* Only where both are in one page whatever the page is mapped to, and whatever CS is. */
    if (((from ^ rip) & PAGE_MASK) == 0 && !b->gpa_second && c->mode & (MODE_64 | MODE_FLAT) &&
        c->mode & (MODE_64 | MODE_32))
        ((struct uop *)(uintptr_t)u)->link = b; /* NOLINT(performance-no-int-to-ptr): a block's */
    c->reg[REG_RIP] = rip;
    return b->uops;
}
