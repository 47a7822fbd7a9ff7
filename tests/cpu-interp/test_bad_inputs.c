/* SPDX-License-Identifier: MIT
 *
 * test_bad_inputs.c - what a hostile guest does with devices as memory, with code that a device
 * changes, and with a HLT that nothing maskable ends.
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Interrupt controllers that have nothing but what the test says. */
struct chip {
    uint32_t pending, acknowledged;
    uint64_t deadline;
};

static struct chip chip_of_test;

static int chip_attach(void *self, uint32_t vcpu, const struct bp_irqchip_vcpu *user,
                       struct bp_irqchip_view *view)
{
    struct chip *chip = self;

    (void)vcpu;
    (void)user;
    view->pending = &chip->pending;
    view->deadline_ns = &chip->deadline;
    return 0;
}

static int chip_detach(void *self, uint32_t vcpu)
{
    (void)self;
    (void)vcpu;
    return 0;
}

static int chip_msr_read(void *self, uint32_t vcpu, uint32_t index, uint64_t *value)
{
    (void)self;
    (void)vcpu;
    *value = 0xfee00900;
    return index == BP_IRQCHIP_MSR_APIC_BASE ? 0 : -1;
}

static void chip_reset(void *self, uint32_t vcpu, uint32_t kind)
{
    (void)self;
    (void)vcpu;
    (void)kind;
}

static int32_t chip_acknowledge(void *self, uint32_t vcpu)
{
    struct chip *chip = self;

    (void)vcpu;
    chip->pending &= ~BP_IRQCHIP_INTR;
    chip->acknowledged++;
    return 0x60;
}

static uint32_t chip_take(void *self, uint32_t vcpu, uint32_t bits, uint32_t *vector)
{
    struct chip *chip = self;
    uint32_t taken = chip->pending & bits;

    (void)vcpu;
    (void)vector;
    chip->pending &= ~taken;
    return taken;
}

static const struct bp_irqchip chip_ops = {.size = sizeof(chip_ops),
                                           .attach = chip_attach,
                                           .detach = chip_detach,
                                           .reset = chip_reset,
                                           .msr_read = chip_msr_read,
                                           .acknowledge = chip_acknowledge,
                                           .take = chip_take};

static int setup(void **state)
{
    *state = bench_create(1);
    return *state ? 0 : -1;
}

static int setup_with_chip(void **state)
{
    chip_of_test = (struct chip){.deadline = UINT64_MAX};
    *state = bench_create_with_chip(1, &chip_ops, &chip_of_test);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

/* ---- devices as memory ---------------------------------------------------------------------- */

static void bad_66_rep_through_mmio_is_one_access_an_element(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t i = 0; i < 12; i++)
        b->mmio[i] = (uint8_t)(0x30 + i);
    c->reg[RSI] = BENCH_MMIO;
    c->reg[RDI] = BENCH_DATA;
    c->reg[RCX] = 3;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0xa5), BENCH_STOPPED); /* rep movsd, from the device */
    assert_int_equal(b->accesses, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(b->access[i].address, BENCH_MMIO + 4 * i);
        assert_int_equal(b->access[i].width, 4);
        assert_false(b->access[i].write);
    }
    assert_memory_equal(b->ram + BENCH_DATA, b->mmio, 12);
    assert_int_equal(c->reg[RCX], 0);
    b->accesses = 0;
    c->reg[RSI] = BENCH_DATA + 8;
    c->reg[RDI] = BENCH_MMIO + 0x108;
    c->reg[RCX] = 2;
    assert_int_equal(BENCH_RUN(b, 0xfd, 0xf3, 0xa5), BENCH_STOPPED); /* std; to it, downwards */
    assert_int_equal(b->accesses, 2);
    assert_int_equal(b->access[0].address, BENCH_MMIO + 0x108);
    assert_int_equal(b->access[1].address, BENCH_MMIO + 0x104);
    assert_true(b->access[0].write && b->access[1].write);
    b->accesses = 0;
    c->reg[RSI] = c->reg[RDI] = BENCH_MMIO;
    c->reg[RCX] = 2;
    assert_int_equal(BENCH_RUN(b, 0xfc, 0xf3, 0xa4), BENCH_STOPPED); /* from device to device */
    assert_int_equal(b->accesses, 4);
}

