/* SPDX-License-Identifier: MIT
 *
 * mmu/tlb.h - the software TLB.
 *
 * A TLB maps pages of 4 KiB of linear addresses to host memory, for reads, writes and fetches each
 * with a tag of its own. One for each kind of access: what a page allows to one kind is in its
 * tags, so a hit needs no check. A tag is the page's linear address, or TLB_NONE. The test
 *
 *     ((la + size - 1) & ~0xfff) == tag
 *
 * also fails for an access that crosses into the next page, and TLB_NONE equals no page's address.
 * Only RAM gets into a TLB: devices, ROM for writes, pages with translated code for writes, pages
 * whose dirty bit is still 0 for writes, and all of it while cpu.slow is set (then cpu.tlb is
 * the empty TLB_SLOW) miss, and go to the slow path in access.c.
 */
#ifndef INTERP_TLB_H
#define INTERP_TLB_H

#include "../cpu.h"

#include <assert.h>

#define PAGE_SIZE 4096u
#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))
#define TLB_ENTRIES 512u
#define TLB_NONE 1u

/* Kinds of access. */
enum {
    TLB_SUPERVISOR,    /* CPL 0-2, and what the processor does for itself at any CPL */
    TLB_SUPERVISOR_AC, /* CPL 0-2 with EFLAGS.AC set while CR4.SMAP is: user pages may be accessed
                        */
    TLB_USER,          /* CPL 3, of the first of the address spaces: cpu.spaces */
    TLB_SLOW = TLB_USER + SPACES, /* always empty */
    TLB_KINDS
};

struct tlb_entry {
    uint64_t rtag, wtag, xtag;
    uintptr_t addend; /* host address - linear address */
};

static_assert(sizeof(struct tlb_entry) == 32, "two entries a cache line");

#define TLB_LISTED 128u

struct tlb {
    struct tlb_entry entry[TLB_ENTRIES];
    uint64_t gpa[TLB_ENTRIES]; /* of the page */
    uint8_t global[TLB_ENTRIES];
    uint8_t writable[TLB_ENTRIES]; /* but for code in the page, wtag would be set */
    uint8_t shift[TLB_ENTRIES];    /* log2 of the bytes of the mapping that it is a part of */
    /* Where entries that are not global were filled since the last flush: most address spaces do
     * little before they are left. More than TLB_LISTED: anywhere. */
    uint16_t listed[TLB_LISTED];
    uint32_t used;
    uint8_t has_global;   /* there may be such entries */
    uint8_t has_large[2]; /* in the lower and the upper half of the address space */
    uint8_t reserved;
};

static inline struct tlb_entry *tlb_at(struct tlb *t, uint64_t la)
{
    return &t->entry[(la >> 12) & (TLB_ENTRIES - 1)];
}

/* What is asked of a linear address. */
#define ACCESS_READ 0u
#define ACCESS_WRITE 1u
#define ACCESS_FETCH 2u
#define ACCESS_SYSTEM                                                                              \
    4u /* or'ed in: by the processor itself (descriptor tables, TSS): supervisor */

/* Drops every translation, or all but global ones, or those of one page, or all but global ones of
 * one PCID; each for all PCIDs, or for more than asked for, and in the jump cache too. [vcpu] */
void tlb_flush(struct cpu *c);
void tlb_flush_local(struct cpu *c);
void tlb_flush_page(struct cpu *c, uint64_t la);
void tlb_flush_pcid(struct cpu *c, uint32_t pcid);
/* Before CR3 is changed: the address space will be that of `pcid`, 0 while CR4.PCIDE is 0. `keep`:
 * what was cached for it may be used (bit 63 of what is written to CR3: SDM 3, 4.10.4.1). [vcpu] */
void tlb_switch(struct cpu *c, uint32_t pcid, bool keep);
/* Makes writes to the page of guest memory at `gpa` miss: it has translated code now. [vcpu] */
void tlb_protect_code(struct cpu *c, uint64_t gpa);
/* Allocates c->tlbs. 0 or -ENOMEM. */
int tlb_create(struct cpu *c);
void tlb_destroy(struct cpu *c);
struct translation;
struct memory_slot;
/* The kind of an access (ACCESS_*) now. [vcpu] */
uint32_t tlb_kind(const struct cpu *c, uint32_t access);
/* Whether the TLB knows `la`, for fetches, as mapped globally, or by a page of 4 KiB. [vcpu] */
bool tlb_is_global(const struct cpu *c, uint64_t la);
bool tlb_is_small(const struct cpu *c, uint64_t la);
/* Notes what a walk for `access` found at `la`: `slot` is the RAM or ROM at t->gpa. [vcpu] */
void tlb_fill(struct cpu *c, uint64_t la, uint32_t access, const struct translation *t,
              const struct memory_slot *slot);
/* Sets the write tag of entry `i`, that of `page` with `writable` set, if there is no code. [vcpu]
 */
void tlb_allow_writes(struct tlb *t, uint32_t i, uint64_t page, const struct memory_slot *slot);
/* Drops what the TLB has for the one page, after a page fault there (SDM 3, 4.10.4.1). [vcpu] */
void tlb_forget(struct cpu *c, uint64_t la);

/* ---- walk.c --------------------------------------------------------------------------------- */

/* What a page walk found. */
struct translation {
    uint64_t gpa;                           /* of `la` itself */
    uint32_t page_bytes;                    /* of the mapping: 4 KiB, 2 MiB, 4 MiB, 1 GiB */
    uint8_t readable, writable, executable; /* by the kind that asked */
    uint8_t user, global, dirty;
};

/* Walks the page tables for `la` (SDM 3, chapter 4), sets A, and D for writes. True, or false with
 * the error code of the #PF in *error. Any address; canonical ones only in 64-bit mode, which the
 * caller has checked. Reads and writes tables in RAM only; a table elsewhere is read by the bus.
 * [vcpu] */
bool mmu_walk(struct cpu *c, uint64_t la, uint32_t access, struct translation *out,
              uint32_t *error);

/* As a debugger looks: no faults, no A and D bits, rights of a supervisor. -1 if not mapped. [vcpu]
 */
int64_t mmu_debug_translate(struct cpu *c, uint64_t la);

/* Translates the address of an instruction fetch, filling the TLB: the guest physical address.
 * Raises #PF, or #GP for a non-canonical address, with cpu.rip as it is. [vcpu] */
uint64_t mmu_fetch(struct cpu *c, uint64_t la);

/* Whether `gpa` is in the page of this vCPU's local APIC, in xAPIC mode (SDM 3, 11.4.1): it hides
 * what else is there. */
static inline bool mmu_is_apic(const struct cpu *c, uint64_t gpa)
{
    return c->chip && (c->apic_base & 0xc00) == 0x800 && ((c->apic_base ^ gpa) & PAGE_MASK) == 0;
}

#endif
