/* SPDX-License-Identifier: MIT
 *
 * plugin/registry.c - the plugin path, and what was loaded from it.
 *
 * A folder of the path that does not exist is no error: most users have none of their own. The
 * current folder is never searched: every part of the path is absolute, and a name becomes a path
 * only by a '/' that somebody wrote.
 */
#include "base/nearest.h"
#include "plugin/descriptor.h"
#include "plugin/loader.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_FOLDER ".local/lib/backplane/plugins"
#define FOLDERS_MAX 64u
#define FILES_MAX 65536u /* looked at in one folder */

struct plugins {
    struct loaded *first;
    uint32_t count, reserved;
    char *folders[FOLDERS_MAX];
};

static int out_of_memory(struct error *e)
{
    return error_set(e, -ENOMEM, "out of memory");
}

/* ---- the path ------------------------------------------------------------------------------- */

static int add_folder(struct plugins *p, const char *folder, size_t len, struct error *e)
{
    while (len > 1 && folder[len - 1] == '/')
        len--;
    for (uint32_t i = 0; i < p->count; i++)
        if (strlen(p->folders[i]) == len && memcmp(p->folders[i], folder, len) == 0)
            return 0;
    if (p->count == FOLDERS_MAX)
        return error_set(e, -EINVAL, "the plugin path has more than %u folders; name fewer",
                         FOLDERS_MAX);
    p->folders[p->count] = strndup(folder, len);
    if (!p->folders[p->count])
        return out_of_memory(e);
    p->count++;
    return 0;
}

/* Adds the colon-separated `list`, which came from `origin`. */
static int add_list(struct plugins *p, const char *list, const char *origin, struct error *e)
{
    for (;;) {
        size_t len = strcspn(list, ":");
        int err;

        if (len == 0)
            return error_set(e, -EINVAL,
                             "%s has an empty part; expected absolute folders separated by ':'",
                             origin);
        if (list[0] != '/')
            return error_set(e, -EINVAL,
                             "%s names '%.*s', which is relative; expected absolute folders: "
                             "plugins are never taken from the current folder by accident",
                             origin, len < 256 ? (int)len : 256, list);
        if (len >= PATH_MAX)
            return error_set(e, -EINVAL, "%s has a part of %zu bytes; a path has less than %d",
                             origin, len, PATH_MAX);
        err = add_folder(p, list, len, e);
        if (err)
            return err;
        if (!list[len])
            return 0;
        list += len + 1;
    }
}

int plugins_new(const char *extra, const char *installed, struct plugins **out, struct error *e)
{
    const char *variable = getenv("BACKPLANE_PLUGIN_PATH"), *home = getenv("HOME");
    struct plugins *p = calloc(1, sizeof(*p));
    char user[PATH_MAX];
    int err = 0;

    if (!p)
        return out_of_memory(e);
    if (extra)
        err = add_list(p, extra, "--plugin-path", e);
    /* Set but empty is as good as not set: that is how a shell unsets it for one command. */
    if (!err && variable && *variable)
        err = add_list(p, variable, "BACKPLANE_PLUGIN_PATH", e);
    if (!err && home && home[0] == '/' &&
        (size_t)snprintf(user, sizeof(user), "%s/" USER_FOLDER, home) < sizeof(user))
        err = add_folder(p, user, strlen(user), e);
    if (!installed)
        installed = BACKPLANE_INSTALLED_PLUGINS;
    if (!err && (installed[0] != '/' || strlen(installed) >= PATH_MAX))
        err = error_set(e, -EINVAL,
                        "the installed plugin folder is said to be '%.256s'; expected an absolute "
                        "path of less than %d bytes",
                        installed, PATH_MAX);
    if (!err)
        err = add_folder(p, installed, strlen(installed), e);
    if (err) {
        plugins_free(p);
        return err;
    }
    *out = p;
    return 0;
}

void plugins_free(struct plugins *plugins)
{
    if (!plugins)
        return;
    while (plugins->first) {
        struct loaded *next = plugins->first->next;

        loader_close(plugins->first);
        plugins->first = next;
    }
    for (uint32_t i = 0; i < plugins->count; i++)
        free(plugins->folders[i]);
    free(plugins);
}

const char *plugins_folder(const struct plugins *plugins, uint32_t index)
{
    return index < plugins->count ? plugins->folders[index] : NULL;
}

/* ---- the files in it ------------------------------------------------------------------------ */

struct file {
    char *name; /* without suffix */
    uint32_t folder;
    uint32_t reserved;
};

struct files {
    struct file *list;
    size_t count, capacity;
};

