/* SPDX-License-Identifier: MIT
 *
 * test_transfer.c - IRET, far JMP, CALL and RET, SYSCALL and its kind, task switches (SDM 3, 5.8
 * and chapter 7).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench.h"

#define NON_CANONICAL 0x8000000000000000u
#define TARGET 0x8800u        /* of transfers: in the page of code */
#define TASK BENCH_GDT_FREE   /* a second TSS' selector */
#define TASK_TSS (BENCH_DATA) /* and where it is */
#define GATE (BENCH_GDT_FREE + 0x10)

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

static void put_frame(struct bench *b, const uint64_t frame[5])
{
    bench_write(b, BENCH_DATA, frame, 40);
    b->cpu[0]->reg[RSP] = BENCH_DATA;
}

/* ---- IRET ------------------------------------------------------------------------------------ */

static void iretq_pops_the_stack_even_at_the_same_privilege(void **state)
{
    const uint64_t frame[] = {TARGET, BENCH_CS64, FLAG_ONE | FLAG_CF, BENCH_STACK - 64, BENCH_DS};
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    put_frame(b, frame);
    bench_write(b, TARGET, "\xf4", 1);
    assert_int_equal(BENCH_RUN(b, 0x48, 0xcf), BENCH_STOPPED);
    assert_int_equal(c->rip, TARGET + 1);
    assert_int_equal(c->reg[RSP], BENCH_STACK - 64);
    assert_int_equal(bench_rflags(b, 0), FLAG_ONE | FLAG_CF);
}

static void iretq_goes_to_user_mode_and_to_compatibility_mode(void **state)
{
    static const uint16_t cs[] = {BENCH_USER_CS64, BENCH_USER_CS32};
    struct bench *b = *state;

    for (uint32_t i = 0; i < 2; i++) {
        const uint64_t frame[] = {TARGET, cs[i], FLAG_ONE | FLAG_IF, 0x7000, BENCH_USER_DS};
        struct cpu *c = bench_mode(b, 0, BENCH_LONG);

        put_frame(b, frame);
        bench_write(b, TARGET, "\xcd\x90", 2);
        bench_write(b, BENCH_CODE, "\x48\xcf", 2);
        assert_int_equal(bench_go(b, 0, BENCH_CODE), 0x90);
        assert_int_equal(bench_frame_get(b, 0, 0x90).cs, cs[i]);
        assert_int_equal(bench_frame_get(b, 0, 0x90).rip, TARGET + 2);
        assert_int_equal(bench_frame_get(b, 0, 0x90).rsp, 0x7000);
        assert_int_equal(bench_frame_get(b, 0, 0x90).rflags, FLAG_ONE | FLAG_IF);
        assert_int_equal(c->reg[RSP], BENCH_STACK0 - 40);
    }
}

static void iretq_with_a_bad_frame_faults_and_keeps_everything(void **state)
{
    static const struct {
        uint64_t frame[5];
        uint32_t vector, error;
    } bad[] = {
        {{TARGET, 0, 2, 0x7000, BENCH_DS}, EXC_GP, 0},
        {{TARGET, BENCH_DS, 2, 0x7000, BENCH_DS}, EXC_GP, BENCH_DS},
        {{TARGET, 0x7f8, 2, 0x7000, BENCH_DS}, EXC_GP, 0x7f8},
        {{TARGET, BENCH_CS64 | 3, 2, 0x7000, BENCH_DS}, EXC_GP, BENCH_CS64},
        {{TARGET, BENCH_USER_CS64, 2, 0x7000, BENCH_DS}, EXC_GP, BENCH_DS},
        {{TARGET, BENCH_USER_CS64, 2, 0x7000, 3}, EXC_GP, 0},
        {{NON_CANONICAL, BENCH_CS64, 2, 0x7000, BENCH_DS}, EXC_GP, 0},
    };
    struct bench *b = *state;

    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cpu *c = bench_mode(b, 0, BENCH_LONG);

        put_frame(b, bad[i].frame);
        assert_int_equal(BENCH_RUN(b, 0x48, 0xcf), bad[i].vector);
        assert_int_equal(b->frame.error, bad[i].error);
        assert_int_equal(b->frame.rip, BENCH_CODE);
        assert_int_equal(c->reg[RSP], BENCH_DATA);
        assert_int_equal(b->frame.ss, BENCH_DS);
    }
}

