/* SPDX-License-Identifier: MIT
 *
 * machine/shared_ram.c - "bp.memory/1": guest RAM for other processes, and back to the system.
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

static int memory_discard(struct bp_node *node, uint64_t gpa, uint64_t length)
{
    struct bp_machine *m = node->machine;
    int err = machine_is_gated(node) ? -EFAULT : ram_discard(&m->ram, gpa, length);

    if (!err)
        machine_code_changed(m, gpa, length);
    return err;
}

const struct bp_memory machine_memory = {
    .size = sizeof(machine_memory),
    .fd = memory_fd,
    .range = memory_range,
    .discard = memory_discard,
};
