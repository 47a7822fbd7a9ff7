/* SPDX-License-Identifier: MIT
 *
 * dev-pc/ports.h - what the tests of dev-pc share: short names for port accesses, a recording ACPI
 * builder, and access to an instance's snapshot fields by name.
 */
#ifndef TESTS_DEV_PC_PORTS_H
#define TESTS_DEV_PC_PORTS_H

#include "fakes/host.h"

#include <backplane/ext/acpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static inline void out8(struct fake_host *h, uint16_t port, uint32_t value)
{
    fake_write(h, BP_SPACE_PIO, port, value, 1);
}

static inline uint8_t in8(struct fake_host *h, uint16_t port)
{
    return (uint8_t)fake_read(h, BP_SPACE_PIO, port, 1);
}

static inline void out16(struct fake_host *h, uint16_t port, uint32_t value)
{
    fake_write(h, BP_SPACE_PIO, port, value, 2);
}

static inline uint16_t in16(struct fake_host *h, uint16_t port)
{
    return (uint16_t)fake_read(h, BP_SPACE_PIO, port, 2);
}

/* The member that snapshot field `name` stands for. */
static inline void *field_of(struct fake_host *h, const char *name)
{
    for (const struct bp_field *f = fake_ops(h)->fields; f->name; f++)
        if (!strcmp(f->name, name))
            return (uint8_t *)fake_self(h) + f->offset;
    fail_msg("no snapshot field %s", name);
    return NULL;
}

/* What describe() said. */
struct recorded {
    struct bp_acpi_builder builder; /* first: the callbacks cast back */
    struct bp_acpi_power power;
    unsigned powers, devices;
    uint32_t has, uid, irq;
    uint16_t port, ports;
    char hid[16];
};

static void record_power(struct bp_acpi_builder *b, const struct bp_acpi_power *power)
{
    struct recorded *r = (struct recorded *)b;

    r->power = *power;
    r->powers++;
}

static void record_has(struct bp_acpi_builder *b, uint32_t bits)
{
    ((struct recorded *)b)->has |= bits;
}

static void record_device(struct bp_acpi_builder *b, const char *hid, uint32_t uid, uint16_t port,
                          uint16_t ports, uint32_t irq)
{
    struct recorded *r = (struct recorded *)b;

    r->devices++;
    strncpy(r->hid, hid, sizeof(r->hid) - 1);
    r->uid = uid;
    r->port = port;
    r->ports = ports;
    r->irq = irq;
}

static inline struct recorded describe(struct fake_host *h)
{
    struct recorded r = {.builder = {.size = sizeof(r.builder),
                                     .power = record_power,
                                     .has = record_has,
                                     .device = record_device}};
    const struct bp_acpi *acpi = fake_ops(h)->extension(fake_self(h), BP_ACPI_ID);

    assert_non_null(acpi);
    assert_int_equal(acpi->size, sizeof(struct bp_acpi));
    assert_null(fake_ops(h)->extension(fake_self(h), "bp.acpi/2"));
    acpi->describe(fake_self(h), &r.builder);
    return r;
}

#endif
