/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/link_backends.c - the far ends that the tests of links use, and the plugin's
 * descriptor.
 *
 * loop: a network backend that sends every frame back, from a timer. It holds 4 frames and takes no
 * more, and keeps them while the NIC has no room. `fault` makes it offer broken tables or refuse.
 * ramdisk: a block backend in memory. Requests complete from a timer, after submit().
 * counter: BP_MODEL_SHARED, offers "test.counter/1" to any number of users.
 */
#include "link_parts.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 4u
#define FRAME_BYTES 64u
#define REQUESTS_MAX 8u
#define TICK_NS 20000u

/* ---- guard ---- */

void guard_enter(struct guard *g)
{
    uintptr_t self = (uintptr_t)pthread_self(), none = 0;

    if (__atomic_load_n(&g->owner, __ATOMIC_ACQUIRE) != self &&
        !__atomic_compare_exchange_n(&g->owner, &none, self, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        __atomic_fetch_add(&g->violations, 1, __ATOMIC_RELAXED);
        return;
    }
    __atomic_fetch_add(&g->depth, 1, __ATOMIC_RELAXED);
}

void guard_leave(struct guard *g)
{
    if (__atomic_load_n(&g->owner, __ATOMIC_ACQUIRE) == (uintptr_t)pthread_self() &&
        __atomic_sub_fetch(&g->depth, 1, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&g->owner, 0, __ATOMIC_RELEASE);
}

/* ---- loop ---- */

#define FAULT_NONE 0u
#define FAULT_NO_SEND 1u /* a table without a required function */
#define FAULT_SHORT 2u   /* a table shorter than any version's */
#define FAULT_REFUSES 3u /* attach() fails and says why */
#define FAULT_SILENT 4u  /* attach() fails and does not */

static const char *const faults[] = {"none", "no-send", "short", "refuses", "silent", NULL};

struct loop_config {
    uint32_t fault;
};

struct loop {
    const struct bp_host *host;
    struct bp_node *node;
    const struct loop_config *config;
    const struct bp_net_port *port;
    void *port_self;
    struct guard own, *guard;
    struct bp_net net; /* what it offers, with the fault */
    uint32_t first, count, short_send, refused;
    uint8_t frames[FRAMES_MAX][FRAME_BYTES];
};

static int loop_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct loop *l = self;

    if (l->config->fault == FAULT_REFUSES)
        return l->host->fail(l->node, -EPERM, "this end wants nobody");
    if (l->config->fault == FAULT_SILENT)
        return -EPERM;
    if (l->port)
        return -EBUSY;
    l->port = port;
    l->port_self = port_self;
    return 0;
}

static uint32_t loop_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct loop *l = self;
    uint32_t taken = 0;

    (void)queue;
    guard_enter(l->guard);
    for (; taken < count && l->count < FRAMES_MAX; taken++, l->count++)
        memcpy(l->frames[(l->first + l->count) % FRAMES_MAX], frames[taken].bufs[0].data,
               FRAME_BYTES);
    l->short_send |= taken < count;
    l->host->timer_set(l->node, 0, 0);
    guard_leave(l->guard);
    return taken;
}

/* Hands over what it holds, until the NIC has no room. */
static void loop_deliver(struct loop *l)
{
    while (l->count && !l->refused) {
        struct bp_buf buf = {l->frames[l->first], FRAME_BYTES};
        struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

        l->refused = l->port->receive(l->port_self, 0, &frame) == -EAGAIN;
        if (l->refused)
            break;
        l->first = (l->first + 1) % FRAMES_MAX;
        l->count--;
    }
    if (l->short_send && l->count < FRAMES_MAX) {
        l->short_send = 0;
        l->port->sent(l->port_self, 0);
    }
}

static void loop_resume(void *self, uint32_t queue)
{
    struct loop *l = self;

    (void)queue;
    l->refused = 0;
    l->host->timer_set(l->node, 0, 0);
}

/* Timer 0 delivers. Timer 1 only comes, often, so that the loop's thread is in the domain again and
 * again. */
static void loop_timer(void *self, uint32_t id)
{
    struct loop *l = self;

    guard_enter(l->guard);
    sched_yield();
    if (id == 0)
        loop_deliver(l);
    else
        l->host->timer_set(l->node, 1, l->host->clock_ns(l->node) + TICK_NS);
    guard_leave(l->guard);
}

