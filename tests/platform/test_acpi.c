/* SPDX-License-Identifier: MIT
 *
 * The ACPI tables as a guest finds them, and the sentences for descriptions that no table can hold.
 */
#include "platform/acpi_sample.h"

#include <errno.h>
#include <stdio.h>

struct fixture {
    struct acpi_description *d;
    struct bp_acpi_builder *b;
    struct ram ram;
    uint64_t rsdp;
    struct error e;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    f.d = acpi_description_new();
    f.b = acpi_builder(f.d);
    *state = &f;
    return ram_create(&f.ram, SAMPLE_RAM, false, NULL, 0, &f.e);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    acpi_description_free(f->d);
    ram_destroy(&f->ram);
    return 0;
}

static int write_tables(struct fixture *f, uint32_t cpus)
{
    struct acpi_machine machine = sample_machine(cpus);
    return acpi_write(f->d, &machine, &f->ram, &f->rsdp, &f->e);
}

static const uint8_t *find(struct fixture *f, const char *signature)
{
    return sample_find(&f->ram, f->rsdp, signature);
}

/* The `n`th MADT entry of `type`, or NULL. */
static const uint8_t *madt_entry(const uint8_t *madt, uint8_t type, uint32_t n)
{
    uint32_t length = bp_le32(madt + 4);

    for (uint32_t at = 44; at < length; at += madt[at + 1]) {
        assert_true(madt[at + 1] >= 2 && madt[at + 1] <= length - at);
        if (madt[at] == type && n-- == 0)
            return madt + at;
    }
    return NULL;
}

static void rsdp_stands_first_and_both_its_sums_are_zero(void **state)
{
    struct fixture *f = *state;
    uint8_t sum = 0;

    assert_int_equal(write_tables(f, 1), 0);
    assert_int_equal(f->rsdp, ACPI_GPA);
    const uint8_t *rsdp = ram_at(&f->ram, f->rsdp, 36);
    for (uint32_t i = 0; i < 20; i++)
        sum = (uint8_t)(sum + rsdp[i]);
    assert_int_equal(sum, 0);
    for (uint32_t i = 20; i < 36; i++)
        sum = (uint8_t)(sum + rsdp[i]);
    assert_int_equal(sum, 0);
    assert_int_equal(rsdp[15], 2);
    assert_int_equal(bp_le32(rsdp + 20), 36);
}

static void fadt_has_the_described_power_registers(void **state)
{
    struct fixture *f = *state;

    f->b->power(f->b, &sample_power);
    sample_devices(f->d);
    assert_int_equal(write_tables(f, 1), 0);
    const uint8_t *fadt = find(f, "FACP");
    assert_int_equal(bp_le32(fadt + 4), 276);
    assert_int_equal(fadt[8], 6);
    assert_int_equal(fadt[131], 4);
    assert_int_equal(bp_le16(fadt + 46), 9);
    assert_int_equal(bp_le32(fadt + 48), 0); /* SMI_CMD */
    assert_int_equal(bp_le32(fadt + 56), 0x600);
    assert_int_equal(bp_le32(fadt + 64), 0x604);
    assert_int_equal(bp_le32(fadt + 76), 0x608);
    assert_int_equal(fadt[88], 4);
    assert_int_equal(fadt[89], 2);
    assert_int_equal(fadt[91], 4);
    assert_int_equal(bp_le16(fadt + 109), 1 << 0 | 1 << 1 | 1 << 2); /* ISA devices, 8042, no VGA */
    assert_int_equal(bp_le32(fadt + 112), 0x475); /* WBINVD C1 buttons RTC-status reset */
    assert_memory_equal(fadt + 116, "\1\10\0\1\xf9\x0c\0\0\0\0\0\0", 12);
    assert_int_equal(fadt[128], 6);
    assert_int_equal(fadt[108], 0x32); /* CENTURY */
    assert_memory_equal(fadt + 148, "\1\40\0\2\0\6\0\0\0\0\0\0", 12);
    assert_memory_equal(fadt + 172, "\1\20\0\2\4\6\0\0\0\0\0\0", 12);
    assert_memory_equal(fadt + 208, "\1\40\0\3\10\6\0\0\0\0\0\0", 12);
}

