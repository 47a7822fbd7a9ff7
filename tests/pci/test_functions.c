/* SPDX-License-Identifier: MIT
 *
 * Functions of devices: what stands in their configuration space, and BARs that a guest sizes,
 * places and lets decode.
 */
#include "pci/everything.h"

static void header_says_what_the_device_said(void **state)
{
    struct fake_host *h = *state;

    assert_int_equal(fake_pci_function(h, 0), FN0);
    assert_int_equal(fake_pci_function(h, 2), FN2);
    assert_int_equal(fake_pci_function(h, 3), BP_PCI_ANY);
    assert_int_equal(fake_pci_read(h, FN0, 0x00, 4), 0xbac01b36);
    assert_int_equal(fake_pci_read(h, FN0, 0x08, 4), 0xff000001);
    assert_int_equal(fake_pci_read(h, FN0, 0x2c, 4), 0x11001af4);
    assert_int_equal(fake_pci_read(h, FN0, 0x3d, 1), 1);
    assert_int_equal(fake_pci_read(h, FN1, 0x3d, 1), 2);
    assert_int_equal(fake_pci_read(h, FN2, 0x3d, 1), 0);
    /* Function 0 says that there are others. */
    assert_int_equal(fake_pci_read(h, FN0, 0x0e, 1), 0x80);
    assert_int_equal(fake_pci_read(h, FN1, 0x0e, 1), 0);
}

static void nothing_is_decoded_after_power_on(void **state)
{
    struct fake_host *h = *state;

    assert_int_equal(fake_pci_read(h, FN0, COMMAND, 2), 0);
    assert_int_equal(get(h, ID), UINT32_MAX);
    fake_pci_place(h, FN0, 0, MEMORY);
    fake_pci_place(h, FN0, 2, PORTS);
    assert_int_equal(get(h, ID), UINT32_MAX);
    fake_pci_write(h, FN0, COMMAND, 1, 2);
    assert_int_equal(get(h, ID), UINT32_MAX);
    assert_int_equal(fake_read(h, BP_SPACE_PIO, PORTS, 4), ID_VALUE);
    fake_pci_write(h, FN0, COMMAND, 2, 2);
    assert_int_equal(get(h, ID), ID_VALUE);
    assert_int_equal(fake_read(h, BP_SPACE_PIO, PORTS, 4), UINT32_MAX);
}

static void command_has_the_bits_that_mean_something(void **state)
{
    struct fake_host *h = *state;

    fake_pci_write(h, FN0, COMMAND, 0xffff, 2);
    assert_int_equal(fake_pci_read(h, FN0, COMMAND, 2), 0x0547);
    fake_pci_write(h, FN1, COMMAND, 0xffff, 2); /* no ports */
    assert_int_equal(fake_pci_read(h, FN1, COMMAND, 2), 0x0546);
    fake_pci_write(h, FN2, COMMAND, 0xffff, 2); /* no pin either */
    assert_int_equal(fake_pci_read(h, FN2, COMMAND, 2), 0x0146);
}

static void bars_are_sized_by_writing_ones(void **state)
{
    static const struct {
        uint32_t devfn, bar;
        uint64_t length;
        uint32_t kind;
    } bars[] = {{FN0, 0, 0x4000, 0x0c},  {FN0, 2, 32, 1},     {FN0, 3, 0, 0},
                {FN1, 0, 0x10000, 0x08}, {FN1, 1, 0x1000, 0}, {FN2, 4, 0x1000, 0}};
    struct fake_host *h = *state;

    for (unsigned i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
        assert_int_equal(fake_pci_bar_length(h, bars[i].devfn, bars[i].bar), bars[i].length);
        assert_int_equal(fake_pci_read(h, bars[i].devfn, BAR(bars[i].bar), 4) & 15, bars[i].kind);
    }
    assert_int_equal(fake_pci_read(h, FN0, BAR(1), 4), 0); /* as it was */
}

