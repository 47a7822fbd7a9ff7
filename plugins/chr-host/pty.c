/* SPDX-License-Identifier: MIT
 *
 * chr-host/pty.c - a pseudo-terminal, for a terminal program to connect to: pty(7).
 *
 * Nobody holds the terminal's side open but the users. While there is none, the kernel reports a
 * hang-up all the time; so then the pty is not watched but looked at ten times a second, and output
 * is discarded.
 */
#include "chr_host.h"
#include "stream.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define LOOK_MS 100
#define NAME_MAX_BYTES 128

struct pty {
    struct stream stream; /* first */
    int master;
    int connected;
    const char *link; /* or NULL */
    char name[NAME_MAX_BYTES];
};

static void disconnect(struct pty *p)
{
    p->connected = 0;
    stream_set(&p->stream, -1, -1, STREAM_PLAIN);
    stream_opened(&p->stream, 0);
    stream_model_timer(&p->stream, LOOK_MS);
}

static void pty_input_ended(struct stream *s, int err)
{
    (void)err; /* EIO: the last user closed it */
    disconnect((struct pty *)s);
}

static void pty_output_failed(struct stream *s, int err)
{
    (void)err;
    stream_set(s, s->in_fd, -1, STREAM_PLAIN); /* what was typed is still to be read */
}

static const struct stream_hooks hooks = {.input_ended = pty_input_ended,
                                          .output_failed = pty_output_failed};

/* Is anybody there? What somebody typed who left at once counts too. */
static void look(struct pty *p)
{
    struct pollfd poll_fd = {.fd = p->master, .events = POLLIN};

    if (p->connected)
        return;
    if (poll(&poll_fd, 1, 0) < 0 ||
        ((poll_fd.revents & (POLLHUP | POLLERR)) && !(poll_fd.revents & POLLIN))) {
        stream_model_timer(&p->stream, LOOK_MS);
        return;
    }
    p->connected = 1;
    stream_set(&p->stream, p->master, p->master, STREAM_PLAIN);
    stream_opened(&p->stream, 1);
}

/* Raw, so that what passes is what was sent; and a first hang-up, so that the kernel reports one.
 */
static int make_raw(struct pty *p)
{
    struct termios t;
    int slave = open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    int err = 0;

    if (slave < 0)
        return -errno;
    if (tcgetattr(slave, &t)) {
        err = -errno;
    } else {
        cfmakeraw(&t);
        if (tcsetattr(slave, TCSANOW, &t))
            err = -errno;
    }
    close(slave);
    return err;
}

static int open_pty(struct pty *p)
{
    p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->master < 0)
        return -errno;
    if (grantpt(p->master) || unlockpt(p->master))
        return -errno;
    if (ptsname_r(p->master, p->name, sizeof(p->name)))
        return -errno;
    if (fcntl(p->master, F_SETFL, O_RDWR | O_NONBLOCK))
        return -errno;
    return make_raw(p);
}

/* 0 if the link may be made: nothing is there, or a link, which is replaced. */
static int check_link(const struct pty *p)
{
    const struct stream *s = &p->stream;
    struct stat st;

    if (!p->link)
        return 0;
    if (lstat(p->link, &st))
        return errno == ENOENT ? 0
                               : bp_failf(s->host, s->node, -errno,
                                          "cannot look at '%s': %s; give `link` a path in a "
                                          "folder that exists",
                                          p->link, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return 0;
    return bp_failf(s->host, s->node, -EEXIST,
                    "'%s' exists and is no symbolic link; remove it, or give `link` another path",
                    p->link);
}

static int make_link(const struct pty *p)
{
    const struct stream *s = &p->stream;
    int err = check_link(p);

    if (err || !p->link)
        return err;
    if ((unlink(p->link) && errno != ENOENT) || symlink(p->name, p->link)) {
        err = -errno;
        return bp_failf(s->host, s->node, err,
                        "cannot make the link '%s': %s; give `link` a path in a folder that can "
                        "be written",
                        p->link, strerror(-err));
    }
    return 0;
}

/* Removes the link if it is still ours. */
static void remove_link(const struct pty *p)
{
    char target[NAME_MAX_BYTES];
    ssize_t n = p->link ? readlink(p->link, target, sizeof(target)) : -1;

    if (n > 0 && (size_t)n == strlen(p->name) && memcmp(target, p->name, (size_t)n) == 0)
        unlink(p->link);
}

static void pty_destroy(void *self)
{
    struct pty *p = self;

    stream_end(&p->stream);
    if (p->master >= 0)
        close(p->master);
    free(p);
}

static int pty_create(const struct bp_host *host, struct bp_node *node, const void *config,
                      void **self)
{
    const struct pty_config *c = config;
    struct pty *p = calloc(1, sizeof(*p));
    int err;

    if (!p)
        return bp_failf(host, node, -ENOMEM, "no memory for a character backend");
    p->master = -1;
    p->link = c->link;
    err = stream_init(&p->stream, host, node, &hooks, c->log);
    if (err)
        goto fail;
    err = check_link(p);
    if (err)
        goto fail;
    err = open_pty(p);
    if (err) {
        bp_failf(host, node, err,
                 "cannot open a pseudo-terminal: %s; is /dev/pts mounted, and are there any left?",
                 strerror(-err));
        goto fail;
    }
    *self = p;
    return 0;
fail:
    pty_destroy(p);
    return err;
}

static int pty_start(void *self)
{
    struct pty *p = self;
    int err = make_link(p);

    if (err)
        return err;
    bp_logf(p->stream.host, p->stream.node, BP_LOG_INFO, "connect to %s", p->name);
    stream_start(&p->stream);
    if (!p->connected)
        stream_model_timer(&p->stream, 0);
    return 0;
}

static void pty_stop(void *self)
{
    struct pty *p = self;

    stream_stop(&p->stream);
    remove_link(p);
}

static void pty_timer(void *self, uint32_t id)
{
    struct pty *p = self;

    if (id == STREAM_TIMER_MODEL)
        look(p);
    else
        stream_timer(&p->stream, id);
}

const struct bp_instance_ops pty_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = pty_create,
    .destroy = pty_destroy,
    .reset = stream_reset,
    .start = pty_start,
    .stop = pty_stop,
    .timer = pty_timer,
    .extension = stream_extension,
};