static void bad_66_rep_from_ram_into_mmio_goes_on_across_the_border(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 0x55;
    c->reg[RDI] = BENCH_MMIO + BENCH_MMIO_BYTES - 2; /* what follows is nobody's */
    c->reg[RCX] = 4;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0xaa), BENCH_STOPPED); /* rep stosb */
    assert_int_equal(b->accesses, 4);
    assert_int_equal(b->mmio[BENCH_MMIO_BYTES - 1], 0x55);
    assert_int_equal(c->reg[RDI], BENCH_MMIO + BENCH_MMIO_BYTES + 2);
}

static void bad_66_lock_on_mmio_reads_and_writes_once(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint32_t value = 41;

    memcpy(b->mmio + 8, &value, 4);
    c->reg[RSI] = BENCH_MMIO;
    c->reg[RAX] = 1;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x01, 0x46, 0x08),
                     BENCH_STOPPED); /* lock add [rsi+8], eax */
    memcpy(&value, b->mmio + 8, 4);
    assert_int_equal(value, 42);
    assert_int_equal(b->accesses, 2);
    assert_false(b->access[0].write);
    assert_true(b->access[1].write);
    c->reg[RAX] = 42;
    c->reg[RDX] = 7;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x0f, 0xb1, 0x56, 0x08), BENCH_STOPPED); /* cmpxchg */
    memcpy(&value, b->mmio + 8, 4);
    assert_int_equal(value, 7);
    assert_int_equal(bench_arithmetic(b) & FLAG_ZF, FLAG_ZF);
    /* cmpxchg16b of the last bytes that are there */
    c->reg[RSI] = BENCH_MMIO + BENCH_MMIO_BYTES - 16;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x48, 0x0f, 0xc7, 0x0e), BENCH_STOPPED);
    c->reg[RSI] = BENCH_MMIO + 0xffe; /* a split one: half of it is nobody's */
    c->reg[RAX] = 1;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x01, 0x06), BENCH_STOPPED);
}

static void bad_66_code_in_mmio_runs_as_it_is_read(void **state)
{
    static const uint8_t code[] = {0xff, 0xc0, 0xc3}; /* inc eax; ret */
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    memcpy(b->mmio + 0x40, code, sizeof(code));
    c->reg[RBX] = BENCH_MMIO + 0x40;
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED); /* call rbx */
    assert_int_equal(c->reg[RAX], 1);
    b->mmio[0x41] = 0xc8; /* dec eax, without a word to the engine */
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0);
    /* Where nobody is there are ones: FF FF is no instruction. */
    c->reg[RBX] = BENCH_MMIO + 0x100000;
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), EXC_UD);
    assert_int_equal(b->frame.rip, BENCH_MMIO + 0x100000);
}

static void bad_66_access_across_the_end_of_a_region(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    memset(b->mmio, 0x11, BENCH_MMIO_BYTES);
    c->reg[RSI] = BENCH_MMIO + BENCH_MMIO_BYTES - 4;
    assert_int_equal(BENCH_RUN(b, 0x48, 0x8b, 0x06), BENCH_STOPPED); /* mov rax, [rsi] */
    assert_true(c->reg[RAX] == 0xffffffff11111111);
    /* From the last bytes of RAM to the first that are none. */
    c->reg[RSI] = BENCH_RAM_BYTES - 2;
    b->ram[BENCH_RAM_BYTES - 2] = 0x22;
    b->ram[BENCH_RAM_BYTES - 1] = 0x22;
    assert_int_equal(BENCH_RUN(b, 0x8b, 0x06), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0xffff2222);
    c->reg[RAX] = 0x12345678;
    assert_int_equal(BENCH_RUN(b, 0x89, 0x06), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_RAM_BYTES - 2, 2), 0x5678);
}

