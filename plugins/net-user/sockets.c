/* SPDX-License-Identifier: MIT
 *
 * net-user/sockets.c - libslirp's sockets, and what it waits for.
 *
 * libslirp says before each wait what it wants of every socket, as poll() would like it. Only what
 * changed since then goes to the kernel, by watch_epoll.c or watch_fds.c.
 */
#include "net_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 128 /* connections that wait for libslirp to take them */

int user_sockets_init(struct user_sockets *s, struct user *u)
{
    memset(s, 0, sizeof(*s));
    s->user = u;
    return user_watch_init(s);
}

void user_sockets_end(struct user_sockets *s)
{
    user_sockets_listen(s, 0);
    user_watch_end(s);
    free(s->by_fd);
    free(s->wanted);
}

void user_sockets_listen(struct user_sockets *s, int on)
{
    if (on == s->listening)
        return;
    s->listening = (uint8_t)on;
    user_watch_listen(s);
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

    if (events == socket->watched)
        return;
    if (!socket->watched)
        let_more_wait(fd);
    socket->watched = user_watch(s, fd, events) ? 0 : events;
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
