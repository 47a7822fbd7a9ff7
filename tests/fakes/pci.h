/* SPDX-License-Identifier: MIT
 *
 * fakes/pci.h - the fake host's PCI bus: "bp.pci/1" as the core has it, with the test as the guest.
 *
 * After fake_host_new() functions are as after power-on: nothing decoded, no bus master, so that
 * DMA is refused. fake_pci_start() does what firmware and a driver's first lines do.
 */
#ifndef FAKES_PCI_H
#define FAKES_PCI_H

#include "fakes/host.h"

#include <backplane/ext/pci.h>

/* Where fake_pci_start() puts BAR `n` of function `devfn`, and how far apart. BARs may be up to
 * 1 MiB there; larger ones are placed by fake_pci_place(). */
#define FAKE_BAR_MEMORY(devfn, n)                                                                  \
    (UINT64_C(0xc0000000) + (devfn)*UINT64_C(0x800000) + (n)*UINT64_C(0x100000))
#define FAKE_BAR_IO(devfn, n)                                                                      \
    (UINT64_C(0x4000) + ((devfn)&0x1f) * UINT64_C(0x600) + (n)*UINT64_C(0x100))

/* The `n`th function that the instance made, from 0, as device << 3 | function; BP_PCI_ANY beyond
 * the last. */
uint32_t fake_pci_function(struct fake_host *h, unsigned n);

/* Configuration space as the guest sees it: `width` 1, 2 or 4 within one dword. */
uint32_t fake_pci_read(struct fake_host *h, uint32_t devfn, uint32_t offset, uint32_t width);
void fake_pci_write(struct fake_host *h, uint32_t devfn, uint32_t offset, uint32_t value,
                    uint32_t width);
/* Where the first capability `id` after `after` (0: of all) stands; 0: there is none. */
uint32_t fake_pci_capability(struct fake_host *h, uint32_t devfn, uint8_t id, uint32_t after);
uint32_t fake_pci_extended(struct fake_host *h, uint32_t devfn, uint16_t id);

/* Writes the address into BAR `bar`, both halves. Accesses reach it by fake_read() and fake_write()
 * while the command register lets it decode. */
void fake_pci_place(struct fake_host *h, uint32_t devfn, uint32_t bar, uint64_t base);
/* The length that a guest finds by sizing it; 0: there is none. The address is as before. */
uint64_t fake_pci_bar_length(struct fake_host *h, uint32_t devfn, uint32_t bar);
/* Places every BAR and lets the function decode and master. */
void fake_pci_start(struct fake_host *h, uint32_t devfn);

/* Enables MSI-X with every vector unmasked, or MSI with `count` messages. */
void fake_pci_msix_on(struct fake_host *h, uint32_t devfn);
void fake_pci_msi_on(struct fake_host *h, uint32_t devfn, uint32_t count);
void fake_pci_messages_off(struct fake_host *h, uint32_t devfn);
/* Sets the mask of one vector of MSI-X, or of MSI if that is on. */
void fake_pci_mask(struct fake_host *h, uint32_t devfn, uint32_t vector, uint32_t masked);
/* Messages of `vector` since the last call, as the two above have them programmed; of every vector
 * together: BP_PCI_NO_VECTOR. fake_msis() counts all, wherever they go. */
unsigned fake_pci_messages(struct fake_host *h, uint32_t devfn, uint32_t vector);
/* Whether the message waits in the pending bits. */
bool fake_pci_pending(struct fake_host *h, uint32_t devfn, uint32_t vector);
/* The level that the function's INTx has on the interrupt line. */
uint32_t fake_pci_intx(struct fake_host *h, uint32_t devfn);

/* From now on the "backend" takes vectors' fds (bp.doorbell/1); without it the loop does, which is
 * fake_poll(). */
void fake_pci_take_fds(struct fake_host *h, bool take);
/* Whether the "backend" has `fd`, and for which message; both may be NULL. */
bool fake_pci_has_fd(struct fake_host *h, int fd, uint64_t *address, uint32_t *data);

/* Whether hosts made from now on have a PCI bus at all. They do at first. */
void fake_pci_offer(bool offer);

#endif
