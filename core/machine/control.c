/* SPDX-License-Identifier: MIT
 *
 * machine/control.c - "bp.machine-control/1": how services see and steer the machine.
 *
 * What changes the machine's state is only asked for here, and done by the thread that is in
 * bp_machine_wait().
 */
#include "machine/machine_private.h"

#include <errno.h>

static uint32_t control_state(struct bp_node *node)
{
    return __atomic_load_n(&node->machine->state, __ATOMIC_ACQUIRE);
}

static int control_instance(struct bp_node *node, uint32_t index, struct bp_instance_info *out)
{
    const struct bp_machine *m = node->machine;

    if (index >= m->node_count)
        return -ENOENT;
    const struct bp_node *n = &m->nodes[index];
    const struct bp_instance_info info = {.size = out->size,
                                          .kind = n->model->kind,
                                          .name = n->name,
                                          .plugin = n->model->plugin->name,
                                          .model = n->model->id};
    if (out->size < sizeof(info))
        return -EINVAL;
    *out = info;
    return 0;
}

static uint32_t control_vcpus(struct bp_node *node)
{
    return node->machine->plan.machine.cpus;
}

static void control_pause(struct bp_node *node)
{
    struct bp_machine *m = node->machine;

    __atomic_fetch_and(&m->control, ~CONTROL_RESUME_LAST, __ATOMIC_ACQ_REL);
    __atomic_fetch_or(&m->control, CONTROL_PAUSE, __ATOMIC_ACQ_REL);
    machine_wake(m);
}

static void control_resume(struct bp_node *node)
{
    struct bp_machine *m = node->machine;

    __atomic_fetch_or(&m->control, CONTROL_RESUME | CONTROL_RESUME_LAST, __ATOMIC_ACQ_REL);
    machine_wake(m);
}

static void control_reset(struct bp_node *node)
{
    machine_request(node->machine, BP_REQUEST_RESET, 0);
}

static void control_stop(struct bp_node *node)
{
    machine_request(node->machine, BP_REQUEST_QUIT, 0);
}

static int control_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    return machine_host.dma_read(node, gpa, to, len);
}

static int control_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    return machine_host.dma_write(node, gpa, from, len);
}

struct regs_call {
    const char *set;
    void *get;
    const void *put;
    uint32_t size;
};

static int call_regs(struct bp_vcpu *vcpu, void *argument)
{
    const struct regs_call *c = argument;
    const struct bp_cpu_ops *ops = vcpu->ops;

    return c->get ? ops->regs_get(vcpu->self, c->set, c->get, c->size)
                  : ops->regs_set(vcpu->self, c->set, c->put, c->size);
}

static int regs(struct bp_node *node, uint32_t index, struct regs_call *call)
{
    struct bp_machine *m = node->machine;
    struct vcpus *vcpus = __atomic_load_n(&m->vcpus, __ATOMIC_ACQUIRE);

    if (!vcpus || control_state(node) != BP_MACHINE_PAUSED)
        return -EBUSY;
    return vcpus_call(vcpus, index, call_regs, call);
}

static int control_regs_get(struct bp_node *node, uint32_t index, const char *set, void *to,
                            uint32_t size)
{
    return regs(node, index, &(struct regs_call){.set = set, .get = to, .size = size});
}

static int control_regs_set(struct bp_node *node, uint32_t index, const char *set, const void *from,
                            uint32_t size)
{
    return regs(node, index, &(struct regs_call){.set = set, .put = from, .size = size});
}

static int control_subscribe(struct bp_node *node, void (*changed)(void *self, uint32_t state),
                             void *self)
{
    node->changed = changed;
    node->changed_self = self;
    return 0;
}

void machine_set_state(struct bp_machine *m, uint32_t state)
{
    __atomic_store_n(&m->state, state, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct bp_node *n = &m->nodes[i];
        if (!n->changed || !n->self)
            continue;
        domain_enter(n->domain);
        n->changed(n->changed_self, state);
        domain_leave(n->domain);
    }
}

const struct bp_machine_control machine_control = {
    .size = sizeof(machine_control),
    .state = control_state,
    .instance = control_instance,
    .vcpus = control_vcpus,
    .pause = control_pause,
    .resume = control_resume,
    .reset = control_reset,
    .stop = control_stop,
    .read = control_read,
    .write = control_write,
    .regs_get = control_regs_get,
    .regs_set = control_regs_set,
    .subscribe = control_subscribe,
};
