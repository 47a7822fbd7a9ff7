/* SPDX-License-Identifier: MIT
 *
 * backplane/util/device.h - what most devices begin with, so that theirs is short: a struct with
 * the host's handles in it, the tables of a model and a plugin, the commonest keys.
 *
 * Nothing here is needed: it is all made of plugin.h, props.h and host.h, which say what it means.
 * For C; in C++ the macros want designated initialisers (C++20).
 */
#ifndef BACKPLANE_UTIL_DEVICE_H
#define BACKPLANE_UTIL_DEVICE_H

#include "../plugin.h"
#include "registers.h"

#include <errno.h>
#include <stdlib.h>

/* The first member of the instance's struct. */
struct bp_device {
    const struct bp_host *host; /* every call into Backplane goes through this table */
    struct bp_node *node;       /* and begins with this */
    const void *config;         /* what the machine file says */
};

/* Allocates an instance of `bytes`, zeroed, with its handles filled in: the first line of create().
 * 0 and *self, or what create() then returns. [main] */
static inline int bp_device_new(const struct bp_host *host, struct bp_node *node,
                                const void *config, size_t bytes, void **self)
{
    struct bp_device *d = (struct bp_device *)calloc(1, bytes);

    if (!d)
        return host->fail(node, -ENOMEM, "out of memory");
    d->host = host;
    d->node = node;
    d->config = config;
    *self = d;
    return 0;
}

/* Makes a region of `ops`, whose callbacks get `self`, an instance of bp_device_new(), and places
 * it: as a rule the last line of create(). On failure `self` is gone. [main] */
static inline int bp_device_map(void *self, uint32_t space, uint64_t base, uint64_t length,
                                const struct bp_region_ops *ops)
{
    struct bp_device *d = (struct bp_device *)self;
    struct bp_region *region;
    int err = d->host->region_new(d->node, space, length, ops, self, &region);

    if (!err)
        err = d->host->region_place(region, base);
    if (err)
        d->host->fail(d->node, err, "the registers cannot be put there; choose another place");
    if (err)
        free(d);
    return err;
}

/* destroy() of a device that has nothing but its memory and what the host frees. */
static inline void bp_device_free(void *self)
{
    free(self);
}

/* Sets interrupt line `line`. [any] */
static inline void bp_device_irq(const struct bp_device *d, uint32_t line, int level)
{
    d->host->irq_set(d->node, line, level ? 1u : 0u);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Where `bytes` of registers are: a member of type uint64_t. */
#define BP_PROP_BASE(config_, member_, initial_, bytes_)                                           \
    {                                                                                              \
        .name = #member_, .help = "guest-physical address of the registers",                       \
        .initial = (initial_), .claim_length = (bytes_), .claim = BP_CLAIM_MMIO,                   \
        .type = BP_PROP_UINT, BP_PROP_AT(config_, member_)                                         \
    }
/* An interrupt line, which others may share: a member of type uint8_t. */
#define BP_PROP_LINE(config_, member_, initial_)                                                   \
    {                                                                                              \
        .name = #member_, .help = "interrupt line", .initial = (initial_), .max = 23,              \
        .claim_length = 1, .claim = BP_CLAIM_IRQ, .type = BP_PROP_UINT,                            \
        BP_PROP_AT(config_, member_)                                                               \
    }
/* Where on the PCI bus: a member of type uint32_t. */
#define BP_PROP_SLOT(config_, member_)                                                             \
    {                                                                                              \
        .name = #member_, .help = "place on the PCI bus; any free device without a value",         \
        .type = BP_PROP_PCI, BP_PROP_AT(config_, member_)                                          \
    }
#define BP_PROPS_END                                                                               \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define BP_FIELDS_END                                                                              \
    {                                                                                              \
        NULL, 0u, 0u, 0u, 0u, 0u, 0u                                                               \
    }

/* ---- tables ---------------------------------------------------------------------------------- */

/* The table of a device with version `version_` of `fields_`; designators of struct bp_instance_ops
 * follow, `create` and `reset` at least. */
#define BP_DEVICE_OPS(version_, fields_, ...)                                                      \
    {                                                                                              \
        .size = sizeof(struct bp_instance_ops), .state_version = (version_), .fields = (fields_),  \
        .field_stride = sizeof(struct bp_field), .destroy = bp_device_free, __VA_ARGS__            \
    }

/* A model whose keys `props_` fill a `config_`; designators of struct bp_model may follow. */
#define BP_DEVICE_MODEL(id_, summary_, props_, config_, ops_, ...)                                 \
    {                                                                                              \
        .size = sizeof(struct bp_model), .kind = BP_KIND_DEVICE, .id = (id_),                      \
        .summary = (summary_), .props = (props_), .prop_stride = sizeof(struct bp_prop),           \
        .config_size = sizeof(config_), .instance = (ops_), __VA_ARGS__                            \
    }

/* Defines the plugin's one symbol; pointers to its models follow, the default first. */
#define BP_PLUGIN(name_, version_, ...)                                                            \
    static const struct bp_model *const bp_plugin_models[] = {__VA_ARGS__, NULL};                  \
    const struct bp_plugin bp_plugin_v0 = {                                                        \
        .size = sizeof(struct bp_plugin),                                                          \
        .abi_minor = BP_ABI_MINOR,                                                                 \
        .name = (name_),                                                                           \
        .version = (version_),                                                                     \
        .models = bp_plugin_models,                                                                \
    };

#endif
