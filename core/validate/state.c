/* SPDX-License-Identifier: MIT
 *
 * validate/state.c - the state of an instance, taken and put back as a snapshot would.
 *
 * Fields by the model's table, the rest as save() names it (backplane/state.h).
 */
#include "validate/world.h"

#include "plugin/normalise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct bp_writer table;
    struct bp_node *node;
    struct state *state;
};

struct reader {
    struct bp_reader table;
    const struct state *state;
};

static uint8_t *add(struct state *s, const char *name, uint64_t len, bool field)
{
    struct record *r;

    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? 2 * s->capacity : 32;
        struct record *more = realloc(s->records, capacity * sizeof(*more));

        if (!more)
            return NULL;
        s->records = more;
        s->capacity = capacity;
    }
    r = &s->records[s->count];
    *r = (struct record){
        .name = strdup(name), .data = calloc(1, len + 1), .len = len, .field = field};
    if (!r->name || !r->data) {
        free(r->name);
        free(r->data);
        return NULL;
    }
    s->count++;
    return r->data;
}

static int put(struct bp_writer *writer, const char *name, const void *data, uint64_t len)
{
    struct writer *w = (struct writer *)writer;
    uint8_t *to;

    if (!name || !*name)
        world_fail(w->node->world, "save() puts a record without a name");
    for (uint32_t i = 0; i < w->state->count; i++)
        if (!strcmp(w->state->records[i].name, name))
            world_fail(w->node->world, "save() puts '%s', a name that is there already", name);
    to = add(w->state, name, len, false);
    if (!to)
        return -ENOMEM;
    if (len)
        memcpy(to, data, len);
    return 0;
}

static int64_t get(struct bp_reader *reader, const char *name, void *data, uint64_t cap)
{
    const struct state *s = ((struct reader *)reader)->state;

    for (uint32_t i = 0; i < s->count; i++) {
        const struct record *r = &s->records[i];

        if (r->field || strcmp(r->name, name) != 0)
            continue;
        if (data)
            memcpy(data, r->data, r->len < cap ? r->len : cap);
        return (int64_t)r->len;
    }
    return -ENOENT;
}

bool state_has(const struct model *m)
{
    /* A model without fields whose save() is the host's stub has none. */
    return m->instance.fields ||
           m->instance.save != ((const struct bp_instance_ops *)table_instance.stubs)->save;
}

void state_take(struct bp_node *n, struct state *s)
{
    struct writer w = {.table = {.size = sizeof(w.table), .put = put}, .node = n, .state = s};
    int err;

    *s = (struct state){0};
    for (const struct bp_field *f = n->model->instance.fields; f && f->name; f++) {
        uint8_t *to = add(s, f->name, (uint64_t)f->width * f->count, true);

        for (uint32_t i = 0; to && i < f->count; i++)
            memcpy(to + (uint64_t)i * f->width,
                   (const uint8_t *)n->self + f->offset + (uint64_t)i * f->stride, f->width);
    }
    doing(n->world, "save()");
    err = n->ops.save(n->self, &w.table);
    if (err)
        world_fail(n->world, "save() gave %d; expected 0", err);
}

int state_put(struct bp_node *n, const struct state *s)
{
    struct reader r = {.table = {.size = sizeof(r.table), .get = get}, .state = s};
    int err;

    n->restoring = true;
    node_reset(n, BP_RESET_COLD);
    n->restoring = false;
    for (const struct bp_field *f = n->model->instance.fields; f && f->name; f++) {
        const struct record *from = NULL;

        for (uint32_t i = 0; !from && i < s->count; i++)
            if (s->records[i].field && !strcmp(s->records[i].name, f->name))
                from = &s->records[i];
        for (uint32_t i = 0; from && i < f->count; i++)
            memcpy((uint8_t *)n->self + f->offset + (uint64_t)i * f->stride,
                   from->data + (uint64_t)i * f->width, f->width);
    }
    doing(n->world, "load()");
    err = n->ops.load(n->self, &r.table);
    if (err > 0)
        world_fail(n->world, "load() gave %d; expected 0 or a negative errno", err);
    if (err)
        return err;
    doing(n->world, "after_load()");
    err = n->ops.after_load(n->self);
    if (err > 0)
        world_fail(n->world, "after_load() gave %d; expected 0 or a negative errno", err);
    return err;
}

/* "0x2a" for a number, some bytes of anything else, from where they differ. */
static void show(const struct record *r, uint64_t at, char *text, size_t room)
{
    size_t used = 0;

    if (r->field && r->len <= 8) {
        uint64_t value = 0;

        memcpy(&value, r->data, r->len);
        snprintf(text, room, "0x%llx", (unsigned long long)value);
        return;
    }
    *text = '\0';
    for (uint64_t i = at; i < r->len && i < at + 8 && used + 3 < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%02x", r->data[i]);
}

const char *state_difference(const struct state *a, const struct state *b, char *text, size_t room)
{
    char one[64], other[64];

    for (uint32_t i = 0; i < a->count; i++) {
        const struct record *x = &a->records[i], *y = NULL;
        uint64_t at = 0;

        for (uint32_t j = 0; !y && j < b->count; j++)
            if (!strcmp(b->records[j].name, x->name))
                y = &b->records[j];
        if (!y) {
            snprintf(text, room, "%s is there in the first only", x->name);
            return text;
        }
        if (x->len != y->len) {
            snprintf(text, room, "%s has %llu bytes, then %llu", x->name,
                     (unsigned long long)x->len, (unsigned long long)y->len);
            return text;
        }
        while (at < x->len && x->data[at] == y->data[at])
            at++;
        if (at == x->len)
            continue;
        show(x, at, one, sizeof(one));
        show(y, at, other, sizeof(other));
        if (x->field && x->len <= 8)
            snprintf(text, room, "%s is %s, then %s", x->name, one, other);
        else
            snprintf(text, room, "%s differs from byte %llu on: %s, then %s", x->name,
                     (unsigned long long)at, one, other);
        return text;
    }
    if (a->count != b->count) {
        snprintf(text, room, "%u records, then %u", a->count, b->count);
        return text;
    }
    return NULL;
}

void state_free(struct state *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        free(s->records[i].name);
        free(s->records[i].data);
    }
    free(s->records);
    *s = (struct state){0};
}
