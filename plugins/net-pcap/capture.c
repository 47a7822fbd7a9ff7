/* SPDX-License-Identifier: MIT
 *
 * net-pcap/capture.c - the model `capture`: stands in a link and records what passes.
 *
 * To the NIC it is a network ("bp.net/1"), to the network behind it a NIC (a port). Everything is
 * handed on as it came: frames, back-pressure, offloads, queues, the carrier. A frame is recorded
 * when the other side has taken it: copied once, as it will stand in the file, into a ring that a
 * thread of its own writes out (writer.c); what finds no room is dropped, and the frame is not.
 *
 * The frames lie in memory that a guest may change meanwhile: what is recorded can differ from what
 * is sent, when a guest wants that.
 */
#include "filter.h"
#include "frame.h"
#include "writer.h"

#include <backplane/util/finish.h>
#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct capture {
    const struct bp_host *host;
    struct bp_node *node;
    const struct capture_config *config;
    struct bp_peer net;             /* the backend: its struct bp_net */
    const struct bp_net_port *port; /* the NIC; NULL: none is attached */
    void *port_self;
    struct filter filter;
    struct writer writer;
    struct tails tails;
    int finishes;                /* `segment` or `checksums` asks for changed records */
    uint8_t frame[BP_FRAME_MAX]; /* one that is changed */
    uint8_t part[BP_FRAME_MAX + BP_SEGMENT_EXTRA];
};

/* ---- records ----
 *
 * What every frame goes through is inline, so that a small one costs the link little more than its
 * copy; what some need is not.
 */

static inline uint64_t now(const struct capture *c)
{
    return c->config->time == TIME_GUEST ? c->host->clock_ns(c->node) : c->host->utc_ns(c->node);
}

static inline __attribute__((always_inline)) void add(struct capture *c,
                                                      const struct bp_frame *frame, uint64_t len,
                                                      uint32_t direction, uint64_t when_ns)
{
    const struct file_format *format = c->writer.format;
    const struct record r = {.kind = {.flags = frame->flags,
                                      .gso_type = frame->gso_type,
                                      .gso_size = frame->gso_size,
                                      .csum_start = frame->csum_start,
                                      .csum_offset = frame->csum_offset,
                                      .direction = direction},
                             .caplen =
                                 len < c->config->snaplen ? (uint32_t)len : c->config->snaplen,
                             .len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX,
                             .when_ns = when_ns,
                             .dropped = ring_missed(&c->writer.ring)};
    uint8_t *to = ring_reserve(&c->writer.ring, r.caplen + PACKET_EXTRA);

    if (!to)
        return;
    frame_copy(frame, to + format->head, r.caplen);
    ring_add(&c->writer.ring, format->packet(to, &r, &c->tails));
}

static void add_bytes(struct capture *c, const uint8_t *data, uint32_t len,
                      const struct bp_frame *as, uint32_t direction, uint64_t when_ns)
{
    struct bp_frame frame = *as;
    struct bp_buf buf = {.len = len};

    memcpy(&buf.data, &data, sizeof(data)); /* bp_buf is for both directions */
    frame.nbufs = 1;
    frame.bufs = &buf;
    add(c, &frame, len, direction, when_ns);
}

/* Does in the record what the sender left to the receiver, as the settings say: 0; -1 if that
 * cannot be done, and nothing is recorded. Out of line: its stack is not for every frame. */
static __attribute__((noinline)) int add_finished(struct capture *c, const struct bp_frame *frame,
                                                  uint64_t len, uint32_t direction,
                                                  uint64_t when_ns)
{
    struct bp_frame as = {.size = sizeof(as)};
    struct bp_finish f;

    if (len > BP_FRAME_MAX || !bp_offloads_needed(frame->flags, frame->gso_type))
        return -1;
    frame_copy(frame, c->frame, (uint32_t)len); /* once: the guest may change it meanwhile */
    if (c->config->segment &&
        !bp_finish_begin(&f, c->frame, (uint32_t)len, frame->flags, frame->gso_type,
                         frame->gso_size, frame->csum_start, frame->csum_offset)) {
        for (uint32_t i = 0; i < f.count; i++) {
            uint32_t bytes;
            const uint8_t *data = bp_finish_frame(&f, i, c->part, &bytes);

            add_bytes(c, data, bytes, &as, direction, when_ns);
        }
        return 0;
    }
    if (!(frame->flags & BP_HDR_NEEDS_CSUM) || c->config->checksums != CHECKSUMS_FILL ||
        bp_checksum_fill(c->frame, len, frame->csum_start, frame->csum_offset))
        return -1;
    memcpy(&as, frame, frame->size < sizeof(as) ? frame->size : sizeof(as));
    as.flags &= (uint8_t)~BP_HDR_NEEDS_CSUM;
    add_bytes(c, c->frame, (uint32_t)len, &as, direction, when_ns);
    return 0;
}

/* The link is the only one that counts: nothing here needs to be done at once. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline __attribute__((always_inline)) void
record(struct capture *c, const struct bp_frame *frame, uint32_t direction, uint64_t when_ns)
{
    struct writer *w = &c->writer;
    uint64_t len = frame_len(frame);

    if (atomic_load_explicit(&w->ended, memory_order_relaxed))
        return;
    count(&w->seen);
    if (c->filter.used && !filter_matches(&c->filter, frame, len))
        return;
    count(&w->accepted);
    if (!c->finishes || add_finished(c, frame, len, direction, when_ns))
        add(c, frame, len, direction, when_ns);
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
    c->finishes = c->config->segment || c->config->checksums == CHECKSUMS_FILL;
    c->writer.output.fd = -1;
    c->writer.ring.wake = WAKE_NONE;
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
