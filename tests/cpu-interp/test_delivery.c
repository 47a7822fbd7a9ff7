/* SPDX-License-Identifier: MIT
 *
 * test_delivery.c - exceptions and interrupts: frames, error codes, double and triple faults (SDM
 * 3, chapter 6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench.h"

#define NON_CANONICAL 0x8000000000000000u
#define GATE_P 0x800000000000u /* in a gate's first 8 bytes */
#define GATE_TYPE 0xf0000000000u
#define GATE_SELECTOR 0xffff0000u

static int setup(void **state)
{
    *state = bench_create(1);
    return 0;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

static void gate_clear(struct bench *b, uint32_t vector, uint64_t mask)
{
    uint64_t at = BENCH_IDT + vector * 16;

    bench_poke(b, at, bench_peek(b, at, 8) & ~mask, 8);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void a_fault_in_user_mode_pushes_a_frame_on_the_stack_of_the_tss(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);
    struct bench_frame f;

    bench_write(b, BENCH_CODE, "\x0f\x0b", 2); /* ud2 */
    bench_rflags_set(b, 0, FLAG_IF | FLAG_CF);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), EXC_UD);
    assert_int_equal(c->reg[RSP], BENCH_STACK0 - 40);
    assert_int_equal(c->cpl, 0);
    assert_int_equal(c->seg[SEG_SS].selector, 0);
    assert_int_equal(c->rflags & (FLAG_IF | FLAG_RF), 0);
    f = bench_frame_get(b, 0, EXC_UD);
    assert_int_equal(f.rip, BENCH_CODE);
    assert_int_equal(f.cs, BENCH_USER_CS64);
    assert_int_equal(f.ss, BENCH_USER_DS);
    assert_int_equal(f.rsp, BENCH_STACK);
    assert_int_equal(f.rflags, FLAG_ONE | FLAG_IF | FLAG_CF | FLAG_RF);
}

static void a_software_interrupt_pushes_the_next_rip_and_no_rf(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    bench_write(b, BENCH_CODE, "\xcd\x90", 2); /* int 0x90 */
    assert_int_equal(bench_go(b, 0, BENCH_CODE), 0x90);
    assert_int_equal(bench_frame_get(b, 0, 0x90).rip, BENCH_CODE + 2);
    assert_int_equal(bench_frame_get(b, 0, 0x90).rflags, FLAG_ONE);
    assert_int_equal(c->reg[RSP], BENCH_STACK0 - 40);
}

static void long_mode_aligns_the_stack_to_16_bytes(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RSP] = BENCH_STACK - 3;
    bench_write(b, BENCH_CODE, "\xcc", 1);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), EXC_BP);
    assert_int_equal(c->reg[RSP], ((BENCH_STACK - 3) & ~15u) - 40);
    assert_int_equal(bench_frame_get(b, 0, EXC_BP).rsp, BENCH_STACK - 3);
}

static void a_gate_with_an_ist_switches_stacks_at_the_same_privilege(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_IDT + EXC_UD * 16 + 4, 3, 1);
    bench_poke(b, BENCH_TSS + 0x24 + 2 * 8, BENCH_DATA + 0x1000, 8);
    bench_write(b, BENCH_CODE, "\x0f\x0b", 2);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), EXC_UD);
    assert_int_equal(c->reg[RSP], BENCH_DATA + 0x1000 - 40);
    assert_int_equal(c->seg[SEG_SS].selector, BENCH_DS);
}

static void a_trap_gate_leaves_if_set(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_IDT + EXC_BP * 16 + 5, 0xef, 1);
    bench_rflags_set(b, 0, FLAG_IF);
    bench_write(b, BENCH_CODE, "\xcc", 1);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), EXC_BP);
    assert_int_equal(c->rflags & FLAG_IF, FLAG_IF);
}

static void protected_mode_switches_to_the_stack_of_the_tss(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED_USER);

    bench_write(b, BENCH_CODE, "\xcc", 1);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), EXC_BP);
    assert_int_equal(c->reg[RSP], BENCH_STACK0 - 20);
    assert_int_equal(c->seg[SEG_SS].selector, BENCH_DS);
    assert_int_equal(bench_frame_get(b, 0, EXC_BP).rip, BENCH_CODE + 1);
    assert_int_equal(bench_frame_get(b, 0, EXC_BP).rsp, BENCH_STACK);
}

