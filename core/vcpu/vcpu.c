/* SPDX-License-Identifier: MIT
 *
 * vcpu/vcpu.c - the threads that run guest code.
 *
 * `want` says what all shall do. A thread looks at it under the lock before each vcpu_run();
 * whoever changes it kicks every vCPU afterwards, and a kick before the run is not lost, so none
 * runs on.
 */
#include "vcpu/vcpu.h"

#include "loop/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What a parked vCPU is asked to do; the caller's memory. */
struct vcpu_call {
    int (*run)(struct bp_vcpu *vcpu, void *argument);
    void *argument;
    int result;
    bool done; /* group->lock */
};

enum want { WANT_PARKED, WANT_RUNNING, WANT_GONE };

struct vcpus {
    const struct bp_cpu_ops *ops;
    const struct bp_bus *bus_ops;
    void *vm;
    struct vcpu_events events;
    pthread_mutex_t lock;   /* a leaf lock, for all below and what says so in bp_vcpu */
    pthread_cond_t changed; /* of `want`, `parked`, `call` */
    enum want want;
    uint32_t count;
    struct bp_vcpu *vcpu;
};

/* Sleeps until there is guest code to run; false when the thread shall end. Holds group->lock. */
static bool wait_parked(struct bp_vcpu *v)
{
    struct vcpus *g = v->group;

    v->parked = true;
    pthread_cond_broadcast(&g->changed);
    while (g->want != WANT_RUNNING || v->call) {
        if (v->call) {
            struct vcpu_call *call = v->call;
            pthread_mutex_unlock(&g->lock);
            call->result = call->run(v, call->argument);
            pthread_mutex_lock(&g->lock);
            call->done = true;
            v->call = NULL;
            pthread_cond_broadcast(&g->changed);
        } else if (g->want == WANT_GONE) {
            return false;
        } else {
            pthread_cond_wait(&g->changed, &g->lock);
        }
    }
    v->parked = false;
    return true;
}

/* Of each thread its own. */
static __thread struct bp_vcpu *current;

struct bp_vcpu *vcpu_current(void)
{
    return current;
}

static void *run(void *argument)
{
    struct bp_vcpu *v = argument;
    struct vcpus *g = v->group;

    current = v;

    int err = g->ops->vcpu_create(g->vm, v->index, v, g->bus_ops, &v->self);
    pthread_mutex_lock(&g->lock);
    v->created = err;
    if (err)
        v->self = NULL;
    while (wait_parked(v)) {
        while (g->want == WANT_RUNNING) {
            pthread_mutex_unlock(&g->lock);
            int stop = g->ops->vcpu_run(v->self);
            if (stop != BP_STOP_KICKED)
                g->events.stopped(g->events.context, v, stop);
            pthread_mutex_lock(&g->lock);
            /* Somebody will ask all to park; until then this one must not run on. */
            while (stop != BP_STOP_KICKED && g->want == WANT_RUNNING)
                pthread_cond_wait(&g->changed, &g->lock);
        }
    }
    pthread_mutex_unlock(&g->lock);
    if (v->self)
        g->ops->vcpu_destroy(v->self);
    return NULL;
}

static void set_want(struct vcpus *g, enum want want)
{
    pthread_mutex_lock(&g->lock);
    g->want = want;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

int vcpus_new(uint32_t count, const struct bp_cpu_ops *ops, void *vm, struct bus *bus,
              const struct bp_bus *bus_ops, const struct vcpu_events *events, struct vcpus **out)
{
    struct vcpus *g = calloc(1, sizeof(*g));

    if (!g)
        return -ENOMEM;
    g->vcpu = calloc(count, sizeof(*g->vcpu));
    if (!g->vcpu) {
        free(g);
        return -ENOMEM;
    }
    g->ops = ops;
    g->bus_ops = bus_ops;
    g->vm = vm;
    g->events = *events;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    int err = 0;
    /* One after the other: the backend sees its vCPUs made in order. */
    for (uint32_t i = 0; i < count && !err; i++) {
        struct bp_vcpu *v = &g->vcpu[i];
        char name[24];
        v->group = g;
        v->ops = ops;
        v->index = i;
        bus_reader_init(&v->reader, bus);
        g->count = i + 1;
        snprintf(name, sizeof(name), "bp-vcpu%u", i);
        err = thread_start(&v->thread, name, run, v);
        if (err)
            break;
        v->has_thread = true;
        pthread_mutex_lock(&g->lock);
        while (!v->parked)
            pthread_cond_wait(&g->changed, &g->lock);
        err = v->created;
        pthread_mutex_unlock(&g->lock);
    }
    if (err) {
        vcpus_free(g);
        return err;
    }
    *out = g;
    return 0;
}

void vcpus_free(struct vcpus *g)
{
    if (!g)
        return;
    vcpus_park(g);
    set_want(g, WANT_GONE);
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->vcpu[i].has_thread)
            pthread_join(g->vcpu[i].thread, NULL);
        bus_reader_exit(&g->vcpu[i].reader);
    }
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g->vcpu);
    free(g);
}

void vcpus_run(struct vcpus *g)
{
    set_want(g, WANT_RUNNING);
}

void vcpus_ask_to_park(struct vcpus *g)
{
    set_want(g, WANT_PARKED);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->vcpu[i].self)
            g->ops->vcpu_kick(g->vcpu[i].self);
}

void vcpus_park(struct vcpus *g)
{
    vcpus_ask_to_park(g);
    pthread_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < g->count; i++)
        while (g->vcpu[i].has_thread && !g->vcpu[i].parked)
            pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

int vcpus_call(struct vcpus *g, uint32_t index, int (*call)(struct bp_vcpu *vcpu, void *argument),
               void *argument)
{
    if (index >= g->count)
        return -ENOENT;
    struct bp_vcpu *v = &g->vcpu[index];
    struct vcpu_call own = {.run = call, .argument = argument};
    pthread_mutex_lock(&g->lock);
    /* A service may be there before the main thread. */
    while (v->call && g->want == WANT_PARKED)
        pthread_cond_wait(&g->changed, &g->lock);
    if (!v->parked || g->want != WANT_PARKED) {
        pthread_mutex_unlock(&g->lock);
        return -EBUSY;
    }
    v->call = &own;
    pthread_cond_broadcast(&g->changed);
    while (!own.done)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return own.result;
}

uint32_t vcpus_count(const struct vcpus *g)
{
    return g->count;
}
