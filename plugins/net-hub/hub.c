/* SPDX-License-Identifier: MIT
 *
 * net-hub/hub.c - a switch after IEEE 802.1D: what comes in at one port waits at those that it
 * leads to, and is handed over on the loop.
 *
 *     adapter  --send-->    forward --> queue of each port --deliver--> adapter, network
 *     network  --receive--> forward
 *
 * Nobody waits for anybody: a port takes every frame that is given to it, and a port whose other
 * end is slow loses what its queue cannot hold. Frames keep what virtio says of checksums and
 * segments; for an end that does not take that, it is done here before the frame is queued.
 *
 * Everything is in one lock domain, with all adapters and networks (BP_MODEL_JOINS). What is left
 * out: VLANs (tags pass, and stations are the same in all), the spanning tree protocol, several
 * queues for one adapter.
 */
#include "net_hub.h"

#include <backplane/util/finish.h>
#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What the switch does in software for those that cannot. */
#define OFFLOADS (BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6)

#define TIMER_DELIVER 0u
#define FRAMES_AT_ONCE 64u      /* from each port, before others on the loop have their turn */
#define QUEUE_BYTES (8u << 20u) /* that wait at a port, whatever the number of frames */

struct hub;

struct hub_port {
    struct hub *hub;
    uint32_t index;
    uint32_t takes;                 /* BP_NET_OFFLOAD_* of the other end */
    const struct bp_net_port *port; /* an adapter; NULL: none, or a network */
    void *port_self;
    struct bp_peer net; /* a network; ops NULL: none, or an adapter */
    struct bp_frame_queue queue;
    uint8_t held; /* the other end has no room, and will say when it has */
    uint8_t down; /* it has no carrier */
    uint8_t reserved[6];
    uint64_t in, out, lost; /* frames from the other end and to it; those it was not given */
};

struct hub {
    /* First, so that the instance is its first port, too: a host whose bp_net has no port() lets
     * one adapter attach, and calls that one's functions with the instance. */
    struct hub_port ports[HUB_PORTS_MAX];
    const struct bp_host *host;
    struct bp_node *node;
    const struct hub_config *config;
    struct hub_addresses *addresses;
    uint64_t used, waiting; /* bits: ports that something is at; that have frames to deliver */
    uint32_t adapters;      /* attached: ports 0.. */
    uint8_t armed;
    uint8_t reserved[3];
    uint64_t refused;            /* frames that go nowhere: malformed, or reserved for switches */
    uint8_t frame[BP_FRAME_MAX]; /* one that is being finished, in one piece; and a part of it */
    uint8_t part[BP_FRAME_MAX + BP_SEGMENT_EXTRA];
};

static uint64_t bit(uint32_t port)
{
    return UINT64_C(1) << port;
}

static void arm(struct hub *h)
{
    if (h->armed || !h->waiting)
        return;
    h->armed = 1;
    h->host->timer_set(h->node, TIMER_DELIVER, 0);
}

/* ---- from port to port --------------------------------------------------------------------------
 */

static int push(struct hub *h, struct hub_port *p, const struct bp_frame *frame)
{
    int err = bp_frame_queue_push(&p->queue, frame);

    if (!err && !p->held)
        h->waiting |= bit(p->index);
    p->lost += !!err;
    return err;
}

/* Plain frames instead of one that the port's other end does not take. */
static void push_finished(struct hub *h, struct hub_port *p, const struct bp_frame *frame)
{
    struct bp_buf buf = {0};
    struct bp_frame plain = {.size = sizeof(plain), .nbufs = 1, .bufs = &buf};
    uint32_t len = (uint32_t)bp_frame_gather(frame, h->frame, sizeof(h->frame)), n;
    struct bp_finish f;

    if (bp_finish_begin(&f, h->frame, len, frame->flags, frame->gso_type, frame->gso_size,
                        frame->csum_start, frame->csum_offset)) {
        p->lost++;
        return;
    }
    for (uint32_t i = 0; i < f.count; i++) {
        const uint8_t *data = bp_finish_frame(&f, i, h->part, &n);

        memcpy(&buf.data, &data, sizeof(data)); /* bp_buf is for both directions */
        buf.len = n;
        if (push(h, p, &plain))
            return; /* there is no room for the rest either */
    }
}

static void give(struct hub *h, uint32_t to, const struct bp_frame *frame)
{
    struct hub_port *p = &h->ports[to];

    if (p->down) {
        p->lost++;
        return;
    }
    if (bp_offloads_needed(frame->flags, frame->gso_type) & ~p->takes) {
        push_finished(h, p, frame);
    } else if (p->takes & BP_NET_OFFLOAD_CSUM) {
        push(h, p, frame);
    } else { /* that a checksum was found good is news only for who takes unfinished ones */
        struct bp_frame plain = {.size = sizeof(plain), .nbufs = frame->nbufs, .bufs = frame->bufs};

        push(h, p, &plain);
    }
}

