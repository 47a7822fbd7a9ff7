/* SPDX-License-Identifier: MIT
 *
 * mmu/access.c - the slow paths of memory access: see access.h.
 *
 * Order of what can go wrong, as processors have it: canonical address, alignment check,
 * translation of the first page, then of the second; only then a byte moves. Data breakpoints (SDM
 * 3, 17.2) are noted after that: they are traps. Left out: alignment checks of accesses of more
 * than 8 bytes, and breakpoints on what the processor reads for itself.
 */
#include "access.h"

#include "../engine.h"
#include "../trace.h"
#include "physical.h"

/* Where the bytes of an access are: `first` of them at gpa[0], the rest at gpa[1]. */
struct place {
    uint64_t gpa[2];
    uint32_t first;
};

static uint64_t wrap(const struct cpu *c, uint64_t la, uint32_t access)
{
    return cpu_64bit(c) || ((access & ACCESS_SYSTEM) && cpu_long_mode(c)) ? la : la & UINT32_MAX;
}

static void check_canonical(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size,
                            uint32_t access)
{
    uint64_t last = la + (size - 1);

    if (!cpu_64bit(c) && !((access & ACCESS_SYSTEM) && cpu_long_mode(c)))
        return;
    if (unlikely(!canonical(la) || !canonical(last)))
        raise_bad_address(c, u, u && !(access & ACCESS_SYSTEM) ? u->seg : SEG_DS);
}

/* #AC (SDM 3, 6.15): not for what the processor does for itself. */
static void check_alignment(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size,
                            uint32_t access)
{
    if (c->slow && (la & (size - 1)) && c->cpl == 3 && (c->cr0 & CR0_AM) && (c->rflags & FLAG_AC) &&
        !(access & ACCESS_SYSTEM))
        raise_error(c, u, EXC_AC, 0);
}

static void note_points(struct cpu *c, uint64_t la, uint32_t size, uint32_t access)
{
    const struct bp_debug_request *r = &c->debug.request;

    for (uint32_t n = 0; n < r->point_count; n++) {
        const struct bp_debug_point *p = &r->points[n];

        if (p->kind == BP_DEBUG_EXECUTE || (p->kind == BP_DEBUG_WRITE && !(access & ACCESS_WRITE)))
            continue;
        if (p->address - la < size || la - p->address < p->length)
            c->debug.hits |= 1u << n;
    }
}

static void note_breakpoints(struct cpu *c, uint64_t la, uint32_t size, uint32_t access)
{
    static const uint8_t bytes_of[4] = {1, 2, 8, 4};

    if (!c->slow || (access & ACCESS_SYSTEM))
        return;
    if (c->debug.watches)
        note_points(c, la, size, access);
    for (uint32_t n = 0; n < 4; n++) {
        uint32_t kind = (uint32_t)(c->dr7 >> (16 + 4 * n)) & 3;
        uint32_t bytes = bytes_of[c->dr7 >> (18 + 4 * n) & 3];
        uint64_t at = c->dr[n] & ~(uint64_t)(bytes - 1);

        if (!(c->dr7 >> (2 * n) & 3) || !(kind == 3 || (kind == 1 && (access & ACCESS_WRITE))))
            continue;
        if (at - la < size || la - at < bytes) {
            c->pending_db |= 1u << n;
            cpu_pend(c, PEND_CHECK);
        }
    }
}

/* The guest physical address of `la`, with the TLB filled if it is RAM. */
static uint64_t translate(struct cpu *c, const struct uop *u, uint64_t la, uint32_t access)
{
    struct tlb *tlb = &c->tlbs[tlb_kind(c, access)];
    const struct tlb_entry *e = tlb_at(tlb, la);
    uint32_t i = (uint32_t)(e - tlb->entry), error;
    uint64_t page = la & PAGE_MASK, gpa = tlb->gpa[i] | (la & ~PAGE_MASK);
    const struct memory_slot *slot;
    struct translation t;

    if ((access & ACCESS_WRITE ? e->wtag : e->rtag) == page)
        return gpa;
    if (e->rtag == page && tlb->writable[i]) {
        /* Code is, or was, in its way. */
        slot = memory_slot_at(c->engine, gpa);
        if (slot)
            tlb_allow_writes(tlb, i, page, slot);
        return gpa;
    }
    if (!mmu_walk(c, la, access, &t, &error)) {
        tlb_forget(c, la);
        raise_page_fault(c, u, la, error);
    }
    slot = memory_slot_at(c->engine, t.gpa);
    if (slot && !mmu_is_apic(c, t.gpa))
        tlb_fill(c, la, access, &t, slot);
    return t.gpa;
}