static int files_add(struct files *files, const char *name, size_t len, uint32_t folder)
{
    if (files->count == files->capacity) {
        size_t more = files->capacity ? files->capacity * 2 : 32;
        struct file *list =
            more <= SIZE_MAX / sizeof(*list) ? realloc(files->list, more * sizeof(*list)) : NULL;

        if (!list)
            return -ENOMEM;
        files->list = list;
        files->capacity = more;
    }
    files->list[files->count].name = strndup(name, len);
    if (!files->list[files->count].name)
        return -ENOMEM;
    files->list[files->count++].folder = folder;
    return 0;
}

static void files_free(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->list[i].name);
    free(files->list);
}

static int by_name_then_folder(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->folder > y->folder) - (x->folder < y->folder);
}

/* Every *.so on the path, sorted. 0 or -ENOMEM. */
static int files_find(const struct plugins *p, struct files *files)
{
    int err = 0;

    for (uint32_t i = 0; !err && i < p->count; i++) {
        DIR *dir = opendir(p->folders[i]);
        struct dirent *entry;

        if (!dir)
            continue;
        for (uint32_t n = 0; !err && n < FILES_MAX && (entry = readdir(dir)); n++) {
            size_t len = strlen(entry->d_name), suffix = strlen(PLUGIN_SUFFIX);

            if (entry->d_name[0] != '.' && len > suffix &&
                strcmp(entry->d_name + len - suffix, PLUGIN_SUFFIX) == 0)
                err = files_add(files, entry->d_name, len - suffix, i);
        }
        closedir(dir);
    }
    if (files->count)
        qsort(files->list, files->count, sizeof(*files->list), by_name_then_folder);
    return err;
}

/* ---- loading -------------------------------------------------------------------------------- */

/* Loads the file at `path` unless it is loaded already. */
static int load_path(struct plugins *p, const char *path, const char *expected,
                     const struct plugin **out, struct error *e)
{
    struct loaded **end = &p->first, *l = NULL;
    struct stat st;
    int err = loader_stat(path, &st, e);

    if (err)
        return err;
    for (; *end; end = &(*end)->next)
        if ((*end)->device == st.st_dev && (*end)->inode == st.st_ino)
            break;
    if (*end) {
        /* A file that first came by its path may still not be what the name asks for. */
        if (expected && strcmp(expected, (*end)->plugin.name) != 0)
            return error_set(e, -EINVAL,
                             "%s holds the plugin '%s', not '%s'; rename it to %s" PLUGIN_SUFFIX
                             ", or name it by its path",
                             path, (*end)->plugin.name, expected, (*end)->plugin.name);
        *out = &(*end)->plugin;
        return 0;
    }
    err = loader_open(path, expected, &l, e);
    if (err)
        return err;
    *end = l;
    *out = &l->plugin;
    return 0;
}

static bool path_join(char to[PATH_MAX], const char *folder, const char *name, const char *suffix)
{
    const char *slash = folder[0] && folder[strlen(folder) - 1] == '/' ? "" : "/";

    return (size_t)snprintf(to, PATH_MAX, "%s%s%s%s", folder, slash, name, suffix) < PATH_MAX;
}

/* The plugin on the path that `name` may have meant, for "did you mean"; copied to `to`, or "". */
static void guess(const struct plugins *p, const char *name, char to[DESCRIPTOR_ID_MAX + 1])
{
    size_t len = strlen(name), suffix = strlen(PLUGIN_SUFFIX);
    char stem[DESCRIPTOR_ID_MAX + 1];
    struct files files = {0};
    const char **names;
    const char *found;

    to[0] = '\0';
    /* "dev-uart.so" is one of the likely slips. */
    if (len > suffix && strcmp(name + len - suffix, PLUGIN_SUFFIX) == 0)
        len -= suffix;
    snprintf(stem, sizeof(stem), "%.*s", (int)len, name);
    if (files_find(p, &files) == 0 && (names = calloc(files.count + 1, sizeof(*names)))) {
        for (size_t i = 0; i < files.count; i++)
            names[i] = files.list[i].name;
        found = nearest_word(stem, names);
        if (found && descriptor_is_name(found))
            snprintf(to, DESCRIPTOR_ID_MAX + 1, "%s", found);
        free(names);
    }
    files_free(&files);
}

static int not_found(const struct plugins *p, const char *name, struct error *e)
{
    char folders[640] = "", mean[DESCRIPTOR_ID_MAX + 1];
    size_t at = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        size_t need = strlen(p->folders[i]) + 2;

        if (at + need + sizeof(" and 64 more") > sizeof(folders)) {
            snprintf(folders + at, sizeof(folders) - at, " and %u more", p->count - i);
            break;
        }
        at += (size_t)snprintf(folders + at, sizeof(folders) - at, "%s%s", i ? ", " : "",
                               p->folders[i]);
    }
    guess(p, name, mean);
    return error_set(e, -ENOENT,
                     "plugin '%s' was not found%s%s%s searched: %s; install it, or name its folder "
                     "with --plugin-path or BACKPLANE_PLUGIN_PATH",
                     name, mean[0] ? "; did you mean '" : "", mean, mean[0] ? "'?" : ";", folders);
}

