/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net/net.c - the network device (virtio 1.2, 5.1) on a backend of kind NET: features,
 * configuration space, link state and life.
 *
 * Queues: receive 0, transmit 0, receive 1 ..., then control. Left out: RSS and hash reports, and
 * coalescing of interrupts by time.
 */
#include "net/net.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <backplane/util/offload.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_ETHERNET 0x020000u

#define GUEST_OFFLOADS                                                                             \
    (BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |  \
     BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))

/* Feature bits of what the guest takes, as a backend is told them. */
static uint32_t backend_bits(uint64_t features)
{
    return (features >> VIRTIO_NET_F_GUEST_CSUM & 1 ? BP_NET_OFFLOAD_CSUM : 0u) |
           (features >> VIRTIO_NET_F_GUEST_TSO4 & 1 ? BP_NET_OFFLOAD_TSO4 : 0u) |
           (features >> VIRTIO_NET_F_GUEST_TSO6 & 1 ? BP_NET_OFFLOAD_TSO6 : 0u) |
           (features >> VIRTIO_NET_F_GUEST_UFO & 1 ? BP_NET_OFFLOAD_UFO : 0u);
}

void net_set_offloads(struct net *net, uint32_t guest_features)
{
    const struct bp_net *ops = net->backend.ops;

    net->guest_offloads = guest_features & (uint32_t)GUEST_OFFLOADS;
    if (ops && ops->set_offloads(net->backend.self, backend_bits(guest_features)))
        bp_logf(net->virtio.host, net->virtio.node, BP_LOG_WARN,
                "the network backend refuses offloads that it had before; frames with them are "
                "dropped");
}

void net_update_status(struct net *net, uint32_t up)
{
    uint16_t status =
        (uint16_t)((up ? NET_S_LINK_UP : 0u) | (up && net->announce ? NET_S_ANNOUNCE : 0u));

    if (bp_le16(net->virtio.config + NET_status) == status)
        return;
    bp_put_le16(net->virtio.config + NET_status, status);
    virtio_config_changed(&net->virtio);
}

static int features_ok(struct virtio *v, uint64_t f)
{
    static const uint8_t needs[][2] = {
        {VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM},
        {VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM},
        {VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_CSUM},
        {VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_VQ},
    };

    (void)v;
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (f >> needs[i][0] & 1 && !(f >> needs[i][1] & 1))
            return 0;
    return 1;
}

static void driver_ok(struct virtio *v)
{
    struct net *net = (struct net *)v;

    net_filter_reset(net);
    net_set_offloads(net, (uint32_t)(v->accepted & GUEST_OFFLOADS));
}

static void reset(struct virtio *v)
{
    struct net *net = (struct net *)v;
    const struct bp_net *ops = net->backend.ops;

    memcpy(v->config + NET_mac, net->initial_mac, 6);
    net_filter_reset(net); /* driver_ok() does it again, and knows the features */
    net->announce = 0;
    v->config[NET_status] &= (uint8_t)~NET_S_ANNOUNCE;
    net->pairs = 1;
    memset(net->segments, 0, sizeof(net->segments));
    memset(net->monologue, 0, sizeof(net->monologue));
    net->heard = 0;
    net_set_offloads(net, 0);
    if (ops)
        ops->set_queues(net->backend.self, 1);
    /* Frames that wait are dropped by receive(), as on a NIC that is down. */
    for (uint32_t pair = 0; pair < NET_PAIRS_MAX; pair++)
        if (net->held & 1u << pair)
            net->resume_later |= 1u << pair;
    net->held = 0;
    if (net->resume_later)
        v->host->timer_set(v->node, VIRTIO_TIMER_DEVICE, 0);
}

static void kicked(struct virtio *v, uint32_t n)
{
    struct net *net = (struct net *)v;

    if (n == net_control_queue(net) || net_is_transmit(n))
        virtio_run(v, n);
    else
        net_resume(net, n / 2);
}

static int64_t chain(struct virtio *v, uint32_t n, const struct chain *c)
{
    struct net *net = (struct net *)v;

    return n == net_control_queue(net) ? net_control(net, n, c) : net_transmit(net, n, c);
}

/* How long a queue is left alone that had `done` frames after `ns`. Long enough for some to come
 * together, as each look costs a thread its sleep and the guest an interrupt; but a guest that
 * sends less than a frame in the least time is not to wait for longer than that. */
static uint32_t next_rest(uint32_t ns, uint32_t done)
{
    uint64_t slow_ns = (uint64_t)done * NET_REST_LEAST_NS;

    if (ns > NET_REST_LEAST_NS && (slow_ns < ns || done > 4 * NET_REST_FRAMES))
        return ns / 2;
    if (ns < NET_REST_MOST_NS && slow_ns > ns && done < NET_REST_FRAMES)
        return ns * 2;
    return ns;
}

