/* SPDX-License-Identifier: MIT
 *
 * machine/parts.h - the steps that plan_make() consists of. Private to core/machine.
 *
 *     settings (machine), backend -> models, board -> links (order, domains) -> settings (cpu,
 * boot), props -> conflicts
 */
#ifndef MACHINE_PARTS_H
#define MACHINE_PARTS_H

#include "machine/plan.h"
#include "machine/props.h"

#define BOARD_ORIGIN "the pc board"
#define BOARD_PARTS_MAX 8u /* sections that a board adds */

/* What all steps need. */
struct planning {
    struct plan *plan;
    struct config *config;
    const struct plan_source *source;
    struct report *report;
    const struct model *backend; /* NULL: wrong, or one that `plugin = auto` is yet to choose */
    uint32_t missing;            /* of the errors told: plugins and models that are not there */
};

/* True if it is known that the machine's interrupt controllers are not the backend's. */
static inline int planning_lacks_irqchip(const struct planning *p)
{
    return p->backend && !(p->backend->flags & BP_MODEL_IRQCHIP);
}

/* ---- settings.c: the core's own sections ---- */

extern const struct bp_prop settings_machine[], settings_cpu[], settings_boot[];
/* The sections whose meaning is the core's; ends with NULL. */
extern const char *const settings_sections[];

int settings_is_section(const char *name);
/* [machine]; -EINVAL if it was wrong. */
int settings_fill_machine(struct planning *p);
void settings_fill_boot(struct planning *p);
/* Which backend [cpu] names: p->backend, and plan->cpu_model unless it is `auto`. */
void settings_find_backend(struct planning *p);
/* [cpu] and its backend's keys; after settings_find_backend(). */
void settings_fill_cpu(struct planning *p);

/* ---- board.c ---- */

/* Adds the sections of [machine] board to the config, where plan->instances (models known, no
 * section pointers yet) lack them. */
void board_add(struct planning *p);

/* ---- plan.c ---- */

/* The model that `section` names. NULL after telling why not. */
const struct model *plan_model(struct planning *p, const struct config_section *section);
/* The value of a REF: job->find of every section, with a struct planning as context. */
void *plan_ref(void *context, const struct props_job *job, const struct bp_prop *prop,
               const struct props_text *from, const char *name);
/* "dev-uart (model 16550a)", in the arena. */
const char *plan_model_name(struct planning *p, const struct model *model);

/* ---- links.c ---- */

/* Sorts plan->instances so that each stands after what it names, and numbers the lock domains. In
 * from[k] is told where the k-th instance in the file's order went. -EINVAL, -ENOMEM after telling.
 */
int links_resolve(struct planning *p, uint32_t *from);

/* ---- conflicts.c ---- */

/* Tells claims that overlap; fills plan->reserved. `ram_known`: plan->machine.memory is right.
 * Instances without a config struct are left out. */
void conflicts_check(struct planning *p, int ram_known);

#endif
