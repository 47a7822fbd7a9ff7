/* SPDX-License-Identifier: MIT
 *
 * bench-cpu - a CPU backend without a CPU: its only vCPU makes a number of accesses to the bus, and
 * then waits to be kicked. What an access costs in user space, and nothing of KVM's, can be counted
 * with it.
 *
 * It offers the host's own CPUID, takes every register set, and runs no guest code at all.
 */
#include <backplane/ext/x86.h>
#include <backplane/plugin.h>
#include <cpuid.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

struct cpu_config {
    uint64_t accesses;
    uint64_t address;
    uint32_t space; /* index into `spaces` */
};

static const char *const spaces[] = {"pio", "mmio", NULL};

struct cpu_vm {
    const struct cpu_config *config;
};

struct cpu {
    const struct cpu_config *config;
    struct bp_vcpu *vcpu;
    const struct bp_bus *bus;
    sem_t kicked;
    uint64_t done;
};

static int64_t cpu_probe(const struct bp_host *host, struct bp_node *node)
{
    (void)host;
    (void)node;
    return BP_CPU_IRQCHIP;
}

static int cpu_vm_create(const struct bp_host *host, struct bp_node *node, const void *config,
                         uint32_t vcpus, void **vm)
{
    struct cpu_vm *v = malloc(sizeof(*v));

    (void)vcpus;
    if (!v)
        return host->fail(node, -ENOMEM, "no memory for the VM");
    v->config = config;
    *vm = v;
    return 0;
}

static uint32_t cpu_vm_features(void *vm)
{
    (void)vm;
    return BP_CPU_IRQCHIP;
}

static int cpu_mem_set(void *vm, const struct bp_mem_slot *slot)
{
    (void)vm;
    (void)slot;
    return 0;
}

static int cpu_vcpu_create(void *vm, uint32_t index, struct bp_vcpu *vcpu, const struct bp_bus *bus,
                           void **self)
{
    struct cpu *c = calloc(1, sizeof(*c));

    (void)index;
    if (!c)
        return -ENOMEM;
    c->config = ((struct cpu_vm *)vm)->config;
    c->vcpu = vcpu;
    c->bus = bus;
    sem_init(&c->kicked, 0, 0);
    *self = c;
    return 0;
}

static void cpu_vcpu_destroy(void *self)
{
    struct cpu *c = self;

    sem_destroy(&c->kicked);
    free(c);
}

static int cpu_vcpu_reset(void *self)
{
    struct cpu *c = self;

    c->done = 0;
    return 0;
}

static int cpu_vcpu_run(void *self)
{
    struct cpu *c = self;
    uint64_t left = c->config->accesses - c->done;

    if (c->config->space == 0)
        for (; left > 0; left--)
            c->bus->pio_write(c->vcpu, (uint16_t)c->config->address, 0, 1);
    else
        for (; left > 0; left--)
            c->bus->mmio_write(c->vcpu, c->config->address, 0, 1);
    c->done = c->config->accesses;
    while (sem_wait(&c->kicked) && errno == EINTR)
        ;
    return BP_STOP_KICKED;
}

static void cpu_vcpu_kick(void *self)
{
    struct cpu *c = self;

    sem_post(&c->kicked);
}

static int cpu_regs_get(void *self, const char *set, void *regs, uint32_t size)
{
    (void)self;
    (void)set;
    memset(regs, 0, size);
    return 0;
}

static int cpu_regs_set(void *self, const char *set, const void *regs, uint32_t size)
{
    (void)self;
    (void)set;
    (void)regs;
    (void)size;
    return 0;
}

static void add_leaves(struct bp_x86_cpuid *table, uint32_t from)
{
    uint32_t last = (uint32_t)__get_cpuid_max(from, NULL);

    for (uint32_t leaf = from; leaf <= last && leaf < from + 32 && table->count < BP_X86_CPUID_MAX;
         leaf++) {
        struct bp_x86_cpuid_leaf *l = &table->leaves[table->count++];

        *l = (struct bp_x86_cpuid_leaf){.leaf = leaf};
        __cpuid_count(leaf, 0, l->eax, l->ebx, l->ecx, l->edx);
    }
}

static int cpu_vm_get(void *vm, const char *set, void *state, uint32_t size)
{
    (void)vm;
    if (strcmp(set, BP_X86_CPUID) != 0 || size != sizeof(struct bp_x86_cpuid))
        return -ENOENT;
    memset(state, 0, size);
    add_leaves(state, 0);
    add_leaves(state, 0x80000000u);
    return 0;
}

static int cpu_vm_set(void *vm, const char *set, const void *state, uint32_t size)
{
    (void)vm;
    (void)set;
    (void)state;
    (void)size;
    return 0;
}

static void cpu_vm_time(void *vm, uint32_t runs)
{
    (void)vm;
    (void)runs;
}

static void cpu_irq(void *vm, uint32_t line, uint32_t level)
{
    (void)vm;
    (void)line;
    (void)level;
}

static void cpu_msi(void *vm, uint64_t address, uint32_t data)
{
    (void)vm;
    (void)address;
    (void)data;
}

static const struct bp_cpu_ops cpu_ops = {
    .size = sizeof(struct bp_cpu_ops),
    .probe = cpu_probe,
    .vm_create = cpu_vm_create,
    .vm_destroy = free,
    .vm_features = cpu_vm_features,
    .mem_set = cpu_mem_set,
    .vcpu_create = cpu_vcpu_create,
    .vcpu_destroy = cpu_vcpu_destroy,
    .vcpu_reset = cpu_vcpu_reset,
    .vcpu_run = cpu_vcpu_run,
    .vcpu_kick = cpu_vcpu_kick,
    .regs_get = cpu_regs_get,
    .regs_set = cpu_regs_set,
    .vm_get = cpu_vm_get,
    .vm_set = cpu_vm_set,
    .vm_time = cpu_vm_time,
    .irq = cpu_irq,
    .msi = cpu_msi,
};

static const struct bp_prop cpu_props[] = {
    {.name = "accesses",
     .help = "accesses that the vCPU makes",
     .initial = "20000",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct cpu_config, accesses)},
    {.name = "address",
     .help = "port or guest-physical address",
     .initial = "0x5000",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct cpu_config, address)},
    {.name = "space",
     .help = "where `address` lies",
     .initial = "pio",
     .choices = spaces,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct cpu_config, space)},
    {0},
};

static const struct bp_model cpu_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_CPU,
    .flags = BP_MODEL_IRQCHIP,
    .id = "count",
    .summary = "no CPU: a vCPU that only accesses the bus, for tests/bench",
    .props = cpu_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct cpu_config),
    .cpu = &cpu_ops,
};

static const struct bp_model *const models[] = {&cpu_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "bench-cpu",
    .version = "0.1.0",
    .models = models,
};