static void loop_join(void *self, struct guard *guard)
{
    struct loop *l = self;

    l->guard = guard;
}

static const struct guard_table loop_guard = {.size = sizeof(loop_guard), .join = loop_join};

static const void *loop_extension(void *self, const char *id)
{
    struct loop *l = self;

    if (!strcmp(id, GUARD_ID))
        return &loop_guard;
    return strcmp(id, BP_NET_ID) ? NULL : &l->net;
}

static int loop_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return host->fail(node, -ENOMEM, "out of memory");
    l->host = host;
    l->node = node;
    l->config = config;
    l->guard = &l->own;
    l->net = (struct bp_net){.size = sizeof(l->net),
                             .attach = loop_attach,
                             .send = l->config->fault == FAULT_NO_SEND ? NULL : loop_send,
                             .resume = loop_resume};
    if (l->config->fault == FAULT_SHORT)
        l->net.size = 24;
    *self = l;
    return 0;
}

static void loop_reset(void *self, uint32_t kind)
{
    struct loop *l = self;

    (void)kind;
    l->first = l->count = l->short_send = l->refused = 0;
}

static int loop_start(void *self)
{
    struct loop *l = self;

    if (l->port)
        l->port->link(l->port_self, 1); /* optional: the NIC here has none */
    return l->host->timer_set(l->node, 1, 0);
}

static const struct bp_instance_ops loop_ops = {.size = sizeof(loop_ops),
                                                .create = loop_create,
                                                .destroy = free,
                                                .reset = loop_reset,
                                                .start = loop_start,
                                                .timer = loop_timer,
                                                .extension = loop_extension};

static const struct bp_prop loop_props[] = {
    {.name = "fault",
     .help = "what is wrong with it",
     .initial = "none",
     .choices = faults,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct loop_config, fault)},
    {0},
};

const struct bp_model link_loop = {
    .size = sizeof(link_loop),
    .kind = BP_KIND_NET,
    .id = "loop",
    .summary = "sends frames back",
    .props = loop_props,
    .prop_stride = sizeof(loop_props[0]),
    .config_size = sizeof(struct loop_config),
    .instance = &loop_ops,
};

/* ---- ramdisk ---- */

struct ramdisk_config {
    uint64_t size;
};

struct ramdisk {
    const struct bp_host *host;
    struct bp_node *node;
    const struct ramdisk_config *config;
    const struct bp_block_port *port;
    void *port_self;
    struct guard own, *guard;
    uint8_t *bytes;
    struct bp_block_request *requests[REQUESTS_MAX];
    uint32_t count, reserved;
};

static int ramdisk_attach(void *self, const struct bp_block_port *port, void *port_self)
{
    struct ramdisk *r = self;

    if (r->port)
        return -EBUSY;
    r->port = port;
    r->port_self = port_self;
    return 0;
}

static void ramdisk_info(void *self, struct bp_block_info *out)
{
    const struct ramdisk *r = self;

    out->flags = 0;
    out->length = r->config->size;
    out->sector_size = 512;
    out->optimal_size = 4096;
    out->max_iovecs = 16;
    out->max_discard = 0;
}

static int ramdisk_do(struct ramdisk *r, const struct bp_block_request *q)
{
    uint64_t at = q->offset, end;

    if (q->type == BP_BLOCK_FLUSH)
        return 0;
    if (q->type > BP_BLOCK_WRITE || __builtin_add_overflow(q->offset, q->length, &end) ||
        end > r->config->size)
        return -EINVAL;
    for (uint32_t i = 0; i < q->niovecs; i++) {
        if (q->type == BP_BLOCK_READ)
            memcpy(q->iovecs[i].data, r->bytes + at, q->iovecs[i].len);
        else
            memcpy(r->bytes + at, q->iovecs[i].data, q->iovecs[i].len);
        at += q->iovecs[i].len;
    }
    return 0;
}

static void ramdisk_drain(void *self)
{
    struct ramdisk *r = self;

    while (r->count) {
        struct bp_block_request *q = r->requests[--r->count];

        r->port->complete(r->port_self, q, ramdisk_do(r, q));
    }
}

static void ramdisk_submit(void *self, struct bp_block_request *const *requests, uint32_t count)
{
    struct ramdisk *r = self;

    guard_enter(r->guard);
    for (uint32_t i = 0; i < count && r->count < REQUESTS_MAX; i++)
        r->requests[r->count++] = requests[i];
    r->host->timer_set(r->node, 0, 0);
    guard_leave(r->guard);
}

