/* SPDX-License-Identifier: MIT
 *
 * fakes/normal.c - what the loader of a real host does with tables, for the fake one: it checks
 * them and fills in optional members. Strict where a host may be lenient: a test is the place to
 * hear of it.
 */
#include "fakes/normal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS_AT                                                                                   \
    8u /* every interface table: uint32_t size, uint32_t reserved, function pointers               \
        */

typedef void (*function)(void);

_Noreturn void fake_fail(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() is right above */
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fail_msg("%s", text);
    abort(); /* fail_msg() left by longjmp() */
}

static void stub_destroy(void *self)
{
    (void)self;
}

static void stub_reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

static int stub_zero(void *self)
{
    (void)self;
    return 0;
}

static int stub_save(void *self, struct bp_writer *w)
{
    (void)self;
    (void)w;
    return 0;
}

static int stub_load(void *self, struct bp_reader *r)
{
    (void)self;
    (void)r;
    return 0;
}

static const void *stub_extension(void *self, const char *id)
{
    (void)self;
    (void)id;
    return NULL;
}

static void stub_event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    (void)self;
    (void)what;
    (void)columns;
    (void)rows;
}

static void stub_set(void *self, uint32_t on)
{
    (void)self;
    (void)on;
}

static uint64_t stub_inject(void *self, const uint8_t *data, uint64_t len)
{
    (void)self;
    (void)data;
    (void)len;
    return 0;
}

static uint32_t stub_none(void *self)
{
    (void)self;
    return 0;
}

static int stub_set_offloads(void *self, uint32_t bits)
{
    (void)self;
    return bits ? -22 : 0;
}

static int stub_set_queues(void *self, uint32_t count)
{
    (void)self;
    return count == 1 ? 0 : -22;
}

static void stub_resized(void *self, uint64_t length)
{
    (void)self;
    (void)length;
}

static void stub_bracket(void *self)
{
    (void)self;
}

static const struct bp_char char_stubs = {
    .size = sizeof(struct bp_char), .set_break = stub_set, .inject = stub_inject};
static const struct bp_char_port char_port_stubs = {.size = sizeof(struct bp_char_port),
                                                    .event = stub_event};
static void *stub_port(void *self)
{
    return self;
}

static const struct bp_net net_stubs = {.size = sizeof(struct bp_net),
                                        .port = stub_port,
                                        .offloads = stub_none,
                                        .set_offloads = stub_set_offloads,
                                        .set_queues = stub_set_queues};
static const struct bp_net_port net_port_stubs = {.size = sizeof(struct bp_net_port),
                                                  .link = stub_set};
static const struct bp_block block_stubs = {
    .size = sizeof(struct bp_block), .begin = stub_bracket, .end = stub_bracket};
static const struct bp_block_port block_port_stubs = {.size = sizeof(struct bp_block_port),
                                                      .resized = stub_resized};

static const struct two_way {
    const char *id;
    const void *stubs[2]; /* the backend's table, the port's */
} two_way[] = {
    {BP_CHAR_ID, {&char_stubs, &char_port_stubs}},
    {BP_NET_ID, {&net_stubs, &net_port_stubs}},
    {BP_BLOCK_ID, {&block_stubs, &block_port_stubs}},
};

/* Normalised copies stay reachable, so that leak checkers see no leak. */
struct copy {
    struct copy *next;
    void *table;
};
static struct copy *copies;

static const struct two_way *find(const char *id)
{
    for (size_t i = 0; i < sizeof(two_way) / sizeof(two_way[0]); i++)
        if (!strcmp(two_way[i].id, id))
            return &two_way[i];
    return NULL;
}

int normal_is_two_way(const char *id)
{
    return find(id) != NULL;
}

const void *normal_table(const char *id, int is_port, const void *table)
{
    const struct two_way *known = find(id);
    const uint8_t *stubs;
    struct copy *copy;
    uint32_t size, has;

    if (!known || !table)
        return table;
    stubs = known->stubs[!!is_port];
    memcpy(&size, stubs, sizeof(size));
    memcpy(&has, table, sizeof(has));
    if (has < SLOTS_AT || has > size)
        fake_fail("a table of %s has size %u, not 8..%u", id, has, size);
    copy = malloc(sizeof(*copy));
    assert_non_null(copy);
    copy->table = calloc(1, size);
    assert_non_null(copy->table);
    copy->next = copies;
    copies = copy;
    memcpy(copy->table, table, has);
    memcpy(copy->table, &size, sizeof(size));
    for (uint32_t at = SLOTS_AT; at + sizeof(function) <= size; at += sizeof(function)) {
        function f;

        memcpy(&f, (uint8_t *)copy->table + at, sizeof(function));
        if (f)
            continue;
        memcpy(&f, stubs + at, sizeof(function));
        if (!f)
            fake_fail("%s: required function number %zu is missing", id,
                      (at - SLOTS_AT) / sizeof(function));
        memcpy((uint8_t *)copy->table + at, &f, sizeof(function));
    }
    return copy->table;
}

struct bp_instance_ops normal_instance(const struct bp_instance_ops *from)
{
    struct bp_instance_ops ops = *from;

