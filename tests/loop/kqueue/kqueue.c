/* SPDX-License-Identifier: MIT
 *
 * kqueue.c - a kqueue by poll(2), a few of them at once: see sys/event.h. The fd that
 * kqueue() gives is the reading end of a pipe, which also wakes who waits when something changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <unistd.h>

#define NOTES_MAX 64
#define POLL_MS 5 /* between two looks at the fds and the timer */
#define QUEUES_MAX 16

struct note {
    bool used, triggered, told; /* told: EV_CLEAR, and nothing has changed since */
    struct kevent event;
    int64_t due_ns;
};

struct queue {
    int fd, write_fd; /* fd 0: not in use; the pipe's ends */
    struct note notes[NOTES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue queues[QUEUES_MAX];

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A queue is closed by close(), of which nobody tells us: its number comes back from pipe(). */
int kqueue(void)
{
    int ends[2];

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
        return -1;
    pthread_mutex_lock(&lock);
    struct queue *q = NULL;
    for (int i = 0; i < QUEUES_MAX && !q; i++)
        if (queues[i].fd == ends[0] || (queues[i].fd && fcntl(queues[i].fd, F_GETFD) < 0)) {
            close(queues[i].write_fd);
            q = &queues[i];
        }
    for (int i = 0; i < QUEUES_MAX && !q; i++)
        if (!queues[i].fd)
            q = &queues[i];
    if (q) {
        memset(q, 0, sizeof(*q));
        q->fd = ends[0];
        q->write_fd = ends[1];
    }
    pthread_mutex_unlock(&lock);
    if (!q) {
        errno = EMFILE;
        return -1;
    }
    return q->fd;
}

static struct note *find(struct queue *q, const struct kevent *e)
{
    for (int i = 0; i < NOTES_MAX; i++)
        if (q->notes[i].used && q->notes[i].event.ident == e->ident &&
            q->notes[i].event.filter == e->filter)
            return &q->notes[i];
    return NULL;
}

/* 0 or errno. */
static int change(struct queue *q, const struct kevent *e)
{
    struct note *n = find(q, e);
    bool is_fd = e->filter == EVFILT_READ || e->filter == EVFILT_WRITE;

    if (is_fd && fcntl((int)e->ident, F_GETFD) < 0)
        return EBADF;
    if (e->flags & EV_DELETE) {
        if (!n)
            return ENOENT;
        n->used = false;
        return 0;
    }
    if (!n && !(e->flags & EV_ADD))
        return ENOENT;
    for (int i = 0; i < NOTES_MAX && !n; i++)
        if (!q->notes[i].used)
            n = &q->notes[i];
    if (!n)
        return ENOMEM;
    if (!n->used) {
        *n = (struct note){.used = true, .event = *e};
    } else if (e->flags & EV_ADD) {
        /* What is there keeps its flags, EV_CLEAR among them. */
        n->event.udata = e->udata;
        n->told = false;
    }
    if (e->filter == EVFILT_TIMER)
        n->due_ns = now_ns() + e->data;
    if (e->filter == EVFILT_USER && e->fflags & NOTE_TRIGGER)
        n->triggered = true;
    return 0;
}

static bool look_at_fd(struct note *n, struct kevent *out)
{
    bool reads = n->event.filter == EVFILT_READ;
    struct pollfd p = {.fd = (int)n->event.ident, .events = reads ? POLLIN : POLLOUT};

    if (poll(&p, 1, 0) <= 0 || !p.revents || (p.revents & POLLNVAL)) {
        n->told = false;
        return false;
    }
    if (n->event.flags & EV_CLEAR && n->told)
        return false;
    n->told = true;
    *out = n->event;
    out->flags = p.revents & (POLLHUP | POLLERR) ? EV_EOF : 0;
    return true;
}

static bool look_at(struct note *n, struct kevent *out)
{
    switch (n->event.filter) {
    case EVFILT_TIMER:
        if (n->due_ns > now_ns())
            return false;
        n->used = false;
        break;
    case EVFILT_USER:
        if (!n->triggered)
            return false;
        n->triggered = false;
        break;
    default:
        return look_at_fd(n, out);
    }
    *out = n->event;
    return true;
}

static int collect(struct queue *q, struct kevent *events, int max)
{
    int count = 0;

    for (int i = 0; i < NOTES_MAX && count < max; i++)
        if (q->notes[i].used && look_at(&q->notes[i], &events[count]))
            count++;
    return count;
}

int kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
           const struct timespec *timeout)
{
    struct queue *q = NULL;
    int count = 0, err = 0;

    (void)timeout; /* the user has none */
    pthread_mutex_lock(&lock);
    for (int i = 0; i < QUEUES_MAX; i++)
        if (queues[i].fd == kq)
            q = &queues[i];
    for (int i = 0; q && i < nchanges && !err; i++)
        err = change(q, &changes[i]);
    if (q && nchanges && write(q->write_fd, "", 1) < 0 && errno != EAGAIN)
        err = errno;
    while (q && !err && nevents && !(count = collect(q, events, nevents))) {
        struct pollfd p = {.fd = kq, .events = POLLIN};
        char bytes[16];

        pthread_mutex_unlock(&lock);
        if (poll(&p, 1, POLL_MS) > 0)
            while (read(kq, bytes, sizeof(bytes)) > 0)
                ;
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    if (!q)
        err = EBADF;
    errno = err;
    return err ? -1 : count;
}
