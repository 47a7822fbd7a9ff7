/* SPDX-License-Identifier: MIT
 *
 * chr-host/stream.c - buffering, back-pressure and the log of a byte stream over fds.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <backplane/util/log.h>

#define TIMER_OUT 0u
#define TIMER_IN 1u
#define TIMER_HELLO 2u

#define OUT_DELAY_NS UINT64_C(1000000) /* a person does not see it; a boot log needs few writes */
#define RETRY_NS UINT64_C(10000000)    /* an fd that cannot be watched takes nothing */
#define IN_DELAY_NS UINT64_C(1000000)  /* between two reads of a file */
#define SHARED_CHUNK 512u /* _POSIX_PIPE_BUF: after POLLOUT a write of this does not block */

static void update_watches(struct stream *s);

static uint64_t now_ns(const struct stream *s)
{
    return s->host->clock_ns(s->node);
}

/* ---- log
 * ----------------------------------------------------------------------------------------- */

static void tee_flush(struct stream *s)
{
    struct tee *t = &s->tee;
    uint32_t done = 0;

    while (done < t->len) {
        ssize_t n = write(t->fd, t->data + done, t->len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (!t->dropped)
                bp_logf(s->host, s->node, BP_LOG_WARN,
                        "cannot write the log: %s; what does not fit is missing from it",
                        n < 0 ? strerror(errno) : "nothing was taken");
            t->dropped += t->len - done;
            break;
        }
        done += (uint32_t)n;
    }
    t->len = 0;
}

static void tee_put(struct stream *s, const uint8_t *data, uint64_t len)
{
    struct tee *t = &s->tee;

    while (len) {
        uint64_t n = STREAM_TEE - t->len;

        if (n > len)
            n = len;
        memcpy(t->data + t->len, data, n);
        t->len += (uint32_t)n;
        data += n;
        len -= n;
        if (t->len == STREAM_TEE)
            tee_flush(s);
    }
}

/* ---- output
 * -------------------------------------------------------------------------------------- */

