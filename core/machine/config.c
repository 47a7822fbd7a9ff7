/* SPDX-License-Identifier: MIT
 *
 * machine/config.c - sections, keys and values in the order written, and where each came from.
 *
 * Leaves out all meaning: what a key is for is the plan's affair. Names are looked up by walking;
 * the limits of config.h keep that cheap for the largest file that is accepted.
 */
#include "machine/config.h"

#include "base/nearest.h"

#include <backplane/host.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_error(struct report *report, const char *file, uint32_t line, const char *section,
                  const char *format, ...)
{
    char text[4096];
    struct bp_message message = {
        .size = sizeof(message),
        .level = BP_LOG_ERROR,
        .file = file,
        .line = line,
        .section = section,
        .text = text,
    };
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    report->errors++;
    if (report->tell)
        report->tell(report->context, &message);
}

struct quoted quoted_bytes(const char *text, uint64_t length)
{
    struct quoted q;
    size_t room = 80, len = length < room ? (size_t)length : room;

    if (len < length)
        while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    for (size_t i = 0; i < len; i++)
        q.text[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    snprintf(q.text + len, sizeof(q.text) - len, "%s", len < length ? "..." : "");
    return q;
}

struct quoted quoted(const char *text)
{
    return quoted_bytes(text, strlen(text));
}

void config_init(struct config *config)
{
    memset(config, 0, sizeof(*config));
}

static void section_free(struct config_section *section)
{
    for (uint32_t i = 0; i < section->count; i++) {
        free(section->values[i].key);
        free(section->values[i].text);
    }
    free(section->values);
    free(section->name);
}

void config_free(struct config *config)
{
    for (uint32_t i = 0; i < config->count; i++)
        section_free(&config->sections[i]);
    for (uint32_t i = 0; i < config->string_count; i++)
        free(config->strings[i]);
    free(config->sections);
    free(config->strings);
    config_init(config);
}

struct config_section *config_section(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->count; i++)
        if (!strcmp(config->sections[i].name, name))
            return &config->sections[i];
    return NULL;
}

struct config_value *config_value(const struct config_section *section, const char *key)
{
    for (uint32_t i = 0; section && i < section->count; i++)
        if (!strcmp(section->values[i].key, key))
            return &section->values[i];
    return NULL;
}

/* The config's own copy of a file's or folder's name: few different ones, each kept once. */
static const char *intern(struct config *config, const char *text)
{
    char **strings, *copy;

    for (uint32_t i = config->string_count; i-- > 0;)
        if (!strcmp(config->strings[i], text))
            return config->strings[i];
    strings = realloc(config->strings, (config->string_count + 1) * sizeof(*strings));
    if (!strings)
        return NULL;
    config->strings = strings;
    copy = strdup(text);
    if (copy)
        strings[config->string_count++] = copy;
    return copy;
}

int config_is_key(const char *key)
{
    size_t len = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len && len <= CONFIG_NAME_MAX && !key[len];
}

int config_is_section(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-_.");

    return len && len <= CONFIG_NAME_MAX && !name[len];
}

static int out_of_memory(struct error *e)
{
    return error_set(e, -ENOMEM, "out of memory");
}

struct config_section *config_add_section(struct config *config, const char *name, const char *file,
                                          uint32_t line, struct error *e)
{
    struct config_section section = {.line = line};

    if (!config_is_section(name)) {
        error_set(e, -EINVAL,
                  "\"%s\" is no name for a section: 1 to %u letters, digits and - _ . are",
                  quoted(name).text, CONFIG_NAME_MAX);
        return NULL;
    }
    if (config->count == CONFIG_SECTIONS_MAX) {
        error_set(e, -ENOSPC, "[%s] is one section too many: a machine has at most %u", name,
                  CONFIG_SECTIONS_MAX);
        return NULL;
    }
    if (config->count == config->capacity) {
        uint32_t capacity = config->capacity ? config->capacity * 2 : 16;
        struct config_section *grown = realloc(config->sections, capacity * sizeof(*grown));

        if (!grown) {
            out_of_memory(e);
            return NULL;
        }
        config->sections = grown;
        config->capacity = capacity;
    }
    section.file = intern(config, file);
    section.name = strdup(name);
    if (!section.file || !section.name) {
        free(section.name);
        out_of_memory(e);
        return NULL;
    }
    config->sections[config->count] = section;
    return &config->sections[config->count++];
}

/* Fills everything of `value` but its key. */
static int value_fill(struct config *config, struct config_value *value, const char *text,
                      uint64_t length, const char *file, const char *base, uint32_t line,
                      struct error *e)
{
    char *copy = strndup(text, length);

