/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/rng/rng.c - the entropy device (virtio 1.2, 5.4): the guest gives buffers, and gets
 * them back with bytes of the host's getentropy().
 *
 * `rate` bytes in each `period` milliseconds of guest time are given, for hosts that want to bound
 * what a guest can take; what is asked beyond that waits for the next period. One buffer gets 64
 * KiB at the most, whatever its size (5.4.6.1 allows less than asked).
 */
#include "rng/rng.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <sys/random.h> /* getentropy() */
#include <unistd.h>

#define REQUEST_MAX 65536u /* bytes */
#define CHUNK 256u         /* what getentropy() gives at once */
#define NS_PER_MS UINT64_C(1000000)
#define TIMER_PERIOD VIRTIO_TIMER_DEVICE

struct rng {
    struct virtio virtio;
    const struct rng_config *config;
    uint64_t period_end_ns; /* guest time; 0: no period has begun */
    uint64_t given;         /* bytes in this period */
};

/* How many bytes may be given now, and a timer if there are none. */
static uint64_t allowance(struct rng *r)
{
    struct virtio *v = &r->virtio;
    uint64_t now = v->host->clock_ns(v->node), period_ns = r->config->period * NS_PER_MS;

    if (!r->config->rate)
        return UINT64_MAX;
    if (now >= r->period_end_ns || r->period_end_ns - now > period_ns) { /* a snapshot's: longer */
        r->period_end_ns = now + period_ns;
        r->given = 0;
    }
    if (r->given < r->config->rate)
        return r->config->rate - r->given;
    v->host->timer_set(v->node, TIMER_PERIOD, r->period_end_ns);
    return 0;
}

static int64_t rng_chain(struct virtio *v, uint32_t n, const struct chain *c)
{
    struct rng *r = (struct rng *)v;
    uint64_t left = allowance(r);
    uint32_t want = c->writable_bytes < REQUEST_MAX ? c->writable_bytes : REQUEST_MAX, done = 0;
    uint8_t bytes[CHUNK];

    if (!want)
        return 0;
    if (!left)
        return VIRTIO_HOLD;
    if (want > left)
        want = (uint32_t)left;
    while (done < want) {
        uint32_t len = want - done < CHUNK ? want - done : CHUNK;

        if (getentropy(bytes, len) || chain_write(&v->queues[n], c, done, bytes, len) < 0) {
            virtio_guest(v, "a buffer for random bytes is not in RAM");
            break;
        }
        done += len;
    }
    r->given += done;
    return done;
}

static void rng_timer(struct virtio *v, uint32_t id)
{
    if (id == TIMER_PERIOD)
        virtio_kick(v, 0);
}

static void rng_reset(struct virtio *v)
{
    v->host->timer_set(v->node, TIMER_PERIOD, UINT64_MAX);
}

static int rng_after_load(struct virtio *v)
{
    v->host->timer_set(v->node, TIMER_PERIOD, 0);
    return 0;
}

static const struct virtio_device device = {
    .id = 4,
    .class_code = 0xff0000,
    .features = BIT(VIRTIO_F_IN_ORDER),
    .kicked = virtio_run,
    .chain = rng_chain,
    .reset = rng_reset,
    .after_load = rng_after_load,
    .timer = rng_timer,
};

static int rng_create(const struct bp_host *host, struct bp_node *node, const void *config,
                      void **self)
{
    const struct rng_config *c = config;
    struct rng *r;
    int err;

    if (c->rate && !c->period)
        return bp_failf(host, node, -EINVAL,
                        "period is 0 ms, in which no bytes can be given; use 1000");
    r = virtio_alloc(host, node, &device, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->config = c;
    err = virtio_init(&r->virtio, &c->virtio, 1, 0);
    if (err) {
        virtio_free(&r->virtio);
        return err;
    }
    *self = r;
    return 0;
}

static const struct bp_field fields[] = {
    VIRTIO_FIELDS,
    BP_FIELD(struct rng, period_end_ns, 1),
    BP_FIELD(struct rng, given, 1),
    {.name = NULL},
};

const struct bp_instance_ops rng_ops = VIRTIO_INSTANCE(rng_create, fields);
