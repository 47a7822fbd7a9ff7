/* SPDX-License-Identifier: MIT
 *
 * program/img.c - `backplane img`: the work is done by another program, backplane-img.
 *
 * Images are the affair of the plugin blk-file, of which the core knows nothing. Its program is
 * looked for in the folder of this one, and where the system cannot tell that, on the PATH.
 */
#include "program/program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char name[] = "backplane-img";

int command_img(const struct options *o)
{
    char path[PATH_MAX + sizeof(name)];
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *slash, **argv = calloc(o->argument_count + 2u, sizeof(*argv));

    if (!argv) {
        fputs("backplane: out of memory\n", stderr);
        return STATUS_FAILED;
    }
    path[len > 0 ? len : 0] = '\0';
    slash = strrchr(path, '/');
    memcpy(slash ? slash + 1 : path, name, sizeof(name));
    argv[0] = path;
    if (o->argument_count)
        memcpy(argv + 1, o->arguments, o->argument_count * sizeof(*argv));
    execvp(path, argv);
    fprintf(
        stderr,
        "backplane: img needs the program %s: %s; it is installed with the plugin blk-file, beside "
        "backplane\n",
        path, strerror(errno));
    free(argv);
    return STATUS_PLUGIN;
}
