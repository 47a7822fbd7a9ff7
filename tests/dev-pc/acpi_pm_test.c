/* SPDX-License-Identifier: MIT
 *
 * dev-pc/acpi_pm_test.c - ACPI fixed hardware: soft-off, the SCI, and what the tables are told.
 *
 * Nothing sets a status bit yet, so the tests put them there as a snapshot would.
 */
#include "ports.h"

struct config {
    uint16_t port, reset_port;
    uint8_t irq, s5_type;
    uint8_t pm_timer;
};

static const struct config defaults = {.port = 0x600, .reset_port = 0xcf9, .irq = 9, .s5_type = 0};

static void set_status(struct fake_host *h, uint16_t bits)
{
    uint16_t *status = field_of(h, "status");

    *status = bits;
    fake_ops(h)->stop(fake_self(h));
    assert_int_equal(fake_ops(h)->after_load(fake_self(h)), 0);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
}

static void soft_off_powers_the_machine_off(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    out16(h, 0x604, 0x2000);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_POWER_OFF);
    fake_host_free(h);
}

static void soft_off_has_the_configured_type(void **state)
{
    struct config c = defaults;
    struct fake_host *h;

    (void)state;
    c.s5_type = 5;
    h = fake_host_new(DEV_PC, "acpi-pm", &c);
    out16(h, 0x604, 0x2000);
    assert_int_equal(fake_request(h, NULL), 0);
    out16(h, 0x604, 5 << 10); /* type without SLP_EN */
    assert_int_equal(fake_request(h, NULL), 0);
    out16(h, 0x604, 5 << 10 | 0x2000);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_POWER_OFF);
    fake_host_free(h);
}

static void other_sleep_types_are_told_and_ignored(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);
    uint32_t level;

    (void)state;
    out16(h, 0x604, 3 << 10 | 0x2000);
    assert_int_equal(fake_request(h, NULL), 0);
    assert_string_equal(fake_log(h, &level),
                        "sleep type 3 is ignored: the only sleep state is S5, type 0");
    assert_int_equal(level, BP_LOG_WARN | BP_LOG_GUEST);
    fake_host_free(h);
}

static void control_reads_back_in_acpi_mode(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    assert_int_equal(in16(h, 0x604), 0x0001);
    out16(h, 0x604, 0xdfff); /* everything but SLP_EN */
    assert_int_equal(in16(h, 0x604), 0x1c03);
    out16(h, 0x604, 0); /* SCI_EN cannot be cleared */
    assert_int_equal(in16(h, 0x604), 0x0001);
    fake_host_free(h);
}

static void halves_of_control_are_written_alone(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    out8(h, 0x605, 0x1c);
    out8(h, 0x604, 0x02);
    assert_int_equal(in8(h, 0x605), 0x1c);
    assert_int_equal(in8(h, 0x604), 0x03);
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0x605, 0x20);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_POWER_OFF);
    fake_host_free(h);
}

static void sci_is_up_while_an_enabled_status_is_set(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    set_status(h, 0x0100);
    assert_int_equal(fake_irq_level(h, 9), 0);
    out16(h, 0x602, 0x0100);
    assert_int_equal(fake_irq_level(h, 9), 1);
    out16(h, 0x600, 0x0001); /* clears another bit */
    assert_int_equal(fake_irq_level(h, 9), 1);
    out16(h, 0x600, 0x0100);
    assert_int_equal(fake_irq_level(h, 9), 0);
    assert_int_equal(in16(h, 0x600), 0);
    fake_host_free(h);
}

static void status_clears_only_the_bits_written_as_ones(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    set_status(h, 0x8731);
    assert_int_equal(in16(h, 0x600), 0x8731);
    out8(h, 0x601, 0x05);
    assert_int_equal(in16(h, 0x600), 0x8231);
    out8(h, 0x600, 0x21);
    assert_int_equal(in16(h, 0x600), 0x8210);
    out16(h, 0x600, 0);
    assert_int_equal(in16(h, 0x600), 0x8210);
    fake_host_free(h);
}

