/* SPDX-License-Identifier: MIT
 *
 * pci/function.h - a device's function: what backplane/ext/pci.h promises of it, over services that
 * the machine, or a unit test's host, gives.
 *
 * Configuration space belongs to the device's lock domain: host.c enters it around each access.
 * What [any] calls need (INTx, messages, masks) stands apart, under a leaf lock of the function's
 * own.
 */
#ifndef PCI_FUNCTION_H
#define PCI_FUNCTION_H

#include "pci/pci.h"
#include "platform/irq_router.h"

#include <backplane/ext/pci.h>
#include <pthread.h>
#include <stdbool.h>

#define PCI_BARS 6u
#define PCI_MSI_MAX 32u
#define PCI_MSIX_MAX 2048u
#define PCI_MSI_BYTES 0x18u /* of the capability: 64-bit addresses and masks (PCI 3.0, 6.8.1) */
#define PCI_MSI_PENDING 0x14u
#define PCI_MSIX_BYTES 0x0cu
/* Where INTx of all devices end: INTA of device 0 on the first, and so on around, as the ACPI
 * tables say (platform/acpi.h). */
#define PCI_LINE_FIRST 16u
#define PCI_LINES 8u
#define PCI_MSIX_ENTRY 16u /* bytes of a table entry (PCI 3.0, 6.8.2) */

/* What functions need of whoever hosts them. `context` is the services' own. */
struct pci_services {
    void *context;
    /* As bp_host.fail(). [any] */
    int (*fail)(void *context, struct bp_node *node, int err, const char *text);
    const char *(*name)(void *context, struct bp_node *node); /* the section's [any] */
    /* What a region that the device made is, if it can become a BAR: -EINVAL if it is another
     * node's, -EBUSY if it is placed or a BAR already. [main] */
    int (*region_check)(void *context, struct bp_node *node, const struct bp_region *region,
                        uint32_t *space, uint64_t *length);
    /* None but region_place() below places it from now on. [main] */
    void (*region_claim)(void *context, struct bp_region *region);
    /* Makes one of the host's own for `node`, claimed already. `ops` as bp_host.region_new. [main]
     */
    int (*region_new)(void *context, struct bp_node *node, uint64_t length,
                      const struct bp_region_ops *ops, void *self, struct bp_region **out);
    /* Maps, moves, or unmaps (BP_UNMAPPED) it; what cannot be there is unmapped. [main] [dom] */
    void (*region_place)(void *context, struct bp_node *node, struct bp_region *region,
                         uint64_t base);
    /* The level of interrupt line `line` as the function has it; `held` is its own, not its
     * instance's: another function of that may hold the same line. [any] */
    void (*line_set)(void *context, struct irq_source *held, uint32_t line, uint32_t level);
    /* Writes `data` to `address`, as messages are written. [any] */
    void (*message)(void *context, struct bp_node *node, uint64_t address, uint32_t data);
    /* From now on, a write to `fd` is this message, without the loop; -errno where that is not to
     * be had. The same fd again changes it. [main] [dom] */
    int (*fd_route)(void *context, struct bp_node *node, int fd, uint64_t address, uint32_t data);
    void (*fd_unroute)(void *context, struct bp_node *node, int fd);
    /* As bp_host.fd_watch() for reading; `ready` NULL ends it. [main] [dom] */
    int (*fd_watch)(void *context, struct bp_node *node, int fd,
                    void (*ready)(void *self, int fd, uint32_t events), void *self);
    /* Whether any function of `node` is a bus master. [main] [dom] */
    void (*masters)(void *context, struct bp_node *node, bool any);
};

struct pci_bar {
    struct bp_region *region;
    uint64_t length; /* 0: there is none, or the upper half of one */
    uint64_t base;   /* where it is mapped; BP_UNMAPPED: nowhere */
    uint32_t space, flags;
    bool upper;    /* the register is the upper half of the BAR before */
    bool unplaced; /* firmware found no room for it */
};

/* One entry of the MSI-X table; under the function's lock. */
struct pci_msix_entry {
    uint64_t address;
    uint32_t data;
    bool masked, pending;
};

/* What the host does for one vector of vector_fd(), and what the device was told; [dom]. */
struct pci_vector {
    uint64_t routed_address;
    uint32_t routed_data;
    int fd;      /* -1: none */
    bool routed; /* the backend has `fd`, else the loop watches it */
    bool masked; /* as vector_masked() said last */
};

struct bp_pci_function {
    struct pci_function config; /* must be first: host.c hands it to the hooks */
    const struct pci_services *services;
    struct pci_host *host;
    struct bp_node *node;
    struct bp_pci_function *next; /* of the host */
    uint32_t devfn, flags;
    struct bp_pci_function_ops ops;
    void *self;
    uint8_t power_on[PCI_CONFIG_BYTES];
    struct pci_bar bars[PCI_BARS];
    uint32_t msi_at, msix_at;       /* capabilities in configuration space; 0: none */
    uint32_t last_extended;         /* 0: none yet */
    uint32_t next_extended;         /* where the next one would stand */
    uint32_t msi_count, msix_count; /* messages there are */
    uint32_t msix_bar, table_offset, pba_offset;
    struct bp_region *table_region, *pba_region;
    struct pci_vector *vectors; /* the larger of msi_count and msix_count, or NULL */
    uint32_t vector_count;

    pthread_mutex_t lock;   /* a leaf lock, for what follows */
    uint32_t mode;          /* BP_PCI_INTX, _MSI, _MSIX; atomic for readers without the lock */
    uint32_t level;         /* of INTx as the device has it; atomic likewise */
    struct irq_source held; /* line_set()'s */
    uint32_t line;          /* interrupt line of the pin; UINT32_MAX: no pin */
    bool intx_disabled, master, function_masked;
    uint32_t msi_enabled, msi_data; /* messages that the guest enabled, a power of two */
    uint32_t msi_masks, msi_pending;
    uint64_t msi_address;
    struct pci_msix_entry *entries; /* msix_count */
};

