/* SPDX-License-Identifier: MIT
 *
 * bench.c - the test bench: tables, modes, the fake bus.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "decode/features.h"
#include "mmu/tlb.h"

#define HANDLER_BYTES 16u
#define TSC_HZ 1000000000u

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- what the engine asks of its user ------------------------------------------------------- */

static uint64_t clock_ns(void *context)
{
    struct bench *b = context;

    return __atomic_add_fetch(&b->now_ns, 1, __ATOMIC_RELAXED);
}

static uint64_t utc_ns(void *context)
{
    return 1000000000000000000u + clock_ns(context);
}

static void sleep_until(void *context, struct cpu *c, uint64_t deadline_ns)
{
    struct bench *b = context;

    b->sleeps++;
    b->deadline = deadline_ns;
    cpu_pend(c, PEND_KICK);
}

static void deadline_changed(void *context, struct cpu *c)
{
    (void)context;
    (void)c;
}

static void log_line(void *context, uint32_t level, const char *text)
{
    struct bench *b = context;

    (void)level;
    (void)snprintf(b->log, sizeof(b->log), "%s", text);
}

static void wake(void *context, struct cpu *c)
{
    struct bench *b = context;

    (void)c;
    __atomic_add_fetch(&b->wakes, 1, __ATOMIC_RELAXED);
}

/* ---- the bus ------------------------------------------------------------------------------ */

/* A handle is a pointer to the bench: nothing here depends on which processor it is. */
static struct bench *bench_of(struct bp_vcpu *vcpu)
{
    return (struct bench *)vcpu;
}

static void note(struct bench *b, struct bench_access a)
{
    uint32_t n;

    CHECK(b);
    n = __atomic_fetch_add(&b->accesses, 1, __ATOMIC_RELAXED);
    if (n < BENCH_ACCESSES)
        b->access[n] = a;
}

static uint8_t *mmio_at(struct bench *b, uint64_t gpa, uint32_t width)
{
    if (gpa < BENCH_MMIO || gpa > BENCH_MMIO + BENCH_MMIO_BYTES - width)
        return NULL;
    return &b->mmio[gpa - BENCH_MMIO];
}

static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    struct bench *b = bench_of(vcpu);
    const uint8_t *at = mmio_at(b, gpa, width);
    uint64_t value = 0;

    CHECK(width >= 1 && width <= 8);
    if (at)
        memcpy(&value, at, width);
    else
        memset(&value, 0xff, width);
    note(b, (struct bench_access){.width = width, .address = gpa, .value = value});
    return value;
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    struct bench *b = bench_of(vcpu);
    uint8_t *at = mmio_at(b, gpa, width);

    CHECK(width >= 1 && width <= 8);
    if (at)
        memcpy(at, &value, width);
    note(b, (struct bench_access){.write = true, .width = width, .address = gpa, .value = value});
}

static uint32_t pio_read(struct bp_vcpu *vcpu, uint16_t port, uint32_t width)
{
    struct bench *b = bench_of(vcpu);
    uint32_t value = 0;

    CHECK(width == 1 || width == 2 || width == 4);
    for (uint32_t i = 0; i < width; i++)
        value |= (uint32_t)b->port[(port + i) & 0xffff] << (8 * i);
    note(b, (struct bench_access){.pio = true, .width = width, .address = port, .value = value});
    return value;
}

static void pio_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    CHECK(width == 1 || width == 2 || width == 4);
    note(bench_of(vcpu),
         (struct bench_access){
             .pio = true, .write = true, .width = width, .address = port, .value = value});
}

static int resolve(struct bp_vcpu *vcpu, uint64_t gpa, struct bp_slot *out)
{
    (void)vcpu;
    *out = (struct bp_slot){.base = gpa & PAGE_MASK, .length = PAGE_SIZE};
    return -ENOENT;
}

static int enter(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    (void)vcpu;
    (void)slot;
    return -ESTALE;
}

static void leave(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    (void)vcpu;
    (void)slot;
}

static const uint32_t generation = 1;

static const struct bp_bus bus = {
    .size = sizeof(bus),
    .generation = &generation,
    .mmio_read = mmio_read,
    .mmio_write = mmio_write,
    .pio_read = pio_read,
    .pio_write = pio_write,
    .resolve = resolve,
    .enter = enter,
    .leave = leave,
};

