/* SPDX-License-Identifier: MIT
 *
 * plugin/interfaces.c - the tables this host knows, and what happens when a plugin lacks a member.
 *
 * A member is required unless its header says "Optional" (or, irq and msi of a CPU backend, "with
 * BP_CPU_IRQCHIP"). The stub of an optional one behaves as the least capable implementation would:
 * it does nothing and succeeds where there is nothing to do, and says so where something was asked
 * for.
 */
#include "plugin/normalise.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/debug.h>
#include <backplane/ext/dirty_log.h>
#include <backplane/ext/doorbell.h>
#include <backplane/ext/irqchip.h>
#include <backplane/ext/posted.h>
#include <errno.h>
#include <string.h>

_Static_assert(sizeof(void *) == 8 && sizeof(void (*)(void)) == 8, "slots are 8 bytes");

#define SLOT(type, member) ((offsetof(struct type, member) - 8) / sizeof(void *))
#define NEED(type, member) (UINT64_C(1) << SLOT(type, member))
#define NAME(type, member) [SLOT(type, member)] = #member
/* The size that a table had in minor 0, by its last member then. Never changes. */
#define MINIMUM(type, last) (uint32_t)(offsetof(struct type, last) + sizeof(void *))

/* Slots without a name are data, or members that this host's headers have and this file does not.
 */
#define SLOTS(type) (sizeof(struct type) / sizeof(void *) - 1)

/* ---- instance ------------------------------------------------------------------------------- */

/* start: there is nothing to begin. */
static int instance_start(void *self)
{
    (void)self;
    return 0;
}

/* stop: nothing is ever in flight. */
static void instance_stop(void *self)
{
    (void)self;
}

/* timer: it never arms one, so an expiry that is under way during destroy() is nobody's. */
static void instance_timer(void *self, uint32_t id)
{
    (void)self;
    (void)id;
}

/* save and load: `fields` says it all. */
static int instance_save(void *self, struct bp_writer *w)
{
    (void)self;
    (void)w;
    return 0;
}

static int instance_load(void *self, struct bp_reader *r)
{
    (void)self;
    (void)r;
    return 0;
}

/* after_load: nothing derives from the state. */
static int instance_after_load(void *self)
{
    (void)self;
    return 0;
}

/* extension: it offers nothing. Also the CPU backend's. */
static const void *no_extension(void *self, const char *id)
{
    (void)self;
    (void)id;
    return NULL;
}

static const struct bp_instance_ops instance_stubs = {
    .size = sizeof(instance_stubs),
    .start = instance_start,
    .stop = instance_stop,
    .timer = instance_timer,
    .save = instance_save,
    .load = instance_load,
    .after_load = instance_after_load,
    .extension = no_extension,
};

static const char *const instance_members[SLOTS(bp_instance_ops)] = {
    NAME(bp_instance_ops, create),
    NAME(bp_instance_ops, destroy),
    NAME(bp_instance_ops, reset),
};

#define INSTANCE_NEEDS                                                                             \
    (NEED(bp_instance_ops, create) | NEED(bp_instance_ops, destroy) | NEED(bp_instance_ops, reset))

const struct table table_instance = {
    "bp_instance_ops",
    sizeof(struct bp_instance_ops),
    MINIMUM(bp_instance_ops, extension),
    &instance_stubs,
    instance_members,
    INSTANCE_NEEDS,
};

/* ---- CPU backend ---------------------------------------------------------------------------- */

/* irq and msi: it has no interrupt controllers, and its probe() and vm_features() did not claim
 * any. */
static void cpu_irq(void *vm, uint32_t line, uint32_t level)
{
    (void)vm;
    (void)line;
    (void)level;
}

static void cpu_msi(void *vm, uint64_t address, uint32_t data)
{
    (void)vm;
    (void)address;
    (void)data;
}

/* code_changed: it keeps no translated code. */
static void cpu_code_changed(void *vm, uint64_t gpa, uint64_t length)
{
    (void)vm;
    (void)gpa;
    (void)length;
}

static const struct bp_cpu_ops cpu_stubs = {
    .size = sizeof(cpu_stubs),
    .irq = cpu_irq,
    .msi = cpu_msi,
    .code_changed = cpu_code_changed,
    .extension = no_extension,
};

