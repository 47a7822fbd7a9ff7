/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/tracing.c - the keys of [cpu] that ask for a trace, and its start.
 *
 * Kinds, files, numbers, the range and words are checked by the host, as the table says them; what
 * depends on other keys, the machine or the terminal is checked here.
 */
#include "interp.h"

#include "engine/trace.h"

#include <backplane/util/log.h>

#include <assert.h>
#include <errno.h>
#include <unistd.h>

static const char *const kinds[] = {"insn", "int", "mmio", "pio", "msr", NULL};
static const char *const privileges[] = {"all", "user", "kernel", NULL};

static_assert(TRACE_INSN == 1 && TRACE_INT == 2 && TRACE_MMIO == 4 && TRACE_PIO == 8 &&
                  TRACE_MSR == 16,
              "kinds[] in the order of the bits");
static_assert(TRACE_ALL == 0 && TRACE_USER == 1 && TRACE_KERNEL == 2, "privileges[] likewise");

const struct bp_prop interp_props[] = {
    {.name = "trace",
     .help = "what is traced: instructions, interrupts and exceptions, accesses to device memory "
             "and to ports, MSRs",
     .choices = kinds,
     .type = BP_PROP_ENUM,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct interp_config, trace)},
    {.name = "trace-file",
     .help =
         "file that gets the trace, compressed if it ends in .zst; standard error unless given, "
         "if that is no terminal",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_CREATES,
     BP_PROP_AT(struct interp_config, trace_file)},
    {.name = "trace-range",
     .help = "only what instructions at these linear addresses do: 0xLOW-0xHIGH, both included",
     .initial = "0x0-0xffffffffffffffff",
     .type = BP_PROP_RANGE,
     BP_PROP_AT(struct interp_config, trace_range)},
    {.name = "trace-vcpus",
     .help = "only what these vCPUs do; all unless given",
     .type = BP_PROP_UINT,
     .max = 254,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct interp_config, trace_vcpus)},
    {.name = "trace-privilege",
     .help = "only what is done at CPL 3 (user), or at CPL 0 to 2 (kernel)",
     .initial = "all",
     .choices = privileges,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct interp_config, trace_privilege)},
    {.name = NULL},
};

static bool asks_for_nothing(const struct interp_config *config)
{
    return !config->trace_file && config->trace_range.first == 0 &&
           config->trace_range.last == UINT64_MAX && !config->trace_vcpus.count &&
           config->trace_privilege == TRACE_ALL;
}

int tracing_start(struct vm *vm, const struct interp_config *config)
{
    const uint32_t *wanted = config->trace.items;
    struct trace_config t = {.path = config->trace_file,
                             .privilege = (enum trace_privilege)config->trace_privilege,
                             .low = config->trace_range.first,
                             .high = config->trace_range.last,
                             .vcpus = config->trace_vcpus.items,
                             .vcpu_count = config->trace_vcpus.count};
    char why[400];
    int err;

    for (uint64_t k = 0; k < config->trace.count; k++)
        t.kinds |= 1u << wanted[k];
    if (!t.kinds && asks_for_nothing(config))
        return 0;
    if (!t.kinds)
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "keys of a trace are given, but not what is to be traced: trace = insn, "
                        "int, mmio, pio or msr");
    if (!t.path && isatty(STDERR_FILENO))
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "a trace needs trace-file, as standard error is a terminal here, which the "
                        "trace would fill");
    err = trace_create(&t, &vm->engine->user, vm->vcpu_count, &vm->trace, why, sizeof(why));
    return err ? bp_failf(vm->host, vm->node, err, "%s", why) : 0;
}