/* ---- memory --------------------------------------------------------------------------------- */

void bench_write(struct bench *b, uint64_t gpa, const void *from, uint64_t bytes)
{
    CHECK(gpa <= BENCH_RAM_BYTES && bytes <= BENCH_RAM_BYTES - gpa);
    memcpy(b->ram + gpa, from, bytes);
    engine_code_changed(b->engine, gpa, bytes);
}

void bench_poke(struct bench *b, uint64_t gpa, uint64_t value, uint32_t bytes)
{
    CHECK(bytes <= 8);
    bench_write(b, gpa, &value, bytes);
}

uint64_t bench_peek(const struct bench *b, uint64_t gpa, uint32_t bytes)
{
    uint64_t value = 0;

    CHECK(bytes <= 8 && gpa <= BENCH_RAM_BYTES - bytes);
    memcpy(&value, b->ram + gpa, bytes);
    return value;
}

static uint64_t page_entry_gpa(uint64_t la)
{
    CHECK(la < BENCH_RAM_BYTES);
    return BENCH_TABLES + 6 * PAGE_SIZE + (la >> 12) * 8;
}

void bench_page_set(struct bench *b, uint64_t la, uint64_t entry)
{
    bench_poke(b, page_entry_gpa(la), entry, 8);
    for (uint32_t i = 0; i < 2; i++)
        if (b->cpu[i])
            tlb_flush(b->cpu[i]);
}

uint64_t bench_page_get(const struct bench *b, uint64_t la)
{
    return bench_peek(b, page_entry_gpa(la), 8);
}

/* ---- tables ------------------------------------------------------------------------------- */

/* 4 GiB, identity: RAM by pages of 4 KiB, the rest by pages of 2 MiB. */
static void write_page_tables(struct bench *b)
{
    const uint64_t rights = 7;
    const uint64_t directories = BENCH_TABLES + 2 * PAGE_SIZE;
    const uint64_t tables = BENCH_TABLES + 6 * PAGE_SIZE;

    bench_poke(b, BENCH_TABLES, (BENCH_TABLES + PAGE_SIZE) | rights, 8);
    for (uint32_t i = 0; i < 4; i++)
        bench_poke(b, BENCH_TABLES + PAGE_SIZE + i * 8, (directories + i * PAGE_SIZE) | rights, 8);
    for (uint64_t i = 0; i < 4u * 512; i++) {
        uint64_t entry = i << 21 | 0x80 | rights;

        if (i < BENCH_RAM_BYTES >> 21)
            entry = (tables + i * PAGE_SIZE) | rights;
        bench_poke(b, directories + i * 8, entry, 8);
    }
    for (uint64_t i = 0; i < BENCH_RAM_BYTES >> 12; i++)
        bench_poke(b, tables + i * 8, i << 12 | rights, 8);
}

static const struct segment segments[] = {
    [BENCH_CS64 >> 3] = {0, UINT32_MAX, BENCH_CS64, 0xa09b},
    [BENCH_DS >> 3] = {0, UINT32_MAX, BENCH_DS, 0xc093},
    [BENCH_CS32 >> 3] = {0, UINT32_MAX, BENCH_CS32, 0xc09b},
    [BENCH_USER_CS32 >> 3] = {0, UINT32_MAX, BENCH_USER_CS32, 0xc0fb},
    [BENCH_USER_DS >> 3] = {0, UINT32_MAX, BENCH_USER_DS, 0xc0f3},
    [BENCH_USER_CS64 >> 3] = {0, UINT32_MAX, BENCH_USER_CS64, 0xa0fb},
    [BENCH_CS16 >> 3] = {0, 0xffff, BENCH_CS16, 0x009b},
    [BENCH_DS16 >> 3] = {0, 0xffff, BENCH_DS16, 0x0093},
    [BENCH_TR >> 3] = {BENCH_TSS, 0x67, BENCH_TR, 0x008b},
};

/* SDM 3, 3.4.5. */
static uint64_t descriptor(const struct segment *s)
{
    uint64_t limit = s->attributes & SEG_G ? s->limit >> 12 : s->limit;

    return (limit & 0xffff) | (s->base & 0xffffff) << 16 | (uint64_t)(s->attributes & 0xff) << 40 |
           (limit >> 16 & 0xf) << 48 | (uint64_t)(s->attributes & 0xf000) << 40 |
           (s->base >> 24 & 0xff) << 56;
}

