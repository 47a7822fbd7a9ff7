/* SPDX-License-Identifier: MIT
 *
 * validate/life.c - an instance from its config struct to its end, as backplane/instance.h has it.
 *
 * The config is filled by the machinery of machine files, from defaults, from what the user gave
 * with --set, and for keys that are required and have no default from values made up here. A key
 * that names a section is given a far end of the validator's.
 */
#include "validate/world.h"

#include "validate/validate.h"

#include "machine/config.h"
#include "machine/props.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- config ---------------------------------------------------------------------------------- */

struct filling {
    struct bp_node *node;
    struct error *why;
};

static void keep_first(void *context, const struct bp_message *message)
{
    struct filling *f = context;

    if (f->why && !f->why->text[0])
        error_set(f->why, 0, "%s", message->text);
}

static void *find_peer(void *context, const struct props_job *job, const struct bp_prop *prop,
                       const struct props_text *from, const char *name)
{
    struct filling *f = context;
    struct bp_node *n = f->node;

    (void)job, (void)from, (void)name;
    if (n->peer_count == WORLD_PEERS)
        return NULL;
    n->peers[n->peer_count] = peer_new(n, prop->needs);
    return n->peers[n->peer_count] ? n->peers[n->peer_count++] : NULL;
}

/* What the user gave for this key, or NULL. */
static const char *given(const struct world *w, const struct bp_prop *prop)
{
    const char *value = NULL;
    size_t len = strlen(w->model->id);

    for (uint32_t i = 0; i < w->setting_count; i++) {
        const char *key = w->settings[i].key;

        if (!strncmp(key, w->model->id, len) && key[len] == '.' &&
            !strcmp(key + len + 1, prop->name))
            value = w->settings[i].value;
    }
    return value;
}

/* A value for a key that has none, in `text`; NULL: it stays without. */
static const char *make_up(const struct world *w, const struct bp_prop *prop, char *text,
                           size_t room)
{
    struct bp_node *probe;

    if (prop->type == BP_PROP_REF) {
        /* Also where it is optional: a device does more with something at its other end. */
        probe = prop->needs ? peer_new(NULL, prop->needs) : NULL;
        peer_free(probe);
        return probe || prop->flags & BP_PROP_REQUIRED ? "far-end" : NULL;
    }
    if (prop != w->given && (prop->initial || !(prop->flags & BP_PROP_REQUIRED)))
        return NULL;
    switch (prop->type) {
    case BP_PROP_BOOL:
        return "no";
    case BP_PROP_UINT:
    case BP_PROP_SIZE:
        snprintf(text, room, "%llu", (unsigned long long)prop->min);
        return text;
    case BP_PROP_PATH:
        return prop->flags & BP_PROP_CREATES ? "created" : "file";
    case BP_PROP_ENUM:
        return prop->choices[0];
    case BP_PROP_MAC:
        return "52:54:00:12:34:56";
    case BP_PROP_ADDRESS:
        snprintf(text, room, "unix:%s/socket", w->folder);
        return text;
    case BP_PROP_RANGE:
        return "0-1";
    default:
        return "text";
    }
}

