/* SPDX-License-Identifier: MIT
 *
 * net-user/user.c - the instance: frames between the adapter and libslirp, turns on the loop, and
 * libslirp's clock and timers, which are guest time.
 *
 * Frames for the guest wait in a queue of bounded length. While the adapter is behind, the sockets
 * are not read, so that connections slow down at their source; what libslirp sends of its own is
 * lost when the queue is full, as on any network.
 */
#include "net_user.h"

#include <backplane/util/log.h>
#include <backplane/util/offload.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_FRAMES 1024u
#define QUEUE_BYTES (2u << 20u)
#define QUEUE_BEHIND 256u /* frames that wait when the sockets are left alone */
#define QUEUE_BEHIND_BYTES (QUEUE_BYTES / 2)
#define FRAMES_AT_ONCE 64u /* handed over before others on the loop have their turn */
#define FRAME_SHORTEST 60u /* on a wire; libslirp need not see shorter ones */

#define HDR_NEEDS_CSUM 1u

void user_turn_soon(struct user *u)
{
    if (!u->turn_ns)
        return;
    u->turn_ns = 0;
    u->host->timer_set(u->node, USER_TIMER_TURN, 0);
}

static void turn_at(struct user *u, uint64_t when_ns)
{
    if (when_ns == u->turn_ns)
        return;
    u->turn_ns = when_ns;
    u->host->timer_set(u->node, USER_TIMER_TURN, when_ns);
}

/* ---- what libslirp calls ------------------------------------------------------------------------
 */

static void to_guest(struct user *u, const void *data, uint64_t len)
{
    struct bp_buf buf = {.len = len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};

    memcpy(&buf.data, &data, sizeof(data)); /* bp_buf is for both directions */
    if (!u->port || bp_frame_queue_push(&u->to_guest, &frame))
        u->dropped_to_guest++;
}

static ssize_t cb_send_packet(const void *data, size_t len, void *opaque)
{
    struct user *u = opaque;
    struct bp_segments s;

    if (len > BP_FRAME_MAX || user_mss_begin(u, &s, data, (uint32_t)len))
        to_guest(u, data, len);
    else
        for (uint32_t i = 0; i < s.count; i++)
            to_guest(u, u->part, bp_segment(&s, i, u->part));
    user_turn_soon(u);
    return (ssize_t)len;
}

static void cb_guest_error(const char *text, void *opaque)
{
    struct user *u = opaque;

    bp_logf(u->host, u->node, BP_LOG_WARN | BP_LOG_GUEST, "%.*s", (int)strcspn(text, "\r\n"), text);
}

static int64_t cb_clock_get_ns(void *opaque)
{
    struct user *u = opaque;

    return (int64_t)u->host->clock_ns(u->node);
}

static void *cb_timer_new(SlirpTimerCb fire, void *fire_opaque, void *opaque)
{
    struct user *u = opaque;

    for (uint32_t i = 0; i < USER_TIMERS; i++) {
        if (u->timers[i].fire)
            continue;
        u->timers[i] = (struct user_timer){fire, fire_opaque, INT64_MAX};
        return &u->timers[i];
    }
    return NULL;
}

static void cb_timer_free(void *timer, void *opaque)
{
    struct user_timer *t = timer;

    (void)opaque;
    if (t)
        t->fire = NULL;
}

static void cb_timer_mod(void *timer, int64_t when_ms, void *opaque)
{
    struct user_timer *t = timer;

    if (!t)
        return;
    t->when_ms = when_ms;
    user_turn_soon(opaque);
}

static void cb_register_poll_fd(int fd, void *opaque)
{
    struct user *u = opaque;

    user_sockets_opened(&u->sockets, fd); /* what it waits for comes with the next fill */
}

static void cb_unregister_poll_fd(int fd, void *opaque)
{
    struct user *u = opaque;

    user_sockets_forget(&u->sockets, fd);
}

static void cb_notify(void *opaque)
{
    user_turn_soon(opaque);
}

static const SlirpCb callbacks = {
    .send_packet = cb_send_packet,
    .guest_error = cb_guest_error,
    .clock_get_ns = cb_clock_get_ns,
    .timer_new = cb_timer_new,
    .timer_free = cb_timer_free,
    .timer_mod = cb_timer_mod,
    .register_poll_fd = cb_register_poll_fd,
    .unregister_poll_fd = cb_unregister_poll_fd,
    .notify = cb_notify,
};

/* ---- a turn on the loop -------------------------------------------------------------------------
 */

static int is_behind(const struct user *u)
{
    return u->to_guest.count >= QUEUE_BEHIND || u->to_guest.bytes >= QUEUE_BEHIND_BYTES;
}

static void deliver(struct user *u)
{
    for (uint32_t i = 0; i < FRAMES_AT_ONCE && u->to_guest.count && !u->held; i++) {
        int err = u->port->receive(u->port_self, 0, &u->to_guest.first->frame);

        if (err == -EAGAIN) {
            u->held = 1;
            return;
        }
        u->dropped_to_guest += !!err;
        bp_frame_queue_pop(&u->to_guest);
    }
}

/* Calls the timers that are due; returns the guest time in ns of the next, UINT64_MAX: none. */
static uint64_t run_timers(struct user *u)
{
    int64_t now_ms = (int64_t)(u->host->clock_ns(u->node) / 1000000u), next_ms = INT64_MAX;

    for (uint32_t i = 0; i < USER_TIMERS; i++) {
        struct user_timer *t = &u->timers[i];

        if (t->fire && t->when_ms <= now_ms) {
            t->when_ms = INT64_MAX;
            t->fire(t->opaque);
        }
        if (t->fire && t->when_ms < next_ms)
            next_ms = t->when_ms;
    }
    return next_ms == INT64_MAX ? UINT64_MAX : (uint64_t)next_ms * 1000000u;
}

