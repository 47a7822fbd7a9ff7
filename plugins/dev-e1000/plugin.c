/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/plugin.c - what dev-e1000 offers: the Intel 82540EM, a gigabit Ethernet controller.
 */
#include "e1000.h"

static const char *const speeds[] = {"1000", "100", "10", NULL};

static const struct bp_prop props[] = {
    {.name = "net",
     .help = "section that the cable leads to; without it there is no link",
     .needs = BP_NET_ID,
     .type = BP_PROP_REF,
     BP_PROP_AT(struct e1000_config, net)},
    {.name = "mac",
     .help = "station address in the EEPROM; without it one is made of the section's name",
     .type = BP_PROP_MAC,
     BP_PROP_AT(struct e1000_config, mac)},
    {.name = "slot",
     .help = "PCI device, or device.function, in hex; any free one without it",
     .type = BP_PROP_PCI,
     BP_PROP_AT(struct e1000_config, slot)},
    {.name = "speed",
     .help = "Mbit/s that the other end of the cable can do at most, for autonegotiation; frames "
             "are not slowed",
     .initial = "1000",
     .choices = speeds,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct e1000_config, speed)},
    {.name = "strict",
     .help = "log what real hardware would not forgive, such as a bad ring length",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct e1000_config, strict)},
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&e1000_memory_ops, &e1000_io_ops, NULL};

static const struct bp_model e1000_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "82540em",
    .summary = "Intel 82540EM, a gigabit Ethernet controller on PCI (PRO/1000 MT Desktop)",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct e1000_config),
    .instance = &e1000_ops,
    .regions = regions,
};

static const struct bp_model *const models[] = {&e1000_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "dev-e1000",
    .version = "0.1.0",
    .models = models,
};
