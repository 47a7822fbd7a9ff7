/* SPDX-License-Identifier: MIT
 *
 * net-tap/tap.c - the instance: what the adapter may set, and an interface that goes and comes
 * back. When it goes the link is down, and what the guest sends is lost; a timer looks for an
 * interface of the same name, after 1, 2, 4 ... 30 s. It is not made anew: who removed it may have
 * meant it. A tap's fd says that it went; a macvtap's does not, and is asked after once a second.
 */
#include "net_tap.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OFFLOADS                                                                                   \
    (BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6 | BP_NET_OFFLOAD_UFO)
#define RETRY_FIRST_S 1u
#define RETRY_LAST_S 30u
#define SECOND_NS UINT64_C(1000000000)

static void watch_all(struct tap *t)
{
    for (uint32_t i = 0; i < t->queue_count; i++)
        tap_watch(t, i);
}

/* ---- the interface goes and comes ---------------------------------------------------------------
 */

void tap_lost(struct tap *t)
{
    if (t->lost || t->down)
        return;
    t->lost = 1;
    watch_all(t); /* no longer */
    t->host->timer_set(t->node, TAP_TIMER_LINK, 0);
}

static void go_down(struct tap *t)
{
    t->lost = 0;
    t->down = 1;
    tap_close(t);
    for (uint32_t i = 0; i < t->queue_count; i++) {
        struct tap_queue *q = &t->queues[i];

        t->dropped += !!q->len;
        t->dropped += !!q->ahead_len;
        q->len = q->ahead_len = q->stuck = 0;
        q->held = 0;
    }
    bp_logf(t->host, t->node, BP_LOG_WARN,
            t->config->fd.count
                ? "interface %s is gone, and the fd that was given with it: the link is down"
                : "interface %s is gone: the link is down until it is back",
            t->name);
    if (t->port) {
        t->port->link(t->port_self, 0);
        /* Whoever waited for room need not wait any longer: nothing is refused now. */
        for (uint32_t i = 0; i < t->in_use; i++)
            t->port->sent(t->port_self, i);
    }
    t->retry_s = RETRY_FIRST_S;
}

static int attach_queues(struct tap *t)
{
    for (uint32_t i = 0; i < t->queue_count; i++) {
        int err = tap_attach_queue(t, i, i < t->in_use);

        if (err)
            return err;
    }
    return 0;
}

static void come_up(struct tap *t)
{
    char text[BP_LINE_MAX];

    if (!tap_exists(t->name) || tap_open(t, text, sizeof(text)))
        return;
    if (tap_configure(t, text, sizeof(text)))
        t->host->log(t->node, BP_LOG_WARN, text);
    if (attach_queues(t) || tap_set_offloads(t, t->offloads)) {
        tap_close(t);
        return;
    }
    t->down = 0;
    watch_all(t);
    bp_logf(t->host, t->node, BP_LOG_INFO, "interface %s is back: the link is up", t->name);
    if (t->port)
        t->port->link(t->port_self, 1);
}

static void arm_link(struct tap *t, uint32_t seconds)
{
    t->host->timer_set(t->node, TAP_TIMER_LINK, t->host->clock_ns(t->node) + seconds * SECOND_NS);
}

static void look_for_interface(struct tap *t)
{
    if (t->config->macvtap && !t->down && if_nametoindex(t->name) != t->index)
        t->lost = 1;
    if (t->lost)
        go_down(t);
    else if (t->down)
        come_up(t);
    if (t->down && !t->config->fd.count) {
        arm_link(t, t->retry_s);
        t->retry_s = t->retry_s * 2 < RETRY_LAST_S ? t->retry_s * 2 : RETRY_LAST_S;
    } else if (!t->down && t->config->macvtap) {
        arm_link(t, RETRY_FIRST_S);
    }
}

static void tap_timer(void *self, uint32_t id)
{
    struct tap *t = self;

    if (id == TAP_TIMER_LINK) {
        look_for_interface(t);
        return;
    }
    for (uint32_t i = 0; i < t->in_use; i++) {
        tap_deliver_held(t, i);
        tap_watch(t, i);
    }
}

/* ---- "bp.net/1" ---------------------------------------------------------------------------------
 */

static int net_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct tap *t = self;

    if (t->port)
        return -EBUSY;
    t->port = port;
    t->port_self = port_self;
    watch_all(t);
    return 0;
}

static uint32_t net_offloads(void *self)
{
    const struct tap *t = self;

    return t->config->vnet_hdr ? OFFLOADS : 0;
}

static int net_set_offloads(void *self, uint32_t bits)
{
    struct tap *t = self;

    /* The kernel knows segments without unfinished checksums no more than virtio does. */
    if (bits & ~net_offloads(self) || (bits && !(bits & BP_NET_OFFLOAD_CSUM)))
        return -EINVAL;
    if (t->config->vnet_hdr && tap_set_offloads(t, bits))
        return -EINVAL;
    t->offloads = bits;
    return 0;
}

