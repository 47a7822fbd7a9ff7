/* SPDX-License-Identifier: MIT
 *
 * dev-pc/rtc_test.c - the MC146818A: time in all formats, setting it, UIP, the three interrupts,
 * CMOS RAM.
 *
 * The fake host's wall clock starts at 2000-01-01 00:00:00 UTC, a Saturday, and moves with guest
 * time.
 */
#include "ports.h"
#include "rtc.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define DAY (86400 * SECOND)
#define START UINT64_C(946684800)

struct config {
    uint64_t memory;
    uint32_t base;
    uint16_t port;
    uint8_t irq;
};

static const struct config defaults = {.port = 0x70, .irq = 8};

static uint8_t get(struct fake_host *h, uint8_t index)
{
    out8(h, 0x70, index);
    return in8(h, 0x71);
}

static void put(struct fake_host *h, uint8_t index, uint8_t value)
{
    out8(h, 0x70, index);
    out8(h, 0x71, value);
}

static void assert_time(struct fake_host *h, uint8_t hour, uint8_t minute, uint8_t second)
{
    assert_int_equal(get(h, 4), hour);
    assert_int_equal(get(h, 2), minute);
    assert_int_equal(get(h, 0), second);
}

static void assert_date(struct fake_host *h, uint8_t century, uint8_t year, uint8_t month,
                        uint8_t day, uint8_t weekday)
{
    assert_int_equal(get(h, 0x32), century);
    assert_int_equal(get(h, 9), year);
    assert_int_equal(get(h, 8), month);
    assert_int_equal(get(h, 7), day);
    assert_int_equal(get(h, 6), weekday);
}

/* SET, all time registers, SET off, in the format of register B. */
static void set_clock(struct fake_host *h, const uint8_t hms[3], const uint8_t cymd[4])
{
    uint8_t b = get(h, 0x0b);

    put(h, 0x0b, b | 0x80);
    put(h, 4, hms[0]);
    put(h, 2, hms[1]);
    put(h, 0, hms[2]);
    put(h, 0x32, cymd[0]);
    put(h, 9, cymd[1]);
    put(h, 8, cymd[2]);
    put(h, 7, cymd[3]);
    put(h, 0x0b, b);
}

static int set_up(void **state)
{
    *state = fake_host_new(DEV_PC, "rtc", &defaults);
    return 0;
}

static int tear_down(void **state)
{
    fake_host_free(*state);
    return 0;
}

/* ---- the time
 * -------------------------------------------------------------------------------------- */

static void shows_utc_in_bcd_and_24_hours(void **state)
{
    struct fake_host *h = *state;

    assert_time(h, 0x00, 0x00, 0x00);
    assert_date(h, 0x20, 0x00, 0x01, 0x01, 7);
    fake_set_utc_ns(h, UINT64_C(1709217296) * SECOND); /* Thursday 2024-02-29 14:34:56 */
    assert_time(h, 0x14, 0x34, 0x56);
    assert_date(h, 0x20, 0x24, 0x02, 0x29, 5);
}

static void shows_binary_and_12_hours_as_register_b_says(void **state)
{
    struct fake_host *h = *state;

    fake_set_utc_ns(h, UINT64_C(1709217296) * SECOND);
    put(h, 0x0b, 0x06);
    assert_time(h, 14, 34, 56);
    assert_date(h, 20, 24, 2, 29, 5);
    put(h, 0x0b, 0x00);
    assert_time(h, 0x82, 0x34, 0x56);
    put(h, 0x0b, 0x04);
    assert_time(h, 0x82, 34, 56);
    fake_set_utc_ns(h, START * SECOND); /* midnight is 12 a.m. */
    put(h, 0x0b, 0x00);
    assert_int_equal(get(h, 4), 0x12);
}

static void moves_with_guest_time(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, 86399 * SECOND + 999999999);
    assert_time(h, 0x23, 0x59, 0x59);
    fake_advance_ns(h, 1);
    assert_time(h, 0x00, 0x00, 0x00);
    assert_date(h, 0x20, 0x00, 0x01, 0x02, 1);
}

