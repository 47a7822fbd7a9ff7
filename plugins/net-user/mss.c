/* SPDX-License-Identifier: MIT
 *
 * net-user/mss.c - TCP segments no longer than the guest asked for (RFC 9293, 3.7.1).
 *
 * libslirp reads the options of a SYN only if the connection behind it is there at once, which it
 * never is, and sends segments as `mtu` allows. A guest whose interface takes less would lose them
 * for ever. So the option is looked for here, and longer segments are cut. It is the guest's latest
 * SYN that counts, for all connections: they go over one interface.
 */
#include "net_user.h"

#include <backplane/util/offload.h>

#define PROTOCOL_TCP 6u
#define TCP_MIN 20u
#define TCP_SYN 0x02u
#define OPTION_END 0u
#define OPTION_NOTHING 1u
#define OPTION_MSS 2u
#define MSS_MIN 88u /* a guest that asks for less makes frames, not sense: Linux has the same */

/* Where the TCP header is, and *bytes from there to the end of the packet; 0: it is no TCP. */
static uint32_t find_tcp(const uint8_t *frame, uint32_t len, uint32_t *bytes)
{
    uint32_t ip, at, end;
    uint8_t ipv6;

    if (bp_find_network(frame, len, &ip, &ipv6) || ip + 40 > len)
        return 0;
    at = ip + (ipv6 ? 40u : (frame[ip] & 15u) * 4u);
    end = ip + (ipv6 ? 40u + bp_be16(frame + ip + 4) : bp_be16(frame + ip + 2));
    if (frame[ip + (ipv6 ? 6 : 9)] != PROTOCOL_TCP || end > len || at + TCP_MIN > end)
        return 0;
    *bytes = end - at;
    return at;
}

void user_mss_listen(struct user *u, uint32_t len)
{
    uint32_t bytes, tcp = find_tcp(u->frame, len, &bytes), end, at;
    const uint8_t *f = u->frame;

    if (!tcp || !(f[tcp + 13] & TCP_SYN))
        return;
    end = (f[tcp + 12] >> 4u) * 4u;
    end = tcp + (end < bytes ? end : bytes);
    for (at = tcp + TCP_MIN; at < end && f[at] != OPTION_END;) {
        uint32_t n = f[at] == OPTION_NOTHING ? 1u : at + 1 < end ? f[at + 1] : 0u;

        if (!n || (n == 1 && f[at] != OPTION_NOTHING) || at + n > end)
            return;
        if (f[at] == OPTION_MSS && n == 4) {
            u->mss = bp_be16(f + at + 2);
            if (u->mss < MSS_MIN)
                u->mss = MSS_MIN;
        }
        at += n;
    }
}

int user_mss_begin(const struct user *u, struct bp_segments *s, const uint8_t *frame, uint32_t len)
{
    uint32_t bytes, tcp = find_tcp(frame, len, &bytes), header;

    if (!u->mss || !tcp)
        return -1;
    header = (frame[tcp + 12] >> 4u) * 4u;
    if (bytes <= header + u->mss)
        return -1;
    return bp_segment_begin(s, frame, tcp + bytes,
                            bp_be16(frame + 12) == 0x86dd ? BP_GSO_TCPV6 : BP_GSO_TCPV4, tcp,
                            u->mss);
}
