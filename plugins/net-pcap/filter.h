/* SPDX-License-Identifier: MIT
 *
 * net-pcap/filter.h - a filter in libpcap's language, and what it needs: a frame in one piece.
 */
#ifndef NET_PCAP_FILTER_H
#define NET_PCAP_FILTER_H

#include <backplane/net.h>
#include <pcap/pcap.h>

struct filter {
    struct bpf_program program;
    uint8_t *scratch; /* FRAME_MAX bytes, for frames in pieces */
    uint8_t used;
};

/* Compiles `text`; NULL matches everything. -errno after host->fail(). [main] */
int filter_init(struct filter *f, const struct bp_host *host, struct bp_node *node,
                const char *text);
void filter_end(struct filter *f);

/* Nonzero if the frame of `len` bytes matches. [dom] */
int filter_matches(const struct filter *f, const struct bp_frame *frame, uint64_t len);

#endif
