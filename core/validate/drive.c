/* SPDX-License-Identifier: MIT
 *
 * validate/drive.c - what can happen to an instance that runs, one thing after the other, as a tape
 * of bytes says: the guest reads and writes registers, time passes, something comes from outside.
 *
 * The same code serves random traffic, comparisons of two instances, and fuzzing. Values are those
 * at which devices go wrong: none, all ones, single bits, addresses in guest memory and beyond.
 */
#include "validate/world.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mask(uint32_t width)
{
    return width < 8 ? (UINT64_C(1) << 8 * width) - 1 : UINT64_MAX;
}

/* The domain, unless the region locks for itself. */
static void enter(struct bp_region *r)
{
    if (!(r->ops.flags & BP_REGION_UNLOCKED))
        node_enter(r->node);
}

static void leave(struct bp_region *r)
{
    if (!(r->ops.flags & BP_REGION_UNLOCKED))
        node_leave(r->node);
}

uint64_t drive_read(struct bp_region *r, uint64_t offset, uint32_t width)
{
    uint64_t value;

    enter(r);
    doing(r->node->world, "a read of %u byte%s at offset 0x%llx of region %s", width,
          width == 1 ? "" : "s", (unsigned long long)offset, r->ops.name);
    value = r->ops.read(r->self, offset, width) & mask(width);
    leave(r);
    return value;
}

void drive_write(struct bp_region *r, uint64_t offset, uint64_t value, uint32_t width)
{
    enter(r);
    doing(r->node->world, "a write of 0x%llx, %u byte%s, at offset 0x%llx of region %s",
          (unsigned long long)(value & mask(width)), width, width == 1 ? "" : "s",
          (unsigned long long)offset, r->ops.name);
    r->ops.write(r->self, offset, value & mask(width), width);
    leave(r);
}

static uint64_t interesting(struct tape *t)
{
    switch (tape_below(t, 8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_C(1) << tape_below(t, 64);
    case 3:
        return tape_byte(t);
    case 4:
        return tape_below(t, WORLD_RAM_BYTES); /* in guest memory */
    case 5:
        return WORLD_RAM_BYTES - tape_below(t, 64); /* at its end */
    default:
        return tape_bits(t, 8);
    }
}

/* A register of the table, or NULL. */
static const struct bp_register *pick_register(const struct bp_region *r, struct tape *t)
{
    const char *at = (const char *)r->ops.registers;
    uint64_t count = 0;

    while (at && ((const struct bp_register *)(at + count * r->ops.register_stride))->name)
        count++;
    return count ? (const struct bp_register *)(at + tape_below(t, count) * r->ops.register_stride)
                 : NULL;
}

void note(struct bp_node *n, const struct bp_region *r, uint64_t offset, uint32_t width,
          uint64_t value)
{
    if (n->seen && n->seen_count < n->seen_max)
        n->seen[n->seen_count++] = (struct seen){r, offset, value, width, 0};
}

static void access_region(struct bp_node *n, struct tape *t)
{
    struct bp_region *reachable[WORLD_REGIONS], *r;
    const struct bp_register *reg;
    uint64_t offset, value;
    uint32_t count = 0, width;
    uint8_t how = tape_byte(t);

    for (uint32_t i = 0; i < n->region_count; i++)
        if (!n->regions[i]->ram && region_is_mapped(n->regions[i]))
            reachable[count++] = n->regions[i];
    if (!count)
        return;
    r = reachable[tape_below(t, count)];
    width = 1u << tape_below(t, 4);
    width = width < r->ops.min_access ? r->ops.min_access : width;
    width = width > r->ops.max_access ? r->ops.max_access : width;
    reg = how & 0x40 ? NULL : pick_register(r, t);
    offset = reg ? reg->offset : tape_below(t, r->length);
    offset -= offset % width;
    if (r->length < width || offset > r->length - width)
        return;
    if (how & 1) {
        value = interesting(t);
        drive_write(r, offset, value, width);
    } else {
        value = drive_read(r, offset, width);
        note(n, r, offset, width, value);
    }
}

static void pass_time(struct bp_node *n, struct tape *t)
{
    static const uint64_t steps[] = {1,        1000,      100000,     1000000,
                                     10000000, 100000000, 1000000000, 60000000000};

    world_advance(n, steps[tape_below(t, sizeof(steps) / sizeof(steps[0]))]);
}

static void warm_reset(struct bp_node *n)
{
    node_stop(n);
    node_reset(n, BP_RESET_WARM);
    if (node_start(n))
        world_fail(n->world, "start() fails after a reset of the guest: %s", n->failure);
    world_pci_start(n);
}

void drive(struct bp_node *n, struct tape *t, uint32_t count)
{
    if (!n->world->threads)
        n->tape = t->data ? t : &n->far;
    for (uint32_t i = 0; i < count && !t->ended; i++) {
        uint8_t what = tape_byte(t);

        if (t->ended)
            break;
        if (what >= 0xa0 && what < 0xb0 && !n->port && rings_known(n))
            rings_act(n, t);
        else if (what < 0xb0)
            n->port ? backend_act(n, t) : access_region(n, t);
        else if (what < 0xb8 && n->pci)
            world_pci_act(n, t);
        else if (what < 0xd0)
            peer_act(n, t);
        else if (n->world->threads)
            continue; /* time and events are the loop's */
        else if (what < 0xe8)
            pass_time(n, t);
        else if (what < 0xfe)
            world_poll(n, 0);
        else
            warm_reset(n);
    }
}
