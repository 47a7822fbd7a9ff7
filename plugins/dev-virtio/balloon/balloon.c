/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/balloon/balloon.c - the traditional memory balloon (virtio 1.2, 5.5): the guest hands
 * pages over, and the host's system gets them back; and it reports pages that it does not use at
 * the moment.
 *
 * A page that was handed over reads as zeroes if the guest touches it all the same: it loses its
 * content, and nothing else. How much is asked for is the key `target`, and bp.balloon/1 while the
 * machine runs. Left out: free page hinting, page poisoning, and VIRTIO_BALLOON_F_MUST_TELL_HOST,
 * as the guest may use pages of the balloon without asking.
 */
#include "balloon/balloon.h"

#include <backplane/ext/balloon.h>
#include <backplane/ext/memory.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define CLASS_MEMORY 0xff0000u
#define PAGE 4096u /* of the protocol, whatever the guest's are (5.5.6) */

#define VIRTIO_BALLOON_F_STATS_VQ 1u
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM 2u
#define VIRTIO_BALLOON_F_PAGE_REPORTING 5u

/* struct virtio_balloon_config (5.5.4) */
#define BALLOON_num_pages 0u
#define BALLOON_actual 4u
#define BALLOON_CONFIG_BYTES 8u

#define INFLATE 0u
#define DEFLATE 1u

#define PAGES_MAX 4096u /* of one chain; Linux sends 256 */
#define STAT_BYTES 10u
#define STATS_MAX 10u
#define NS_PER_S UINT64_C(1000000000)

#define TIMER_STATS VIRTIO_TIMER_DEVICE

struct balloon {
    struct virtio virtio;
    const struct balloon_config *config;
    const struct bp_memory *memory; /* or NULL: pages stay */
    uint64_t wanted;                /* pages; atomic: set_target() is [any] */
    int wake[2];                    /* a pipe that is readable when `wanted` changed */
    uint16_t stats_id, stats_slots; /* the buffer that the guest gets back to fill it again */
    uint8_t has_stats_buffer;
    uint8_t reserved[7];
    pthread_mutex_t lock; /* of `stats` and `actual`, which services read */
    uint64_t actual;      /* pages */
    struct bp_balloon_stats stats;
};

static uint32_t stats_queue(const struct virtio *v)
{
    return virtio_has(v, VIRTIO_BALLOON_F_STATS_VQ) ? 2 : UINT32_MAX;
}

/* Queues that were not negotiated do not exist, and those behind move up (5.5.2). */
static uint32_t reporting_queue(const struct virtio *v)
{
    if (!virtio_has(v, VIRTIO_BALLOON_F_PAGE_REPORTING))
        return UINT32_MAX;
    return virtio_has(v, VIRTIO_BALLOON_F_STATS_VQ) ? 3 : 2;
}

/* ---- pages ---- */

static void give_back(struct balloon *b, uint64_t gpa, uint64_t len)
{
    if (b->memory && len && b->memory->discard(b->virtio.node, gpa, len))
        virtio_guest(&b->virtio, "memory was handed over that is not RAM");
}

static void inflate(struct balloon *b, const struct chain *c)
{
    const struct queue *q = &b->virtio.queues[INFLATE];
    uint32_t count = c->readable_bytes / 4;
    uint64_t start = 0, len = 0;

    if (c->readable_bytes % 4)
        virtio_guest(&b->virtio, "a list of pages whose length is not a multiple of 4");
    if (count > PAGES_MAX) {
        virtio_guest(&b->virtio, "a list of more than 4096 pages: those beyond stay");
        count = PAGES_MAX;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t raw[4];
        uint64_t gpa;

        if (chain_read(q, c, 4 * i, raw, sizeof(raw)) != sizeof(raw)) {
            virtio_guest(&b->virtio, "a list of pages that is not in RAM");
            break;
        }
        gpa = (uint64_t)bp_le32(raw) * PAGE;
        if (len && gpa == start + len) { /* neighbours go in one call */
            len += PAGE;
        } else if (len && gpa + PAGE == start) {
            start = gpa;
            len += PAGE;
        } else {
            give_back(b, start, len);
            start = gpa;
            len = PAGE;
        }
    }
    give_back(b, start, len);
}

static void report(struct balloon *b, const struct chain *c)
{
    const struct segment *s = c->segments + c->readable;

    for (uint32_t i = 0; i < c->writable; i++) {
        uint64_t end = s[i].gpa + s[i].len, start = (s[i].gpa + PAGE - 1) / PAGE * PAGE;

        end -= end % PAGE;
        if (start >= s[i].gpa && end > start)
            give_back(b, start, end - start);
    }
}

/* ---- statistics ---- */

