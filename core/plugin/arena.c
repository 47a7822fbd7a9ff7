/* SPDX-License-Identifier: MIT
 *
 * plugin/arena.c - memory that is given back in one go.
 *
 * One allocation a piece: a descriptor has a few hundred of them, copied once, and the
 * sanitizers see each end.
 */
#include "plugin/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

struct arena_piece {
    struct arena_piece *next;
    alignas(max_align_t) unsigned char bytes[];
};

void *arena_take(struct arena *arena, size_t bytes)
{
    struct arena_piece *piece;
    size_t all;

    if (__builtin_add_overflow(bytes, sizeof(*piece), &all))
        return NULL;
    piece = calloc(1, all);
    if (!piece)
        return NULL;
    piece->next = arena->pieces;
    arena->pieces = piece;
    return piece->bytes;
}

void arena_free(struct arena *arena)
{
    while (arena->pieces) {
        struct arena_piece *next = arena->pieces->next;

        free(arena->pieces);
        arena->pieces = next;
    }
}
