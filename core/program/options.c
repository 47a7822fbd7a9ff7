/* SPDX-License-Identifier: MIT
 *
 * program/options.c - reads the command line: words, options and their arguments, and what must not
 * stand together. Which options there are is in option_table.c; those that bring devices are only
 * noted: devices.c makes them.
 */
#include "program/option_table.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int unknown(struct parse *p, const char *word, size_t len)
{
    const char *near;
    char plain[64];

    snprintf(plain, sizeof(plain), "%.*s", (int)(len < 60 ? len : 60), word);
    near = option_nearest(plain);
    if (near)
        return parse_fail(p, "there is no option %s; did you mean %s?", plain, near);
    return parse_fail(p, "there is no option %s; backplane --help lists them all", plain);
}

static int apply(struct parse *p, const struct option *option, const char *argument)
{
    p->option = option->name;
    if (!p->machine_option && option_is_of_machine(option, p->o->command))
        p->machine_option = option->name;
    if (option->take)
        return option->take(p, argument);
    return parse_add(p, p->option, option->key, "%s", argument ? argument : option->value);
}

/* "-mem": not -m with the argument "em". */
static int is_long_name(const char *word)
{
    char name[64];

    snprintf(name, sizeof(name), "-%s", word);
    return option_find(name, strcspn(name, "=")) != NULL;
}

/* One word "--name", "--name=value", "-n", "-nvalue" or "-nmo"; takes the next one too if it must.
 */
static int take_word(struct parse *p, char **argv, int *at)
{
    const char *word = argv[*at], *next = argv[*at + 1];
    int is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word, "=") : 2;
    const struct option *option = option_find(word, len);
    const char *value = word[len] ? word + len + (is_long ? 1 : 0) : NULL;

    if (!option || (!is_long && value && is_long_name(word)))
        return unknown(p, word, strcspn(word, "="));
    if (!option->argument && value && is_long)
        return parse_fail(p, "%s takes no argument", option->name);
    if (!option->argument) {
        int ret = apply(p, option, NULL);
        char flag[3] = "-";

        /* More letters, each an option without argument. */
        for (; !ret && value && *value; value++) {
            flag[1] = *value;
            option = option_find(flag, 2);
            if (!option || option->argument)
                return unknown(p, word, strlen(word));
            ret = apply(p, option, NULL);
        }
        return ret;
    }
    if (!value && option->argument[0] != '[') {
        if (!next || option_find(next, strcspn(next, "=")))
            return parse_fail(p, "%s needs an argument: %s %s", option->name, option->name,
                              option->argument);
        value = next;
        ++*at;
    }
    return apply(p, option, value);
}

static int ends_with(const char *text, const char *end)
{
    size_t tlen = strlen(text), elen = strlen(end);

    return tlen >= elen && !strcmp(text + tlen - elen, end);
}

static int take_command(struct parse *p, const char *word)
{
    const char *names[OPTIONS_COMMANDS + 1] = {NULL};
    const char *near, *help;

    for (uint32_t i = 0; i < OPTIONS_COMMANDS; i++) {
        names[i] = options_command(i, &help);
        if (!strcmp(names[i], word)) {
            p->o->command = i;
            return 0;
        }
    }
    near = nearest_word(word, names);
    if (near)
        return parse_fail(p, "there is no command %.100s; did you mean %s?", word, near);
    if (strchr(word, '/') || ends_with(word, ".ini"))
        return parse_fail(p,
                          "there is no command %.300s; to run a machine file: backplane run %.300s",
                          word, word);
    return parse_fail(p, "there is no command %.100s; backplane --help lists them all", word);
}

static int is_argument(const struct options *o, uint32_t index, const char *word)
{
    return index < o->argument_count && o->arguments[index] && !strcmp(o->arguments[index], word);
}

/* What stands there beside options. */
static int check_arguments(struct parse *p)
{
    struct options *o = p->o;

    if (p->kit_option && !(p->kit_commands >> o->command & 1))
        return parse_fail(p, "%s is for %s", p->kit_option,
                          p->kit_commands >> OPTIONS_VALIDATE & 1  ? "validate"
                          : p->kit_commands >> OPTIONS_NEW & 1     ? "new"
                          : p->kit_commands >> OPTIONS_COMPARE & 1 ? "compare"
                                                                   : "graph");
    if (o->command == OPTIONS_RUN || o->command == OPTIONS_CHECK || o->command == OPTIONS_GRAPH ||
        o->command == OPTIONS_COMPARE) {
        if (o->argument_count > 1)
            return parse_fail(
                p, "there is one machine file at most, but both %.300s and %.300s are given",
                o->arguments[0], o->arguments[1]);
        o->file = o->argument_count ? o->arguments[0] : NULL;
        if (o->file && !*o->file)
            return parse_fail(p, "the name of the machine file is empty");
        if (o->json && o->command != OPTIONS_CHECK)
            return parse_fail(p, "--json is for check, plugins and validate");
        if (o->command == OPTIONS_COMPARE && parse_finish_compare(p))
            return -EINVAL;
        if (o->print_config && o->command != OPTIONS_RUN)
            return parse_fail(
                p, "--print-config is for run: it prints the machine instead of running it");
        return parse_finish(p);
    }
    if (o->command == OPTIONS_IMG)
        return 0;
    if (p->machine_option)
        return parse_fail(p, "%s is for run, check, graph and compare", p->machine_option);
    if (o->command == OPTIONS_PLUGINS && o->argument_count &&
        (o->argument_count != 2 || !is_argument(o, 0, "show")))
        return parse_fail(p, "expected backplane plugins, or backplane plugins show NAME");
    if (o->command == OPTIONS_COMPLETION && o->argument_count != 1)
        return parse_fail(p, "expected backplane completion bash, zsh or fish");
    if (o->command == OPTIONS_NEW || o->command == OPTIONS_VALIDATE)
        return parse_finish_kit(p);
    return 0;
}

int options_parse(struct options *o, int argc, char **argv)
{
    struct parse p = {.o = o};
    int at = 1, options = 1, ret = 0;

    memset(o, 0, sizeof(*o));
    o->arguments = calloc((size_t)argc + 1, sizeof(*o->arguments));
    if (!o->arguments) {
        parse_fail(&p, "out of memory");
        return -ENOMEM;
    }
    if (argc < 2)
        return parse_fail(
            &p, "what shall it do? backplane run FILE runs a machine, backplane --help tells "
                "the rest");
    /* `backplane --kernel ...` runs. */
    if (argv[1][0] != '-')
        ret = take_command(&p, argv[at++]);
    /* Its options are another program's. */
    for (; !ret && o->command == OPTIONS_IMG && at < argc; at++)
        o->arguments[o->argument_count++] = argv[at];
    for (; !ret && at < argc; at++) {
        if (o->command == OPTIONS_HELP || o->command == OPTIONS_VERSION)
            return 0;
        if (options && !strcmp(argv[at], "--"))
            options = 0;
        else if (options && argv[at][0] == '-' && argv[at][1])
            ret = take_word(&p, argv, &at);
        else
            o->arguments[o->argument_count++] = argv[at];
    }
    if (ret || o->command == OPTIONS_HELP || o->command == OPTIONS_VERSION)
        return ret;
    return check_arguments(&p);
}

void options_free(struct options *o)
{
    parse_free_settings(o->settings, o->setting_count);
    free(o->arguments);
    free(o->plugin_path);
    memset(o, 0, sizeof(*o));
}
