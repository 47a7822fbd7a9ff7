/* SPDX-License-Identifier: MIT
 *
 * program/options.h - the command line as data: a command, its arguments, flags, and settings of
 * the machine file's keys in the order they are to be made.
 *
 * Options mean nothing by themselves: each stands for keys that a machine file could have, so what
 * is wrong with them is told by whoever checks the machine, with the option as the place. Uses libc
 * and base/nearest.h only.
 */
#ifndef PROGRAM_OPTIONS_H
#define PROGRAM_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

#define OPTIONS_RUN 0u
#define OPTIONS_CHECK 1u
#define OPTIONS_PLUGINS 2u /* arguments: none, or "show" NAME */
#define OPTIONS_NEW 3u     /* arguments: "plugin" NAME */
#define OPTIONS_HELP 4u
#define OPTIONS_VERSION 5u
#define OPTIONS_IMG 6u        /* arguments: all that follows, for the program backplane-img */
#define OPTIONS_VALIDATE 7u   /* arguments: a plugin's file */
#define OPTIONS_COMPLETION 8u /* arguments: a shell */
#define OPTIONS_GRAPH 9u
#define OPTIONS_COMPARE 10u /* as run */
#define OPTIONS_COMMANDS 11u

/* One call of bp_machine_set(), or with `keep` of bp_machine_default(). */
struct setting {
    char *key; /* "machine.memory"; owned, as the value */
    char *value;
    const char *origin; /* "--memory": static; what messages name instead of a file */
    uint32_t keep;
    uint32_t reserved;
};

/* What `validate`, `new` and `graph` are told; static or pointers into argv. */
struct options_kit {
    uint64_t seed;
    const char *check, *model, *input; /* or NULL */
    const char *kind, *language;       /* or NULL */
    const char *format;                /* of `graph`, or NULL */
    uint32_t fuzz_s, limit_s;          /* 0: not given */
    uint8_t has_seed, tap;
    uint8_t reserved[6];
};

/* What `compare` is told; pointers into argv. */
struct options_compare {
    const char *backends;  /* "cpu-interp,cpu-kvm" */
    const char *until;     /* or NULL */
    uint64_t instructions; /* 0: not given */
    uint32_t patience_s;   /* 0: not given */
    uint8_t serial_only;
    uint8_t reserved[3];
};

struct options {
    uint32_t command; /* OPTIONS_* */
    uint32_t argument_count;
    const char
        *file; /* run, check, graph: the machine file; NULL: the machine is built from options */
    char **arguments;         /* other commands': pointers into argv */
    struct setting *settings; /* to be made in this order, after the machine file is read */
    uint32_t setting_count, setting_capacity;
    char *plugin_path;    /* owned, or NULL; --plugin-path's folders, by colons */
    uint8_t print_config; /* run, check: print the machine and do not run it */
    uint8_t json;
    uint8_t reserved[6];
    struct options_kit kit;
    struct options_compare compare;
    char error[1024]; /* one sentence after a failure */
};

/* Reads the command line. 0, or -EINVAL with o->error, upon which the program exits with status 2;
 * -ENOMEM. Either way options_free() follows. [main] */
int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/* Writes the help, made from the table of options. */
void options_help(FILE *out);

/* One option of the table, for who makes something else of it. */
struct option_info {
    const char *names[3]; /* "--memory", "--mem", "-m", as many as there are, then NULL */
    const char *argument; /* its name in the help; NULL: takes none; "[=X]": may take one */
    const char *help;     /* one line */
    uint32_t commands;    /* bits of OPTIONS_* that it is for */
    uint32_t reserved;
};

/* Option number `index`, headings not counted. 0, or -ENOENT past the last. */
int options_info(uint32_t index, struct option_info *out);
/* The command's word, OPTIONS_*, and what it does; NULL past the last. */
const char *options_command(uint32_t command, const char **help);

#endif
