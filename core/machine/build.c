/* SPDX-License-Identifier: MIT
 *
 * machine/build.c - from a plan to a machine: memory, address spaces, backend, instances, kernel;
 * and back.
 *
 * machine_build() makes the parts in the order in which they need each other, and leaves what it
 * made on failure: machine_dismantle() takes down whatever is there, in the reverse order.
 */
#include "machine/machine_private.h"

#include "boot/boot.h"
#include "platform/acpi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ECAM_GPA 0xe0000000ull
#define ECAM_BUSES 256u
/* Buses that the ACPI tables announce: as many as there are. Linux asks every slot of each bus up
 * to the last of MCFG for its vendor, whether it was found by enumeration or not
 * (pcibios_fixup_peer_bridges()), by port: 255 absent buses are 16,320 exits. */
#define PRESENT_BUSES 1u
#define MMIO32_GPA RAM_LOW_END
#define MMIO32_BYTES (ECAM_GPA - MMIO32_GPA)
#define MMIO64_BYTES 0x1000000000ull /* 64 GiB above RAM */

/* ---- the bus as vCPUs call it
 * ---------------------------------------------------------------------- */

static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    return bus_read(&vcpu->reader, BP_SPACE_MMIO, gpa, width);
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    bus_write(&vcpu->reader, BP_SPACE_MMIO, gpa, value, width);
}

static uint32_t pio_read(struct bp_vcpu *vcpu, uint16_t port, uint32_t width)
{
    return (uint32_t)bus_read(&vcpu->reader, BP_SPACE_PIO, port, width);
}

static void pio_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    bus_write(&vcpu->reader, BP_SPACE_PIO, port, value, width);
}

static int resolve(struct bp_vcpu *vcpu, uint64_t gpa, struct bp_slot *out)
{
    return bus_resolve(&vcpu->reader, gpa, out);
}

static int enter(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    return bus_enter(&vcpu->reader, slot);
}

static void leave(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    bus_leave(&vcpu->reader, slot);
}

/* ---- the core's own parts
 * --------------------------------------------------------------------------- */

static int place_ram(struct bp_machine *m, const struct ram_extent *x)
{
    int err = 0;

    for (uint64_t at = 0, part; at < x->length && !err; at += part) {
        struct bp_region *region;
        const struct bp_region *other;
        const char *why;
        part = machine_firmware_ram_part(m, x->gpa + at, x->length - at);
        err = bus_memory_new(m->bus, NULL, part, x->host + at, 0, false, BUS_LAYER_RAM, &region,
                             &why);
        if (!err)
            err = bus_place(region, x->gpa + at, &other);
    }
    return err;
}

static int build_memory(struct bp_machine *m)
{
    const struct bus_listener listener = {.memory_changed = machine_memory_changed, .context = m};
    struct error e;
    int err = ram_create(&m->ram, m->plan.machine.memory, m->plan.machine.shared, m->plan.reserved,
                         m->plan.reserved_count, &e);

    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
        return err;
    }
    m->has_ram = true;
    err = bus_new(&listener, &m->bus);
    if (!err)
        err = machine_trace_open(m);
    for (uint32_t i = 0; i < m->ram.count && !err; i++)
        err = place_ram(m, &m->ram.extents[i]);
    if (!err)
        err = machine_firmware_new(m);
    if (err)
        return err;
    m->bus_ops = (struct bp_bus){.size = sizeof(m->bus_ops),
                                 .generation = bus_generation(m->bus),
                                 .mmio_read = mmio_read,
                                 .mmio_write = mmio_write,
                                 .pio_read = pio_read,
                                 .pio_write = pio_write,
                                 .resolve = resolve,
                                 .enter = enter,
                                 .leave = leave};
    return 0;
}

static int place_own(struct bp_machine *m, uint32_t space, uint64_t base, uint64_t length,
                     const struct bp_region_ops *ops, void *self)
{
    struct bp_region *region;
    const struct bp_region *other;
    const char *why;
    int err = bus_region_new(m->bus, NULL, m->platform_domain, space, length, ops, self,
                             BUS_LAYER_PLATFORM, &region, &why);

    return err ? err : bus_place(region, base, &other);
}

