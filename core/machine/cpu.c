/* SPDX-License-Identifier: MIT
 *
 * machine/cpu.c - the CPU backend: chosen, given memory, CPUID and a first state.
 */
#include "machine/machine_private.h"

#include "plugin/normalise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MSR_IA32_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRING 1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u /* SDM 3A, 12.11.2.1: E, default type 6 */

/* ---- choosing -----------------------------------------------------------------------------------
 */

static void cpu_node_init(struct bp_machine *m, const struct model *model)
{
    node_release(&m->cpu_node); /* of a backend that was tried before */
    m->cpu_node = (struct bp_node){
        .machine = m, .name = "cpu", .model = model, .domain = m->platform_domain, .loop = m->loop};
}

/* Loads a backend and asks it whether it can run this machine here. 0; or -ENOENT if it is not
 * installed, -errno if it refuses or would bring what the machine has, with the reason. */
static int try_backend(struct bp_machine *m, const char *name, const struct model **model,
                       struct error *why)
{
    const struct plugin *plugin;
    struct error said;

    int err = plugins_load(m->plugins, name, NULL, &plugin, &said);
    if (err == -ENOENT)
        return error_set(why, err, "%s is not installed", name);
    if (!err)
        err = plugin_model(plugin, NULL, model, &said);
    if (!err && (*model)->kind != BP_KIND_CPU)
        err = error_set(&said, -EINVAL, "it is no CPU backend");
    if (err)
        return error_set(why, err, "%s: %.900s", name, said.text);
    const struct plan_instance *irqchip = plan_irqchip(&m->plan);
    if (irqchip && (*model)->flags & BP_MODEL_IRQCHIP)
        return error_set(why, -EEXIST, "%s has interrupt controllers of its own, beside [%s]", name,
                         irqchip->name);
    cpu_node_init(m, *model);
    int64_t features = (*model)->cpu.probe(&machine_host, &m->cpu_node);
    if (features >= 0)
        return 0;
    return error_set(why, (int)features, "%s: %.900s", name,
                     node_failure(&m->cpu_node, (int)features, &said));
}

/* The first backend of `plugin = auto` that can run this machine. A better one that refused is
 * worth a warning: the machine will be slower than its user may think. */
static int choose(struct bp_machine *m)
{
    char all[2048] = "";
    bool refused = false;

    for (const char *const *name = plan_auto_backends; *name; name++) {
        struct error why;
        int err = try_backend(m, *name, &m->cpu_model, &why);
        if (!err) {
            machine_log(m, refused ? BP_LOG_WARN : BP_LOG_INFO, "the CPU backend is %s%s%s", *name,
                        *all ? "; passed over: " : "", all);
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof(all) - used, "%s%s", used ? "; " : "", why.text);
        refused |= err != -ENOENT;
    }
    m->cpu_model = NULL;
    machine_log(m, BP_LOG_ERROR, "no CPU backend can run this machine: %s", all);
    return -ENODEV;
}

int machine_cpu_choose(struct bp_machine *m)
{
    m->cpu_model = m->plan.cpu_model;
    if (m->cpu_model)
        return 0;
    int err = choose(m);
    /* A board may have more to bring for this backend. */
    if (!err && !(m->cpu_model->flags & BP_MODEL_IRQCHIP))
        err = machine_plan_for(m, m->cpu_model);
    return err;
}

/* ---- memory -------------------------------------------------------------------------------------
 */

struct slot_list {
    struct bp_mem_slot *slots;
    uint32_t count, capacity;
    bool failed;
};

static void collect_slot(void *context, uint64_t gpa, uint64_t length, uint8_t *host,
                         uint32_t flags)
{
    struct slot_list *list = context;

    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 8;
        struct bp_mem_slot *slots = realloc(list->slots, capacity * sizeof(*slots));
        if (!slots) {
            list->failed = true;
            return;
        }
        list->slots = slots;
        list->capacity = capacity;
    }
    list->slots[list->count++] = (struct bp_mem_slot){.size = sizeof(struct bp_mem_slot),
                                                      .index = UINT32_MAX,
                                                      .flags = flags & BP_RAM_READONLY,
                                                      .gpa = gpa,
                                                      .length = length,
                                                      .host = host};
}

static bool same_slot(const struct bp_mem_slot *a, const struct bp_mem_slot *b)
{
    return a->gpa == b->gpa && a->length == b->length && a->host == b->host && a->flags == b->flags;
}

