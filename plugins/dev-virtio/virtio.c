/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/virtio.c - what every virtio device has, whatever it is and however the guest reaches
 * it: status, feature negotiation, queues' configuration, notifications, reset (virtio 1.2, 2 and
 * 3).
 *
 * Only devices of virtio 1.0 and later: VIRTIO_F_VERSION_1 must be accepted, and there is no legacy
 * interface.
 */
#include "virtio.h"

#include <backplane/ext/doorbell.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif
#include <unistd.h>

#define FEATURES_OF_RINGS                                                                          \
    (BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |             \
     BIT(VIRTIO_F_RING_RESET))

void virtio_guest(const struct virtio *v, const char *what)
{
    v->host->log(v->node, BP_LOG_WARN | BP_LOG_GUEST, what);
}

int virtio_live(const struct virtio *v, uint32_t n)
{
    return n < v->queue_count && v->queues[n].enabled && !v->queues[n].resetting &&
           v->status & STATUS_DRIVER_OK && !(v->status & STATUS_NEEDS_RESET) &&
           !(v->device->busy && v->device->busy(v, n));
}

void virtio_broken(struct virtio *v, const char *why)
{
    if (v->status & STATUS_NEEDS_RESET)
        return;
    bp_logf(v->host, v->node, BP_LOG_WARN | BP_LOG_GUEST,
            "%s: the device stands still until it is reset", why);
    v->status |= STATUS_NEEDS_RESET;
    if (v->status & STATUS_DRIVER_OK)
        v->transport->config(v); /* 2.1.2 */
}

void virtio_publish(struct virtio *v, uint32_t n)
{
    struct queue *q = &v->queues[n];
    int wanted;

    if (!q->enabled || v->status & STATUS_NEEDS_RESET)
        return;
    wanted = queue_publish(q);
    if (wanted < 0)
        virtio_broken(v, q->error);
    else if (wanted)
        v->transport->used(v, n);
}

void virtio_later(struct virtio *v, uint32_t n)
{
    v->pending |= 1u << n;
    v->host->timer_set(v->node, VIRTIO_TIMER_WORK, v->host->clock_ns(v->node));
}

/* The driver, which has not been asked to, does not notify meanwhile. */
static void rest(struct virtio *v, uint32_t n, uint32_t ns)
{
    if (!v->pending)
        v->host->timer_set(v->node, VIRTIO_TIMER_WORK, v->host->clock_ns(v->node) + ns);
    v->pending |= 1u << n;
}

void virtio_run(struct virtio *v, uint32_t n)
{
    struct queue *q = &v->queues[n];
    struct chain c;

    v->work = 0;
    for (uint32_t done = 0; virtio_live(v, n); done++) {
        struct queue_mark mark;
        int64_t written;
        int got;

        if (done + v->work >= VIRTIO_BUDGET) {
            virtio_later(v, n);
            break;
        }
        if (q->staged_count == QUEUE_STAGED) {
            virtio_publish(v, n);
            if (!virtio_live(v, n))
                return;
        }
        mark = queue_mark(q); /* behind what was published, which cannot be undone */
        got = queue_pop(q, &c);
        if (got < 0) {
            virtio_broken(v, q->error);
            return;
        }
        if (!got) {
            uint32_t ns = 0;

            virtio_publish(v, n);
            if (virtio_live(v, n) && v->device->rests)
                ns = v->device->rests(v, n, done);
            if (ns)
                rest(v, n, ns);
            else if (virtio_live(v, n) && queue_arm(q))
                continue;
            return;
        }
        written = v->device->chain(v, n, &c);
        if (written == VIRTIO_HOLD) {
            queue_rewind(q, &mark);
            break;
        }
        if (written != VIRTIO_TAKEN)
            queue_stage(q, c.id, c.slots, (uint32_t)written);
    }
    virtio_publish(v, n);
}

/* ---- configuration ---- */

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    if (v->status & STATUS_DRIVER_OK)
        v->transport->config(v);
}

uint32_t virtio_config_get(const struct virtio *v, uint64_t offset, uint32_t width)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < width; i++)
        if (offset < v->config_bytes && i < v->config_bytes - offset)
            value |= (uint32_t)v->config[offset + i] << (8 * i);
    return value;
}

