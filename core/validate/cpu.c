/* SPDX-License-Identifier: MIT
 *
 * validate/cpu.c - CPU backends, as far as that makes sense without a guest.
 *
 * backplane/cpu.h and ext/x86.h give the rules. One page of code that jumps to itself stands at the
 * reset vector; nothing else is there. What guests see of the processor is not looked at.
 */
#include "validate/check.h"

#include <backplane/ext/x86.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VCPUS 2u
#define LIVES_FIRST 5u
#define LIVES 500u
#define CODE_BYTES 4096u
#define CODE_AT UINT64_C(0xfffff000)

struct bp_vcpu {
    uint32_t index;
};

struct machine {
    struct world *world;
    struct bp_node *node;
    const struct bp_cpu_ops *ops;
    void *vm;
    void *vcpus[VCPUS];
    struct bp_vcpu handles[VCPUS];
    uint8_t *code;
};

/* ---- a bus with nothing on it ---------------------------------------------------------------- */

static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    (void)vcpu, (void)gpa;
    return width < 8 ? (UINT64_C(1) << 8 * width) - 1 : UINT64_MAX;
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    (void)vcpu, (void)gpa, (void)value, (void)width;
}

static uint32_t pio_read(struct bp_vcpu *vcpu, uint16_t port, uint32_t width)
{
    (void)vcpu, (void)port;
    return width < 4 ? (1u << 8 * width) - 1 : UINT32_MAX;
}

static void pio_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    (void)vcpu, (void)port, (void)value, (void)width;
}

static int resolve(struct bp_vcpu *vcpu, uint64_t gpa, struct bp_slot *out)
{
    (void)vcpu, (void)gpa;
    *out = (struct bp_slot){.base = 0, .length = UINT64_MAX};
    return -ENOENT;
}

static int enter(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    (void)vcpu, (void)slot;
    return -ESTALE;
}

static void leave(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    (void)vcpu, (void)slot;
}

static const uint32_t generation;
static const struct bp_bus bus = {
    .size = sizeof(bus),
    .generation = &generation,
    .mmio_read = mmio_read,
    .mmio_write = mmio_write,
    .pio_read = pio_read,
    .pio_write = pio_write,
    .resolve = resolve,
    .enter = enter,
    .leave = leave,
};

/* ---- life ------------------------------------------------------------------------------------ */

static struct bp_node *new_node(struct world *w)
{
    struct error why;
    struct bp_node *n = node_new(w, NULL, NULL, &why);

    if (!n)
        world_skip(w,
                   "the values that the validator makes up do not do: %s; give others with "
                   "--set %s.KEY=VALUE",
                   why.text, w->model->id);
    return n;
}

static void probe(struct world *w, struct bp_node *n)
{
    struct resources before;
    int64_t bits;

    resources_take(&before);
    doing(w, "probe()");
    bits = w->model->cpu.probe(&world_host, n);
    resources_compare(w, &before, 1);
    if (bits >= 0)
        return;
    if (!n->failure[0])
        world_fail(w, "probe() gave %lld (%s) and no sentence", (long long)bits,
                   strerror((int)-bits));
    if (bits != -ENODEV && bits != -EACCES && bits != -ENOTSUP)
        world_fail(w, "probe() gave %lld (%s); expected -ENODEV, -EACCES or -ENOTSUP",
                   (long long)bits, strerror((int)-bits));
    world_skip(w, "it cannot run here: %s", n->failure);
}

static int failed(const struct machine *m, const char *what, int err)
{
    if (err > 0)
        world_fail(m->world, "%s gave %d; expected 0 or a negative errno", what, err);
    if (err && !m->node->failure[0])
        world_fail(m->world, "%s gave %d (%s) and no sentence", what, err, strerror(-err));
    return err;
}

static void begin(struct machine *m, struct world *w)
{
    struct bp_mem_slot ram = {.size = sizeof(ram), .length = WORLD_RAM_BYTES, .host = w->ram};
    struct bp_mem_slot code = {
        .size = sizeof(code), .index = 1, .gpa = CODE_AT, .length = CODE_BYTES};

    *m = (struct machine){.world = w, .node = new_node(w), .ops = &w->model->cpu};
    probe(w, m->node);
    m->code = aligned_alloc(4096, CODE_BYTES);
    if (!m->code)
        world_skip(w, "out of memory");
    for (uint32_t i = 0; i < CODE_BYTES; i += 2)
        memcpy(m->code + i, "\xeb\xfe", 2); /* jmp . */
    code.host = m->code;
    doing(w, "vm_create()");
    if (failed(m, "vm_create()",
               m->ops->vm_create(&world_host, m->node, m->node->config, VCPUS, &m->vm)))
        world_skip(w, "no VM can be made here: %s", m->node->failure);
    doing(w, "mem_set()");
    if (failed(m, "mem_set()", m->ops->mem_set(m->vm, &ram)) ||
        failed(m, "mem_set()", m->ops->mem_set(m->vm, &code)))
        world_fail(w, "mem_set() refuses plain memory: %s", m->node->failure);
    for (uint32_t i = 0; i < VCPUS; i++) {
        m->handles[i].index = i;
        doing(w, "vcpu_create() of vCPU %u", i);
        if (failed(m, "vcpu_create()",
                   m->ops->vcpu_create(m->vm, i, &m->handles[i], &bus, &m->vcpus[i])))
            world_skip(w, "no vCPU can be made here: %s", m->node->failure);
        doing(w, "vcpu_reset() of vCPU %u", i);
        if (failed(m, "vcpu_reset()", m->ops->vcpu_reset(m->vcpus[i])))
            world_fail(w, "vcpu_reset() fails: %s", m->node->failure);
    }
}

