/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/pci.h - "bp.pci/1", the PCI bus as the host offers it to devices
 * (host->extension(node, BP_PCI_ID); NULL where the machine has no PCI).
 *
 * A device makes one function or several, says what stands in their headers, and hands over a
 * region for each base address register. The rest of the configuration space is the host's: sizing
 * and placing BARs, the command register, capability lists, MSI and MSI-X with their masks and
 * pending bits, routing of INTx. The device raises an interrupt by notify() or intx_set() and does
 * not need to know how the guest has it delivered.
 *
 * While none of an instance's functions has Bus Master Enable, dma_read(), dma_write() and
 * dma_map() of host.h refuse it all of guest memory; what was mapped before stays so until
 * dma_unmap(). Messages of a function that does not have it are dropped.
 *
 * PCI Local Bus Specification 3.0 (sections as "PCI"), PCI Express Base Specification 5.0 ("PCIe").
 */
#ifndef BACKPLANE_EXT_PCI_H
#define BACKPLANE_EXT_PCI_H

#include "../host.h"
BP_BEGIN

#define BP_PCI_ID "bp.pci/1"

#define BP_PCI_ANY UINT32_MAX /* devfn: the first free device number, function 0 */
#define BP_PCI_NO_VECTOR UINT32_MAX

/* Of function_new(): */
#define BP_PCI_EXPRESS                                                                             \
    1u /* has 4 KiB of configuration space, and an Express capability of a root                    \
        * complex integrated endpoint, which the host adds (PCIe 7.5.3) */

/* What stands in a function's header (PCI 6.1). */
struct bp_pci_identity {
    uint32_t size;
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: class, sub-class, interface */
    uint8_t revision;
    uint8_t interrupt_pin; /* 1 to 4: INTA to INTD; 0: none */
    uint8_t reserved[2];
};

/* What a function's device is told. Every member is optional. */
struct bp_pci_function_ops {
    uint32_t size;
    uint32_t reserved;
    /* The guest reads `width` bytes of configuration space at `offset`, 1, 2 or 4 in one dword: the
     * device may bring them up to date by config_set(). [dom] */
    void (*config_read)(void *self, uint32_t offset, uint32_t width);
    /* The guest wrote them; config_get() gives what they are now. [dom] */
    void (*config_written)(void *self, uint32_t offset, uint32_t width);
    /* MSI-X or MSI vector `vector` is masked from now on (1) or not (0): for devices that keep
     * something for each, such as a queue that need not be looked at. All are at first, and in
     * mode INTx. [dom] */
    void (*vector_masked)(void *self, uint32_t vector, uint32_t masked);
};

struct bp_pci_function; /* the host's handle of one function */

/* Kinds of BAR. */
#define BP_PCI_BAR_PREFETCHABLE 1u
#define BP_PCI_BAR_64 2u /* takes the next register too */

struct bp_pci {
    uint32_t size;
    uint32_t reserved;

    /* Makes a function. `devfn`: device number << 3 | function number, or BP_PCI_ANY: function
     * 0 of a device number that no section names; devfn() tells which, for those behind it.
     * `flags` BP_PCI_EXPRESS. `ops` may be NULL. In create() only. It is in no guest's sight before
     * create() has returned. -EBUSY with a sentence that names who has the place, -EINVAL, -ENOSPC:
     * no free device number. The host frees it after destroy(). [main] */
    int (*function_new)(struct bp_node *node, uint32_t devfn, uint32_t flags,
                        const struct bp_pci_identity *identity,
                        const struct bp_pci_function_ops *ops, void *self,
                        struct bp_pci_function **out);

    /* BAR `index`, 0 to 5, is `region`, whose length is a power of two: memory from 16 bytes on,
     * I/O from 4 bytes to 256. `flags` BP_PCI_BAR_*. The host maps and unmaps it from now on;
     * region_place() refuses it. -EINVAL, -EBUSY. [main] */
    int (*bar)(struct bp_pci_function *f, uint32_t index, struct bp_region *region, uint32_t flags);

    /* Adds a capability of `length` bytes, header included: read-only zeroes after it. *offset is
     * where it stands. -ENOSPC. [main] */
    int (*capability)(struct bp_pci_function *f, uint8_t id, uint32_t length, uint32_t *offset);
    /* The same in extended configuration space: `version` 1..15 (PCIe 7.6.3). -ENOTSUP without
     * BP_PCI_EXPRESS. [main] */
    int (*extended_capability)(struct bp_pci_function *f, uint16_t id, uint32_t version,
                               uint32_t length, uint32_t *offset);

    /* `width` bytes (1, 2, 4) at `offset` as they stand, and as the device wants them from now on,
     * whatever the guest may write there. config_set() runs no hook. [main] [dom] */
    uint32_t (*config_get)(struct bp_pci_function *f, uint32_t offset, uint32_t width);
    void (*config_set)(struct bp_pci_function *f, uint32_t offset, uint32_t value, uint32_t width);
    /* Which bits there the guest may write, and which it clears by writing 1. The power-on value of
     * the bytes is what they have when create() returns; a reset brings it back. [main]
     */
    void (*config_mask)(struct bp_pci_function *f, uint32_t offset, uint32_t writable,
                        uint32_t write_1_clears, uint32_t width);

    /* Adds MSI with `vectors` messages, 1, 2, 4, 8, 16 or 32, 64-bit addresses and masks
     * (PCI 6.8.1). [main] */
    int (*msi)(struct bp_pci_function *f, uint32_t vectors);
    /* Adds MSI-X with `vectors` messages, 1 to 2048 (PCI 6.8.2), whose table and pending bits are
     * at these offsets, multiples of 8, of memory BAR `bar`: a BAR that exists, whose region is
     * asked for all the rest, or one that the host makes for it. [main] */
    int (*msix)(struct bp_pci_function *f, uint32_t vectors, uint32_t bar, uint32_t table_offset,
                uint32_t pba_offset);
    /* How the guest has interrupts now: BP_PCI_INTX, BP_PCI_MSI or BP_PCI_MSIX. [main] [dom] */
    uint32_t (*interrupt_mode)(struct bp_pci_function *f);

    /* The function's INTx: level 1 asserts, 0 deasserts. The status register's bit follows; the
     * line does unless Interrupt Disable is set, or MSI or MSI-X is on (PCI 6.2.3). Setting the
     * level it has costs nothing. [any] */
    void (*intx_set)(struct bp_pci_function *f, uint32_t level);
    /* Sends message `vector` of MSI-X or MSI, or notes it in the pending bits while it is masked.
     * Nothing happens in mode INTx, or with a vector beyond those there are. With MSI and fewer
     * messages enabled than there are, the vector is taken modulo what is enabled. [any] */
    void (*notify)(struct bp_pci_function *f, uint32_t vector);
    /* From now on a write to the eventfd `fd` is notify(f, vector), by the backend itself where it
     * can (bp.doorbell/1), by the host's loop otherwise and while the vector is masked. `fd` -1
     * ends it. One fd for a vector. [main] [dom] */
    int (*vector_fd)(struct bp_pci_function *f, uint32_t vector, int fd);
    /* Where the function is: device number << 3 | function number. [any] */
    uint32_t (*devfn)(struct bp_pci_function *f);
};

#define BP_PCI_INTX 0u
#define BP_PCI_MSI 1u
#define BP_PCI_MSIX 2u

BP_END
#endif
