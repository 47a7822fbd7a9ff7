/* SPDX-License-Identifier: MIT
 *
 * net-user/watch_epoll.c - the sockets in one epoll instance, which the host's loop watches.
 *
 * An fd that was closed behind our back is noticed by the kernel's ENOENT and added anew.
 */
#include "net_user.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 256

int user_watch_init(struct user_sockets *s)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    return s->epoll < 0 ? -errno : 0;
}

void user_watch_end(struct user_sockets *s)
{
    close(s->epoll);
}

static uint32_t to_epoll(uint32_t events)
{
    return (events & SLIRP_POLL_IN ? (uint32_t)EPOLLIN : 0) |
           (events & SLIRP_POLL_OUT ? (uint32_t)EPOLLOUT : 0) |
           (events & SLIRP_POLL_PRI ? (uint32_t)EPOLLPRI : 0);
}

static uint8_t from_epoll(uint32_t events)
{
    return (uint8_t)((events & EPOLLIN ? SLIRP_POLL_IN : 0) |
                     (events & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
                     (events & EPOLLPRI ? SLIRP_POLL_PRI : 0) |
                     (events & EPOLLERR ? SLIRP_POLL_ERR : 0) |
                     (events & EPOLLHUP ? SLIRP_POLL_HUP : 0));
}

void user_sockets_look(struct user_sockets *s)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(s->epoll, events, EVENTS_AT_ONCE, 0);

    for (int i = 0; i < count; i++) {
        uint32_t fd = (uint32_t)events[i].data.fd;

        if (fd < s->by_fd_size)
            s->by_fd[fd].ready = from_epoll(events[i].events);
    }
}

int user_watch(struct user_sockets *s, int fd, uint8_t events)
{
    struct epoll_event event = {.events = to_epoll(events), .data.fd = fd};
    int watched = s->by_fd[fd].watched;
    int err = epoll_ctl(s->epoll,
                        !events   ? EPOLL_CTL_DEL
                        : watched ? EPOLL_CTL_MOD
                                  : EPOLL_CTL_ADD,
                        fd, &event);

    if (err && errno == ENOENT && events)
        err = epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
    else if (err && errno == EEXIST)
        err = epoll_ctl(s->epoll, EPOLL_CTL_MOD, fd, &event);
    return err;
}

static void ready(void *self, int fd, uint32_t events)
{
    (void)fd, (void)events;
    user_turn(self);
}

void user_watch_listen(struct user_sockets *s)
{
    struct user *u = s->user;

    if (u->host->fd_watch(u->node, s->epoll, s->listening ? BP_FD_READ : 0, ready, u))
        s->listening = 0;
}
