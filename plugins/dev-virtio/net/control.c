/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net/control.c - the commands of the network device's control queue
 * (virtio 1.2, 5.1.6.5): receive modes, addresses, VLANs, announcement, queue pairs, offloads.
 *
 *     readable: u8 class, u8 command, data     writable: u8 ack
 */
#include "net/net.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define CTRL_OK 0u
#define CTRL_ERR 1u

#define CTRL_RX 0u
#define CTRL_MAC 1u
#define CTRL_MAC_TABLE_SET 0u
#define CTRL_MAC_ADDR_SET 1u
#define CTRL_VLAN 2u
#define CTRL_VLAN_ADD 0u
#define CTRL_VLAN_DEL 1u
#define CTRL_ANNOUNCE 3u
#define CTRL_MQ 4u
#define CTRL_GUEST_OFFLOADS 5u

#define COMMAND_BYTES 2u
#define RX_COMMANDS 6u /* their numbers are the bits' of RX_* */

struct command {
    struct net *net;
    const struct queue *queue;
    const struct chain *chain;
    uint32_t len; /* of the data */
    uint8_t class, number;
};

/* Copies `len` bytes of the data at `at`. 0 or -EINVAL. */
static int data(const struct command *c, uint32_t at, void *to, uint32_t len)
{
    if (at > c->len || len > c->len - at)
        return -EINVAL;
    return chain_read(c->queue, c->chain, COMMAND_BYTES + at, to, len) == len ? 0 : -EINVAL;
}

static int set_mode(const struct command *c)
{
    struct virtio *v = &c->net->virtio;
    uint8_t on, bit;

    if (c->number >= RX_COMMANDS)
        return -EINVAL;
    bit = (uint8_t)(1u << c->number);
    if (!virtio_has(v, VIRTIO_NET_F_CTRL_RX) ||
        (bit > RX_ALLMULTI && !virtio_has(v, VIRTIO_NET_F_CTRL_RX_EXTRA)) || c->len != 1 ||
        data(c, 0, &on, 1) || on > 1)
        return -EINVAL;
    c->net->rx_modes = (uint8_t)(on ? c->net->rx_modes | bit : c->net->rx_modes & ~bit);
    return 0;
}

/* One of the two lists: le32 count, then as many addresses. */
static int read_table(const struct command *c, uint32_t *at, uint8_t *list, uint32_t *count,
                      uint8_t *all)
{
    uint8_t raw[4];
    uint32_t entries;

    if (data(c, *at, raw, sizeof(raw)))
        return -EINVAL;
    *at += 4;
    entries = bp_le32(raw);
    if (entries > (c->len - *at) / 6)
        return -EINVAL;
    *all = entries > NET_MACS_MAX;
    *count = *all ? 0 : entries;
    if (*count && data(c, *at, list, *count * 6))
        return -EINVAL;
    *at += entries * 6;
    return 0;
}

static int set_table(const struct command *c)
{
    struct net *net = c->net;
    uint8_t unicast[NET_MACS_MAX * 6] = {0}, multicast[NET_MACS_MAX * 6] = {0}, all[2];
    uint32_t counts[2], at = 0;

    if (read_table(c, &at, unicast, &counts[0], &all[0]) ||
        read_table(c, &at, multicast, &counts[1], &all[1]) || at != c->len)
        return -EINVAL;
    memcpy(net->unicast, unicast, sizeof(unicast));
    memcpy(net->multicast, multicast, sizeof(multicast));
    net->unicast_count = counts[0];
    net->multicast_count = counts[1];
    net->all_unicast = all[0];
    net->all_multicast = all[1];
    return 0;
}

static int set_mac(const struct command *c)
{
    struct net *net = c->net;
    uint8_t mac[6];

    if (c->number == CTRL_MAC_TABLE_SET && virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_RX))
        return set_table(c);
    if (c->number != CTRL_MAC_ADDR_SET || !virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
        c->len != 6 || data(c, 0, mac, sizeof(mac)))
        return -EINVAL;
    memcpy(net->mac, mac, sizeof(mac));
    memcpy(net->virtio.config + NET_mac, mac, sizeof(mac));
    return 0;
}

