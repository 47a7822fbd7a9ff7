/* SPDX-License-Identifier: MIT
 *
 * dev-uart/plugin.c - what dev-uart offers: the PC's serial port, and a console that is one
 * register.
 */
#include "uart.h"

#include "regs.h"

/* tests/abi compiles this plugin with headers of several ages, also some from before `regions`. */
#ifdef BP_REG_ACCESS
static const struct bp_region_ops *const uart_regions[] = {&uart_region_ops, NULL};
static const struct bp_region_ops *const mmio_console_regions[] = {&mmio_console_region_ops, NULL};
#define REGIONS(list) .regions = (list),
#else
#define REGIONS(list)
#endif

static const struct bp_prop uart_props[] = {
    {.name = "port",
     .help = "first of the 8 I/O ports",
     .initial = "0x3f8",
     .min = 0,
     .max = 0xfff8,
     .claim = BP_CLAIM_PIO,
     .claim_length = UART_PORTS,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct uart_config, port)},
    {.name = "irq",
     .help = "interrupt line",
     .initial = "4",
     .min = 0,
     .max = 23,
     .claim = BP_CLAIM_IRQ,
     .claim_length = 0,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct uart_config, irq)},
    {.name = "chardev",
     .help = "section that takes the output and gives the input; without it output is discarded",
     .needs = BP_CHAR_ID,
     .type = BP_PROP_REF,
     /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of the pointer is what is meant */
     BP_PROP_AT(struct uart_config, chardev)},
    {.name = "clock",
     .help = "Hz of the crystal: 16 times the highest baud rate; it only sets the receive time-out",
     .initial = "1843200",
     .min = 1,
     .max = 1000000000,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct uart_config, clock)},
    {.name = NULL},
};

static const struct bp_model uart_model = {.size = sizeof(struct bp_model),
                                           .kind = BP_KIND_DEVICE,
                                           .id = "16550a",
                                           .summary = "the PC's serial port, a 16550A with FIFOs",
                                           .props = uart_props,
                                           .prop_stride = sizeof(struct bp_prop),
                                           .config_size = sizeof(struct uart_config),
                                           .instance = &uart_ops,
                                           REGIONS(uart_regions)};

static const struct bp_prop mmio_console_props[] = {
    {.name = "base",
     .help = "guest-physical address of its page, a multiple of 4096",
     .initial = "0x9000000",
     .claim = BP_CLAIM_MMIO,
     .claim_length = MMIO_CONSOLE_BYTES,
     .type = BP_PROP_UINT,
     .flags = BP_PROP_RESERVES,
     BP_PROP_AT(struct mmio_console_config, base)},
    {.name = "chardev",
     .help = "section that takes the output and gives the input; without it output is discarded",
     .needs = BP_CHAR_ID,
     .type = BP_PROP_REF,
     /* NOLINTNEXTLINE(bugprone-sizeof-expression): the size of the pointer is what is meant */
     BP_PROP_AT(struct mmio_console_config, chardev)},
    {.name = NULL},
};

static const struct bp_model mmio_console_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "mmio-console",
    .summary = "a debug console: a page of memory whose first byte is the output",
    .props = mmio_console_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct mmio_console_config),
    .instance = &mmio_console_ops,
    REGIONS(mmio_console_regions)};

static const struct bp_model *const models[] = {&uart_model, &mmio_console_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "dev-uart",
    .version = "0.1.0",
    .models = models,
};
