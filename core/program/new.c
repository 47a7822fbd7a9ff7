/* SPDX-License-Identifier: MIT
 *
 * program/new.c - `backplane new plugin`: a folder with the beginnings of a plugin, from templates.
 *
 * The templates are files, installed in share/backplane/templates, or, for a program in a build
 * tree, in the folder that BACKPLANE_TEMPLATES names. One folder holds what all share, one more for
 * each kind and language what it has of its own; a file in both is the latter's. @WORDS@ are
 * replaced.
 */
#include "base/nearest.h"
#include "program/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 48u
#define FILE_MAX (1u << 20)

struct kind {
    const char *name, *prefix; /* that a plugin of this kind usually has */
    const char *summary;
    const char *expected; /* what its machine says when all is well */
};

static const struct kind kinds[] = {
    {"device", "dev-", "a ticker that interrupts and stores its count by DMA", "three ticks"},
    {"cpu", "cpu-", "the smallest of processors, with seven instructions", "ready"},
    {"net", "net-", "a network that sends every frame back", "ready"},
    {"char", "chr-", "a secretary who writes what the guest says into the log", "line 1: ready"},
    {"block", "blk-", "a disk of memory", "ready"},
    {"service", "svc-", "a chronicle of the machine, in the log", "the machine is running"},
};

struct language {
    const char *name, *source, *title;
};

static const struct language languages[] = {
    {"c", "plugin.c", "C"}, {"c++", "plugin.cc", "C++"}, {"rust", "plugin.rs", "Rust"}};

struct job {
    const char *name;
    const struct kind *kind;
    const struct language *language;
    char id[NAME_MAX_BYTES + 1], identifier[NAME_MAX_BYTES + 1];
};

/* ---- names ----------------------------------------------------------------------------------- */

static int refuse(const char *what, const char *found, const char *expected)
{
    fprintf(stderr, "backplane: new: %s \"%.100s\" %s\n", what, found, expected);
    return STATUS_USAGE;
}

static int is_name(const char *name)
{
    size_t len = strlen(name);

    return len && len <= NAME_MAX_BYTES && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && name[len - 1] != '-' &&
           !strstr(name, "--");
}

static int find_kind(struct job *job, const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kinds[i].name, name))
            job->kind = &kinds[i];
    return job->kind ? 0
                     : refuse("--kind", name,
                              "is none; expected device, cpu, net, char, block or service");
}

static int find_language(struct job *job, const char *name)
{
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
        if (!strcmp(languages[i].name, name))
            job->language = &languages[i];
    if (!job->language)
        return refuse("--language", name, "is none; expected c, c++ or rust");
    if (job->language != &languages[0] && job->kind != &kinds[0])
        return refuse("--kind", job->kind->name,
                      "has a template in C only; c++ and rust are for device");
    return 0;
}

