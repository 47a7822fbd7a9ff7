/* SPDX-License-Identifier: MIT
 *
 * machine/replica.c - bp_machine_compare()'s second backend: a VM with a copy of the machine's
 * memory and registers, and nothing else. What its vCPU asks of the world is answered as the
 * recording has it (replica_repeat.c); interrupts come where they came.
 *
 * A backend with interrupt controllers of its own (cpu-kvm) is one whose interrupts cannot be
 * placed so, and which steps by TF: replica_given.c has what it does not run.
 */
#include "machine/compare.h"

#include "plugin/normalise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RFLAGS_ARITHMETIC 0x8d5u
#define RFLAGS_TF UINT64_C(0x100)
#define AHEAD 7u /* instructions that one step by TF may take along */

/* ---- life ----------------------------------------------------------------------------------- */

/* Its own: neither the machine's instances, nor an end of the machine. */
static const void *host_extension(struct bp_node *node, const char *id)
{
    struct replica *r = (struct replica *)node;

    return !strcmp(id, BP_IRQCHIP_ID) && !r->own_chip ? &r->chip_peer : NULL;
}

static void host_request(struct bp_node *node, uint32_t what, uint32_t code)
{
    (void)node;
    (void)what;
    (void)code;
}

/* A set that is moved from one vCPU to the other. */
struct moving {
    const char *set;
    void *regs;
    uint32_t size;
};

static int get_set(struct bp_vcpu *v, void *argument)
{
    const struct moving *s = argument;

    return v->ops->regs_get(v->self, s->set, s->regs, s->size);
}

static int put_set(struct bp_vcpu *v, void *argument)
{
    const struct moving *s = argument;

    return v->ops->regs_set(v->self, s->set, s->regs, s->size);
}

static int reset(struct bp_vcpu *v, void *argument)
{
    (void)argument;
    return v->ops->vcpu_reset(v->self);
}

/* Those that the second does not have are of features that it does not show either. */
static int put_msrs(struct bp_vcpu *v, void *argument)
{
    const struct moving *s = argument;
    const struct bp_x86_msrs *all = s->regs;
    struct bp_x86_msrs *one = calloc(1, sizeof(*one));

    if (!one)
        return -ENOMEM;
    one->count = 1;
    for (uint32_t i = 0; i < all->count; i++) {
        one->msrs[0] = all->msrs[i];
        v->ops->regs_set(v->self, BP_X86_MSR, one, sizeof(*one));
    }
    free(one);
    return 0;
}

static int move_set(struct replica *r, const char *set, uint32_t size,
                    int (*put)(struct bp_vcpu *v, void *argument))
{
    struct moving s = {.set = set, .regs = calloc(1, size), .size = size};
    int err = s.regs ? vcpus_call(r->machine->vcpus, 0, get_set, &s) : -ENOMEM;

    if (err)
        error_set(&r->why, err, "the first backend does not tell %s: %s", set,
                  node_failure(&r->machine->cpu_node, err, &(struct error){""}));
    if (!err) {
        err = vcpus_call(r->vcpus, 0, put, &s);
        if (err)
            error_set(&r->why, err, "%s does not take %s of the first backend: %s",
                      r->model->plugin->name, set,
                      node_failure(&r->node, err, &(struct error){""}));
    }
    free(s.regs);
    return err;
}

static int move_state(struct replica *r)
{
    int err = move_set(r, BP_X86_CPUID, sizeof(struct bp_x86_cpuid), put_set);

    if (!err)
        err = vcpus_call(r->vcpus, 0, reset, NULL);
    if (!err)
        err = move_set(r, BP_X86_MSR, sizeof(struct bp_x86_msrs), put_msrs);
    if (!err)
        err = move_set(r, BP_X86_SYS, sizeof(struct bp_x86_sys), put_set);
    if (!err)
        err = move_set(r, BP_X86_FPU, sizeof(struct bp_x86_fpu), put_set);
    if (!err)
        err = move_set(r, BP_X86_GPR, sizeof(struct bp_x86_gpr), put_set);
    return err;
}

static int set_debug(struct bp_vcpu *v, void *argument)
{
    const struct replica *r = argument;
    struct bp_debug_request request = {.size = sizeof(request), .flags = BP_DEBUG_STEP};

    if (r->own_chip)
        request.flags |= BP_DEBUG_HOLD;
    return r->debug.set(v->self, &request);
}

static void stopped(void *context, struct bp_vcpu *vcpu, int stop)
{
    (void)context;
    (void)vcpu;
    (void)stop;
}

static void fill_tables(struct replica *r)
{
    r->host = machine_host;
    r->host.extension = host_extension;
    r->host.request = host_request;
    r->bus = replica_bus;
    r->bus.generation = &r->generation;
    r->deadline_ns = UINT64_MAX;
    r->chip = replica_chip;
    r->chip_peer = (struct bp_peer){.ops = &r->chip, .self = r};
}

