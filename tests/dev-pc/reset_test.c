/* SPDX-License-Identifier: MIT
 *
 * dev-pc/reset_test.c - the ways by which a guest resets the machine, and the A20 gate.
 */
#include "ports.h"

struct config {
    uint16_t port, a20_port, data_port, command_port;
};

static const struct config defaults = {
    .port = 0xcf9, .a20_port = 0x92, .data_port = 0x60, .command_port = 0x64};

static int set_up(void **state)
{
    *state = fake_host_new(DEV_PC, "reset", &defaults);
    return 0;
}

static int tear_down(void **state)
{
    fake_host_free(*state);
    return 0;
}

static void a_rise_of_rst_cpu_resets(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0xcf9, 0x02);
    assert_int_equal(fake_request(h, NULL), 0);
    assert_int_equal(in8(h, 0xcf9), 0x02); /* Linux reads it back */
    out8(h, 0xcf9, 0x06);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
    out8(h, 0xcf9, 0x06); /* still up: no rise */
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0xcf9, 0x00);
    out8(h, 0xcf9, 0x0e);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
}

static void a_soft_reset_resets_too(void **state)
{
    out8(*state, 0xcf9, 0x04);
    assert_int_equal(fake_request(*state, NULL), BP_REQUEST_RESET);
}

static void reserved_bits_of_the_reset_register_read_zero(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0xcf9, 0xfb);
    assert_int_equal(in8(h, 0xcf9), 0x0a);
    assert_int_equal(fake_request(h, NULL), 0);
}

static void keyboard_controller_command_fe_resets(void **state)
{
    out8(*state, 0x64, 0xfe);
    assert_int_equal(fake_request(*state, NULL), BP_REQUEST_RESET);
}

static void pulsing_other_output_lines_does_nothing(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0x64, 0xff);
    out8(h, 0x64, 0xfd);
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0x64, 0xf0); /* all four, reset among them */
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
}

static void the_output_port_resets_when_bit_0_falls(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0x60, 0x00); /* no command waits: for the keyboard */
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0x64, 0xd1);
    out8(h, 0x60, 0xdf);
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0x64, 0xd1);
    out8(h, 0x60, 0xde);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
}

static void another_command_takes_the_place_of_one_that_waits(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0x64, 0xd1);
    out8(h, 0x64, 0xae);
    out8(h, 0x60, 0x00);
    assert_int_equal(fake_request(h, NULL), 0);
}

static void the_controller_is_never_busy(void **state)
{
    struct fake_host *h = *state;

    for (uint32_t command = 0; command < 0x100; command++) {
        out8(h, 0x64, command);
        assert_int_equal(in8(h, 0x64) & 0x02, 0);
    }
}

static void a_probe_for_a_keyboard_gets_no_answer(void **state)
{
    struct fake_host *h = *state;
    const uint8_t probes[] = {0x20, 0xaa, 0xab, 0xa9, 0xd3};

    for (size_t i = 0; i < sizeof(probes); i++) {
        out8(h, 0x64, probes[i]);
        assert_int_equal(in8(h, 0x64) & 0x01, 0);
    }
    out8(h, 0x60, 0xff); /* reset keyboard */
    assert_int_equal(in8(h, 0x64) & 0x01, 0);
}

static void the_output_port_shows_the_a20_gate(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0x64, 0xd0);
    assert_int_equal(in8(h, 0x64) & 0x01, 1);
    assert_int_equal(in8(h, 0x60), 0xcf);
    assert_int_equal(in8(h, 0x64) & 0x01, 0);
    out8(h, 0x64, 0xd1);
    out8(h, 0x60, 0xdd);
    out8(h, 0x64, 0xd0);
    assert_int_equal(in8(h, 0x60), 0xcd);
    assert_int_equal(in8(h, 0x92), 0x00);
    out8(h, 0x64, 0xdf);
    assert_int_equal(in8(h, 0x92), 0x02);
    out8(h, 0x64, 0xdd);
    assert_int_equal(in8(h, 0x92), 0x00);
}

