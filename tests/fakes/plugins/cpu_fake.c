/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/cpu_fake.c - a CPU backend for tests of the machine: it runs a bytecode of its own
 * from guest RAM, so that machines start, pause, reset and end on any host, without a
 * virtualization and in no time.
 *
 * An instruction is 16 bytes, little endian: op (1), width (1), reserved (2), count (4), then
 * address or port (8). Beginning at rip: see enum op. Registers: rax is loaded by IN and READ, and
 * by LOAD.
 *
 * With `posts = yes` it offers "bp.posted/1". It leaves the guest for every access but those to RAM
 * and to what is posted.
 *
 * With FAKE_CHIPLESS it has no interrupt controllers: it takes them from the host, and waits in HLT
 * for what they have.
 */
#include "cpu_posted.h"

#include <backplane/ext/irqchip.h>
#include <backplane/ext/posted.h>
#include <backplane/ext/x86.h>
#include <backplane/plugin.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum op {
    OP_OUT = 1,   /* port = address, value = rax */
    OP_IN,        /* rax = port */
    OP_WRITE,     /* MMIO or RAM through the bus: [address] = rax */
    OP_READ,      /* rax = [address] */
    OP_LOAD,      /* rax = address */
    OP_JUMP,      /* rip = address */
    OP_HLT,       /* wait for an interrupt line to rise, or a kick */
    OP_TRIPLE,    /* triple fault */
    OP_FAIL,      /* vcpu_run() fails */
    OP_JUMP_ZERO, /* if rax == 0: rip = address */
    OP_REPEAT,    /* OUT `count` times to port = address, value = rax */
    OP_NAME,      /* rax = the vCPU's index */
    OP_STOP,      /* vcpu_run() gives `address` */
    OP_ACK,       /* rax = vector of the interrupt that is taken; 0: the controllers have none */
    OP_CHIP,      /* rax = 1 if the host has interrupt controllers, else 0 */
    OP_POSTED,    /* rax = how many ranges are posted */
};

#define VCPUS_MAX 8
#define APIC_PAGE 0xfee00000u

#ifdef FAKE_CHIPLESS
#define FEATURES 0
#define MODEL_FLAGS 0
#elif defined(FAKE_LIAR)
#define FEATURES BP_CPU_IRQCHIP
#define MODEL_FLAGS 0
#else
#define FEATURES BP_CPU_IRQCHIP
#define MODEL_FLAGS BP_MODEL_IRQCHIP
#endif

#define TOGETHER_RIP 0x1000 /* where tests load their code */

struct fake_vcpu;

struct fake_vm {
    const struct bp_host *host;
    struct bp_node *node;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint64_t rises; /* of interrupt lines */
    struct posted posted;
    uint8_t together, posts;
    struct bp_mem_slot slots[16];
};

struct fake_vcpu {
    struct fake_vm *vm;
    struct bp_vcpu *vcpu;
    const struct bp_bus *bus;
    uint32_t index, kicked;
    uint64_t seen_rises;
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;
    struct bp_x86_cpuid cpuid;
    const struct bp_peer *chip; /* NULL: none */
    struct bp_irqchip_view view;
};

struct fake_config {
    uint8_t usable, together, posts;
};

/* Built under the names of real backends too, to see which of them `auto` takes. */
#ifndef FAKE_NAME
#define FAKE_NAME "cpu-fake"
#endif

static int64_t fake_probe(const struct bp_host *host, struct bp_node *node)
{
#ifdef FAKE_REFUSES
    return host->fail(node, -ENODEV, "this one runs nothing here");
#else
    struct bp_region *region;
    void *at;

    if (host->region_new(node, BP_SPACE_PIO, 1, NULL, NULL, &region) != -EINVAL ||
        host->ram_region_new(node, 4096, 0, -1, 0, &at, &region) != -EINVAL ||
        host->fd_watch(node, 0, BP_FD_READ, NULL, NULL) != -EINVAL ||
        host->timer_set(node, 0, 0) != -ENOTSUP || host->dma_read(node, 0, &at, 1) != -EFAULT)
        return host->fail(node, -EIO, "there is a machine before it was made");
    return FEATURES;
#endif
}

