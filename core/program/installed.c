/* SPDX-License-Identifier: MIT
 *
 * program/installed.c - where this program's plugins are: at a fixed place relative to its own
 * file.
 *
 * CMake gives PROGRAM_PLUGINS, the way from the folder of the program to that of the plugins,
 * unless one of them is installed outside of the prefix: such an installation cannot be moved.
 * Systems without /proc (macOS) have the configured folder only.
 */
#include "program/program.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *program_installed_plugins(char *to, size_t size)
{
#ifdef PROGRAM_PLUGINS
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (len <= 0)
        return NULL;
    path[len] = 0;
    char *slash = strrchr(path, '/');
    if (path[0] != '/' || !slash)
        return NULL;
    *slash = 0;
    char joined[PATH_MAX + sizeof(PROGRAM_PLUGINS) + 1];
    snprintf(joined, sizeof(joined), "%s/%s", path, PROGRAM_PLUGINS);
    /* A build tree has its plugins elsewhere. */
    char *real = realpath(joined, NULL);
    bool fits = real && strlen(real) < size;
    if (fits)
        memcpy(to, real, strlen(real) + 1);
    free(real);
    return fits ? to : NULL;
#else
    (void)to, (void)size;
    return NULL;
#endif
}
