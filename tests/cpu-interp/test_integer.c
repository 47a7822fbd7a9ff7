/* SPDX-License-Identifier: MIT
 *
 * Integer instructions: what the comparison with the host's processor does not reach - 16-bit
 * forms, fused branches, stacks, flags that POPF may change, precise repetition, split locks.
 * It does not show the flags of each instruction: the oracle's tests do.
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CF FLAG_CF
#define ZF FLAG_ZF
#define SF FLAG_SF
#define OF FLAG_OF
#define PF FLAG_PF
#define AF FLAG_AF

static int setup(void **state)
{
    *state = bench_create(1);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

/* ---- arithmetic ----------------------------------------------------------------------------- */

static void adc_adds_the_carry_of_every_kind_of_instruction(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = UINT64_MAX;
    /* add rax, 1; adc rbx, 0; sub rcx, 1; adc rdx, 0; stc; inc rsi; adc rdi, 0 */
    assert_int_equal(BENCH_RUN(b, 0x48, 0x83, 0xc0, 0x01, 0x48, 0x83, 0xd3, 0x00, 0x48, 0x83, 0xe9,
                               0x01, 0x48, 0x83, 0xd2, 0x00, 0xf9, 0x48, 0xff, 0xc6, 0x48, 0x83,
                               0xd7, 0x00),
                     BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0);
    assert_int_equal(c->reg[RBX], 1);
    assert_int_equal(c->reg[RCX], UINT64_MAX);
    assert_int_equal(c->reg[RDX], 1);
    assert_int_equal(c->reg[RDI], 1);
}

static void sbb_with_equal_operands_borrows_when_carry_is_set(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 5;
    c->reg[RBX] = 5;
    assert_int_equal(BENCH_RUN(b, 0xf9, 0x18, 0xd8), BENCH_STOPPED); /* stc; sbb al, bl */
    assert_int_equal(c->reg[RAX], 0xff);
    assert_int_equal(bench_arithmetic(b), CF | SF | PF | AF);
}

static void narrow_results_keep_the_rest_of_the_register(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = c->reg[RBX] = c->reg[RCX] = 0x1122334455667788;
    /* add ah, al; add bx, bx; add ecx, ecx */
    assert_int_equal(BENCH_RUN(b, 0x00, 0xc4, 0x66, 0x01, 0xdb, 0x01, 0xc9), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x112233445566ff88);
    assert_int_equal(c->reg[RBX], 0x112233445566ef10);
    assert_int_equal(c->reg[RCX], 0xaaccef10);
}

static void division_by_zero_and_overflow_change_nothing(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 10;
    assert_int_equal(BENCH_RUN(b, 0x48, 0xf7, 0xf3), EXC_DE); /* div rbx */
    c->reg[RDX] = 3;
    c->reg[RBX] = 3;
    assert_int_equal(BENCH_RUN(b, 0x48, 0xf7, 0xf3), EXC_DE);
    c->reg[RDX] = 1ull << 63;
    c->reg[RAX] = 0;
    c->reg[RBX] = UINT64_MAX;
    assert_int_equal(BENCH_RUN(b, 0x48, 0xf7, 0xfb), EXC_DE); /* idiv rbx */
    assert_int_equal(c->reg[RDX], 1ull << 63);
    assert_int_equal(c->reg[RAX], 0);
    assert_int_equal(c->rip, BENCH_CODE);
}

static void division_gives_quotient_and_remainder_of_128_bits(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RDX] = 1;
    c->reg[RAX] = 5;
    c->reg[RBX] = 16;
    assert_int_equal(BENCH_RUN(b, 0x48, 0xf7, 0xf3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 1ull << 60);
    assert_int_equal(c->reg[RDX], 5);
}

static void shift_by_zero_leaves_flags_and_clears_the_upper_half(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = UINT64_MAX;
    c->reg[RCX] = 32;
    bench_rflags_set(b, 0, CF | OF | ZF | FLAG_ONE);
    assert_int_equal(BENCH_RUN(b, 0xd3, 0xe0), BENCH_STOPPED); /* shl eax, cl */
    assert_int_equal(c->reg[RAX], UINT32_MAX);
    assert_int_equal(bench_arithmetic(b), CF | OF | ZF);
}