static void read_stats(struct balloon *b, uint32_t n, const struct chain *c)
{
    struct bp_balloon_stats stats;
    uint64_t *const values[STATS_MAX] = {
        &stats.swap_in,          &stats.swap_out,    &stats.major_faults,
        &stats.minor_faults,     &stats.free_memory, &stats.total_memory,
        &stats.available_memory, &stats.disk_caches, &stats.hugetlb_allocations,
        &stats.hugetlb_failures,
    };

    for (uint32_t i = 0; i < STATS_MAX; i++)
        *values[i] = BP_BALLOON_UNKNOWN;
    for (uint32_t at = 0; at / STAT_BYTES < 2 * STATS_MAX; at += STAT_BYTES) {
        uint8_t raw[STAT_BYTES];

        if (chain_read(&b->virtio.queues[n], c, at, raw, sizeof(raw)) != sizeof(raw))
            break;
        if (bp_le16(raw) < STATS_MAX) /* others are of a later revision */
            *values[bp_le16(raw)] = bp_le64(raw + 2);
    }
    pthread_mutex_lock(&b->lock);
    stats.size = sizeof(stats);
    stats.reserved = 0;
    stats.updates = b->stats.updates + 1;
    b->stats = stats;
    pthread_mutex_unlock(&b->lock);
}

static void ask_later(struct balloon *b)
{
    struct virtio *v = &b->virtio;

    if (b->config->stats_period)
        v->host->timer_set(v->node, TIMER_STATS,
                           v->host->clock_ns(v->node) + b->config->stats_period * NS_PER_S);
}

/* The buffer stays here; to give it back is to ask for new ones (5.5.6.3). */
static int64_t take_stats(struct balloon *b, uint32_t n, const struct chain *c)
{
    read_stats(b, n, c);
    if (b->has_stats_buffer) {
        virtio_guest(&b->virtio, "a second buffer for statistics");
        return 0;
    }
    b->stats_id = c->id;
    b->stats_slots = c->slots;
    b->has_stats_buffer = 1;
    ask_later(b);
    return VIRTIO_TAKEN;
}

static void timer(struct virtio *v, uint32_t id)
{
    struct balloon *b = (struct balloon *)v;
    uint32_t n = stats_queue(v);

    if (id != TIMER_STATS || !b->has_stats_buffer || n >= v->queue_count || !virtio_live(v, n))
        return;
    b->has_stats_buffer = 0;
    queue_stage(&v->queues[n], b->stats_id, b->stats_slots, 0);
    virtio_publish(v, n);
}

/* ---- the device ---- */

static int64_t chain(struct virtio *v, uint32_t n, const struct chain *c)
{
    struct balloon *b = (struct balloon *)v;

    if (n == INFLATE)
        inflate(b, c);
    else if (n == stats_queue(v))
        return take_stats(b, n, c);
    else if (n == reporting_queue(v))
        report(b, c);
    v->work += 8; /* a call of the host's system or several */
    return 0;
}

static void config_written(struct virtio *v, uint32_t offset, uint32_t value, uint32_t width)
{
    struct balloon *b = (struct balloon *)v;

    if (offset != BALLOON_actual || width != 4) {
        virtio_guest(v, "a write to the balloon's configuration beside actual was ignored");
        return;
    }
    bp_put_le32(v->config + BALLOON_actual, value);
    pthread_mutex_lock(&b->lock);
    b->actual = value;
    pthread_mutex_unlock(&b->lock);
}

static void show_target(struct balloon *b)
{
    struct virtio *v = &b->virtio;
    uint64_t wanted = __atomic_load_n(&b->wanted, __ATOMIC_RELAXED);
    uint32_t pages = wanted < UINT32_MAX ? (uint32_t)wanted : UINT32_MAX;

    if (bp_le32(v->config + BALLOON_num_pages) == pages)
        return; /* nothing that the driver would have to read */
    bp_put_le32(v->config + BALLOON_num_pages, pages);
    virtio_config_changed(v);
}

static void woken(void *self, int fd, uint32_t events)
{
    char bytes[64];

    (void)events;
    while (read(fd, bytes, sizeof(bytes)) == sizeof(bytes))
        ;
    show_target(self);
}

static void reset(struct virtio *v)
{
    struct balloon *b = (struct balloon *)v;

    b->has_stats_buffer = 0;
    v->host->timer_set(v->node, TIMER_STATS, UINT64_MAX);
    bp_put_le32(v->config + BALLOON_actual, 0);
    pthread_mutex_lock(&b->lock);
    b->actual = 0;
    b->stats.updates = 0;
    pthread_mutex_unlock(&b->lock);
}

static void queue_forgotten(struct virtio *v, uint32_t n)
{
    if (n == stats_queue(v))
        ((struct balloon *)v)->has_stats_buffer = 0;
}

/* What was taken of the queue, and so is under way there. */
static int is_stats_buffer_good(const struct balloon *b)
{
    uint32_t n = stats_queue(&b->virtio);

    return b->has_stats_buffer == 1 && n < b->virtio.queue_count && b->stats_slots &&
           b->stats_slots <= b->virtio.queues[n].in_flight;
}

