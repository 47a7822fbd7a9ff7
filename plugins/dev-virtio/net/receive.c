/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net/receive.c - frames to the guest (virtio 1.2, 5.1.6.3 and 5.1.6.4), and which of
 * them it wants (5.1.6.5.1 to 5.1.6.5.3).
 *
 * With mergeable buffers a frame may fill several chains, which become used at the same moment;
 * without, one that does not fit its chain is dropped. When there are not enough buffers they stay
 * as they are, the backend keeps the frame, and is told when the guest gives more.
 */
#include "net/net.h"

#include <backplane/util/le.h>
#include <backplane/util/offload.h>
#include <errno.h>
#include <string.h>

#define VLAN_TAG 0x8100u
#define DESTINATION_AND_TAG 18u

/* ---- filter ---- */

static int is_listed(const uint8_t *list, uint32_t count, const uint8_t *mac)
{
    for (uint32_t i = 0; i < count; i++)
        if (!memcmp(list + 6 * (size_t)i, mac, 6))
            return 1;
    return 0;
}

static int is_wanted(const struct net *net, const uint8_t *start, uint64_t len)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (net->vlan_filter && len >= DESTINATION_AND_TAG && bp_be16(start + 12) == VLAN_TAG) {
        uint32_t vid = bp_be16(start + 14) & 0xfffu;

        if (!(net->vlans[vid / 64] >> (vid % 64) & 1))
            return 0;
    }
    if (net->rx_modes & RX_PROMISC)
        return 1;
    if (!memcmp(start, broadcast, 6))
        return !(net->rx_modes & RX_NOBCAST);
    if (start[0] & 1) {
        if (net->rx_modes & RX_NOMULTI)
            return 0;
        return net->rx_modes & RX_ALLMULTI || net->all_multicast ||
               is_listed(net->multicast, net->multicast_count, start);
    }
    if (net->rx_modes & RX_NOUNI)
        return 0;
    return net->rx_modes & RX_ALLUNI || net->all_unicast || !memcmp(net->mac, start, 6) ||
           is_listed(net->unicast, net->unicast_count, start);
}

void net_filter_reset(struct net *net)
{
    net->rx_modes = 0;
    net->all_unicast = net->all_multicast = 0;
    net->unicast_count = net->multicast_count = 0;
    net->vlan_filter = 0;
    memset(net->vlans, 0, sizeof(net->vlans));
    /* Without the commands to say what it wants, the guest gets all that comes. */
    if (!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_RX))
        net->rx_modes = RX_PROMISC;
    net->vlan_filter = (uint8_t)virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_VLAN);
    memcpy(net->mac, net->virtio.config + NET_mac, 6);
}

/* ---- frames ---- */

static uint64_t length_of(const struct bp_frame *frame)
{
    uint64_t len = 0;

    for (uint32_t i = 0; i < frame->nbufs; i++)
        if (__builtin_add_overflow(len, frame->bufs[i].len, &len))
            return UINT64_MAX;
    return len;
}

/* Writes up to `len` bytes of the frame from `from` on to the chain at `at`. */
static int put(const struct queue *q, const struct chain *c, uint32_t at,
               const struct bp_frame *frame, uint64_t from, uint32_t len)
{
    for (uint32_t i = 0; i < frame->nbufs && len; i++) {
        const struct bp_buf *b = &frame->bufs[i];
        uint32_t n;

        if (from >= b->len) {
            from -= b->len;
            continue;
        }
        n = b->len - from < len ? (uint32_t)(b->len - from) : len;
        if (chain_write(q, c, at, (const uint8_t *)b->data + from, n) != n)
            return -EFAULT;
        from = 0;
        at += n;
        len -= n;
    }
    return 0;
}

static void fill_header(uint8_t raw[NET_HEADER_BYTES], const struct bp_frame *frame)
{
    raw[HDR_flags] = frame->flags & (HDR_F_NEEDS_CSUM | HDR_F_DATA_VALID);
    raw[HDR_gso_type] = frame->gso_type;
    bp_put_le16(raw + HDR_hdr_len, frame->hdr_len);
    bp_put_le16(raw + HDR_gso_size, frame->gso_size);
    bp_put_le16(raw + HDR_csum_start, frame->csum_start);
    bp_put_le16(raw + HDR_csum_offset, frame->csum_offset);
    bp_put_le16(raw + HDR_num_buffers, 1);
}

/* Puts the frame into chains of queue `n` and stages them. 0; -EAGAIN: not enough chains; else it
 * is to be dropped. */
