/* SPDX-License-Identifier: MIT
 *
 * net-pcap/net_pcap.h - the config structs that the host fills, one per model, and the models'
 * tables.
 */
#ifndef NET_PCAP_NET_PCAP_H
#define NET_PCAP_NET_PCAP_H

#include <backplane/plugin.h>

/* The longest frame that is read or written, bytes: what libpcap takes for a snapshot's limit. */
#define FRAME_MAX 262144u

#define FORMAT_AUTO 0u /* pcap if the file's name ends with .pcap or .cap, otherwise pcapng */
#define FORMAT_PCAPNG 1u
#define FORMAT_PCAP 2u

#define TIME_HOST 0u  /* timestamps are the host's wall clock */
#define TIME_GUEST 1u /* timestamps are guest time, from power-on */

#define CHECKSUMS_KEEP 0u /* frames are recorded as they pass */
#define CHECKSUMS_FILL 1u /* a checksum that the receiver is to fill in is filled in */

struct capture_config {
    struct bp_node *net; /* the backend behind */
    const char *file;
    const char *filter;   /* or NULL: everything */
    uint64_t buffer;      /* bytes */
    uint64_t rotate_size; /* bytes; 0: never */
    uint32_t format;      /* FORMAT_* */
    uint32_t time;        /* TIME_* */
    uint32_t checksums;   /* CHECKSUMS_* */
    uint32_t snaplen;     /* bytes of a frame that are kept */
    uint32_t flush;       /* ms */
    uint32_t rotate_time; /* s; 0: never */
    uint32_t keep;        /* files; 0: all */
    uint8_t segment;      /* large packets are cut, and checksums filled in, in the file */
    uint8_t reserved[3];
};

struct replay_config {
    const char *file;
    const char *speed;          /* "1", "0.5", "10", "max" */
    struct bp_list rewrite_mac; /* of "A>B" */
    struct bp_list rewrite_ip;  /* of "A>B" */
    uint32_t delay;             /* ms of guest time before the first frame */
    uint8_t loop;
    uint8_t source_mac[6], destination_mac[6]; /* all zero: as in the file */
    uint8_t reserved[7];
};

struct live_config {
    const char *ifname;
    uint64_t buffer; /* bytes, of the kernel's */
    uint8_t promiscuous;
    uint8_t reserved[7];
};

extern const struct bp_instance_ops capture_ops, replay_ops, live_ops;

#endif
