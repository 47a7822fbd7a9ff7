/* SPDX-License-Identifier: MIT
 *
 * program/plugins.c - `backplane plugins`: what there is, and what each offers.
 */
#include "program/program.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int command_plugins(const struct options *o)
{
    char installed[PATH_MAX];
    const struct bp_machine_options options = {
        .size = sizeof(options),
        .plugin_path = o->plugin_path,
        .installed_plugins = program_installed_plugins(installed, sizeof(installed))};
    const char *name = NULL;
    struct bp_machine *m;

    if (o->argument_count == 2 && !strcmp(o->arguments[0], "show"))
        name = o->arguments[1];
    else if (o->argument_count)
        return fprintf(stderr, "backplane: plugins takes nothing, or show NAME, not \"%s\"\n",
                       o->arguments[0]),
               STATUS_USAGE;
    int err = bp_machine_new(&options, &m);
    if (err)
        return program_status(err);
    char *text = bp_machine_plugins(m, name, o->json);
    int status = text ? STATUS_OK : STATUS_PLUGIN;
    if (text && (fputs(text, stdout) < 0 || fflush(stdout)))
        status = STATUS_FAILED;
    free(text);
    bp_machine_free(m);
    return status;
}
