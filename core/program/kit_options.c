/* SPDX-License-Identifier: MIT
 *
 * program/kit_options.c - the options of `validate`, `new`, `graph` and `compare`.
 */
#include "program/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 1000000u

static int take_number(struct parse *p, const char *argument, uint64_t max, uint64_t *to)
{
    char *end;

    errno = 0;
    *to = strtoull(argument, &end, 0);
    if (errno || *end || argument[0] < '0' || argument[0] > '9' || *to > max)
        return parse_fail(p, "%s: \"%.100s\" is no number from 0 to %llu", p->option, argument,
                          (unsigned long long)max);
    return 0;
}

static int take_seconds(struct parse *p, const char *argument, uint32_t *to)
{
    uint64_t seconds;
    int err = take_number(p, argument, SECONDS_MAX, &seconds);

    if (err)
        return err;
    if (!seconds)
        return parse_fail(p, "%s: expected at least one second", p->option);
    *to = (uint32_t)seconds;
    return 0;
}

uint32_t parse_kit_commands(const char *option)
{
    if (!strcmp(option, "--format"))
        return 1u << OPTIONS_GRAPH;
    if (!strcmp(option, "--backends") || !strcmp(option, "--until") ||
        !strcmp(option, "--instructions") || !strcmp(option, "--serial-only") ||
        !strcmp(option, "--patience"))
        return 1u << OPTIONS_COMPARE;
    if (!strcmp(option, "--kind") || !strcmp(option, "--language"))
        return 1u << OPTIONS_NEW;
    return 1u << OPTIONS_VALIDATE;
}

/* 1: it is one of compare's, which was taken; 0: it is not; -EINVAL. */
static int take_compare(struct parse *p, const char *argument)
{
    struct options_compare *c = &p->o->compare;

    if (!strcmp(p->option, "--backends"))
        c->backends = argument;
    else if (!strcmp(p->option, "--until"))
        c->until = argument;
    else if (!strcmp(p->option, "--serial-only"))
        c->serial_only = 1;
    else if (strcmp(p->option, "--instructions") != 0 && strcmp(p->option, "--patience") != 0)
        return 0;
    p->kit_option = p->option;
    p->kit_commands = parse_kit_commands(p->option);
    if (!strcmp(p->option, "--patience"))
        return take_seconds(p, argument, &c->patience_s) ? -EINVAL : 1;
    if (strcmp(p->option, "--instructions") != 0)
        return 1;
    return take_number(p, argument, UINT64_MAX, &c->instructions) ? -EINVAL : 1;
}

int parse_kit(struct parse *p, const char *argument)
{
    struct options_kit *kit = &p->o->kit;
    const struct {
        const char *option;
        const char **to;
    } texts[] = {{"--check", &kit->check},       {"--model", &kit->model},
                 {"--input", &kit->input},       {"--kind", &kit->kind},
                 {"--language", &kit->language}, {"--format", &kit->format}};
    int taken = take_compare(p, argument);

    if (taken)
        return taken < 0 ? taken : 0;
    p->kit_option = p->option;
    p->kit_commands = parse_kit_commands(p->option);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(p->option, texts[i].option)) {
            *texts[i].to = argument;
            return 0;
        }
    }
    if (!strcmp(p->option, "--seed")) {
        kit->has_seed = 1;
        return take_number(p, argument, UINT64_MAX, &kit->seed);
    }
    if (!strcmp(p->option, "--fuzz"))
        return take_seconds(p, argument, &kit->fuzz_s);
    if (!strcmp(p->option, "--time-limit"))
        return take_seconds(p, argument, &kit->limit_s);
    kit->tap = 1;
    return 0;
}

int parse_finish_kit(struct parse *p)
{
    const struct options *o = p->o;

    if (o->command == OPTIONS_NEW) {
        if (o->argument_count != 2 || strcmp(o->arguments[0], "plugin") != 0)
            return parse_fail(p, "expected backplane new plugin NAME");
        if (o->json)
            return parse_fail(p, "--json is for check, plugins and validate");
        return 0;
    }
    if (o->argument_count != 1)
        return parse_fail(p, "expected backplane validate FILE, with the file of one plugin");
    if (o->kit.tap && o->json)
        return parse_fail(p, "--tap and --json exclude each other");
    if (o->kit.input && (o->kit.check || o->kit.fuzz_s))
        return parse_fail(p, "--input runs one input alone, without %s",
                          o->kit.check ? "--check" : "--fuzz");
    return 0;
}

int parse_finish_compare(struct parse *p)
{
    const struct options_compare *c = &p->o->compare;
    const char *comma = c->backends ? strchr(c->backends, ',') : NULL;

    if (!comma || comma == c->backends || !comma[1] || strchr(comma + 1, ','))
        return parse_fail(p, "expected --backends FIRST,SECOND, as in --backends interp,kvm");
    if (c->until && !*c->until)
        return parse_fail(p, "--until: expected some text");
    if (c->serial_only && c->instructions)
        return parse_fail(p, "--instructions needs instructions to be counted, which --serial-only "
                             "does not");
    return 0;
}