static void facs_is_aligned_to_64_bytes(void **state)
{
    struct fixture *f = *state;

    f->b->power(f->b, &sample_power);
    assert_int_equal(write_tables(f, 1), 0);
    uint32_t gpa = bp_le32(find(f, "FACP") + 36);
    assert_int_equal(gpa % 64, 0);
    assert_in_range(gpa, ACPI_GPA, ACPI_GPA + ACPI_BYTES - 64);
    const uint8_t *facs = ram_at(&f->ram, gpa, 64);
    assert_memory_equal(facs, "FACS\x40\0\0\0", 8);
    assert_int_equal(facs[32], 2);
}

static void without_power_the_machine_is_hardware_reduced(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(write_tables(f, 1), 0);
    const uint8_t *fadt = find(f, "FACP");
    assert_int_equal(bp_le32(fadt + 112) & (1u << 20), 1u << 20);
    assert_int_equal(bp_le32(fadt + 112) & (1u << 10), 0);
    assert_int_equal(bp_le32(fadt + 36), 0); /* FACS */
    assert_int_equal(bp_le16(fadt + 46), 0); /* SCI */
    assert_int_equal(fadt[88] | fadt[89] | fadt[91], 0);
    assert_int_equal(fadt[108], 0);                         /* no RTC, no century */
    assert_int_equal(bp_le16(fadt + 109), 1 << 2 | 1 << 5); /* no VGA, no RTC */
    const uint8_t *madt = find(f, "APIC");
    assert_non_null(madt_entry(madt, 2, 0));
    assert_null(madt_entry(madt, 2, 1));
    const uint8_t *dsdt = find(f, "DSDT");
    assert_null(memmem(dsdt, bp_le32(dsdt + 4), "_S5_", 4));
}

static void reset_register_alone_leaves_the_machine_hardware_reduced(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power power = {.size = sizeof(power), .reset_port = 0xcf9, .reset_value = 6};

    f->b->power(f->b, &power);
    assert_int_equal(write_tables(f, 1), 0);
    const uint8_t *fadt = find(f, "FACP");
    assert_int_equal(bp_le32(fadt + 112) & (1u << 20 | 1u << 10), 1u << 20 | 1u << 10);
    assert_int_equal(bp_le32(fadt + 120), 0xcf9);
}

static void tables_of_devices_are_found_by_their_signature(void **state)
{
    struct fixture *f = *state;
    const uint8_t *table;

    sample_hpet(f->d);
    f->b->table(f->b, "SSDT", 2, (const uint8_t *)"\xa3", 1);
    f->b->table(f->b, "SSDT", 2, (const uint8_t *)"\xa3\xa3", 2);
    f->b->table(f->b, "UEFI", 255, NULL, 0);
    assert_int_equal(write_tables(f, 1), 0);
    table = find(f, "HPET");
    assert_non_null(table);
    assert_int_equal(bp_le32(table + 4), 56);
    assert_int_equal(table[8], 1);
    assert_int_equal(bp_le32(table + 36), 0x8086a201);
    assert_int_equal(bp_le64(table + 44), 0xfed00000);
    assert_int_equal(bp_le32(find(f, "SSDT") + 4), 37); /* the first that came */
    assert_int_equal(bp_le32(find(f, "UEFI") + 4), 36);
    assert_non_null(find(f, "APIC"));
}

static void a_machine_has_no_tables_that_no_device_brought(void **state)
{
    struct fixture *f = *state;

    sample_devices(f->d);
    assert_int_equal(write_tables(f, 1), 0);
    assert_null(find(f, "HPET"));
}

static void forget(struct fixture *f)
{
    acpi_description_free(f->d);
    f->d = acpi_description_new();
    f->b = acpi_builder(f->d);
}

static void bad_table(struct fixture *f, const char *signature, uint32_t revision,
                      const uint8_t *body, uint64_t len, int err, const char *sentence)
{
    forget(f);
    sample_hpet(f->d);
    f->b->table(f->b, signature, revision, body, len);
    assert_int_equal(write_tables(f, 1), err);
    assert_string_equal(f->e.text, sentence);
}

