/* SPDX-License-Identifier: MIT
 *
 * chaos.c - an example of a filter in a network link: between an adapter and a network it delays
 * frames, loses them, doubles them, has them overtake each other, flips a bit, and limits the rate.
 * Which frames, says a generator of random numbers: the same seed and the same frames give the same
 * fate, and all times are the guest's.
 *
 * To the adapter it is a network ("bp.net/1"), to the network an adapter (a port). Each direction
 * is a number of slots, in which frames wait for their time. When there is no slot, the sender
 * waits; when the receiver has no room, the frames do.
 *
 * Left out: more than one pair of queues, snapshots of frames.
 */
#include <backplane/net.h>
#include <backplane/plugin.h>
#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256u
#define FRAMES_AT_ONCE 32u /* handed over before others on the loop have their turn */
#define US UINT64_C(1000)

/* Directions, which are also the numbers of their timers. */
enum { OUT, IN, WAYS };

struct config {
    struct bp_node *net;
    uint64_t rate, seed;
    uint32_t delay, jitter; /* µs */
    uint16_t loss, duplicate, reorder, corrupt, limit;
};

struct slot {
    struct bp_frame_queue copy; /* of one frame; none: the slot is free */
    uint64_t due, number;
};

struct way {
    struct slot slots[SLOTS];
    uint64_t number;              /* of frames so far */
    uint64_t wire_free, last_due; /* when the last frame is through, and when it arrives */
    uint32_t count;
    uint8_t receiver_full, sender_waits;
};

struct chaos {
    const struct bp_host *host;
    struct bp_node *node;
    const struct config *config;
    struct bp_peer net;
    const struct bp_net_port *port; /* NULL: no adapter yet */
    void *port_self;
    uint64_t random[WAYS];
    uint64_t lost, doubled, overtook, corrupted;
    struct way ways[WAYS];
};

/* splitmix64: any state will do, 0 too. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t later(uint64_t time, uint64_t ns)
{
    uint64_t sum;

    /* UINT64_MAX would never be. */
    return __builtin_add_overflow(time, ns, &sum) || sum == UINT64_MAX ? UINT64_MAX - 1 : sum;
}

/* ---- frames on their way ---- */

/* Puts a copy into a free slot, of which there is one. */
static void keep(struct way *w, const struct bp_frame *frame, uint64_t due, uint64_t flip)
{
    struct slot *s = w->slots;
    struct bp_buf *bytes;

    while (s->copy.count)
        s++;
    s->copy.limit = 1;
    s->copy.limit_bytes = BP_FRAME_MAX;
    if (bp_frame_queue_push(&s->copy, frame))
        return; /* no frame, or no memory: lost, as on a wire */
    s->due = due;
    s->number = w->number++;
    w->count++;
    bytes = &s->copy.first->buf;
    if (flip)
        ((uint8_t *)bytes->data)[flip / 8 % bytes->len] ^= (uint8_t)(1u << flip % 8);
}

static void arm(struct chaos *c, uint32_t way, uint64_t when)
{
    c->host->timer_set(c->node, way, when);
}

/* Decides what becomes of a frame. -EAGAIN: it has to wait where it is. */
static int enter(struct chaos *c, uint32_t way, const struct bp_frame *frame)
{
    const struct config *k = c->config;
    struct way *w = &c->ways[way];
    uint64_t now = c->host->clock_ns(c->node), len = bp_frame_len(frame), due, draws[6];

    if (w->count >= k->limit) {
        w->sender_waits = 1;
        return -EAGAIN;
    }
    if (len < BP_FRAME_MIN || len > BP_FRAME_MAX)
        return 0;
    /* As many numbers for each frame, so that one key does not change what the others do. */
    for (int i = 0; i < 6; i++)
        draws[i] = next_random(&c->random[way]);
    if (draws[0] % 1000 < k->loss) {
        c->lost++;
        return 0;
    }
    due = now > w->wire_free ? now : w->wire_free;
    if (k->rate)
        due = later(due, len * 8 * UINT64_C(1000000000) / k->rate);
    w->wire_free = due;
    if (draws[1] % 1000 < k->reorder) {
        c->overtook++; /* those that wait for delay and jitter */
    } else {
        due = later(due, (k->delay + draws[2] % (k->jitter + UINT64_C(1))) * US);
        if (due < w->last_due)
            due = w->last_due;
        w->last_due = due;
    }
    if (draws[3] % 1000 >= k->corrupt)
        draws[4] = 0;
    c->corrupted += draws[4] != 0;
    keep(w, frame, due, draws[4]);
    if (draws[5] % 1000 < k->duplicate && w->count < k->limit) {
        keep(w, frame, due, draws[4]);
        c->doubled++;
    }
    /* By the timer even if it is due: nobody is called back from inside a call. */
    if (!w->receiver_full)
        arm(c, way, 0);
    return 0;
}

