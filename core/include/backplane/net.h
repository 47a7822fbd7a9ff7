/* SPDX-License-Identifier: MIT
 *
 * backplane/net.h - the two ends of a network link: "bp.net/1" is a backend (a tap) or the upper
 * side of a filter, bp_net_port a NIC or the lower side of a filter. host->link() joins them; they
 * share a lock domain. `queue` counts pairs of receive and transmit queues from 0.
 */
#ifndef BACKPLANE_NET_H
#define BACKPLANE_NET_H

#include "instance.h"
BP_BEGIN

#define BP_NET_ID "bp.net/1"

struct bp_buf {
    void *data;
    uint64_t len; /* bytes */
};

/* One Ethernet frame without FCS. Offload fields as in virtio 1.2, 5.1.6 (struct virtio_net_hdr) in
 * host order: all zero means a plain, complete frame. Good during the call only. */
struct bp_frame {
    uint32_t size;
    uint32_t nbufs;
    const struct bp_buf *bufs;
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
    /* In receive(), nonzero: the same queue's next receive() follows before the backend's callback
     * is over, so that the NIC may tell the guest of both together. Not after -EAGAIN. 0 is always
     * right, and what who stands in between and may keep a frame back says; send() ignores it. */
    uint16_t more;
    uint16_t reserved[2];
};

#define BP_NET_OFFLOAD_CSUM                                                                        \
    1u /* the receiver takes frames whose checksum is still to be filled in */
#define BP_NET_OFFLOAD_TSO4 2u
#define BP_NET_OFFLOAD_TSO6 4u
#define BP_NET_OFFLOAD_UFO 8u

/* The NIC's side. */
struct bp_net_port {
    uint32_t size;
    uint32_t reserved;
    /* 0: taken. -EAGAIN: no guest buffer; the backend keeps the frame, stops reading its source and
     * waits for resume(). Other -errno: dropped. [dom] */
    int (*receive)(void *port_self, uint32_t queue, const struct bp_frame *frame);
    /* Sending may go on, after send() took less than it was given. [dom] */
    void (*sent)(void *port_self, uint32_t queue);
    /* The carrier came (1) or went (0). Optional. [dom] */
    void (*link)(void *port_self, uint32_t up);
};

/* The backend's side. */
struct bp_net {
    uint32_t size;
    uint32_t reserved;
    /* Called by host->link(). -EBUSY if a port is attached already; with BP_MODEL_JOINS, if this
     * one is, or there are too many. [main] */
    int (*attach)(void *self, const struct bp_net_port *port, void *port_self);
    /* BP_NET_OFFLOAD_* that send() takes. Optional: none. [main] */
    uint32_t (*offloads)(void *self);
    /* BP_NET_OFFLOAD_* that port->receive() takes from now on; -EINVAL if it cannot. Optional.
     * [dom] */
    int (*set_offloads)(void *self, uint32_t bits);
    /* Sends `count` frames and returns how many were taken; port->sent() follows when fewer. A
     * frame that the wire drops counts as taken. [dom] */
    uint32_t (*send)(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count);
    /* The NIC has buffers again, after receive() gave -EAGAIN. [dom] */
    void (*resume)(void *self, uint32_t queue);
    /* Queue pairs in use: 1..the backend's limit; -EINVAL beyond. Optional: 1. [main] [dom] */
    int (*set_queues)(void *self, uint32_t count);
    /* For a backend with a port for each NIC (BP_MODEL_JOINS): what the NIC that attach() took last
     * has as the `self` of its calls from then on. Called by host->link(). Optional: the instance
     * itself, with one port. [main] */
    void *(*port)(void *self);
};

BP_END
#endif
