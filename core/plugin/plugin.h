/* SPDX-License-Identifier: MIT
 *
 * plugin/plugin.h - plugins: found, loaded, copied once, normalised, kept in a registry.
 *
 * Everything that a plugin's descriptor says is copied deep at load: each table into a full-size
 * one of this host's, absent members filled with stubs, strings included. So no later code asks
 * about sizes, strides or NULL, and a plugin's memory is read exactly once.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "base/error.h"

#include <backplane/plugin.h>
#include <stdbool.h>

struct plugin;
struct plugins;

/* A region that instances of a model make, as far as its table tells. */
struct model_region {
    const char *name;
    const struct bp_register *registers; /* stride sizeof(struct bp_register); name NULL ends it */
    uint32_t register_count;
    uint8_t min_access, max_access; /* bytes */
    uint8_t reserved[2];
};

/* A model with every table at this host's size. Lives as long as its registry. */
struct model {
    const struct plugin *plugin;
    const char *id, *summary;
    uint32_t kind, flags;
    const struct bp_prop *props;      /* stride sizeof(struct bp_prop); ends with name == NULL */
    uint32_t prop_count, config_size; /* the host's keys included, which come last */
    uint32_t thread_at; /* with BP_MODEL_THREAD: where the config has `thread`, a uint8_t */
    uint32_t reserved;
    struct bp_instance_ops instance; /* every kind but CPU; no member NULL but `fields` */
    struct bp_cpu_ops cpu;           /* kind CPU; no member NULL */
    const struct model_region *regions;
    uint32_t region_count;
    uint32_t reserved2;
};

struct plugin {
    const char *path, *name, *version;
    uint32_t abi_minor;
    uint32_t model_count;
    const struct model *models;
};

/* Folders in the order they are searched: `extra` (colon-separated, may be NULL),
 * BACKPLANE_PLUGIN_PATH,
 * ~/.local/lib/backplane/plugins, and `installed`, one folder, or NULL for the one that CMake was
 * told. A program that was moved names its own, and the configured one is not searched: what stands
 * there now may be another version. Empty and relative parts of `extra` and of the variable, and a
 * relative `installed`, are refused with a sentence. -EINVAL, -ENOMEM. [main] */
int plugins_new(const char *extra, const char *installed, struct plugins **out, struct error *e);
/* Closes every plugin: none of their code may run any more. NULL is allowed. [main] */
void plugins_free(struct plugins *plugins);

/* The plugin `name` of a machine file: looked up on the path, first folder first, where the file
 * must have the name of the plugin in it; or, if it contains a '/', that file, relative to folder
 * `base` (NULL: the current one), whatever it calls itself. A file is loaded once, by whatever path
 * it is reached. -ENOENT; -ENOEXEC no shared object for this host; -EISDIR, -EACCES ...; -ENOTSUP
 * other ABI major, or a newer minor needed; -EINVAL a bad name or bad tables: each with its
 * sentence, and nothing stays loaded.
 *
 * The file's headers are checked first, its tables are data. But dlopen() runs the constructors of
 * a shared object (C++ statics, __attribute__((constructor))): one that crashes or never returns
 * takes the process with it, which nothing here can catch. Plugins are trusted code. [main] */
int plugins_load(struct plugins *plugins, const char *name, const char *base,
                 const struct plugin **out, struct error *e);
/* Every plugin found on the path, in order of name. Files that cannot be loaded are told to
 * `broken` with their sentence. The first of two files with one name wins; the other is told to
 * `broken` too. -ENOMEM. [main] */
int plugins_scan(struct plugins *plugins, void (*found)(void *context, const struct plugin *plugin),
                 void (*broken)(void *context, const char *path, const char *why), void *context);
/* Folder number `index` of the path; NULL past the last. [any] */
const char *plugins_folder(const struct plugins *plugins, uint32_t index);

/* The model `id` of `plugin`, or, if `id` is NULL, its first. -ENOENT with what there is,
 * did-you-mean. */
int plugin_model(const struct plugin *plugin, const char *id, const struct model **out,
                 struct error *e);

/* "device", "net", ... for BP_KIND_*; NULL for any other number. */
const char *plugin_kind_name(uint32_t kind);

#endif
