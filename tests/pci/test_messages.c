/* SPDX-License-Identifier: MIT
 *
 * Interrupts of functions: INTx, MSI and MSI-X with masks and pending bits, and vectors' eventfds.
 */
#include "pci/everything.h"

static void intx_follows_level_disable_and_mode(void **state)
{
    struct fake_host *h = *state;

    put(h, INTX, 1);
    assert_int_equal(fake_pci_intx(h, FN0), 1);
    assert_int_equal(fake_irq_level(h, 17), 1); /* device 1, INTA */
    assert_int_equal(fake_pci_read(h, FN0, STATUS, 2) & 8, 8);
    put(h, INTX, 1);
    assert_int_equal(fake_irq_edges(h, 17), 1);
    fake_pci_write(h, FN0, COMMAND, 0x407, 2);
    assert_int_equal(fake_pci_intx(h, FN0), 0);
    assert_int_equal(fake_pci_read(h, FN0, STATUS, 2) & 8, 8);
    fake_pci_write(h, FN0, COMMAND, 0x007, 2);
    assert_int_equal(fake_pci_intx(h, FN0), 1);
    fake_pci_msix_on(h, FN0);
    assert_int_equal(fake_pci_intx(h, FN0), 0);
    assert_int_equal(get(h, INTX), BP_PCI_MSIX);
    fake_pci_messages_off(h, FN0);
    assert_int_equal(fake_pci_intx(h, FN0), 1);
    put(h, INTX, 0);
    assert_int_equal(fake_pci_intx(h, FN0), 0);
    assert_int_equal(fake_pci_read(h, FN0, STATUS, 2) & 8, 0);
}

static void no_message_in_mode_intx(void **state)
{
    struct fake_host *h = *state;

    put(h, NOTIFY, 0);
    assert_int_equal(fake_msis(h, NULL, NULL), 0);
    assert_int_equal(get(h, INTX), BP_PCI_INTX);
}

static void msix_sends_what_its_table_says(void **state)
{
    struct fake_host *h = *state;
    uint64_t address;
    uint32_t data;

    fake_pci_msix_on(h, FN0);
    put(h, NOTIFY, 5);
    put(h, NOTIFY, 5);
    put(h, NOTIFY, 7);
    assert_int_equal(fake_pci_messages(h, FN0, 5), 2);
    assert_int_equal(fake_pci_messages(h, FN0, BP_PCI_NO_VECTOR), 1);
    fake_write(h, BP_SPACE_MMIO, TABLE + 0x30, UINT64_C(0x1fee01003), 8); /* low bits are 0 */
    fake_write(h, BP_SPACE_MMIO, TABLE + 0x38, 0xabcd, 4);
    fake_msis(h, NULL, NULL);
    put(h, NOTIFY, 3);
    assert_int_equal(fake_msis(h, &address, &data), 1);
    assert_int_equal(address, UINT64_C(0x1fee01000));
    assert_int_equal(data, 0xabcd);
}

static void masked_vectors_wait_in_the_pending_bits(void **state)
{
    struct fake_host *h = *state;

    fake_pci_msix_on(h, FN0);
    fake_pci_mask(h, FN0, 2, 1);
    put(h, NOTIFY, 2);
    put(h, NOTIFY, 2);
    assert_int_equal(fake_pci_messages(h, FN0, 2), 0);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, PBA, 8), 4);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, PBA, 1), 4);
    fake_pci_mask(h, FN0, 2, 0);
    assert_int_equal(fake_pci_messages(h, FN0, 2), 1);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, PBA, 8), 0);
}

static void function_mask_holds_all_of_them(void **state)
{
    struct fake_host *h = *state;
    uint32_t at = fake_pci_capability(h, FN0, 0x11, 0);

    fake_pci_msix_on(h, FN0);
    assert_int_equal(fake_pci_read(h, FN0, at + 2, 2), 0x8007);
    fake_pci_write(h, FN0, at + 2, 0xc000, 2);
    put(h, NOTIFY, 0);
    put(h, NOTIFY, 6);
    assert_int_equal(fake_msis(h, NULL, NULL), 0);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, PBA, 8), 0x41);
    fake_pci_write(h, FN0, at + 2, 0x8000, 2);
    assert_int_equal(fake_pci_messages(h, FN0, 0), 1);
    assert_int_equal(fake_pci_messages(h, FN0, 6), 1);
}

