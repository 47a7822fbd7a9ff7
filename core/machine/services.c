/* SPDX-License-Identifier: MIT
 *
 * machine/services.c - the host table: how a plugin's calls reach the machine.
 */
#include "machine/machine_private.h"

#include "plugin/normalise.h"

#include <backplane/ext/doorbell.h>
#include <backplane/net.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Normalised tables handed out; they live as long as the node that asked. */
struct node_link {
    struct node_link *next;
    void *ops, *port;
};

/* ---- messages -----------------------------------------------------------------------------------
 */

static void host_log(struct bp_node *node, uint32_t level, const char *text)
{
    uint32_t missed = 0;

    if (level & BP_LOG_GUEST && !limit_passes(&node->guest_limit, &missed))
        return;
    if (missed) {
        char more[64];
        snprintf(more, sizeof(more), "%u more messages of this kind", missed);
        machine_message(node->machine, BP_LOG_WARN | BP_LOG_GUEST, node->name, more);
    }
    machine_message(node->machine, level, node->name, text);
}

int node_fail(struct bp_node *node, int err, const char *format, ...)
{
    struct error said;
    va_list args;

    va_start(args, format);
    vsnprintf(said.text, sizeof(said.text), format, args);
    va_end(args);
    pthread_mutex_lock(&node->machine->failure_lock);
    node->failure = said;
    pthread_mutex_unlock(&node->machine->failure_lock);
    return err;
}

const char *node_failure(struct bp_node *node, int err, struct error *out)
{
    pthread_mutex_lock(&node->machine->failure_lock);
    *out = node->failure;
    pthread_mutex_unlock(&node->machine->failure_lock);
    if (!out->text[0])
        error_set(out, err, "%s", strerror(-err));
    return out->text;
}

static int host_fail(struct bp_node *node, int err, const char *text)
{
    return node_fail(node, err, "%s", text);
}

static const char *host_name(struct bp_node *node)
{
    return node->name;
}

/* ---- other instances
 * ------------------------------------------------------------------------------ */

static const void *host_extension(struct bp_node *node, const char *id)
{
    const struct bp_machine *m = node->machine;

    if (!strcmp(id, BP_MACHINE_CONTROL_ID))
        return &machine_control;
    if (!strcmp(id, BP_MEMORY_ID))
        return &machine_memory;
    if (!strcmp(id, BP_FIRMWARE_ID) && m->rom)
        return &machine_firmware;
    if (!strcmp(id, BP_PCI_ID) && m->pci && node != &m->cpu_node)
        return &machine_pci;
    if (!strcmp(id, BP_DOORBELL_ID) && m->vm && m->cpu_model->cpu.extension(m->vm, id))
        return &machine_doorbell;
    if (!strcmp(id, BP_IRQCHIP_ID) && node == &m->cpu_node && m->irqchip.ops)
        return &m->irqchip;
    return NULL;
}

/* A REF property holds the address of its plan_instance. */
static struct bp_node *node_of_ref(const struct bp_machine *m, struct bp_node *ref)
{
    const struct plan_instance *instance = (const void *)ref;

    for (uint32_t i = 0; i < m->node_count; i++)
        if (m->nodes[i].plan == instance)
            return &m->nodes[i];
    return NULL;
}

static void free_link(struct node_link *link)
{
    if (!link)
        return;
    free(link->ops);
    free(link->port);
    free(link);
}

/* Puts copies at this host's size in the place of peer->ops, which `far` offers, and of `port`
 * (NULL: none), kept by the node. */
static int keep_tables(struct bp_node *node, const struct bp_node *far,
                       const struct interface *interface, const void *port, struct bp_peer *peer,
                       struct node_link **out)
{
    struct node_link *link = calloc(1, sizeof(*link));
    struct error why;
    int err = -ENOMEM;

