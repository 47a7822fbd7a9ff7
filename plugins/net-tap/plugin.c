/* SPDX-License-Identifier: MIT
 *
 * net-tap/plugin.c - what net-tap offers: a network interface of the host.
 */
#include "net_tap.h"

static const struct bp_prop tap_props[] = {
    {.name = "ifname",
     .help = "the host's interface; made unless it exists, and %d is a free number; tap%d",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct tap_config, ifname)},
    {.name = "macvtap",
     .help = "instead: a macvtap interface that is there; the adapter must have its mac",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct tap_config, macvtap)},
    {.name = "fd",
     .help = "instead: open file descriptors of a tap, one for each pair of queues",
     .type = BP_PROP_UINT,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct tap_config, fd)},
    {.name = "bridge",
     .help = "bridge of the host that the interface is added to",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct tap_config, bridge)},
    {.name = "address",
     .help = "addresses that the host has on it: 10.0.0.1/24, fd00::1/64",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct tap_config, address)},
    {.name = "up",
     .help = "the interface is set up if it is not",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct tap_config, up)},
    {.name = "mtu",
     .help = "bytes of a packet on the interface; 0: as it is",
     .initial = "0",
     .max = 65535,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct tap_config, mtu)},
    {.name = "queues",
     .help = "queue pairs that an adapter may use",
     .initial = "1",
     .min = 1,
     .max = TAP_QUEUES_MAX,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct tap_config, queues)},
    {.name = "vnet-hdr",
     .help = "checksums and segmentation can be left to the host or the guest",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct tap_config, vnet_hdr)},
    {.name = NULL},
};

static const struct bp_model tap_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_NET,
    .id = "tap",
    .summary = "a tap or macvtap interface of the host",
    .props = tap_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct tap_config),
    .instance = &tap_ops,
};

static const struct bp_model *const models[] = {&tap_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "net-tap",
    .version = "0.1.0",
    .models = models,
};
