/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/bare_host.h - the smallest host that a network card runs on: see bare_host.c.
 */
#ifndef TESTS_DEV_E1000_BARE_HOST_H
#define TESTS_DEV_E1000_BARE_HOST_H

#include <backplane/ext/pci.h>
#include <backplane/plugin.h>

#define BARE_RAM 0x100000u
#define BARE_TIMERS 32u

struct bp_region {
    const struct bp_region_ops *ops;
    void *self;
};

struct bp_node { /* the one instance, and the one that its `net` names */
    const struct bp_model *model;
    void *self;
    uint8_t config[256]; /* the model's struct */
    struct bp_region bars[2];
    uint32_t bar_count, capability, level; /* level: of the interrupt line */
    uint32_t edges;                        /* times that it rose */
    uint8_t space[256];                    /* PCI configuration space */
    uint64_t now_ns, timers[BARE_TIMERS];
    const struct bp_net_port *port;
    void *port_self;
    uint8_t sent[2048]; /* the newest frame that the card sent */
    uint32_t sent_len, sent_count;
    uint8_t ram[BARE_RAM];
};

/* Makes the first model of the plugin at `path`, with a cable and the address `mac`, after a cold
 * reset. NULL and a line on standard error. */
struct bp_node *bare_new(const char *path, const uint8_t mac[6]);
void bare_free(struct bp_node *n);
uint32_t bare_read(struct bp_node *n, uint32_t offset);
void bare_write(struct bp_node *n, uint32_t offset, uint32_t value);
/* Guest time passes, and the timers that are due by then are called. */
void bare_advance(struct bp_node *n, uint64_t ns);

#endif
