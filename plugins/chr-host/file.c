/* SPDX-License-Identifier: MIT
 *
 * chr-host/file.c - output into a file (or named pipe, or device), and input from another one.
 *
 * A full disk costs output, never the machine: one warning, then a count at the end. Input ends
 * with the file; what is appended to it later is not read.
 */
#include "chr_host.h"
#include "stream.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
    struct stream stream; /* first */
    const char *path;
    int out_fd, in_fd; /* -1: none */
    int warned;
};

static void file_input_ended(struct stream *s, int err)
{
    if (err)
        bp_logf(s->host, s->node, BP_LOG_WARN, "cannot read the input: %s; there is no more of it",
                strerror(err));
}

static void file_output_failed(struct stream *s, int err)
{
    struct file *f = (struct file *)s;

    if (!f->warned)
        bp_logf(s->host, s->node, BP_LOG_WARN,
                "cannot write '%s': %s; output is lost while that is so", f->path, strerror(err));
    f->warned = 1;
    stream_drop(s);
}

static const struct stream_hooks hooks = {.input_ended = file_input_ended,
                                          .output_failed = file_output_failed};

static void file_destroy(void *self)
{
    struct file *f = self;

    stream_end(&f->stream);
    if (f->out_fd >= 0)
        close(f->out_fd);
    if (f->in_fd >= 0)
        close(f->in_fd);
    free(f);
}

static int file_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    const struct file_config *c = config;
    struct file *f = calloc(1, sizeof(*f));
    int err;

    if (!f)
        return bp_failf(host, node, -ENOMEM, "no memory for a character backend");
    f->out_fd = f->in_fd = -1;
    f->path = c->path;
    err = stream_init(&f->stream, host, node, &hooks, c->log);
    if (err)
        goto fail;
    /* Non-blocking: a named pipe that nobody reads is an error here, and no hang. */
    f->out_fd = open(c->path,
                     O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
                         (c->append ? O_APPEND : O_TRUNC),
                     0666);
    if (f->out_fd < 0) {
        err = -errno;
        bp_failf(host, node, err,
                 "cannot open '%s' for output: %s; give `path` a file that can "
                 "be written",
                 c->path, strerror(-err));
        goto fail;
    }
    if (c->input) {
        f->in_fd = open(c->input, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (f->in_fd < 0) {
            err = -errno;
            bp_failf(host, node, err,
                     "cannot open '%s' for input: %s; give `input` a file that "
                     "can be read",
                     c->input, strerror(-err));
            goto fail;
        }
    }
    stream_set(&f->stream, f->in_fd, f->out_fd, STREAM_PLAIN);
    f->stream.opened = 1;
    *self = f;
    return 0;
fail:
    file_destroy(f);
    return err;
}

static int file_start(void *self)
{
    stream_start(self);
    return 0;
}

static void file_stop(void *self)
{
    stream_stop(self);
}

static void file_timer(void *self, uint32_t id)
{
    stream_timer(self, id);
}

const struct bp_instance_ops file_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = file_create,
    .destroy = file_destroy,
    .reset = stream_reset,
    .start = file_start,
    .stop = file_stop,
    .timer = file_timer,
    .extension = stream_extension,
};