static const char *const cpu_members[SLOTS(bp_cpu_ops)] = {
    NAME(bp_cpu_ops, probe),        NAME(bp_cpu_ops, vm_create),  NAME(bp_cpu_ops, vm_destroy),
    NAME(bp_cpu_ops, vm_features),  NAME(bp_cpu_ops, mem_set),    NAME(bp_cpu_ops, vcpu_create),
    NAME(bp_cpu_ops, vcpu_destroy), NAME(bp_cpu_ops, vcpu_reset), NAME(bp_cpu_ops, vcpu_run),
    NAME(bp_cpu_ops, vcpu_kick),    NAME(bp_cpu_ops, regs_get),   NAME(bp_cpu_ops, regs_set),
    NAME(bp_cpu_ops, vm_get),       NAME(bp_cpu_ops, vm_set),     NAME(bp_cpu_ops, vm_time),
};

/* Everything from probe to vm_time. */
#define CPU_NEEDS ((NEED(bp_cpu_ops, vm_time) << 1) - NEED(bp_cpu_ops, probe))

const struct table table_cpu = {
    "bp_cpu_ops",
    sizeof(struct bp_cpu_ops),
    MINIMUM(bp_cpu_ops, extension),
    &cpu_stubs,
    cpu_members,
    CPU_NEEDS,
};

/* ---- "bp.char/1" ---------------------------------------------------------------------------- */

/* set_break: the far end is no serial line, a break means nothing to it. */
static void char_set_break(void *self, uint32_t on)
{
    (void)self;
    (void)on;
}

/* inject: it takes no byte. */
static uint64_t char_inject(void *self, const uint8_t *data, uint64_t len)
{
    (void)self;
    (void)data;
    (void)len;
    return 0;
}

/* event: the device cannot tell. */
static void char_event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    (void)self;
    (void)what;
    (void)columns;
    (void)rows;
}

static const struct bp_char char_stubs = {
    .size = sizeof(char_stubs),
    .set_break = char_set_break,
    .inject = char_inject,
};
static const struct bp_char_port char_port_stubs = {
    .size = sizeof(char_port_stubs),
    .event = char_event,
};
static const char *const char_members[SLOTS(bp_char)] = {
    NAME(bp_char, attach), NAME(bp_char, write), NAME(bp_char, resume)};
static const char *const char_port_members[SLOTS(bp_char_port)] = {NAME(bp_char_port, receive),
                                                                   NAME(bp_char_port, writable)};
#define CHAR_NEEDS (NEED(bp_char, attach) | NEED(bp_char, write) | NEED(bp_char, resume))
#define CHAR_PORT_NEEDS (NEED(bp_char_port, receive) | NEED(bp_char_port, writable))
static const struct table table_char = {
    "bp_char",   sizeof(struct bp_char), MINIMUM(bp_char, inject),
    &char_stubs, char_members,           CHAR_NEEDS,
};
static const struct table table_char_port = {
    "bp_char_port",   sizeof(struct bp_char_port), MINIMUM(bp_char_port, event),
    &char_port_stubs, char_port_members,           CHAR_PORT_NEEDS,
};

/* ---- "bp.net/1" ----------------------------------------------------------------------------- */

/* offloads: none. */
static uint32_t net_offloads(void *self)
{
    (void)self;
    return 0;
}

/* set_offloads: none can be had; having none is granted. */
static int net_set_offloads(void *self, uint32_t bits)
{
    (void)self;
    return bits ? -EINVAL : 0;
}

/* set_queues: there is one. */
static int net_set_queues(void *self, uint32_t count)
{
    (void)self;
    return count == 1 ? 0 : -EINVAL;
}

/* port: there is one, the instance. */
static void *net_only_port(void *self)
{
    return self;
}

/* link: the device has no carrier bit. */
static void net_link(void *self, uint32_t up)
{
    (void)self;
    (void)up;
}

static const struct bp_net net_stubs = {
    .size = sizeof(net_stubs),
    .offloads = net_offloads,
    .set_offloads = net_set_offloads,
    .set_queues = net_set_queues,
    .port = net_only_port,
};
static const struct bp_net_port net_port_stubs = {
    .size = sizeof(net_port_stubs),
    .link = net_link,
};
static const char *const net_members[SLOTS(bp_net)] = {NAME(bp_net, attach), NAME(bp_net, send),
                                                       NAME(bp_net, resume)};
static const char *const net_port_members[SLOTS(bp_net_port)] = {NAME(bp_net_port, receive),
                                                                 NAME(bp_net_port, sent)};
