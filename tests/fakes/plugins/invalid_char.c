/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/invalid_char.c - a char backend that gives back what it is given, and what can be
 * wrong with one, each defect by a macro of its own.
 */
#include <backplane/plugin.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 256u

struct echo {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_char_port *port;
    void *port_self;
    uint8_t data[ROOM];
    uint64_t len;
    uint8_t held, owes;
    uint8_t reserved[6];
};

/* Hands over what waits. On the loop. */
static void give(struct echo *e)
{
    uint64_t taken;

    if (!e->port || !e->len)
        return;
#ifndef IGNORES_HELD
    if (e->held)
        return;
#endif
    taken = e->port->receive(e->port_self, e->data, e->len);
    e->held = taken < e->len;
    memmove(e->data, e->data + taken, e->len - taken);
    e->len -= taken;
    if (e->owes && e->len < ROOM) {
        e->owes = 0;
        e->port->writable(e->port_self);
    }
}

static int attach(void *self, const struct bp_char_port *port, void *port_self)
{
    struct echo *e = self;

#ifndef ATTACHES_TWICE
    if (e->port)
        return -EBUSY;
#endif
    e->port = port;
    e->port_self = port_self;
    return 0;
}

static uint64_t echo_write(void *self, const uint8_t *data, uint64_t len)
{
    struct echo *e = self;
    uint64_t n = len < ROOM - e->len ? len : ROOM - e->len;

    memcpy(e->data + e->len, data, n);
    e->len += n;
    e->owes |= n < len;
#ifdef CALLS_BACK
    give(e);
#endif
#ifdef TAKES_TOO_MUCH
    return len + 1;
#endif
    e->host->timer_set(e->node, 0, 0);
    return n;
}

static void resume(void *self)
{
    struct echo *e = self;

    e->held = 0;
    e->host->timer_set(e->node, 0, 0);
}

static const struct bp_char echo_char = {
    .size = sizeof(echo_char), .attach = attach, .write = echo_write, .resume = resume};

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    struct echo *e = calloc(1, sizeof(*e));

    (void)config;
    if (!e)
        return host->fail(node, -ENOMEM, "out of memory");
    e->host = host;
    e->node = node;
    *self = e;
    return 0;
}

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    (void)self; /* what is under way on the line goes on */
    (void)kind;
}

static void timer(void *self, uint32_t id)
{
    (void)id;
    give(self);
}

static const void *extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_CHAR_ID) == 0 ? &echo_char : NULL;
}

static const struct bp_instance_ops ops = {
    .size = sizeof(ops),
    .state_version = 1,
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .timer = timer,
    .extension = extension,
};

static const struct bp_prop no_props[] = {{.name = NULL}};

static const struct bp_model model = {
    .size = sizeof(model),
    .kind = BP_KIND_CHAR,
    .id = "echo",
    .summary = "a char backend with a defect",
    .props = no_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = 0,
    .instance = &ops,
};

static const struct bp_model *const models[] = {&model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = "invalid-char",
    .version = "1.0",
    .models = models,
};
