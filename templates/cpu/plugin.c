/* @NAME@ - a CPU backend for the smallest of processors: seven instructions of an 8086, enough for
 * a guest that writes to ports. Everything else stops the machine with a sentence.
 *
 *     B0 ib  mov al, ib     B8 iw  mov ax, iw     BA iw  mov dx, iw
 *     EE     out dx, al     EF     out dx, ax     EB ib  jmp      F4  hlt
 *
 * It has one vCPU, no interrupts, and no memory but what mem_set() gave. The bus it calls itself.
 */
#include <backplane/ext/x86.h>
#include <backplane/plugin.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 32u

struct vm {
    const struct bp_host *host;
    struct bp_node *node;
    struct bp_mem_slot slots[SLOTS];
};

struct vcpu {
    struct vm *vm;
    struct bp_vcpu *handle;
    const struct bp_bus *bus;
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;
    uint32_t kicked; /* atomic */
    uint32_t index;
};

static int64_t probe(const struct bp_host *host, struct bp_node *node)
{
    (void)host;
    (void)node;
    return 0; /* it can run here, and has none of BP_CPU_* */
}

static int vm_create(const struct bp_host *host, struct bp_node *node, const void *config,
                     uint32_t vcpus, void **out)
{
    struct vm *vm = calloc(1, sizeof(*vm));

    (void)config;
    (void)vcpus; /* those beyond the first wait to be started, for ever */
    if (!vm)
        return host->fail(node, -ENOMEM, "no memory for a processor");
    vm->host = host;
    vm->node = node;
    *out = vm;
    return 0;
}

static void vm_destroy(void *vm)
{
    free(vm);
}

static uint32_t vm_features(void *vm)
{
    (void)vm;
    return 0;
}

static int mem_set(void *self, const struct bp_mem_slot *slot)
{
    struct vm *vm = self;

    if (slot->index >= SLOTS)
        return bp_failf(vm->host, vm->node, -ENOSPC, "memory slot %u is not below %u", slot->index,
                        SLOTS);
    vm->slots[slot->index] = *slot;
    return 0;
}

static int vcpu_create(void *vm, uint32_t index, struct bp_vcpu *handle, const struct bp_bus *bus,
                       void **out)
{
    struct vcpu *v = calloc(1, sizeof(*v));

    if (!v)
        return -ENOMEM;
    v->vm = vm;
    v->handle = handle;
    v->bus = bus;
    v->index = index;
    *out = v;
    return 0;
}

static void vcpu_destroy(void *self)
{
    free(self);
}

static int vcpu_reset(void *self)
{
    struct vcpu *v = self;

    memset(&v->gpr, 0, sizeof(v->gpr));
    memset(&v->sys, 0, sizeof(v->sys));
    v->gpr.rip = 0xfff0;
    v->gpr.rflags = 2;
    v->sys.cs.base = 0xffff0000;
    return 0;
}

/* The instruction's three bytes; NULL where there is no memory. */
static const uint8_t *fetch(const struct vcpu *v)
{
    uint64_t gpa = v->sys.cs.base + (v->gpr.rip & 0xffff);

    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct bp_mem_slot *s = &v->vm->slots[i];

        if (s->length >= 3 && gpa >= s->gpa && gpa - s->gpa <= s->length - 3)
            return s->host + (gpa - s->gpa);
    }
    return NULL;
}

