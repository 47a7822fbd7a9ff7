/* SPDX-License-Identifier: MIT
 *
 * program/option_table.h - what an option is, and how the parser finds one.
 */
#ifndef PROGRAM_OPTION_TABLE_H
#define PROGRAM_OPTION_TABLE_H

#include "program/parse.h"

#include <stddef.h>

struct option {
    const char *name; /* NULL: `help` is a heading */
    const char *aliases[2];
    const char *argument; /* its name in the help; NULL: takes none; "[=X]": may take one */
    const char *key;      /* the key that it sets, or NULL */
    const char *value;    /* what it sets the key to when it takes no argument */
    int (*take)(struct parse *p, const char *argument); /* instead, when it does more */
    const char *help;
};

/* The option with this name or alias of `len` bytes, dashes included; NULL if there is none. */
const struct option *option_find(const char *word, size_t len);
/* The name of an option that `word` may be a mistake for, or NULL. */
const char *option_nearest(const char *word);
/* Does it say something of a machine, with the command OPTIONS_*? Others have no machine. */
int option_is_of_machine(const struct option *option, uint32_t command);

#endif
