/* SPDX-License-Identifier: MIT
 *
 * plugin/describe.c - plugins, their models and keys, as text for people and as JSON for programs.
 *
 * Everything comes from the copied descriptor: no plugin code runs. The JSON's members are kept:
 * programs read them; new ones may come.
 */
#include "plugin/describe.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a type is called in the manual, by BP_PROP_*. */
static const char *const type_names[] = {
    [BP_PROP_BOOL] = "yes/no", [BP_PROP_UINT] = "number", [BP_PROP_SIZE] = "size",
    [BP_PROP_STRING] = "text", [BP_PROP_PATH] = "path",   [BP_PROP_ENUM] = "choice",
    [BP_PROP_MAC] = "mac",     [BP_PROP_REF] = "section", [BP_PROP_ADDRESS] = "address",
    [BP_PROP_RANGE] = "range", [BP_PROP_PCI] = "pci",
};

/* The same for programs: the ABI's names. */
static const char *const type_ids[] = {
    [BP_PROP_BOOL] = "bool",     [BP_PROP_UINT] = "uint", [BP_PROP_SIZE] = "size",
    [BP_PROP_STRING] = "string", [BP_PROP_PATH] = "path", [BP_PROP_ENUM] = "enum",
    [BP_PROP_MAC] = "mac",       [BP_PROP_REF] = "ref",   [BP_PROP_ADDRESS] = "address",
    [BP_PROP_RANGE] = "range",   [BP_PROP_PCI] = "pci",
};

static const char *const claim_names[] = {
    [BP_CLAIM_PIO] = "ports", [BP_CLAIM_MMIO] = "memory", [BP_CLAIM_IRQ] = "interrupt"};

static bool has_bounds(const struct bp_prop *p)
{
    return (p->type == BP_PROP_UINT || p->type == BP_PROP_SIZE) && (p->min || p->max);
}

/* ---- text ----------------------------------------------------------------------------------- */

/* Bounds as somebody would write them: small and round ones decimal, addresses hexadecimal. */
static void print_number(FILE *f, uint64_t n)
{
    fprintf(f, n < 4096 || n % 1000 == 0 ? "%" PRIu64 : "0x%" PRIx64, n);
}

static void print_size(FILE *f, uint64_t n)
{
    static const char suffixes[] = {'T', 'G', 'M', 'K'};

    for (unsigned i = 0; i < sizeof(suffixes); i++) {
        uint64_t unit = UINT64_C(1) << (40 - 10 * i);

        if (n && n % unit == 0) {
            fprintf(f, "%" PRIu64 "%c", n / unit, suffixes[i]);
            return;
        }
    }
    fprintf(f, "%" PRIu64, n);
}

static void print_claim(FILE *f, const struct bp_prop *p)
{
    switch (p->claim) {
    case BP_CLAIM_PIO:
        fprintf(f, ", claims %" PRIu64 " port%s", p->claim_length, p->claim_length == 1 ? "" : "s");
        break;
    case BP_CLAIM_MMIO:
        fprintf(f, ", claims %" PRIu64 " byte%s of address space%s", p->claim_length,
                p->claim_length == 1 ? "" : "s",
                p->flags & BP_PROP_RESERVES ? ", in RAM if need be" : "");
        break;
    case BP_CLAIM_IRQ:
        fprintf(f, ", claims the interrupt%s", p->claim_length ? " (may be shared)" : "");
        break;
    default:
        break;
    }
}

static void print_prop(FILE *f, const struct bp_prop *p)
{
    fprintf(f, "    %s: %s", p->name, type_names[p->type]);
    if (p->flags & BP_PROP_LIST)
        fprintf(f, " list");
    if (p->choices)
        for (uint32_t i = 0; p->choices[i]; i++)
            fprintf(f, "%s%s", i ? ", " : " of ", p->choices[i]);
    if (has_bounds(p)) {
        void (*print)(FILE *, uint64_t) = p->type == BP_PROP_SIZE ? print_size : print_number;

        fprintf(f, " from ");
        print(f, p->min);
        fprintf(f, " to ");
        print(f, p->max);
    }
    if (p->needs)
        fprintf(f, " that offers %s", p->needs);
    if (p->flags & BP_PROP_REQUIRED)
        fprintf(f, "; required");
    else if (p->initial)
        fprintf(f, "; default %s", *p->initial ? p->initial : "empty");
    if (p->flags & BP_PROP_CREATES)
        fprintf(f, ", is created");
    print_claim(f, p);
    fprintf(f, "\n        %s\n", p->help);
}

