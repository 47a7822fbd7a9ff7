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

/* What frames have in common whose packets end alike. */
struct kind {
    uint8_t flags, gso_type; /* of struct bp_frame */
    uint16_t gso_size, csum_start, csum_offset;
    uint32_t direction; /* RECORD_* */
};

/* What is recorded of a frame beside its bytes. */
struct record {
    struct kind kind;
    uint32_t caplen;  /* bytes of the frame that are kept */
    uint32_t len;     /* bytes of the frame on the link */
    uint64_t when_ns; /* since 1970, or since power-on */
    uint64_t dropped; /* frames that the buffer had no room for, since the record before */
};

/* The end of a packet of each kind of frame, of which a link has few at a time: it is made once and
 * copied from then on. All zero: nothing is known yet. */
#define TAILS 8u
#define TAIL_MAX 192u /* bytes */

struct tail {
    struct kind kind;
    uint32_t len; /* bytes at `data`; 0: empty */
    uint8_t data[TAIL_MAX];
};

struct tails {
    struct tail known[TAILS];
    const struct tail *recent[2]; /* of the newest packet each way, or NULL */
    uint32_t next;                /* the one that is given up for another kind */
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

/* Bytes that a header or statistics take at most. */
#define BLOCK_EXTRA ((size_t)2048)
/* Bytes that a packet takes at most beyond its frame's. */
#define PACKET_EXTRA ((size_t)TAIL_MAX + 64)

/* How files are written. Where a function gets a packet, that is a whole one which packet() made.
 */
struct file_format {
    /* Write whole blocks at `to`, where BLOCK_EXTRA bytes fit, and return how many bytes they take.
     * A format without statistics returns 0. */
    size_t (*header)(uint8_t *to, const struct file_info *info);
    size_t (*statistics)(uint8_t *to, const struct totals *totals);

    /* Makes a packet at `to`, where PACKET_EXTRA bytes and the frame fit, around the `caplen` bytes
     * of the frame, which stand at to + `head` already. Returns how many bytes it takes. */
    size_t (*packet)(uint8_t *to, const struct record *record, struct tails *tails);
    size_t head;

    /* Bytes that a packet takes; when it was; how many frames before it it says are missing. */
    size_t (*packet_size)(const uint8_t *packet);
    uint64_t (*packet_time)(const uint8_t *packet);
    uint64_t (*packet_dropped)(const uint8_t *packet);
    /* Makes a copy of a packet at `to`, where PACKET_EXTRA bytes and the frame fit, that says
     * `more` frames are missing beside those that it speaks of. Returns how many bytes it takes. */
    size_t (*packet_with)(uint8_t *to, const uint8_t *packet, uint64_t more);
};

extern const struct file_format format_pcapng, format_pcap;

/* Packets one after the other. */
struct span {
    size_t len; /* bytes */
    uint64_t packets;
    const uint8_t *last; /* NULL: there are none */
};

/* As many whole packets from `at` on, where `len` bytes are whole packets, as are no more than
 * `room` bytes. */
struct span span_of(const struct file_format *format, const uint8_t *at, size_t len, uint64_t room);

#endif