static struct slot *first_due(struct way *w)
{
    struct slot *first = NULL;

    for (struct slot *s = w->slots; s < w->slots + SLOTS; s++)
        if (s->copy.count &&
            (!first || s->due < first->due || (s->due == first->due && s->number < first->number)))
            first = s;
    return first;
}

/* 1 if the receiver took it or dropped it, 0 if it has no room and will say when. */
static int hand_over(struct chaos *c, uint32_t way, const struct bp_frame *frame)
{
    const struct bp_net *net = c->net.ops;

    if (way == OUT)
        return net->send(c->net.self, 0, frame, 1) == 1;
    return !c->port || c->port->receive(c->port_self, 0, frame) != -EAGAIN;
}

static void timer(void *self, uint32_t way)
{
    struct chaos *c = self;
    struct way *w = &c->ways[way];
    const struct bp_net *net = c->net.ops;
    uint64_t now = c->host->clock_ns(c->node);
    struct slot *s;

    for (uint32_t i = 0; !w->receiver_full && (s = first_due(w)); i++) {
        if (s->due > now || i == FRAMES_AT_ONCE) {
            arm(c, way, s->due);
            break;
        }
        if (!hand_over(c, way, &s->copy.first->frame)) {
            w->receiver_full = 1;
            break;
        }
        bp_frame_queue_pop(&s->copy);
        w->count--;
    }
    if (w->sender_waits && w->count < c->config->limit) {
        w->sender_waits = 0;
        if (way == IN)
            net->resume(c->net.self, 0);
        else if (c->port)
            c->port->sent(c->port_self, 0);
    }
}

static void receiver_has_room(struct chaos *c, uint32_t way)
{
    c->ways[way].receiver_full = 0;
    arm(c, way, 0);
}

/* ---- the network, to the adapter ---- */

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct chaos *c = self;

    if (c->port)
        return -EBUSY;
    c->port = port;
    c->port_self = port_self;
    return 0;
}

static uint32_t offloads(void *self)
{
    const struct chaos *c = self;

    return ((const struct bp_net *)c->net.ops)->offloads(c->net.self);
}

static int set_offloads(void *self, uint32_t bits)
{
    const struct chaos *c = self;

    return ((const struct bp_net *)c->net.ops)->set_offloads(c->net.self, bits);
}

static uint32_t send_frames(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    uint32_t taken = 0;

    (void)queue; /* there is one */
    while (taken < count && !enter(self, OUT, bp_frame_at(frames, taken)))
        taken++;
    return taken;
}

static void resume(void *self, uint32_t queue)
{
    (void)queue;
    receiver_has_room(self, IN);
}

static const struct bp_net net_table = {
    .size = sizeof(struct bp_net),
    .attach = attach,
    .offloads = offloads,
    .set_offloads = set_offloads,
    .send = send_frames,
    .resume = resume,
};

/* ---- the adapter, to the network ---- */

static int receive(void *port_self, uint32_t queue, const struct bp_frame *frame)
{
    (void)queue;
    return enter(port_self, IN, frame);
}

static void sent(void *port_self, uint32_t queue)
{
    (void)queue;
    receiver_has_room(port_self, OUT);
}

static void set_link(void *port_self, uint32_t up)
{
    const struct chaos *c = port_self;

    if (c->port)
        c->port->link(c->port_self, up);
}

static const struct bp_net_port port_table = {
    .size = sizeof(struct bp_net_port), .receive = receive, .sent = sent, .link = set_link};

/* ---- life ---- */