#define NET_NEEDS (NEED(bp_net, attach) | NEED(bp_net, send) | NEED(bp_net, resume))
#define NET_PORT_NEEDS (NEED(bp_net_port, receive) | NEED(bp_net_port, sent))
static const struct table table_net = {
    "bp_net",   sizeof(struct bp_net), MINIMUM(bp_net, set_queues),
    &net_stubs, net_members,           NET_NEEDS,
};
static const struct table table_net_port = {
    "bp_net_port",   sizeof(struct bp_net_port), MINIMUM(bp_net_port, link),
    &net_port_stubs, net_port_members,           NET_PORT_NEEDS,
};

/* ---- "bp.block/1" --------------------------------------------------------------------------- */

/* resized: the device told its guest the size once and for all. */
static void block_resized(void *self, uint64_t length)
{
    (void)self;
    (void)length;
}

/* begin and end: every completion comes later. */
static void block_bracket(void *self)
{
    (void)self;
}

static const struct bp_block block_stubs = {
    .size = sizeof(block_stubs),
    .begin = block_bracket,
    .end = block_bracket,
};
static const struct bp_block_port block_port_stubs = {
    .size = sizeof(block_port_stubs),
    .resized = block_resized,
};
static const char *const block_members[SLOTS(bp_block)] = {
    NAME(bp_block, attach), NAME(bp_block, info), NAME(bp_block, submit), NAME(bp_block, drain)};
static const char *const block_port_members[SLOTS(bp_block_port)] = {NAME(bp_block_port, complete)};
#define BLOCK_NEEDS                                                                                \
    (NEED(bp_block, attach) | NEED(bp_block, info) | NEED(bp_block, submit) | NEED(bp_block, drain))
#define BLOCK_PORT_NEEDS NEED(bp_block_port, complete)
static const struct table table_block = {
    "bp_block",   sizeof(struct bp_block), MINIMUM(bp_block, drain),
    &block_stubs, block_members,           BLOCK_NEEDS,
};
static const struct table table_block_port = {
    "bp_block_port",   sizeof(struct bp_block_port), MINIMUM(bp_block_port, resized),
    &block_port_stubs, block_port_members,           BLOCK_PORT_NEEDS,
};

/* ---- one-way extensions --------------------------------------------------------------------- */

static const struct bp_acpi acpi_stubs = {.size = sizeof(acpi_stubs)};
static const char *const acpi_members[SLOTS(bp_acpi)] = {NAME(bp_acpi, describe)};
#define ACPI_NEEDS NEED(bp_acpi, describe)
static const struct table table_acpi = {
    "bp_acpi",   sizeof(struct bp_acpi), MINIMUM(bp_acpi, describe),
    &acpi_stubs, acpi_members,           ACPI_NEEDS,
};

static const struct bp_cpu_doorbell doorbell_stubs = {.size = sizeof(doorbell_stubs)};
static const char *const doorbell_members[SLOTS(bp_cpu_doorbell)] = {
    NAME(bp_cpu_doorbell, ioeventfd), NAME(bp_cpu_doorbell, irqfd)};
#define DOORBELL_NEEDS (NEED(bp_cpu_doorbell, ioeventfd) | NEED(bp_cpu_doorbell, irqfd))
static const struct table table_doorbell = {
    "bp_cpu_doorbell",
    sizeof(struct bp_cpu_doorbell),
    MINIMUM(bp_cpu_doorbell, irqfd),
    &doorbell_stubs,
    doorbell_members,
    DOORBELL_NEEDS,
};

static const struct bp_cpu_posted posted_stubs = {.size = sizeof(posted_stubs)};
static const char *const posted_members[SLOTS(bp_cpu_posted)] = {NAME(bp_cpu_posted, post),
                                                                 NAME(bp_cpu_posted, deliver)};
#define POSTED_NEEDS (NEED(bp_cpu_posted, post) | NEED(bp_cpu_posted, deliver))
static const struct table table_posted = {
    "bp_cpu_posted",
    sizeof(struct bp_cpu_posted),
    MINIMUM(bp_cpu_posted, deliver),
    &posted_stubs,
    posted_members,
    POSTED_NEEDS,
};

static const struct bp_debug debug_stubs = {.size = sizeof(debug_stubs)};
static const char *const debug_members[SLOTS(bp_debug)] = {NAME(bp_debug, set),
                                                           NAME(bp_debug, why)};
#define DEBUG_NEEDS (NEED(bp_debug, set) | NEED(bp_debug, why))
static const struct table table_debug = {
    "bp_debug",   sizeof(struct bp_debug), MINIMUM(bp_debug, why),
    &debug_stubs, debug_members,           DEBUG_NEEDS,
};

