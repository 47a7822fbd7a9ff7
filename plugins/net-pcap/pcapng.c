/* SPDX-License-Identifier: MIT
 *
 * net-pcap/pcapng.c - encodes sections of pcapng (draft-ietf-opsawg-pcapng): a section header, one
 * interface description, enhanced packets and interface statistics; and the classic format, where
 * there is a header and packets only.
 *
 * A packet's options are: epb_dropcount first, if there is one, so that packet_with() finds it;
 * then the tail that all frames of its kind share, of a comment and epb_flags.
 *
 * Left out: name resolution, decryption secrets, custom blocks, hashes, several interfaces in one
 * file.
 */
#include "record.h"

#include <backplane/util/le.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define OPT_END 0u
#define OPT_COMMENT 1u
#define SHB_USERAPPL 4u
#define IF_NAME 2u
#define IF_DESCRIPTION 3u
#define IF_TSRESOL 9u
#define IF_FILTER 11u
#define EPB_FLAGS 2u
#define EPB_DROPCOUNT 4u
#define ISB_ENDTIME 3u
#define ISB_IFRECV 4u
#define ISB_IFDROP 5u
#define ISB_FILTERACCEPT 6u
#define ISB_USRDELIV 8u

#define PACKET_HEAD 28u     /* bytes of an enhanced packet block before the frame's */
#define DROPCOUNT_BYTES 12u /* of the option */
#define LINKTYPE_ETHERNET 1u
#define TEXT_MAX 400u /* bytes of a text in an option; several fit in BLOCK_EXTRA */

/* A block that grows at `at`. */
struct block {
    uint8_t *at;
    size_t len;
};

static void put16(struct block *b, uint32_t v)
{
    bp_put_le16(b->at + b->len, (uint16_t)v);
    b->len += 2;
}

static void put32(struct block *b, uint32_t v)
{
    bp_put_le32(b->at + b->len, v);
    b->len += 4;
}

/* Up to a multiple of 4; more of the block follows, so that what is written beyond does no harm. */
static void put_padding(struct block *b)
{
    bp_put_le32(b->at + b->len, 0);
    b->len += -b->len & 3u;
}

static void put_bytes(struct block *b, const void *data, size_t len)
{
    if (len)
        memcpy(b->at + b->len, data, len);
    b->len += len;
    put_padding(b);
}

static void block_begin(struct block *b, uint8_t *at, uint32_t type)
{
    b->at = at;
    b->len = 0;
    put32(b, type);
    put32(b, 0); /* its length: block_end() */
}

static inline size_t block_end(struct block *b)
{
    put32(b, (uint32_t)b->len + 4);
    bp_put_le32(b->at + 4, (uint32_t)b->len);
    return b->len;
}

static void option(struct block *b, uint32_t code, const void *value, size_t len)
{
    put16(b, code);
    put16(b, (uint32_t)len);
    put_bytes(b, value, len);
}

static void option_text(struct block *b, uint32_t code, const char *text)
{
    size_t len = strlen(text);

    option(b, code, text, len < TEXT_MAX ? len : TEXT_MAX);
}

static void option_64(struct block *b, uint32_t code, uint64_t v)
{
    uint8_t value[8];

    bp_put_le64(value, v);
    option(b, code, value, sizeof(value));
}

/* Timestamps are two halves, the upper one first, in any byte order. */
static void put_time(struct block *b, uint64_t ns)
{
    put32(b, (uint32_t)(ns >> 32));
    put32(b, (uint32_t)ns);
}

static size_t pcapng_header(uint8_t *to, const struct file_info *info)
{
    static const uint8_t nanoseconds = 9; /* if_tsresol: 10^-9 */
    char filter[TEXT_MAX];
    struct block b;
    size_t len;

    block_begin(&b, to, BLOCK_SECTION);
    put32(&b, BYTE_ORDER_MAGIC);
    put16(&b, 1); /* version 1.0 */
    put16(&b, 0);
    put32(&b, UINT32_MAX); /* the section's length: unknown */
    put32(&b, UINT32_MAX);
    if (info->guest_time)
        option_text(&b, OPT_COMMENT,
                    "timestamps are guest time, counted from 1970 instead of from power-on");
    option_text(&b, SHB_USERAPPL, "Backplane");
    option(&b, OPT_END, NULL, 0);
    len = block_end(&b);

    block_begin(&b, to + len, BLOCK_INTERFACE);
    put16(&b, LINKTYPE_ETHERNET);
    put16(&b, 0);
    put32(&b, info->snaplen);
    option_text(&b, IF_NAME, info->link);
    option_text(&b, IF_DESCRIPTION, "link of a virtual machine; inbound is to the guest");
    option(&b, IF_TSRESOL, &nanoseconds, 1);
    if (info->filter) {
        size_t n = strnlen(info->filter, TEXT_MAX - 1);

        filter[0] = 0; /* a text of libpcap's language follows */
        memcpy(filter + 1, info->filter, n);
        option(&b, IF_FILTER, filter, n + 1);
    }
    option(&b, OPT_END, NULL, 0);
    return len + block_end(&b);
}

