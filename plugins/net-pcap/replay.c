/* SPDX-License-Identifier: MIT
 *
 * net-pcap/replay.c - the model `replay`: a network whose frames come from a file.
 *
 * Each frame is due as long after the one before as in the file, less by `speed`, in guest time. A
 * frame that the NIC cannot take waits until it can, and all later ones with it: between two frames
 * there is never less than the file says. The first one also waits while the NIC is down. What the
 * guest sends goes nowhere and is counted. A file that is broken somewhere ends there.
 */
#include "net_pcap.h"
#include "reader.h"
#include "rewrite.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIMER 0u
#define BATCH 64u                                  /* frames in one turn of the loop */
#define SPEED_ONE 1000u                            /* `speed` counts thousandths */
#define SPEED_MAX 1000000u                         /* times as fast */
#define PASS_NS 1000000u                           /* between two passes */
#define RETRY_NS 10000000u                         /* between two looks at a NIC that is down */
#define GAP_MAX_NS (UINT64_C(864000) * 1000000000) /* ten days; more is a mistake of the file */
#define FRAME_MIN 14u

struct replay {
    const struct bp_host *host;
    struct bp_node *node;
    const struct replay_config *config;
    const struct bp_net_port *port; /* NULL: no NIC */
    void *port_self;
    struct reader reader;
    struct rewrite rewrite;
    uint64_t speed; /* thousandths; 0: as fast as the NIC takes it */

    uint8_t *frame;     /* FRAME_MAX bytes: the next frame, rewritten */
    uint32_t frame_len; /* 0: none is there */
    uint64_t frame_when_ns, due_ns;
    uint8_t waits; /* the NIC had no room for it */

    /* What a snapshot holds. */
    uint64_t consumed;       /* frames of this pass that are done with */
    uint64_t pass_delivered; /* of these, frames that a NIC was given */
    uint64_t last_due_ns;    /* when the last one was given */
    uint64_t last_when_ns;   /* its time in the file */
    uint8_t begun;           /* the two above are of a frame of this pass; otherwise due at once */
    uint8_t started, ended;
    uint64_t passes, delivered, refused, left_out, unheard; /* frames; unheard: the guest's */
};

/* ---- the file ---- */

/* No frame comes any more; `why` is what a sentence says of the file. */
static void end(struct replay *r, uint32_t level, const char *why)
{
    r->ended = 1;
    r->host->timer_set(r->node, TIMER, UINT64_MAX);
    bp_logf(r->host, r->node, level,
            "'%s' %s, with %" PRIu64 " frames for the guest, %" PRIu64
            " refused by the NIC, %" PRIu64 " left out",
            r->config->file, why, r->delivered, r->refused, r->left_out);
}

static void end_broken(struct replay *r)
{
    char why[sizeof(r->reader.why) + 64];

    snprintf(why, sizeof(why), "is broken after frame %" PRIu64 ": %s; its replay ends",
             r->consumed, r->reader.why);
    end(r, BP_LOG_WARN, why);
}

/* Back to the first frame of the file; 0 if that cannot be had, and the replay ends. */
static int rewind_file(struct replay *r)
{
    char why[sizeof(r->reader.why) + 64];

    reader_close(&r->reader);
    r->consumed = r->pass_delivered = 0;
    r->begun = 0;
    if (!reader_open_path(&r->reader, r->config->file))
        return 1;
    snprintf(why, sizeof(why), "cannot be read again: %s; its replay ends", r->reader.why);
    end(r, BP_LOG_WARN, why);
    return 0;
}

/* At the end of the file: starts over, or ends. */
static void end_pass(struct replay *r)
{
    r->passes++;
    if (!r->config->loop) {
        end(r, BP_LOG_INFO, "is replayed");
        return;
    }
    if (!r->pass_delivered) {
        end(r, BP_LOG_WARN, "has no frame to replay again and again: its replay ends");
        return;
    }
    if (rewind_file(r))
        r->last_due_ns += PASS_NS;
}

/* Reads the next frame. Without one r->frame_len stays 0: one was left out, a pass ended, or all
 * did. */
static void load(struct replay *r)
{
    struct reader_frame f;
    uint64_t gap = 0;
    int got = reader_next(&r->reader, &f);

    if (got <= 0) {
        if (got)
            end_broken(r);
        else
            end_pass(r);
        return;
    }
    if (f.caplen < f.len || f.caplen < FRAME_MIN) {
        r->consumed++;
        r->left_out++;
        return;
    }
    memcpy(r->frame, f.data, f.caplen);
    rewrite_frame(&r->rewrite, r->frame, f.caplen);
    r->frame_len = f.caplen;
    r->frame_when_ns = f.when_ns;
    if (r->begun && f.when_ns > r->last_when_ns)
        gap = f.when_ns - r->last_when_ns;
    if (gap > GAP_MAX_NS)
        gap = GAP_MAX_NS;
    r->due_ns = r->last_due_ns;
    if (r->speed && __builtin_add_overflow(r->due_ns, gap * SPEED_ONE / r->speed, &r->due_ns))
        r->due_ns = UINT64_MAX - 1;
}

