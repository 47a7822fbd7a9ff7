/* SPDX-License-Identifier: MIT
 *
 * machine/run.c - a machine's life: start, pause, resume, guest resets, the end.
 *
 *     start: build, boot, let go        pause: vCPUs park, time stands, loop stands, instances stop
 *     wait:  does what was requested    resume: the same backwards
 */
#include "machine/machine_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool is_requested(const struct bp_machine *m)
{
    return __atomic_load_n(&m->request, __ATOMIC_ACQUIRE) != REQUEST_NONE;
}

/* Start and stop are called inside the domain: what shares one with a service may be called by it
 * meanwhile, for the services' loop runs on. */
static int start_node(struct bp_node *node)
{
    struct error why;

    node_fail(node, 0, "%s", ""); /* what was said before is forgotten */
    domain_enter(node->domain);
    int err = node->model->instance.start(node->self);
    domain_leave(node->domain);
    if (err)
        machine_message(node->machine, BP_LOG_ERROR, node->name, node_failure(node, err, &why));
    return err;
}

/* Stops the first `count` instances. */
static void stop_nodes(struct bp_machine *m, uint32_t count)
{
    while (count-- > 0) {
        struct bp_node *node = &m->nodes[count];
        domain_enter(node->domain);
        node->model->instance.stop(node->self);
        domain_leave(node->domain);
    }
}

static int start_loops(struct bp_machine *m)
{
    int err = loop_start(m->loop);

    for (uint32_t i = 0; i < m->domain_count && !err; i++)
        if (m->domain_loops[i])
            err = loop_start(m->domain_loops[i]);
    if (!err && m->service_loop)
        err = loop_start(m->service_loop);
    if (err)
        machine_log(m, BP_LOG_ERROR, "cannot start the event loop's thread: %s", strerror(-err));
    return err;
}

/* Lets devices, time and vCPUs go. On failure what was started stands again. */
int machine_let_go(struct bp_machine *m)
{
    uint32_t started = 0;
    int err = 0;

    while (started < m->node_count && !err) {
        err = start_node(&m->nodes[started]);
        started += !err;
    }
    if (!err) {
        clock_start(&m->clock);
        err = start_loops(m);
    }
    if (err) {
        machine_stop_loops(m);
        clock_stop(&m->clock);
        stop_nodes(m, started);
        return err;
    }
    m->goes = true;
    m->cpu_model->cpu.vm_time(m->vm, BP_TIME_RUNS);
    /* Who asked before this asked vCPUs to park that were parked: the guest must not run on behind
     * its own power-off. */
    if (!is_requested(m) && !m->stepped)
        vcpus_run(m->vcpus);
    if (is_requested(m))
        vcpus_ask_to_park(m->vcpus);
    return 0;
}

/* Makes everything stand: the counterpart of machine_let_go(). */
void machine_hold(struct bp_machine *m)
{
    if (!m->goes)
        return;
    vcpus_park(m->vcpus);
    m->cpu_model->cpu.vm_time(m->vm, BP_TIME_STOPPED);
    machine_stop_loops(m);
    clock_stop(&m->clock);
    stop_nodes(m, m->node_count);
    m->goes = false;
}

void machine_end(struct bp_machine *m)
{
    if (m->state != BP_MACHINE_RUNNING && m->state != BP_MACHINE_PAUSED)
        return;
    machine_hold(m);
    machine_set_state(m, BP_MACHINE_STOPPED);
    machine_dismantle(m);
}

int bp_machine_start(struct bp_machine *m)
{
    if (m->state == BP_MACHINE_RUNNING || m->state == BP_MACHINE_PAUSED)
        return -EBUSY;
    int err = machine_plan(m);
    if (err)
        return err;
    if (m->wake.fd < 0)
        err = wake_open(&m->wake);
    if (err) {
        machine_log(m, BP_LOG_ERROR, "cannot make an fd for events: %s", strerror(-err));
        return err;
    }
    __atomic_store_n(&m->request, REQUEST_NONE, __ATOMIC_RELEASE);
    __atomic_store_n(&m->control, 0, __ATOMIC_RELEASE);
    m->mem_error = 0;
    if (m->log_fd < 0)
        err = machine_open_log(m);
    if (err)
        return err;
    err = machine_build(m);
    if (!err)
        err = machine_boot(m, BP_RESET_COLD);
    if (!err)
        err = machine_let_go(m);
    if (err) {
        machine_dismantle(m);
        return err;
    }
    machine_set_state(m, BP_MACHINE_RUNNING);
    return 0;
}

int bp_machine_pause(struct bp_machine *m)
{
    if (m->state == BP_MACHINE_PAUSED)
        return 0;
    if (m->state != BP_MACHINE_RUNNING)
        return -EINVAL;
    machine_hold(m);
    machine_set_state(m, BP_MACHINE_PAUSED);
    return 0;
}