static int fake_vm_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          uint32_t vcpus, void **out)
{
    const struct fake_config *c = config;

    if (!c->usable)
        return host->fail(node, -ENODEV, "this backend was told to refuse");
    if (vcpus > VCPUS_MAX)
        return bp_failf(host, node, -EINVAL, "%u vCPUs are more than %d", vcpus, VCPUS_MAX);
    struct fake_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return -ENOMEM;
    vm->host = host;
    vm->node = node;
    vm->together = c->together;
    vm->posts = c->posts;
    pthread_mutex_init(&vm->lock, NULL);
    posted_init(&vm->posted);
    pthread_cond_init(&vm->wake, NULL);
    *out = vm;
    return 0;
}

static void fake_vm_destroy(void *self)
{
    struct fake_vm *vm = self;

    pthread_mutex_destroy(&vm->lock);
    posted_exit(&vm->posted);
    pthread_cond_destroy(&vm->wake);
    free(vm);
}

static uint32_t fake_features(void *vm)
{
    (void)vm;
    return FEATURES;
}

static int fake_mem_set(void *self, const struct bp_mem_slot *slot)
{
    struct fake_vm *vm = self;

    if (slot->index >= sizeof(vm->slots) / sizeof(vm->slots[0]))
        return -ENOSPC;
    vm->slots[slot->index] = *slot;
    return 0;
}

static void attention(void *self)
{
    struct fake_vcpu *v = self;

    pthread_mutex_lock(&v->vm->lock);
    pthread_cond_broadcast(&v->vm->wake);
    pthread_mutex_unlock(&v->vm->lock);
}

static uint64_t fake_tsc(void *self)
{
    struct fake_vcpu *v = self;

    return v->vm->host->clock_ns(v->vm->node);
}

static int fake_vcpu_create(void *vm, uint32_t index, struct bp_vcpu *vcpu,
                            const struct bp_bus *bus, void **out)
{
    struct fake_vcpu *v = calloc(1, sizeof(*v));

    if (!v)
        return -ENOMEM;
    v->vm = vm;
    v->vcpu = vcpu;
    v->bus = bus;
    v->index = index;
    v->chip = v->vm->host->extension(v->vm->node, BP_IRQCHIP_ID);
    if (v->chip) {
        const struct bp_irqchip *ops = v->chip->ops;
        const struct bp_irqchip_vcpu user = {.size = sizeof(user),
                                             .context = v,
                                             .attention = attention,
                                             .tsc = fake_tsc,
                                             .tsc_hz = 1000000000};
        v->view.size = sizeof(v->view);
        int err = ops->attach(v->chip->self, index, &user, &v->view);
        if (err) {
            free(v);
            return err;
        }
    }
    *out = v;
    return 0;
}

static void fake_vcpu_destroy(void *self)
{
    struct fake_vcpu *v = self;

    if (v->chip)
        ((const struct bp_irqchip *)v->chip->ops)->detach(v->chip->self, v->index);
    free(v);
}

static int fake_vcpu_reset(void *self)
{
    struct fake_vcpu *v = self;

    memset(&v->gpr, 0, sizeof(v->gpr));
    memset(&v->sys, 0, sizeof(v->sys));
    return 0;
}

/* The 16 bytes at rip, from the memory slots as a real backend would. */
static const uint8_t *fetch(const struct fake_vcpu *v)
{
    for (size_t i = 0; i < sizeof(v->vm->slots) / sizeof(v->vm->slots[0]); i++) {
        const struct bp_mem_slot *s = &v->vm->slots[i];
        if (s->length >= 16 && v->gpr.rip >= s->gpa && v->gpr.rip - s->gpa <= s->length - 16)
            return s->host + (v->gpr.rip - s->gpa);
    }
    return NULL;
}

static int kicked(struct fake_vcpu *v)
{
    return __atomic_exchange_n(&v->kicked, 0, __ATOMIC_ACQ_REL) != 0;
}

static int interrupted(const struct fake_vcpu *v)
{
    return v->chip ? (__atomic_load_n(v->view.pending, __ATOMIC_ACQUIRE) & BP_IRQCHIP_INTR) != 0
                   : v->vm->rises != v->seen_rises;
}

