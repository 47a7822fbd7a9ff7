/* SPDX-License-Identifier: MIT
 *
 * net-pcap/record.h - one frame on its way from a link to the file, and the two formats of files.
 *
 * pcapng: draft-ietf-opsawg-pcapng (block types, options); pcap: draft-ietf-opsawg-pcap with the
 * magic number of nanoseconds. Both are written in little-endian order.
 */
#ifndef NET_PCAP_RECORD_H
#define NET_PCAP_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_INBOUND 1u  /* to the guest: the values of epb_flags' direction */
#define RECORD_OUTBOUND 2u /* from the guest */

#define RING_PADDING UINT32_MAX /* `caplen` of what only fills the end of the ring */

/* In the ring, followed by `caplen` bytes of the frame. */
struct record {
    uint32_t total;  /* bytes of header, data and alignment: a multiple of 8 */
    uint32_t caplen; /* of the frame that follow */
    uint32_t len;    /* of the frame on the link */
    uint16_t direction;
    uint8_t flags, gso_type; /* of struct bp_frame */
    uint16_t gso_size, csum_start, csum_offset;
    uint16_t reserved;
    uint64_t when_ns; /* since 1970, or since power-on */
    uint64_t dropped; /* frames that the buffer had no room for, since the record before */
};

/* What a file says of itself. */
struct file_info {
    const char *link;   /* the interface's name: the section's */
    const char *filter; /* or NULL */
    uint32_t snaplen;
    uint32_t guest_time; /* timestamps count from power-on */
};

/* Totals of a link, for the interface statistics block. */
struct totals {
    uint64_t seen, accepted, dropped, written; /* frames */
    uint64_t when_ns;
};

/* Bytes that a header, a packet beyond its data, or statistics take at most. */
#define BLOCK_EXTRA ((size_t)2048)

/* Each writes whole blocks at `to`, where BLOCK_EXTRA bytes and the frame fit, and returns how many
 * bytes they take. A format without statistics returns 0. */
struct file_format {
    size_t (*header)(uint8_t *to, const struct file_info *info);
    size_t (*packet)(uint8_t *to, const struct record *record, const uint8_t *data);
    size_t (*statistics)(uint8_t *to, const struct totals *totals);
};

extern const struct file_format format_pcapng, format_pcap;

#endif
