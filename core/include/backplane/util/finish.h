/* SPDX-License-Identifier: MIT
 *
 * backplane/util/finish.h - what a frame's sender left to its receiver, done here for receivers
 * that do not take it: the checksum filled in, a large packet cut. One frame becomes one or more
 * plain ones.
 */
#ifndef BACKPLANE_UTIL_FINISH_H
#define BACKPLANE_UTIL_FINISH_H

#include "../net.h"
#include "offload.h"

/* flags, as in struct virtio_net_hdr (virtio 1.2, 5.1.6). */
#define BP_HDR_NEEDS_CSUM 1u

#define BP_FINISH_FRAMES_MAX 1024u /* that one large packet is cut into; more is refused */

/* What a receiver must take to be given such a frame as it is: BP_NET_OFFLOAD_*; UINT32_MAX if
 * there is no such kind of segmentation. */
static inline uint32_t bp_offloads_needed(uint32_t flags, uint32_t gso_type)
{
    uint32_t bits = flags & BP_HDR_NEEDS_CSUM ? BP_NET_OFFLOAD_CSUM : 0;

    switch (gso_type & ~BP_GSO_ECN) {
    case BP_GSO_NONE:
        return bits;
    case BP_GSO_TCPV4:
        return bits | BP_NET_OFFLOAD_TSO4;
    case BP_GSO_TCPV6:
        return bits | BP_NET_OFFLOAD_TSO6;
    case BP_GSO_UDP:
        return bits | BP_NET_OFFLOAD_UFO;
    default:
        return UINT32_MAX;
    }
}

/* A frame that is being finished; filled by bp_finish_begin(). */
struct bp_finish {
    struct bp_segments segments;
    const uint8_t *data; /* the frame */
    uint32_t len, count; /* bytes of it; plain frames that there will be, at least 1 */
    uint32_t cut;        /* it is cut; 0: it is plain now */
    uint32_t reserved;
};

/* Prepares to make plain frames of the `len` bytes at `data`, which may be changed and must stay
 * until the last bp_finish_frame(). The other arguments are those of struct bp_frame. -1 if the
 * headers do not say what the arguments do, or there would be more than BP_FINISH_FRAMES_MAX. */
static inline int bp_finish_begin(struct bp_finish *f, uint8_t *data, uint32_t len, uint32_t flags,
                                  uint32_t gso_type, uint32_t gso_size, uint32_t csum_start,
                                  uint32_t csum_offset)
{
    uint32_t kind = gso_type & ~BP_GSO_ECN;

    memset(f, 0, sizeof(*f));
    f->data = data;
    f->len = len;
    f->count = 1;
    /* Of a datagram that becomes fragments, the checksum spans all of them. */
    if (flags & BP_HDR_NEEDS_CSUM && (kind == BP_GSO_NONE || kind == BP_GSO_UDP) &&
        bp_checksum_fill(data, len, csum_start, csum_offset))
        return -1;
    if (kind == BP_GSO_NONE)
        return 0;
    if (bp_segment_begin(&f->segments, data, len, gso_type, csum_start, gso_size))
        return -1;
    f->cut = 1;
    f->count = f->segments.count;
    return f->count > BP_FINISH_FRAMES_MAX ? -1 : 0;
}

/* Plain frame `index`, below f->count: its bytes, at `room`, which has room for the frame as it was
 * given to bp_finish_begin() and BP_SEGMENT_EXTRA bytes, or where the frame was. *len is how many.
 */
static inline const uint8_t *bp_finish_frame(const struct bp_finish *f, uint32_t index,
                                             uint8_t *room, uint32_t *len)
{
    if (!f->cut) {
        *len = f->len;
        return f->data;
    }
    *len = bp_segment(&f->segments, index, room);
    return room;
}

#endif