static void bad_tables_are_told(void **state)
{
    static const uint8_t big[ACPI_BYTES];
    static const char *const odd[] = {"hpet", "HPE", "HPETS", "", NULL};
    struct fixture *f = *state;
    char sentence[300];

    for (unsigned i = 0; i < 5; i++) {
        snprintf(sentence, sizeof(sentence),
                 "a device gives an ACPI table \"%s\" of revision 1 and 1 bytes at an address; "
                 "expected four capitals or digits, a revision of 1..255, and its bytes",
                 odd[i] ? odd[i] : "");
        bad_table(f, odd[i], 1, big, 1, -EINVAL, sentence);
    }
    bad_table(f, "TPM2", 256, NULL, 1, -EINVAL,
              "a device gives an ACPI table \"TPM2\" of revision 256 and 1 bytes at no address; "
              "expected four capitals or digits, a revision of 1..255, and its bytes");
    bad_table(f, "HPET", 1, big, 1, -EINVAL,
              "a device brings an ACPI table HPET, but there is one already; remove one of the "
              "devices that do");
    bad_table(f, "FACP", 1, big, 1, -EINVAL,
              "a device brings an ACPI table FACP, but there is one already; remove one of the "
              "devices that do");
    bad_table(f, "TPM2", 1, big, sizeof(big), -ENOSPC,
              "the devices' ACPI tables are more than the 131072 bytes that there are for all; "
              "remove some devices");
    forget(f);
    for (unsigned i = 0; i < 17; i++)
        f->b->table(f->b, "SSDT", 1, big, 1);
    assert_int_equal(write_tables(f, 1), -ENOSPC);
    assert_string_equal(f->e.text, "devices bring more than 16 ACPI tables (the next is SSDT); "
                                   "remove some");
}

/* As firmware does it, for tables that it put at `gpa`. */
static void make_fixups(struct acpi_blob *blob, uint64_t gpa)
{
    for (uint32_t i = 0; i < blob->fixup_count; i++) {
        const struct bp_firmware_fixup *x = &blob->fixups[i];
        bool in_rsdp = x->blob == BP_FIRMWARE_IN_RSDP;
        uint8_t *bytes = in_rsdp ? blob->rsdp : blob->tables, sum = 0;
        uint64_t length = in_rsdp ? sizeof(blob->rsdp) : blob->tables_length;
        if (x->kind == BP_FIRMWARE_POINTER) {
            assert_true(x->width == 4 || x->width == 8);
            assert_true(x->at + x->width <= length);
            if (x->width == 4)
                bp_put_le32(bytes + x->at, (uint32_t)(bp_le32(bytes + x->at) + gpa));
            else
                bp_put_le64(bytes + x->at, bp_le64(bytes + x->at) + gpa);
            continue;
        }
        assert_int_equal(x->kind, BP_FIRMWARE_CHECKSUM);
        assert_true(x->at < length && (uint64_t)x->from + x->length <= length);
        for (uint32_t k = 0; k < x->length; k++)
            sum = (uint8_t)(sum + bytes[x->from + k]);
        bytes[x->at] = (uint8_t)(bytes[x->at] - sum);
    }
}

static void a_blob_is_the_same_tables_once_its_fixups_are_made(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(3);
    const uint8_t *there = f->ram.base + ACPI_GPA;
    struct acpi_blob blob = {0};

    f->b->power(f->b, &sample_power);
    sample_devices(f->d);
    sample_hpet(f->d);
    assert_int_equal(write_tables(f, 3), 0);
    assert_int_equal(acpi_build(f->d, &machine, &blob, &f->e), 0);
    assert_int_equal(bp_le32(blob.tables), bp_le32("FACS")); /* aligned as it stands first */
    make_fixups(&blob, ACPI_GPA + 64);
    assert_memory_equal(blob.rsdp, there, sizeof(blob.rsdp));
    assert_memory_equal(blob.tables, there + 64, blob.tables_length);
    acpi_blob_free(&blob);
    assert_null(blob.tables);
}

static void a_blob_can_be_anywhere(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(300);
    struct acpi_blob blob = {0};
    const uint64_t gpa = 0xf4000;

    f->b->power(f->b, &sample_power);
    sample_hpet(f->d);
    assert_int_equal(acpi_build(f->d, &machine, &blob, &f->e), 0);
    make_fixups(&blob, gpa);
    assert_int_equal(ram_write(&f->ram, gpa, blob.tables, blob.tables_length), 0);
    assert_int_equal(ram_write(&f->ram, 0xe1000, blob.rsdp, sizeof(blob.rsdp)), 0);
    f->rsdp = 0xe1000;
    static const char *const all[] = {"FACP", "APIC", "MCFG", "HPET"};
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *table = find(f, all[i]);
        uint8_t sum = 0;
        assert_non_null(table);
        for (uint32_t k = 0; k < bp_le32(table + 4); k++)
            sum = (uint8_t)(sum + table[k]);
        assert_int_equal(sum, 0);
    }
    const uint8_t *fadt = find(f, "FACP");
    assert_int_equal(bp_le32(fadt + 36), gpa);
    assert_memory_equal(f->ram.base + bp_le64(fadt + 140), "DSDT", 4);
    assert_int_equal(bp_le32(fadt + 40), bp_le64(fadt + 140));
    acpi_blob_free(&blob);
}

