/* SPDX-License-Identifier: MIT
 *
 * machine/board.c - what `[machine] board = pc` brings: sections of the plugin dev-pc, added to the
 * machine file as if they had been written there, unless it has one of the same model.
 */
#include "machine/parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *section, *model;
} pc_parts[] = {
    {"rtc", "rtc"},
    {"acpi", "acpi-pm"},
    {"reset", "reset"},
};

static_assert(sizeof(pc_parts) / sizeof(pc_parts[0]) <= BOARD_PARTS_MAX, "room for every part");

static int has_part(const struct plan *plan, const struct model *model)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->instances[i].model == model)
            return 1;
    return 0;
}

/* `wanted`, or if that is taken "wanted-2" and so on. */
static void free_name(const struct config *config, const char *wanted,
                      char name[CONFIG_NAME_MAX + 1])
{
    snprintf(name, CONFIG_NAME_MAX + 1, "%s", wanted);
    for (unsigned n = 2; config_section(config, name); n++)
        snprintf(name, CONFIG_NAME_MAX + 1, "%s-%u", wanted, n);
}

static int add_part(struct config *config, const char *wanted, const char *model, struct error *e)
{
    char name[CONFIG_NAME_MAX + 1];
    struct config_section *section;
    int ret;

    free_name(config, wanted, name);
    section = config_add_section(config, name, BOARD_ORIGIN, 0, e);
    if (!section)
        return -1;
    ret = config_add_value(config, section, "plugin", "dev-pc", strlen("dev-pc"), BOARD_ORIGIN, "/",
                           0, e);
    if (!ret)
        ret = config_add_value(config, section, "model", model, strlen(model), BOARD_ORIGIN, "/", 0,
                               e);
    return ret;
}

void board_add(struct planning *p)
{
    const struct config_section *machine = config_section(p->config, "machine");
    const struct config_value *board = config_value(machine, "board");
    const char *file = board ? board->file : BOARD_ORIGIN;
    const struct plugin *pc;
    struct error e;

    if (p->plan->machine.board != PLAN_BOARD_PC)
        return;
    if (p->source->load(p->source->context, "dev-pc", "/", &pc, &e)) {
        report_error(
            p->report, file, board ? board->line : 0, "machine",
            "[machine] board = pc needs the plugin dev-pc: %s; board = none runs without it",
            e.text);
        p->missing++;
        return;
    }
    for (unsigned i = 0; i < sizeof(pc_parts) / sizeof(pc_parts[0]); i++) {
        const struct model *model;

        if (p->source->model(p->source->context, pc, pc_parts[i].model, &model, &e)) {
            p->missing++;
            report_error(p->report, file, board ? board->line : 0, "machine",
                         "[machine] board = pc needs the model %s of dev-pc: %s", pc_parts[i].model,
                         e.text);
        } else if (!has_part(p->plan, model) &&
                   add_part(p->config, pc_parts[i].section, pc_parts[i].model, &e))
            report_error(p->report, file, board ? board->line : 0, "machine",
                         "[machine] board = pc: %s", e.text);
    }
}
