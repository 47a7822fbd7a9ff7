/* SPDX-License-Identifier: MIT
 *
 * platform/acpi.c - takes what devices say about themselves ("bp.acpi/1"), checks it, and has the
 * tables of ACPI 6.4 laid out and copied to guest memory.
 *
 * The builder's functions cannot fail, so the first mistake is kept and acpi_write() returns it.
 */
#include "platform/acpi_internal.h"

#include <assert.h>
#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIB 0x100000ull

/* ---- the builder ---- */

static struct acpi_description *of_builder(struct bp_acpi_builder *b)
{
    return (struct acpi_description *)(void *)b;
}

static void build_power(struct bp_acpi_builder *b, const struct bp_acpi_power *power)
{
    struct acpi_description *d = of_builder(b);

    if (d->err != 0)
        return;
    if (power == NULL || power->size < sizeof(*power)) {
        d->err = error_set(
            &d->error, -EINVAL,
            "a device described its power registers with %u bytes, expected at least %zu; "
            "set bp_acpi_power.size to sizeof(struct bp_acpi_power)",
            power == NULL ? 0u : power->size, sizeof(*power));
        return;
    }
    if (d->has_power) {
        d->err =
            error_set(&d->error, -EINVAL,
                      "two devices describe ACPI power registers, at PM1a ports 0x%x and 0x%x, but "
                      "a machine has one set; remove one of the devices",
                      d->power.pm1a_event_port, power->pm1a_event_port);
        return;
    }
    d->power = *power;
    d->has_power = true;
    if ((power->pm1a_event_port == 0) != (power->pm1a_control_port == 0)) {
        d->err = error_set(
            &d->error, -EINVAL,
            "a device describes only one of the ACPI PM1a event port (0x%x) and control port "
            "(0x%x); it must give both or neither",
            power->pm1a_event_port, power->pm1a_control_port);
        return;
    }
    if (power->pm1a_event_port > 0xfffc || power->pm1a_control_port > 0xfffe ||
        power->pm_timer_port > 0xfffc) {
        d->err =
            error_set(&d->error, -EINVAL,
                      "the ACPI power registers at ports 0x%x, 0x%x and 0x%x do not all end below "
                      "port 0x10000; move them down",
                      power->pm1a_event_port, power->pm1a_control_port, power->pm_timer_port);
        return;
    }
    if (power->s5_type > 7) {
        d->err = error_set(
            &d->error, -EINVAL,
            "the ACPI sleep type %u of S5 does not fit SLP_TYP, which has 3 bits; choose 0..7",
            power->s5_type);
        return;
    }
    /* 0 is the timer's and 2 the cascade's: a level-triggered SCI there would break both. */
    if (acpi_has_fixed_hardware(d) &&
        (power->sci_line == 0 || power->sci_line == 2 || power->sci_line >= ACPI_GSIS))
        d->err = error_set(&d->error, -EINVAL,
                           "the ACPI interrupt is on line %u, expected 1 or 3..%u; 9 is usual",
                           power->sci_line, ACPI_GSIS - 1);
}

static void build_has(struct bp_acpi_builder *b, uint32_t bits)
{
    struct acpi_description *d = of_builder(b);
    uint32_t known = BP_ACPI_HAS_RTC | BP_ACPI_HAS_8042;

    if (d->err != 0)
        return;
    d->has |= bits;
    if ((bits & ~known) != 0)
        d->err = error_set(&d->error, -EINVAL,
                           "a device says it has 0x%x, of which this Backplane knows only 0x%x; "
                           "use a newer Backplane",
                           bits, known);
}

