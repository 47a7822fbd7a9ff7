/* SPDX-License-Identifier: MIT
 *
 * program/installed.c - where this program's plugins and templates are: at a fixed place relative
 * to its own file.
 *
 * CMake gives PROGRAM_PLUGINS and PROGRAM_TEMPLATES, the ways from the folder of the program to
 * those, unless one of them is installed outside of the prefix: such an installation cannot be
 * moved. Systems without /proc (macOS) have the configured folder only.
 */
#include "program/program.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder at `way` from that of the program's file; NULL if it is not there. */
static const char *beside(const char *way, char *to, size_t size)
{
    char path[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (len <= 0)
        return NULL;
    path[len] = 0;
    char *slash = strrchr(path, '/');
    if (path[0] != '/' || !slash)
        return NULL;
    *slash = 0;
    snprintf(joined, sizeof(joined), "%s/%s", path, way);
    /* A build tree has it elsewhere. */
    char *real = realpath(joined, NULL);
    bool fits = real && strlen(real) < size;
    if (fits)
        memcpy(to, real, strlen(real) + 1);
    free(real);
    return fits ? to : NULL;
}

const char *program_installed_plugins(char *to, size_t size)
{
#ifdef PROGRAM_PLUGINS
    return beside(PROGRAM_PLUGINS, to, size);
#else
    (void)beside, (void)to, (void)size;
    return NULL;
#endif
}

const char *program_templates(char *to, size_t size)
{
    const char *named = getenv("BACKPLANE_TEMPLATES");

    if (named && *named)
        return named;
#ifdef PROGRAM_TEMPLATES
    return beside(PROGRAM_TEMPLATES, to, size);
#else
    (void)to, (void)size;
    return INSTALLED_TEMPLATES;
#endif
}
