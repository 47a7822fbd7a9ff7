/* SPDX-License-Identifier: MIT
 *
 * dev-pc/fw_cfg_test.c - fw_cfg as firmware uses it, by port and by DMA, and what hostile firmware
 * does with it.
 */
#include "ports.h"

#include <backplane/ext/firmware.h>
#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>

#define SELECTOR 0x510
#define DATA 0x511
#define DMA_HIGH 0x514
#define DMA_LOW 0x518
#define DESCRIPTOR 0x1000u /* where the tests put theirs */
#define TARGET 0x2000u

#define READ 2u
#define SKIP 4u
#define SELECT 8u
#define WRITE 16u
#define ERROR 1u

struct fw_cfg_config {
    uint16_t port, console;
    uint8_t menu;
    uint8_t reserved[3];
    uint32_t retry;
    struct bp_list boot_order;
};

static const struct fw_cfg_config plain = {.port = 0x510, .console = 0x3f8};

/* ---- what the host knows ---- */

static const struct bp_firmware_range map[] = {
    {.type = 1, .base = 0, .length = 0xa0000},
    {.type = 2, .base = 0xa0000, .length = 0x60000},
    {.type = 1, .base = 0x100000, .length = 0x7f00000},
};
static const uint8_t rsdp[36] = "RSD PTR ", tables[100] = "FACS";
static const struct bp_firmware_fixup fixups[] = {
    {.kind = BP_FIRMWARE_POINTER, .blob = BP_FIRMWARE_IN_TABLES, .at = 72, .width = 4},
    {.kind = BP_FIRMWARE_POINTER, .blob = BP_FIRMWARE_IN_RSDP, .at = 24, .width = 8},
    {.kind = BP_FIRMWARE_CHECKSUM, .blob = BP_FIRMWARE_IN_RSDP, .at = 8, .length = 20},
};

static uint64_t ram_bytes(struct bp_node *node)
{
    (void)node;
    return 0x8000000;
}

static uint32_t cpus(struct bp_node *node)
{
    (void)node;
    return 3;
}

static int range(struct bp_node *node, uint32_t index, struct bp_firmware_range *out)
{
    (void)node;
    if (index >= 3)
        return -ENOENT;
    *out = map[index];
    return 0;
}

static int acpi(struct bp_node *node, struct bp_firmware_acpi *out)
{
    (void)node;
    *out = (struct bp_firmware_acpi){.size = out->size,
                                     .fixup_stride = sizeof(fixups[0]),
                                     .rsdp = rsdp,
                                     .tables = tables,
                                     .rsdp_length = sizeof(rsdp),
                                     .tables_length = sizeof(tables),
                                     .fixups = fixups,
                                     .fixup_count = 3};
    return 0;
}

static const struct bp_firmware firmware = {
    .size = sizeof(firmware), .ram_bytes = ram_bytes, .cpus = cpus, .range = range, .acpi = acpi};

static struct fake_host *fw_cfg(const struct fw_cfg_config *config)
{
    fake_offer_firmware(&firmware);
    struct fake_host *h = fake_host_new(DEV_PC, "fw-cfg", config);
    fake_offer_firmware(NULL);
    return h;
}

/* ---- how firmware asks ---- */

static uint32_t be32(const uint8_t *at)
{
    return __builtin_bswap32(bp_le32(at));
}

static void read_bytes(struct fake_host *h, uint16_t key, uint8_t *to, size_t length)
{
    out16(h, SELECTOR, key);
    for (size_t i = 0; i < length; i++)
        to[i] = in8(h, DATA);
}

/* Finds `name` in the directory; gives its number, or 0, and its length. */
static uint16_t find(struct fake_host *h, const char *name, uint32_t *length)
{
    uint8_t count[4], entry[64];

    read_bytes(h, 0x19, count, 4);
    for (uint32_t i = 0; i < be32(count); i++) {
        for (unsigned k = 0; k < sizeof(entry); k++)
            entry[k] = in8(h, DATA);
        *length = be32(entry);
        assert_int_equal(entry[63], 0);
        if (!strcmp((char *)entry + 8, name))
            return (uint16_t)(entry[4] << 8 | entry[5]);
    }
    return 0;
}