void virtio_config_put(struct virtio *v, uint64_t offset, uint32_t value, uint32_t width)
{
    if (offset >= v->config_bytes || width > v->config_bytes - offset)
        virtio_guest(v, "a write beyond the device's configuration was ignored");
    else if (v->device->config_written)
        v->device->config_written(v, (uint32_t)offset, value, width);
    else
        virtio_guest(v, "a write to a configuration that cannot be written was ignored");
}

/* ---- features and status ---- */

uint32_t virtio_offered_word(const struct virtio *v, uint32_t select)
{
    return select < 2 ? (uint32_t)(v->offered >> (32 * select)) : 0;
}

uint32_t virtio_accepted_word(const struct virtio *v, uint32_t select)
{
    return select < 2 ? (uint32_t)(v->accepted >> (32 * select)) : 0;
}

void virtio_accept_word(struct virtio *v, uint32_t select, uint32_t value)
{
    if (v->status & STATUS_FEATURES_OK) {
        virtio_guest(v, "features were written after FEATURES_OK, and ignored");
        return;
    }
    if (select > 1) {
        if (value)
            virtio_guest(v, "features beyond bit 63 were accepted: there are none");
        return;
    }
    v->accepted &= ~(UINT64_C(0xffffffff) << (32 * select));
    v->accepted |= (uint64_t)value << (32 * select);
}

static int features_are_good(struct virtio *v)
{
    if (v->accepted & ~v->offered) {
        virtio_guest(v,
                     "the driver accepts features that were not offered: FEATURES_OK is refused");
        return 0;
    }
    if (!(v->accepted >> VIRTIO_F_VERSION_1 & 1)) {
        virtio_guest(v, "the driver does not accept VIRTIO_F_VERSION_1, and there is no older "
                        "interface: FEATURES_OK is refused");
        return 0;
    }
    if (v->device->features_ok && !v->device->features_ok(v, v->accepted)) {
        virtio_guest(v, "the driver accepts a feature without one that it needs: FEATURES_OK is "
                        "refused");
        return 0;
    }
    return 1;
}

static uint32_t busy(const struct virtio *v)
{
    uint32_t count = 0;

    for (uint32_t n = 0; v->device->busy && n < v->queue_count; n++)
        count += v->device->busy(v, n);
    return count;
}

uint8_t virtio_status(const struct virtio *v)
{
    return !v->status && busy(v) ? STATUS_NEEDS_RESET : v->status;
}

static void reset(struct virtio *v)
{
    if (v->device->reset)
        v->device->reset(v);
    v->status = v->isr = 0;
    v->accepted = 0;
    v->device_select = v->driver_select = 0;
    v->queue_select = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->pending = 0;
    for (uint32_t n = 0; n < VIRTIO_QUEUES_MAX; n++)
        queue_reset(&v->queues[n]);
    v->transport->reset(v);
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
    uint8_t set = (uint8_t)(status & ~v->status);

    if (!status) {
        reset(v);
        return;
    }
    if (v->status & ~STATUS_NEEDS_RESET & ~(uint32_t)status) {
        virtio_guest(v, "a status bit was cleared without a reset, which was ignored");
        status |= v->status;
    }
    if (set & STATUS_FEATURES_OK && !features_are_good(v)) {
        status &= (uint8_t)~STATUS_FEATURES_OK;
        set &= (uint8_t)~STATUS_FEATURES_OK;
    }
    if (set & STATUS_DRIVER_OK && !(status & STATUS_FEATURES_OK)) {
        virtio_guest(v, "DRIVER_OK was set without FEATURES_OK, and ignored");
        status &= (uint8_t)~STATUS_DRIVER_OK;
        set &= (uint8_t)~STATUS_DRIVER_OK;
    }
    v->status = (uint8_t)((status & ~STATUS_NEEDS_RESET) | (v->status & STATUS_NEEDS_RESET));
    if (!(set & STATUS_DRIVER_OK))
        return;
    if (v->device->driver_ok)
        v->device->driver_ok(v);
    if (v->status & STATUS_NEEDS_RESET)
        v->transport->config(v);
}

/* ---- queues ---- */

struct queue *virtio_selected(struct virtio *v)
{
    return v->queue_select < v->queue_count ? &v->queues[v->queue_select] : NULL;
}