static void a_dword_reaches_status_and_enable(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    set_status(h, 0x0100);
    fake_write(h, BP_SPACE_PIO, 0x600, 0xffff0000, 4);
    assert_int_equal(fake_read(h, BP_SPACE_PIO, 0x600, 4), 0x07210100);
    fake_host_free(h);
}

static void reset_clears_enable_and_lowers_the_sci(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    set_status(h, 0x0100);
    out16(h, 0x602, 0x0100);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(fake_irq_level(h, 9), 0);
    assert_int_equal(in16(h, 0x600), 0);
    assert_int_equal(in16(h, 0x602), 0);
    fake_host_free(h);
}

static void a_snapshot_brings_the_sci_back(void **state)
{
    struct fake_host *from = fake_host_new(DEV_PC, "acpi-pm", &defaults);
    struct fake_host *to = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    set_status(from, 0x0100);
    out16(from, 0x602, 0x0100);
    out16(from, 0x604, 0x1400);
    fake_move_state(from, to);
    assert_int_equal(fake_irq_level(to, 9), 1);
    assert_int_equal(in16(to, 0x602), 0x0100);
    assert_int_equal(in16(to, 0x604), 0x1401);
    fake_host_free(from);
    fake_host_free(to);
}

static void reserved_bits_of_a_snapshot_are_dropped(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    *(uint16_t *)field_of(h, "enable") = 0xffff;
    *(uint16_t *)field_of(h, "control") = 0xffff;
    set_status(h, 0xffff);
    assert_int_equal(in16(h, 0x600), 0x8731);
    assert_int_equal(in16(h, 0x602), 0x0721);
    assert_int_equal(in16(h, 0x604), 0x1c03);
    fake_host_free(h);
}

static void the_tables_are_told_of_ports_and_the_reset_register(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);
    struct recorded r = describe(h);

    (void)state;
    assert_int_equal(r.powers, 1);
    assert_int_equal(r.power.size, sizeof(r.power));
    assert_int_equal(r.power.pm1a_event_port, 0x600);
    assert_int_equal(r.power.pm1a_control_port, 0x604);
    assert_int_equal(r.power.pm_timer_port, 0);
    assert_int_equal(r.power.reset_port, 0xcf9);
    assert_int_equal(r.power.reset_value, 0x06);
    assert_int_equal(r.power.s5_type, 0);
    assert_int_equal(r.power.sci_line, 9);
    fake_host_free(h);
}

static void the_tables_have_no_reset_register_without_its_port(void **state)
{
    struct config c = {.port = 0x4000, .irq = 10, .s5_type = 7};
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &c);
    struct recorded r = describe(h);

    (void)state;
    assert_int_equal(r.power.pm1a_event_port, 0x4000);
    assert_int_equal(r.power.pm1a_control_port, 0x4004);
    assert_int_equal(r.power.reset_port, 0);
    assert_int_equal(r.power.reset_value, 0);
    assert_int_equal(r.power.s5_type, 7);
    assert_int_equal(r.power.sci_line, 10);
    fake_host_free(h);
}

static void ports_beyond_the_last_are_refused(void **state)
{
    struct config c = defaults;
    struct fake_host *h;

    (void)state;
    c.port = 0xfffb;
    assert_true(fake_host_try(DEV_PC, "acpi-pm", &c, &h) < 0);
    assert_string_equal(fake_failure(),
                        "ports 0xfffb to 0x10000 cannot be had; choose another `port`");
}

/* ---- the timer ---- */

static struct fake_host *with_timer(void)
{
    static const struct config c = {.port = 0x600, .reset_port = 0xcf9, .irq = 9, .pm_timer = 1};

    return fake_host_new(DEV_PC, "acpi-pm", &c);
}

static void there_is_no_timer_unless_asked_for(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "acpi-pm", &defaults);

    (void)state;
    assert_int_equal(fake_read(h, BP_SPACE_PIO, 0x608, 4), 0xffffffff);
    fake_advance_ns(h, 10000000000);
    assert_int_equal(in16(h, 0x600), 0);
    fake_host_free(h);
}