static void ramdisk_timer(void *self, uint32_t id)
{
    struct ramdisk *r = self;

    (void)id;
    guard_enter(r->guard);
    sched_yield();
    ramdisk_drain(r);
    guard_leave(r->guard);
}

static void ramdisk_join(void *self, struct guard *guard)
{
    struct ramdisk *r = self;

    r->guard = guard;
}

static const struct guard_table ramdisk_guard = {.size = sizeof(ramdisk_guard),
                                                 .join = ramdisk_join};
static const struct bp_block ramdisk_block = {.size = sizeof(ramdisk_block),
                                              .attach = ramdisk_attach,
                                              .info = ramdisk_info,
                                              .submit = ramdisk_submit,
                                              .drain = ramdisk_drain};

static const void *ramdisk_extension(void *self, const char *id)
{
    (void)self;
    if (!strcmp(id, GUARD_ID))
        return &ramdisk_guard;
    return strcmp(id, BP_BLOCK_ID) ? NULL : &ramdisk_block;
}

static int ramdisk_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    const struct ramdisk_config *c = config;
    struct ramdisk *r = calloc(1, sizeof(*r));

    if (r)
        r->bytes = calloc(1, c->size);
    if (!r || !r->bytes) {
        free(r);
        return host->fail(node, -ENOMEM, "out of memory");
    }
    r->host = host;
    r->node = node;
    r->config = c;
    r->guard = &r->own;
    *self = r;
    return 0;
}

static void ramdisk_destroy(void *self)
{
    struct ramdisk *r = self;

    free(r->bytes);
    free(r);
}

static void ramdisk_reset(void *self, uint32_t kind)
{
    struct ramdisk *r = self;

    (void)kind;
    r->count = 0;
}

static const struct bp_instance_ops ramdisk_ops = {.size = sizeof(ramdisk_ops),
                                                   .create = ramdisk_create,
                                                   .destroy = ramdisk_destroy,
                                                   .reset = ramdisk_reset,
                                                   .timer = ramdisk_timer,
                                                   .extension = ramdisk_extension};

static const struct bp_prop ramdisk_props[] = {
    {.name = "size",
     .help = "bytes",
     .initial = "64K",
     .min = 512,
     .max = 1u << 20,
     .type = BP_PROP_SIZE,
     BP_PROP_AT(struct ramdisk_config, size)},
    {0},
};

const struct bp_model link_ramdisk = {
    .size = sizeof(link_ramdisk),
    .kind = BP_KIND_BLOCK,
    .id = "ramdisk",
    .summary = "a disk in memory",
    .props = ramdisk_props,
    .prop_stride = sizeof(ramdisk_props[0]),
    .config_size = sizeof(struct ramdisk_config),
    .instance = &ramdisk_ops,
};

/* ---- counter ---- */

static uint64_t counter_add(void *self, uint64_t n)
{
    return __atomic_add_fetch((uint64_t *)self, n, __ATOMIC_RELAXED);
}

static const struct counter_table counter_table = {.size = sizeof(counter_table),
                                                   .add = counter_add};

static const void *counter_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, COUNTER_ID) ? NULL : &counter_table;
}

static int counter_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    (void)config;
    *self = calloc(1, sizeof(uint64_t));
    return *self ? 0 : host->fail(node, -ENOMEM, "out of memory");
}

static void counter_reset(void *self, uint32_t kind)
{
    (void)kind;
    __atomic_store_n((uint64_t *)self, 0, __ATOMIC_RELAXED);
}

static const struct bp_instance_ops counter_ops = {.size = sizeof(counter_ops),
                                                   .create = counter_create,
                                                   .destroy = free,
                                                   .reset = counter_reset,
                                                   .extension = counter_extension};
static const struct bp_prop no_props[] = {{0}};

const struct bp_model link_counter = {
    .size = sizeof(link_counter),
    .kind = BP_KIND_DEVICE,
    .id = "counter",
    .summary = "counts for everybody",
    .props = no_props,
    .prop_stride = sizeof(no_props[0]),
    .flags = BP_MODEL_SHARED,
    .instance = &counter_ops,
};

/* ---- the plugin ---- */

static const struct bp_model *const models[] = {&link_nic, &link_loop, &link_ramdisk, &link_counter,
                                                NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = "link-parts",
    .version = "1",
    .models = models,
};
