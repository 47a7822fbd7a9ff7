/* SPDX-License-Identifier: MIT
 *
 * Tests of base/wake.c. Built twice: with an eventfd, and with
 * the pipe of other systems.
 */
#include "base/wake.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int readable(const struct wake *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    return poll(&p, 1, 0);
}

static void it_is_readable_until_cleared(void **state)
{
    struct wake w;

    (void)state;
    assert_int_equal(wake_open(&w), 0);
    assert_int_equal(readable(&w), 0);
    wake_signal(&w);
    wake_signal(&w);
    assert_int_equal(readable(&w), 1);
    assert_int_equal(wake_clear(&w), 0);
    assert_int_equal(readable(&w), 0);
    assert_int_equal(wake_clear(&w), 0);
    wake_close(&w);
    assert_int_equal(w.fd, -1);
}

static void signals_without_number_do_not_block(void **state)
{
    struct wake w;

    (void)state;
    assert_int_equal(wake_open(&w), 0);
    for (int i = 0; i < 100000; i++)
        wake_signal(&w);
    assert_int_equal(wake_clear(&w), 0);
    assert_int_equal(readable(&w), 0);
    wake_close(&w);
}

static void a_signal_leaves_errno_alone(void **state)
{
    struct wake none = WAKE_NONE;

    (void)state;
    errno = ENOENT;
    wake_signal(&none);
    assert_int_equal(errno, ENOENT);
    wake_close(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_readable_until_cleared),
        cmocka_unit_test(signals_without_number_do_not_block),
        cmocka_unit_test(a_signal_leaves_errno_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
