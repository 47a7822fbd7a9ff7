/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/arm64/plugin.c - the plugin's table, and the VM: one a process, as the framework has it.
 */
#include "hvf.h"

#include <backplane/plugin.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *hvf_error(hv_return_t result)
{
    switch (result) {
    case HV_ERROR:
        return "HV_ERROR";
    case HV_BUSY:
        return "HV_BUSY: this process has a virtual machine already";
    case HV_BAD_ARGUMENT:
        return "HV_BAD_ARGUMENT";
    case HV_NO_RESOURCES:
        return "HV_NO_RESOURCES";
    case HV_NO_DEVICE:
        return "HV_NO_DEVICE";
    case HV_DENIED:
        return "HV_DENIED: sign the program with com.apple.security.hypervisor "
               "(scripts/sign-macos)";
    case HV_UNSUPPORTED:
        return "HV_UNSUPPORTED";
    default:
        return "an unknown error";
    }
}

static int64_t probe(const struct bp_host *host, struct bp_node *node)
{
    return bp_failf(host, node, -ENOTSUP,
                    "this Mac's processor runs arm64 guests, and there is no arm64 machine yet; "
                    "x86 machines run by cpu-interp here");
}

static int vm_create(const struct bp_host *host, struct bp_node *node, const void *config,
                     uint32_t vcpus, void **self)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    hv_return_t result;

    (void)config;
    if (!vm)
        return bp_failf(host, node, -ENOMEM, "out of memory");
    result = hv_vm_create(NULL);
    if (result != HV_SUCCESS) {
        free(vm);
        return bp_failf(host, node, result == HV_DENIED ? -EACCES : -EIO,
                        "Hypervisor.framework makes no virtual machine: %s", hvf_error(result));
    }
    vm->host = host;
    vm->node = node;
    vm->vcpu_count = vcpus;
    pthread_mutex_init(&vm->lock, NULL);
    *self = vm;
    return 0;
}

static void vm_destroy(void *self)
{
    struct vm *vm = self;

    hv_vm_destroy();
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}

static uint32_t vm_features(void *self)
{
    (void)self;
    return 0;
}

/* Pages of 16 KiB are the framework's to insist on: it says so by HV_BAD_ARGUMENT. */
static int mem_set(void *self, const struct bp_mem_slot *slot)
{
    struct vm *vm = self;
    hv_return_t result = HV_SUCCESS;
    struct bp_mem_slot *mine;

    if (slot->index >= HVF_SLOTS)
        return bp_failf(vm->host, vm->node, -EINVAL, "memory slot %u is not below %u", slot->index,
                        HVF_SLOTS);
    pthread_mutex_lock(&vm->lock);
    mine = &vm->slots[slot->index];
    if (mine->length)
        result = hv_vm_unmap(mine->gpa, mine->length);
    if (result == HV_SUCCESS) {
        mine->length = 0;
        if (slot->length)
            result = hv_vm_map(slot->host, slot->gpa, slot->length,
                               slot->flags & BP_RAM_READONLY
                                   ? HV_MEMORY_READ | HV_MEMORY_EXEC
                                   : HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC);
        if (result == HV_SUCCESS)
            *mine = *slot;
    }
    pthread_mutex_unlock(&vm->lock);
    if (result != HV_SUCCESS)
        return bp_failf(vm->host, vm->node, result == HV_BAD_ARGUMENT ? -EINVAL : -EIO,
                        "memory slot %u at 0x%llx cannot be set: %s", slot->index,
                        (unsigned long long)slot->gpa, hvf_error(result));
    return 0;
}

static int vm_get(void *self, const char *set, void *state, uint32_t size)
{
    (void)self;
    (void)set;
    (void)state;
    (void)size;
    return -ENOENT;
}

static int vm_set(void *self, const char *set, const void *state, uint32_t size)
{
    (void)self;
    (void)set;
    (void)state;
    (void)size;
    return -ENOENT;
}

/* The virtual counter's offset is to move by the time that the machine stood: with the timer, which
 * comes with the machine. */
static void vm_time(void *self, uint32_t runs)
{
    (void)self;
    (void)runs;
}

static const struct bp_cpu_ops hvf_ops = {
    .size = sizeof(hvf_ops),
    .probe = probe,
    .vm_create = vm_create,
    .vm_destroy = vm_destroy,
    .vm_features = vm_features,
    .mem_set = mem_set,
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
};

static const struct bp_prop hvf_props[] = {{.name = NULL}};

static const struct bp_model hvf_model = {
    .size = sizeof(hvf_model),
    .kind = BP_KIND_CPU,
    .id = "hvf",
    .summary = "The host's processor, by macOS' Hypervisor.framework (arm64: no machine yet)",
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
