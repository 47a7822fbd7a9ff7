/* SPDX-License-Identifier: MIT
 *
 * plugin/descriptor.c - a plugin's descriptor, read once, checked, and copied deep.
 *
 * backplane/plugin.h gives the rules, abi.h those of sizes. What is left behind in the plugin is
 * only its code, and what instances hand over later (regions, interfaces). Pointers that lead
 * nowhere cannot be told from good ones; strings and tables are read up to a bound, so that a
 * missing end is found.
 */
#include "plugin/descriptor.h"
#include "plugin/copy.h"
#include "plugin/normalise.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TABLE_MAX 4096u
#define MODEL_FLAGS                                                                                \
    (BP_MODEL_SHARED | BP_MODEL_ONCE | BP_MODEL_SHARES_RAM | BP_MODEL_IRQCHIP | BP_MODEL_THREAD |  \
     BP_MODEL_JOINS)
#define PLUGIN_MINIMUM (uint32_t)(offsetof(struct bp_plugin, models) + sizeof(void *))
#define MODEL_MINIMUM (uint32_t)(offsetof(struct bp_model, cpu) + sizeof(void *))

int copy_fail(const struct copy *c, int err, const char *format, ...)
{
    char why[768], where[2 * DESCRIPTOR_ID_MAX + 64] = "";
    int at = 0;
    va_list args;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() is just above */
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    if (c->model)
        at = snprintf(where, sizeof(where), "model '%.64s': ", c->model);
    if (c->table && c->name)
        snprintf(where + at, sizeof(where) - (size_t)at, "%s '%.64s': ", c->table, c->name);
    else if (c->table)
        snprintf(where + at, sizeof(where) - (size_t)at, "a %s: ", c->table);
    return error_set(c->e, err, "%s: %s%s", c->path, where, why);
}

/* Length of the well-formed UTF-8 character at `s` (RFC 3629, section 4), 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

/* UTF-8 without control characters, C1 included: a terminal is shown it. */
static bool is_line(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        size_t n = utf8_length(s);

        if (n == 0 || s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0))
            return false;
        s += n;
    }
    return true;
}

int copy_text(const struct copy *c, const char *what, const char *from, bool optional,
              const char **to)
{
    size_t len;
    char *copy;

    *to = NULL;
    if (!from)
        return optional ? 0 : copy_fail(c, -EINVAL, "its %s is NULL; expected a string", what);
    len = strnlen(from, DESCRIPTOR_TEXT_MAX + 1);
    if (len > DESCRIPTOR_TEXT_MAX)
        return copy_fail(c, -EINVAL, "its %s is longer than %u bytes; shorten it", what,
                         DESCRIPTOR_TEXT_MAX);
    copy = arena_take(c->arena, len + 1);
    if (!copy)
        return copy_fail(c, -ENOMEM, "out of memory");
    memcpy(copy, from, len);
    if (!is_line(copy))
        return copy_fail(c, -EINVAL, "its %s is no line of UTF-8 without control characters", what);
    *to = copy;
    return 0;
}

