/* SPDX-License-Identifier: MIT
 *
 * pci/firmware.c - what a PC's firmware does on the PCI bus before a kernel runs: it gives each BAR
 * an address, lets functions decode them, and writes down their interrupt lines (PCI 3.0, 6.2.4 and
 * 6.2.5.1; PCI Firmware Specification 3.0, 3.5).
 *
 * 64-bit prefetchable BARs go above RAM, all others below 4 GiB; a 64-bit one that finds no room
 * there goes above too. The largest are first, so that alignment wastes nothing. Bus mastering is
 * left to the drivers. Interrupt Line gets the line as the I/O APIC counts: the lines of PCI are
 * from 16 on, which no 8259 has.
 */
#include "pci/function.h"

#include <backplane/util/le.h>

static bool take(struct pci_firmware *firmware, struct pci_window *w, uint32_t space,
                 uint64_t length, uint64_t *base)
{
    uint64_t at = (w->next + length - 1) & ~(length - 1), end;

    for (;;) {
        if (at < w->next || at > w->end || length > w->end - at)
            return false;
        end = firmware->taken(firmware->context, space, at, length);
        if (!end)
            break;
        at = (end + length - 1) & ~(length - 1);
    }
    *base = at;
    w->next = at + length;
    return true;
}

static void place(struct pci_firmware *firmware, struct bp_pci_function *f, uint32_t index)
{
    const struct pci_bar *bar = &f->bars[index];
    bool wide = bar->flags & BP_PCI_BAR_64, high = wide && bar->flags & BP_PCI_BAR_PREFETCHABLE;
    uint64_t base;
    bool found;

    if (bar->space == BP_SPACE_PIO)
        found = take(firmware, &firmware->io, bar->space, bar->length, &base);
    else
        found = (!high && take(firmware, &firmware->mmio32, bar->space, bar->length, &base)) ||
                (wide && take(firmware, &firmware->mmio64, bar->space, bar->length, &base)) ||
                (high && take(firmware, &firmware->mmio32, bar->space, bar->length, &base));
    if (found)
        pci_bar_set(f, index, base);
    else
        firmware->no_room(firmware->context, f, index);
    f->bars[index].unplaced = !found;
}

/* The lengths that there are, each once, from the largest on. */
static uint64_t next_length(struct pci_host *host, uint64_t below)
{
    uint64_t best = 0;

    for (struct bp_pci_function *f = pci_functions(host); f; f = f->next)
        for (uint32_t i = 0; i < PCI_BARS; i++)
            if (f->bars[i].length > best && f->bars[i].length < below)
                best = f->bars[i].length;
    return best;
}

static void enable(struct bp_pci_function *f)
{
    uint8_t *command = f->config.config + PCI_COMMAND;
    uint32_t decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;

    /* What has no address must not be decoded at 0. */
    for (uint32_t i = 0; i < PCI_BARS; i++)
        if (f->bars[i].length && f->bars[i].unplaced)
            decode &= f->bars[i].space == BP_SPACE_PIO ? ~PCI_COMMAND_IO : ~PCI_COMMAND_MEMORY;
    command[0] |= (uint8_t)(decode & f->config.writable[PCI_COMMAND]);
    if (f->line != UINT32_MAX)
        f->config.config[PCI_INTERRUPT_LINE] = (uint8_t)f->line;
    pci_bars_follow(f);
}

static void enter(struct bp_pci_function *f)
{
    if (f->config.domain)
        domain_enter(f->config.domain);
}

static void leave(struct bp_pci_function *f)
{
    if (f->config.domain)
        domain_leave(f->config.domain);
}

void pci_firmware_assign(struct pci_host *host, struct pci_firmware *firmware)
{
    for (uint64_t length = next_length(host, UINT64_MAX); length;
         length = next_length(host, length))
        for (struct bp_pci_function *f = pci_functions(host); f; f = f->next) {
            enter(f);
            for (uint32_t i = 0; i < PCI_BARS; i++)
                if (f->bars[i].length == length)
                    place(firmware, f, i);
            leave(f);
        }
    for (struct bp_pci_function *f = pci_functions(host); f; f = f->next) {
        enter(f);
        enable(f);
        leave(f);
    }
}
