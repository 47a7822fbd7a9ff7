/* SPDX-License-Identifier: MIT
 *
 * mmu/access.h - how handlers reach memory.
 *
 * Three steps, each a function: the effective address of a uop's operand as a linear address
 * (ea_fast, ea_any), then a load or store of 1, 2, 4 or 8 bytes (ld32, st32), or a host pointer for
 * a read-modify-write (mem_rw). The fast path is a TLB hit, inline; all else (misses,
 * page-crossing, devices, code pages, breakpoints, alignment checks) is out of line and raises what
 * is to be raised, as the instruction `u`.
 *
 * Guest memory is shared with other vCPUs and devices: an aligned access is one host access, and is
 * never repeated.
 */
#ifndef INTERP_ACCESS_H
#define INTERP_ACCESS_H

#include "../uop.h"
#include "tlb.h"

#include <string.h>

/* ---- effective addresses -------------------------------------------------------------------- */

/* 64-bit mode, 64-bit address size, no FS or GS. */
static inline uint64_t ea_fast(const struct cpu *c, const struct uop *u)
{
    return c->reg[u->base] + (c->reg[u->index] << u->scale) + (uint64_t)(int64_t)u->disp;
}

/* The offset alone, truncated to the address size: LEA, and bit-string instructions. */
uint64_t ea_offset(const struct cpu *c, const struct uop *u);
/* Any mode: adds the segment's base, checks limit and rights for an access of `size` bytes (any
 * number) by ACCESS_READ or ACCESS_WRITE. Raises #GP(0) or #SS(0). */
uint64_t ea_any(struct cpu *c, const struct uop *u, uint32_t size, uint32_t access);
/* As ea_any, for an offset that the caller computed (string instructions, stack, bit strings):
 * segment `seg`. */
uint64_t ea_segment(struct cpu *c, const struct uop *u, uint8_t seg, uint64_t offset, uint32_t size,
                    uint32_t access);

/* ---- slow paths: access.c ------------------------------------------------------------------- */

uint64_t load_slow(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size);
void store_slow(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size);
/* Any number of bytes up to 4096, all of it checked before the first is moved. `access` is
 * ACCESS_READ or ACCESS_WRITE, with ACCESS_SYSTEM or without. */
void load_bytes(struct cpu *c, const struct uop *u, uint64_t la, void *to, uint32_t size,
                uint32_t access);
void store_bytes(struct cpu *c, const struct uop *u, uint64_t la, const void *from, uint32_t size,
                 uint32_t access);
/* Faults as a write of `size` bytes at `la` would, and does nothing else. */
void probe_write(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size);
void probe_read(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size);
/* The slow path of a read-modify-write: a host pointer to all of the `size` bytes after checking
 * for a write, or NULL if they are not contiguous RAM that may be written just so (a device, code,
 * ROM, page-crossing): then use load_slow() after probe_write(), then store_slow(). */
void *mem_rw_slow(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size);
/* The same for a locked one, which must be one access of the host: RAM with code, too. Who has
 * written there calls smc_stored(c, *gpa, size). NULL: a device, ROM, page-crossing. */
void *mem_locked(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size, uint64_t *gpa);
/* A host pointer to what is contiguous RAM at `la` up to the page's end, *bytes, if it can be read
 * (ACCESS_READ) or plainly written (ACCESS_WRITE: no code there), for the string instructions; NULL
 * otherwise. Raises page faults. No host pointer outlives an access to the bus: see remote.h. */
void *mem_run(struct cpu *c, const struct uop *u, uint64_t la, uint32_t access, uint32_t *bytes);

/* ---- loads and stores ----------------------------------------------------------------------- */

static inline bool tlb_hit(uint64_t tag, uint64_t la, uint32_t size)
{
    return ((la + size - 1) & PAGE_MASK) == tag;
}

static inline void *tlb_host(const struct tlb_entry *e, uint64_t la)
{
    return (void *)(e->addend + (uintptr_t)la); /* NOLINT(performance-no-int-to-ptr) */
}