static void localtime_starts_at_local_time(void **state)
{
    struct config c = defaults;
    struct fake_host *h;

    (void)state;
    setenv("TZ", "XXX-05:30", 1);
    tzset();
    c.base = 1;
    h = fake_host_new(DEV_PC, "rtc", &c);
    assert_time(h, 0x05, 0x30, 0x00);
    fake_host_free(h);
    unsetenv("TZ");
    tzset();
}

static void a_time_that_is_set_goes_on_from_there(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, 250000000);
    set_clock(h, (uint8_t[]){0x23, 0x59, 0x58}, (uint8_t[]){0x19, 0x99, 0x12, 0x31});
    assert_time(h, 0x23, 0x59, 0x58);
    fake_advance_ns(h, 749999999); /* the second's phase is the same as before */
    assert_time(h, 0x23, 0x59, 0x58);
    fake_advance_ns(h, SECOND + 1);
    assert_time(h, 0x00, 0x00, 0x00);
    assert_date(h, 0x20, 0x00, 0x01, 0x01, get(h, 6));
}

static void a_time_before_1970_is_shown(void **state)
{
    struct fake_host *h = *state;

    set_clock(h, (uint8_t[]){0x12, 0x00, 0x00}, (uint8_t[]){0x19, 0x01, 0x03, 0x01});
    fake_advance_ns(h, SECOND);
    assert_time(h, 0x12, 0x00, 0x01);
    assert_int_equal(get(h, 0x32), 0x19);
    assert_int_equal(get(h, 9), 0x01);
}

static void the_year_9999_is_shown(void **state)
{
    struct fake_host *h = *state;

    set_clock(h, (uint8_t[]){0x23, 0x59, 0x59}, (uint8_t[]){0x99, 0x99, 0x12, 0x31});
    assert_time(h, 0x23, 0x59, 0x59);
    fake_advance_ns(h, SECOND); /* there is no year 10000 */
    assert_time(h, 0x00, 0x00, 0x00);
    assert_int_equal(get(h, 0x32), 0x00);
    assert_int_equal(get(h, 9), 0x00);
}

static void set_stops_updates(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, 5 * SECOND);
    put(h, 0x0b, 0x82);
    fake_advance_ns(h, 3600 * SECOND);
    assert_time(h, 0x00, 0x00, 0x05);
    put(h, 0x0b, 0x02);
    assert_time(h, 0x00, 0x00, 0x05);
    fake_advance_ns(h, SECOND);
    assert_time(h, 0x00, 0x00, 0x06);
}

static void the_first_second_after_the_divider_is_released_takes_half_a_second(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, 123456789);
    put(h, 0x0a, 0x76); /* Linux's way of setting the time: divider held, then released */
    fake_advance_ns(h, 10 * SECOND);
    assert_time(h, 0x00, 0x00, 0x00);
    put(h, 0x0a, 0x26);
    fake_advance_ns(h, 499999999);
    assert_time(h, 0x00, 0x00, 0x00);
    fake_advance_ns(h, 1);
    assert_time(h, 0x00, 0x00, 0x01);
}

static void the_divider_may_be_released_before_set_is_cleared(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x0b, 0x82);
    put(h, 0x0a, 0x76);
    put(h, 4, 0x07);
    put(h, 0x0a, 0x26);
    fake_advance_ns(h, 100000000);
    put(h, 0x0b, 0x02);
    fake_advance_ns(h, 399999999);
    assert_time(h, 0x07, 0x00, 0x00);
    fake_advance_ns(h, 1);
    assert_time(h, 0x07, 0x00, 0x01);
}

static void a_register_written_without_set_takes_effect_at_once(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, SECOND + 999000000);
    put(h, 2, 0x30);
    assert_time(h, 0x00, 0x30, 0x01);
    fake_advance_ns(h, 1000000);
    assert_time(h, 0x00, 0x30, 0x02);
}