static void bad_description_makes_no_blob(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(1);
    struct acpi_blob blob = {0};

    machine.more32_gpa = 0xf0000000;
    machine.more32_length = 0x10000001;
    assert_int_equal(acpi_build(f->d, &machine, &blob, &f->e), -EINVAL);
    assert_string_equal(f->e.text,
                        "the second 32-bit PCI window of 0x10000001 bytes is at 0xf0000000, "
                        "expected it to end at or below 4 GiB");
    assert_null(blob.tables);
}

static void madt_lists_each_processor_once(void **state)
{
    static const uint32_t counts[] = {1, 2, 255};
    struct fixture *f = *state;

    f->b->power(f->b, &sample_power);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(write_tables(f, counts[i]), 0);
        const uint8_t *madt = find(f, "APIC");
        assert_int_equal(bp_le32(madt + 36), ACPI_LAPIC_GPA);
        assert_int_equal(bp_le32(madt + 40), 1);
        for (uint32_t n = 0; n < counts[i]; n++) {
            const uint8_t *entry = madt_entry(madt, 0, n);
            assert_non_null(entry);
            assert_int_equal(entry[2], n);
            assert_int_equal(entry[3], n);
            assert_int_equal(bp_le32(entry + 4), 1);
        }
        assert_null(madt_entry(madt, 0, counts[i]));
        assert_null(madt_entry(madt, 9, 0));
        assert_memory_equal(madt_entry(madt, 1, 0), "\1\14\0\0\0\0\xc0\xfe\0\0\0\0", 12);
        assert_memory_equal(madt_entry(madt, 4, 0), "\4\6\xff\0\0\1", 6);
    }
}

static void processors_from_255_on_are_x2apic_entries(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(write_tables(f, 300), 0);
    const uint8_t *madt = find(f, "APIC");
    assert_non_null(madt_entry(madt, 0, 254));
    assert_null(madt_entry(madt, 0, 255));
    const uint8_t *entry = madt_entry(madt, 9, 44);
    assert_int_equal(bp_le32(entry + 4), 299);
    assert_int_equal(bp_le32(entry + 12), 299);
    assert_null(madt_entry(madt, 9, 45));
    assert_non_null(madt_entry(madt, 10, 0));
}

static void overrides_are_timer_to_input_2_and_sci_level_high(void **state)
{
    struct fixture *f = *state;

    f->b->power(f->b, &sample_power);
    assert_int_equal(write_tables(f, 1), 0);
    const uint8_t *madt = find(f, "APIC");
    assert_memory_equal(madt_entry(madt, 2, 0), "\2\12\0\0\2\0\0\0\5\0", 10);
    assert_memory_equal(madt_entry(madt, 2, 1), "\2\12\0\11\11\0\0\0\15\0", 10);
    assert_null(madt_entry(madt, 2, 2));
}

static void mcfg_tells_the_buses_of_the_ecam(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(1);

    machine.ecam_buses = 64;
    assert_int_equal(acpi_write(f->d, &machine, &f->ram, &f->rsdp, &f->e), 0);
    const uint8_t *mcfg = find(f, "MCFG");
    assert_int_equal(bp_le32(mcfg + 4), 60);
    assert_int_equal(bp_le64(mcfg + 44), 0xe0000000);
    assert_int_equal(mcfg[54], 0);
    assert_int_equal(mcfg[55], 63);
}

static void without_pci_there_is_no_bridge_and_no_mcfg(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = {.cpus = 1};

    assert_int_equal(acpi_write(f->d, &machine, &f->ram, &f->rsdp, &f->e), 0);
    assert_null(find(f, "MCFG"));
    const uint8_t *dsdt = find(f, "DSDT");
    assert_null(memmem(dsdt, bp_le32(dsdt + 4), "PCI0", 4));
}

