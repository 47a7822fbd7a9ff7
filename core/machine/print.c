/* SPDX-License-Identifier: MIT
 *
 * machine/print.c - a plan as a machine file: every section, every key, defaults included.
 *
 * Text that was written is printed as it was written ("0x3f8" stays hexadecimal), paths absolute,
 * so that the file may stand anywhere. A key without value is shown in a comment, and so is the
 * default that depends on the host: [cpu] level.
 */
#include "machine/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Must be quoted to be read back as it is (the rules are ini.c's). */
static int needs_quotes(const char *text)
{
    size_t len = strlen(text);

    if (!len || is_blank(text[0]) || is_blank(text[len - 1]) || text[0] == '"' || text[0] == ';')
        return 1;
    for (const char *c = text; *c; c++)
        if (is_blank(*c) && c[1] == ';')
            return 1;
    return 0;
}

static void print_value(FILE *out, const char *key, const char *text)
{
    fprintf(out, "%s = ", key);
    if (!needs_quotes(text)) {
        fprintf(out, "%s\n", text);
        return;
    }
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', out);
        fputc(*c, out);
    }
    fputs("\"\n", out);
}

/* The elements of a list of texts as props_next_element() reads them; to be freed. */
static char *list_text(const struct bp_prop *prop, const void *config)
{
    uint64_t count = props_count(prop, config);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    for (uint64_t i = 0; i < count; i++) {
        fputs(i ? ", " : "", out);
        for (const char *c = props_string(prop, config, i); c && *c; c++) {
            if (*c == ',' || *c == '\\')
                fputc('\\', out);
            fputc(*c, out);
        }
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

static void print_prop(FILE *out, const struct config_section *section, const struct bp_prop *prop,
                       const void *config)
{
    struct props_text from = props_text(section, prop);
    int is_text = prop->type == BP_PROP_STRING || prop->type == BP_PROP_PATH;
    char *list;

    if (!from.text) {
        fprintf(out, "; %s =\n", prop->name);
    } else if (is_text && prop->flags & BP_PROP_LIST) {
        list = list_text(prop, config);
        print_value(out, prop->name, list ? list : "");
        free(list);
    } else {
        const char *text = is_text ? props_string(prop, config, 0) : from.text;

        print_value(out, prop->name, text ? text : "");
    }
}

static void print_props(FILE *out, const struct config_section *section,
                        const struct bp_prop *props, const void *config)
{
    for (; props && props->name; props++)
        print_prop(out, section, props, config);
}

/* A plugin that was named by a path is found by its absolute path. */
static void print_plugin(FILE *out, const struct plan *plan, const struct config_section *section,
                         const struct model *model)
{
    const struct config_value *plugin = config_value(section, "plugin");
    const char *text = plugin->text;

    if (strchr(text, '/'))
        text = props_path(plan->arena, plugin->base, text);
    print_value(out, "plugin", text ? text : plugin->text);
    print_value(out, "model", model->id);
}

static void print_cpu(FILE *out, const struct plan *plan, const struct config *config)
{
    const struct config_section *section = config_section(config, "cpu");

    fputs("\n[cpu]\n", out);
    if (plan->cpu_model)
        print_plugin(out, plan, section, plan->cpu_model);
    else
        print_value(out, "plugin", "auto");
    for (const struct bp_prop *prop = settings_cpu; prop->name; prop++) {
        /* Written down it would be asked for, and give way to v2 no more. */
        if (!strcmp(prop->name, "level") && !plan->cpu.level_given)
            fputs("; ", out);
        print_prop(out, section, prop, &plan->cpu);
    }
    if (plan->cpu_model)
        print_props(out, section, plan->cpu_model->props, plan->cpu_config);
}

char *plan_print(const struct plan *plan, const struct config *config)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    fputs("; The whole machine, defaults included.\n\n[machine]\n", out);
    print_props(out, config_section(config, "machine"), settings_machine, &plan->machine);
    print_cpu(out, plan, config);
    fputs("\n[boot]\n", out);
    print_props(out, config_section(config, "boot"), settings_boot, &plan->boot);
    for (uint32_t i = 0; i < config->count; i++) {
        const struct plan_instance *instance = plan_find(plan, config->sections[i].name);

        if (!instance)
            continue;
        fprintf(out, "\n[%s]\n", instance->name);
        print_plugin(out, plan, instance->section, instance->model);
        print_props(out, instance->section, instance->model->props, instance->config);
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
