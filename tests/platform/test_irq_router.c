/* SPDX-License-Identifier: MIT
 *
 * Interrupt lines: wired-or, levels kept for a controller that comes later, many threads.
 */
#include "platform/irq_router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An interrupt controller that writes down what it is told. */
struct controller {
    uint32_t level[IRQ_LINES], told[IRQ_LINES];
};

struct fixture {
    struct irq_router router;
    struct controller controller;
    struct irq_source a, b;
};

static void sink(void *context, uint32_t line, uint32_t level)
{
    struct controller *c = context;

    assert_true(line < IRQ_LINES);
    assert_int_not_equal(c->level[line], level); /* only changes are told */
    c->level[line] = level;
    c->told[line]++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    irq_router_init(&f->router);
    irq_router_connect(&f->router, sink, &f->controller);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    irq_router_exit(&f->router);
    free(f);
    return 0;
}

static void a_line_is_up_while_anyone_holds_it(void **state)
{
    struct fixture *f = *state;

    irq_router_set(&f->router, &f->a, 5, 1);
    assert_int_equal(f->controller.level[5], 1);
    irq_router_set(&f->router, &f->b, 5, 1);
    irq_router_set(&f->router, &f->a, 5, 0);
    assert_int_equal(f->controller.level[5], 1);
    irq_router_set(&f->router, &f->b, 5, 0);
    assert_int_equal(f->controller.level[5], 0);
    assert_int_equal(f->controller.told[5], 2);
}

static void a_level_that_holds_already_changes_nothing(void **state)
{
    struct fixture *f = *state;

    irq_router_set(&f->router, &f->a, 7, 0);
    assert_int_equal(f->controller.told[7], 0);
    irq_router_set(&f->router, &f->a, 7, 1);
    irq_router_set(&f->router, &f->a, 7, 2); /* any level but 0 is up */
    assert_int_equal(f->controller.told[7], 1);
    irq_router_set(&f->router, &f->a, 7, 0);
    irq_router_set(&f->router, &f->a, 7, 0);
    assert_int_equal(f->controller.told[7], 2);
}

static void a_controller_that_comes_later_is_told_what_is_up(void **state)
{
    struct fixture *f = *state;

    irq_router_connect(&f->router, NULL, NULL);
    irq_router_set(&f->router, &f->a, 0, 1);
    irq_router_set(&f->router, &f->a, 63, 1);
    irq_router_set(&f->router, &f->a, 9, 1);
    irq_router_set(&f->router, &f->a, 9, 0);
    irq_router_connect(&f->router, sink, &f->controller);
    assert_int_equal(f->controller.level[0], 1);
    assert_int_equal(f->controller.level[63], 1);
    assert_int_equal(f->controller.told[9], 0);
}

static void who_goes_lets_go_of_its_own_lines_only(void **state)
{
    struct fixture *f = *state;

    irq_router_set(&f->router, &f->a, 3, 1);
    irq_router_set(&f->router, &f->a, 4, 1);
    irq_router_set(&f->router, &f->b, 4, 1);
    irq_router_release(&f->router, &f->a);
    assert_int_equal(f->controller.level[3], 0);
    assert_int_equal(f->controller.level[4], 1);
    irq_router_release(&f->router, &f->a);
    assert_int_equal(f->controller.level[4], 1);
}

static void bad_lines_beyond_the_last_go_nowhere(void **state)
{
    struct fixture *f = *state;

    irq_router_set(&f->router, &f->a, IRQ_LINES, 1);
    irq_router_set(&f->router, &f->a, UINT32_MAX, 1);
    for (uint32_t line = 0; line < IRQ_LINES; line++)
        assert_int_equal(f->controller.told[line], 0);
    assert_int_equal(f->a.levels, 0);
}

#define THREADS 4
#define ROUNDS 20000u

struct device {
    struct fixture *f;
    struct irq_source own, *shared;
};

/* Toggles a line of its own, one that all have, and one through a source that all have. */
static void *toggle(void *argument)
{
    struct device *d = argument;
    struct irq_router *r = &d->f->router;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        irq_router_set(r, &d->own, 10, i % 2);
        irq_router_set(r, &d->own, 11, i % 3);
        irq_router_set(r, d->shared, 12, i % 2);
    }
    irq_router_set(r, &d->own, 10, 0);
    irq_router_set(r, &d->own, 11, 1);
    return NULL;
}

static void toggle_with(struct fixture *f, int connect)
{
    struct device device[THREADS];
    pthread_t thread[THREADS];

    for (int i = 0; i < THREADS; i++) {
        device[i] = (struct device){.f = f, .shared = &f->a};
        assert_int_equal(pthread_create(&thread[i], NULL, toggle, &device[i]), 0);
    }
    if (connect)
        irq_router_connect(&f->router, sink, &f->controller);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(f->controller.level[10], 0);
    assert_int_equal(f->controller.level[11], 1);
    irq_router_set(&f->router, &f->a, 12, 0);
    assert_int_equal(f->controller.level[12], 0);
    for (int i = 0; i < THREADS; i++)
        irq_router_release(&f->router, &device[i].own);
    assert_int_equal(f->controller.level[11], 0);
}

static void a_line_that_many_threads_toggle_ends_right(void **state)
{
    toggle_with(*state, 0);
}

static void a_controller_that_comes_while_lines_are_toggled_ends_right(void **state)
{
    struct fixture *f = *state;

    irq_router_connect(&f->router, NULL, NULL);
    toggle_with(f, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_up_while_anyone_holds_it),
        TEST(a_level_that_holds_already_changes_nothing),
        TEST(a_controller_that_comes_later_is_told_what_is_up),
        TEST(who_goes_lets_go_of_its_own_lines_only),
        TEST(bad_lines_beyond_the_last_go_nowhere),
        TEST(a_line_that_many_threads_toggle_ends_right),
        TEST(a_controller_that_comes_while_lines_are_toggled_ends_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
