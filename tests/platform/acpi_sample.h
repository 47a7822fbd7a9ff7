/* SPDX-License-Identifier: MIT
 *
 * A machine's ACPI tables for the tests: a description like dev-pc's and dev-uart's, and a reader
 * that finds tables as a guest does.
 */
#ifndef TESTS_ACPI_SAMPLE_H
#define TESTS_ACPI_SAMPLE_H

#include "memory/ram.h"
#include "platform/acpi.h"

#include <backplane/util/le.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE_RAM 0x200000u

static const struct bp_acpi_power sample_power = {
    .size = sizeof(struct bp_acpi_power),
    .pm1a_event_port = 0x600,
    .pm1a_control_port = 0x604,
    .pm_timer_port = 0x608,
    .reset_port = 0xcf9,
    .reset_value = 6,
    .s5_type = 5,
    .sci_line = 9,
};

static inline struct acpi_machine sample_machine(uint32_t cpus)
{
    return (struct acpi_machine){
        .cpus = cpus,
        .has_pci = 1,
        .ecam_gpa = 0xe0000000,
        .ecam_buses = 256,
        .mmio32_gpa = 0xc0000000,
        .mmio32_length = 0x20000000,
        .mmio64_gpa = 0x800000000,
        .mmio64_length = 0x800000000,
    };
}

static inline void sample_devices(struct acpi_description *d)
{
    struct bp_acpi_builder *b = acpi_builder(d);

    b->device(b, "PNP0501", 1, 0x3f8, 8, 4);
    b->device(b, "PNP0B00", 0, 0x70, 2, 8);
    b->device(b, "QEMU0001", 0, 0x505, 1, UINT32_MAX);
    b->has(b, BP_ACPI_HAS_RTC | BP_ACPI_HAS_8042);
}

/* As dev-pc's hpet. */
static inline void sample_hpet(struct acpi_description *d)
{
    static const uint8_t body[20] = {0x01, 0xa2, 0x86, 0x80, 0, 64, 0, 0,    0,    0,
                                     0xd0, 0xfe, 0,    0,    0, 0,  0, 0x88, 0x13, 0};

    acpi_builder(d)->table(acpi_builder(d), "HPET", 1, body, sizeof(body));
}

/* The table's address in guest memory: its length is checked to lie in the area, its sum to be 0.
 */
static inline const uint8_t *sample_at(const struct ram *ram, uint64_t gpa)
{
    assert_in_range(gpa, ACPI_GPA, ACPI_GPA + ACPI_BYTES - 36);
    const uint8_t *table = ram_at(ram, gpa, 36);
    assert_non_null(table);
    uint32_t length = bp_le32(table + 4);
    assert_in_range(length, 36, ACPI_GPA + ACPI_BYTES - gpa);
    uint8_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + table[i]);
    assert_int_equal(sum, 0);
    return table;
}

/* By the RSDP's XSDT; "DSDT" by the FADT. NULL if there is none. */
static inline const uint8_t *sample_find(const struct ram *ram, uint64_t rsdp_gpa,
                                         const char *signature)
{
    const uint8_t *rsdp = ram_at(ram, rsdp_gpa, 36);

    assert_non_null(rsdp);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    const uint8_t *xsdt = sample_at(ram, bp_le64(rsdp + 24));
    assert_memory_equal(xsdt, "XSDT", 4);
    for (uint32_t at = 36; at < bp_le32(xsdt + 4); at += 8) {
        const uint8_t *table = sample_at(ram, bp_le64(xsdt + at));
        if (memcmp(table, signature, 4) == 0)
            return table;
        if (memcmp(table, "FACP", 4) == 0 && strcmp(signature, "DSDT") == 0)
            return sample_at(ram, bp_le64(table + 140));
    }
    return NULL;
}

#endif