static void build_device(struct bp_acpi_builder *b, const char *hid, uint32_t uid, uint16_t port,
                         uint16_t port_count, uint32_t irq)
{
    struct acpi_description *d = of_builder(b);

    if (d->err != 0)
        return;
    if (hid == NULL || (!aml_is_eisa_id(hid) && !aml_is_acpi_id(hid))) {
        d->err = error_set(
            &d->error, -EINVAL,
            "a device gives \"%.16s\" as its ACPI hardware ID, expected one like PNP0501 or "
            "QEMU0001",
            hid == NULL ? "" : hid);
        return;
    }
    if (d->device_count == ACPI_DEVICES_MAX) {
        d->err =
            error_set(&d->error, -ENOSPC,
                      "more than %u devices are described to ACPI (the next is %s); remove some",
                      ACPI_DEVICES_MAX, hid);
        return;
    }
    if (port_count > 0x10000u - port) {
        d->err = error_set(
            &d->error, -EINVAL,
            "ACPI device %s %u has %u ports from 0x%x on, which end above 0xffff; move it down",
            hid, uid, port_count, port);
        return;
    }
    if (irq != UINT32_MAX && irq >= ACPI_GSIS) {
        d->err = error_set(&d->error, -EINVAL,
                           "ACPI device %s %u is on interrupt line %u, expected one below %u", hid,
                           uid, irq, ACPI_GSIS);
        return;
    }
    for (uint32_t i = 0; i < d->device_count; i++) {
        if (d->devices[i].uid == uid && strcmp(d->devices[i].hid, hid) == 0) {
            d->err =
                error_set(&d->error, -EINVAL,
                          "two devices describe themselves to ACPI as %s %u; the number must tell "
                          "them apart",
                          hid, uid);
            return;
        }
    }
    struct acpi_device *device = &d->devices[d->device_count++];
    memcpy(device->hid, hid, strlen(hid) + 1);
    device->uid = uid;
    device->port = port;
    device->port_count = port_count;
    device->irq = irq;
}

static void build_aml(struct bp_acpi_builder *b, const uint8_t *aml, uint64_t len)
{
    struct acpi_description *d = of_builder(b);

    if (d->err != 0 || len == 0)
        return;
    if (aml == NULL) {
        d->err = error_set(
            &d->error, -EINVAL,
            "a device gives %" PRIu64 " bytes of AML at address 0; it must point to them", len);
        return;
    }
    aml_bytes(&d->aml, aml, len);
    if (d->aml.err == -ENOSPC)
        d->err =
            error_set(&d->error, -ENOSPC,
                      "the devices' AML is more than the %u bytes that there are for ACPI tables; "
                      "remove some devices",
                      ACPI_BYTES);
    else if (d->aml.err != 0)
        d->err = error_set(&d->error, d->aml.err, "out of memory for the devices' AML");
}

static bool is_signature(const char *text)
{
    uint32_t n = 0;

    while (n < 4 && ((text[n] >= 'A' && text[n] <= 'Z') || (text[n] >= '0' && text[n] <= '9')))
        n++;
    return n == 4 && text[4] == '\0';
}

/* Those that there may be several of. */
static bool is_repeatable(const char *signature)
{
    return strcmp(signature, "SSDT") == 0;
}

static bool is_taken(const struct acpi_description *d, const char *signature)
{
    static const char *const own[] = {"XSDT", "RSDT", "FACP", "FACS", "DSDT", "APIC", "MCFG"};

    for (uint32_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(own[i], signature) == 0)
            return true;
    for (uint32_t i = 0; i < d->table_count && !is_repeatable(signature); i++)
        if (strcmp(d->tables[i].signature, signature) == 0)
            return true;
    return false;
}

static void build_table(struct bp_acpi_builder *b, const char *signature, uint32_t revision,
                        const uint8_t *body, uint64_t len)
{
    struct acpi_description *d = of_builder(b);

    if (d->err != 0)
        return;
    if (signature == NULL || !is_signature(signature) || revision < 1 || revision > 255 ||
        (body == NULL && len != 0)) {
        d->err = error_set(
            &d->error, -EINVAL,
            "a device gives an ACPI table \"%.16s\" of revision %u and %" PRIu64 " bytes at %s "
            "address; expected four capitals or digits, a revision of 1..255, and its bytes",
            signature == NULL ? "" : signature, revision, len, body == NULL ? "no" : "an");
        return;
    }
    if (is_taken(d, signature)) {
        d->err = error_set(&d->error, -EINVAL,
                           "a device brings an ACPI table %s, but there is one already; remove one "
                           "of the devices that do",
                           signature);
        return;
    }
    if (d->table_count == ACPI_TABLES_MAX) {
        d->err = error_set(&d->error, -ENOSPC,
                           "devices bring more than %u ACPI tables (the next is %s); remove some",
                           ACPI_TABLES_MAX, signature);
        return;
    }
    struct acpi_table *table = &d->tables[d->table_count++];
    memcpy(table->signature, signature, sizeof(table->signature));
    table->revision = (uint8_t)revision;
    table->at = d->bodies.length;
    table->length = len;
    aml_bytes(&d->bodies, body, len);
    if (d->bodies.err == -ENOSPC)
        d->err = error_set(&d->error, -ENOSPC,
                           "the devices' ACPI tables are more than the %u bytes that there are for "
                           "all; remove some devices",
                           ACPI_BYTES);
    else if (d->bodies.err != 0)
        d->err = error_set(&d->error, d->bodies.err, "out of memory for the devices' ACPI tables");
}

