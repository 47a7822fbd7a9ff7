/* SPDX-License-Identifier: MIT
 *
 * dev-pc/debug_exit.c - a port whose write ends the machine, for test kernels: QEMU's
 * isa-debug-exit. What is written becomes the exit code; how it maps to the program's exit status,
 * (value << 1) | 1, is the host's affair. Reads give 0. A write wider than `size` is split by the
 * bus, and its first part counts.
 */
#include "pc.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>

struct debug_exit_config {
    uint16_t port;
    uint8_t iosize;
};

struct debug_exit {
    const struct bp_host *host;
    struct bp_node *node;
};

static uint64_t debug_exit_read(void *self, uint64_t offset, uint32_t width)
{
    (void)self;
    (void)offset;
    (void)width;
    return 0;
}

static void debug_exit_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct debug_exit *d = self;

    (void)offset; /* any port of the range ends the machine */
    (void)width;
    d->host->request(d->node, BP_REQUEST_EXIT, (uint32_t)value);
}

static const struct bp_register debug_exit_registers[] = {
    {"EXIT", 0, 1, BP_REG_WO}, /* WO: exit code; any width the range has room for */
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops debug_exit_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "exit",
    .registers = debug_exit_registers,
    .read = debug_exit_read,
    .write = debug_exit_write,
};

static int debug_exit_create(const struct bp_host *host, struct bp_node *node, const void *config,
                             void **self)
{
    const struct debug_exit_config *c = config;
    struct bp_region *region;
    struct debug_exit *d = calloc(1, sizeof(*d));
    int err;

    if (!d)
        return host->fail(node, -ENOMEM, "no memory for a debug-exit port");
    d->host = host;
    d->node = node;
    err = host->region_new(node, BP_SPACE_PIO, c->iosize, &debug_exit_region, d, &region);
    if (!err)
        err = host->region_place(region, c->port);
    if (err) {
        free(d);
        return bp_failf(host, node, err, "ports 0x%x to 0x%x cannot be had; choose another `port`",
                        c->port, c->port + c->iosize - 1);
    }
    *self = d;
    return 0;
}

static void debug_exit_destroy(void *self)
{
    free(self);
}

static void debug_exit_reset(void *self, uint32_t kind)
{
    (void)self; /* has no state */
    (void)kind;
}

static const struct bp_field debug_exit_fields[] = {
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops debug_exit_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = debug_exit_fields,
    .field_stride = sizeof(struct bp_field),
    .create = debug_exit_create,
    .destroy = debug_exit_destroy,
    .reset = debug_exit_reset,
};

static const struct bp_prop debug_exit_props[] = {
    {
        .name = "port",
        .help = "first port; a write to it ends the machine (0xf4 with size 4 is common too)",
        .initial = "0x501",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 2,
        BP_PROP_AT(struct debug_exit_config, port),
    },
    {
        .name = "size",
        .help = "number of ports, 1 to 4",
        .initial = "2",
        .type = BP_PROP_UINT,
        .min = 1,
        .max = 4,
        BP_PROP_AT(struct debug_exit_config, iosize),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&debug_exit_region, NULL};

const struct bp_model debug_exit_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "debug-exit",
    .summary = "isa-debug-exit: a write to a port ends the machine with a code",
    .props = debug_exit_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct debug_exit_config),
    .instance = &debug_exit_ops,
    .regions = regions,
};
