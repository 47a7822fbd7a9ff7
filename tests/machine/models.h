/* SPDX-License-Identifier: MIT
 *
 * machine/models.h - plugins made of tables alone, for tests of plans: no file, no code.
 *
 *     dev-uart   16550a (port, irq, chardev), mmio-console (base: RESERVES, chardev)
 *     dev-pc     rtc, acpi-pm, reset, irqchip: BP_MODEL_IRQCHIP, ONCE, hpet (irqchip, rtc)
 *     dev-chip   chip: BP_MODEL_IRQCHIP
 *     chr-host   stdio: BP_MODEL_ONCE, file (path: CREATES)
 *     net-tap    tap (ifname: REQUIRED, net: the next link)     net-hub  hub: BP_MODEL_SHARED,
 *                                                                     switch: BP_MODEL_JOINS
 *     dev-e1000  e1000 (net, mac, pci)     dev-all  one key of each type, plain and as a list
 *     cpu-kvm    kvm (nested): BP_MODEL_IRQCHIP     cpu-bare  bare, without interrupt controllers
 *     cpu-interp interp (trace)
 */
#ifndef TESTS_MACHINE_MODELS_H
#define TESTS_MACHINE_MODELS_H

#include "machine/plan.h"

struct uart_config {
    uint16_t port;
    uint8_t irq;
    struct bp_node *chardev;
};

struct console_config {
    uint64_t base;
    struct bp_node *chardev;
};

struct file_config {
    const char *path;
};

struct tap_config {
    const char *ifname;
    struct bp_node *net;
};

struct e1000_config {
    uint32_t pci;
    struct bp_node *net;
    uint8_t mac[6];
};

struct kvm_config {
    uint8_t nested;
};

struct hpet_config {
    uint64_t base;
    struct bp_node *irqchip, *rtc;
};

struct all_config {
    uint8_t yes;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64, bounded;
    uint64_t size;
    const char *string, *path, *creates, *address;
    struct bp_range range;
    uint32_t pci;
    uint32_t choice;
    uint8_t mac[6];
    struct bp_node *any;
    struct bp_list bools, uints, sizes, strings, paths, choices, macs, refs, addresses, ranges,
        pcis;
};

extern const struct plan_source models_source;
/* The same without dev-pc. */
extern const struct plan_source models_without_board;
/* The table of dev-all, for tests of props alone. */
extern const struct bp_prop models_all_props[];

#endif
