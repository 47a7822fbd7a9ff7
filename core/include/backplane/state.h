/* SPDX-License-Identifier: MIT
 *
 * backplane/state.h - the snapshot state of an instance, saved by name, in little endian.
 */
#ifndef BACKPLANE_STATE_H
#define BACKPLANE_STATE_H

#include "abi.h"
BP_BEGIN

/* One member of the instance struct, or an array of equal members, that a snapshot holds. */
struct bp_field {
    const char *name;       /* stable for ever: a renamed member keeps its old field name */
    uint32_t offset, width; /* in the instance struct; bytes of an element: 1, 2, 4, 8 */
    uint32_t count,
        stride;     /* elements, and bytes from one to the next; 1 and `width` for a scalar */
    uint32_t since; /* state_version that introduced it; older files leave the reset value */
    uint32_t reserved;
};

#define BP_FIELD(type, member, since_)                                                             \
    {                                                                                              \
#member, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type *)0)->member), 1u,      \
            (uint32_t)sizeof(((type *)0)->member), (since_), 0u                                    \
    }
#define BP_ARRAY(type, member, since_)                                                             \
    {                                                                                              \
#member, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type *)0)->member[0]),       \
            (uint32_t)(sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0])),              \
            (uint32_t)sizeof(((type *)0)->member[0]), (since_), 0u                                 \
    }

/* For state that is no plain member, such as a list of pending packets. */
struct bp_writer {
    uint32_t size;
    uint32_t reserved;
    /* Saves `len` bytes under `name`. 0, or -errno which save() passes on. [main] */
    int (*put)(struct bp_writer *w, const char *name, const void *data, uint64_t len);
};

struct bp_reader {
    uint32_t size;
    uint32_t reserved;
    /* Copies at most `cap` bytes of what was saved under `name`. Returns the saved length, which
     * may exceed `cap`; -ENOENT if the file has nothing of that name. [main] */
    int64_t (*get)(struct bp_reader *r, const char *name, void *data, uint64_t cap);
};

BP_END
#endif
