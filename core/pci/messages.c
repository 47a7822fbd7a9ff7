/* SPDX-License-Identifier: MIT
 *
 * pci/messages.c - message-signalled interrupts: MSI and MSI-X, their masks and pending bits
 * (PCI 3.0, 6.8.1 to 6.8.3).
 *
 * If a guest enables both, which it may not, MSI-X is what counts. Messages that are pending when
 * a guest turns theirs off are forgotten.
 */
#include "pci/function.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdlib.h>

/* MSI: offsets in the capability, with 64-bit addresses and masks. */
#define MSI_CONTROL 0x02u
#define MSI_ADDRESS 0x04u
#define MSI_DATA 0x0cu
#define MSI_MASK 0x10u
#define MSI_ENABLE 0x0001u
#define MSI_CAPABLE_SHIFT 1u
#define MSI_ENABLED_SHIFT 4u /* 6:4, log2 of the messages that the guest enabled */
#define MSI_64 0x0080u
#define MSI_MASKS 0x0100u

/* MSI-X */
#define MSIX_CONTROL 0x02u
#define MSIX_TABLE 0x04u
#define MSIX_PBA 0x08u
#define MSIX_FUNCTION_MASK 0x4000u
#define MSIX_ENABLE 0x8000u
#define MSIX_ALIGN 8u

int pci_vectors_room(struct bp_pci_function *f, uint32_t count)
{
    struct pci_vector *vectors;

    if (count <= f->vector_count)
        return 0;
    vectors = realloc(f->vectors, count * sizeof(*vectors));
    if (!vectors)
        return pci_fail(f, -ENOMEM, "out of memory");
    for (uint32_t i = f->vector_count; i < count; i++)
        vectors[i] = (struct pci_vector){.fd = -1, .masked = true};
    f->vectors = vectors;
    f->vector_count = count;
    return 0;
}

