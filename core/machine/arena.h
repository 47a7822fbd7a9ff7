/* SPDX-License-Identifier: MIT
 *
 * machine/arena.h - memory that is given back all at once: what a plan consists of.
 */
#ifndef MACHINE_ARENA_H
#define MACHINE_ARENA_H

#include <stddef.h>

struct plan_arena;

/* NULL: out of memory. [main] */
struct plan_arena *plan_arena_new(void);
/* NULL is allowed. [main] */
void plan_arena_free(struct plan_arena *arena);

/* `size` bytes of zeroes, aligned for anything; NULL: out of memory. `size` 0 gives a pointer.
 * [main] */
void *plan_arena_alloc(struct plan_arena *arena, size_t size);
/* A copy of `length` bytes, with a 0 after them. [main] */
char *plan_arena_text(struct plan_arena *arena, const char *text, size_t length);

#endif