static int begin(struct bp_vcpu *v, void *argument)
{
    struct replica *r = argument;

    replica_adopt(r);
    r->watch.vcpu = v;
    return 0;
}

int replica_new(struct bp_machine *m, const struct model *model, const struct recording *recording,
                uint32_t patience_s, struct replica *r)
{
    const struct vcpu_events events = {.stopped = stopped, .context = r};
    const void *config = plan_default_config(&m->plan, model), *debug;
    int err;

    r->machine = m;
    r->model = model;
    r->ops = &model->cpu;
    r->recording = recording;
    r->own_chip = model->flags & BP_MODEL_IRQCHIP;
    r->node = (struct bp_node){.machine = m,
                               .name = "second",
                               .model = model,
                               .domain = m->platform_domain,
                               .loop = m->loop};
    fill_tables(r);
    if (!config)
        return error_set(&r->why, -ENOMEM, "out of memory");
    err = r->ops->vm_create(&r->host, &r->node, config, 1, &r->vm);
    if (err) {
        r->vm = NULL;
        node_failure(&r->node, err, &r->why);
        return err;
    }
    err = replica_follow(r);
    if (err)
        return err;
    err = vcpus_new(1, r->ops, r->vm, m->bus, &r->bus, &events, &r->vcpus);
    if (err) {
        node_failure(&r->node, err, &r->why);
        return err;
    }
    debug = r->ops->extension(r->vm, BP_DEBUG_ID);
    if (!debug)
        return error_set(&r->why, -ENOTSUP, "%s cannot step: it does not offer " BP_DEBUG_ID,
                         model->plugin->name);
    err = normalise(&r->debug, interface_find(BP_DEBUG_ID)->table, debug, &r->why);
    if (!err)
        err = vcpus_call(r->vcpus, 0, begin, r);
    if (!err)
        err = move_state(r);
    if (err)
        return err;
    r->ops->vm_time(r->vm, BP_TIME_RUNS);
    err = vcpus_call(r->vcpus, 0, set_debug, r);
    if (err) {
        node_failure(&r->node, err, &r->why);
        return err;
    }
    err = watch_open(&r->watch, patience_s);
    return err ? error_set(&r->why, err, "there is no thread to watch the steps") : 0;
}