/* Puts up to `len` bytes into the fd: how many, 0 if it takes none now, or a negative errno. */
static ssize_t put(struct stream *s, const uint8_t *data, uint32_t len)
{
    for (;;) {
        ssize_t n;

        if (s->out_kind == STREAM_SHARED) {
            struct pollfd p = {.fd = s->out_fd, .events = POLLOUT};

            if (poll(&p, 1, 0) != 1)
                return 0;
            if (len > SHARED_CHUNK)
                len = SHARED_CHUNK;
        }
        if (s->out_kind == STREAM_SOCKET)
            n = send(s->out_fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            n = write(s->out_fd, data, len);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static void arm_output(struct stream *s, uint64_t delay_ns)
{
    if (s->armed || !s->running)
        return;
    s->armed = 1;
    s->host->timer_set(s->node, TIMER_OUT, now_ns(s) + delay_ns);
}

/* Moves what waits into the fd, and lets the device go on when half the buffer is free. [dom] */
static void drain(struct stream *s)
{
    s->blocked = 0;
    while (s->out.count && s->out_fd >= 0) {
        uint32_t len;
        const uint8_t *data = bp_fifo_peek(&s->out, &len);
        ssize_t n = put(s, data, len);

        if (n < 0) {
            s->hooks->output_failed(s, (int)-n);
            break;
        }
        if (n == 0) {
            s->blocked = 1;
            break;
        }
        bp_fifo_drop(&s->out, (uint32_t)n);
    }
    update_watches(s);
    if (s->blocked && s->out_slow)
        arm_output(s, RETRY_NS);
    if (s->owes && s->out.count <= STREAM_OUT / 2) {
        s->owes = 0;
        if (s->port)
            s->port->writable(s->port_self);
    }
}

static void append(struct bp_fifo *f, const uint8_t *data, uint32_t len)
{
    uint32_t at = (f->head + f->count) & (STREAM_OUT - 1);
    uint32_t first = STREAM_OUT - at < len ? STREAM_OUT - at : len;

    if (len == 1) { /* a UART's: every exit of the guest comes through here */
        f->data[at] = *data;
        f->count++;
        return;
    }
    memcpy(f->data + at, data, first);
    memcpy(f->data, data + first, len - first);
    f->count += len;
}

static uint64_t char_write(void *self, const uint8_t *data, uint64_t len)
{
    struct stream *s = self;

    if (s->out_fd >= 0 || s->keep) {
        if (len > bp_fifo_room(&s->out)) {
            len = bp_fifo_room(&s->out);
            s->owes = 1;
        }
        append(&s->out, data, (uint32_t)len);
    } else if (s->tee.fd < 0) {
        return len;
    }
    if (s->tee.fd >= 0)
        tee_put(s, data, len);
    if (!s->armed && (!s->blocked || s->tee.len))
        arm_output(s, OUT_DELAY_NS);
    return len;
}

void stream_print(struct stream *s, const char *text)
{
    size_t len = strlen(text);

    if (s->out_fd < 0 || len > bp_fifo_room(&s->out))
        return;
    append(&s->out, (const uint8_t *)text, (uint32_t)len);
    arm_output(s, 0);
}

void stream_drop(struct stream *s)
{
    s->dropped += s->out.count;
    bp_fifo_clear(&s->out);
    s->blocked = 0;
}

/* ---- input
 * --------------------------------------------------------------------------------------- */

static int wants_input(const struct stream *s)
{
    return s->running && s->in_fd >= 0 && !s->held && !s->in.count;
}

/* Hands what was read to the device. [dom] */
static void deliver(struct stream *s)
{
    while (s->in.count && !s->held) {
        uint32_t len;
        const uint8_t *data = bp_fifo_peek(&s->in, &len);
        uint64_t taken = s->port ? s->port->receive(s->port_self, data, len) : len;

        if (taken > len)
            taken = len;
        bp_fifo_drop(&s->in, (uint32_t)taken);
        s->held = taken < len;
    }
}

/* Reads the fd once. [dom] */
static void read_source(struct stream *s)
{
    uint8_t data[STREAM_IN];
    ssize_t n;
    size_t len;

    do
        n = read(s->in_fd, data, sizeof(data));
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0) {
        int err = n < 0 ? errno : 0;

        if (s->out_fd != s->in_fd)
            stream_set(s, -1, s->out_fd, s->out_kind);
        s->hooks->input_ended(s, err);
        return;
    }
    len = (size_t)n;
    if (s->hooks->filter)
        len = s->hooks->filter(s, data, len);
    for (size_t i = 0; i < len; i++)
        bp_fifo_push(&s->in, data[i]);
    deliver(s);
}

static void input_timer(struct stream *s)
{
    deliver(s);
    if (s->in_slow && wants_input(s))
        read_source(s);
    update_watches(s);
    if (s->in_slow && wants_input(s))
        s->host->timer_set(s->node, TIMER_IN, now_ns(s) + IN_DELAY_NS);
}

static void char_resume(void *self)
{
    struct stream *s = self;

    s->held = 0;
    if (s->running)
        s->host->timer_set(s->node, TIMER_IN, 0);
}

static uint64_t char_inject(void *self, const uint8_t *data, uint64_t len)
{
    struct stream *s = self;
    uint64_t taken = 0;

    while (taken < len && bp_fifo_push(&s->in, data[taken]))
        taken++;
    if (taken && s->running) {
        update_watches(s);
        s->host->timer_set(s->node, TIMER_IN, 0);
    }
    return taken;
}

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

static void ready(void *self, int fd, uint32_t events)
{
    struct stream *s = self;

    if (fd == s->in_fd && (events & (BP_FD_READ | BP_FD_HANGUP))) {
        if (wants_input(s)) {
            read_source(s);
        } else if ((events & BP_FD_HANGUP) && fd == s->out_fd) {
            /* The other end is gone and left input that the device has no room for yet. */
            stream_set(s, s->in_fd, -1, s->out_kind);
        }
    }
    if (fd == s->out_fd && s->blocked && (events & (BP_FD_WRITE | BP_FD_HANGUP)))
        drain(s);
    update_watches(s);
}

/* 0, or -EPERM where `fd` cannot be watched. */
static int set_watch(struct stream *s, struct watch *w, int fd, uint32_t events)
{
    int err = 0;

    if (w->events && (w->fd != fd || !events)) {
        s->host->fd_watch(s->node, w->fd, 0, ready, s);
        w->events = 0;
    }
    if (events && w->events != events) {
        err = s->host->fd_watch(s->node, fd, events, ready, s);
        if (!err) {
            w->fd = fd;
            w->events = events;
        }
    }
    return err;
}

static void update_watches(struct stream *s)
{
    uint32_t in = wants_input(s) && !s->in_slow ? BP_FD_READ : 0;
    uint32_t out = s->running && s->out_fd >= 0 && s->blocked && !s->out_slow ? BP_FD_WRITE : 0;

    if (s->in_fd == s->out_fd) {
        in |= out;
        out = 0;
    }
    if (!out)
        set_watch(s, &s->out_watch, -1, 0); /* first: its fd may become the other watch's */
    if (set_watch(s, &s->in_watch, s->in_fd, in)) {
        s->in_slow = 1;
        if (s->in_fd == s->out_fd)
            s->out_slow = 1;
        s->host->timer_set(s->node, TIMER_IN, 0);
    }
    if (out && set_watch(s, &s->out_watch, s->out_fd, out)) {
        s->out_slow = 1;
        arm_output(s, RETRY_NS);
    }
}

void stream_set(struct stream *s, int in_fd, int out_fd, uint32_t out_kind)
{
    if (in_fd != s->in_fd || out_fd != s->out_fd) {
        set_watch(s, &s->in_watch, -1, 0);
        set_watch(s, &s->out_watch, -1, 0);
    }
    if (in_fd != s->in_fd)
        s->in_slow = 0;
    if (out_fd != s->out_fd)
        s->out_slow = s->blocked = 0;
    s->in_fd = in_fd;
    s->out_fd = out_fd;
    s->out_kind = out_kind;
    if (out_fd < 0 && !s->keep)
        bp_fifo_clear(&s->out);
    if (!s->running)
        return;
    update_watches(s);
    if (s->in_slow)
        s->host->timer_set(s->node, TIMER_IN, 0);
    if (s->owes || s->out.count)
        arm_output(s, 0);
}

void stream_event(struct stream *s, uint32_t what, uint32_t columns, uint32_t rows)
{
    deliver(s);
    if (s->port)
        s->port->event(s->port_self, what, columns, rows);
}

/* Says whether somebody is there, unless the device knows. */
static void tell(struct stream *s)
{
    uint8_t what = s->opened ? BP_CHAR_OPENED : BP_CHAR_HANGUP;

    if (s->told == what)
        return;
    s->told = what;
    stream_event(s, what, 0, 0);
}

void stream_opened(struct stream *s, int opened)
{
    s->opened = opened != 0;
    tell(s);
}

void stream_model_timer(struct stream *s, uint64_t ms)
{
    s->host->timer_set(s->node, STREAM_TIMER_MODEL, now_ns(s) + ms * 1000000u);
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static int char_attach(void *self, const struct bp_char_port *port, void *port_self)
{
    struct stream *s = self;

    if (s->port)
        return -EBUSY;
    s->port = port;
    s->port_self = port_self;
    return 0;
}

static const struct bp_char stream_char = {
    .size = sizeof(struct bp_char),
    .attach = char_attach,
    .write = char_write,
    .resume = char_resume,
    .inject = char_inject,
};

const void *stream_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_CHAR_ID) == 0 ? &stream_char : NULL;
}

/* A reset of the guest is none of the other end's business: what was printed before it still comes
 * out. */
void stream_reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

int stream_init(struct stream *s, const struct bp_host *host, struct bp_node *node,
                const struct stream_hooks *hooks, const char *log)
{
    s->host = host;
    s->node = node;
    s->hooks = hooks;
    s->in_fd = s->out_fd = s->tee.fd = -1;
    s->in = (struct bp_fifo){.data = s->in_data, .capacity = STREAM_IN};
    s->out = (struct bp_fifo){.data = s->out_data, .capacity = STREAM_OUT};
    if (!log)
        return 0;
    /* Non-blocking for the sake of a named pipe that nobody reads. */
    s->tee.fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (s->tee.fd < 0) {
        int err = errno;

        return bp_failf(host, node, -err,
                        "cannot open the log '%s': %s; give `log` a file that can be written", log,
                        strerror(err));
    }
    return 0;
}

void stream_end(struct stream *s)
{
    s->dropped += s->out.count;
    if (s->dropped)
        bp_logf(s->host, s->node, BP_LOG_WARN,
                "%llu bytes of output were lost: the other end did not take them",
                (unsigned long long)s->dropped);
    if (s->tee.fd >= 0) {
        tee_flush(s);
        close(s->tee.fd);
        s->tee.fd = -1;
    }
}

void stream_start(struct stream *s)
{
    s->running = 1;
    s->armed = 0;
    s->host->timer_set(s->node, TIMER_HELLO, 0);
    if (s->out.count || s->owes || s->tee.len)
        arm_output(s, 0);
    if (s->in.count || s->in_slow)
        s->host->timer_set(s->node, TIMER_IN, 0);
    update_watches(s);
}

static int64_t monotonic_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Everything that the guest printed leaves before the machine ends, if the other end is willing. */
static void flush(struct stream *s)
{
    int64_t deadline = monotonic_ms() + STREAM_FLUSH_MS;

    while (s->out.count && s->out_fd >= 0) {
        uint32_t len;
        const uint8_t *data = bp_fifo_peek(&s->out, &len);
        ssize_t n = put(s, data, len);

        if (n < 0) {
            s->hooks->output_failed(s, (int)-n);
            break;
        }
        bp_fifo_drop(&s->out, (uint32_t)n);
        if (n == 0) {
            struct pollfd p = {.fd = s->out_fd, .events = POLLOUT};
            int64_t left = deadline - monotonic_ms();

            if (left <= 0)
                break;
            /* A hang-up does not go away by waiting. */
            if (poll(&p, 1, (int)left) == 1 && !(p.revents & POLLOUT))
                break;
        }
    }
    if (s->tee.fd >= 0)
        tee_flush(s);
}

void stream_stop(struct stream *s)
{
    s->running = 0;
    for (uint32_t id = 0; id <= STREAM_TIMER_MODEL; id++)
        s->host->timer_set(s->node, id, UINT64_MAX);
    s->armed = 0;
    s->blocked = 0;
    update_watches(s);
    flush(s);
}

void stream_timer(struct stream *s, uint32_t id)
{
    switch (id) {
    case TIMER_OUT:
        s->armed = 0;
        if (s->tee.fd >= 0)
            tee_flush(s);
        drain(s);
        break;
    case TIMER_IN:
        input_timer(s);
        break;
    case TIMER_HELLO:
        tell(s);
        break;
    default:
        break;
    }
}
