/* SPDX-License-Identifier: MIT
 *
 * net-socket/datagram.c - the model `datagram`: a frame is a datagram, by UDP or a Unix socket.
 *
 * Nobody knows whether the other end is there, so the link is always up. What finds no room on the
 * way is lost, as datagrams are; what the adapter has no buffer for waits here, one frame, and in
 * the socket. Datagrams of others than `remote` are dropped. Left out: multicast.
 */
#include "net_socket.h"

#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <shared/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define TIMER_FRAMES 0u
#define FRAMES_AT_ONCE 64u /* taken in before others on the loop have their turn */
#define PIECES_MAX 64u

#define HDR_NEEDS_CSUM 1u

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

struct datagram {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_net_port *port; /* NULL: no adapter */
    void *port_self;
    struct listener local;
    struct address remote;
    uint32_t watched; /* BP_FD_* */
    uint32_t len;     /* bytes of the frame in `in`; 0: none */
    uint8_t running, held;
    uint8_t armed; /* TIMER_FRAMES */
    uint8_t told;  /* that datagrams cannot be sent */
    uint64_t received, sent, dropped;
    uint8_t in[BP_FRAME_MAX + 1], flat[BP_FRAME_MAX];
};

static void ready(void *self, int fd, uint32_t events);

static void watch(struct datagram *d)
{
    uint32_t events = d->running && !d->held && !d->armed ? BP_FD_READ : 0;

    if (events != d->watched && !d->host->fd_watch(d->node, d->local.fd, events, ready, d))
        d->watched = events;
}

static int is_remote(const struct datagram *d, const struct address *from)
{
    const struct address *to = &d->remote;

    if (from->u.any.sa_family != to->u.any.sa_family)
        return 0;
    if (to->u.any.sa_family == AF_UNIX)
        return from->len > offsetof(struct sockaddr_un, sun_path) &&
               strncmp(from->u.un.sun_path, to->u.un.sun_path, sizeof(to->u.un.sun_path)) == 0;
    if (to->u.any.sa_family == AF_INET) {
        struct sockaddr_in a, b;

        memcpy(&a, &from->u, sizeof(a));
        memcpy(&b, &to->u, sizeof(b));
        return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
    }
    struct sockaddr_in6 a, b;

    memcpy(&a, &from->u, sizeof(a));
    memcpy(&b, &to->u, sizeof(b));
    return a.sin6_port == b.sin6_port && memcmp(&a.sin6_addr, &b.sin6_addr, 16) == 0;
}

/* Hands over the frame in `in`, if there is one. */
static void deliver(struct datagram *d)
{
    struct bp_buf buf = {d->in, d->len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    int err;

    if (!d->len)
        return;
    err = d->port ? d->port->receive(d->port_self, 0, &frame) : -ENODEV;
    if (err == -EAGAIN) {
        d->held = 1;
        return;
    }
    d->received += !err;
    d->dropped += !!err;
    d->len = 0;
}

static void receive_some(struct datagram *d)
{
    deliver(d);
    for (uint32_t i = 0; i < FRAMES_AT_ONCE && !d->held; i++) {
        struct address from = {.len = sizeof(from.u)};
        /* Errors are of datagrams that were sent: nobody may be there. */
        ssize_t n = recvfrom(d->local.fd, d->in, sizeof(d->in), 0, &from.u.any, &from.len);

        if (n < 0)
            return;
        if (n < (ssize_t)BP_FRAME_MIN || n > (ssize_t)BP_FRAME_MAX || !is_remote(d, &from)) {
            d->dropped++;
            continue;
        }
        d->len = (uint32_t)n;
        deliver(d);
    }
}

static void ready(void *self, int fd, uint32_t events)
{
    struct datagram *d = self;

    (void)fd;
    (void)events;
    receive_some(d);
    watch(d);
}

static void datagram_timer(void *self, uint32_t id)
{
    struct datagram *d = self;

    (void)id;
    d->armed = 0;
    if (d->running)
        receive_some(d);
    watch(d);
}

/* ---- "bp.net/1" ---------------------------------------------------------------------------------
 */

static int datagram_attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct datagram *d = self;

    if (d->port)
        return -EBUSY;
    d->port = port;
    d->port_self = port_self;
    return 0;
}

