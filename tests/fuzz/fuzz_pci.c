/* SPDX-License-Identifier: MIT
 *
 * fuzz/fuzz_pci.c - libFuzzer target: a guest that does anything to a PCI function, on the real
 * bus.
 *
 * Each 8 bytes of input are an access to configuration space or to memory where BARs are, or
 * something that the device does. Checked after each: what is read-only has not changed, BARs are
 * mapped where their registers say, the line is what level, mode and Interrupt Disable make of it,
 * messages come of open vectors only, and no replaced view of the bus is kept.
 */
#include "bus/bus.h"
#include "pci/function.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define RAM_BYTES 0x10000u
#define VECTORS 8u
#define TABLE 0x1000u
#define PBA 0x1800u
#define OPS_MAX 4096u

struct world {
    struct bus *bus;
    struct bus_reader reader;
    struct domain *domain;
    struct pci_host *host;
    struct bp_pci_function *f;
    struct pci_services services;
    uint8_t ram[RAM_BYTES];
    uint32_t line;
};

static int fail(void *context, struct bp_node *node, int err, const char *text)
{
    (void)context, (void)node;
    REQUIRE(err < 0 && *text);
    return err;
}

static const char *name(void *context, struct bp_node *node)
{
    (void)context, (void)node;
    return "fuzz";
}

static int region_check(void *context, struct bp_node *node, const struct bp_region *region,
                        uint32_t *space, uint64_t *length)
{
    (void)context, (void)node;
    *space = region->space;
    *length = region->length;
    return 0;
}

static void region_claim(void *context, struct bp_region *region)
{
    (void)context;
    region->layer = BUS_LAYER_BAR;
}

static int region_new(void *context, struct bp_node *node, uint64_t length,
                      const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    struct world *w = context;
    const char *why;

    return bus_region_new(w->bus, node, w->domain, BP_SPACE_MMIO, length, ops, self, BUS_LAYER_BAR,
                          out, &why);
}

static void region_place(void *context, struct bp_node *node, struct bp_region *region,
                         uint64_t base)
{
    const struct bp_region *other;
    (void)context, (void)node;

    if (bus_place(region, base, &other))
        REQUIRE(base != BP_UNMAPPED && !bus_place(region, BP_UNMAPPED, &other));
}

static void line_set(void *context, struct irq_source *held, uint32_t line, uint32_t level)
{
    (void)held, (void)line;
    ((struct world *)context)->line = level;
}

static void message(void *context, struct bp_node *node, uint64_t address, uint32_t data)
{
    struct world *w = context;

    (void)node, (void)data;
    REQUIRE(w->f->master && w->f->mode != BP_PCI_INTX && !(address & 3));
}

static int fd_watch(void *context, struct bp_node *node, int fd,
                    void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    (void)context, (void)node, (void)fd, (void)ready, (void)self;
    return 0;
}

static int fd_route(void *context, struct bp_node *node, int fd, uint64_t address, uint32_t data)
{
    (void)context, (void)node, (void)fd, (void)data;
    return address & 4 ? -ENOSPC : 0;
}

static void fd_unroute(void *context, struct bp_node *node, int fd)
{
    (void)context, (void)node, (void)fd;
}

static void masters(void *context, struct bp_node *node, bool any)
{
    (void)node;
    REQUIRE(any == ((struct world *)context)->f->master);
}

static uint64_t read_nothing(void *self, uint64_t offset, uint32_t width)
{
    (void)self, (void)width;
    return offset;
}

static void write_nothing(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)self, (void)offset, (void)value, (void)width;
}

static const struct bp_region_ops ops = {.size = sizeof(ops),
                                         .min_access = 1,
                                         .max_access = 8,
                                         .register_stride = sizeof(struct bp_register),
                                         .name = "fuzz",
                                         .read = read_nothing,
                                         .write = write_nothing};

static void add_bar(struct world *w, uint32_t bar, uint32_t space, uint64_t length, uint32_t flags)
{
    struct bp_region *region;
    const char *why;

    REQUIRE(!bus_region_new(w->bus, w, w->domain, space, length, &ops, w, BUS_LAYER_FIXED, &region,
                            &why));
    REQUIRE(!pci_bar(w->f, bar, region, flags));
}