static void rotate_through_carry_of_a_byte_turns_nine_bits(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 0x81;
    c->reg[RBX] = 0x81;
    /* stc; rcl al, 9; rcl bl, 1 */
    assert_int_equal(BENCH_RUN(b, 0xf9, 0xc0, 0xd0, 0x09, 0xd0, 0xd3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x81);
    assert_int_equal(c->reg[RBX], 0x03);
    assert_true(bench_arithmetic(b) & CF);
}

/* ---- branches ------------------------------------------------------------------------------- */

/* RAX = taken, for CMP and each condition, with the flags left for a second look. */
static void compare_and_branch_agrees_with_setcc(void **state)
{
    static const uint64_t values[] = {0,         1,          0x7f,       0x80,
                                      0xff,      0x7fffffff, 0x80000000, UINT32_MAX,
                                      INT64_MAX, 1ull << 63, UINT64_MAX};
    static const uint8_t prefixes[][2] = {{0x90, 0x38}, {0x90, 0x39}, {0x48, 0x39}, {0x48, 0x85}};
    struct bench *b = *state;

    for (uint32_t form = 0; form < 4; form++)
        for (uint32_t x = 0; x < 11; x++)
            for (uint32_t y = 0; y < 11; y++)
                for (uint8_t code = 0; code < 16; code++) {
                    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
                    c->reg[RBX] = values[x];
                    c->reg[RCX] = values[y];
                    /* op rbx, rcx; jcc +3; mov dl, 1; nop; setcc al */
                    int end = BENCH_RUN(b, prefixes[form][0], prefixes[form][1], 0xcb,
                                        (uint8_t)(0x70 | code), 3, 0xb2, 1, 0x90, 0x0f,
                                        (uint8_t)(0x90 | code), 0xc0);
                    assert_int_equal(end, BENCH_STOPPED);
                    assert_int_equal(c->reg[RAX], !c->reg[RDX]);
                    if (form == 2 && code == 12)
                        assert_int_equal(c->reg[RAX], (int64_t)values[x] < (int64_t)values[y]);
                }
}

static void compare_of_memory_and_branch_are_one(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_DATA, 0xfff0, 4);
    c->reg[RBX] = BENCH_DATA;
    /* cmp dword [rbx], 0xfff0; je +2; mov al, 1; cmp word...: cmp [rbx], ecx; ja +2; mov ah, 1 */
    assert_int_equal(
        BENCH_RUN(b, 0x81, 0x3b, 0xf0, 0xff, 0, 0, 0x74, 2, 0xb0, 1, 0x39, 0x0b, 0x77, 2, 0xb4, 1),
        BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0);
    /* cmp byte [rbx], 0xf0; jne; mov al, 1; test byte [rbx], 0x10; jz; mov ah, 1 */
    assert_int_equal(
        BENCH_RUN(b, 0x80, 0x3b, 0xf0, 0x75, 2, 0xb0, 1, 0xf6, 0x03, 0x10, 0x74, 2, 0xb4, 1),
        BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x101);
}

static void faulting_compare_before_a_branch_points_at_the_compare(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_page_set(b, BENCH_DATA, 0);
    c->reg[RBX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x90, 0x39, 0x0b, 0x77, 2, 0xb4, 1), EXC_PF);
    assert_int_equal(c->rip, BENCH_CODE + 1);
}

static void loop_ends_with_the_count_at_zero(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RCX] = 1000;
    assert_int_equal(BENCH_RUN(b, 0x48, 0xff, 0xc0, 0xe2, 0xfb), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 1000);
    assert_int_equal(c->reg[RCX], 0);
}

