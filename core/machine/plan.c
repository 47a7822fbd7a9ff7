/* SPDX-License-Identifier: MIT
 *
 * machine/plan.c - from sections and text to instances with models and filled config structs.
 *
 * Runs no plugin code: what a plugin says of itself is constant data. An error never ends the work
 * at once; what depends on something that failed is left out silently, so that each mistake is told
 * once.
 */
#include "machine/plan.h"

#include "machine/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan_instance *plan_find(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (!strcmp(plan->instances[i].name, name))
            return &plan->instances[i];
    return NULL;
}

/* ---- models ---- */

const struct model *plan_model(struct planning *p, const struct config_section *section)
{
    struct config_value *plugin = config_value(section, "plugin");
    struct config_value *id = config_value(section, "model");
    const struct plugin *loaded;
    const struct model *model;
    struct error e;

    if (p->source->load(p->source->context, plugin->text, plugin->base, &loaded, &e)) {
        report_error(p->report, plugin->file, plugin->line, section->name, "[%s] plugin = %s: %s",
                     section->name, quoted(plugin->text).text, e.text);
        p->missing++;
        return NULL;
    }
    if (p->source->model(p->source->context, loaded, id ? id->text : NULL, &model, &e)) {
        report_error(p->report, id ? id->file : plugin->file, id ? id->line : plugin->line,
                     section->name, "[%s] model = %s: %s", section->name,
                     id ? quoted(id->text).text : "", e.text);
        p->missing++;
        return NULL;
    }
    return model;
}

const char *plan_model_name(struct planning *p, const struct model *model)
{
    size_t room = strlen(model->plugin->name) + strlen(model->id) + sizeof(" (model )");
    char *name = plan_arena_alloc(p->plan->arena, room);

    if (!name)
        return model->id;
    snprintf(name, room, "%s (model %s)", model->plugin->name, model->id);
    return name;
}

/* The section that a misspelt --set may have meant, or NULL. A section of the machine file that
 * lacks a plugin is not one of these: it was meant to be there. */
static const char *meant_section(const struct config *config, const struct config_section *section)
{
    const char **names = section->line ? NULL : calloc(config->count + 1, sizeof(*names));
    const char *near = NULL;
    uint32_t count = 0;

    if (!names)
        return NULL;
    for (uint32_t i = 0; i < config->count; i++)
        if (config->sections[i].line)
            names[count++] = config->sections[i].name;
    near = config_nearest(section->name, names);
    free(names);
    return near;
}

static void tell_no_plugin(struct planning *p, const struct config_section *section)
{
    const char *near = config_nearest(section->name, settings_sections);
    const char *meant = near ? NULL : meant_section(p->config, section);

    if (meant) {
        report_error(p->report, section->file, section->line, section->name,
                     "there is no section [%s]; did you mean [%s]? A new one needs a key plugin",
                     section->name, meant);
        return;
    }
    if (near)
        report_error(
            p->report, section->file, section->line, section->name,
            "[%s] has no key plugin, and is none of the core's sections; did you mean [%s]?",
            section->name, near);
    else
        report_error(
            p->report, section->file, section->line, section->name,
            "[%s] has no key plugin: every section but [machine], [cpu] and [boot] needs one",
            section->name);
}

/* Appends what section number `index` names to plan->instances. `order` holds the index until
 * links_resolve(), as pointers to sections do not last while the board adds its own. */
static void add_instance(struct planning *p, uint32_t index)
{
    const struct config_section *section = &p->config->sections[index];
    const struct model *model;

    if (settings_is_section(section->name))
        return;
    if (!config_value(section, "plugin")) {
        tell_no_plugin(p, section);
        return;
    }
    model = plan_model(p, section);
    if (!model)
        return;
    if (model->kind == BP_KIND_CPU) {
        const struct config_value *plugin = config_value(section, "plugin");

        report_error(p->report, plugin->file, plugin->line, section->name,
                     "[%s] plugin = %s: this is a CPU backend, which is named in [cpu]",
                     section->name, quoted(plugin->text).text);
        return;
    }
    p->plan->instances[p->plan->count++] =
        (struct plan_instance){.name = section->name, .model = model, .order = index};
}

