/* SPDX-License-Identifier: MIT
 *
 * Tests of backplane/util/registers.h: what the guest reads and writes by a table of members.
 */
#include <backplane/util/registers.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct device {
    uint32_t all, some, status, command, count, told;
    uint32_t written, readings;
};

static void note_write(void *self)
{
    ((struct device *)self)->written++;
}

static void count_up(void *self)
{
    ((struct device *)self)->told = 100 + ++((struct device *)self)->readings;
}

static const struct bp_cell cells[] = {
    BP_CELL_CONSTANT("ID", 0x00, 0x12345678),
    BP_CELL("ALL", 0x04, BP_REG_RW, struct device, all, .initial = 7),
    BP_CELL("SOME", 0x08, BP_REG_RW, struct device, some, .writable = 0xf0, .initial = 0x0f),
    BP_CELL("STATUS", 0x0c, BP_REG_RW, struct device, status, .clears = 3, .written = note_write),
    BP_CELL("COMMAND", 0x10, BP_REG_WO | BP_REG_DOORBELL, struct device, command,
            .written = note_write),
    BP_CELL("COUNT", 0x14, BP_REG_RC, struct device, count),
    BP_CELL("TOLD", 0x18, BP_REG_RO, struct device, told, .reading = count_up),
    BP_CELLS_END,
};
BP_CELL_REGION(region, "registers", cells, 4)

static uint64_t get(struct device *d, uint64_t offset)
{
    return region.read(d, offset, 4);
}

static void reset_gives_the_initial_values(void **state)
{
    struct device d = {.all = 1, .status = 1, .written = 5};

    (void)state;
    bp_cells_reset(cells, &d);
    assert_int_equal(get(&d, 0x00), 0x12345678);
    assert_int_equal(get(&d, 0x04), 7);
    assert_int_equal(get(&d, 0x08), 0x0f);
    assert_int_equal(d.status, 0);
    assert_int_equal(d.written, 5);
}

static void writes_change_what_may_be_written(void **state)
{
    struct device d = {.some = 0x0f};

    (void)state;
    region.write(&d, 0x00, 1, 4);
    region.write(&d, 0x04, 0xffffffff, 4);
    region.write(&d, 0x08, 0xaa, 4);
    region.write(&d, 0x18, 1, 4);
    assert_int_equal(get(&d, 0x00), 0x12345678);
    assert_int_equal(d.all, 0xffffffff);
    assert_int_equal(d.some, 0xaf);
    assert_int_equal(d.told, 0);
    assert_int_equal(d.written, 0);
}

static void ones_clear_and_nothing_is_set(void **state)
{
    struct device d = {.status = 7};

    (void)state;
    region.write(&d, 0x0c, 0xfe, 4);
    assert_int_equal(d.status, 5);
    assert_int_equal(d.written, 1);
}

static void write_only_registers_read_as_zero(void **state)
{
    struct device d = {0};

    (void)state;
    region.write(&d, 0x10, 9, 4);
    assert_int_equal(d.command, 9);
    assert_int_equal(d.written, 1);
    assert_int_equal(get(&d, 0x10), 0);
}

static void reads_clear_and_bring_up_to_date(void **state)
{
    struct device d = {.count = 4};

    (void)state;
    region.write(&d, 0x14, 9, 4);
    assert_int_equal(get(&d, 0x14), 4);
    assert_int_equal(get(&d, 0x14), 0);
    assert_int_equal(get(&d, 0x18), 101);
    assert_int_equal(get(&d, 0x18), 102);
}

static void where_no_register_is_nothing_happens(void **state)
{
    struct device d = {.all = 3}, before = d;

    (void)state;
    region.write(&d, 0x40, 9, 4);
    assert_int_equal(get(&d, 0x40), 0);
    assert_memory_equal(&d, &before, sizeof(d));
}

static void the_host_sees_a_table_of_registers(void **state)
{
    const char *at = (const char *)region.registers;
    uint32_t count = 0;

    (void)state;
    for (; ((const struct bp_register *)at)->name; at += region.register_stride, count++)
        assert_int_equal(((const struct bp_register *)at)->offset, 4 * count);
    assert_int_equal(count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_gives_the_initial_values),
        cmocka_unit_test(writes_change_what_may_be_written),
        cmocka_unit_test(ones_clear_and_nothing_is_set),
        cmocka_unit_test(write_only_registers_read_as_zero),
        cmocka_unit_test(reads_clear_and_bring_up_to_date),
        cmocka_unit_test(where_no_register_is_nothing_happens),
        cmocka_unit_test(the_host_sees_a_table_of_registers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