#define DEFINE_ACCESS(bits, type)                                                                  \
    static inline type ld##bits(struct cpu *c, const struct uop *u, uint64_t la)                   \
    {                                                                                              \
        const struct tlb_entry *e = tlb_at(c->tlb, la);                                            \
        type value;                                                                                \
        if (unlikely(!tlb_hit(e->rtag, la, sizeof(type))))                                         \
            return (type)load_slow(c, u, la, sizeof(type));                                        \
        memcpy(&value, tlb_host(e, la), sizeof(type));                                             \
        return value;                                                                              \
    }                                                                                              \
    static inline void st##bits(struct cpu *c, const struct uop *u, uint64_t la, type value)       \
    {                                                                                              \
        const struct tlb_entry *e = tlb_at(c->tlb, la);                                            \
        if (unlikely(!tlb_hit(e->wtag, la, sizeof(type))))                                         \
            store_slow(c, u, la, value, sizeof(type));                                             \
        else                                                                                       \
            memcpy(tlb_host(e, la), &value, sizeof(type));                                         \
    }
DEFINE_ACCESS(8, uint8_t)
DEFINE_ACCESS(16, uint16_t)
DEFINE_ACCESS(32, uint32_t)
DEFINE_ACCESS(64, uint64_t)
#undef DEFINE_ACCESS

/* A pointer for a read-modify-write of `size` bytes, or NULL: see mem_rw_slow(). Faults are raised.
 * A locked instruction uses host atomics on it if it is aligned. */
static inline void *mem_rw(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (likely(tlb_hit(e->wtag, la, size)))
        return tlb_host(e, la);
    return mem_rw_slow(c, u, la, size);
}

/* 16 or 32 bytes, for vector registers. */
static inline void ld_vector(struct cpu *c, const struct uop *u, uint64_t la, void *to,
                             uint32_t size)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (likely(tlb_hit(e->rtag, la, size)))
        memcpy(to, tlb_host(e, la), size);
    else
        load_bytes(c, u, la, to, size, ACCESS_READ);
}

static inline void st_vector(struct cpu *c, const struct uop *u, uint64_t la, const void *from,
                             uint32_t size)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (likely(tlb_hit(e->wtag, la, size)))
        memcpy(tlb_host(e, la), from, size);
    else
        store_bytes(c, u, la, from, size, ACCESS_WRITE);
}

/* ---- what the processor does for itself, at supervisor rights ------------------------------- */

uint64_t ld_system(struct cpu *c, const struct uop *u, uint64_t la, uint32_t size);
void st_system(struct cpu *c, const struct uop *u, uint64_t la, uint64_t value, uint32_t size);

/* ---- guest physical memory ------------------------------------------------------------------ */

/* RAM or the bus, 1, 2, 4 or 8 bytes. [vcpu] */
uint64_t physical_read(struct cpu *c, uint64_t gpa, uint32_t size);
void physical_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size);

/* ---- segments: segment.c -------------------------------------------------------------------- */

/* Loads DS, ES, FS, GS or SS with all checks (SDM 3, 5.4.1 and 3.4.4), raising #GP, #NP, #SS; in
 * real and virtual-8086 mode sets the base. SS: the caller sets the shadow. Calls
 * cpu_mode_changed(). */
void segment_load(struct cpu *c, const struct uop *u, uint8_t seg, uint16_t selector);
/* The real-mode way: base = selector * 16, and the rights of real mode or virtual-8086 mode. */
void segment_load_real(struct cpu *c, uint8_t seg, uint16_t selector);
/* Reads the descriptor of `selector` from GDT or LDT. False if it is beyond the table. Page faults
 * are raised. */
bool descriptor_read(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t *low);
/* Sets a code or data descriptor's accessed bit in the table. */
void descriptor_accessed(struct cpu *c, const struct uop *u, uint16_t selector, uint64_t low);
/* What a descriptor says, as a segment register holds it (its low 8 bytes; 64-bit system
 * descriptors have the upper half of the base in `high`). */
struct segment descriptor_segment(uint16_t selector, uint64_t low, uint64_t high);

#endif
