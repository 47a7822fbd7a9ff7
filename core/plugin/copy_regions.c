/* SPDX-License-Identifier: MIT
 *
 * plugin/copy_regions.c - the register tables that a model tells of, checked and copied.
 *
 * They give names to what a device has before there is one. Of a region's table only data is read:
 * its functions belong to instances, which hand the same table to region_new().
 */
#include "plugin/copy.h"

#include <errno.h>
#include <string.h>

#define REGION_MINIMUM (uint32_t)(offsetof(struct bp_region_ops, registers) + sizeof(void *))
#define REGISTER_MINIMUM (uint32_t)(offsetof(struct bp_register, access) + sizeof(uint32_t))

static int copy_register(struct copy *c, struct bp_register *reg)
{
    uint64_t end;
    int err = copy_text(c, "name", reg->name, false, &reg->name);

    if (err)
        return err;
    c->name = reg->name;
    if (!reg->width || __builtin_add_overflow(reg->offset, reg->width, &end))
        return copy_fail(c, -EINVAL, "it has %u bytes at offset 0x%llx; expected at least one",
                         reg->width, (unsigned long long)reg->offset);
    if ((reg->access & BP_REG_ACCESS) > BP_REG_RC) {
        if (!c->newer)
            return copy_fail(c, -EINVAL,
                             "its access %u is unknown; this host knows 0 to %u: use BP_REG_*",
                             reg->access & BP_REG_ACCESS, BP_REG_RC);
        reg->access &= ~BP_REG_ACCESS; /* RW */
    }
    return 0;
}

static int copy_registers(struct copy *c, const struct bp_region_ops *ops, struct model_region *to)
{
    const char *from = (const char *)ops->registers;
    struct bp_register *registers;
    const char *name;
    uint32_t n = 0;
    int err =
        from ? copy_check_stride(c, "register table", ops->register_stride, REGISTER_MINIMUM) : 0;

    if (err)
        return err;
    for (; from; n++) {
        memcpy(&name, from + (size_t)n * ops->register_stride, sizeof(name));
        if (!name)
            break;
        if (n == DESCRIPTOR_REGISTERS_MAX)
            return copy_fail(c, -EINVAL, "it has more than %u registers; end the table with {0}",
                             DESCRIPTOR_REGISTERS_MAX);
    }
    registers = arena_take(c->arena, (n + 1) * sizeof(*registers)); /* zeroed: the end */
    if (!registers)
        return copy_fail(c, -ENOMEM, "out of memory");
    to->registers = registers;
    to->register_count = n;
    c->table = "register";
    for (uint32_t i = 0; i < n && !err; i++) {
        c->name = NULL;
        memcpy(&registers[i], from + (size_t)i * ops->register_stride, sizeof(*registers));
        err = copy_register(c, &registers[i]);
    }
    return err;
}

static int copy_region(struct copy *c, const struct bp_region_ops *from, struct model_region *to)
{
    struct bp_region_ops ops = {0};
    int err;

    if ((uintptr_t)from % sizeof(void *))
        return copy_fail(c, -EINVAL, "it is not aligned to %zu bytes; do not pack it",
                         sizeof(void *));
    memcpy(&ops.size, from, sizeof(ops.size));
    if (ops.size < REGION_MINIMUM)
        return copy_fail(c, -EINVAL,
                         "its size says %u bytes, and no version has less than %u; set size to "
                         "sizeof its struct",
                         ops.size, REGION_MINIMUM);
    memcpy(&ops, from, REGION_MINIMUM);
    err = copy_text(c, "name", ops.name, false, &to->name);
    if (err)
        return err;
    c->name = to->name;
    to->min_access = ops.min_access;
    to->max_access = ops.max_access;
    return copy_registers(c, &ops, to);
}

int copy_regions(struct copy *c, const struct bp_region_ops *const *from, struct model *to)
{
    struct model_region *regions;
    uint32_t n = 0;

    while (from && from[n])
        if (++n > DESCRIPTOR_REGIONS_MAX)
            return copy_fail(c, -EINVAL, "it has more than %u regions; end the list with NULL",
                             DESCRIPTOR_REGIONS_MAX);
    if (!n)
        return 0;
    regions = arena_take(c->arena, n * sizeof(*regions));
    if (!regions)
        return copy_fail(c, -ENOMEM, "out of memory");
    to->regions = regions;
    to->region_count = n;
    for (uint32_t i = 0; i < n; i++) {
        int err;

        c->table = "region";
        c->name = NULL;
        err = copy_region(c, from[i], &regions[i]);
        if (err)
            return err;
    }
    c->table = c->name = NULL;
    return 0;
}