static void indirect_jump_to_a_non_canonical_address_faults_at_the_jump(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 1ull << 47;
    assert_int_equal(BENCH_RUN(b, 0xff, 0xe0), EXC_GP);
    assert_int_equal(c->rip, BENCH_CODE);
    bench_poke(b, BENCH_STACK, 1ull << 47, 8);
    c->reg[RSP] = BENCH_STACK;
    assert_int_equal(BENCH_RUN(b, 0xc3), EXC_GP);
    assert_int_equal(c->rip, BENCH_CODE);
    assert_int_equal(c->reg[RSP], BENCH_STACK);
}

static void call_and_return_in_16_bit_code(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);
    uint64_t sp = c->reg[RSP];

    /* call +2; jmp +3; inc ax; ret */
    assert_int_equal(BENCH_RUN(b, 0xe8, 0x02, 0x00, 0xeb, 0x02, 0x40, 0xc3), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 1);
    assert_int_equal(c->reg[RSP], sp);
    assert_int_equal(bench_peek(b, sp - 2, 2), (BENCH_CODE + 3) & 0xffff);
}

/* ---- stack ---------------------------------------------------------------------------------- */

static void push_and_pop_of_the_stack_pointer(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t sp = c->reg[RSP];

    assert_int_equal(BENCH_RUN(b, 0x54, 0x58, 0x50, 0x5c), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], sp);
    assert_int_equal(c->reg[RSP], sp);
}

static void pop_to_memory_addresses_it_by_the_new_stack_pointer(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t sp = c->reg[RSP];

    /* push 0x12; pop [rsp - 0x20] */
    assert_int_equal(BENCH_RUN(b, 0x6a, 0x12, 0x8f, 0x44, 0x24, 0xe0), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, sp - 0x20, 8), 0x12);
    assert_int_equal(c->reg[RSP], sp);
}

static void pop_to_memory_that_faults_leaves_the_stack_pointer(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t sp = c->reg[RSP];

    bench_page_set(b, BENCH_DATA, 0);
    c->reg[RBX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x8f, 0x03), EXC_PF);
    assert_int_equal(c->reg[RSP], sp);
}

static void pusha_and_popa_in_16_bit_code(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);
    uint64_t sp = c->reg[RSP];

    for (uint32_t k = 0; k < 8; k++)
        if (k != RSP)
            c->reg[k] = 0x11110000 | k;
    assert_int_equal(BENCH_RUN(b, 0x60), BENCH_STOPPED);
    assert_int_equal(c->reg[RSP], sp - 16);
    assert_int_equal(bench_peek(b, sp - 2, 2), RAX);
    assert_int_equal(bench_peek(b, sp - 10, 2), sp & 0xffff);
    assert_int_equal(bench_peek(b, sp - 16, 2), RDI);
    c->reg[RBX] = 0x22222222;
    assert_int_equal(BENCH_RUN(b, 0x61), BENCH_STOPPED);
    assert_int_equal(c->reg[RBX], 0x22220003);
    assert_int_equal(c->reg[RSP], sp);
}

static void popf_changes_no_privileged_flag_at_cpl_3(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    /* push 0x3a45 (IOPL 3, IF, OF, CF, ZF, PF); popf */
    assert_int_equal(BENCH_RUN(b, 0x68, 0x45, 0x3a, 0, 0, 0x9d), BENCH_STOPPED);
    assert_int_equal(c->rflags & (FLAG_IOPL | FLAG_IF), 0);
}

static void popf_at_cpl_0_changes_the_interrupt_flag(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    assert_int_equal(BENCH_RUN(b, 0x68, 0x41, 0x02, 0, 0, 0x9d, 0x9c, 0x58), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], FLAG_IF | ZF | CF | FLAG_ONE);
}

