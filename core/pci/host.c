/* SPDX-License-Identifier: MIT
 *
 * pci/host.c - the host bridge: which function is where, and the two ways to its registers.
 *
 * Mechanism #1 (PCI 3.0, 3.2.2.3.2) and ECAM (PCI Express 5.0, 7.2.2). The bridge's own function
 * has no registers that can be written. Left out until there are bridges: type 1 cycles; a bus that
 * no bridge leads to has no functions and reads as ones, as its master abort would.
 */
#include "pci/pci.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BRIDGE_VENDOR 0x1b36u /* Red Hat, whose ID for a generic PCIe host bridge this is */
#define BRIDGE_DEVICE 0x0008u
#define BRIDGE_CLASS 0x060000u

/* CONFIG_ADDRESS:  31 enable | 30:24 0 | 23:16 bus | 15:11 device | 10:8 function | 7:2 dword | 1:0
 * 0 */
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS 0x80fffffcu /* the others are read-only zeroes */

#define DEVFNS (PCI_DEVICES * PCI_FUNCTIONS)

struct pci_bus {
    struct pci_function *functions[DEVFNS];
};

struct pci_host {
    uint32_t address; /* CONFIG_ADDRESS; atomic: every vCPU's */
    uint32_t buses;
    struct pci_bus *bus[PCI_BUSES_MAX]; /* NULL while a bus has no functions */
    struct pci_function bridge;
    struct bp_pci_function *functions; /* of devices */
};

