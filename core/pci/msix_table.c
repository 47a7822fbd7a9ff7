/* SPDX-License-Identifier: MIT
 *
 * pci/msix_table.c - the MSI-X table and its pending bits as a guest finds them in a BAR
 * (PCI 3.0, 6.8.2).
 *
 * An entry is address (8 bytes), data, vector control; bit 0 of that is the mask, the others are
 * reserved and read as 0. Software shall use aligned dwords and qwords: narrower reads give what is
 * there, narrower writes are dropped. Pending bits cannot be written.
 */
#include "pci/function.h"

#define ADDRESS_LOW 0u
#define ADDRESS_HIGH 4u
#define DATA 8u
#define CONTROL 12u
#define CONTROL_MASKED 1u

static uint32_t entry_dword(const struct pci_msix_entry *entry, uint32_t which)
{
    switch (which) {
    case ADDRESS_LOW:
        return (uint32_t)entry->address;
    case ADDRESS_HIGH:
        return (uint32_t)(entry->address >> 32);
    case DATA:
        return entry->data;
    default:
        return entry->masked ? CONTROL_MASKED : 0;
    }
}

static uint64_t table_read(void *self, uint64_t offset, uint32_t width)
{
    struct bp_pci_function *f = self;
    uint64_t dword = offset & ~3ull, value;

    pthread_mutex_lock(&f->lock);
    value = entry_dword(&f->entries[dword / PCI_MSIX_ENTRY], dword % PCI_MSIX_ENTRY);
    if (width == 8)
        value |=
            (uint64_t)entry_dword(&f->entries[dword / PCI_MSIX_ENTRY], dword % PCI_MSIX_ENTRY + 4)
            << 32;
    pthread_mutex_unlock(&f->lock);
    return value >> 8 * (offset & 3);
}

static void put_dword(struct pci_msix_entry *entry, uint32_t which, uint32_t value)
{
    switch (which) {
    case ADDRESS_LOW:
        entry->address = (entry->address & ~(uint64_t)UINT32_MAX) | (value & ~3u);
        break;
    case ADDRESS_HIGH:
        entry->address = (entry->address & UINT32_MAX) | (uint64_t)value << 32;
        break;
    case DATA:
        entry->data = value;
        break;
    default:
        entry->masked = value & CONTROL_MASKED;
        break;
    }
}

static void table_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct bp_pci_function *f = self;
    uint32_t vector = (uint32_t)(offset / PCI_MSIX_ENTRY), which = offset % PCI_MSIX_ENTRY;

    if (width < 4)
        return;
    pthread_mutex_lock(&f->lock);
    put_dword(&f->entries[vector], which, (uint32_t)value);
    if (width == 8)
        put_dword(&f->entries[vector], which + 4, (uint32_t)(value >> 32));
    if (f->mode == BP_PCI_MSIX)
        pci_messages_flush(f, vector, 1);
    pthread_mutex_unlock(&f->lock);
    pci_vectors_follow(f, vector, 1);
}

static uint64_t pba_read(void *self, uint64_t offset, uint32_t width)
{
    struct bp_pci_function *f = self;
    uint64_t first = offset * 8, value = 0;

    pthread_mutex_lock(&f->lock);
    for (uint64_t i = 0; i < 8ull * width && first + i < f->msix_count; i++)
        value |= (uint64_t)f->entries[first + i].pending << i;
    pthread_mutex_unlock(&f->lock);
    return value;
}

static uint64_t rest_read(void *self, uint64_t offset, uint32_t width)
{
    (void)self, (void)offset, (void)width;
    return 0;
}

static void drop(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)self, (void)offset, (void)value, (void)width;
}

#define OPS(name_, read_, write_)                                                                  \
    {                                                                                              \
        .size = sizeof(struct bp_region_ops), .min_access = 1, .max_access = 8,                    \
        .register_stride = sizeof(struct bp_register), .name = (name_), .read = (read_),           \
        .write = (write_)                                                                          \
    }

const struct bp_region_ops pci_msix_table_ops = OPS("msix-table", table_read, table_write);
const struct bp_region_ops pci_msix_pba_ops = OPS("msix-pba", pba_read, drop);
const struct bp_region_ops pci_msix_rest_ops = OPS("msix-bar", rest_read, drop);