static void enter_and_leave_build_a_nested_frame(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t sp = c->reg[RSP];

    c->reg[RBP] = BENCH_DATA + 0x100;
    bench_poke(b, BENCH_DATA + 0xf8, 0x77, 8);
    assert_int_equal(BENCH_RUN(b, 0xc8, 0x20, 0x00, 0x02), BENCH_STOPPED); /* enter 32, 2 */
    assert_int_equal(c->reg[RBP], sp - 8);
    assert_int_equal(c->reg[RSP], sp - 24 - 32);
    assert_int_equal(bench_peek(b, sp - 8, 8), BENCH_DATA + 0x100);
    assert_int_equal(bench_peek(b, sp - 16, 8), 0x77);
    assert_int_equal(bench_peek(b, sp - 24, 8), sp - 8);
    assert_int_equal(BENCH_RUN(b, 0xc9), BENCH_STOPPED);
    assert_int_equal(c->reg[RSP], sp);
    assert_int_equal(c->reg[RBP], BENCH_DATA + 0x100);
}

/* ---- strings -------------------------------------------------------------------------------- */

static void rep_movs_across_pages_copies_all(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    for (uint32_t k = 0; k < 10000; k++)
        b->ram[BENCH_FREE + 5 + k] = (uint8_t)(k * 7);
    c->reg[RSI] = BENCH_FREE + 5;
    c->reg[RDI] = BENCH_FREE + 0x8003;
    c->reg[RCX] = 1250;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x48, 0xa5), BENCH_STOPPED);
    assert_memory_equal(b->ram + BENCH_FREE + 5, b->ram + BENCH_FREE + 0x8003, 10000);
    assert_int_equal(c->reg[RCX], 0);
    assert_int_equal(c->reg[RSI], BENCH_FREE + 5 + 10000);
    assert_int_equal(c->reg[RDI], BENCH_FREE + 0x8003 + 10000);
}

/* As a loop of single moves would, for each distance of the destination. */
static void rep_movs_over_itself_repeats_what_it_wrote(void **state)
{
    struct bench *b = *state;

    for (int64_t distance = -20; distance <= 20; distance++)
        for (uint32_t log = 0; log < 4; log++) {
            struct cpu *c = bench_mode(b, 0, BENCH_LONG);
            uint8_t model[256], *ram = b->ram + BENCH_FREE;
            uint32_t size = 1u << log, n = 96 / size;

            for (uint32_t k = 0; k < 256; k++)
                model[k] = ram[k] = (uint8_t)(k * 5 + 1);
            for (uint32_t k = 0; k < n; k++) {
                uint8_t element[8];
                memcpy(element, model + 64 + k * size, size);
                memcpy(model + 64 + distance + k * size, element, size);
            }
            c->reg[RSI] = BENCH_FREE + 64;
            c->reg[RDI] = BENCH_FREE + 64 + (uint64_t)distance;
            c->reg[RCX] = n;
            const uint8_t codes[4][4] = {{0x90, 0x90, 0xf3, 0xa4},
                                         {0x90, 0x66, 0xf3, 0xa5},
                                         {0x90, 0x90, 0xf3, 0xa5},
                                         {0x90, 0xf3, 0x48, 0xa5}};
            assert_int_equal(bench_run(b, codes[log], 4), BENCH_STOPPED);
            assert_memory_equal(ram, model, 256);
        }
}

static void rep_movs_downwards(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    memcpy(b->ram + BENCH_FREE, "0123456789", 10);
    c->reg[RSI] = BENCH_FREE + 9;
    c->reg[RDI] = BENCH_FREE + 12;
    c->reg[RCX] = 10;
    assert_int_equal(BENCH_RUN(b, 0xfd, 0xf3, 0xa4), BENCH_STOPPED);
    assert_memory_equal(b->ram + BENCH_FREE + 3, "0123456789", 10);
    assert_int_equal(c->reg[RSI], BENCH_FREE - 1);
}

static void rep_stos_stops_at_the_iteration_that_faults(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_page_set(b, BENCH_FREE + 0x1000, 0);
    c->reg[RDI] = BENCH_FREE + 0xff2;
    c->reg[RAX] = 0x0102030405060708;
    c->reg[RCX] = 100;
    assert_int_equal(BENCH_RUN(b, 0x90, 0xf3, 0x48, 0xab), EXC_PF);
    assert_int_equal(c->rip, BENCH_CODE + 1);
    assert_int_equal(c->reg[RCX], 99);
    assert_int_equal(c->reg[RDI], BENCH_FREE + 0xffa);
    assert_int_equal(bench_peek(b, BENCH_FREE + 0xff2, 8), 0x0102030405060708);
    assert_int_equal(bench_peek(b, BENCH_FREE + 0xffa, 2), 0);
    assert_int_equal(c->cr2, BENCH_FREE + 0x1000);
}

