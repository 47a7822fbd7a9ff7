/* SPDX-License-Identifier: MIT
 *
 * net-loop/null.c - a network that takes every frame, with whatever offloads, and loses it. What
 * came is counted, and told at level DEBUG when the machine stops.
 */
#include "net_loop.h"

#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct null_net {
    const struct bp_host *host;
    struct bp_node *node;
    const struct null_config *config;
    int attached;
    uint64_t frames, bytes, malformed; /* since the last stop() */
};

static int null_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct null_net *n = self;

    (void)port;
    (void)port_self;
    if (n->attached)
        return -EBUSY;
    n->attached = 1;
    return 0;
}

static uint32_t null_offloads(void *self)
{
    (void)self;
    return BP_NET_OFFLOAD_CSUM | BP_NET_OFFLOAD_TSO4 | BP_NET_OFFLOAD_TSO6 | BP_NET_OFFLOAD_UFO;
}

/* Nothing is ever given to the port, so that it may take what it likes. */
static int null_set_offloads(void *self, uint32_t bits)
{
    return bits & ~null_offloads(self) ? -EINVAL : 0;
}

static uint32_t null_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct null_net *n = self;

    (void)queue;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t len = bp_frame_len(bp_frame_at(frames, i));

        if (len < BP_FRAME_MIN || len > BP_FRAME_MAX) {
            n->malformed++;
            continue;
        }
        n->frames++;
        n->bytes += len;
    }
    return count;
}

static void null_resume(void *self, uint32_t queue)
{
    (void)self;
    (void)queue;
}

static int null_set_queues(void *self, uint32_t count)
{
    const struct null_net *n = self;

    return count >= 1 && count <= n->config->queues ? 0 : -EINVAL;
}

static const struct bp_net null_table = {
    .size = sizeof(struct bp_net),
    .attach = null_attach,
    .offloads = null_offloads,
    .set_offloads = null_set_offloads,
    .send = null_send,
    .resume = null_resume,
    .set_queues = null_set_queues,
};

static int null_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct null_net *n = calloc(1, sizeof(*n));

    if (!n)
        return host->fail(node, -ENOMEM, "no memory for the network");
    n->host = host;
    n->node = node;
    n->config = config;
    *self = n;
    return 0;
}

static void null_destroy(void *self)
{
    free(self);
}

static void null_reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

static void null_stop(void *self)
{
    struct null_net *n = self;

    if (n->frames || n->malformed)
        bp_logf(n->host, n->node, BP_LOG_DEBUG,
                "took %" PRIu64 " frames of %" PRIu64 " bytes; %" PRIu64
                " more were no Ethernet frames by their length",
                n->frames, n->bytes, n->malformed);
    n->frames = n->bytes = n->malformed = 0;
}

static const void *null_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &null_table : NULL;
}

const struct bp_instance_ops null_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = null_create,
    .destroy = null_destroy,
    .reset = null_reset,
    .stop = null_stop,
    .extension = null_extension,
};
