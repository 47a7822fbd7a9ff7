/* SPDX-License-Identifier: MIT
 *
 * validate/check.h - the list of checks, each a function that ends its process by a verdict.
 */
#ifndef VALIDATE_CHECK_H
#define VALIDATE_CHECK_H

#include "plugin/loader.h"
#include "validate/world.h"

#define KIND(kind) (1u << BP_KIND_##kind)
#define KINDS_INSTANCE (KIND(DEVICE) | KIND(NET) | KIND(CHAR) | KIND(BLOCK) | KIND(SERVICE))

struct check {
    const char *name, *what;
    uint32_t kinds; /* of models that it is for; 0: it is about the file */
    uint32_t reserved;
    void (*run)(struct world *w);
    void (*run_file)(struct world *w, const struct loaded *file);
};

/* Ends with name == NULL. */
extern const struct check checks[];

#ifdef __SANITIZE_THREAD__ /* some ten times as slow */
#define ACCESSES 5000u
#else
#define ACCESSES 20000u /* of a check that drives an instance at random */
#endif

/* properties.c */
void check_properties(struct world *w);

/* twins.c */
void check_reset(struct world *w);
void check_snapshot(struct world *w);
void check_instances(struct world *w);

/* symbols.c */
void check_symbols(struct world *w, const struct loaded *file);

/* cpu.c */
void check_cpu_life(struct world *w);
void check_cpu_registers(struct world *w);
void check_cpu_kick(struct world *w);
void check_cpu_extensions(struct world *w);

/* resources.c: what a process holds, to compare before and after. */
struct resources {
    uint64_t heap, mapped; /* bytes; 0 where it cannot be known */
    uint32_t fds, threads;
    uint8_t open[128]; /* a bit for each of the first descriptors */
};
/* Before the first resources_take() of a process. */
void resources_start(void);
void resources_take(struct resources *r);
/* Fails if `fds` or threads grew since `before`, after `lives` lives. */
void resources_compare(struct world *w, const struct resources *before, uint32_t lives);
/* Fails if `lives` calls of `life` leave a descriptor or a thread, or memory time and again. */
void resources_watch(struct world *w, uint32_t lives, void (*life)(struct world *w));

/* fuzz.c: drives the model for `seconds` with inputs that reach new code, if it was built with
 * coverage; ends by a verdict. */
void fuzz(struct world *w, uint32_t seconds);
/* One input, which is run. Ends by a verdict. */
void fuzz_input(struct world *w, const uint8_t *data, uint64_t len);

#endif
