/* SPDX-License-Identifier: MIT
 *
 * net-socket/net_socket.h - the config structs that the host fills, one per model, and the models'
 * tables.
 */
#ifndef NET_SOCKET_NET_SOCKET_H
#define NET_SOCKET_NET_SOCKET_H

#include <backplane/plugin.h>

struct stream_config {
    const char *listen, *connect; /* exactly one: unix:/path or tcp:host:port */
    uint32_t reconnect;           /* s until a lost or failed connection is tried again; 0: never */
    uint32_t reserved;
};

struct datagram_config {
    const char *local, *remote; /* unix:/path or udp:host:port */
};

extern const struct bp_instance_ops stream_ops, datagram_ops;

#endif
