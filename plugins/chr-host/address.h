/* SPDX-License-Identifier: MIT
 *
 * chr-host/address.h - `unix:/path` and `tcp:host:port` as socket addresses.
 */
#ifndef CHR_HOST_ADDRESS_H
#define CHR_HOST_ADDRESS_H

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
};

/* Parses `text`, the value of key `key`. A TCP host may be empty (this machine), a name (looked up
 * here, once), an IPv4 address, or an IPv6 address in brackets. -EINVAL after host->fail(). [main]
 */
int address_parse(const struct bp_host *host, struct bp_node *node, const char *key,
                  const char *text, struct address *out);

/* As address_parse() takes it, into `text` of ADDRESS_TEXT bytes. */
void address_print(const struct address *a, char *text);

#endif