static void source_of_movs_faults_before_its_destination(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_page_set(b, BENCH_FREE + 0x1000, 0);
    bench_page_set(b, BENCH_FREE + 0x4000, 0);
    c->reg[RSI] = BENCH_FREE + 0xffe; /* its first element crosses */
    c->reg[RDI] = BENCH_FREE + 0x4000;
    c->reg[RCX] = 2;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0xa5), EXC_PF);
    assert_int_equal(c->cr2, BENCH_FREE + 0x1000);
}

static void rep_with_a_count_of_all_ones_runs_into_a_fault(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_page_set(b, BENCH_FREE + 0x2000, 0);
    c->reg[RDI] = BENCH_FREE;
    c->reg[RCX] = UINT64_MAX;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0xaa), EXC_PF);
    assert_int_equal(c->reg[RCX], UINT64_MAX - 0x2000);
    assert_int_equal(c->reg[RDI], BENCH_FREE + 0x2000);
}

static void scas_stops_after_the_element_found(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    memcpy(b->ram + BENCH_FREE, "abcdef", 7);
    c->reg[RDI] = BENCH_FREE;
    c->reg[RCX] = UINT64_MAX;
    assert_int_equal(BENCH_RUN(b, 0xf2, 0xae), BENCH_STOPPED); /* repne scasb */
    assert_int_equal(c->reg[RDI], BENCH_FREE + 7);
    assert_int_equal(~c->reg[RCX], 7);
    assert_true(bench_arithmetic(b) & ZF);
}

static void cmps_with_a_count_of_zero_leaves_flags(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    bench_rflags_set(b, 0, CF | SF | FLAG_ONE);
    assert_int_equal(BENCH_RUN(b, 0xf3, 0xa6), BENCH_STOPPED);
    assert_int_equal(bench_arithmetic(b), CF | SF);
}

static void strings_of_16_bit_addresses_wrap_in_16_bits(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);

    bench_poke(b, 0xfffe, 0x2211, 2);
    bench_poke(b, 0x10000, 0x99, 1);
    uint64_t first = bench_peek(b, 0, 1);
    c->reg[RSI] = 0x5555fffe;
    c->reg[RDI] = 0xd000;
    c->reg[RCX] = 0x66660003;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0xa4), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, 0xd000, 2), 0x2211);
    assert_int_equal(bench_peek(b, 0xd002, 1), first);
    assert_int_equal(c->reg[RSI], 0x55550001);
    assert_int_equal(c->reg[RCX], 0x66660000);
}

/* ---- bits, decimals, atomics ---------------------------------------------------------------- */

static void bit_offsets_reach_before_and_beyond_the_operand(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RBX] = BENCH_FREE + 0x100;
    c->reg[RCX] = (uint64_t)-1;
    c->reg[RDX] = 1000;
    /* bts [rbx], rcx; lock bts [rbx], rdx; bt [rbx], rdx */
    assert_int_equal(
        BENCH_RUN(b, 0x48, 0x0f, 0xab, 0x0b, 0xf0, 0x48, 0x0f, 0xab, 0x13, 0x48, 0x0f, 0xa3, 0x13),
        BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_FREE + 0xff, 1), 0x80);
    assert_int_equal(bench_peek(b, BENCH_FREE + 0x100 + 125, 1), 1);
    assert_true(bench_arithmetic(b) & CF);
}