static void bars_move_while_they_are_decoded(void **state)
{
    struct fake_host *h = *state;

    put(h, SCRATCH, 77);
    fake_pci_place(h, FN0, 0, UINT64_C(0x1234500000000));
    assert_int_equal(get(h, SCRATCH), UINT32_MAX);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, UINT64_C(0x123450000001c), 4), 77);
    /* The MSI-X table went with it. */
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, UINT64_C(0x123450000200c), 4), 1);
    fake_pci_place(h, FN0, 0, MEMORY);
    assert_int_equal(get(h, SCRATCH), 77);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, UINT64_C(0x123450000001c), 4), UINT32_MAX);
}

static void bar_of_memory_keeps_what_is_written(void **state)
{
    struct fake_host *h = *state;
    uint64_t at = FAKE_BAR_MEMORY(FN1, 0);

    fake_write(h, BP_SPACE_MMIO, at + 5, 0x1122334455667788, 8);
    fake_pci_place(h, FN1, 0, 0xd0000000);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, at + 5, 8), UINT64_MAX);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, 0xd0000005, 8), 0x1122334455667788);
}

static void capabilities_form_lists(void **state)
{
    struct fake_host *h = *state;
    uint32_t express = fake_pci_capability(h, FN0, 0x10, 0);
    uint32_t vendor = fake_pci_capability(h, FN0, 0x09, 0), serial;

    assert_int_equal(fake_pci_read(h, FN0, STATUS, 2), 0x10);
    assert_int_equal(express, 0x40);
    assert_int_equal(fake_pci_read(h, FN0, express + 2, 2), 0x92); /* root complex, version 2 */
    assert_int_equal(fake_pci_read(h, FN0, express + 8, 2), 0x2810);
    assert_true(fake_pci_capability(h, FN0, 0x05, 0) > express);
    assert_true(fake_pci_capability(h, FN0, 0x11, 0) > express);
    assert_int_equal(fake_pci_capability(h, FN1, 0x10, 0), 0);
    assert_int_equal(fake_pci_capability(h, FN0, 0x09, vendor), 0);

    fake_pci_write(h, FN0, vendor + 4, 0x005a5affu, 4); /* 7:0 writable, 23:16 cleared by ones */
    assert_int_equal(fake_pci_read(h, FN0, vendor + 4, 4), 0x5a0000ff);
    fake_pci_write(h, FN0, vendor, 0xffffffff, 4);
    assert_int_equal(fake_pci_read(h, FN0, vendor, 1), 9);

    serial = fake_pci_extended(h, FN0, 3);
    assert_int_equal(serial, 0x100);
    assert_int_equal(fake_pci_read(h, FN0, serial + 8, 4), 0x07060504);
    assert_int_equal(fake_pci_read(h, FN2, 0x100, 4), 0);          /* Express, and none */
    assert_int_equal(fake_pci_read(h, FN1, 0x100, 4), UINT32_MAX); /* no such space */
}

static void reset_brings_power_on_values_back(void **state)
{
    struct fake_host *h = *state;
    uint32_t vendor = fake_pci_capability(h, FN0, 0x09, 0);

    fake_pci_write(h, FN0, vendor + 4, 0x005a5affu, 4);
    fake_pci_write(h, FN0, 0x3c, 10, 1);
    fake_pci_msix_on(h, FN0);
    put(h, INTX, 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(fake_pci_read(h, FN0, COMMAND, 4), 0x00100000);
    assert_int_equal(fake_pci_read(h, FN0, BAR(0), 4), 0x0c);
    assert_int_equal(fake_pci_read(h, FN0, vendor + 4, 4), 0x5a5a0000);
    assert_int_equal(fake_pci_read(h, FN0, 0x3c, 1), 0);
    assert_int_equal(get(h, ID), UINT32_MAX);
    fake_pci_start(h, FN0);
    assert_int_equal(get(h, INTX), BP_PCI_INTX);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, TABLE + 8, 8), UINT64_C(1) << 32);
}

static void memory_is_reached_by_bus_masters_only(void **state)
{
    struct fake_host *h = *state;

    put(h, GPA, 0x1000);
    put(h, DMA, 42);
    assert_int_equal(get(h, DMA), 0);
    assert_int_equal(fake_ram(h)[0x1000], 42);
    fake_pci_write(h, FN0, COMMAND, 2, 2);
    put(h, DMA, 43); /* another function has it: enough */
    assert_int_equal(get(h, DMA), 0);
    fake_pci_write(h, FN1, COMMAND, 2, 2);
    fake_pci_write(h, FN2, COMMAND, 2, 2);
    put(h, DMA, 44);
    assert_int_equal(get(h, DMA), 14); /* EFAULT */
    assert_int_equal(fake_ram(h)[0x1000], 43);
}

