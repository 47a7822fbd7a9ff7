/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net/transmit.c - frames from the guest (virtio 1.2, 5.1.6.2).
 *
 * A frame is copied out of the guest's memory before anything looks at it, so that neither this
 * file nor the backend sees it change. Checksums and large packets are handed on where the backend
 * takes them, and done here otherwise (util/offload.h). When the backend is full the chain stays
 * where it is, with a note of how many of its segments are gone.
 */
#include "net/net.h"

#include <backplane/util/le.h>
#include <backplane/util/offload.h>

#define ETHERNET_MIN 14u

struct header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

/* What the backend must take for this frame to be handed on as it is. */
static uint32_t needs(const struct header *h)
{
    uint32_t bits = h->flags & HDR_F_NEEDS_CSUM ? BP_NET_OFFLOAD_CSUM : 0;

    switch (h->gso_type & ~BP_GSO_ECN) {
    case BP_GSO_TCPV4:
        return bits | BP_NET_OFFLOAD_TSO4;
    case BP_GSO_TCPV6:
        return bits | BP_NET_OFFLOAD_TSO6;
    case BP_GSO_UDP:
        return bits | BP_NET_OFFLOAD_UFO;
    default:
        return bits;
    }
}

/* Did the driver accept the features that this header uses? */
static int is_negotiated(const struct virtio *v, const struct header *h)
{
    uint32_t kind = h->gso_type & ~BP_GSO_ECN;

    if (h->flags & HDR_F_NEEDS_CSUM && !virtio_has(v, VIRTIO_NET_F_CSUM))
        return 0;
    if (h->gso_type & BP_GSO_ECN && !virtio_has(v, VIRTIO_NET_F_HOST_ECN))
        return 0;
    return kind == BP_GSO_NONE || (kind == BP_GSO_TCPV4 && virtio_has(v, VIRTIO_NET_F_HOST_TSO4)) ||
           (kind == BP_GSO_TCPV6 && virtio_has(v, VIRTIO_NET_F_HOST_TSO6)) ||
           (kind == BP_GSO_UDP && virtio_has(v, VIRTIO_NET_F_HOST_UFO));
}

static int send(struct net *net, uint32_t pair, uint8_t *data, uint32_t len, const struct header *h)
{
    const struct bp_net *ops = net->backend.ops;
    const struct bp_buf buf = {.data = data, .len = len};
    const struct bp_frame frame = {.size = sizeof(frame),
                                   .nbufs = 1,
                                   .bufs = &buf,
                                   .flags = h->flags,
                                   .gso_type = h->gso_type,
                                   .hdr_len = h->hdr_len,
                                   .gso_size = h->gso_size,
                                   .csum_start = h->csum_start,
                                   .csum_offset = h->csum_offset};

    return ops->send(net->backend.self, pair, &frame, 1) != 0;
}

/* Sends what of the large packet is not sent yet; VIRTIO_HOLD if the backend is full. */
static int64_t send_segments(struct net *net, uint32_t pair, uint32_t len, const struct header *h)
{
    static const struct header plain;
    struct bp_segments s;

    /* A datagram's checksum spans all of its fragments. */
    if ((h->gso_type & ~BP_GSO_ECN) == BP_GSO_UDP && h->flags & HDR_F_NEEDS_CSUM &&
        bp_checksum_fill(net->frame, len, h->csum_start, h->csum_offset)) {
        virtio_guest(&net->virtio, "a frame whose checksum lies beyond it was dropped");
        return 0;
    }
    if (bp_segment_begin(&s, net->frame, len, h->gso_type, h->csum_start, h->gso_size) ||
        s.count > NET_SEGMENTS_MAX) {
        virtio_guest(&net->virtio, "a large packet that cannot be cut was dropped");
        return 0;
    }
    for (; net->segments[pair] < s.count; net->segments[pair]++) {
        uint32_t bytes = bp_segment(&s, net->segments[pair], net->out);

        if (!send(net, pair, net->out, bytes, &plain))
            return VIRTIO_HOLD;
        net->virtio.work++;
    }
    return 0;
}

static int64_t send_frame(struct net *net, uint32_t pair, uint32_t len, struct header *h)
{
    if (needs(h) & ~net->sends) {
        if (h->gso_type != BP_GSO_NONE)
            return send_segments(net, pair, len, h);
        if (bp_checksum_fill(net->frame, len, h->csum_start, h->csum_offset)) {
            virtio_guest(&net->virtio, "a frame whose checksum lies beyond it was dropped");
            return 0;
        }
        *h = (struct header){0};
    }
    return send(net, pair, net->frame, len, h) ? 0 : VIRTIO_HOLD;
}

/* Fields of a header that a backend may rely upon. */
static const char *check(const struct virtio *v, const struct header *h, uint32_t len)
{
    if (!is_negotiated(v, h))
        return "a frame that asks for an offload which was not negotiated was dropped";
    if (h->gso_type != BP_GSO_NONE && (!h->gso_size || !(h->flags & HDR_F_NEEDS_CSUM)))
        return "a large packet without a segment size or a checksum to compute was dropped";
    if (h->flags & HDR_F_NEEDS_CSUM &&
        (h->csum_start >= len || h->csum_offset + 2u > len - h->csum_start))
        return "a frame whose checksum lies beyond it was dropped";
    return NULL;
}

int64_t net_transmit(struct net *net, uint32_t n, const struct chain *c)
{
    struct virtio *v = &net->virtio;
    struct queue *q = &v->queues[n];
    uint8_t raw[NET_HEADER_BYTES];
    uint32_t len = c->readable_bytes - NET_HEADER_BYTES, pair = n / 2;
    struct header h;
    const char *wrong;
    int64_t done;

    if (c->readable_bytes < NET_HEADER_BYTES + ETHERNET_MIN || len > NET_FRAME_MAX ||
        chain_read(q, c, 0, raw, sizeof(raw)) != sizeof(raw) ||
        chain_read(q, c, NET_HEADER_BYTES, net->frame, len) != len) {
        virtio_guest(v, "a frame that is too short, too long or not in RAM was dropped");
        return 0;
    }
    h = (struct header){.flags = raw[HDR_flags] & HDR_F_NEEDS_CSUM, /* the others are ignored */
                        .gso_type = raw[HDR_gso_type],
                        .hdr_len = bp_le16(raw + HDR_hdr_len),
                        .gso_size = bp_le16(raw + HDR_gso_size),
                        .csum_start = bp_le16(raw + HDR_csum_start),
                        .csum_offset = bp_le16(raw + HDR_csum_offset)};
    wrong = check(v, &h, len);
    if (wrong) {
        virtio_guest(v, wrong);
        return 0;
    }
    if (!net->backend.ops || pair >= net->pairs)
        return 0; /* no cable; or a pair that is not in use (5.1.6.5.5) */
    if (!(h.flags & HDR_F_NEEDS_CSUM))
        h.csum_start = h.csum_offset = 0;
    if (h.gso_type == BP_GSO_NONE)
        h.gso_size = h.hdr_len = 0;
    else if (h.hdr_len > len)
        h.hdr_len = (uint16_t)len; /* a hint (5.1.6.2.1) */
    done = send_frame(net, pair, len, &h);
    if (done != VIRTIO_HOLD)
        net->segments[pair] = 0;
    return done;
}
