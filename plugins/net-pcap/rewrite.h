/* SPDX-License-Identifier: MIT
 *
 * net-pcap/rewrite.h - other addresses for the frames of a file.
 */
#ifndef NET_PCAP_REWRITE_H
#define NET_PCAP_REWRITE_H

#include <backplane/props.h>

#define REWRITE_PAIRS 64u

struct rewrite_pair {
    uint8_t from[6], to[6]; /* of IPv4 addresses the first four */
};

struct rewrite {
    struct rewrite_pair macs[REWRITE_PAIRS], ips[REWRITE_PAIRS];
    uint32_t mac_count, ip_count;
    uint8_t source[6], destination[6]; /* all zero: none */
};

/* Parse lists of "A>B". NULL, or the element that is none; "" if there are too many. */
const char *rewrite_parse_macs(struct rewrite *rw, const struct bp_list *list);
const char *rewrite_parse_ips(struct rewrite *rw, const struct bp_list *list);

/* Changes a frame of `len` bytes, any bytes, in place. */
void rewrite_frame(const struct rewrite *rw, uint8_t *frame, uint32_t len);

#endif
