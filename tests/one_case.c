/* SPDX-License-Identifier: MIT
 *
 * one_case.c - linked into every cmocka program: with BACKPLANE_TEST_CASE in the environment it
 * runs that case alone. So `ctest -N` can list cases (bp_list_cases() in CMakeLists.txt) and no
 * main() needs to know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose_case(void)
{
    const char *name = getenv("BACKPLANE_TEST_CASE");

    if (name)
        cmocka_set_test_filter(name);
}
