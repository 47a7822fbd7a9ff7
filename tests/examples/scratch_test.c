/* SPDX-License-Identifier: MIT
 *
 * examples/scratch_test.c - the example device, under the fake host.
 */
#include "fakes/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0xfe000000)

struct config {
    uint64_t base;
    uint8_t irq;
};

static const struct config defaults = {.base = BASE, .irq = 5};

static uint32_t get(struct fake_host *h, uint32_t offset)
{
    return (uint32_t)fake_read(h, BP_SPACE_MMIO, BASE + offset, 4);
}

static void put(struct fake_host *h, uint32_t offset, uint32_t value)
{
    fake_write(h, BP_SPACE_MMIO, BASE + offset, value, 4);
}

static int set_up(void **state)
{
    *state = fake_host_new(PLUGIN_FILE, NULL, &defaults);
    return 0;
}

static int tear_down(void **state)
{
    fake_host_free(*state);
    return 0;
}

static void adds_and_clears(void **state)
{
    struct fake_host *h = *state;

    assert_int_equal(get(h, 0x00), 0x43534250);
    put(h, 0x04, 0xdeadbeef);
    assert_int_equal(get(h, 0x04), 0xdeadbeef);
    put(h, 0x08, 40);
    put(h, 0x08, 2);
    assert_int_equal(get(h, 0x0c), 42);
    put(h, 0x20, 2);
    assert_int_equal(get(h, 0x0c), 0);
}

static void overflow_interrupts_until_it_is_cleared(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x08, 0xffffffff);
    assert_int_equal(get(h, 0x10), 0);
    put(h, 0x08, 2);
    assert_int_equal(get(h, 0x0c), 1);
    assert_int_equal(get(h, 0x10), 1);
    assert_int_equal(fake_irq_level(h, 5), 0);
    put(h, 0x14, 1);
    assert_int_equal(fake_irq_level(h, 5), 1);
    put(h, 0x10, 2); /* another bit */
    assert_int_equal(fake_irq_level(h, 5), 1);
    put(h, 0x10, 1);
    assert_int_equal(fake_irq_level(h, 5), 0);
}

static void the_sum_is_stored_where_the_guest_says(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x08, 0x04030201);
    put(h, 0x18, 0x1003);
    put(h, 0x20, 1);
    assert_memory_equal(fake_ram(h) + 0x1003, "\1\2\3\4", 4);
    assert_int_equal(get(h, 0x10), 2);
}

static void a_store_beyond_ram_is_an_error_and_touches_nothing(void **state)
{
    static const uint64_t bad[] = {FAKE_RAM_BYTES - 2, FAKE_RAM_BYTES, BASE, UINT64_MAX - 1};
    struct fake_host *h = *state;

    put(h, 0x08, 0xffffffff);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(h, 0x10, 7);
        put(h, 0x18, (uint32_t)bad[i]);
        put(h, 0x1c, (uint32_t)(bad[i] >> 32));
        put(h, 0x20, 1);
        assert_int_equal(get(h, 0x10), 6);
    }
    assert_int_equal(fake_ram(h)[FAKE_RAM_BYTES - 1], 0);
    assert_int_equal(fake_ram(h)[FAKE_RAM_BYTES - 2], 0);
}

static void unknown_registers_and_commands_are_told(void **state)
{
    struct fake_host *h = *state;
    uint32_t level;

    put(h, 0x20, 9);
    assert_string_equal(fake_log(h, &level), "command 9 is ignored: 1 and 2 exist");
    assert_int_equal(level, BP_LOG_WARN | BP_LOG_GUEST);
    put(h, 0xffc, 1);
    assert_string_equal(fake_log(h, NULL),
                        "write of 0x1 to offset 0xffc, where no register can be written");
    assert_int_equal(get(h, 0xffc), 0);
    put(h, 0x00, 1);
    assert_int_equal(get(h, 0x00), 0x43534250);
}

static void accesses_of_other_widths_are_split_and_widened(void **state)
{
    struct fake_host *h = *state;

    put(h, 0x04, 0x44332211);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, BASE, 8), 0x4433221143534250);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, BASE + 5, 1), 0x22);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, BASE + 2, 4), 0x22114353);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, BASE + 0xffc, 8), 0xffffffff00000000);
}

static void a_reset_and_a_snapshot(void **state)
{
    struct fake_host *h = *state;
    struct fake_host *to = fake_host_new(PLUGIN_FILE, NULL, &defaults);

    put(h, 0x14, 1);
    put(h, 0x08, 0xffffffff);
    put(h, 0x08, 8);
    fake_move_state(h, to);
    assert_int_equal(get(to, 0x0c), 7);
    assert_int_equal(fake_irq_level(to, 5), 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(fake_irq_level(h, 5), 0);
    assert_int_equal(get(h, 0x0c), 0);
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
        TEST(adds_and_clears),
        TEST(overflow_interrupts_until_it_is_cleared),
        TEST(the_sum_is_stored_where_the_guest_says),
        TEST(a_store_beyond_ram_is_an_error_and_touches_nothing),
        TEST(unknown_registers_and_commands_are_told),
        TEST(accesses_of_other_widths_are_split_and_widened),
        TEST(a_reset_and_a_snapshot),
        cmocka_unit_test(a_page_beyond_the_address_space_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
