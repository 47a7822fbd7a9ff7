/* SPDX-License-Identifier: MIT
 *
 * machine/board.c - what `[machine] board = pc` brings: sections of the plugin dev-pc, added to the
 * machine file as if they had been written there, unless it has one of the same model. Interrupt
 * controllers and event timers come only where the CPU backend is known to have none, what firmware
 * asks for only with firmware.
 */
#include "machine/parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct part {
    const char *section, *model;
    int of_irqchip;         /* for backends without BP_MODEL_IRQCHIP only */
    int of_firmware;        /* for machines that start from firmware only */
    const char *refs[2][2]; /* keys, and the parts that they name, which stand before this one */
};

static const struct part pc_parts[] = {
    {.section = "rtc", .model = "rtc"},
    {.section = "acpi", .model = "acpi-pm"},
    {.section = "reset", .model = "reset"},
    {.section = "irqchip", .model = "irqchip", .of_irqchip = 1},
    {.section = "hpet",
     .model = "hpet",
     .of_irqchip = 1,
     .refs = {{"irqchip", "irqchip"}, {"rtc", "rtc"}}},
    {.section = "host-bridge", .model = "host-bridge", .of_firmware = 1},
    {.section = "fw-cfg", .model = "fw-cfg", .of_firmware = 1},
};

#define PARTS (sizeof(pc_parts) / sizeof(pc_parts[0]))

static_assert(PARTS <= BOARD_PARTS_MAX, "room for every part");

/* The section of each part, written or added. */
struct sections {
    char name[PARTS][CONFIG_NAME_MAX + 1];
};

/* Who stands for a part in the file: of its model, or for interrupt controllers any that are. */
static const struct plan_instance *find_part(const struct plan *plan, const struct model *model)
{
    if (model->flags & BP_MODEL_IRQCHIP)
        return plan_irqchip(plan);
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->instances[i].model == model)
            return &plan->instances[i];
    return NULL;
}

/* `wanted`, or if that is taken "wanted-2" and so on. */
static void free_name(const struct config *config, const char *wanted,
                      char name[CONFIG_NAME_MAX + 1])
{
    snprintf(name, CONFIG_NAME_MAX + 1, "%s", wanted);
    for (unsigned n = 2; config_section(config, name); n++)
        snprintf(name, CONFIG_NAME_MAX + 1, "%s-%u", wanted, n);
}

static int add_key(struct config *config, struct config_section *section, const char *key,
                   const char *value, struct error *e)
{
    return config_add_value(config, section, key, value, strlen(value), BOARD_ORIGIN, "/", 0, e);
}

static const char *section_of(const struct sections *sections, const char *part)
{
    for (unsigned i = 0; i < PARTS; i++)
        if (!strcmp(pc_parts[i].section, part))
            return sections->name[i];
    return "";
}

static int add_part(struct config *config, const struct part *part, struct sections *sections,
                    struct error *e)
{
    char *name = sections->name[part - pc_parts];
    struct config_section *section;
    int ret;

    free_name(config, part->section, name);
    section = config_add_section(config, name, BOARD_ORIGIN, 0, e);
    if (!section)
        return -1;
    ret = add_key(config, section, "plugin", "dev-pc", e);
    if (!ret)
        ret = add_key(config, section, "model", part->model, e);
    for (unsigned i = 0; !ret && i < 2 && part->refs[i][0]; i++)
        ret = add_key(config, section, part->refs[i][0], section_of(sections, part->refs[i][1]), e);
    return ret;
}

/* Adds the part unless there is one. */
static void provide_part(struct planning *p, const struct plugin *pc, const struct part *part,
                         const struct config_value *board, struct sections *sections)
{
    const char *file = board ? board->file : BOARD_ORIGIN;
    const struct plan_instance *there;
    const struct model *model;
    struct error e;

    if (p->source->model(p->source->context, pc, part->model, &model, &e)) {
        p->missing++;
        report_error(p->report, file, board ? board->line : 0, "machine",
                     "[machine] board = pc needs the model %s of dev-pc: %s", part->model, e.text);
        return;
    }
    there = find_part(p->plan, model);
    if (there)
        snprintf(sections->name[part - pc_parts], CONFIG_NAME_MAX + 1, "%s", there->name);
    else if (add_part(p->config, part, sections, &e))
        report_error(p->report, file, board ? board->line : 0, "machine",
                     "[machine] board = pc: %s", e.text);
}

/* Whether it is any good is not known yet. */
static int names_firmware(const struct planning *p)
{
    return config_value(config_section(p->config, "boot"), "firmware") != NULL;
}

void board_add(struct planning *p)
{
    const struct config_section *machine = config_section(p->config, "machine");
    const struct config_value *board = config_value(machine, "board");
    const char *file = board ? board->file : BOARD_ORIGIN;
    struct sections sections = {0};
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
    for (unsigned i = 0; i < PARTS; i++)
        if ((!pc_parts[i].of_irqchip || planning_lacks_irqchip(p)) &&
            (!pc_parts[i].of_firmware || names_firmware(p)))
            provide_part(p, pc, &pc_parts[i], board, &sections);
}
