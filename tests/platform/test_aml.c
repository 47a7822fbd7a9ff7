/* SPDX-License-Identifier: MIT
 *
 * AML encodings against the byte sequences that ACPI 6.4, 20.2 and 6.4 give for them.
 */
#include "platform/aml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 0x10000000ull

static void expect(struct aml *a, const void *bytes, uint64_t len)
{
    assert_int_equal(a->err, 0);
    assert_int_equal(a->length, len);
    assert_memory_equal(a->bytes, bytes, len);
    aml_free(a);
}

#define EXPECT(a, ...)                                                                             \
    do {                                                                                           \
        const uint8_t expected_[] = {__VA_ARGS__};                                                 \
        expect((a), expected_, sizeof(expected_));                                                 \
    } while (0)

static void expect_invalid(struct aml *a)
{
    assert_int_equal(a->err, -EINVAL);
    aml_free(a);
}

static struct aml fresh(void)
{
    struct aml a;
    aml_init(&a, LIMIT);
    return a;
}

static void integers_take_the_shortest_form(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_integer(&a, 0);
    aml_integer(&a, 1);
    aml_integer(&a, 2);
    aml_integer(&a, 0x100);
    aml_integer(&a, 0x10000);
    aml_integer(&a, 0x100000000);
    EXPECT(&a, 0x00, 0x01, 0x0a, 2, 0x0b, 0, 1, 0x0c, 0, 0, 1, 0, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
}

static void paths_have_prefixes_by_their_number_of_segments(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_path(&a, "_HID");
    aml_path(&a, "\\_SB.PCI0");
    aml_path(&a, "^^X");
    aml_path(&a, "A.B.C");
    expect(&a,
           "_HID\\\x2e_SB_PCI0^^X___\x2f\x03"
           "A___B___C___",
           4 + 10 + 6 + 14);
}

static void bad_paths_are_refused(void **state)
{
    static const char *const bad[] = {"",   "\\", "ABCDE", "1A", "a",   "A..B",
                                      "A.", ".A", "A B",   "^",  "\\^A"};
    (void)state;

    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct aml a = fresh();
        aml_path(&a, bad[i]);
        expect_invalid(&a);
    }
}

static void eisa_ids_are_packed_big_endian(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_eisa_id(&a, "PNP0A03");
    aml_eisa_id(&a, "PNP0501");
    EXPECT(&a, 0x0c, 0x41, 0xd0, 0x0a, 0x03, 0x0c, 0x41, 0xd0, 0x05, 0x01);
}

static void bad_ids_are_refused(void **state)
{
    static const char *const bad[] = {"",         "PNP",     "pnp0501", "PNP050",
                                      "PNP05011", "P1P0501", "PNP05G1"};
    (void)state;

    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct aml a = fresh();
        aml_eisa_id(&a, bad[i]);
        expect_invalid(&a);
    }
    assert_true(aml_is_acpi_id("ACPI0007"));
    assert_true(aml_is_acpi_id("1AF40001"));
    assert_false(aml_is_acpi_id("PNP0501"));
    assert_false(aml_is_acpi_id("ACPI000X"));
    assert_false(aml_is_acpi_id("ACPI00071"));
}

/* Content of `n` bytes behind a Device's PkgLength; the encoded length and its size. */
static void pkg_length(uint64_t n, uint64_t *value, uint32_t *bytes)
{
    struct aml a = fresh();
    static const uint8_t zeroes[4096];

    struct aml_mark mark = aml_device_begin(&a, "A");
    for (uint64_t left = n - 4; left > 0;) {
        uint64_t step = left < sizeof(zeroes) ? left : sizeof(zeroes);
        aml_bytes(&a, zeroes, step);
        left -= step;
    }
    aml_end(&a, mark);
    assert_int_equal(a.err, 0);
    const uint8_t *at = a.bytes + 2;
    *bytes = 1 + (at[0] >> 6);
    *value = *bytes == 1 ? at[0] & 0x3f : at[0] & 0xf;
    for (uint32_t i = 1; i < *bytes; i++)
        *value |= (uint64_t)at[i] << (8 * i - 4);
    if (*bytes > 1)
        assert_int_equal(at[0] & 0x30, 0);
    assert_int_equal(a.length, 2 + *bytes + n);
    assert_memory_equal(at + *bytes, "A___", 4);
    aml_free(&a);
}

static void pkg_length_counts_itself_at_every_boundary(void **state)
{
    static const struct {
        uint64_t content;
        uint32_t bytes;
    } cases[] = {{4, 1},    {62, 1},      {63, 2},      {4093, 2},
                 {4094, 3}, {0xffffc, 3}, {0xffffd, 4}, {0x100000, 4}};
    (void)state;

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value;
        uint32_t bytes;
        pkg_length(cases[i].content, &value, &bytes);
        assert_int_equal(bytes, cases[i].bytes);
        assert_int_equal(value, cases[i].content + bytes);
    }
}