/* What a NIC's offloads left to the receiver, in words; "" if nothing. */
static void tell_offloads(const struct kind *k, char *text, size_t size)
{
    static const char *const kinds[] = {
        [1] = "TCP over IPv4", [3] = "UDP fragments", [4] = "TCP over IPv6", [5] = "UDP"};
    uint32_t kind = k->gso_type & 0x7fu; /* less VIRTIO_NET_HDR_GSO_ECN */
    size_t len = 0;

    text[0] = '\0';
    if (k->flags & 1u)
        len = (size_t)snprintf(text, size, "checksum at byte %u is to be filled in over %u and up",
                               k->csum_start + (uint32_t)k->csum_offset, (uint32_t)k->csum_start);
    if (kind)
        snprintf(text + len, size - len, "%sto be cut into segments of %u bytes (%s)",
                 len ? "; " : "", (uint32_t)k->gso_size,
                 kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind] ? kinds[kind] : "unknown");
}

static const struct tail *make_tail(struct tails *tails, const struct kind *k)
{
    struct tail *tail = &tails->known[tails->next];
    struct block b = {.at = tail->data};
    char comment[160];
    uint8_t flags[4];

    tails->next = (tails->next + 1) % TAILS;
    tell_offloads(k, comment, sizeof(comment));
    if (comment[0])
        option_text(&b, OPT_COMMENT, comment);
    bp_put_le32(flags, k->direction);
    option(&b, EPB_FLAGS, flags, sizeof(flags));
    option(&b, OPT_END, NULL, 0);
    tail->kind = *k;
    tail->len = (uint32_t)b.len;
    return tail;
}

/* Out of line, as it is rare: its stack is not for every frame. */
static __attribute__((noinline)) const struct tail *find_tail(struct tails *tails,
                                                              const struct kind *k)
{
    for (uint32_t i = 0; i < TAILS && tails->known[i].len; i++)
        if (!memcmp(&tails->known[i].kind, k, sizeof(*k)))
            return &tails->known[i];
    return make_tail(tails, k);
}

static inline const struct tail *tail_of(struct tails *tails, const struct kind *k)
{
    const struct tail **recent = &tails->recent[k->direction & 1u];

    if (!*recent || memcmp(&(*recent)->kind, k, sizeof(*k)) != 0)
        *recent = find_tail(tails, k);
    return *recent;
}

static size_t put_dropcount(uint8_t *to, uint64_t frames)
{
    struct block b = {.at = to};

    option_64(&b, EPB_DROPCOUNT, frames);
    return b.len;
}

static size_t pcapng_packet(uint8_t *to, const struct record *r, struct tails *tails)
{
    const struct tail *tail = tail_of(tails, &r->kind);
    struct block b;

    block_begin(&b, to, BLOCK_PACKET);
    put32(&b, 0); /* the first interface, and the only one */
    put_time(&b, r->when_ns);
    put32(&b, r->caplen);
    put32(&b, r->len);
    b.len += r->caplen;
    put_padding(&b);
    if (r->dropped)
        b.len += put_dropcount(to + b.len, r->dropped);
    memcpy(to + b.len, tail->data, tail->len);
    b.len += tail->len;
    return block_end(&b);
}

static size_t pcapng_packet_size(const uint8_t *packet)
{
    return bp_le32(packet + 4);
}

static uint64_t pcapng_packet_time(const uint8_t *packet)
{
    return (uint64_t)bp_le32(packet + 12) << 32 | bp_le32(packet + 16);
}

static size_t options_of(const uint8_t *packet)
{
    return PACKET_HEAD + (((size_t)bp_le32(packet + 20) + 3) & ~(size_t)3);
}

static uint64_t pcapng_packet_dropped(const uint8_t *packet)
{
    const uint8_t *first = packet + options_of(packet);

    return bp_le16(first) == EPB_DROPCOUNT ? bp_le64(first + 4) : 0;
}

