/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/plugin.c - the plugin's table: one model, `hvf`, that runs guests by macOS'
 * Hypervisor.framework on Intel processors.
 */
#include "hvf.h"

#include <backplane/ext/dirty_log.h>
#include <backplane/plugin.h>

#include <string.h>

const void *vm_extension(void *self, const char *id)
{
    (void)self;
    if (strcmp(id, BP_DEBUG_ID) == 0)
        return debug_table();
    return strcmp(id, BP_DIRTY_LOG_ID) == 0 ? dirty_log_table() : NULL;
}

static const struct bp_cpu_ops hvf_ops = {
    .size = sizeof(hvf_ops),
    .probe = hvf_probe,
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
    .extension = vm_extension,
};

static const struct bp_prop hvf_props[] = {{.name = NULL}};

static const struct bp_model hvf_model = {
    .size = sizeof(hvf_model),
    .kind = BP_KIND_CPU,
    .id = "hvf",
    .summary = "The host's processor, by macOS' Hypervisor.framework",
    .props = hvf_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = 8,
    .cpu = &hvf_ops,
};

static const struct bp_model *const hvf_models[] = {&hvf_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "cpu-hvf",
    .version = "0.1.0",
    .models = hvf_models,
};
