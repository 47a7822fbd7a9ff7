/* SPDX-License-Identifier: MIT
 *
 * plugin/loader.h - one file in, one loaded plugin out, or one sentence.
 */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include "plugin/arena.h"
#include "plugin/plugin.h"

#include <sys/stat.h>

/* Of plugin files, on every system: CMake names a MODULE so on macOS too. */
#define PLUGIN_SUFFIX ".so"

/* One file, loaded. `path` in `plugin` lies in the arena. */
struct loaded {
    struct plugin plugin;
    struct loaded *next;
    void *handle; /* of dlopen() */
    struct arena arena;
    dev_t device; /* with inode: the file's identity */
    ino_t inode;
};

/* Identity of the regular file at `path`, for "loaded once". -ENOENT, -EISDIR, -EINVAL for what is
 * no file, ... with the sentence. */
int loader_stat(const char *path, struct stat *out, struct error *e);

/* Loads `path`, which holds a '/'. If `expected` is not NULL the plugin must have that name. On
 * failure nothing stays open, mapped or allocated. Errors as plugins_load(). [main] */
int loader_open(const char *path, const char *expected, struct loaded **out, struct error *e);
/* dlclose() and everything else. */
void loader_close(struct loaded *loaded);

#endif