static void iret_in_long_mode_refuses_nested_tasks(void **state)
{
    const uint64_t frame[] = {TARGET, BENCH_CS64, 2, 0x7000, BENCH_DS};
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    put_frame(b, frame);
    bench_rflags_set(b, 0, FLAG_NT);
    assert_int_equal(BENCH_RUN(b, 0x48, 0xcf), EXC_GP);
    assert_int_equal(b->frame.error, 0);
}

static void iret_lets_nmi_in_again(void **state)
{
    const uint64_t frame[] = {TARGET, BENCH_CS64, 2, 0x7000, BENCH_DS};
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->nmi_masked = 1;
    put_frame(b, frame);
    bench_write(b, TARGET, "\xf4", 1);
    assert_int_equal(BENCH_RUN(b, 0x48, 0xcf), BENCH_STOPPED);
    assert_int_equal(c->nmi_masked, 0);
}

/* ---- SYSCALL --------------------------------------------------------------------------------- */

static void syscall_and_sysret_go_to_the_kernel_and_back(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->lstar = TARGET;
    c->sfmask = FLAG_IF | FLAG_CF;
    bench_rflags_set(b, 0, FLAG_IF | FLAG_CF | FLAG_ZF);
    bench_write(b, TARGET, "\x48\x0f\x07", 3); /* sysretq */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x05), BENCH_STOPPED);
    assert_int_equal(c->reg[RCX], BENCH_CODE + 2);
    assert_int_equal(c->reg[R11], FLAG_ONE | FLAG_IF | FLAG_CF | FLAG_ZF);
    assert_int_equal(b->frame.cs, BENCH_USER_CS64);
    assert_int_equal(b->frame.ss, BENCH_USER_DS);
    assert_int_equal(b->frame.rflags, FLAG_ONE | FLAG_IF | FLAG_CF | FLAG_ZF);
}

static void syscall_loads_flat_segments_and_masks_flags(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->lstar = TARGET;
    c->sfmask = FLAG_IF;
    bench_rflags_set(b, 0, FLAG_IF | FLAG_ZF);
    bench_write(b, TARGET, "\xf4", 1);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x05), BENCH_STOPPED);
    assert_int_equal(c->cpl, 0);
    assert_int_equal(c->seg[SEG_CS].selector, BENCH_CS64);
    assert_int_equal(c->seg[SEG_CS].attributes, 0xa09b);
    assert_int_equal(c->seg[SEG_SS].selector, BENCH_DS);
    assert_int_equal(c->seg[SEG_SS].attributes, 0xc093);
    assert_int_equal(c->reg[RSP], BENCH_STACK);
    assert_int_equal(bench_rflags(b, 0), FLAG_ONE | FLAG_ZF);
}

static void syscall_without_its_enable_and_in_compatibility_mode_is_undefined(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    c->efer &= ~(uint64_t)EFER_SCE;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x05), EXC_UD);
    bench_mode(b, 0, BENCH_COMPAT);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x05), EXC_UD);
}

static void sysret_from_user_mode_is_a_protection_fault(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0x48, 0x0f, 0x07), EXC_GP);
}

static void sysenter_and_sysexit_use_their_msrs(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED_USER);

    assert_int_equal(BENCH_RUN(b, 0x0f, 0x34), EXC_GP); /* CS 0 */
    bench_mode(b, 0, BENCH_PROTECTED_USER);
    c->sysenter_cs = BENCH_CS64;
    c->sysenter_eip = TARGET;
    c->sysenter_esp = 0x7100;
    bench_write(b, TARGET, "\xf4", 1);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x34), BENCH_STOPPED);
    assert_int_equal(c->rip, TARGET + 1);
    assert_int_equal(c->reg[RSP], 0x7100);
    assert_int_equal(c->cpl, 0);
    c->reg[RDX] = TARGET + 0x10;
    c->reg[RCX] = 0x7200;
    bench_write(b, TARGET + 0x10, "\xcd\x90", 2);
    bench_write(b, BENCH_CODE, "\x0f\x35", 2);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), 0x90);
    assert_int_equal(bench_frame_get(b, 0, 0x90).cs, BENCH_CS64 + 16 + 3);
    assert_int_equal(bench_frame_get(b, 0, 0x90).rsp, 0x7200);
}

/* ---- non-canonical targets ------------------------------------------------------------------- */