static uint32_t file(struct fake_host *h, const char *name, uint8_t *to, size_t room)
{
    uint32_t length = 0;
    uint16_t key = find(h, name, &length);

    assert_in_range(key, 0x20, 0x3fff);
    assert_true(length <= room);
    read_bytes(h, key, to, length);
    return length;
}

/* A transfer with its description at `at`; what its control word is then. */
static uint32_t dma(struct fake_host *h, uint64_t at, uint32_t control, uint32_t length,
                    uint64_t address)
{
    uint8_t *d = fake_ram(h) + at;

    bp_put_le32(d, __builtin_bswap32(control));
    bp_put_le32(d + 4, __builtin_bswap32(length));
    bp_put_le64(d + 8, __builtin_bswap64(address));
    fake_write(h, BP_SPACE_PIO, DMA_HIGH, __builtin_bswap32((uint32_t)(at >> 32)), 4);
    fake_write(h, BP_SPACE_PIO, DMA_LOW, __builtin_bswap32((uint32_t)at), 4);
    return be32(d);
}

/* ---- tests ---- */

static void firmware_finds_the_signature_and_dma(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);
    uint8_t bytes[6];

    read_bytes(h, 0, bytes, 6);
    assert_memory_equal(bytes, "QEMU\0\0", 6); /* zeroes beyond its end */
    read_bytes(h, 1, bytes, 4);
    assert_int_equal(bp_le32(bytes), 3);
    assert_int_equal(fake_read(h, BP_SPACE_PIO, DMA_HIGH, 4), 0x554d4551); /* "QEMU" */
    assert_int_equal(fake_read(h, BP_SPACE_PIO, DMA_LOW, 4), 0x47464320);  /* " CFG" */
    fake_host_free(h);
}

static void numbers_say_what_the_machine_is(void **state)
{
    (void)state;
    struct fw_cfg_config c = plain;
    c.menu = 1;
    struct fake_host *h = fw_cfg(&c);
    uint8_t bytes[8];

    read_bytes(h, 0x03, bytes, 8);
    assert_int_equal(bp_le64(bytes), 0x8000000);
    read_bytes(h, 0x05, bytes, 2);
    assert_int_equal(bp_le16(bytes), 3);
    read_bytes(h, 0x0e, bytes, 2);
    assert_int_equal(bp_le16(bytes), 1);
    assert_int_equal(file(h, "etc/boot-cpus", bytes, 8), 2);
    assert_int_equal(bp_le16(bytes), 3);
    assert_int_equal(file(h, "etc/sercon-port", bytes, 8), 2);
    assert_int_equal(bp_le16(bytes), 0x3f8);
    assert_int_equal(file(h, "etc/boot-fail-wait", bytes, 8), 4);
    assert_int_equal(bp_le32(bytes), UINT32_MAX);
    fake_host_free(h);
}

static void the_memory_map_is_the_hosts(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);
    uint8_t bytes[100];

    assert_int_equal(file(h, "etc/e820", bytes, sizeof(bytes)), 60);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *entry = bytes + (size_t)20 * i;
        assert_int_equal(bp_le64(entry), map[i].base);
        assert_int_equal(bp_le64(entry + 8), map[i].length);
        assert_int_equal(bp_le32(entry + 16), map[i].type);
    }
    fake_host_free(h);
}