/* All checks of an access of `size` bytes; `aligned`: with #AC. Its second page may be that at 0
 * again. */
static struct place check(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size,
                          uint32_t access, bool aligned)
{
    uint32_t room = PAGE_SIZE - (uint32_t)(la & ~PAGE_MASK);
    struct place p = {.first = size <= room ? size : room};

    if (unlikely(c->trace_events))
        trace_at(c, u);
    if (unlikely(c->engine->user.instruction != NULL)) {
        c->access_la = la;
        if (u)
            c->rip = uop_rip(c, u);
    }
    check_canonical(c, u, la, size, access);
    if (aligned)
        check_alignment(c, u, la, size, access);
    p.gpa[0] = translate(c, u, la, access);
    if (unlikely(size > room))
        p.gpa[1] = translate(c, u, wrap(c, la + room, access), access);
    note_breakpoints(c, la, size, access);
    return p;
}

static uint64_t load_as(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size,
                        uint32_t access)
{
    struct place p = check(c, u, la, size, access, true);
    uint64_t value = piece_read(c, p.gpa[0], p.first);

    if (unlikely(p.first < size)) {
        value &= UINT64_MAX >> (64 - 8 * p.first);
        value |= piece_read(c, p.gpa[1], size - p.first) << (8 * p.first);
    }
    return value;
}

static void store_as(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size,
                     uint32_t access)
{
    struct place p = check(c, u, la, size, access, true);

    if (likely(p.first == size)) {
        piece_write(c, p.gpa[0], value, size);
    } else {
        piece_write(c, p.gpa[0], value & UINT64_MAX >> (64 - 8 * p.first), p.first);
        value >>= 8 * p.first;
        size -= p.first;
        piece_write(c, p.gpa[1], value & UINT64_MAX >> (64 - 8 * size), size);
    }
}

uint64_t load_slow(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    return load_as(c, u, la, size, ACCESS_READ);
}

void store_slow(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size)
{
    store_as(c, u, la, value, size, ACCESS_WRITE);
}

uint64_t ld_system(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    return load_as(c, u, wrap(c, la, ACCESS_SYSTEM), size, ACCESS_READ | ACCESS_SYSTEM);
}

void st_system(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size)
{
    store_as(c, u, wrap(c, la, ACCESS_SYSTEM), value, size, ACCESS_WRITE | ACCESS_SYSTEM);
}

void load_bytes(struct cpu *c, const struct uop *u, uint64_t la, void *to, uint32_t size,
                uint32_t access)
{
    struct place p;

    if (size == 0)
        return;
    p = check(c, u, la, size, access, false);
    piece_load(c, p.gpa[0], to, p.first);
    if (p.first < size)
        piece_load(c, p.gpa[1], (uint8_t *)to + p.first, size - p.first);
}

void store_bytes(struct cpu *c, const struct uop *u, uint64_t la, const void *from, uint32_t size,
                 uint32_t access)
{
    struct place p;

    if (size == 0)
        return;
    p = check(c, u, la, size, access, false);
    piece_store(c, p.gpa[0], from, p.first);
    if (p.first < size)
        piece_store(c, p.gpa[1], (const uint8_t *)from + p.first, size - p.first);
}

/* The size of an access that #AC looks at. */
static bool is_scalar(uint32_t size)
{
    return size <= 8 && (size & (size - 1)) == 0;
}

void probe_write(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    if (size)
        check(c, u, la, size, ACCESS_WRITE, is_scalar(size));
}

void probe_read(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    if (size)
        check(c, u, la, size, ACCESS_READ, is_scalar(size));
}