static void real_mode_pushes_three_words(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);

    bench_rflags_set(b, 0, FLAG_IF);
    bench_write(b, BENCH_CODE, "\xcd\x21", 2);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), 0x21);
    assert_int_equal(c->reg[RSP], BENCH_STACK - 6);
    assert_int_equal(bench_peek(b, BENCH_STACK - 6, 2), BENCH_CODE + 2);
    assert_int_equal(bench_peek(b, BENCH_STACK - 2, 2), FLAG_ONE | FLAG_IF);
    assert_int_equal(c->rflags & FLAG_IF, 0);
}

/* ---- virtual-8086 mode ----------------------------------------------------------------------- */

static struct cpu *enter_v8086(struct bench *b, uint32_t iopl)
{
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    /* IRETD's frame: EIP CS EFLAGS ESP SS ES DS FS GS. */
    const uint32_t frame[] = {0,     BENCH_CODE >> 4, FLAG_ONE | FLAG_VM | iopl << 12,
                              0xf00, 0x700,           0x111,
                              0x222, 0x333,           0x444};

    bench_write(b, BENCH_DATA, frame, sizeof(frame));
    c->reg[RSP] = BENCH_DATA;
    bench_write(b, BENCH_FREE, "\xcf", 1);
    return c;
}

static void a_privileged_instruction_of_virtual_8086_mode_saves_all_segments(void **state)
{
    static const uint32_t want[] = {0,     0,     BENCH_CODE >> 4, 0,     0xf00,
                                    0x700, 0x111, 0x222,           0x333, 0x444};
    struct bench *b = *state;
    struct cpu *c = enter_v8086(b, 0);

    bench_write(b, BENCH_CODE, "\xf4", 1);
    assert_int_equal(bench_go(b, 0, BENCH_FREE), EXC_GP);
    assert_int_equal(c->reg[RSP], BENCH_STACK0 - 40);
    for (uint32_t i = 0; i < 10; i++)
        if (i != 3)
            assert_int_equal(bench_peek(b, BENCH_STACK0 - 40 + i * 4, 4), want[i]);
    assert_int_equal(bench_peek(b, BENCH_STACK0 - 28, 4), FLAG_ONE | FLAG_VM | FLAG_RF);
    assert_int_equal(c->seg[SEG_DS].selector, 0);
    assert_int_equal(c->rflags & FLAG_VM, 0);
}

static void int_n_of_virtual_8086_mode_needs_iopl_3(void **state)
{
    struct bench *b = *state;

    enter_v8086(b, 2);
    bench_write(b, BENCH_CODE, "\xcd\x90", 2);
    assert_int_equal(bench_go(b, 0, BENCH_FREE), EXC_GP);
    enter_v8086(b, 3);
    bench_write(b, BENCH_CODE, "\xcd\x90", 2);
    assert_int_equal(bench_go(b, 0, BENCH_FREE), 0x90);
}

static void vme_redirects_int_n_to_the_real_mode_table(void **state)
{
    struct bench *b = *state;
    struct cpu *c = enter_v8086(b, 0);

    c->cr4 |= CR4_VME;
    cpu_mode_changed(c);
    /* The redirection map lies below the I/O bitmap; it is all zeroes. */
    c->seg[SEG_TR].limit = 0x200;
    bench_poke(b, BENCH_TSS + 0x66, 0x88, 2);
    bench_poke(b, 0x90 * 4, 0x20 | (BENCH_CODE >> 4) << 16, 4);
    bench_write(b, BENCH_CODE, "\xcd\x90", 2);
    bench_write(b, BENCH_CODE + 0x20, "\xf4", 1);
    assert_int_equal(bench_go(b, 0, BENCH_FREE), EXC_GP); /* by the HLT */
    assert_int_equal(bench_peek(b, BENCH_STACK0 - 36, 4), 0x20);
    assert_int_equal(bench_peek(b, 0x7000 + 0xf00 - 6, 2), 2);
    assert_int_equal(bench_peek(b, 0x7000 + 0xf00 - 4, 2), BENCH_CODE >> 4);
    assert_int_equal(bench_peek(b, 0x7000 + 0xf00 - 2, 2), FLAG_ONE | FLAG_IOPL);
}

/* ---- error codes ----------------------------------------------------------------------------- */

static void int_n_through_a_gate_of_lower_dpl_is_a_protection_fault(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x20), EXC_GP);
    assert_int_equal(b->frame.error, 0x20 * 8 + 2);
    assert_int_equal(b->frame.rip, BENCH_CODE);
}

