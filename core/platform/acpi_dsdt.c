/* SPDX-License-Identifier: MIT
 *
 * platform/acpi_dsdt.c - the DSDT: \_S5, the PCI host bridge with its windows and interrupt routing
 * (ACPI 6.4, 6.2; PCI Firmware Specification 3.2, 4), the ECAM's reservation, the devices that
 * instances told of, and the processors.
 *
 * No methods: every value is fixed while a machine runs. Without _OSC an OS leaves hot plug, AER
 * and PME of PCI Express to the platform, which has none of them yet.
 */
#include "platform/acpi_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 0x100000ull

#define PCI_DEVICES 32u
#define PCI_PINS 4u
#define CONFIG_PORT 0xcf8u
#define CONFIG_PORTS 8u

static int compare_devices(const void *a, const void *b)
{
    const struct acpi_device *x = a, *y = b;
    int by_hid = strcmp(x->hid, y->hid);

    if (by_hid != 0)
        return by_hid;
    return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* ISA interrupts are edges, active high. Those above 15 are wired to what PCI uses, and an input of
 * an I/O APIC has one mode: PCI's (6.2.13). */
static void write_interrupt(struct aml *out, const struct acpi_description *d,
                            const struct acpi_device *device)
{
    uint32_t users = 0;

    if (device->irq >= ACPI_PCI_GSI) {
        aml_interrupt(out, device->irq, AML_LEVEL, AML_ACTIVE_LOW, AML_SHARED);
        return;
    }
    for (uint32_t i = 0; i < d->device_count; i++)
        users += d->devices[i].irq == device->irq;
    aml_interrupt(out, device->irq, AML_EDGE, AML_ACTIVE_HIGH,
                  users > 1 ? AML_SHARED : AML_EXCLUSIVE);
}

static void write_device(struct aml *out, const struct acpi_description *d,
                         const struct acpi_device *device, uint32_t number)
{
    char name[8];

    snprintf(name, sizeof(name), "D%03X", number & 0xfff);
    struct aml_mark mark = aml_device_begin(out, name);
    aml_name(out, "_HID");
    if (aml_is_eisa_id(device->hid))
        aml_eisa_id(out, device->hid);
    else
        aml_string(out, device->hid);
    aml_name_integer(out, "_UID", device->uid);
    if (device->port_count != 0 || device->irq != UINT32_MAX) {
        aml_name(out, "_CRS");
        struct aml_mark crs = aml_resources_begin(out);
        if (device->port_count != 0)
            aml_io(out, device->port, device->port_count);
        if (device->irq != UINT32_MAX)
            write_interrupt(out, d, device);
        aml_resources_end(out, crs);
    }
    aml_end(out, mark);
}

/* In the order of hardware ID and number, so that the table does not depend on the order of calls.
 */
static void write_devices(struct aml *out, const struct acpi_description *d)
{
    struct acpi_device sorted[ACPI_DEVICES_MAX];

    memcpy(sorted, d->devices, d->device_count * sizeof(sorted[0]));
    qsort(sorted, d->device_count, sizeof(sorted[0]), compare_devices);
    for (uint32_t i = 0; i < d->device_count; i++)
        write_device(out, d, &sorted[i], i);
}

static void write_processors(struct aml *out, uint32_t cpus)
{
    for (uint32_t i = 0; i < cpus && out->err == 0; i++) {
        char name[8];

        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        struct aml_mark mark = aml_device_begin(out, name);
        aml_name(out, "_HID");
        aml_string(out, "ACPI0007");
        aml_name_integer(out, "_UID", i);
        aml_end(out, mark);
    }
}

/* _PRT (6.2.13): an entry a device and pin, {address, pin, source, GSI}; source 0: a GSI, not a
 * link. */
static void write_routing(struct aml *out)
{
    aml_name(out, "_PRT");
    struct aml_mark prt = aml_package_begin(out, PCI_DEVICES * PCI_PINS);
    for (uint32_t device = 0; device < PCI_DEVICES; device++) {
        for (uint32_t pin = 0; pin < PCI_PINS; pin++) {
            struct aml_mark entry = aml_package_begin(out, 4);
            aml_integer(out, device << 16 | 0xffff); /* every function of the device */
            aml_integer(out, pin);
            aml_integer(out, 0);
            aml_integer(out, acpi_pci_gsi(device, pin));
            aml_end(out, entry);
        }
    }
    aml_end(out, prt);
}

static void write_bridge(struct aml *out, const struct acpi_machine *m)
{
    struct aml_mark bridge = aml_device_begin(out, "PCI0");

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0A08");
    aml_name(out, "_CID");
    aml_eisa_id(out, "PNP0A03");
    aml_name_integer(out, "_UID", 0);
    aml_name_integer(out, "_SEG", 0);
    aml_name_integer(out, "_BBN", 0);
    aml_name(out, "_CRS");
    struct aml_mark crs = aml_resources_begin(out);
    aml_word_bus(out, 0, m->ecam_buses - 1);
    aml_io(out, CONFIG_PORT, CONFIG_PORTS);
    aml_word_io(out, 0, CONFIG_PORT - 1);
    aml_word_io(out, CONFIG_PORT + CONFIG_PORTS, 0xffff);
    if (m->mmio32_length != 0)
        aml_dword_memory(out, m->mmio32_gpa, m->mmio32_gpa + (m->mmio32_length - 1));
    if (m->more32_length != 0)
        aml_dword_memory(out, m->more32_gpa, m->more32_gpa + (m->more32_length - 1));
    if (m->mmio64_length != 0)
        aml_qword_memory(out, m->mmio64_gpa, m->mmio64_gpa + (m->mmio64_length - 1));
    aml_resources_end(out, crs);
    write_routing(out);
    aml_end(out, bridge);
}

/* The ECAM must be reserved by a motherboard resource (PCI Firmware Specification 3.2, 4.1.2);
 * Linux does not use it otherwise. */
static void write_ecam(struct aml *out, const struct acpi_machine *m)
{
    struct aml_mark board = aml_device_begin(out, "MBRD");

    aml_name(out, "_HID");
    aml_eisa_id(out, "PNP0C02");
    aml_name(out, "_UID");
    aml_string(out, "ECAM"); /* devices that are told count theirs in numbers */
    aml_name(out, "_CRS");
    struct aml_mark crs = aml_resources_begin(out);
    aml_memory_fixed(out, m->ecam_gpa, m->ecam_buses * MIB);
    aml_resources_end(out, crs);
    aml_end(out, board);
}

void acpi_write_dsdt(struct acpi_area *area, const struct acpi_description *d,
                     const struct acpi_machine *machine)
{
    struct aml *out = &area->out;

    area->dsdt = acpi_table_begin(area, "DSDT", 2); /* 2: integers have 64 bits */
    if (acpi_has_fixed_hardware(d)) {
        aml_name(out, "\\_S5");
        struct aml_mark s5 = aml_package_begin(out, 4);
        aml_integer(out, d->power.s5_type); /* SLP_TYPa */
        aml_integer(out, 0);                /* SLP_TYPb: no PM1b */
        aml_integer(out, 0);
        aml_integer(out, 0);
        aml_end(out, s5);
    }
    struct aml_mark sb = aml_scope_begin(out, "\\_SB");
    if (machine->has_pci) {
        write_bridge(out, machine);
        write_ecam(out, machine);
    }
    write_devices(out, d);
    aml_bytes(out, d->aml.bytes, d->aml.length);
    write_processors(out, machine->cpus);
    aml_end(out, sb);
    acpi_table_end(area, area->dsdt);
}
