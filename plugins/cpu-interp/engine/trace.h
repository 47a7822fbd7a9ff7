/* SPDX-License-Identifier: MIT
 *
 * engine/trace.h - a record of what vCPUs do, one event a line: instructions with the registers
 * that they changed, interrupts and exceptions, accesses to devices and ports, MSRs.
 *
 * One struct trace a machine, with one output; the lines of all its vCPUs come under its lock, in
 * the order in which they got it. docs/trace.md has the format, which is stable.
 *
 * A vCPU that is not traced has NULL in cpu.trace and cpu.trace_events, and that is all that
 * tracing costs it: the run loop looks at the first where it decides to step, and each hook below
 * stands in a path that is slow anyway, behind `if (unlikely(c->trace_events))`.
 */
#ifndef INTERP_TRACE_H
#define INTERP_TRACE_H

#include "cpu.h"

struct engine_user;
struct trace;
struct uop;

/* What is traced: bits of trace_config.kinds. */
#define TRACE_INSN 0x1u
#define TRACE_INT 0x2u
#define TRACE_MMIO 0x4u
#define TRACE_PIO 0x8u
#define TRACE_MSR 0x10u

/* Whose events count, by CPL. */
enum trace_privilege { TRACE_ALL, TRACE_USER, TRACE_KERNEL };

struct trace_config {
    const char *path; /* compressed if it ends in .zst; NULL: standard error */
    uint32_t kinds;   /* TRACE_* */
    enum trace_privilege privilege;
    uint64_t low, high;    /* of the linear RIP, inclusive */
    const uint64_t *vcpus; /* indexes, `vcpu_count` of them; 0: all */
    uint64_t vcpu_count;
};

/* Opens the output, for vCPUs with indexes below `cpus`. 0; or -errno with one sentence in `why`:
 * -EINVAL for an index that is not there or an empty range, -ENOMEM, or what open() says. `user`
 * outlives the trace. [main] */
int trace_create(const struct trace_config *config, const struct engine_user *user, uint32_t cpus,
                 struct trace **out, char *why, uint32_t why_bytes);
/* Writes what is left. The vCPUs are gone, or run no more. NULL: nothing. [main] */
void trace_destroy(struct trace *t);
/* Sets cpu.trace and cpu.trace_events, if the vCPU is to be traced. 0 or -ENOMEM. [vcpu] */
int trace_attach(struct trace *t, struct cpu *c);

/* ---- hooks, all [vcpu] ---------------------------------------------------------------------- */

/* Around the instruction at cpu.rip. One that raises an exception has no end: its line comes with
 * the delivery. With cpu.trace set only. */
void trace_insn_begin(struct cpu *c);
void trace_insn_end(struct cpu *c);

/* The rest with cpu.trace_events set only. */

/* Around the delivery of an event. One without an end raised another one, which comes next. */
void trace_int_begin(struct cpu *c, const struct event *e);
void trace_int_end(struct cpu *c);
/* Memory accesses that follow are those of the instruction `u`; NULL: of that at cpu.rip. */
void trace_at(struct cpu *c, const struct uop *u);
/* An access to a device, or to the local APIC's page, has been made. */
void trace_mmio(struct cpu *c, bool write, uint64_t gpa, uint64_t value, uint32_t bytes);
void trace_pio(struct cpu *c, const struct uop *u, bool write, uint16_t port, uint32_t value,
               uint32_t bytes);
/* RDMSR or WRMSR at sufficient privilege; `refused`: #GP(0) follows. */
void trace_msr(struct cpu *c, const struct uop *u, bool write, uint32_t index, uint64_t value,
               bool refused);
/* The vCPU sleeps, or leaves cpu_run(): what is known is written. */
void trace_idle(struct cpu *c);
void trace_leave(struct cpu *c);

#endif
