/* SPDX-License-Identifier: MIT
 *
 * machine/trace.c - the trace of the bus: a line for each access to a device, whatever CPU backend
 * makes it.
 *
 * docs/trace.md has the form, which is that of the other traces. The tracer stands in the place of
 * regions' callbacks (bus.h), so that a machine without a trace asks nothing. Left out: writes to
 * doorbells that the backend takes itself, and the local APIC's page where the backend has one.
 */
#include "machine/machine_private.h"

#include <backplane/ext/x86.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256u
#define BUFFER_BYTES 65536u

struct machine_trace {
    struct bus_tracer tracer;
    struct bp_machine *machine;
    FILE *file;
    pthread_mutex_t lock; /* a leaf lock */
    bool to_stderr, broken;
};

/* "com1.LSR", "com1.registers+0x7", "host.pci-data+0x0", "-". Where one address has a register to
 * read and another to write, it is the one in question. */
static void name_register(const struct bp_region *r, uint64_t offset, bool write, char *text,
                          size_t room)
{
    const struct bp_node *node = r ? r->owner : NULL;
    const char *owner = node ? node->name : "host";
    const struct bp_region_ops *ops = r ? &r->traced_ops : NULL;
    const char *at = ops ? (const char *)ops->registers : NULL;

    if (!r) {
        snprintf(text, room, "-");
        return;
    }
    for (; at && ops->register_stride; at += ops->register_stride) {
        const struct bp_register *reg = (const struct bp_register *)at;

        if (!reg->name)
            break;
        if ((reg->access & BP_REG_ACCESS) == (write ? BP_REG_RO : BP_REG_WO))
            continue;
        if (offset >= reg->offset && offset - reg->offset < reg->width) {
            snprintf(text, room, "%s.%s", owner, reg->name);
            return;
        }
    }
    snprintf(text, room, "%s.%s+0x%" PRIx64, owner, ops->name, offset);
}

/* The program counter, as far as the backend knows it in the midst of an access. */
static void name_place(char *text, size_t room)
{
    struct bp_vcpu *v = vcpu_current();
    struct bp_x86_gpr gpr;

    if (v && v->self && !v->ops->regs_get(v->self, BP_X86_GPR, &gpr, sizeof(gpr)))
        snprintf(text, room, "- %016" PRIx64, gpr.rip);
    else
        snprintf(text, room, "- -");
}

static void traced(void *context, const struct bp_region *region, uint32_t space, uint64_t address,
                   uint32_t width, uint64_t value, bool write)
{
    struct machine_trace *t = context;
    const struct bp_vcpu *v = vcpu_current();
    char line[LINE_MAX_BYTES], name[128], place[64], index[16] = "-";
    int len;

    name_register(region, region ? address - region->base : 0, write, name, sizeof(name));
    name_place(place, sizeof(place));
    if (v)
        snprintf(index, sizeof(index), "%u", v->index);
    len = snprintf(line, sizeof(line),
                   "bus %s %" PRIu64 " %s %s %s=0x%" PRIx64 " width=%u value=0x%" PRIx64 " %s\n",
                   index, clock_now_ns(&t->machine->clock), place, write ? "write" : "read",
                   space == BP_SPACE_PIO ? "port" : "gpa", address, width, value, name);
    pthread_mutex_lock(&t->lock);
    if (!t->broken && len > 0 &&
        (fwrite(line, 1, (size_t)len, t->file) != (size_t)len ||
         (t->to_stderr && fflush(t->file)))) {
        t->broken = true;
        machine_log(t->machine, BP_LOG_ERROR,
                    "the trace of the bus cannot be written: %s; it ends here", strerror(errno));
    }
    pthread_mutex_unlock(&t->lock);
}

int machine_trace_open(struct bp_machine *m)
{
    const struct plan_machine *plan = &m->plan.machine;
    struct machine_trace *t;

    if (!plan->trace.count) {
        if (plan->trace_file)
            machine_log(m, BP_LOG_WARN,
                        "[machine] trace-file is given, but no trace; say trace = bus");
        return 0;
    }
    if (!plan->trace_file && isatty(STDERR_FILENO)) {
        machine_log(
            m, BP_LOG_ERROR,
            "a trace needs trace-file, as standard error is a terminal here, which the trace "
            "would fill");
        return -EINVAL;
    }
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->machine = m;
    t->to_stderr = !plan->trace_file;
    t->file = t->to_stderr ? stderr : fopen(plan->trace_file, "we");
    if (!t->file) {
        int err = -errno;

        machine_log(m, BP_LOG_ERROR, "%s: cannot open the trace for writing: %s", plan->trace_file,
                    strerror(-err));
        free(t);
        return err;
    }
    if (!t->to_stderr)
        setvbuf(t->file, NULL, _IOFBF, BUFFER_BYTES);
    pthread_mutex_init(&t->lock, NULL);
    t->tracer = (struct bus_tracer){.access = traced, .context = t};
    m->trace = t;
    bus_trace(m->bus, &t->tracer);
    return 0;
}

void machine_trace_close(struct bp_machine *m)
{
    struct machine_trace *t = m->trace;

    if (!t)
        return;
    m->trace = NULL;
    if (!t->to_stderr && fclose(t->file) && !t->broken)
        machine_log(m, BP_LOG_ERROR,
                    "the trace of the bus cannot be written: %s; its end is missing",
                    strerror(errno));
    pthread_mutex_destroy(&t->lock);
    free(t);
}
