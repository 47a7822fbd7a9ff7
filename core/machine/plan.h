/* SPDX-License-Identifier: MIT
 *
 * machine/plan.h - what a machine file means: typed settings and a list of instances with their
 * models and filled config structs, checked against each other. Making a plan runs no plugin code;
 * a machine is built from a plan.
 */
#ifndef MACHINE_PLAN_H
#define MACHINE_PLAN_H

#include "boot/boot.h"
#include "machine/config.h"
#include "memory/ram.h"
#include "platform/cpuid.h"
#include "plugin/plugin.h"

#define PLAN_BOARD_PC 0u
#define PLAN_BOARD_NONE 1u
#define PLAN_ON_RESET_RESTART 0u
#define PLAN_ON_RESET_EXIT 1u

#define PLAN_TRACE_BUS 0u

/* [machine] */
struct plan_machine {
    uint64_t memory;        /* bytes */
    uint32_t cpus;          /* 1..255 */
    uint32_t board;         /* PLAN_BOARD_* */
    uint32_t on_reset;      /* PLAN_ON_RESET_* */
    uint32_t log;           /* 0 nothing, 1 errors, 2 warnings, 3 information, 4 debug */
    const char *log_file;   /* or NULL: standard error */
    struct bp_list trace;   /* uint32_t: PLAN_TRACE_* */
    const char *trace_file; /* or NULL: standard error */
    uint8_t shared;
    uint8_t log_guest; /* messages of category GUEST are shown */
    uint8_t reserved[6];
};

/* [cpu], the keys that are the core's; all others go to the backend's model. */
struct plan_cpu {
    uint32_t level;      /* enum cpuid_level */
    uint8_t level_given; /* 0: a backend that cannot offer it may have v2 */
    uint8_t reserved[3];
};

/* [boot] */
struct plan_boot {
    const char *kernel, *initrd, *cmdline, *binary, *firmware;
    struct bp_list modules; /* const char * */
    uint64_t address, entry;
    uint64_t firmware_bytes; /* 0: there is none */
    uint32_t protocol;       /* enum boot_protocol */
    uint32_t mode;           /* index into 16, 32, 64 */
    uint8_t has_address, has_entry;
    uint8_t reserved[6];
};

/* What `plugin = auto` stands for, the best first; ends with NULL. */
extern const char *const plan_auto_backends[];

/* One section that names a plugin. Its address is the struct bp_node that REF properties hold. */
struct plan_instance {
    const char *name;
    const struct model *model;
    void *config; /* model->config_size bytes, filled */
    const struct config_section *section;
    uint32_t domain; /* instances with the same number share a lock domain */
    uint32_t order;  /* created ascending: after what it names */
};

struct plan {
    struct plan_machine machine;
    struct plan_cpu cpu;
    struct plan_boot boot;
    struct boot_request boot_request; /* points into `boot` */
    uint32_t count;
    uint32_t reserved_count;
    struct plan_instance *instances; /* in the order of creation */
    struct ram_reserved *reserved;   /* cut out of RAM */
    const struct model *cpu_model;   /* NULL: `plugin = auto` */
    const struct model *auto_model;  /* the backend that `auto` stands for, if it was known */
    void *cpu_config;
    struct plan_arena *arena; /* strings, lists, config structs */
};

/* Makes the plan. Tells every error it finds: unknown sections' plugins, keys, values, references,
 * cycles, conflicts of addresses and interrupts, missing files. Adds the board's sections to
 * `config`; those for a backend without interrupt controllers if the backend is known, by its name
 * or, for `plugin = auto`, by `auto_model` (else NULL). The plan points into `config`, which must
 * not change while it lives. If anything was told the plan is empty, and the result -EINVAL; or
 * -ENOENT if nothing is wrong but that plugins or models are missing or unsuitable. [main] */
int plan_make(struct plan *plan, struct config *config, struct plugins *plugins,
              const struct model *auto_model, struct report *report);

/* Where plugins come from: the registry, or a test's own models. */
struct plan_source {
    void *context;
    /* As plugins_load() and plugin_model() of plugin.h. */
    int (*load)(void *context, const char *name, const char *base, const struct plugin **out,
                struct error *e);
    int (*model)(void *context, const struct plugin *plugin, const char *id,
                 const struct model **out, struct error *e);
    const struct model *auto_model; /* as plan_make()'s */
};

/* As plan_make(), with plugins from `source`. [main] */
int plan_make_from(struct plan *plan, struct config *config, const struct plan_source *source,
                   struct report *report);

/* The config struct of a CPU backend that `auto` chose: every key at its default. The plan's; NULL:
 * out of memory. [main] */
void *plan_default_config(struct plan *plan, const struct model *model);
/* After plan_make(), whatever it returned; twice is allowed. */
void plan_free(struct plan *plan);
/* The device that is the machine's interrupt controllers, or NULL. */
struct plan_instance *plan_irqchip(const struct plan *plan);
/* The instance of section `name`, or NULL. */
struct plan_instance *plan_find(const struct plan *plan, const char *name);

/* The whole machine as a file, defaults included, paths absolute: reading it makes the same plan,
 * and printing that the same text. To be freed by the caller; NULL: out of memory. [main] */
char *plan_print(const struct plan *plan, const struct config *config);

#define PLAN_GRAPH_TREE 0u
#define PLAN_GRAPH_DOT 1u
#define PLAN_GRAPH_SVG 2u

/* The machine as a picture, PLAN_GRAPH_*. To be freed by the caller; NULL: out of memory. [main] */
char *plan_graph(const struct plan *plan, const struct config *config, uint32_t format);

#endif
