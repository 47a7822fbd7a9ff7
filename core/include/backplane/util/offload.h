/* SPDX-License-Identifier: MIT
 *
 * backplane/util/offload.h - what a NIC does for its driver, in software: Internet checksums (RFC
 * 1071), and cutting a large TCP or UDP packet into frames. For NICs whose backend cannot take such
 * frames.
 *
 * Frames are in one piece, with an Ethernet header that may have VLAN tags. All that stands in them
 * is the guest's: every offset is checked against the length, and the work is bounded by it.
 */
#ifndef BACKPLANE_UTIL_OFFLOAD_H
#define BACKPLANE_UTIL_OFFLOAD_H

#include <stdint.h>
#include <string.h>

/* Values of gso_type, as in struct virtio_net_hdr (virtio 1.2, 5.1.6). */
#define BP_GSO_NONE 0u
#define BP_GSO_TCPV4 1u
#define BP_GSO_UDP 3u /* fragments of one UDP datagram over IPv4 or IPv6's fragment header: UFO */
#define BP_GSO_TCPV6 4u
#define BP_GSO_ECN 0x80u /* or'ed in: TCP with CWR, which stays in the first frame alone */

/* `sum`, as the bytes of a word that an odd number of bytes stands before. */
static inline uint32_t bp_sum_swap(uint32_t sum)
{
    return (sum << 8 | sum >> 8) & 0xffffu;
}

/* 16 bits of a sum. */
static inline uint32_t bp_sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffffu) + (sum >> 16);
    return (uint32_t)sum;
}

/* A word in the host's order, of `bytes` 1, 2, 4 or 8. */
static inline uint64_t bp_sum_word(const uint8_t *at, uint32_t bytes)
{
    uint64_t word = 0;

    memcpy(&word, at, bytes);
    return (word & 0xffffffffu) + (word >> 32);
}

#if defined(__x86_64__)
typedef int16_t bp_sum_words __attribute__((vector_size(32)));
typedef int32_t bp_sum_pairs __attribute__((vector_size(32)));

/* Adds the sixteen words at `at`, each less 0x8000, to eight sums: VPMADDWD adds pairs of words,
 * but takes them for signed. */
__attribute__((target("avx2"))) static inline bp_sum_pairs bp_sum_32(bp_sum_pairs sums,
                                                                     const uint8_t *at)
{
    bp_sum_words words, one = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    memcpy(&words, at, sizeof(words));
    return sums + __builtin_ia32_pmaddwd256(words ^ INT16_MIN, one);
}

#define BP_SUM_BLOCKS (1u << 14) /* of 64 bytes that eight sums of 32 bits hold */

/* The sum of `blocks`, at most that many, in the host's words. */
__attribute__((target("avx2"))) static inline uint64_t bp_sum_64(const uint8_t *data,
                                                                 uint64_t blocks)
{
    bp_sum_pairs sums = {0, 0, 0, 0, 0, 0, 0, 0};
    int64_t total = (int64_t)blocks * 32 * 0x8000;

    for (; blocks; blocks--, data += 64)
        sums = bp_sum_32(bp_sum_32(sums, data), data + 32);
    for (uint32_t i = 0; i < 8; i++)
        total += sums[i];
    return (uint64_t)total;
}
#endif

/* The sum of `len` bytes in the host's words, 32 bits wide at most, eight bytes at a time. */
static inline uint64_t bp_sum_plain(const uint8_t *data, uint64_t len)
{
    uint64_t total = 0;

    for (; len >= 8; len -= 8, data += 8)
        total += bp_sum_word(data, 8);
    if (len & 4)
        total += bp_sum_word(data, 4);
    data += len & 4;
    if (len & 2)
        total += bp_sum_word(data, 2);
    data += len & 2;
    if (len & 1)
        total += bp_sum_word(data, 1);
    return total;
}

/* 16 bits, in network order, of a sum in the host's words: its two bytes change places with those
 * of the words (RFC 1071, 2). */
static inline uint32_t bp_sum_network(uint64_t total)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return bp_sum_swap(bp_sum_fold(total));
#else
    return bp_sum_fold(total);
#endif
}

/* The sum of `len` bytes as 16-bit words in network order, added to `sum`, which has 16 bits. A
 * length that is odd counts as if a zero followed: only the last part of a sum may have one. */
static inline uint32_t bp_sum(const uint8_t *data, uint64_t len, uint32_t sum)
{
    uint64_t total = 0;

#if defined(__x86_64__)
    while (len >= 64 && __builtin_cpu_supports("avx2")) {
        uint64_t blocks = len / 64 < BP_SUM_BLOCKS ? len / 64 : BP_SUM_BLOCKS;

        total += bp_sum_64(data, blocks);
        data += blocks * 64;
        len -= blocks * 64;
    }
#endif
    total += bp_sum_plain(data, len);
    return bp_sum_fold((uint64_t)bp_sum_network(total) + sum);
}