static void bad_74_a_return_to_a_non_canonical_rip_faults_at_the_return(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_STACK - 8, NON_CANONICAL, 8);
    c->reg[RSP] = BENCH_STACK - 8;
    assert_int_equal(BENCH_RUN(b, 0xc3), EXC_GP);
    assert_int_equal(b->frame.rip, BENCH_CODE);
    assert_int_equal(b->frame.error, 0);
    assert_int_equal(c->reg[RSP], BENCH_STACK - 8);
}

static void bad_74_a_jump_to_a_non_canonical_rip_faults_at_the_jump(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = NON_CANONICAL;
    assert_int_equal(BENCH_RUN(b, 0xff, 0xe0), EXC_GP);
    assert_int_equal(b->frame.rip, BENCH_CODE);
}

static void bad_74_sysret_to_a_non_canonical_rip_faults_at_privilege_0(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RCX] = NON_CANONICAL;
    assert_int_equal(BENCH_RUN(b, 0x48, 0x0f, 0x07), EXC_GP);
    assert_int_equal(b->frame.cs, BENCH_CS64);
    assert_int_equal(b->frame.rip, BENCH_CODE);
}

static void bad_77_mov_ss_of_another_privilege_is_a_protection_fault(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = BENCH_DS | 3;
    assert_int_equal(BENCH_RUN(b, 0x8e, 0xd0), EXC_GP);
    assert_int_equal(b->frame.error, BENCH_DS);
}

/* ---- far transfers --------------------------------------------------------------------------- */

static void far_jump_goes_from_64_bit_to_compatibility_code(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_DATA, TARGET | (uint64_t)BENCH_CS32 << 32, 8);
    c->reg[RAX] = BENCH_DATA;
    bench_write(b, TARGET, "\xf4", 1);
    assert_int_equal(BENCH_RUN(b, 0xff, 0x28), BENCH_STOPPED); /* jmp far [rax] */
    assert_int_equal(c->seg[SEG_CS].selector, BENCH_CS32);
    assert_int_equal(c->mode & (MODE_64 | MODE_32), MODE_32);
    assert_int_equal(c->rip, TARGET + 1);
}

static void far_call_and_return_keep_the_stack(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    bench_write(b, TARGET, "\xca\x04\x00", 3); /* retf 4 */
    assert_int_equal(BENCH_RUN(b, 0x9a, 0x00, 0x88, 0, 0, BENCH_CS32, 0), BENCH_STOPPED);
    assert_int_equal(c->reg[RSP], BENCH_STACK + 4);
    assert_int_equal(bench_peek(b, BENCH_STACK - 4, 4), BENCH_CS32);
    assert_int_equal(bench_peek(b, BENCH_STACK - 8, 4), BENCH_CODE + 7);
}

static void far_transfers_in_real_mode_set_the_base(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);

    bench_write(b, TARGET, "\xcb", 1);
    assert_int_equal(BENCH_RUN(b, 0x9a, 0x00, 0x00, 0x80, 0x08), BENCH_STOPPED); /* 0880:0000 */
    assert_int_equal(c->rip, BENCH_CODE + 6);
    assert_int_equal(c->reg[RSP], BENCH_STACK);
    assert_int_equal(bench_peek(b, BENCH_STACK - 4, 2), BENCH_CODE + 5);
}

static void a_call_gate_copies_parameters_to_the_inner_stack(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED_USER);

    /* DPL 3, 2 parameters. */
    bench_poke(b, BENCH_GDT + GATE, TARGET | BENCH_CS32 << 16 | 0xec02ull << 32, 8);
    bench_poke(b, BENCH_STACK - 8, 0x1111, 4);
    bench_poke(b, BENCH_STACK - 4, 0x2222, 4);
    c->reg[RSP] = BENCH_STACK - 8;
    bench_write(b, TARGET, "\xca\x08\x00", 3); /* retf 8 */
    assert_int_equal(BENCH_RUN(b, 0x9a, 0, 0, 0, 0, GATE, 0), BENCH_STOPPED);
    assert_int_equal(b->frame.rsp, BENCH_STACK);
    assert_int_equal(b->frame.cs, BENCH_USER_CS32);
    /* SS ESP, parameters, CS EIP; the frame of INT came over it, but for the lowest word. */
    assert_int_equal(bench_peek(b, BENCH_STACK0 - 24, 4), BENCH_CODE + 7);
}

