/* SPDX-License-Identifier: MIT
 *
 * net-pcap/pcapng.c - encodes sections of pcapng (draft-ietf-opsawg-pcapng): a section header, one
 * interface description, enhanced packets and interface statistics; and the classic format, where
 * there is a header and packets only.
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

static void put_bytes(struct block *b, const void *data, size_t len)
{
    static const uint8_t zeroes[4];

    if (len)
        memcpy(b->at + b->len, data, len);
    b->len += len;
    memcpy(b->at + b->len, zeroes, -len & 3u);
    b->len += -len & 3u;
}

static void block_begin(struct block *b, uint8_t *at, uint32_t type)
{
    b->at = at;
    b->len = 0;
    put32(b, type);
    put32(b, 0); /* its length: block_end() */
}

static size_t block_end(struct block *b)
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
static void tell_offloads(const struct record *r, char *text, size_t size)
{
    static const char *const kinds[] = {
        [1] = "TCP over IPv4", [3] = "UDP fragments", [4] = "TCP over IPv6", [5] = "UDP"};
    uint32_t kind = r->gso_type & 0x7fu; /* less VIRTIO_NET_HDR_GSO_ECN */
    size_t len = 0;

    text[0] = '\0';
    if (r->flags & 1u)
        len = (size_t)snprintf(text, size, "checksum at byte %u is to be filled in over %u and up",
                               r->csum_start + (uint32_t)r->csum_offset, (uint32_t)r->csum_start);
    if (kind)
        snprintf(text + len, size - len, "%sto be cut into segments of %u bytes (%s)",
                 len ? "; " : "", (uint32_t)r->gso_size,
                 kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind] ? kinds[kind] : "unknown");
}

static size_t pcapng_packet(uint8_t *to, const struct record *r, const uint8_t *data)
{
    char comment[160];
    uint8_t flags[4];
    struct block b;

    block_begin(&b, to, BLOCK_PACKET);
    put32(&b, 0); /* the first interface, and the only one */
    put_time(&b, r->when_ns);
    put32(&b, r->caplen);
    put32(&b, r->len);
    put_bytes(&b, data, r->caplen);
    tell_offloads(r, comment, sizeof(comment));
    if (comment[0])
        option_text(&b, OPT_COMMENT, comment);
    bp_put_le32(flags, r->direction);
    option(&b, EPB_FLAGS, flags, sizeof(flags));
    if (r->dropped)
        option_64(&b, EPB_DROPCOUNT, r->dropped);
    option(&b, OPT_END, NULL, 0);
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
    .header = pcapng_header, .packet = pcapng_packet, .statistics = pcapng_statistics};

/* ---- classic ------------------------------------------------------------------------------------
 */

#define MAGIC_NANOSECONDS 0xa1b23c4du
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

static size_t pcap_packet(uint8_t *to, const struct record *r, const uint8_t *data)
{
    struct block b = {.at = to, .len = 0};

    put32(&b, (uint32_t)(r->when_ns / NS_PER_S));
    put32(&b, (uint32_t)(r->when_ns % NS_PER_S));
    put32(&b, r->caplen);
    put32(&b, r->len);
    memcpy(to + b.len, data, r->caplen);
    return b.len + r->caplen;
}

static size_t pcap_statistics(uint8_t *to, const struct totals *totals)
{
    (void)to;
    (void)totals;
    return 0;
}

const struct file_format format_pcap = {
    .header = pcap_header, .packet = pcap_packet, .statistics = pcap_statistics};
