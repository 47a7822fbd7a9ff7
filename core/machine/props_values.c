/* SPDX-License-Identifier: MIT
 *
 * machine/props_values.c - the values of typed keys: one parser for each BP_PROP_* type, and lists
 * of them.
 *
 * Every parser takes one element's text, stores one element, or gives the sentence's second half:
 * what was expected. The first half, the same for all, names section, key and value.
 */
#include "machine/props_values.h"

#include "base/nearest.h"
#include "machine/forms.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* One value being parsed. */
struct parse {
    const struct props_job *job;
    const struct bp_prop *prop;
    const struct props_text *from;
    const char *text; /* of this element */
    uint32_t width;   /* of this element */
};

/* Tells that `p`'s value is wrong, and why; returns -EINVAL. */
static int wrong(const struct parse *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int wrong(const struct parse *p, const char *format, ...)
{
    const struct props_job *job = p->job;
    char why[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    report_error(job->report, p->from->file, p->from->line, job->name, "[%s] %s = %s%s: %s",
                 job->name, p->prop->name, quoted(p->text).text,
                 p->from->given ? "" : " (the default)", why);
    return -EINVAL;
}

/* ---- numbers ---- */

/* A size as a file would say it, in the largest unit that gives a whole number. */
static const char *size_text(uint64_t bytes, char text[24])
{
    static const char units[] = "\0KMGT";
    unsigned unit = 0;

    while (bytes && unit < 4 && !(bytes & 1023)) {
        bytes >>= 10;
        unit++;
    }
    snprintf(text, 24, "%llu%c", (unsigned long long)bytes, units[unit]);
    return text;
}

/* A number as the key's reader would write it: addresses and ports in hex. */
static const char *uint_text(const struct bp_prop *prop, uint64_t value, char text[24])
{
    int hex = prop->claim == BP_CLAIM_PIO || prop->claim == BP_CLAIM_MMIO || value > 0xffffff;

    snprintf(text, 24, hex ? "0x%llx" : "%llu", (unsigned long long)value);
    return text;
}

static void bounds(const struct bp_prop *prop, uint32_t width, uint64_t *min, uint64_t *max)
{
    uint64_t widest = width >= 8 ? UINT64_MAX : (1ull << (8 * width)) - 1;

    *min = prop->min;
    *max = prop->max && prop->max < widest ? prop->max : widest;
}

static void store_uint(void *out, uint32_t width, uint64_t value)
{
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;

    memcpy(out,
           width == 1   ? (void *)&u8
           : width == 2 ? (void *)&u16
           : width == 4 ? (void *)&u32
                        : &value,
           width);
}

static int parse_uint(const struct parse *p, void *out)
{
    uint64_t value, min, max;
    const char *at = p->text;
    int ret = form_digits(&at, &value);
    char low[24], high[24];

    bounds(p->prop, p->width, &min, &max);
    uint_text(p->prop, min, low);
    uint_text(p->prop, max, high);
    if (ret == -EINVAL || *at)
        return wrong(p, "expected a number from %s to %s, decimal or hexadecimal with 0x", low,
                     high);
    if (ret || value < min || value > max)
        return wrong(p, "the number is out of range, expected %s to %s", low, high);
    store_uint(out, p->width, value);
    return 0;
}

static int parse_size(const struct parse *p, void *out)
{
    static const char units[] = "KMGT";
    uint64_t value, min, max;
    const char *at = p->text, *unit;
    int ret = form_digits(&at, &value);
    char low[24], high[24];

    bounds(p->prop, 8, &min, &max);
    size_text(min, low);
    if (max == UINT64_MAX)
        snprintf(high, sizeof(high), "2^64 - 1");
    else
        size_text(max, high);
    unit = *at ? strchr(units, *at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at) : NULL;
    if (unit) {
        uint64_t factor = 1ull << (10 * (unit - units + 1));

        if (__builtin_mul_overflow(value, factor, &value) && !ret)
            ret = -ERANGE;
        at++;
    }
    if (ret == -EINVAL || *at)
        return wrong(p, "expected a size from %s to %s: a whole number, with K, M, G or T after it",
                     low, high);
    if (!ret && !unit && value < min)
        return wrong(
            p,
            "the size is out of range, expected %s to %s: a bare number counts bytes, for MiB "
            "write %sM",
            low, high, p->text);
    if (ret || value < min || value > max)
        return wrong(p, "the size is out of range, expected %s to %s", low, high);
    memcpy(out, &value, sizeof(value));
    return 0;
}

/* ---- words ---- */

static int parse_bool(const struct parse *p, void *out)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!strcasecmp(p->text, words[i])) {
            *(uint8_t *)out = i & 1;
            return 0;
        }
    }
    return wrong(p, "expected yes or no");
}

/* "a, b or c" */
static void list_choices(const char *const *choices, char *text, size_t room)
{
    size_t used = 0;

    *text = 0;
    for (unsigned i = 0; choices[i] && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%s",
                                 !i               ? ""
                                 : choices[i + 1] ? ", "
                                                  : " or ",
                                 choices[i]);
}