const char *descriptor_shown(const char *text, char to[DESCRIPTOR_ID_MAX + 1])
{
    size_t n = 0;

    for (; text[n] && n < DESCRIPTOR_ID_MAX; n++)
        to[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
    to[n] = '\0';
    return to;
}

int copy_id(const struct copy *c, const char *what, const char *from, const char **to)
{
    char quoted[DESCRIPTOR_ID_MAX + 1];
    size_t len;

    if (!from)
        return copy_fail(c, -EINVAL, "its %s is NULL; expected a string", what);
    len = strnlen(from, DESCRIPTOR_ID_MAX + 1);
    if (len == 0 || len > DESCRIPTOR_ID_MAX ||
        strspn(from, "abcdefghijklmnopqrstuvwxyz0123456789-") < len)
        return copy_fail(c, -EINVAL,
                         "its %s '%s' is malformed; expected 1 to %u of a-z, 0-9 and '-'", what,
                         descriptor_shown(from, quoted), DESCRIPTOR_ID_MAX);
    return copy_text(c, what, from, false, to);
}

int copy_check_stride(const struct copy *c, const char *what, uint32_t stride, uint32_t minimum)
{
    if (stride < minimum || stride > TABLE_MAX || stride % sizeof(void *))
        return copy_fail(
            c, -EINVAL,
            "the stride of its %s is %u bytes; expected a multiple of 8 from %u to %u: "
            "set it to sizeof an entry",
            what, stride, minimum, TABLE_MAX);
    return 0;
}

bool descriptor_is_name(const char *name)
{
    size_t len = strnlen(name, DESCRIPTOR_ID_MAX + 1);

    return len > 0 && len <= DESCRIPTOR_ID_MAX && !strchr("._+-", name[0]) && !strstr(name, "..") &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") ==
               len;
}

/* Copies the common part of a table that starts with its size. `to` is zeroed. */
static int copy_table(const struct copy *c, const char *name, void *to, uint32_t to_size,
                      const void *from, uint32_t minimum)
{
    uint32_t size;

    if ((uintptr_t)from % sizeof(void *))
        return copy_fail(c, -EINVAL, "table %s is not aligned to %zu bytes; do not pack it", name,
                         sizeof(void *));
    memcpy(&size, from, sizeof(size));
    if (size < minimum)
        return copy_fail(c, -EINVAL,
                         "table %s is truncated: its size says %u bytes, and no version has less "
                         "than %u; set size to sizeof its struct",
                         name, size, minimum);
    if (size > TABLE_MAX || size % sizeof(void *))
        return copy_fail(c, -EINVAL,
                         "table %s has an absurd size of %u bytes; set size to sizeof its struct",
                         name, size);
    memcpy(to, from, size < to_size ? size : to_size);
    return 0;
}

/* The table of what the model's kind does. */
static int copy_ops(struct copy *c, const struct bp_model *from, struct model *to)
{
    bool cpu = from->kind == BP_KIND_CPU;
    struct error why;
    int err;

    if (cpu ? !from->cpu : !from->instance)
        return copy_fail(c, -EINVAL, "it is of kind %s, but its member `%s` is NULL; set it",
                         plugin_kind_name(from->kind), cpu ? "cpu" : "instance");
    if (cpu)
        err = normalise(&to->cpu, &table_cpu, from->cpu, &why);
    else
        err = normalise(&to->instance, &table_instance, from->instance, &why);
    if (err)
        return copy_fail(c, err, "%s", why.text);
    return cpu ? 0 : copy_fields(c, to);
}

static int copy_model(struct copy *c, const struct bp_model *from, const struct plugin *plugin,
                      struct model *to)
{
    struct bp_model model = {0};
    int err = copy_table(c, "bp_model", &model, sizeof(model), from, MODEL_MINIMUM);

    if (err)
        return err;
    err = copy_id(c, "model id", model.id, &to->id);
    if (err)
        return err;
    c->model = to->id;
    for (const struct model *other = plugin->models; other < to; other++)
        if (strcmp(other->id, to->id) == 0)
            return copy_fail(c, -EINVAL, "this id is there twice; rename one");
    err = copy_text(c, "summary", model.summary, false, &to->summary);
    if (err)
        return err;
    if (!plugin_kind_name(model.kind))
        return copy_fail(c, -EINVAL,
                         "its kind %u is unknown; this host knows %u to %u: use BP_KIND_*, or a "
                         "newer Backplane",
                         model.kind, BP_KIND_CPU, BP_KIND_SERVICE);
    if ((model.flags & ~MODEL_FLAGS) && !c->newer)
        return copy_fail(c, -EINVAL,
                         "its flags 0x%x are unknown; this host knows 0x%x: use BP_MODEL_*",
                         model.flags & ~MODEL_FLAGS, MODEL_FLAGS);
    if (model.flags & BP_MODEL_THREAD && model.kind != BP_KIND_DEVICE)
        return copy_fail(c, -EINVAL,
                         "it has the flag THREAD, but is of kind %s; backends have the thread of "
                         "the device that names them",
                         plugin_kind_name(model.kind));
    if (model.config_size > DESCRIPTOR_CONFIG_MAX)
        return copy_fail(c, -EINVAL,
                         "its config_size is %u bytes; at most %u are given: set it to sizeof the "
                         "config struct",
                         model.config_size, DESCRIPTOR_CONFIG_MAX);
    to->plugin = plugin;
    to->kind = model.kind;
    to->flags = model.flags & MODEL_FLAGS;
    to->config_size = model.config_size;
    err = copy_props(c, model.props, model.prop_stride, to);
    if (!err)
        err = copy_regions(c, model.regions, to);
    return err ? err : copy_ops(c, &model, to);
}

static int copy_models(struct copy *c, const struct bp_model *const *from, struct plugin *out)
{
    struct model *models;
    uint32_t n = 0;

    if (!from || !from[0])
        return copy_fail(c, -EINVAL, "it has no models; list at least one, then NULL");
    while (from[n])
        if (++n > DESCRIPTOR_MODELS_MAX)
            return copy_fail(c, -EINVAL, "it has more than %u models; end the list with NULL",
                             DESCRIPTOR_MODELS_MAX);
    models = arena_take(c->arena, n * sizeof(*models));
    if (!models)
        return copy_fail(c, -ENOMEM, "out of memory");
    out->models = models;
    out->model_count = n;
    for (uint32_t i = 0; i < n; i++) {
        int err = copy_model(c, from[i], out, &models[i]);

        if (err)
            return err;
        c->model = NULL;
    }
    return 0;
}

int descriptor_copy(const struct bp_plugin *from, const char *path, struct arena *arena,
                    struct plugin *out, struct error *e)
{
    struct copy c = {.path = path, .arena = arena, .e = e};
    struct bp_plugin plugin = {0};
    char quoted[DESCRIPTOR_ID_MAX + 1];
    int err = copy_table(&c, "bp_plugin", &plugin, sizeof(plugin), from, PLUGIN_MINIMUM);

    if (err)
        return err;
    if (plugin.needs_minor > BP_ABI_MINOR)
        return copy_fail(&c, -ENOTSUP,
                         "it needs ABI %u.%u or newer, this host has %u.%u; update Backplane, or "
                         "use an older version of the plugin",
                         BP_ABI_MAJOR, plugin.needs_minor, BP_ABI_MAJOR, BP_ABI_MINOR);
    c.newer = plugin.abi_minor > BP_ABI_MINOR;
    out->abi_minor = plugin.abi_minor;
    if (plugin.name && !descriptor_is_name(plugin.name))
        return copy_fail(&c, -EINVAL,
                         "its name '%s' is malformed; expected 1 to %u letters, digits, '.', '_', "
                         "'+' and '-', a letter or digit first",
                         descriptor_shown(plugin.name, quoted), DESCRIPTOR_ID_MAX);
    err = copy_text(&c, "name", plugin.name, false, &out->name);
    if (!err)
        err = copy_text(&c, "version", plugin.version, false, &out->version);
    return err ? err : copy_models(&c, plugin.models, out);
}
