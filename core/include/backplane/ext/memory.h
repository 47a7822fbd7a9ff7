/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/memory.h - "bp.memory/1", offered by the host: guest RAM as something to hand to
 * another process (a vhost-user backend, a device in a sandbox). A model that needs it says
 * BP_MODEL_SHARES_RAM, upon which the machine's RAM is a memfd.
 */
#ifndef BACKPLANE_EXT_MEMORY_H
#define BACKPLANE_EXT_MEMORY_H

#include "../host.h"
BP_BEGIN

#define BP_MEMORY_ID "bp.memory/1"

/* A stretch of guest RAM. */
struct bp_memory_range {
    uint32_t size;
    uint32_t reserved;
    uint64_t gpa, length; /* bytes, multiples of 4096 */
    uint64_t fd_offset;   /* of `gpa` in the file */
};

struct bp_memory {
    uint32_t size;
    uint32_t reserved;
    /* The file that holds all of guest RAM, the host's: dup() what you keep. -ENOTSUP if RAM is not
     * shared. [any] */
    int (*fd)(struct bp_node *node);
    /* Fills *out, whose size is set, for stretch number `index`, ascending; -ENOENT past the last.
     * They do not change while the instance lives. [any] */
    int (*range)(struct bp_node *node, uint32_t index, struct bp_memory_range *out);
    /* Gives the memory of [gpa, gpa + length), whole pages, back to the host's system: it reads as
     * zeroes from now on, until somebody writes to it. Translated code in it is dropped, and it is
     * marked dirty. -EINVAL unless it is made of whole pages; -EFAULT, and nothing done, unless all
     * of it is RAM, or while the device may do no DMA. Others as the system gives them. [any] */
    int (*discard)(struct bp_node *node, uint64_t gpa, uint64_t length);
};

BP_END
#endif
