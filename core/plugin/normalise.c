/* SPDX-License-Identifier: MIT
 *
 * plugin/normalise.c - tables of any size in, tables of this host's size without holes out.
 *
 * backplane/abi.h, rules 2 and 3. A table may be shorter than this host's (an older plugin) or
 * longer (a newer one); it is never shorter than its type was in minor 0. Whether its pointers lead
 * anywhere cannot be known: a plugin is trusted code.
 */
#include "plugin/normalise.h"

#include <errno.h>
#include <string.h>

/* Far beyond any table: what is larger was never set with sizeof. */
#define TABLE_MAX 4096u

int normalise(void *to, const struct table *table, const void *from, struct error *e)
{
    const char *stubs = table->stubs;
    char *out = to;
    uint32_t size;

    if (!from)
        return error_set(e, -EINVAL, "table %s is NULL; expected a table", table->name);
    if ((uintptr_t)from % sizeof(void *))
        return error_set(e, -EINVAL, "table %s is not aligned to %zu bytes; do not pack it",
                         table->name, sizeof(void *));
    memcpy(&size, from, sizeof(size));
    if (size < table->minimum)
        return error_set(e, -EINVAL,
                         "table %s is truncated: its size says %u bytes, and no version has less "
                         "than %u; set size to sizeof its struct",
                         table->name, size, table->minimum);
    if (size > TABLE_MAX || size % sizeof(void *))
        return error_set(e, -EINVAL,
                         "table %s has an absurd size of %u bytes; set size to sizeof its struct",
                         table->name, size);
    memcpy(out, stubs, table->size);
    memcpy(out, from, size < table->size ? size : table->size);
    memcpy(out, &table->size, sizeof(table->size));
    for (uint32_t at = 8, slot = 0; at < table->size; at += (uint32_t)sizeof(void *), slot++) {
        uintptr_t value;

        memcpy(&value, out + at, sizeof(value));
        if (value)
            continue;
        if (slot < 64 && (table->required >> slot & 1)) {
            const char *name = table->members ? table->members[slot] : NULL;

            return name ? error_set(e, -EINVAL, "%s of table %s is NULL; it is required: set it",
                                    name, table->name)
                        : error_set(e, -EINVAL,
                                    "the member at offset %u of table %s is NULL; it is required: "
                                    "set it",
                                    at, table->name);
        }
        memcpy(out + at, stubs + at, sizeof(value));
    }
    return 0;
}