static void a_gate_of_higher_privilege_than_the_caller_is_refused(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_PROTECTED_USER);
    bench_poke(b, BENCH_GDT + GATE, TARGET | BENCH_CS32 << 16 | 0x8c00ull << 32, 8);
    assert_int_equal(BENCH_RUN(b, 0x9a, 0, 0, 0, 0, GATE, 0), EXC_GP);
    assert_int_equal(b->frame.error, GATE);
}

static void les_loads_a_segment_and_a_register(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    bench_poke(b, BENCH_DATA, 0x12345678 | (uint64_t)BENCH_USER_DS << 32, 8);
    c->reg[RBX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0xc4, 0x03), BENCH_STOPPED); /* les eax, [ebx] */
    assert_int_equal(c->reg[RAX], 0x12345678);
    assert_int_equal(c->seg[SEG_ES].selector, BENCH_USER_DS);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* A second 32-bit task at CPL 0, whose EIP is TARGET. */
static void put_task(struct bench *b)
{
    bench_poke(b, BENCH_GDT + TASK, 0x67 | (uint64_t)TASK_TSS << 16 | 0x89ull << 40, 8);
    for (uint32_t i = 0; i < 0x68; i += 4)
        bench_poke(b, TASK_TSS + i, 0, 4);
    bench_poke(b, TASK_TSS + 0x20, TARGET, 4);
    bench_poke(b, TASK_TSS + 0x24, FLAG_ONE | FLAG_CF, 4);
    bench_poke(b, TASK_TSS + 0x28, 0xaaaa, 4);
    bench_poke(b, TASK_TSS + 0x38, 0x7400, 4);
    for (uint32_t i = 0; i < 6; i++)
        bench_poke(b, TASK_TSS + 0x48 + i * 4, i == SEG_CS ? BENCH_CS32 : BENCH_DS, 4);
}

static uint8_t type_of(const struct bench *b, uint32_t selector)
{
    return (uint8_t)bench_peek(b, BENCH_GDT + selector + 5, 1);
}

static void a_far_jump_to_a_tss_switches_tasks(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    put_task(b);
    bench_write(b, TARGET, "\xf4", 1);
    c->reg[RBX] = 0x5555;
    assert_int_equal(BENCH_RUN(b, 0xea, 0, 0, 0, 0, TASK, 0), BENCH_STOPPED);
    assert_int_equal(c->rip, TARGET + 1);
    assert_int_equal(c->reg[RAX], 0xaaaa);
    assert_int_equal(c->reg[RBX], 0);
    assert_int_equal(c->reg[RSP], 0x7400);
    assert_int_equal(bench_rflags(b, 0), FLAG_ONE | FLAG_CF);
    assert_int_equal(c->seg[SEG_TR].selector, TASK);
    assert_int_equal(c->cr0 & CR0_TS, CR0_TS);
    assert_int_equal(type_of(b, TASK), 0x8b);
    assert_int_equal(type_of(b, BENCH_TR), 0x89);
    assert_int_equal(bench_peek(b, BENCH_TSS + 0x20, 4), BENCH_CODE + 7);
    assert_int_equal(bench_peek(b, BENCH_TSS + 0x34, 4), 0x5555);
}

static void a_called_task_returns_by_iret(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    put_task(b);
    bench_write(b, TARGET, "\xcf", 1);
    c->reg[RBX] = 0x5555;
    assert_int_equal(BENCH_RUN(b, 0x9a, 0, 0, 0, 0, TASK, 0), BENCH_STOPPED);
    assert_int_equal(c->rip, BENCH_CODE + 8);
    assert_int_equal(c->reg[RBX], 0x5555);
    assert_int_equal(c->seg[SEG_TR].selector, BENCH_TR);
    assert_int_equal(type_of(b, TASK), 0x89);
    assert_int_equal(type_of(b, BENCH_TR), 0x8b);
    assert_int_equal(bench_peek(b, TASK_TSS, 2), BENCH_TR);
    assert_int_equal(bench_peek(b, TASK_TSS + 0x24, 4), FLAG_ONE | FLAG_CF);
}