/* The page of the local APIC, which is no region of the bus. */
static int apic_access(struct fake_vcpu *v, uint64_t address, uint32_t width, int is_write)
{
    const struct bp_irqchip *ops = v->chip ? v->chip->ops : NULL;
    uint64_t offset = address - APIC_PAGE;

    if (!ops || offset >= 4096)
        return -ENOENT;
    return is_write ? ops->mmio_write(v->chip->self, v->index, (uint32_t)offset, width, v->gpr.rax)
                    : ops->mmio_read(v->chip->self, v->index, (uint32_t)offset, width, &v->gpr.rax);
}

static uint64_t acknowledge(const struct fake_vcpu *v)
{
    const struct bp_irqchip *ops = v->chip ? v->chip->ops : NULL;
    int32_t vector = ops ? ops->acknowledge(v->chip->self, v->index) : 0;

    return vector < 0 ? 0 : (uint64_t)vector;
}

/* ---- posted writes ---- */

static int fake_post(void *self, uint64_t gpa, uint64_t length, uint32_t on)
{
    return posted_range(&((struct fake_vm *)self)->posted, gpa, length, on);
}

static void fake_deliver(void *self,
                         void (*write)(void *context, uint64_t gpa, uint64_t value, uint32_t width),
                         void *context)
{
    posted_hand_over(&((struct fake_vm *)self)->posted, write, context);
}

static const void *fake_extension(void *self, const char *id)
{
    static const struct bp_cpu_posted posted = {
        .size = sizeof(posted), .post = fake_post, .deliver = fake_deliver};

    return !strcmp(id, BP_POSTED_ID) && ((struct fake_vm *)self)->posts ? &posted : NULL;
}

static void write_by_bus(void *context, uint64_t gpa, uint64_t value, uint32_t width)
{
    const struct fake_vcpu *v = context;

    v->bus->mmio_write(v->vcpu, gpa, value, width);
}

/* The vCPU leaves the guest: for an access to `gpa`, unless that is RAM, or altogether. */
static void leave(struct fake_vcpu *v)
{
    fake_deliver(v->vm, write_by_bus, v);
}

static void leave_for(struct fake_vcpu *v, uint64_t gpa)
{
    struct bp_slot slot;

    if (v->bus->resolve(v->vcpu, gpa, &slot) || !slot.ram)
        leave(v);
}

static void halt(struct fake_vcpu *v)
{
    struct fake_vm *vm = v->vm;

    pthread_mutex_lock(&vm->lock);
    while (!interrupted(v) && !__atomic_load_n(&v->kicked, __ATOMIC_ACQUIRE))
        pthread_cond_wait(&vm->wake, &vm->lock);
    v->seen_rises = vm->rises;
    pthread_mutex_unlock(&vm->lock);
}

