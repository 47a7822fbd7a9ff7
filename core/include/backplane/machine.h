/* SPDX-License-Identifier: MIT
 *
 * backplane/machine.h - the embedding API: a machine in your own program. The program `backplane`
 * uses nothing else. Link with libbackplane (pkg-config backplane).
 *
 *     struct bp_machine *m;
 *     bp_machine_new(&(struct bp_machine_options){.size = sizeof(struct bp_machine_options)}, &m);
 *     if (!bp_machine_load_file(m, "machine.ini") && !bp_machine_start(m))
 *         bp_machine_wait(m, -1, &exit);
 *     bp_machine_free(m);
 *
 * A machine is used from one thread at a time. Any number of machines live in one process.
 * Functions return 0 or a negative errno; what went wrong was said to options.message before, one
 * sentence a call, several calls where a file has several errors.
 */
#ifndef BACKPLANE_MACHINE_H
#define BACKPLANE_MACHINE_H

#include "abi.h"
BP_BEGIN

#define BP_API __attribute__((visibility("default")))

struct bp_machine;

/* One line for people. */
struct bp_message {
    uint32_t size;
    uint32_t level;   /* BP_LOG_* of host.h */
    const char *file; /* machine file, or "--set", or NULL */
    uint32_t line;    /* in `file`, from 1; 0: none */
    uint32_t reserved;
    const char *section; /* instance that speaks, or NULL */
    const char *text;    /* UTF-8, no newline */
};

struct bp_machine_options {
    uint32_t size;
    uint32_t reserved;
    /* Receives every message, on whatever thread it arises. NULL: they go to standard error. */
    void (*message)(void *context, const struct bp_message *message);
    void *context;
    /* Folders searched first for plugins, separated by colons; may be NULL. Then those of
     * BACKPLANE_PLUGIN_PATH, ~/.local/lib/backplane/plugins, and the installed folder. */
    const char *plugin_path;
    /* The installed folder, which is searched last: one absolute path. NULL: the one that the
     * library was configured for. A program that ships Backplane, or is moved together with it,
     * says here where the plugins are now; `pkg-config --variable=plugindir backplane` knows at
     * build time. */
    const char *installed_plugins;
};

BP_API int bp_machine_new(const struct bp_machine_options *options, struct bp_machine **out);
/* Stops it first if it runs. NULL is allowed. */
BP_API void bp_machine_free(struct bp_machine *m);

/* Reads a machine file. -ENOENT, -EINVAL; every error in it has been told. */
BP_API int bp_machine_load_file(struct bp_machine *m, const char *path);
/* As if a file `name` in folder `base` held `text`; `base` NULL is the current folder. */
BP_API int bp_machine_load_string(struct bp_machine *m, const char *text, const char *name,
                                  const char *base);
/* Overrides or adds a key: bp_machine_set(m, "com1.irq", "3", "--set"). `origin` is named in
 * errors. A relative path in `value` is resolved against the current folder. -EINVAL for a
 * malformed key. */
BP_API int bp_machine_set(struct bp_machine *m, const char *section_key, const char *value,
                          const char *origin);

/* Checks everything that can be checked without running plugin code, opening anything for writing
 * or taking a lock. Tells every error; returns -EINVAL if there is one, or -ENOENT if all that is
 * wrong is that plugins are missing or cannot be loaded. */
BP_API int bp_machine_check(struct bp_machine *m);
/* The machine as a complete machine file with every section, the board's included: what
 * bp_machine_start() would run. To be freed with free(). NULL after errors, which were told. */
BP_API char *bp_machine_print(struct bp_machine *m);

/* The machine as a picture: `format` is "tree" for a terminal, "dot" for Graphviz, or "svg". To be
 * freed with free(). NULL after errors, which were told. */
BP_API char *bp_machine_graph(struct bp_machine *m, const char *format);

/* How a machine ended. */
#define BP_EXIT_RUNNING 0u
#define BP_EXIT_POWER_OFF 1u
#define BP_EXIT_RESET 2u        /* with `[machine] on-reset = exit` */
#define BP_EXIT_DEBUG 3u        /* isa-debug-exit; `code` is what QEMU would exit with */
#define BP_EXIT_PANIC 4u        /* the guest said so */
#define BP_EXIT_TRIPLE_FAULT 5u /* the registers were told */
#define BP_EXIT_QUIT 6u         /* Ctrl-A x, or bp_machine_stop() */
#define BP_EXIT_FAILED 7u       /* the CPU backend gave up; why was told */

