/* SPDX-License-Identifier: MIT
 *
 * dev-uart/mmio_console.c - a debug console for guests that have nothing yet: no interrupt, nothing
 * to set up.
 *
 *     0x000  DATA    write: the low byte is output; read: the next byte of input, 0 if there is
 * none 0x004  STATUS  bit 0: DATA has input; bit 1: DATA takes output 0x008  STATUS  again, for
 * guests that read 8 aligned bytes
 *
 * Any access of 1, 2, 4 or 8 bytes does; the rest of the page reads 0 and ignores writes. Output
 * that the backend does not take waits in a queue; what is written while that is full is lost, and
 * logged.
 */
#include "uart.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DATA 0u
#define STATUS 4u
#define STATUS_WIDE 8u
#define STATUS_INPUT 1u
#define STATUS_OUTPUT 2u

#define QUEUE 256u /* bytes each way */

#define TIMER_KICK 0u /* output that a snapshot brought */

/* Everything is [dom]. */
struct mmio_console {
    const struct bp_host *host;
    struct bp_node *node;
    struct bp_peer chr; /* ops NULL: no backend */
    uint16_t in_head, in_count, out_head, out_count;
    uint8_t in_held; /* the backend keeps input until resume() */
    uint8_t reserved[7];
    uint8_t in[QUEUE], out[QUEUE];
};

static uint64_t send(struct mmio_console *m, const uint8_t *data, uint64_t len)
{
    const struct bp_char *ops = m->chr.ops;

    return ops ? ops->write(m->chr.self, data, len) : len;
}

static void drain(struct mmio_console *m)
{
    while (m->out_count) {
        uint32_t len = QUEUE - m->out_head;
        uint64_t taken;

        if (len > m->out_count)
            len = m->out_count;
        taken = send(m, m->out + m->out_head, len);
        if (taken > len)
            taken = len;
        m->out_head = (uint16_t)((m->out_head + taken) % QUEUE);
        m->out_count = (uint16_t)(m->out_count - taken);
        if (taken < len)
            return;
    }
}

static void put(struct mmio_console *m, uint8_t byte)
{
    if (!m->out_count && send(m, &byte, 1))
        return;
    if (m->out_count == QUEUE) {
        m->host->log(m->node, BP_LOG_WARN | BP_LOG_GUEST,
                     "a byte was written to a full console, and is lost: wait for bit 1 of STATUS");
        return;
    }
    m->out[(m->out_head + m->out_count++) % QUEUE] = byte;
}

static uint8_t get(struct mmio_console *m)
{
    const struct bp_char *ops = m->chr.ops;
    uint8_t byte;

    if (!m->in_count)
        return 0;
    byte = m->in[m->in_head];
    m->in_head = (uint16_t)((m->in_head + 1) % QUEUE);
    m->in_count--;
    if (m->in_held && m->in_count <= QUEUE / 2) {
        m->in_held = 0;
        ops->resume(m->chr.self);
    }
    return byte;
}

static uint64_t console_read(void *self, uint64_t offset, uint32_t width)
{
    struct mmio_console *m = self;

    (void)width;
    if (offset == DATA)
        return get(m);
    if (offset == STATUS || offset == STATUS_WIDE)
        return (m->in_count ? STATUS_INPUT : 0u) | (m->out_count < QUEUE ? STATUS_OUTPUT : 0u);
    return 0;
}

static void console_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct mmio_console *m = self;

    (void)width;
    if (offset == DATA)
        put(m, (uint8_t)value);
    else
        m->host->log(m->node, BP_LOG_DEBUG | BP_LOG_GUEST,
                     "a write beside DATA, at another offset than 0, was ignored");
}

static const struct bp_register registers[] = {
    {"DATA", DATA, 1, BP_REG_RW},
    {"STATUS", STATUS, 4, BP_REG_RO},
    {"STATUS (wide)", STATUS_WIDE, 8, BP_REG_RO},
    {NULL, 0, 0, 0},
};