/* ---- code that a device changes ------------------------------------------------------------- */

static void bad_70_code_that_dma_changes_runs_as_it_is_then(void **state)
{
    static const uint8_t first[] = {0xb8, 1, 0, 0, 0, 0xc3}; /* mov eax, 1; ret */
    static const uint8_t then[] = {2};
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    memcpy(b->ram + BENCH_FREE + 0x80, first, sizeof(first));
    c->reg[RBX] = BENCH_FREE + 0x80;
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 1);
    bench_write(b, BENCH_FREE + 0x81, then, 1);
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 2);
    /* A page of something else, over it and what is around it. */
    uint8_t page[4096];
    memset(page, 0x90, sizeof(page));
    memcpy(page + 0x100, (const uint8_t[]){0x31, 0xc0, 0xc3}, 3); /* xor eax, eax; ret */
    bench_write(b, BENCH_FREE, page, sizeof(page));
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0);
}

static void bad_70_instruction_of_two_pages_of_which_dma_changes_the_second(void **state)
{
    static const uint8_t code[] = {0xb8, 1, 0, 0, 0, 0xc3};
    static const uint8_t then[] = {0x12};
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    memcpy(b->ram + BENCH_FREE + 0xffe, code, sizeof(code));
    c->reg[RBX] = BENCH_FREE + 0xffe;
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 1);
    bench_write(b, BENCH_FREE + 0x1002, then, 1); /* the immediate's last byte */
    assert_int_equal(BENCH_RUN(b, 0xff, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x12000001);
}

/* ---- HLT with IF 0 -------------------------------------------------------------------------- */

static void bad_92_hlt_with_interrupts_off_sleeps_until_an_nmi(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    /* A timer that is due and an interrupt that waits end no such sleep. */
    chip_of_test.pending = BP_IRQCHIP_INTR;
    b->ram[BENCH_FREE] = 0xf4;
    assert_int_equal(bench_go(b, 0, BENCH_FREE), BENCH_STOPPED);
    for (uint32_t n = 0; n < 3; n++) {
        cpu_pend(c, PEND_IRQ | PEND_TIMER);
        cpu_run(c); /* the bench's sleep ends by a kick */
        assert_int_equal(c->halted, 1);
        assert_int_equal(c->rip, BENCH_FREE + 1);
    }
    assert_int_equal(chip_of_test.acknowledged, 0);
    assert_true(b->sleeps >= 3);
    assert_true(b->deadline == UINT64_MAX);
    /* An NMI does: its handler runs, the interrupt still waits. */
    chip_of_test.pending |= BP_IRQCHIP_NMI;
    cpu_pend(c, PEND_IRQ);
    cpu_run(c);
    assert_int_equal(c->rip, BENCH_HANDLERS + 16 * EXC_NMI + 1);
    assert_int_equal(chip_of_test.acknowledged, 0);
    assert_int_equal(chip_of_test.pending, BP_IRQCHIP_INTR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_66_rep_through_mmio_is_one_access_an_element),
        TEST(bad_66_rep_from_ram_into_mmio_goes_on_across_the_border),
        TEST(bad_66_lock_on_mmio_reads_and_writes_once),
        TEST(bad_66_code_in_mmio_runs_as_it_is_read),
        TEST(bad_66_access_across_the_end_of_a_region),
        TEST(bad_70_code_that_dma_changes_runs_as_it_is_then),
        TEST(bad_70_instruction_of_two_pages_of_which_dma_changes_the_second),
        cmocka_unit_test_setup_teardown(bad_92_hlt_with_interrupts_off_sleeps_until_an_nmi,
                                        setup_with_chip, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