static int build_pci(struct bp_machine *m)
{
    struct error e;
    int err = machine_pci_new(m, ECAM_BUSES, &e);

    if (err)
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
    if (!err)
        err = place_own(m, BP_SPACE_PIO, PCI_ADDRESS_PORT, 4, &pci_address_ops, m->pci);
    if (!err)
        err = place_own(m, BP_SPACE_PIO, PCI_DATA_PORT, 4, &pci_data_ops, m->pci);
    if (!err)
        err = place_own(m, BP_SPACE_MMIO, ECAM_GPA, ECAM_BUSES * PCI_ECAM_BUS_BYTES, &pci_ecam_ops,
                        m->pci);
    return err;
}

static bool is_service(const struct plan_instance *instance)
{
    return instance->model->kind == BP_KIND_SERVICE;
}

static int build_loops(struct bp_machine *m)
{
    int err = loop_new(&m->clock, &m->loop);

    for (uint32_t i = 0; i < m->plan.count && !err && !m->service_loop; i++)
        if (is_service(&m->plan.instances[i]))
            err = loop_new(&m->clock, &m->service_loop);
    return err;
}

static int build_domains(struct bp_machine *m)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->plan.count; i++)
        if (m->plan.instances[i].domain >= count)
            count = m->plan.instances[i].domain + 1;
    m->platform_domain = domain_new();
    m->domains = calloc(count + 1, sizeof(struct domain *));
    if (!m->domains || !m->platform_domain)
        return -ENOMEM;
    m->domain_loops = calloc(count + 1, sizeof(struct loop *));
    if (!m->domain_loops)
        return -ENOMEM;
    for (; m->domain_count < count; m->domain_count++) {
        m->domains[m->domain_count] = domain_new();
        if (!m->domains[m->domain_count])
            return -ENOMEM;
    }
    return 0;
}

static bool wants_thread(const struct plan_instance *instance)
{
    return instance->model->flags & BP_MODEL_THREAD &&
           ((const uint8_t *)instance->config)[instance->model->thread_at];
}

/* A loop for each domain in which somebody wants one. */
static int build_domain_loops(struct bp_machine *m)
{
    int err = 0;

    for (uint32_t i = 0; i < m->plan.count && !err; i++) {
        const struct plan_instance *instance = &m->plan.instances[i];
        if (wants_thread(instance) && !m->domain_loops[instance->domain])
            err = loop_new(&m->clock, &m->domain_loops[instance->domain]);
    }
    if (err)
        machine_log(m, BP_LOG_ERROR, "cannot make a device's event loop: %s", strerror(-err));
    return err;
}

void machine_stop_loops(struct bp_machine *m)
{
    if (m->loop)
        loop_stop(m->loop);
    for (uint32_t i = 0; i < m->domain_count; i++)
        if (m->domain_loops[i])
            loop_stop(m->domain_loops[i]);
}

static struct loop *loop_of(const struct bp_machine *m, const struct plan_instance *plan)
{
    if (is_service(plan))
        return m->service_loop;
    return m->domain_loops[plan->domain] ? m->domain_loops[plan->domain] : m->loop;
}

/* ---- instances
 * ----------------------------------------------------------------------------------------- */

static int create_node(struct bp_machine *m, struct bp_node *node, const struct plan_instance *plan)
{
    *node = (struct bp_node){.machine = m,
                             .plan = plan,
                             .name = plan->name,
                             .model = plan->model,
                             .domain = m->domains[plan->domain],
                             .loop = loop_of(m, plan)};
    int err = plan->model->instance.create(&machine_host, node, plan->config, &node->self);
    if (err)
        node->self = NULL;
    else if (!node->self)
        err = node_fail(node, -EINVAL, "create() succeeded without giving an instance");
    else if (plan == plan_irqchip(&m->plan))
        err = machine_irqchip_connect(m, node);
    if (!err)
        return 0;
    struct error why;
    report_error(&m->report, plan->section->file, plan->section->line, plan->name,
                 "[%s] %s cannot be made: %s", plan->name, plan->model->id,
                 node_failure(node, err, &why));
    return err;
}