static void write_descriptors(struct bench *b)
{
    for (uint32_t i = 1; i < sizeof(segments) / sizeof(segments[0]); i++)
        bench_poke(b, BENCH_GDT + i * 8, descriptor(&segments[i]), 8);
    bench_poke(b, BENCH_GDT + BENCH_TR + 8, 0, 8);
}

/* RSP0 of a 64-bit TSS stands where a 32-bit one has ESP0, and SS0 above it (SDM 3, 8.2.1 and
 * 8.7). The I/O bitmap is beyond the limit: CPL 3 has no ports. */
static void write_tss(struct bench *b, uint64_t stack, bool is_long)
{
    memset(b->ram + BENCH_TSS, 0, 0x68);
    bench_poke(b, BENCH_TSS + 4, stack, 8);
    if (!is_long)
        bench_poke(b, BENCH_TSS + 8, BENCH_DS, 4);
    bench_poke(b, BENCH_TSS + 0x66, 0x68, 2);
}

static void write_idt(struct bench *b, enum bench_mode mode)
{
    bool is_long = mode <= BENCH_COMPAT;
    uint64_t cs = is_long ? BENCH_CS64 : mode == BENCH_PROTECTED16 ? BENCH_CS16 : BENCH_CS32;
    uint64_t type = mode == BENCH_PROTECTED16 ? 0x86 : 0x8e;

    for (uint64_t i = 0; i < 256; i++) {
        uint64_t handler = BENCH_HANDLERS + i * HANDLER_BYTES;
        uint64_t access = type | (i == EXC_BP || i == EXC_OF || i >= 0x80 ? 0x60 : 0);

        bench_poke(b, handler, 0xf4, 1);
        if (mode == BENCH_REAL) {
            bench_poke(b, i * 4, handler, 4);
        } else if (is_long) {
            bench_poke(b, BENCH_IDT + i * 16, handler | cs << 16 | access << 40, 8);
            bench_poke(b, BENCH_IDT + i * 16 + 8, 0, 8);
        } else {
            bench_poke(b, BENCH_IDT + i * 8, handler | cs << 16 | access << 40, 8);
        }
    }
}

/* ---- modes -------------------------------------------------------------------------------- */

static void set_segments(struct cpu *c, uint32_t cs, uint32_t ds, uint32_t ss)
{
    c->seg[SEG_CS] = segments[cs >> 3];
    c->seg[SEG_SS] = segments[ss >> 3];
    c->seg[SEG_DS] = c->seg[SEG_ES] = segments[ds >> 3];
    c->seg[SEG_FS] = c->seg[SEG_GS] = segments[ds >> 3];
    c->seg[SEG_TR] = segments[BENCH_TR >> 3];
    c->seg[SEG_LDT] = (struct segment){0};
    c->cpl = cs & 3;
}

static void set_real_segments(struct cpu *c)
{
    for (uint32_t i = 0; i <= SEG_GS; i++)
        c->seg[i] = (struct segment){.limit = 0xffff, .attributes = i == SEG_CS ? 0x9b : 0x93};
    c->cpl = 0;
}

/* Likewise what does not depend on the mode. */
static void set_control(struct cpu *c, enum bench_mode mode)
{
    bool is_long = mode <= BENCH_COMPAT;

    c->cr0 = CR0_ET | CR0_NE | CR0_MP | CR0_WP;
    if (mode != BENCH_REAL)
        c->cr0 |= CR0_PE;
    if (is_long)
        c->cr0 |= CR0_PG;
    c->cr2 = 0;
    c->cr3 = is_long ? BENCH_TABLES : 0;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_DE;
    if (is_long)
        c->cr4 |= CR4_PAE | CR4_PGE;
    c->efer = is_long ? EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE : 0;
    c->xcr0 = 7;
    c->star = (uint64_t)BENCH_CS64 << 32 | (uint64_t)(BENCH_USER_CS32) << 48;
    c->gdt = (struct table){.base = BENCH_GDT, .limit = 0x7ff};
    c->idt = mode == BENCH_REAL
                 ? (struct table){.base = 0, .limit = 0x3ff}
                 : (struct table){.base = BENCH_IDT, .limit = is_long ? 0xfff : 0x7ff};
    c->physical_bits = 46;
}

