/* SPDX-License-Identifier: MIT
 *
 * program/main.c - the program `backplane`: a thin client of the embedding API.
 */
#include "program/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Whoever started us without standard input, output or error: files that are opened later must not
 * take their numbers, or guest output ends up in a disk image. */
static void open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int program_status(int err)
{
    switch (err) {
    case 0:
        return STATUS_OK;
    case -EINVAL:
        return STATUS_USAGE;
    case -ENOENT:
    case -ENODEV:
    case -ENOEXEC:
        return STATUS_PLUGIN;
    default:
        return STATUS_FAILED;
    }
}

struct bp_machine *program_machine(const struct options *o,
                                   void (*message)(void *context, const struct bp_message *m),
                                   void *context, int *status)
{
    char installed[PATH_MAX];
    const struct bp_machine_options options = {
        .size = sizeof(options),
        .message = message,
        .context = context,
        .plugin_path = o->plugin_path,
        .installed_plugins = program_installed_plugins(installed, sizeof(installed))};
    struct bp_machine *m;
    int err = bp_machine_new(&options, &m);

    if (err) {
        *status = program_status(err);
        return NULL;
    }
    /* Errors in the file and in the options are told in one go. */
    int bad = o->file ? bp_machine_load_file(m, o->file) : 0;
    for (uint32_t i = 0; i < o->setting_count; i++) {
        const struct setting *s = &o->settings[i];
        err = bp_machine_set(m, s->key, s->value, s->origin);
        bad = bad ? bad : err;
    }
    if (bad) {
        *status = STATUS_USAGE;
        bp_machine_free(m);
        return NULL;
    }
    return m;
}

static int run_command(const struct options *o)
{
    switch (o->command) {
    case OPTIONS_RUN:
        return command_run(o);
    case OPTIONS_CHECK:
        return command_check(o);
    case OPTIONS_PLUGINS:
        return command_plugins(o);
    case OPTIONS_IMG:
        return command_img(o);
    case OPTIONS_VALIDATE:
        return command_validate(o);
    case OPTIONS_NEW:
        return command_new(o);
    case OPTIONS_GRAPH:
        return command_graph(o);
    case OPTIONS_COMPLETION:
        return command_completion(o);
    case OPTIONS_COMPARE:
        return command_compare(o);
    case OPTIONS_VERSION:
        printf("backplane %s, plugin ABI %u.%u\n", bp_version(), BP_ABI_MAJOR, BP_ABI_MINOR);
        return STATUS_OK;
    default:
        options_help(stdout);
        return STATUS_OK;
    }
}

int main(int argc, char **argv)
{
    struct options o;
    int status;

    open_standard_fds();
    if (options_parse(&o, argc, argv)) {
        fprintf(stderr, "backplane: %s\n", o.error);
        status = STATUS_USAGE;
    } else {
        status = run_command(&o);
    }
    options_free(&o);
    /* An answer that did not arrive is no answer: the disk is full, or the reader has gone. */
    if (fflush(stdout) || ferror(stdout)) {
        fputs("backplane: standard output could not be written\n", stderr);
        status = status ? status : STATUS_FAILED;
    }
    return status;
}