/* Tells of every model that may be there once and is there again. */
static void check_once(struct planning *p)
{
    const struct plan_instance *all = p->plan->instances;

    for (uint32_t i = 0; i < p->plan->count; i++) {
        uint32_t first = 0;

        while (first < i && all[first].model != all[i].model)
            first++;
        if (!(all[i].model->flags & BP_MODEL_ONCE) || first == i)
            continue;
        const struct config_section *section = all[i].section, *before = all[first].section;
        const struct config_value *value = config_value(section, "model");
        const char *key = value ? "model" : "plugin";
        char place[300];

        if (!value)
            value = config_value(section, "plugin");
        if (before->line)
            snprintf(place, sizeof(place), "%.200s:%u", before->file, before->line);
        else
            snprintf(place, sizeof(place), "%.200s", before->file);
        report_error(p->report, value->file, value->line, section->name,
                     "[%s] %s = %s: [%s] (%s) is one already, and a machine can have only one %s",
                     section->name, key, quoted(value->text).text, before->name, place,
                     plan_model_name(p, all[i].model));
    }
}

struct plan_instance *plan_irqchip(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->instances[i].model->kind == BP_KIND_DEVICE &&
            plan->instances[i].model->flags & BP_MODEL_IRQCHIP)
            return &plan->instances[i];
    return NULL;
}

/* Tells of interrupt controllers beside others: the backend's, or another section's of another
 * model. */
static void check_irqchips(struct planning *p)
{
    const struct plan_instance *first = plan_irqchip(p->plan);
    const struct plan_instance *end = p->plan->instances + p->plan->count;
    int backend = p->backend && p->backend->flags & BP_MODEL_IRQCHIP;

    for (const struct plan_instance *i = first; i && i < end; i++) {
        const struct config_value *value = config_value(i->section, "model");
        const char *key = value ? "model" : "plugin";
        int is_one = i->model->kind == BP_KIND_DEVICE && i->model->flags & BP_MODEL_IRQCHIP;

        if (!value)
            value = config_value(i->section, "plugin");
        if (is_one && backend)
            report_error(p->report, value->file, value->line, i->name,
                         "[%s] %s = %s: %s has interrupt controllers of its own, and a machine can "
                         "have only one set: remove this section, or name another backend in [cpu]",
                         i->name, key, quoted(value->text).text, p->backend->plugin->name);
        else if (is_one && i->model != first->model)
            report_error(p->report, value->file, value->line, i->name,
                         "[%s] %s = %s: [%s] is the machine's interrupt controllers already, and "
                         "there can be only one set",
                         i->name, key, quoted(value->text).text, first->name);
    }
}

/* Every section that names a plugin, then the board's. */
static int add_instances(struct planning *p)
{
    uint32_t written = p->config->count;

    p->plan->instances =
        plan_arena_alloc(p->plan->arena, (written + BOARD_PARTS_MAX) * sizeof(*p->plan->instances));
    if (!p->plan->instances) {
        report_error(p->report, NULL, 0, NULL, "out of memory");
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < written; i++)
        add_instance(p, i);
    board_add(p);
    for (uint32_t i = written; i < p->config->count; i++)
        add_instance(p, i);
    for (uint32_t i = 0; i < p->plan->count; i++) {
        struct plan_instance *instance = &p->plan->instances[i];

        instance->section = &p->config->sections[instance->order];
    }
    check_once(p);
    check_irqchips(p);
    for (uint32_t i = 0; i < p->plan->count; i++)
        p->plan->machine.shared |= (p->plan->instances[i].model->flags & BP_MODEL_SHARES_RAM) != 0;
    return 0;
}

/* ---- references ---- */

struct kind_name {
    uint32_t kind;
    const char *id, *name;
};

static const struct kind_name kinds[] = {
    {BP_KIND_CPU, NULL, "a CPU backend"},
    {BP_KIND_DEVICE, NULL, "a device"},
    {BP_KIND_NET, BP_NET_ID, "a network backend"},
    {BP_KIND_CHAR, BP_CHAR_ID, "a character backend"},
    {BP_KIND_BLOCK, BP_BLOCK_ID, "a block backend"},
    {BP_KIND_SERVICE, NULL, "a service"},
};

static const struct kind_name *kind_named(uint32_t kind, const char *id)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (id ? kinds[i].id && !strcmp(kinds[i].id, id) : kinds[i].kind == kind)
            return &kinds[i];
    return NULL;
}

static void tell_no_section(struct planning *p, const struct props_job *job,
                            const struct bp_prop *prop, const struct props_text *from,
                            const char *name)
{
    const char **names = calloc(p->plan->count + 1, sizeof(*names)), *near;

    for (uint32_t i = 0; names && i < p->plan->count; i++)
        names[i] = p->plan->instances[i].name;
    near = names ? config_nearest(name, names) : NULL;
    if (near)
        report_error(p->report, from->file, from->line, job->name,
                     "[%s] %s = %s: there is no section [%s]; did you mean %s?", job->name,
                     prop->name, quoted(name).text, quoted(name).text, near);
    else
        report_error(p->report, from->file, from->line, job->name,
                     "[%s] %s = %s: there is no section [%s]", job->name, prop->name,
                     quoted(name).text, quoted(name).text);
    free(names);
}