static void closing_the_a20_gate_is_told(void **state)
{
    struct fake_host *h = *state;
    uint32_t level;

    out8(h, 0x92, 0x02);
    assert_int_equal(fake_log_count(h), 0);
    out8(h, 0x92, 0x00);
    out8(h, 0x92, 0x00);
    assert_int_equal(fake_log_count(h), 1);
    assert_string_equal(fake_log(h, &level), "the A20 gate was closed, which has no effect: "
                                             "address line 20 stays open");
    assert_int_equal(level, BP_LOG_WARN | BP_LOG_GUEST);
}

static void a_rise_of_fast_init_resets(void **state)
{
    struct fake_host *h = *state;

    assert_int_equal(in8(h, 0x92), 0x02);
    out8(h, 0x92, 0x03);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
    assert_int_equal(in8(h, 0x92), 0x03);
    out8(h, 0x92, 0x03);
    assert_int_equal(fake_request(h, NULL), 0);
    out8(h, 0x92, 0xfe);
    assert_int_equal(in8(h, 0x92), 0x02);
    out8(h, 0x92, 0x01);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
}

static void after_a_reset_the_machine_can_be_reset_again(void **state)
{
    struct fake_host *h = *state;

    out8(h, 0x92, 0x00);
    out8(h, 0xcf9, 0x06);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(in8(h, 0xcf9), 0);
    assert_int_equal(in8(h, 0x92), 0x02);
    out8(h, 0xcf9, 0x06);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_RESET);
}

static void a_snapshot_keeps_a_command_that_waits(void **state)
{
    struct fake_host *h = *state;
    struct fake_host *to = fake_host_new(DEV_PC, "reset", &defaults);

    out8(h, 0xcf9, 0x02);
    out8(h, 0x64, 0xd1);
    fake_move_state(h, to);
    assert_int_equal(in8(to, 0xcf9), 0x02);
    out8(to, 0x60, 0x00);
    assert_int_equal(fake_request(to, NULL), BP_REQUEST_RESET);
    fake_host_free(to);
}

static void impossible_bits_of_a_snapshot_are_dropped(void **state)
{
    struct fake_host *h = *state;

    *(uint8_t *)field_of(h, "rst_cnt") = 0xff;
    *(uint8_t *)field_of(h, "fast_init") = 0xff;
    *(uint8_t *)field_of(h, "last_cmd") = 0xff;
    fake_ops(h)->stop(fake_self(h));
    assert_int_equal(fake_ops(h)->after_load(fake_self(h)), 0);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(in8(h, 0xcf9), 0x0e);
    assert_int_equal(in8(h, 0x92), 0x03);
    assert_int_equal(in8(h, 0x64) & 0x03, 0);
}

static void a_port_that_is_taken_is_named_with_its_key(void **state)
{
    struct config c = defaults;
    struct fake_host *h;

    (void)state;
    c.command_port = 0x60;
    assert_true(fake_host_try(DEV_PC, "reset", &c, &h) < 0);
    assert_string_equal(fake_failure(), "port 0x60 cannot be had; choose another `command-port`");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rise_of_rst_cpu_resets),
        TEST(a_soft_reset_resets_too),
        TEST(reserved_bits_of_the_reset_register_read_zero),
        TEST(keyboard_controller_command_fe_resets),
        TEST(pulsing_other_output_lines_does_nothing),
        TEST(the_output_port_resets_when_bit_0_falls),
        TEST(another_command_takes_the_place_of_one_that_waits),
        TEST(the_controller_is_never_busy),
        TEST(a_probe_for_a_keyboard_gets_no_answer),
        TEST(the_output_port_shows_the_a20_gate),
        TEST(closing_the_a20_gate_is_told),
        TEST(a_rise_of_fast_init_resets),
        TEST(after_a_reset_the_machine_can_be_reset_again),
        TEST(a_snapshot_keeps_a_command_that_waits),
        TEST(impossible_bits_of_a_snapshot_are_dropped),
        cmocka_unit_test(a_port_that_is_taken_is_named_with_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
