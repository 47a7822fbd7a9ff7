/* SPDX-License-Identifier: MIT
 *
 * platform/acpi_tables.c - the static tables of ACPI 6.4: RSDP (5.2.5), headers (5.2.6), XSDT
 * (5.2.8), FADT (5.2.9), FACS (5.2.10), MADT (5.2.12), and MCFG (PCI Firmware
 * Specification 3.2, 4.1.2).
 *
 * Every table is written member by member in the order of its specification. No RSDT: whatever
 * reads revision 2 of the RSDP uses the XSDT.
 */
#include "platform/acpi_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OEM_ID "BCKPLN"
#define OEM_TABLE_ID "BACKPLAN"
#define CREATOR_ID "BKPL"

#define RTC_CENTURY 0x32u /* CMOS byte, as BP_ACPI_HAS_RTC promises */

enum { GAS_IO = 1 };
enum { GAS_BYTE = 1, GAS_WORD = 2, GAS_DWORD = 3 };

/* FADT flags (5.2.9, table 5.10). */
enum {
    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_PWR_BUTTON = 1 << 4, /* set: no power button in the fixed hardware */
    FADT_SLP_BUTTON = 1 << 5, /* set: no sleep button there */
    FADT_FIX_RTC = 1 << 6,    /* set: the RTC's alarm is not in the fixed hardware */
    FADT_RESET_REG_SUP = 1 << 10,
    FADT_HW_REDUCED_ACPI = 1 << 20,
};

/* IAPC_BOOT_ARCH (5.2.9.3). */
enum {
    BOOT_LEGACY_DEVICES = 1 << 0,
    BOOT_8042 = 1 << 1,
    BOOT_NO_VGA = 1 << 2,
    BOOT_NO_RTC = 1 << 5,
};

/* MADT entry types (5.2.12). */
enum {
    MADT_LOCAL_APIC = 0,
    MADT_IO_APIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LOCAL_APIC_NMI = 4,
    MADT_LOCAL_X2APIC = 9,
    MADT_LOCAL_X2APIC_NMI = 10,
};

enum { MADT_PCAT_COMPAT = 1 };
enum { MADT_ENABLED = 1 };

/* MPS INTI flags (table 5.26): polarity in bits 1:0, trigger mode in 3:2. */
enum { INTI_HIGH_EDGE = 1 | 1 << 2, INTI_HIGH_LEVEL = 1 | 3 << 2 };