/* 01:80:c2:00:00:00 to 0f are for switches themselves: none passes them on (802.1D, 7.12.6). */
static int is_reserved(const uint8_t *mac)
{
    static const uint8_t group[5] = {0x01, 0x80, 0xc2, 0, 0};

    return memcmp(mac, group, 5) == 0 && mac[5] < 0x10;
}

static void forward(struct hub *h, uint32_t from, const struct bp_frame *frame)
{
    static const uint8_t zero[6];
    uint8_t header[12];
    uint64_t len = bp_frame_len(frame), to = h->used & ~bit(from);
    uint64_t now_ns = h->host->clock_ns(h->node);

    h->ports[from].in++;
    if (len < BP_FRAME_MIN || len > BP_FRAME_MAX ||
        bp_frame_gather(frame, header, sizeof(header)) != sizeof(header) || is_reserved(header)) {
        h->refused++;
        return;
    }
    if (h->config->learn) {
        if (!(header[6] & 1) && memcmp(header + 6, zero, 6) != 0)
            hub_addresses_learn(h->addresses, header + 6, from, now_ns);
        if (!(header[0] & 1)) {
            uint32_t port = hub_addresses_find(h->addresses, header, now_ns);

            if (port != HUB_NOWHERE)
                to &= bit(port); /* none, if it is where the frame came from */
        }
    }
    for (; to; to &= to - 1)
        give(h, (uint32_t)__builtin_ctzll(to), frame);
    arm(h);
}

/* ---- to the other ends --------------------------------------------------------------------------
 */

/* 0: taken. -EAGAIN: later. Others: lost. */
static int hand_over(const struct hub_port *p, const struct bp_frame *frame)
{
    const struct bp_net *net = p->net.ops;

    /* What it takes may have become less since the frame was queued. */
    if (bp_offloads_needed(frame->flags, frame->gso_type) & ~p->takes)
        return -ENOTSUP;
    if (net)
        return net->send(p->net.self, 0, frame, 1) ? 0 : -EAGAIN;
    return p->port->receive(p->port_self, 0, frame);
}

static void deliver_to(struct hub *h, struct hub_port *p)
{
    for (uint32_t i = 0; i < FRAMES_AT_ONCE && p->queue.count; i++) {
        int err = hand_over(p, &p->queue.first->frame);

        if (err == -EAGAIN) {
            p->held = 1;
            break;
        }
        p->out += !err;
        p->lost += !!err;
        bp_frame_queue_pop(&p->queue);
    }
    if (p->held || !p->queue.count)
        h->waiting &= ~bit(p->index);
}

static void hub_timer(void *self, uint32_t id)
{
    struct hub *h = self;

    (void)id;
    h->armed = 0;
    for (uint64_t left = h->waiting; left; left &= left - 1)
        deliver_to(h, &h->ports[__builtin_ctzll(left)]);
    arm(h);
}

/* The other end has room again. */
static void go_on(struct hub_port *p)
{
    p->held = 0;
    if (p->queue.count)
        p->hub->waiting |= bit(p->index);
    arm(p->hub);
}

static void empty(struct hub_port *p)
{
    p->lost += p->queue.count;
    bp_frame_queue_clear(&p->queue);
    p->held = 0;
    p->hub->waiting &= ~bit(p->index);
}

/* ---- "bp.net/1", to adapters --------------------------------------------------------------------
 */

static int hub_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct hub *h = self;
    struct hub_port *p;

    for (uint32_t i = 0; i < h->adapters; i++)
        if (h->ports[i].port_self == port_self)
            return -EBUSY;
    if (h->adapters == HUB_ADAPTERS_MAX)
        return bp_failf(h->host, h->node, -EBUSY,
                        "more than %u adapters: join two switches by a network between them",
                        HUB_ADAPTERS_MAX);
    p = &h->ports[h->adapters++];
    p->port = port;
    p->port_self = port_self;
    h->used |= bit(p->index);
    return 0;
}

static void *hub_port_of_last(void *self)
{
    struct hub *h = self;

    return &h->ports[h->adapters ? h->adapters - 1 : 0];
}

static uint32_t hub_offloads(void *self)
{
    (void)self;
    return OFFLOADS;
}

static int hub_set_offloads(void *self, uint32_t bits)
{
    struct hub_port *p = self;

    if (bits & ~OFFLOADS)
        return -EINVAL;
    p->takes = bits;
    return 0;
}

static uint32_t hub_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct hub_port *p = self;

    (void)queue; /* set_queues() admits one */
    for (uint32_t i = 0; i < count; i++)
        forward(p->hub, p->index, bp_frame_at(frames, i));
    return count;
}

static void hub_resume(void *self, uint32_t queue)
{
    (void)queue;
    go_on(self);
}

static const struct bp_net hub_table = {
    .size = sizeof(struct bp_net),
    .attach = hub_attach,
    .offloads = hub_offloads,
    .set_offloads = hub_set_offloads,
    .send = hub_send,
    .resume = hub_resume,
    .port = hub_port_of_last,
};

