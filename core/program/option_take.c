/* SPDX-License-Identifier: MIT
 *
 * program/option_take.c - options that do more than set one key: what each notes for later, or
 * which keys it sets.
 */
#include "program/option_take.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int option_take_memory(struct parse *p, const char *argument)
{
    size_t len = strspn(argument, "0123456789");

    return parse_add(p, p->option, "machine.memory", "%s%s", argument,
                     len && !argument[len] ? "M" : "");
}

int option_take_backend(struct parse *p, const char *argument)
{
    int whole = !strcmp(argument, "auto") || !strncmp(argument, "cpu-", 4) || strchr(argument, '/');

    return parse_add(p, p->option, "cpu.plugin", "%s%s", whole ? "" : "cpu-", argument);
}

int option_take_cpu(struct parse *p, const char *argument)
{
    if (!strcmp(argument, "v2") || !strcmp(argument, "v3") || !strcmp(argument, "host"))
        return parse_add(p, p->option, "cpu.level", "%s", argument);
    return option_take_backend(p, argument);
}

int option_take_verbose(struct parse *p, const char *argument)
{
    (void)argument;
    p->verbose++;
    return parse_add(p, p->option, "machine.log", "%u", p->verbose > 1 ? 4u : 3u);
}

int option_take_disk(struct parse *p, const char *argument)
{
    if (p->disk_count == REPEAT_MAX)
        return parse_fail(p, "--disk: more than %u disks; describe the machine in a file",
                          REPEAT_MAX);
    p->disks[p->disk_count++] = argument;
    return 0;
}

int option_take_snapshot(struct parse *p, const char *argument)
{
    (void)argument;
    p->snapshot = 1;
    return 0;
}

int option_take_network(struct parse *p, const char *argument)
{
    if (p->net_count == REPEAT_MAX)
        return parse_fail(p, "%s: more than %u networks; describe the machine in a file", p->option,
                          REPEAT_MAX);
    p->nets[p->net_count] = argument;
    p->net_origins[p->net_count++] = p->option;
    return 0;
}

int option_take_net(struct parse *p, const char *argument)
{
    static const char *const kinds[] = {"user", "tap=", "socket=", "listen="};

    if (!strcmp(argument, "none"))
        return 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i]);

        if (kinds[i][len - 1] == '=' ? !strncmp(argument, kinds[i], len) && argument[len]
                                     : !strcmp(argument, kinds[i]))
            return option_take_network(p, argument);
    }
    return parse_fail(p,
                      "--net: \"%s\" is no network; expected user, tap=INTERFACE, socket=ADDRESS, "
                      "listen=ADDRESS or none",
                      argument);
}

int option_take_nic(struct parse *p, const char *argument)
{
    if (strcmp(argument, "e1000") != 0 && strcmp(argument, "virtio") != 0)
        return parse_fail(p, "--nic: \"%s\" is no network adapter; expected e1000 or virtio",
                          argument);
    p->nic = argument;
    return 0;
}

int option_take_serial(struct parse *p, const char *argument)
{
    p->serial = argument;
    p->serial_origin = p->option;
    return 0;
}

int option_take_console(struct parse *p, const char *argument)
{
    p->console = argument ? argument : "stdio";
    return 0;
}

int option_take_no_serial(struct parse *p, const char *argument)
{
    (void)argument;
    return option_take_serial(p, "none");
}

int option_take_set(struct parse *p, const char *argument)
{
    const char *equals = strchr(argument, '=');
    char *key;
    int ret;

    if (!equals || !memchr(argument, '.', (size_t)(equals - argument)))
        return parse_fail(
            p, "--set: \"%.200s\" sets nothing; expected SECTION.KEY=VALUE, as in com1.irq=3",
            argument);
    key = strndup(argument, (size_t)(equals - argument));
    ret = key ? parse_add(p, "--set", key, "%s", equals + 1) : -ENOMEM;
    free(key);
    return ret;
}

int option_take_plugin_path(struct parse *p, const char *argument)
{
    char *old = p->o->plugin_path, *joined;

    if (asprintf(&joined, "%s%s%s", old ? old : "", old ? ":" : "", argument) < 0) {
        parse_fail(p, "out of memory");
        return -ENOMEM;
    }
    free(old);
    p->o->plugin_path = joined;
    return 0;
}

int option_take_print_config(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->print_config = 1;
    return 0;
}

int option_take_json(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->json = 1;
    return 0;
}

/* What the values mean is the backend's to say. */
static int set_trace(struct parse *p, const char *key, const char *argument)
{
    if (!p->trace_option)
        p->trace_option = p->option;
    return parse_add(p, p->option, key, "%s", argument);
}

/* The bus is the machine's to trace, all else the backend's. */
int option_take_trace(struct parse *p, const char *argument)
{
    char *rest = strdup(argument), *out = rest;
    int ret = rest ? 0 : -ENOMEM;

    for (const char *at = argument; rest && *at;) {
        size_t len = strcspn(at, ",");
        size_t blanks = strspn(at, " ");

        if (len - blanks == 3 && !strncmp(at + blanks, "bus", 3)) {
            p->traces_bus = 1;
        } else {
            if (out != rest)
                *out++ = ',';
            memcpy(out, at, len);
            out += len;
        }
        at += len + (at[len] == ',');
    }
    if (rest)
        *out = '\0';
    if (!ret && p->traces_bus)
        ret = parse_add(p, p->option, "machine.trace", "bus");
    if (!ret && (*rest || !p->traces_bus)) {
        p->traces = 1;
        ret = set_trace(p, "cpu.trace", rest);
    }
    free(rest);
    return ret;
}

/* Whose it is, is known when all options are. */
int option_take_trace_file(struct parse *p, const char *argument)
{
    p->trace_file = argument;
    return set_trace(p, "cpu.trace-file", argument);
}

int option_take_trace_vcpus(struct parse *p, const char *argument)
{
    return set_trace(p, "cpu.trace-vcpus", argument);
}

int option_take_trace_privilege(struct parse *p, const char *argument)
{
    return set_trace(p, "cpu.trace-privilege", argument);
}

int option_take_trace_range(struct parse *p, const char *argument)
{
    return set_trace(p, "cpu.trace-range", argument);
}

int option_take_help(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->command = OPTIONS_HELP;
    return 0;
}

int option_take_version(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->command = OPTIONS_VERSION;
    return 0;
}