struct cpu *bench_mode(struct bench *b, uint32_t index, enum bench_mode mode)
{
    struct cpu *c = b->cpu[index];
    uint32_t higher = index ? BENCH_SECOND : 0;

    cpu_reset(c, false);
    write_page_tables(b);
    write_descriptors(b);
    write_tss(b, BENCH_STACK0 + higher, mode <= BENCH_COMPAT);
    write_idt(b, mode);

    memset(c->reg, 0, sizeof(uint64_t) * 16);
    c->reg[RSP] = BENCH_STACK + higher;
    set_control(c, mode);
    switch (mode) {
    case BENCH_LONG:
        set_segments(c, BENCH_CS64, BENCH_DS, BENCH_DS);
        break;
    case BENCH_USER:
        set_segments(c, BENCH_USER_CS64, BENCH_USER_DS, BENCH_USER_DS);
        break;
    case BENCH_COMPAT:
    case BENCH_PROTECTED_USER:
        set_segments(c, BENCH_USER_CS32, BENCH_USER_DS, BENCH_USER_DS);
        break;
    case BENCH_PROTECTED:
        set_segments(c, BENCH_CS32, BENCH_DS, BENCH_DS);
        break;
    case BENCH_PROTECTED16:
        set_segments(c, BENCH_CS16, BENCH_DS, BENCH_DS16);
        break;
    case BENCH_REAL:
        set_real_segments(c);
        break;
    }
    c->fpu.control = 0x37f;
    c->fpu.status = 0;
    c->fpu.top = 0;
    c->fpu.valid = 0;
    c->fpu.mxcsr = 0x1f80;
    c->halted = 0;
    c->mp_state = BP_X86_MP_RUNNABLE;
    cpu_rflags_set(c, FLAG_ONE);
    cpu_mode_changed(c);
    tlb_flush(c);
    blocks_drop_all(c);
    return c;
}

/* ---- running ------------------------------------------------------------------------------ */

int bench_go(struct bench *b, uint32_t index, uint64_t rip)
{
    struct cpu *c = b->cpu[index];
    uint64_t end;
    int stop;

    c->rip = rip;
    c->halted = 0;
    stop = cpu_run(c);
    if (stop == BP_STOP_TRIPLE_FAULT)
        return BENCH_TRIPLE_FAULT;
    if (stop == BP_STOP_DEBUG)
        return BENCH_DEBUG;
    CHECK(stop == BP_STOP_KICKED);
    /* RIP stands behind the HLT. */
    end = c->rip - 1;
    if (end < BENCH_HANDLERS || end >= BENCH_HANDLERS + 256 * HANDLER_BYTES)
        return BENCH_STOPPED;
    CHECK(end % HANDLER_BYTES == 0);
    return (int)((end - BENCH_HANDLERS) / HANDLER_BYTES);
}

struct bench_frame bench_frame_get(const struct bench *b, uint32_t index, int vector)
{
    const struct cpu *c = b->cpu[index];
    const uint32_t with_error = 1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS |
                                1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC;
    bool is_long = (c->efer & EFER_LMA) != 0, real = !(c->cr0 & CR0_PE);
    bool small = real || !(c->seg[SEG_CS].attributes & (SEG_DB | SEG_L));
    uint32_t width = is_long ? 8 : small ? 2 : 4;
    uint64_t at = c->seg[SEG_SS].base;
    struct bench_frame f = {0};

    at += c->mode & MODE_64     ? c->reg[RSP]
          : c->mode & MODE_SS32 ? (uint32_t)c->reg[RSP]
                                : (uint16_t)c->reg[RSP];
    f.has_error = !real && vector >= 0 && vector < 32 && (with_error >> vector & 1);
    if (f.has_error) {
        f.error = (uint32_t)bench_peek(b, at, width);
        at += width;
    }
    f.rip = bench_peek(b, at, width);
    f.cs = (uint16_t)bench_peek(b, at + width, 2);
    f.rflags = bench_peek(b, at + 2 * width, width);
    if (is_long || (!real && (f.cs & 3) != c->cpl)) {
        f.rsp = bench_peek(b, at + 3 * width, width);
        f.ss = (uint16_t)bench_peek(b, at + 4 * width, 2);
    } else {
        f.rsp = at + 3 * width - c->seg[SEG_SS].base;
        f.ss = c->seg[SEG_SS].selector;
    }
    return f;
}

