/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/transport/pci_caps.h - where a virtio PCI device has what, and the capabilities that
 * say so (virtio 1.2, 4.1.4).
 */
#ifndef PCI_CAPS_H
#define PCI_CAPS_H

#include "virtio.h"

#include <backplane/ext/pci.h>

/* BAR 0, memory: a page each. BAR 1 has MSI-X. */
#define PCI_COMMON 0x0000u
#define PCI_ISR 0x1000u
#define PCI_DEVICE 0x2000u
#define PCI_NOTIFY 0x3000u
#define PCI_BAR_BYTES 0x4000u
#define PCI_NOTIFY_STRIDE 4u /* bytes from one queue's doorbell to the next one's */
#define PCI_VECTORS_MAX (VIRTIO_QUEUES_MAX + 1u)

struct pci {
    struct virtio *virtio;
    const struct bp_pci *bus;
    struct bp_pci_function *function;
    struct bp_region *region;
    uint32_t window; /* offset of the configuration access capability */
    uint32_t vectors;
    /* A vector's eventfd, or -1, and whether the guest has the vector unmasked. */
    int fds[PCI_VECTORS_MAX];
    uint8_t unmasked[PCI_VECTORS_MAX];
    uint8_t reserved;
    uint64_t by_fd, by_message; /* interrupts so far, for the log */
};

/* Adds the five capabilities. -errno after host->fail(). [main] */
int pci_caps_add(struct pci *p, struct virtio *v);
/* Hooks of the function: accesses through the configuration access capability (4.1.4.9). [dom] */
void pci_caps_config_read(struct pci *p, uint32_t offset, uint32_t width);
void pci_caps_config_written(struct pci *p, uint32_t offset, uint32_t width);

/* The registers in BAR 0. [dom] */
uint64_t pci_bar_read(struct pci *p, uint64_t offset, uint32_t width);
void pci_bar_write(struct pci *p, uint64_t offset, uint64_t value, uint32_t width);

#endif
