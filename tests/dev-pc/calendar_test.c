/* SPDX-License-Identifier: MIT
 *
 * dev-pc/calendar_test.c - calendar arithmetic against the C library's, and the MC146818A's
 * encodings.
 */
#include "calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void agrees_with_gmtime_from_year_0_to_9999(void **state)
{
    (void)state;
    /* A step of 10 days and some: every month, leap years and centuries of all kinds. */
    for (int64_t s = -62167219200; s < 253402300800; s += 10 * 86400 + 12345) {
        time_t t = (time_t)s;
        struct tm tm;
        struct calendar c;

        assert_non_null(gmtime_r(&t, &tm));
        calendar_from_seconds(&c, s);
        assert_int_equal(c.year, tm.tm_year + 1900);
        assert_int_equal(c.month, tm.tm_mon + 1);
        assert_int_equal(c.day, tm.tm_mday);
        assert_int_equal(c.hour, tm.tm_hour);
        assert_int_equal(c.minute, tm.tm_min);
        assert_int_equal(c.second, tm.tm_sec);
        assert_int_equal(c.weekday, tm.tm_wday + 1);
        assert_int_equal(calendar_to_seconds(&c), s);
    }
}

static void fields_beyond_their_range_count_on(void **state)
{
    struct calendar c = {.year = 2023, .month = 2, .day = 31};

    (void)state;
    calendar_from_seconds(&c, calendar_to_seconds(&c));
    assert_int_equal(c.month, 3);
    assert_int_equal(c.day, 3);
    c = (struct calendar){.year = 2023, .month = 0, .day = 1, .second = 99};
    calendar_from_seconds(&c, calendar_to_seconds(&c));
    assert_int_equal(c.year, 2022);
    assert_int_equal(c.month, 12);
    assert_int_equal(c.minute, 1);
    assert_int_equal(c.second, 39);
}

static void numbers_survive_both_encodings(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 100; v++) {
        assert_int_equal(calendar_decode(calendar_encode(v, true), true), v);
        assert_int_equal(calendar_decode(calendar_encode(v, false), false), v);
    }
    assert_int_equal(calendar_encode(59, false), 0x59);
    assert_int_equal(calendar_encode(59, true), 59);
}

static void hours_survive_all_four_formats(void **state)
{
    (void)state;
    for (uint32_t hour = 0; hour < 24; hour++) {
        for (int format = 0; format < 4; format++) {
            uint8_t byte = calendar_encode_hour(hour, format & 1, format & 2);
            assert_int_equal(calendar_decode_hour(byte, format & 1, format & 2), hour);
        }
    }
    assert_int_equal(calendar_encode_hour(0, false, true), 0x12);
    assert_int_equal(calendar_encode_hour(12, false, true), 0x92);
    assert_int_equal(calendar_encode_hour(23, true, true), 0x8b);
}

static void next_alarm_is_the_first_match_after_the_moment(void **state)
{
    const int64_t midnight = 951782400; /* 2000-02-29 */

    (void)state;
    assert_int_equal(calendar_next(midnight, 1, 2, 3), midnight + 3723);
    assert_int_equal(calendar_next(midnight + 3722, 1, 2, 3), midnight + 3723);
    assert_int_equal(calendar_next(midnight + 3723, 1, 2, 3), midnight + 3723 + 86400);
    assert_int_equal(calendar_next(midnight, 0, 0, 0), midnight + 86400);
    assert_int_equal(calendar_next(midnight - 1, 0, 0, 0), midnight);
    assert_int_equal(calendar_next(-1 - 86400, 0, 0, 0), -86400);
}

static void next_alarm_leaves_out_what_is_any(void **state)
{
    const int64_t midnight = 951782400;

    (void)state;
    assert_int_equal(calendar_next(midnight, CALENDAR_ANY, CALENDAR_ANY, CALENDAR_ANY),
                     midnight + 1);
    assert_int_equal(calendar_next(midnight + 59, CALENDAR_ANY, CALENDAR_ANY, 30), midnight + 90);
    assert_int_equal(calendar_next(midnight + 3600, CALENDAR_ANY, 0, 0), midnight + 7200);
    assert_int_equal(calendar_next(midnight, 23, CALENDAR_ANY, 59), midnight + 82859);
}

static void next_alarm_never_comes_for_a_time_that_no_clock_shows(void **state)
{
    (void)state;
    assert_int_equal(calendar_next(0, 24, 0, 0), INT64_MAX);
    assert_int_equal(calendar_next(0, 0, 60, 0), INT64_MAX);
    assert_int_equal(calendar_next(0, 0, 0, 60), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_gmtime_from_year_0_to_9999),
        cmocka_unit_test(fields_beyond_their_range_count_on),
        cmocka_unit_test(numbers_survive_both_encodings),
        cmocka_unit_test(hours_survive_all_four_formats),
        cmocka_unit_test(next_alarm_is_the_first_match_after_the_moment),
        cmocka_unit_test(next_alarm_leaves_out_what_is_any),
        cmocka_unit_test(next_alarm_never_comes_for_a_time_that_no_clock_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