static void device_hears_of_masks(void **state)
{
    struct fake_host *h = *state;
    uint32_t before = get(h, MASKED);

    fake_pci_msix_on(h, FN0);
    assert_int_equal(get(h, MASKED) - before, 8); /* unmasked all, as it was enabled */
    fake_pci_mask(h, FN0, 1, 1);
    fake_pci_mask(h, FN0, 1, 1);
    assert_int_equal(get(h, MASKED) - before, 9);
    fake_pci_messages_off(h, FN0);
    assert_int_equal(get(h, MASKED) - before, 16);
}

static void msi_takes_vectors_modulo_what_is_enabled(void **state)
{
    struct fake_host *h = *state;
    uint64_t address;
    uint32_t data, at = fake_pci_capability(h, FN0, 0x05, 0);

    assert_int_equal(fake_pci_read(h, FN0, at + 2, 2), 0x0184); /* 4, 64-bit, masks */
    fake_pci_msi_on(h, FN0, 2);
    assert_int_equal(get(h, INTX), BP_PCI_MSI);
    fake_pci_write(h, FN0, at + 12, 0x4041, 2);
    put(h, NOTIFY, 2);
    assert_int_equal(fake_msis(h, &address, &data), 1);
    assert_int_equal(data, 0x4040);
    put(h, NOTIFY, 3);
    assert_int_equal(fake_msis(h, &address, &data), 1);
    assert_int_equal(data, 0x4041);
    fake_pci_write(h, FN0, at + 2, 0x71, 2); /* 128 messages: as many as there are */
    put(h, NOTIFY, 3);
    assert_int_equal(fake_msis(h, &address, &data), 1);
    assert_int_equal(data, 0x4043);
}

static void msi_has_masks_and_pending_bits(void **state)
{
    struct fake_host *h = *state;
    uint32_t at = fake_pci_capability(h, FN0, 0x05, 0);

    fake_pci_msi_on(h, FN0, 4);
    fake_pci_mask(h, FN0, 3, 1);
    put(h, NOTIFY, 3);
    put(h, NOTIFY, 1);
    assert_int_equal(fake_pci_messages(h, FN0, 3), 0);
    assert_int_equal(fake_pci_messages(h, FN0, 1), 1);
    assert_int_equal(fake_pci_read(h, FN0, at + 0x14, 4), 8);
    fake_pci_mask(h, FN0, 3, 0);
    assert_int_equal(fake_pci_messages(h, FN0, 3), 1);
    assert_int_equal(fake_pci_read(h, FN0, at + 0x14, 4), 0);
}

static void messages_need_bus_mastering(void **state)
{
    struct fake_host *h = *state;

    fake_pci_msix_on(h, FN0);
    fake_pci_write(h, FN0, COMMAND, 2, 2);
    put(h, NOTIFY, 1);
    fake_pci_write(h, FN0, COMMAND, 6, 2);
    assert_int_equal(fake_msis(h, NULL, NULL), 0);
}

static void fd_of_a_vector_is_the_loops(void **state)
{
    struct fake_host *h = *state;

    put(h, RING, 0);
    fake_poll(h, 0); /* mode INTx: lost */
    fake_pci_msix_on(h, FN0);
    put(h, RING, 0);
    assert_int_equal(fake_poll(h, 1000), 1);
    assert_int_equal(fake_pci_messages(h, FN0, 0), 1);
    fake_pci_mask(h, FN0, 0, 1);
    put(h, RING, 0);
    fake_poll(h, 1000);
    assert_true(fake_pci_pending(h, FN0, 0));
    fake_pci_mask(h, FN0, 0, 0);
    assert_int_equal(fake_pci_messages(h, FN0, 0), 1);
}

