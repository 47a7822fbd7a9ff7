/* SPDX-License-Identifier: MIT
 *
 * boot/state.c - the boot processor's first state: real mode, flat 32-bit protected mode and 64-bit
 * mode with identity page tables. After Intel SDM vol. 3A (3.4.5 segment descriptors, 4.5 4-level
 * paging, 9.1.1 state after reset). Page tables use 2 MiB pages: 1 GiB pages need
 * CPUID.80000001h:EDX[26], which the guest may not have.
 */
#include "boot/loader.h"

#include <backplane/util/le.h>
#include <string.h>

/* Selectors as the Linux boot protocol wants them ("64-bit boot protocol": __BOOT_CS, __BOOT_DS).
 */
#define SELECTOR_CODE 0x10u
#define SELECTOR_DATA 0x18u

/* bp_x86_segment.attributes */
#define SEGMENT_CODE 0x009bu /* present, S, execute/read, accessed */
#define SEGMENT_DATA 0x0093u /* present, S, read/write, accessed */
#define SEGMENT_TSS 0x008bu  /* present, busy 32-bit or 64-bit TSS */
#define SEGMENT_LONG 0x2000u
#define SEGMENT_32 0x4000u
#define SEGMENT_PAGES 0x8000u /* G: the limit counts 4 KiB pages */

#define CR0_PE 0x00000001u
#define CR0_ET 0x00000010u
#define CR0_PG 0x80000000u
#define CR4_PAE 0x20u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define RFLAGS_FIXED 0x2u
#define DR6_RESET 0xffff0ff0u
#define DR7_RESET 0x400u
#define XCR0_X87 0x1u

/* Page table entries. Accessed and dirty are set, so that a walk writes nothing. */
#define PTE_TABLE 0x23ull /* present, writable, accessed */
#define PTE_2M 0xe3ull    /* present, writable, accessed, dirty, PS */
#define PAGE_2M 0x200000ull
#define GIB 0x40000000ull

static struct bp_x86_segment segment(uint16_t selector, uint64_t base, uint32_t limit,
                                     uint16_t attributes)
{
    return (struct bp_x86_segment){
        .base = base, .limit = limit, .selector = selector, .attributes = attributes};
}

/* An 8-byte descriptor with base 0 and limit 4 GiB. */
static uint64_t flat_descriptor(uint16_t attributes)
{
    uint64_t high = (uint64_t)(attributes & 0xf0ffu) << 8 | 0xf0000u;

    return high << 32 | 0xffffu;
}

static void set_data(struct bp_x86_sys *sys, struct bp_x86_segment data)
{
    sys->ds = data;
    sys->es = data;
    sys->ss = data;
    sys->fs = data;
    sys->gs = data;
}

static void set_common(struct boot_state *state, uint64_t rip)
{
    memset(&state->gpr, 0, sizeof(state->gpr));
    memset(&state->sys, 0, sizeof(state->sys));
    state->gpr.rip = rip;
    state->gpr.rflags = RFLAGS_FIXED;
    state->sys.xcr0 = XCR0_X87;
    state->sys.dr6 = DR6_RESET;
    state->sys.dr7 = DR7_RESET;
}

void state_real(struct loader *l, uint16_t cs, uint16_t ip)
{
    struct bp_x86_sys *sys = &l->state->sys;
    uint64_t base = (uint64_t)cs << 4;

    set_common(l->state, ip);
    sys->cs = segment(cs, base, 0xffff, SEGMENT_CODE);
    set_data(sys, segment(cs, base, 0xffff, SEGMENT_DATA));
    sys->tr = segment(0, 0, 0xffff, SEGMENT_TSS);
    sys->gdt.limit = 0xffff;
    sys->idt.limit = 0x3ff; /* the interrupt vector table at 0 */
    sys->cr0 = CR0_ET;
}

static void set_protected(struct loader *l, uint64_t entry, uint16_t code)
{
    struct bp_x86_sys *sys = &l->state->sys;
    const uint16_t data = SEGMENT_DATA | SEGMENT_32 | SEGMENT_PAGES;

    set_common(l->state, entry);
    sys->cs = segment(SELECTOR_CODE, 0, 0xffffffff, code);
    set_data(sys, segment(SELECTOR_DATA, 0, 0xffffffff, data));
    sys->tr = segment(0, 0, 0x67, SEGMENT_TSS);
    sys->gdt.base = l->gdt_gpa;
    sys->gdt.limit = STATE_GDT_BYTES - 1;
    memset(l->gdt, 0, STATE_GDT_BYTES);
    bp_put_le64(l->gdt + SELECTOR_CODE, flat_descriptor(code));
    bp_put_le64(l->gdt + SELECTOR_DATA, flat_descriptor(data));
}

void state_flat32(struct loader *l, uint64_t entry)
{
    set_protected(l, entry, SEGMENT_CODE | SEGMENT_32 | SEGMENT_PAGES);
    l->state->sys.cr0 = CR0_PE | CR0_ET;
}

uint64_t state_table_bytes(uint32_t gib)
{
    return (2ull + gib) * RAM_PAGE; /* PML4, PDPT, and a page directory for each GiB */
}

static void write_page_tables(struct loader *l, uint32_t gib)
{
    uint8_t *pml4 = l->tables, *pdpt = pml4 + RAM_PAGE, *pd = pdpt + RAM_PAGE;
    uint64_t pdpt_gpa = l->tables_gpa + RAM_PAGE, pd_gpa = pdpt_gpa + RAM_PAGE;

    memset(pml4, 0, 2ull * RAM_PAGE);
    bp_put_le64(pml4, pdpt_gpa | PTE_TABLE);
    for (uint64_t i = 0; i < gib; i++)
        bp_put_le64(pdpt + i * 8, (pd_gpa + i * RAM_PAGE) | PTE_TABLE);
    for (uint64_t i = 0; i < gib * (GIB / PAGE_2M); i++)
        bp_put_le64(pd + i * 8, i * PAGE_2M | PTE_2M);
}

void state_long(struct loader *l, uint64_t entry, uint32_t gib)
{
    struct bp_x86_sys *sys = &l->state->sys;

    set_protected(l, entry, SEGMENT_CODE | SEGMENT_LONG | SEGMENT_PAGES);
    write_page_tables(l, gib);
    sys->cr0 = CR0_PE | CR0_ET | CR0_PG;
    sys->cr3 = l->tables_gpa;
    sys->cr4 = CR4_PAE;
    sys->efer = EFER_LME | EFER_LMA;
}