static int run(struct fake_vcpu *v)
{
    const struct bp_bus *bus = v->bus;
    const struct bp_host *host = v->vm->host;

    if (v->index && !v->gpr.rip)
        v->gpr.rip = TOGETHER_RIP;
    while (!kicked(v)) {
        const uint8_t *code = fetch(v);
        if (v->index &&
            !v->vm->together) { /* application processors wait for a start that never comes */
            halt(v);
            continue;
        }
        if (!code)
            return bp_failf(host, v->vm->node, -EFAULT, "no memory at rip 0x%llx",
                            (unsigned long long)v->gpr.rip);
        uint8_t op = code[0], width = code[1];
        uint32_t count = bp_le32(code + 4);
        uint64_t address = bp_le64(code + 8);
        uint64_t next = v->gpr.rip + 16;
        switch (op) {
        case OP_OUT:
            leave(v);
            bus->pio_write(v->vcpu, (uint16_t)address, (uint32_t)v->gpr.rax, width);
            break;
        case OP_REPEAT:
            for (uint32_t i = 0; i < count; i++)
                bus->pio_write(v->vcpu, (uint16_t)address, (uint32_t)v->gpr.rax, width);
            break;
        case OP_IN:
            leave(v);
            v->gpr.rax = bus->pio_read(v->vcpu, (uint16_t)address, width);
            break;
        case OP_WRITE:
            if (posted_write(&v->vm->posted, address, v->gpr.rax, width))
                break;
            leave_for(v, address);
            if (apic_access(v, address, width, 1))
                bus->mmio_write(v->vcpu, address, v->gpr.rax, width);
            break;
        case OP_READ:
            leave_for(v, address);
            if (apic_access(v, address, width, 0))
                v->gpr.rax = bus->mmio_read(v->vcpu, address, width);
            break;
        case OP_LOAD:
            v->gpr.rax = address;
            break;
        case OP_JUMP:
            next = address;
            break;
        case OP_JUMP_ZERO:
            if (!v->gpr.rax)
                next = address;
            break;
        case OP_ACK:
            v->gpr.rax = acknowledge(v);
            break;
        case OP_CHIP:
            v->gpr.rax = v->chip != NULL;
            break;
        case OP_POSTED:
            v->gpr.rax = posted_ranges(&v->vm->posted);
            break;
        case OP_NAME:
            v->gpr.rax = v->index;
            break;
        case OP_HLT:
            halt(v);
            if (__atomic_load_n(&v->kicked, __ATOMIC_ACQUIRE))
                next = v->gpr.rip; /* not woken by an interrupt: halts again */
            break;
        case OP_STOP:
            return (int)address;
        case OP_TRIPLE:
            return BP_STOP_TRIPLE_FAULT;
        default:
            return bp_failf(host, v->vm->node, -EIO, "KVM_RUN of this fake failed at 0x%llx",
                            (unsigned long long)v->gpr.rip);
        }
        v->gpr.rip = next;
    }
    return BP_STOP_KICKED;
}

static int fake_vcpu_run(void *self)
{
    int stop = run(self);

    leave(self);
    return stop;
}

static void fake_kick(void *self)
{
    struct fake_vcpu *v = self;

    pthread_mutex_lock(&v->vm->lock);
    __atomic_store_n(&v->kicked, 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&v->vm->wake);
    pthread_mutex_unlock(&v->vm->lock);
}

struct set {
    const char *id;
    void *at;
    uint32_t size;
};

static struct set find_set(struct fake_vcpu *v, const char *id)
{
    const struct set sets[] = {{BP_X86_GPR, &v->gpr, sizeof(v->gpr)},
                               {BP_X86_SYS, &v->sys, sizeof(v->sys)},
                               {BP_X86_CPUID, &v->cpuid, sizeof(v->cpuid)}};
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        if (!strcmp(sets[i].id, id))
            return sets[i];
    return (struct set){0};
}

static int fake_regs_get(void *self, const char *id, void *regs, uint32_t size)
{
    struct set set = find_set(self, id);

    if (!set.at || set.size != size)
        return set.at ? -EINVAL : -ENOENT;
    memcpy(regs, set.at, size);
    return 0;
}

static int fake_regs_set(void *self, const char *id, const void *regs, uint32_t size)
{
    struct set set = find_set(self, id);

    if (!strcmp(id, BP_X86_MSR))
        return 0; /* it has none, and pretends */
    if (!set.at || set.size != size)
        return set.at ? -EINVAL : -ENOENT;
    memcpy(set.at, regs, size);
    return 0;
}

/* x86-64-v2, as any host of ours has it: the bits that the levels require. */
static int fake_vm_get(void *vm, const char *id, void *state, uint32_t size)
{
    static const struct bp_x86_cpuid_leaf leaves[] = {
        {0, 0, 0, 7, 0x756e6547, 0x6c65746e, 0x49656e69},
        {1, 0, 0, 0x000306a9, 0, 0x00b82201 | 1u << 26, 0x078bfbff},
        {7, 0, 1, 0, 0, 0, 0},
        {0x80000000, 0, 0, 0x80000008, 0, 0, 0},
        {0x80000001, 0, 0, 0, 0, 1, 0x2c100800},
        {0x80000008, 0, 0, 0x3028, 0, 0, 0},
    };
    struct bp_x86_cpuid *table = state;
    (void)vm;

    if (strcmp(id, BP_X86_CPUID) != 0)
        return -ENOENT;
    if (size != sizeof(*table))
        return -EINVAL;
    table->count = sizeof(leaves) / sizeof(leaves[0]);
    memcpy(table->leaves, leaves, sizeof(leaves));
    return 0;
}

