/* SPDX-License-Identifier: MIT
 *
 * net-hub/net_hub.h - what the files of this plugin share.
 */
#ifndef NET_HUB_NET_HUB_H
#define NET_HUB_NET_HUB_H

#include <backplane/plugin.h>

#define HUB_ADAPTERS_MAX 48u /* ports that adapters attach to */
#define HUB_NETS_MAX 16u     /* ports with a network behind them, after those */
#define HUB_PORTS_MAX (HUB_ADAPTERS_MAX + HUB_NETS_MAX)
#define HUB_NOWHERE HUB_PORTS_MAX

struct hub_config {
    struct bp_list net; /* struct bp_node *: networks on ports of their own */
    uint32_t depth;     /* frames that wait at each port at most */
    uint32_t addresses; /* stations that are remembered at most */
    uint32_t ageing;    /* s after which one that is not heard is forgotten; 0: never */
    uint8_t learn;      /* 0: every frame goes to all ports */
    uint8_t reserved[7];
};

/* ---- addresses.c: which station is at which port. A table of fixed size. ---- */

struct hub_addresses;

/* Room for at least `count` stations; NULL: no memory. */
struct hub_addresses *hub_addresses_new(uint32_t count, uint64_t ageing_ns);
void hub_addresses_free(struct hub_addresses *a);
/* Forgets all; those of one port. */
void hub_addresses_clear(struct hub_addresses *a);
void hub_addresses_forget(struct hub_addresses *a, uint32_t port);
/* A frame of station `mac` came in at `port`, below HUB_PORTS_MAX. A station that finds no room is
 * not remembered: a port with many stations gives way to one with few, never the reverse, so that
 * who makes up addresses displaces his own. */
void hub_addresses_learn(struct hub_addresses *a, const uint8_t *mac, uint32_t port,
                         uint64_t now_ns);
/* The port of `mac`, HUB_NOWHERE if it is not known. */
uint32_t hub_addresses_find(const struct hub_addresses *a, const uint8_t *mac, uint64_t now_ns);
/* Stations remembered, those that are too old included. */
uint32_t hub_addresses_count(const struct hub_addresses *a);

extern const struct bp_instance_ops hub_ops;

#endif
