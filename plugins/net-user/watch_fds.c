/* SPDX-License-Identifier: MIT
 *
 * net-user/watch_fds.c - each socket is watched by the host's loop, and looked at by poll(2): for
 * systems without epoll.
 *
 * What the loop says only brings a turn, because it may be past when that comes: libslirp accepts
 * from sockets that block. The loop does not tell of urgent data, which come with the next others.
 */
#include "net_user.h"

#include <poll.h>

#define FDS_AT_ONCE 64u

int user_watch_init(struct user_sockets *s)
{
    s->epoll = -1;
    return 0;
}

void user_watch_end(struct user_sockets *s)
{
    (void)s; /* nothing is watched any more */
}

static void ready(void *self, int fd, uint32_t events)
{
    (void)fd, (void)events;
    user_turn_soon(self);
}

static uint32_t to_loop(uint8_t events)
{
    return (events & SLIRP_POLL_IN ? BP_FD_READ : 0) | (events & SLIRP_POLL_OUT ? BP_FD_WRITE : 0);
}

int user_watch(struct user_sockets *s, int fd, uint8_t events)
{
    struct user *u = s->user;

    if (!s->listening && events)
        return 0;
    return u->host->fd_watch(u->node, fd, to_loop(events), ready, u);
}

void user_watch_listen(struct user_sockets *s)
{
    struct user *u = s->user;

    for (uint32_t fd = 0; fd < s->by_fd_size; fd++) {
        uint8_t events = s->by_fd[fd].watched;

        if (events &&
            u->host->fd_watch(u->node, (int)fd, s->listening ? to_loop(events) : 0, ready, u))
            s->by_fd[fd].watched = 0; /* the next turn tries again */
    }
}

static short to_poll(uint8_t events)
{
    return (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                   (events & SLIRP_POLL_PRI ? POLLPRI : 0));
}

static uint8_t from_poll(short events)
{
    return (
        uint8_t)((events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
                 (events & POLLPRI ? SLIRP_POLL_PRI : 0) | (events & POLLERR ? SLIRP_POLL_ERR : 0) |
                 (events & POLLHUP ? SLIRP_POLL_HUP : 0));
}

static void look_at(struct user_sockets *s, struct pollfd *fds, uint32_t count)
{
    if (!count || poll(fds, count, 0) <= 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        s->by_fd[fds[i].fd].ready = from_poll(fds[i].revents);
}

void user_sockets_look(struct user_sockets *s)
{
    struct pollfd fds[FDS_AT_ONCE];
    uint32_t count = 0;

    for (uint32_t fd = 0; fd < s->by_fd_size; fd++) {
        if (!s->by_fd[fd].watched)
            continue;
        fds[count++] = (struct pollfd){.fd = (int)fd, .events = to_poll(s->by_fd[fd].watched)};
        if (count < FDS_AT_ONCE)
            continue;
        look_at(s, fds, count);
        count = 0;
    }
    look_at(s, fds, count);
}