static void acpi_tables_come_with_their_script(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);
    uint8_t bytes[5 * 128], *entry = bytes;

    assert_int_equal(file(h, "etc/acpi/rsdp", bytes, sizeof(bytes)), 36);
    assert_memory_equal(bytes, rsdp, 36);
    assert_int_equal(file(h, "etc/acpi/tables", bytes, sizeof(bytes)), 100);
    assert_memory_equal(bytes, tables, 100);
    assert_int_equal(file(h, "etc/table-loader", bytes, sizeof(bytes)), 5 * 128);
    assert_int_equal(bp_le32(entry), 1); /* allocate, where guests look for it */
    assert_string_equal((char *)entry + 4, "etc/acpi/rsdp");
    assert_int_equal(bp_le32(entry + 60), 16);
    assert_int_equal(entry[64], 2);
    entry += 128;
    assert_string_equal((char *)entry + 4, "etc/acpi/tables");
    assert_int_equal(bp_le32(entry + 60), 64);
    assert_int_equal(entry[64], 1);
    entry += 128;
    assert_int_equal(bp_le32(entry), 2); /* add a pointer */
    assert_string_equal((char *)entry + 4, "etc/acpi/tables");
    assert_string_equal((char *)entry + 60, "etc/acpi/tables");
    assert_int_equal(bp_le32(entry + 116), 72);
    assert_int_equal(entry[120], 4);
    entry += 128;
    assert_string_equal((char *)entry + 4, "etc/acpi/rsdp");
    assert_int_equal(bp_le32(entry + 116), 24);
    assert_int_equal(entry[120], 8);
    entry += 128;
    assert_int_equal(bp_le32(entry), 3); /* make a checksum */
    assert_string_equal((char *)entry + 4, "etc/acpi/rsdp");
    assert_int_equal(bp_le32(entry + 60), 8);
    assert_int_equal(bp_le32(entry + 64), 0);
    assert_int_equal(bp_le32(entry + 68), 20);
    fake_host_free(h);
}

static void boot_order_is_a_list_of_open_firmware_paths(void **state)
{
    static const char *const places[] = {"4", "1f.2", "0A"};
    (void)state;
    struct fw_cfg_config c = plain;
    c.console = 0;
    c.retry = 60;
    c.boot_order = (struct bp_list){places, 3};
    struct fake_host *h = fw_cfg(&c);
    uint8_t bytes[200];
    uint32_t length;

    length = file(h, "bootorder", bytes, sizeof(bytes));
    assert_string_equal((char *)bytes,
                        "/pci@i0cf8/disk@4\n/pci@i0cf8/disk@1f,2\n/pci@i0cf8/disk@a");
    assert_int_equal(length, strlen((char *)bytes) + 1);
    assert_int_equal(find(h, "etc/sercon-port", &length), 0);
    file(h, "etc/boot-fail-wait", bytes, sizeof(bytes));
    assert_int_equal(bp_le32(bytes), 60000);
    fake_host_free(h);
}

static void dma_reads_what_the_port_does(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);
    uint32_t length;
    uint16_t key = find(h, "etc/acpi/tables", &length);
    uint8_t *to = fake_ram(h) + TARGET;

    memset(to, 0xee, 200);
    assert_int_equal(dma(h, DESCRIPTOR, (uint32_t)key << 16 | SELECT | READ, 4, TARGET), 0);
    assert_memory_equal(to, "FACS\xee", 5);
    out16(h, SELECTOR, key);
    in8(h, DATA); /* both go on from one place */
    assert_int_equal(dma(h, DESCRIPTOR, READ, 3, TARGET), 0);
    assert_memory_equal(to, "ACS", 3);
    assert_int_equal(dma(h, DESCRIPTOR, (uint32_t)key << 16 | SELECT, 0, 0), 0);
    assert_int_equal(dma(h, DESCRIPTOR, SKIP, 2, 0), 0);
    assert_int_equal(in8(h, DATA), 'C');
    assert_int_equal(dma(h, DESCRIPTOR, (uint32_t)key << 16 | SELECT | READ, 150, TARGET), 0);
    assert_memory_equal(to, tables, 100);
    for (unsigned i = 100; i < 150; i++)
        assert_int_equal(to[i], 0); /* zeroes beyond the end, and no more than asked for */
    assert_int_equal(to[150], 0xee);
    fake_host_free(h);
}

