/* SPDX-License-Identifier: MIT
 *
 * boot/place.h - which stretches of guest memory the loader has given away. Everything that is
 * loaded goes through here, so that nothing overlaps anything else and nothing stands outside RAM.
 */
#ifndef BOOT_PLACE_H
#define BOOT_PLACE_H

#include "base/error.h"
#include "memory/ram.h"
#include "platform/e820.h"

#include <stdbool.h>

#define PLACE_MAX 256u       /* stretches */
#define PLACE_WHAT_BYTES 40u /* of a name with its 0; longer names are cut */

struct place_range {
    uint64_t first, last; /* guest-physical addresses, both of them inside */
    char what[PLACE_WHAT_BYTES];
};

struct place {
    const struct ram *ram;
    const struct e820 *map;
    uint32_t count;
    uint32_t reserved;
    struct place_range taken[PLACE_MAX];
};

void place_init(struct place *place, const struct ram *ram, const struct e820 *map);

/* Gives [gpa, gpa + length) to `what` ("the kernel", "segment 2"; copied), for an error about
 * `path`, and in *host (may be NULL) where it stands. Length > 0. -ENOSPC unless all of it is
 * E820_RAM and free. [main] */
int place_take(struct place *place, const char *path, const char *what, uint64_t gpa,
               uint64_t length, uint8_t **host, struct error *e);

/* Whether place_take() would succeed. [main] */
bool place_is_free(const struct place *place, uint64_t gpa, uint64_t length);

enum place_end {
    PLACE_LOWEST,
    PLACE_HIGHEST,
};

/* Finds the lowest or highest free `length` bytes of RAM at a multiple of `align` (a power of two)
 * within [first, last]. -ENOSPC with a sentence. Nothing is taken. [main] */
int place_find(const struct place *place, const char *path, const char *what, enum place_end end,
               uint64_t length, uint64_t align, uint64_t first, uint64_t last, uint64_t *gpa,
               struct error *e);

/* place_find(), then place_take(). [main] */
int place_take_free(struct place *place, const char *path, const char *what, enum place_end end,
                    uint64_t length, uint64_t align, uint64_t first, uint64_t last, uint64_t *gpa,
                    uint8_t **host, struct error *e);

#endif