static int after_load(struct virtio *v)
{
    struct balloon *b = (struct balloon *)v;

    if (b->has_stats_buffer && !is_stats_buffer_good(b))
        return v->host->fail(v->node, -EINVAL,
                             "the snapshot's balloon has a buffer of a queue that it has not; the "
                             "file is damaged");
    b->actual = bp_le32(v->config + BALLOON_actual);
    show_target(b);
    if (b->has_stats_buffer)
        ask_later(b);
    return 0;
}

static void destroy(struct virtio *v)
{
    struct balloon *b = (struct balloon *)v;

    if (b->wake[0] >= 0) {
        v->host->fd_watch(v->node, b->wake[0], 0, NULL, NULL);
        close(b->wake[0]);
        close(b->wake[1]);
    }
    pthread_mutex_destroy(&b->lock);
}

/* ---- bp.balloon/1 ---- */

static void set_target(void *self, uint64_t bytes)
{
    struct balloon *b = self;
    ssize_t told;

    __atomic_store_n(&b->wanted, bytes / PAGE, __ATOMIC_RELAXED);
    told = write(b->wake[1], "", 1); /* fails only when it is full, and so readable */
    (void)told;
}

static uint64_t target(void *self)
{
    struct balloon *b = self;

    return __atomic_load_n(&b->wanted, __ATOMIC_RELAXED) * PAGE;
}

static uint64_t actual(void *self)
{
    struct balloon *b = self;
    uint64_t pages;

    pthread_mutex_lock(&b->lock);
    pages = b->actual;
    pthread_mutex_unlock(&b->lock);
    return pages * PAGE;
}

static void stats(void *self, struct bp_balloon_stats *out)
{
    struct balloon *b = self;
    uint32_t size = out->size < sizeof(*out) ? out->size : (uint32_t)sizeof(*out);

    pthread_mutex_lock(&b->lock);
    memcpy(out, &b->stats, size);
    pthread_mutex_unlock(&b->lock);
    out->size = size;
}

static const struct bp_balloon balloon_interface = {
    .size = sizeof(struct bp_balloon),
    .set_target = set_target,
    .target = target,
    .actual = actual,
    .stats = stats,
};

static const void *extension(struct virtio *v, const char *id)
{
    (void)v;
    return strcmp(id, BP_BALLOON_ID) ? NULL : &balloon_interface;
}

static const struct virtio_device device = {
    .id = 5,
    .class_code = CLASS_MEMORY,
    .kicked = virtio_run,
    .chain = chain,
    .reset = reset,
    .queue_reset = queue_forgotten,
    .config_written = config_written,
    .destroy = destroy,
    .after_load = after_load,
    .timer = timer,
    .extension = extension,
};

static int make_pipe(struct balloon *b)
{
    if (pipe(b->wake)) {
        b->wake[0] = b->wake[1] = -1;
        return -errno;
    }
    for (int i = 0; i < 2; i++)
        if (fcntl(b->wake[i], F_SETFD, FD_CLOEXEC) || fcntl(b->wake[i], F_SETFL, O_NONBLOCK))
            return -errno;
    return 0;
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct balloon_config *c = config;
    struct balloon *b = virtio_alloc(host, node, &device, sizeof(*b));
    uint64_t features = 0;
    uint32_t queues = 2;
    int err;

    if (!b)
        return -ENOMEM;
    pthread_mutex_init(&b->lock, NULL);
    b->config = c;
    b->wanted = c->target / PAGE;
    err = make_pipe(b);
    if (!err)
        err = host->fd_watch(node, b->wake[0], BP_FD_READ, woken, b);
    if (err)
        bp_failf(host, node, err, "cannot make a pipe for the balloon: %s", strerror(-err));
    if (c->stats_period) {
        features |= BIT(VIRTIO_BALLOON_F_STATS_VQ);
        queues++;
    }
    if (c->reporting) {
        features |= BIT(VIRTIO_BALLOON_F_PAGE_REPORTING);
        queues++;
    }
    if (c->deflate_on_oom)
        features |= BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
    b->memory = host->extension(node, BP_MEMORY_ID);
    if (b->memory && !(BP_HAS(b->memory, discard) && b->memory->discard))
        b->memory = NULL;
    if (!err) {
        b->virtio.config_bytes = BALLOON_CONFIG_BYTES;
        err = virtio_init(&b->virtio, &c->virtio, queues, features);
    }
    if (err) {
        virtio_free(&b->virtio);
        return err;
    }
    show_target(b);
    *self = b;
    return 0;
}

static const struct bp_field fields[] = {
    VIRTIO_FIELDS,
    BP_FIELD(struct balloon, wanted, 1),
    BP_FIELD(struct balloon, stats_id, 1),
    BP_FIELD(struct balloon, stats_slots, 1),
    BP_FIELD(struct balloon, has_stats_buffer, 1),
    {.name = NULL},
};

const struct bp_instance_ops balloon_ops = VIRTIO_INSTANCE(create, fields);