static void decimal_adjustments_in_16_bit_code(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);

    c->reg[RAX] = 0x79;
    assert_int_equal(BENCH_RUN(b, 0x04, 0x35, 0x27), BENCH_STOPPED); /* add al, 0x35; daa */
    assert_int_equal(c->reg[RAX], 0x14);
    assert_true(bench_arithmetic(b) & CF);
    c->reg[RAX] = 0x0205;
    assert_int_equal(BENCH_RUN(b, 0x2c, 0x09, 0x3f), BENCH_STOPPED); /* sub al, 9; aas */
    assert_int_equal(c->reg[RAX], 0x0106);
    c->reg[RAX] = 39;
    assert_int_equal(BENCH_RUN(b, 0xd4, 0x0a), BENCH_STOPPED); /* aam */
    assert_int_equal(c->reg[RAX], 0x0309);
    assert_int_equal(BENCH_RUN(b, 0xd4, 0x00), EXC_DE);
}

static void bound_outside_raises_br(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);

    bench_poke(b, BENCH_DATA, 0x0010fff0, 4);
    c->reg[RBX] = BENCH_DATA;
    c->reg[RAX] = 0xfff0;
    assert_int_equal(BENCH_RUN(b, 0x62, 0x07), BENCH_STOPPED);
    c->reg[RAX] = 0x11;
    assert_int_equal(BENCH_RUN(b, 0x62, 0x07), EXC_BR);
}

static void locked_addition_works_aligned_unaligned_and_across_pages(void **state)
{
    static const uint64_t places[] = {BENCH_FREE, BENCH_FREE + 3, BENCH_FREE + 0xffd};
    struct bench *b = *state;

    for (uint32_t k = 0; k < 3; k++) {
        struct cpu *c = bench_mode(b, 0, BENCH_LONG);
        bench_poke(b, places[k], 0xffffffff, 4);
        c->reg[RBX] = places[k];
        c->reg[RAX] = 2;
        /* lock xadd [rbx], eax; lock adc dword [rbx], 1 */
        assert_int_equal(BENCH_RUN(b, 0xf0, 0x0f, 0xc1, 0x03, 0xf0, 0x83, 0x13, 0x01),
                         BENCH_STOPPED);
        assert_int_equal(c->reg[RAX], 0xffffffff);
        assert_int_equal(bench_peek(b, places[k], 4), 3);
    }
}

static void locked_access_that_faults_releases_the_split_lock(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_page_set(b, BENCH_FREE + 0x1000, 0);
    c->reg[RBX] = BENCH_FREE + 0xffd;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0xff, 0x03), EXC_PF);
    assert_int_equal(pthread_mutex_trylock(&b->engine->split_lock), 0);
    pthread_mutex_unlock(&b->engine->split_lock);
}

static void cmpxchg_stores_when_equal_and_loads_otherwise(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    bench_poke(b, BENCH_FREE, 7, 8);
    c->reg[RBX] = BENCH_FREE;
    c->reg[RAX] = 7;
    c->reg[RCX] = 9;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x48, 0x0f, 0xb1, 0x0b), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_FREE, 8), 9);
    assert_true(bench_arithmetic(b) & ZF);
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x48, 0x0f, 0xb1, 0x0b), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 9);
    assert_false(bench_arithmetic(b) & ZF);
}

static void cmpxchg_of_registers_that_differ_leaves_the_destination(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RBX] = 0x1111111122222222;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xb1, 0xcb), BENCH_STOPPED); /* cmpxchg ebx, ecx */
    assert_int_equal(c->reg[RBX], 0x1111111122222222);
    assert_int_equal(c->reg[RAX], 0x22222222);
}

static void cmpxchg16b_swaps_and_wants_alignment(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RSI] = BENCH_FREE;
    c->reg[RBX] = 5;
    c->reg[RCX] = 6;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x48, 0x0f, 0xc7, 0x0e), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_FREE, 8), 5);
    assert_int_equal(bench_peek(b, BENCH_FREE + 8, 8), 6);
    assert_true(bench_arithmetic(b) & ZF);
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x48, 0x0f, 0xc7, 0x0e), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 5);
    assert_int_equal(c->reg[RDX], 6);
    c->reg[RSI] += 8;
    assert_int_equal(BENCH_RUN(b, 0xf0, 0x48, 0x0f, 0xc7, 0x0e), EXC_GP);
}

