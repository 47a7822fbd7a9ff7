/* SPDX-License-Identifier: MIT
 *
 * platform/acpi.h - the machine's ACPI tables (ACPI 6.4): RSDP, XSDT, FADT, FACS, DSDT, MADT, MCFG,
 * and those that devices bring.
 */
#ifndef PLATFORM_ACPI_H
#define PLATFORM_ACPI_H

#include "base/error.h"
#include "memory/ram.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/firmware.h>

#define ACPI_GPA 0xe0000u   /* where the tables stand: the RSDP first, where guests scan for it */
#define ACPI_BYTES 0x20000u /* to the end of the first MiB */
#define ACPI_IOAPIC_GPA 0xfec00000u
#define ACPI_LAPIC_GPA 0xfee00000u

#define ACPI_GSIS                                                                                  \
    24u /* inputs of the I/O APIC; GSI n is its input n, and line n of host->irq_set */
#define ACPI_PCI_GSI 16u /* the first of eight that PCI interrupt pins use */
#define ACPI_PCI_GSIS 8u

/* The GSI of pin `pin` (0 INTA .. 3 INTD) of device `device` on bus 0, as _PRT tells it: each
 * device's pins one line on from the device's before it, so that few devices share. */
static inline uint32_t acpi_pci_gsi(uint32_t device, uint32_t pin)
{
    return ACPI_PCI_GSI + (device + pin) % ACPI_PCI_GSIS;
}

struct acpi_description; /* what the devices told */

/* An empty description; devices fill it through acpi_builder(), in any order. What they say wrongly
 * is kept and reported by acpi_write(). NULL: out of memory. [main] */
struct acpi_description *acpi_description_new(void);
void acpi_description_free(struct acpi_description *d);
struct bp_acpi_builder *acpi_builder(struct acpi_description *d);

struct acpi_machine {
    uint32_t cpus;       /* >= 1; APIC IDs and _UIDs 0..cpus-1 */
    uint32_t has_pci;    /* a host bridge with ECAM; the members below are read only then */
    uint64_t ecam_gpa;   /* buses 0..ecam_buses-1; a multiple of 1 MiB */
    uint32_t ecam_buses; /* 1..256 */
    uint32_t reserved;
    uint64_t mmio32_gpa, mmio32_length; /* the windows of the host bridge; length 0: none */
    uint64_t mmio64_gpa, mmio64_length;
    uint64_t more32_gpa, more32_length; /* one more below 4 GiB */
};

/* Writes the tables to ACPI_GPA and gives the RSDP's address. Without a description of PM1 blocks
 * the tables are those of a hardware-reduced machine (ACPI 6.4, 4.1). -ENOSPC if they do not fit,
 * -EINVAL if what a device or `machine` described does not fit ACPI's fields, -ENOMEM, -EFAULT if
 * there is no RAM at ACPI_GPA. [main] */
int acpi_write(const struct acpi_description *d, const struct acpi_machine *machine,
               struct ram *ram, uint64_t *rsdp_gpa, struct error *e);

#define ACPI_RSDP_BYTES 36u
#define ACPI_FIXUPS_MAX 32u

/* The tables as firmware is given them, which puts them somewhere by itself: pointers count from
 * the first byte of `tables`. */
struct acpi_blob {
    uint8_t rsdp[ACPI_RSDP_BYTES];
    uint32_t fixup_count;
    uint8_t *tables; /* NULL: there are none; to be freed with acpi_blob_free() */
    uint64_t tables_length;
    struct bp_firmware_fixup fixups[ACPI_FIXUPS_MAX];
};

/* As acpi_write(), into *out, which holds nothing. [main] */
int acpi_build(const struct acpi_description *d, const struct acpi_machine *machine,
               struct acpi_blob *out, struct error *e);
void acpi_blob_free(struct acpi_blob *blob);

#endif
