/* SPDX-License-Identifier: MIT
 *
 * chr-host/socket.c - a stream socket, Unix or TCP: a server for one client at a time, or a client.
 *
 * All connecting happens on the loop. A further client of a busy server is told so and sent away.
 * While there is no connection, output is discarded; only the first attempt of a client holds it
 * back. What it leaves out: TLS, telnet's negotiation, several clients at once.
 */
#include "address.h"
#include "chr_host.h"
#include "stream.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    struct stream stream; /* first */
    struct address address;
    uint64_t reconnect_ms, wait_ms; /* configured, 0: never; next */
    int listener, fd;               /* -1: none */
    enum state state;
    uint8_t watched;  /* `fd` is watched by us: an attempt */
    uint8_t told;     /* that the server cannot be reached */
    uint8_t attempts; /* 0: none yet */
    uint8_t ours;     /* the Unix socket's file, of `inode`, was made by us */
    dev_t device;
    ino_t inode;
};

static const struct bp_host *host_of(const struct sock *k)
{
    return k->stream.host;
}

/* Sockets that do not block, and are no child process's. Systems without the flags for that set
 * both a moment later: nothing forks in between but the embedding program. */
#ifdef SOCK_CLOEXEC
static int stream_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int accept_stream(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
static int set_up(int fd)
{
    if (fd < 0 || (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0))
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

static int stream_socket(int family)
{
    return set_up(socket(family, SOCK_STREAM, 0));
}

static int accept_stream(int listener)
{
    return set_up(accept(listener, NULL, NULL));
}
#endif

/* ---- connections
 * --------------------------------------------------------------------------------- */

static void connected(struct sock *k, int fd)
{
    int on = 1;

    k->fd = fd;
    k->state = CONNECTED;
    k->told = 0;
    k->wait_ms = k->reconnect_ms;
    if (k->address.u.any.sa_family != AF_UNIX)
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
    if (k->listener < 0)
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
    k->fd = stream_socket(k->address.u.any.sa_family);
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
    int client = accept_stream(fd);

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

/* A socket file that nobody listens at was left by a machine that crashed: it may go. */
static int remove_stale(struct sock *k)
{
    const char *path = k->address.u.un.sun_path;
    const struct stream *s = &k->stream;
    struct stat st;
    int fd, err;

    if (lstat(path, &st)) {
        err = errno;
        return err == ENOENT ? 0
                             : bp_failf(s->host, s->node, -err, "cannot look at '%s': %s", path,
                                        strerror(err));
    }
    if (!S_ISSOCK(st.st_mode))
        return bp_failf(s->host, s->node, -EEXIST,
                        "'%s' exists and is no socket; remove it, or give `listen` another path",
                        path);
    fd = stream_socket(AF_UNIX);
    if (fd < 0)
        return bp_failf(s->host, s->node, -EMFILE, "cannot make a socket to look who is at '%s'",
                        path);
    err = connect(fd, &k->address.u.any, k->address.len) ? errno : 0;
    close(fd);
    if (err == ECONNREFUSED) {
        if (unlink(path) == 0 || errno == ENOENT)
            return 0;
        err = errno;
        return bp_failf(s->host, s->node, -err, "cannot remove the abandoned socket '%s': %s", path,
                        strerror(err));
    }
    return bp_failf(s->host, s->node, -EADDRINUSE,
                    "another program listens at '%s'; stop it, or give `listen` another path",
                    path);
}

static int start_listening(struct sock *k)
{
    struct address *a = &k->address;
    const struct stream *s = &k->stream;
    char text[ADDRESS_TEXT];
    struct stat st;
    int on = 1, err;

    address_print(a, text);
    if (a->u.any.sa_family == AF_UNIX) {
        err = remove_stale(k);
        if (err)
            return err;
    }
    k->listener = stream_socket(a->u.any.sa_family);
    if (k->listener < 0)
        goto fail;
    if (a->u.any.sa_family != AF_UNIX)
        setsockopt(k->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(k->listener, &a->u.any, a->len))
        goto fail;
    if (a->u.any.sa_family == AF_UNIX && lstat(a->u.un.sun_path, &st) == 0) {
        k->ours = 1;
        k->device = st.st_dev;
        k->inode = st.st_ino;
    }
    if (listen(k->listener, 4))
        goto fail;
    if (a->u.any.sa_family != AF_UNIX) {
        a->len = sizeof(a->u.storage); /* port 0 has become one that was free */
        getsockname(k->listener, &a->u.any, &a->len);
    }
    return 0;
fail:
    err = -errno;
    return bp_failf(s->host, s->node, err, "cannot listen at %s: %s; give `listen` another address",
                    text, strerror(-err));
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static void sock_destroy(void *self)
{
    struct sock *k = self;
    struct stat st;

    stream_end(&k->stream);
    if (k->fd >= 0)
        close(k->fd);
    if (k->listener >= 0)
        close(k->listener);
    if (k->ours && lstat(k->address.u.un.sun_path, &st) == 0 && st.st_dev == k->device &&
        st.st_ino == k->inode)
        unlink(k->address.u.un.sun_path);
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
    k->fd = k->listener = -1;
    k->reconnect_ms = k->wait_ms = (uint64_t)c->reconnect * 1000u;
    err = stream_init(&k->stream, host, node, &hooks, c->log);
    if (err)
        goto fail;
    err = c->listen ? address_parse(host, node, "listen", c->listen, &k->address)
                    : address_parse(host, node, "connect", c->connect, &k->address);
    if (err)
        goto fail;
    if (c->listen) {
        err = start_listening(k);
        if (err)
            goto fail;
    } else {
        k->stream.keep = 1;
    }
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
    if (k->listener >= 0) {
        address_print(&k->address, text);
        if (k->state == IDLE)
            bp_logf(host_of(k), k->stream.node, BP_LOG_INFO, "connect to %s", text);
        err = host_of(k)->fd_watch(k->stream.node, k->listener, BP_FD_READ, listener_ready, k);
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

    if (k->listener >= 0)
        host_of(k)->fd_watch(k->stream.node, k->listener, 0, NULL, NULL);
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
    else if (k->listener >= 0)
        host_of(k)->fd_watch(k->stream.node, k->listener, BP_FD_READ, listener_ready, k);
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
