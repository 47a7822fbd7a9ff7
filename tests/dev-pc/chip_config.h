/* SPDX-License-Identifier: MIT
 *
 * dev-pc/chip_config.h - what dev-pc's irqchip is created with by tests that have no host to read a
 * machine file.
 */
#ifndef TESTS_DEV_PC_CHIP_CONFIG_H
#define TESTS_DEV_PC_CHIP_CONFIG_H

#include <stdint.h>

/* As the plugin's config, member by member. */
struct chip_config {
    uint64_t ioapic_base;
    uint16_t pic_port, pic2_port, elcr_port, pit_port, speaker_port, ferr_port;
    uint8_t virtual_wire, directed_eoi;
};

#define CHIP_DEFAULTS                                                                              \
    .ioapic_base = 0xfec00000, .pic_port = 0x20, .pic2_port = 0xa0, .elcr_port = 0x4d0,            \
    .pit_port = 0x40, .speaker_port = 0x61, .ferr_port = 0xf0, .virtual_wire = 1

static const struct chip_config chip_defaults = {CHIP_DEFAULTS};

#endif
