/* SPDX-License-Identifier: MIT
 *
 * validate/rings.c - what the driver of a device with DMA sets up: structures in guest memory, and
 * registers that lead there. Random accesses find no ring by chance.
 *
 * The model's register table says which registers these are (BP_REG_ADDRESS and its like), nothing
 * says what the structures look like. So they are arrays of equal elements of a few words, each of
 * which is what such words usually are: an address in memory, a length, a small number, flags. Of
 * the many made in a check some are what the device takes.
 */
#include "validate/world.h"

#include <string.h>

#define BLOCK 4096u /* bytes of a structure, and its alignment */
#define HINTS (BP_REG_ADDRESS | BP_REG_ADDRESS_HIGH | BP_REG_LENGTH | BP_REG_DOORBELL)

static const struct bp_register *register_at(const struct bp_region *r, uint32_t index)
{
    return (const struct bp_register *)((const char *)r->ops.registers +
                                        (size_t)index * r->ops.register_stride);
}

static bool is_told(const struct bp_region *r)
{
    for (uint32_t i = 0; r->ops.registers && register_at(r, i)->name; i++)
        if (register_at(r, i)->access & HINTS)
            return true;
    return false;
}

/* The first region that the guest can reach and whose table says something. */
static struct bp_region *find(const struct bp_node *n)
{
    for (uint32_t i = 0; i < n->region_count; i++)
        if (!n->regions[i]->ram && region_is_mapped(n->regions[i]) && is_told(n->regions[i]))
            return n->regions[i];
    return NULL;
}

bool rings_known(const struct bp_node *n)
{
    return find(n) != NULL;
}

static uint64_t block_in_ram(struct tape *t)
{
    return BLOCK * (1 + tape_below(t, WORLD_RAM_BYTES / BLOCK - 1));
}

/* Operations, flags and the like: the smaller, the likelier. */
static uint64_t small(struct tape *t)
{
    return tape_below(t, UINT64_C(2) << tape_below(t, 6));
}

enum word {
    ADDRESS,
    LENGTH_THEN_CODE,
    CODE_THEN_LENGTH,
    LENGTH_FLAGS_NEXT,
    LENGTH_FLAGS,
    NUMBER,
    ANY
};

static uint64_t make_word(struct tape *t, uint64_t kind)
{
    uint64_t bytes = tape_below(t, UINT64_C(2) * BLOCK);

    switch (kind) {
    case ADDRESS:
        return block_in_ram(t) + 16 * tape_below(t, 16);
    case LENGTH_THEN_CODE:
        return bytes | small(t) << 32;
    case CODE_THEN_LENGTH:
        return small(t) | bytes << 32;
    case LENGTH_FLAGS_NEXT: /* as in virtio's */
        return bytes | small(t) << 32 | tape_below(t, 16) << 48;
    case LENGTH_FLAGS: /* as in those of network adapters */
        return bytes | (uint64_t)tape_byte(t) << 24;
    case NUMBER:
        return small(t);
    default:
        return tape_bits(t, 8);
    }
}

/* Where each kind of word is in an element: mostly addresses first, and then how long and what. */
static void choose_words(struct tape *t, uint64_t *kinds, uint32_t words)
{
    uint32_t addresses = tape_below(t, 4) ? 1 + (uint32_t)tape_below(t, 2) : 0;

    for (uint32_t i = 0; i < words; i++)
        kinds[i] = i < addresses                 ? ADDRESS
                   : addresses && i == addresses ? LENGTH_THEN_CODE + tape_below(t, 4)
                                                 : tape_below(t, ANY + 1);
}

/* Fills the block at `gpa`: elements of 8, 16, 32 or 64 bytes, a power of two as most are. */
static void make_structure(struct bp_node *n, struct tape *t, uint64_t gpa)
{
    uint32_t words = 1u << tape_below(t, 4);
    uint32_t made = 1 + (uint32_t)tape_below(t, 16); /* so many differ, and come again */
    uint64_t kinds[8], element[16][8], bytes = 8 * (uint64_t)words;

    choose_words(t, kinds, words);
    for (uint32_t k = 0; k < made; k++)
        for (uint32_t i = 0; i < words; i++)
            element[k][i] = make_word(t, kinds[i]);
    for (uint64_t at = 0, k = 0; at + bytes <= BLOCK; at += bytes, k = k + 1 < made ? k + 1 : 0)
        memcpy(n->world->ram + gpa + at, element[k], bytes);
}

/* All of a register, in the accesses that the bus would make of it. */
static void put(struct bp_region *r, const struct bp_register *reg, uint64_t value)
{
    uint32_t width = reg->width < r->ops.max_access ? reg->width : r->ops.max_access;

    width = width < r->ops.min_access ? r->ops.min_access : width;
    width = 1u << (31 - (uint32_t)__builtin_clz(width));
    for (uint32_t at = 0; at < reg->width && at < 8; at += width)
        if ((reg->offset + at) % width == 0 && reg->offset + at + width <= r->length)
            drive_write(r, reg->offset + at, value >> 8 * at, width);
}

/* A count of entries or of bytes; both are usually a power of two. */
static uint64_t length(struct tape *t)
{
    return tape_below(t, 4) ? UINT64_C(1) << tape_below(t, 13) : tape_below(t, BLOCK);
}

/* An ordinary register, to switch something on, or to tell something. */
static bool is_written(const struct bp_register *reg)
{
    uint32_t access = reg->access & ~BP_REG_POSTED;

    return access == BP_REG_RW || access == BP_REG_WO;
}

static void set_up(struct bp_node *n, struct bp_region *r, struct tape *t)
{
    uint64_t gpa = block_in_ram(t);

    if (n->pci)
        world_pci_start(n); /* bus master, above all */
    /* What is in use often cannot be moved. */
    for (uint32_t i = 0; register_at(r, i)->name; i++)
        if (register_at(r, i)->access & BP_REG_LENGTH)
            put(r, register_at(r, i), 0);
    for (uint32_t i = 0; register_at(r, i)->name; i++) {
        const struct bp_register *reg = register_at(r, i);

        if (reg->access & BP_REG_ADDRESS) {
            gpa = block_in_ram(t);
            /* While others call the device, it reads memory at any time. */
            if (!n->world->threads)
                make_structure(n, t, gpa);
            put(r, reg, gpa);
        } else if (reg->access & BP_REG_ADDRESS_HIGH) {
            put(r, reg, gpa >> 32);
        } else if (reg->access & BP_REG_LENGTH) {
            put(r, reg, length(t));
        } else if (reg->access & BP_REG_DOORBELL) {
            put(r, reg, tape_below(t, 16));
        } else if (is_written(reg) && !tape_below(t, 4)) {
            put(r, reg, tape_below(t, 2) ? UINT64_MAX : tape_below(t, 16)); /* switch it on */
        }
    }
}

void rings_act(struct bp_node *n, struct tape *t)
{
    struct bp_region *r = find(n);

    if (!r)
        return;
    if (tape_below(t, 2)) {
        set_up(n, r, t);
        return;
    }
    for (uint32_t i = 0; register_at(r, i)->name; i++)
        if (register_at(r, i)->access & BP_REG_DOORBELL)
            put(r, register_at(r, i), tape_below(t, 16));
}
