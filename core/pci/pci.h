/* SPDX-License-Identifier: MIT
 *
 * pci/pci.h - the PCI host bridge: configuration space of buses, devices and functions, by ports
 * and by ECAM (PCI Local Bus Specification 3.0, 3.2.2.3 and 6; PCI Express Base
 * Specification 5.0, 7.2.2).
 *
 * The machine maps three regions with a struct pci_host as `self`: pci_address_ops at port 0xCF8, 4
 * ports; pci_data_ops at 0xCFC, 4 ports; pci_ecam_ops of buses * 1 MiB. These are
 * outside every lock domain: an access enters that of the function which it is for. So which
 * function is where changes only while no vCPU runs.
 */
#ifndef PCI_PCI_H
#define PCI_PCI_H

#include "base/error.h"
#include "loop/domain.h"

#include <backplane/host.h>
#include <stdbool.h>

#define PCI_ADDRESS_PORT 0xcf8u
#define PCI_DATA_PORT 0xcfcu
#define PCI_ECAM_BUS_BYTES 0x100000ull /* 32 devices of 8 functions of 4 KiB */
#define PCI_CONFIG_BYTES 4096u

#define PCI_BUSES_MAX 256u
#define PCI_DEVICES 32u
#define PCI_FUNCTIONS 8u

/* Offsets in every function's header (PCI 3.0, 6.1). */
#define PCI_VENDOR_ID 0x00u
#define PCI_DEVICE_ID 0x02u
#define PCI_COMMAND 0x04u
#define PCI_STATUS 0x06u
#define PCI_REVISION 0x08u
#define PCI_CLASS 0x09u /* 3 bytes: interface, sub-class, class */
#define PCI_HEADER_TYPE 0x0eu
#define PCI_CAPABILITIES 0x34u /* of header types 0 and 1 */
#define PCI_BAR 0x10u          /* the first of six, a dword each */
#define PCI_SUBSYSTEM_VENDOR 0x2cu
#define PCI_SUBSYSTEM 0x2eu
#define PCI_INTERRUPT_LINE 0x3cu
#define PCI_INTERRUPT_PIN 0x3du
#define PCI_COMMAND_IO 0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_PARITY 0x0040u
#define PCI_COMMAND_SERR 0x0100u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS_INTERRUPT 0x08u
#define PCI_STATUS_CAPABILITIES 0x10u
#define PCI_MULTI_FUNCTION 0x80u /* in PCI_HEADER_TYPE */
#define PCI_FIRST_CAPABILITY 0x40u
#define PCI_CAPABILITIES_END 0x100u
#define PCI_CAPABILITY_MSI 0x05u
#define PCI_CAPABILITY_EXPRESS 0x10u
#define PCI_CAPABILITY_MSIX 0x11u

/* A function: 4 KiB of registers, and what a write does to each bit. Bytes stand as the guest sees
 * them, little endian. */
struct pci_function {
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES]; /* bits that take the value written */
    uint8_t clears[PCI_CONFIG_BYTES];   /* bits that a 1 written clears (RW1C), as in the status
                                           register */
    /* Before a read of config[offset .. offset + width): brings bytes up to date that change by
     * themselves. NULL: none do. */
    void (*refresh)(struct pci_function *f, uint32_t offset, uint32_t width);
    /* After a write to them. NULL: nobody needs to know. */
    void (*written)(struct pci_function *f, uint32_t offset, uint32_t width);
    void *owner;
    struct domain *domain; /* entered for each access and its hooks; NULL: none, nothing changes */
    uint32_t bytes;        /* of configuration space, 256 or 4096: what is beyond reads as ones */
    uint32_t next_capability; /* where the next one would stand; 0: PCI_FIRST_CAPABILITY */
    uint32_t last_capability; /* 0: none yet */
};

struct pci_host;
struct bp_pci_function;

/* A host bridge with `buses` buses (1..256); 00:00.0 is the bridge itself. -EINVAL, -ENOMEM. [main]
 */
int pci_host_new(uint32_t buses, struct pci_host **out, struct error *e);
/* Functions stay their owners'. NULL is allowed. [main] */
void pci_host_free(struct pci_host *host);
/* Power on: CONFIG_ADDRESS is 0. Functions are their owners' to reset. [main] */
void pci_host_reset(struct pci_host *host);
uint32_t pci_host_buses(const struct pci_host *host);

/* Puts `f`, which stays the caller's, at a place; function 0 of a device with several says so in
 * its header. -EBUSY if the place is taken, -EINVAL if there is none such, -ENOMEM. [main] */
int pci_host_add(struct pci_host *host, uint32_t bus, uint32_t device, uint32_t function,
                 struct pci_function *f, struct error *e);
/* True if `f` is the host's own bridge, which is taken out of its place then, for a bridge that a
 * device brings. [main] */
bool pci_host_yields(struct pci_host *host, const struct pci_function *f);
/* Takes it out again; nothing if it is nowhere. The host's own bridge has its place again. [main]
 */
void pci_host_remove(struct pci_host *host, struct pci_function *f);
/* NULL if it is absent. [any] */
struct pci_function *pci_host_find(const struct pci_host *host, uint32_t bus, uint32_t device,
                                   uint32_t function);

/* Where the list of devices' functions begins (function.h). */
struct bp_pci_function **pci_host_functions(struct pci_host *host);
/* The first of them, or NULL. */
struct bp_pci_function *pci_functions(const struct pci_host *host);

/* Clears `f` and sets its identity, with 4 KiB of configuration space; `class_code` has 24 bits,
 * class in the highest. */
void pci_function_init(struct pci_function *f, uint16_t vendor, uint16_t device,
                       uint32_t class_code, uint8_t revision);
/* Appends a capability of `length` bytes (>= 2, with its two-byte header) to the list and gives its
 * offset; the bytes after the header are 0 and read-only. -ENOSPC if there is no room below 0x100.
 */
int pci_function_add_capability(struct pci_function *f, uint8_t id, uint32_t length);

/* Configuration accesses: 1, 2 or 4 bytes that lie in one aligned dword. Absent functions read as
 * ones, writes to them are dropped. Outside every domain. [vcpu] [main] */
uint32_t pci_config_read(struct pci_host *host, uint32_t bus, uint32_t devfn, uint32_t offset,
                         uint32_t width);
void pci_config_write(struct pci_host *host, uint32_t bus, uint32_t devfn, uint32_t offset,
                      uint32_t value, uint32_t width);

/* `self` is the struct pci_host. Only dword accesses at offset 0 reach CONFIG_ADDRESS; a byte at
 * 0xCF9 belongs to the reset register, where a device claims it, and is ignored here. */
extern const struct bp_region_ops pci_address_ops;
extern const struct bp_region_ops pci_data_ops;
extern const struct bp_region_ops pci_ecam_ops;

#endif
