/* SPDX-License-Identifier: MIT
 *
 * validate/pci.c - "bp.pci/1" for devices under validation, by the machine's own code (core/pci),
 * over this host's regions, lines and memory; and a guest that configures them, mostly well.
 *
 * Each instance has a bus of its own. Left out: routes of message fds to a CPU backend, so that the
 * loop does all of them.
 */
#include "validate/world.h"

#include "pci/function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_AT UINT64_C(0xc0000000) /* where BARs are put, 16 MiB for each */
#define MEMORY_STEP 0x1000000u
#define IO_AT 0x4000u
#define IO_STEP 0x100u
#define MESSAGES_AT 0xfee00000u
#define CONFIG_BYTES 256u

struct pci_bus {
    struct pci_host *host;
    struct pci_services services;
};

/* ---- services -------------------------------------------------------------------------------- */

static int service_fail(void *context, struct bp_node *n, int err, const char *text)
{
    (void)context;
    return world_host.fail(n, err, text);
}

static const char *service_name(void *context, struct bp_node *n)
{
    (void)context;
    return n->name;
}

static int region_check(void *context, struct bp_node *n, const struct bp_region *region,
                        uint32_t *space, uint64_t *length)
{
    (void)context;
    if (region->node != n)
        return -EINVAL;
    if (region->bar || region->base != BP_UNMAPPED)
        return -EBUSY;
    *space = region->space;
    *length = region->length;
    return 0;
}

static void region_claim(void *context, struct bp_region *region)
{
    (void)context;
    region->bar = true;
}

static int region_new(void *context, struct bp_node *n, uint64_t length,
                      const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    int err = world_host.region_new(n, BP_SPACE_MMIO, length, ops, self, out);

    (void)context;
    if (!err)
        (*out)->bar = true;
    return err;
}

static void region_place(void *context, struct bp_node *n, struct bp_region *region, uint64_t base)
{
    (void)context, (void)n;
    __atomic_store_n(&region->base, base, __ATOMIC_RELAXED);
}

static void line_set(void *context, struct irq_source *held, uint32_t line, uint32_t level)
{
    held->levels = level;
    world_host.irq_set(context, line, level);
}

static void message(void *context, struct bp_node *n, uint64_t address, uint32_t data)
{
    (void)context;
    world_host.msi_send(n, address, data);
}

static int fd_route(void *context, struct bp_node *n, int fd, uint64_t address, uint32_t data)
{
    (void)context, (void)n, (void)fd, (void)address, (void)data;
    return -ENOTSUP;
}

static void fd_unroute(void *context, struct bp_node *n, int fd)
{
    (void)context, (void)n, (void)fd;
}

static int fd_watch(void *context, struct bp_node *n, int fd,
                    void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    (void)context;
    return world_host.fd_watch(n, fd, ready ? BP_FD_READ : 0, ready, self);
}