    assert_non_null(ops.create);
    assert_non_null(ops.destroy);
    if (!ops.destroy)
        ops.destroy = stub_destroy;
    if (!ops.reset)
        ops.reset = stub_reset;
    if (!ops.start)
        ops.start = stub_zero;
    if (!ops.stop)
        ops.stop = stub_destroy;
    /* ops.timer stays NULL: arming a timer without it is an error that the fake reports. */
    if (!ops.save)
        ops.save = stub_save;
    if (!ops.load)
        ops.load = stub_load;
    if (!ops.after_load)
        ops.after_load = stub_zero;
    if (!ops.extension)
        ops.extension = stub_extension;
    return ops;
}

static int is_key(const char *s)
{
    return s && *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static void check_fields(const struct bp_model *m)
{
    const struct bp_field *fields = m->instance->fields;

    if (!fields)
        return;
    if (m->instance->field_stride != sizeof(struct bp_field))
        fake_fail("model %s: field_stride is not sizeof(struct bp_field)", m->id);
    if (m->instance->state_version < 1)
        fake_fail("model %s: state_version begins at 1", m->id);
    for (const struct bp_field *f = fields; f->name; f++) {
        if (f->width != 1 && f->width != 2 && f->width != 4 && f->width != 8)
            fake_fail("model %s: field %s is %u bytes wide, not 1, 2, 4 or 8", m->id, f->name,
                      f->width);
        if (!f->count || f->stride < f->width)
            fake_fail("model %s: field %s has a bad count or stride", m->id, f->name);
        if (f->since < 1 || f->since > m->instance->state_version)
            fake_fail("model %s: field %s is of a state version that is not", m->id, f->name);
        for (const struct bp_field *g = fields; g < f; g++)
            if (!strcmp(f->name, g->name))
                fake_fail("model %s: two fields are named %s", m->id, f->name);
    }
}

static void check_prop(const struct bp_model *m, const struct bp_prop *p)
{
    static const uint32_t widths[] = {[BP_PROP_BOOL] = 1,
                                      [BP_PROP_SIZE] = 8,
                                      [BP_PROP_STRING] = sizeof(char *),
                                      [BP_PROP_PATH] = sizeof(char *),
                                      [BP_PROP_ENUM] = 4,
                                      [BP_PROP_MAC] = 6,
                                      [BP_PROP_REF] = sizeof(void *),
                                      [BP_PROP_ADDRESS] = sizeof(void *),
                                      [BP_PROP_RANGE] = sizeof(struct bp_range),
                                      [BP_PROP_PCI] = sizeof(uint32_t)};
    uint32_t width = p->width;
    int good;

    if (!is_key(p->name) || !p->help || !*p->help)
        fake_fail("model %s: key %s has a bad name or no help", m->id, p->name);
    if (p->type < BP_PROP_BOOL || p->type > BP_PROP_PCI)
        fake_fail("model %s: key %s has no type", m->id, p->name);
    if (p->flags & BP_PROP_LIST)
        good = width == sizeof(struct bp_list);
    else if (p->type == BP_PROP_UINT)
        good = width == 1 || width == 2 || width == 4 || width == 8;
    else
        good = width == widths[p->type];
    if (!good)
        fake_fail("model %s: key %s has width %u, wrong for its type", m->id, p->name, p->width);
    if (p->offset + p->width > m->config_size)
        fake_fail("model %s: key %s lies outside the config struct", m->id, p->name);
    if ((p->type == BP_PROP_ENUM) != (p->choices != NULL))
        fake_fail("model %s: key %s: an ENUM, and nothing else, has choices", m->id, p->name);
    for (const struct bp_prop *q = m->props; q < p; q++) {
        if (!strcmp(p->name, q->name))
            fake_fail("model %s: two keys are named %s", m->id, p->name);
        if (p->offset < q->offset + q->width && q->offset < p->offset + p->width)
            fake_fail("model %s: keys %s and %s overlap", m->id, p->name, q->name);
    }
}

static void check_model(const struct bp_model *m)
{
    if (m->size != sizeof(*m) || !is_key(m->id) || !m->summary)
        fake_fail("model %s: bad size, id or summary", m->id);
    if (m->props && m->prop_stride != sizeof(struct bp_prop))
        fake_fail("model %s: prop_stride is not sizeof(struct bp_prop)", m->id);
    for (const struct bp_prop *p = m->props; p && p->name; p++)
        check_prop(m, p);
    if (m->kind == BP_KIND_CPU)
        return;
    if (m->kind < BP_KIND_DEVICE || m->kind > BP_KIND_SERVICE || !m->instance)
        fake_fail("model %s: bad kind, or no instance table", m->id);
    if (m->instance->size != sizeof(*m->instance))
        fake_fail("model %s: the instance table's size is %u", m->id, m->instance->size);
    check_fields(m);
}

void check_plugin(const struct bp_plugin *plugin, const char *path)
{
    if (plugin->size != sizeof(*plugin) || plugin->needs_minor > plugin->abi_minor ||
        plugin->abi_minor != BP_ABI_MINOR || !is_key(plugin->name) || !plugin->version)
        fake_fail("%s: bad size, ABI revision, name or version", path);
    if (!plugin->models || !plugin->models[0])
        fake_fail("%s: no model", path);
    for (const struct bp_model *const *m = plugin->models; *m; m++) {
        check_model(*m);
        for (const struct bp_model *const *n = plugin->models; n < m; n++)
            if (!strcmp((*m)->id, (*n)->id))
                fake_fail("%s: two models are named %s", path, (*m)->id);
    }
}