static void nested_lengths_are_those_of_the_inner_content(void **state)
{
    struct aml a = fresh();
    (void)state;

    struct aml_mark scope = aml_scope_begin(&a, "\\_SB");
    struct aml_mark device = aml_device_begin(&a, "D0");
    aml_name_integer(&a, "_UID", 1);
    aml_end(&a, device);
    struct aml_mark method = aml_method_begin(&a, "_STA", 0);
    aml_return(&a);
    aml_integer(&a, 15);
    aml_end(&a, method);
    aml_end(&a, scope);
    EXPECT(&a, 0x10, 29, '\\', '_', 'S', 'B', '_', 0x5b, 0x82, 11, 'D', '0', '_', '_', 0x08, '_',
           'U', 'I', 'D', 0x01, 0x14, 9, '_', 'S', 'T', 'A', 0x00, 0xa4, 0x0a, 15);
}

static void resource_template_has_its_size_and_end_tag(void **state)
{
    struct aml a = fresh();
    (void)state;

    struct aml_mark mark = aml_resources_begin(&a);
    aml_io(&a, 0x3f8, 8);
    aml_interrupt(&a, 4, AML_EDGE, AML_ACTIVE_HIGH, AML_EXCLUSIVE);
    aml_memory32_fixed(&a, 0xe0000000, 0x10000000);
    aml_resources_end(&a, mark);
    EXPECT(&a, 0x11, 34, 0x0a, 31, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x89, 6, 0, 3, 1, 4, 0, 0, 0,
           0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0, 0x10, 0x79, 0);
}

static void word_bus_range_is_inclusive(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_word_bus(&a, 0, 255);
    EXPECT(&a, 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1);
}

static void qword_window_holds_64_bits(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_qword_memory(&a, 0x800000000, 0xfffffffff);
    EXPECT(&a, 0x8a, 43, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0xff, 0xff,
           0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0);
}

static void memory_above_four_gib_is_a_qword_that_is_consumed(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_memory_fixed(&a, 0x100000000, 0x1000);
    assert_int_equal(a.err, 0);
    assert_int_equal(a.bytes[0], 0x8a);
    assert_int_equal(a.bytes[4], 0x0d);
    aml_free(&a);
}

static void more_than_255_ports_are_a_word_range(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_io(&a, 0x1000, 0x100);
    EXPECT(&a, 0x88, 13, 0, 1, 0x0d, 3, 0, 0, 0, 0x10, 0xff, 0x10, 0, 0, 0, 1);
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 9; i++) {
        struct aml a = fresh();
        switch (i) {
        case 0:
            aml_io(&a, 0x3f8, 0);
            break;
        case 1:
            aml_io(&a, 0xffff, 2);
            break;
        case 2:
            aml_memory32_fixed(&a, 0xfffff000, 0x1001);
            break;
        case 3:
            aml_memory32_fixed(&a, 0, 0);
            break;
        case 4:
            aml_word_bus(&a, 0, 0x10000);
            break;
        case 5:
            aml_dword_memory(&a, 2, 1);
            break;
        case 6:
            aml_qword_memory(&a, 0, UINT64_MAX);
            break;
        case 7:
            aml_memory_fixed(&a, UINT64_MAX, 2);
            break;
        default:
            aml_word_io(&a, 0, 0xffff); /* a length of 65536 does not fit 16 bits */
        }
        expect_invalid(&a);
    }
}

static void bad_growth_past_the_limit_stops_and_stays_stopped(void **state)
{
    struct aml a;
    (void)state;

    aml_init(&a, 5);
    aml_bytes(&a, "1234", 4);
    aml_bytes(&a, "567", 3);
    assert_int_equal(a.err, -ENOSPC);
    aml_bytes(&a, "5", 1);
    aml_patch(&a, 0, 0, 1);
    assert_int_equal(a.length, 4);
    assert_memory_equal(a.bytes, "1234", 4);
    aml_free(&a);
}

static void bad_patch_beyond_the_end_is_refused(void **state)
{
    struct aml a = fresh();
    (void)state;

    aml_bytes(&a, "1234", 4);
    aml_patch(&a, 1, 0, 4);
    assert_memory_equal(a.bytes, "1234", 4);
    expect_invalid(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_the_shortest_form),
        cmocka_unit_test(paths_have_prefixes_by_their_number_of_segments),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(eisa_ids_are_packed_big_endian),
        cmocka_unit_test(bad_ids_are_refused),
        cmocka_unit_test(pkg_length_counts_itself_at_every_boundary),
        cmocka_unit_test(nested_lengths_are_those_of_the_inner_content),
        cmocka_unit_test(resource_template_has_its_size_and_end_tag),
        cmocka_unit_test(word_bus_range_is_inclusive),
        cmocka_unit_test(qword_window_holds_64_bits),
        cmocka_unit_test(memory_above_four_gib_is_a_qword_that_is_consumed),
        cmocka_unit_test(more_than_255_ports_are_a_word_range),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(bad_growth_past_the_limit_stops_and_stays_stopped),
        cmocka_unit_test(bad_patch_beyond_the_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
