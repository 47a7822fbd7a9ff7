/* SPDX-License-Identifier: MIT
 *
 * net-user/filter.c - what a hostile guest must not make libslirp do: open sockets until the
 * process has no fds left, which it does not bound. As in a router whose table is full, what would
 * begin something new is dropped. IPv6 fragments, which it does not put together, are dropped too.
 */
#include "net_user.h"

#define ETHERTYPE_AT 12u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu

#define IPV6_HEADER 40u

#define PROTOCOL_TCP 6u
#define PROTOCOL_FRAGMENT 44u
#define PROTOCOL_ICMPV6 58u
#define TCP_FLAGS_AT 13u
#define TCP_SYN 0x02u
#define TCP_ACK 0x10u
#define ICMPV6_NEIGHBOURS 133u /* 133..137: neighbour discovery, which opens nothing */
#define ICMPV6_NEIGHBOURS_END 137u

static uint32_t be16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8u | at[1];
}

/* Behind other extension headers there may be one, too: libslirp does not look there. */
static int is_ipv6_fragment(const uint8_t *frame, uint32_t len)
{
    return be16(frame + ETHERTYPE_AT) == ETHERTYPE_IPV6 && len > BP_FRAME_MIN + 6u &&
           frame[BP_FRAME_MIN + 6] == PROTOCOL_FRAGMENT;
}

static int opens_tcp(const uint8_t *frame, uint32_t len, uint32_t tcp_at)
{
    return len <= tcp_at + TCP_FLAGS_AT ||
           (frame[tcp_at + TCP_FLAGS_AT] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Whether libslirp may open a socket for it. UDP and ICMP are taken for new, though they may
 * belong to what is open: an idle socket of theirs goes after some minutes. */
static int opens_socket(const uint8_t *frame, uint32_t len)
{
    const uint8_t *ip = frame + BP_FRAME_MIN;
    uint32_t type = be16(frame + ETHERTYPE_AT);

    if (type == ETHERTYPE_IPV4 && len >= BP_FRAME_MIN + 20u) {
        if (ip[9] == PROTOCOL_TCP)
            return opens_tcp(frame, len, BP_FRAME_MIN + 4u * (ip[0] & 15u));
        return 1;
    }
    if (type == ETHERTYPE_IPV6 && len > BP_FRAME_MIN + IPV6_HEADER) {
        if (ip[6] == PROTOCOL_TCP)
            return opens_tcp(frame, len, BP_FRAME_MIN + IPV6_HEADER);
        return !(ip[6] == PROTOCOL_ICMPV6 && ip[IPV6_HEADER] >= ICMPV6_NEIGHBOURS &&
                 ip[IPV6_HEADER] <= ICMPV6_NEIGHBOURS_END);
    }
    return 0;
}

int user_filter(struct user *u, uint32_t len)
{
    if (is_ipv6_fragment(u->frame, len))
        return 0;
    return u->sockets.open < u->config->sockets || !opens_socket(u->frame, len);
}