/* ---- moves ---------------------------------------------------------------------------------- */

static void mov_to_the_code_segment_is_undefined(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    assert_int_equal(BENCH_RUN(b, 0x8e, 0xc8), EXC_UD);
}

static void moves_with_absolute_offsets_of_64_bits(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 0x1234;
    /* mov [0x100008], rax; mov al, [0x8000000000000000] */
    assert_int_equal(BENCH_RUN(b, 0x48, 0xa3, 8, 0, 0x10, 0, 0, 0, 0, 0), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, 0x100008, 8), 0x1234);
    assert_int_equal(BENCH_RUN(b, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0x80), EXC_GP);
}

static void conditional_move_clears_the_upper_half_in_any_case(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = UINT64_MAX;
    c->reg[RBX] = 1;
    assert_int_equal(BENCH_RUN(b, 0xf8, 0x0f, 0x42, 0xc3), BENCH_STOPPED); /* clc; cmovb eax, ebx */
    assert_int_equal(c->reg[RAX], UINT32_MAX);
}

static void xlat_uses_al_as_an_unsigned_index(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_REAL);

    bench_poke(b, BENCH_DATA + 0xfe, 0x42, 1);
    c->reg[RBX] = BENCH_DATA;
    c->reg[RAX] = 0x1fe;
    assert_int_equal(BENCH_RUN(b, 0xd7), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x142);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(adc_adds_the_carry_of_every_kind_of_instruction),
        T(sbb_with_equal_operands_borrows_when_carry_is_set),
        T(narrow_results_keep_the_rest_of_the_register),
        T(division_by_zero_and_overflow_change_nothing),
        T(division_gives_quotient_and_remainder_of_128_bits),
        T(shift_by_zero_leaves_flags_and_clears_the_upper_half),
        T(rotate_through_carry_of_a_byte_turns_nine_bits),
        T(compare_and_branch_agrees_with_setcc),
        T(compare_of_memory_and_branch_are_one),
        T(faulting_compare_before_a_branch_points_at_the_compare),
        T(loop_ends_with_the_count_at_zero),
        T(indirect_jump_to_a_non_canonical_address_faults_at_the_jump),
        T(call_and_return_in_16_bit_code),
        T(push_and_pop_of_the_stack_pointer),
        T(pop_to_memory_addresses_it_by_the_new_stack_pointer),
        T(pop_to_memory_that_faults_leaves_the_stack_pointer),
        T(pusha_and_popa_in_16_bit_code),
        T(popf_changes_no_privileged_flag_at_cpl_3),
        T(popf_at_cpl_0_changes_the_interrupt_flag),
        T(enter_and_leave_build_a_nested_frame),
        T(rep_movs_across_pages_copies_all),
        T(rep_movs_over_itself_repeats_what_it_wrote),
        T(rep_movs_downwards),
        T(rep_stos_stops_at_the_iteration_that_faults),
        T(source_of_movs_faults_before_its_destination),
        T(rep_with_a_count_of_all_ones_runs_into_a_fault),
        T(scas_stops_after_the_element_found),
        T(cmps_with_a_count_of_zero_leaves_flags),
        T(strings_of_16_bit_addresses_wrap_in_16_bits),
        T(bit_offsets_reach_before_and_beyond_the_operand),
        T(decimal_adjustments_in_16_bit_code),
        T(bound_outside_raises_br),
        T(locked_addition_works_aligned_unaligned_and_across_pages),
        T(locked_access_that_faults_releases_the_split_lock),
        T(cmpxchg_stores_when_equal_and_loads_otherwise),
        T(cmpxchg_of_registers_that_differ_leaves_the_destination),
        T(cmpxchg16b_swaps_and_wants_alignment),
        T(mov_to_the_code_segment_is_undefined),
        T(moves_with_absolute_offsets_of_64_bits),
        T(conditional_move_clears_the_upper_half_in_any_case),
        T(xlat_uses_al_as_an_unsigned_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