/* A host pointer to a piece that is RAM and, for a write, may be written past us; or NULL. */
static void *plain(struct cpu *c, uint64_t gpa, uint32_t access)
{
    const struct memory_slot *slot = memory_slot_at(c->engine, gpa);

    if (!slot || mmu_is_apic(c, gpa))
        return NULL;
    if ((access & ACCESS_WRITE) && (!memory_takes_stores(slot, gpa) ||
                                    __atomic_load_n(memory_code_word(slot, gpa), __ATOMIC_SEQ_CST)))
        return NULL;
    return slot->host + (gpa - slot->gpa);
}

void *mem_rw_slow(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    struct place p = check(c, u, la, size, ACCESS_WRITE, is_scalar(size));

    return p.first == size ? plain(c, p.gpa[0], ACCESS_WRITE) : NULL;
}

void *mem_locked(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size, uint64_t *gpa)
{
    struct place p = check(c, u, la, size, ACCESS_WRITE, is_scalar(size));
    const struct memory_slot *slot = memory_slot_at(c->engine, p.gpa[0]);

    if (p.first != size || !slot || !memory_takes_stores(slot, p.gpa[0]) ||
        mmu_is_apic(c, p.gpa[0]))
        return NULL;
    *gpa = p.gpa[0];
    return slot->host + (*gpa - slot->gpa);
}

void *mem_run(struct cpu *c, const struct uop *u, uint64_t la, uint32_t access, uint32_t *bytes)
{
    uint64_t gpa;

    *bytes = PAGE_SIZE - (uint32_t)(la & ~PAGE_MASK);
    /* Breakpoints and alignment are looked at access by access. */
    if (c->slow)
        return NULL;
    check_canonical(c, u, la, 1, access);
    gpa = translate(c, u, la, access);
    return plain(c, gpa, access);
}

/* ---- effective addresses -------------------------------------------------------------------- */

uint64_t ea_offset(const struct cpu *c, const struct uop *u)
{
    uint64_t offset = ea_fast(c, u);

    return u->asize == 8 ? offset : u->asize == 4 ? offset & UINT32_MAX : offset & UINT16_MAX;
}

uint64_t ea_any(struct cpu *c, const struct uop *u, uint32_t size, uint32_t access)
{
    return ea_segment(c, u, u->seg, ea_offset(c, u), size, access);
}

/* Whether the segment allows the access by its type (SDM 3, 5.5 and 3.4.5.1). */
static bool segment_allows(const struct segment *s, uint32_t access)
{
    if (!(s->attributes & SEG_P) || !(s->attributes & SEG_S))
        return false;
    if (s->attributes & SEG_CODE)
        return !(access & ACCESS_WRITE) && (s->attributes & SEG_WRITABLE);
    return !(access & ACCESS_WRITE) || (s->attributes & SEG_WRITABLE);
}

/* Whether all bytes are within the limit (SDM 3, 5.3). An offset of 4 GiB wraps around in a segment
 * of that size, which the manual leaves open. */
static bool segment_holds(const struct segment *s, uint64_t offset, uint32_t size)
{
    uint64_t last = offset + (size ? size - 1 : 0);

    if ((s->attributes & (SEG_S | SEG_CODE | SEG_DOWN)) == (SEG_S | SEG_DOWN))
        return offset > s->limit && last <= (s->attributes & SEG_DB ? UINT32_MAX : UINT16_MAX);
    return last <= s->limit || s->limit == UINT32_MAX;
}

uint64_t ea_segment(struct cpu *c, const struct uop *u, uint8_t seg, uint64_t offset, uint32_t size,
                    uint32_t access)
{
    const struct segment *s = &c->seg[seg];
    uint64_t la = offset;

    if (cpu_64bit(c)) {
        if (seg == SEG_FS || seg == SEG_GS)
            la += s->base;
        if (unlikely(!canonical(la) || !canonical(la + (size ? size - 1 : 0))))
            raise_bad_address(c, u, seg);
        return la;
    }
    if ((c->mode & MODE_FLAT) && seg <= SEG_DS && !(seg == SEG_CS && (access & ACCESS_WRITE)))
        return la & UINT32_MAX;
    offset &= UINT32_MAX;
    if (cpu_protected(c) && unlikely(!segment_allows(s, access)))
        raise_bad_address(c, u, seg);
    if (unlikely(!segment_holds(s, offset, size)))
        raise_bad_address(c, u, seg);
    return (s->base + offset) & UINT32_MAX;
}