static int set_vlan(const struct command *c)
{
    struct net *net = c->net;
    uint8_t raw[2];
    uint32_t vid;

    if (!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_VLAN) || c->number > CTRL_VLAN_DEL ||
        c->len != 2 || data(c, 0, raw, sizeof(raw)))
        return -EINVAL;
    vid = bp_le16(raw);
    if (vid >= 4096)
        return -EINVAL;
    if (c->number == CTRL_VLAN_ADD)
        net->vlans[vid / 64] |= BIT(vid % 64);
    else
        net->vlans[vid / 64] &= ~BIT(vid % 64);
    return 0;
}

static int set_pairs(const struct command *c)
{
    struct net *net = c->net;
    const struct bp_net *ops = net->backend.ops;
    uint8_t raw[2];
    uint32_t pairs;

    if (!virtio_has(&net->virtio, VIRTIO_NET_F_MQ) || c->number != 0 || c->len != 2 ||
        data(c, 0, raw, sizeof(raw)))
        return -EINVAL;
    pairs = bp_le16(raw);
    if (!pairs || pairs > net->config->queues || (ops && ops->set_queues(net->backend.self, pairs)))
        return -EINVAL;
    net->pairs = pairs;
    /* A frame that waited for room has been forgotten by the backend where its queue is not in use
     * any more: nobody will call sent(). */
    for (uint32_t pair = 0; pair < net->config->queues; pair++)
        virtio_later(&net->virtio, 2 * pair + 1);
    return 0;
}

static int set_offloads(const struct command *c)
{
    struct net *net = c->net;
    uint8_t raw[8];
    uint64_t bits;

    if (!virtio_has(&net->virtio, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) || c->number != 0 ||
        c->len != 8 || data(c, 0, raw, sizeof(raw)))
        return -EINVAL;
    bits = bp_le64(raw);
    if (bits & ~net->virtio.accepted ||
        bits & ~(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
                 BIT(VIRTIO_NET_F_GUEST_UFO)))
        return -EINVAL;
    net_set_offloads(net, (uint32_t)bits);
    return 0;
}

static int run(const struct command *c)
{
    struct net *net = c->net;

    switch (c->class) {
    case CTRL_RX:
        return set_mode(c);
    case CTRL_MAC:
        return set_mac(c);
    case CTRL_VLAN:
        return set_vlan(c);
    case CTRL_ANNOUNCE:
        if (!virtio_has(&net->virtio, VIRTIO_NET_F_GUEST_ANNOUNCE) || c->number != 0)
            return -EINVAL;
        net->announce = 0;
        net->virtio.config[NET_status] &= (uint8_t)~NET_S_ANNOUNCE;
        return 0;
    case CTRL_MQ:
        return set_pairs(c);
    case CTRL_GUEST_OFFLOADS:
        return set_offloads(c);
    default:
        return -EINVAL;
    }
}

int64_t net_control(struct net *net, uint32_t n, const struct chain *c)
{
    struct virtio *v = &net->virtio;
    const struct queue *q = &v->queues[n];
    struct command command = {.net = net, .queue = q, .chain = c};
    uint8_t raw[COMMAND_BYTES], ack;

    if (!c->writable_bytes || c->readable_bytes < COMMAND_BYTES ||
        chain_read(q, c, 0, raw, sizeof(raw)) != sizeof(raw)) {
        virtio_guest(v, "a control command without a command or a place for its result");
        return 0;
    }
    command.len = c->readable_bytes - COMMAND_BYTES;
    command.class = raw[0];
    command.number = raw[1];
    ack = run(&command) ? CTRL_ERR : CTRL_OK;
    if (ack != CTRL_OK)
        virtio_guest(v, "a control command was refused: it is unknown, was not negotiated, or its "
                        "data is wrong");
    return chain_write(q, c, 0, &ack, 1) == 1 ? 1 : 0;
}
