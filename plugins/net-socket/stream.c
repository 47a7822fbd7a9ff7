/* SPDX-License-Identifier: MIT
 *
 * net-socket/stream.c - the model `stream`: a stream socket, Unix or TCP, with another program at
 * the other end. A server for one peer at a time, or a client that looks for it again and again.
 *
 * The link is up while there is a connection. The socket is the buffer: nothing is read that the
 * adapter does not take, and the adapter waits when the socket is full, with one frame, of which
 * the socket took a part, kept here.
 */
#include "net_socket.h"
#include "wire.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <shared/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMER_CONNECTION 0u
#define TIMER_FRAMES 1u

#define ATTEMPT_MS 10000u /* an attempt that takes longer has failed */
#define BACKOFF_MS 30000u
#define ACCEPT_AGAIN_MS 1000u
#define FRAMES_AT_ONCE 64u /* handed over, and reads, before others on the loop have their turn */

#define HDR_NEEDS_CSUM 1u

enum state {
    IDLE,       /* listening, or between two attempts, or given up */
    CONNECTING, /* `fd` is not connected yet; TIMER_CONNECTION ends the attempt */
    CONNECTED,
};

struct stream {
    const struct bp_host *host;
    struct bp_node *node;
    const struct stream_config *config;
    const struct bp_net_port *port; /* NULL: no adapter */
    void *port_self;
    struct listener listener; /* fd -1: a client */
    struct address address;   /* a client's server */
    uint64_t wait_ms;         /* until the next attempt but one */
    int fd;                   /* -1: none */
    uint32_t watched;         /* BP_FD_* of `fd` */
    enum state state;
    uint8_t running;
    uint8_t told;    /* that the server cannot be reached */
    uint8_t told_up; /* what the adapter knows of the carrier, which it takes for up at first */
    uint8_t held;    /* the adapter has no buffers */
    uint8_t owes;    /* sent() is due when the socket has room */
    uint8_t busy;    /* frames are left for another turn: TIMER_FRAMES is armed */
    uint8_t tried;   /* an attempt was made */
    uint64_t received, sent, dropped;
    struct wire_in in;
    struct wire_out out;
};

static void ready(void *self, int fd, uint32_t events);

static void watch(struct stream *s)
{
    uint32_t events = 0;

    if (s->fd < 0)
        return;
    if (s->running && s->state == CONNECTING)
        events = BP_FD_WRITE;
    else if (s->running && s->state == CONNECTED)
        events = (s->held || s->busy ? 0 : BP_FD_READ) | (s->owes ? BP_FD_WRITE : 0);
    if (events != s->watched && !s->host->fd_watch(s->node, s->fd, events, ready, s))
        s->watched = events;
}

static void connection_timer(struct stream *s, uint64_t ms)
{
    s->host->timer_set(s->node, TIMER_CONNECTION,
                       s->host->clock_ns(s->node) + ms * UINT64_C(1000000));
}

/* Another turn for the frames, soon and on the loop. */
static void go_on(struct stream *s)
{
    if (s->busy)
        return;
    s->busy = 1;
    s->host->timer_set(s->node, TIMER_FRAMES, 0);
}

static void tell_link(struct stream *s)
{
    uint8_t up = s->state == CONNECTED;

    if (!s->port || s->told_up == up)
        return;
    s->told_up = up;
    s->port->link(s->port_self, up);
}

/* ---- the connection comes and goes --------------------------------------------------------------
 */

static void close_fd(struct stream *s)
{
    if (s->watched)
        s->host->fd_watch(s->node, s->fd, 0, NULL, NULL);
    s->watched = 0;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->state = IDLE;
}

static void connected(struct stream *s, int fd)
{
    int on = 1;

    s->fd = fd;
    s->state = CONNECTED;
    s->told = 0;
    s->wait_ms = s->config->reconnect * UINT64_C(1000);
    s->in.start = s->in.end = s->in.skip = 0;
    s->out.start = s->out.end = 0;
    if (!socket_is_unix(fd)) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
    bp_logf(s->host, s->node, BP_LOG_INFO, "the other end is there: the link is up");
    tell_link(s);
    watch(s);
}

static void attempt_later(struct stream *s)
{
    uint64_t first_ms = s->config->reconnect * UINT64_C(1000);

    if (!first_ms)
        return;
    connection_timer(s, s->wait_ms);
    s->wait_ms = s->wait_ms * 2 > BACKOFF_MS ? BACKOFF_MS : s->wait_ms * 2;
    if (s->wait_ms < first_ms)
        s->wait_ms = first_ms;
}

/* Called on the loop only: it calls the adapter. */
static void disconnected(struct stream *s, const char *why)
{
    bp_logf(s->host, s->node, BP_LOG_WARN, "the other end is gone (%s): the link is down", why);
    close_fd(s);
    s->held = 0;
    tell_link(s);
    if (s->owes) { /* nothing is refused now */
        s->owes = 0;
        s->port->sent(s->port_self, 0);
    }
    if (s->listener.fd < 0)
        attempt_later(s);
}

