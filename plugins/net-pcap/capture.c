/* SPDX-License-Identifier: MIT
 *
 * net-pcap/capture.c - the model `capture`: stands in a link and records what passes.
 *
 * To the NIC it is a network ("bp.net/1"), to the network behind it a NIC (a port). Everything is
 * handed on as it came: frames, back-pressure, offloads, queues, the carrier. A frame is recorded
 * when the other side has taken it, into a ring that a thread of its own empties (writer.c); a
 * record that finds no room is dropped, and the frame is not.
 *
 * The frames lie in memory that a guest may change meanwhile: what is recorded can differ from what
 * is sent, when a guest wants that.
 */
#include "filter.h"
#include "writer.h"

#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEEDS_CSUM 1u /* VIRTIO_NET_HDR_F_NEEDS_CSUM */

struct capture {
    const struct bp_host *host;
    struct bp_node *node;
    const struct capture_config *config;
    struct bp_peer net;             /* the backend: its struct bp_net */
    const struct bp_net_port *port; /* the NIC; NULL: none is attached */
    void *port_self;
    struct filter filter;
    struct writer writer;
};

/* ---- records ---- */

static uint64_t now(const struct capture *c)
{
    return c->config->time == TIME_GUEST ? c->host->clock_ns(c->node) : c->host->utc_ns(c->node);
}

