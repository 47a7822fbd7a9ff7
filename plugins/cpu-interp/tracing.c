/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/tracing.c - the keys of [cpu] that ask for a trace, and its start.
 *
 * Kinds, files, numbers and words are checked by the host, as the table says them; what depends on
 * the machine, or is a range, is checked here.
 */
#include "interp.h"

#include "engine/trace.h"

#include <backplane/util/log.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
     .type = BP_PROP_STRING,
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

/* A number with or without 0x at *text, which moves behind it. */
static bool parse_number(const char **text, uint64_t *out)
{
    bool hex = (*text)[0] == '0' && ((*text)[1] == 'x' || (*text)[1] == 'X');
    const char *digits = hex ? *text + 2 : *text;
    char *end;

    /* strtoull() would take a sign and blanks. */
    if (!strchr(hex ? "0123456789abcdefABCDEF" : "0123456789", *digits) || !*digits)
        return false;
    errno = 0;
    *out = strtoull(digits, &end, hex ? 16 : 10);
    *text = end;
    return errno == 0;
}

static bool parse_range(const char *text, uint64_t *low, uint64_t *high)
{
    return parse_number(&text, low) && *text++ == '-' && parse_number(&text, high) && !*text;
}

static bool asks_for_nothing(const struct interp_config *config)
{
    return !config->trace_file && !config->trace_range && !config->trace_vcpus.count &&
           config->trace_privilege == TRACE_ALL;
}

int tracing_start(struct vm *vm, const struct interp_config *config)
{
    const uint32_t *wanted = config->trace.items;
    struct trace_config t = {.path = config->trace_file,
                             .privilege = (enum trace_privilege)config->trace_privilege,
                             .high = UINT64_MAX,
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
    if (config->trace_range && !parse_range(config->trace_range, &t.low, &t.high))
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "trace-range = \"%.100s\": expected two numbers of 64 bits, as in "
                        "0x1000-0x1fff",
                        config->trace_range);
    if (!t.path && isatty(STDERR_FILENO))
        return bp_failf(vm->host, vm->node, -EINVAL,
                        "a trace needs trace-file, as standard error is a terminal here, which the "
                        "trace would fill");
    err = trace_create(&t, &vm->engine->user, vm->vcpu_count, &vm->trace, why, sizeof(why));
    return err ? bp_failf(vm->host, vm->node, err, "%s", why) : 0;
}