static uint32_t ones(uint32_t width)
{
    return width >= 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

int pci_host_new(uint32_t buses, struct pci_host **out, struct error *e)
{
    if (buses == 0 || buses > PCI_BUSES_MAX)
        return error_set(e, -EINVAL, "a PCI host bridge cannot have %u buses, expected 1..%u",
                         buses, PCI_BUSES_MAX);
    struct pci_host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        return error_set(e, -ENOMEM, "out of memory for the PCI host bridge");
    host->buses = buses;
    pci_function_init(&host->bridge, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS, 0);
    /* It always decodes memory and passes on what devices master. */
    bp_put_le16(host->bridge.config + PCI_COMMAND, 0x0006);
    int err = pci_host_add(host, 0, 0, 0, &host->bridge, e);
    if (err != 0) {
        pci_host_free(host);
        return err;
    }
    *out = host;
    return 0;
}

void pci_host_free(struct pci_host *host)
{
    if (host == NULL)
        return;
    for (uint32_t i = 0; i < PCI_BUSES_MAX; i++)
        free(host->bus[i]);
    free(host);
}

void pci_host_reset(struct pci_host *host)
{
    __atomic_store_n(&host->address, 0, __ATOMIC_RELAXED);
}

struct bp_pci_function **pci_host_functions(struct pci_host *host)
{
    return &host->functions;
}

struct bp_pci_function *pci_functions(const struct pci_host *host)
{
    return host->functions;
}

uint32_t pci_host_buses(const struct pci_host *host)
{
    return host->buses;
}

/* Bit 7 of function 0's header type tells whether to look for others (PCI 3.0, 6.2.1). */
static void mark_multi_function(struct pci_bus *bus, uint32_t device)
{
    struct pci_function *const *functions = bus->functions + (size_t)device * PCI_FUNCTIONS;
    bool several = false;

    if (functions[0] == NULL)
        return;
    for (uint32_t i = 1; i < PCI_FUNCTIONS; i++)
        several = several || functions[i] != NULL;
    functions[0]->config[PCI_HEADER_TYPE] &= (uint8_t)~PCI_MULTI_FUNCTION;
    if (several)
        functions[0]->config[PCI_HEADER_TYPE] |= PCI_MULTI_FUNCTION;
}

bool pci_host_yields(struct pci_host *host, const struct pci_function *f)
{
    if (f != &host->bridge)
        return false;
    host->bus[0]->functions[0] = NULL;
    return true;
}

int pci_host_add(struct pci_host *host, uint32_t bus, uint32_t device, uint32_t function,
                 struct pci_function *f, struct error *e)
{
    if (bus >= host->buses || device >= PCI_DEVICES || function >= PCI_FUNCTIONS)
        return error_set(e, -EINVAL,
                         "there is no PCI function %02x:%02x.%u, expected at most %02x:1f.7", bus,
                         device, function, host->buses - 1);
    if (pci_host_find(host, bus, device, function) != NULL)
        return error_set(e, -EBUSY, "PCI function %02x:%02x.%u is taken; choose another", bus,
                         device, function);
    if (host->bus[bus] == NULL) {
        host->bus[bus] = calloc(1, sizeof(*host->bus[bus]));
        if (host->bus[bus] == NULL)
            return error_set(e, -ENOMEM, "out of memory for PCI bus %02x", bus);
    }
    host->bus[bus]->functions[device * PCI_FUNCTIONS + function] = f;
    mark_multi_function(host->bus[bus], device);
    return 0;
}

void pci_host_remove(struct pci_host *host, struct pci_function *f)
{
    for (uint32_t bus = 0; bus < host->buses; bus++) {
        if (host->bus[bus] == NULL)
            continue;
        for (uint32_t devfn = 0; devfn < DEVFNS; devfn++) {
            if (host->bus[bus]->functions[devfn] != f)
                continue;
            host->bus[bus]->functions[devfn] = bus == 0 && devfn == 0 ? &host->bridge : NULL;
            mark_multi_function(host->bus[bus], devfn / PCI_FUNCTIONS);
        }
    }
}

static struct pci_function *find(const struct pci_host *host, uint32_t bus, uint32_t devfn)
{
    if (bus >= host->buses || host->bus[bus] == NULL || devfn >= DEVFNS)
        return NULL;
    return host->bus[bus]->functions[devfn];
}

struct pci_function *pci_host_find(const struct pci_host *host, uint32_t bus, uint32_t device,
                                   uint32_t function)
{
    if (device >= PCI_DEVICES || function >= PCI_FUNCTIONS)
        return NULL;
    return find(host, bus, device * PCI_FUNCTIONS + function);
}

void pci_function_init(struct pci_function *f, uint16_t vendor, uint16_t device,
                       uint32_t class_code, uint8_t revision)
{
    memset(f, 0, sizeof(*f));
    f->bytes = PCI_CONFIG_BYTES;
    bp_put_le16(f->config + PCI_VENDOR_ID, vendor);
    bp_put_le16(f->config + PCI_DEVICE_ID, device);
    f->config[PCI_REVISION] = revision;
    f->config[PCI_CLASS] = (uint8_t)class_code;
    bp_put_le16(f->config + PCI_CLASS + 1, (uint16_t)(class_code >> 8));
}

int pci_function_add_capability(struct pci_function *f, uint8_t id, uint32_t length)
{
    uint32_t at = f->next_capability != 0 ? f->next_capability : PCI_FIRST_CAPABILITY;

    if (length < 2 || length > PCI_CAPABILITIES_END - at)
        return -ENOSPC;
    memset(f->config + at, 0, length);
    memset(f->writable + at, 0, length);
    memset(f->clears + at, 0, length);
    f->config[at] = id;
    f->config[f->last_capability != 0 ? f->last_capability + 1 : PCI_CAPABILITIES] = (uint8_t)at;
    f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    f->last_capability = at;
    f->next_capability = (at + length + 3) & ~3u; /* each begins at a dword (PCI 3.0, 6.7) */
    return (int)at;
}

/* An access that does not lie in one dword of the space is none that a host bridge forms. */
static bool has(const struct pci_function *f, uint32_t offset, uint32_t width)
{
    return f != NULL && width >= 1 && width <= 4 && offset < f->bytes && (offset & 3) + width <= 4;
}

static void enter(const struct pci_function *f)
{
    if (f->domain != NULL)
        domain_enter(f->domain);
}

static void leave(const struct pci_function *f)
{
    if (f->domain != NULL)
        domain_leave(f->domain);
}

uint32_t pci_config_read(struct pci_host *host, uint32_t bus, uint32_t devfn, uint32_t offset,
                         uint32_t width)
{
    struct pci_function *f = find(host, bus, devfn);
    uint32_t value = 0;

    if (!has(f, offset, width))
        return ones(width);
    enter(f);
    if (f->refresh != NULL)
        f->refresh(f, offset, width);
    for (uint32_t i = 0; i < width; i++)
        value |= (uint32_t)f->config[offset + i] << 8 * i;
    leave(f);
    return value;
}

void pci_config_write(struct pci_host *host, uint32_t bus, uint32_t devfn, uint32_t offset,
                      uint32_t value, uint32_t width)
{
    struct pci_function *f = find(host, bus, devfn);

    if (!has(f, offset, width))
        return;
    enter(f);
    for (uint32_t i = offset; i < offset + width; i++, value >>= 8) {
        uint32_t take = f->writable[i];
        uint32_t kept = f->config[i] & ~take & ~(value & f->clears[i]);
        f->config[i] = (uint8_t)(kept | (value & take));
    }
    if (f->written != NULL)
        f->written(f, offset, width);
    leave(f);
}

/* ---- mechanism #1 ---- */

/* What is no dword at 0xCF8 is an ordinary I/O cycle, which nobody claims here
 * (PCI 3.0, 3.2.2.3.2). Linux writes a byte to 0xCFB when it looks for the mechanism. */
static uint64_t address_read(void *self, uint64_t offset, uint32_t width)
{
    const struct pci_host *host = self;

    return offset == 0 && width == 4 ? __atomic_load_n(&host->address, __ATOMIC_RELAXED)
                                     : ones(width);
}

static void address_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct pci_host *host = self;

    if (offset == 0 && width == 4)
        __atomic_store_n(&host->address, (uint32_t)value & ADDRESS_BITS, __ATOMIC_RELAXED);
}

