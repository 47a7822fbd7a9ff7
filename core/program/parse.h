/* SPDX-License-Identifier: MIT
 *
 * program/parse.h - what the files that read the command line (options.c, option_take.c,
 * kit_options.c) and devices.c, which makes devices of it, share. Private to these.
 */
#ifndef PROGRAM_PARSE_H
#define PROGRAM_PARSE_H

#include "program/options.h"

#define REPEAT_MAX 32u /* of --disk and of --net */

/* What options say of devices, until parse_finish(). */
struct parse {
    struct options *o;
    const char *option; /* being taken, in the table's spelling */
    const char *disks[REPEAT_MAX];
    const char *nets[REPEAT_MAX], *net_origins[REPEAT_MAX];
    const char *nic, *serial, *console; /* arguments; NULL: not given */
    uint32_t disk_count, net_count;
    uint32_t snapshot, verbose;
    const char *serial_origin;  /* option that gave `serial` */
    const char *backend;        /* that an option names, as the key cpu.plugin has it, or NULL */
    const char *machine_option; /* the first that says something of a machine, or NULL */
    const char *trace_option;   /* the first that says something of a trace, or NULL */
    uint32_t traces;            /* the CPU backend is told what to trace */
    uint32_t traces_bus;        /* the bus is traced */
    const char *trace_file;     /* of --trace-file, or NULL */
    uint32_t kit_commands;      /* bits of OPTIONS_*: what `kit_option` is for */
    const char *kit_option;     /* the last that is for `validate` or `new`, or NULL */
};

/* Notes the sentence, and returns -EINVAL. */
int parse_fail(struct parse *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds a setting of `key`, asked for by the option `origin`, which is static. -ENOMEM. */
int parse_add(struct parse *p, const char *origin, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds the devices' settings, when all options are known. -EINVAL, -ENOMEM. */
int parse_finish(struct parse *p);
/* Takes an option of `validate`, `new` or `compare`, p->option. -EINVAL. */
int parse_kit(struct parse *p, const char *argument);
/* Bits of OPTIONS_*: the commands that such an option is for. */
uint32_t parse_kit_commands(const char *option);
/* Checks what they are given beside options. -EINVAL. */
int parse_finish_kit(struct parse *p);
/* Checks what `compare` is given. -EINVAL. */
int parse_finish_compare(struct parse *p);
void parse_free_settings(struct setting *settings, uint32_t count);

#endif
