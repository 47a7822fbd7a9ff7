/* SPDX-License-Identifier: MIT
 *
 * plugin/arena.h - memory that is taken piece by piece and given back in one go: a plugin's copied
 * descriptor.
 */
#ifndef PLUGIN_ARENA_H
#define PLUGIN_ARENA_H

#include <stddef.h>

/* All zero is an empty one. */
struct arena {
    struct arena_piece *pieces;
};

/* `bytes` zeroed bytes, aligned for any type; NULL: out of memory. */
void *arena_take(struct arena *arena, size_t bytes);
/* Gives everything back; the arena is empty again. */
void arena_free(struct arena *arena);

#endif
