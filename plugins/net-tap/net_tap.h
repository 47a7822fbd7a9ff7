/* SPDX-License-Identifier: MIT
 *
 * net-tap/net_tap.h - what the files of this plugin share: a tap interface of the host's kernel,
 * one fd for each pair of queues.
 *
 * With `vnet-hdr` each frame has a struct virtio_net_hdr before it (virtio 1.2, 5.1.6; Linux's
 * Documentation/networking/tuntap.rst), whose fields are those of struct bp_frame, so that
 * checksums and segments are left to whoever is last.
 */
#ifndef NET_TAP_NET_TAP_H
#define NET_TAP_NET_TAP_H

#include "config.h"

#include <backplane/plugin.h>
#include <backplane/util/frame.h>
#include <net/if.h>

#define TAP_HEADER 10u /* bytes of struct virtio_net_hdr */

#define TAP_TIMER_LINK 0u   /* the interface went, or may have come back */
#define TAP_TIMER_RESUME 1u /* an adapter has buffers again */

struct tap_queue {
    int fd;             /* -1: the interface is gone */
    uint32_t len;       /* bytes of the frame in `buffer` that the adapter has not taken; 0: none */
    uint32_t ahead_len; /* of the one that follows it, in `ahead`, likewise */
    uint32_t stuck;     /* times in a row that the fd was writable and took nothing */
    uint8_t attached, held, owes;
    uint8_t reserved;
    uint32_t watched;        /* BP_FD_* */
    uint8_t *buffer, *ahead; /* TAP_HEADER + BP_FRAME_MAX, read into */
    uint8_t *flat;           /* BP_FRAME_MAX: a frame of the guest's in very many pieces */
};

struct tap {
    const struct bp_host *host;
    struct bp_node *node;
    const struct tap_config *config;
    const struct bp_net_port *port; /* NULL: no adapter */
    void *port_self;
    char name[IFNAMSIZ];  /* the interface's, patterns filled in */
    unsigned index;       /* the interface's */
    uint32_t queue_count; /* fds */
    uint32_t in_use;      /* of them, by the adapter */
    uint32_t offloads;    /* BP_NET_OFFLOAD_* that the adapter takes */
    uint32_t retry_s;     /* until the next look for the interface; doubled each time */
    uint8_t running;
    uint8_t down;                     /* the interface is gone, and the adapter was told */
    uint8_t lost;                     /* it is gone, and the adapter will be told by the timer */
    uint8_t storm;                    /* it was said that the interface takes nothing */
    uint64_t received, sent, dropped; /* frames, since the last stop() */
    struct tap_queue queues[TAP_QUEUES_MAX];
};

/* ---- open.c: fds. [main], and [dom] when the interface is back ---- */

/* Checks `ifname`, `macvtap` and `fd`. Negative errno after host->fail(). */
int tap_check_names(struct tap *t);
/* Opens the fds, t->queue_count of them, and finds out t->name. Negative errno; `text` of
 * `text_size` bytes gets a sentence. */
int tap_open(struct tap *t, char *text, size_t text_size);
void tap_close(struct tap *t);
/* Tells the kernel what the adapter takes: BP_NET_OFFLOAD_*. Negative errno. */
int tap_set_offloads(struct tap *t, uint32_t bits);
/* Attaches a queue to the interface, or detaches it. Negative errno. */
int tap_attach_queue(struct tap *t, uint32_t queue, int attach);

/* ---- interface.c: `up`, `mtu`, `bridge`, `address` ---- */

/* Does what the keys say to interface t->name. Negative errno; `text` gets a sentence. */
int tap_configure(const struct tap *t, char *text, size_t text_size);
/* Nonzero if there is an interface of that name. */
int tap_exists(const char *name);

/* ---- queue.c: frames. [dom] ---- */

/* Watches the fd for what is wanted of it: frames unless the adapter is behind, room if it waits.
 */
void tap_watch(struct tap *t, uint32_t queue);
uint32_t tap_send(struct tap *t, uint32_t queue, const struct bp_frame *frames, uint32_t count);
/* Hands over the frames that were held, if any. */
void tap_deliver_held(struct tap *t, uint32_t queue);

/* The interface is gone: the timer does the rest. tap.c */
void tap_lost(struct tap *t);

extern const struct bp_instance_ops tap_ops;

#endif
