/* SPDX-License-Identifier: MIT
 *
 * net-loop/plugin.c - what net-loop offers: networks without a network, for tests and for guests
 * that want an adapter and nothing behind it.
 */
#include "net_loop.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): `config` and `model` are names, of a type and of tables
 */
#define QUEUES_PROP(config)                                                                        \
    {                                                                                              \
        .name = "queues", .help = "queue pairs that an adapter may use", .initial = "1", .min = 1, \
        .max = LOOP_QUEUES_MAX, .type = BP_PROP_UINT, BP_PROP_AT(config, queues)                   \
    }

#define MODEL(model, text)                                                                         \
    static const struct bp_model model##_model = {                                                 \
        .size = sizeof(struct bp_model),                                                           \
        .kind = BP_KIND_NET,                                                                       \
        .id = #model,                                                                              \
        .summary = text,                                                                           \
        .props = model##_props,                                                                    \
        .prop_stride = sizeof(struct bp_prop),                                                     \
        .config_size = sizeof(struct model##_config),                                              \
        .instance = &model##_ops,                                                                  \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

static const struct bp_prop echo_props[] = {
    {.name = "swap",
     .help = "each frame comes back from where it was sent to: its two addresses change places",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct echo_config, swap)},
    {.name = "offloads",
     .help = "takes frames with unfinished checksums and large segments, and gives them back so",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct echo_config, offloads)},
    {.name = "depth",
     .help = "frames that wait in each queue until the adapter must wait",
     .initial = "256",
     .min = 1,
     .max = 4096,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct echo_config, depth)},
    QUEUES_PROP(struct echo_config),
    {.name = NULL},
};
MODEL(echo, "a wire that brings every frame back");

static const struct bp_prop null_props[] = {
    QUEUES_PROP(struct null_config),
    {.name = NULL},
};
MODEL(null, "a wire that leads nowhere: takes all frames, brings none");

static const struct bp_model *const models[] = {&echo_model, &null_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "net-loop",
    .version = "0.1.0",
    .models = models,
};