/* ---- function.c ---- */

/* Makes a function at `devfn` of bus 0, BP_PCI_ANY: function 0 of the first device that is free and
 * not in `kept` (bit n: device n). Inside `domain` from now on; NULL: none. [main] */
int pci_function_new(struct pci_host *host, const struct pci_services *services,
                     struct domain *domain, uint32_t kept, struct bp_node *node, uint32_t devfn,
                     uint32_t flags, const struct bp_pci_identity *identity,
                     const struct bp_pci_function_ops *ops, void *self,
                     struct bp_pci_function **out);
/* Takes the functions of `node` (NULL: of all nodes) away and frees them. Regions are the
 * services'. [main] */
void pci_functions_free(struct pci_host *host, const struct bp_node *node);
/* What configuration space has is now what a reset brings back. [main] */
void pci_functions_power_on(struct pci_host *host);
/* The power-on state; enters each function's domain. [main] */
void pci_functions_reset(struct pci_host *host);
/* The first function whose device has no function 0, which no guest would find; or NULL. [main] */
const struct bp_pci_function *pci_functions_lost(const struct pci_host *host);

/* Members of struct bp_pci, as the header says. */
int pci_capability(struct bp_pci_function *f, uint8_t id, uint32_t length, uint32_t *offset);
int pci_extended_capability(struct bp_pci_function *f, uint16_t id, uint32_t version,
                            uint32_t length, uint32_t *offset);
uint32_t pci_config_get(struct bp_pci_function *f, uint32_t offset, uint32_t width);
void pci_config_set(struct bp_pci_function *f, uint32_t offset, uint32_t value, uint32_t width);
void pci_config_mask(struct bp_pci_function *f, uint32_t offset, uint32_t writable,
                     uint32_t write_1_clears, uint32_t width);

uint32_t pci_devfn(struct bp_pci_function *f);

/* Fails with a sentence that begins with the function's place. */
int pci_fail(const struct bp_pci_function *f, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- bars.c ---- */

int pci_bar(struct bp_pci_function *f, uint32_t index, struct bp_region *region, uint32_t flags);
/* Gives BAR `index` its register and its regions, whoever made `region`. */
int pci_bar_add(struct bp_pci_function *f, uint32_t index, struct bp_region *region, uint32_t space,
                uint64_t length, uint32_t flags);
/* Maps each BAR as its register and the command register say now. [main] [dom] */
void pci_bars_follow(struct bp_pci_function *f);
/* Puts an address into BAR `index`'s register, as a guest would. */
void pci_bar_set(struct bp_pci_function *f, uint32_t index, uint64_t base);

/* ---- messages.c ---- */

int pci_msi(struct bp_pci_function *f, uint32_t vectors);
int pci_msix(struct bp_pci_function *f, uint32_t vectors, uint32_t bar, uint32_t table_offset,
             uint32_t pba_offset);
uint32_t pci_interrupt_mode(struct bp_pci_function *f);
void pci_notify(struct bp_pci_function *f, uint32_t vector);
/* Takes over what the guest wrote to the command register and the capabilities. [main] [dom] */
void pci_messages_follow(struct bp_pci_function *f);
/* Every message masked, nothing pending. [main] */
void pci_messages_reset(struct bp_pci_function *f);
/* The message that `vector` stands for. False: none, or it is masked. Under f->lock. */
bool pci_message_of(const struct bp_pci_function *f, uint32_t vector, uint64_t *address,
                    uint32_t *data);
/* Sends what is pending and no longer masked. Under f->lock. */
void pci_messages_flush(struct bp_pci_function *f, uint32_t first, uint32_t count);
/* Room for `count` vectors. -ENOMEM. [main] */
int pci_vectors_room(struct bp_pci_function *f, uint32_t count);

/* ---- msix_table.c ---- */

extern const struct bp_region_ops pci_msix_table_ops, pci_msix_pba_ops, pci_msix_rest_ops;

/* ---- intx.c ---- */

void pci_intx_set(struct bp_pci_function *f, uint32_t level);
/* Sets the line to what level, mode and Interrupt Disable make of it. Holds f->lock. */
void pci_intx_follow(struct bp_pci_function *f);

/* ---- vector_fds.c ---- */

int pci_vector_fd(struct bp_pci_function *f, uint32_t vector, int fd);
/* Tells the device which vectors were masked or unmasked, and gives fds to whom they belong now.
 * Not under f->lock. [main] [dom] */
void pci_vectors_follow(struct bp_pci_function *f, uint32_t first, uint32_t count);
/* Ends those of the function. [main] */
void pci_vector_fds_end(struct bp_pci_function *f);

/* ---- firmware.c ---- */

/* Where the guest's firmware puts BARs. */
struct pci_window {
    uint64_t next, end; /* [next, end) is free, but for what `taken` says */
};
struct pci_firmware {
    struct pci_window io, mmio32, mmio64;
    /* The end of what stands in the way of [base, base + length), or 0. */
    uint64_t (*taken)(void *context, uint32_t space, uint64_t base, uint64_t length);
    /* A BAR of `f` found no room. */
    void (*no_room)(void *context, const struct bp_pci_function *f, uint32_t bar);
    void *context;
};

/* Gives every BAR an address, the largest first, and lets functions decode; fills Interrupt Line.
 * Enters each function's domain. [main] */
void pci_firmware_assign(struct pci_host *host, struct pci_firmware *firmware);

#endif
