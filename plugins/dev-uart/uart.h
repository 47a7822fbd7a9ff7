/* SPDX-License-Identifier: MIT
 *
 * dev-uart/uart.h - what the files of dev-uart share, and the config structs that the host fills.
 */
#ifndef DEV_UART_UART_H
#define DEV_UART_UART_H

#include <backplane/plugin.h>

/* [com1] plugin = dev-uart, model = 16550a */
struct uart_config {
    struct bp_node *chardev; /* or NULL: output is discarded, there is no input */
    uint32_t irq;            /* interrupt line */
    uint32_t clock;          /* Hz of the crystal; the baud rate is clock / 16 / divisor */
    uint16_t port;           /* the first of UART_PORTS */
};

/* [debug] plugin = dev-uart, model = mmio-console */
struct mmio_console_config {
    struct bp_node *chardev; /* or NULL, as above */
    uint64_t base;           /* guest-physical, a multiple of MMIO_CONSOLE_BYTES */
};

#define MMIO_CONSOLE_BYTES 4096u

extern const struct bp_instance_ops uart_ops;
extern const struct bp_instance_ops mmio_console_ops;
extern const struct bp_region_ops uart_region_ops, mmio_console_region_ops;

#endif
