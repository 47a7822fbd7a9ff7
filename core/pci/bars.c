/* SPDX-License-Identifier: MIT
 *
 * pci/bars.c - base address registers: what a guest finds when it sizes them, and regions that
 * follow where it puts them (PCI 3.0, 6.2.5).
 *
 * A register's low bits are read-only zeroes up to the region's length, so that writing ones and
 * reading back tells the length without anything here knowing of it: the region is at the top of
 * the space meanwhile, as it would be in hardware. Every address that a guest can write is allowed,
 * 0 too. Who answers where BARs overlap RAM, other devices or each other is the bus's rule.
 */
#include "pci/function.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

#define MEMORY_MIN 16u
#define IO_MIN 4u
#define IO_MAX 256u
#define PORTS 0x10000u
#define BAR_IO 1u
#define BAR_64 4u
#define BAR_PREFETCHABLE 8u

static uint32_t at(uint32_t index)
{
    return PCI_BAR + 4 * index;
}

static int refuse(const struct bp_pci_function *f, uint32_t index, uint32_t space, uint64_t length,
                  uint32_t flags)
{
    bool wide = flags & BP_PCI_BAR_64;

    if (index >= PCI_BARS || (wide && index + 1 >= PCI_BARS))
        return pci_fail(f, -EINVAL, "there is no BAR %u, expected 0 to 5 (64-bit: to 4)", index);
    for (uint32_t i = index; i <= index + (wide ? 1u : 0u); i++)
        if (f->bars[i].length || f->bars[i].upper)
            return pci_fail(f, -EBUSY, "BAR %u is taken; choose another", i);
    if (flags & ~(BP_PCI_BAR_64 | BP_PCI_BAR_PREFETCHABLE) || (space == BP_SPACE_PIO && flags))
        return pci_fail(f, -EINVAL, "BAR %u: flags 0x%x are none that a BAR of this space has",
                        index, flags);
    if (length & (length - 1))
        return pci_fail(f, -EINVAL, "BAR %u: its length 0x%llx is no power of two", index,
                        (unsigned long long)length);
    if (space == BP_SPACE_PIO && (length < IO_MIN || length > IO_MAX))
        return pci_fail(f, -EINVAL, "BAR %u: it has 0x%llx ports, expected 4 to 256", index,
                        (unsigned long long)length);
    if (space == BP_SPACE_MMIO && length < MEMORY_MIN)
        return pci_fail(f, -EINVAL, "BAR %u: it has %llu bytes, expected 16 or more", index,
                        (unsigned long long)length);
    if (space == BP_SPACE_MMIO && !wide && length > 1ull << 31)
        return pci_fail(f, -EINVAL,
                        "BAR %u: 0x%llx bytes do not fit in a 32-bit BAR; use BP_PCI_BAR_64", index,
                        (unsigned long long)length);
    return 0;
}

int pci_bar_add(struct bp_pci_function *f, uint32_t index, struct bp_region *region, uint32_t space,
                uint64_t length, uint32_t flags)
{
    int err = refuse(f, index, space, length, flags);
    struct pci_function *c = &f->config;
    uint64_t mask = ~(length - 1);

    if (err)
        return err;
    f->bars[index] = (struct pci_bar){
        .region = region, .length = length, .base = BP_UNMAPPED, .space = space, .flags = flags};
    bp_put_le32(c->writable + at(index), (uint32_t)mask);
    if (space == BP_SPACE_PIO) {
        c->config[at(index)] = BAR_IO;
        c->writable[PCI_COMMAND] |= PCI_COMMAND_IO;
        return 0;
    }
    c->writable[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
    c->config[at(index)] = (uint8_t)((flags & BP_PCI_BAR_64 ? BAR_64 : 0) |
                                     (flags & BP_PCI_BAR_PREFETCHABLE ? BAR_PREFETCHABLE : 0));
    if (flags & BP_PCI_BAR_64) {
        f->bars[index + 1].upper = true;
        bp_put_le32(c->writable + at(index + 1), (uint32_t)(mask >> 32));
    }
    return 0;
}

int pci_bar(struct bp_pci_function *f, uint32_t index, struct bp_region *region, uint32_t flags)
{
    const struct pci_services *s = f->services;
    uint64_t length;
    uint32_t space;
    int err = s->region_check(s->context, f->node, region, &space, &length);

    if (err == -EBUSY)
        return pci_fail(f, err, "BAR %u: its region is placed already, or another BAR's", index);
    if (err)
        return pci_fail(f, err, "BAR %u: its region is not this device's", index);
    err = pci_bar_add(f, index, region, space, length, flags);
    if (!err)
        s->region_claim(s->context, region);
    return err;
}

/* Where the guest wants it; BP_UNMAPPED if it is not decoded there. */
static uint64_t wanted(const struct bp_pci_function *f, uint32_t index)
{
    const struct pci_bar *bar = &f->bars[index];
    const uint8_t *config = f->config.config;
    uint16_t command = bp_le16(config + PCI_COMMAND);
    uint64_t base = bp_le32(config + at(index));

    if (bar->space == BP_SPACE_PIO) {
        base &= ~(uint64_t)(IO_MIN - 1);
        return command & PCI_COMMAND_IO && base <= PORTS - bar->length ? base : BP_UNMAPPED;
    }
    base &= ~(uint64_t)(MEMORY_MIN - 1);
    if (bar->flags & BP_PCI_BAR_64)
        base |= (uint64_t)bp_le32(config + at(index + 1)) << 32;
    return command & PCI_COMMAND_MEMORY ? base : BP_UNMAPPED;
}

static uint64_t inside(uint64_t base, uint64_t offset)
{
    return base == BP_UNMAPPED ? BP_UNMAPPED : base + offset;
}

/* What is mapped first wins: MSI-X's registers lie over the rest of their BAR, and so come before
 * it and go after it. */
static void move(struct bp_pci_function *f, uint32_t index, uint64_t base)
{
    const struct pci_services *s = f->services;
    struct pci_bar *bar = &f->bars[index];
    bool msix = f->msix_count && f->msix_bar == index;

    if (msix && bar->base != BP_UNMAPPED) {
        s->region_place(s->context, f->node, bar->region, BP_UNMAPPED);
        s->region_place(s->context, f->node, f->table_region, BP_UNMAPPED);
        s->region_place(s->context, f->node, f->pba_region, BP_UNMAPPED);
    }
    if (msix && base != BP_UNMAPPED) {
        s->region_place(s->context, f->node, f->table_region, inside(base, f->table_offset));
        s->region_place(s->context, f->node, f->pba_region, inside(base, f->pba_offset));
    }
    if (!msix || base != BP_UNMAPPED)
        s->region_place(s->context, f->node, bar->region, base);
    bar->base = base;
}

void pci_bars_follow(struct bp_pci_function *f)
{
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        if (!f->bars[i].length)
            continue;
        uint64_t base = wanted(f, i);
        if (base != f->bars[i].base)
            move(f, i, base);
    }
}

void pci_bar_set(struct bp_pci_function *f, uint32_t index, uint64_t base)
{
    const struct pci_bar *bar = &f->bars[index];
    uint8_t *low = f->config.config + at(index);
    uint32_t flags = bar->space == BP_SPACE_PIO ? IO_MIN - 1 : MEMORY_MIN - 1;

    bp_put_le32(low, (uint32_t)base | (bp_le32(low) & flags));
    if (bar->flags & BP_PCI_BAR_64)
        bp_put_le32(f->config.config + at(index + 1), (uint32_t)(base >> 32));
}