/* The one's complement sum of the frame's bytes from `start` on, folded to 16 bits (RFC 1071). */
static uint16_t sum_from(const struct bp_frame *frame, uint64_t start)
{
    uint64_t sum = 0, at = 0;

    for (uint32_t i = 0; i < frame->nbufs; i++) {
        const uint8_t *data = frame->bufs[i].data;

        for (uint64_t k = 0; k < frame->bufs[i].len; k++, at++)
            if (at >= start)
                sum += (uint64_t)data[k] << (((at - start) & 1) ? 0 : 8);
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Fills in what the sender left to the receiver, in the record only. */
static void fill_checksum(struct record *r, uint8_t *data, const struct bp_frame *frame)
{
    uint64_t at = (uint64_t)r->csum_start + r->csum_offset;
    uint16_t sum;

    if (!(r->flags & NEEDS_CSUM) || at + 2 > r->caplen)
        return;
    sum = (uint16_t)~sum_from(frame, r->csum_start);
    if (!sum)
        sum = 0xffff; /* of UDP, 0 means none; of TCP both are the same */
    data[at] = (uint8_t)(sum >> 8);
    data[at + 1] = (uint8_t)sum;
    r->flags &= (uint8_t)~NEEDS_CSUM;
}

static void record(struct capture *c, const struct bp_frame *frame, uint16_t direction,
                   uint64_t when_ns)
{
    struct writer *w = &c->writer;
    uint64_t len = frame_len(frame);
    uint32_t caplen = len < c->config->snaplen ? (uint32_t)len : c->config->snaplen;
    struct record *r;

    if (atomic_load_explicit(&w->ended, memory_order_relaxed))
        return;
    atomic_fetch_add_explicit(&w->seen, 1, memory_order_relaxed);
    if (!filter_matches(&c->filter, frame, len))
        return;
    atomic_fetch_add_explicit(&w->accepted, 1, memory_order_relaxed);
    r = ring_reserve(&w->ring, caplen);
    if (!r)
        return;
    r->len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
    r->direction = direction;
    r->flags = frame->flags;
    r->gso_type = frame->gso_type;
    r->gso_size = frame->gso_size;
    r->csum_start = frame->csum_start;
    r->csum_offset = frame->csum_offset;
    r->when_ns = when_ns;
    frame_copy(frame, (uint8_t *)(r + 1), caplen);
    if (c->config->checksums == CHECKSUMS_FILL)
        fill_checksum(r, (uint8_t *)(r + 1), frame);
    ring_add(&w->ring, r);
}

/* ---- the network, to the NIC ---- */

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct capture *c = self;

    if (c->port)
        return -EBUSY;
    c->port = port;
    c->port_self = port_self;
    return 0;
}

static uint32_t offloads(void *self)
{
    const struct capture *c = self;

    return ((const struct bp_net *)c->net.ops)->offloads(c->net.self);
}

static int set_offloads(void *self, uint32_t bits)
{
    const struct capture *c = self;

    return ((const struct bp_net *)c->net.ops)->set_offloads(c->net.self, bits);
}

static uint32_t send_frames(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    struct capture *c = self;
    uint64_t when_ns = now(c);
    uint32_t taken = ((const struct bp_net *)c->net.ops)->send(c->net.self, queue, frames, count);

    for (uint32_t i = 0; i < taken && i < count; i++)
        record(c, bp_frame_at(frames, i), RECORD_OUTBOUND, when_ns);
    return taken;
}

static void resume(void *self, uint32_t queue)
{
    const struct capture *c = self;

    ((const struct bp_net *)c->net.ops)->resume(c->net.self, queue);
}

static int set_queues(void *self, uint32_t count)
{
    const struct capture *c = self;

    return ((const struct bp_net *)c->net.ops)->set_queues(c->net.self, count);
}

static const struct bp_net net_table = {
    .size = sizeof(struct bp_net),
    .attach = attach,
    .offloads = offloads,
    .set_offloads = set_offloads,
    .send = send_frames,
    .resume = resume,
    .set_queues = set_queues,
};

/* ---- the NIC, to the network ---- */

static int receive(void *port_self, uint32_t queue, const struct bp_frame *frame)
{
    struct capture *c = port_self;
    uint64_t when_ns = now(c);
    int ret = c->port ? c->port->receive(c->port_self, queue, frame) : -ENODEV;

    /* What the NIC refuses was on its wire nevertheless; what it takes later, comes again. */
    if (ret != -EAGAIN)
        record(c, frame, RECORD_INBOUND, when_ns);
    return ret;
}

static void sent(void *port_self, uint32_t queue)
{
    const struct capture *c = port_self;

    if (c->port)
        c->port->sent(c->port_self, queue);
}

static void set_link(void *port_self, uint32_t up)
{
    const struct capture *c = port_self;

    if (c->port)
        c->port->link(c->port_self, up);
}

static const struct bp_net_port port_table = {
    .size = sizeof(struct bp_net_port), .receive = receive, .sent = sent, .link = set_link};

/* ---- life ---- */

static void capture_destroy(void *self)
{
    struct capture *c = self;

    writer_end(&c->writer);
    filter_end(&c->filter);
    free(c);
}

static int capture_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    struct capture *c = aligned_alloc(64, (sizeof(*c) + 63) / 64 * 64);
    int err;

    if (!c)
        return host->fail(node, -ENOMEM, "no memory for a capture");
    memset(c, 0, sizeof(*c));
    c->host = host;
    c->node = node;
    c->config = config;
    c->writer.output.fd = c->writer.ring.wake = -1;
    err = filter_init(&c->filter, host, node, c->config->filter);
    if (!err)
        err = writer_init(&c->writer, host, node, c->config);
    if (!err) {
        err = host->link(node, c->config->net, BP_NET_ID, &port_table, c, &c->net);
        if (err)
            bp_failf(host, node, err,
                     "cannot use the section that `net` names: %s; name a network backend that "
                     "nothing else uses",
                     strerror(-err));
    }
    if (err) {
        capture_destroy(c);
        return err;
    }
    *self = c;
    return 0;
}

static void capture_reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind; /* what is recorded goes on over a reset of the guest */
}

static int capture_start(void *self)
{
    struct capture *c = self;

    return writer_start(&c->writer);
}

static void capture_stop(void *self)
{
    struct capture *c = self;

    writer_stop(&c->writer);
}

static const void *capture_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) ? NULL : &net_table;
}

const struct bp_instance_ops capture_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = capture_create,
    .destroy = capture_destroy,
    .reset = capture_reset,
    .start = capture_start,
    .stop = capture_stop,
    .extension = capture_extension,
};
