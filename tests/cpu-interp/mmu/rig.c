/* SPDX-License-Identifier: MIT
 *
 * mmu/rig.c - see rig.h.
 */
#include "rig.h"

#include "trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block/cache.h"

static struct rig *rig_of(struct cpu *c)
{
    return c->engine->user.context;
}

/* ---- what other rooms would do ------------------------------------------------------------- */

_Noreturn void raise_exception(struct cpu *c, const struct uop *u, uint8_t vector)
{
    (void)u;
    c->event = (struct event){.vector = vector};
    longjmp(c->escape, 1);
}

_Noreturn void raise_error(struct cpu *c, const struct uop *u, uint8_t vector, uint32_t error)
{
    (void)u;
    c->event = (struct event){.vector = vector, .has_error = 1, .error = error};
    longjmp(c->escape, 1);
}

_Noreturn void raise_page_fault(struct cpu *c, const struct uop *u, uint64_t la, uint32_t error)
{
    (void)u;
    c->event = (struct event){.vector = EXC_PF, .has_error = 1, .error = error, .cr2 = la};
    longjmp(c->escape, 1);
}

_Noreturn void raise_bad_address(struct cpu *c, const struct uop *u, uint8_t seg)
{
    raise_error(c, u, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

void cpu_mode_changed(struct cpu *c)
{
    rig_of(c)->mode_changes++;
}

/* Nothing is traced here. */
void trace_at(struct cpu *c, const struct uop *u)
{
    (void)c;
    (void)u;
}

void trace_mmio(struct cpu *c, bool write, uint64_t gpa, uint64_t value, uint32_t bytes)
{
    (void)c;
    (void)write;
    (void)gpa;
    (void)value;
    (void)bytes;
}

/* Takes the marks away, as the real one. */
void smc_stored(struct cpu *c, uint64_t gpa, uint32_t bytes)
{
    struct rig *r = rig_of(c);
    uint32_t mask = chunk_mask(gpa, bytes);

    __atomic_fetch_add(&r->smc_calls, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&r->smc_gpa, gpa, __ATOMIC_RELAXED);
    __atomic_store_n(&r->smc_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_and(memory_code_word(memory_slot_at(&r->e, gpa), gpa), ~mask, __ATOMIC_SEQ_CST);
}

void blocks_drop_chunks(struct cpu *c, uint64_t page, uint32_t mask)
{
    (void)page;
    __atomic_fetch_add(&rig_of(c)->drops[c->index], 1, __ATOMIC_RELAXED);
    __atomic_fetch_or(&rig_of(c)->chunks[c->index], mask, __ATOMIC_RELAXED);
}

void blocks_drop_all(struct cpu *c)
{
    __atomic_fetch_add(&rig_of(c)->drop_all[c->index], 1, __ATOMIC_RELAXED);
}

void jumps_flush(struct cpu *c)
{
    __atomic_fetch_add(&rig_of(c)->jumps[c->index], 1, __ATOMIC_RELAXED);
}

void jumps_flush_page(struct cpu *c, uint64_t la)
{
    (void)la;
    jumps_flush(c);
}

void jumps_flush_local(struct cpu *c)
{
    __atomic_fetch_add(&rig_of(c)->jumps[c->index], 1, __ATOMIC_RELAXED);
}

static void deadline_changed(void *context, struct cpu *c)
{
    struct rig *r = context;

    (void)c;
    r->deadlines++;
}

/* ---- the bus -------------------------------------------------------------------------------- */

static void note(struct rig *r, bool write, uint64_t gpa, uint64_t value, uint32_t width)
{
    if (r->accesses < 32)
        r->access[r->accesses] = (struct rig_access){write, width, gpa, value};
    r->accesses++;
}

static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    struct cpu *c = (struct cpu *)(void *)vcpu;
    struct rig *r = rig_of(c);
    uint64_t value = UINT64_MAX;

    if (r->in_bus) {
        r->in_bus(r, c);
        return 0;
    }
    if (gpa >= MMIO_BASE && gpa + width <= MMIO_BASE + MMIO_BYTES) {
        value = 0;
        memcpy(&value, &r->mmio[gpa - MMIO_BASE], width);
    }
    note(r, false, gpa, value, width);
    return value;
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    struct cpu *c = (struct cpu *)(void *)vcpu;
    struct rig *r = rig_of(c);

    if (r->in_bus) {
        r->in_bus(r, c);
        return;
    }
    if (gpa >= MMIO_BASE && gpa + width <= MMIO_BASE + MMIO_BYTES)
        memcpy(&r->mmio[gpa - MMIO_BASE], &value, width);
    note(r, true, gpa, value, width);
}

static const struct bp_bus bus = {
    .size = sizeof(bus), .mmio_read = mmio_read, .mmio_write = mmio_write};

static int apic_read(void *self, uint32_t vcpu, uint32_t offset, uint32_t width, uint64_t *value)
{
    struct rig *r = self;

    (void)vcpu, (void)offset, (void)width;
    r->apic_accesses++;
    *value = 0x5a;
    return 0;
}

static int apic_write(void *self, uint32_t vcpu, uint32_t offset, uint32_t width, uint64_t value)
{
    struct rig *r = self;

    (void)vcpu, (void)offset, (void)width, (void)value;
    r->apic_accesses++;
    return 0;
}

static const struct bp_irqchip chip = {
    .size = sizeof(chip), .mmio_read = apic_read, .mmio_write = apic_write};

/* ---- life ----------------------------------------------------------------------------------- */

static struct cpu *cpu_make(struct rig *r, uint32_t index)
{
    struct cpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);

    assert_non_null(c);
    memset(c, 0, sizeof(*c));
    c->engine = &r->e;
    c->index = index;
    c->bus = &bus;
    c->handle = (struct bp_vcpu *)(void *)c;
    c->physical_bits = 40;
    c->features[0] = UINT64_MAX;
    assert_int_equal(tlb_create(c), 0);
    return c;
}

struct rig *rig_create(uint32_t cpus)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct bp_mem_slot ram = {.size = sizeof(ram), .index = 0, .length = RAM_BYTES};
    struct bp_mem_slot rom = {.size = sizeof(rom),
                              .index = 1,
                              .flags = BP_RAM_READONLY,
                              .gpa = ROM_BASE,
                              .length = ROM_BYTES};

    assert_non_null(r);
    r->e.cpu_max = cpus;
    r->e.user = (struct engine_user){.context = r, .deadline_changed = deadline_changed};
    assert_int_equal(remote_create(&r->e), 0);
    r->ram = ram.host = aligned_alloc(PAGE_SIZE, RAM_BYTES);
    r->rom = rom.host = aligned_alloc(PAGE_SIZE, ROM_BYTES);
    assert_true(r->ram && r->rom);
    memset(r->ram, 0, RAM_BYTES);
    memset(r->rom, 0, ROM_BYTES);
    assert_int_equal(engine_memory_set(&r->e, &ram), 0);
    assert_int_equal(engine_memory_set(&r->e, &rom), 0);
    for (uint32_t i = 0; i < cpus; i++)
        r->cpu[i] = cpu_make(r, i);
    return r;
}

