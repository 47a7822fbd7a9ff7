/* SPDX-License-Identifier: MIT
 *
 * program/program.h - the commands of the program, and what it says to the shell.
 */
#ifndef PROGRAM_PROGRAM_H
#define PROGRAM_PROGRAM_H

#include "program/options.h"

#include <backplane/machine.h>

/* Exit statuses. Even, because isa-debug-exit's are odd; 128 + n: ended by signal n. */
#define STATUS_OK 0     /* the guest powered off, or the user left */
#define STATUS_USAGE 2  /* bad options or machine file */
#define STATUS_PLUGIN 4 /* a plugin is missing or unsuitable; no usable CPU backend */
#define STATUS_FAILED 6 /* could not start, or the CPU backend gave up */
#define STATUS_RESET 8  /* the guest asked for a reset, with on-reset = exit */
#define STATUS_PANIC 10 /* the guest said that it panicked */
#define STATUS_TRIPLE_FAULT 12
#define STATUS_INVALID 14   /* `validate` found something */
#define STATUS_DIFFERENT 16 /* `compare` found something */

/* Where a program keeps its plugins, found from its own file so that a moved installation works:
 * writes the folder to `to`, of `size` bytes. NULL if there is none or it cannot be known: then the
 * library's configured folder holds. [any] */
const char *program_installed_plugins(char *to, size_t size);

/* Likewise the folder of the templates of `backplane new`. */
const char *program_templates(char *to, size_t size);

int command_run(const struct options *o);
int command_check(const struct options *o);
int command_plugins(const struct options *o);
/* Becomes the program backplane-img, which stands beside this one. Returns only if there is none.
 */
int command_img(const struct options *o);
int command_validate(const struct options *o);
int command_graph(const struct options *o);
int command_new(const struct options *o);
/* The script by which a shell completes words, made from the table of options. */
int command_completion(const struct options *o);
int command_compare(const struct options *o);

/* A machine with the file and the options' settings in it; NULL after an error, which was told,
 * with the exit status in *status. `message` may be NULL: standard error. */
struct bp_machine *program_machine(const struct options *o,
                                   void (*message)(void *context, const struct bp_message *m),
                                   void *context, int *status);
/* The status for an error of bp_machine_check() and bp_machine_start(). */
int program_status(int err);

#endif
