/* SPDX-License-Identifier: MIT
 *
 * backplane/util/fifo.h - a byte queue of fixed capacity, for UARTs and stream backends.
 */
#ifndef BACKPLANE_UTIL_FIFO_H
#define BACKPLANE_UTIL_FIFO_H

#include <stdint.h>

/* `data` holds `capacity` bytes and is the owner's; `head` is the oldest of `count` bytes. */
struct bp_fifo {
    uint8_t *data;
    uint32_t capacity, head, count, reserved;
};

static inline uint32_t bp_fifo_room(const struct bp_fifo *f)
{
    return f->capacity - f->count;
}

/* Appends a byte; 0, and nothing done, if there is no room. */
static inline int bp_fifo_push(struct bp_fifo *f, uint8_t byte)
{
    if (f->count == f->capacity)
        return 0;
    f->data[(f->head + f->count++) % f->capacity] = byte;
    return 1;
}

/* Takes the oldest byte. The queue must not be empty. */
static inline uint8_t bp_fifo_pop(struct bp_fifo *f)
{
    uint8_t byte = f->data[f->head];
    f->head = (f->head + 1) % f->capacity;
    f->count--;
    return byte;
}

/* The longest stretch of queued bytes that is contiguous in memory; *len may be 0. */
static inline const uint8_t *bp_fifo_peek(const struct bp_fifo *f, uint32_t *len)
{
    uint32_t to_end = f->capacity - f->head;
    *len = f->count < to_end ? f->count : to_end;
    return f->data + f->head;
}

/* Drops the `len` oldest bytes, len <= count. */
static inline void bp_fifo_drop(struct bp_fifo *f, uint32_t len)
{
    f->head = (f->head + len) % f->capacity;
    f->count -= len;
}

static inline void bp_fifo_clear(struct bp_fifo *f)
{
    f->head = f->count = 0;
}

#endif
