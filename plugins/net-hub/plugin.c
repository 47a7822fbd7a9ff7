/* SPDX-License-Identifier: MIT
 *
 * net-hub/plugin.c - what net-hub offers: a switch that joins adapters and networks.
 */
#include "net_hub.h"

static const struct bp_prop switch_props[] = {
    {.name = "net",
     .help = "networks that it leads to, each on a port of its own",
     .type = BP_PROP_REF,
     .needs = BP_NET_ID,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct hub_config, net)},
    {.name = "learn",
     .help = "frames for a known station go to its port alone; no: each goes to all ports",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct hub_config, learn)},
    {.name = "addresses",
     .help = "stations that are remembered, for all ports together",
     .initial = "1024",
     .min = 8,
     .max = 1u << 20u,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct hub_config, addresses)},
    {.name = "ageing",
     .help = "seconds of guest time until a station that is not heard is forgotten; 0: never",
     .initial = "300",
     .max = 1000000,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct hub_config, ageing)},
    {.name = "depth",
     .help = "frames that wait at each port; what comes then is lost, at that port alone",
     .initial = "1024",
     .min = 1,
     .max = 65536,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct hub_config, depth)},
    {.name = NULL},
};

static const struct bp_model switch_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_NET,
    .id = "switch",
    .summary = "a switch: any number of adapters name it, and it leads to further networks",
    .props = switch_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct hub_config),
    .flags = BP_MODEL_JOINS,
    .instance = &hub_ops,
};

static const struct bp_model *const models[] = {&switch_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "net-hub",
    .version = "0.1.0",
    .models = models,
};
