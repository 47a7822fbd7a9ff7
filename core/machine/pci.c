/* SPDX-License-Identifier: MIT
 *
 * machine/pci.c - "bp.pci/1": functions of devices joined with the bus, the interrupt lines, the
 * doorbells, lock domains and guest memory; and the firmware's part at boot.
 */
#include "machine/machine_private.h"

#include "machine/props.h"

#include <backplane/ext/doorbell.h>
#include <errno.h>
#include <stdlib.h>

/* Where the local APICs take messages (SDM 3, "Message Address Register Format"); a message to
 * anywhere else is the memory write that it looks like. */
#define MESSAGE_GPA 0xfee00000ull
#define MESSAGE_BYTES 0x100000ull
#define IO_FIRST 0xc000u /* ports below are those of an old PC's devices */
#define IO_END 0x10000u

static int service_fail(void *context, struct bp_node *node, int err, const char *text)
{
    (void)context;
    return node_fail(node, err, "%s", text);
}

static const char *service_name(void *context, struct bp_node *node)
{
    (void)context;
    return node->name;
}

static int region_check(void *context, struct bp_node *node, const struct bp_region *region,
                        uint32_t *space, uint64_t *length)
{
    (void)context;
    if (region->owner != node)
        return -EINVAL;
    if (region->base != BP_UNMAPPED || region->layer == BUS_LAYER_BAR)
        return -EBUSY;
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
    struct bp_machine *m = context;
    const char *why;
    int err = bus_region_new(m->bus, node, node->domain, BP_SPACE_MMIO, length, ops, self,
                             BUS_LAYER_BAR, out, &why);

    return err ? node_fail(node, err, "%s", why) : 0;
}

/* Beyond the address space, or without memory for a new map, it is nowhere. */
static void region_place(void *context, struct bp_node *node, struct bp_region *region,
                         uint64_t base)
{
    const struct bp_region *other;

    (void)context;
    if (bus_place(region, base, &other) && base != BP_UNMAPPED)
        bus_place(region, BP_UNMAPPED, &other);
    machine_region_moved(node->machine, region);
}

static void line_set(void *context, struct irq_source *held, uint32_t line, uint32_t level)
{
    struct bp_machine *m = context;

    irq_router_set(&m->router, held, line, level);
}

static bool is_for_processors(uint64_t address)
{
    return address - MESSAGE_GPA < MESSAGE_BYTES;
}

static void message(void *context, struct bp_node *node, uint64_t address, uint32_t data)
{
    (void)context;
    if (is_for_processors(address))
        machine_host.msi_send(node, address, data);
    else
        machine_host.dma_write(node, address, &data, sizeof(data));
}

static int fd_route(void *context, struct bp_node *node, int fd, uint64_t address, uint32_t data)
{
    (void)context;
    return is_for_processors(address) ? machine_doorbell.msi_fd(node, fd, address, data) : -ENOTSUP;
}

static void fd_unroute(void *context, struct bp_node *node, int fd)
{
    (void)context;
    machine_doorbell.unmsi_fd(node, fd);
}

static int fd_watch(void *context, struct bp_node *node, int fd,
                    void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    (void)context;
    return machine_host.fd_watch(node, fd, ready ? BP_FD_READ : 0, ready, self);
}

static void masters(void *context, struct bp_node *node, bool any)
{
    (void)context;
    __atomic_store_n(&node->no_master, !any, __ATOMIC_RELEASE);
}

static int function_new(struct bp_node *node, uint32_t devfn, uint32_t flags,
                        const struct bp_pci_identity *identity,
                        const struct bp_pci_function_ops *ops, void *self,
                        struct bp_pci_function **out)
{
    struct bp_machine *m = node->machine;

    /* Accesses find functions without a lock, so there are no others once the guest runs. */
    if (m->pci_complete)
        return node_fail(node, -EINVAL, "PCI functions are made in create(), not later");
    int err = pci_function_new(m->pci, &m->pci_services, node->domain, m->pci_kept, node, devfn,
                               flags, identity, ops, self, out);
    if (!err)
        node->no_master = true;
    return err;
}

const struct bp_pci machine_pci = {
    .size = sizeof(machine_pci),
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

/* ---- life ---------------------------------------------------------------------------------------
 */

/* Devices that a section names are not given to those that take any. */
static uint32_t kept_devices(const struct plan *plan)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_instance *instance = &plan->instances[i];
        for (const struct bp_prop *p = instance->model->props; p && p->name; p++) {
            uint64_t devfn;
            for (uint64_t n = 0;
                 p->type == BP_PROP_PCI && props_number(p, instance->config, n, &devfn); n++)
                if (devfn < (uint64_t)PCI_DEVICES * PCI_FUNCTIONS)
                    kept |= 1u << (devfn >> 3);
        }
    }
    return kept;
}

int machine_pci_new(struct bp_machine *m, uint32_t buses, struct error *e)
{
    m->pci_services = (struct pci_services){.context = m,
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
    m->pci_complete = false;
    m->pci_kept = kept_devices(&m->plan);
    return pci_host_new(buses, &m->pci, e);
}

int machine_pci_complete(struct bp_machine *m)
{
    const struct bp_pci_function *lost = m->pci ? pci_functions_lost(m->pci) : NULL;

    if (lost) {
        const struct config_section *section = lost->node->plan->section;
        report_error(&m->report, section->file, section->line, lost->node->name,
                     "[%s] PCI function %02x.%u would not be found: its device has no function 0, "
                     "by which a guest looks for the others; give that to a section, or choose "
                     "function 0",
                     lost->node->name, lost->devfn >> 3, lost->devfn & 7);
        return -EINVAL;
    }
    if (m->pci)
        pci_functions_power_on(m->pci);
    m->pci_complete = true;
    return 0;
}

void machine_pci_reset(struct bp_machine *m)
{
    if (!m->pci)
        return;
    pci_host_reset(m->pci);
    pci_functions_reset(m->pci);
}

void machine_pci_end_fds(struct bp_node *node)
{
    if (!node->machine->pci)
        return;
    for (struct bp_pci_function *f = pci_functions(node->machine->pci); f; f = f->next)
        if (f->node == node)
            pci_vector_fds_end(f);
}

void machine_pci_release(struct bp_node *node)
{
    if (node->machine->pci)
        pci_functions_free(node->machine->pci, node);
}

/* ---- firmware -----------------------------------------------------------------------------------
 */

static uint64_t taken(void *machine, uint32_t space, uint64_t base, uint64_t length)
{
    return bus_taken(((struct bp_machine *)machine)->bus, space, base, length);
}

static void no_room(void *machine, const struct bp_pci_function *f, uint32_t bar)
{
    machine_log(machine, BP_LOG_WARN,
                "[%s] BAR %u of PCI function %02x.%u, 0x%llx bytes, finds no room: the guest has "
                "to place it",
                f->node->name, bar, f->devfn >> 3, f->devfn & 7,
                (unsigned long long)f->bars[bar].length);
}

void machine_pci_boot(struct bp_machine *m, const struct pci_window *mmio32,
                      const struct pci_window *mmio64)
{
    struct pci_firmware firmware = {.io = {IO_FIRST, IO_END},
                                    .mmio32 = *mmio32,
                                    .mmio64 = *mmio64,
                                    .taken = taken,
                                    .no_room = no_room,
                                    .context = m};

    if (m->pci)
        pci_firmware_assign(m->pci, &firmware);
}
