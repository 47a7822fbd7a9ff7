/* SPDX-License-Identifier: MIT
 *
 * dev-pc/debug_port.c - the debug port of Bochs and QEMU's isa-debugcon: a byte written to 0xE9
 * goes to a char backend, a read gives 0xE9, by which a guest finds that it is there.
 *
 * The port has no status register, so a guest cannot be held up: bytes that the backend does not
 * take at once wait in a buffer, and are dropped, with one line in the log, when that is full.
 * Input is discarded.
 */
#include "pc.h"

#include <backplane/util/fifo.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEBUG_PORT_BUFFER 4096u

struct debug_port_config {
    struct bp_node *chardev;
    uint16_t port;
    uint8_t readback;
};

struct debug_port {
    const struct bp_host *host;
    struct bp_node *node;
    const struct debug_port_config *config;
    const struct bp_char *backend; /* NULL: none named */
    void *backend_self;
    struct bp_fifo fifo; /* of `buffer`: what the backend has not taken yet */
    uint32_t dropping;   /* 1: bytes were lost since the buffer was last empty, and it was said */
    uint8_t buffer[DEBUG_PORT_BUFFER];
};

static void debug_port_flush(struct debug_port *d)
{
    uint32_t len;
    const uint8_t *data;

    while ((data = bp_fifo_peek(&d->fifo, &len)), len) {
        uint64_t taken = d->backend->write(d->backend_self, data, len);
        bp_fifo_drop(&d->fifo, taken < len ? (uint32_t)taken : len);
        if (taken < len)
            return; /* writable() follows */
    }
    d->dropping = 0;
}

static uint64_t debug_port_read(void *self, uint64_t offset, uint32_t width)
{
    struct debug_port *d = self;

    (void)offset;
    (void)width;
    return d->config->readback;
}

static void debug_port_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct debug_port *d = self;
    uint32_t waiting = d->fifo.count;

    (void)offset;
    (void)width;
    if (!d->backend)
        return;
    if (!bp_fifo_push(&d->fifo, (uint8_t)value)) {
        if (!d->dropping)
            bp_logf(d->host, d->node, BP_LOG_WARN,
                    "the char backend is slower than the guest: output beyond %u bytes is lost",
                    DEBUG_PORT_BUFFER);
        d->dropping = 1;
        return;
    }
    if (!waiting) /* otherwise the backend said that it is full, and will call writable() */
        debug_port_flush(d);
}

static uint64_t debug_port_receive(void *port_self, const uint8_t *data, uint64_t len)
{
    (void)port_self;
    (void)data;
    return len; /* taken and discarded: the port has no input */
}

static void debug_port_writable(void *port_self)
{
    debug_port_flush(port_self);
}

static const struct bp_char_port debug_port_char = {
    .size = sizeof(struct bp_char_port),
    .receive = debug_port_receive,
    .writable = debug_port_writable,
};

static const struct bp_register debug_port_registers[] = {
    {"DATA", 0, 1, BP_REG_RW}, /* W: a byte of output, R: 0xE9 */
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops debug_port_region = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 1,
    .register_stride = sizeof(struct bp_register),
    .name = "data",
    .registers = debug_port_registers,
    .read = debug_port_read,
    .write = debug_port_write,
};

static int debug_port_create(const struct bp_host *host, struct bp_node *node, const void *config,
                             void **self)
{
    const struct debug_port_config *c = config;
    struct bp_region *region;
    struct debug_port *d = calloc(1, sizeof(*d));
    int err;

    if (!d)
        return host->fail(node, -ENOMEM, "no memory for a debug port");
    d->host = host;
    d->node = node;
    d->config = c;
    d->fifo = (struct bp_fifo){.data = d->buffer, .capacity = DEBUG_PORT_BUFFER};
    err = host->region_new(node, BP_SPACE_PIO, 1, &debug_port_region, d, &region);
    if (!err)
        err = host->region_place(region, c->port);
    if (err) {
        bp_failf(host, node, err, "port 0x%x cannot be had; choose another `port`", c->port);
        goto fail;
    }
    if (c->chardev) {
        struct bp_peer peer;
        err = host->link(node, c->chardev, BP_CHAR_ID, &debug_port_char, d, &peer);
        if (err) {
            bp_failf(
                host, node, err,
                "`chardev` cannot be used: it must name a char backend that no other device has");
            goto fail;
        }
        d->backend = peer.ops;
        d->backend_self = peer.self;
    }
    *self = d;
    return 0;

fail:
    free(d);
    return err;
}

static void debug_port_destroy(void *self)
{
    free(self);
}

static void debug_port_reset(void *self, uint32_t kind)
{
    struct debug_port *d = self;

    /* What the guest wrote before it was reset still goes out; nothing else is state. */
    if (kind != BP_RESET_COLD)
        return;
    bp_fifo_clear(&d->fifo);
    memset(d->buffer, 0, sizeof(d->buffer));
}

static int debug_port_start(void *self)
{
    struct debug_port *d = self;

    if (d->backend)
        debug_port_flush(d); /* what a snapshot brought along */
    return 0;
}

static int debug_port_after_load(void *self)
{
    struct debug_port *d = self;

    if (d->fifo.head >= DEBUG_PORT_BUFFER || d->fifo.count > DEBUG_PORT_BUFFER)
        return bp_failf(d->host, d->node, -EINVAL,
                        "the snapshot's buffer (%u bytes from %u on) is beyond the %u there are",
                        d->fifo.count, d->fifo.head, DEBUG_PORT_BUFFER);
    return 0;
}

static const struct bp_field debug_port_fields[] = {
    BP_FIELD(struct debug_port, fifo.head, 1),
    BP_FIELD(struct debug_port, fifo.count, 1),
    BP_FIELD(struct debug_port, dropping, 1),
    BP_ARRAY(struct debug_port, buffer, 1),
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops debug_port_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = debug_port_fields,
    .field_stride = sizeof(struct bp_field),
    .create = debug_port_create,
    .destroy = debug_port_destroy,
    .reset = debug_port_reset,
    .start = debug_port_start,
    .after_load = debug_port_after_load,
};

static const struct bp_prop debug_port_props[] = {
    {
        .name = "port",
        .help = "the port",
        .initial = "0xe9",
        .type = BP_PROP_UINT,
        .claim = BP_CLAIM_PIO,
        .claim_length = 1,
        BP_PROP_AT(struct debug_port_config, port),
    },
    {
        .name = "readback",
        .help = "what a read of the port gives",
        .initial = "0xe9",
        .type = BP_PROP_UINT,
        BP_PROP_AT(struct debug_port_config, readback),
    },
    {
        .name = "chardev",
        .help = "char backend that receives the output; without one it is discarded",
        .needs = BP_CHAR_ID,
        .type = BP_PROP_REF,
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the member is a pointer */
        BP_PROP_AT(struct debug_port_config, chardev),
    },
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&debug_port_region, NULL};

const struct bp_model debug_port_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "debug-port",
    .summary = "debug port 0xE9: bytes written go to a char backend",
    .props = debug_port_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct debug_port_config),
    .instance = &debug_port_ops,
    .regions = regions,
};
