/* SPDX-License-Identifier: MIT
 *
 * net-tap/config.h - the config struct that the host fills.
 */
#ifndef NET_TAP_CONFIG_H
#define NET_TAP_CONFIG_H

#include <backplane/props.h>

#define TAP_QUEUES_MAX 16u

/* Texts may be NULL. */
struct tap_config {
    const char *ifname, *macvtap, *bridge;
    struct bp_list address; /* of const char * */
    struct bp_list fd;      /* of uint64_t */
    uint16_t queues, mtu;
    uint8_t vnet_hdr, up;
    uint8_t reserved[2];
};

#endif