static void a_task_gate_takes_an_exception_and_its_error_code(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    put_task(b);
    bench_poke(b, BENCH_IDT + EXC_GP * 8, (uint64_t)TASK << 16 | 0x85ull << 40, 8);
    bench_write(b, TARGET, "\xf4", 1);
    c->reg[RCX] = 0x12345;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x32), BENCH_STOPPED);
    assert_int_equal(c->rip, TARGET + 1);
    assert_int_equal(c->reg[RSP], 0x7400 - 4);
    assert_int_equal(bench_peek(b, 0x7400 - 4, 4), 0);
    assert_int_equal(c->rflags & FLAG_NT, FLAG_NT);
    assert_int_equal(bench_peek(b, BENCH_TSS + 0x20, 4), BENCH_CODE);
}

static void bad_91_a_busy_or_short_tss_is_refused(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_PROTECTED);
    put_task(b);
    bench_poke(b, BENCH_GDT + TASK + 5, 0x8b, 1);
    assert_int_equal(BENCH_RUN(b, 0xea, 0, 0, 0, 0, TASK, 0), EXC_GP);
    assert_int_equal(b->frame.error, TASK);

    put_task(b);
    bench_poke(b, BENCH_GDT + TASK, 0x66, 2);
    assert_int_equal(BENCH_RUN(b, 0xea, 0, 0, 0, 0, TASK, 0), EXC_TS);
    assert_int_equal(b->frame.error, TASK);

    put_task(b);
    bench_poke(b, BENCH_GDT + TASK + 5, 0x09, 1);
    assert_int_equal(BENCH_RUN(b, 0xea, 0, 0, 0, 0, TASK, 0), EXC_NP);
    assert_int_equal(b->frame.error, TASK);
}

static void bad_91_a_task_with_a_bad_stack_faults_in_the_new_task(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    put_task(b);
    bench_poke(b, TASK_TSS + 0x50, BENCH_USER_DS, 2);
    bench_write(b, BENCH_CODE, "\xea\0\0\0\0\x60", 7);
    /* The new task's SS cannot be used: #TS cannot be pushed, and so on. */
    assert_int_equal(bench_go(b, 0, BENCH_CODE), BENCH_TRIPLE_FAULT);
    assert_int_equal(c->seg[SEG_TR].selector, TASK);
}

static void bad_91_a_16_bit_gate_pushes_words(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    bench_poke(b, BENCH_IDT + EXC_BP * 8 + 5, 0xe6, 1);
    bench_write(b, BENCH_CODE, "\xcc", 1);
    assert_int_equal(bench_go(b, 0, BENCH_CODE), EXC_BP);
    assert_int_equal(c->reg[RSP], BENCH_STACK - 6);
    assert_int_equal(bench_peek(b, BENCH_STACK - 6, 2), BENCH_CODE + 1);
    assert_int_equal(bench_peek(b, BENCH_STACK - 4, 2), BENCH_CS32);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(iretq_pops_the_stack_even_at_the_same_privilege),
        T(iretq_goes_to_user_mode_and_to_compatibility_mode),
        T(iretq_with_a_bad_frame_faults_and_keeps_everything),
        T(iret_in_long_mode_refuses_nested_tasks),
        T(iret_lets_nmi_in_again),
        T(syscall_and_sysret_go_to_the_kernel_and_back),
        T(syscall_loads_flat_segments_and_masks_flags),
        T(syscall_without_its_enable_and_in_compatibility_mode_is_undefined),
        T(sysret_from_user_mode_is_a_protection_fault),
        T(sysenter_and_sysexit_use_their_msrs),
        T(bad_74_a_return_to_a_non_canonical_rip_faults_at_the_return),
        T(bad_74_a_jump_to_a_non_canonical_rip_faults_at_the_jump),
        T(bad_74_sysret_to_a_non_canonical_rip_faults_at_privilege_0),
        T(bad_77_mov_ss_of_another_privilege_is_a_protection_fault),
        T(far_jump_goes_from_64_bit_to_compatibility_code),
        T(far_call_and_return_keep_the_stack),
        T(far_transfers_in_real_mode_set_the_base),
        T(a_call_gate_copies_parameters_to_the_inner_stack),
        T(a_gate_of_higher_privilege_than_the_caller_is_refused),
        T(les_loads_a_segment_and_a_register),
        T(a_far_jump_to_a_tss_switches_tasks),
        T(a_called_task_returns_by_iret),
        T(a_task_gate_takes_an_exception_and_its_error_code),
        T(bad_91_a_busy_or_short_tss_is_refused),
        T(bad_91_a_task_with_a_bad_stack_faults_in_the_new_task),
        T(bad_91_a_16_bit_gate_pushes_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