static int build_nodes(struct bp_machine *m)
{
    m->nodes = calloc(m->plan.count + 1, sizeof(*m->nodes));
    if (!m->nodes)
        return -ENOMEM;
    bus_batch_begin(m->bus);
    int err = 0;
    for (uint32_t i = 0; i < m->plan.count && !err; i++) {
        m->node_count = i + 1;
        err = create_node(m, &m->nodes[i], &m->plan.instances[i]);
    }
    if (!err)
        err = machine_pci_complete(m);
    int published = bus_batch_end(m->bus);
    if (!err && m->mem_error) {
        machine_log(m, BP_LOG_ERROR, "the CPU backend refuses this machine's memory: %s",
                    strerror(-m->mem_error));
        err = m->mem_error;
    }
    return err ? err : published;
}

int machine_build(struct bp_machine *m)
{
    clock_init(&m->clock);
    irq_router_init(&m->router);
    int err = machine_cpu_choose(m);
    if (err)
        return err;
    err = build_memory(m);
    if (!err)
        err = build_loops(m);
    if (!err)
        err = doorbells_init(m);
    if (err && err != -ENOMEM && m->has_ram)
        machine_log(m, BP_LOG_ERROR, "cannot make the event loop: %s", strerror(-err));
    if (!err)
        err = build_domains(m);
    if (!err && m->plan.machine.board == PLAN_BOARD_PC)
        err = build_pci(m);
    if (err == -ENOMEM)
        machine_log(m, BP_LOG_ERROR, "out of memory");
    if (!err)
        err = build_domain_loops(m);
    if (!err)
        err = machine_cpu_create(m);
    if (!err)
        err = posted_init(m);
    if (!err)
        err = build_nodes(m);
    if (!err)
        err = machine_vcpus_create(m);
    return err;
}

static void destroy_node(struct bp_node *node)
{
    machine_pci_end_fds(node);
    doorbells_release(node); /* while their fds are open */
    if (node->self)
        node->model->instance.destroy(node->self);
    node->self = NULL;
    machine_pci_release(node);
    node_release(node);
}

void machine_dismantle(struct bp_machine *m)
{
    struct bp_node *irqchip = m->irqchip_node; /* the backend has it until its VM has gone */

    if (m->service_loop)
        loop_stop(m->service_loop);
    machine_stop_loops(m);
    if (m->bus)
        bus_batch_begin(m->bus); /* nobody looks any more: no view for each region that goes */
    for (uint32_t i = m->node_count; i-- > 0;)
        if (&m->nodes[i] != irqchip)
            destroy_node(&m->nodes[i]);
    posted_free(m);
    machine_cpu_destroy(m);
    if (irqchip)
        destroy_node(irqchip);
    doorbells_free(m);
    free(m->nodes);
    m->nodes = NULL;
    m->node_count = 0;
    loop_free(m->service_loop);
    loop_free(m->loop);
    m->loop = m->service_loop = NULL;
    bus_free(m->bus);
    machine_trace_close(m);
    m->bus = NULL;
    machine_firmware_free(m);
    acpi_blob_free(&m->acpi);
    pci_host_free(m->pci);
    m->pci = NULL;
    for (uint32_t i = 0; i < m->domain_count; i++) {
        loop_free(m->domain_loops[i]);
        domain_free(m->domains[i]);
    }
    free(m->domains);
    free(m->domain_loops);
    m->domain_loops = NULL;
    m->domains = NULL;
    m->domain_count = 0;
    domain_free(m->platform_domain);
    m->platform_domain = NULL;
    if (m->has_ram)
        ram_destroy(&m->ram);
    m->has_ram = false;
    irq_router_exit(&m->router);
}

/* ---- boot
 * ------------------------------------------------------------------------------------------------
 */

