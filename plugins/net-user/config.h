/* SPDX-License-Identifier: MIT
 *
 * net-user/config.h - the config struct that the host fills.
 */
#ifndef NET_USER_CONFIG_H
#define NET_USER_CONFIG_H

#include <backplane/props.h>

/* Texts may be NULL. */
struct user_config {
    const char *network, *host, *dns, *dhcp_start; /* IPv4 */
    const char *network6, *host6, *dns6;
    const char *hostname, *domain, *tftp, *bootfile;
    struct bp_list forward; /* of const char * */
    uint32_t sockets;       /* that the guest may have open */
    uint16_t mtu;
    uint8_t ipv4, ipv6;
    uint8_t restricted;
    uint8_t host_loopback;
    uint8_t reserved[6];
};

#endif