static const struct bp_dirty_log dirty_log_stubs = {.size = sizeof(dirty_log_stubs)};
static const char *const dirty_log_members[SLOTS(bp_dirty_log)] = {NAME(bp_dirty_log, enable),
                                                                   NAME(bp_dirty_log, fetch)};
#define DIRTY_LOG_NEEDS (NEED(bp_dirty_log, enable) | NEED(bp_dirty_log, fetch))
static const struct table table_dirty_log = {
    "bp_dirty_log",   sizeof(struct bp_dirty_log), MINIMUM(bp_dirty_log, fetch),
    &dirty_log_stubs, dirty_log_members,           DIRTY_LOG_NEEDS,
};

/* ferr_set: nothing is wired to FERR#, and IGNNE# is asserted for good. */
static uint32_t irqchip_ferr_set(void *self, uint32_t vcpu, uint32_t level)
{
    (void)self;
    (void)vcpu;
    (void)level;
    return 1;
}

static const struct bp_irqchip irqchip_stubs = {
    .size = sizeof(irqchip_stubs),
    .ferr_set = irqchip_ferr_set,
};
static const char *const irqchip_members[SLOTS(bp_irqchip)] = {
    NAME(bp_irqchip, attach),        NAME(bp_irqchip, detach),      NAME(bp_irqchip, reset),
    NAME(bp_irqchip, mmio_read),     NAME(bp_irqchip, mmio_write),  NAME(bp_irqchip, msr_read),
    NAME(bp_irqchip, msr_write),     NAME(bp_irqchip, cr8_get),     NAME(bp_irqchip, cr8_set),
    NAME(bp_irqchip, acknowledge),   NAME(bp_irqchip, take),        NAME(bp_irqchip, post),
    NAME(bp_irqchip, expire),        NAME(bp_irqchip, tsc_changed), NAME(bp_irqchip, line_set),
    NAME(bp_irqchip, msi),           NAME(bp_irqchip, nmi_set),     NAME(bp_irqchip, eoi_listen),
    NAME(bp_irqchip, timer_connect), NAME(bp_irqchip, state_get),   NAME(bp_irqchip, state_set),
    NAME(bp_irqchip, apic_base_set), NAME(bp_irqchip, ferr_set),
};
/* All up to there: a backend without controllers can do without none. */
#define IRQCHIP_NEEDS ((NEED(bp_irqchip, apic_base_set) << 1) - NEED(bp_irqchip, attach))
static const struct table table_irqchip = {
    "bp_irqchip",   sizeof(struct bp_irqchip), MINIMUM(bp_irqchip, apic_base_set),
    &irqchip_stubs, irqchip_members,           IRQCHIP_NEEDS,
};

/* ---- by id ---------------------------------------------------------------------------------- */

#define ONE_WAY(id_, kind_, type, table_)                                                          \
    {                                                                                              \
        .id = (id_), .kind = (kind_), .size = sizeof(struct type), .table = &(table_)              \
    }
#define TWO_WAY(id_, kind_, type, table_, port, port_table_)                                       \
    {                                                                                              \
        .id = (id_), .kind = (kind_), .size = sizeof(struct type), .table = &(table_),             \
        .port_size = sizeof(struct port), .port_table = &(port_table_)                             \
    }

static const struct interface interfaces[] = {
    TWO_WAY(BP_CHAR_ID, BP_KIND_CHAR, bp_char, table_char, bp_char_port, table_char_port),
    TWO_WAY(BP_NET_ID, BP_KIND_NET, bp_net, table_net, bp_net_port, table_net_port),
    TWO_WAY(BP_BLOCK_ID, BP_KIND_BLOCK, bp_block, table_block, bp_block_port, table_block_port),
    ONE_WAY(BP_ACPI_ID, 0, bp_acpi, table_acpi),
    /* Of the two tables of this id the CPU backend's: the other is the host's own. */
    ONE_WAY(BP_DOORBELL_ID, BP_KIND_CPU, bp_cpu_doorbell, table_doorbell),
    ONE_WAY(BP_POSTED_ID, BP_KIND_CPU, bp_cpu_posted, table_posted),
    ONE_WAY(BP_IRQCHIP_ID, BP_KIND_DEVICE, bp_irqchip, table_irqchip),
    ONE_WAY(BP_DEBUG_ID, BP_KIND_CPU, bp_debug, table_debug),
    ONE_WAY(BP_DIRTY_LOG_ID, BP_KIND_CPU, bp_dirty_log, table_dirty_log),
};

const struct interface *interface_find(const char *id)
{
    for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++)
        if (strcmp(interfaces[i].id, id) == 0)
            return &interfaces[i];
    return NULL;
}
