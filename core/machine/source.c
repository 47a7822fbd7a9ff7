/* SPDX-License-Identifier: MIT
 *
 * machine/source.c - the plugin registry as the source of a plan's models.
 */
#include "machine/plan.h"

static int load(void *context, const char *name, const char *base, const struct plugin **out,
                struct error *e)
{
    return plugins_load(context, name, base, out, e);
}

static int model(void *context, const struct plugin *plugin, const char *id,
                 const struct model **out, struct error *e)
{
    (void)context;
    return plugin_model(plugin, id, out, e);
}

int plan_make(struct plan *plan, struct config *config, struct plugins *plugins,
              const struct model *auto_model, struct report *report)
{
    const struct plan_source registry = {
        .context = plugins, .load = load, .model = model, .auto_model = auto_model};

    return plan_make_from(plan, config, &registry, report);
}
