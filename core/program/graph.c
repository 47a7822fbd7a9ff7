/* SPDX-License-Identifier: MIT
 *
 * program/graph.c - `backplane graph`: the machine, looked at and not run.
 */
#include "program/program.h"

#include <stdlib.h>
#include <string.h>

int command_graph(const struct options *o)
{
    const char *format = o->kit.format ? o->kit.format : "tree";
    int status;
    struct bp_machine *m;
    char *text;

    if (strcmp(format, "tree") != 0 && strcmp(format, "dot") != 0 && strcmp(format, "svg") != 0) {
        fprintf(stderr, "backplane: --format: \"%.80s\" is none; expected tree, dot or svg\n",
                format);
        return STATUS_USAGE;
    }
    m = program_machine(o, NULL, NULL, &status);
    if (!m)
        return status;
    status = program_status(bp_machine_check(m));
    if (status == STATUS_OK) {
        text = bp_machine_graph(m, format);
        status = text && fputs(text, stdout) >= 0 ? STATUS_OK : STATUS_FAILED;
        free(text);
    }
    bp_machine_free(m);
    return status;
}