static void make_names(struct job *job)
{
    size_t prefix = strlen(job->kind->prefix);
    const char *id = job->name;

    if (!strncmp(id, job->kind->prefix, prefix))
        id += prefix;
    snprintf(job->id, sizeof(job->id), "%s", id);
    snprintf(job->identifier, sizeof(job->identifier), "%s", job->name);
    for (char *at = job->identifier; *at; at++)
        *at = *at == '-' ? '_' : *at;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* The value of the word at `at`, and its length with the signs around it; NULL: it is none. */
static const char *word(const struct job *job, const char *at, size_t *len)
{
    const struct {
        const char *word, *value;
    } words[] = {{"@NAME@", job->name},
                 {"@ID@", job->id},
                 {"@IDENT@", job->identifier},
                 {"@KIND@", job->kind->name},
                 {"@SUMMARY@", job->kind->summary},
                 {"@EXPECTED@", job->kind->expected},
                 {"@SOURCE@", job->language->source}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        *len = strlen(words[i].word);
        if (!strncmp(at, words[i].word, *len))
            return words[i].value;
    }
    return NULL;
}

static int write_out(const struct job *job, const char *text, FILE *to)
{
    while (*text) {
        size_t len;
        const char *value = *text == '@' ? word(job, text, &len) : NULL;

        if (value) {
            fputs(value, to);
            text += len;
        } else {
            fputc(*text++, to);
        }
    }
    return ferror(to);
}

/* Copies one file; its mode too, for test.sh. 0 or -errno. */
static int copy_file(const struct job *job, int from_folder, int to_folder, const char *name)
{
    int from = openat(from_folder, name, O_RDONLY | O_CLOEXEC), to = -1, err = 0;
    char *text = NULL;
    struct stat st = {0};
    FILE *out = NULL;

    if (from < 0 || fstat(from, &st))
        err = -errno;
    else if (st.st_size > (off_t)FILE_MAX)
        err = -EFBIG;
    if (!err) {
        text = calloc(1, (size_t)st.st_size + 1);
        if (!text)
            err = -ENOMEM;
        else if (read(from, text, (size_t)st.st_size) != st.st_size)
            err = -EIO;
    }
    if (!err) {
        to = openat(to_folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                    st.st_mode & S_IXUSR ? 0777 : 0666);
        out = to >= 0 ? fdopen(to, "w") : NULL;
        if (!out)
            err = errno ? -errno : -EIO;
    }
    if (!err && write_out(job, text, out))
        err = -EIO;
    if (out ? fclose(out) : to >= 0 && close(to))
        err = err ? err : -errno;
    if (from >= 0)
        close(from);
    free(text);
    return err;
}

/* Copies what is in folder `name` of the templates. 0 or -errno. */
static int copy_folder(const struct job *job, int templates, const char *name, int to)
{
    int from = openat(templates, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    DIR *d = from >= 0 ? fdopendir(from) : NULL;

    if (!d) {
        err = -errno;
        if (from >= 0)
            close(from);
        return err;
    }
    for (const struct dirent *e = readdir(d); e && !err; e = readdir(d))
        if (e->d_name[0] != '.' && !strstr(e->d_name, "~"))
            err = copy_file(job, from, to, e->d_name);
    closedir(d);
    return err;
}

static int make(const struct job *job, int templates)
{
    char own[64];
    int to, err;

    if (mkdir(job->name, 0777)) {
        err = errno;
        if (err == EEXIST)
            fprintf(stderr,
                    "backplane: new: %s is there already; choose another name, or remove it\n",
                    job->name);
        else
            fprintf(stderr,
                    "backplane: new: the folder %s cannot be made: %s; go where you may write\n",
                    job->name, strerror(err));
        return err == EEXIST ? STATUS_USAGE : STATUS_FAILED;
    }
    snprintf(own, sizeof(own), "%s%s%s", job->kind->name, job->language == &languages[0] ? "" : "-",
             job->language == &languages[0] ? "" : job->language->name);
    to = open(job->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = to < 0 ? -errno : copy_folder(job, templates, "common", to);
    if (!err)
        err = copy_folder(job, templates, own, to);
    if (to >= 0)
        close(to);
    if (err) {
        fprintf(stderr, "backplane: new: %s cannot be filled: %s\n", job->name, strerror(-err));
        return STATUS_FAILED;
    }
    printf("%s/ is a %s in %s that works: %s/%s, with a README.\n"
           "    make -C %s check    builds it, validates it, and runs a machine with it\n",
           job->name, job->kind->name, job->language->title, job->name, job->language->source,
           job->name);
    return STATUS_OK;
}

int command_new(const struct options *o)
{
    struct job job = {.name = o->arguments[1]};
    char folder[PATH_MAX];
    const char *templates = program_templates(folder, sizeof(folder));
    int status, fd;

    if (!is_name(job.name))
        return refuse(
            "the name", job.name,
            "is none for a plugin; expected up to 48 of a-z, 0-9 and single '-', a letter "
            "first");
    status = find_kind(&job, o->kit.kind ? o->kit.kind : "device");
    if (!status)
        status = find_language(&job, o->kit.language ? o->kit.language : "c");
    if (status)
        return status;
    make_names(&job);
    fd = templates ? open(templates, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) {
        fprintf(
            stderr,
            "backplane: new: the templates are not there (%s); install Backplane, or name their "
            "folder in BACKPLANE_TEMPLATES\n",
            templates ? templates : "share/backplane/templates");
        return STATUS_FAILED;
    }
    status = make(&job, fd);
    close(fd);
    return status;
}
