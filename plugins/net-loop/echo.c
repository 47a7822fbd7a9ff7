/* SPDX-License-Identifier: MIT
 *
 * net-loop/echo.c - a network that brings every frame back, on the queue that it was sent on and in
 * order. Frames wait in a queue of bounded length, whose timer hands them over on the loop: never
 * from inside a call of the adapter. An adapter without buffers holds its queue, and a full queue
 * holds the adapter, as a wire with a slow far end would.
 *
 * A frame that needs an offload that the adapter does not take is lost, and counted: completing it
 * would be another device's work. Saved machines do not keep the frames on the wire.
 */
#include "net_loop.h"

#include <backplane/util/finish.h>
#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OFFLOADS                                                                                   \
    (BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6 | BP_NET_OFFLOAD_UFO)
#define FRAMES_AT_ONCE 64u    /* handed over before others on the loop have their turn */
#define BYTES_MAX (4u << 20u) /* that wait in a queue, whatever the number of frames */

struct echo_queue {
    struct bp_frame_queue frames;
    uint8_t held;  /* the adapter has no buffers */
    uint8_t owes;  /* the adapter was taken less from than it gave: sent() is due */
    uint8_t armed; /* its timer runs */
};

struct echo {
    const struct bp_host *host;
    struct bp_node *node;
    const struct echo_config *config;
    const struct bp_net_port *port; /* NULL: no adapter */
    void *port_self;
    uint32_t queue_count; /* in use */
    uint32_t taken;       /* BP_NET_OFFLOAD_* that the adapter takes */
    uint64_t echoed, dropped;
    struct echo_queue queues[LOOP_QUEUES_MAX];
};

static void arm(struct echo *e, uint32_t queue)
{
    struct echo_queue *q = &e->queues[queue];

    if (q->armed || q->held || !q->frames.count)
        return;
    q->armed = 1;
    e->host->timer_set(e->node, queue, 0);
}

/* ---- "bp.net/1" ---------------------------------------------------------------------------------
 */

static int echo_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct echo *e = self;

    if (e->port)
        return -EBUSY;
    e->port = port;
    e->port_self = port_self;
    return 0;
}

static uint32_t echo_offloads(void *self)
{
    const struct echo *e = self;

    return e->config->offloads ? OFFLOADS : 0;
}

static int echo_set_offloads(void *self, uint32_t bits)
{
    struct echo *e = self;

    if (bits & ~echo_offloads(self))
        return -EINVAL;
    e->taken = bits;
    return 0;
}

/* Nonzero if the adapter does not take such a frame as it is. */
static int is_too_much(const struct echo *e, const struct bp_frame *frame)
{
    return (bp_offloads_needed(frame->flags, frame->gso_type) & ~e->taken) != 0;
}

static void swap_addresses(uint8_t *frame)
{
    uint8_t destination[6];

    memcpy(destination, frame, 6);
    memcpy(frame, frame + 6, 6);
    memcpy(frame + 6, destination, 6);
}

static uint32_t echo_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct echo *e = self;
    struct echo_queue *q;
    uint32_t done = 0;

    if (queue >= e->queue_count) {
        e->dropped += count;
        return count;
    }
    q = &e->queues[queue];
    for (; done < count; done++) {
        const struct bp_frame *frame = bp_frame_at(frames, done);
        int err = is_too_much(e, frame) ? -ENOTSUP : bp_frame_queue_push(&q->frames, frame);

        if (err == -ENOBUFS) {
            q->owes = 1;
            break;
        }
        if (err)
            e->dropped++;
        else if (e->config->swap)
            swap_addresses(q->frames.last->buf.data);
    }
    arm(e, queue);
    return done;
}

static void echo_resume(void *self, uint32_t queue)
{
    struct echo *e = self;

    if (queue >= e->queue_count)
        return;
    e->queues[queue].held = 0;
    arm(e, queue);
}

static void clear_queue(struct echo *e, uint32_t queue)
{
    struct echo_queue *q = &e->queues[queue];

    e->dropped += q->frames.count;
    bp_frame_queue_clear(&q->frames);
    q->held = q->owes = 0;
}

static int echo_set_queues(void *self, uint32_t count)
{
    struct echo *e = self;

    if (count < 1 || count > e->config->queues)
        return -EINVAL;
    for (uint32_t i = count; i < e->queue_count; i++)
        clear_queue(e, i);
    e->queue_count = count;
    return 0;
}

static const struct bp_net echo_table = {
    .size = sizeof(struct bp_net),
    .attach = echo_attach,
    .offloads = echo_offloads,
    .set_offloads = echo_set_offloads,
    .send = echo_send,
    .resume = echo_resume,
    .set_queues = echo_set_queues,
};

/* ---- the instance -------------------------------------------------------------------------------
 */

/* Hands over what waits in queue `id`. A queue that emptied by half lets its sender go on. */
static void echo_timer(void *self, uint32_t id)
{
    struct echo *e = self;
    struct echo_queue *q = &e->queues[id];

    q->armed = 0;
    if (!e->port || id >= e->queue_count)
        return;
    for (uint32_t i = 0; i < FRAMES_AT_ONCE && q->frames.count && !q->held; i++) {
        const struct bp_frame *frame = &q->frames.first->frame;
        int err = is_too_much(e, frame) ? -ENOTSUP : 0;

        if (!err)
            err = e->port->receive(e->port_self, id, frame);
        if (err == -EAGAIN) {
            q->held = 1;
            break;
        }
        e->echoed += !err;
        e->dropped += !!err;
        bp_frame_queue_pop(&q->frames);
    }
    if (q->owes && !bp_frame_queue_is_full(&q->frames) && q->frames.count <= q->frames.limit / 2) {
        q->owes = 0;
        e->port->sent(e->port_self, id);
    }
    arm(e, id);
}

static int echo_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct echo *e = calloc(1, sizeof(*e));

    if (!e)
        return host->fail(node, -ENOMEM, "no memory for the network");
    e->host = host;
    e->node = node;
    e->config = config;
    e->queue_count = 1;
    for (uint32_t i = 0; i < LOOP_QUEUES_MAX; i++) {
        e->queues[i].frames.limit = e->config->depth;
        e->queues[i].frames.limit_bytes = BYTES_MAX;
    }
    *self = e;
    return 0;
}

static void echo_destroy(void *self)
{
    struct echo *e = self;

    for (uint32_t i = 0; i < LOOP_QUEUES_MAX; i++)
        bp_frame_queue_clear(&e->queues[i].frames);
    free(e);
}

/* What was on the wire is lost; an adapter that was reset has forgotten that it had to wait. */
static void echo_reset(void *self, uint32_t kind)
{
    struct echo *e = self;

    (void)kind;
    for (uint32_t i = 0; i < LOOP_QUEUES_MAX; i++)
        clear_queue(e, i);
    e->queue_count = 1;
    e->taken = 0;
}

static void echo_stop(void *self)
{
    struct echo *e = self;

    if (e->echoed || e->dropped)
        bp_logf(e->host, e->node, BP_LOG_DEBUG, "brought %" PRIu64 " frames back, lost %" PRIu64,
                e->echoed, e->dropped);
    e->echoed = e->dropped = 0;
}

static const void *echo_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &echo_table : NULL;
}

const struct bp_instance_ops echo_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = echo_create,
    .destroy = echo_destroy,
    .reset = echo_reset,
    .stop = echo_stop,
    .timer = echo_timer,
    .extension = echo_extension,
};
