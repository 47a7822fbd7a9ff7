/* SPDX-License-Identifier: MIT
 *
 * test_sse_faults.c - what vector instructions raise, and XSAVE. Their results are compared with
 * the host's in test_sse_host.c.
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fpu/mxcsr.h"

static struct cpu *begin(void **state)
{
    struct bench *b = *state;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    c->xcr0 = 7;
    cpu_mode_changed(c);
    memset(c->v, 0, sizeof(c->v));
    mxcsr_load(c, MXCSR_DEFAULT);
    c->reg[RSI] = BENCH_DATA;
    return c;
}

#define MOVAPS_LOAD 0x0f, 0x28, 0x06   /* movaps xmm0, [rsi] */
#define MOVUPS_LOAD 0x0f, 0x10, 0x06   /* movups xmm0, [rsi] */
#define PADDB_LOAD 0x66, 0x0f, 0xfc, 6 /* paddb xmm0, [rsi] */
#define VPADDB 0xc5, 0xf9, 0xfc, 0x06  /* vpaddb xmm0, xmm0, [rsi] */
#define DIVSD 0xf2, 0x0f, 0x5e, 0xc1   /* divsd xmm0, xmm1 */

static void misaligned_operand_faults_where_it_must(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    c->reg[RSI]++;
    assert_int_equal(BENCH_RUN(b, MOVAPS_LOAD), EXC_GP);
    assert_int_equal(b->frame.error, 0);
    assert_int_equal(BENCH_RUN(b, PADDB_LOAD), EXC_GP);
    assert_int_equal(BENCH_RUN(b, MOVUPS_LOAD), BENCH_STOPPED);
    assert_int_equal(BENCH_RUN(b, VPADDB), BENCH_STOPPED);
}

static void operand_across_two_pages_is_read_whole(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    bench_poke(b, BENCH_DATA + 0xff8, 0x1122334455667788, 8);
    bench_poke(b, BENCH_DATA + 0x1000, 0x99aabbccddeeff00, 8);
    c->reg[RSI] = BENCH_DATA + 0xff8;
    assert_int_equal(BENCH_RUN(b, MOVUPS_LOAD), BENCH_STOPPED);
    assert_int_equal(c->v[0].u64[0], 0x1122334455667788);
    assert_int_equal(c->v[0].u64[1], 0x99aabbccddeeff00);
}

static void control_registers_forbid_sse(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    c->cr0 |= CR0_TS;
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, MOVUPS_LOAD), EXC_NM);
    assert_int_equal(BENCH_RUN(b, VPADDB), EXC_NM);
    c->cr0 = (c->cr0 & ~(uint64_t)CR0_TS) | CR0_EM;
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, MOVUPS_LOAD), EXC_UD);
    c->cr0 &= ~(uint64_t)CR0_EM;
    c->cr4 &= ~(uint64_t)CR4_OSFXSR;
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, MOVUPS_LOAD), EXC_UD);
    c->cr4 |= CR4_OSFXSR;
    c->xcr0 = 3;
    cpu_mode_changed(c);
    assert_int_equal(BENCH_RUN(b, VPADDB), EXC_UD);
    assert_int_equal(BENCH_RUN(b, MOVUPS_LOAD), BENCH_STOPPED);
}

static void unmasked_division_by_zero_keeps_the_destination(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    c->v[0].f64[0] = 1.0;
    mxcsr_load(c, MXCSR_DEFAULT & ~(MXCSR_ZE << 7));
    assert_int_equal(BENCH_RUN(b, DIVSD), EXC_XM);
    assert_true(c->v[0].f64[0] == 1.0);
    assert_int_equal(mxcsr_sync(c) & MXCSR_FLAGS, MXCSR_ZE);
    mxcsr_load(c, MXCSR_DEFAULT);
    assert_int_equal(BENCH_RUN(b, DIVSD), BENCH_STOPPED);
    assert_int_equal(c->v[0].u64[0], 0x7ff0000000000000);
}