static size_t pcapng_packet_with(uint8_t *to, const uint8_t *packet, uint64_t more)
{
    uint64_t dropped = pcapng_packet_dropped(packet);
    size_t from = options_of(packet), end = pcapng_packet_size(packet) - 4;
    struct block b = {.at = to, .len = from};

    memcpy(to, packet, from);
    b.len += put_dropcount(to + from, dropped + more);
    from += dropped ? DROPCOUNT_BYTES : 0;
    put_bytes(&b, packet + from, end - from);
    return block_end(&b);
}

static size_t pcapng_statistics(uint8_t *to, const struct totals *t)
{
    uint8_t time[8];
    struct block b;

    block_begin(&b, to, BLOCK_STATISTICS);
    put32(&b, 0);
    put_time(&b, t->when_ns);
    bp_put_le32(time, (uint32_t)(t->when_ns >> 32));
    bp_put_le32(time + 4, (uint32_t)t->when_ns);
    option(&b, ISB_ENDTIME, time, sizeof(time));
    option_64(&b, ISB_IFRECV, t->seen);
    option_64(&b, ISB_IFDROP, t->dropped);
    option_64(&b, ISB_FILTERACCEPT, t->accepted);
    option_64(&b, ISB_USRDELIV, t->written);
    option(&b, OPT_END, NULL, 0);
    return block_end(&b);
}

const struct file_format format_pcapng = {
    .header = pcapng_header,
    .statistics = pcapng_statistics,
    .packet = pcapng_packet,
    .head = PACKET_HEAD,
    .packet_size = pcapng_packet_size,
    .packet_time = pcapng_packet_time,
    .packet_dropped = pcapng_packet_dropped,
    .packet_with = pcapng_packet_with,
};

/* ---- classic ------------------------------------------------------------------------------------
 */

#define MAGIC_NANOSECONDS 0xa1b23c4du
#define PCAP_HEAD 16u /* bytes of a packet before the frame's */
#define NS_PER_S UINT64_C(1000000000)

static size_t pcap_header(uint8_t *to, const struct file_info *info)
{
    struct block b = {.at = to, .len = 0};

    put32(&b, MAGIC_NANOSECONDS);
    put16(&b, 2); /* version 2.4 */
    put16(&b, 4);
    put32(&b, 0); /* time zone and its accuracy: never used */
    put32(&b, 0);
    put32(&b, info->snaplen);
    put32(&b, LINKTYPE_ETHERNET);
    return b.len;
}

static size_t pcap_packet(uint8_t *to, const struct record *r, struct tails *tails)
{
    struct block b = {.at = to, .len = 0};

    (void)tails;
    put32(&b, (uint32_t)(r->when_ns / NS_PER_S));
    put32(&b, (uint32_t)(r->when_ns % NS_PER_S));
    put32(&b, r->caplen);
    put32(&b, r->len);
    return b.len + r->caplen;
}

static size_t pcap_packet_size(const uint8_t *packet)
{
    return PCAP_HEAD + (size_t)bp_le32(packet + 8);
}

static uint64_t pcap_packet_time(const uint8_t *packet)
{
    return bp_le32(packet) * NS_PER_S + bp_le32(packet + 4);
}

static uint64_t pcap_packet_dropped(const uint8_t *packet)
{
    (void)packet;
    return 0;
}

static size_t pcap_packet_with(uint8_t *to, const uint8_t *packet, uint64_t more)
{
    size_t len = pcap_packet_size(packet);

    (void)more;
    memcpy(to, packet, len);
    return len;
}

static size_t pcap_statistics(uint8_t *to, const struct totals *totals)
{
    (void)to;
    (void)totals;
    return 0;
}

const struct file_format format_pcap = {
    .header = pcap_header,
    .statistics = pcap_statistics,
    .packet = pcap_packet,
    .head = PCAP_HEAD,
    .packet_size = pcap_packet_size,
    .packet_time = pcap_packet_time,
    .packet_dropped = pcap_packet_dropped,
    .packet_with = pcap_packet_with,
};

/* ---- both ---- */

struct span span_of(const struct file_format *format, const uint8_t *at, size_t len, uint64_t room)
{
    struct span s = {0};

    while (s.len < len) {
        size_t size = format->packet_size(at + s.len);

        if (size > room - s.len)
            break;
        s.last = at + s.len;
        s.len += size;
        s.packets++;
    }
    return s;
}