static const char *access_name(const struct bp_register *reg)
{
    static const char *const names[] = {
        [BP_REG_RW] = "RW", [BP_REG_RO] = "RO", [BP_REG_WO] = "WO", [BP_REG_RC] = "RC"};

    return names[reg->access & BP_REG_ACCESS];
}

/* What a driver puts there, or NULL. */
static const char *holds_name(const struct bp_register *reg)
{
    return reg->access & BP_REG_ADDRESS        ? "address"
           : reg->access & BP_REG_ADDRESS_HIGH ? "address-high"
           : reg->access & BP_REG_LENGTH       ? "length"
           : reg->access & BP_REG_DOORBELL     ? "doorbell"
                                               : NULL;
}

static void print_region(FILE *f, const struct model_region *r)
{
    int width = 1;

    fprintf(f, "    region %s: accesses of %u", r->name, r->min_access);
    if (r->min_access != r->max_access)
        fprintf(f, " to %u", r->max_access);
    fprintf(f, " byte%s\n", r->max_access == 1 ? "" : "s");
    for (uint32_t i = 0; i < r->register_count; i++)
        if ((int)strlen(r->registers[i].name) > width)
            width = (int)strlen(r->registers[i].name);
    for (uint32_t i = 0; i < r->register_count; i++) {
        const struct bp_register *reg = &r->registers[i];
        const char *holds = holds_name(reg);

        fprintf(f, "        0x%04" PRIx64 "  %-*s  %s  %u byte%s%s%s%s\n", reg->offset, width,
                reg->name, access_name(reg), reg->width, reg->width == 1 ? "" : "s",
                holds ? ", DMA " : "", holds ? holds : "",
                reg->access & BP_REG_POSTED ? ", posted" : "");
    }
}

static void print_model_line(FILE *f, const struct model *m, int width)
{
    fprintf(f, "  %-*s %-8s %s\n", width, m->id, plugin_kind_name(m->kind), m->summary);
}

/* For a column of ids. */
static int id_width(const struct plugin *p)
{
    size_t width = 0;

    for (uint32_t i = 0; i < p->model_count; i++)
        if (strlen(p->models[i].id) > width)
            width = strlen(p->models[i].id);
    return (int)width;
}