static void routing_spreads_pins_over_eight_lines(void **state)
{
    uint32_t users[ACPI_PCI_GSIS] = {0};
    (void)state;

    for (uint32_t device = 0; device < 32; device++) {
        for (uint32_t pin = 0; pin < 4; pin++) {
            uint32_t gsi = acpi_pci_gsi(device, pin);
            assert_in_range(gsi, 16, 23);
            users[gsi - 16]++;
            for (uint32_t other = 0; other < pin; other++)
                assert_int_not_equal(gsi, acpi_pci_gsi(device, other));
        }
    }
    for (uint32_t i = 0; i < ACPI_PCI_GSIS; i++)
        assert_int_equal(users[i], 16);
}

static void tables_do_not_depend_on_the_order_of_calls(void **state)
{
    struct fixture *f = *state;
    static uint8_t first[ACPI_BYTES];

    f->b->power(f->b, &sample_power);
    sample_devices(f->d);
    assert_int_equal(write_tables(f, 2), 0);
    memcpy(first, ram_at(&f->ram, ACPI_GPA, ACPI_BYTES), ACPI_BYTES);
    acpi_description_free(f->d);

    f->d = acpi_description_new();
    f->b = acpi_builder(f->d);
    f->b->has(f->b, BP_ACPI_HAS_8042);
    f->b->device(f->b, "QEMU0001", 0, 0x505, 1, UINT32_MAX);
    f->b->device(f->b, "PNP0B00", 0, 0x70, 2, 8);
    f->b->device(f->b, "PNP0501", 1, 0x3f8, 8, 4);
    f->b->has(f->b, BP_ACPI_HAS_RTC);
    f->b->power(f->b, &sample_power);
    assert_int_equal(write_tables(f, 2), 0);
    assert_memory_equal(ram_at(&f->ram, ACPI_GPA, ACPI_BYTES), first, ACPI_BYTES);
}

static void devices_own_aml_stands_in_the_dsdt(void **state)
{
    static const uint8_t aml[] = {0x08, 'X', 'Y', 'Z', 'W', 0x01};
    struct fixture *f = *state;

    f->b->aml(f->b, aml, sizeof(aml));
    assert_int_equal(write_tables(f, 1), 0);
    const uint8_t *dsdt = find(f, "DSDT");
    assert_non_null(memmem(dsdt, bp_le32(dsdt + 4), aml, sizeof(aml)));
}

static void devices_on_one_line_say_that_they_share_it(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, "PNP0501", 1, 0x3f8, 8, 4);
    f->b->device(f->b, "PNP0501", 3, 0x3e8, 8, 4);
    f->b->device(f->b, "PNP0501", 2, 0x2f8, 8, 3);
    assert_int_equal(write_tables(f, 1), 0);
    const uint8_t *dsdt = find(f, "DSDT");
    assert_non_null(memmem(dsdt, bp_le32(dsdt + 4), "\x89\6\0\x0b\1\4\0\0\0", 9));
    assert_null(memmem(dsdt, bp_le32(dsdt + 4), "\x89\6\0\x03\1\4\0\0\0", 9));
    assert_non_null(memmem(dsdt, bp_le32(dsdt + 4), "\x89\6\0\x03\1\3\0\0\0", 9));
}

/* ---- what is refused ---- */

static void refused(struct fixture *f, int err, const char *sentence)
{
    assert_int_equal(write_tables(f, 1), err);
    assert_string_equal(f->e.text, sentence);
}

static void bad_second_power_description_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power other = sample_power;

    other.pm1a_event_port = 0xb000;
    f->b->power(f->b, &sample_power);
    f->b->power(f->b, &other);
    refused(f, -EINVAL,
            "two devices describe ACPI power registers, at PM1a ports 0x600 and 0xb000, but a "
            "machine has one "
            "set; remove one of the devices");
}

static void bad_power_of_an_older_size_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power power = sample_power;

    power.size = 4;
    f->b->power(f->b, &power);
    refused(f, -EINVAL,
            "a device described its power registers with 4 bytes, expected at least 16; set "
            "bp_acpi_power.size to sizeof(struct bp_acpi_power)");
}

static void bad_power_with_half_of_pm1a_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power power = sample_power;

    power.pm1a_control_port = 0;
    f->b->power(f->b, &power);
    refused(f, -EINVAL,
            "a device describes only one of the ACPI PM1a event port (0x600) and control port "
            "(0x0); it must "
            "give both or neither");
}

