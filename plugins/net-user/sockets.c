/* SPDX-License-Identifier: MIT
 *
 * net-user/sockets.c - libslirp's sockets in one epoll instance, which the host's loop watches.
 *
 * libslirp says before each wait what it wants of every socket, as poll() would like it. Only what
 * changed since then goes to the kernel; an fd that was closed behind our back is noticed by the
 * kernel's ENOENT and added anew.
 */
#include "net_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 256
#define BACKLOG 128 /* connections that wait for libslirp to take them */

int user_sockets_init(struct user_sockets *s)
{
    memset(s, 0, sizeof(*s));
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    return s->epoll < 0 ? -errno : 0;
}

void user_sockets_end(struct user_sockets *s)
{
    close(s->epoll);
    free(s->by_fd);
    free(s->wanted);
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

/* A forwarded port of libslirp's lets one connection wait, and the kernel has the next ones try
 * again a second later. */
static void let_more_wait(int fd)
{
    int listens = 0;
    socklen_t len = sizeof(listens);

    if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) && listens)
        listen(fd, BACKLOG); /* if that fails, it is as it was */
}

static void watch(struct user_sockets *s, int fd, uint8_t events)
{
    struct user_socket *socket = &s->by_fd[fd];
    struct epoll_event event = {.events = to_epoll(events), .data.fd = fd};
    int err;

    if (events == socket->watched)
        return;
    if (!socket->watched)
        let_more_wait(fd);
    err = epoll_ctl(s->epoll,
                    !events           ? EPOLL_CTL_DEL
                    : socket->watched ? EPOLL_CTL_MOD
                                      : EPOLL_CTL_ADD,
                    fd, &event);
    if (err && errno == ENOENT && events)
        err = epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
    else if (err && errno == EEXIST)
        err = epoll_ctl(s->epoll, EPOLL_CTL_MOD, fd, &event);
    socket->watched = err ? 0 : events;
}

/* Makes an array long enough for `index`. Nonzero if there is no memory. */
static int grow(void **array, uint32_t *size, uint32_t index, size_t element)
{
    uint32_t bigger = *size ? *size : 64;
    void *grown;

    if (index < *size)
        return 0;
    while (bigger <= index)
        bigger *= 2;
    grown = realloc(*array, bigger * element);
    if (!grown)
        return -ENOMEM;
    memset((uint8_t *)grown + *size * element, 0, (bigger - *size) * element);
    *array = grown;
    *size = bigger;
    return 0;
}

static int add_poll(int fd, int events, void *opaque)
{
    struct user_sockets *s = opaque;

    if (fd < 0 || grow((void **)&s->by_fd, &s->by_fd_size, (uint32_t)fd, sizeof(*s->by_fd)) ||
        grow((void **)&s->wanted, &s->wanted_size, s->count, sizeof(*s->wanted)))
        return -1;
    s->by_fd[fd].wanted = (uint8_t)events & (SLIRP_POLL_IN | SLIRP_POLL_OUT | SLIRP_POLL_PRI);
    s->wanted[s->count] = fd;
    return (int)s->count++;
}

uint32_t user_sockets_fill(struct user_sockets *s, Slirp *slirp)
{
    uint32_t timeout_ms = UINT32_MAX;

    for (uint32_t fd = 0; fd < s->by_fd_size; fd++)
        s->by_fd[fd].wanted = 0;
    s->count = 0;
    slirp_pollfds_fill(slirp, &timeout_ms, add_poll, s);
    for (uint32_t fd = 0; fd < s->by_fd_size; fd++)
        if (s->by_fd[fd].watched || s->by_fd[fd].wanted)
            watch(s, (int)fd, s->by_fd[fd].wanted);
    return timeout_ms;
}

static int get_revents(int index, void *opaque)
{
    struct user_sockets *s = opaque;
    struct user_socket *socket;
    int ready;

    if (index < 0 || (uint32_t)index >= s->count)
        return 0;
    socket = &s->by_fd[s->wanted[index]];
    ready = socket->ready;
    socket->ready = 0;
    return ready;
}

void user_sockets_work(struct user_sockets *s, Slirp *slirp)
{
    slirp_pollfds_poll(slirp, 0, get_revents, s);
}

void user_sockets_opened(struct user_sockets *s, int fd)
{
    if (fd < 0 || grow((void **)&s->by_fd, &s->by_fd_size, (uint32_t)fd, sizeof(*s->by_fd)))
        return;
    s->open += !s->by_fd[fd].open;
    s->by_fd[fd].open = 1;
}

void user_sockets_forget(struct user_sockets *s, int fd)
{
    if (fd < 0 || (uint32_t)fd >= s->by_fd_size)
        return;
    watch(s, fd, 0);
    s->open -= s->by_fd[fd].open;
    s->by_fd[fd].open = 0;
    s->by_fd[fd].wanted = 0;
    s->by_fd[fd].ready = 0;
}