static void attempt_failed(struct stream *s, int err)
{
    char text[ADDRESS_TEXT];

    if (!s->told) {
        address_print(&s->address, text);
        bp_logf(s->host, s->node, BP_LOG_WARN, "cannot connect to %s: %s%s", text, strerror(err),
                s->config->reconnect ? "; trying again" : "");
    }
    s->told = 1;
    close_fd(s);
    attempt_later(s);
}

static void attempt_ended(struct stream *s)
{
    int err = 0, fd = s->fd;
    socklen_t len = sizeof(err);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
        err = errno;
    s->host->timer_set(s->node, TIMER_CONNECTION, UINT64_MAX);
    if (err)
        attempt_failed(s, err);
    else
        connected(s, fd);
}

static void attempt(struct stream *s)
{
    int err = 0;

    s->tried = 1;
    s->fd = socket_new(s->address.u.any.sa_family, SOCK_STREAM);
    if (s->fd < 0 || connect(s->fd, &s->address.u.any, s->address.len))
        err = errno;
    if (!err) {
        connected(s, s->fd);
    } else if (err != EINPROGRESS) {
        attempt_failed(s, err);
    } else {
        s->state = CONNECTING;
        watch(s);
        connection_timer(s, ATTEMPT_MS);
    }
}

static void listener_ready(void *self, int fd, uint32_t events)
{
    struct stream *s = self;
    int peer = socket_accept(fd);

    (void)events;
    if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
        /* It stays in the queue, and the listener ready: look again later. */
        s->host->fd_watch(s->node, fd, 0, NULL, NULL);
        connection_timer(s, ACCEPT_AGAIN_MS);
        return;
    }
    if (peer < 0)
        return; /* it left again */
    if (s->state == CONNECTED) {
        bp_logf(s->host, s->node, BP_LOG_WARN, "a second peer was sent away: one at a time");
        close(peer);
        return;
    }
    connected(s, peer);
}

/* ---- frames to the adapter ----------------------------------------------------------------------
 */

/* Hands over what is there; returns how many frames that were. -EPROTO as wire_next(). */
static int deliver(struct stream *s, uint32_t most)
{
    struct bp_buf buf;
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    uint32_t done = 0;
    int ret = 0;

    while (done < most && !s->held) {
        int err;

        ret = wire_next(&s->in, &buf);
        if (ret <= 0)
            break;
        err = s->port ? s->port->receive(s->port_self, 0, &frame) : -ENODEV;
        if (err == -EAGAIN) {
            s->held = 1;
            break;
        }
        s->received += !err;
        s->dropped += !!err;
        wire_pop(&s->in);
        done++;
    }
    s->dropped += s->in.refused;
    s->in.refused = 0;
    return ret < 0 ? ret : (int)done;
}

/* One turn: what is buffered, then what the socket has. */
static void receive_some(struct stream *s)
{
    uint32_t left = FRAMES_AT_ONCE;

    while (s->state == CONNECTED) {
        int done = deliver(s, left);
        uint32_t room;
        uint8_t *at;
        ssize_t n;

        if (done < 0) {
            disconnected(s, "it sends no frames behind their lengths");
            return;
        }
        left -= (uint32_t)done;
        if (s->held)
            return;
        if (!left) {
            go_on(s);
            return;
        }
        left--; /* what is read counts too: a peer's frames may all be none */
        at = wire_room(&s->in, &room);
        n = recv(s->fd, at, room, 0);
        if (n > 0) {
            wire_filled(&s->in, (uint32_t)n);
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        disconnected(s, n ? strerror(errno) : "it closed the connection");
    }
}

static void writable(struct stream *s)
{
    int err = wire_flush(&s->out, s->fd);

    if (err == -EAGAIN)
        return;
    if (err) {
        disconnected(s, strerror(-err));
        return;
    }
    s->owes = 0;
    s->port->sent(s->port_self, 0);
}

static void ready(void *self, int fd, uint32_t events)
{
    struct stream *s = self;

    (void)fd;
    if (s->state == CONNECTING) {
        attempt_ended(s);
        return;
    }
    if (s->owes && events & (BP_FD_WRITE | BP_FD_HANGUP))
        writable(s);
    /* A peer that closed is seen by reading, after what it sent; unless nobody reads just now. */
    if (s->state == CONNECTED && !s->held && !s->busy && events & (BP_FD_READ | BP_FD_HANGUP))
        receive_some(s);
    else if (s->state == CONNECTED && s->held && events & BP_FD_HANGUP)
        disconnected(s, "it closed the connection");
    watch(s);
}

static void stream_timer(void *self, uint32_t id)
{
    struct stream *s = self;

    if (id == TIMER_FRAMES) {
        s->busy = 0;
        if (s->state == CONNECTED && s->running)
            receive_some(s);
        watch(s);
        return;
    }
    tell_link(s);
    if (s->listener.fd >= 0)
        s->host->fd_watch(s->node, s->listener.fd, BP_FD_READ, listener_ready, s);
    else if (s->state == CONNECTING)
        attempt_failed(s, ETIMEDOUT);
    else if (s->state == IDLE && (!s->tried || s->config->reconnect))
        attempt(s);
}

/* ---- "bp.net/1" ---------------------------------------------------------------------------------
 */

static int stream_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct stream *s = self;

    if (s->port)
        return -EBUSY;
    s->port = port;
    s->port_self = port_self;
    s->told_up = 1;
    return 0;
}