/* A guest that sends frame after frame, and hears nothing, waits for none of them: then it is not
 * asked to notify of each. One that notifies nevertheless is served at once. */
static uint32_t rests(struct virtio *v, uint32_t n, uint32_t done)
{
    struct net *net = (struct net *)v;
    uint32_t pair = n / 2;

    if (n == net_control_queue(net))
        return 0;
    if (!done || net->heard & 1u << pair)
        net->monologue[pair] = 0;
    else if (net->monologue[pair] < NET_MONOLOGUE)
        net->monologue[pair]++;
    net->heard &= ~(1u << pair);
    if (net->monologue[pair] < NET_MONOLOGUE)
        net->rest_ns[pair] = 0;
    else if (!net->rest_ns[pair])
        net->rest_ns[pair] = NET_REST_LEAST_NS;
    else
        net->rest_ns[pair] = next_rest(net->rest_ns[pair], done);
    return net->rest_ns[pair];
}

static void queue_forgotten(struct virtio *v, uint32_t n)
{
    struct net *net = (struct net *)v;

    if (n < 2 * NET_PAIRS_MAX && net_is_transmit(n))
        net->segments[n / 2] = 0;
}

/* After a reset: the backend may drop what it kept, but not from within a call of ours. */
static void timer(struct virtio *v, uint32_t id)
{
    struct net *net = (struct net *)v;
    const struct bp_net *ops = net->backend.ops;
    uint32_t pairs = net->resume_later;

    (void)id;
    net->resume_later = 0;
    for (uint32_t pair = 0; ops && pair < NET_PAIRS_MAX; pair++)
        if (pairs & 1u << pair)
            ops->resume(net->backend.self, pair);
}

static int after_load(struct virtio *v)
{
    struct net *net = (struct net *)v;
    const struct bp_net *ops = net->backend.ops;

    if (net->pairs < 1 || net->pairs > net->config->queues || net->unicast_count > NET_MACS_MAX ||
        net->multicast_count > NET_MACS_MAX)
        return v->host->fail(v->node, -EINVAL,
                             "the snapshot's network device has more queues or addresses than it "
                             "can have; the file is damaged");
    net_set_offloads(net, net->guest_offloads);
    if (ops)
        ops->set_queues(net->backend.self, net->pairs);
    net->resume_later = (1u << net->pairs) - 1;
    net->held = 0;
    v->host->timer_set(v->node, VIRTIO_TIMER_DEVICE, 0);
    if (virtio_has(v, VIRTIO_NET_F_GUEST_ANNOUNCE)) {
        net->announce = 1; /* the network may know the guest at another place */
        net_update_status(net, bp_le16(v->config + NET_status) & NET_S_LINK_UP);
    }
    return 0;
}

static void destroy(struct virtio *v)
{
    struct net *net = (struct net *)v;

    free(net->frame);
    free(net->out);
}

static void port_sent(void *self, uint32_t queue)
{
    struct net *net = self;

    if (queue < net->config->queues)
        virtio_kick(&net->virtio, 2 * queue + 1);
}

static void port_link(void *self, uint32_t up)
{
    struct net *net = self;

    net_update_status(net, up);
}

static const struct bp_net_port port = {
    .size = sizeof(struct bp_net_port),
    .receive = net_receive,
    .sent = port_sent,
    .link = port_link,
};

static const struct virtio_device device = {
    .id = 1,
    .class_code = CLASS_ETHERNET,
    .features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
                BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
                BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_VLAN) |
                BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
                BIT(VIRTIO_F_IN_ORDER),
    .kicked = kicked,
    .chain = chain,
    .rests = rests,
    .driver_ok = driver_ok,
    .features_ok = features_ok,
    .reset = reset,
    .queue_reset = queue_forgotten,
    .destroy = destroy,
    .after_load = after_load,
    .timer = timer,
};

/* An address of one's own (locally administered) from the section's name, the same at each start.
 */
static void make_mac(uint8_t mac[6], const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    memcpy(mac,
           (const uint8_t[6]){0x52, 0x54, 0x00, (uint8_t)(hash >> 16), (uint8_t)(hash >> 8),
                              (uint8_t)hash},
           6);
}

