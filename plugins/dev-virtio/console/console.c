/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/console/console.c - the console device (virtio 1.2, 5.3): ports, each a stream of
 * bytes to and from a backend of kind CHAR. Port 0 is a console; the others are plain ports, with a
 * name by which the guest finds them.
 *
 * No byte waits in the device. Output that a backend does not take stays in the guest's buffer,
 * with a note of how much of it is gone; input for which the guest has no buffer stays with the
 * backend.
 */
#include "console/console.h"

#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <string.h>

#define CLASS_CONSOLE 0x078000u
#define CHUNK 4096u

/* ---- output ---- */

static uint32_t port_of_queue(uint32_t n)
{
    return n < 2 ? 0 : (n - 2) / 2;
}

/* A chain of the guest's output. It may be long, and the backend slow: then it stays. */
static int64_t output(struct console *c, uint32_t n, const struct chain *chain)
{
    struct console_port *p = &c->ports[port_of_queue(n)];
    const struct bp_char *ops = p->chr.ops;
    uint8_t bytes[CHUNK];

    while (ops && p->sent < chain->readable_bytes) {
        int64_t got = chain_read(&c->virtio.queues[n], chain, p->sent, bytes, sizeof(bytes));
        uint64_t taken;

        if (got <= 0) {
            virtio_guest(&c->virtio, "output that is not in RAM was dropped");
            break;
        }
        taken = ops->write(p->chr.self, bytes, (uint64_t)got);
        p->sent += taken < (uint64_t)got ? (uint32_t)taken : (uint32_t)got;
        c->virtio.work++;
        if (taken < (uint64_t)got)
            return VIRTIO_HOLD;
        if (c->virtio.work >= VIRTIO_BUDGET && p->sent < chain->readable_bytes) {
            virtio_later(&c->virtio, n);
            return VIRTIO_HOLD;
        }
    }
    p->sent = 0;
    return 0;
}

static int64_t chain(struct virtio *v, uint32_t n, const struct chain *ch)
{
    struct console *c = (struct console *)v;

    return n == CONSOLE_CONTROL_TX ? console_control(c, n, ch) : output(c, n, ch);
}

static void kicked(struct virtio *v, uint32_t n)
{
    struct console *c = (struct console *)v;
    uint32_t id = port_of_queue(n);
    struct console_port *p = &c->ports[id];

    if (n == CONSOLE_CONTROL_RX) {
        console_tell(c);
    } else if (n & 1) {
        virtio_run(v, n);
    } else if (p->held) {
        const struct bp_char *ops = p->chr.ops;

        p->held = 0;
        ops->resume(p->chr.self);
    }
}

/* ---- the backend's calls ---- */

/* With several ports, nobody reads one that the guest has not opened (5.3.6.2). */
static int takes_input(const struct console_port *p, uint32_t n)
{
    const struct virtio *v = &p->console->virtio;

    return virtio_live(v, n) && (p->guest_open || !virtio_has(v, VIRTIO_CONSOLE_F_MULTIPORT));
}

static uint64_t port_receive(void *self, const uint8_t *data, uint64_t len)
{
    struct console_port *p = self;
    struct virtio *v = &p->console->virtio;
    uint32_t n = console_receive_queue((uint32_t)(p - p->console->ports));
    struct queue *q = &v->queues[n];
    uint64_t done = 0;
    struct chain c;

    for (uint32_t turns = 0; done < len && takes_input(p, n); turns++) {
        uint32_t part = len - done < UINT16_MAX ? (uint32_t)(len - done) : UINT16_MAX;
        int64_t written;
        int got;

        if (turns ==
            VIRTIO_BUDGET) { /* a guest that gives empty buffers as fast as they are taken */
            virtio_later(v, n);
            break;
        }
        got = queue_pop(q, &c);
        if (got < 0) {
            virtio_broken(v, q->error);
            break;
        }
        if (!got && queue_arm(q))
            continue;
        if (!got)
            break;
        written = chain_write(q, &c, 0, data + done, part);
        if (written < 0) {
            virtio_guest(v, "a buffer for input is not in RAM");
            written = 0;
        }
        done += (uint64_t)written;
        queue_stage(q, c.id, c.slots, (uint32_t)written);
        if (q->staged_count == QUEUE_STAGED)
            virtio_publish(v, n);
    }
    virtio_publish(v, n);
    p->held = done < len;
    return done;
}