static int load_by_path(struct plugins *p, const char *name, const char *base,
                        const struct plugin **out, struct error *e)
{
    char path[PATH_MAX];

    while (strncmp(name, "./", 2) == 0 && name[2])
        name += 1 + strspn(name + 1, "/");
    if (!(name[0] == '/' ? path_join(path, "/", name + strspn(name, "/"), "")
                         : path_join(path, base ? base : ".", name, "")))
        return error_set(e, -EINVAL, "the path of plugin '%.64s...' is longer than %d bytes", name,
                         PATH_MAX - 1);
    return load_path(p, path, NULL, out, e);
}

int plugins_load(struct plugins *plugins, const char *name, const char *base,
                 const struct plugin **out, struct error *e)
{
    char path[PATH_MAX], quoted[DESCRIPTOR_ID_MAX + 1];
    struct stat st;

    if (strchr(name, '/'))
        return load_by_path(plugins, name, base, out, e);
    if (!descriptor_is_name(name))
        return error_set(
            e, -EINVAL,
            "'%s' is no plugin's name; expected 1 to %u letters, digits, '.', '_', '+' "
            "and '-', a letter or digit first, no '..'; a path has a '/'",
            descriptor_shown(name, quoted), DESCRIPTOR_ID_MAX);
    for (uint32_t i = 0; i < plugins->count; i++) {
        if (!path_join(path, plugins->folders[i], name, PLUGIN_SUFFIX))
            continue;
        /* Anything of that name wins, good or bad; what cannot be reached is not there. */
        if (stat(path, &st) == 0)
            return load_path(plugins, path, name, out, e);
    }
    return not_found(plugins, name, e);
}

int plugins_scan(struct plugins *plugins, void (*found)(void *context, const struct plugin *plugin),
                 void (*broken)(void *context, const char *path, const char *why), void *context)
{
    struct files files = {0};
    int err = files_find(plugins, &files);
    char path[PATH_MAX];
    struct error e;

    for (size_t i = 0; !err && i < files.count; i++) {
        const struct file *f = &files.list[i];
        const struct plugin *plugin = NULL;

        if (!path_join(path, plugins->folders[f->folder], f->name, PLUGIN_SUFFIX))
            continue;
        if (!descriptor_is_name(f->name)) {
            error_set(&e, -EINVAL,
                      "%s cannot be named in a machine file; rename it to letters, digits, '.', "
                      "'_', '+' and '-', a letter or digit first",
                      path);
            broken(context, path, e.text);
        } else if (i && strcmp(f->name, files.list[i - 1].name) == 0) {
            error_set(&e, -EEXIST,
                      "%s is not used: %s comes first on the plugin path and has '%s' too; name "
                      "it by its path to use it",
                      path, plugins->folders[files.list[i - 1].folder], f->name);
            broken(context, path, e.text);
        } else {
            err = load_path(plugins, path, f->name, &plugin, &e);
            if (!err)
                found(context, plugin);
            else if (err != -ENOMEM)
                broken(context, path, e.text);
            err = err == -ENOMEM ? err : 0;
        }
    }
    files_free(&files);
    return err;
}

/* ---- what a plugin has ---------------------------------------------------------------------- */

int plugin_model(const struct plugin *plugin, const char *id, const struct model **out,
                 struct error *e)
{
    const char *names[DESCRIPTOR_MODELS_MAX + 1], *mean;
    char all[512] = "", quoted[DESCRIPTOR_ID_MAX + 1];
    size_t at = 0;

    for (uint32_t i = 0; i < plugin->model_count; i++) {
        const char *name = names[i] = plugin->models[i].id;

        if (!id || strcmp(name, id) == 0) {
            *out = &plugin->models[i];
            return 0;
        }
        if (at + strlen(name) + sizeof(", ...") < sizeof(all))
            at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "", name);
        else if (all[at - 1] != '.')
            at += (size_t)snprintf(all + at, sizeof(all) - at, ", ...");
    }
    names[plugin->model_count] = NULL;
    mean = nearest_word(id, names);
    return error_set(e, -ENOENT, "plugin '%s' has no model '%s'; it has %s%s%s%s", plugin->name,
                     descriptor_shown(id, quoted), all, mean ? "; did you mean '" : "",
                     mean ? mean : "", mean ? "'?" : "");
}

const char *plugin_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [BP_KIND_CPU] = "cpu",   [BP_KIND_DEVICE] = "device", [BP_KIND_NET] = "net",
        [BP_KIND_CHAR] = "char", [BP_KIND_BLOCK] = "block",   [BP_KIND_SERVICE] = "service",
    };

    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : NULL;
}
