/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/console/control.c - control messages of a console with several ports
 * (virtio 1.2, 5.3.6.2).
 *
 *     le32 id, le16 event, le16 value, then a name or a size
 *
 * What the guest is to be told is kept as bits of each port, not as a list of messages: so there is
 * no more than one of each kind however long the guest gives no buffers, and it is always the
 * latest.
 */
#include "console/console.h"

#include <backplane/util/le.h>
#include <string.h>

#define DEVICE_READY 0u
#define DEVICE_ADD 1u
#define PORT_READY 3u
#define CONSOLE_PORT 4u
#define RESIZE 5u
#define PORT_OPEN 6u
#define PORT_NAME 7u

#define MESSAGE_BYTES 8u

void console_owe(struct console_port *p, uint8_t what)
{
    p->owed |= what;
    console_tell(p->console);
}

int64_t console_control(struct console *c, uint32_t n, const struct chain *chain)
{
    struct virtio *v = &c->virtio;
    uint8_t raw[MESSAGE_BYTES];
    uint32_t id;
    uint16_t value;

    if (chain_read(&v->queues[n], chain, 0, raw, sizeof(raw)) != sizeof(raw)) {
        virtio_guest(v, "a control message shorter than 8 bytes, or not in RAM");
        return 0;
    }
    id = bp_le32(raw);
    value = bp_le16(raw + 6);
    if (bp_le16(raw + 4) == DEVICE_READY) {
        for (uint32_t i = 0; value && i < c->port_count; i++)
            c->ports[i].owed = OWES_ADD;
        console_tell(c);
        return 0;
    }
    if (id >= c->port_count) {
        virtio_guest(v, "a control message for a port that does not exist");
        return 0;
    }
    switch (bp_le16(raw + 4)) {
    case PORT_READY:
        if (!value)
            break;
        console_owe(&c->ports[id],
                    (uint8_t)(OWES_NAME | (c->ports[id].is_console ? OWES_CONSOLE : 0u) |
                              (c->ports[id].open ? OWES_OPEN : 0u) |
                              (c->ports[id].columns ? OWES_RESIZE : 0u)));
        break;
    case PORT_OPEN:
        c->ports[id].guest_open = value == 1;
        if (value == 1) /* input that waited for somebody to read it */
            virtio_kick(v, console_receive_queue(id));
        break;
    default:
        virtio_guest(v, "a control message of a kind that the driver does not send");
    }
    return 0;
}

/* Writes the lowest of what port `id` is owed; its bytes. */
static uint32_t message(const struct console_port *p, uint32_t id, uint8_t bit, uint8_t *out)
{
    uint32_t len = MESSAGE_BYTES;

    bp_put_le32(out, id);
    bp_put_le16(out + 6, 1);
    switch (bit) {
    case OWES_ADD:
        bp_put_le16(out + 4, DEVICE_ADD);
        break;
    case OWES_CONSOLE:
        bp_put_le16(out + 4, CONSOLE_PORT);
        break;
    case OWES_NAME:
        bp_put_le16(out + 4, PORT_NAME);
        memcpy(out + len, p->name, strlen(p->name));
        len += (uint32_t)strlen(p->name);
        break;
    case OWES_OPEN:
        bp_put_le16(out + 4, PORT_OPEN);
        bp_put_le16(out + 6, p->open);
        break;
    default:
        bp_put_le16(out + 4, RESIZE);
        /* Rows first, as Linux reads it; 5.3.6.2 has columns first. docs/virtio.md */
        bp_put_le16(out + len, p->rows);
        bp_put_le16(out + len + 2, p->columns);
        len += 4;
    }
    return len;
}

void console_tell(struct console *c)
{
    struct virtio *v = &c->virtio;
    struct queue *q = &v->queues[CONSOLE_CONTROL_RX];
    uint8_t out[MESSAGE_BYTES + CONSOLE_NAME_MAX];
    struct chain chain;

    if (!virtio_has(v, VIRTIO_CONSOLE_F_MULTIPORT))
        return;
    for (uint32_t id = 0; id < c->port_count; id++) {
        struct console_port *p = &c->ports[id];

        while (p->owed && virtio_live(v, CONSOLE_CONTROL_RX)) {
            uint8_t bit = (uint8_t)(p->owed & -p->owed);
            uint32_t len = message(p, id, bit, out);
            int got = queue_pop(q, &chain);
            int64_t written;

            if (got < 0) {
                virtio_broken(v, q->error);
                return;
            }
            if (!got && queue_arm(q))
                continue;
            if (!got) {
                virtio_publish(v, CONSOLE_CONTROL_RX);
                return; /* kicked() goes on */
            }
            written = chain_write(q, &chain, 0, out, len);
            if (written != len) {
                virtio_guest(v, "a buffer for control messages is too small, or not in RAM");
                written = 0;
            }
            p->owed &= (uint8_t)~bit;
            queue_stage(q, chain.id, chain.slots, (uint32_t)written);
            if (q->staged_count == QUEUE_STAGED)
                virtio_publish(v, CONSOLE_CONTROL_RX);
        }
    }
    virtio_publish(v, CONSOLE_CONTROL_RX);
}
