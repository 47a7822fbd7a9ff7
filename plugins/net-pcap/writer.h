/* SPDX-License-Identifier: MIT
 *
 * net-pcap/writer.h - the thread that writes the packets of a ring to an output.
 */
#ifndef NET_PCAP_WRITER_H
#define NET_PCAP_WRITER_H

#include "output.h"
#include "record.h"
#include "ring.h"

#include <pthread.h>

struct writer {
    const struct bp_host *host;
    struct bp_node *node;
    const struct file_format *format;
    struct file_info info;
    struct ring ring;
    struct output output;
    uint32_t flush_ms;

    /* The output is gone for good: records are no longer wanted. */
    _Atomic uint32_t ended;

    /* What the link counts: frames that passed, and those that the filter let through. */
    _Alignas(64) _Atomic uint64_t seen, accepted;

    _Alignas(64) pthread_t thread;
    uint8_t runs;
    _Atomic uint32_t stopping;

    /* The thread's own, or whose it is while that does not run. What is to be written next are
     * whole blocks of its own in `out`, then whole packets at the ring's oldest end. */
    uint8_t *out;
    size_t out_len, out_done;
    size_t out_packet;      /* bytes of the packet that they end with; 0: with none */
    size_t piece;           /* bytes of the ring */
    uint64_t piece_packets; /* in them */
    uint8_t has_header;     /* the file that is open begins as it should */
    uint8_t has_packets;    /* and it has packets */
    uint8_t out_has_header; /* `out` begins with a header */
    uint64_t written;       /* packets, in all files */
    uint64_t lost;          /* packets that could not be written */
    uint64_t untold;        /* frames that are missing for that, and that no packet has told yet */
    uint64_t last_ns;       /* timestamp of the newest packet */
    int error;              /* of the last write or open, -errno; 0: it was good */
    uint64_t told, told_ns; /* how many frames were missing when that was last said, and when */
};

/* Makes the ring and opens the output. -errno after host->fail(); writer_end() also then. [main] */
int writer_init(struct writer *w, const struct bp_host *host, struct bp_node *node,
                const struct capture_config *config);
void writer_end(struct writer *w);

/* Starts the thread; -errno after host->fail(). [main] */
int writer_start(struct writer *w);
/* Writes what the ring holds, gives up on a pipe whose reader stalls, and ends the thread. [main]
 */
void writer_stop(struct writer *w);

#endif
