/* SPDX-License-Identifier: MIT
 *
 * net-pcap/writer.h - the thread that takes records out of a ring and writes them to an output.
 */
#ifndef NET_PCAP_WRITER_H
#define NET_PCAP_WRITER_H

#include "output.h"
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

    /* What the link counts: frames that passed, and those that the filter let through. */
    _Atomic uint64_t seen, accepted;
    /* The output is gone for good: records are no longer wanted. */
    _Atomic uint32_t ended;

    pthread_t thread;
    uint8_t runs;
    _Atomic uint32_t stopping;

    /* The thread's own, or whose it is while that does not run. */
    uint8_t *out; /* whole blocks that wait to be written */
    size_t out_len, out_done;
    uint64_t out_records;   /* packets among them */
    uint64_t out_told;      /* frames that they tell are missing */
    uint8_t has_header;     /* the file that is open begins as it should */
    uint8_t has_records;    /* and it has packets */
    uint8_t out_has_header; /* `out` begins with a header */
    uint64_t written;       /* packets, in all files */
    uint64_t lost;          /* packets that could not be written */
    uint64_t lost_before;   /* of these, the ones that no later packet has told yet */
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