static void linux_finds_it_by_acpi(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);
    struct recorded r = describe(h);

    assert_int_equal(r.devices, 1);
    assert_string_equal(r.hid, "QEMU0002");
    assert_int_equal(r.port, 0x510);
    assert_int_equal(r.ports, 12);
    fake_host_free(h);
}

static void a_reset_begins_anew(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    out16(h, SELECTOR, 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    assert_int_equal(in8(h, DATA), 'Q');
    fake_host_free(h);
}

static void where_it_was_moves_with_the_state(void **state)
{
    (void)state;
    struct fake_host *from = fw_cfg(&plain), *to = fw_cfg(&plain);

    out16(from, SELECTOR, 0);
    in8(from, DATA);
    fake_move_state(from, to);
    assert_int_equal(in8(to, DATA), 'E');
    fake_host_free(from);
    fake_host_free(to);
}

static void without_firmware_it_knows_its_settings_only(void **state)
{
    (void)state;
    struct fake_host *h = fake_host_new(DEV_PC, "fw-cfg", &plain);
    uint32_t length;

    assert_int_equal(find(h, "etc/e820", &length), 0);
    assert_int_equal(find(h, "etc/table-loader", &length), 0);
    assert_int_not_equal(find(h, "etc/boot-fail-wait", &length), 0);
    fake_host_free(h);
}

/* ---- hostile ones ---- */

static void bad_selectors_read_as_zeroes(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    for (uint32_t key = 0x100; key < 0x10000; key += key < 0x8000 ? 0x101 : 0x1001) {
        out16(h, SELECTOR, key);
        if ((key & ~0x4000u) > 0x3f)
            assert_int_equal(in8(h, DATA), 0);
    }
    out16(h, SELECTOR, 0x4000); /* the bit for writing is ignored */
    assert_int_equal(in8(h, DATA), 'Q');
    out16(h, SELECTOR, 0xffff);
    assert_int_equal(dma(h, DESCRIPTOR, READ, 8, TARGET), 0);
    fake_host_free(h);
}

static void bad_widths_are_ignored(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    out16(h, SELECTOR, 0);
    out8(h, SELECTOR, 1); /* no selector */
    out8(h, DATA, 'X');   /* nothing can be written */
    out8(h, DMA_LOW, 0);
    fake_write(h, BP_SPACE_PIO, DMA_LOW + 2, 0, 2);
    fake_write(h, BP_SPACE_PIO, SELECTOR, 1, 4);
    assert_int_equal(in8(h, DATA), 'Q');
    assert_int_equal(in8(h, SELECTOR), 0);
    assert_int_equal(in16(h, SELECTOR), 0);
    fake_host_free(h);
}

static void bad_descriptor_address_does_nothing(void **state)
{
    static const uint64_t nowhere[] = {FAKE_RAM_BYTES, FAKE_RAM_BYTES - 15, 0xfffffff8, UINT64_MAX,
                                       UINT64_MAX - 7};
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    out16(h, SELECTOR, 0);
    for (unsigned i = 0; i < 5; i++) {
        fake_write(h, BP_SPACE_PIO, DMA_HIGH, __builtin_bswap32((uint32_t)(nowhere[i] >> 32)), 4);
        fake_write(h, BP_SPACE_PIO, DMA_LOW, __builtin_bswap32((uint32_t)nowhere[i]), 4);
    }
    assert_int_equal(fake_log_count(h), 5);
    assert_int_equal(in8(h, DATA), 'Q');
    fake_host_free(h);
}

static void bad_target_is_an_error(void **state)
{
    static const uint64_t nowhere[] = {FAKE_RAM_BYTES, FAKE_RAM_BYTES - 3, 0xfec00000, UINT64_MAX,
                                       UINT64_MAX - 2};
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(dma(h, DESCRIPTOR, SELECT | READ, 4, nowhere[i]), ERROR);
    assert_int_equal(in8(h, DATA), 'Q'); /* nothing was read */
    fake_host_free(h);
}

static void bad_length_is_an_error(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);
    uint8_t *to = fake_ram(h) + TARGET;

    memset(to, 0xee, 8);
    assert_int_equal(dma(h, DESCRIPTOR, SELECT | READ, UINT32_MAX, TARGET), ERROR);
    assert_int_equal(dma(h, DESCRIPTOR, SELECT | READ, 0x1000001, TARGET), ERROR);
    assert_int_equal(to[0], 0xee); /* refused as a whole */
    /* Allowed, but RAM ends. */
    assert_int_equal(dma(h, DESCRIPTOR, SELECT | READ, 0x1000000, TARGET), ERROR);
    fake_host_free(h);
}

