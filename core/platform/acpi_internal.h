/* SPDX-License-Identifier: MIT
 *
 * platform/acpi_internal.h - what the ACPI sources share: the description that devices fill, and
 * the area in which tables are laid out before they go to guest memory.
 */
#ifndef PLATFORM_ACPI_INTERNAL_H
#define PLATFORM_ACPI_INTERNAL_H

#include "platform/acpi.h"
#include "platform/aml.h"

#define ACPI_DEVICES_MAX 256u
#define ACPI_HID_MAX 8u /* characters of the longer form */
#define ACPI_TABLES_MAX 16u

/* Offsets in a table's header (5.2.6) and in the RSDP (5.2.5.3). */
#define ACPI_HEADER_LENGTH 4u
#define ACPI_HEADER_CHECKSUM 9u
#define ACPI_RSDP_CHECKSUM 8u
#define ACPI_RSDP_V1_BYTES 20u
#define ACPI_RSDP_XSDT 24u
#define ACPI_RSDP_EXTENDED_CHECKSUM 32u

/* What bp_acpi_builder.device() was told, checked. */
struct acpi_device {
    char hid[ACPI_HID_MAX + 1];
    uint8_t reserved;
    uint16_t port, port_count; /* count 0: none */
    uint32_t uid;
    uint32_t irq; /* UINT32_MAX: none */
};

/* What bp_acpi_builder.table() was told, checked. */
struct acpi_table {
    char signature[5];
    uint8_t revision;
    uint8_t reserved[2];
    uint64_t at, length; /* of the body in acpi_description.bodies */
};

struct acpi_description {
    struct bp_acpi_builder builder; /* first, so that the callbacks find the rest */
    struct bp_acpi_power power;     /* zeroes: none */
    bool has_power;
    uint32_t has; /* BP_ACPI_HAS_* */
    uint32_t device_count;
    struct acpi_device devices[ACPI_DEVICES_MAX];
    struct aml aml; /* what devices wrote themselves, in the order of the calls */
    uint32_t table_count, reserved;
    struct acpi_table tables[ACPI_TABLES_MAX];
    struct aml bodies; /* of the tables, one after the other */
    int err;           /* of the first call that was wrong, and its sentence */
    struct error error;
};

#define ACPI_AREA_TABLES 64u                     /* behind the RSDP */
#define ACPI_POINTERS_MAX (ACPI_TABLES_MAX + 8u) /* of FADT, XSDT and RSDP */

/* The tables, at offsets from `gpa`; where each begins, 0 for none but the RSDP. */
struct acpi_area {
    struct aml out;
    uint64_t
        gpa; /* of the area; less than 0, modulo 2^64, if that is of the tables behind the RSDP */
    uint32_t pointer_count, xsdt;
    struct {
        uint32_t at, width;
    } pointers[ACPI_POINTERS_MAX]; /* to tables, as they were written */
    uint32_t facs, dsdt, fadt, madt, mcfg;
    uint32_t told[ACPI_TABLES_MAX]; /* by devices, in the order of their signatures */
};

/* True if the machine has the fixed hardware of ACPI 6.4, 4.8.3: PM1a event and control blocks. */
bool acpi_has_fixed_hardware(const struct acpi_description *d);

/* Begins a table with its header (5.2.6): at a multiple of 16, returns its offset. */
uint32_t acpi_table_begin(struct acpi_area *area, const char *signature, uint8_t revision);
/* Sets its length and checksum. */
void acpi_table_end(struct acpi_area *area, uint32_t table);

void acpi_write_facs(struct acpi_area *area);
void acpi_write_dsdt(struct acpi_area *area, const struct acpi_description *d,
                     const struct acpi_machine *machine);
void acpi_write_fadt(struct acpi_area *area, const struct acpi_description *d);
void acpi_write_madt(struct acpi_area *area, const struct acpi_description *d,
                     const struct acpi_machine *machine);
void acpi_write_mcfg(struct acpi_area *area, const struct acpi_machine *machine);
/* The tables that devices brought. */
void acpi_write_told(struct acpi_area *area, const struct acpi_description *d);
/* XSDT of the tables written so far, and the RSDP at the area's start. */
void acpi_write_roots(struct acpi_area *area);

#endif
