/* SPDX-License-Identifier: MIT
 *
 * loop/poller_kqueue.c - the same on a kqueue (kqueue(2) of macOS and FreeBSD): a filter for
 * reading and one for writing for each fd, EVFILT_TIMER, EVFILT_USER.
 *
 * The two filters of an fd give two events, where epoll gives one with two bits; users take either.
 * The end of a stream comes as EV_EOF of a filter. A watch without events asks only for that, which
 * a kqueue tells readers: the filter for reading stands then with EV_CLEAR, so that input that
 * nobody wants is told once and not for ever.
 */
#include "loop/poller.h"

#include "loop/clock.h"

#include <backplane/host.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 32
#define OWN_IDENT 1 /* of the timer and the user event, each in its filter's own name space */

struct poller {
    int kqueue_fd;
};

/* One change. 0 or -errno. */
static int change(struct poller *p, uintptr_t ident, int16_t filter, uint16_t flags,
                  uint32_t fflags, int64_t data, uint64_t key)
{
    struct kevent event;
    /* A key is no pointer; the field for what the user wants back is one. */
    void *user = (void *)(uintptr_t)key; /* NOLINT(performance-no-int-to-ptr) */

    EV_SET(&event, ident, filter, flags, fflags, data, user);
    return kevent(p->kqueue_fd, &event, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

int poller_new(struct poller **out)
{
    struct poller *p = calloc(1, sizeof(*p));
    int err;

    if (!p)
        return -ENOMEM;
    p->kqueue_fd = kqueue();
    err = p->kqueue_fd < 0 ? -errno : 0;
    if (!err)
        err = change(p, OWN_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, POLLER_WAKE);
    if (err) {
        poller_free(p);
        return err;
    }
    *out = p;
    return 0;
}

void poller_free(struct poller *p)
{
    if (!p)
        return;
    if (p->kqueue_fd >= 0)
        close(p->kqueue_fd);
    free(p);
}

/* ENOENT: the filter was not there, which is what is wanted. */
static int drop(struct poller *p, int fd, int16_t filter)
{
    int err = change(p, (uintptr_t)fd, filter, EV_DELETE, 0, 0, 0);

    return err == -ENOENT ? 0 : err;
}

int poller_watch(struct poller *p, int fd, uint32_t events, uint64_t key, bool known)
{
    /* A change of flags needs the filter to be made anew. */
    int err = known ? drop(p, fd, EVFILT_READ) : 0;

    if (!err) {
        uint16_t flags = events & BP_FD_READ ? EV_ADD : EV_ADD | EV_CLEAR;

        err = change(p, (uintptr_t)fd, EVFILT_READ, flags, 0, 0, key);
    }
    if (!err && events & BP_FD_WRITE)
        err = change(p, (uintptr_t)fd, EVFILT_WRITE, EV_ADD, 0, 0, key);
    else if (!err && known)
        err = drop(p, fd, EVFILT_WRITE);
    if (err)
        poller_forget(p, fd);
    return err;
}

void poller_forget(struct poller *p, int fd)
{
    drop(p, fd, EVFILT_READ);
    drop(p, fd, EVFILT_WRITE);
}

/* By a distance: a kqueue's absolute times are those of the wall clock, which people set. */
void poller_timer(struct poller *p, uint64_t host_ns)
{
    uint64_t now = clock_host_ns(), in_ns = host_ns > now ? host_ns - now : 0;

    if (in_ns > INT64_MAX / 2)
        in_ns = INT64_MAX / 2;
    change(p, OWN_IDENT, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS, (int64_t)in_ns,
           POLLER_TIMER);
}

void poller_wake(struct poller *p)
{
    change(p, OWN_IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0, POLLER_WAKE);
}

int poller_wait(struct poller *p, struct poller_event *events, int max)
{
    struct kevent got[EVENTS_AT_ONCE];
    int count =
        kevent(p->kqueue_fd, NULL, 0, got, max < EVENTS_AT_ONCE ? max : EVENTS_AT_ONCE, NULL);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t what = got[i].filter == EVFILT_READ    ? BP_FD_READ
                        : got[i].filter == EVFILT_WRITE ? BP_FD_WRITE
                                                        : 0;

        if (got[i].flags & (EV_EOF | EV_ERROR))
            what |= BP_FD_HANGUP;
        events[i] = (struct poller_event){.key = (uintptr_t)got[i].udata, .events = what};
    }
    return count;
}
