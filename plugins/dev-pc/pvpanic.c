/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pvpanic.c - the paravirtual panic port, by which a guest kernel says that it panicked,
 * after QEMU's docs/specs/pvpanic: a read gives the events that the host understands, a write
 * reports them. Linux finds it in the ACPI tables as QEMU0001. Leaves out the PCI variant and the
 * shutdown event (bit 2).
 */
#include "pc.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PANICKED 0x01u     /* the guest panicked */
#define CRASH_LOADED 0x02u /* ... and its crash kernel is taking over: not the end */
#define EVENTS (PANICKED | CRASH_LOADED)

struct pvpanic_config {
    uint16_t port;
};

struct pvpanic {
    const struct bp_host *host;
    struct bp_node *node;
    const struct pvpanic_config *config;
    uint8_t told; /* of a crash kernel since the last reset: a guest may write it for ever */
};

static uint64_t pvpanic_read(void *self, uint64_t offset, uint32_t width)
{
    (void)self;
    (void)offset;
    (void)width;
    return EVENTS;
}

static void say_crash_loaded(struct pvpanic *p)
{
    if (!p->told)
        p->host->log(p->node, BP_LOG_WARN, "the guest panicked and starts its crash kernel");
    p->told = 1;
}

static void pvpanic_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct pvpanic *p = self;

    (void)offset;
    (void)width;
    if (value & ~(uint64_t)EVENTS)
        bp_logf(p->host, p->node, BP_LOG_DEBUG | BP_LOG_GUEST,
                "panic event 0x%02x has bits beyond 0x%02x, which are ignored", (unsigned)value,
                EVENTS);
    if (value & CRASH_LOADED)
        say_crash_loaded(p);
    if (value & PANICKED)
        p->host->request(p->node, BP_REQUEST_PANIC, 0);
}

static const struct bp_register pvpanic_registers[] = {
    {"EVENTS", 0, 1, BP_REG_RW}, /* R: events understood, W: events that happened */
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops pvpanic_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 1,
    .register_stride = sizeof(struct bp_register),
    .name = "events",
    .registers = pvpanic_registers,
    .read = pvpanic_read,
    .write = pvpanic_write,
};

static void pvpanic_describe(void *self, struct bp_acpi_builder *b)
{
    struct pvpanic *p = self;

    b->device(b, "QEMU0001", 0, p->config->port, 1, UINT32_MAX);
}

static const struct bp_acpi pvpanic_acpi = {
    .size = sizeof(struct bp_acpi),
    .describe = pvpanic_describe,
};

static const void *pvpanic_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_ACPI_ID) ? NULL : &pvpanic_acpi;
}

static int pvpanic_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    struct bp_region *region;
    struct pvpanic *p = calloc(1, sizeof(*p));
    int err;

    if (!p)
        return host->fail(node, -ENOMEM, "no memory for a panic port");
    p->host = host;
    p->node = node;
    p->config = config;
    err = host->region_new(node, BP_SPACE_PIO, 1, &pvpanic_region, p, &region);
    if (!err)
        err = host->region_place(region, p->config->port);
    if (err) {
        free(p);
        return bp_failf(host, node, err, "port 0x%x cannot be had; choose another `port`",
                        ((const struct pvpanic_config *)config)->port);
    }
    *self = p;
    return 0;
}

static void pvpanic_destroy(void *self)
{
    free(self);
}

static void pvpanic_reset(void *self, uint32_t kind)
{
    struct pvpanic *p = self;

    (void)kind;
    p->told = 0;
}

static const struct bp_field pvpanic_fields[] = {
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops pvpanic_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = pvpanic_fields,
    .field_stride = sizeof(struct bp_field),
    .create = pvpanic_create,
    .destroy = pvpanic_destroy,
    .reset = pvpanic_reset,
    .extension = pvpanic_extension,
};

static const struct bp_prop pvpanic_props[] = {
    {
        .name = "port",
        .help = "port by which the guest reports a panic",
        .initial = "0x505",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 1,
        BP_PROP_AT(struct pvpanic_config, port),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&pvpanic_region, NULL};

const struct bp_model pvpanic_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "pvpanic",
    .summary = "paravirtual panic port: the guest's panic ends the machine",
    .props = pvpanic_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct pvpanic_config),
    .instance = &pvpanic_ops,
    .regions = regions,
};
