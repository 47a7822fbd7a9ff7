/* SPDX-License-Identifier: MIT
 *
 * backplane/plugin.h - the entry point of a plugin: one symbol, constant data.
 *
 * The host finds bp_plugin_v0 by dlsym() and reads it without running any code of the plugin.
 */
#ifndef BACKPLANE_PLUGIN_H
#define BACKPLANE_PLUGIN_H

#include "block.h"
#include "char.h"
#include "cpu.h"
#include "instance.h"
#include "net.h"
#include "props.h"
BP_BEGIN

#define BP_KIND_CPU 1u
#define BP_KIND_DEVICE 2u
#define BP_KIND_NET 3u
#define BP_KIND_CHAR 4u
#define BP_KIND_BLOCK 5u
#define BP_KIND_SERVICE 6u

#define BP_MODEL_SHARED                                                                            \
    1u /* several sections may name one instance; it is a lock domain of its own                   \
        * and what it offers is [any] */
#define BP_MODEL_ONCE                                                                              \
    2u /* at most one section of a machine may be of this model: it stands for something           \
        * of which there is one, such as the program's terminal */
#define BP_MODEL_SHARES_RAM                                                                        \
    4u /* hands guest RAM to other processes (ext/memory.h): it becomes a memfd */
#define BP_MODEL_IRQCHIP                                                                           \
    8u /* brings the machine's interrupt controllers, of which there is one set: a CPU backend     \
        * all of whose VMs have BP_CPU_IRQCHIP, or a device that offers "bp.irqchip/1" */
#define BP_MODEL_THREAD                                                                            \
    16u /* a device that may have an event loop of its own: its sections have the host's key       \
         * `thread`, and with `thread = yes` the watches and timers of its lock domain are         \
         * called on a thread that serves no other. Nothing changes for the device: what is [dom]  \
         * stays so */
#define BP_MODEL_JOINS                                                                             \
    32u /* several sections may name one instance, which joins them: all are in one lock domain    \
         * with it. Its table gives each of them a `self` of its own (net.h, port()) */

/* One thing that a machine file can name: `[com1] plugin = dev-uart, model = 16550a`. */
struct bp_model {
    uint32_t size;
    uint32_t kind;       /* BP_KIND_* */
    const char *id;      /* unique in the plugin, [a-z0-9-]+; the first model is the default */
    const char *summary; /* one line for `backplane plugins` */
    const struct bp_prop *props; /* ends with name == NULL */
    uint32_t prop_stride;        /* sizeof(struct bp_prop) as the plugin compiled it */
    uint32_t config_size;        /* bytes of the config struct that the host fills */
    uint32_t flags;              /* BP_MODEL_* */
    uint32_t reserved;
    const struct bp_instance_ops *instance; /* every kind but CPU */
    const struct bp_cpu_ops *cpu;           /* kind CPU */
    /* The tables that its instances give to region_new(), for `backplane plugins show`, which
     * creates none: names and registers are read, nothing is called. Ends with NULL. Optional. */
    const struct bp_region_ops *const *regions;
};

struct bp_plugin {
    uint32_t size;
    uint32_t abi_minor;   /* BP_ABI_MINOR that it was compiled with; informative */
    uint32_t needs_minor; /* oldest host minor that it can live with; an older host refuses it */
    uint32_t reserved;
    const char *name;                     /* "dev-uart" */
    const char *version;                  /* "1.4.0" */
    const struct bp_model *const *models; /* ends with NULL; at least one */
};

BP_EXPORT const struct bp_plugin bp_plugin_v0;

BP_END
#endif