static void the_weekday_is_the_guests_to_choose(void **state)
{
    struct fake_host *h = *state;

    put(h, 6, 2);
    assert_int_equal(get(h, 6), 2);
    fake_advance_ns(h, 6 * DAY);
    assert_int_equal(get(h, 6), 1);
    put(h, 6, 0x99); /* no weekday: the calendar's again */
    assert_int_equal(get(h, 6), 6);
}

static void nonsense_in_the_time_registers_becomes_some_time(void **state)
{
    struct fake_host *h = *state;
    uint8_t b[] = {0x00, 0x02, 0x04, 0x06};

    for (unsigned format = 0; format < sizeof(b); format++) {
        for (unsigned value = 0; value < 0x100; value += 5) {
            uint8_t v = (uint8_t)value;

            put(h, 0x0b, b[format]);
            set_clock(h, (uint8_t[]){v, v, v}, (uint8_t[]){v, v, v, v});
            put(h, 0x0b, 0x06);
            fake_advance_ns(h, SECOND);
            assert_true(get(h, 0) < 60 && get(h, 2) < 60 && get(h, 4) < 24);
            assert_in_range(get(h, 6), 1, 7);
            assert_in_range(get(h, 7), 1, 31);
            assert_in_range(get(h, 8), 1, 12);
            assert_in_range(get(h, 9), 0, 99);
            assert_in_range(get(h, 0x32), 0, 99);
        }
    }
}

static void update_in_progress_in_the_last_244_microseconds(void **state)
{
    struct fake_host *h = *state;

    assert_int_equal(get(h, 0x0a), 0x26);
    fake_advance_ns(h, SECOND - 244001);
    assert_int_equal(get(h, 0x0a), 0x26);
    fake_advance_ns(h, 1);
    assert_int_equal(get(h, 0x0a), 0xa6);
    put(h, 0x0b, 0x82); /* SET: there is no update to wait for */
    assert_int_equal(get(h, 0x0a), 0x26);
    put(h, 0x0b, 0x02);
    fake_advance_ns(h, 243999);
    assert_int_equal(get(h, 0x0a), 0xa6);
    fake_advance_ns(h, 1);
    assert_int_equal(get(h, 0x0a), 0x26);
    put(h, 0x0a, 0xff); /* UIP cannot be written */
    assert_int_equal(get(h, 0x0a), 0x7f);
}

/* ---- interrupts
 * ------------------------------------------------------------------------------------ */

static void update_ended_interrupts_each_second_once_read(void **state)
{
    struct fake_host *h = *state;

    get(h, 0x0c);
    put(h, 0x0b, 0x12);
    fake_advance_ns(h, SECOND - 1);
    assert_int_equal(fake_irq_level(h, 8), 0);
    fake_advance_ns(h, 1);
    assert_int_equal(fake_irq_level(h, 8), 1);
    fake_advance_ns(h, 5 * SECOND); /* nobody reads: no further edge */
    assert_int_equal(fake_irq_edges(h, 8), 1);
    assert_int_equal(get(h, 0x0c) & 0xb0, 0x90);
    assert_int_equal(fake_irq_level(h, 8), 0);
    assert_int_equal(get(h, 0x0c), 0);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_edges(h, 8), 1);
}

static void periodic_interrupt_has_the_rate_of_register_a(void **state)
{
    struct fake_host *h = *state;
    static const struct {
        uint8_t rate;
        uint32_t hz;
    } rates[] = {{15, 2}, {6, 1024}, {3, 8192}, {2, 128}, {1, 256}};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint32_t count = 0;

        put(h, 0x0a, 0x20 | rates[i].rate);
        get(h, 0x0c);
        put(h, 0x0b, 0x42);
        fake_irq_edges(h, 8);
        for (uint32_t step = 0; step < 16384; step++) {
            fake_advance_ns(h, step % 512 ? 61035 : 61035 + 80); /* 16384 of them: one second */
            if (fake_irq_level(h, 8)) {
                assert_int_equal(get(h, 0x0c) & 0xc0, 0xc0);
                count++;
            }
        }
        assert_in_range(count, rates[i].hz - 1, rates[i].hz + 1);
        assert_int_equal(fake_irq_edges(h, 8), count);
        put(h, 0x0b, 0x02);
    }
}

