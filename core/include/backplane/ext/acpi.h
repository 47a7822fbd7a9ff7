/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/acpi.h - "bp.acpi/1", offered by a device that the guest's ACPI tables shall
 * mention. The host calls describe() while it builds the tables, before each start of the guest.
 */
#ifndef BACKPLANE_EXT_ACPI_H
#define BACKPLANE_EXT_ACPI_H

#include "../abi.h"
BP_BEGIN

#define BP_ACPI_ID "bp.acpi/1"

/* The fixed hardware of the FADT (ACPI 6.4, 4.8.3). Port 0: the machine has none of it. */
struct bp_acpi_power {
    uint32_t size;
    uint16_t pm1a_event_port;   /* PM1a_EVT_BLK, 4 bytes */
    uint16_t pm1a_control_port; /* PM1a_CNT_BLK, 2 bytes */
    uint16_t pm_timer_port;     /* PM_TMR_BLK, 4 bytes */
    uint16_t reset_port;        /* RESET_REG */
    uint8_t reset_value;
    uint8_t s5_type; /* SLP_TYP of \_S5 */
    uint8_t sci_line;
    uint8_t reserved;
};

/* What describe() may call. */
struct bp_acpi_builder {
    uint32_t size;
    uint32_t reserved;
    void (*power)(struct bp_acpi_builder *b, const struct bp_acpi_power *power);
    /* The machine has: BP_ACPI_HAS_*. */
    void (*has)(struct bp_acpi_builder *b, uint32_t bits);
    /* Adds a device to \_SB: `hid` is an EISA ID ("PNP0501") or ACPI ID ("QEMU0001"), `uid` tells
     * several of one kind apart, ports from `port` on and line `irq` are its resources (count 0, or
     * irq UINT32_MAX: none). */
    void (*device)(struct bp_acpi_builder *b, const char *hid, uint32_t uid, uint16_t port,
                   uint16_t port_count, uint32_t irq);
    /* Adds AML of the device's own to \_SB. */
    void (*aml)(struct bp_acpi_builder *b, const uint8_t *aml, uint64_t len);
    /* Adds a table of the device's own (ACPI 6.4, 5.2.6): `signature` is four capitals or digits,
     * "HPET", none that the host writes itself and each but "SSDT" once; `revision` 1..255; `body`
     * is what follows the header of 36 bytes, copied. */
    void (*table)(struct bp_acpi_builder *b, const char *signature, uint32_t revision,
                  const uint8_t *body, uint64_t len);
};

#define BP_ACPI_HAS_RTC 1u  /* a CMOS clock at 0x70, with its century in byte 0x32 */
#define BP_ACPI_HAS_8042 2u /* a keyboard controller at 0x60 and 0x64 */

struct bp_acpi {
    uint32_t size;
    uint32_t reserved;
    void (*describe)(void *self, struct bp_acpi_builder *b); /* [main] */
};

BP_END
#endif
