/* SPDX-License-Identifier: MIT
 *
 * chr-host/socket.c - a stream socket, Unix or TCP: a server for one client at a time, or a client.
 *
 * All connecting happens on the loop. A further client of a busy server is told so and sent away.
 * While there is no connection, output is discarded; only the first attempt of a client holds it
 * back. What it leaves out: TLS, telnet's negotiation, several clients at once.
 */
#include "chr_host.h"
#include "stream.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <shared/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTEMPT_MS 10000u /* an attempt that takes longer has failed */
#define BACKOFF_MS 60000u
#define ACCEPT_AGAIN_MS 1000u

static const char busy[] = "This console is in use.\r\n";

enum state {
    IDLE,       /* listening, or between two attempts, or given up */
    CONNECTING, /* `fd` is not connected yet; the model's timer ends the attempt */
    CONNECTED,
};

struct sock {
    struct stream stream;           /* first */
    struct address address;         /* of the server that it connects to */
    struct listener listener;       /* of the server that it is; fd -1: it is a client */
    uint64_t reconnect_ms, wait_ms; /* configured, 0: never; next */
    int fd;                         /* -1: none */
    enum state state;
    uint8_t watched;  /* `fd` is watched by us: an attempt */
    uint8_t told;     /* that the server cannot be reached */
    uint8_t attempts; /* 0: none yet */
};

static const struct bp_host *host_of(const struct sock *k)
{
    return k->stream.host;
}

/* ---- connections
 * --------------------------------------------------------------------------------- */

static void connected(struct sock *k, int fd)
{
    int on = 1;

    k->fd = fd;
    k->state = CONNECTED;
    k->told = 0;
    k->wait_ms = k->reconnect_ms;
    if (!socket_is_unix(fd))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* keys go one at a time */
    stream_set(&k->stream, fd, fd, STREAM_SOCKET);
    k->stream.keep = 0;
    stream_opened(&k->stream, 1);
}

static void attempt_later(struct sock *k)
{
    if (!k->reconnect_ms)
        return;
    stream_model_timer(&k->stream, k->wait_ms);
    k->wait_ms = k->wait_ms * 2 > BACKOFF_MS ? BACKOFF_MS : k->wait_ms * 2;
    if (k->wait_ms < k->reconnect_ms)
        k->wait_ms = k->reconnect_ms;
}

static void close_connection(struct sock *k)
{
    stream_set(&k->stream, -1, -1, STREAM_SOCKET);
    if (k->watched)
        host_of(k)->fd_watch(k->stream.node, k->fd, 0, NULL, NULL);
    k->watched = 0;
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    k->state = IDLE;
}

static void disconnected(struct sock *k)
{
    close_connection(k);
    stream_opened(&k->stream, 0);
    if (k->listener.fd < 0)
        attempt_later(k);
}

static void sock_input_ended(struct stream *s, int err)
{
    (void)err;
    disconnected((struct sock *)s);
}

static void sock_output_failed(struct stream *s, int err)
{
    (void)err;
    stream_set(s, s->in_fd, -1,
               STREAM_SOCKET); /* what it sent before it left is still to be read */
}

static const struct stream_hooks hooks = {.input_ended = sock_input_ended,
                                          .output_failed = sock_output_failed};

/* ---- client
 * -------------------------------------------------------------------------------------- */

static void attempt_failed(struct sock *k, int err)
{
    char text[ADDRESS_TEXT];

    if (!k->told) {
        address_print(&k->address, text);
        bp_logf(host_of(k), k->stream.node, BP_LOG_WARN, "cannot connect to %s: %s%s", text,
                strerror(err), k->reconnect_ms ? "; trying again" : "");
    }
    k->told = 1;
    k->stream.keep = 0;
    close_connection(k);
    attempt_later(k);
}

static void attempt_ready(void *self, int fd, uint32_t events)
{
    struct sock *k = self;
    int err = 0;
    socklen_t len = sizeof(err);

    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
        err = errno;
    host_of(k)->fd_watch(k->stream.node, fd, 0, NULL, NULL);
    k->watched = 0;
    host_of(k)->timer_set(k->stream.node, STREAM_TIMER_MODEL, UINT64_MAX);
    if (err)
        attempt_failed(k, err);
    else
        connected(k, fd);
}