static int send_frame(struct datagram *d, const struct bp_frame *frame)
{
    struct iovec pieces[PIECES_MAX];
    struct msghdr message = {
        .msg_name = &d->remote.u, .msg_namelen = d->remote.len, .msg_iov = pieces};

    if (frame->nbufs <= PIECES_MAX) {
        for (uint32_t i = 0; i < frame->nbufs; i++)
            pieces[message.msg_iovlen++] =
                (struct iovec){frame->bufs[i].data, (size_t)frame->bufs[i].len};
    } else { /* in more pieces than are worth a list: rare, and put together first */
        pieces[0] = (struct iovec){d->flat, (size_t)bp_frame_gather(frame, d->flat, BP_FRAME_MAX)};
        message.msg_iovlen = 1;
    }
    return sendmsg(d->local.fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* The first of what may be lasting: a peer that is not there yet is not. */
static void tell(struct datagram *d, int err)
{
    char text[ADDRESS_TEXT];

    if (d->told || (err != EACCES && err != EPERM && err != ENETUNREACH && err != EPROTOTYPE &&
                    err != EMSGSIZE))
        return;
    d->told = 1;
    address_print(&d->remote, text);
    bp_logf(d->host, d->node, BP_LOG_WARN, "cannot send to %s: %s%s", text, strerror(err),
            err == EMSGSIZE ? "; frames of this length are lost" : "");
}

static uint32_t datagram_send(void *self, uint32_t queue, const struct bp_frame *frames,
                              uint32_t count)
{
    struct datagram *d = self;

    (void)queue;
    for (uint32_t i = 0; i < count; i++) {
        const struct bp_frame *frame = bp_frame_at(frames, i);
        uint64_t len = bp_frame_len(frame);
        int err = EINVAL;

        if (len >= BP_FRAME_MIN && len <= BP_FRAME_MAX && !(frame->flags & HDR_NEEDS_CSUM) &&
            !frame->gso_type)
            err = send_frame(d, frame);
        /* An error that waits in the socket is an earlier datagram's: this one was not sent. */
        if (err == ECONNREFUSED)
            err = send_frame(d, frame);
        if (err)
            tell(d, err);
        d->sent += !err;
        d->dropped += !!err;
    }
    return count;
}

static void datagram_resume(void *self, uint32_t queue)
{
    struct datagram *d = self;

    (void)queue;
    if (!d->held)
        return;
    d->held = 0;
    d->armed = 1;
    d->host->timer_set(d->node, TIMER_FRAMES, 0);
}

static const struct bp_net datagram_table = {
    .size = sizeof(struct bp_net),
    .attach = datagram_attach,
    .send = datagram_send,
    .resume = datagram_resume,
};

/* ---- the instance -------------------------------------------------------------------------------
 */

static void datagram_destroy(void *self)
{
    struct datagram *d = self;

    if (d->watched)
        d->host->fd_watch(d->node, d->local.fd, 0, NULL, NULL);
    listener_close(&d->local);
    free(d);
}

static int datagram_create(const struct bp_host *host, struct bp_node *node, const void *config,
                           void **self)
{
    const struct datagram_config *c = config;
    struct datagram *d = calloc(1, sizeof(*d));
    int err;

    if (!d)
        return host->fail(node, -ENOMEM, "no memory for a network");
    d->host = host;
    d->node = node;
    d->local.fd = -1;
    err = address_parse(host, node, "remote", SOCK_DGRAM, c->remote, &d->remote);
    if (!err)
        err = listener_open(&d->local, host, node, "local", SOCK_DGRAM, c->local);
    if (!err && d->local.address.u.any.sa_family != d->remote.u.any.sa_family)
        err = bp_failf(host, node, -EINVAL,
                       "local '%s' and remote '%s' are of different kinds; give two Unix sockets, "
                       "two IPv4 or two IPv6 addresses",
                       c->local, c->remote);
    if (err) {
        datagram_destroy(d);
        return err;
    }
    *self = d;
    return 0;
}

static void datagram_reset(void *self, uint32_t kind)
{
    struct datagram *d = self;

    (void)kind;
    d->dropped += !!d->len;
    d->len = 0;
    d->held = 0;
}

static int datagram_start(void *self)
{
    struct datagram *d = self;

    d->running = 1;
    if (d->len && !d->held) {
        d->armed = 1;
        d->host->timer_set(d->node, TIMER_FRAMES, 0);
    }
    watch(d);
    return 0;
}

static void datagram_stop(void *self)
{
    struct datagram *d = self;

    d->running = 0;
    watch(d);
    if (d->sent || d->received || d->dropped)
        bp_logf(d->host, d->node, BP_LOG_DEBUG,
                "sent %" PRIu64 " frames, received %" PRIu64 ", lost %" PRIu64, d->sent,
                d->received, d->dropped);
    d->sent = d->received = d->dropped = 0;
}

static const void *datagram_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) == 0 ? &datagram_table : NULL;
}

const struct bp_instance_ops datagram_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = datagram_create,
    .destroy = datagram_destroy,
    .reset = datagram_reset,
    .start = datagram_start,
    .stop = datagram_stop,
    .timer = datagram_timer,
    .extension = datagram_extension,
};