void user_turn(struct user *u)
{
    uint64_t next_ns, timeout_ns = UINT64_MAX;
    uint32_t timeout_ms;

    u->turn_ns = UINT64_MAX; /* armed from here on only by what happens in this turn */
    deliver(u);
    next_ns = run_timers(u);
    if (!is_behind(u))
        user_sockets_look(&u->sockets);
    user_sockets_work(&u->sockets, u->slirp);
    timeout_ms = user_sockets_fill(&u->sockets, u->slirp);
    user_sockets_listen(&u->sockets, !is_behind(u));
    if (timeout_ms != UINT32_MAX)
        timeout_ns = u->host->clock_ns(u->node) + UINT64_C(1000000) * (timeout_ms ? timeout_ms : 1);
    if (u->to_guest.count && !u->held)
        user_turn_soon(u);
    else
        turn_at(u, next_ns < timeout_ns ? next_ns : timeout_ns);
}

static void user_timer(void *self, uint32_t id)
{
    (void)id;
    user_turn(self);
}

/* ---- "bp.net/1" ---------------------------------------------------------------------------------
 */

static int user_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct user *u = self;

    if (u->port)
        return -EBUSY;
    u->port = port;
    u->port_self = port_self;
    return 0;
}

/* Everything is taken: a guest that sends more than libslirp's buffers hold loses it. */
static uint32_t user_send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct user *u = self;

    (void)queue;
    for (uint32_t i = 0; i < count; i++) {
        const struct bp_frame *frame = bp_frame_at(frames, i);
        uint64_t len = bp_frame_len(frame);

        if (len < BP_FRAME_MIN || len > BP_FRAME_MAX || (frame->flags & HDR_NEEDS_CSUM) ||
            frame->gso_type) {
            u->dropped_from_guest++;
            continue;
        }
        bp_frame_gather(frame, u->frame, len);
        if (len < FRAME_SHORTEST) {
            memset(u->frame + len, 0, FRAME_SHORTEST - len);
            len = FRAME_SHORTEST;
        }
        if (user_is_ipv4_fragment(u->frame, (uint32_t)len)) {
            len = user_fragment(u, (uint32_t)len);
            if (!len)
                continue;
        }
        user_mss_listen(u, (uint32_t)len);
        if (user_filter(u, (uint32_t)len))
            slirp_input(u->slirp, u->frame, (int)len);
        else
            u->dropped_from_guest++;
    }
    user_turn_soon(u);
    return count;
}

static void user_resume(void *self, uint32_t queue)
{
    struct user *u = self;

    (void)queue;
    u->held = 0;
    user_turn_soon(u);
}

static const struct bp_net user_table = {
    .size = sizeof(struct bp_net),
    .attach = user_attach,
    .send = user_send,
    .resume = user_resume,
};

/* ---- the instance -------------------------------------------------------------------------------
 */

static void user_destroy(void *self)
{
    struct user *u = self;

    user_sockets_listen(&u->sockets, 0);
    if (u->slirp)
        slirp_cleanup(u->slirp);
    bp_frame_queue_clear(&u->to_guest);
    user_fragments_end(&u->fragments);
    user_sockets_end(&u->sockets);
    free(u);
}

static int user_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct user_settings settings;
    struct user *u;
    int err = user_settings(host, node, config, &settings);

    if (err)
        return err;
    u = calloc(1, sizeof(*u));
    if (!u)
        return host->fail(node, -ENOMEM, "no memory for the network");
    u->host = host;
    u->node = node;
    u->config = config;
    u->turn_ns = UINT64_MAX;
    u->to_guest.limit = QUEUE_FRAMES;
    u->to_guest.limit_bytes = QUEUE_BYTES;
    err = user_sockets_init(&u->sockets, u);
    if (err) {
        free(u);
        return bp_failf(host, node, err, "cannot watch sockets: %s", strerror(-err));
    }
    u->slirp = slirp_new(&settings.slirp, &callbacks, u);
    err = u->slirp ? user_forward(u, &settings)
                   : host->fail(node, -ENOMEM, "libslirp did not start: no memory");
    if (err) {
        user_destroy(u);
        return err;
    }
    *self = u;
    return 0;
}

/* Connections are left to their far ends: a guest that starts anew answers them with resets. */
static void user_reset(void *self, uint32_t kind)
{
    struct user *u = self;

    (void)kind;
    u->dropped_to_guest += u->to_guest.count;
    bp_frame_queue_clear(&u->to_guest);
    user_fragments_end(&u->fragments);
    u->mss = 0;
    u->held = 0;
}

static int user_start(void *self)
{
    user_turn_soon(self);
    return 0;
}

static void user_stop(void *self)
{
    struct user *u = self;

    if (u->dropped_to_guest || u->dropped_from_guest)
        bp_logf(u->host, u->node, BP_LOG_DEBUG,
                "lost %" PRIu64 " frames for the guest and %" PRIu64 " from it",
                u->dropped_to_guest, u->dropped_from_guest);
    u->dropped_to_guest = u->dropped_from_guest = 0;
}

static const void *user_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &user_table : NULL;
}

const struct bp_instance_ops user_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = user_create,
    .destroy = user_destroy,
    .reset = user_reset,
    .start = user_start,
    .stop = user_stop,
    .timer = user_timer,
    .extension = user_extension,
};