static void rate_zero_and_a_held_divider_make_no_periodic_interrupt(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x0b, 0x42);
    put(h, 0x0a, 0x20);
    get(h, 0x0c);
    fake_advance_ns(h, 10 * SECOND);
    assert_int_equal(fake_irq_level(h, 8), 0);
    put(h, 0x0a, 0x66);
    get(h, 0x0c);
    fake_advance_ns(h, 10 * SECOND);
    assert_int_equal(get(h, 0x0c), 0);
    put(h, 0x0a, 0x26);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_level(h, 8), 1);
}

static void alarm_interrupts_at_its_time(void **state)
{
    struct fake_host *h = *state;

    put(h, 5, 0x01);
    put(h, 3, 0x02);
    put(h, 1, 0x03);
    put(h, 0x0b, 0x22);
    fake_advance_ns(h, 3723 * SECOND - 1);
    assert_int_equal(fake_irq_level(h, 8), 0);
    fake_advance_ns(h, 1);
    assert_int_equal(fake_irq_level(h, 8), 1);
    assert_int_equal(get(h, 0x0c) & 0xa0, 0xa0);
    fake_advance_ns(h, 86400 * SECOND - 1);
    assert_int_equal(fake_irq_edges(h, 8), 1);
    fake_advance_ns(h, 1);
    assert_int_equal(fake_irq_edges(h, 8), 1);
}

static void alarm_with_any_hour_and_minute_comes_each_minute(void **state)
{
    struct fake_host *h = *state;

    put(h, 5, 0xff);
    put(h, 3, 0xc0);
    put(h, 1, 0x30);
    put(h, 0x0b, 0x22);
    for (int minute = 0; minute < 3; minute++) {
        fake_advance_ns(h, 60 * SECOND);
        assert_int_equal(fake_irq_edges(h, 8), 1);
        get(h, 0x0c);
    }
}

static void alarm_in_12_hours_and_binary(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x0b, 0x04);
    put(h, 5, 0x80 | 11); /* 11 p.m. */
    put(h, 3, 59);
    put(h, 1, 59);
    put(h, 0x0b, 0x24);
    fake_advance_ns(h, 86398 * SECOND);
    assert_int_equal(fake_irq_level(h, 8), 0);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_level(h, 8), 1);
}

static void off_its_line_flags_go_on_and_no_interrupt_comes(void **state)
{
    struct fake_host *h = *state;
    const struct rtc_interface *ops = fake_ops(h)->extension(fake_self(h), RTC_ID);

    ops->line_connect(fake_self(h), 0);
    get(h, 0x0c);
    put(h, 0x0b, 0x12);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_level(h, 8), 0);
    assert_int_equal(get(h, 0x0c) & 0xb0, 0x90);
    fake_advance_ns(h, SECOND);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM); /* who took it off puts it back */
    fake_ops(h)->start(fake_self(h));
    put(h, 0x0b, 0x12);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_level(h, 8), 0);
    ops->line_connect(fake_self(h), 1);
    assert_int_equal(fake_irq_level(h, 8), 1);
    ops->line_connect(fake_self(h), 0);
    assert_int_equal(fake_irq_level(h, 8), 0);
}

static void alarm_at_a_time_that_does_not_exist_never_comes(void **state)
{
    struct fake_host *h = *state;

    put(h, 5, 0x24);
    put(h, 3, 0x00);
    put(h, 1, 0x60);
    put(h, 0x0b, 0x22);
    fake_advance_ns(h, 2 * DAY);
    assert_int_equal(fake_irq_level(h, 8), 0);
    assert_int_equal(get(h, 0x0c) & 0x20, 0);
}