static uint32_t stream_send(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    struct stream *s = self;

    (void)queue;
    for (uint32_t i = 0; i < count; i++) {
        const struct bp_frame *frame = bp_frame_at(frames, i);
        uint64_t len = bp_frame_len(frame);
        int err;

        if (s->state != CONNECTED || len < BP_FRAME_MIN || len > BP_FRAME_MAX ||
            frame->flags & HDR_NEEDS_CSUM || frame->gso_type) {
            s->dropped++;
            continue;
        }
        err = s->out.end ? -EAGAIN : wire_send(&s->out, s->fd, frame, len);
        if (err == -EAGAIN) {
            s->owes = 1;
            watch(s);
            return i;
        }
        if (s->out.end) {
            s->owes = 1; /* for the rest, and sent() then does no harm */
            watch(s);
        }
        s->sent += !err;
        s->dropped += !!err; /* the loop sees that the connection is gone */
    }
    return count;
}

static void stream_resume(void *self, uint32_t queue)
{
    struct stream *s = self;

    (void)queue;
    if (!s->held)
        return;
    s->held = 0;
    go_on(s);
}

static const struct bp_net stream_table = {
    .size = sizeof(struct bp_net),
    .attach = stream_attach,
    .send = stream_send,
    .resume = stream_resume,
};

/* ---- the instance -------------------------------------------------------------------------------
 */

static void stream_destroy(void *self)
{
    struct stream *s = self;

    close_fd(s);
    listener_close(&s->listener);
    free(s);
}

static int stream_create(const struct bp_host *host, struct bp_node *node, const void *config,
                         void **self)
{
    const struct stream_config *c = config;
    struct stream *s;
    int err;

    if (!c->listen == !c->connect)
        return host->fail(node, -EINVAL,
                          c->listen ? "both `listen` and `connect` are given; one of them must go"
                                    : "neither `listen` nor `connect` is given; give one of them");
    s = calloc(1, sizeof(*s));
    if (!s)
        return host->fail(node, -ENOMEM, "no memory for a network");
    s->host = host;
    s->node = node;
    s->config = c;
    s->fd = s->listener.fd = -1;
    s->wait_ms = c->reconnect * UINT64_C(1000);
    err = c->listen ? listener_open(&s->listener, host, node, "listen", SOCK_STREAM, c->listen)
                    : address_parse(host, node, "connect", SOCK_STREAM, c->connect, &s->address);
    if (err) {
        stream_destroy(s);
        return err;
    }
    *self = s;
    return 0;
}

/* The connection stays, and so does what is left of a frame of which the socket has a part; what
 * came for the guest before is lost. */
static void stream_reset(void *self, uint32_t kind)
{
    struct stream *s = self;
    struct bp_buf buf;

    (void)kind;
    while (wire_next(&s->in, &buf) > 0) {
        wire_pop(&s->in);
        s->dropped++;
    }
    s->held = 0;
    s->owes = !!s->out.end;
}

static int stream_start(void *self)
{
    struct stream *s = self;
    char text[ADDRESS_TEXT];

    s->running = 1;
    if (s->listener.fd >= 0 && s->state == IDLE) {
        address_print(&s->listener.address, text);
        bp_logf(s->host, s->node, BP_LOG_INFO, "the other end is expected at %s", text);
    }
    if (s->listener.fd >= 0 || s->state == IDLE)
        connection_timer(s, 0); /* begins everything, on the loop */
    if (s->state == CONNECTED)
        go_on(s);
    watch(s);
    return 0;
}

static void stream_stop(void *self)
{
    struct stream *s = self;

    s->running = 0;
    if (s->listener.fd >= 0)
        s->host->fd_watch(s->node, s->listener.fd, 0, NULL, NULL);
    if (s->state == CONNECTING) {
        close_fd(s);
        s->tried = 0;
    }
    watch(s);
    if (s->sent || s->received || s->dropped)
        bp_logf(s->host, s->node, BP_LOG_DEBUG,
                "sent %" PRIu64 " frames, received %" PRIu64 ", lost %" PRIu64, s->sent,
                s->received, s->dropped);
    s->sent = s->received = s->dropped = 0;
}

static const void *stream_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &stream_table : NULL;
}

const struct bp_instance_ops stream_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = stream_create,
    .destroy = stream_destroy,
    .reset = stream_reset,
    .start = stream_start,
    .stop = stream_stop,
    .timer = stream_timer,
    .extension = stream_extension,
};
