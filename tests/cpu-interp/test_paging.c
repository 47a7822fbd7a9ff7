/* SPDX-License-Identifier: MIT
 *
 * Paging as instructions see it, by the whole engine; the rules themselves are in mmu/.
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PAGE BENCH_FREE

static void bad_71_a_load_into_an_absent_page_has_the_exact_cr2(void **state)
{
    struct bench *b = bench_create(1);
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    (void)state;
    bench_page_set(b, PAGE + 0x1000, 0);
    c->reg[RBX] = PAGE + 0xffd;
    c->reg[RAX] = 0x1234;
    assert_int_equal(BENCH_RUN(b, 0x48, 0x8b, 0x03), EXC_PF); /* mov rax, [rbx] */
    assert_int_equal(c->cr2, PAGE + 0x1000);
    assert_int_equal(b->frame.error, 0);
    assert_int_equal(c->rip, BENCH_CODE);
    assert_int_equal(c->reg[RAX], 0x1234);
    assert_int_equal(BENCH_RUN(b, 0x48, 0x89, 0x03), EXC_PF); /* mov [rbx], rax */
    assert_int_equal(b->frame.error, 2);
    assert_int_equal(bench_peek(b, PAGE + 0xffd, 3), 0);
    bench_destroy(b);
}

static void a_page_is_remapped_after_invlpg(void **state)
{
    struct bench *b = bench_create(1);
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);

    (void)state;
    bench_poke(b, PAGE, 0x11, 1);
    bench_poke(b, PAGE + 0x1000, 0x22, 1);
    c->reg[RBX] = PAGE; /* mov al, [rbx]; invlpg [rbx] */
    assert_int_equal(BENCH_RUN(b, 0x8a, 0x03, 0x0f, 0x01, 0x3b), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX] & 0xff, 0x11);
    bench_page_set(b, PAGE, (PAGE + 0x1000) | 7);
    /* invlpg [rbx]; mov al, [rbx] */
    assert_int_equal(BENCH_RUN(b, 0x0f, 0x01, 0x3b, 0x8a, 0x03), BENCH_STOPPED);
    assert_int_equal(c->reg[RAX] & 0xff, 0x22);
    bench_destroy(b);
}

static void bad_85_a_users_store_to_a_supervisors_page_faults(void **state)
{
    struct bench *b = bench_create(1);
    struct cpu *c = bench_mode(b, 0, BENCH_USER);

    (void)state;
    bench_page_set(b, PAGE, PAGE | 3);
    c->reg[RBX] = PAGE + 8;
    assert_int_equal(BENCH_RUN(b, 0x88, 0x03), EXC_PF); /* mov [rbx], al */
    assert_int_equal(b->frame.error, 7);
    assert_int_equal(c->cr2, PAGE + 8);
    bench_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_71_a_load_into_an_absent_page_has_the_exact_cr2),
        cmocka_unit_test(a_page_is_remapped_after_invlpg),
        cmocka_unit_test(bad_85_a_users_store_to_a_supervisors_page_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