/* vcvtps2ph xmm1, xmm0, 4 */
#define VCVTPS2PH 0xc4, 0xe3, 0x79, 0x1d, 0xc1, 0x04

static void tiny_half_that_is_exact_underflows_where_unmasked(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    c->v[0].u32[2] = 0xb8000000; /* -2^-15: half of the least normal one */
    c->v[1].u64[0] = 1;
    mxcsr_load(c, MXCSR_DEFAULT & ~(MXCSR_UE << 7));
    assert_int_equal(BENCH_RUN(b, VCVTPS2PH), EXC_XM);
    assert_int_equal(mxcsr_sync(c) & MXCSR_FLAGS, MXCSR_UE);
    assert_int_equal(c->v[1].u64[0], 1);
    mxcsr_load(c, MXCSR_DEFAULT);
    assert_int_equal(BENCH_RUN(b, VCVTPS2PH), BENCH_STOPPED);
    assert_int_equal(mxcsr_sync(c) & MXCSR_FLAGS, 0);
    assert_int_equal(c->v[1].u64[0], 0x8200ull << 32);
    c->v[0].u32[2] = 0xb8800000; /* -2^-14: the least normal one */
    mxcsr_load(c, MXCSR_DEFAULT & ~(MXCSR_UE << 7));
    assert_int_equal(BENCH_RUN(b, VCVTPS2PH), BENCH_STOPPED);
    assert_int_equal(mxcsr_sync(c) & MXCSR_FLAGS, 0);
    assert_int_equal(c->v[1].u64[0], 0x8400ull << 32);
}

static void gather_loads_only_what_the_mask_says(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    for (uint32_t i = 0; i < 8; i++) {
        bench_poke(b, BENCH_DATA + 4 * i, 100 + i, 4);
        c->v[1].u32[i] = 7 - i;
        c->v[2].u32[i] = i & 1 ? 0x80000000 : 0;
        c->v[0].u32[i] = i;
    }
    c->v[1].u32[2] = 0x40000000; /* nothing there; not asked for */
    /* vpgatherdd ymm0, [rsi + ymm1 * 4], ymm2 */
    assert_int_equal(BENCH_RUN(b, 0xc4, 0xe2, 0x6d, 0x90, 0x04, 0x8e), BENCH_STOPPED);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(c->v[0].u32[i], i & 1 ? 107 - i : i);
        assert_int_equal(c->v[2].u32[i], 0);
    }
    /* The mask and the index are one register. */
    assert_int_equal(BENCH_RUN(b, 0xc4, 0xe2, 0x75, 0x90, 0x04, 0x8e), EXC_UD);
}

#define XSAVE64 0x48, 0x0f, 0xae, 0x26  /* xsave64 [rsi] */
#define XRSTOR64 0x48, 0x0f, 0xae, 0x2e /* xrstor64 [rsi] */

static void xrstor_brings_back_what_xsave_wrote(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    bench_poke(b, BENCH_DATA + 512, 0, 8);
    for (uint32_t i = 1; i < 8; i++)
        bench_poke(b, BENCH_DATA + 512 + 8 * i, 0, 8);
    c->reg[RAX] = 7;
    c->v[3].u64[0] = 0x123;
    c->v[15].u64[3] = 0x456;
    assert_int_equal(BENCH_RUN(b, XSAVE64), BENCH_STOPPED);
    assert_int_equal(bench_peek(b, BENCH_DATA + 512, 8), 6);
    assert_int_equal(bench_peek(b, BENCH_DATA + 160 + 48, 8), 0x123);
    assert_int_equal(bench_peek(b, BENCH_DATA + 576 + 15 * 16 + 8, 8), 0x456);
    memset(c->v, 0xff, sizeof(c->v));
    assert_int_equal(BENCH_RUN(b, XRSTOR64), BENCH_STOPPED);
    assert_int_equal(c->v[3].u64[0], 0x123);
    assert_int_equal(c->v[15].u64[3], 0x456);
    assert_int_equal(c->v[0].u64[2], 0);
    /* A component that is not in XSTATE_BV becomes what it is after reset. */
    bench_poke(b, BENCH_DATA + 512, 2, 8);
    assert_int_equal(BENCH_RUN(b, XRSTOR64), BENCH_STOPPED);
    assert_int_equal(c->v[15].u64[3], 0);
}

