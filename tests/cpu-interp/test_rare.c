/* SPDX-License-Identifier: MIT
 *
 * test_rare.c - instructions that the oracle cannot try, because they are invalid in 64-bit mode,
 * privileged, or have another result each time; and that no other test has (SDM 2, each
 * instruction's page).
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- 32-bit code ---------------------------------------------------------------------------- */

static void decimal_adjustments(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    c->reg[RAX] = 0x010f;
    assert_int_equal(BENCH_RUN(b, 0x37), BENCH_STOPPED); /* aaa: 0Fh + 6 */
    assert_int_equal(c->reg[RAX], 0x0205);
    assert_int_equal(bench_arithmetic(b) & (FLAG_CF | FLAG_AF), FLAG_CF | FLAG_AF);
    bench_rflags_set(b, 0, 0);
    c->reg[RAX] = 0x0105;
    assert_int_equal(BENCH_RUN(b, 0x37), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX], 0x0105);
    assert_int_equal(bench_arithmetic(b) & (FLAG_CF | FLAG_AF), 0);
    c->reg[RAX] = 0x0207;
    assert_int_equal(BENCH_RUN(b, 0xd5, 0x0a), BENCH_STOPPED); /* aad: 2 * 10 + 7 */
    assert_int_equal(c->reg[RAX], 27);
    assert_int_equal(bench_arithmetic(b) & (FLAG_ZF | FLAG_SF | FLAG_PF), FLAG_PF);
    bench_rflags_set(b, 0, 0);
    c->reg[RAX] = 0x35;
    c->reg[RBX] = 0x47;
    assert_int_equal(BENCH_RUN(b, 0x28, 0xd8, 0x2f), BENCH_STOPPED); /* sub al, bl; das */
    assert_int_equal(c->reg[RAX], 0x88);                             /* 35 - 47 + 100 */
    assert_int_equal(bench_arithmetic(b) & FLAG_CF, FLAG_CF);
}

static void salc_spreads_carry_over_al(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    c->reg[RAX] = 0x1200;
    assert_int_equal(BENCH_RUN(b, 0xf9, 0xd6), BENCH_STOPPED); /* stc; salc */
    assert_int_equal(c->reg[RAX], 0x12ff);
    assert_int_equal(BENCH_RUN(b, 0xf8, 0xd6), BENCH_STOPPED); /* clc; salc */
    assert_int_equal(c->reg[RAX], 0x1200);
}

static void address_of_16_bits_fills_a_wider_register(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_PROTECTED);

    c->reg[RAX] = UINT32_MAX;
    c->reg[RSI] = 0x12348000;
    c->reg[RBX] = 0x9001;
    assert_int_equal(BENCH_RUN(b, 0x67, 0x8d, 0x00), BENCH_STOPPED); /* lea eax, [bx+si] */
    assert_int_equal(c->reg[RAX], 0x1001);
}

/* ---- counters, numbers, bases --------------------------------------------------------------- */

static void rdtscp_and_rdpid_tell_tsc_aux(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t first;

    c->tsc_aux = 0x89abcdef;
    c->reg[RAX] = c->reg[RCX] = c->reg[RDX] = UINT64_MAX;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xf9), BENCH_STOPPED); /* rdtscp */
    assert_int_equal(c->reg[RCX], 0x89abcdef);
    assert_int_equal(c->reg[RAX] >> 32 | c->reg[RDX] >> 32, 0);
    first = c->reg[RDX] << 32 | c->reg[RAX];
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xf9), BENCH_STOPPED);
    assert_true((c->reg[RDX] << 32 | c->reg[RAX]) > first);
    c->reg[RAX] = UINT64_MAX;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x0f, 0xc7, 0xf8), BENCH_STOPPED); /* rdpid rax */
    assert_int_equal(c->reg[RAX], 0x89abcdef);
}

static void user_reads_time_unless_tsd_forbids(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xf9), BENCH_STOPPED);
    c->cr4 |= CR4_TSD;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xf9), EXC_GP);
    assert_int_equal(b->frame.error, 0);
}

static void there_is_no_performance_counter(void **state)
{
    struct bench *b = *state;

    bench_mode(b, 0, BENCH_LONG);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x33), EXC_GP); /* rdpmc */
    assert_int_equal(b->frame.error, 0);
}

static void random_numbers_come_with_carry(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    uint64_t first;

    assert_int_equal(BENCH_RUN(b, 0x48, 0x0f, 0xc7, 0xf0), BENCH_STOPPED); /* rdrand rax */
    assert_int_equal(bench_arithmetic(b), FLAG_CF);
    first = c->reg[RAX];
    assert_int_equal(BENCH_RUN(b, 0x48, 0x0f, 0xc7, 0xf8), BENCH_STOPPED); /* rdseed rax */
    assert_int_equal(bench_arithmetic(b), FLAG_CF);
    assert_true(c->reg[RAX] != first); /* once in 2^64 it is */
    c->reg[RBX] = UINT64_MAX;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xc7, 0xf3), BENCH_STOPPED); /* rdrand ebx */
    assert_int_equal(c->reg[RBX] >> 32, 0);
}