static void end(struct machine *m)
{
    for (uint32_t i = VCPUS; i--;) {
        doing(m->world, "vcpu_destroy() of vCPU %u", i);
        m->ops->vcpu_destroy(m->vcpus[i]);
    }
    doing(m->world, "vm_destroy()");
    m->ops->vm_destroy(m->vm);
    free(m->code);
    node_free(m->node);
}

static void live(struct world *w)
{
    struct machine m;

    begin(&m, w);
    end(&m);
}

void check_cpu_life(struct world *w)
{
    resources_start();
    for (uint32_t i = 0; i < LIVES_FIRST; i++)
        live(w);
    resources_watch(w, LIVES, live);
    world_pass(w);
}

/* ---- registers ------------------------------------------------------------------------------- */

struct set {
    const char *id;
    uint32_t size;
    bool steady; /* reading it twice gives the same */
};

static const struct set sets[] = {
    {BP_X86_GPR, sizeof(struct bp_x86_gpr), true},
    {BP_X86_SYS, sizeof(struct bp_x86_sys), true},
    {BP_X86_FPU, sizeof(struct bp_x86_fpu), false},
    {BP_X86_MSR, sizeof(struct bp_x86_msrs), false},
    {BP_X86_EVENTS, sizeof(struct bp_x86_events), true},
    {BP_X86_MP, sizeof(struct bp_x86_mp), true},
};

static void one_set(struct machine *m, void *vcpu, const struct set *set)
{
    struct world *w = m->world;
    uint8_t *a = calloc(1, set->size), *b = calloc(1, set->size);
    int err;

    if (!a || !b)
        world_skip(w, "out of memory");
    doing(w, "regs_get(%s)", set->id);
    err = m->ops->regs_get(vcpu, set->id, a, set->size);
    if (err == -ENOENT) {
        free(a);
        free(b);
        return;
    }
    if (err)
        world_fail(w, "regs_get(%s) gave %d (%s); expected 0 or -ENOENT", set->id, err,
                   strerror(err < 0 ? -err : err));
    doing(w, "regs_get(%s) of another size", set->id);
    err = m->ops->regs_get(vcpu, set->id, b, set->size - 1);
    if (err != -EINVAL)
        world_fail(w, "regs_get(%s) of a wrong size gave %d; expected -EINVAL", set->id, err);
    doing(w, "regs_set(%s) of another size", set->id);
    err = m->ops->regs_set(vcpu, set->id, a, set->size - 1);
    if (err != -EINVAL)
        world_fail(w, "regs_set(%s) of a wrong size gave %d; expected -EINVAL", set->id, err);
    doing(w, "regs_set(%s)", set->id);
    err = m->ops->regs_set(vcpu, set->id, a, set->size);
    if (err)
        world_fail(w, "regs_set(%s) refuses what regs_get() gave: %d (%s)", set->id, err,
                   strerror(err < 0 ? -err : err));
    doing(w, "regs_get(%s) again", set->id);
    err = m->ops->regs_get(vcpu, set->id, b, set->size);
    if (err || (set->steady && memcmp(a, b, set->size) != 0))
        world_fail(w, "regs_get(%s) does not give what regs_set() set", set->id);
    free(a);
    free(b);
}

void check_cpu_registers(struct world *w)
{
    struct machine m;

    begin(&m, w);
    for (uint32_t i = 0; i < VCPUS; i++)
        for (size_t j = 0; j < sizeof(sets) / sizeof(sets[0]); j++)
            one_set(&m, m.vcpus[i], &sets[j]);
    end(&m);
    world_pass(w);
}

/* ---- kick ------------------------------------------------------------------------------------ */

void check_cpu_kick(struct world *w)
{
    struct machine m;

    begin(&m, w);
    for (uint32_t i = 0; i < 100; i++) {
        int stop;

        doing(w, "vcpu_kick()");
        m.ops->vcpu_kick(m.vcpus[0]);
        doing(w, "vcpu_run() after a kick");
        stop = m.ops->vcpu_run(m.vcpus[0]);
        if (stop < 0 && m.node->failure[0])
            world_fail(w, "vcpu_run() gave %d: %s", stop, m.node->failure);
        if (stop != BP_STOP_KICKED)
            world_fail(w, "vcpu_run() after a kick gave %d; expected BP_STOP_KICKED", stop);
    }
    end(&m);
    world_pass(w);
}

/* ---- extensions ------------------------------------------------------------------------------ */

void check_cpu_extensions(struct world *w)
{
    static const char *const nobodys[] = {"", "bp.no-such/1", "%n", "x86.gpr/999"};
    struct machine m;
    uint8_t bytes[64] = {0};

    begin(&m, w);
    for (size_t i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        int err;

        doing(w, "extension(\"%s\")", nobodys[i]);
        if (m.ops->extension(m.vm, nobodys[i]))
            world_fail(w,
                       "extension(\"%s\") gives a table; for an id that it does not know it "
                       "gives NULL",
                       nobodys[i]);
        doing(w, "regs_get(\"%s\")", nobodys[i]);
        err = m.ops->regs_get(m.vcpus[0], nobodys[i], bytes, sizeof(bytes));
        if (err != -ENOENT)
            world_fail(w, "regs_get(\"%s\") gave %d; expected -ENOENT for an unknown set",
                       nobodys[i], err);
        err = m.ops->vm_get(m.vm, nobodys[i], bytes, sizeof(bytes));
        if (err != -ENOENT)
            world_fail(w, "vm_get(\"%s\") gave %d; expected -ENOENT for an unknown set", nobodys[i],
                       err);
    }
    end(&m);
    world_pass(w);
}