static void reset(void *self, uint32_t kind)
{
    struct chaos *c = self;

    (void)kind;
    for (uint32_t way = 0; way < WAYS; way++) {
        struct way *w = &c->ways[way];

        for (uint32_t i = 0; i < SLOTS; i++)
            bp_frame_queue_clear(&w->slots[i].copy);
        memset(w, 0, sizeof(*w));
        c->random[way] = c->config->seed * WAYS + way; /* the ways do not depend on each other */
        arm(c, way, UINT64_MAX);
    }
    c->lost = c->doubled = c->overtook = c->corrupted = 0;
}

static void stop(void *self)
{
    const struct chaos *c = self;

    bp_logf(c->host, c->node, BP_LOG_DEBUG,
            "frames so far: %llu lost, %llu doubled, %llu overtook, %llu corrupted",
            (unsigned long long)c->lost, (unsigned long long)c->doubled,
            (unsigned long long)c->overtook, (unsigned long long)c->corrupted);
}

static void destroy(void *self)
{
    struct chaos *c = self;

    for (uint32_t i = 0; i < WAYS * SLOTS; i++)
        bp_frame_queue_clear(&c->ways[i / SLOTS].slots[i % SLOTS].copy);
    free(c);
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct config *k = config;
    struct chaos *c;
    int err;

    if (k->reorder && !k->delay && !k->jitter)
        return bp_failf(host, node, -EINVAL,
                        "reorder = %u without delay and jitter: nobody waits who could be "
                        "overtaken; give `delay` a value",
                        k->reorder);
    c = calloc(1, sizeof(*c));
    if (!c)
        return host->fail(node, -ENOMEM, "no memory for a link's frames");
    c->host = host;
    c->node = node;
    c->config = k;
    err = host->link(node, k->net, BP_NET_ID, &port_table, c, &c->net);
    if (err) {
        free(c);
        return host->fail(node, err, "`net` must name a network backend that nothing else uses");
    }
    *self = c;
    return 0;
}

static const void *extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) ? NULL : &net_table;
}

static const struct bp_field fields[] = {BP_ARRAY(struct chaos, random, 1),
                                         {NULL, 0, 0, 0, 0, 0, 0}};

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .stop = stop,
    .timer = timer,
    .extension = extension,
};

#define SHARE(key, what)                                                                           \
    {                                                                                              \
        .name = #key, .help = "of 1000 frames, how many " what, .initial = "0",                    \
        .type = BP_PROP_UINT, .max = 1000, BP_PROP_AT(struct config, key)                          \
    }
#define TIME(key, what)                                                                            \
    {                                                                                              \
        .name = #key, .help = what ", microseconds of guest time", .initial = "0",                 \
        .type = BP_PROP_UINT, .max = 60000000, BP_PROP_AT(struct config, key)                      \
    }

static const struct bp_prop props[] = {
    {.name = "net",
     .help = "the network behind it",
     .type = BP_PROP_REF,
     .flags = BP_PROP_REQUIRED,
     .needs = BP_NET_ID,
     BP_PROP_AT(struct config, net)},
    TIME(delay, "how long each frame is on its way"),
    TIME(jitter, "up to how much longer, at random; the order stays"),
    SHARE(loss, "are lost"),
    SHARE(duplicate, "arrive twice"),
    SHARE(reorder, "are spared delay and jitter, and overtake others"),
    SHARE(corrupt, "have one bit flipped"),
    {.name = "rate",
     .help = "bits per second in each direction; 0: no limit",
     .initial = "0",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct config, rate)},
    {.name = "limit",
     .help = "frames on their way in each direction; further ones wait with their sender",
     .initial = "64",
     .type = BP_PROP_UINT,
     .min = 1,
     .max = SLOTS,
     BP_PROP_AT(struct config, limit)},
    {.name = "seed",
     .help = "where the random numbers begin, at each reset",
     .initial = "1",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct config, seed)},
    {.name = NULL},
};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_NET,
    .id = "chaos",
    .summary = "example: a link that delays, loses, doubles, reorders and corrupts frames",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct config),
    .instance = &instance,
};

static const struct bp_model *const models[] = {&model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "net-chaos",
    .version = "1.0",
    .models = models,
};