/* The smallest index that no slot in the list has. */
static uint32_t free_index(const struct slot_list *list)
{
    for (uint32_t index = 0;; index++) {
        bool used = false;
        for (uint32_t i = 0; i < list->count; i++)
            used |= list->slots[i].index == index;
        if (!used)
            return index;
    }
}

/* While the machine is built that ends it. Later the guest's accesses go to the bus, which answers
 * for memory too; it may do this again and again. */
static void slot_refused(struct bp_machine *m, const struct bp_mem_slot *slot, int err)
{
    m->mem_error = err;
    if (m->vcpus && limit_passes(&m->memory_limit, NULL))
        machine_log(m, BP_LOG_WARN, "%s does not take 0x%llx bytes of memory at 0x%llx: it is slow",
                    m->cpu_model->plugin->name, (unsigned long long)slot->length,
                    (unsigned long long)slot->gpa);
}

void machine_memory_changed(void *machine, struct bus *bus)
{
    struct bp_machine *m = machine;
    struct slot_list now = {0};

    if (!m->vm)
        return;
    bus_memory_slots(bus, collect_slot, &now);
    if (now.failed) {
        m->mem_error = -ENOMEM;
        free(now.slots);
        return;
    }
    for (uint32_t i = 0; i < m->mem_slot_count; i++) {
        struct bp_mem_slot gone = m->mem_slots[i];
        bool kept = false;
        for (uint32_t k = 0; k < now.count; k++) {
            if (same_slot(&gone, &now.slots[k])) {
                now.slots[k].index = gone.index;
                kept = true;
            }
        }
        gone.length = 0;
        if (!kept)
            m->cpu_model->cpu.mem_set(m->vm, &gone);
    }
    for (uint32_t k = 0; k < now.count; k++) {
        if (now.slots[k].index != UINT32_MAX)
            continue;
        now.slots[k].index = free_index(&now);
        int err = m->cpu_model->cpu.mem_set(m->vm, &now.slots[k]);
        if (err) {
            slot_refused(m, &now.slots[k], err);
            now.slots[k].length = 0;
        }
    }
    /* What was refused is tried again at the next change. */
    uint32_t kept = 0;
    for (uint32_t k = 0; k < now.count; k++)
        if (now.slots[k].length)
            now.slots[kept++] = now.slots[k];
    free(m->mem_slots);
    m->mem_slots = now.slots;
    m->mem_slot_count = kept;
}

/* ---- interrupts
 * ----------------------------------------------------------------------------------- */

static void sink(void *machine, uint32_t line, uint32_t level)
{
    struct bp_machine *m = machine;

    m->cpu_model->cpu.irq(m->vm, line, level);
}

static void irqchip_sink(void *machine, uint32_t line, uint32_t level)
{
    const struct bp_machine *m = machine;

    m->irqchip_ops.line_set(m->irqchip.self, line, level);
}

int machine_irqchip_connect(struct bp_machine *m, struct bp_node *node)
{
    const void *ops = node->model->instance.extension(node->self, BP_IRQCHIP_ID);
    struct error why;

    if (!ops)
        return node_fail(node, -EINVAL,
                         "its model claims to be interrupt controllers, but it does "
                         "not offer " BP_IRQCHIP_ID);
    if (normalise(&m->irqchip_ops, interface_find(BP_IRQCHIP_ID)->table, ops, &why))
        return node_fail(node, -EINVAL, "what it offers as " BP_IRQCHIP_ID " is broken: %.900s",
                         why.text);
    m->irqchip_node = node;
    m->irqchip = (struct bp_peer){.ops = &m->irqchip_ops, .self = node->self};
    irq_router_connect(&m->router, irqchip_sink, m);
    return 0;
}

/* ---- the VM
 * ----------------------------------------------------------------------------------------- */

