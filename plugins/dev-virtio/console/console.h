/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/console/console.h - the console device: its configuration, and what its files share.
 */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "virtio.h"

#define CONSOLE_PORTS_MAX 8u

struct console_config {
    struct virtio_config virtio;
    struct bp_node *chardev;
    struct bp_list ports; /* of struct bp_node * */
    struct bp_list names; /* of const char * */
};

extern const struct bp_instance_ops console_ops;

#define VIRTIO_CONSOLE_F_SIZE 0u
#define VIRTIO_CONSOLE_F_MULTIPORT 1u
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2u

/* struct virtio_console_config (5.3.4) */
#define CONSOLE_cols 0u
#define CONSOLE_rows 2u
#define CONSOLE_max_nr_ports 4u
#define CONSOLE_emerg_wr 8u
#define CONSOLE_CONFIG_BYTES 12u

#define CONSOLE_CONTROL_RX 2u
#define CONSOLE_CONTROL_TX 3u
#define CONSOLE_NAME_MAX 60u /* bytes */

/* What the guest is still to be told of a port: bits, in the order in which it must be. */
#define OWES_ADD 1u
#define OWES_CONSOLE 2u
#define OWES_NAME 4u
#define OWES_OPEN 8u
#define OWES_RESIZE 16u

struct console;

struct console_port {
    struct console *console;
    struct bp_peer chr;
    const char *name;
    uint32_t sent; /* bytes of the chain at the transmit queue's head that are gone */
    uint16_t columns, rows;
    uint8_t held; /* the backend keeps input until resume() */
    uint8_t open; /* somebody is at the backend's end */
    uint8_t guest_open;
    uint8_t owed; /* OWES_* */
    uint8_t is_console;
    uint8_t reserved[3];
};

struct console {
    struct virtio virtio;
    const struct console_config *config;
    uint32_t port_count;
    uint32_t reserved;
    struct console_port ports[CONSOLE_PORTS_MAX];
};

/* Queues (5.3.2): 0 and 1 are port 0's, 2 and 3 the control queues, then two for each other port.
 */
static inline uint32_t console_receive_queue(uint32_t port)
{
    return port ? 2 + 2 * port : 0;
}

/* The guest's control message. */
int64_t console_control(struct console *c, uint32_t n, const struct chain *chain);
/* Sends what is owed, as far as there are buffers. */
void console_tell(struct console *c);
void console_owe(struct console_port *p, uint8_t what);

#endif