static inline void bp_put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline uint16_t bp_be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t bp_be32(const uint8_t *at)
{
    return (uint32_t)bp_be16(at) << 16 | bp_be16(at + 2);
}

#define BP_UDP_CHECKSUM 6u /* where a UDP header has its checksum (RFC 768) */

/* Fills in the checksum over [start, len), which is stored `offset` bytes after `start` and holds
 * the pseudo header's sum until then. In UDP 0 says that there is none, and is written as 0xffff;
 * other protocols have it as it is (RFC 1624, 3). 0; -1, and nothing done, if it does not lie in
 * the frame. */
static inline int bp_checksum_fill(uint8_t *frame, uint64_t len, uint32_t start, uint32_t offset)
{
    uint32_t sum;

    if (start >= len || offset + 2u > len - start)
        return -1;
    sum = ~bp_sum(frame + start, len - start, 0) & 0xffffu;
    bp_put_be16(frame + start + offset, !sum && offset == BP_UDP_CHECKSUM ? 0xffffu : sum);
    return 0;
}

/* A large packet that is being cut; filled by bp_segment_begin(). */
struct bp_segments {
    const uint8_t *frame;
    uint32_t len, header;        /* bytes of all, and of the headers that each frame repeats */
    uint32_t network, transport; /* where those headers begin */
    uint32_t payload;            /* bytes of data in each frame but the last */
    uint32_t count;              /* frames in all */
    uint8_t type, ipv6;
    uint8_t reserved[6];
    /* Fragments of IPv6: the number that they share, and where the byte stands that says which
     * header follows; `header` ends where the fragment header is put in. */
    uint32_t identification, next_at;
};

/* A frame may have so many bytes more than the packet that it is cut from: a fragment header. */
#define BP_SEGMENT_EXTRA 8u

/* Finds the network header: behind up to two VLAN tags. -1 if it is no IPv4 or IPv6. */
static inline int bp_find_network(const uint8_t *frame, uint32_t len, uint32_t *at, uint8_t *ipv6)
{
    uint32_t type_at = 12;

    for (int tags = 0; tags < 3; tags++, type_at += 4) {
        uint32_t type;

        if (type_at + 2 > len)
            return -1;
        type = bp_be16(frame + type_at);
        *at = type_at + 2;
        *ipv6 = type == 0x86dd;
        if (type == 0x0800 || type == 0x86dd)
            return 0;
        if (type != 0x8100 && type != 0x88a8)
            return -1;
    }
    return -1;
}

/* Which headers of an IPv6 packet go into each fragment: up to the last one that routers look at
 * (RFC 8200, 4.5). All must be extension headers, and lead to UDP at `start`: -1 otherwise. */
static inline int bp_find_fragmentable(struct bp_segments *s, uint32_t start)
{
    const uint8_t *frame = s->frame;
    uint32_t at = s->network + 40, next = frame[s->network + 6], next_at = s->network + 6;

    s->header = at;
    s->next_at = next_at;
    while (next != 17) {
        if ((next != 0 && next != 43 && next != 60) || at >= start || start - at < 8)
            return -1; /* hop-by-hop, routing, destination options */
        next_at = at;
        at += (frame[at + 1] + 1u) * 8u;
        if (at > start)
            return -1;
        if (next != 60) {
            s->header = at;
            s->next_at = next_at;
        }
        next = frame[next_at];
    }
    return at == start ? 0 : -1;
}

/* A number for the fragments of one datagram, made of all that is in it: the same if a datagram is
 * cut again, which happens when the backend is full, and other than that of another one as a rule.
 */
