/* SPDX-License-Identifier: MIT
 *
 * program/option_take.h - the functions of options that do more than set one key. p->option is the
 * option; `argument` is NULL for one that was given none. 0; -EINVAL with a sentence; -ENOMEM.
 */
#ifndef PROGRAM_OPTION_TAKE_H
#define PROGRAM_OPTION_TAKE_H

#include "program/parse.h"

int option_take_memory(struct parse *p, const char *argument);
int option_take_backend(struct parse *p, const char *argument);
int option_take_cpu(struct parse *p, const char *argument);
int option_take_verbose(struct parse *p, const char *argument);
int option_take_disk(struct parse *p, const char *argument);
int option_take_snapshot(struct parse *p, const char *argument);
int option_take_network(struct parse *p, const char *argument);
int option_take_net(struct parse *p, const char *argument);
int option_take_nic(struct parse *p, const char *argument);
int option_take_serial(struct parse *p, const char *argument);
int option_take_console(struct parse *p, const char *argument);
int option_take_no_serial(struct parse *p, const char *argument);
int option_take_set(struct parse *p, const char *argument);
int option_take_plugin_path(struct parse *p, const char *argument);
int option_take_print_config(struct parse *p, const char *argument);
int option_take_json(struct parse *p, const char *argument);
int option_take_trace(struct parse *p, const char *argument);
int option_take_trace_file(struct parse *p, const char *argument);
int option_take_trace_vcpus(struct parse *p, const char *argument);
int option_take_trace_privilege(struct parse *p, const char *argument);
int option_take_trace_range(struct parse *p, const char *argument);
int option_take_help(struct parse *p, const char *argument);
int option_take_version(struct parse *p, const char *argument);

#endif
