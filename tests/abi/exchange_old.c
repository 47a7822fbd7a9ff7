/* SPDX-License-Identifier: MIT
 *
 * abi/exchange_old.c - an old host: a loader of its own, compiled with the frozen headers, that
 * follows rules 1 to 3 of backplane/abi.h and shares nothing with the core.
 */
#include "exchange.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void *handles[32];
static unsigned count;

/* The common part of two tables; the rest is zero. */
static void copy(void *to, uint32_t to_size, const void *from)
{
    uint32_t size;

    memcpy(&size, from, sizeof(size));
    memset(to, 0, to_size);
    memcpy(to, from, size < to_size ? size : to_size);
    memcpy(to, &to_size, sizeof(to_size));
}

static int no_start(void *self)
{
    (void)self;
    return 0;
}

static void no_stop(void *self)
{
    (void)self;
}

static const struct bp_model *find(const struct bp_plugin *p, const char *id)
{
    for (const struct bp_model *const *m = p->models; *m; m++)
        if (strcmp((*m)->id, id) == 0)
            return *m;
    return NULL;
}

int exchange_open(const char *path, const char *id, struct part *out, char why[1024])
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct bp_plugin *from = handle ? dlsym(handle, "bp_plugin_v0") : NULL;
    const struct bp_model *model;
    struct bp_plugin p;
    struct bp_model m;

    if (!from || count == sizeof(handles) / sizeof(handles[0])) {
        snprintf(why, 1024, "%s: no plugin", path);
        return -ENOEXEC;
    }
    handles[count++] = handle;
    copy(&p, sizeof(p), from);
    if (p.needs_minor > BP_ABI_MINOR) {
        snprintf(why, 1024, "%s: it needs minor %u", path, p.needs_minor);
        return -ENOTSUP;
    }
    model = find(&p, id);
    if (!model) {
        snprintf(why, 1024, "%s: no model %s", path, id);
        return -ENOENT;
    }
    copy(&m, sizeof(m), model);
    copy(&out->ops, sizeof(out->ops), m.instance);
    if (!out->ops.start)
        out->ops.start = no_start;
    if (!out->ops.stop)
        out->ops.stop = no_stop;
    out->config_size = m.config_size;
    out->prop_count = 0;
    for (const char *at = (const char *)m.props; *(const char *const *)(const void *)at;
         at += m.prop_stride) {
        memset(&out->props[out->prop_count], 0, sizeof(out->props[0]));
        memcpy(&out->props[out->prop_count++], at,
               m.prop_stride < sizeof(out->props[0]) ? m.prop_stride : sizeof(out->props[0]));
    }
    return 0;
}

static void no_event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    (void)self;
    (void)what;
    (void)columns;
    (void)rows;
}

int exchange_table(const char *id, int is_port, void *to, const void *from)
{
    if (strcmp(id, BP_CHAR_ID) != 0)
        return -EINVAL;
    if (is_port) {
        copy(to, sizeof(struct bp_char_port), from);
        if (!((struct bp_char_port *)to)->event)
            ((struct bp_char_port *)to)->event = no_event;
    } else {
        copy(to, sizeof(struct bp_char), from);
    }
    return 0;
}

void exchange_close(void)
{
    while (count)
        dlclose(handles[--count]);
}