static int fill(struct net *net, uint32_t n, const struct bp_frame *frame, uint64_t len)
{
    struct virtio *v = &net->virtio;
    struct queue *q = &v->queues[n];
    int merges = virtio_has(v, VIRTIO_NET_F_MRG_RXBUF);
    uint8_t raw[NET_HEADER_BYTES];
    struct chain first, more;
    uint64_t done = 0;
    uint32_t count = 0;

    fill_header(raw, frame);
    do {
        struct chain *c = count ? &more : &first;
        uint32_t skip = count ? 0 : NET_HEADER_BYTES, room;
        int got = queue_pop(q, c);

        if (!got) /* if it holds all that the queue can, no more will come */
            return q->in_flight < q->size ? -EAGAIN : -EMSGSIZE;
        if (got < 0)
            return got;
        if (c->writable_bytes <= skip)
            return -EINVAL;
        room = c->writable_bytes - skip;
        if (room > len - done)
            room = (uint32_t)(len - done);
        if (put(q, c, skip, frame, done, room) || queue_stage(q, c->id, c->slots, skip + room))
            return -EINVAL;
        done += room;
        count++;
    } while (done < len && merges);
    if (done < len)
        return -EMSGSIZE;
    bp_put_le16(raw + HDR_num_buffers, (uint16_t)count);
    return chain_write(q, &first, 0, raw, sizeof(raw)) == sizeof(raw) ? 0 : -EINVAL;
}

/* Undoes the header-only checks of a frame that a backend should not have given. */
static int is_acceptable(const struct net *net, const struct bp_frame *frame, uint64_t len)
{
    uint32_t on = net->guest_offloads;

    if (len < 14 || len > NET_FRAME_MAX)
        return 0;
    if (frame->flags & HDR_F_NEEDS_CSUM && !(on & BIT(VIRTIO_NET_F_GUEST_CSUM)))
        return 0;
    return frame->gso_type == BP_GSO_NONE ||
           on & (BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
                 BIT(VIRTIO_NET_F_GUEST_UFO));
}

/* Puts a frame into queue `n`, which is published by the caller. As bp_net_port.receive(). */
static int receive(struct net *net, uint32_t n, const struct bp_frame *frame)
{
    struct virtio *v = &net->virtio;
    uint32_t pair = n / 2;
    uint64_t len = length_of(frame);
    uint8_t start[DESTINATION_AND_TAG] = {0};
    uint32_t have = 0;
    struct queue_mark mark;
    int err;

    if (!virtio_live(v, n))
        return -ENETDOWN;
    if (!is_acceptable(net, frame, len))
        return -EINVAL;
    for (uint32_t i = 0; i < frame->nbufs && have < sizeof(start); i++)
        for (uint64_t k = 0; k < frame->bufs[i].len && have < sizeof(start); k++)
            start[have++] = ((const uint8_t *)frame->bufs[i].data)[k];
    if (!is_wanted(net, start, len))
        return -EADDRNOTAVAIL;
    mark = queue_mark(&v->queues[n]);
    err = fill(net, n, frame, len);
    if (err && err != -EPROTO && mark.staged_count) {
        /* Frames before this one have chains that the guest was not told of, and may be the reason.
         */
        queue_rewind(&v->queues[n], &mark);
        virtio_publish(v, n);
        mark = queue_mark(&v->queues[n]);
        err = virtio_live(v, n) ? fill(net, n, frame, len) : -ENETDOWN;
    }
    /* The place from where on the guest has to notify is behind the chains that were too few: it
     * has given those. What it gives meanwhile makes each round longer than the last, and none
     * longer than the queue. */
    while (err == -EAGAIN && queue_arm(&v->queues[n])) {
        queue_rewind(&v->queues[n], &mark);
        err = fill(net, n, frame, len);
    }
    if (err == -EAGAIN) {
        queue_rewind(&v->queues[n], &mark);
        net->held |= 1u << pair;
        return err;
    }
    if (err == -EPROTO) {
        virtio_broken(v, v->queues[n].error);
    } else if (err == -ENETDOWN) {
        return err;
    } else if (err) {
        queue_rewind(&v->queues[n], &mark);
        virtio_guest(v, "a frame was dropped: the guest's buffers are too small, or not in RAM");
    }
    return err;
}

int net_receive(void *self, uint32_t queue, const struct bp_frame *frame)
{
    struct net *net = self;
    struct virtio *v = &net->virtio;
    uint32_t n = 2 * (queue < net->pairs ? queue : 0);
    int err = receive(net, n, frame);

    net->heard |= 1u << n / 2;
    /* The guest is told of frames that come one after the other together, but is not to be idle
     * until its queue is full. */
    if (v->queues[n].staged_count &&
        (!frame->more || err == -EAGAIN || v->queues[n].staged_count == QUEUE_STAGED))
        virtio_publish(v, n);
    return err;
}

void net_resume(struct net *net, uint32_t pair)
{
    const struct bp_net *ops = net->backend.ops;

    if (!(net->held & 1u << pair))
        return;
    net->held &= ~(1u << pair);
    ops->resume(net->backend.self, pair);
}
