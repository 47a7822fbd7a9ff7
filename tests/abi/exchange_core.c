/* SPDX-License-Identifier: MIT
 *
 * abi/exchange_core.c - the core's loader and normaliser behind exchange.h.
 */
#include "exchange.h"

#include "plugin/normalise.h"
#include "plugin/plugin.h"

#include <errno.h>
#include <stdio.h>

static struct plugins *plugins; /* of this test program; nobody else is in it */

int exchange_open(const char *path, const char *id, struct part *out, char why[1024])
{
    const struct plugin *plugin = NULL;
    const struct model *model = NULL;
    struct error e = {""};
    int err = plugins ? 0 : plugins_new(NULL, NULL, &plugins, &e);

    if (!err)
        err = plugins_load(plugins, path, NULL, &plugin, &e);
    if (!err)
        err = plugin_model(plugin, id, &model, &e);
    snprintf(why, 1024, "%s", e.text);
    if (err)
        return err;
    out->ops = model->instance;
    out->config_size = model->config_size;
    out->prop_count = model->prop_count;
    for (uint32_t i = 0; i < model->prop_count && i < 32; i++)
        out->props[i] = model->props[i];
    return 0;
}

int exchange_table(const char *id, int is_port, void *to, const void *from)
{
    const struct interface *i = interface_find(id);
    struct error e;

    if (!i)
        return -EINVAL;
    return normalise(to, is_port ? i->port_table : i->table, from, &e);
}

void exchange_close(void)
{
    plugins_free(plugins);
    plugins = NULL;
}