const struct bp_region_ops mmio_console_region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 8,
    .register_stride = sizeof(struct bp_register),
    .name = "console",
    .registers = registers,
    .read = console_read,
    .write = console_write,
};

static uint64_t port_receive(void *self, const uint8_t *data, uint64_t len)
{
    struct mmio_console *m = self;
    uint64_t taken = 0;

    while (taken < len && m->in_count < QUEUE)
        m->in[(m->in_head + m->in_count++) % QUEUE] = data[taken++];
    m->in_held = taken < len;
    return taken;
}

static void port_writable(void *self)
{
    drain(self);
}

static const struct bp_char_port char_port = {
    .size = sizeof(struct bp_char_port),
    .receive = port_receive,
    .writable = port_writable,
};

static void console_destroy(void *self)
{
    free(self);
}

static int console_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    const struct mmio_console_config *c = config;
    struct mmio_console *m;
    struct bp_region *region;
    int err;

    if (c->base % MMIO_CONSOLE_BYTES)
        return bp_failf(host, node, -EINVAL,
                        "base 0x%llx is no multiple of 4096; move it to the start of a page",
                        (unsigned long long)c->base);
    m = calloc(1, sizeof(*m));
    if (!m)
        return bp_failf(host, node, -ENOMEM, "no memory for a console");
    m->host = host;
    m->node = node;
    err = host->region_new(node, BP_SPACE_MMIO, MMIO_CONSOLE_BYTES, &mmio_console_region_ops, m,
                           &region);
    if (!err)
        err = host->region_place(region, c->base);
    if (err) {
        bp_failf(host, node, err,
                 "cannot place a page at 0x%llx: %s; give `base` a value where it is free",
                 (unsigned long long)c->base, strerror(-err));
        goto fail;
    }
    if (c->chardev) {
        err = host->link(node, c->chardev, BP_CHAR_ID, &char_port, m, &m->chr);
        if (err) {
            bp_failf(host, node, err,
                     "cannot use the section that `chardev` names: %s; name a character backend "
                     "that no other device uses",
                     strerror(-err));
            goto fail;
        }
    }
    *self = m;
    return 0;
fail:
    console_destroy(m);
    return err;
}

static void console_reset(void *self, uint32_t kind)
{
    struct mmio_console *m = self;
    const struct bp_char *ops = m->chr.ops;

    (void)kind;
    m->in_head = m->in_count = m->out_head = m->out_count = 0;
    /* What was in there is nobody's business, a snapshot's least of all. */
    memset(m->in, 0, sizeof(m->in));
    memset(m->out, 0, sizeof(m->out));
    if (m->in_held) {
        m->in_held = 0;
        ops->resume(m->chr.self);
    }
}

static void console_timer(void *self, uint32_t id)
{
    (void)id;
    drain(self);
}

static int console_after_load(void *self)
{
    struct mmio_console *m = self;

    if (m->in_head >= QUEUE || m->in_count > QUEUE || m->out_head >= QUEUE ||
        m->out_count > QUEUE) {
        console_reset(m, BP_RESET_COLD);
        return m->host->fail(m->node, -EINVAL,
                             "the snapshot's console has a queue beyond its bounds; the file is "
                             "damaged");
    }
    if (m->out_count)
        m->host->timer_set(m->node, TIMER_KICK, 0);
    return 0;
}

static const struct bp_field fields[] = {
    BP_FIELD(struct mmio_console, in_head, 1),
    BP_FIELD(struct mmio_console, in_count, 1),
    BP_FIELD(struct mmio_console, out_head, 1),
    BP_FIELD(struct mmio_console, out_count, 1),
    BP_ARRAY(struct mmio_console, in, 1),
    BP_ARRAY(struct mmio_console, out, 1),
    {.name = NULL},
};

const struct bp_instance_ops mmio_console_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = console_create,
    .destroy = console_destroy,
    .reset = console_reset,
    .timer = console_timer,
    .after_load = console_after_load,
};
