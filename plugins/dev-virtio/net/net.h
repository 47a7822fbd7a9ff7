/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/net/net.h - the network device: its configuration, and what its files share.
 *
 *     net.c       features, configuration space, life
 *     transmit.c  from the guest to the backend, with what that cannot do done here
 *     receive.c   from the backend to the guest, and the filter
 *     control.c   the control queue
 */
#ifndef NET_H
#define NET_H

#include "virtio.h"

#define NET_PAIRS_MAX 8u
#define NET_MACS_MAX 64u /* of each kind that the driver lists; more: all of the kind */
#define NET_HEADER_BYTES 12u
#define NET_MONOLOGUE 8u             /* then the guest only sends, for all we know */
#define NET_REST_LEAST_NS 64000u     /* and its queue is left alone for so long, */
#define NET_REST_MOST_NS 512000u     /* or, while much comes that way, */
#define NET_REST_FRAMES 16u          /* as long as these need */
#define NET_FRAME_MAX (65535u + 18u) /* an IP packet, Ethernet header, one tag */

struct net_config {
    struct virtio_config virtio;
    struct bp_node *net;
    uint32_t queues; /* pairs */
    uint16_t mtu;    /* 0: not told */
    uint8_t mac[6];
    uint8_t offloads; /* checksums and segmentation are offered */
    uint8_t reserved[7];
};

extern const struct bp_instance_ops net_ops;

#define VIRTIO_NET_F_CSUM 0u
#define VIRTIO_NET_F_GUEST_CSUM 1u
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2u
#define VIRTIO_NET_F_MTU 3u
#define VIRTIO_NET_F_MAC 5u
#define VIRTIO_NET_F_GUEST_TSO4 7u
#define VIRTIO_NET_F_GUEST_TSO6 8u
#define VIRTIO_NET_F_GUEST_ECN 9u
#define VIRTIO_NET_F_GUEST_UFO 10u
#define VIRTIO_NET_F_HOST_TSO4 11u
#define VIRTIO_NET_F_HOST_TSO6 12u
#define VIRTIO_NET_F_HOST_ECN 13u
#define VIRTIO_NET_F_HOST_UFO 14u
#define VIRTIO_NET_F_MRG_RXBUF 15u
#define VIRTIO_NET_F_STATUS 16u
#define VIRTIO_NET_F_CTRL_VQ 17u
#define VIRTIO_NET_F_CTRL_RX 18u
#define VIRTIO_NET_F_CTRL_VLAN 19u
#define VIRTIO_NET_F_CTRL_RX_EXTRA 20u
#define VIRTIO_NET_F_GUEST_ANNOUNCE 21u
#define VIRTIO_NET_F_MQ 22u
#define VIRTIO_NET_F_CTRL_MAC_ADDR 23u

/* struct virtio_net_config (5.1.4) */
#define NET_mac 0u
#define NET_status 6u
#define NET_max_virtqueue_pairs 8u
#define NET_mtu 10u
#define NET_CONFIG_BYTES 12u
#define NET_S_LINK_UP 1u
#define NET_S_ANNOUNCE 2u

/* struct virtio_net_hdr (5.1.6) */
#define HDR_flags 0u
#define HDR_gso_type 1u
#define HDR_hdr_len 2u
#define HDR_gso_size 4u
#define HDR_csum_start 6u
#define HDR_csum_offset 8u
#define HDR_num_buffers 10u
#define HDR_F_NEEDS_CSUM 1u
#define HDR_F_DATA_VALID 2u

/* Modes of the receive filter: bits of net.rx_modes. */
#define RX_PROMISC 1u
#define RX_ALLMULTI 2u
#define RX_ALLUNI 4u
#define RX_NOMULTI 8u
#define RX_NOUNI 16u
#define RX_NOBCAST 32u

struct net {
    struct virtio virtio;
    const struct net_config *config;
    struct bp_peer backend;  /* ops NULL: no cable */
    uint32_t sends;          /* BP_NET_OFFLOAD_* that the backend takes */
    uint32_t guest_offloads; /* feature bits 0 to 31 that are on, of VIRTIO_NET_F_GUEST_* */
    uint32_t pairs;          /* in use */
    uint32_t held;           /* receive queues whose backend waits for resume(), bits */
    uint32_t resume_later;   /* those for which a timer will call it */
    uint32_t segments[NET_PAIRS_MAX]; /* frames sent of the large packet at the queue's head */
    uint32_t heard;                   /* pairs that received since they sent, bits */
    /* How often in a row the transmit queue was emptied without that, up to NET_MONOLOGUE. */
    uint8_t monologue[NET_PAIRS_MAX];
    uint32_t rest_ns[NET_PAIRS_MAX]; /* for how long the transmit queue was left alone last */
    uint8_t rx_modes, all_unicast, all_multicast, vlan_filter;
    uint8_t mac[6];
    uint8_t initial_mac[6]; /* at reset */
    uint8_t announce;       /* the guest shall tell the network where it is */
    uint8_t padding[3];
    uint32_t unicast_count, multicast_count;
    uint8_t unicast[NET_MACS_MAX * 6], multicast[NET_MACS_MAX * 6];
    uint64_t vlans[4096 / 64];
    uint8_t *frame, *out; /* scratch, NET_FRAME_MAX each and some: a frame; one of its segments */
};

/* Queues of a pair, and the control queue, which follows the last pair, or the first one for a
 * driver that knows of one only (5.1.2). */
static inline uint32_t net_is_transmit(uint32_t n)
{
    return n & 1;
}
static inline uint32_t net_control_queue(const struct net *net)
{
    return virtio_has(&net->virtio, VIRTIO_NET_F_MQ) ? net->config->queues * 2 : 2;
}

/* One frame from the guest: device->chain(). */
int64_t net_transmit(struct net *net, uint32_t n, const struct chain *c);
/* The port's receive(). */
int net_receive(void *self, uint32_t queue, const struct bp_frame *frame);
/* Lets the backend go on if it waits for queue pair `pair`. */
void net_resume(struct net *net, uint32_t pair);
/* A command: device->chain(). */
int64_t net_control(struct net *net, uint32_t n, const struct chain *c);
void net_filter_reset(struct net *net);
/* Tells the backend what the guest takes now. */
void net_set_offloads(struct net *net, uint32_t guest_features);
/* The configuration's status: link and announce. */
void net_update_status(struct net *net, uint32_t up);

#endif
