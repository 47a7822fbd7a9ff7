/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/plugin.c - the plugin's table: one model, `interp`, that runs guests in software, on
 * any host.
 */
#include "interp.h"

#include <backplane/plugin.h>

/* It needs nothing of the host. */
static int64_t probe(const struct bp_host *host, struct bp_node *node)
{
    (void)host;
    (void)node;
    return 0;
}

static const struct bp_cpu_ops interp_ops = {
    .size = sizeof(interp_ops),
    .probe = probe,
    .vm_create = vm_create,
    .vm_destroy = vm_destroy,
    .vm_features = vm_features,
    .mem_set = vm_mem_set,
    .vcpu_create = vcpu_create,
    .vcpu_destroy = vcpu_destroy,
    .vcpu_reset = vcpu_reset,
    .vcpu_run = vcpu_run,
    .vcpu_kick = vcpu_kick,
    .regs_get = regs_get,
    .regs_set = regs_set,
    .vm_get = vm_get,
    .vm_set = vm_set,
    .vm_time = vm_time,
    .code_changed = vm_code_changed,
    .extension = vm_extension,
};

static const struct bp_model interp_model = {
    .size = sizeof(interp_model),
    .kind = BP_KIND_CPU,
    .id = "interp",
    .summary = "An x86-64 processor in software",
    .props = interp_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct interp_config),
    .cpu = &interp_ops,
};

static const struct bp_model *const interp_models[] = {&interp_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "cpu-interp",
    .version = "0.1.0",
    .models = interp_models,
};