static uint32_t net_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    return tap_send(self, queue, frames, count);
}

static void net_resume(void *self, uint32_t queue)
{
    struct tap *t = self;

    if (queue >= t->in_use || !t->queues[queue].held)
        return;
    t->queues[queue].held = 0;
    t->host->timer_set(t->node, TAP_TIMER_RESUME, 0);
}

static int net_set_queues(void *self, uint32_t count)
{
    struct tap *t = self;
    uint32_t before = t->in_use;

    if (count < 1 || count > t->queue_count)
        return -EINVAL;
    t->in_use = count;
    if (attach_queues(t)) {
        t->in_use = before;
        (void)attach_queues(t);
        return -EINVAL;
    }
    for (uint32_t i = count; i < t->queue_count; i++)
        t->queues[i].len = t->queues[i].ahead_len = t->queues[i].held = t->queues[i].owes = 0;
    watch_all(t);
    return 0;
}

static const struct bp_net tap_table = {
    .size = sizeof(struct bp_net),
    .attach = net_attach,
    .offloads = net_offloads,
    .set_offloads = net_set_offloads,
    .send = net_send,
    .resume = net_resume,
    .set_queues = net_set_queues,
};

/* ---- the instance -------------------------------------------------------------------------------
 */

static void tap_destroy(void *self)
{
    struct tap *t = self;

    tap_close(t);
    for (uint32_t i = 0; i < t->queue_count; i++) {
        free(t->queues[i].buffer);
        free(t->queues[i].ahead);
        free(t->queues[i].flat);
    }
    free(t);
}

static int make_queues(struct tap *t)
{
    uint32_t count = t->config->fd.count ? (uint32_t)t->config->fd.count : t->config->queues;

    for (uint32_t i = 0; i < count; i++) {
        t->queues[i].fd = -1;
        t->queues[i].buffer = malloc(TAP_HEADER + BP_FRAME_MAX);
        t->queues[i].ahead = malloc(TAP_HEADER + BP_FRAME_MAX);
        t->queues[i].flat = malloc(BP_FRAME_MAX);
        t->queue_count = i + 1;
        if (!t->queues[i].buffer || !t->queues[i].ahead || !t->queues[i].flat)
            return t->host->fail(t->node, -ENOMEM, "no memory for the network's queues");
    }
    t->in_use = 1;
    return 0;
}

static int set_up(struct tap *t)
{
    char text[BP_LINE_MAX];
    int err = tap_check_names(t);

    if (!err)
        err = make_queues(t);
    if (err)
        return err;
    err = tap_open(t, text, sizeof(text));
    if (!err)
        err = tap_configure(t, text, sizeof(text));
    if (err)
        return t->host->fail(t->node, err, text);
    err = attach_queues(t);
    if (err)
        return bp_failf(t->host, t->node, err, "queues of interface %s cannot be set: %s", t->name,
                        strerror(-err));
    bp_logf(t->host, t->node, BP_LOG_INFO, "the host's end is interface %s", t->name);
    return 0;
}

static int tap_create(const struct bp_host *host, struct bp_node *node, const void *config,
                      void **self)
{
    struct tap *t = calloc(1, sizeof(*t));
    int err;

    if (!t)
        return host->fail(node, -ENOMEM, "no memory for the network");
    t->host = host;
    t->node = node;
    t->config = config;
    err = set_up(t);
    if (err) {
        tap_destroy(t);
        return err;
    }
    *self = t;
    return 0;
}

/* An adapter that was reset has forgotten what it had set, and that it had to wait. */
static void tap_reset(void *self, uint32_t kind)
{
    struct tap *t = self;

    (void)kind;
    for (uint32_t i = 0; i < t->queue_count; i++) {
        struct tap_queue *q = &t->queues[i];

        q->len = q->ahead_len = q->stuck = 0;
        q->held = q->owes = 0;
    }
    t->in_use = 1;
    (void)attach_queues(t); /* a queue that stays attached is read by nobody: frames are lost */
    (void)net_set_offloads(t, 0);
}

static int tap_start(void *self)
{
    struct tap *t = self;

    t->running = 1;
    watch_all(t);
    if (t->config->macvtap && !t->down)
        arm_link(t, RETRY_FIRST_S);
    return 0;
}

static void tap_stop(void *self)
{
    struct tap *t = self;

    t->running = 0;
    watch_all(t);
    if (t->received || t->sent || t->dropped)
        bp_logf(t->host, t->node, BP_LOG_DEBUG,
                "gave the guest %" PRIu64 " frames and took %" PRIu64 ", dropped %" PRIu64,
                t->received, t->sent, t->dropped);
    t->received = t->sent = t->dropped = 0;
}

static const void *tap_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &tap_table : NULL;
}

const struct bp_instance_ops tap_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = tap_create,
    .destroy = tap_destroy,
    .reset = tap_reset,
    .start = tap_start,
    .stop = tap_stop,
    .timer = tap_timer,
    .extension = tap_extension,
};