/* Above RAM, where 64-bit BARs go. */
static uint64_t mmio64_gpa(const struct bp_machine *m)
{
    const struct ram_extent *last = &m->ram.extents[m->ram.count - 1];
    uint64_t ram_top = last->gpa + last->length;

    return ram_top > RAM_HIGH_BASE ? ram_top : RAM_HIGH_BASE;
}

/* Into RAM, or for firmware to fetch. */
static int write_acpi(struct bp_machine *m, uint64_t *rsdp_gpa, struct error *e)
{
    struct acpi_machine machine = {.cpus = m->plan.machine.cpus,
                                   .has_pci = 1,
                                   .ecam_gpa = ECAM_GPA,
                                   .ecam_buses = PRESENT_BUSES,
                                   .mmio32_gpa = MMIO32_GPA,
                                   .mmio32_length = MMIO32_BYTES,
                                   .mmio64_gpa = mmio64_gpa(m),
                                   .mmio64_length = MMIO64_BYTES};

    if (m->rom) { /* where it looks for room first, from the I/O APIC down */
        machine.more32_gpa = ECAM_GPA + ECAM_BUSES * PCI_ECAM_BUS_BYTES;
        machine.more32_length = ACPI_IOAPIC_GPA - machine.more32_gpa;
        acpi_blob_free(&m->acpi);
    }
    struct acpi_description *d = acpi_description_new();

    if (!d)
        return error_set(e, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct bp_node *node = &m->nodes[i];
        const struct bp_acpi *acpi = node->model->instance.extension(node->self, BP_ACPI_ID);
        if (acpi && BP_HAS(acpi, describe) && acpi->describe)
            acpi->describe(node->self, acpi_builder(d));
    }
    int err = m->rom ? acpi_build(d, &machine, &m->acpi, e)
                     : acpi_write(d, &machine, &m->ram, rsdp_gpa, e);
    acpi_description_free(d);
    return err;
}

int machine_boot(struct bp_machine *m, uint32_t kind)
{
    struct boot_state state = {0};
    uint64_t rsdp_gpa = 0;
    struct error e;

    machine_pci_reset(m);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct bp_node *node = &m->nodes[i];
        domain_enter(node->domain); /* as start(): services run on */
        node->model->instance.reset(node->self, kind);
        domain_leave(node->domain);
    }
    const struct pci_window mmio32 = {MMIO32_GPA, MMIO32_GPA + MMIO32_BYTES};
    const struct pci_window mmio64 = {mmio64_gpa(m), mmio64_gpa(m) + MMIO64_BYTES};
    if (!m->rom) /* else that is the firmware's work, too */
        machine_pci_boot(m, &mmio32, &mmio64);
    int err = e820_from_ram(&m->e820, &m->ram);
    if (!err && m->pci) /* Linux uses ECAM only where the memory map agrees */
        err = e820_set(&m->e820, ECAM_GPA, ECAM_BUSES * PCI_ECAM_BUS_BYTES, E820_RESERVED);
    if (err)
        error_set(&e, err, "the memory map has more than %u entries: reserve less", E820_MAX);
    bool has_room = m->rom || ram_at(&m->ram, ACPI_GPA, ACPI_BYTES);
    if (!err && m->plan.machine.board == PLAN_BOARD_PC && has_room)
        err = write_acpi(m, &rsdp_gpa, &e);
    if (!err) {
        const struct boot_target target = {.ram = &m->ram,
                                           .map = &m->e820,
                                           .rsdp_gpa = rsdp_gpa,
                                           .rom = m->rom,
                                           .rom_bytes = m->plan.boot.firmware_bytes};
        err = boot_load(&m->plan.boot_request, &target, &state, &e);
    }
    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
        return err;
    }
    if (kind == BP_RESET_COLD)
        machine_log(m, BP_LOG_INFO, "booting by %s, entry 0x%llx", state.protocol,
                    (unsigned long long)state.gpr.rip);
    return machine_vcpus_reset(m, &state);
}