static void bad_write_is_an_error(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    memcpy(fake_ram(h) + TARGET, "EVIL", 4);
    assert_int_equal(dma(h, DESCRIPTOR, SELECT | WRITE, 4, TARGET), ERROR);
    out16(h, SELECTOR, 0);
    assert_int_equal(in8(h, DATA), 'Q');
    fake_host_free(h);
}

static void bad_skips_stop_at_the_end_of_all(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    out16(h, SELECTOR, 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(dma(h, DESCRIPTOR, SKIP, UINT32_MAX - i, 0), 0);
    assert_int_equal(in8(h, DATA), 0); /* not from its beginning again */
    assert_int_equal(in8(h, DATA), 0);
    fake_host_free(h);
}

static void bad_target_over_the_descriptor_ends_all_the_same(void **state)
{
    (void)state;
    struct fake_host *h = fw_cfg(&plain);

    assert_int_equal(dma(h, DESCRIPTOR, SELECT | READ, 4096, DESCRIPTOR - 8), 0);
    assert_int_equal(fake_ram(h)[DESCRIPTOR - 8], 'Q');
    fake_host_free(h);
}

static void bad_boot_order_is_told(void **state)
{
    static const char *const wrong[] = {
        "", "20", "4.8", "4.", ".1", "disk", "-1", "4 5", "+3", "0x4", "ffffffffffffffffffff4"};
    (void)state;

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct fw_cfg_config c = plain;
        struct fake_host *h = NULL;
        char sentence[300];
        c.boot_order = (struct bp_list){&wrong[i], 1};
        assert_int_equal(fake_host_try(DEV_PC, "fw-cfg", &c, &h), -EINVAL);
        snprintf(sentence, sizeof(sentence),
                 "`boot-order` has \"%s\": expected a place on the PCI bus in hex, a device from 0 "
                 "to 1f with or without a function from 0 to 7, such as 4 or 1f.2",
                 wrong[i]);
        assert_string_equal(fake_failure(), sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_finds_the_signature_and_dma),
        cmocka_unit_test(numbers_say_what_the_machine_is),
        cmocka_unit_test(the_memory_map_is_the_hosts),
        cmocka_unit_test(acpi_tables_come_with_their_script),
        cmocka_unit_test(boot_order_is_a_list_of_open_firmware_paths),
        cmocka_unit_test(dma_reads_what_the_port_does),
        cmocka_unit_test(linux_finds_it_by_acpi),
        cmocka_unit_test(a_reset_begins_anew),
        cmocka_unit_test(where_it_was_moves_with_the_state),
        cmocka_unit_test(without_firmware_it_knows_its_settings_only),
        cmocka_unit_test(bad_selectors_read_as_zeroes),
        cmocka_unit_test(bad_widths_are_ignored),
        cmocka_unit_test(bad_descriptor_address_does_nothing),
        cmocka_unit_test(bad_target_is_an_error),
        cmocka_unit_test(bad_length_is_an_error),
        cmocka_unit_test(bad_write_is_an_error),
        cmocka_unit_test(bad_skips_stop_at_the_end_of_all),
        cmocka_unit_test(bad_target_over_the_descriptor_ends_all_the_same),
        cmocka_unit_test(bad_boot_order_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