static void fd_of_a_vector_is_the_backends_while_it_is_open(void **state)
{
    struct fake_host *h = *state;
    int fd = -1;

    fake_pci_take_fds(h, true);
    fake_pci_msix_on(h, FN0);
    put(h, RING, 0);
    for (int i = 0; i < 1024 && fd < 0; i++)
        if (fake_pci_has_fd(h, i, NULL, NULL))
            fd = i;
    assert_true(fd >= 0);
    assert_int_equal(fake_poll(h, 0), 0);
    fake_pci_mask(h, FN0, 0, 1);
    assert_false(fake_pci_has_fd(h, fd, NULL, NULL));
    assert_int_equal(fake_poll(h, 1000), 1); /* what the fd had counted */
    assert_true(fake_pci_pending(h, FN0, 0));
    fake_pci_mask(h, FN0, 0, 0);
    assert_true(fake_pci_has_fd(h, fd, NULL, NULL));
    fake_pci_write(h, FN0, COMMAND, 2, 2);
    assert_false(fake_pci_has_fd(h, fd, NULL, NULL));
    fake_pci_write(h, FN0, COMMAND, 6, 2);
    assert_true(fake_pci_has_fd(h, fd, NULL, NULL));
}

static void bad_62_beyond_the_table_and_into_pending_bits(void **state)
{
    struct fake_host *h = *state;

    fake_pci_msix_on(h, FN0);
    for (uint32_t vector = 8; vector; vector <<= 1)
        put(h, NOTIFY, vector);
    put(h, NOTIFY, UINT32_MAX);
    assert_int_equal(fake_msis(h, NULL, NULL), 0);
    /* Behind the table of 8 the device's own registers go on. */
    fake_write(h, BP_SPACE_MMIO, TABLE + 0x7c, UINT64_MAX, 8);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, TABLE + 0x7c, 8), 1);
    fake_write(h, BP_SPACE_MMIO, PBA, UINT64_MAX, 8);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, PBA, 8), 0);
    /* The last entry's control, and then across the end. */
    put(h, NOTIFY, 7);
    assert_int_equal(fake_pci_messages(h, FN0, 7), 0);
    assert_true(fake_pci_pending(h, FN0, 7));
}

static void bad_62_narrow_writes_to_the_table_are_dropped(void **state)
{
    struct fake_host *h = *state;

    fake_pci_msix_on(h, FN0);
    fake_write(h, BP_SPACE_MMIO, TABLE + 12, 1, 1);
    fake_write(h, BP_SPACE_MMIO, TABLE + 12, 1, 2);
    fake_write(h, BP_SPACE_MMIO, TABLE + 1, UINT32_MAX, 4);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, TABLE, 4), 0xfee00000 | FN0 << 12);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, TABLE + 12, 4), 0);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, TABLE + 2, 2), 0xfee0);
    fake_write(h, BP_SPACE_MMIO, TABLE + 12, UINT32_MAX, 4); /* reserved bits are 0 */
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, TABLE + 12, 4), 1);
}

static void state_moves_with_what_is_pending(void **state)
{
    struct fake_host *a = *state, *b;
    uint32_t any = BP_PCI_ANY;

    fake_pci_msix_on(a, FN0);
    fake_pci_mask(a, FN0, 4, 1);
    put(a, NOTIFY, 4);
    b = fake_host_new(PCI_PARTS, "everything", &any);
    fake_move_state(a, b);
    assert_true(fake_pci_pending(b, FN0, 4));
    fake_pci_mask(b, FN0, 4, 0);
    assert_int_equal(fake_pci_messages(b, FN0, 4), 1);
    fake_host_free(b);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start_device, free_device)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(intx_follows_level_disable_and_mode),
        TEST(no_message_in_mode_intx),
        TEST(msix_sends_what_its_table_says),
        TEST(masked_vectors_wait_in_the_pending_bits),
        TEST(function_mask_holds_all_of_them),
        TEST(device_hears_of_masks),
        TEST(msi_takes_vectors_modulo_what_is_enabled),
        TEST(msi_has_masks_and_pending_bits),
        TEST(messages_need_bus_mastering),
        TEST(fd_of_a_vector_is_the_loops),
        TEST(fd_of_a_vector_is_the_backends_while_it_is_open),
        TEST(bad_62_beyond_the_table_and_into_pending_bits),
        TEST(bad_62_narrow_writes_to_the_table_are_dropped),
        TEST(state_moves_with_what_is_pending),
    };

    return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
