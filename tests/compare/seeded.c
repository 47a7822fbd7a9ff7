/* SPDX-License-Identifier: MIT
 *
 * compare/seeded.c - a CPU backend with a fault: cpu-interp, which is loaded from INTERP_FILE, but
 * for one thing that goes wrong once.
 *
 *     SEED_STEP    after so many steps; 0 or absent: before the first instruction
 *     SEED_GPA     the lowest bit of this byte of memory is another one; absent: bit 17 of RBX is
 *     SEED_STANDS  instead of that the vCPU waits until it is kicked
 */
#include <backplane/ext/debug.h>
#include <backplane/ext/x86.h>
#include <backplane/plugin.h>
#include <dlfcn.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

static struct bp_cpu_ops ops;
static struct bp_model model;
static const struct bp_model *const models[] = {&model, NULL};
static const struct bp_cpu_ops *real;
static struct bp_mem_slot memory; /* the one that holds SEED_GPA */
static unsigned long steps;
static int done;
static sem_t kicked;

static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : 0;
}

static int mem_set(void *vm, const struct bp_mem_slot *slot)
{
    uint64_t gpa = number_of("SEED_GPA");

    if (slot->length && gpa >= slot->gpa && gpa - slot->gpa < slot->length)
        memory = *slot;
    return real->mem_set(vm, slot);
}

static void go_wrong(void *self)
{
    struct bp_x86_gpr gpr;

    if (getenv("SEED_STANDS"))
        return;
    done = 1;
    if (getenv("SEED_GPA")) {
        memory.host[number_of("SEED_GPA") - memory.gpa] ^= 1;
        return;
    }
    real->regs_get(self, BP_X86_GPR, &gpr, sizeof(gpr));
    gpr.rbx ^= 1u << 17;
    real->regs_set(self, BP_X86_GPR, &gpr, sizeof(gpr));
}

static int vcpu_run(void *self)
{
    int stop;

    if (!done && !number_of("SEED_STEP"))
        go_wrong(self);
    stop = real->vcpu_run(self);
    if (stop == BP_STOP_DEBUG && ++steps == number_of("SEED_STEP"))
        go_wrong(self);
    return stop;
}

static int vcpu_run_or_stand(void *self)
{
    if (!getenv("SEED_STANDS") || steps < number_of("SEED_STEP"))
        return vcpu_run(self);
    while (sem_wait(&kicked)) {
    }
    return BP_STOP_KICKED;
}

static void vcpu_kick(void *self)
{
    sem_post(&kicked);
    real->vcpu_kick(self);
}

/* The host looks at the tables after the loader has run this. */
static __attribute__((constructor)) void make(void)
{
    void *file = dlopen(INTERP_FILE, RTLD_NOW | RTLD_LOCAL);
    const struct bp_plugin *plugin = file ? dlsym(file, "bp_plugin_v0") : NULL;

    if (!plugin)
        return;
    model = *plugin->models[0];
    real = model.cpu;
    ops = *real;
    ops.mem_set = mem_set;
    ops.vcpu_run = vcpu_run_or_stand;
    ops.vcpu_kick = vcpu_kick;
    sem_init(&kicked, 0, 0);
    model.id = "seeded";
    model.cpu = &ops;
}

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(bp_plugin_v0),
    .abi_minor = BP_ABI_MINOR,
    .name = "cpu-seeded",
    .version = "0",
    .models = models,
};
