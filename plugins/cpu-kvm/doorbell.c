/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/doorbell.c - "bp.doorbell/1": ioeventfd, and irqfd that raises a message.
 *
 * After api.rst: KVM_SET_GSI_ROUTING, KVM_IOEVENTFD, KVM_IRQFD. An irqfd raises a
 * route, a row of one table that is written as a whole: first the routes of the 24 interrupt lines
 * as KVM_CREATE_IRQCHIP made them, then a message for each fd, under one lock.
 */
#include "kvm.h"

#include <backplane/ext/doorbell.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define PIC_LINES 16u
#define FIRST_MSI_GSI KVM_IOAPIC_NUM_PINS
#define CASCADE 2u
#define LINE_ROUTES (PIC_LINES + KVM_IOAPIC_NUM_PINS)

/* ---- ioeventfd ------------------------------------------------------------------------------ */

static int doorbell_ioeventfd(void *self, uint32_t space, uint64_t address, uint32_t width,
                              uint64_t value, int fd, uint32_t on)
{
    struct vm *vm = self;
    struct kvm_ioeventfd arg = {.addr = address, .len = width, .fd = fd};

    if (width != 0 && width != 1 && width != 2 && width != 4 && width != 8)
        return -EINVAL;
    if (space == BP_SPACE_PIO) {
        arg.flags |= KVM_IOEVENTFD_FLAG_PIO;
        if (width == 8 || address > UINT16_MAX)
            return -EINVAL;
    } else if (space != BP_SPACE_MMIO) {
        return -EINVAL;
    }
    if (width == 0 && !vm->has_any_length)
        return -EINVAL; /* before Linux 4.4 */
    if (value != BP_DOORBELL_ANY_VALUE) {
        if (width == 0 || (width < 8 && value >> (8 * width) != 0))
            return -EINVAL; /* no such write exists */
        arg.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
        arg.datamatch = value;
    }
    if (!on)
        arg.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    return ioctl(vm->fd, KVM_IOEVENTFD, &arg) == 0 ? 0 : -errno;
}

/* ---- irqfd ---------------------------------------------------------------------------------- */

static void add_line_route(struct kvm_irq_routing *table, uint32_t line, uint32_t chip,
                           uint32_t pin)
{
    table->entries[table->nr++] = (struct kvm_irq_routing_entry){
        .gsi = line,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = chip, .pin = pin},
    };
}

/* Line n is PIC input n and I/O APIC input n, as KVM has it at first, except that the PIT's line 0
 * is I/O APIC input 2: the PC's wiring, and what the MADT's override of IRQ 0 says. Input 2 of the
 * PIC is the cascade. */
static void add_line_routes(struct kvm_irq_routing *table)
{
    for (uint32_t line = 0; line < PIC_LINES; line++) {
        if (line != CASCADE) {
            add_line_route(table, line, line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
                           line % 8);
        }
    }
    for (uint32_t line = 0; line < KVM_IOAPIC_NUM_PINS; line++)
        if (line != CASCADE)
            add_line_route(table, line, KVM_IRQCHIP_IOAPIC, line == 0 ? CASCADE : line);
}

int routes_write(struct vm *vm)
{
    struct kvm_irq_routing *table =
        calloc(1, sizeof(*table) + (LINE_ROUTES + vm->route_count) * sizeof(table->entries[0]));
    int err = 0;

    if (!table)
        return -ENOMEM;
    add_line_routes(table);
    for (uint32_t i = 0; i < vm->route_count; i++) {
        const struct msi_route *r = &vm->routes[i];

        if (r->fd >= 0) {
            table->entries[table->nr++] = (struct kvm_irq_routing_entry){
                .gsi = FIRST_MSI_GSI + i,
                .type = KVM_IRQ_ROUTING_MSI,
                .u.msi = {.address_lo = (uint32_t)r->address,
                          .address_hi = (uint32_t)(r->address >> 32),
                          .data = r->data},
            };
        }
    }
    if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, table) != 0)
        err = -errno;
    free(table);
    return err;
}

static int bind_fd(struct vm *vm, int fd, uint32_t route, uint32_t flags)
{
    struct kvm_irqfd arg = {.fd = (uint32_t)fd, .gsi = FIRST_MSI_GSI + route, .flags = flags};

    return ioctl(vm->fd, KVM_IRQFD, &arg) == 0 ? 0 : -errno;
}

/* The route of `fd`; with fd -1 a free one. route_count if there is none. */
static uint32_t find_route(const struct vm *vm, int fd)
{
    uint32_t i = 0;

    while (i < vm->route_count && vm->routes[i].fd != fd)
        i++;
    return i;
}

static int grow_routes(struct vm *vm)
{
    struct msi_route *routes;

    if (vm->route_count + FIRST_MSI_GSI >= vm->max_routes)
        return -ENOSPC;
    routes = realloc(vm->routes, (vm->route_count + 1) * sizeof(*routes));
    if (!routes)
        return -ENOMEM;
    routes[vm->route_count].fd = -1;
    vm->routes = routes;
    vm->route_count++;
    return 0;
}

static int change_route(struct vm *vm, uint32_t route, uint64_t address, uint32_t data)
{
    struct msi_route before = vm->routes[route];
    int err;

    vm->routes[route].address = address;
    vm->routes[route].data = data;
    err = routes_write(vm);
    if (err)
        vm->routes[route] = before;
    return err;
}

static int add_route(struct vm *vm, int fd, uint64_t address, uint32_t data)
{
    uint32_t route = find_route(vm, -1);
    int err = 0;

    if (route == vm->route_count) {
        err = grow_routes(vm);
        if (err)
            return err;
    }
    vm->routes[route].fd = fd;
    err = change_route(vm, route, address, data);
    if (!err)
        err = bind_fd(vm, fd, route, 0);
    if (err)
        vm->routes[route].fd = -1;
    return err;
}

static int remove_route(struct vm *vm, uint32_t route)
{
    int err = bind_fd(vm, vm->routes[route].fd, route, KVM_IRQFD_FLAG_DEASSIGN);

    vm->routes[route].fd = -1;
    return err ? err : routes_write(vm);
}

static int doorbell_irqfd(void *self, int fd, uint64_t address, uint32_t data, uint32_t on)
{
    struct vm *vm = self;
    uint32_t route;
    int err;

    if (fd < 0)
        return -EINVAL;
    pthread_mutex_lock(&vm->lock);
    route = find_route(vm, fd);
    if (!on)
        err = route < vm->route_count ? remove_route(vm, route) : -ENOENT;
    else if (route == vm->route_count)
        err = add_route(vm, fd, address, data);
    else if (vm->routes[route].address != address || vm->routes[route].data != data)
        err = change_route(vm, route, address, data);
    else
        err = 0;
    pthread_mutex_unlock(&vm->lock);
    return err;
}

const void *doorbell_table(void)
{
    static const struct bp_cpu_doorbell table = {
        .size = sizeof(table),
        .ioeventfd = doorbell_ioeventfd,
        .irqfd = doorbell_irqfd,
    };

    return &table;
}