void replica_free(struct replica *r)
{
    watch_close(&r->watch);
    vcpus_free(r->vcpus);
    if (r->vm)
        r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    if (r->vm)
        replica_forget_memory(r);
    if (r->vm)
        r->ops->vm_destroy(r->vm);
    if (r->machine)
        node_release(&r->node);
    memset(r, 0, sizeof(*r));
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* Interrupts are made to wait where the first took them. */
static void place_interrupts(struct replica *r, uint32_t from, uint32_t end)
{
    uint32_t bits = 0;

    for (uint32_t i = from; i < end; i++) {
        const struct event *e = &r->recording->events[i];

        if (e->kind == EVENT_INTERRUPT)
            bits |= BP_IRQCHIP_INTR;
        else if (e->kind == EVENT_TAKE)
            bits |= (uint32_t)e->value;
    }
    __atomic_store_n(&r->pending, bits, __ATOMIC_SEQ_CST);
    if (bits)
        r->user.attention(r->user.context);
}

/* now->stop is BP_STOP_KICKED where the second made no step. */
static int run_step(struct replica *r, struct bp_vcpu *v, struct state *now, bool fpu)
{
    int stop;

    watch_begins(&r->watch);
    do {
        r->active = true;
        stop = v->ops->vcpu_run(v->self);
        r->active = false;
    } while (stop == BP_STOP_KICKED && !watch_is_over(&r->watch));
    watch_ends(&r->watch);
    if (stop < 0)
        return stop;
    now->stop = (uint32_t)stop;
    return record_state(v, now, fpu);
}

/* Arithmetic flags alone: many instructions leave some of them undefined. */
static bool only_flags_differ(const struct state *a, const struct state *b)
{
    struct bp_x86_gpr gpr = b->gpr;
    struct difference d = {0};

    gpr.rflags = (gpr.rflags & ~(uint64_t)RFLAGS_ARITHMETIC) | (a->gpr.rflags & RFLAGS_ARITHMETIC);
    difference_gpr(&d, &a->gpr, &gpr);
    return !d.found && (a->gpr.rflags ^ b->gpr.rflags) & RFLAGS_ARITHMETIC;
}

struct turn {
    struct replica *replica;
    struct recording *recording;
    struct difference *out;
};

/* How many steps of the first behind this one a step by TF may take along: the instruction after
 * MOV SS, PAUSE's next one; what is left of a repeated one that reads a device. */
static uint32_t steps_along(const struct replica *r, uint32_t n, uint64_t rip)
{
    const struct recording *first = r->recording;
    uint32_t i = 0;

    while (n + i + 1 < first->state_count && (i < AHEAD || first->states[n + i].gpr.rip == rip))
        i++;
    return r->own_chip ? i : 0;
}

/* How many it took. `rip` is where it began. */
static uint32_t steps_ahead(const struct replica *r, uint32_t n, uint64_t rip,
                            const struct state *now)
{
    const struct recording *first = r->recording;
    uint32_t along = steps_along(r, n, rip);

    for (uint32_t i = 0; i <= along; i++)
        if (first->states[n + i].gpr.rip == now->gpr.rip && first->states[n + i].end >= r->at &&
            first->states[n + i].gpr.rcx == now->gpr.rcx)
            return i;
    return 0;
}

/* A repeated string instruction that KVM's emulator runs has its last repetition behind it, and is
 * run once more to its end. */
static int end_repetition(const struct replica *r, struct bp_vcpu *v, uint32_t n, uint64_t rip,
                          struct state *now)
{
    const struct state *s = &r->recording->states[n];
    uint32_t left, along = steps_along(r, n, rip);
    const uint8_t *o = state_opcode(s, &left);

    if (now->gpr.rip != rip || (uint16_t)now->gpr.rcx || o == s->code || !left ||
        !((o[0] & 0xfc) == 0x6c || (o[0] & 0xf4) == 0xa4 || (o[0] & 0xfe) == 0xaa))
        return 0;
    for (uint32_t i = 0; i <= along; i++) {
        s = &r->recording->states[n + i];
        if (s->gpr.rip == rip || s->gpr.rcx != now->gpr.rcx)
            continue;
        now->gpr.rip = s->gpr.rip;
        return v->ops->regs_set(v->self, BP_X86_GPR, &now->gpr, sizeof(now->gpr));
    }
    return 0;
}

static int one(struct turn *t, struct bp_vcpu *v, uint32_t *n, struct state *now)
{
    struct replica *r = t->replica;
    struct recording *first = t->recording;
    const struct state *from = *n ? &first->states[*n - 1] : &first->before;
    const struct state *s = &first->states[*n];
    int err;

    t->out->step = *n;
    r->has_differed = false;
    if (r->own_chip &&
        (replica_is_given(first, from, s) || (first->ended && *n + 1 == first->state_count))) {
        r->at = s->end;
        return replica_give(r, v, s);
    }
    if (!r->own_chip)
        place_interrupts(r, *n ? from->end : 0, s->end);
    r->from = *n ? from->end : 0;
    r->limit = s[steps_along(r, *n, from->gpr.rip)].end;
    err = run_step(r, v, now, s->has_fpu || r->own_chip);
    if (err)
        return err;
    if (now->stop == BP_STOP_KICKED) {
        difference_add(t->out, "  the second does not end this step within %u seconds\n",
                       r->watch.seconds);
        return 0;
    }
    if (now->stop != s->stop) {
        difference_add(t->out, "  the %s is in shutdown, by a triple fault\n",
                       s->stop == BP_STOP_TRIPLE_FAULT ? "first" : "second");
        return 0;
    }
    if (state_reads_the_world(s, &from->gpr)) {
        now->gpr.rax = s->gpr.rax;
        now->gpr.rdx = s->gpr.rdx;
        now->gpr.rcx = s->gpr.rcx;
        now->gpr = s->gpr.rip == now->gpr.rip ? s->gpr : now->gpr;
        err = v->ops->regs_set(v->self, BP_X86_GPR, &now->gpr, sizeof(now->gpr));
        if (err)
            return err;
    }
    if (r->own_chip)
        err = end_repetition(r, v, *n, from->gpr.rip, now);
    s = &first->states[ *n += steps_ahead(r, *n, from->gpr.rip, now)];
    replica_compare_events(r, t->out, s->end);
    if (r->own_chip) {
        /* KVM resets an AMD processor that shuts down. */
        if (s->stop == BP_STOP_TRIPLE_FAULT)
            return 0;
        /* The guest's own is not told while another one steps. */
        now->gpr.rflags = (now->gpr.rflags & ~RFLAGS_TF) | (s->gpr.rflags & RFLAGS_TF);
    }
    if (!err && only_flags_differ(s, now)) {
        if (!first->flags_differ++)
            first->flags_at = from->gpr.rip;
        now->gpr.rflags = s->gpr.rflags;
        err = v->ops->regs_set(v->self, BP_X86_GPR, &now->gpr, sizeof(now->gpr));
    }
    difference_states(t->out, s, now);
    return err;
}

static int turn(struct bp_vcpu *v, void *argument)
{
    struct turn *t = argument;
    struct state *now = malloc(sizeof(*now));
    int err = now ? 0 : -ENOMEM;

    t->replica->at = 0;
    for (uint32_t n = 0; n < t->recording->state_count && !err && !t->out->found; n++)
        err = one(t, v, &n, now);
    free(now);
    if (err)
        node_failure(&t->replica->node, err, &t->replica->why);
    return err;
}

int replica_turn(struct replica *r, struct recording *recording, struct difference *out)
{
    struct turn t = {.replica = r, .recording = recording, .out = out};

    *out = (struct difference){0};
    return vcpus_call(r->vcpus, 0, turn, &t);
}