/* After DRIVER_OK only a queue that was reset may be set up (2.6.1). */
int virtio_queue_open(struct virtio *v, const struct queue *q)
{
    if (v->status & STATUS_FEATURES_OK && !q->enabled && !q->resetting &&
        (!(v->status & STATUS_DRIVER_OK) || virtio_has(v, VIRTIO_F_RING_RESET)))
        return 1;
    virtio_guest(v, "a queue was configured that is in use, or before FEATURES_OK, which was "
                    "ignored");
    return 0;
}

void virtio_queue_set_size(struct virtio *v, struct queue *q, uint32_t size)
{
    if (!virtio_queue_open(v, q))
        return;
    if (!size || size > q->max_size)
        virtio_guest(v, "a queue size was written that the queue cannot have");
    q->size = size > q->max_size ? 0 : (uint16_t)size; /* 0: queue_enable() refuses it */
}

void virtio_queue_set_half(struct virtio *v, struct queue *q, uint32_t area, uint32_t high,
                           uint32_t value)
{
    uint64_t *at = area == QUEUE_DESC ? &q->desc : area == QUEUE_DRIVER ? &q->driver : &q->device;

    if (!virtio_queue_open(v, q))
        return;
    if (high)
        *at = (*at & 0xffffffffu) | (uint64_t)value << 32;
    else
        *at = (*at & ~UINT64_C(0xffffffff)) | value;
}

void virtio_queue_enable(struct virtio *v, struct queue *q)
{
    if (q->enabled || !virtio_queue_open(v, q))
        return;
    if (queue_enable(q, v->accepted))
        virtio_guest(v, q->error);
}

void virtio_queue_reset(struct virtio *v, struct queue *q)
{
    uint32_t n = (uint32_t)(q - v->queues);
    uint16_t vector = q->vector;

    if (!virtio_has(v, VIRTIO_F_RING_RESET)) {
        virtio_guest(v, "a queue was reset without VIRTIO_F_RING_RESET, which was ignored");
        return;
    }
    if (v->device->queue_reset)
        v->device->queue_reset(v, n);
    queue_reset(q);
    q->vector = vector;
    v->pending &= ~(1u << n);
    q->resetting = v->device->busy && v->device->busy(v, n);
}

uint32_t virtio_queue_resetting(struct virtio *v, const struct queue *q)
{
    (void)v;
    return q->resetting;
}

void virtio_idle(struct virtio *v)
{
    for (uint32_t n = 0; n < v->queue_count; n++) {
        if (v->device->busy(v, n))
            continue;
        v->queues[n].resetting = 0;
        if (v->pending & 1u << n)
            virtio_later(v, n);
    }
}

void virtio_kick(struct virtio *v, uint32_t n)
{
    if (n >= v->queue_count) {
        virtio_guest(v, "a queue was notified that the device does not have");
        return;
    }
    if (virtio_live(v, n))
        v->device->kicked(v, n);
    else if (v->queues[n].enabled && v->device->busy && v->device->busy(v, n))
        v->pending |= 1u << n; /* virtio_idle() looks at it */
}

/* ---- doorbells ---- */

#ifdef __linux__
static void rung(void *self, int fd, uint32_t events)
{
    struct virtio *v = self;
    uint64_t count;

    (void)events;
    if (read(fd, &count, sizeof(count)) != sizeof(count))
        return;
    for (uint32_t n = 0; n < v->queue_count; n++)
        if (v->fds[n] == fd)
            virtio_kick(v, n);
}

/* Notifications become eventfds where the CPU backend can do that. Whatever fails leaves the
 * ordinary way, so nothing is reported. */
static void make_doorbells(struct virtio *v)
{
    const struct bp_doorbell *bell = v->host->extension(v->node, BP_DOORBELL_ID);

    for (uint32_t n = 0; bell && n < v->queue_count; n++) {
        struct bp_region *region;
        uint64_t offset, value;
        uint32_t width;
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0)
            return;
        v->transport->doorbell(v, n, &region, &offset, &width, &value);
        if (v->host->fd_watch(v->node, fd, BP_FD_READ, rung, v)) {
            close(fd);
            return;
        }
        if (bell->ring_fd(v->node, region, offset, width, value, fd)) {
            v->host->fd_watch(v->node, fd, 0, NULL, NULL);
            close(fd);
            return;
        }
        v->fds[n] = fd;
    }
}

#else
/* bp.doorbell/1 is eventfds, which other systems do not have. */
static void make_doorbells(struct virtio *v)
{
    (void)v;
}
#endif

/* ---- life ---- */