int bp_machine_resume(struct bp_machine *m)
{
    if (m->state == BP_MACHINE_RUNNING)
        return 0;
    if (m->state != BP_MACHINE_PAUSED)
        return -EINVAL;
    int err = machine_let_go(m);
    if (err)
        return err;
    machine_set_state(m, BP_MACHINE_RUNNING);
    return 0;
}

int bp_machine_stop(struct bp_machine *m)
{
    if (m->state != BP_MACHINE_RUNNING && m->state != BP_MACHINE_PAUSED)
        return 0;
    machine_request(m, BP_REQUEST_QUIT, 0);
    return 0;
}

/* The guest asked for a reset: everything to its reset state, the kernel loaded again. A machine
 * that was paused meanwhile stays so. */
static int restart(struct bp_machine *m, uint64_t request)
{
    bool paused = m->state == BP_MACHINE_PAUSED;

    machine_hold(m);
    /* From here on requests are of the new run; one to leave that came before this is next. */
    if (!__atomic_compare_exchange_n(&m->request, &request, REQUEST_NONE, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return 0;
    if (limit_passes(&m->reset_limit, NULL))
        machine_log(m, BP_LOG_INFO, "the guest resets the machine");
    int err = machine_boot(m, BP_RESET_WARM);
    if (!err && !paused)
        err = machine_let_go(m);
    machine_set_state(m, err || paused ? BP_MACHINE_PAUSED : BP_MACHINE_RUNNING);
    return err;
}

/* What the request means for the program. RUNNING: it was a reset, and the machine runs again. */
static struct bp_exit carry_out(struct bp_machine *m, uint64_t request)
{
    uint32_t what = (uint32_t)request, code = (uint32_t)(request >> 32);

    switch (what) {
    case BP_REQUEST_POWER_OFF:
        return (struct bp_exit){.reason = BP_EXIT_POWER_OFF};
    case BP_REQUEST_RESET:
        if (m->plan.machine.on_reset == PLAN_ON_RESET_EXIT)
            return (struct bp_exit){.reason = BP_EXIT_RESET};
        if (restart(m, request))
            return (struct bp_exit){.reason = BP_EXIT_FAILED};
        return (struct bp_exit){.reason = BP_EXIT_RUNNING};
    case BP_REQUEST_EXIT: /* the status that QEMU's isa-debug-exit gives */
        return (struct bp_exit){.reason = BP_EXIT_DEBUG, .code = (code << 1 | 1) & 0xff};
    case BP_REQUEST_PANIC:
        return (struct bp_exit){.reason = BP_EXIT_PANIC};
    case BP_REQUEST_QUIT:
        return (struct bp_exit){.reason = BP_EXIT_QUIT};
    case REQUEST_TRIPLE_FAULT:
        return (struct bp_exit){.reason = BP_EXIT_TRIPLE_FAULT, .code = code};
    default:
        return (struct bp_exit){.reason = BP_EXIT_FAILED};
    }
}

/* What services asked for. Of two that came together, the later holds. */
static void carry_out_control(struct bp_machine *m)
{
    uint32_t asked = __atomic_exchange_n(&m->control, 0, __ATOMIC_ACQ_REL);

    if (asked & CONTROL_PAUSE && asked & CONTROL_RESUME_LAST)
        bp_machine_pause(m);
    if (asked & CONTROL_RESUME)
        bp_machine_resume(m);
    if (asked & CONTROL_PAUSE && !(asked & CONTROL_RESUME_LAST))
        bp_machine_pause(m);
}

/* Milliseconds left of `timeout_ms` that began at `since_ns`. */
static int left_ms(int timeout_ms, uint64_t since_ns)
{
    uint64_t passed = (clock_host_ns() - since_ns) / 1000000u;

    if (timeout_ms < 0)
        return -1;
    return passed >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)passed;
}

int bp_machine_wait(struct bp_machine *m, int timeout_ms, struct bp_exit *exit)
{
    uint64_t since = clock_host_ns();

    *exit = (struct bp_exit){.reason = BP_EXIT_RUNNING};
    if (m->state != BP_MACHINE_RUNNING && m->state != BP_MACHINE_PAUSED)
        return -EINVAL;
    for (;;) {
        struct pollfd fd = {.fd = m->wake.fd, .events = POLLIN};
        int ready = poll(&fd, 1, left_ms(timeout_ms, since));
        if (ready < 0)
            return -errno;
        if (!ready)
            return -ETIMEDOUT;
        int err = wake_clear(&m->wake);
        if (err)
            return err;
        carry_out_control(m);
        uint64_t request = __atomic_load_n(&m->request, __ATOMIC_ACQUIRE);
        if (request == REQUEST_NONE)
            continue;
        *exit = carry_out(m, request);
        if (exit->reason != BP_EXIT_RUNNING) {
            machine_end(m);
            return 0;
        }
        /* A guest that resets for ever must not keep the caller. */
        if (!left_ms(timeout_ms, since))
            return -ETIMEDOUT;
    }
}