int pci_msi(struct bp_pci_function *f, uint32_t vectors)
{
    struct pci_function *c = &f->config;
    uint32_t offset;

    if (f->msi_at)
        return pci_fail(f, -EBUSY, "it has MSI already");
    if (!vectors || vectors > PCI_MSI_MAX || (vectors & (vectors - 1)))
        return pci_fail(f, -EINVAL, "MSI with %u messages; expected 1, 2, 4, 8, 16 or 32", vectors);
    int err = pci_vectors_room(f, vectors);
    if (!err)
        err = pci_capability(f, PCI_CAPABILITY_MSI, PCI_MSI_BYTES, &offset);
    if (err)
        return err;
    f->msi_at = offset;
    f->msi_count = vectors;
    bp_put_le16(
        c->config + offset + MSI_CONTROL,
        (uint16_t)(MSI_64 | MSI_MASKS | (uint32_t)__builtin_ctz(vectors) << MSI_CAPABLE_SHIFT));
    bp_put_le16(c->writable + offset + MSI_CONTROL, MSI_ENABLE | 7u << MSI_ENABLED_SHIFT);
    bp_put_le32(c->writable + offset + MSI_ADDRESS, ~3u);
    bp_put_le32(c->writable + offset + MSI_ADDRESS + 4, UINT32_MAX);
    bp_put_le16(c->writable + offset + MSI_DATA, UINT16_MAX);
    bp_put_le32(c->writable + offset + MSI_MASK, UINT32_MAX >> (32 - vectors));
    return 0;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

static uint32_t pba_bytes(uint32_t vectors)
{
    return (vectors + 63) / 64 * 8;
}

/* The BAR that holds table and pending bits, made here if the device did not. */
static int msix_bar(struct bp_pci_function *f, uint32_t bar, uint64_t needed)
{
    const struct pci_services *s = f->services;
    struct bp_region *region;
    uint64_t length = 4096;

    if (f->bars[bar].length) {
        if (f->bars[bar].space != BP_SPACE_MMIO)
            return pci_fail(f, -EINVAL, "MSI-X: BAR %u has ports, and the table needs memory", bar);
        if (needed > f->bars[bar].length)
            return pci_fail(f, -EINVAL,
                            "MSI-X: table and pending bits need 0x%llx bytes of BAR %u, which has "
                            "0x%llx",
                            (unsigned long long)needed, bar,
                            (unsigned long long)f->bars[bar].length);
        return 0;
    }
    while (length < needed)
        length *= 2;
    int err = s->region_new(s->context, f->node, length, &pci_msix_rest_ops, f, &region);
    return err ? err : pci_bar_add(f, bar, region, BP_SPACE_MMIO, length, 0);
}

int pci_msix(struct bp_pci_function *f, uint32_t vectors, uint32_t bar, uint32_t table_offset,
             uint32_t pba_offset)
{
    const struct pci_services *s = f->services;
    uint64_t table = (uint64_t)vectors * PCI_MSIX_ENTRY, pba = pba_bytes(vectors);
    uint64_t table_end = table_offset + table, pba_end = pba_offset + pba;
    struct pci_function *c = &f->config;
    uint32_t offset;

    if (f->msix_at)
        return pci_fail(f, -EBUSY, "it has MSI-X already");
    if (!vectors || vectors > PCI_MSIX_MAX)
        return pci_fail(f, -EINVAL, "MSI-X with %u messages; expected 1 to 2048", vectors);
    if (bar >= PCI_BARS || f->bars[bar].upper)
        return pci_fail(f, -EINVAL, "MSI-X: there is no BAR %u", bar);
    if (table_offset % MSIX_ALIGN || pba_offset % MSIX_ALIGN ||
        overlap(table_offset, table, pba_offset, pba))
        return pci_fail(f, -EINVAL,
                        "MSI-X: the table at 0x%x and the pending bits at 0x%x must be at "
                        "multiples of 8, and not overlap",
                        table_offset, pba_offset);
    int err = pci_vectors_room(f, vectors);
    if (!err)
        err = msix_bar(f, bar, table_end > pba_end ? table_end : pba_end);
    if (!err)
        err = s->region_new(s->context, f->node, table, &pci_msix_table_ops, f, &f->table_region);
    if (!err)
        err = s->region_new(s->context, f->node, pba, &pci_msix_pba_ops, f, &f->pba_region);
    if (err)
        return err;
    f->entries = calloc(vectors, sizeof(*f->entries));
    if (!f->entries)
        return pci_fail(f, -ENOMEM, "out of memory");
    err = pci_capability(f, PCI_CAPABILITY_MSIX, PCI_MSIX_BYTES, &offset);
    if (err)
        return err;
    f->msix_at = offset;
    f->msix_count = vectors;
    f->msix_bar = bar;
    f->table_offset = table_offset;
    f->pba_offset = pba_offset;
    for (uint32_t i = 0; i < vectors; i++)
        f->entries[i].masked = true;
    bp_put_le16(c->config + offset + MSIX_CONTROL, (uint16_t)(vectors - 1));
    bp_put_le16(c->writable + offset + MSIX_CONTROL, MSIX_ENABLE | MSIX_FUNCTION_MASK);
    bp_put_le32(c->config + offset + MSIX_TABLE, table_offset | bar);
    bp_put_le32(c->config + offset + MSIX_PBA, pba_offset | bar);
    return 0;
}

uint32_t pci_interrupt_mode(struct bp_pci_function *f)
{
    return __atomic_load_n(&f->mode, __ATOMIC_RELAXED);
}

/* ---- sending ------------------------------------------------------------------------------------
 */

bool pci_message_of(const struct bp_pci_function *f, uint32_t vector, uint64_t *address,
                    uint32_t *data)
{
    if (f->mode == BP_PCI_MSIX && vector < f->msix_count) {
        const struct pci_msix_entry *entry = &f->entries[vector];
        *address = entry->address;
        *data = entry->data;
        return !entry->masked && !f->function_masked;
    }
    if (f->mode == BP_PCI_MSI && vector < f->msi_count) {
        uint32_t n = vector & (f->msi_enabled - 1);
        *address = f->msi_address;
        *data = (f->msi_data & ~(f->msi_enabled - 1)) | n;
        return !(f->msi_masks >> n & 1);
    }
    return false;
}

static void note_pending(struct bp_pci_function *f, uint32_t vector)
{
    if (f->mode == BP_PCI_MSIX)
        f->entries[vector].pending = true;
    else
        f->msi_pending |= 1u << (vector & (f->msi_enabled - 1));
}

void pci_notify(struct bp_pci_function *f, uint32_t vector)
{
    const struct pci_services *s = f->services;
    uint64_t address;
    uint32_t data;

    pthread_mutex_lock(&f->lock);
    uint32_t count = f->mode == BP_PCI_MSIX  ? f->msix_count
                     : f->mode == BP_PCI_MSI ? f->msi_count
                                             : 0;
    if (vector < count) {
        /* Under the lock: once a guest has masked a vector, no message of it comes any more. */
        if (!pci_message_of(f, vector, &address, &data))
            note_pending(f, vector);
        else if (f->master)
            s->message(s->context, f->node, address, data);
    }
    pthread_mutex_unlock(&f->lock);
}

void pci_messages_flush(struct bp_pci_function *f, uint32_t first, uint32_t count)
{
    const struct pci_services *s = f->services;
    uint64_t address;
    uint32_t data;

    for (uint32_t i = first; i - first < count; i++) {
        bool pending = f->mode == BP_PCI_MSIX ? i < f->msix_count && f->entries[i].pending
                                              : i < PCI_MSI_MAX && f->msi_pending >> i & 1;
        if (!pending || !pci_message_of(f, i, &address, &data))
            continue;
        if (f->mode == BP_PCI_MSIX)
            f->entries[i].pending = false;
        else
            f->msi_pending &= ~(1u << i);
        if (f->master)
            s->message(s->context, f->node, address, data);
    }
}

/* ---- what the guest writes ----------------------------------------------------------------------
 */

static void take_msi(struct bp_pci_function *f)
{
    const uint8_t *msi = f->config.config + f->msi_at;
    uint32_t enabled = 1u << (bp_le16(msi + MSI_CONTROL) >> MSI_ENABLED_SHIFT & 7);

    f->msi_enabled = enabled < f->msi_count ? enabled : f->msi_count;
    f->msi_address = bp_le32(msi + MSI_ADDRESS) | (uint64_t)bp_le32(msi + MSI_ADDRESS + 4) << 32;
    f->msi_data = bp_le16(msi + MSI_DATA);
    f->msi_masks = bp_le32(msi + MSI_MASK);
}

static bool any_master(const struct bp_pci_function *f)
{
    for (const struct bp_pci_function *other = pci_functions(f->host); other; other = other->next)
        if (other->node == f->node && other->master)
            return true;
    return false;
}

void pci_messages_follow(struct bp_pci_function *f)
{
    const struct pci_services *s = f->services;
    const uint8_t *config = f->config.config;
    uint16_t command = bp_le16(config + PCI_COMMAND);
    uint16_t msix = f->msix_at ? bp_le16(config + f->msix_at + MSIX_CONTROL) : 0;
    uint16_t msi = f->msi_at ? bp_le16(config + f->msi_at + MSI_CONTROL) : 0;
    uint32_t mode = msix & MSIX_ENABLE ? BP_PCI_MSIX : msi & MSI_ENABLE ? BP_PCI_MSI : BP_PCI_INTX;

    pthread_mutex_lock(&f->lock);
    f->master = command & PCI_COMMAND_MASTER;
    f->intx_disabled = command & PCI_COMMAND_INTX_OFF;
    f->function_masked = msix & MSIX_FUNCTION_MASK;
    if (f->msi_at)
        take_msi(f);
    if (f->mode != mode) {
        __atomic_store_n(&f->mode, mode, __ATOMIC_RELAXED);
        f->msi_pending = 0;
        for (uint32_t i = 0; i < f->msix_count; i++)
            f->entries[i].pending = false;
    }
    pci_intx_follow(f);
    pci_messages_flush(f, 0, f->vector_count);
    pthread_mutex_unlock(&f->lock);
    s->masters(s->context, f->node, any_master(f));
    pci_vectors_follow(f, 0, f->vector_count);
}

void pci_messages_reset(struct bp_pci_function *f)
{
    pthread_mutex_lock(&f->lock);
    f->msi_pending = 0;
    for (uint32_t i = 0; i < f->msix_count; i++)
        f->entries[i] = (struct pci_msix_entry){.masked = true};
    pthread_mutex_unlock(&f->lock);
}