    value->file = intern(config, file);
    value->base = intern(config, base);
    if (!copy || !value->file || !value->base) {
        free(copy);
        return out_of_memory(e);
    }
    free(value->text);
    value->text = copy;
    value->line = line;
    value->used = 0;
    return 0;
}

int config_add_value(struct config *config, struct config_section *section, const char *key,
                     const char *text, uint64_t length, const char *file, const char *base,
                     uint32_t line, struct error *e)
{
    struct config_value value = {0}, *values;
    int ret;

    if (!config_is_key(key))
        return error_set(e, -EINVAL, "\"%s\" is no key: 1 to %u of a-z, 0-9 and - are",
                         quoted(key).text, CONFIG_NAME_MAX);
    if (section->count == CONFIG_KEYS_MAX)
        return error_set(e, -ENOSPC, "[%s] %s is one key too many: a section has at most %u",
                         section->name, key, CONFIG_KEYS_MAX);
    /* Grows at 0, 8, 16, 32, ... values. */
    if (section->count < 8 ? section->count == 0 : !(section->count & (section->count - 1))) {
        uint32_t capacity = section->count ? section->count * 2 : 8;

        values = realloc(section->values, capacity * sizeof(*values));
        if (!values)
            return out_of_memory(e);
        section->values = values;
    }
    ret = value_fill(config, &value, text, length, file, base, line, e);
    if (ret)
        return ret;
    value.key = strdup(key);
    if (!value.key) {
        free(value.text);
        return out_of_memory(e);
    }
    section->values[section->count++] = value;
    return 0;
}

void config_remove_from(struct config *config, const char *file)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < config->count; i++)
        if (!strcmp(config->sections[i].file, file))
            section_free(&config->sections[i]);
        else
            config->sections[kept++] = config->sections[i];
    config->count = kept;
}

/* Splits at the last dot: a key has none, a section's name may. The key, or NULL. */
static const char *split_key(const char *section_key, char section[CONFIG_NAME_MAX + 1],
                             struct error *e)
{
    const char *dot = strrchr(section_key, '.');
    size_t len = dot ? (size_t)(dot - section_key) : 0;

    if (!dot) {
        error_set(e, -EINVAL, "\"%s\" names no key: expected SECTION.KEY, as in com1.irq",
                  quoted(section_key).text);
        return NULL;
    }
    if (len > CONFIG_NAME_MAX) {
        error_set(e, -EINVAL, "\"%s\" is no name for a section: at most %u bytes are",
                  quoted_bytes(section_key, len).text, CONFIG_NAME_MAX);
        return NULL;
    }
    memcpy(section, section_key, len);
    section[len] = 0;
    if (!config_is_section(section)) {
        error_set(e, -EINVAL,
                  "\"%s\" is no name for a section: 1 to %u letters, digits and - _ . are",
                  quoted(section).text, CONFIG_NAME_MAX);
        return NULL;
    }
    if (!config_is_key(dot + 1)) {
        error_set(e, -EINVAL, "\"%s\" is no key: 1 to %u of a-z, 0-9 and - are",
                  quoted(dot + 1).text, CONFIG_NAME_MAX);
        return NULL;
    }
    return dot + 1;
}

/* A value that a machine file could not hold could not be printed either. */
static int check_text(const char *section_key, const char *value, struct error *e)
{
    if (strlen(value) > CONFIG_LINE_MAX)
        return error_set(e, -EINVAL, "the value of %s is longer than %u bytes", section_key,
                         CONFIG_LINE_MAX);
    for (const char *c = value; *c; c++) {
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return error_set(
                e, -EINVAL,
                "the value of %s contains the control character 0x%02x: a value is one "
                "line of text",
                section_key, (unsigned char)*c);
    }
    return 0;
}

int config_set(struct config *config, const char *section_key, const char *value,
               const char *origin, const char *base, int keep, struct error *e)
{
    char name[CONFIG_NAME_MAX + 1] = "";
    struct config_section *section;
    struct config_value *old;
    const char *key = split_key(section_key, name, e);

    if (!key)
        return -EINVAL;
    if (check_text(section_key, value, e))
        return -EINVAL;
    section = config_section(config, name);
    old = config_value(section, key);
    if (old && keep)
        return 0;
    if (old)
        return value_fill(config, old, value, strlen(value), origin, base, 0, e);
    if (!section)
        section = config_add_section(config, name, origin, 0, e);
    if (!section)
        return -ENOSPC;
    return config_add_value(config, section, key, value, strlen(value), origin, base, 0, e);
}

const char *config_nearest(const char *word, const char *const *names)
{
    return nearest_word(word, names);
}