static uint8_t checksum(const uint8_t *bytes, uint64_t len)
{
    uint8_t sum = 0;

    for (uint64_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

/* The address of a table for `width` bytes at `at`, noted for who moves the area. */
static uint64_t pointer_at(struct acpi_area *area, uint64_t at, uint32_t table, uint32_t width)
{
    if (table == 0)
        return 0;
    assert(area->pointer_count < ACPI_POINTERS_MAX);
    area->pointers[area->pointer_count].at = (uint32_t)at;
    area->pointers[area->pointer_count++].width = width;
    return area->gpa + table;
}

/* Appends it; 0 if there is no such table. */
static void pointer(struct acpi_area *area, uint32_t table, uint32_t width)
{
    aml_le(&area->out, pointer_at(area, area->out.length, table, width), width);
}

uint32_t acpi_table_begin(struct acpi_area *area, const char *signature, uint8_t revision)
{
    struct aml *out = &area->out;

    aml_align(out, 16);
    uint32_t table = (uint32_t)out->length;
    aml_bytes(out, signature, 4);
    aml_le(out, 0, 4); /* Length */
    aml_le(out, revision, 1);
    aml_le(out, 0, 1); /* Checksum */
    aml_bytes(out, OEM_ID, 6);
    aml_bytes(out, OEM_TABLE_ID, 8);
    aml_le(out, 1, 4); /* OEM Revision */
    aml_bytes(out, CREATOR_ID, 4);
    aml_le(out, 1, 4); /* Creator Revision */
    return table;
}

void acpi_table_end(struct acpi_area *area, uint32_t table)
{
    struct aml *out = &area->out;
    uint64_t length = out->length - table;

    aml_patch(out, table + ACPI_HEADER_LENGTH, length, 4);
    if (out->err == 0)
        aml_patch(out, table + ACPI_HEADER_CHECKSUM, checksum(out->bytes + table, length), 1);
}

void acpi_write_facs(struct acpi_area *area)
{
    struct aml *out = &area->out;

    aml_align(out, 64);
    area->facs = (uint32_t)out->length;
    aml_bytes(out, "FACS", 4);
    aml_le(out, 64, 4); /* Length */
    aml_le(out, 0, 8);  /* Hardware Signature, Firmware Waking Vector */
    aml_le(out, 0, 8);  /* Global Lock, Flags */
    aml_le(out, 0, 8);  /* X_Firmware_Waking_Vector */
    aml_le(out, 2, 1);  /* Version */
    aml_align(out, 64);
}

/* Generic address structure (5.2.3.2) of a port; zeroes if it is 0. */
static void gas(struct aml *out, uint32_t port, uint32_t bits, uint32_t access)
{
    if (port == 0) {
        aml_le(out, 0, 4);
    } else {
        aml_le(out, GAS_IO, 1);
        aml_le(out, bits, 1);
        aml_le(out, 0, 1);
        aml_le(out, access, 1);
    }
    aml_le(out, port, 8);
}

/* A machine without PM1 blocks has no fixed hardware, and that is what HW_REDUCED_ACPI says (4.1):
 * with the flag clear the blocks are required, and an OS that finds them empty (Linux:
 * acpi_ev_fixed_event_initialize) gives up ACPI and with it the PCI routing and every device of the
 * DSDT. So the flag follows from the description. Then SCI, PM1, timer and FACS fields are 0, and
 * there is no S5; the reset register stays. */
void acpi_write_fadt(struct acpi_area *area, const struct acpi_description *d)
{
    static const struct bp_acpi_power nothing;
    struct aml *out = &area->out;
    bool fixed = acpi_has_fixed_hardware(d);
    const struct bp_acpi_power *p = fixed ? &d->power : &nothing;
    uint32_t boot = BOOT_NO_VGA;
    uint32_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_FIX_RTC;

    if (d->device_count > 0)
        boot |= BOOT_LEGACY_DEVICES;
    if ((d->has & BP_ACPI_HAS_8042) != 0)
        boot |= BOOT_8042;
    if ((d->has & BP_ACPI_HAS_RTC) == 0)
        boot |= BOOT_NO_RTC;
    if (d->power.reset_port != 0)
        flags |= FADT_RESET_REG_SUP;
    if (!fixed)
        flags |= FADT_HW_REDUCED_ACPI;

    area->fadt = acpi_table_begin(area, "FACP", 6);
    pointer(area, area->facs, 4); /* FIRMWARE_CTRL; its X_ form stays 0, as one of the two must */
    pointer(area, area->dsdt, 4); /* DSDT */
    aml_le(out, 0, 2);            /* reserved, Preferred_PM_Profile: unspecified */
    aml_le(out, p->sci_line, 2);  /* SCI_INT */
    aml_le(out, 0, 4);            /* SMI_CMD: none, the machine is always in ACPI mode */
    aml_le(out, 0, 4);            /* ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT */
    aml_le(out, p->pm1a_event_port, 4);
    aml_le(out, 0, 4); /* PM1b_EVT_BLK */
    aml_le(out, p->pm1a_control_port, 4);
    aml_le(out, 0, 8); /* PM1b_CNT_BLK, PM2_CNT_BLK */
    aml_le(out, p->pm_timer_port, 4);
    aml_le(out, 0, 8); /* GPE0_BLK, GPE1_BLK */
    aml_le(out, fixed ? 4 : 0, 1);
    aml_le(out, fixed ? 2 : 0, 1);
    aml_le(out, 0, 1); /* PM2_CNT_LEN */
    aml_le(out, p->pm_timer_port != 0 ? 4 : 0, 1);
    aml_le(out, 0, 4);      /* GPE lengths and base, CST_CNT */
    aml_le(out, 0x0fff, 2); /* P_LVL2_LAT above 100 us: no C2 */
    aml_le(out, 0x0fff, 2); /* P_LVL3_LAT above 1000 us: no C3 */
    aml_le(out, 0, 4);      /* FLUSH_SIZE, FLUSH_STRIDE: WBINVD is there */
    aml_le(out, 0, 4);      /* DUTY_OFFSET, DUTY_WIDTH, DAY_ALRM, MON_ALRM */
    aml_le(out, (d->has & BP_ACPI_HAS_RTC) != 0 ? RTC_CENTURY : 0, 1);
    aml_le(out, boot, 2);
    aml_le(out, 0, 1);
    aml_le(out, flags, 4);
    gas(out, d->power.reset_port, 8, GAS_BYTE);
    aml_le(out, d->power.reset_port != 0 ? d->power.reset_value : 0, 1);
    aml_le(out, 0, 2);                          /* ARM_BOOT_ARCH */
    aml_le(out, 4, 1);                          /* FADT Minor Version: 6.4 */
    aml_le(out, 0, 8);                          /* X_FIRMWARE_CTRL */
    pointer(area, area->dsdt, 8);               /* X_DSDT */
    gas(out, p->pm1a_event_port, 32, GAS_WORD); /* status and enable are words */
    gas(out, 0, 0, 0);                          /* X_PM1b_EVT_BLK */
    gas(out, p->pm1a_control_port, 16, GAS_WORD);
    gas(out, 0, 0, 0); /* X_PM1b_CNT_BLK */
    gas(out, 0, 0, 0); /* X_PM2_CNT_BLK */
    gas(out, p->pm_timer_port, 32, GAS_DWORD);
    gas(out, 0, 0, 0); /* X_GPE0_BLK */
    gas(out, 0, 0, 0); /* X_GPE1_BLK */
    gas(out, 0, 0, 0); /* SLEEP_CONTROL_REG */
    gas(out, 0, 0, 0); /* SLEEP_STATUS_REG */
    aml_le(out, 0, 8); /* Hypervisor Vendor Identity */
    acpi_table_end(area, area->fadt);
}

static void write_override(struct aml *out, uint32_t irq, uint32_t gsi, uint32_t flags)
{
    aml_le(out, MADT_OVERRIDE, 1);
    aml_le(out, 10, 1);
    aml_le(out, 0, 1); /* bus: ISA */
    aml_le(out, irq, 1);
    aml_le(out, gsi, 4);
    aml_le(out, flags, 2);
}

/* Overrides: the PIT's IRQ 0 arrives at input 2, as on every PC since the 8259 pair took input 0.
 * The SCI of ACPI is active low unless an override says otherwise (5.2.9, SCI_INT);
 * host->irq_set(line, 1) asserts, and KVM's I/O APIC takes 1 as asserted whatever polarity the
 * guest writes, so it is level, active high. An SCI above 15 is no ISA interrupt, for which there
 * is no override: its polarity is PCI's. */
void acpi_write_madt(struct acpi_area *area, const struct acpi_description *d,
                     const struct acpi_machine *machine)
{
    struct aml *out = &area->out;
    bool x2apic = machine->cpus > 255;

    area->madt = acpi_table_begin(area, "APIC", 5);
    aml_le(out, ACPI_LAPIC_GPA, 4);
    aml_le(out, MADT_PCAT_COMPAT, 4);
    for (uint32_t i = 0; i < machine->cpus && out->err == 0; i++) {
        if (i < 255) {
            aml_le(out, MADT_LOCAL_APIC, 1);
            aml_le(out, 8, 1);
            aml_le(out, i, 1); /* ACPI Processor UID */
            aml_le(out, i, 1); /* APIC ID */
            aml_le(out, MADT_ENABLED, 4);
        } else {
            aml_le(out, MADT_LOCAL_X2APIC, 1);
            aml_le(out, 16, 1);
            aml_le(out, 0, 2);
            aml_le(out, i, 4);
            aml_le(out, MADT_ENABLED, 4);
            aml_le(out, i, 4);
        }
    }
    aml_le(out, MADT_IO_APIC, 1);
    aml_le(out, 12, 1);
    aml_le(
        out, 0,
        2); /* I/O APIC ID: what its register holds after reset; no bus is shared with local IDs */
    aml_le(out, ACPI_IOAPIC_GPA, 4);
    aml_le(out, 0, 4); /* GSI base */
    write_override(out, 0, 2, INTI_HIGH_EDGE);
    if (acpi_has_fixed_hardware(d) && d->power.sci_line < 16)
        write_override(out, d->power.sci_line, d->power.sci_line, INTI_HIGH_LEVEL);
    aml_le(out, MADT_LOCAL_APIC_NMI, 1);
    aml_le(out, 6, 1);
    aml_le(out, 0xff, 1); /* all processors */
    aml_le(out, 0, 2);    /* conforms to the bus: edge, high */
    aml_le(out, 1, 1);    /* LINT1 */
    if (x2apic) {
        aml_le(out, MADT_LOCAL_X2APIC_NMI, 1);
        aml_le(out, 12, 1);
        aml_le(out, 0, 2);
        aml_le(out, UINT32_MAX, 4);
        aml_le(out, 1, 1);
        aml_le(out, 0, 3);
    }
    acpi_table_end(area, area->madt);
}

void acpi_write_mcfg(struct acpi_area *area, const struct acpi_machine *machine)
{
    struct aml *out = &area->out;

    area->mcfg = acpi_table_begin(area, "MCFG", 1);
    aml_le(out, 0, 8);
    aml_le(out, machine->ecam_gpa, 8);
    aml_le(out, 0, 2); /* segment group */
    aml_le(out, 0, 1); /* first bus */
    aml_le(out, machine->ecam_buses - 1, 1);
    aml_le(out, 0, 4);
    acpi_table_end(area, area->mcfg);
}

static int by_signature(const void *left, const void *right)
{
    const struct acpi_table *a = left, *b = right;
    int order = strcmp(a->signature, b->signature);

    return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

void acpi_write_told(struct acpi_area *area, const struct acpi_description *d)
{
    struct acpi_table sorted[ACPI_TABLES_MAX];

    memcpy(sorted, d->tables, d->table_count * sizeof(sorted[0]));
    qsort(sorted, d->table_count, sizeof(sorted[0]), by_signature);
    for (uint32_t i = 0; i < d->table_count; i++) {
        area->told[i] = acpi_table_begin(area, sorted[i].signature, sorted[i].revision);
        if (sorted[i].length != 0)
            aml_bytes(&area->out, d->bodies.bytes + sorted[i].at, sorted[i].length);
        acpi_table_end(area, area->told[i]);
    }
}

void acpi_write_roots(struct acpi_area *area)
{
    struct aml *out = &area->out;

    area->xsdt = acpi_table_begin(area, "XSDT", 1);
    pointer(area, area->fadt, 8);
    pointer(area, area->madt, 8);
    if (area->mcfg != 0)
        pointer(area, area->mcfg, 8);
    for (uint32_t i = 0; i < ACPI_TABLES_MAX && area->told[i] != 0; i++)
        pointer(area, area->told[i], 8);
    acpi_table_end(area, area->xsdt);
    if (out->err != 0)
        return;

    uint8_t *rsdp = out->bytes;
    memset(rsdp, 0, ACPI_RSDP_BYTES);
    /* NOLINTBEGIN(bugprone-not-null-terminated-result): signatures have no terminator */
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, OEM_ID, 6);
    /* NOLINTEND(bugprone-not-null-terminated-result) */
    rsdp[15] = 2;                           /* Revision; RsdtAddress stays 0 */
    aml_patch(out, 20, ACPI_RSDP_BYTES, 4); /* Length */
    aml_patch(out, ACPI_RSDP_XSDT, pointer_at(area, ACPI_RSDP_XSDT, area->xsdt, 8), 8);
    aml_patch(out, ACPI_RSDP_CHECKSUM, checksum(rsdp, ACPI_RSDP_V1_BYTES), 1);
    aml_patch(out, ACPI_RSDP_EXTENDED_CHECKSUM, checksum(rsdp, ACPI_RSDP_BYTES), 1);
}
