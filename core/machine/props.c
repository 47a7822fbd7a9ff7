/* SPDX-License-Identifier: MIT
 *
 * machine/props.c - a table of keys, filled from a section: defaults, what is required, keys that
 * nobody knows; and a filled struct read back. What a value may be is in props_values.c.
 */
#include "machine/props_values.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct props_text props_text(const struct config_section *section, const struct bp_prop *prop)
{
    const struct config_value *value = config_value(section, prop->name);
    const struct config_value *plugin = config_value(section, "plugin");
    struct props_text from = {.text = prop->initial, .base = "."};

    if (value) {
        from.text = value->text;
        from.file = value->file;
        from.base = value->base;
        from.line = value->line;
        from.given = 1;
    } else if (section) {
        from.file = section->file;
        from.line = section->line;
        from.base = plugin ? plugin->base : ".";
    }
    return from;
}

static int fill_one(const struct props_job *job, const struct bp_prop *prop, char *out)
{
    struct config_value *value = config_value(job->section, prop->name);
    struct props_text from = props_text(job->section, prop);

    if (value)
        value->used = 1;
    if (from.text)
        return props_parse(job, prop, &from, out);
    if (!(prop->flags & BP_PROP_REQUIRED)) {
        if (prop->type == BP_PROP_PCI && !(prop->flags & BP_PROP_LIST))
            memset(out, 0xff, sizeof(uint32_t)); /* any free device */
        return 0;
    }
    report_error(job->report, from.file, from.line, job->name, "[%s] lacks the key %s (%s)",
                 job->name, prop->name, prop->help ? prop->help : "required");
    return -EINVAL;
}

int props_fill(const struct props_job *job, const struct bp_prop *props, void *out, uint32_t size)
{
    int ret = 0;

    for (const struct bp_prop *prop = props; prop && prop->name; prop++) {
        if (!props_fits(prop, size)) {
            report_error(
                job->report, NULL, 0, job->name,
                "[%s] %s: %s declares this key with an impossible type, place or width; the "
                "plugin is broken",
                job->name, prop->name, job->what);
            ret = -EINVAL;
        } else if (fill_one(job, prop, (char *)out + prop->offset)) {
            ret = -EINVAL;
        }
    }
    return ret;
}

/* ---- keys that nobody knows ---- */

static int in_list(const char *word, const char *const *words)
{
    for (; words && *words; words++)
        if (!strcmp(word, *words))
            return 1;
    return 0;
}

static int is_known(const char *key, const struct props_job *job, const struct bp_prop *props)
{
    for (; props && props->name; props++)
        if (!strcmp(key, props->name))
            return 1;
    return in_list(key, job->ignore);
}

/* The keys that a section may have; *count of them. NULL: out of memory. */
static const char **known_keys(const struct props_job *job, const struct bp_prop *props)
{
    size_t count = 0, n = 0;
    const char **keys;

    for (size_t i = 0; job->ignore && job->ignore[i]; i++)
        count++;
    for (size_t i = 0; props && props[i].name; i++)
        count++;
    keys = calloc(count + 1, sizeof(*keys));
    if (!keys)
        return NULL;
    for (size_t i = 0; props && props[i].name; i++)
        keys[n++] = props[i].name;
    for (size_t i = 0; job->ignore && job->ignore[i]; i++)
        keys[n++] = job->ignore[i];
    return keys;
}

static void tell_unknown(const struct props_job *job, const struct config_value *value,
                         const char *const *keys)
{
    const char *near = keys ? nearest_word(value->key, keys) : NULL;
    char all[1024] = "";
    size_t used = 0;

    for (size_t i = 0; keys && keys[i] && used < sizeof(all); i++)
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", keys[i]);
    if (near)
        report_error(job->report, value->file, value->line, job->name,
                     "[%s] %s: %s knows no such key; did you mean %s?", job->name, value->key,
                     job->what, near);
    else
        report_error(job->report, value->file, value->line, job->name,
                     "[%s] %s: %s knows no such key; it knows %s", job->name, value->key, job->what,
                     all);
}

void props_tell_unknown(const struct props_job *job, const struct bp_prop *props)
{
    const char **keys = NULL;

    for (uint32_t i = 0; job->section && i < job->section->count; i++) {
        struct config_value *value = &job->section->values[i];

        if (is_known(value->key, job, props)) {
            value->used = 1;
            continue;
        }
        if (!keys)
            keys = known_keys(job, props);
        tell_unknown(job, value, keys);
    }
    free(keys);
}

/* ---- reading a filled struct back ---- */

uint64_t props_count(const struct bp_prop *prop, const void *config)
{
    struct bp_list list;

    if (!(prop->flags & BP_PROP_LIST))
        return 1;
    memcpy(&list, (const char *)config + prop->offset, sizeof(list));
    return list.items ? list.count : 0;
}

static const void *element_at(const struct bp_prop *prop, const void *config, uint64_t index)
{
    struct bp_list list;

    if (index >= props_count(prop, config))
        return NULL;
    if (!(prop->flags & BP_PROP_LIST))
        return (const char *)config + prop->offset;
    memcpy(&list, (const char *)config + prop->offset, sizeof(list));
    return (const char *)list.items + index * props_element_width(prop);
}

int props_number(const struct bp_prop *prop, const void *config, uint64_t index, uint64_t *out)
{
    const void *at = element_at(prop, config, index);
    uint32_t width = props_element_width(prop);
    uint16_t u16;
    uint32_t u32;

    if (!at ||
        (prop->type != BP_PROP_UINT && prop->type != BP_PROP_SIZE && prop->type != BP_PROP_PCI))
        return 0;
    switch (width) {
    case 1:
        *out = *(const uint8_t *)at;
        return 1;
    case 2:
        memcpy(&u16, at, sizeof(u16));
        *out = u16;
        return 1;
    case 4:
        memcpy(&u32, at, sizeof(u32));
        *out = u32;
        return 1;
    default:
        memcpy(out, at, sizeof(*out));
        return 1;
    }
}

const char *props_string(const struct bp_prop *prop, const void *config, uint64_t index)
{
    const void *at = element_at(prop, config, index);
    const char *text;

    if (!at || (prop->type != BP_PROP_STRING && prop->type != BP_PROP_PATH))
        return NULL;
    memcpy(&text, at, sizeof(text));
    return text;
}
