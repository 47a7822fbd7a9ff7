/* SPDX-License-Identifier: MIT
 *
 * Tests of base/nearest.c: what counts as a slip, and what does not.
 */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const words[] = {"dev-uart", "dev-e1000", "net-tap", "irq", "", NULL};

static void one_edit_finds_the_word(void **state)
{
    (void)state;
    assert_string_equal(nearest_word("dev-uar", words), "dev-uart");   /* left out */
    assert_string_equal(nearest_word("dev-uartt", words), "dev-uart"); /* put in */
    assert_string_equal(nearest_word("dev_uart", words), "dev-uart");  /* replaced */
    assert_string_equal(nearest_word("net-tpa", words), "net-tap");    /* swapped */
    assert_string_equal(nearest_word("qir", (const char *const[]){"iqr", NULL}), "iqr");
}

static void nearest_of_several_wins(void **state)
{
    (void)state;
    assert_string_equal(nearest_word("irqs", (const char *const[]){"ports", "irq", "irqx", NULL}),
                        "irq");
}

static void word_itself_is_found(void **state)
{
    (void)state;
    assert_string_equal(nearest_word("irq", words), "irq");
}

static void distant_word_is_not_found(void **state)
{
    (void)state;
    assert_null(nearest_word("blk-file", words));
    assert_null(nearest_word("x", words + 3 + 1));
}

static void empty_and_long_words_are_not_found(void **state)
{
    char word[100];

    (void)state;
    memset(word, 'x', 99);
    word[99] = '\0';
    assert_null(nearest_word("", words));
    assert_null(nearest_word(word, (const char *const[]){word, NULL}));
    word[64] = '\0';
    assert_ptr_equal(nearest_word(word, (const char *const[]){word, NULL}), word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_edit_finds_the_word),
        cmocka_unit_test(nearest_of_several_wins),
        cmocka_unit_test(word_itself_is_found),
        cmocka_unit_test(distant_word_is_not_found),
        cmocka_unit_test(empty_and_long_words_are_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