struct acpi_description *acpi_description_new(void)
{
    struct acpi_description *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->builder = (struct bp_acpi_builder){
        .size = sizeof(d->builder),
        .power = build_power,
        .has = build_has,
        .device = build_device,
        .aml = build_aml,
        .table = build_table,
    };
    aml_init(&d->aml, ACPI_BYTES);
    aml_init(&d->bodies, ACPI_BYTES);
    return d;
}

void acpi_description_free(struct acpi_description *d)
{
    if (d == NULL)
        return;
    aml_free(&d->aml);
    aml_free(&d->bodies);
    free(d);
}

struct bp_acpi_builder *acpi_builder(struct acpi_description *d)
{
    return &d->builder;
}

bool acpi_has_fixed_hardware(const struct acpi_description *d)
{
    return d->power.pm1a_event_port != 0 && d->power.pm1a_control_port != 0;
}

/* ---- checks and layout ---- */

/* True if [base, base + length) is empty or ends at or below `end`. */
static bool ends_below(uint64_t base, uint64_t length, uint64_t end)
{
    return length == 0 || (base < end && length <= end - base);
}

static int check_machine(const struct acpi_machine *m, struct error *e)
{
    if (m->cpus == 0)
        return error_set(e, -EINVAL, "the machine has 0 processors, expected at least 1");
    if (!m->has_pci)
        return 0;
    if (m->ecam_buses == 0 || m->ecam_buses > 256)
        return error_set(e, -EINVAL, "the PCI host bridge has %u buses, expected 1..256",
                         m->ecam_buses);
    if (m->ecam_gpa == 0 || m->ecam_gpa % MIB != 0 ||
        !ends_below(m->ecam_gpa, m->ecam_buses * MIB, 1ull << 52))
        return error_set(e, -EINVAL,
                         "the PCI configuration space of %u buses is at 0x%" PRIx64
                         ", expected a multiple of "
                         "1 MiB from which it ends below 2^52",
                         m->ecam_buses, m->ecam_gpa);
    if (!ends_below(m->mmio32_gpa, m->mmio32_length, 1ull << 32) ||
        (m->mmio32_gpa == 0 && m->mmio32_length != 0))
        return error_set(e, -EINVAL,
                         "the 32-bit PCI window of 0x%" PRIx64 " bytes is at 0x%" PRIx64
                         ", expected it to end at or below 4 GiB",
                         m->mmio32_length, m->mmio32_gpa);
    if (!ends_below(m->more32_gpa, m->more32_length, 1ull << 32) ||
        (m->more32_gpa == 0 && m->more32_length != 0))
        return error_set(e, -EINVAL,
                         "the second 32-bit PCI window of 0x%" PRIx64 " bytes is at 0x%" PRIx64
                         ", expected it to end at or below 4 GiB",
                         m->more32_length, m->more32_gpa);
    if (!ends_below(m->mmio64_gpa, m->mmio64_length, 1ull << 52) ||
        (m->mmio64_gpa == 0 && m->mmio64_length != 0))
        return error_set(e, -EINVAL,
                         "the 64-bit PCI window of 0x%" PRIx64 " bytes is at 0x%" PRIx64
                         ", expected it to end at or below 2^52",
                         m->mmio64_length, m->mmio64_gpa);
    return 0;
}

/* Lays all of it out for an area at `gpa`. After an error, which is told, there is nothing to free.
 */
static int lay_out(const struct acpi_description *d, const struct acpi_machine *machine,
                   uint64_t gpa, struct acpi_area *area, struct error *e)
{
    memset(area, 0, sizeof(*area));
    if (d->err != 0)
        return error_set(e, d->err, "%s", d->error.text);
    int err = check_machine(machine, e);
    if (err != 0)
        return err;

    area->gpa = gpa;
    aml_init(&area->out, ACPI_BYTES);
    aml_le(&area->out, 0, 8); /* the RSDP, filled in by acpi_write_roots() */
    aml_align(&area->out, ACPI_AREA_TABLES);
    if (acpi_has_fixed_hardware(d))
        acpi_write_facs(area);
    acpi_write_dsdt(area, d, machine);
    acpi_write_fadt(area, d);
    acpi_write_madt(area, d, machine);
    if (machine->has_pci)
        acpi_write_mcfg(area, machine);
    acpi_write_told(area, d);
    acpi_write_roots(area);

    err = area->out.err;
    if (err == -ENOSPC)
        error_set(e, err,
                  "the ACPI tables of %u processors and %u devices need more than the %u bytes "
                  "that there are "
                  "for them; describe fewer devices or processors",
                  machine->cpus, d->device_count, ACPI_BYTES);
    else if (err == -ENOMEM)
        error_set(e, err, "out of memory for the ACPI tables");
    else if (err != 0)
        error_set(e, err, "the ACPI tables cannot express the machine");
    if (err != 0)
        aml_free(&area->out);
    return err;
}

