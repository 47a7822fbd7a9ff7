/* SPDX-License-Identifier: MIT
 *
 * machine/compare.c - bp_machine_compare(): turns of some hundred steps, first one backend, then
 * the other, until something differs.
 *
 * While the second has its turn the machine stands, its devices and guest time too: to the guest
 * time passes as the first backend runs. A turn ends when a device has written to memory, which is
 * copied then. What devices' threads write while a step runs may be seen by that step, or not: a
 * guest that looks for it without waiting for an interrupt can seem to differ.
 */
#include "machine/compare.h"

#include "plugin/normalise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITES_MAX 256u
#define PATIENCE_S 30u

/* What devices wrote in this turn. */
struct compare_writes {
    pthread_mutex_t lock; /* a leaf lock */
    uint32_t count;
    bool all; /* there were too many to be noted one by one */
    struct {
        uint64_t gpa, bytes;
    } ranges[WRITES_MAX];
};

struct comparison {
    struct bp_machine *machine;
    struct recording recording;
    struct replica replica;
    struct compare_writes writes;
    uint64_t done, limit; /* steps; limit 0: none */
};

void machine_compare_written(struct compare_writes *w, uint64_t gpa, uint64_t len)
{
    pthread_mutex_lock(&w->lock);
    if (w->count < WRITES_MAX) {
        w->ranges[w->count].gpa = gpa;
        w->ranges[w->count++].bytes = len;
    } else {
        w->all = true;
    }
    pthread_mutex_unlock(&w->lock);
}

bool compare_has_writes(const struct bp_machine *m)
{
    struct compare_writes *w = __atomic_load_n(&m->writes, __ATOMIC_ACQUIRE);
    bool has = false;

    if (w) {
        pthread_mutex_lock(&w->lock);
        has = w->count || w->all;
        pthread_mutex_unlock(&w->lock);
    }
    return has;
}

static void copy_writes(struct comparison *c)
{
    struct compare_writes *w = &c->writes;
    const struct ram *ram = &c->machine->ram;

    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->count && !w->all; i++)
        replica_written(&c->replica, w->ranges[i].gpa, w->ranges[i].bytes);
    for (uint32_t i = 0; i < ram->count && w->all; i++)
        replica_written(&c->replica, ram->extents[i].gpa, ram->extents[i].length);
    w->count = 0;
    w->all = false;
    pthread_mutex_unlock(&w->lock);
}

static int set_step(struct bp_vcpu *v, void *argument)
{
    const struct recording *r = argument;
    const struct bp_debug_request request = {.size = sizeof(request), .flags = BP_DEBUG_STEP};

    return r->debug.set(v->self, &request);
}

/* The first backend, told to step. */
static int prepare_first(struct comparison *c)
{
    struct bp_machine *m = c->machine;
    const void *debug = m->cpu_model->cpu.extension(m->vm, BP_DEBUG_ID);
    struct recording *r = &c->recording;
    struct error e;
    int err;

    if (!debug) {
        machine_log(m, BP_LOG_ERROR, "%s cannot step: it does not offer " BP_DEBUG_ID,
                    m->cpu_model->plugin->name);
        return -ENODEV;
    }
    err = normalise(&r->debug, interface_find(BP_DEBUG_ID)->table, debug, &e);
    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
        return err;
    }
    r->events = calloc(TURN_EVENTS, sizeof(*r->events));
    r->states = calloc(TURN_STEPS + LINGER_STEPS, sizeof(*r->states));
    if (!r->events || !r->states)
        return -ENOMEM;
    err = vcpus_call(m->vcpus, 0, set_step, r);
    if (err)
        machine_log(m, BP_LOG_ERROR, "%s cannot step: %s", m->cpu_model->plugin->name,
                    node_failure(&m->cpu_node, err, &e));
    return err ? err : record_begin(r, m);
}

static void tell_difference(const struct comparison *c, const struct difference *d,
                            struct bp_compare_end *out)
{
    const struct recording *r = &c->recording;
    const struct state *s = &r->states[d->step];
    const struct state *from = d->step ? s - 1 : &r->before;
    char code[3 * CODE_BYTES + 1] = "";
    uint64_t number = c->done + d->step + 1;

    for (size_t i = 0; i < s->code_bytes; i++)
        snprintf(code + 3 * i, sizeof(code) - 3 * i, " %02x", s->code[i]);
    snprintf(out->text, sizeof(out->text),
             "%s and %s differ after step %llu, at 0x%llx (code%s):\n%s",
             c->machine->cpu_model->plugin->name, c->replica.model->plugin->name,
             (unsigned long long)number, (unsigned long long)from->gpr.rip,
             s->code_bytes ? code : " unreadable", d->text);
    out->how = BP_COMPARE_DIFFERENT;
    out->instructions = c->done + d->step;
}

