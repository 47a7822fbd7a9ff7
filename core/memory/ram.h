/* SPDX-License-Identifier: MIT
 *
 * memory/ram.h - guest RAM: anonymous memory, 2 MiB aligned, mapped once, with a hole below 4 GiB.
 *
 *     0 ............ min(size, 3 GiB)          RAM
 *     3 GiB ........ 4 GiB                     PCI windows, ECAM, APICs, ROM
 *     4 GiB ........ 4 GiB + (size - 3 GiB)    the rest of RAM
 *
 * Stretches that a device reserves (an old debug console inside RAM) are cut out of it at creation.
 * The table of extents never changes afterwards, so reading it needs no lock.
 */
#ifndef MEMORY_RAM_H
#define MEMORY_RAM_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define RAM_LOW_END 0xc0000000ull    /* 3 GiB */
#define RAM_HIGH_BASE 0x100000000ull /* 4 GiB */
#define RAM_PAGE 4096u

struct ram_extent {
    uint64_t gpa, length; /* bytes, multiples of RAM_PAGE */
    uint8_t *host;
};

/* A stretch that the guest shall not see as RAM. */
struct ram_reserved {
    uint64_t gpa, length; /* bytes, multiples of RAM_PAGE */
};

struct ram {
    struct ram_extent *extents; /* ascending, not touching each other */
    uint32_t count;
    int fd;          /* memfd of a shared machine, or -1 */
    uint64_t size;   /* bytes asked for */
    uint8_t *base;   /* the one mapping, `size` bytes */
    uint64_t *dirty; /* bit a page, in the order of the mapping; set by DMA */
};

/* Maps `size` bytes (a multiple of RAM_PAGE, not 0). `shared`: a memfd, for plugins that hand guest
 * memory to other processes. -EINVAL, -ENOMEM. [main] */
int ram_create(struct ram *ram, uint64_t size, bool shared, const struct ram_reserved *reserved,
               uint32_t reserved_count, struct error *e);
void ram_destroy(struct ram *ram);

/* The memory at `gpa`, and in *len (in: wanted, > 0) how much of it is contiguous. NULL if `gpa` is
 * no RAM or gpa + *len wraps. [any] */
uint8_t *ram_map(const struct ram *ram, uint64_t gpa, uint64_t *len);
/* The memory of [gpa, gpa + len), or NULL unless all of it is one extent of RAM. len > 0. [any] */
uint8_t *ram_at(const struct ram *ram, uint64_t gpa, uint64_t len);
/* Copies; -EFAULT and nothing copied unless all of it is RAM. len 0 is 0. [any] */
int ram_read(const struct ram *ram, uint64_t gpa, void *to, uint64_t len);
int ram_write(struct ram *ram, uint64_t gpa, const void *from, uint64_t len);
/* Gives whole pages back to the system: they read as zeroes afterwards, and are marked dirty.
 * -EINVAL unless `gpa` and `len` are multiples of RAM_PAGE; -EFAULT and nothing done unless all of
 * it is RAM; others from madvise(). [any] */
int ram_discard(struct ram *ram, uint64_t gpa, uint64_t len);
/* Marks the pages of [host, host + len) dirty, as far as ram_map() gave them in one piece, and says
 * in *gpa where they are. -ENOENT for a foreign pointer. [any] */
int ram_written(struct ram *ram, const void *host, uint64_t len, uint64_t *gpa);
/* Marks the pages of [gpa, gpa + len) dirty. [any] */
void ram_mark_dirty(struct ram *ram, uint64_t gpa, uint64_t len);

#endif