static void port_writable(void *self)
{
    struct console_port *p = self;

    virtio_kick(&p->console->virtio, console_receive_queue((uint32_t)(p - p->console->ports)) + 1);
}

static void resized(struct console_port *p, uint32_t columns, uint32_t rows)
{
    struct virtio *v = &p->console->virtio;

    uint16_t columns_before = p->columns, rows_before = p->rows;

    p->columns = columns < UINT16_MAX ? (uint16_t)columns : 0;
    p->rows = rows < UINT16_MAX ? (uint16_t)rows : 0;
    /* A backend tells its window when it starts: after a load often that of before. */
    if (!p->is_console || (p->columns == columns_before && p->rows == rows_before))
        return;
    bp_put_le16(v->config + CONSOLE_cols, p->columns);
    bp_put_le16(v->config + CONSOLE_rows, p->rows);
    if (virtio_has(v, VIRTIO_CONSOLE_F_MULTIPORT))
        console_owe(p, OWES_RESIZE);
    else if (virtio_has(v, VIRTIO_CONSOLE_F_SIZE))
        virtio_config_changed(v);
}

static void port_event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    struct console_port *p = self;

    if (what == BP_CHAR_RESIZED)
        resized(p, columns, rows);
    if (what != BP_CHAR_OPENED && what != BP_CHAR_HANGUP)
        return;
    p->open = what == BP_CHAR_OPENED;
    if (p->guest_open || p->open)
        console_owe(p, OWES_OPEN);
}

static const struct bp_char_port char_port = {
    .size = sizeof(struct bp_char_port),
    .receive = port_receive,
    .writable = port_writable,
    .event = port_event,
};

/* ---- life ---- */

/* A byte from a guest that has set up nothing yet (5.3.4): its lowest one. */
static void config_written(struct virtio *v, uint32_t offset, uint32_t value, uint32_t width)
{
    struct console *c = (struct console *)v;
    const struct bp_char *ops = c->ports[0].chr.ops;
    uint8_t byte = (uint8_t)value;

    (void)width;
    if (offset != CONSOLE_emerg_wr)
        virtio_guest(v, "a write to the console's configuration beside emerg_wr was ignored");
    else if (ops && ops->write(c->ports[0].chr.self, &byte, 1) != 1)
        virtio_guest(v, "an emergency write found the backend full, and is lost");
}

static void reset(struct virtio *v)
{
    struct console *c = (struct console *)v;

    for (uint32_t i = 0; i < c->port_count; i++) {
        c->ports[i].guest_open = c->ports[i].owed = 0;
        c->ports[i].sent = 0;
    }
}

static void queue_forgotten(struct virtio *v, uint32_t n)
{
    struct console *c = (struct console *)v;

    if (n & 1 && n != CONSOLE_CONTROL_TX)
        c->ports[port_of_queue(n)].sent = 0;
}

static int after_load(struct virtio *v)
{
    struct console *c = (struct console *)v;

    for (uint32_t i = 0; i < c->port_count; i++) {
        c->ports[i].owed &= OWES_ADD | OWES_CONSOLE | OWES_NAME | OWES_OPEN | OWES_RESIZE;
        if (c->ports[i].chr.ops)
            c->ports[i].held =
                1; /* the new backend may wait for a resume() that was the old one's */
    }
    return 0;
}