struct bp_exit {
    uint32_t reason; /* BP_EXIT_* */
    uint32_t code;
};

/* Builds the machine, boots it and lets it run; returns at once. After an error nothing runs:
 * errors of bp_machine_check(), -ENODEV if no CPU backend is usable here, others from the system or
 * a plugin. */
BP_API int bp_machine_start(struct bp_machine *m);
/* Every vCPU stands, guest time stands, devices are quiet, on return. 0 also if it was so. */
BP_API int bp_machine_pause(struct bp_machine *m);
BP_API int bp_machine_resume(struct bp_machine *m);
/* Asks it to end, wherever it is; bp_machine_wait() does it. */
BP_API int bp_machine_stop(struct bp_machine *m);
/* Waits up to `timeout_ms` (-1: for ever) for the machine to end, and tears it down. 0 and *exit;
 * -ETIMEDOUT; -EINTR if a signal came; -EINVAL if it neither runs nor is paused. Guest resets
 * happen in here too: keep calling it. */
BP_API int bp_machine_wait(struct bp_machine *m, int timeout_ms, struct bp_exit *exit);
/* An fd that becomes readable when bp_machine_wait() has something to do, for the caller's poll().
 * The machine's own; -1 before bp_machine_start(). */
BP_API int bp_machine_fd(struct bp_machine *m);

/* What bp_machine_compare() is to do. */
struct bp_compare {
    uint32_t size;
    uint32_t patience_s;   /* that a step of the second may last; 0: 30 */
    const char *second;    /* plugin of the second backend, as `[cpu] plugin` names it */
    const char *marker;    /* it is over when the guest has written this, a byte at a time, to one
                            * port or address; at most 64 bytes; NULL: no such text */
    uint64_t instructions; /* or after so many; 0: no limit */
};

/* How a comparison ended. */
#define BP_COMPARE_SAME 0u      /* the limit or the marker came, and nothing had differed */
#define BP_COMPARE_ENDED 1u     /* so had the guest: power off, reset, triple fault */
#define BP_COMPARE_DIFFERENT 2u /* `text` says where and in what */

struct bp_compare_end {
    uint32_t size;           /* the caller's: no more is written */
    uint32_t how;            /* BP_COMPARE_* */
    uint64_t instructions;   /* done by both, and alike */
    uint64_t flags_differed; /* steps after which arithmetic flags alone differed, as instructions
                              * that leave them undefined may; the first one's address: */
    uint64_t flags_address;
    char text[2048]; /* lines for people, or empty */
};

/* Runs a machine with one vCPU, which was not started, to its end under its own backend, one
 * instruction at a time, and the same instructions under a second one, which gets what devices
 * answered the first. Ends at the first difference in what they ask of devices or in registers,
 * or where the second does not end a step.
 * Neither may be without "bp.debug/1", the first not with interrupt controllers of its own. 0 and
 * *out; else errors as of bp_machine_start(). [main] */
BP_API int bp_machine_compare(struct bp_machine *m, const struct bp_compare *what,
                              struct bp_compare_end *out);

/* Input to the char backend `section`, as if it had come from its other end. Returns the bytes
 * taken; -ENOENT, -ENOTSUP. */
BP_API int64_t bp_machine_inject(struct bp_machine *m, const char *section, const void *data,
                                 uint64_t len);
/* Guest RAM, while it runs or not. -EFAULT unless all of it is RAM. */
BP_API int bp_machine_read(struct bp_machine *m, uint64_t gpa, void *to, uint64_t len);
BP_API int bp_machine_write(struct bp_machine *m, uint64_t gpa, const void *from, uint64_t len);

/* The plugins that are found, or (`name`) all about one, as text or as JSON. To be freed with
 * free(); NULL if there is no such plugin, which was told. */
BP_API char *bp_machine_plugins(struct bp_machine *m, const char *name, int json);

BP_API const char *bp_version(void);

BP_END
#endif