void *virtio_alloc(const struct bp_host *host, struct bp_node *node,
                   const struct virtio_device *device, size_t bytes)
{
    struct virtio *v = calloc(1, bytes);

    if (!v) {
        bp_failf(host, node, -ENOMEM, "no memory for a virtio device");
        return NULL;
    }
    v->host = host;
    v->node = node;
    v->device = device;
    for (uint32_t n = 0; n < VIRTIO_QUEUES_MAX; n++)
        v->fds[n] = -1;
    return v;
}

int virtio_init(struct virtio *v, const struct virtio_config *config, uint32_t queues,
                uint64_t features)
{
    uint32_t size = config->queue_size;
    int err;

    if (!size || size & (size - 1) || size > QUEUE_SIZE_MAX)
        return bp_failf(v->host, v->node, -EINVAL,
                        "queue-size %u is not a power of two from 1 to %u; use 256", size,
                        QUEUE_SIZE_MAX);
    v->queue_count = queues;
    v->offered = FEATURES_OF_RINGS | v->device->features | features;
    if (config->packed)
        v->offered |= BIT(VIRTIO_F_RING_PACKED);
    for (uint32_t n = 0; n < VIRTIO_QUEUES_MAX; n++) {
        v->queues[n].host = v->host;
        v->queues[n].node = v->node;
        v->queues[n].max_size = (uint16_t)size;
    }
    err = config->transport == TRANSPORT_MMIO ? virtio_mmio_init(v, config)
                                              : virtio_pci_init(v, config);
    if (!err)
        make_doorbells(v);
    return err;
}

void virtio_free(struct virtio *v)
{
    if (!v)
        return;
    if (v->device->destroy)
        v->device->destroy(v);
    for (uint32_t n = 0; n < VIRTIO_QUEUES_MAX; n++) {
        if (v->fds[n] < 0)
            continue;
        v->host->fd_watch(v->node, v->fds[n], 0, NULL, NULL);
        close(v->fds[n]);
    }
    if (v->transport)
        v->transport->destroy(v);
    free(v);
}

void virtio_instance_destroy(void *self)
{
    virtio_free(self);
}

void virtio_instance_reset(void *self, uint32_t kind)
{
    struct virtio *v = self;

    (void)kind;
    reset(v);
    v->generation = 0; /* a driver's reset leaves it; after the machine's there is no driver */
}

int virtio_instance_start(void *self)
{
    struct virtio *v = self;

    return v->device->start ? v->device->start(v) : 0;
}

void virtio_instance_stop(void *self)
{
    struct virtio *v = self;

    if (v->device->stop)
        v->device->stop(v);
}

void virtio_instance_timer(void *self, uint32_t id)
{
    struct virtio *v = self;
    uint32_t pending = v->pending;

    if (id != VIRTIO_TIMER_WORK) {
        if (v->device->timer)
            v->device->timer(v, id);
        return;
    }
    v->pending = 0;
    for (uint32_t n = 0; n < v->queue_count; n++)
        if (pending & 1u << n)
            virtio_kick(v, n);
}

int virtio_instance_after_load(void *self)
{
    struct virtio *v = self;
    int good = !(v->accepted & ~v->offered) || !(v->status & STATUS_FEATURES_OK), err = 0;

    for (uint32_t n = 0; good && n < VIRTIO_QUEUES_MAX; n++) {
        struct queue *q = &v->queues[n];

        q->staged_count = 0;
        q->resetting = 0;
        if (n >= v->queue_count || q->enabled > 1 || q->size > q->max_size)
            good = n >= v->queue_count && !q->enabled;
        else if (q->enabled)
            good = !queue_check(q);
    }
    if (!good) {
        reset(v);
        return v->host->fail(v->node, -EINVAL,
                             "the snapshot's virtio device has features or queues that it cannot "
                             "have; the file is damaged");
    }
    /* What waited for its turn, or for the backend of the machine that was saved. */
    for (uint32_t n = 0; n < v->queue_count; n++)
        virtio_later(v, n);
    v->transport->after_load(v);
    if (v->device->after_load)
        err = v->device->after_load(v);
    if (err)
        reset(v); /* what was refused is not worked with */
    return err;
}

const void *virtio_instance_extension(void *self, const char *id)
{
    struct virtio *v = self;
    const void *own = v->device->extension ? v->device->extension(v, id) : NULL;

    return own || !v->transport->extension ? own : v->transport->extension(v, id);
}