static void bases_of_fs_and_gs_are_read_if_cr4_allows(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->seg[SEG_FS].base = 0xffff812345678000;
    c->seg[SEG_GS].base = 0x1122334455;
    c->cr4 &= ~(uint64_t)CR4_FSGSBASE;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x48, 0x0f, 0xae, 0xc0), EXC_UD);
    c->cr4 |= CR4_FSGSBASE;
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x48, 0x0f, 0xae, 0xc0), BENCH_STOPPED); /* rdfsbase rax */
    assert_true(c->reg[RAX] == 0xffff812345678000);
    assert_int_equal(BENCH_RUN(b, 0xf3, 0x0f, 0xae, 0xcb), BENCH_STOPPED); /* rdgsbase ebx */
    assert_int_equal(c->reg[RBX], 0x22334455);
}

/* ---- privileged, and others ----------------------------------------------------------------- */

static void waiting_for_a_store_ends_at_once(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xc8, 0x0f, 0x01, 0xc9), BENCH_STOPPED);
    c->reg[RCX] = 1; /* for MWAIT: interrupts break it */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xc9), BENCH_STOPPED);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xc8), EXC_GP);
    c->reg[RCX] = 2;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xc9), EXC_GP);
    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xc8), EXC_UD);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xc9), EXC_UD);
}

static void stac_and_clac_move_ac_at_cpl_0_only(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 |= CR4_SMAP;
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xcb), BENCH_STOPPED);
    assert_true(bench_rflags(b, 0) & FLAG_AC);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xca), BENCH_STOPPED);
    assert_false(bench_rflags(b, 0) & FLAG_AC);
    bench_mode(b, 0, BENCH_USER);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xcb), EXC_UD);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xca), EXC_UD);
}

static void selector_of_the_ldt_is_stored(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->seg[SEG_LDT].selector = 0x68;
    c->reg[RAX] = UINT64_MAX;
    c->reg[RSI] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x66, 0x0f, 0x00, 0xc0), BENCH_STOPPED); /* sldt ax */
    assert_true(c->reg[RAX] == 0xffffffffffff0068);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x00, 0xc0), BENCH_STOPPED); /* sldt eax */
    assert_int_equal(c->reg[RAX], 0x68);
    bench_poke(b, BENCH_DATA, UINT64_MAX, 8);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x00, 0x06), BENCH_STOPPED); /* sldt [rsi]: 16 bits */
    assert_true(bench_peek(b, BENCH_DATA, 8) == 0xffffffffffff0068);
}

static void xcr0_is_read_by_all_and_written_by_cpl_0(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 |= CR4_OSXSAVE | CR4_OSFXSR;
    cpu_mode_changed(c);
    c->reg[RAX] = 7;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xd1), BENCH_STOPPED); /* xsetbv */
    assert_int_equal(c->xcr0, 7);
    c->reg[RAX] = 5; /* AVX without SSE */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xd1), EXC_GP);
    c->reg[RAX] = 0;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xd0), BENCH_STOPPED); /* xgetbv */
    assert_int_equal(c->reg[RAX], 7);
    assert_int_equal(c->reg[RDX], 0);
    c->reg[RCX] = 2;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0xd0), EXC_GP);
}

static void xsaves_is_for_cpl_0(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 |= CR4_OSXSAVE | CR4_OSFXSR;
    c->xcr0 = 3;
    cpu_mode_changed(c);
    c->v[5].u64[0] = 0x1234567890abcdef;
    c->reg[RSI] = BENCH_DATA;
    c->reg[RAX] = 3;
    memset(b->ram + BENCH_DATA, 0, 576);
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xc7, 0x2e), BENCH_STOPPED); /* xsaves [rsi] */
    assert_int_equal(bench_peek(b, BENCH_DATA + 160 + 5 * 16, 8), 0x1234567890abcdef);
    assert_true(bench_peek(b, BENCH_DATA + 520, 8) >> 63); /* compacted */
    c = bench_mode(b, 0, BENCH_USER);
    c->cr4 |= CR4_OSXSAVE | CR4_OSFXSR;
    cpu_mode_changed(c);
    c->reg[RSI] = BENCH_DATA;
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xc7, 0x2e), EXC_GP);
}

static void serialize_and_movnti(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->reg[RAX] = 0x1122334455667788;
    c->reg[RSI] = BENCH_DATA;
    bench_poke(b, BENCH_DATA, 0, 8);
    /* movnti [rsi], eax; serialize; movnti [rsi+8], rax */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0xc3, 0x06, 0x0f, 0x01, 0xe8, 0x48, 0x0f, 0xc3, 0x46, 8),
                     BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_DATA, 8), 0x55667788);
    assert_int_equal(bench_peek(b, BENCH_DATA + 8, 8), 0x1122334455667788);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(decimal_adjustments),
        TEST(salc_spreads_carry_over_al),
        TEST(address_of_16_bits_fills_a_wider_register),
        TEST(rdtscp_and_rdpid_tell_tsc_aux),
        TEST(user_reads_time_unless_tsd_forbids),
        TEST(there_is_no_performance_counter),
        TEST(random_numbers_come_with_carry),
        TEST(bases_of_fs_and_gs_are_read_if_cr4_allows),
        TEST(waiting_for_a_store_ends_at_once),
        TEST(stac_and_clac_move_ac_at_cpl_0_only),
        TEST(selector_of_the_ldt_is_stored),
        TEST(xcr0_is_read_by_all_and_written_by_cpl_0),
        TEST(xsaves_is_for_cpl_0),
        TEST(serialize_and_movnti),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