static void bad_89_an_xsave_area_with_reserved_bits_faults(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    for (uint32_t i = 0; i < 8; i++)
        bench_poke(b, BENCH_DATA + 512 + 8 * i, 0, 8);
    bench_poke(b, BENCH_DATA + 24, MXCSR_DEFAULT, 4);
    c->reg[RAX] = 7;
    assert_int_equal(BENCH_RUN(b, XRSTOR64), BENCH_STOPPED);
    bench_poke(b, BENCH_DATA + 512, 8, 8); /* not in XCR0 */
    assert_int_equal(BENCH_RUN(b, XRSTOR64), EXC_GP);
    bench_poke(b, BENCH_DATA + 512, 0, 8);
    bench_poke(b, BENCH_DATA + 520, 1, 8); /* XCOMP_BV of the standard form */
    assert_int_equal(BENCH_RUN(b, XRSTOR64), EXC_GP);
    bench_poke(b, BENCH_DATA + 520, 0, 8);
    bench_poke(b, BENCH_DATA + 24, 0x10000, 4); /* MXCSR */
    assert_int_equal(BENCH_RUN(b, XRSTOR64), EXC_GP);
    c->reg[RSI] += 16;
    assert_int_equal(BENCH_RUN(b, XSAVE64), EXC_GP);
}

static void sha_rounds_are_those_of_the_standard(void **state)
{
    struct bench *b = *state;
    struct cpu *c = begin(state);

    /* FIPS 180-4, "abc": the state after round 1 of SHA-256's first two, by sha256rnds2 of the
     * initial state with W0 + K0 = 61626380 + 428a2f98 and W1 + K1 = 71374491. */
    c->v[1].u32[3] = 0x3c6ef372; /* C, D, G, H */
    c->v[1].u32[2] = 0xa54ff53a;
    c->v[1].u32[1] = 0x1f83d9ab;
    c->v[1].u32[0] = 0x5be0cd19;
    c->v[2].u32[3] = 0x6a09e667; /* A, B, E, F */
    c->v[2].u32[2] = 0xbb67ae85;
    c->v[2].u32[1] = 0x510e527f;
    c->v[2].u32[0] = 0x9b05688c;
    c->v[0].u32[0] = 0x61626380u + 0x428a2f98u;
    c->v[0].u32[1] = 0x71374491;
    /* sha256rnds2 xmm1, xmm2 */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x38, 0xcb, 0xca), BENCH_STOPPED);
    assert_int_equal(c->v[1].u32[3], 0x5a6ad9ad);
    assert_int_equal(c->v[1].u32[2], 0x5d6aebcd);
    assert_int_equal(c->v[1].u32[1], 0x78ce7989);
    assert_int_equal(c->v[1].u32[0], 0xfa2a4622);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misaligned_operand_faults_where_it_must),
        cmocka_unit_test(operand_across_two_pages_is_read_whole),
        cmocka_unit_test(control_registers_forbid_sse),
        cmocka_unit_test(unmasked_division_by_zero_keeps_the_destination),
        cmocka_unit_test(tiny_half_that_is_exact_underflows_where_unmasked),
        cmocka_unit_test(gather_loads_only_what_the_mask_says),
        cmocka_unit_test(xrstor_brings_back_what_xsave_wrote),
        cmocka_unit_test(bad_89_an_xsave_area_with_reserved_bits_faults),
        cmocka_unit_test(sha_rounds_are_those_of_the_standard),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
