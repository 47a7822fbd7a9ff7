/* SPDX-License-Identifier: MIT
 *
 * Guest RAM: the hole, reserved stretches, bounds, dirty bits.
 */
#include "memory/ram.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB 0x100000ull
#define GIB 0x40000000ull

static void is_two_mib_aligned(void **state)
{
    struct ram ram;
    struct error e;
    (void)state;

    assert_int_equal(ram_create(&ram, 5 * MIB, false, NULL, 0, &e), 0);
    assert_int_equal((uintptr_t)ram.base % (2 * MIB), 0);
    assert_int_equal(ram.count, 1);
    ram_destroy(&ram);
}

static void continues_above_four_gib(void **state)
{
    struct ram ram;
    struct error e;
    uint8_t out[8] = {0};
    (void)state;

    assert_int_equal(ram_create(&ram, 5 * GIB, false, NULL, 0, &e), 0);
    assert_int_equal(ram.count, 2);
    assert_int_equal(ram.extents[0].length, 3 * GIB);
    assert_int_equal(ram.extents[1].gpa, 4 * GIB);
    assert_int_equal(ram.extents[1].length, 2 * GIB);
    assert_int_equal(ram_write(&ram, 6 * GIB - 8, "12345678", 8), 0);
    assert_int_equal(ram_read(&ram, 6 * GIB - 8, out, 8), 0);
    assert_memory_equal(out, "12345678", 8);
    assert_int_equal(ram_write(&ram, 3 * GIB - 4, "12345678", 8), -EFAULT);
    assert_int_equal(ram_read(&ram, 3 * GIB - 4, out, 4), 0);
    assert_memory_equal(out, "\0\0\0\0", 4); /* nothing was copied */
    ram_destroy(&ram);
}

static void reserved_pages_are_no_ram(void **state)
{
    struct ram_reserved reserved[] = {{0x9000000, 0x1000}, {0x2000, 0x1000}, {0x3000, 0x1000}};
    struct ram ram;
    struct error e;
    (void)state;

    assert_int_equal(ram_create(&ram, 256 * MIB, false, reserved, 3, &e), 0);
    assert_int_equal(ram.count, 3);
    assert_int_equal(ram.extents[0].length, 0x2000);
    assert_int_equal(ram.extents[1].gpa, 0x4000);
    assert_int_equal(ram.extents[2].gpa, 0x9001000);
    assert_null(ram_at(&ram, 0x9000000, 1));
    assert_null(ram_at(&ram, 0x8ffffff, 2));
    assert_non_null(ram_at(&ram, 0x8ffffff, 1));
    /* The address still says where in the mapping it is. */
    assert_ptr_equal(ram_at(&ram, 0x9001000, 1), ram.base + 0x9001000);
    ram_destroy(&ram);
}

static void wrapping_addresses_are_refused(void **state)
{
    struct ram ram;
    struct error e;
    uint64_t len = 2;
    (void)state;

    assert_int_equal(ram_create(&ram, MIB, false, NULL, 0, &e), 0);
    assert_null(ram_map(&ram, UINT64_MAX, &len));
    assert_int_equal(ram_write(&ram, UINT64_MAX - 1, "abc", 3), -EFAULT);
    assert_int_equal(ram_read(&ram, 0, &len, UINT64_MAX), -EFAULT);
    ram_destroy(&ram);
}

/* Nowhere, and from or to no buffer. */
static void nothing_can_be_copied(void **state)
{
    static const uint64_t places[] = {0, MIB, UINT64_MAX};
    struct ram ram;
    struct error e;
    (void)state;

    assert_int_equal(ram_create(&ram, MIB, false, NULL, 0, &e), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(ram_read(&ram, places[i], NULL, 0), 0);
        assert_int_equal(ram_write(&ram, places[i], NULL, 0), 0);
    }
    assert_int_equal(ram.dirty[0], 0);
    ram_destroy(&ram);
}

static void writes_mark_their_pages_dirty(void **state)
{
    struct ram ram;
    struct error e;
    (void)state;

    assert_int_equal(ram_create(&ram, MIB, false, NULL, 0, &e), 0);
    assert_int_equal(ram_write(&ram, 0x1fff, "ab", 2), 0);
    assert_int_equal(ram.dirty[0], 6);
    ram_destroy(&ram);
}