/* One turn each. 1: there is another one to come. */
static int turn(struct comparison *c, struct bp_compare_end *out)
{
    struct bp_machine *m = c->machine;
    struct difference d;
    uint64_t left = c->limit ? c->limit - c->done : TURN_STEPS;
    int err = record_turn(&c->recording, left < TURN_STEPS ? (uint32_t)left : TURN_STEPS);
    bool ended = __atomic_load_n(&m->request, __ATOMIC_ACQUIRE) != REQUEST_NONE;
    bool shut = c->recording.state_count &&
                c->recording.states[c->recording.state_count - 1].stop == BP_STOP_TRIPLE_FAULT;

    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s: %s", m->cpu_model->plugin->name,
                    err == -EOVERFLOW ? "one instruction asked devices for more than can be noted"
                                      : node_failure(&m->cpu_node, err, &(struct error){""}));
        return err;
    }
    c->recording.ended = ended;
    machine_hold(m);
    err = replica_turn(&c->replica, &c->recording, &d);
    if (!err && !d.found) {
        c->done += c->recording.state_count;
        err = replica_follow(&c->replica);
        copy_writes(c);
    }
    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s: %s", c->replica.model->plugin->name, c->replica.why.text);
        return err;
    }
    if (d.found) {
        tell_difference(c, &d, out);
        return 0;
    }
    out->instructions = c->done;
    out->how = ended || shut ? BP_COMPARE_ENDED : BP_COMPARE_SAME;
    if (ended || shut || c->recording.marker_met || (c->limit && c->done >= c->limit))
        return 0;
    err = machine_let_go(m);
    return err ? err : 1;
}

static int second_model(struct bp_machine *m, const char *name, const struct model **model)
{
    const struct plugin *plugin;
    struct error e;
    int err = plugins_load(m->plugins, name, NULL, &plugin, &e);

    if (!err)
        err = plugin_model(plugin, NULL, model, &e);
    if (!err && (*model)->kind != BP_KIND_CPU)
        err = error_set(&e, -EINVAL, "%s is no CPU backend", name);
    if (err)
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
    return err;
}

static int check(struct bp_machine *m, const struct bp_compare *what)
{
    if (m->plan.machine.cpus != 1) {
        machine_log(m, BP_LOG_ERROR, "the machine has %u vCPUs; a comparison is of one: --cpus 1",
                    m->plan.machine.cpus);
        return -EINVAL;
    }
    if (what->marker && (!*what->marker || strlen(what->marker) > MARKER_BYTES)) {
        machine_log(m, BP_LOG_ERROR, "the marker has %zu bytes; expected 1 to %u",
                    strlen(what->marker), MARKER_BYTES);
        return -EINVAL;
    }
    return 0;
}

static int compare(struct comparison *c, const struct bp_compare *what, struct bp_compare_end *out)
{
    struct bp_machine *m = c->machine;
    const struct model *second = NULL;
    int err = bp_machine_start(m);

    if (!err)
        err = second_model(m, what->second, &second);
    if (!err && m->cpu_model->flags & BP_MODEL_IRQCHIP) {
        machine_log(m, BP_LOG_ERROR,
                    "%s has interrupt controllers of its own, so nobody can note when interrupts "
                    "come: name the other backend first",
                    m->cpu_model->plugin->name);
        err = -EINVAL;
    }
    if (!err)
        err = prepare_first(c);
    if (err)
        return err;
    machine_hold(m);
    c->recording.by_tf = second->flags & BP_MODEL_IRQCHIP;
    err = replica_new(m, second, &c->recording, what->patience_s ? what->patience_s : PATIENCE_S,
                      &c->replica);
    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s: %s", second->plugin->name, c->replica.why.text);
        return err == -EINVAL ? err : -ENODEV;
    }
    __atomic_store_n(&m->writes, &c->writes, __ATOMIC_RELEASE);
    err = machine_let_go(m);
    if (!err)
        do
            err = turn(c, out);
        while (err > 0);
    return err;
}

int bp_machine_compare(struct bp_machine *m, const struct bp_compare *what,
                       struct bp_compare_end *out)
{
    struct bp_compare_end end = {.size = out->size};
    struct comparison *c;
    int err;

    if (m->state == BP_MACHINE_RUNNING || m->state == BP_MACHINE_PAUSED)
        return -EBUSY;
    err = machine_plan(m);
    if (!err)
        err = check(m, what);
    if (err)
        return err;
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->machine = m;
    c->limit = what->instructions;
    c->recording.marker = what->marker;
    c->recording.marker_bytes = what->marker ? (uint32_t)strlen(what->marker) : 0;
    pthread_mutex_init(&c->writes.lock, NULL);
    m->stepped = true;
    err = compare(c, what, &end);
    machine_hold(m);
    __atomic_store_n(&m->writes, NULL, __ATOMIC_RELEASE);
    replica_free(&c->replica);
    record_end(&c->recording);
    machine_end(m);
    m->stepped = false;
    end.flags_differed = c->recording.flags_differ;
    end.flags_address = c->recording.flags_at;
    memcpy(out, &end, end.size < sizeof(end) ? end.size : sizeof(end));
    free(c->recording.events);
    free(c->recording.states);
    pthread_mutex_destroy(&c->writes.lock);
    free(c);
    return err;
}