static void the_timer_counts_24_bits_at_3579545_hz(void **state)
{
    struct fake_host *h = with_timer();

    (void)state;
    assert_int_equal(fake_read(h, BP_SPACE_PIO, 0x608, 4), 0);
    fake_advance_ns(h, 1000000000);
    assert_int_equal(fake_read(h, BP_SPACE_PIO, 0x608, 4), 3579545);
    fake_advance_ns(h, 4000000000);
    assert_int_equal(fake_read(h, BP_SPACE_PIO, 0x608, 4), 5 * 3579545 - 0x1000000);
    fake_write(h, BP_SPACE_PIO, 0x608, 0, 4); /* read-only */
    assert_int_equal(fake_read(h, BP_SPACE_PIO, 0x608, 4), 5 * 3579545 - 0x1000000);
    assert_int_equal(describe(h).power.pm_timer_port, 0x608);
    fake_host_free(h);
}

static void a_change_of_the_timers_highest_bit_sets_tmr_sts(void **state)
{
    struct fake_host *h = with_timer();

    (void)state;
    fake_advance_ns(h, 2343000000);
    assert_int_equal(in16(h, 0x600), 0);
    fake_advance_ns(h, 1000000);
    assert_int_equal(in16(h, 0x600), 1);
    out16(h, 0x600, 1);
    assert_int_equal(in16(h, 0x600), 0);
    assert_int_equal(fake_irq_level(h, 9), 0);
    fake_host_free(h);
}

static void an_enabled_timer_interrupts_at_each_change(void **state)
{
    struct fake_host *h = with_timer();

    (void)state;
    out16(h, 0x602, 1);
    fake_advance_ns(h, 2400000000);
    assert_int_equal(fake_irq_level(h, 9), 1);
    out16(h, 0x600, 1);
    assert_int_equal(fake_irq_level(h, 9), 0);
    fake_advance_ns(h, 2400000000);
    assert_int_equal(fake_irq_level(h, 9), 1);
    fake_host_free(h);
}

static void the_timers_ports_beyond_the_last_are_refused(void **state)
{
    struct config c = defaults;
    struct fake_host *h;

    (void)state;
    c.port = 0xfff6;
    c.pm_timer = 1;
    assert_true(fake_host_try(DEV_PC, "acpi-pm", &c, &h) < 0);
    assert_string_equal(fake_failure(),
                        "ports 0xfffe to 0x10001 of the timer cannot be had; choose "
                        "another `port`, or pm-timer = no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_off_powers_the_machine_off),
        cmocka_unit_test(soft_off_has_the_configured_type),
        cmocka_unit_test(other_sleep_types_are_told_and_ignored),
        cmocka_unit_test(control_reads_back_in_acpi_mode),
        cmocka_unit_test(halves_of_control_are_written_alone),
        cmocka_unit_test(sci_is_up_while_an_enabled_status_is_set),
        cmocka_unit_test(status_clears_only_the_bits_written_as_ones),
        cmocka_unit_test(a_dword_reaches_status_and_enable),
        cmocka_unit_test(reset_clears_enable_and_lowers_the_sci),
        cmocka_unit_test(a_snapshot_brings_the_sci_back),
        cmocka_unit_test(reserved_bits_of_a_snapshot_are_dropped),
        cmocka_unit_test(the_tables_are_told_of_ports_and_the_reset_register),
        cmocka_unit_test(the_tables_have_no_reset_register_without_its_port),
        cmocka_unit_test(ports_beyond_the_last_are_refused),
        cmocka_unit_test(there_is_no_timer_unless_asked_for),
        cmocka_unit_test(the_timer_counts_24_bits_at_3579545_hz),
        cmocka_unit_test(a_change_of_the_timers_highest_bit_sets_tmr_sts),
        cmocka_unit_test(an_enabled_timer_interrupts_at_each_change),
        cmocka_unit_test(the_timers_ports_beyond_the_last_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