static int fill_config(struct bp_node *n, const char *key, const char *text, struct error *why)
{
    struct world *w = n->world;
    struct filling f = {n, why};
    struct report report = {.tell = keep_first, .context = &f};
    struct config config;
    struct config_section *section;
    struct props_job job = {.name = w->model->id,
                            .what = w->model->id,
                            .arena = n->arena,
                            .report = &report,
                            .find = find_peer,
                            .context = &f};
    int err = 0;

    config_init(&config);
    section = config_add_section(&config, "validated", "the validator", 0, why);
    for (uint32_t i = 0; section && !err && i < w->model->prop_count; i++) {
        const struct bp_prop *prop = &w->model->props[i];
        char made[512];
        const char *value = key && !strcmp(key, prop->name) ? text : given(w, prop);

        if (!value)
            value = make_up(w, prop, made, sizeof(made));
        n->placed |= value && prop->type == BP_PROP_PCI;
        if (value)
            err = config_add_value(&config, section, prop->name, value, strlen(value),
                                   "the validator", w->folder, 0, why);
    }
    job.section = section;
    n->config = plan_arena_alloc(n->arena, w->model->config_size);
    if (!section || !n->config)
        err = -ENOMEM;
    if (!err)
        err = props_fill(&job, w->model->props, n->config, w->model->config_size);
    config_free(&config);
    return err;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct bp_node *node_new(struct world *w, const char *key, const char *text, struct error *why)
{
    struct bp_node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->world = w;
    n->name = "validated";
    n->model = w->model;
    n->domain = n;
    n->ops = w->model->instance;
    tape_random(&n->far, w->seed ^ 0xfa);
    pthread_mutex_init(&n->lock, NULL);
    pthread_mutex_init(&n->tables, NULL);
    memset(n->timers, 0xff, sizeof(n->timers));
    n->arena = plan_arena_new();
    if (why)
        why->text[0] = '\0';
    if (n->arena && !fill_config(n, key, text, why))
        return n;
    node_free(n);
    return NULL;
}

int node_create(struct bp_node *n)
{
    struct world *w = n->world;
    void *self = NULL; /* may be set before create() is over, or fails */
    int err;

    n->failure[0] = '\0';
    doing(w, "create()");
    err = n->ops.create(&world_host, n, n->config, &self);
    n->self = err ? NULL : self;
    if (err > 0)
        world_fail(w, "create() gave %d; expected 0 or a negative errno", err);
    if (err && !n->failure[0])
        world_fail(w, "create() gave %d (%s) and no sentence; it calls host->fail() with one first",
                   err, strerror(-err));
    if (!err && !n->self)
        world_fail(w, "create() gave 0, but no instance in *self");
    if (!err)
        world_pci_created(n);
    return err;
}

void node_reset(struct bp_node *n, uint32_t kind)
{
    doing(n->world, "reset(%s)", kind == BP_RESET_COLD ? "COLD" : "WARM");
    if (!n->restoring)
        world_pci_reset(n);
    backend_reset(n);
    n->ops.reset(n->self, kind);
}

int node_start(struct bp_node *n)
{
    int err;

    doing(n->world, "start()");
    err = n->ops.start(n->self);
    if (err > 0)
        world_fail(n->world, "start() gave %d; expected 0 or a negative errno", err);
    if (err && !n->failure[0])
        world_fail(n->world, "start() gave %d (%s) and no sentence", err, strerror(-err));
    n->running = !err;
    return err;
}

void node_stop(struct bp_node *n)
{
    backend_quiesce(n);
    peers_quiesce(n);
    n->running = false;
    doing(n->world, "stop()");
    n->ops.stop(n->self);
}

void node_destroy(struct bp_node *n)
{
    world_pci_destroy(n);
    doing(n->world, "destroy()");
    n->ops.destroy(n->self);
    n->self = NULL;
    world_pci_free(n);
    /* What the host takes back by itself: watches, timers, regions. */
    for (uint32_t i = 0; i < WORLD_WATCHES; i++)
        n->watches[i].events = 0;
    memset(n->timers, 0xff, sizeof(n->timers));
    for (uint32_t i = 0; i < n->region_count; i++) {
        if (n->regions[i]->ram)
            munmap(n->regions[i]->ram, n->regions[i]->length);
        free(n->regions[i]);
    }
    n->region_count = 0;
    for (uint32_t i = 0; i < WORLD_MAPS; i++)
        if (n->maps[i].at)
            world_fail(n->world, "destroy() leaves a mapping of dma_map() behind");
}

void node_free(struct bp_node *n)
{
    if (!n)
        return;
    world_pci_free(n);
    for (uint32_t i = 0; i < n->region_count; i++) /* of a create() that failed */
        free(n->regions[i]);
    for (uint32_t i = 0; i < n->peer_count; i++)
        peer_free(n->peers[i]);
    pthread_mutex_destroy(&n->lock);
    pthread_mutex_destroy(&n->tables);
    plan_arena_free(n->arena);
    free(n->port);
    free(n->seen);
    free(n);
}

/* A created instance, or NULL and *why. */
static struct bp_node *created(struct world *w, struct tape *tape, struct error *why)
{
    struct bp_node *n = node_new(w, NULL, NULL, why);

    if (!n)
        return NULL;
    n->tape = tape;
    if (!node_create(n))
        return n;
    error_set(why, 0, "%s", n->failure);
    node_free(n);
    return NULL;
}

struct bp_node *node_running(struct world *w, struct tape *tape)
{
    struct error why = {""}, other;
    struct bp_node *n = created(w, tape, &why);

    /* It may need one of several keys, each of which is optional. */
    for (uint32_t i = 0; !n && i < w->model->prop_count; i++) {
        w->given = &w->model->props[i];
        n = w->given->initial ? NULL : created(w, tape, &other);
    }
    if (!n)
        world_skip(w,
                   "it cannot be created with the values that the validator makes up: %s; give "
                   "others with --set %s.KEY=VALUE",
                   why.text, w->model->id);
    backend_attach(n);
    node_reset(n, BP_RESET_COLD);
    if (node_start(n))
        world_skip(w, "it cannot be started here: %s", n->failure);
    world_pci_start(n);
    return n;
}

void node_end(struct bp_node *n)
{
    node_stop(n);
    node_destroy(n);
    node_free(n);
}
