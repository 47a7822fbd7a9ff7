/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/plugin.c - the plugin's table: one model, `kvm`, that runs guests by Linux' KVM.
 */
#include "kvm.h"

#include <backplane/ext/dirty_log.h>
#include <backplane/ext/doorbell.h>
#include <backplane/ext/posted.h>
#include <backplane/plugin.h>

#include <string.h>

/* A string and not a path: whether the device can be opened is for vm_create() to say, in a
 * sentence that knows about modules and groups. `check` passes on a host without KVM. */
static const struct bp_prop kvm_props[] = {
    {.name = "device",
     .help = "Path of the KVM device",
     .initial = KVM_DEVICE,
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct kvm_config, device)},
    {.name = NULL},
};

const void *vm_extension(void *self, const char *id)
{
    const struct vm *vm = self;

    if (strcmp(id, BP_DOORBELL_ID) == 0)
        return doorbell_table();
    if (strcmp(id, BP_POSTED_ID) == 0)
        return vm->ring_page ? posted_table() : NULL;
    if (strcmp(id, BP_DIRTY_LOG_ID) == 0)
        return dirty_log_table();
    if (strcmp(id, BP_DEBUG_ID) == 0)
        return debug_table();
    return NULL;
}

static const struct bp_cpu_ops kvm_ops = {
    .size = sizeof(kvm_ops),
    .probe = kvm_probe,
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
    .irq = vm_irq,
    .msi = vm_msi,
    .extension = vm_extension,
};

static const struct bp_model kvm_model = {
    .size = sizeof(kvm_model),
    .kind = BP_KIND_CPU,
    .id = "kvm",
    .summary = "The host's processor, by Linux' KVM",
    .props = kvm_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct kvm_config),
    .flags = BP_MODEL_IRQCHIP,
    .cpu = &kvm_ops,
};

static const struct bp_model *const kvm_models[] = {&kvm_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "cpu-kvm",
    .version = "0.1.0",
    .models = kvm_models,
};
