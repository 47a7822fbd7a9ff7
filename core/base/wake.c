/* SPDX-License-Identifier: MIT
 *
 * base/wake.c - one file for both kinds: they differ in how they are opened. What is written is of
 * an eventfd's size, and a pipe takes it as well; a full one is as good as one that was written to.
 */
#include "base/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>
#if defined(__linux__) && !defined(BACKPLANE_PORTABLE)
#include <sys/eventfd.h>
#endif

#if defined(__linux__) && !defined(BACKPLANE_PORTABLE)
int wake_open(struct wake *w)
{
    w->fd = w->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->fd < 0 ? -errno : 0;
}
#else
int wake_open(struct wake *w)
{
    int ends[2];

    *w = WAKE_NONE;
    if (pipe(ends))
        return -errno;
    w->fd = ends[0];
    w->write_fd = ends[1];
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) < 0) {
            int err = -errno;

            wake_close(w);
            return err;
        }
    }
    return 0;
}
#endif

void wake_close(struct wake *w)
{
    if (w->write_fd >= 0 && w->write_fd != w->fd)
        close(w->write_fd);
    if (w->fd >= 0)
        close(w->fd);
    *w = WAKE_NONE;
}

void wake_signal(const struct wake *w)
{
    const uint64_t one = 1;
    int before = errno;

    while (w->write_fd >= 0 && write(w->write_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    errno = before;
}

int wake_clear(const struct wake *w)
{
    uint64_t count[64];
    ssize_t n;

    do
        n = read(w->fd, count, w->write_fd == w->fd ? sizeof(count[0]) : sizeof(count));
    while (n > 0 ? w->write_fd != w->fd : n < 0 && errno == EINTR);
    return n < 0 && errno != EAGAIN ? -errno : 0;
}
