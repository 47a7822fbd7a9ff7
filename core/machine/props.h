/* SPDX-License-Identifier: MIT
 *
 * machine/props.h - a section's text becomes a config struct, as a table of bp_prop says.
 *
 * The same machinery serves plugins' models and the core's own sections [machine], [cpu] and
 * [boot].
 */
#ifndef MACHINE_PROPS_H
#define MACHINE_PROPS_H

#include "machine/arena.h"
#include "machine/config.h"

#include <backplane/props.h>

/* Where a key's value comes from. */
struct props_text {
    const char *text; /* or NULL: the key has no value */
    const char *file; /* for messages, may be NULL */
    const char *base; /* for relative paths */
    uint32_t line;
    uint32_t given; /* 0: it is the default */
};

struct props_job {
    const struct config_section *section;
    const char *name;          /* of the section, for messages */
    const char *what;          /* what understands the keys: "dev-uart's 16550a", "[machine]" */
    const char *const *ignore; /* keys that somebody else understands; ends with NULL */
    struct plan_arena *arena;  /* owns strings and lists */
    struct report *report;
    /* Finds what a REF names. NULL after telling why not. */
    void *(*find)(void *context, const struct props_job *job, const struct bp_prop *prop,
                  const struct props_text *from, const char *name);
    void *context;
};

/* Fills `out` of `size` bytes, zeroed before. Every error is told; -EINVAL if there was one. [main]
 */
int props_fill(const struct props_job *job, const struct bp_prop *props, void *out, uint32_t size);

/* Tells of every key of the section that is neither in `props` nor in job->ignore. */
void props_tell_unknown(const struct props_job *job, const struct bp_prop *props);

/* The value of `prop` in `section` (may be NULL), or its default. */
struct props_text props_text(const struct config_section *section, const struct bp_prop *prop);

/* Cuts the next element off a LIST's text, with the escapes \, and \\ resolved, blanks around it
 * removed. `element` has room for strlen(*rest) + 1 bytes. 0 at the end. */
int props_next_element(const char **rest, char *element);

/* The `index`th number of a UINT, SIZE or PCI that props_fill() stored, LIST or not; 0 past the
 * end. */
int props_number(const struct bp_prop *prop, const void *config, uint64_t index, uint64_t *out);
/* Likewise the text of a STRING or PATH, or NULL. */
const char *props_string(const struct bp_prop *prop, const void *config, uint64_t index);
uint64_t props_count(const struct bp_prop *prop, const void *config); /* 1 unless LIST */

/* "path" against folder `base`, in the arena. NULL: out of memory. */
char *props_path(struct plan_arena *arena, const char *base, const char *path);
/* 0; or -errno and in *e why a file cannot be read (or, with `creates`, be written). Opens nothing.
 */
int props_check_path(const char *path, int creates, struct error *e);

#endif