static void bad_57_to_60_bars_anywhere(void **state)
{
    static const uint64_t places[] = {0,          0x1000,     0xfffffff0,         0xffffc000,
                                      0xfee00000, 0xe0000000, UINT64_C(1) << 63,  UINT64_MAX,
                                      0x4000,     0xc4000000, UINT64_MAX - 0x7fff};
    struct fake_host *h = *state;

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (uint32_t bar = 0; bar < 6; bar++) {
            fake_pci_place(h, FN0, bar, places[i]);
            fake_pci_place(h, FN1, bar, places[i]);
            fake_pci_place(h, FN2, bar, places[i]);
        }
        fake_write(h, BP_SPACE_MMIO, places[i], 0, 8);
        fake_read(h, BP_SPACE_MMIO, places[i], 8);
    }
    fake_pci_start(h, FN0);
    assert_int_equal(get(h, ID), ID_VALUE);
}

static void bad_65_odd_accesses_to_configuration_space(void **state)
{
    struct fake_host *h = *state;

    assert_int_equal(fake_pci_read(h, FN0, 3, 2), 0xffff); /* two dwords */
    assert_int_equal(fake_pci_read(h, FN0, 0x1000, 4), UINT32_MAX);
    assert_int_equal(fake_pci_read(h, 0x18, 0, 4), UINT32_MAX);
    for (uint32_t at = 0; at < 0x1000; at++)
        fake_pci_write(h, FN0, at, 0xff, 1);
    assert_int_equal(fake_pci_read(h, FN0, 0, 4), 0xbac01b36);
    assert_int_equal(fake_pci_read(h, FN0, 0x34, 1), 0x40);
    /* By bytes a BAR moves as well, four times. */
    for (uint32_t i = 0; i < 8; i++)
        fake_pci_write(h, FN0, BAR(0) + i, (uint32_t)(MEMORY >> 8 * i) & 0xff, 1);
    assert_int_equal(get(h, ID), ID_VALUE);
}

/* ---- what devices do wrong ---- */

static void bad_places_are_refused_with_who_has_them(void **state)
{
    struct fake_host *h = NULL;
    uint32_t devfn = 0;
    (void)state;

    assert_int_equal(fake_host_try(PCI_PARTS, "lone", &devfn, &h), -16);
    assert_string_equal(fake_failure(),
                        "PCI function 00.0: the host bridge has this place; choose another");
    devfn = 256;
    assert_int_equal(fake_host_try(PCI_PARTS, "lone", &devfn, &h), -22);
    assert_string_equal(fake_failure(), "there is no such place on the PCI bus, expected device 0 "
                                        "to 1f and function 0 to 7");
    fake_pci_offer(false);
    assert_int_equal(fake_host_try(PCI_PARTS, "lone", &devfn, &h), -19);
    fake_pci_offer(true);
    assert_string_equal(fake_failure(), "this machine has no PCI");
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, make_device, free_device)
#define STARTED(test) cmocka_unit_test_setup_teardown(test, start_device, free_device)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(header_says_what_the_device_said),
        FRESH(nothing_is_decoded_after_power_on),
        FRESH(command_has_the_bits_that_mean_something),
        FRESH(bars_are_sized_by_writing_ones),
        STARTED(bars_move_while_they_are_decoded),
        STARTED(bar_of_memory_keeps_what_is_written),
        FRESH(capabilities_form_lists),
        STARTED(reset_brings_power_on_values_back),
        STARTED(memory_is_reached_by_bus_masters_only),
        STARTED(bad_57_to_60_bars_anywhere),
        STARTED(bad_65_odd_accesses_to_configuration_space),
        cmocka_unit_test(bad_places_are_refused_with_who_has_them),
    };

    return cmocka_run_group_tests_name("functions", tests, NULL, NULL);
}