int machine_cpu_create(struct bp_machine *m)
{
    const struct bp_cpu_ops *ops = &m->cpu_model->cpu;
    cpu_node_init(m, m->cpu_model);
    void *config =
        m->plan.cpu_config ? m->plan.cpu_config : plan_default_config(&m->plan, m->cpu_model);
    int err =
        config ? ops->vm_create(&machine_host, &m->cpu_node, config, m->plan.machine.cpus, &m->vm)
               : -ENOMEM;
    if (err) {
        m->vm = NULL;
        machine_log(m, BP_LOG_ERROR, "%s: %s", m->cpu_model->plugin->name,
                    node_failure(&m->cpu_node, err, &(struct error){""}));
        return -ENODEV;
    }
    m->cpu_features = ops->vm_features(m->vm);
    bool own = m->cpu_features & BP_CPU_IRQCHIP;
    if (own != !!(m->cpu_model->flags & BP_MODEL_IRQCHIP)) {
        machine_log(m, BP_LOG_ERROR,
                    "%s contradicts itself: its model is %s BP_MODEL_IRQCHIP, and its VM %s "
                    "BP_CPU_IRQCHIP",
                    m->cpu_model->plugin->name, own ? "without" : "with", own ? "has" : "lacks");
        return -EINVAL;
    }
    if (!own && !plan_irqchip(&m->plan))
        machine_log(m, BP_LOG_INFO,
                    "neither %s nor a section brings interrupt controllers: interrupts go nowhere",
                    m->cpu_model->plugin->name);
    machine_memory_changed(m, m->bus); /* RAM was there before the VM */
    if (m->mem_error) {
        machine_log(m, BP_LOG_ERROR, "%s refuses this machine's memory: %s",
                    m->cpu_model->plugin->name,
                    node_failure(&m->cpu_node, m->mem_error, &(struct error){""}));
        return m->mem_error;
    }
    if (own)
        irq_router_connect(&m->router, sink, m);
    return 0;
}

static int set_cpuid(struct bp_vcpu *vcpu, void *argument)
{
    const struct bp_x86_cpuid *table = argument;

    return vcpu->ops->regs_set(vcpu->self, BP_X86_CPUID, table, sizeof(*table));
}

/* The level that was asked for; the default one gives way to what every x86-64 host has. */
static enum cpuid_level choose_level(struct bp_machine *m, const struct bp_x86_cpuid *offered,
                                     struct bp_x86_cpuid *scratch)
{
    enum cpuid_level level = (enum cpuid_level)m->plan.cpu.level;
    struct error e = {""};

    if (m->plan.cpu.level_given || level != CPUID_V3 ||
        cpuid_compute(offered, level, 0, m->plan.machine.cpus, scratch, &e) != -ENOTSUP)
        return level;
    machine_log(m, BP_LOG_INFO, "%s cannot offer x86-64-v3, the default: the guest has v2",
                m->cpu_model->plugin->name);
    return CPUID_V2;
}

/* The table that each vCPU announces is computed here, whatever the backend. */
static int give_cpuid(struct bp_machine *m)
{
    uint32_t cpus = m->plan.machine.cpus;
    enum cpuid_level level = CPUID_V2;
    struct bp_x86_cpuid *tables = calloc(2, sizeof(*tables));
    struct bp_x86_cpuid *offered = tables, *given = tables + 1;
    struct error e = {""};
    int err = -ENOMEM;

    if (!tables)
        return err;
    err = m->cpu_model->cpu.vm_get(m->vm, BP_X86_CPUID, offered, sizeof(*offered));
    if (!err)
        level = choose_level(m, offered, given);
    for (uint32_t i = 0; i < cpus && !err; i++) {
        err = cpuid_compute(offered, level, i, cpus, given, &e);
        if (err)
            machine_log(m, BP_LOG_ERROR, "%s: %s", m->cpu_model->plugin->name, e.text);
        else
            err = vcpus_call(m->vcpus, i, set_cpuid, given);
    }
    if (err && !e.text[0])
        machine_log(m, BP_LOG_ERROR, "%s: the processor's CPUID cannot be set: %s",
                    m->cpu_model->plugin->name,
                    node_failure(&m->cpu_node, err, &(struct error){""}));
    free(tables);
    return err;
}

/* ---- vCPUs
 * -------------------------------------------------------------------------------------------- */