static void flags_can_be_polled_with_interrupts_off(void **state)
{
    struct fake_host *h = *state;

    get(h, 0x0c);
    fake_advance_ns(h, SECOND);
    assert_int_equal(get(h, 0x0c), 0x50); /* UF and PF, no IRQF */
    assert_int_equal(fake_irq_edges(h, 8), 0);
    assert_int_equal(get(h, 0x0c), 0x00);
    fake_advance_ns(h, 1000000);
    assert_int_equal(get(h, 0x0c), 0x40);
}

static void enabling_an_interrupt_whose_flag_is_set_raises_it(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, 2 * SECOND);
    put(h, 0x0b, 0x12);
    assert_int_equal(fake_irq_level(h, 8), 1);
    put(h, 0x0b, 0x02);
    assert_int_equal(fake_irq_level(h, 8), 0);
}

static void set_clears_uie_and_no_update_ends(void **state)
{
    struct fake_host *h = *state;

    get(h, 0x0c);
    put(h, 0x0b, 0xb2);
    assert_int_equal(get(h, 0x0b), 0xa2);
    fake_advance_ns(h, 2 * DAY);
    assert_int_equal(get(h, 0x0c) & 0x30, 0);
}

static void a_wall_clock_set_back_makes_no_interrupts_and_loses_none(void **state)
{
    struct fake_host *h = *state;

    fake_advance_ns(h, 100 * SECOND);
    get(h, 0x0c);
    put(h, 0x0b, 0x12);
    fake_set_utc_ns(h, START * SECOND);
    assert_int_equal(get(h, 0x0c) & 0x10, 0);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_level(h, 8), 1);
    assert_time(h, 0x00, 0x00, 0x01);
}

/* ---- registers, CMOS, life
 * ------------------------------------------------------------------------- */

static void ram_keeps_what_is_written(void **state)
{
    struct fake_host *h = *state;

    for (unsigned i = 0x0e; i < 0x80; i++) {
        assert_int_equal(get(h, (uint8_t)i), i == 0x32 ? 0x20 : 0);
        if (i != 0x32)
            put(h, (uint8_t)i, (uint8_t)(i ^ 0xa5));
    }
    for (unsigned i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            assert_int_equal(get(h, (uint8_t)i), i ^ 0xa5);
}

static void the_nmi_mask_is_no_part_of_the_index(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x8e, 0x77);
    assert_int_equal(get(h, 0x0e), 0x77);
    assert_int_equal(in8(h, 0x70), 0xff);
}

static void a_word_written_is_index_and_data(void **state)
{
    struct fake_host *h = *state;

    out16(h, 0x70, 0x5a10);
    assert_int_equal(get(h, 0x10), 0x5a);
    assert_int_equal(in16(h, 0x70), 0x5aff);
}

static void registers_c_and_d_cannot_be_written(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x0d, 0x00);
    assert_int_equal(get(h, 0x0d), 0x80);
    get(h, 0x0c);
    put(h, 0x0c, 0xff);
    assert_int_equal(get(h, 0x0c), 0x00);
}

static void memory_size_is_told_only_when_asked_for(void **state)
{
    struct config c = {.memory = UINT64_C(5) << 30, .port = 0x70, .irq = 8};
    struct fake_host *h = fake_host_new(DEV_PC, "rtc", &c);

    (void)state;
    assert_int_equal(get(h, 0x15) | get(h, 0x16) << 8, 640);
    assert_int_equal(get(h, 0x17) | get(h, 0x18) << 8, 0xffff);
    assert_int_equal(get(h, 0x30) | get(h, 0x31) << 8, 0xffff);
    assert_int_equal(get(h, 0x34) | get(h, 0x35) << 8, 0xbf00);
    assert_int_equal(get(h, 0x5b) | get(h, 0x5c) << 8 | get(h, 0x5d) << 16, 0x8000);
    fake_host_free(h);
    c.memory = 8 << 20;
    h = fake_host_new(DEV_PC, "rtc", &c);
    assert_int_equal(get(h, 0x30) | get(h, 0x31) << 8, 7168);
    assert_int_equal(get(h, 0x34) | get(h, 0x35) << 8, 0);
    fake_host_free(h);
}

