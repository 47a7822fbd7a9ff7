/* SPDX-License-Identifier: MIT
 *
 * test_bench.c - the bench itself: each mode is entered, runs code, and catches exceptions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench.h"

static void every_mode_runs_to_its_end(void **state)
{
    struct bench *b = bench_create(1);

    (void)state;
    for (int mode = BENCH_LONG; mode <= BENCH_REAL; mode++) {
        struct cpu *c = bench_mode(b, 0, (enum bench_mode)mode);

        assert_int_equal(BENCH_RUN(b, 0xb0, 0x12), BENCH_STOPPED); /* mov al, 0x12 */
        assert_int_equal(c->reg[RAX], 0x12);
        assert_int_equal(c->reg[RSP], BENCH_STACK);
        assert_int_equal(BENCH_RUN(b, 0xb4, 0x34), BENCH_STOPPED); /* mov ah, 0x34 */
        assert_int_equal(c->reg[RAX], 0x3412);
    }
    bench_destroy(b);
}

static void every_mode_catches_an_invalid_opcode(void **state)
{
    struct bench *b = bench_create(1);

    (void)state;
    for (int mode = BENCH_LONG; mode <= BENCH_REAL; mode++) {
        struct cpu *c = bench_mode(b, 0, (enum bench_mode)mode);

        assert_int_equal(BENCH_RUN(b, 0xb0, 1, 0x0f, 0x0b), EXC_UD); /* mov al, 1; ud2 */
        assert_int_equal(c->rip, BENCH_CODE + 2);
        assert_int_equal(c->reg[RSP], BENCH_STACK);
        assert_int_equal(c->reg[RAX], 1);
        assert_false(b->frame.has_error);
    }
    bench_destroy(b);
}

static void a_missing_page_gives_a_page_fault_with_its_address(void **state)
{
    struct bench *b = bench_create(1);
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    (void)state;
    bench_page_set(b, BENCH_FREE, 0);
    c->reg[RBX] = BENCH_FREE + 5;
    assert_int_equal(BENCH_RUN(b, 0x8a, 0x03), EXC_PF); /* mov al, [rbx] */
    assert_true(b->frame.has_error);
    assert_int_equal(b->frame.error, 4);
    assert_int_equal(c->cr2, BENCH_FREE + 5);
    assert_int_equal(c->cpl, 3);
    bench_destroy(b);
}

static void device_memory_is_seen_on_the_bus(void **state)
{
    struct bench *b = bench_create(1);
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    (void)state;
    c->reg[RBX] = BENCH_MMIO + 4;
    c->reg[RAX] = 0x12345678;
    assert_int_equal(BENCH_RUN(b, 0x89, 0x03, 0x8b, 0x0b), BENCH_STOPPED); /* mov, and back */
    assert_int_equal(c->reg[RCX], 0x12345678);
    assert_int_equal(b->accesses, 2);
    assert_true(b->access[0].write);
    assert_int_equal(b->access[0].address, BENCH_MMIO + 4);
    assert_int_equal(b->access[0].width, 4);
    assert_false(b->access[1].write);
    bench_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_runs_to_its_end),
        cmocka_unit_test(every_mode_catches_an_invalid_opcode),
        cmocka_unit_test(a_missing_page_gives_a_page_fault_with_its_address),
        cmocka_unit_test(device_memory_is_seen_on_the_bus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
