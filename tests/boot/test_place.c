/* SPDX-License-Identifier: MIT
 *
 * Placement: nothing outside RAM, nothing over anything else, the lowest or highest room.
 */
#include "boot/fixture.h"

#include <errno.h>

static struct place *placed(struct machine *m)
{
    static struct place place;

    place_init(&place, &m->ram, &m->map);
    return &place;
}

static void neighbours_do_not_overlap(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    struct place *p = placed(m);
    uint8_t *host = NULL;
    (void)state;

    assert_int_equal(place_take(p, "f", "one", 0x101000, 0x1000, &host, &m->e), 0);
    assert_ptr_equal(host, machine_at(m, 0x101000, 1));
    assert_int_equal(place_take(p, "f", "two", 0x100fff, 1, NULL, &m->e), 0);
    assert_int_equal(place_take(p, "f", "three", 0x102000, 1, NULL, &m->e), 0);
    assert_int_equal(place_take(p, "f", "four", 0x101fff, 1, NULL, &m->e), -ENOSPC);
    assert_string_equal(m->e.text,
                        "f: four at 0x101fff-0x101fff overlaps one at 0x101000-0x101fff");
    assert_false(place_is_free(p, 0x100fff, 1));
    assert_true(place_is_free(p, 0x100ffe, 1));
    machine_free(m);
}

static void bad_95_ranges_that_wrap_are_refused(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    struct place *p = placed(m);
    (void)state;

    assert_int_equal(place_take(p, "f", "x", 0x100000, UINT64_MAX, NULL, &m->e), -ENOSPC);
    assert_int_equal(place_take(p, "f", "x", UINT64_MAX, 2, NULL, &m->e), -ENOSPC);
    assert_string_equal(m->e.text,
                        "f: x at 0xffffffffffffffff-0xffffffffffffffff would not be all in "
                        "RAM; the machine's RAM is 0x0-0x9ffff, 0x100000-0x3fffff");
    machine_free(m);
}

static void highest_room_is_between_what_is_taken(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    struct place *p = placed(m);
    uint64_t gpa = 0;
    (void)state;

    assert_int_equal(place_take(p, "f", "a", 0x3ff000, 0x1000, NULL, &m->e), 0);
    assert_int_equal(place_take(p, "f", "b", 0x3fd000, 0x1000, NULL, &m->e), 0);
    assert_int_equal(
        place_find(p, "f", "x", PLACE_HIGHEST, 0x1000, 0x1000, 0, UINT64_MAX, &gpa, &m->e), 0);
    assert_int_equal(gpa, 0x3fe000);
    assert_int_equal(
        place_find(p, "f", "x", PLACE_HIGHEST, 0x1001, 0x1000, 0, UINT64_MAX, &gpa, &m->e), 0);
    assert_int_equal(gpa, 0x3fb000);
    machine_free(m);
}

static void lowest_room_is_aligned_and_after_first(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    struct place *p = placed(m);
    uint64_t gpa = 0;
    (void)state;

    assert_int_equal(place_take(p, "f", "a", 0x100000, 1, NULL, &m->e), 0);
    assert_int_equal(
        place_find(p, "f", "x", PLACE_LOWEST, 1, 0x1000, 0x9f001, 0xffffffff, &gpa, &m->e), 0);
    assert_int_equal(gpa, 0x101000);
    machine_free(m);
}

static void search_goes_on_beyond_a_hole(void **state)
{
    struct machine *m = machine_with_hole(4 * MIB, 0x3ff000, 0x1000);
    struct place *p = placed(m);
    uint64_t gpa = 0;
    (void)state;

    assert_int_equal(
        place_find(p, "f", "x", PLACE_HIGHEST, 0x1000, 0x1000, 0, UINT64_MAX, &gpa, &m->e), 0);
    assert_int_equal(gpa, 0x3fe000);
    assert_int_equal(place_find(p, "f", "x", PLACE_HIGHEST, 3 * MIB - 0x1000, 0x1000, 0, UINT64_MAX,
                                &gpa, &m->e),
                     0);
    assert_int_equal(gpa, 0x100000);
    assert_int_equal(
        place_find(p, "f", "x", PLACE_LOWEST, 3 * MIB, 0x1000, 0, UINT64_MAX, &gpa, &m->e),
        -ENOSPC);
    assert_string_equal(
        m->e.text,
        "f: x of 3145728 bytes finds no free RAM between 0x0 and 0xffffffffffffffff; the "
        "machine's RAM is 0x0-0x9ffff, 0x100000-0x3fefff: give it more memory");
    machine_free(m);
}

static void map_that_promises_more_than_ram_is_not_believed(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    struct place *p;
    uint64_t gpa = 0;
    (void)state;

    assert_int_equal(e820_set(&m->map, 4 * MIB, 4 * MIB, E820_RAM), 0);
    p = placed(m);
    assert_false(place_is_free(p, 5 * MIB, 1));
    assert_int_equal(place_find(p, "f", "x", PLACE_LOWEST, 1, 1, 5 * MIB, UINT64_MAX, &gpa, &m->e),
                     -ENOSPC);
    machine_free(m);
}

static void table_of_stretches_is_bounded(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    struct place *p = placed(m);
    (void)state;

    for (uint32_t i = 0; i < PLACE_MAX; i++)
        assert_int_equal(place_take(p, "f", "x", 0x100000 + i, 1, NULL, &m->e), 0);
    assert_int_equal(place_take(p, "f", "y", 0x200000, 1, NULL, &m->e), -ENOSPC);
    assert_string_equal(m->e.text, "f: y is one piece more than the 256 that can be loaded");
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_do_not_overlap),
        cmocka_unit_test(bad_95_ranges_that_wrap_are_refused),
        cmocka_unit_test(highest_room_is_between_what_is_taken),
        cmocka_unit_test(lowest_room_is_aligned_and_after_first),
        cmocka_unit_test(search_goes_on_beyond_a_hole),
        cmocka_unit_test(map_that_promises_more_than_ram_is_not_believed),
        cmocka_unit_test(table_of_stretches_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