void *plan_ref(void *context, const struct props_job *job, const struct bp_prop *prop,
               const struct props_text *from, const char *name)
{
    struct planning *p = context;
    struct plan_instance *target = plan_find(p->plan, name);
    const struct kind_name *wanted = prop->needs ? kind_named(0, prop->needs) : NULL, *found;

    if (!target && settings_is_section(name)) {
        report_error(p->report, from->file, from->line, job->name,
                     "[%s] %s = %s: [%s] is a section of the core's, expected %s", job->name,
                     prop->name, name, name, wanted ? wanted->name : "one with a plugin");
        return NULL;
    }
    if (!target) {
        /* A section whose plugin failed to load was told already. */
        if (!config_section(p->config, name))
            tell_no_section(p, job, prop, from, name);
        return NULL;
    }
    found = kind_named(target->model->kind, NULL);
    if (wanted && target->model->kind != wanted->kind) {
        report_error(p->report, from->file, from->line, job->name,
                     "[%s] %s = %s: [%s] is %s, %s; expected %s", job->name, prop->name, name, name,
                     found ? found->name : "of an unknown kind", plan_model_name(p, target->model),
                     wanted->name);
        return NULL;
    }
    return target;
}

/* ---- config structs ---- */

static void fill_instance(struct planning *p, struct plan_instance *instance)
{
    static const char *const own[] = {"plugin", "model", NULL};
    struct props_job job = {
        .section = instance->section,
        .name = instance->name,
        .what = plan_model_name(p, instance->model),
        .ignore = own,
        .arena = p->plan->arena,
        .report = p->report,
        .find = plan_ref,
        .context = p,
    };
    void *config = plan_arena_alloc(p->plan->arena, instance->model->config_size);

    if (!config)
        report_error(p->report, NULL, 0, instance->name, "[%s]: out of memory", instance->name);
    else if (!props_fill(&job, instance->model->props, config, instance->model->config_size))
        instance->config = config;
    props_tell_unknown(&job, instance->model->props);
}

/* Links and fills, in the order of the file so that errors come in it. */
static void fill_instances(struct planning *p)
{
    uint32_t *at = calloc(p->plan->count + 1, sizeof(*at));

    if (!at)
        report_error(p->report, NULL, 0, NULL, "out of memory");
    for (uint32_t i = 0; at && i < p->plan->count; i++)
        at[i] = i;
    if (at) {
        links_resolve(p, at);
        for (uint32_t i = 0; i < p->plan->count; i++)
            fill_instance(p, &p->plan->instances[at[i]]);
    }
    free(at);
}

int plan_make_from(struct plan *plan, struct config *config, const struct plan_source *source,
                   struct report *report)
{
    struct planning p = {.plan = plan, .config = config, .source = source, .report = report};
    uint32_t before = report->errors;
    int machine;

    memset(plan, 0, sizeof(*plan));
    plan->arena = plan_arena_new();
    if (!plan->arena) {
        report_error(report, NULL, 0, NULL, "out of memory");
        return -EINVAL;
    }
    config_remove_from(config, BOARD_ORIGIN);
    machine = settings_fill_machine(&p);
    settings_find_backend(&p);
    if (!add_instances(&p)) {
        settings_fill_cpu(&p);
        settings_fill_boot(&p);
        fill_instances(&p);
        conflicts_check(&p, !machine);
    }
    if (report->errors == before)
        return 0;
    plan_free(plan);
    return report->errors - before == p.missing ? -ENOENT : -EINVAL;
}

static void *find_nothing(void *context, const struct props_job *job, const struct bp_prop *prop,
                          const struct props_text *from, const char *name)
{
    (void)context;
    (void)job;
    (void)prop;
    (void)from;
    (void)name;
    return NULL;
}

void *plan_default_config(struct plan *plan, const struct model *model)
{
    struct report silent = {0};
    struct props_job job = {
        .name = "cpu",
        .what = model->id,
        .arena = plan->arena,
        .report = &silent,
        .find = find_nothing,
    };
    void *config = plan_arena_alloc(plan->arena, model->config_size);

    /* A key without default stays 0, which a backend that `auto` may choose has to bear. */
    if (config)
        props_fill(&job, model->props, config, model->config_size);
    return config;
}

void plan_free(struct plan *plan)
{
    plan_arena_free(plan->arena);
    memset(plan, 0, sizeof(*plan));
}
