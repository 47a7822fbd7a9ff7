/* SPDX-License-Identifier: MIT
 *
 * dev-pc/host_bridge_test.c - the 440FX: who it is, and what its PAM registers ask of the host.
 */
#include "fakes/pci.h"
#include "ports.h"

#include <backplane/ext/firmware.h>
#include <errno.h>

#define BLOCKS 16u
#define PAM(n) (0x59u + (n))

/* What was set of each 16 KiB from 768 KiB on, and how often anything was. */
static struct {
    uint32_t access[BLOCKS];
    unsigned calls;
    int err;
} shadow;

static int set_shadow(struct bp_node *node, uint64_t gpa, uint64_t length, uint32_t access)
{
    (void)node;
    assert_in_range(gpa, 0xc0000, 0xfc000);
    assert_int_equal(gpa % 0x4000, 0);
    assert_int_equal(length, 0x4000);
    assert_in_range(access, 0, 3);
    shadow.calls++;
    if (!shadow.err)
        shadow.access[(gpa - 0xc0000) / 0x4000] = access;
    return shadow.err;
}

static const struct bp_firmware firmware = {.size = sizeof(firmware), .shadow = set_shadow};

static struct fake_host *bridge(void)
{
    memset(&shadow, 0xff, sizeof(shadow));
    shadow.calls = 0;
    shadow.err = 0;
    fake_offer_firmware(&firmware);
    struct fake_host *h = fake_host_new(DEV_PC, "host-bridge", NULL);
    fake_offer_firmware(NULL);
    return h;
}

static void firmware_finds_a_440fx_at_00_00_0(void **state)
{
    (void)state;
    struct fake_host *h = bridge();

    assert_int_equal(fake_pci_function(h, 0), 0);
    assert_int_equal(fake_pci_read(h, 0, 0x00, 4), 0x12378086);
    assert_int_equal(fake_pci_read(h, 0, 0x08, 4), 0x06000002);
    assert_int_equal(fake_pci_read(h, 0, 0x2c, 4), 0x11001af4);
    assert_int_equal(fake_pci_read(h, 0, 0x04, 2), 0x0006);
    fake_pci_write(h, 0, 0x04, 0xffff, 2); /* it decodes memory and is a master, always */
    assert_int_equal(fake_pci_read(h, 0, 0x04, 2), 0x0146);
    fake_pci_write(h, 0, 0x04, 0, 2);
    assert_int_equal(fake_pci_read(h, 0, 0x04, 2), 0x0006);
    assert_int_equal(fake_pci_read(h, 0, 0x10, 4), 0);
    fake_host_free(h);
}

static void all_is_rom_after_a_reset(void **state)
{
    (void)state;
    struct fake_host *h = bridge();

    for (unsigned i = 0; i < BLOCKS; i++)
        assert_int_equal(shadow.access[i], 0);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(fake_pci_read(h, 0, PAM(i), 1), 0);
    fake_host_free(h);
}

static void each_register_is_of_its_blocks(void **state)
{
    (void)state;
    struct fake_host *h = bridge();

    for (unsigned i = 1; i < 7; i++) {
        fake_pci_write(h, 0, PAM(i), 0x21, 1); /* read from RAM below, write to it above */
        for (unsigned k = 0; k < BLOCKS; k++)
            assert_int_equal(shadow.access[k], k == 2 * (i - 1) ? 1 : k == 2 * i - 1 ? 2 : 0);
        fake_pci_write(h, 0, PAM(i), 0, 1);
    }
    fake_pci_write(h, 0, PAM(0), 0x33,
                   1); /* 0xf0000 and all above; its lower half is no register */
    for (unsigned k = 0; k < BLOCKS; k++)
        assert_int_equal(shadow.access[k], k >= 12 ? 3 : 0);
    assert_int_equal(fake_pci_read(h, 0, PAM(0), 1), 0x30);
    fake_host_free(h);
}

static void dwords_set_several_and_only_what_changes_is_told(void **state)
{
    (void)state;
    struct fake_host *h = bridge();
    unsigned before = shadow.calls;

    fake_pci_write(h, 0, 0x58, 0x33333000, 4); /* as firmware does it: 0x58 to 0x5f in two */
    assert_int_equal(shadow.calls - before, 4 + 4);
    fake_pci_write(h, 0, 0x5c, 0x33333333, 4);
    assert_int_equal(shadow.calls - before, 16);
    fake_pci_write(h, 0, 0x5c, 0x33333333, 4);
    fake_pci_write(h, 0, 0x54, 0xffffffff, 4); /* no PAM here, nor behind */
    fake_pci_write(h, 0, 0x60, 0xffffffff, 4);
    assert_int_equal(shadow.calls - before, 16);
    fake_host_free(h);
}

static void bad_bits_of_a_register_are_not_kept(void **state)
{
    (void)state;
    struct fake_host *h = bridge();

    for (unsigned value = 0; value < 0x100; value++) {
        for (unsigned i = 0; i < 7; i++) {
            fake_pci_write(h, 0, PAM(i), value, 1);
            assert_int_equal(fake_pci_read(h, 0, PAM(i), 1), value & (i ? 0x33 : 0x30));
        }
        for (unsigned k = 0; k < 12; k++)
            assert_int_equal(shadow.access[k], (k & 1 ? value >> 4 : value) & 3);
    }
    fake_host_free(h);
}

static void bad_place_of_shadow_ram_is_not_told_for_ever(void **state)
{
    (void)state;
    struct fake_host *h = bridge();

    shadow.err = -EFAULT; /* a device stands there: nothing to say */
    fake_pci_write(h, 0, PAM(3), 0x33, 1);
    assert_int_equal(fake_log_count(h), 0);
    shadow.err = -ENOMEM;
    fake_pci_write(h, 0, PAM(3), 0x11, 1);
    assert_string_equal(fake_log(h, NULL), "shadow RAM at 0xd4000 cannot be set to 1");
    fake_host_free(h);
}

static void without_firmware_the_registers_do_nothing(void **state)
{
    (void)state;
    shadow.calls = 0;
    struct fake_host *h = fake_host_new(DEV_PC, "host-bridge", NULL);

    fake_pci_write(h, 0, PAM(1), 0x33, 1);
    assert_int_equal(fake_pci_read(h, 0, PAM(1), 1), 0x33);
    assert_int_equal(shadow.calls, 0);
    fake_host_free(h);
}

static void bad_machine_without_pci_is_told(void **state)
{
    struct fake_host *h = NULL;
    (void)state;

    fake_pci_offer(false);
    assert_int_equal(fake_host_try(DEV_PC, "host-bridge", NULL, &h), -ENOTSUP);
    fake_pci_offer(true);
    assert_string_equal(fake_failure(),
                        "the machine has no PCI bus to be the host bridge of; say board = pc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_finds_a_440fx_at_00_00_0),
        cmocka_unit_test(all_is_rom_after_a_reset),
        cmocka_unit_test(each_register_is_of_its_blocks),
        cmocka_unit_test(dwords_set_several_and_only_what_changes_is_told),
        cmocka_unit_test(bad_bits_of_a_register_are_not_kept),
        cmocka_unit_test(bad_place_of_shadow_ram_is_not_told_for_ever),
        cmocka_unit_test(without_firmware_the_registers_do_nothing),
        cmocka_unit_test(bad_machine_without_pci_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
