/* SPDX-License-Identifier: MIT
 *
 * test_zydis.c - what the decoder tells of instructions that Zydis alone would not get right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "decode/insn.h"

static void sib_without_base_has_none_under_an_address_size_prefix(void **state)
{
    /* add [ebp * 2 + 0x12345678], esi, with REX.B that says nothing here */
    const uint8_t code[] = {0x67, 0x41, 0x01, 0x34, 0x6d, 0x78, 0x56, 0x34, 0x12};
    struct insn i;

    (void)state;
    assert_int_equal(insn_decode(code, sizeof(code), MODE_64 | MODE_FLAT, &i), 0);
    assert_int_equal(i.length, sizeof(code));
    assert_int_equal(i.asize, 4);
    assert_int_equal(i.op[0].base, REG_ZERO);
    assert_int_equal(i.op[0].index, RBP);
    assert_int_equal(i.op[0].scale, 1);
    assert_int_equal(i.op[0].disp, 0x12345678);
}

static void sib_with_r13_keeps_it(void **state)
{
    /* add [r13d + ebp * 2 + 0x12], esi */
    const uint8_t code[] = {0x67, 0x41, 0x01, 0x74, 0x6d, 0x12};
    struct insn i;

    (void)state;
    assert_int_equal(insn_decode(code, sizeof(code), MODE_64 | MODE_FLAT, &i), 0);
    assert_int_equal(i.op[0].base, R13);
    assert_int_equal(i.op[0].disp, 0x12);
}

static bool faults(const uint8_t *code, uint32_t bytes)
{
    struct insn i;

    assert_int_equal(insn_decode(code, bytes, MODE_64 | MODE_FLAT, &i), 0);
    return i.faults;
}

static void what_may_fault_without_memory_is_known(void **state)
{
    (void)state;
    assert_true(faults((const uint8_t[]){0xf7, 0xf1}, 2));       /* div ecx */
    assert_true(faults((const uint8_t[]){0x0f, 0x58, 0xc1}, 3)); /* addps xmm0, xmm1 */
    assert_true(
        faults((const uint8_t[]){0xf2, 0x48, 0x0f, 0x2d, 0xc1}, 5));    /* cvtsd2si rax, xmm1 */
    assert_true(faults((const uint8_t[]){0xd8, 0xc1}, 2));              /* fadd */
    assert_true(faults((const uint8_t[]){0x8e, 0xd8}, 2));              /* mov ds, eax */
    assert_true(faults((const uint8_t[]){0xfb}, 1));                    /* sti */
    assert_true(faults((const uint8_t[]){0x01, 0x03}, 2));              /* add [rbx], eax */
    assert_false(faults((const uint8_t[]){0x01, 0xc3}, 2));             /* add ebx, eax */
    assert_false(faults((const uint8_t[]){0x8d, 0x03}, 2));             /* lea eax, [rbx] */
    assert_false(faults((const uint8_t[]){0x89, 0xc3}, 2));             /* mov ebx, eax */
    assert_false(faults((const uint8_t[]){0x0f, 0xbc, 0xc3}, 3));       /* bsf eax, ebx */
    assert_false(faults((const uint8_t[]){0xf3, 0x0f, 0xb8, 0xc3}, 4)); /* popcnt eax, ebx */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sib_without_base_has_none_under_an_address_size_prefix),
        cmocka_unit_test(sib_with_r13_keeps_it),
        cmocka_unit_test(what_may_fault_without_memory_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