    if (!link)
        return node_fail(node, err, "out of memory");
    link->ops = malloc(interface->size);
    link->port = port ? malloc(interface->port_size) : NULL;
    if (!link->ops || (port && !link->port)) {
        node_fail(node, err, "out of memory");
        goto fail;
    }
    err = normalise(link->ops, interface->table, peer->ops, &why);
    if (err) {
        node_fail(node, err, "what [%s] offers as %s is broken: %.900s", far->name, interface->id,
                  why.text);
        goto fail;
    }
    err = port ? normalise(link->port, interface->port_table, port, &why) : 0;
    if (err) {
        node_fail(node, err, "the port for %s of [%s] is broken: %.900s", interface->id, far->name,
                  why.text);
        goto fail;
    }
    link->next = node->links;
    node->links = link;
    peer->ops = link->ops;
    *out = link;
    return 0;
fail:
    free_link(link);
    return err;
}

/* Finds the far end's table for `id`, as it is if this host does not know such tables. `far_` and
 * `link`: for host_link(). */
static int reach(struct bp_node *node, struct bp_node *ref, const char *id, const void *port,
                 struct bp_peer *out, struct bp_node **far_, struct node_link **link)
{
    const struct interface *interface = interface_find(id);
    struct bp_node *far = ref ? node_of_ref(node->machine, ref) : NULL;

    if (!ref)
        return node_fail(node, -ENOENT, "no section is named that could offer %s", id);
    if (!far || !far->self)
        return node_fail(
            node, -ENOENT,
            "%s is asked of something that is no section; give the value of a REF property", id);
    const void *ops = far->model->instance.extension(far->self, id);
    if (!ops)
        return node_fail(node, -ENOENT, "[%s] is %s (model %s), which does not offer %s", far->name,
                         far->model->plugin->name, far->model->id, id);
    *out = (struct bp_peer){.ops = ops, .self = far->self};
    *far_ = far;
    if (!interface)
        return 0;
    return keep_tables(node, far, interface, port, out, link);
}

static int host_peer(struct bp_node *node, struct bp_node *ref, const char *id, struct bp_peer *out)
{
    struct node_link *link;
    struct bp_node *far;

    return reach(node, ref, id, NULL, out, &far, &link);
}

/* attach() stands first in every two-way table, after size and reserved. */
struct attachable {
    uint32_t size, reserved;
    int (*attach)(void *self, const void *port, void *port_self);
};

static int host_link(struct bp_node *node, struct bp_node *ref, const char *id, const void *port,
                     void *port_self, struct bp_peer *out)
{
    const struct interface *interface = interface_find(id);
    struct node_link *link = NULL;
    struct bp_node *far;

    if (!interface || !interface->port_size)
        return node_fail(node, -EINVAL, "%s has no port, so it cannot be linked; use peer()", id);
    if (!port)
        return node_fail(node, -EINVAL, "link() of %s was given no port; use peer(), or give one",
                         id);
    int err = reach(node, ref, id, port, out, &far, &link);
    if (err || !link)
        return err;
    const struct attachable *ops = out->ops;
    far->failure.text[0] = 0;
    err = ops->attach(out->self, link->port, port_self);
    if (err && far->failure.text[0])
        node_fail(node, err, "[%s]: %.900s", far->name, far->failure.text);
    else if (err == -EBUSY)
        node_fail(node, err, "[%s] has a user already, and its %s serves only one", far->name, id);
    else if (err)
        node_fail(node, err, "[%s] refuses to be linked by %s: %s", far->name, id, strerror(-err));
    else if (!strcmp(id, BP_NET_ID))
        out->self = ((const struct bp_net *)out->ops)->port(out->self);
    return err;
}

/* ---- the machine
 * ---------------------------------------------------------------------------------- */

void machine_wake(struct bp_machine *m)
{
    wake_signal(&m->wake);
}

