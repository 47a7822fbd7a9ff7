/* SPDX-License-Identifier: MIT
 *
 * plugin/normalise.h - tables of any size in, tables of this host's size without holes out.
 *
 * Used by the loader for descriptors and by the services for what instances offer each other. For
 * each known interface there is one stub table; a member that the plugin's table lacks, or leaves
 * NULL where that is allowed, is taken from there.
 */
#ifndef PLUGIN_NORMALISE_H
#define PLUGIN_NORMALISE_H

#include "base/error.h"

#include <backplane/plugin.h>

/* What this host knows of one type of table. */
struct table {
    const char *name;           /* "bp_char" */
    uint32_t size;              /* of this host's */
    uint32_t minimum;           /* of minor 0: no plugin's is smaller */
    const void *stubs;          /* `size` bytes; NULL where a member is required */
    const char *const *members; /* by pointer-sized slot after the first 8 bytes */
    uint64_t required;          /* bit n: slot n may not be NULL */
};

extern const struct table table_instance, table_cpu;

/* An interface that instances offer by id, and the table that its users hand back. */
struct interface {
    const char *id;                         /* "bp.char/1" */
    uint32_t kind;                          /* BP_KIND_* that offers it; 0: any */
    uint32_t size;                          /* of this host's table */
    uint32_t port_size;                     /* of this host's port table; 0: one-way */
    const struct table *table, *port_table; /* for normalise(); port_table NULL: one-way */
};

/* NULL: the host does not know `id`, and hands tables of it through as they are. */
const struct interface *interface_find(const char *id);

/* Copies `from`, a plugin's table of any size, to `to` of table->size bytes: members that it lacks,
 * and NULL ones that may be, come from the stubs. -EINVAL with the reason, which begins with the
 * table's name: NULL, misaligned, truncated, absurd size, a required member NULL. [any] */
int normalise(void *to, const struct table *table, const void *from, struct error *e);

#endif