static void gates_that_are_wrong_give_the_error_codes_of_the_manual(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    gate_clear(b, 0x30, GATE_P);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x30), EXC_NP);
    assert_int_equal(b->frame.error, 0x30 * 8 + 2);

    gate_clear(b, EXC_UD, GATE_P);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), EXC_NP);
    assert_int_equal(b->frame.error, EXC_UD * 8 + 3);
    assert_int_equal(b->frame.rip, BENCH_CODE);

    gate_clear(b, 0x31, GATE_TYPE);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x31), EXC_GP);
    assert_int_equal(b->frame.error, 0x31 * 8 + 2);

    gate_clear(b, 0x32, GATE_SELECTOR);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x32), EXC_GP);
    assert_int_equal(b->frame.error, 0);

    bench_poke(b, BENCH_IDT + 0x33 * 16 + 2, BENCH_CS32, 2);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x33), EXC_GP);
    assert_int_equal(b->frame.error, BENCH_CS32);

    bench_poke(b, BENCH_IDT + 0x34 * 16 + 2, 0x7f8, 2);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x34), EXC_GP);
    assert_int_equal(b->frame.error, 0x7f8);

    bench_poke(b, BENCH_IDT + 0x35 * 16 + 8, 0x80000000, 4);
    assert_int_equal(BENCH_RUN(b, 0xcd, 0x35), EXC_GP);
    assert_int_equal(b->frame.error, 0);
}

/* ---- hostile --------------------------------------------------------------------------------- */

static void bad_73_a_non_canonical_address_is_a_stack_fault_by_rsp_and_rbp(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RBP] = NON_CANONICAL;
    assert_int_equal(BENCH_RUN(b, 0x48, 0x8b, 0x45, 0x00), EXC_SS); /* mov rax, [rbp] */
    assert_int_equal(b->frame.error, 0);
    c->reg[RBX] = NON_CANONICAL;
    assert_int_equal(BENCH_RUN(b, 0x48, 0x8b, 0x03), EXC_GP); /* mov rax, [rbx] */
    assert_int_equal(b->frame.error, 0);
}

/* At CPL 0 a bad RSP also takes the handler's stack away: user mode has one of its own. */
static void bad_73_a_push_below_a_non_canonical_rsp_is_a_stack_fault(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->reg[RSP] = NON_CANONICAL;
    assert_int_equal(BENCH_RUN(b, 0x50), EXC_SS);
    assert_int_equal(b->frame.error, 0);
    assert_int_equal(b->frame.rsp, NON_CANONICAL);
}

static void bad_79_a_contributory_fault_in_the_delivery_of_one_is_a_double_fault(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    gate_clear(b, EXC_GP, GATE_P);
    c->reg[RCX] = 0x12345;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x32), EXC_DF); /* rdmsr */
    assert_int_equal(b->frame.error, 0);
    assert_int_equal(b->frame.rip, BENCH_CODE);
    /* The stage is over: the next fault is a simple one. */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), EXC_UD);
}

static void bad_79_a_page_fault_whose_gate_is_absent_is_a_double_fault(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    gate_clear(b, EXC_PF, GATE_P);
    bench_page_set(b, BENCH_DATA, 0);
    c->reg[RBX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x48, 0x8b, 0x03), EXC_DF);
    assert_int_equal(c->cr2, BENCH_DATA);
}

static void bad_79_a_page_fault_in_the_delivery_of_a_benign_one_is_delivered(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    bench_poke(b, BENCH_IDT + EXC_UD * 16 + 4, 1, 1);
    bench_poke(b, BENCH_TSS + 0x24, BENCH_DATA + 0x800, 8);
    bench_page_set(b, BENCH_DATA, 0);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), EXC_PF);
    assert_int_equal(b->frame.error, 2); /* by the supervisor, a write */
    assert_int_equal(c->cr2, BENCH_DATA + 0x800 - 8);
    assert_int_equal(b->frame.rip, BENCH_CODE);
}

static void bad_80_a_fault_in_the_delivery_of_a_double_fault_shuts_down(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    gate_clear(b, EXC_GP, GATE_P);
    gate_clear(b, EXC_DF, GATE_P);
    c->reg[RCX] = 0x12345;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x32), BENCH_TRIPLE_FAULT);
}

static void bad_81_an_idt_of_limit_0_shuts_down_at_the_first_fault(void **state)
{
    static const enum bench_mode modes[] = {BENCH_LONG, BENCH_PROTECTED, BENCH_REAL};
    struct bench *b = *state;

    for (uint32_t i = 0; i < 3; i++) {
        struct cpu *c = bench_mode(b, 0, modes[i]);

        c->idt.limit = 0;
        assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), BENCH_TRIPLE_FAULT);
    }
}