static void what_was_written_to_a_mapping_is_dirty(void **state)
{
    static const struct ram_reserved hole = {.gpa = 0x4000, .length = 0x1000};
    struct ram ram;
    struct error e;
    uint64_t gpa = 0;
    (void)state;

    assert_int_equal(ram_create(&ram, MIB, false, &hole, 1, &e), 0);
    assert_int_equal(ram_written(&ram, ram_at(&ram, 0x1fff, 2), 2, &gpa), 0);
    assert_int_equal(gpa, 0x1fff);
    assert_int_equal(ram.dirty[0], 6);
    /* No further than the piece, and nowhere else. */
    assert_int_equal(ram_written(&ram, ram_at(&ram, 0x3000, 1), UINT64_MAX, &gpa), 0);
    assert_int_equal(ram.dirty[0], 0xe);
    assert_int_equal(ram_written(&ram, ram_at(&ram, 0x5000, 1), 0, &gpa), 0);
    assert_int_equal(ram_written(&ram, &gpa, 1, &gpa), -ENOENT);
    assert_int_equal(ram.dirty[0], 0xe);
    ram_destroy(&ram);
}

static void a_shared_machine_has_an_fd(void **state)
{
    struct ram ram;
    struct error e;
    (void)state;

    assert_int_equal(ram_create(&ram, MIB, true, NULL, 0, &e), 0);
    assert_true(ram.fd >= 0);
    ram_destroy(&ram);
}

static void finds_the_address_of_a_pointer(void **state)
{
    struct ram ram;
    struct error e;
    uint64_t gpa;
    (void)state;

    assert_int_equal(ram_create(&ram, MIB, false, NULL, 0, &e), 0);
    assert_int_equal(ram_written(&ram, ram.base + 77, 0, &gpa), 0);
    assert_int_equal(gpa, 77);
    assert_int_equal(ram_written(&ram, &gpa, 0, &gpa), -ENOENT);
    ram_destroy(&ram);
}

static void discarded(bool shared)
{
    const uint64_t page = RAM_PAGE;
    struct ram ram;
    struct error e;

    assert_int_equal(ram_create(&ram, MIB, shared, NULL, 0, &e), 0);
    memset(ram.base, 0xaa, 8 * page);
    assert_int_equal(ram_discard(&ram, page, 2 * page), 0);
    for (uint64_t i = 0; i < 8 * page; i++)
        assert_int_equal(ram.base[i], i / page == 1 || i / page == 2 ? 0 : 0xaa);
    assert_int_equal(ram.dirty[0], 6);
    ram.base[page] = 1; /* and can be used again */
    assert_int_equal(ram_discard(&ram, 1, page), -EINVAL);
    assert_int_equal(ram_discard(&ram, 0, 1), -EINVAL);
    assert_int_equal(ram_discard(&ram, MIB - page, 2 * page), -EFAULT);
    assert_int_equal(ram_discard(&ram, UINT64_MAX - page + 1, page), -EFAULT);
    assert_int_equal(ram.base[7 * page], 0xaa);
    ram_destroy(&ram);
}

static void discarded_pages_read_as_zeroes(void **state)
{
    (void)state;
    discarded(false);
    discarded(true);
}

static void odd_sizes_are_refused(void **state)
{
    struct ram ram;
    struct error e;
    (void)state;

    assert_int_equal(ram_create(&ram, 4097, false, NULL, 0, &e), -EINVAL);
    assert_string_equal(e.text, "memory of 4097 bytes is not a multiple of 4096");
    assert_int_equal(ram_create(&ram, 0, false, NULL, 0, &e), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_two_mib_aligned),
        cmocka_unit_test(continues_above_four_gib),
        cmocka_unit_test(reserved_pages_are_no_ram),
        cmocka_unit_test(wrapping_addresses_are_refused),
        cmocka_unit_test(nothing_can_be_copied),
        cmocka_unit_test(writes_mark_their_pages_dirty),
        cmocka_unit_test(what_was_written_to_a_mapping_is_dirty),
        cmocka_unit_test(a_shared_machine_has_an_fd),
        cmocka_unit_test(finds_the_address_of_a_pointer),
        cmocka_unit_test(discarded_pages_read_as_zeroes),
        cmocka_unit_test(odd_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
