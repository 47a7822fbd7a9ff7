/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/plugin.c - what dev-virtio offers: its models and their keys.
 */
#include "balloon/balloon.h"
#include "blk/blk.h"
#include "console/console.h"
#include "net/net.h"
#include "rng/rng.h"

static const char *const transports[] = {"pci", "mmio", NULL};

/* The keys of every model. */
#define VIRTIO_PROPS                                                                               \
    {.name = "transport",                                                                          \
     .help = "how the guest reaches it: on the PCI bus, or by registers at `address`",             \
     .initial = "pci",                                                                             \
     .choices = transports,                                                                        \
     .type = BP_PROP_ENUM,                                                                         \
     BP_PROP_AT(struct virtio_config, transport)},                                                 \
        {.name = "slot",                                                                           \
         .help = "pci: device, or device.function, on bus 0; without it the first free one",       \
         .type = BP_PROP_PCI,                                                                      \
         BP_PROP_AT(struct virtio_config, slot)},                                                  \
        {.name = "address",                                                                        \
         .help = "mmio: guest-physical address of 512 bytes of registers",                         \
         .claim = BP_CLAIM_MMIO,                                                                   \
         .claim_length = 512,                                                                      \
         .type = BP_PROP_UINT,                                                                     \
         BP_PROP_AT(struct virtio_config, address)},                                               \
        {.name = "irq",                                                                            \
         .help = "mmio: interrupt line",                                                           \
         .min = 1,                                                                                 \
         .max = 23,                                                                                \
         .claim = BP_CLAIM_IRQ,                                                                    \
         .type = BP_PROP_UINT,                                                                     \
         BP_PROP_AT(struct virtio_config, irq)},                                                   \
        {.name = "packed",                                                                         \
         .help = "offers packed rings, which the driver may choose",                               \
         .initial = "no",                                                                          \
         .type = BP_PROP_BOOL,                                                                     \
         BP_PROP_AT(struct virtio_config, packed)},                                                \
    {                                                                                              \
        .name = "queue-size", .help = "entries of each queue, a power of two up to 256",           \
        .initial = "256", .min = 1, .max = QUEUE_SIZE_MAX, .type = BP_PROP_UINT,                   \
        BP_PROP_AT(struct virtio_config, queue_size)                                               \
    }

static const struct bp_prop blk_props[] = {
    VIRTIO_PROPS,
    {.name = "block",
     .help = "section that holds the disk's content",
     .needs = BP_BLOCK_ID,
     .type = BP_PROP_REF,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct blk_config, block)},
    {.name = "serial",
     .help = "serial number, up to 20 bytes; without it the section's name",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct blk_config, serial)},
    {.name = "queues",
     .help = "request queues, for guests with several processors",
     .initial = "1",
     .min = 1,
     .max = BLK_QUEUES_MAX,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct blk_config, queues)},
    {.name = "readonly",
     .help = "the guest cannot write, even where the image could be written",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct blk_config, readonly)},
    {.name = NULL},
};

static const struct bp_prop net_props[] = {
    VIRTIO_PROPS,
    {.name = "net",
     .help = "section that takes and gives frames; without it the link is down",
     .needs = BP_NET_ID,
     .type = BP_PROP_REF,
     BP_PROP_AT(struct net_config, net)},
    {.name = "mac",
     .help = "address of the interface; without it one made of the section's name",
     .type = BP_PROP_MAC,
     BP_PROP_AT(struct net_config, mac)},
    {.name = "mtu",
     .help = "largest packet, bytes, that the guest is told; 0: it is not told",
     .initial = "0",
     .min = 0,
     .max = 65535,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct net_config, mtu)},
    {.name = "queues",
     .help = "pairs of receive and transmit queues, for guests with several processors",
     .initial = "1",
     .min = 1,
     .max = NET_PAIRS_MAX,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct net_config, queues)},
    {.name = "offloads",
     .help = "the guest may leave checksums and the cutting of large packets to the device",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct net_config, offloads)},
    {.name = NULL},
};

static const struct bp_prop console_props[] = {
    VIRTIO_PROPS,
    {.name = "chardev",
     .help = "section of the console, port 0; without it output is discarded",
     .needs = BP_CHAR_ID,
     .type = BP_PROP_REF,
     BP_PROP_AT(struct console_config, chardev)},
    {.name = "ports",
     .help = "sections of further ports, up to 7",
     .needs = BP_CHAR_ID,
     .type = BP_PROP_REF,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct console_config, ports)},
    {.name = "names",
     .help = "their names, by which the guest finds them; port.1 and so on without",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct console_config, names)},
    {.name = NULL},
};

static const struct bp_prop balloon_props[] = {
    VIRTIO_PROPS,
    {.name = "target",
     .help = "memory that the guest is asked to give back at its start",
     .initial = "0",
     .type = BP_PROP_SIZE,
     BP_PROP_AT(struct balloon_config, target)},
    {.name = "stats-period",
     .help = "s between two requests for the guest's memory statistics; 0: none",
     .initial = "0",
     .min = 0,
     .max = 86400,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct balloon_config, stats_period)},
    {.name = "deflate-on-oom",
     .help = "the guest may take memory back when it has none left",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct balloon_config, deflate_on_oom)},
    {.name = "reporting",
     .help = "the guest tells which memory it does not use, and the host has it until it does",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct balloon_config, reporting)},
    {.name = NULL},
};

static const struct bp_prop rng_props[] = {
    VIRTIO_PROPS,
    {.name = "rate",
     .help = "bytes that the guest gets in each period at the most; 0: no limit",
     .initial = "0",
     .type = BP_PROP_SIZE,
     BP_PROP_AT(struct rng_config, rate)},
    {.name = "period",
     .help = "length of a period, ms",
     .initial = "1000",
     .min = 1,
     .max = 3600000,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct rng_config, period)},
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&virtio_pci_region_ops,
                                                      &virtio_mmio_region_ops, NULL};

#define MODEL(id_, summary_, ops_)                                                                 \
    static const struct bp_model id_##_model = {                                                   \
        .size = sizeof(struct bp_model),                                                           \
        .kind = BP_KIND_DEVICE,                                                                    \
        .id = #id_,                                                                                \
        .summary = (summary_),                                                                     \
        .props = id_##_props,                                                                      \
        .prop_stride = sizeof(struct bp_prop),                                                     \
        .config_size = sizeof(struct id_##_config),                                                \
        .flags = BP_MODEL_THREAD,                                                                  \
        .instance = &(ops_),                                                                       \
        .regions = regions,                                                                        \
    }

MODEL(blk, "virtio disk", blk_ops);
MODEL(net, "virtio network interface", net_ops);
MODEL(console, "virtio console with several ports", console_ops);
MODEL(balloon, "virtio memory balloon", balloon_ops);
MODEL(rng, "virtio source of random bytes", rng_ops);

static const struct bp_model *const models[] = {&blk_model, &net_model,     &console_model,
                                                &rng_model, &balloon_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "dev-virtio",
    .version = "0.1.0",
    .models = models,
};