void rig_destroy(struct rig *r)
{
    for (uint32_t i = 0; i < RIG_CPUS; i++) {
        if (!r->cpu[i])
            continue;
        tlb_destroy(r->cpu[i]);
        free(r->cpu[i]);
    }
    for (uint32_t i = 0; i < r->e.slot_count; i++)
        free(r->e.slots[i].code);
    remote_destroy(&r->e);
    free(r->ram);
    free(r->rom);
    free(r);
}

void rig_chip(struct rig *r)
{
    r->cpu[0]->chip = &chip;
    r->cpu[0]->chip_self = r;
    r->cpu[0]->apic_base = APIC_BASE | 0x900;
}

/* ---- paging --------------------------------------------------------------------------------- */

struct cpu *rig_paging(struct rig *r, enum paging paging)
{
    struct cpu *c = r->cpu[0];

    memset(r->ram + TABLE_PML4, 0, 0x4000);
    memset(c->pdpte, 0, sizeof(c->pdpte));
    c->cpl = 0;
    c->rflags = FLAG_ONE;
    c->cr0 = CR0_PE | CR0_WP | (paging == NONE ? 0 : CR0_PG);
    c->cr4 = CR4_PGE | CR4_PSE | (paging >= PAE ? CR4_PAE : 0);
    c->efer = (paging >= PAE ? EFER_NXE : 0) | (paging == LONG ? EFER_LME | EFER_LMA : 0);
    c->mode = MODE_PE | (paging == LONG ? MODE_64 | MODE_FLAT : MODE_32 | MODE_SS32);
    c->cr3 = paging == LONG ? TABLE_PML4 : TABLE_PD;
    c->slow = 0;
    tlb_flush(c);
    return c;
}