static void make(struct world *w)
{
    static const struct bp_pci_identity identity = {.size = sizeof(identity),
                                                    .vendor = 0x1234,
                                                    .device = 0x5678,
                                                    .class_code = 0x020000,
                                                    .interrupt_pin = 1};
    const struct bp_region *other;
    struct bp_region *ram;
    const char *why;
    struct error e;
    uint32_t at;

    REQUIRE(!bus_new(NULL, &w->bus) && !pci_host_new(1, &w->host, &e));
    w->domain = domain_new();
    REQUIRE(w->domain);
    w->services = (struct pci_services){
        w,        fail,    name,     region_check, region_claim, region_new, region_place,
        line_set, message, fd_route, fd_unroute,   fd_watch,     masters};
    REQUIRE(!bus_memory_new(w->bus, NULL, RAM_BYTES, w->ram, 0, false, BUS_LAYER_RAM, &ram, &why));
    REQUIRE(!bus_place(ram, 0, &other));
    REQUIRE(!pci_function_new(w->host, &w->services, w->domain, 0, NULL, BP_PCI_ANY, BP_PCI_EXPRESS,
                              &identity, NULL, NULL, &w->f));
    add_bar(w, 0, BP_SPACE_MMIO, 0x2000, BP_PCI_BAR_64);
    add_bar(w, 2, BP_SPACE_PIO, 64, 0);
    add_bar(w, 3, BP_SPACE_MMIO, 16, BP_PCI_BAR_PREFETCHABLE);
    REQUIRE(!pci_msi(w->f, 4) && !pci_msix(w->f, VECTORS, 0, TABLE, PBA));
    REQUIRE(!pci_extended_capability(w->f, 0x0b, 1, 16, &at));
    REQUIRE(!pci_vector_fd(w->f, 1, 1000) && !pci_vector_fd(w->f, 7, 1001));
    pci_functions_power_on(w->host);
    pci_functions_reset(w->host);
    bus_reader_init(&w->reader, w->bus);
}

static void discard(struct world *w)
{
    bus_reader_exit(&w->reader);
    pci_functions_free(w->host, NULL);
    bus_free(w->bus);
    pci_host_free(w->host);
    domain_free(w->domain);
}

static void check_bar(struct world *w, uint32_t bar)
{
    const uint8_t *config = w->f->config.config;
    const struct pci_bar *b = &w->f->bars[bar];
    uint16_t command = bp_le16(config + PCI_COMMAND);
    uint32_t low = bp_le32(config + PCI_BAR + 4ull * bar);
    bool decoded = command & (b->space == BP_SPACE_PIO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
    uint64_t base = low & ~(b->length - 1);

    if (b->flags & BP_PCI_BAR_64)
        base |= (uint64_t)bp_le32(config + PCI_BAR + 4ull * bar + 4) << 32;
    REQUIRE(!(low & (b->length - 1) & ~15u));
    REQUIRE(decoded || b->base == BP_UNMAPPED);
    REQUIRE(b->base == BP_UNMAPPED || b->base == base);
    REQUIRE(b->region->base == b->base || b->region->base == BP_UNMAPPED);
}

static void check(struct world *w)
{
    const struct bp_pci_function *f = w->f;

    REQUIRE(bp_le32(f->config.config) == 0x56781234);
    REQUIRE(f->config.config[PCI_CAPABILITIES] == 0x40);
    check_bar(w, 0);
    check_bar(w, 2);
    check_bar(w, 3);
    REQUIRE(w->line == (f->level && !f->intx_disabled && f->mode == BP_PCI_INTX));
    REQUIRE(f->msi_enabled >= 1 && f->msi_enabled <= 4);
    REQUIRE(!bus_retired_views(w->bus));
}

/* Where an access goes: near a BAR, or anywhere. */
static uint64_t address(const struct world *w, uint8_t where, uint16_t offset)
{
    uint64_t base = w->f->bars[where & 3].base;

    return base == BP_UNMAPPED ? (uint64_t)where << 8 * (offset & 7) : base + offset - 16;
}

static void act(struct world *w, const uint8_t *op)
{
    uint32_t width = 1u << (op[1] & 3), value = bp_le32(op + 4);
    uint16_t offset = bp_le16(op + 2);
    uint32_t space = op[1] & 4 ? BP_SPACE_PIO : BP_SPACE_MMIO;

    switch (op[0] % 8) {
    case 0:
    case 1:
        pci_config_write(w->host, 0, w->f->devfn, offset & (op[1] & 0x80 ? 0xfff : 0xff), value,
                         width & 7);
        break;
    case 2:
        pci_config_read(w->host, 0, w->f->devfn, offset, width & 7);
        break;
    case 3:
        bus_write(&w->reader, space, address(w, op[1] >> 4, offset), (uint64_t)value << 32 | value,
                  width);
        break;
    case 4:
        bus_read(&w->reader, space, address(w, op[1] >> 4, offset), width);
        break;
    case 5:
        pci_notify(w->f, op[1] & 0x80 ? value : value % 16);
        break;
    case 6:
        pci_intx_set(w->f, value & 1);
        break;
    default:
        if (value % 64 == 0)
            pci_functions_reset(w->host);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));

    REQUIRE(w);
    make(w);
    for (size_t i = 0; i < OPS_MAX && 8 * i + 8 <= size; i++) {
        act(w, data + 8 * i);
        check(w);
    }
    discard(w);
    free(w);
    return 0;
}
