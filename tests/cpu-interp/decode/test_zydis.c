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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sib_without_base_has_none_under_an_address_size_prefix),
        cmocka_unit_test(sib_with_r13_keeps_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
