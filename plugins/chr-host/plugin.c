/* SPDX-License-Identifier: MIT
 *
 * chr-host/plugin.c - what chr-host offers: the host's own ends for a guest's serial line.
 */
#include "chr_host.h"

#include <shared/model.h>

/* NOLINTBEGIN(bugprone-macro-parentheses): `config` is the name of a type */
#define LOG_PROP(config)                                                                           \
    {                                                                                              \
        .name = "log", .help = "file that gets a copy of the output", .type = BP_PROP_PATH,        \
        .flags = BP_PROP_CREATES, BP_PROP_AT(config, log)                                          \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

static const char *const escapes[] = {"auto", "yes", "no", NULL};

static const struct bp_prop stdio_props[] = {
    {.name = "escape",
     .help = "Ctrl-A is a prefix (x leaves, h helps); auto: if standard input is a terminal",
     .initial = "auto",
     .choices = escapes,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct stdio_config, escape)},
    {.name = "raw",
     .help = "a terminal hands over each key at once and echoes none",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct stdio_config, raw)},
    {.name = "signals",
     .help = "Ctrl-C and Ctrl-Z act on the program instead of reaching the guest",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct stdio_config, signals)},
    LOG_PROP(struct stdio_config),
    {.name = NULL},
};
SHARED_MODEL(CHAR, stdio, "the program's standard input and output, a terminal as a rule",
             BP_MODEL_ONCE);

static const struct bp_prop pty_props[] = {
    {.name = "link",
     .help = "symbolic link to the pty, made while the machine runs",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_CREATES,
     BP_PROP_AT(struct pty_config, link)},
    LOG_PROP(struct pty_config),
    {.name = NULL},
};
SHARED_MODEL(CHAR, pty, "a pseudo-terminal, for a terminal program to connect to", 0);

static const struct bp_prop file_props[] = {
    {.name = "path",
     .help = "file that gets the output",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_REQUIRED | BP_PROP_CREATES,
     BP_PROP_AT(struct file_config, path)},
    {.name = "append",
     .help = "the output goes after what the file holds, instead of replacing it",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct file_config, append)},
    {.name = "input",
     .help = "file that is the input",
     .type = BP_PROP_PATH,
     BP_PROP_AT(struct file_config, input)},
    LOG_PROP(struct file_config),
    {.name = NULL},
};
SHARED_MODEL(CHAR, file, "output into a file, input from another", 0);

static const struct bp_prop socket_props[] = {
    {.name = "listen",
     .help = "waits for one client at a time: unix:/path or tcp:host:port; no host: this one only",
     .type = BP_PROP_ADDRESS,
     BP_PROP_AT(struct socket_config, listen)},
    {.name = "connect",
     .help = "connects to a server: unix:/path or tcp:host:port",
     .type = BP_PROP_ADDRESS,
     BP_PROP_AT(struct socket_config, connect)},
    {.name = "reconnect",
     .help = "seconds until the second attempt to connect, doubled up to 60; 0: only one attempt",
     .initial = "1",
     .min = 0,
     .max = 3600,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct socket_config, reconnect)},
    LOG_PROP(struct socket_config),
    {.name = NULL},
};
SHARED_MODEL(CHAR, socket, "a stream socket, Unix or TCP, as server or client", 0);

static const struct bp_prop null_props[] = {
    LOG_PROP(struct null_config),
    {.name = NULL},
};
SHARED_MODEL(CHAR, null, "nobody: takes all output, never gives input", 0);

static const struct bp_model *const models[] = {&stdio_model,  &pty_model,  &file_model,
                                                &socket_model, &null_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "chr-host",
    .version = "0.1.0",
    .models = models,
};
