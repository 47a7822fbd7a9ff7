/* SPDX-License-Identifier: MIT
 *
 * loop/poller_epoll.c - epoll for fds, a timerfd, and an eventfd to wake it.
 */
#include "loop/poller.h"

#include <backplane/host.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 32

struct poller {
    int epoll_fd, timer_fd, wake_fd;
};

static int add_own(struct poller *p, int fd, uint64_t key)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = key};

    return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int poller_new(struct poller **out)
{
    struct poller *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = p->epoll_fd < 0 || p->timer_fd < 0 || p->wake_fd < 0 ? -errno : 0;
    if (!err)
        err = add_own(p, p->timer_fd, POLLER_TIMER);
    if (!err)
        err = add_own(p, p->wake_fd, POLLER_WAKE);
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
    if (p->epoll_fd >= 0)
        close(p->epoll_fd);
    if (p->timer_fd >= 0)
        close(p->timer_fd);
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    free(p);
}

int poller_watch(struct poller *p, int fd, uint32_t events, uint64_t key, bool known)
{
    struct epoll_event event = {.events = (events & BP_FD_READ ? (uint32_t)EPOLLIN : 0) |
                                          (events & BP_FD_WRITE ? (uint32_t)EPOLLOUT : 0),
                                .data.u64 = key};
    int failed = epoll_ctl(p->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);

    if (failed && errno == ENOENT) /* closed and opened again without telling */
        failed = epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return failed ? -errno : 0;
}

void poller_forget(struct poller *p, int fd)
{
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void poller_timer(struct poller *p, uint64_t host_ns)
{
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(host_ns / 1000000000u),
                                         .tv_nsec = (long)(host_ns % 1000000000u)}};

    if (!host_ns)
        at.it_value.tv_nsec = 1; /* 0 would disarm */
    timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void poller_wake(struct poller *p)
{
    uint64_t one = 1;

    while (write(p->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* Has an fd of our own no longer be readable; the count does not matter. */
static void drain(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

int poller_wait(struct poller *p, struct poller_event *events, int max)
{
    struct epoll_event got[EVENTS_AT_ONCE];
    int count = epoll_wait(p->epoll_fd, got, max < EVENTS_AT_ONCE ? max : EVENTS_AT_ONCE, -1);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t what = got[i].events;

        events[i] = (struct poller_event){
            .key = got[i].data.u64,
            .events = (what & EPOLLIN ? BP_FD_READ : 0) | (what & EPOLLOUT ? BP_FD_WRITE : 0) |
                      (what & (EPOLLHUP | EPOLLERR) ? BP_FD_HANGUP : 0)};
        if (events[i].key == POLLER_TIMER)
            drain(p->timer_fd);
        else if (events[i].key == POLLER_WAKE)
            drain(p->wake_fd);
    }
    return count;
}
