/* SPDX-License-Identifier: MIT
 *
 * machine/arena.c - one allocation each, chained, so that the sanitizers see every border.
 */
#include "machine/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    alignas(max_align_t) char bytes[];
};

struct plan_arena {
    struct chunk *chunks;
};

struct plan_arena *plan_arena_new(void)
{
    return calloc(1, sizeof(struct plan_arena));
}

void plan_arena_free(struct plan_arena *arena)
{
    struct chunk *chunk = arena ? arena->chunks : NULL;

    while (chunk) {
        struct chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    free(arena);
}

void *plan_arena_alloc(struct plan_arena *arena, size_t size)
{
    struct chunk *chunk = NULL;
    size_t whole;

    if (!__builtin_add_overflow(size, sizeof(*chunk), &whole))
        chunk = calloc(1, whole);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk->bytes;
}

char *plan_arena_text(struct plan_arena *arena, const char *text, size_t length)
{
    char *copy = plan_arena_alloc(arena, length + 1);

    if (copy)
        memcpy(copy, text, length);
    return copy;
}