static void a_warm_reset_keeps_clock_and_ram_and_ends_interrupts(void **state)
{
    struct fake_host *h = *state;

    set_clock(h, (uint8_t[]){0x12, 0x34, 0x56}, (uint8_t[]){0x20, 0x10, 0x10, 0x10});
    put(h, 0x40, 0x99);
    put(h, 0x0b, 0x7a);
    fake_advance_ns(h, SECOND);
    assert_int_equal(fake_irq_level(h, 8), 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(fake_irq_level(h, 8), 0);
    assert_time(h, 0x12, 0x34, 0x57);
    assert_int_equal(get(h, 0x40), 0x99);
    assert_int_equal(get(h, 0x0b), 0x02);
    assert_int_equal(get(h, 0x0c), 0x00);
}

static void a_cold_reset_forgets_everything(void **state)
{
    struct fake_host *h = *state;

    set_clock(h, (uint8_t[]){0x12, 0x34, 0x56}, (uint8_t[]){0x20, 0x10, 0x10, 0x10});
    put(h, 0x40, 0x99);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_COLD);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_time(h, 0x00, 0x00, 0x00);
    assert_int_equal(get(h, 0x40), 0);
}

static void a_snapshot_keeps_time_alarm_and_interrupt(void **state)
{
    struct fake_host *h = *state;
    struct fake_host *to = fake_host_new(DEV_PC, "rtc", &defaults);

    set_clock(h, (uint8_t[]){0x12, 0x00, 0x00}, (uint8_t[]){0x20, 0x10, 0x10, 0x10});
    put(h, 5, 0x12);
    put(h, 3, 0x00);
    put(h, 1, 0x10);
    get(h, 0x0c);
    put(h, 0x0b, 0x22);
    put(h, 0x7f, 0x42);
    fake_advance_ns(h, SECOND);
    fake_move_state(h, to);
    assert_int_equal(get(to, 0x7f), 0x42);
    assert_time(to, 0x12, 0x00, 0x01);
    fake_advance_ns(to, 9 * SECOND - 1);
    assert_int_equal(fake_irq_level(to, 8), 0);
    fake_advance_ns(to, 1);
    assert_int_equal(fake_irq_level(to, 8), 1);
    fake_advance_ns(h, 9 * SECOND);
    assert_int_equal(fake_irq_level(h, 8), 1);
    fake_host_free(to);
    to = fake_host_new(DEV_PC, "rtc", &defaults);
    fake_move_state(h, to);
    assert_int_equal(fake_irq_level(to, 8), 1);
    fake_host_free(to);
}

static void a_snapshot_of_a_held_clock_stays_held(void **state)
{
    struct fake_host *h = *state;
    struct fake_host *to = fake_host_new(DEV_PC, "rtc", &defaults);

    put(h, 0x0b, 0x82);
    put(h, 2, 0x44);
    fake_move_state(h, to);
    fake_advance_ns(to, 1000 * SECOND);
    assert_time(to, 0x00, 0x44, 0x00);
    fake_host_free(to);
}

static void a_damaged_snapshot_is_refused(void **state)
{
    static const struct {
        const char *field;
        uint64_t value;
        uint32_t width;
    } bad[] = {
        {"offset.s", INT64_MAX, 8},  {"offset.ns", 1000000000, 4}, {"seen.s", INT64_MAX, 8},
        {"seen.ns", 1000000000, 4},  {"weekday_shift", 7, 4},      {"index", 0x80, 1},
        {"offset.s", 1ull << 63, 8},
    };
    struct fake_host *h = *state;

    fake_ops(h)->stop(fake_self(h));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t before[8];
        void *field = field_of(h, bad[i].field);

        memcpy(before, field, bad[i].width);
        memcpy(field, &bad[i].value, bad[i].width);
        assert_int_equal(fake_ops(h)->after_load(fake_self(h)), -EINVAL);
        assert_string_equal(fake_failure(),
                            "the snapshot's clock is no time that the registers can "
                            "show; the file is damaged");
        memcpy(field, before, bad[i].width);
    }
    assert_int_equal(fake_ops(h)->after_load(fake_self(h)), 0);
}

