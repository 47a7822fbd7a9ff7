/* SPDX-License-Identifier: MIT
 *
 * examples/gpio_test.c - the example of switches and lights, under the fake host.
 */
#include "../dev-uart/fake_char.h"
#include "fakes/host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0xfe001000)

enum {
    DIRECTION = 0x04,
    OUTPUT = 0x08,
    SET = 0x0c,
    CLEAR = 0x10,
    INPUT = 0x14,
    RISING = 0x18,
    FALLING = 0x1c,
    MASK = 0x20,
    PENDING = 0x24
};

struct config {
    uint64_t base;
    struct bp_node *chardev;
    uint32_t inputs;
    uint8_t irq;
};

struct fixture {
    struct fake_host *host;
    struct fake_char *chr;
    struct config config;
};

static uint32_t get(struct fixture *f, uint32_t offset)
{
    return (uint32_t)fake_read(f->host, BP_SPACE_MMIO, BASE + offset, 4);
}

static void put(struct fixture *f, uint32_t offset, uint32_t value)
{
    fake_write(f->host, BP_SPACE_MMIO, BASE + offset, value, 4);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->chr = fake_char_new();
    f->config = (struct config){.base = BASE,
                                .chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, f->chr),
                                .inputs = 0x100,
                                .irq = 5};
    f->host = fake_host_new(PLUGIN_FILE, NULL, &f->config);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fake_host_free(f->host);
    free(f->chr);
    free(f);
    return 0;
}

static void outputs_read_back_and_are_told(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(get(f, 0), 0x50474250);
    put(f, DIRECTION, 0x80000003);
    put(f, SET, 0x80000005); /* line 2 is an input: driven, not seen */
    assert_int_equal(get(f, OUTPUT), 0x80000005);
    assert_int_equal(get(f, INPUT), 0x80000101);
    put(f, CLEAR, 1);
    put(f, OUTPUT, 2);
    fake_char_expect(f->chr, "0 on\n31 on\n0 off\n1 on\n31 off\n");
}

static void a_line_that_becomes_an_output_shows_what_waited(void **state)
{
    struct fixture *f = *state;

    put(f, OUTPUT, 4);
    put(f, RISING, 4);
    put(f, DIRECTION, 4);
    assert_int_equal(get(f, PENDING), 4);
    put(f, DIRECTION, 0);
    fake_char_expect(f->chr, "2 on\n2 off\n");
}

static void a_switch_interrupts_until_it_is_cleared(void **state)
{
    struct fixture *f = *state;

    put(f, RISING, 0x80000020);
    assert_int_equal(fake_char_give(f->chr, "5", 1), 1);
    assert_int_equal(get(f, INPUT), 0x120);
    assert_int_equal(get(f, PENDING), 0x20);
    assert_int_equal(fake_irq_level(f->host, 5), 0);
    put(f, MASK, 0x20);
    assert_int_equal(fake_irq_level(f->host, 5), 1);
    put(f, PENDING, 0x80000000); /* another bit */
    assert_int_equal(fake_irq_level(f->host, 5), 1);
    put(f, PENDING, 0x20);
    assert_int_equal(fake_irq_level(f->host, 5), 0);
    fake_char_give(f->chr, "5", 1); /* falls */
    assert_int_equal(get(f, PENDING), 0);
    put(f, FALLING, 0x20);
    fake_char_give(f->chr, "5", 1);
    fake_char_give(f->chr, "5", 1);
    assert_int_equal(get(f, PENDING), 0x20);
    assert_int_equal(fake_irq_level(f->host, 5), 1);
}

static void both_edges_of_a_burst_count_and_other_bytes_do_not(void **state)
{
    struct fixture *f = *state;

    put(f, RISING, 1u << 31);
    put(f, FALLING, 1u << 10);
    assert_int_equal(fake_char_give(f->chr, "vv aawxyzAV/:`{\n\xff", 16), 16);
    assert_int_equal(get(f, INPUT), 0x100);
    assert_int_equal(get(f, PENDING), 1u << 31 | 1u << 10);
}

static void a_slow_terminal_is_told_how_it_ended(void **state)
{
    struct fixture *f = *state;

    put(f, DIRECTION, 3);
    f->chr->room = 2;
    put(f, SET, 1); /* "0 " */
    for (int i = 0; i < 1000; i++) {
        put(f, SET, 2);
        put(f, CLEAR, 2);
    }
    put(f, CLEAR, 1);
    fake_char_expect(f->chr, "0 ");
    fake_char_open(f->chr, 100);
    fake_char_expect(f->chr, "0 on\n0 off\n");
}

static void a_write_where_no_register_is_written_is_told(void **state)
{
    struct fixture *f = *state;
    uint32_t level;

    put(f, INPUT, 7);
    assert_string_equal(fake_log(f->host, &level),
                        "write of 0x7 to offset 0x14, where no register can be written");
    assert_int_equal(level, BP_LOG_WARN | BP_LOG_GUEST);
    assert_int_equal(get(f, 0xffc), 0);
}

static void a_reset_puts_out_the_lights_and_moves_no_switch(void **state)
{
    struct fixture *f = *state;

    put(f, DIRECTION, 1);
    put(f, SET, 1);
    put(f, RISING, 2);
    put(f, MASK, 2);
    fake_char_give(f->chr, "1", 1);
    assert_int_equal(fake_irq_level(f->host, 5), 1);
    fake_ops(f->host)->stop(fake_self(f->host));
    fake_ops(f->host)->reset(fake_self(f->host), BP_RESET_WARM);
    assert_int_equal(fake_ops(f->host)->start(fake_self(f->host)), 0);
    assert_int_equal(fake_irq_level(f->host, 5), 0);
    assert_int_equal(get(f, INPUT), 0x102);
    fake_char_expect(f->chr, "0 on\n0 off\n");
}

static void a_snapshot_holds_lines_and_interrupt(void **state)
{
    struct fixture *f = *state;
    struct config config = f->config;
    struct fake_host *to;

    config.chardev = NULL;
    to = fake_host_new(PLUGIN_FILE, NULL, &config);
    put(f, DIRECTION, 1);
    put(f, SET, 1);
    put(f, RISING, 2);
    put(f, MASK, 2);
    fake_char_give(f->chr, "1", 1);
    fake_move_state(f->host, to);
    assert_int_equal(fake_irq_level(to, 5), 1);
    assert_int_equal(fake_read(to, BP_SPACE_MMIO, BASE + INPUT, 4), 0x103);
    fake_host_free(to);
}

static void a_page_beyond_the_address_space_is_refused(void **state)
{
    struct config c = {.base = UINT64_MAX - 0xffe, .irq = 5};
    struct fake_host *h;

    (void)state;
    assert_true(fake_host_try(PLUGIN_FILE, NULL, &c, &h) < 0);
    assert_string_equal(fake_failure(),
                        "the page at 0xfffffffffffff001 cannot be had; choose another `base`");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outputs_read_back_and_are_told),
        TEST(a_line_that_becomes_an_output_shows_what_waited),
        TEST(a_switch_interrupts_until_it_is_cleared),
        TEST(both_edges_of_a_burst_count_and_other_bytes_do_not),
        TEST(a_slow_terminal_is_told_how_it_ended),
        TEST(a_write_where_no_register_is_written_is_told),
        TEST(a_reset_puts_out_the_lights_and_moves_no_switch),
        TEST(a_snapshot_holds_lines_and_interrupt),
        cmocka_unit_test(a_page_beyond_the_address_space_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
