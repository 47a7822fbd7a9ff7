/* SPDX-License-Identifier: MIT
 *
 * shared/address.h - `unix:/path`, `tcp:host:port` and `udp:host:port` as socket addresses.
 */
#ifndef SHARED_ADDRESS_H
#define SHARED_ADDRESS_H

#include <backplane/host.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_TEXT 160

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } u;
    socklen_t len;
    int type; /* SOCK_STREAM, SOCK_DGRAM */
};

/* Parses `text`, the value of key `key`, as an address of sockets of `type`: SOCK_STREAM, with
 * tcp:, or SOCK_DGRAM, with udp:. The host may be empty (this machine), a name (looked up here,
 * once), an IPv4 address, or an IPv6 address in brackets. -EINVAL after host->fail(). [main]
 */
int address_parse(const struct bp_host *host, struct bp_node *node, const char *key, int type,
                  const char *text, struct address *out);

/* As address_parse() takes it, into `text` of ADDRESS_TEXT bytes. */
void address_print(const struct address *a, char *text);

#endif
