/* SPDX-License-Identifier: MIT
 *
 * The memory map: from RAM, and cut to pieces.
 */
#include "platform/e820.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB 0x100000ull
#define GIB 0x40000000ull

static void assert_map(const struct e820 *map, const uint64_t (*expected)[3], uint32_t count)
{
    assert_int_equal(map->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(map->entries[i].base, expected[i][0]);
        assert_int_equal(map->entries[i].base + map->entries[i].length, expected[i][1]);
        assert_int_equal(map->entries[i].type, expected[i][2]);
    }
}

static void from_ram(struct e820 *map, uint64_t size, const struct ram_reserved *reserved,
                     uint32_t count)
{
    struct ram ram;
    struct error e;

    assert_int_equal(ram_create(&ram, size, false, reserved, count, &e), 0);
    assert_int_equal(e820_from_ram(map, &ram), 0);
    ram_destroy(&ram);
}

static void first_mib_ends_in_rom(void **state)
{
    const uint64_t expected[][3] = {
        {0, 0xa0000, 1}, {0xa0000, MIB, 2}, {MIB, 64 * MIB, 1}, {0xfec00000, 4 * GIB, 2}};
    struct e820 map;
    (void)state;

    from_ram(&map, 64 * MIB, NULL, 0);
    assert_map(&map, expected, 4);
}

static void pci_windows_are_in_no_entry(void **state)
{
    const uint64_t expected[][3] = {{0, 0xa0000, 1},
                                    {0xa0000, MIB, 2},
                                    {MIB, 3 * GIB, 1},
                                    {0xfec00000, 4 * GIB, 2},
                                    {4 * GIB, 6 * GIB, 1}};
    struct e820 map;
    (void)state;

    from_ram(&map, 5 * GIB, NULL, 0);
    assert_map(&map, expected, 5);
}

static void what_devices_cut_out_is_reserved(void **state)
{
    const struct ram_reserved cuts[] = {
        {0x9000000, 0x1000}, {3 * GIB - 0x1000, 0x1000}, {4 * GIB, 0x2000}};
    const uint64_t expected[][3] = {{0, 0xa0000, 1},
                                    {0xa0000, MIB, 2},
                                    {MIB, 0x9000000, 1},
                                    {0x9000000, 0x9001000, 2},
                                    {0x9001000, 3 * GIB - 0x1000, 1},
                                    {3 * GIB - 0x1000, 3 * GIB, 2},
                                    {0xfec00000, 4 * GIB + 0x2000, 2},
                                    {4 * GIB + 0x2000, 5 * GIB, 1}};
    struct e820 map;
    (void)state;

    from_ram(&map, 4 * GIB, cuts, 3);
    assert_map(&map, expected, 8);
}

static void tiny_ram_is_all_there_is(void **state)
{
    const uint64_t expected[][3] = {{0, 0x10000, 1}, {0xa0000, MIB, 2}, {0xfec00000, 4 * GIB, 2}};
    struct e820 map;
    (void)state;

    from_ram(&map, 0x10000, NULL, 0);
    assert_map(&map, expected, 3);
}

static void set_splits_replaces_and_joins(void **state)
{
    const uint64_t split[][3] = {{0, 10, 1}, {10, 20, 3}, {20, 100, 1}};
    const uint64_t over[][3] = {{0, 5, 1}, {5, 50, 2}, {50, 100, 1}};
    const uint64_t whole[][3] = {{0, 100, 1}};
    const uint64_t outside[][3] = {{0, 100, 1}, {200, 300, 2}};
    const uint64_t between[][3] = {{0, 100, 1}, {150, 300, 2}};
    struct e820 map = {0};
    (void)state;

    assert_int_equal(e820_set(&map, 0, 100, E820_RAM), 0);
    assert_int_equal(e820_set(&map, 10, 10, E820_ACPI), 0);
    assert_map(&map, split, 3);
    assert_int_equal(e820_set(&map, 5, 45, E820_RESERVED), 0);
    assert_map(&map, over, 3);
    assert_int_equal(e820_set(&map, 4, 47, E820_RAM), 0);
    assert_map(&map, whole, 1);
    assert_int_equal(e820_set(&map, 200, 100, E820_RESERVED), 0);
    assert_map(&map, outside, 2);
    assert_int_equal(e820_set(&map, 150, 60, E820_RESERVED), 0);
    assert_map(&map, between, 2);
    assert_int_equal(e820_set(&map, 0, 1000, E820_RAM), 0);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.entries[0].length, 1000);
}

static void set_of_nothing_changes_nothing(void **state)
{
    struct e820 map = {0};
    (void)state;

    assert_int_equal(e820_set(&map, 5, 0, E820_RAM), 0);
    assert_int_equal(map.count, 0);
}

static void set_that_wraps_is_refused(void **state)
{
    struct e820 map = {0};
    (void)state;

    assert_int_equal(e820_set(&map, UINT64_MAX, 2, E820_RAM), -EINVAL);
    assert_int_equal(map.count, 0);
}

static void full_map_is_left_as_it_was(void **state)
{
    struct e820 map = {0}, before;
    (void)state;

    for (uint64_t i = 0; i < E820_MAX; i++)
        assert_int_equal(e820_set(&map, i * 10, 5, E820_RAM), 0);
    before = map;
    assert_int_equal(e820_set(&map, 2, 1, E820_RESERVED), -ENOSPC);
    assert_int_equal(e820_set(&map, 100000, 1, E820_RESERVED), -ENOSPC);
    assert_memory_equal(&map, &before, sizeof(map));
    assert_int_equal(e820_set(&map, 0, 15, E820_RESERVED), 0); /* one fewer */
    assert_int_equal(map.count, E820_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_mib_ends_in_rom),
        cmocka_unit_test(pci_windows_are_in_no_entry),
        cmocka_unit_test(what_devices_cut_out_is_reserved),
        cmocka_unit_test(tiny_ram_is_all_there_is),
        cmocka_unit_test(set_splits_replaces_and_joins),
        cmocka_unit_test(set_of_nothing_changes_nothing),
        cmocka_unit_test(set_that_wraps_is_refused),
        cmocka_unit_test(full_map_is_left_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
