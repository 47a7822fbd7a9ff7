/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/fake_net.h - a network under the test's control: it keeps what is sent, takes as much
 * as it is told, and gives frames.
 */
#ifndef FAKE_NET_H
#define FAKE_NET_H

#include <backplane/net.h>

#define FAKE_NET_FRAMES 128u
#define FAKE_NET_BYTES 70000u

struct fake_net_frame {
    uint32_t queue, len;
    struct bp_frame frame; /* `bufs` is not kept */
    uint8_t *data;
};

struct fake_net {
    uint32_t offloads; /* that send() takes */
    uint32_t can;      /* that receive() may be told to take */
    uint32_t receives; /* as it was told */
    uint32_t room;     /* frames that send() still takes */
    uint32_t queues_max, queues;
    uint32_t resumes;
    int inside; /* the test is in a call of the NIC */
    int attached;
    uint32_t count; /* of what was sent */
    struct fake_net_frame sent[FAKE_NET_FRAMES];
    const struct bp_net_port *port;
    void *port_self;
};

extern const struct bp_net fake_net_ops;

/* A network that takes everything, without offloads. */
struct fake_net *fake_net_new(void);
void fake_net_free(struct fake_net *n);
void fake_net_forget(struct fake_net *n); /* what was sent */
/* Gives the NIC a frame; `header` NULL: a plain one. The port's answer. */
int fake_net_give(struct fake_net *n, uint32_t queue, const void *data, uint32_t len,
                  const struct bp_frame *header);

#endif