static int parse_enum(const struct parse *p, void *out)
{
    /* Of words as short as v2 every one is near. */
    const char *near = strlen(p->text) < 3 ? NULL : nearest_word(p->text, p->prop->choices);
    char all[512];

    for (uint32_t i = 0; p->prop->choices[i]; i++) {
        if (!strcmp(p->text, p->prop->choices[i])) {
            memcpy(out, &i, sizeof(i));
            return 0;
        }
    }
    list_choices(p->prop->choices, all, sizeof(all));
    if (near)
        return wrong(p, "expected %s; did you mean %s?", all, near);
    return wrong(p, "expected %s", all);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int parse_mac(const struct parse *p, void *out)
{
    uint8_t mac[6];
    int ok = strlen(p->text) == 17;

    for (size_t i = 0; ok && i < 6; i++) {
        int high = hex_value(p->text[3 * i]), low = hex_value(p->text[3 * i + 1]);

        ok = high >= 0 && low >= 0 && (i == 5 || p->text[3 * i + 2] == ':');
        mac[i] = ok ? (uint8_t)(high * 16 + low) : 0;
    }
    if (!ok)
        return wrong(p, "expected a MAC address such as 52:54:00:12:34:56");
    if (mac[0] & 1)
        return wrong(p, "this is a multicast address: a station's first byte is even");
    memcpy(out, mac, sizeof(mac));
    return 0;
}

static int parse_string(const struct parse *p, void *out)
{
    const char *copy = plan_arena_text(p->job->arena, p->text, strlen(p->text));

    if (!copy)
        return wrong(p, "out of memory");
    memcpy(out, &copy, sizeof(copy));
    return 0;
}

static int parse_address(const struct parse *p, void *out)
{
    const char *why = form_address(p->text);

    return why ? wrong(p, "%s", why) : parse_string(p, out);
}

static int parse_range(const struct parse *p, void *out)
{
    struct bp_range range;
    const char *why = form_range(p->text, &range.first, &range.last);

    if (why)
        return wrong(p, "%s", why);
    memcpy(out, &range, sizeof(range));
    return 0;
}

static int parse_pci(const struct parse *p, void *out)
{
    uint32_t devfn;
    const char *why = form_pci(p->text, &devfn);

    if (why)
        return wrong(p, "%s", why);
    memcpy(out, &devfn, sizeof(devfn));
    return 0;
}

/* ---- paths ---- */

char *props_path(struct plan_arena *arena, const char *base, const char *path)
{
    size_t blen = strlen(base), plen = strlen(path);
    char *whole;

    if (*path == '/')
        return plan_arena_text(arena, path, plen);
    whole = plan_arena_alloc(arena, blen + plen + 2);
    if (whole)
        snprintf(whole, blen + plen + 2, "%s%s%s", base, blen && base[blen - 1] == '/' ? "" : "/",
                 path);
    return whole;
}

/* A file that is to be read. */
static int check_reading(const char *path, struct error *e)
{
    struct stat st;

    if (stat(path, &st)) {
        int err = errno;

        if (err == ENOENT)
            return error_set(e, -err, "there is no file %s", quoted(path).text);
        return error_set(e, -err, "%s cannot be read: %s", quoted(path).text, strerror(err));
    }
    if (S_ISDIR(st.st_mode))
        return error_set(e, -EISDIR, "%s is a folder, expected a file", quoted(path).text);
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS)) {
        int err = errno;

        return error_set(e, -err, "%s cannot be read: %s", quoted(path).text, strerror(err));
    }
    return 0;
}

/* A file that will be written, there already or not. */
static int check_writing(const char *path, struct error *e)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    char folder[PATH_MAX];
    struct stat st;

    if (!stat(path, &st)) {
        if (S_ISDIR(st.st_mode))
            return error_set(e, -EISDIR, "%s is a folder, expected a file", quoted(path).text);
        if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS)) {
            int err = errno;

            return error_set(e, -err, "%s cannot be written: %s", quoted(path).text, strerror(err));
        }
        return 0;
    }
    if (errno != ENOENT || len >= sizeof(folder)) {
        int err = errno == ENOENT ? ENAMETOOLONG : errno;

        return error_set(e, -err, "%s cannot be written: %s", quoted(path).text, strerror(err));
    }
    snprintf(folder, sizeof(folder), "%.*s", len ? (int)len : 1, len ? path : slash ? "/" : ".");
    if (stat(folder, &st) || !S_ISDIR(st.st_mode))
        return error_set(e, -ENOENT, "there is no folder %s to write %s in", quoted(folder).text,
                         quoted(slash ? slash + 1 : path).text);
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS)) {
        int err = errno;

        return error_set(e, -err, "the folder %s cannot be written: %s", quoted(folder).text,
                         strerror(err));
    }
    return 0;
}

int props_check_path(const char *path, int creates, struct error *e)
{
    return creates ? check_writing(path, e) : check_reading(path, e);
}