/* The entry for `la` in a table whose entries map 1 << `shift` bytes. */
static uint64_t entry_at(const struct cpu *c, uint64_t table, uint64_t la, uint32_t shift)
{
    if (!(c->cr4 & CR4_PAE))
        return table + (la >> shift & 0x3ff) * 4;
    return table + (la >> shift & 0x1ff) * 8;
}

uint32_t rig_map(struct rig *r, uint64_t la, uint64_t gpa, uint32_t shift, uint64_t flags,
                 uint64_t where[4])
{
    static const uint64_t tables[4] = {TABLE_PML4, TABLE_PDPT, TABLE_PD, TABLE_PT};
    const struct cpu *c = r->cpu[0];
    bool is_pae = (c->cr4 & CR4_PAE) != 0;
    uint32_t level = cpu_long_mode(c) ? 0 : 2, bits = is_pae ? 9 : 10, bytes = is_pae ? 8 : 4;
    uint32_t count = 0;
    uint64_t spare[4];

    if (!where)
        where = spare;
    if (is_pae && level)
        r->cpu[0]->pdpte[la >> 30 & 3] = TABLE_PD | P;
    for (; level < 4; level++) {
        uint32_t covers = 12 + (3 - level) * bits;

        where[count] = entry_at(c, tables[level], la, covers);
        if (covers == shift) {
            uint64_t entry = gpa | flags | (shift > 12 ? PS : 0);

            if (!is_pae && shift == 22) /* PSE-36 */
                entry = (gpa & 0xffc00000) | (gpa >> 19 & 0x1fe000) | flags | PS;
            rig_poke(r, where[count++], entry, bytes);
            return count;
        }
        rig_poke(r, where[count++], tables[(level + 1) & 3] | (flags & ~(uint64_t)(G | D)), bytes);
    }
    abort();
}

void rig_poke(struct rig *r, uint64_t gpa, uint64_t value, uint32_t bytes)
{
    assert_true(gpa + bytes <= RAM_BYTES);
    memcpy(r->ram + gpa, &value, bytes);
}

uint64_t rig_peek(const struct rig *r, uint64_t gpa, uint32_t bytes)
{
    uint64_t value = 0;

    assert_true(gpa + bytes <= RAM_BYTES);
    memcpy(&value, r->ram + gpa, bytes);
    return value;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void make(struct cpu *c, struct call *k)
{
    uint32_t bytes = 0;

    switch (k->kind) {
    case LOAD:
        k->value = load_slow(c, k->u, k->la, k->size);
        break;
    case STORE:
        store_slow(c, k->u, k->la, k->value, k->size);
        break;
    case FETCH:
        k->value = mmu_fetch(c, k->la);
        break;
    case LOAD_BYTES:
        load_bytes(c, k->u, k->la, k->bytes, k->size, ACCESS_READ | k->access);
        break;
    case STORE_BYTES:
        store_bytes(c, k->u, k->la, k->bytes, k->size, ACCESS_WRITE | k->access);
        break;
    case PROBE_READ:
        probe_read(c, k->u, k->la, k->size);
        break;
    case PROBE_WRITE:
        probe_write(c, k->u, k->la, k->size);
        break;
    case RW:
        k->bytes = mem_rw_slow(c, k->u, k->la, k->size);
        break;
    case RUN:
        k->bytes = mem_run(c, k->u, k->la, k->access, &bytes);
        k->size = bytes;
        break;
    case LD_SYSTEM:
        k->value = ld_system(c, k->u, k->la, k->size);
        break;
    case ST_SYSTEM:
        st_system(c, k->u, k->la, k->value, k->size);
        break;
    case EA:
        k->value = ea_segment(c, k->u, k->seg, k->la, k->size, k->access);
        break;
    case SEGMENT:
        segment_load(c, k->u, k->seg, (uint16_t)k->value);
        break;
    }
}

int rig_call(struct cpu *c, struct call *call)
{
    if (setjmp(c->escape) == 0) {
        make(c, call);
        return -1;
    }
    return c->event.vector;
}

int rig_load(struct cpu *c, uint64_t la, uint32_t size, uint64_t *value)
{
    struct call call = {.kind = LOAD, .la = la, .size = size};
    int vector = rig_call(c, &call);

    *value = call.value;
    return vector;
}

int rig_store(struct cpu *c, uint64_t la, uint64_t value, uint32_t size)
{
    struct call call = {.kind = STORE, .la = la, .size = size, .value = value};

    return rig_call(c, &call);
}