/* ---- to the NIC ---- */

/* Gives the frame to the NIC; 0 if that cannot take it now. */
static int deliver(struct replay *r, uint64_t now)
{
    struct bp_buf buf = {.data = r->frame, .len = r->frame_len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    int ret = r->port ? r->port->receive(r->port_self, 0, &frame) : -ENODEV;

    if (ret == -EAGAIN) {
        r->waits = 1;
        return 0;
    }
    /* The guest's driver is not there yet: a recording begins when it is. */
    if (ret == -ENETDOWN && !r->passes && !r->consumed) {
        r->last_due_ns = now + RETRY_NS;
        r->host->timer_set(r->node, TIMER, r->last_due_ns);
        return 0;
    }
    if (ret)
        r->refused++;
    else
        r->delivered++;
    r->pass_delivered++;
    r->consumed++;
    r->last_when_ns = r->frame_when_ns;
    /* Late by the timer: the next one is not. Late by the guest: so are all. */
    r->last_due_ns = r->waits || !r->speed || !r->begun ? now : r->due_ns;
    r->begun = 1;
    r->waits = 0;
    r->frame_len = 0;
    return 1;
}

static void replay_timer(void *self, uint32_t id)
{
    struct replay *r = self;

    (void)id;
    for (uint32_t i = 0; i < BATCH && !r->ended; i++) {
        uint64_t now = r->host->clock_ns(r->node);

        if (!r->frame_len)
            load(r);
        if (!r->frame_len)
            continue;
        if (r->due_ns > now) {
            r->host->timer_set(r->node, TIMER, r->due_ns);
            return;
        }
        if (!deliver(r, now))
            return; /* until resume(), or the timer */
    }
    if (!r->ended)
        r->host->timer_set(r->node, TIMER, r->host->clock_ns(r->node));
}

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct replay *r = self;

    if (r->port)
        return -EBUSY;
    r->port = port;
    r->port_self = port_self;
    return 0;
}

static uint32_t send_frames(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    struct replay *r = self;

    (void)queue;
    (void)frames;
    r->unheard += count;
    return count;
}

static void resume(void *self, uint32_t queue)
{
    struct replay *r = self;

    (void)queue;
    if (r->waits && !r->ended)
        r->host->timer_set(r->node, TIMER, r->host->clock_ns(r->node)); /* not from inside */
}

static const struct bp_net net_table = {
    .size = sizeof(struct bp_net), .attach = attach, .send = send_frames, .resume = resume};

/* ---- life ---- */

