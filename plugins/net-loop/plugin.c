/* SPDX-License-Identifier: MIT
 *
 * net-loop/plugin.c - what net-loop offers: networks without a network, for tests and for guests
 * that want an adapter and nothing behind it.
 */
#include "net_loop.h"

#include <shared/model.h>

/* NOLINTBEGIN(bugprone-macro-parentheses): `config` is the name of a type */
#define QUEUES_PROP(config)                                                                        \
    {                                                                                              \
        .name = "queues", .help = "queue pairs that an adapter may use", .initial = "1", .min = 1, \
        .max = LOOP_QUEUES_MAX, .type = BP_PROP_UINT, BP_PROP_AT(config, queues)                   \
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
SHARED_MODEL(NET, echo, "a wire that brings every frame back", 0);

static const struct bp_prop null_props[] = {
    QUEUES_PROP(struct null_config),
    {.name = NULL},
};
SHARED_MODEL(NET, null, "a wire that leads nowhere: takes all frames, brings none", 0);

static const struct bp_model *const models[] = {&echo_model, &null_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "net-loop",
    .version = "0.1.0",
    .models = models,
};