static void bad_81_an_idt_in_device_memory_shuts_down(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->idt.base = BENCH_MMIO + 0x800;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), BENCH_TRIPLE_FAULT);
}

static void bad_81_a_non_canonical_ist_is_a_stack_fault(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    bench_poke(b, BENCH_IDT + EXC_UD * 16 + 4, 1, 1);
    bench_poke(b, BENCH_TSS + 0x24, NON_CANONICAL, 8);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), EXC_SS);
    assert_int_equal(b->frame.error, 1);
}

static void bad_81_a_tss_without_room_for_the_ist_is_an_invalid_tss(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->seg[SEG_TR].limit = 0x20;
    bench_poke(b, BENCH_IDT + EXC_UD * 16 + 4, 7, 1);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x0b), EXC_TS);
    assert_int_equal(b->frame.error, BENCH_TR | 1);
}

static void bad_90_a_quotient_that_does_not_fit_is_a_divide_error(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RDX] = 1;
    c->reg[RCX] = 1;
    assert_int_equal(BENCH_RUN(b, 0x48, 0xf7, 0xf1), EXC_DE); /* div rcx */
    assert_int_equal(b->frame.rip, BENCH_CODE);
    assert_int_equal(c->reg[RDX], 1);
}

/* ---- shadows --------------------------------------------------------------------------------- */

static void bad_78_a_single_step_trap_comes_after_the_instruction_behind_mov_ss(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = BENCH_DS;
    bench_rflags_set(b, 0, FLAG_TF);
    assert_int_equal(BENCH_RUN(b, 0x8e, 0xd0, 0x90, 0x90, 0x90), EXC_DB); /* mov ss, ax; nops */
    assert_int_equal(b->frame.rip, BENCH_CODE + 3);
    assert_int_equal(c->dr6 & 0x4000, 0x4000);
}

static void bad_78_a_single_step_trap_comes_right_after_sti(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    bench_rflags_set(b, 0, FLAG_TF);
    assert_int_equal(BENCH_RUN(b, 0xfb, 0x90, 0x90), EXC_DB);
    assert_int_equal(b->frame.rip, BENCH_CODE + 1);
    assert_int_equal(b->frame.rflags & FLAG_IF, FLAG_IF);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_fault_in_user_mode_pushes_a_frame_on_the_stack_of_the_tss),
        T(a_software_interrupt_pushes_the_next_rip_and_no_rf),
        T(long_mode_aligns_the_stack_to_16_bytes),
        T(a_gate_with_an_ist_switches_stacks_at_the_same_privilege),
        T(a_trap_gate_leaves_if_set),
        T(protected_mode_switches_to_the_stack_of_the_tss),
        T(real_mode_pushes_three_words),
        T(a_privileged_instruction_of_virtual_8086_mode_saves_all_segments),
        T(int_n_of_virtual_8086_mode_needs_iopl_3),
        T(vme_redirects_int_n_to_the_real_mode_table),
        T(int_n_through_a_gate_of_lower_dpl_is_a_protection_fault),
        T(gates_that_are_wrong_give_the_error_codes_of_the_manual),
        T(bad_73_a_non_canonical_address_is_a_stack_fault_by_rsp_and_rbp),
        T(bad_73_a_push_below_a_non_canonical_rsp_is_a_stack_fault),
        T(bad_79_a_contributory_fault_in_the_delivery_of_one_is_a_double_fault),
        T(bad_79_a_page_fault_whose_gate_is_absent_is_a_double_fault),
        T(bad_79_a_page_fault_in_the_delivery_of_a_benign_one_is_delivered),
        T(bad_80_a_fault_in_the_delivery_of_a_double_fault_shuts_down),
        T(bad_81_an_idt_of_limit_0_shuts_down_at_the_first_fault),
        T(bad_81_an_idt_in_device_memory_shuts_down),
        T(bad_81_a_non_canonical_ist_is_a_stack_fault),
        T(bad_81_a_tss_without_room_for_the_ist_is_an_invalid_tss),
        T(bad_90_a_quotient_that_does_not_fit_is_a_divide_error),
        T(bad_78_a_single_step_trap_comes_after_the_instruction_behind_mov_ss),
        T(bad_78_a_single_step_trap_comes_right_after_sti),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