int acpi_write(const struct acpi_description *d, const struct acpi_machine *machine,
               struct ram *ram, uint64_t *rsdp_gpa, struct error *e)
{
    struct acpi_area area;
    int err = lay_out(d, machine, ACPI_GPA, &area, e);

    if (err != 0)
        return err;
    err = ram_write(ram, ACPI_GPA, area.out.bytes, area.out.length);
    if (err != 0)
        error_set(e, err,
                  "the ACPI tables go to 0x%x, but there the machine has no RAM for %" PRIu64
                  " bytes; give it at least 1 MiB with nothing reserved there",
                  ACPI_GPA, area.out.length);
    else
        *rsdp_gpa = ACPI_GPA;
    aml_free(&area.out);
    return err;
}

/* ---- for firmware ---- */

static void add_fixup(struct acpi_blob *blob, const struct bp_firmware_fixup *fixup)
{
    assert(blob->fixup_count < ACPI_FIXUPS_MAX); /* as many as acpi_area has pointers, and four */
    blob->fixups[blob->fixup_count++] = *fixup;
}

static void add_checksum(struct acpi_blob *blob, uint32_t which, uint32_t from, uint32_t length,
                         uint32_t at)
{
    const struct bp_firmware_fixup fixup = {.kind = BP_FIRMWARE_CHECKSUM,
                                            .blob = which,
                                            .at = from + at,
                                            .from = from,
                                            .length = length};

    add_fixup(blob, &fixup);
}

/* Only these two tables have pointers. */
static void add_table_checksum(struct acpi_blob *blob, const struct acpi_area *area, uint32_t table)
{
    add_checksum(blob, BP_FIRMWARE_IN_TABLES, table - ACPI_AREA_TABLES,
                 bp_le32(area->out.bytes + table + ACPI_HEADER_LENGTH), ACPI_HEADER_CHECKSUM);
}

int acpi_build(const struct acpi_description *d, const struct acpi_machine *machine,
               struct acpi_blob *out, struct error *e)
{
    struct acpi_area area;
    int err = lay_out(d, machine, 0 - (uint64_t)ACPI_AREA_TABLES, &area, e);

    if (err != 0)
        return err;
    assert(area.out.bytes != NULL);
    memset(out, 0, sizeof(*out));
    out->tables_length = area.out.length - ACPI_AREA_TABLES;
    out->tables = malloc(out->tables_length);
    if (out->tables == NULL) {
        aml_free(&area.out);
        return error_set(e, -ENOMEM, "out of memory for the ACPI tables");
    }
    memcpy(out->tables, area.out.bytes + ACPI_AREA_TABLES, out->tables_length);
    memcpy(out->rsdp, area.out.bytes, sizeof(out->rsdp));
    for (uint32_t i = 0; i < area.pointer_count; i++) {
        bool inside = area.pointers[i].at >= ACPI_AREA_TABLES;
        const struct bp_firmware_fixup fixup = {
            .kind = BP_FIRMWARE_POINTER,
            .blob = inside ? BP_FIRMWARE_IN_TABLES : BP_FIRMWARE_IN_RSDP,
            .at = area.pointers[i].at - (inside ? ACPI_AREA_TABLES : 0),
            .width = area.pointers[i].width};
        add_fixup(out, &fixup);
    }
    add_table_checksum(out, &area, area.fadt);
    add_table_checksum(out, &area, area.xsdt);
    add_checksum(out, BP_FIRMWARE_IN_RSDP, 0, ACPI_RSDP_V1_BYTES, ACPI_RSDP_CHECKSUM);
    add_checksum(out, BP_FIRMWARE_IN_RSDP, 0, ACPI_RSDP_BYTES, ACPI_RSDP_EXTENDED_CHECKSUM);
    aml_free(&area.out);
    return 0;
}

void acpi_blob_free(struct acpi_blob *blob)
{
    free(blob->tables);
    memset(blob, 0, sizeof(*blob));
}