/* What is handed to the guest of the backend's abilities, and done here where it has none. */
static uint64_t offload_features(struct net *net)
{
    const struct bp_net *ops = net->backend.ops;
    static const uint8_t kinds[][2] = {{BP_NET_OFFLOAD_CSUM, VIRTIO_NET_F_GUEST_CSUM},
                                       {BP_NET_OFFLOAD_TSO4, VIRTIO_NET_F_GUEST_TSO4},
                                       {BP_NET_OFFLOAD_TSO6, VIRTIO_NET_F_GUEST_TSO6},
                                       {BP_NET_OFFLOAD_UFO, VIRTIO_NET_F_GUEST_UFO}};
    uint64_t bits = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
                    BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN);
    uint32_t taken = 0;

    if (!net->config->offloads)
        return 0;
    net->sends = ops ? ops->offloads(net->backend.self) : 0;
    bits |= BIT(VIRTIO_NET_F_HOST_UFO);
    for (size_t i = 0; ops && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (ops->set_offloads(net->backend.self, taken | kinds[i][0]))
            continue;
        taken |= kinds[i][0];
        bits |= BIT(kinds[i][1]);
    }
    if (!(taken & BP_NET_OFFLOAD_CSUM)) /* the others need it */
        bits &= ~GUEST_OFFLOADS;
    else
        bits |= BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
    if (ops)
        ops->set_offloads(net->backend.self, 0);
    return bits;
}

static int open_backend(struct net *net, const struct bp_host *host, struct bp_node *node)
{
    const struct net_config *c = net->config;
    const struct bp_net *ops;
    int err;

    if (!c->net)
        return 0;
    err = host->link(node, c->net, BP_NET_ID, &port, net, &net->backend);
    if (err)
        return bp_failf(host, node, err,
                        "cannot use the section that `net` names: %s; name a network backend that "
                        "no other device uses",
                        strerror(-err));
    ops = net->backend.ops;
    if (ops->set_queues(net->backend.self, c->queues))
        return bp_failf(
            host, node, -EINVAL,
            "the network backend has fewer than %u queue pairs; give `queues` a smaller "
            "value",
            c->queues);
    ops->set_queues(net->backend.self, 1);
    return 0;
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    static const uint8_t none[6];
    const struct net_config *c = config;
    uint64_t features;
    struct net *net;
    int err;

    if (c->mac[0] & 1)
        return bp_failf(host, node, -EINVAL,
                        "mac %02x:... is a multicast address; the first byte must be even",
                        c->mac[0]);
    if (c->mtu && c->mtu < 68)
        return bp_failf(host, node, -EINVAL, "mtu %u is below 68, the least that IP allows",
                        c->mtu);
    net = virtio_alloc(host, node, &device, sizeof(*net));
    if (!net)
        return -ENOMEM;
    net->config = c;
    net->frame = malloc(NET_FRAME_MAX);
    net->out = malloc(NET_FRAME_MAX + BP_SEGMENT_EXTRA);
    if (!net->frame || !net->out)
        err = bp_failf(host, node, -ENOMEM, "no memory for a network device");
    else
        err = open_backend(net, host, node);
    if (!err) {
        features = offload_features(net);
        if (memcmp(c->mac, none, 6) != 0)
            memcpy(net->initial_mac, c->mac, 6);
        else
            make_mac(net->initial_mac, host->name(node));
        memcpy(net->virtio.config + NET_mac, net->initial_mac, 6);
        bp_put_le16(net->virtio.config + NET_status, net->backend.ops ? NET_S_LINK_UP : 0);
        bp_put_le16(net->virtio.config + NET_max_virtqueue_pairs, (uint16_t)c->queues);
        bp_put_le16(net->virtio.config + NET_mtu, c->mtu);
        net->virtio.config_bytes = NET_CONFIG_BYTES;
        if (c->mtu)
            features |= BIT(VIRTIO_NET_F_MTU);
        if (c->queues > 1)
            features |= BIT(VIRTIO_NET_F_MQ);
        err = virtio_init(&net->virtio, &c->virtio, 2 * c->queues + 1, features);
    }
    if (err) {
        virtio_free(&net->virtio);
        return err;
    }
    *self = net;
    return 0;
}

static const struct bp_field fields[] = {
    VIRTIO_FIELDS,
    BP_FIELD(struct net, guest_offloads, 1),
    BP_FIELD(struct net, pairs, 1),
    BP_ARRAY(struct net, segments, 1),
    BP_FIELD(struct net, rx_modes, 1),
    BP_FIELD(struct net, all_unicast, 1),
    BP_FIELD(struct net, all_multicast, 1),
    BP_FIELD(struct net, vlan_filter, 1),
    BP_ARRAY(struct net, mac, 1),
    BP_FIELD(struct net, announce, 1),
    BP_FIELD(struct net, unicast_count, 1),
    BP_FIELD(struct net, multicast_count, 1),
    BP_ARRAY(struct net, unicast, 1),
    BP_ARRAY(struct net, multicast, 1),
    BP_ARRAY(struct net, vlans, 1),
    {.name = NULL},
};

const struct bp_instance_ops net_ops = VIRTIO_INSTANCE(create, fields);