static void bad_power_ports_past_the_end_are_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power power = sample_power;

    power.pm_timer_port = 0xfffe;
    f->b->power(f->b, &power);
    refused(f, -EINVAL,
            "the ACPI power registers at ports 0x600, 0x604 and 0xfffe do not all end below port "
            "0x10000; move "
            "them down");
}

static void bad_sleep_type_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power power = sample_power;

    power.s5_type = 8;
    f->b->power(f->b, &power);
    refused(f, -EINVAL,
            "the ACPI sleep type 8 of S5 does not fit SLP_TYP, which has 3 bits; choose 0..7");
}

static void bad_sci_on_the_timers_line_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_acpi_power power = sample_power;

    power.sci_line = 2;
    f->b->power(f->b, &power);
    refused(f, -EINVAL, "the ACPI interrupt is on line 2, expected 1 or 3..23; 9 is usual");
}

static void bad_unknown_has_bits_are_refused(void **state)
{
    struct fixture *f = *state;

    f->b->has(f->b, 0x80000001);
    refused(f, -EINVAL,
            "a device says it has 0x80000001, of which this Backplane knows only 0x3; use a newer "
            "Backplane");
}

static void bad_hardware_id_is_refused(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, "serial port number one", 0, 0x3f8, 8, 4);
    refused(f, -EINVAL,
            "a device gives \"serial port numb\" as its ACPI hardware ID, expected one like "
            "PNP0501 or QEMU0001");
}

static void bad_null_hardware_id_is_refused(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, NULL, 0, 0x3f8, 8, 4);
    refused(f, -EINVAL,
            "a device gives \"\" as its ACPI hardware ID, expected one like PNP0501 or QEMU0001");
}

static void bad_ports_past_the_end_are_refused(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, "PNP0501", 1, 0xfff9, 8, 4);
    refused(
        f, -EINVAL,
        "ACPI device PNP0501 1 has 8 ports from 0xfff9 on, which end above 0xffff; move it down");
}

static void bad_interrupt_line_is_refused(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, "PNP0501", 1, 0x3f8, 8, 24);
    refused(f, -EINVAL, "ACPI device PNP0501 1 is on interrupt line 24, expected one below 24");
}

static void bad_duplicate_device_is_refused(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, "PNP0501", 1, 0x3f8, 8, 4);
    f->b->device(f->b, "PNP0501", 1, 0x2f8, 8, 3);
    refused(
        f, -EINVAL,
        "two devices describe themselves to ACPI as PNP0501 1; the number must tell them apart");
}

static void bad_too_many_devices_are_refused(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < 257; i++)
        f->b->device(f->b, "PNP0501", i, 0x3f8, 8, 4);
    refused(f, -ENOSPC,
            "more than 256 devices are described to ACPI (the next is PNP0501); remove some");
}

static void bad_aml_larger_than_the_area_is_refused(void **state)
{
    static const uint8_t aml[4096];
    struct fixture *f = *state;

    for (uint32_t i = 0; i < 33; i++)
        f->b->aml(f->b, aml, sizeof(aml));
    refused(f, -ENOSPC,
            "the devices' AML is more than the 131072 bytes that there are for ACPI tables; remove "
            "some "
            "devices");
}

static void bad_aml_that_leaves_no_room_is_refused(void **state)
{
    static const uint8_t aml[ACPI_BYTES];
    struct fixture *f = *state;

    f->b->aml(f->b, aml, sizeof(aml));
    refused(f, -ENOSPC,
            "the ACPI tables of 1 processors and 0 devices need more than the 131072 bytes that "
            "there are for "
            "them; describe fewer devices or processors");
}

static void bad_aml_at_null_is_refused(void **state)
{
    struct fixture *f = *state;

    f->b->aml(f->b, NULL, 7);
    refused(f, -EINVAL, "a device gives 7 bytes of AML at address 0; it must point to them");
}

static void bad_first_mistake_is_the_one_reported(void **state)
{
    struct fixture *f = *state;

    f->b->device(f->b, "PNP0501", 1, 0x3f8, 8, 99);
    f->b->has(f->b, 0x80000000);
    refused(f, -EINVAL, "ACPI device PNP0501 1 is on interrupt line 99, expected one below 24");
}

static void bad_machine(struct fixture *f, const struct acpi_machine *machine, int err,
                        const char *sentence)
{
    assert_int_equal(acpi_write(f->d, machine, &f->ram, &f->rsdp, &f->e), err);
    assert_string_equal(f->e.text, sentence);
}