/* "max" or a number with up to three decimals, in thousandths; -1 if it is neither. */
static int64_t parse_speed(const char *text)
{
    uint64_t value = 0;
    int decimals = -1;

    if (!strcmp(text, "max"))
        return 0;
    if (!*text || *text == '.')
        return -1;
    for (const char *c = text; *c; c++) {
        if (*c == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*c < '0' || *c > '9' || decimals == 3 || value > (uint64_t)SPEED_MAX * SPEED_ONE)
            return -1;
        value = value * 10 + (uint64_t)(*c - '0');
        decimals += decimals >= 0;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
        value *= 10;
    return value && value <= (uint64_t)SPEED_MAX * SPEED_ONE ? (int64_t)value : -1;
}

static int parse_config(struct replay *r)
{
    const struct replay_config *c = r->config;
    const char *bad;
    int64_t speed = parse_speed(c->speed);

    if (speed < 0)
        return bp_failf(r->host, r->node, -EINVAL,
                        "`speed = %.40s`: expected max, or a number from 0.001 to 1000000",
                        c->speed);
    r->speed = (uint64_t)speed;
    memcpy(r->rewrite.source, c->source_mac, 6);
    memcpy(r->rewrite.destination, c->destination_mac, 6);
    bad = rewrite_parse_macs(&r->rewrite, &c->rewrite_mac);
    if (bad && *bad)
        return bp_failf(r->host, r->node, -EINVAL,
                        "`rewrite-mac`: \"%.60s\" is no pair of Ethernet addresses; expected "
                        "OLD>NEW, as in 52:54:00:00:00:01>52:54:00:00:00:02",
                        bad);
    if (!bad) {
        bad = rewrite_parse_ips(&r->rewrite, &c->rewrite_ip);
        if (bad && *bad)
            return bp_failf(r->host, r->node, -EINVAL,
                            "`rewrite-ip`: \"%.60s\" is no pair of IPv4 addresses; expected "
                            "OLD>NEW, as in 192.0.2.1>10.0.2.15",
                            bad);
    }
    if (bad)
        return bp_failf(r->host, r->node, -EINVAL,
                        "more than %u pairs of addresses to rewrite: give fewer", REWRITE_PAIRS);
    return 0;
}

static int open_file(struct replay *r)
{
    int err = reader_open_path(&r->reader, r->config->file);

    if (err)
        return bp_failf(r->host, r->node, err,
                        "cannot replay '%s': %s; give `file` a pcap or pcapng file of Ethernet "
                        "frames",
                        r->config->file, r->reader.why);
    return 0;
}

static void replay_destroy(void *self)
{
    struct replay *r = self;

    reader_close(&r->reader);
    free(r->frame);
    free(r);
}

static int replay_create(const struct bp_host *host, struct bp_node *node, const void *config,
                         void **self)
{
    struct replay *r = calloc(1, sizeof(*r));
    int err;

    if (!r)
        return host->fail(node, -ENOMEM, "no memory for a replay");
    r->host = host;
    r->node = node;
    r->config = config;
    err = parse_config(r);
    if (!err) {
        r->frame = malloc(FRAME_MAX);
        if (!r->frame)
            err = host->fail(node, -ENOMEM, "no memory for a replay");
    }
    if (!err)
        err = open_file(r);
    if (err) {
        replay_destroy(r);
        return err;
    }
    *self = r;
    return 0;
}

static void replay_reset(void *self, uint32_t kind)
{
    struct replay *r = self;

    if (kind != BP_RESET_COLD || !r->started)
        return; /* the network does not notice that a guest starts over */
    r->host->timer_set(r->node, TIMER, UINT64_MAX);
    r->frame_len = 0;
    r->waits = r->started = r->ended = 0;
    r->passes = r->delivered = r->refused = r->left_out = r->unheard = 0;
    r->last_due_ns = r->last_when_ns = 0;
    (void)rewind_file(r);
}

static int replay_start(void *self)
{
    struct replay *r = self;
    uint64_t now = r->host->clock_ns(r->node);

    if (!r->started) {
        r->started = 1;
        r->last_due_ns = now + r->config->delay * UINT64_C(1000000);
    }
    if (!r->ended)
        r->host->timer_set(r->node, TIMER, r->last_due_ns > now ? r->last_due_ns : now);
    return 0;
}

/* Where the file cannot be gone on with: nothing comes of it until power on begins anew. */
static void no_more(struct replay *r)
{
    r->started = r->ended = 1;
}

/* Goes to where the snapshot was in the file, which may be another one by now. */
static int replay_after_load(void *self)
{
    struct replay *r = self;
    uint64_t skip = r->consumed;
    struct reader_frame f;

    r->frame_len = 0;
    r->waits = 0;
    reader_close(&r->reader);
    if (open_file(r)) {
        no_more(r);
        return -EINVAL;
    }
    for (uint64_t i = 0; i < skip && !r->ended; i++) {
        if (reader_next(&r->reader, &f) > 0)
            continue;
        no_more(r);
        return bp_failf(r->host, r->node, -EINVAL,
                        "'%s' has %" PRIu64 " frames, and the snapshot was taken after %" PRIu64
                        ": it is not the file that was replayed",
                        r->config->file, i, skip);
    }
    return 0;
}

static const void *replay_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) ? NULL : &net_table;
}

static const struct bp_field fields[] = {
    BP_FIELD(struct replay, consumed, 1),
    BP_FIELD(struct replay, pass_delivered, 1),
    BP_FIELD(struct replay, last_due_ns, 1),
    BP_FIELD(struct replay, last_when_ns, 1),
    BP_FIELD(struct replay, begun, 1),
    BP_FIELD(struct replay, started, 1),
    BP_FIELD(struct replay, ended, 1),
    BP_FIELD(struct replay, passes, 1),
    BP_FIELD(struct replay, delivered, 1),
    BP_FIELD(struct replay, refused, 1),
    BP_FIELD(struct replay, left_out, 1),
    BP_FIELD(struct replay, unheard, 1),
    {.name = NULL},
};

const struct bp_instance_ops replay_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = replay_create,
    .destroy = replay_destroy,
    .reset = replay_reset,
    .start = replay_start,
    .timer = replay_timer,
    .after_load = replay_after_load,
    .extension = replay_extension,
};