static void the_tables_have_a_clock_with_two_ports(void **state)
{
    struct recorded r = describe(*state);

    assert_int_equal(r.has, BP_ACPI_HAS_RTC);
    assert_int_equal(r.devices, 1);
    assert_string_equal(r.hid, "PNP0B00");
    assert_int_equal(r.port, 0x70);
    assert_int_equal(r.ports, 2);
    assert_int_equal(r.irq, 8);
}

static void ports_beyond_the_last_are_refused(void **state)
{
    struct config c = {.port = 0xffff, .irq = 8};
    struct fake_host *h;

    (void)state;
    assert_true(fake_host_try(DEV_PC, "rtc", &c, &h) < 0);
    assert_string_equal(fake_failure(),
                        "ports 0xffff and 0x10000 cannot be had; choose another `port`");
}

static void any_write_to_any_register_is_survived(void **state)
{
    struct fake_host *h = *state;
    uint32_t random = 12345;

    for (int i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        put(h, (uint8_t)(random >> 24 & (i & 1 ? 0x0f : 0x7f)), (uint8_t)(random >> 16));
        if (i % 7 == 0)
            fake_advance_ns(h, random >> 4);
        get(h, (uint8_t)(random >> 8));
    }
    put(h, 0x0a, 0x26);
    put(h, 0x0b, 0x06);
    assert_true(get(h, 0) < 60);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shows_utc_in_bcd_and_24_hours),
        TEST(shows_binary_and_12_hours_as_register_b_says),
        TEST(moves_with_guest_time),
        cmocka_unit_test(localtime_starts_at_local_time),
        TEST(a_time_that_is_set_goes_on_from_there),
        TEST(a_time_before_1970_is_shown),
        TEST(the_year_9999_is_shown),
        TEST(set_stops_updates),
        TEST(the_first_second_after_the_divider_is_released_takes_half_a_second),
        TEST(the_divider_may_be_released_before_set_is_cleared),
        TEST(a_register_written_without_set_takes_effect_at_once),
        TEST(the_weekday_is_the_guests_to_choose),
        TEST(nonsense_in_the_time_registers_becomes_some_time),
        TEST(update_in_progress_in_the_last_244_microseconds),
        TEST(update_ended_interrupts_each_second_once_read),
        TEST(periodic_interrupt_has_the_rate_of_register_a),
        TEST(rate_zero_and_a_held_divider_make_no_periodic_interrupt),
        TEST(alarm_interrupts_at_its_time),
        TEST(alarm_with_any_hour_and_minute_comes_each_minute),
        TEST(alarm_in_12_hours_and_binary),
        TEST(alarm_at_a_time_that_does_not_exist_never_comes),
        TEST(flags_can_be_polled_with_interrupts_off),
        TEST(off_its_line_flags_go_on_and_no_interrupt_comes),
        TEST(enabling_an_interrupt_whose_flag_is_set_raises_it),
        TEST(set_clears_uie_and_no_update_ends),
        TEST(a_wall_clock_set_back_makes_no_interrupts_and_loses_none),
        TEST(ram_keeps_what_is_written),
        TEST(the_nmi_mask_is_no_part_of_the_index),
        TEST(a_word_written_is_index_and_data),
        TEST(registers_c_and_d_cannot_be_written),
        cmocka_unit_test(memory_size_is_told_only_when_asked_for),
        TEST(a_warm_reset_keeps_clock_and_ram_and_ends_interrupts),
        TEST(a_cold_reset_forgets_everything),
        TEST(a_snapshot_keeps_time_alarm_and_interrupt),
        TEST(a_snapshot_of_a_held_clock_stays_held),
        TEST(a_damaged_snapshot_is_refused),
        TEST(the_tables_have_a_clock_with_two_ports),
        cmocka_unit_test(ports_beyond_the_last_are_refused),
        TEST(any_write_to_any_register_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
