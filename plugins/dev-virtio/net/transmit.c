/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net/transmit.c - frames from the guest (virtio 1.2, 5.1.6.2).
 *
 * A frame is copied out of the guest's memory before anything looks at it, so that neither this
 * file nor the backend sees it change. Checksums and large packets are handed on where the backend
 * takes them, and done here otherwise (util/finish.h). When the backend is full the chain stays
 * where it is, with a note of how many of its segments are gone.
 */
#include "net/net.h"

#include <backplane/util/finish.h>
#include <backplane/util/le.h>

#define ETHERNET_MIN 14u

struct header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

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

static int send(struct net *net, uint32_t pair, const uint8_t *data, uint32_t len,
                const struct header *h)
{
    const struct bp_net *ops = net->backend.ops;
    struct bp_buf buf = {.len = len};
    const struct bp_frame frame = {.size = sizeof(frame),
                                   .nbufs = 1,
                                   .bufs = &buf,
                                   .flags = h->flags,
                                   .gso_type = h->gso_type,
                                   .hdr_len = h->hdr_len,
                                   .gso_size = h->gso_size,
                                   .csum_start = h->csum_start,
                                   .csum_offset = h->csum_offset};

    memcpy(&buf.data, &data, sizeof(data)); /* bp_buf is for both directions */
    return ops->send(net->backend.self, pair, &frame, 1) != 0;
}

/* Does what the backend does not take, and sends what of it is not sent yet; VIRTIO_HOLD if the
 * backend is full. */
static int64_t send_finished(struct net *net, uint32_t pair, uint32_t len, const struct header *h)
{
    static const struct header plain;
    struct bp_finish f;

    if (bp_finish_begin(&f, net->frame, len, h->flags, h->gso_type, h->gso_size, h->csum_start,
                        h->csum_offset)) {
        virtio_guest(&net->virtio, h->gso_type != BP_GSO_NONE
                                       ? "a large packet that cannot be cut was dropped"
                                       : "a frame whose checksum lies beyond it was dropped");
        return 0;
    }
    for (; net->segments[pair] < f.count; net->segments[pair]++) {
        uint32_t bytes;
        const uint8_t *data = bp_finish_frame(&f, net->segments[pair], net->out, &bytes);

        if (!send(net, pair, data, bytes, &plain))
            return VIRTIO_HOLD;
        net->virtio.work += f.count > 1;
    }
    return 0;
}

static int64_t send_frame(struct net *net, uint32_t pair, uint32_t len, const struct header *h)
{
    if (bp_offloads_needed(h->flags, h->gso_type) & ~net->sends)
        return send_finished(net, pair, len, h);
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
    if (!net->backend.ops || pair >= net->pairs) {
        net->segments[pair] = 0;
        return 0; /* no cable; or a pair that is not in use (5.1.6.5.5) */
    }
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
