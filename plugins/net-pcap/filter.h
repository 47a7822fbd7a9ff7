/* SPDX-License-Identifier: MIT
 *
 * net-pcap/filter.h - a filter in libpcap's language, and what it needs: a frame in one piece.
 */
#ifndef NET_PCAP_FILTER_H
#define NET_PCAP_FILTER_H

#include <backplane/net.h>
#include <pcap/pcap.h>
#include <string.h>

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

/* Bytes of a frame; saturates. */
static inline uint64_t frame_len(const struct bp_frame *frame)
{
    uint64_t len = 0;

    if (frame->nbufs == 1) /* as nearly always */
        return frame->bufs[0].len;
    for (uint32_t i = 0; i < frame->nbufs; i++)
        if (__builtin_add_overflow(len, frame->bufs[i].len, &len))
            return UINT64_MAX;
    return len;
}

/* Copies up to `room` bytes of a frame; returns how many. */
static inline uint32_t frame_copy(const struct bp_frame *frame, uint8_t *to, uint32_t room)
{
    uint32_t done = 0;

    if (frame->nbufs && frame->bufs[0].len >= room) { /* likewise */
        memcpy(to, frame->bufs[0].data, room);
        return room;
    }
    for (uint32_t i = 0; i < frame->nbufs && done < room; i++) {
        uint64_t n = frame->bufs[i].len < room - done ? frame->bufs[i].len : room - done;

        if (n)
            memcpy(to + done, frame->bufs[i].data, n);
        done += (uint32_t)n;
    }
    return done;
}

#endif
