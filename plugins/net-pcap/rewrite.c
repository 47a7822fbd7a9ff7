/* SPDX-License-Identifier: MIT
 *
 * net-pcap/rewrite.c - changes Ethernet and IPv4 addresses in a frame, and the checksums with them.
 *
 * Checksums are updated by the difference (RFC 1624, equation 3), not computed anew: one that was
 * wrong stays wrong, as whoever replays it may want. Covered are the headers of Ethernet II with up
 * to two VLAN tags, ARP (RFC 826), IPv4 (RFC 791), TCP and UDP (their pseudo-header), and the IPv4
 * header inside an ICMP error (RFC 792), whose own checksum does not change by that: the address
 * and the checksum of the inner header change its sum by opposite amounts.
 *
 * Left out: IPv6, addresses in payloads, the checksum of what an ICMP error quotes behind the inner
 * header.
 */
#include "rewrite.h"

#include <arpa/inet.h>
#include <string.h>

#define TYPE_IPV4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_VLAN 0x8100u
#define TYPE_VLAN_OUTER 0x88a8u

#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* ---- keys ---- */

static int parse_mac(const char *text, size_t len, uint8_t *out)
{
    if (len != 17)
        return -1;
    for (size_t i = 0; i < 17; i++) {
        char c = text[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16u;

        if (i % 3 == 2) {
            if (c != ':')
                return -1;
            continue;
        }
        if (digit == 16)
            return -1;
        out[i / 3] = (uint8_t)(i % 3 ? (uint32_t)out[i / 3] << 4 | digit : digit);
    }
    return 0;
}

static int parse_ip(const char *text, size_t len, uint8_t *out)
{
    char copy[16];

    if (len >= sizeof(copy))
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET, copy, out) == 1 ? 0 : -1;
}

static const char *parse_pairs(const struct bp_list *list, struct rewrite_pair *pairs,
                               uint32_t *count,
                               int (*parse)(const char *text, size_t len, uint8_t *out))
{
    const char *const *items = list->items;

    if (list->count > REWRITE_PAIRS)
        return "";
    for (uint64_t i = 0; i < list->count; i++) {
        const char *arrow = strchr(items[i], '>');

        if (!arrow || parse(items[i], (size_t)(arrow - items[i]), pairs[i].from) ||
            parse(arrow + 1, strlen(arrow + 1), pairs[i].to))
            return items[i];
    }
    *count = (uint32_t)list->count;
    return NULL;
}

const char *rewrite_parse_macs(struct rewrite *rw, const struct bp_list *list)
{
    return parse_pairs(list, rw->macs, &rw->mac_count, parse_mac);
}

const char *rewrite_parse_ips(struct rewrite *rw, const struct bp_list *list)
{
    return parse_pairs(list, rw->ips, &rw->ip_count, parse_ip);
}

/* ---- checksums ---- */

/* Updates the checksum at `sum` for `words` 16-bit words that were `old` and are `new`. */
static void update(uint8_t *sum, const uint8_t *old, const uint8_t *new, uint32_t words)
{
    uint32_t s = ~get16(sum) & 0xffffu;

    for (size_t i = 0; i < words; i++)
        s += (~get16(old + 2 * i) & 0xffffu) + get16(new + 2 * i);
    while (s >> 16)
        s = (s & 0xffffu) + (s >> 16);
    put16(sum, ~s);
}

/* ---- addresses ---- */

static int replace(const struct rewrite_pair *pairs, uint32_t count, uint8_t *at, size_t len)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!memcmp(pairs[i].from, at, len)) {
            memcpy(at, pairs[i].to, len);
            return 1;
        }
    }
    return 0;
}

static int is_set(const uint8_t *mac)
{
    static const uint8_t none[6];

    return memcmp(mac, none, sizeof(none)) != 0;
}

/* An Ethernet address that became another one in the frame's header becomes that in ARP, too. */
static void rewrite_mac_in_arp(const struct rewrite *rw, uint8_t *at, const uint8_t *before,
                               const uint8_t *after)
{
    if (!memcmp(at, before, 6))
        memcpy(at, after, 6);
    else
        replace(rw->macs, rw->mac_count, at, 6);
}