static void bad_number_of_processors_is_refused(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(0);

    bad_machine(f, &machine, -EINVAL, "the machine has 0 processors, expected at least 1");
    machine.cpus = UINT32_MAX;
    bad_machine(f, &machine, -ENOSPC,
                "the ACPI tables of 4294967295 processors and 0 devices need more than the 131072 "
                "bytes that "
                "there are for them; describe fewer devices or processors");
}

static void bad_ecam_is_refused(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(1);

    machine.ecam_buses = 257;
    bad_machine(f, &machine, -EINVAL, "the PCI host bridge has 257 buses, expected 1..256");
    machine.ecam_buses = 1;
    machine.ecam_gpa = 0xe0080000;
    bad_machine(f, &machine, -EINVAL,
                "the PCI configuration space of 1 buses is at 0xe0080000, expected a multiple of 1 "
                "MiB from "
                "which it ends below 2^52");
}

static void bad_windows_are_refused(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(1);

    machine.mmio32_length = 0x40000001;
    bad_machine(f, &machine, -EINVAL,
                "the 32-bit PCI window of 0x40000001 bytes is at 0xc0000000, expected it to end at "
                "or below "
                "4 GiB");
    machine = sample_machine(1);
    machine.mmio64_gpa = UINT64_MAX;
    bad_machine(f, &machine, -EINVAL,
                "the 64-bit PCI window of 0x800000000 bytes is at 0xffffffffffffffff, expected it "
                "to end at or "
                "below 2^52");
}

static void bad_ram_without_room_at_the_area_is_refused(void **state)
{
    struct fixture *f = *state;
    struct acpi_machine machine = sample_machine(1);
    struct ram small;

    assert_int_equal(ram_create(&small, 0x10000, false, NULL, 0, &f->e), 0);
    assert_int_equal(acpi_write(f->d, &machine, &small, &f->rsdp, &f->e), -EFAULT);
    assert_non_null(
        strstr(f->e.text, "the ACPI tables go to 0xe0000, but there the machine has no RAM for "));
    ram_destroy(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rsdp_stands_first_and_both_its_sums_are_zero),
        TEST(fadt_has_the_described_power_registers),
        TEST(facs_is_aligned_to_64_bytes),
        TEST(without_power_the_machine_is_hardware_reduced),
        TEST(reset_register_alone_leaves_the_machine_hardware_reduced),
        TEST(tables_of_devices_are_found_by_their_signature),
        TEST(a_machine_has_no_tables_that_no_device_brought),
        TEST(bad_tables_are_told),
        TEST(a_blob_is_the_same_tables_once_its_fixups_are_made),
        TEST(a_blob_can_be_anywhere),
        TEST(bad_description_makes_no_blob),
        TEST(madt_lists_each_processor_once),
        TEST(processors_from_255_on_are_x2apic_entries),
        TEST(overrides_are_timer_to_input_2_and_sci_level_high),
        TEST(mcfg_tells_the_buses_of_the_ecam),
        TEST(without_pci_there_is_no_bridge_and_no_mcfg),
        TEST(routing_spreads_pins_over_eight_lines),
        TEST(tables_do_not_depend_on_the_order_of_calls),
        TEST(devices_own_aml_stands_in_the_dsdt),
        TEST(devices_on_one_line_say_that_they_share_it),
        TEST(bad_second_power_description_is_refused),
        TEST(bad_power_of_an_older_size_is_refused),
        TEST(bad_power_with_half_of_pm1a_is_refused),
        TEST(bad_power_ports_past_the_end_are_refused),
        TEST(bad_sleep_type_is_refused),
        TEST(bad_sci_on_the_timers_line_is_refused),
        TEST(bad_unknown_has_bits_are_refused),
        TEST(bad_hardware_id_is_refused),
        TEST(bad_null_hardware_id_is_refused),
        TEST(bad_ports_past_the_end_are_refused),
        TEST(bad_interrupt_line_is_refused),
        TEST(bad_duplicate_device_is_refused),
        TEST(bad_too_many_devices_are_refused),
        TEST(bad_aml_larger_than_the_area_is_refused),
        TEST(bad_aml_that_leaves_no_room_is_refused),
        TEST(bad_aml_at_null_is_refused),
        TEST(bad_first_mistake_is_the_one_reported),
        TEST(bad_number_of_processors_is_refused),
        TEST(bad_ecam_is_refused),
        TEST(bad_windows_are_refused),
        TEST(bad_ram_without_room_at_the_area_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