/* 0, or -errno after a sentence. */
static int step(struct vcpu *v)
{
    const uint8_t *code = fetch(v);
    struct bp_x86_gpr *g = &v->gpr;

    if (!code)
        return bp_failf(v->vm->host, v->vm->node, -EFAULT, "no memory at CS:IP %llx:%llx",
                        (unsigned long long)v->sys.cs.base, (unsigned long long)g->rip);
    switch (code[0]) {
    case 0xb0:
        g->rax = (g->rax & ~UINT64_C(0xff)) | code[1];
        g->rip += 2;
        return 0;
    case 0xb8:
        g->rax = (g->rax & ~UINT64_C(0xffff)) | bp_le16(code + 1);
        g->rip += 3;
        return 0;
    case 0xba:
        g->rdx = (g->rdx & ~UINT64_C(0xffff)) | bp_le16(code + 1);
        g->rip += 3;
        return 0;
    case 0xee:
        g->rip++; /* before the access: a register that is read meanwhile is whole */
        v->bus->pio_write(v->handle, (uint16_t)g->rdx, (uint8_t)g->rax, 1);
        return 0;
    case 0xef:
        g->rip++;
        v->bus->pio_write(v->handle, (uint16_t)g->rdx, (uint16_t)g->rax, 2);
        return 0;
    case 0xeb:
        g->rip = (g->rip + 2 + (uint64_t)(int64_t)(int8_t)code[1]) & 0xffff;
        return 0;
    case 0xf4:
        usleep(1000); /* nothing will wake it but a kick */
        return 0;
    default:
        return bp_failf(v->vm->host, v->vm->node, -ENOTSUP,
                        "the instruction 0x%02x at CS:IP %llx:%llx is not known", code[0],
                        (unsigned long long)v->sys.cs.base, (unsigned long long)g->rip);
    }
}

static int vcpu_run(void *self)
{
    struct vcpu *v = self;
    int err = 0;

    while (!err && !__atomic_exchange_n(&v->kicked, 0, __ATOMIC_ACQ_REL))
        if (v->index)
            usleep(1000);
        else
            err = step(v);
    return err ? err : BP_STOP_KICKED;
}

static void vcpu_kick(void *self)
{
    struct vcpu *v = self;

    __atomic_store_n(&v->kicked, 1, __ATOMIC_RELEASE);
}

/* What the host gives every processor and this one has no use for is taken and forgotten. */
static int regs(struct vcpu *v, const char *set, void *to, const void *from, uint32_t size)
{
    static const struct bp_x86_msrs no_msrs;
    struct bp_x86_mp mp = {.state = v->index ? BP_X86_MP_WAIT_INIT : BP_X86_MP_RUNNABLE};
    const struct {
        const char *set;
        void *at;
        uint32_t size, writable;
    } known[] = {{BP_X86_GPR, &v->gpr, sizeof(v->gpr), 1},
                 {BP_X86_SYS, &v->sys, sizeof(v->sys), 1},
                 {BP_X86_MP, &mp, sizeof(mp), 0},
                 {BP_X86_MSR, (void *)(uintptr_t)&no_msrs, sizeof(no_msrs), 0},
                 {BP_X86_CPUID, NULL, sizeof(struct bp_x86_cpuid), 0}};

    for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(set, known[i].set) != 0)
            continue;
        if (size != known[i].size)
            return -EINVAL;
        if (to && known[i].at)
            memcpy(to, known[i].at, size);
        else if (to)
            memset(to, 0, size);
        else if (known[i].writable)
            memcpy(known[i].at, from, size);
        return 0;
    }
    return -ENOENT;
}

static int regs_get(void *self, const char *set, void *to, uint32_t size)
{
    return regs(self, set, to, NULL, size);
}

static int regs_set(void *self, const char *set, const void *from, uint32_t size)
{
    return regs(self, set, NULL, from, size);
}

static int vm_get(void *vm, const char *set, void *state, uint32_t size)
{
    struct bp_x86_cpuid *offered = state;

    (void)vm;
    if (strcmp(set, BP_X86_CPUID) != 0)
        return -ENOENT;
    if (size != sizeof(*offered))
        return -EINVAL;
    memset(offered, 0, size);
    offered->count = 2; /* leaves 0 and 1, without a feature */
    offered->leaves[0].eax = 1;
    offered->leaves[1].leaf = 1;
    return 0;
}

static int vm_set(void *vm, const char *set, const void *state, uint32_t size)
{
    (void)vm;
    (void)set;
    (void)state;
    (void)size;
    return -ENOENT;
}

static void vm_time(void *vm, uint32_t runs)
{
    (void)vm; /* it shows no time */
    (void)runs;
}

static const struct bp_cpu_ops cpu = {
    .size = sizeof(struct bp_cpu_ops),
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

static const struct bp_prop props[] = {{.name = NULL}};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_CPU,
    .id = "@ID@",
    .summary = "@SUMMARY@",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = 0,
    .cpu = &cpu,
};

static const struct bp_model *const models[] = {&model, NULL};

/* The one symbol that Backplane looks for. */
const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "@NAME@",
    .version = "1.0",
    .models = models,
};
