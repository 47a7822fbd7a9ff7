/* SPDX-License-Identifier: MIT
 *
 * shared/listener.c - sockets, and those at an address of one's own.
 */
#include "listener.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Systems without the flags set both a moment later: nothing forks in between but the embedding
 * program. */
#ifdef SOCK_CLOEXEC
int socket_new(int family, int type)
{
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int socket_accept(int listener)
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

int socket_new(int family, int type)
{
    return set_up(socket(family, type, 0));
}

int socket_accept(int listener)
{
    return set_up(accept(listener, NULL, NULL));
}
#endif

int socket_is_unix(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);

    return getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family == AF_UNIX;
}

/* A socket file that nobody listens at was left by a machine that crashed: it may go. */
static int remove_stale(const struct listener *l, const struct bp_host *host, struct bp_node *node,
                        const char *key)
{
    const char *path = l->address.u.un.sun_path;
    struct stat st;
    int fd, err;

    if (lstat(path, &st)) {
        err = errno;
        return err == ENOENT
                   ? 0
                   : bp_failf(host, node, -err, "cannot look at '%s': %s", path, strerror(err));
    }
    if (!S_ISSOCK(st.st_mode))
        return bp_failf(host, node, -EEXIST,
                        "'%s' exists and is no socket; remove it, or give `%s` another path", path,
                        key);
    fd = socket_new(AF_UNIX, l->address.type);
    if (fd < 0)
        return bp_failf(host, node, -EMFILE, "cannot make a socket to look who is at '%s'", path);
    err = connect(fd, &l->address.u.any, l->address.len) ? errno : 0;
    close(fd);
    if (err == ECONNREFUSED) {
        if (unlink(path) == 0 || errno == ENOENT)
            return 0;
        err = errno;
        return bp_failf(host, node, -err, "cannot remove the abandoned socket '%s': %s", path,
                        strerror(err));
    }
    return bp_failf(host, node, -EADDRINUSE,
                    "another program listens at '%s'; stop it, or give `%s` another path", path,
                    key);
}

static int open_at(struct listener *l)
{
    struct address *a = &l->address;
    struct stat st;
    int on = 1;

    l->fd = socket_new(a->u.any.sa_family, a->type);
    if (l->fd < 0)
        return -errno;
    if (a->u.any.sa_family != AF_UNIX && a->type == SOCK_STREAM)
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(l->fd, &a->u.any, a->len))
        return -errno;
    if (a->u.any.sa_family == AF_UNIX && lstat(a->u.un.sun_path, &st) == 0) {
        l->ours = 1;
        l->device = st.st_dev;
        l->inode = st.st_ino;
    }
    if (a->type == SOCK_STREAM && listen(l->fd, 4))
        return -errno;
    if (a->u.any.sa_family != AF_UNIX) {
        a->len = sizeof(a->u.storage); /* port 0 has become one that was free */
        getsockname(l->fd, &a->u.any, &a->len);
    }
    return 0;
}

int listener_open(struct listener *l, const struct bp_host *host, struct bp_node *node,
                  const char *key, int type, const char *text)
{
    char where[ADDRESS_TEXT];
    int err;

    memset(l, 0, sizeof(*l));
    l->fd = -1;
    err = address_parse(host, node, key, type, text, &l->address);
    if (!err && l->address.u.any.sa_family == AF_UNIX)
        err = remove_stale(l, host, node, key);
    if (err)
        return err;
    address_print(&l->address, where);
    err = open_at(l);
    if (!err)
        return 0;
    listener_close(l);
    return bp_failf(host, node, err, "cannot listen at %s: %s; give `%s` another address", where,
                    strerror(-err), key);
}

void listener_close(struct listener *l)
{
    struct stat st;

    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    if (l->ours && lstat(l->address.u.un.sun_path, &st) == 0 && st.st_dev == l->device &&
        st.st_ino == l->inode)
        unlink(l->address.u.un.sun_path);
    l->ours = 0;
}