static void print_plugin(FILE *f, const struct plugin *p)
{
    fprintf(f, "%s %s\nfile: %s\nABI: %u.%u\n", p->name, p->version, p->path, BP_ABI_MAJOR,
            p->abi_minor);
    for (uint32_t i = 0; i < p->model_count; i++) {
        const struct model *m = &p->models[i];

        fprintf(f, "\nmodel %s (%s%s%s%s%s%s%s%s): %s\n", m->id, plugin_kind_name(m->kind),
                i ? "" : ", the default", m->flags & BP_MODEL_SHARED ? ", shared" : "",
                m->flags & BP_MODEL_ONCE ? ", once in a machine" : "",
                m->flags & BP_MODEL_SHARES_RAM ? ", shares guest RAM" : "",
                m->flags & BP_MODEL_IRQCHIP ? ", has interrupt controllers" : "",
                m->flags & BP_MODEL_THREAD ? ", may have a thread" : "",
                m->flags & BP_MODEL_JOINS ? ", joins its users" : "", m->summary);
        for (uint32_t j = 0; j < m->prop_count; j++)
            print_prop(f, &m->props[j]);
        for (uint32_t j = 0; j < m->region_count; j++)
            print_region(f, &m->regions[j]);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* A document under way; after the first failure nothing is added. */
struct json {
    bool failed;
};

/* Adds `value` to the object or array `to`, which owns it from then on; returns it, or NULL. */
static struct json_object *add(struct json *j, struct json_object *to, const char *key,
                               struct json_object *value)
{
    int err = !to || !value;

    if (!err)
        err = key ? json_object_object_add(to, key, value) : json_object_array_add(to, value);
    if (!err)
        return value;
    json_object_put(value);
    j->failed = true;
    return NULL;
}

static void add_text(struct json *j, struct json_object *to, const char *key, const char *text)
{
    add(j, to, key, json_object_new_string(text));
}

static void add_bool(struct json *j, struct json_object *to, const char *key, bool value)
{
    add(j, to, key, json_object_new_boolean(value));
}

static void add_number(struct json *j, struct json_object *to, const char *key, uint64_t value)
{
    add(j, to, key, json_object_new_uint64(value));
}

static void add_prop(struct json *j, struct json_object *to, const struct bp_prop *p)
{
    struct json_object *o = add(j, to, NULL, json_object_new_object()), *inner;

    add_text(j, o, "key", p->name);
    add_text(j, o, "type", type_ids[p->type]);
    add_bool(j, o, "list", p->flags & BP_PROP_LIST);
    add_bool(j, o, "required", p->flags & BP_PROP_REQUIRED);
    if (p->initial)
        add_text(j, o, "default", p->initial);
    if (has_bounds(p)) {
        add_number(j, o, "min", p->min);
        add_number(j, o, "max", p->max);
    }
    if (p->choices) {
        inner = add(j, o, "choices", json_object_new_array());
        for (uint32_t i = 0; p->choices[i]; i++)
            add_text(j, inner, NULL, p->choices[i]);
    }
    if (p->needs)
        add_text(j, o, "needs", p->needs);
    add_bool(j, o, "creates", p->flags & BP_PROP_CREATES);
    if (p->claim) {
        inner = add(j, o, "claim", json_object_new_object());
        add_text(j, inner, "what", claim_names[p->claim]);
        add_number(j, inner, "length", p->claim == BP_CLAIM_IRQ ? 1 : p->claim_length);
        add_bool(j, inner, "shared", p->claim == BP_CLAIM_IRQ && p->claim_length);
        add_bool(j, inner, "reserves", p->flags & BP_PROP_RESERVES);
    }
    add_text(j, o, "help", p->help);
}

static void add_region(struct json *j, struct json_object *to, const struct model_region *r)
{
    struct json_object *o = add(j, to, NULL, json_object_new_object()), *inner;

    add_text(j, o, "name", r->name);
    add_number(j, o, "min-access", r->min_access);
    add_number(j, o, "max-access", r->max_access);
    to = add(j, o, "registers", json_object_new_array());
    for (uint32_t i = 0; i < r->register_count; i++) {
        const struct bp_register *reg = &r->registers[i];

        inner = add(j, to, NULL, json_object_new_object());
        add_text(j, inner, "name", reg->name);
        add_number(j, inner, "offset", reg->offset);
        add_number(j, inner, "width", reg->width);
        add_text(j, inner, "access", access_name(reg));
        if (holds_name(reg))
            add_text(j, inner, "dma", holds_name(reg));
        if (reg->access & BP_REG_POSTED)
            add_bool(j, inner, "posted", true);
    }
}

static void add_model(struct json *j, struct json_object *to, const struct model *m, bool first)
{
    struct json_object *o = add(j, to, NULL, json_object_new_object()), *inner;
    const struct bp_field *field = m->kind == BP_KIND_CPU ? NULL : m->instance.fields;

    add_text(j, o, "id", m->id);
    add_text(j, o, "kind", plugin_kind_name(m->kind));
    add_text(j, o, "summary", m->summary);
    add_bool(j, o, "default", first);
    add_bool(j, o, "shared", m->flags & BP_MODEL_SHARED);
    add_bool(j, o, "once", m->flags & BP_MODEL_ONCE);
    add_bool(j, o, "shares-ram", m->flags & BP_MODEL_SHARES_RAM);
    add_bool(j, o, "irqchip", m->flags & BP_MODEL_IRQCHIP);
    add_bool(j, o, "thread", m->flags & BP_MODEL_THREAD);
    add_bool(j, o, "joins", m->flags & BP_MODEL_JOINS);
    inner = add(j, o, "properties", json_object_new_array());
    for (uint32_t i = 0; i < m->prop_count; i++)
        add_prop(j, inner, &m->props[i]);
    if (m->region_count) {
        inner = add(j, o, "regions", json_object_new_array());
        for (uint32_t i = 0; i < m->region_count; i++)
            add_region(j, inner, &m->regions[i]);
    }
    if (field) {
        inner = add(j, o, "state", json_object_new_object());
        add_number(j, inner, "version", m->instance.state_version);
        inner = add(j, inner, "fields", json_object_new_array());
        for (; field->name; field++)
            add_text(j, inner, NULL, field->name);
    }
}

static void add_plugin(struct json *j, struct json_object *o, const struct plugin *p)
{
    struct json_object *models;
    char abi[32];

    snprintf(abi, sizeof(abi), "%u.%u", BP_ABI_MAJOR, p->abi_minor);
    add_text(j, o, "name", p->name);
    add_text(j, o, "version", p->version);
    add_text(j, o, "file", p->path);
    add_text(j, o, "abi", abi);
    models = add(j, o, "models", json_object_new_array());
    for (uint32_t i = 0; i < p->model_count; i++)
        add_model(j, models, &p->models[i], i == 0);
}

/* The document as text, and its end. */
static char *json_finish(struct json *j, struct json_object *root)
{
    const char *text = NULL;
    char *out = NULL;

    if (!j->failed)
        text =
            json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                     JSON_C_TO_STRING_NOSLASHESCAPE);
    if (text && asprintf(&out, "%s\n", text) < 0)
        out = NULL;
    json_object_put(root);
    return out;
}

/* ---- all of them ---------------------------------------------------------------------------- */

struct list {
    FILE *text, *unusable_text; /* for people: the second is put after the first */
    struct json_object *plugins, *unusable;
    struct json json;
    bool any;
};

static void list_found(void *context, const struct plugin *p)
{
    struct list *l = context;

    if (!l->text) {
        add_plugin(&l->json, add(&l->json, l->plugins, NULL, json_object_new_object()), p);
        return;
    }
    fprintf(l->text, "%s%s %s\n", l->any ? "\n" : "", p->name, p->version);
    for (uint32_t i = 0; i < p->model_count; i++)
        print_model_line(l->text, &p->models[i], id_width(p));
    l->any = true;
}

static void list_broken(void *context, const char *path, const char *why)
{
    struct list *l = context;
    struct json_object *o;

    if (!l->text) {
        o = add(&l->json, l->unusable, NULL, json_object_new_object());
        add_text(&l->json, o, "file", path);
        add_text(&l->json, o, "reason", why);
        return;
    }
    fprintf(l->unusable_text, "  %s\n", why);
}

static char *list_json(struct plugins *plugins)
{
    struct json_object *root = json_object_new_object(), *folders;
    struct list l = {0};

    folders = add(&l.json, root, "folders", json_object_new_array());
    for (uint32_t i = 0; plugins_folder(plugins, i); i++)
        add_text(&l.json, folders, NULL, plugins_folder(plugins, i));
    l.plugins = add(&l.json, root, "plugins", json_object_new_array());
    l.unusable = add(&l.json, root, "unusable", json_object_new_array());
    if (plugins_scan(plugins, list_found, list_broken, &l))
        l.json.failed = true;
    return json_finish(&l.json, root);
}

/* Closes a stream of open_memstream(). NULL if anything failed. */
static char *finish(FILE *f, char **text, bool failed)
{
    failed |= ferror(f) != 0;
    failed |= fclose(f) != 0;
    if (!failed)
        return *text;
    free(*text);
    return NULL;
}

char *plugins_describe(struct plugins *plugins, bool json)
{
    char *text = NULL, *unusable = NULL;
    size_t size, unusable_size;
    struct list l = {0};
    bool failed;

    if (json)
        return list_json(plugins);
    l.text = open_memstream(&text, &size);
    if (!l.text)
        return NULL;
    l.unusable_text = open_memstream(&unusable, &unusable_size);
    if (!l.unusable_text)
        return finish(l.text, &text, true);
    failed = plugins_scan(plugins, list_found, list_broken, &l) != 0;
    if (!finish(l.unusable_text, &unusable, failed))
        return finish(l.text, &text, true);
    if (!l.any) {
        fprintf(l.text, "no plugins in");
        for (uint32_t i = 0; plugins_folder(plugins, i); i++)
            fprintf(l.text, "%s %s", i ? "," : "", plugins_folder(plugins, i));
        fprintf(l.text, "\n");
    }
    if (*unusable)
        fprintf(l.text, "\nnot usable:\n%s", unusable);
    free(unusable);
    return finish(l.text, &text, false);
}

char *plugins_describe_one(const struct plugin *plugin, bool json)
{
    struct json_object *root;
    struct json j = {0};
    char *text = NULL;
    size_t size;
    FILE *f;

    if (json) {
        root = json_object_new_object();
        if (!root)
            return NULL;
        add_plugin(&j, root, plugin);
        return json_finish(&j, root);
    }
    f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    print_plugin(f, plugin);
    return finish(f, &text, false);
}