/* ---- a port, to networks ------------------------------------------------------------------------
 */

static int port_receive(void *port_self, uint32_t queue, const struct bp_frame *frame)
{
    struct hub_port *p = port_self;

    (void)queue;
    forward(p->hub, p->index, frame);
    return 0;
}

static void port_sent(void *port_self, uint32_t queue)
{
    (void)queue;
    go_on(port_self);
}

static void port_link(void *port_self, uint32_t up)
{
    struct hub_port *p = port_self;

    p->down = !up;
    if (up)
        return;
    empty(p);
    hub_addresses_forget(p->hub->addresses, p->index); /* they may come back elsewhere */
}

static const struct bp_net_port port_table = {
    .size = sizeof(struct bp_net_port),
    .receive = port_receive,
    .sent = port_sent,
    .link = port_link,
};

/* ---- the instance -------------------------------------------------------------------------------
 */

static int link_nets(struct hub *h)
{
    struct bp_node *const *refs = h->config->net.items;

    for (uint32_t i = 0; i < h->config->net.count; i++) {
        struct hub_port *p = &h->ports[HUB_ADAPTERS_MAX + i];
        int err = h->host->link(h->node, refs[i], BP_NET_ID, &port_table, p, &p->net);

        if (err)
            return bp_failf(h->host, h->node, err,
                            "cannot use number %u of the networks that `net` names: %s; name "
                            "network backends that nothing else uses",
                            i + 1, strerror(-err));
        h->used |= bit(p->index);
    }
    return 0;
}

static void hub_destroy(void *self)
{
    struct hub *h = self;

    for (uint32_t i = 0; i < HUB_PORTS_MAX; i++)
        bp_frame_queue_clear(&h->ports[i].queue);
    hub_addresses_free(h->addresses);
    free(h);
}

static int hub_create(const struct bp_host *host, struct bp_node *node, const void *config,
                      void **self)
{
    const struct hub_config *c = config;
    struct hub *h;
    int err;

    if (c->net.count > HUB_NETS_MAX)
        return bp_failf(host, node, -EINVAL, "`net` names %" PRIu64 " networks; there can be %u",
                        c->net.count, HUB_NETS_MAX);
    h = calloc(1, sizeof(*h));
    if (!h)
        return host->fail(node, -ENOMEM, "no memory for a switch");
    h->host = host;
    h->node = node;
    h->config = c;
    for (uint32_t i = 0; i < HUB_PORTS_MAX; i++) {
        h->ports[i].hub = h;
        h->ports[i].index = i;
        h->ports[i].queue.limit = c->depth;
        h->ports[i].queue.limit_bytes = QUEUE_BYTES;
    }
    h->addresses =
        hub_addresses_new(c->addresses, c->ageing ? c->ageing * UINT64_C(1000000000) : UINT64_MAX);
    err = h->addresses ? link_nets(h) : host->fail(node, -ENOMEM, "no memory for addresses");
    if (err) {
        hub_destroy(h);
        return err;
    }
    *self = h;
    return 0;
}

/* Networks are reset before this instance, which names them; adapters after it. */
static void hub_reset(void *self, uint32_t kind)
{
    struct hub *h = self;

    (void)kind;
    hub_addresses_clear(h->addresses);
    for (uint32_t i = 0; i < HUB_PORTS_MAX; i++) {
        struct hub_port *p = &h->ports[i];
        const struct bp_net *net = p->net.ops;

        empty(p);
        p->takes = 0;
        if (!net)
            continue;
        p->takes = net->offloads(p->net.self) & OFFLOADS;
        /* What it takes of us it may give to us, if it can. */
        if (net->set_offloads(p->net.self, p->takes))
            net->set_offloads(p->net.self, 0);
    }
}

static void hub_stop(void *self)
{
    struct hub *h = self;

    for (uint32_t i = 0; i < HUB_PORTS_MAX; i++) {
        struct hub_port *p = &h->ports[i];

        if (p->in || p->out || p->lost)
            bp_logf(h->host, h->node, BP_LOG_DEBUG,
                    "%s %u: %" PRIu64 " frames from it, %" PRIu64 " to it, %" PRIu64 " lost",
                    i < HUB_ADAPTERS_MAX ? "adapter" : "network",
                    (i < HUB_ADAPTERS_MAX ? i : i - HUB_ADAPTERS_MAX) + 1, p->in, p->out, p->lost);
        p->in = p->out = p->lost = 0;
    }
    if (h->refused)
        bp_logf(h->host, h->node, BP_LOG_DEBUG,
                "%" PRIu64 " frames went nowhere: malformed, or reserved for switches; %u stations "
                "are known",
                h->refused, hub_addresses_count(h->addresses));
    h->refused = 0;
}

static const void *hub_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &hub_table : NULL;
}

const struct bp_instance_ops hub_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = hub_create,
    .destroy = hub_destroy,
    .reset = hub_reset,
    .stop = hub_stop,
    .timer = hub_timer,
    .extension = hub_extension,
};
