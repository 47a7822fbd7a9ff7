/* SPDX-License-Identifier: MIT
 *
 * machine/shared_ram.c - "bp.memory/1": guest RAM for other processes.
 */
#include "machine/machine_private.h"

#include <errno.h>

static int memory_fd(struct bp_node *node)
{
    const struct ram *ram = &node->machine->ram;

    return ram->fd >= 0 ? ram->fd : -ENOTSUP;
}

static int memory_range(struct bp_node *node, uint32_t index, struct bp_memory_range *out)
{
    const struct ram *ram = &node->machine->ram;

    if (out->size < sizeof(*out))
        return -EINVAL;
    if (index >= ram->count)
        return -ENOENT;
    const struct ram_extent *x = &ram->extents[index];
    *out = (struct bp_memory_range){.size = out->size,
                                    .gpa = x->gpa,
                                    .length = x->length,
                                    .fd_offset = (uint64_t)(x->host - ram->base)};
    return 0;
}

const struct bp_memory machine_memory = {
    .size = sizeof(machine_memory),
    .fd = memory_fd,
    .range = memory_range,
};