static const struct virtio_device device = {
    .id = 3,
    .class_code = CLASS_CONSOLE,
    .features = BIT(VIRTIO_CONSOLE_F_SIZE) | BIT(VIRTIO_CONSOLE_F_MULTIPORT) |
                BIT(VIRTIO_CONSOLE_F_EMERG_WRITE) | BIT(VIRTIO_F_IN_ORDER),
    .kicked = kicked,
    .chain = chain,
    .reset = reset,
    .queue_reset = queue_forgotten,
    .config_written = config_written,
    .after_load = after_load,
};

static int add_port(struct console *c, const struct bp_host *host, struct bp_node *node,
                    struct bp_node *chr, const char *name)
{
    struct console_port *p = &c->ports[c->port_count++];
    int err = chr ? host->link(node, chr, BP_CHAR_ID, &char_port, p, &p->chr) : 0;

    p->console = c;
    p->name = name;
    p->is_console = p == c->ports;
    if (err)
        return bp_failf(host, node, err,
                        "cannot use the section that port %u names: %s; name a character backend "
                        "that no other device uses",
                        c->port_count - 1, strerror(-err));
    return 0;
}

static int check_config(const struct console_config *c, const struct bp_host *host,
                        struct bp_node *node)
{
    const char *const *names = c->names.items;

    if (c->ports.count >= CONSOLE_PORTS_MAX)
        return bp_failf(host, node, -EINVAL,
                        "ports names %llu sections; a console has at most %u beside chardev",
                        (unsigned long long)c->ports.count, CONSOLE_PORTS_MAX - 1);
    if (c->names.count && c->names.count != c->ports.count)
        return bp_failf(host, node, -EINVAL,
                        "names has %llu entries and ports has %llu; give each port one name",
                        (unsigned long long)c->names.count, (unsigned long long)c->ports.count);
    for (uint64_t i = 0; i < c->names.count; i++)
        if (strlen(names[i]) > CONSOLE_NAME_MAX)
            return bp_failf(host, node, -EINVAL,
                            "the name of port %llu has more than %u bytes; shorten it",
                            (unsigned long long)i + 1, CONSOLE_NAME_MAX);
    return 0;
}

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    static const char *const plain[CONSOLE_PORTS_MAX] = {"port.0", "port.1", "port.2", "port.3",
                                                         "port.4", "port.5", "port.6", "port.7"};
    const struct console_config *cfg = config;
    struct bp_node *const *ports = cfg->ports.items;
    const char *const *names = cfg->names.items;
    struct console *c;
    int err = check_config(cfg, host, node);

    if (err)
        return err;
    c = virtio_alloc(host, node, &device, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->config = cfg;
    err = add_port(c, host, node, cfg->chardev, "console");
    for (uint64_t i = 0; !err && i < cfg->ports.count; i++)
        err = add_port(c, host, node, ports[i], cfg->names.count ? names[i] : plain[i + 1]);
    if (!err) {
        bp_put_le32(c->virtio.config + CONSOLE_max_nr_ports, c->port_count);
        c->virtio.config_bytes = CONSOLE_CONFIG_BYTES;
        err = virtio_init(&c->virtio, &cfg->virtio, 2 + 2 * c->port_count, 0);
    }
    if (err) {
        virtio_free(&c->virtio);
        return err;
    }
    *self = c;
    return 0;
}

#define PORT_FIELD(member)                                                                         \
    {                                                                                              \
        .name = "ports." #member, .offset = (uint32_t)offsetof(struct console, ports[0].member),   \
        .width = (uint32_t)sizeof(((struct console_port *)0)->member), .count = CONSOLE_PORTS_MAX, \
        .stride = (uint32_t)sizeof(struct console_port), .since = 1                                \
    }

static const struct bp_field fields[] = {
    VIRTIO_FIELDS,    PORT_FIELD(sent),       PORT_FIELD(columns), PORT_FIELD(rows),
    PORT_FIELD(open), PORT_FIELD(guest_open), PORT_FIELD(owed),    {.name = NULL},
};

const struct bp_instance_ops console_ops = VIRTIO_INSTANCE(create, fields);
