/* SPDX-License-Identifier: MIT
 *
 * plugin/loader.c - a plugin file is looked at, opened, and its descriptor copied.
 *
 * Order matters: what the file is (stat), whether this host can run it (elf_check.c), dlopen() with
 * every symbol resolved now, the entry symbol of our major, its tables (descriptor.c). A file that
 * is replaced in between meets dlopen()'s own checks only.
 */
#include "plugin/loader.h"
#include "plugin/descriptor.h"
#include "plugin/elf_check.h"
#include "plugin/macho_check.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_PREFIX "bp_plugin_v" /* and the major: backplane/abi.h, rule 1 */
#define MAJORS 64u                 /* that are looked for, to say what a plugin is instead */

int loader_stat(const char *path, struct stat *out, struct error *e)
{
    const char *kind;
    int err;

    if (stat(path, out)) {
        err = errno;
        if (err == ENOENT || err == ENOTDIR)
            return error_set(e, -ENOENT, "%s does not exist; expected the file of a plugin", path);
        return error_set(e, -err,
                         "%s cannot be looked at: %s; check the permissions of its folders", path,
                         strerror(err));
    }
    switch (out->st_mode & S_IFMT) {
    case S_IFREG:
        return 0;
    case S_IFDIR:
        kind = "a folder";
        break;
    case S_IFIFO:
        kind = "a FIFO";
        break;
    case S_IFSOCK:
        kind = "a socket";
        break;
    default:
        kind = "a device";
    }
    return error_set(e, S_ISDIR(out->st_mode) ? -EISDIR : -EINVAL,
                     "%s is %s; expected the file of a plugin", path, kind);
}

static int read_fd(void *context, uint64_t offset, void *to, uint64_t length)
{
    int fd = *(const int *)context;
    char *at = to;

    while (length) {
        ssize_t n = pread(fd, at, length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* it was longer a moment ago */
        at += n;
        offset += (uint64_t)n;
        length -= (uint64_t)n;
    }
    return 0;
}

static int check_file(const char *path, struct stat *st, struct error *e)
{
    int fd, err = loader_stat(path, st, e);

    if (err)
        return err;
    /* O_NONBLOCK: should it have become a FIFO meanwhile. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        err = errno;
        return error_set(e, -err, "%s cannot be read: %s; expected a file that this user may read",
                         path, strerror(err));
    }
    const struct elf_source file = {
        .length = (uint64_t)st->st_size, .read = read_fd, .context = &fd};
#ifdef __APPLE__
    err = macho_check(&file, MACHO_HOST, path, e);
#else
    err = elf_check(&file, path, e);
#endif
    close(fd);
    return err;
}

/* dlerror() begins with the path, or with that of a library which is missing. */
static int dlopen_failed(const char *path, struct error *e)
{
    const char *why = dlerror();
    size_t len = strlen(path);

    if (!why)
        why = "no reason is given";
    else if (strncmp(why, path, len) == 0 && strncmp(why + len, ": ", 2) == 0)
        why += len + 2;
    if (strstr(why, "undefined symbol"))
        return error_set(e, -ENOEXEC,
                         "%s has an unresolved symbol (%s); link it with every library that it "
                         "uses, -Wl,-z,defs finds what is missing",
                         path, why);
    if (strstr(why, "cannot open shared object file"))
        return error_set(e, -ENOEXEC, "%s needs a library that is not there (%s); install it", path,
                         why);
    return error_set(e, -ENOEXEC, "%s cannot be loaded: %s; build it again for this host", path,
                     why);
}

static int no_entry(void *handle, const char *path, struct error *e)
{
    char symbol[32];

    for (unsigned major = 0; major < MAJORS; major++) {
        snprintf(symbol, sizeof(symbol), ENTRY_PREFIX "%u", major);
        if (major != BP_ABI_MAJOR && dlsym(handle, symbol))
            return error_set(
                e, -ENOTSUP,
                "%s is a plugin of another ABI major: it has %s, this host reads " ENTRY_PREFIX
                "%u; build it with this host's headers",
                path, symbol, BP_ABI_MAJOR);
    }
    return error_set(e, -ENOEXEC,
                     "%s is a shared object, but no plugin: it lacks the symbol " ENTRY_PREFIX
                     "%u; export it, as bp_add_plugin() does",
                     path, BP_ABI_MAJOR);
}

int loader_open(const char *path, const char *expected, struct loaded **out, struct error *e)
{
    const struct bp_plugin *entry;
    char symbol[32], *own_path;
    struct loaded *l;
    struct stat st;
    int err = check_file(path, &st, e);

    if (err)
        return err;
    l = calloc(1, sizeof(*l));
    own_path = l ? arena_take(&l->arena, strlen(path) + 1) : NULL;
    if (!own_path) {
        err = error_set(e, -ENOMEM, "out of memory");
        goto fail;
    }
    memcpy(own_path, path, strlen(path) + 1);
    l->plugin.path = own_path;
    l->device = st.st_dev;
    l->inode = st.st_ino;
    l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) {
        err = dlopen_failed(path, e);
        goto fail;
    }
    snprintf(symbol, sizeof(symbol), ENTRY_PREFIX "%u", BP_ABI_MAJOR);
    entry = dlsym(l->handle, symbol);
    if (!entry) {
        err = no_entry(l->handle, path, e);
        goto fail;
    }
    err = descriptor_copy(entry, own_path, &l->arena, &l->plugin, e);
    if (err)
        goto fail;
    if (expected && strcmp(expected, l->plugin.name) != 0) {
        err = error_set(e, -EINVAL,
                        "%s holds the plugin '%s', not '%s'; rename it to %s" PLUGIN_SUFFIX
                        ", or name it by its path",
                        path, l->plugin.name, expected, l->plugin.name);
        goto fail;
    }
    *out = l;
    return 0;
fail:
    loader_close(l);
    return err;
}

void loader_close(struct loaded *loaded)
{
    if (!loaded)
        return;
    if (loaded->handle)
        dlclose(loaded->handle);
    arena_free(&loaded->arena);
    free(loaded);
}