static int parse_path(const struct parse *p, void *out)
{
    struct error e;
    char *path;

    if (!*p->text)
        return wrong(p, "expected the path of a file");
    path = props_path(p->job->arena, p->from->base, p->text);
    if (!path)
        return wrong(p, "out of memory");
    if (props_check_path(path, (int)(p->prop->flags & BP_PROP_CREATES), &e))
        return wrong(p, "%s", e.text);
    memcpy(out, &path, sizeof(path));
    return 0;
}

static int parse_ref(const struct parse *p, void *out)
{
    void *node;

    if (!*p->text)
        return wrong(p, "expected the name of a section");
    node = p->job->find(p->job->context, p->job, p->prop, p->from, p->text);
    memcpy(out, &node, sizeof(node));
    return node ? 0 : -EINVAL;
}

/* ---- any type ---- */

struct type {
    int (*parse)(const struct parse *p, void *out);
    uint32_t width; /* of a list's element, and of the member unless 0 */
};

static const struct type types[] = {
    [BP_PROP_BOOL] = {parse_bool, 1},
    [BP_PROP_UINT] = {parse_uint, 0}, /* 1, 2, 4 or 8; 8 in a list */
    [BP_PROP_SIZE] = {parse_size, 8},
    [BP_PROP_STRING] = {parse_string, sizeof(char *)},
    [BP_PROP_PATH] = {parse_path, sizeof(char *)},
    [BP_PROP_ENUM] = {parse_enum, 4},
    [BP_PROP_MAC] = {parse_mac, 6},
    [BP_PROP_REF] = {parse_ref, sizeof(void *)},
    [BP_PROP_ADDRESS] = {parse_address, sizeof(char *)},
    [BP_PROP_RANGE] = {parse_range, sizeof(struct bp_range)},
    [BP_PROP_PCI] = {parse_pci, sizeof(uint32_t)},
};

static const struct type *type_of(const struct bp_prop *prop)
{
    if (prop->type < BP_PROP_BOOL || prop->type > BP_PROP_PCI)
        return NULL;
    return &types[prop->type];
}

uint32_t props_element_width(const struct bp_prop *prop)
{
    const struct type *type = type_of(prop);

    if (type->width)
        return type->width;
    return prop->flags & BP_PROP_LIST ? 8 : prop->width;
}

/* A table may be wrong, which must not make us write beside the struct. */
int props_fits(const struct bp_prop *prop, uint32_t size)
{
    uint32_t end;

    if (!type_of(prop) || __builtin_add_overflow(prop->offset, prop->width, &end) || end > size)
        return 0;
    if (prop->type == BP_PROP_ENUM && !prop->choices)
        return 0;
    if (prop->flags & BP_PROP_LIST)
        return prop->width == sizeof(struct bp_list);
    if (prop->type == BP_PROP_UINT)
        return prop->width == 1 || prop->width == 2 || prop->width == 4 || prop->width == 8;
    return prop->width == types[prop->type].width;
}

int props_next_element(const char **rest, char *element)
{
    const char *at = *rest;
    char *out = element, *last = element;

    if (!at)
        return 0;
    while (*at == ' ' || *at == '\t')
        at++;
    for (; *at && *at != ','; at++) {
        int escaped = *at == '\\' && (at[1] == ',' || at[1] == '\\');

        at += escaped;
        *out++ = *at;
        if (escaped || (*at != ' ' && *at != '\t'))
            last = out;
    }
    *last = 0;
    *rest = *at ? at + 1 : NULL;
    return 1;
}

/* Blank text is a list without elements. */
static uint64_t count_elements(const char *text, char *element)
{
    uint64_t count = 0;

    if (!text[strspn(text, " \t")])
        return 0;
    while (props_next_element(&text, element))
        count++;
    return count;
}

static int parse_list(struct parse *p, void *out)
{
    const char *rest = p->from->text;
    char *element = malloc(strlen(rest) + 1), *items = NULL;
    struct bp_list list = {0};
    int ret = 0;

    p->width = props_element_width(p->prop);
    if (element) {
        list.count = count_elements(rest, element);
        items = plan_arena_alloc(p->job->arena, list.count * p->width);
    }
    if (!items)
        ret = wrong(p, "out of memory");
    for (uint64_t i = 0; items && i < list.count; i++) {
        props_next_element(&rest, element);
        p->text = *element ? element : p->from->text;
        if (!*element)
            ret = wrong(p, "element %llu of the list is empty: separate elements by one comma",
                        (unsigned long long)i + 1);
        else if (type_of(p->prop)->parse(p, items + i * p->width))
            ret = -EINVAL;
    }
    list.items = items;
    memcpy(out, &list, sizeof(list));
    free(element);
    return ret;
}

int props_parse(const struct props_job *job, const struct bp_prop *prop,
                const struct props_text *from, void *out)
{
    struct parse p = {
        .job = job, .prop = prop, .from = from, .text = from->text, .width = prop->width};

    return prop->flags & BP_PROP_LIST ? parse_list(&p, out) : type_of(prop)->parse(&p, out);
}