static void masters(void *context, struct bp_node *n, bool any)
{
    (void)context;
    __atomic_store_n(&n->no_master, !any, __ATOMIC_RELEASE);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int function_new(struct bp_node *n, uint32_t devfn, uint32_t flags,
                        const struct bp_pci_identity *identity,
                        const struct bp_pci_function_ops *ops, void *self,
                        struct bp_pci_function **out)
{
    int err;

    must_be_main(n, "function_new()");
    if (n->self)
        world_fail(n->world, "function_new() was called after create(), where alone it may be");
    if (!identity || identity->size < sizeof(*identity) || (ops && ops->size < 8))
        world_fail(n->world, "function_new() was given a table whose size is not its sizeof");
    err = pci_function_new(n->pci->host, &n->pci->services, NULL, 0, n, devfn, flags, identity, ops,
                           self, out);
    n->no_master = !err || n->no_master;
    return err;
}

static const struct bp_pci table = {
    .size = sizeof(table),
    .function_new = function_new,
    .bar = pci_bar,
    .capability = pci_capability,
    .extended_capability = pci_extended_capability,
    .config_get = pci_config_get,
    .config_set = pci_config_set,
    .config_mask = pci_config_mask,
    .msi = pci_msi,
    .msix = pci_msix,
    .interrupt_mode = pci_interrupt_mode,
    .intx_set = pci_intx_set,
    .notify = pci_notify,
    .vector_fd = pci_vector_fd,
    .devfn = pci_devfn,
};

const void *world_pci(struct bp_node *n)
{
    struct error why;

    if (n->pci)
        return &table;
    n->pci = calloc(1, sizeof(*n->pci));
    if (!n->pci || pci_host_new(1, &n->pci->host, &why))
        return NULL;
    n->pci->services = (struct pci_services){.context = n,
                                             .fail = service_fail,
                                             .name = service_name,
                                             .region_check = region_check,
                                             .region_claim = region_claim,
                                             .region_new = region_new,
                                             .region_place = region_place,
                                             .line_set = line_set,
                                             .message = message,
                                             .fd_route = fd_route,
                                             .fd_unroute = fd_unroute,
                                             .fd_watch = fd_watch,
                                             .masters = masters};
    return &table;
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct bp_pci_function *functions(const struct bp_node *n)
{
    return n->pci ? pci_functions(n->pci->host) : NULL;
}

void world_pci_created(struct bp_node *n)
{
    const struct bp_pci_function *lost =
        n->pci && !n->placed ? pci_functions_lost(n->pci->host) : NULL;

    if (lost)
        world_fail(n->world,
                   "PCI function %02x.%u would not be found: its device has no function 0",
                   lost->devfn >> 3, lost->devfn & 7);
    if (n->pci)
        pci_functions_power_on(n->pci->host);
}

void world_pci_reset(struct bp_node *n)
{
    if (n->pci)
        pci_functions_reset(n->pci->host);
}

void world_pci_destroy(struct bp_node *n)
{
    for (struct bp_pci_function *f = functions(n); f; f = f->next)
        pci_vector_fds_end(f);
}

void world_pci_free(struct bp_node *n)
{
    if (!n->pci)
        return;
    if (n->pci->host)
        pci_functions_free(n->pci->host, NULL);
    pci_host_free(n->pci->host);
    free(n->pci);
    n->pci = NULL;
}

void world_pci_copy(struct bp_node *to, const struct bp_node *from)
{
    struct bp_pci_function *a = functions(from), *b = functions(to);

    for (; a && b; a = a->next, b = b->next) {
        memcpy(b->config.config, a->config.config, sizeof(b->config.config));
        for (uint32_t i = 0; i < b->msix_count && i < a->msix_count; i++)
            b->entries[i] = a->entries[i];
        b->msi_pending = a->msi_pending;
        b->mode = a->mode; /* or what is pending would be forgotten */
        pci_bars_follow(b);
        pci_messages_follow(b);
        pci_intx_set(b, a->level);
    }
}

/* ---- the guest ------------------------------------------------------------------------------- */

static void put(struct bp_node *n, uint32_t devfn, uint32_t offset, uint32_t value, uint32_t width)
{
    node_enter(n);
    doing(n->world, "a write of 0x%x, %u byte%s, at offset 0x%x of configuration space", value,
          width, width == 1 ? "" : "s", offset);
    pci_config_write(n->pci->host, 0, devfn, offset, value, width);
    node_leave(n);
}

static uint32_t get(struct bp_node *n, uint32_t devfn, uint32_t offset, uint32_t width)
{
    uint32_t value;

    node_enter(n);
    doing(n->world, "a read of %u byte%s at offset 0x%x of configuration space", width,
          width == 1 ? "" : "s", offset);
    value = pci_config_read(n->pci->host, 0, devfn, offset, width);
    node_leave(n);
    return value;
}

/* Places every BAR, lets the function decode and master, and gives MSI-X its messages. */
static void start_function(struct bp_node *n, struct bp_pci_function *f, uint32_t number)
{
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &f->bars[i];
        uint64_t place = (uint64_t)number * PCI_BARS + i;
        uint64_t base =
            bar->space == BP_SPACE_PIO ? IO_AT + IO_STEP * place : MEMORY_AT + MEMORY_STEP * place;

        if (!bar->length)
            continue;
        put(n, f->devfn, PCI_BAR + 4 * i, (uint32_t)base, 4);
        if (bar->flags & BP_PCI_BAR_64)
            put(n, f->devfn, PCI_BAR + 4 * (i + 1), (uint32_t)(base >> 32), 4);
    }
    put(n, f->devfn, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    if (f->msix_at)
        put(n, f->devfn, f->msix_at + 2, 0x8000, 2);
    for (uint32_t i = 0; f->table_region && region_is_mapped(f->table_region) && i < f->msix_count;
         i++) {
        const uint32_t entry[4] = {MESSAGES_AT, 0, i, 0};

        for (uint32_t word = 0; word < 4; word++)
            drive_write(f->table_region, (uint64_t)i * PCI_MSIX_ENTRY + 4 * (uint64_t)word,
                        entry[word], 4);
    }
}

void world_pci_start(struct bp_node *n)
{
    uint32_t number = 0;

    for (struct bp_pci_function *f = functions(n); f; f = f->next)
        start_function(n, f, number++);
}

void world_pci_act(struct bp_node *n, struct tape *t)
{
    static const uint8_t places[] = {PCI_COMMAND,  PCI_STATUS,         PCI_BAR,         PCI_BAR + 4,
                                     PCI_BAR + 16, PCI_INTERRUPT_LINE, PCI_CAPABILITIES};
    struct bp_pci_function *f = functions(n);
    uint32_t offset, width = 1u << tape_below(t, 3);
    uint64_t what = tape_below(t, 8);
    uint8_t place = tape_byte(t);

    if (!f)
        return;
    if (what == 0) {
        world_pci_start(n);
        return;
    }
    offset = place < 0x40                 ? places[place % sizeof(places)]
             : place < 0x80 && f->msix_at ? f->msix_at + place % PCI_MSIX_BYTES
             : place < 0xa0 && f->msi_at  ? f->msi_at + place % PCI_MSI_BYTES
                                          : (uint32_t)tape_below(t, CONFIG_BYTES);
    offset -= offset % width;
    if (what < 5)
        note(n, NULL, offset, width, get(n, f->devfn, offset, width));
    else
        put(n, f->devfn, offset, (uint32_t)tape_bits(t, 4), width);
}