static void rewrite_arp(const struct rewrite *rw, uint8_t *arp, uint32_t len, const uint8_t *before,
                        const uint8_t *frame)
{
    /* Ethernet and IPv4 only; their lengths give the places of the addresses. */
    if (len < 28 || get16(arp) != 1 || get16(arp + 2) != TYPE_IPV4 || arp[4] != 6 || arp[5] != 4)
        return;
    rewrite_mac_in_arp(rw, arp + 8, before + 6, frame + 6);
    if (frame[0] & 1u)
        replace(rw->macs, rw->mac_count, arp + 18, 6);
    else
        rewrite_mac_in_arp(rw, arp + 18, before, frame);
    replace(rw->ips, rw->ip_count, arp + 14, 4);
    replace(rw->ips, rw->ip_count, arp + 24, 4);
}

/* Changes the addresses of an IPv4 header and its checksum; returns its length, 0 if it is none. */
static uint32_t rewrite_header(const struct rewrite *rw, uint8_t *ip, uint32_t len)
{
    uint32_t header = len >= 20 ? (ip[0] & 15u) * 4u : 0;
    uint8_t before[8];

    if (len < 20 || ip[0] >> 4 != 4 || header < 20 || header > len)
        return 0;
    memcpy(before, ip + 12, 8);
    if (replace(rw->ips, rw->ip_count, ip + 12, 4) | replace(rw->ips, rw->ip_count, ip + 16, 4))
        update(ip + 10, before, ip + 12, 4);
    return header;
}

static void rewrite_udp(uint8_t *sum, const uint8_t *before, const uint8_t *after)
{
    if (!get16(sum))
        return; /* there is none */
    update(sum, before, after, 4);
    if (!get16(sum))
        put16(sum, 0xffff);
}

static void rewrite_ipv4(const struct rewrite *rw, uint8_t *ip, uint32_t len)
{
    uint8_t before[8], *next;
    uint32_t header, left;

    memcpy(before, ip + (len >= 20 ? 12 : 0), len >= 20 ? 8 : 0);
    header = rewrite_header(rw, ip, len);
    if (!header || get16(ip + 6) & 0x1fffu) /* later fragments have no header of TCP or UDP */
        return;
    next = ip + header;
    left = len - header;
    if (ip[9] == PROTOCOL_TCP && left >= 18)
        update(next + 16, before, ip + 12, 4);
    else if (ip[9] == PROTOCOL_UDP && left >= 8)
        rewrite_udp(next + 6, before, ip + 12);
    else if (ip[9] == PROTOCOL_ICMP && left >= 8 &&
             (next[0] == 3 || next[0] == 4 || next[0] == 5 || next[0] == 11 || next[0] == 12))
        rewrite_header(rw, next + 8, left - 8);
}

void rewrite_frame(const struct rewrite *rw, uint8_t *frame, uint32_t len)
{
    uint8_t before[12];
    uint32_t at = 12;

    if (len < 14)
        return;
    memcpy(before, frame, sizeof(before));
    replace(rw->macs, rw->mac_count, frame, 6);
    replace(rw->macs, rw->mac_count, frame + 6, 6);
    if (is_set(rw->destination) && !(frame[0] & 1u))
        memcpy(frame, rw->destination, 6);
    if (is_set(rw->source))
        memcpy(frame + 6, rw->source, 6);
    for (int tags = 0; tags < 2 && at + 6 <= len; tags++)
        if (get16(frame + at) == TYPE_VLAN || get16(frame + at) == TYPE_VLAN_OUTER)
            at += 4;
    if (get16(frame + at) == TYPE_ARP)
        rewrite_arp(rw, frame + at + 2, len - at - 2, before, frame);
    else if (get16(frame + at) == TYPE_IPV4 && rw->ip_count)
        rewrite_ipv4(rw, frame + at + 2, len - at - 2);
}