void machine_request(struct bp_machine *m, uint32_t what, uint32_t code)
{
    uint64_t before = __atomic_load_n(&m->request, __ATOMIC_ACQUIRE);
    uint64_t wanted = (uint64_t)code << 32 | what;

    do {
        if (before != REQUEST_NONE &&
            !(what == BP_REQUEST_QUIT && (uint32_t)before == BP_REQUEST_RESET))
            return;
    } while (!__atomic_compare_exchange_n(&m->request, &before, wanted, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    /* The guest does not run on behind its own power-off. */
    struct vcpus *vcpus = __atomic_load_n(&m->vcpus, __ATOMIC_ACQUIRE);
    if (vcpus)
        vcpus_ask_to_park(vcpus);
    machine_wake(m);
}

static void host_request(struct bp_node *node, uint32_t what, uint32_t code)
{
    if (what >= BP_REQUEST_POWER_OFF && what <= BP_REQUEST_QUIT)
        machine_request(node->machine, what, code);
}

/* ---- address spaces
 * --------------------------------------------------------------------------------- */

static const char no_machine[] = "probe() comes before the machine is made";

static int host_region_new(struct bp_node *node, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    const char *why;
    if (!node->machine->bus)
        return host_fail(node, -EINVAL, no_machine);
    int err = bus_region_new(node->machine->bus, node, node->domain, space, length, ops, self,
                             BUS_LAYER_FIXED, out, &why);

    return err ? host_fail(node, err, why) : 0;
}

static int host_ram_region_new(struct bp_node *node, uint64_t length, uint32_t flags, int fd,
                               uint64_t fd_offset, void **host_address, struct bp_region **out)
{
    const char *why = "a memory region's length must be a multiple of 4096, not 0";

    if (!node->machine->bus)
        return host_fail(node, -EINVAL, no_machine);
    if (!length || length % 4096 || length > UINT64_MAX / 4)
        return host_fail(node, -EINVAL, why);
    int how = flags & BP_RAM_SHARED ? MAP_SHARED : MAP_PRIVATE;
    void *host = mmap(NULL, length, PROT_READ | PROT_WRITE, fd < 0 ? how | MAP_ANONYMOUS : how,
                      fd < 0 ? -1 : fd, (off_t)fd_offset);
    if (host == MAP_FAILED) {
        int err = -errno;
        return node_fail(node, err, "cannot map %llu bytes for a memory region: %s",
                         (unsigned long long)length, strerror(-err));
    }
    int err = bus_memory_new(node->machine->bus, node, length, host, flags, true, BUS_LAYER_FIXED,
                             out, &why);
    if (err) {
        munmap(host, length);
        return host_fail(node, err, why);
    }
    *host_address = host;
    return 0;
}

static int host_region_place(struct bp_region *region, uint64_t base)
{
    const struct bp_region *other;
    /* The bus keeps owners const, and this one is ours. */
    struct bp_node *node =
        (struct bp_node *)(uintptr_t)region->owner; /* NOLINT(performance-no-int-to-ptr) */

    if (region->layer == BUS_LAYER_BAR)
        return host_fail(node, -EBUSY, "the region is a PCI BAR, which the guest places");
    int err = bus_place(region, base, &other);
    if (err == -EBUSY) {
        const struct bp_node *holder = other->owner;
        const char *what = region->space == BP_SPACE_PIO ? "ports " : "";
        unsigned long long first = base, last = base + region->length - 1;
        if (holder)
            node_fail(node, err, "%s0x%llx-0x%llx cannot be had: [%s] has some of it", what, first,
                      last, holder->name);
        else
            node_fail(node, err, "%s0x%llx-0x%llx cannot be had: guest memory has some of it", what,
                      first, last);
    } else if (err == -EINVAL) {
        node_fail(node, err, "a region of 0x%llx %s at 0x%llx ends beyond the address space",
                  (unsigned long long)region->length,
                  region->space == BP_SPACE_PIO ? "ports" : "bytes", (unsigned long long)base);
    } else if (!err) {
        machine_region_moved(node->machine, region);
    }
    return err;
}

/* ---- interrupts
 * ------------------------------------------------------------------------------------- */

static void host_irq_set(struct bp_node *node, uint32_t line, uint32_t level)
{
    irq_router_set(&node->machine->router, &node->irq, line, level);
}

static void host_msi_send(struct bp_node *node, uint64_t address, uint32_t data)
{
    const struct bp_machine *m = node->machine;

    if (m->vm && m->cpu_features & BP_CPU_IRQCHIP)
        m->cpu_model->cpu.msi(m->vm, address, data);
    else if (m->irqchip.ops)
        m->irqchip_ops.msi(m->irqchip.self, address, data);
}

/* ---- guest memory
 * ------------------------------------------------------------------------------------- */

bool machine_is_gated(const struct bp_node *node)
{
    return __atomic_load_n(&node->no_master, __ATOMIC_ACQUIRE);
}

static int host_dma_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    if (machine_is_gated(node))
        return -EFAULT;
    return ram_read(&node->machine->ram, gpa, to, len);
}

void machine_code_changed(struct bp_machine *m, uint64_t gpa, uint64_t len)
{
    if (m->vm && len)
        m->cpu_model->cpu.code_changed(m->vm, gpa, len);
    struct compare_writes *writes = __atomic_load_n(&m->writes, __ATOMIC_ACQUIRE);
    if (writes && len)
        machine_compare_written(writes, gpa, len);
}

static int host_dma_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    if (machine_is_gated(node))
        return -EFAULT;
    int err = ram_write(&node->machine->ram, gpa, from, len);

    if (!err)
        machine_code_changed(node->machine, gpa, len);
    return err;
}

