/* SPDX-License-Identifier: MIT
 *
 * net-socket/plugin.c - what net-socket offers: networks that lead to another program on a socket.
 */
#include "net_socket.h"

#include <shared/model.h>

static const struct bp_prop stream_props[] = {
    {.name = "listen",
     .help = "waits for the other end here: unix:/path or tcp:host:port",
     .type = BP_PROP_ADDRESS,
     BP_PROP_AT(struct stream_config, listen)},
    {.name = "connect",
     .help = "instead: looks for the other end there",
     .type = BP_PROP_ADDRESS,
     BP_PROP_AT(struct stream_config, connect)},
    {.name = "reconnect",
     .help = "connect: seconds until the first attempt after one that failed; 0: one attempt only",
     .initial = "1",
     .max = 3600,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct stream_config, reconnect)},
    {.name = NULL},
};
SHARED_MODEL(NET, stream,
             "frames on a stream socket, each behind its length, as QEMU and passt have them", 0);

static const struct bp_prop datagram_props[] = {
    {.name = "local",
     .help = "where frames come in: udp:host:port or unix:/path",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct datagram_config, local)},
    {.name = "remote",
     .help = "where frames go to, and the only place that they are taken from",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct datagram_config, remote)},
    {.name = NULL},
};
SHARED_MODEL(NET, datagram,
             "frames as datagrams, by UDP or a Unix socket, as QEMU's -netdev dgram has them", 0);

static const struct bp_model *const models[] = {&stream_model, &datagram_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "net-socket",
    .version = "0.1.0",
    .models = models,
};