int bench_run(struct bench *b, const void *code, uint32_t bytes)
{
    struct cpu *c = b->cpu[0];
    const uint8_t end[] = {0xcd, BENCH_STOP_VECTOR}, halt = 0xf4;
    struct segment cs = c->seg[SEG_CS], ss = c->seg[SEG_SS];
    uint8_t cpl = c->cpl;
    int vector;

    CHECK(bytes <= PAGE_SIZE - sizeof(end));
    bench_write(b, BENCH_CODE, code, bytes);
    if (cpl == 3)
        bench_write(b, BENCH_CODE + bytes, end, sizeof(end));
    else
        bench_write(b, BENCH_CODE + bytes, &halt, 1);
    vector = bench_go(b, 0, BENCH_CODE);
    if (vector < 0)
        return vector;
    b->frame = bench_frame_get(b, 0, vector);
    if (b->frame.cs == cs.selector)
        c->seg[SEG_CS] = cs;
    if (b->frame.ss == ss.selector)
        c->seg[SEG_SS] = ss;
    c->cpl = b->frame.cs == cs.selector ? cpl : b->frame.cs & 3;
    c->rip = b->frame.rip;
    c->reg[RSP] = b->frame.rsp;
    cpu_rflags_set(c, b->frame.rflags);
    cpu_mode_changed(c);
    return vector == BENCH_STOP_VECTOR ? BENCH_STOPPED : vector;
}

/* ---- flags -------------------------------------------------------------------------------- */

uint64_t bench_rflags(const struct bench *b, uint32_t index)
{
    return cpu_rflags(b->cpu[index]);
}

void bench_rflags_set(struct bench *b, uint32_t index, uint64_t value)
{
    cpu_rflags_set(b->cpu[index], value | FLAG_ONE);
}

uint32_t bench_arithmetic(const struct bench *b)
{
    return (uint32_t)cpu_rflags(b->cpu[0]) & FLAGS_ARITHMETIC;
}

/* ---- life --------------------------------------------------------------------------------- */

struct bench *bench_create_with_chip(uint32_t cpus, const struct bp_irqchip *chip, void *self)
{
    static const struct engine_user user = {
        .clock_ns = clock_ns,
        .utc_ns = utc_ns,
        .sleep = sleep_until,
        .deadline_changed = deadline_changed,
        .log = log_line,
        .wake = wake,
    };
    struct bench *b = calloc(1, sizeof(*b));
    struct bp_x86_cpuid *table = calloc(1, sizeof(*table));
    struct engine_user mine = user;

    CHECK(b && table && cpus >= 1 && cpus <= 2);
    b->ram =
        mmap(NULL, BENCH_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(b->ram != MAP_FAILED);
    mine.context = b;
    CHECK(engine_create(&mine, TSC_HZ, cpus, &b->engine) == 0);
    CHECK(engine_memory_set(b->engine, &(struct bp_mem_slot){.size = sizeof(struct bp_mem_slot),
                                                             .length = BENCH_RAM_BYTES,
                                                             .host = b->ram}) == 0);
    cpuid_offered(b->engine, table);
    for (uint32_t i = 0; i < cpus; i++) {
        CHECK(cpu_create(b->engine, i, (struct bp_vcpu *)b, &bus, chip, self, &b->cpu[i]) == 0);
        cpu_cpuid_set(b->cpu[i], table);
        for (uint32_t f = 0; f < FEATURE_ABSENT; f++)
            b->cpu[i]->features[f >> 6] |= 1ull << (f & 63);
    }
    free(table);
    return b;
}

struct bench *bench_create(uint32_t cpus)
{
    return bench_create_with_chip(cpus, NULL, NULL);
}

void bench_destroy(struct bench *b)
{
    for (uint32_t i = 0; i < 2; i++)
        if (b->cpu[i])
            cpu_destroy(b->cpu[i]);
    engine_destroy(b->engine);
    (void)munmap(b->ram, BENCH_RAM_BYTES);
    free(b);
}