static int fake_vm_set(void *vm, const char *id, const void *state, uint32_t size)
{
    (void)vm, (void)id, (void)state, (void)size;
    return -ENOENT;
}

static void fake_time(void *vm, uint32_t runs)
{
    (void)vm, (void)runs;
}

static void fake_irq(void *self, uint32_t line, uint32_t level)
{
    struct fake_vm *vm = self;
    (void)line;

    if (!level)
        return;
    pthread_mutex_lock(&vm->lock);
    vm->rises++;
    pthread_cond_broadcast(&vm->wake);
    pthread_mutex_unlock(&vm->lock);
}

static void fake_msi(void *vm, uint64_t address, uint32_t data)
{
    (void)address, (void)data;
    fake_irq(vm, 0, 1);
}

static const struct bp_cpu_ops fake_ops = {
    .size = sizeof(fake_ops),
    .probe = fake_probe,
    .vm_create = fake_vm_create,
    .vm_destroy = fake_vm_destroy,
    .vm_features = fake_features,
    .mem_set = fake_mem_set,
    .vcpu_create = fake_vcpu_create,
    .vcpu_destroy = fake_vcpu_destroy,
    .vcpu_reset = fake_vcpu_reset,
    .vcpu_run = fake_vcpu_run,
    .vcpu_kick = fake_kick,
    .regs_get = fake_regs_get,
    .regs_set = fake_regs_set,
    .vm_get = fake_vm_get,
    .vm_set = fake_vm_set,
    .vm_time = fake_time,
    .irq = fake_irq,
    .msi = fake_msi,
    .extension = fake_extension,
};

static const struct bp_prop fake_props[] = {
    {.name = "usable",
     .help = "no: the VM cannot be made",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct fake_config, usable)},
    {.name = "together",
     .help = "all vCPUs run the code, not the first alone",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct fake_config, together)},
    {.name = "posts",
     .help = "yes: writes to registers that may wait do so",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct fake_config, posts)},
    {0},
};

static const struct bp_model fake_model = {
    .size = sizeof(fake_model),
    .kind = BP_KIND_CPU,
    .id = "fake",
    .summary = "runs a bytecode for tests",
    .props = fake_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct fake_config),
    .flags = MODEL_FLAGS,
    .cpu = &fake_ops,
};

/* Devices that claim to be interrupt controllers: one offers nothing, one a table without members.
 */
static int claimant_create(const struct bp_host *host, struct bp_node *node, const void *config,
                           void **self)
{
    (void)host, (void)node, (void)config;
    *self = malloc(1);
    return *self ? 0 : -ENOMEM;
}

static void claimant_reset(void *self, uint32_t kind)
{
    (void)self, (void)kind;
}

static const void *torn_extension(void *self, const char *id)
{
    static const struct bp_irqchip torn = {.size = sizeof(torn)};

    (void)self;
    return strcmp(id, BP_IRQCHIP_ID) ? NULL : &torn;
}

static const struct bp_instance_ops hollow_ops = {.size = sizeof(hollow_ops),
                                                  .create = claimant_create,
                                                  .destroy = free,
                                                  .reset = claimant_reset};
static const struct bp_instance_ops torn_ops = {.size = sizeof(torn_ops),
                                                .create = claimant_create,
                                                .destroy = free,
                                                .reset = claimant_reset,
                                                .extension = torn_extension};
static const struct bp_prop no_props[] = {{0}};

#define CLAIMANT(name)                                                                             \
    {                                                                                              \
        .size = sizeof(struct bp_model), .kind = BP_KIND_DEVICE, .id = #name,                      \
        .summary = "claims to be interrupt controllers", .props = no_props,                        \
        .prop_stride = sizeof(struct bp_prop), .flags = BP_MODEL_SHARED | BP_MODEL_IRQCHIP,        \
        .instance = &name##_ops                                                                    \
    }
static const struct bp_model hollow_model = CLAIMANT(hollow);
static const struct bp_model torn_model = CLAIMANT(torn);

static const struct bp_model *const fake_models[] = {&fake_model, &hollow_model, &torn_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = FAKE_NAME,
    .version = "1",
    .models = fake_models,
};