static void *host_dma_map(struct bp_node *node, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    (void)dir;
    return *len && !machine_is_gated(node) ? ram_map(&node->machine->ram, gpa, len) : NULL;
}

static void host_dma_unmap(struct bp_node *node, void *ptr, uint64_t written)
{
    struct bp_machine *m = node->machine;
    uint64_t gpa;

    if (written && !ram_written(&m->ram, ptr, written, &gpa))
        machine_code_changed(m, gpa, written);
}

/* ---- the loop
 * ------------------------------------------------------------------------------------------ */

static int host_fd_watch(struct bp_node *node, int fd, uint32_t events,
                         void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    if (!node->loop)
        return host_fail(node, -EINVAL, no_machine);
    return loop_watch(node->loop, node, node->domain, fd, events, ready, self);
}

static uint64_t host_clock_ns(struct bp_node *node)
{
    return clock_now_ns(&node->machine->clock);
}

static uint64_t host_utc_ns(struct bp_node *node)
{
    struct timespec now;

    (void)node;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fire(void *node_, uint32_t id)
{
    struct bp_node *node = node_;

    if (node->self)
        node->model->instance.timer(node->self, id);
}

static int host_timer_set(struct bp_node *node, uint32_t id, uint64_t when_ns)
{
    if (id >= NODE_TIMERS_MAX)
        return -EINVAL;
    if (node->model->kind == BP_KIND_CPU)
        return -ENOTSUP; /* its table has no timer() */
    struct timer *t = node->timers[id];
    if (!t) {
        if (when_ns == UINT64_MAX)
            return 0;
        t = node->timers[id] = calloc(1, sizeof(*t));
        if (!t)
            return -ENOMEM;
        *t = (struct timer){
            .domain = node->domain, .fire = fire, .self = node, .when_ns = UINT64_MAX, .id = id};
    }
    return loop_timer_set(node->loop, t, when_ns);
}

void node_release(struct bp_node *node)
{
    struct bp_machine *m = node->machine;

    if (!m)
        return; /* a CPU backend's, before the first was tried */
    doorbells_release(node);
    posted_release(node);
    if (node->loop)
        loop_forget(node->loop, node);
    for (uint32_t i = 0; i < NODE_TIMERS_MAX; i++) {
        if (node->timers[i])
            loop_timer_set(node->loop, node->timers[i], UINT64_MAX);
        free(node->timers[i]);
        node->timers[i] = NULL;
    }
    irq_router_release(&m->router, &node->irq);
    if (m->bus)
        bus_forget(m->bus, node);
    while (node->links) {
        struct node_link *next = node->links->next;
        free_link(node->links);
        node->links = next;
    }
}

const struct bp_host machine_host = {
    .size = sizeof(machine_host),
    .abi_minor = BP_ABI_MINOR,
    .log = host_log,
    .fail = host_fail,
    .name = host_name,
    .extension = host_extension,
    .peer = host_peer,
    .link = host_link,
    .request = host_request,
    .region_new = host_region_new,
    .ram_region_new = host_ram_region_new,
    .region_place = host_region_place,
    .irq_set = host_irq_set,
    .msi_send = host_msi_send,
    .dma_read = host_dma_read,
    .dma_write = host_dma_write,
    .dma_map = host_dma_map,
    .dma_unmap = host_dma_unmap,
    .fd_watch = host_fd_watch,
    .clock_ns = host_clock_ns,
    .utc_ns = host_utc_ns,
    .timer_set = host_timer_set,
};