/* With the enable bit clear, 0xCFC is ordinary I/O too. */
static uint64_t data_read(void *self, uint64_t offset, uint32_t width)
{
    struct pci_host *host = self;
    uint32_t a = __atomic_load_n(&host->address, __ATOMIC_RELAXED);

    if ((a & ADDRESS_ENABLE) == 0 || offset > 3)
        return ones(width);
    return pci_config_read(host, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) + (uint32_t)offset,
                           width);
}

static void data_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct pci_host *host = self;
    uint32_t a = __atomic_load_n(&host->address, __ATOMIC_RELAXED);

    if ((a & ADDRESS_ENABLE) == 0 || offset > 3)
        return;
    pci_config_write(host, a >> 16 & 0xff, a >> 8 & 0xff, (a & 0xfc) + (uint32_t)offset,
                     (uint32_t)value, width);
}

/* ---- ECAM:  27:20 bus | 19:15 device | 14:12 function | 11:0 register ---- */

static uint64_t ecam_read(void *self, uint64_t offset, uint32_t width)
{
    if (offset >> 20 >= PCI_BUSES_MAX)
        return ones(width);
    return pci_config_read(self, (uint32_t)(offset >> 20), offset >> 12 & 0xff, offset & 0xfff,
                           width);
}

static void ecam_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    if (offset >> 20 >= PCI_BUSES_MAX)
        return;
    pci_config_write(self, (uint32_t)(offset >> 20), offset >> 12 & 0xff, offset & 0xfff,
                     (uint32_t)value, width);
}

static const struct bp_register address_registers[] = {
    {"CONFIG_ADDRESS", 0, 4, BP_REG_RW},
    {0},
};

static const struct bp_register data_registers[] = {
    {"CONFIG_DATA", 0, 4, BP_REG_RW},
    {0},
};

const struct bp_region_ops pci_address_ops = {
    .size = sizeof(pci_address_ops),
    .min_access = 1,
    .max_access = 4,
    .flags = BP_REGION_UNLOCKED,
    .register_stride = sizeof(struct bp_register),
    .name = "pci-address",
    .registers = address_registers,
    .read = address_read,
    .write = address_write,
};

const struct bp_region_ops pci_data_ops = {
    .size = sizeof(pci_data_ops),
    .min_access = 1,
    .max_access = 4,
    .flags = BP_REGION_UNLOCKED,
    .register_stride = sizeof(struct bp_register),
    .name = "pci-data",
    .registers = data_registers,
    .read = data_read,
    .write = data_write,
};

/* Wider than a dword is not to be relied upon (PCI Express 5.0, 7.2.2): the bus makes it two. */
const struct bp_region_ops pci_ecam_ops = {
    .size = sizeof(pci_ecam_ops),
    .min_access = 1,
    .max_access = 4,
    .flags = BP_REGION_UNLOCKED,
    .name = "pci-ecam",
    .register_stride = sizeof(struct bp_register),
    .read = ecam_read,
    .write = ecam_write,
};
