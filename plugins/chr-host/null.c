/* SPDX-License-Identifier: MIT
 *
 * chr-host/null.c - a character backend with nobody at the other end: it takes all output and never
 * gives input, but what is injected. With `log` it is a file that only grows.
 */
#include "chr_host.h"
#include "stream.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

static void no_input(struct stream *s, int err)
{
    (void)s;
    (void)err;
}

static void no_output(struct stream *s, int err)
{
    (void)s;
    (void)err;
}

static const struct stream_hooks hooks = {.input_ended = no_input, .output_failed = no_output};

static int null_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    const struct null_config *c = config;
    struct stream *s = calloc(1, sizeof(*s));
    int err;

    if (!s)
        return bp_failf(host, node, -ENOMEM, "no memory for a character backend");
    err = stream_init(s, host, node, &hooks, c->log);
    if (err) {
        free(s);
        return err;
    }
    s->opened = 1;
    *self = s;
    return 0;
}

static void null_destroy(void *self)
{
    stream_end(self);
    free(self);
}

static int null_start(void *self)
{
    stream_start(self);
    return 0;
}

static void null_stop(void *self)
{
    stream_stop(self);
}

static void null_timer(void *self, uint32_t id)
{
    stream_timer(self, id);
}

const struct bp_instance_ops null_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = null_create,
    .destroy = null_destroy,
    .reset = stream_reset,
    .start = null_start,
    .stop = null_stop,
    .timer = null_timer,
    .extension = stream_extension,
};