/* A vCPU left the guest for good. [vcpu] */
static void vcpu_stopped(void *machine, struct bp_vcpu *vcpu, int stop)
{
    struct bp_machine *m = machine;

    if (stop == BP_STOP_TRIPLE_FAULT) {
        struct bp_x86_gpr r = {0};
        struct bp_x86_sys s = {0};
        vcpu->ops->regs_get(vcpu->self, BP_X86_GPR, &r, sizeof(r));
        vcpu->ops->regs_get(vcpu->self, BP_X86_SYS, &s, sizeof(s));
        machine_log(m, BP_LOG_ERROR,
                    "vCPU %u: triple fault at rip 0x%llx rsp 0x%llx rflags 0x%llx cs 0x%x "
                    "cr0 0x%llx cr2 0x%llx cr3 0x%llx cr4 0x%llx efer 0x%llx",
                    vcpu->index, (unsigned long long)r.rip, (unsigned long long)r.rsp,
                    (unsigned long long)r.rflags, s.cs.selector, (unsigned long long)s.cr0,
                    (unsigned long long)s.cr2, (unsigned long long)s.cr3, (unsigned long long)s.cr4,
                    (unsigned long long)s.efer);
        machine_request(m, REQUEST_TRIPLE_FAULT, vcpu->index);
    } else {
        struct error why;
        if (stop < 0)
            machine_log(m, BP_LOG_ERROR, "vCPU %u: %s", vcpu->index,
                        node_failure(&m->cpu_node, stop, &why));
        else
            machine_log(m, BP_LOG_ERROR,
                        "vCPU %u: %s stopped it for reason %d, which nothing here asked for",
                        vcpu->index, m->cpu_model->plugin->name, stop);
        machine_request(m, REQUEST_FAILED, vcpu->index);
    }
}

int machine_vcpus_create(struct bp_machine *m)
{
    const struct vcpu_events events = {.stopped = vcpu_stopped, .context = m};
    struct vcpus *vcpus = NULL;
    int err = vcpus_new(m->plan.machine.cpus, &m->cpu_model->cpu, m->vm, m->bus, &m->bus_ops,
                        &events, &vcpus);

    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s: %s", m->cpu_model->plugin->name,
                    node_failure(&m->cpu_node, err, &(struct error){""}));
        return err;
    }
    __atomic_store_n(&m->vcpus, vcpus, __ATOMIC_RELEASE);
    return give_cpuid(m);
}

/* What firmware would have left in every processor, beyond the architecture's power-on state. */
static int reset_one(struct bp_vcpu *vcpu, void *argument)
{
    static const struct bp_x86_msr firmware[] = {
        {MSR_IA32_MISC_ENABLE, 0, MISC_ENABLE_FAST_STRING},
        {MSR_MTRR_DEF_TYPE, 0, MTRR_ENABLED_WRITE_BACK},
    };
    const struct boot_state *state = argument;
    const struct bp_cpu_ops *ops = vcpu->ops;

    int err = ops->vcpu_reset(vcpu->self);
    if (err || state->power_on) /* then firmware does this itself */
        return err;
    struct bp_x86_msrs *msrs = calloc(1, sizeof(*msrs));
    if (!msrs)
        return -ENOMEM;
    msrs->count = sizeof(firmware) / sizeof(firmware[0]);
    memcpy(msrs->msrs, firmware, sizeof(firmware));
    err = ops->regs_set(vcpu->self, BP_X86_MSR, msrs, sizeof(*msrs));
    free(msrs);
    if (err || vcpu->index)
        return err;
    err = ops->regs_set(vcpu->self, BP_X86_SYS, &state->sys, sizeof(state->sys));
    if (!err)
        err = ops->regs_set(vcpu->self, BP_X86_GPR, &state->gpr, sizeof(state->gpr));
    return err;
}

int machine_vcpus_reset(struct bp_machine *m, const struct boot_state *state)
{
    int err = 0;

    for (uint32_t i = 0; i < m->plan.machine.cpus && !err; i++)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): drops const, which reset_one() adds again */
        err = vcpus_call(m->vcpus, i, reset_one, (void *)(uintptr_t)state);
    if (err)
        machine_log(m, BP_LOG_ERROR, "%s: the processor's first state cannot be set: %s",
                    m->cpu_model->plugin->name,
                    node_failure(&m->cpu_node, err, &(struct error){""}));
    return err;
}

void machine_cpu_destroy(struct bp_machine *m)
{
    struct vcpus *vcpus = __atomic_exchange_n(&m->vcpus, NULL, __ATOMIC_ACQ_REL);

    vcpus_free(vcpus);
    if (m->vm) {
        irq_router_connect(&m->router, NULL, NULL);
        m->cpu_model->cpu.vm_destroy(m->vm);
    }
    m->irqchip = (struct bp_peer){0};
    m->irqchip_node = NULL;
    m->vm = NULL;
    node_release(&m->cpu_node);
    m->cpu_node = (struct bp_node){0};
    m->cpu_features = 0;
    free(m->mem_slots);
    m->mem_slots = NULL;
    m->mem_slot_count = 0;
}