static void attempt(struct sock *k)
{
    int err;

    k->attempts = 1;
    k->fd = socket_new(k->address.u.any.sa_family, SOCK_STREAM);
    if (k->fd < 0) {
        attempt_failed(k, errno);
        return;
    }
    if (connect(k->fd, &k->address.u.any, k->address.len) == 0) {
        connected(k, k->fd);
        return;
    }
    if (errno != EINPROGRESS) {
        attempt_failed(k, errno);
        return;
    }
    err = host_of(k)->fd_watch(k->stream.node, k->fd, BP_FD_WRITE, attempt_ready, k);
    if (err) {
        attempt_failed(k, -err);
        return;
    }
    k->watched = 1;
    k->state = CONNECTING;
    stream_model_timer(&k->stream, ATTEMPT_MS);
}

/* ---- server
 * -------------------------------------------------------------------------------------- */

static void listener_ready(void *self, int fd, uint32_t events)
{
    struct sock *k = self;
    int client = socket_accept(fd);

    (void)events;
    if (client < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
        /* The client stays in the queue, and the listener ready: look again later. */
        host_of(k)->fd_watch(k->stream.node, fd, 0, NULL, NULL);
        stream_model_timer(&k->stream, ACCEPT_AGAIN_MS);
        return;
    }
    if (client < 0)
        return; /* it left again */
    if (k->state == CONNECTED) {
        send(client, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(client);
        return;
    }
    connected(k, client);
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static void sock_destroy(void *self)
{
    struct sock *k = self;

    stream_end(&k->stream);
    if (k->fd >= 0)
        close(k->fd);
    listener_close(&k->listener);
    free(k);
}

static int sock_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    const struct socket_config *c = config;
    struct sock *k;
    int err;

    if (!c->listen == !c->connect)
        return host->fail(node, -EINVAL,
                          c->listen ? "both `listen` and `connect` are given; one of them must go"
                                    : "neither `listen` nor `connect` is given; give one of them");
    k = calloc(1, sizeof(*k));
    if (!k)
        return bp_failf(host, node, -ENOMEM, "no memory for a character backend");
    k->fd = k->listener.fd = -1;
    k->reconnect_ms = k->wait_ms = (uint64_t)c->reconnect * 1000u;
    err = stream_init(&k->stream, host, node, &hooks, c->log);
    if (err)
        goto fail;
    err = c->listen ? listener_open(&k->listener, host, node, "listen", SOCK_STREAM, c->listen)
                    : address_parse(host, node, "connect", SOCK_STREAM, c->connect, &k->address);
    if (err)
        goto fail;
    k->stream.keep = !c->listen;
    *self = k;
    return 0;
fail:
    sock_destroy(k);
    return err;
}

static int sock_start(void *self)
{
    struct sock *k = self;
    char text[ADDRESS_TEXT];
    int err;

    stream_start(&k->stream);
    if (k->listener.fd >= 0) {
        address_print(&k->listener.address, text);
        if (k->state == IDLE)
            bp_logf(host_of(k), k->stream.node, BP_LOG_INFO, "connect to %s", text);
        err = host_of(k)->fd_watch(k->stream.node, k->listener.fd, BP_FD_READ, listener_ready, k);
        return err ? bp_failf(host_of(k), k->stream.node, err, "cannot wait for clients at %s: %s",
                              text, strerror(-err))
                   : 0;
    }
    if (k->state == IDLE && (!k->attempts || k->reconnect_ms))
        stream_model_timer(&k->stream, 0);
    return 0;
}

static void sock_stop(void *self)
{
    struct sock *k = self;

    if (k->listener.fd >= 0)
        host_of(k)->fd_watch(k->stream.node, k->listener.fd, 0, NULL, NULL);
    if (k->state == CONNECTING) {
        close_connection(k);
        k->attempts = 0;
    }
    stream_stop(&k->stream);
}

static void sock_timer(void *self, uint32_t id)
{
    struct sock *k = self;

    if (id != STREAM_TIMER_MODEL)
        stream_timer(&k->stream, id);
    else if (k->listener.fd >= 0)
        host_of(k)->fd_watch(k->stream.node, k->listener.fd, BP_FD_READ, listener_ready, k);
    else if (k->state == CONNECTING)
        attempt_failed(k, ETIMEDOUT);
    else if (k->state == IDLE)
        attempt(k);
}

const struct bp_instance_ops socket_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = sock_create,
    .destroy = sock_destroy,
    .reset = stream_reset,
    .start = sock_start,
    .stop = sock_stop,
    .timer = sock_timer,
    .extension = stream_extension,
};