static inline uint32_t bp_identification(const uint8_t *data, uint32_t len)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (uint32_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

/* Prepares to cut `frame` into frames with `mss` bytes of TCP or UDP payload. `start` is where the
 * transport header begins (csum_start). -1 if the headers do not say what `type` does, or mss is 0.
 */
static inline int bp_segment_begin(struct bp_segments *s, const uint8_t *frame, uint32_t len,
                                   uint32_t type, uint32_t start, uint32_t mss)
{
    uint32_t kind = type & ~BP_GSO_ECN, ip_bytes;

    memset(s, 0, sizeof(*s));
    s->frame = frame;
    s->len = len;
    s->transport = start;
    s->type = (uint8_t)type;
    if (!mss || bp_find_network(frame, len, &s->network, &s->ipv6))
        return -1;
    ip_bytes = s->ipv6 ? 40 : 20;
    if (s->network + ip_bytes > start || start > len)
        return -1;
    if (!s->ipv6 && ((frame[s->network] & 0xfu) * 4u < 20 ||
                     s->network + (frame[s->network] & 0xfu) * 4u != start))
        return -1;
    if (kind == BP_GSO_UDP) {
        if (start + 8 > len)
            return -1;
        s->header = start; /* the UDP header is part of the datagram that is cut */
        s->payload = mss & ~7u;
        if (s->ipv6 && bp_find_fragmentable(s, start))
            return -1;
        if (len - s->header > 65535) /* an offset has 16 bits */
            return -1;
        if (s->ipv6)
            s->identification = bp_identification(frame + s->network, len - s->network);
    } else if ((kind == BP_GSO_TCPV4 && !s->ipv6) || (kind == BP_GSO_TCPV6 && s->ipv6)) {
        if (start + 20 > len)
            return -1;
        s->header = start + (uint32_t)(frame[start + 12] >> 4) * 4u;
        s->payload = mss;
        if (s->header < start + 20 || s->header > len)
            return -1;
    } else {
        return -1;
    }
    if (!s->payload || s->header >= len)
        return -1;
    s->count = (len - s->header + s->payload - 1) / s->payload;
    return 0;
}

/* The sum of the pseudo header for `bytes` of TCP (RFC 9293, 3.1). */
static inline uint32_t bp_pseudo_sum(const struct bp_segments *s, uint32_t bytes)
{
    const uint8_t *ip = s->frame + s->network;

    return s->ipv6 ? bp_sum(ip + 8, 32, bytes + 6u) : bp_sum(ip + 12, 8, bytes + 6u);
}

/* A fragment of IPv6 (RFC 8200, 4.5); bp_segment() for it. */
static inline uint32_t bp_fragment_ipv6(const struct bp_segments *s, uint32_t index, uint8_t *out)
{
    uint32_t at = s->header + index * s->payload, last = index + 1 == s->count;
    uint32_t n = last ? s->len - at : s->payload, bytes = s->header + 8 + n;
    uint8_t *fragment = out + s->header;

    memcpy(out, s->frame, s->header);
    memcpy(fragment + 8, s->frame + at, n);
    fragment[0] = s->frame[s->next_at];
    fragment[1] = 0;
    bp_put_be16(fragment + 2, index * s->payload | (last ? 0u : 1u)); /* in units of 8 bytes << 3 */
    bp_put_be16(fragment + 4, s->identification >> 16);
    bp_put_be16(fragment + 6, s->identification);
    out[s->next_at] = 44;
    bp_put_be16(out + s->network + 4, bytes - s->network - 40);
    return bytes;
}

/* Writes frame `index`, below count, to `out`, which has room for header + payload +
 * BP_SEGMENT_EXTRA bytes; returns its length. Checksums of TCP are complete; a UDP datagram's, over
 * all fragments, must have been filled in before. */
static inline uint32_t bp_segment(const struct bp_segments *s, uint32_t index, uint8_t *out)
{
    uint32_t at = s->header + index * s->payload, last = index + 1 == s->count;
    uint32_t n = last ? s->len - at : s->payload, bytes = s->header + n;
    uint8_t *ip = out + s->network, *tcp = out + s->transport;
    uint32_t ip_len = bytes - s->network;

    if (s->ipv6 && (s->type & ~BP_GSO_ECN) == BP_GSO_UDP)
        return bp_fragment_ipv6(s, index, out);
    memcpy(out, s->frame, s->header);
    memcpy(out + s->header, s->frame + at, n);
    if (s->ipv6) {
        bp_put_be16(ip + 4, ip_len - 40);
    } else {
        bp_put_be16(ip + 2, ip_len);
        if ((s->type & ~BP_GSO_ECN) == BP_GSO_UDP)
            bp_put_be16(ip + 6, index * s->payload / 8 | (last ? 0u : 0x2000u));
        else
            bp_put_be16(ip + 4, bp_be16(ip + 4) + index);
        bp_put_be16(ip + 10, 0);
        bp_put_be16(ip + 10, ~bp_sum(ip, s->transport - s->network, 0) & 0xffffu);
    }
    if ((s->type & ~BP_GSO_ECN) == BP_GSO_UDP)
        return bytes;
    uint32_t sequence = bp_be32(tcp + 4) + index * s->payload, sum;

    bp_put_be16(tcp + 4, sequence >> 16);
    bp_put_be16(tcp + 6, sequence);
    if (!last)
        tcp[13] &= (uint8_t)~0x09u; /* FIN and PSH belong to the last one */
    if (index)
        tcp[13] &= (uint8_t)~0x80u; /* CWR to the first one */
    bp_put_be16(tcp + 16, 0);
    sum = bp_sum(tcp, bytes - s->transport, bp_pseudo_sum(s, bytes - s->transport));
    bp_put_be16(tcp + 16, ~sum & 0xffffu);
    return bytes;
}

#endif
