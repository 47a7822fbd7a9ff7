/* SPDX-License-Identifier: MIT
 *
 * program/options.c - the table of options, and what each sets.
 *
 * The parser and the help are driven by the table alone. An option that concerns one key says so
 * there; one that brings devices has a function, which only notes it: devices.c makes them.
 */
#include "program/parse.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 30
#define HELP_WIDTH 100

struct option {
    const char *name; /* NULL: `help` is a heading */
    const char *aliases[2];
    const char *argument; /* its name in the help; NULL: takes none; "[=X]": may take one */
    const char *key;      /* the key that it sets, or NULL */
    const char *value;    /* what it sets the key to when it takes no argument */
    int (*take)(struct parse *p, const char *argument); /* instead, when it does more */
    const char *help;
};

/* ---- options that do more than set a key ---- */

static int take_memory(struct parse *p, const char *argument)
{
    size_t len = strspn(argument, "0123456789");

    return parse_add(p, p->option, "machine.memory", "%s%s", argument,
                     len && !argument[len] ? "M" : "");
}

static int take_backend(struct parse *p, const char *argument)
{
    int whole = !strcmp(argument, "auto") || !strncmp(argument, "cpu-", 4) || strchr(argument, '/');

    return parse_add(p, p->option, "cpu.plugin", "%s%s", whole ? "" : "cpu-", argument);
}

static int take_cpu(struct parse *p, const char *argument)
{
    if (!strcmp(argument, "v2") || !strcmp(argument, "v3") || !strcmp(argument, "host"))
        return parse_add(p, p->option, "cpu.level", "%s", argument);
    return take_backend(p, argument);
}

static int take_verbose(struct parse *p, const char *argument)
{
    (void)argument;
    p->verbose++;
    return parse_add(p, p->option, "machine.log", "%u", p->verbose > 1 ? 4u : 3u);
}

static int take_disk(struct parse *p, const char *argument)
{
    if (p->disk_count == REPEAT_MAX)
        return parse_fail(p, "--disk: more than %u disks; describe the machine in a file",
                          REPEAT_MAX);
    p->disks[p->disk_count++] = argument;
    return 0;
}

static int take_snapshot(struct parse *p, const char *argument)
{
    (void)argument;
    p->snapshot = 1;
    return 0;
}

static int take_network(struct parse *p, const char *argument)
{
    if (p->net_count == REPEAT_MAX)
        return parse_fail(p, "%s: more than %u networks; describe the machine in a file", p->option,
                          REPEAT_MAX);
    p->nets[p->net_count] = argument;
    p->net_origins[p->net_count++] = p->option;
    return 0;
}

static int take_net(struct parse *p, const char *argument)
{
    static const char *const kinds[] = {"user", "tap=", "socket=", "listen="};

    if (!strcmp(argument, "none"))
        return 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i]);

        if (kinds[i][len - 1] == '=' ? !strncmp(argument, kinds[i], len) && argument[len]
                                     : !strcmp(argument, kinds[i]))
            return take_network(p, argument);
    }
    return parse_fail(p,
                      "--net: \"%s\" is no network; expected user, tap=INTERFACE, socket=ADDRESS, "
                      "listen=ADDRESS or none",
                      argument);
}

static int take_nic(struct parse *p, const char *argument)
{
    if (strcmp(argument, "e1000") != 0 && strcmp(argument, "virtio") != 0)
        return parse_fail(p, "--nic: \"%s\" is no network adapter; expected e1000 or virtio",
                          argument);
    p->nic = argument;
    return 0;
}

static int take_serial(struct parse *p, const char *argument)
{
    p->serial = argument;
    p->serial_origin = p->option;
    return 0;
}

static int take_console(struct parse *p, const char *argument)
{
    p->console = argument ? argument : "stdio";
    return 0;
}

static int take_no_serial(struct parse *p, const char *argument)
{
    (void)argument;
    return take_serial(p, "none");
}

static int take_set(struct parse *p, const char *argument)
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

static int take_plugin_path(struct parse *p, const char *argument)
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

static int take_print_config(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->print_config = 1;
    return 0;
}

static int take_json(struct parse *p, const char *argument)
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
static int take_trace(struct parse *p, const char *argument)
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
static int take_trace_file(struct parse *p, const char *argument)
{
    p->trace_file = argument;
    return set_trace(p, "cpu.trace-file", argument);
}

static int take_trace_vcpus(struct parse *p, const char *argument)
{
    return set_trace(p, "cpu.trace-vcpus", argument);
}

static int take_trace_privilege(struct parse *p, const char *argument)
{
    return set_trace(p, "cpu.trace-privilege", argument);
}

static int take_trace_range(struct parse *p, const char *argument)
{
    return set_trace(p, "cpu.trace-range", argument);
}

static int take_help(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->command = OPTIONS_HELP;
    return 0;
}

static int take_version(struct parse *p, const char *argument)
{
    (void)argument;
    p->o->command = OPTIONS_VERSION;
    return 0;
}

/* ---- the table ---- */

#define HEADING(text)                                                                              \
    {                                                                                              \
        .help = (text)                                                                             \
    }

/* In the order of the help. */
static const struct option table[] = {
    HEADING("What to boot"),
    {"--kernel",
     {NULL},
     "FILE",
     "boot.kernel",
     NULL,
     NULL,
     "bzImage, vmlinux, PVH or multiboot kernel"},
    {"--initrd", {NULL}, "FILE", "boot.initrd", NULL, NULL, "initial RAM disk"},
    {"--cmdline",
     {"--append"},
     "TEXT",
     "boot.cmdline",
     NULL,
     NULL,
     "the kernel's command line; nothing is ever added to it"},
    {"--binary", {NULL}, "FILE", "boot.binary", NULL, NULL, "raw file instead of a kernel"},
    {"--firmware",
     {"--bios"},
     "FILE",
     "boot.firmware",
     NULL,
     NULL,
     "ROM image instead of a kernel, entered at the reset vector"},
    {"--address",
     {NULL},
     "ADDRESS",
     "boot.address",
     NULL,
     NULL,
     "where the binary is put; its entry, or else 0x1000"},
    {"--entry",
     {NULL},
     "ADDRESS",
     "boot.entry",
     NULL,
     NULL,
     "where the binary begins; by default its first byte"},
    {"--mode", {NULL}, "16|32|64", "boot.mode", NULL, NULL, "processor mode for the binary; 16"},
    HEADING("The machine"),
    {"--memory",
     {"--mem", "-m"},
     "SIZE",
     NULL,
     NULL,
     take_memory,
     "RAM: 512M, 2G; a bare number is MiB here, and bytes in a machine file"},
    {"--cpus", {"--cores", "--smp"}, "COUNT", "machine.cpus", NULL, NULL, "virtual CPUs, 1 to 255"},
    {"--backend",
     {NULL},
     "NAME",
     NULL,
     NULL,
     take_backend,
     "CPU backend: kvm, interp, hvf or auto"},
    {"--level", {NULL}, "LEVEL", "cpu.level", NULL, NULL, "what the CPUs can do: v2, v3 or host"},
    {"--cpu",
     {NULL},
     "NAME",
     NULL,
     NULL,
     take_cpu,
     "either of these two: kvm, auto, v2, host, ..."},
    {"--no-reboot",
     {NULL},
     NULL,
     "machine.on-reset",
     "exit",
     NULL,
     "end the program when the guest resets the machine"},
    HEADING("Devices"),
    {"--serial",
     {NULL},
     "WHERE",
     NULL,
     NULL,
     take_serial,
     "first serial port: stdio, pty, null, none, file:PATH, or a socket to listen on: unix:PATH or "
     "tcp:HOST:PORT; stdio unless a machine file is given"},
    {"--no-serial", {NULL}, NULL, NULL, NULL, take_no_serial, "no serial port: --serial none"},
    {"--console",
     {NULL},
     "[=WHERE]",
     NULL,
     NULL,
     take_console,
     "debug console at 0x9000000, on stdio or elsewhere as for --serial"},
    {"--disk", {NULL}, "IMAGE", NULL, NULL, take_disk, "a disk; once for each"},
    {"--snapshot",
     {NULL},
     NULL,
     NULL,
     NULL,
     take_snapshot,
     "throw away what is written to the disks"},
    {"--net",
     {NULL},
     "WHERE",
     NULL,
     NULL,
     take_net,
     "a network: user, tap=INTERFACE, socket=ADDRESS, listen=ADDRESS or none; once for each"},
    {"--network",
     {NULL},
     "INTERFACE",
     NULL,
     NULL,
     take_network,
     "a network on an interface of the host, as in --network eth0"},
    {"--nic",
     {NULL},
     "MODEL",
     NULL,
     NULL,
     take_nic,
     "adapter for the networks: e1000 or virtio; e1000"},
    HEADING("Messages"),
    {"--log",
     {NULL},
     "LEVEL",
     "machine.log",
     NULL,
     NULL,
     "0 nothing, 1 errors, 2 warnings, 3 information, 4 everything; 2"},
    {"--log-file", {NULL}, "FILE", "machine.log-file", NULL, NULL, "where messages go"},
    {"--verbose", {"-v"}, NULL, NULL, NULL, take_verbose, "--log 3; twice, --log 4"},
    {"--debug", {NULL}, NULL, "machine.log", "4", NULL, "--log 4"},
    {"--trace",
     {NULL},
     "LIST",
     NULL,
     NULL,
     take_trace,
     "trace, by commas: bus (every access to a device), with any backend; insn (every "
     "instruction), "
     "int (interrupts and exceptions), mmio, pio, msr, with the backend interp, which is the "
     "default "
     "then"},
    {"--trace-file",
     {NULL},
     "FILE",
     NULL,
     NULL,
     take_trace_file,
     "where the trace goes, compressed if it ends in .zst; standard error if that is no terminal"},
    {"--trace-range",
     {NULL},
     "LOW-HIGH",
     NULL,
     NULL,
     take_trace_range,
     "trace only instructions at these linear addresses, and what they do"},
    {"--trace-vcpus", {NULL}, "LIST", NULL, NULL, take_trace_vcpus, "trace only these vCPUs"},
    {"--trace-privilege",
     {NULL},
     "WHO",
     NULL,
     NULL,
     take_trace_privilege,
     "trace only user (CPL 3) or kernel; all"},
    HEADING("Two backends side by side"),
    {"--backends",
     {NULL},
     "FIRST,SECOND",
     NULL,
     NULL,
     parse_kit,
     "compare: the two, as in interp,kvm"},
    {"--until",
     {NULL},
     "TEXT",
     NULL,
     NULL,
     parse_kit,
     "compare: up to where the guest has written this"},
    {"--instructions", {NULL}, "COUNT", NULL, NULL, parse_kit, "compare: so many at most"},
    {"--patience",
     {NULL},
     "SECONDS",
     NULL,
     NULL,
     parse_kit,
     "compare: that the second may take for a step, by default 30"},
    {"--serial-only",
     {NULL},
     NULL,
     NULL,
     NULL,
     parse_kit,
     "compare: let each run freely, and compare what is written to standard output, without the "
     "kernel's times"},
    HEADING("Plugins of your own"),
    {"--seed",
     {NULL},
     "NUMBER",
     NULL,
     NULL,
     parse_kit,
     "validate: of all that is random; another each time"},
    {"--check", {NULL}, "NAME", NULL, NULL, parse_kit, "validate: this check only"},
    {"--model", {NULL}, "MODEL", NULL, NULL, parse_kit, "validate: this model of the plugin only"},
    {"--fuzz",
     {NULL},
     "SECONDS",
     NULL,
     NULL,
     parse_kit,
     "validate: run inputs that reach new code for so long, after the checks"},
    {"--input",
     {NULL},
     "FILE",
     NULL,
     NULL,
     parse_kit,
     "validate: run one input that --fuzz left, and nothing else"},
    {"--time-limit",
     {NULL},
     "SECONDS",
     NULL,
     NULL,
     parse_kit,
     "validate: how long one call may take; 10"},
    {"--tap",
     {NULL},
     NULL,
     NULL,
     NULL,
     parse_kit,
     "validate: answer in the Test Anything Protocol"},
    {"--kind",
     {NULL},
     "KIND",
     NULL,
     NULL,
     parse_kit,
     "new: device, cpu, net, char, block or service; device"},
    {"--language", {NULL}, "NAME", NULL, NULL, parse_kit, "new: c, c++ or rust; c"},
    HEADING("The program"),
    {"--format", {NULL}, "FORM", NULL, NULL, parse_kit, "graph: tree, dot (Graphviz) or svg; tree"},
    {"--set",
     {NULL},
     "SECTION.KEY=VALUE",
     NULL,
     NULL,
     take_set,
     "any key of the machine file, as in --set com1.irq=3"},
    {"--plugin-path",
     {NULL},
     "FOLDERS",
     NULL,
     NULL,
     take_plugin_path,
     "where plugins are searched first, separated by colons"},
    {"--print-config",
     {NULL},
     NULL,
     NULL,
     NULL,
     take_print_config,
     "print the machine as a machine file, and do not run it"},
    {"--json", {NULL}, NULL, NULL, NULL, take_json, "check, plugins, validate: answer in JSON"},
    {"--help", {"-h"}, NULL, NULL, NULL, take_help, "print this"},
    {"--version", {"-V"}, NULL, NULL, NULL, take_version, "print the version"},
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

/* By OPTIONS_*, in the order of the help, which leaves out those without `usage`. */
static const struct {
    const char *name, *usage, *help;
} commands[] = {
    {"run", "run [FILE] [OPTIONS]", "run a machine, from a machine file or options"},
    {"check", "check [FILE] [OPTIONS]", "find its mistakes without running anything"},
    {"plugins", "plugins [show NAME]", "what a machine file can name"},
    {"new", "new plugin NAME", "a folder with the beginnings of a plugin"},
    {"help", NULL, "all options"},
    {"version", NULL, "the version of the program and of the plugins' ABI"},
    {"img", "img COMMAND ...", "make, look at and resize disk images"},
    {"validate", "validate FILE [OPTIONS]", "does a plugin keep the rules?"},
    {"completion", "completion SHELL", "what bash, zsh or fish needs to complete all this"},
    {"graph", "graph [FILE] [OPTIONS]", "draw it: sections, links, addresses, interrupts"},
    {"compare", "compare [FILE] [OPTIONS]", "where two CPU backends first differ"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define COMMAND_COLUMN 25

/* ---- the table, for others ---- */

const char *options_command(uint32_t command, const char **help)
{
    if (command >= COMMANDS)
        return NULL;
    *help = commands[command].help;
    return commands[command].name;
}

static uint32_t commands_of(const struct option *option)
{
    uint32_t machine =
        1u << OPTIONS_RUN | 1u << OPTIONS_CHECK | 1u << OPTIONS_GRAPH | 1u << OPTIONS_COMPARE;

    if (option->take == parse_kit)
        return parse_kit_commands(option->name);
    if (option->take == take_json)
        return 1u << OPTIONS_CHECK | 1u << OPTIONS_PLUGINS | 1u << OPTIONS_VALIDATE;
    if (option->take == take_print_config)
        return 1u << OPTIONS_RUN;
    if (option->take == take_set)
        return machine | 1u << OPTIONS_VALIDATE;
    if (option->take == take_plugin_path)
        return machine | 1u << OPTIONS_PLUGINS;
    if (option->take == take_help || option->take == take_version)
        return UINT32_MAX;
    return machine;
}

int options_info(uint32_t index, struct option_info *out)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const struct option *o = &table[i];

        if (!o->name || index--)
            continue;
        *out = (struct option_info){.names = {o->name, o->aliases[0], o->aliases[1]},
                                    .argument = o->argument,
                                    .help = o->help,
                                    .commands = commands_of(o)};
        return 0;
    }
    return -ENOENT;
}

/* ---- help ---- */

/* "--memory, --mem, -m SIZE" and so on. */
static void option_text(const struct option *option, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "%s", option->name);

    for (unsigned i = 0; i < 2 && option->aliases[i] && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, ", %s", option->aliases[i]);
    if (option->argument && used < room)
        snprintf(text + used, room - used, "%s%s", option->argument[0] == '[' ? "" : " ",
                 option->argument);
}

/* `text` in lines of up to `width` bytes, each but the first after `indent` blanks. */
static void print_wrapped(FILE *out, const char *text, int indent, size_t width)
{
    while (strlen(text) > width) {
        size_t len = width;

        while (len && text[len] != ' ')
            len--;
        if (!len)
            break;
        fprintf(out, "%.*s\n%*s", (int)len, text, indent, "");
        text += len + 1;
    }
    fprintf(out, "%s\n", text);
}

void options_help(FILE *out)
{
    const char *before = "Usage: ";

    for (size_t i = 0; i < COMMANDS; i++) {
        if (!commands[i].usage)
            continue;
        fprintf(out, "%sbackplane %s%*s%s\n", before, commands[i].usage,
                (int)(COMMAND_COLUMN - strlen(commands[i].usage)), "", commands[i].help);
        before = "       ";
    }
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        char text[80];

        if (!table[i].name) {
            fprintf(out, "\n%s:\n", table[i].help);
            continue;
        }
        option_text(&table[i], text, sizeof(text));
        if (strlen(text) > HELP_COLUMN - 4)
            fprintf(out, "  %s\n%*s", text, HELP_COLUMN, "");
        else
            fprintf(out, "  %-*s", HELP_COLUMN - 2, text);
        print_wrapped(out, table[i].help, HELP_COLUMN, HELP_WIDTH - HELP_COLUMN);
    }
    fputs("\nAn option overrides the machine file, and a later option an earlier one. Ctrl-A x "
          "ends the\n"
          "machine.\n",
          out);
}

/* ---- parsing ---- */

static const struct option *find(const char *word, size_t len)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const char *const names[] = {table[i].name, table[i].aliases[0], table[i].aliases[1]};

        for (unsigned n = 0; n < 3; n++)
            if (names[n] && strlen(names[n]) == len && !strncmp(names[n], word, len))
                return &table[i];
    }
    return NULL;
}

static int unknown(struct parse *p, const char *word, size_t len)
{
    const char *words[3 * TABLE_SIZE + 1], *near;
    char plain[64];
    size_t count = 0;

    snprintf(plain, sizeof(plain), "%.*s", (int)(len < 60 ? len : 60), word);
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (table[i].name)
            words[count++] = table[i].name;
        /* Every letter is near to every other. */
        for (unsigned n = 0; n < 2 && table[i].aliases[n]; n++)
            if (table[i].aliases[n][1] == '-')
                words[count++] = table[i].aliases[n];
    }
    words[count] = NULL;
    near = nearest_word(plain, words);
    if (near)
        return parse_fail(p, "there is no option %s; did you mean %s?", plain, near);
    return parse_fail(p, "there is no option %s; backplane --help lists them all", plain);
}

static int apply(struct parse *p, const struct option *option, const char *argument)
{
    p->option = option->name;
    if (option->take != take_json && option->take != take_plugin_path &&
        option->take != parse_kit && !p->machine_option &&
        !(option->take == take_set && p->o->command == OPTIONS_VALIDATE))
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
    return find(name, strcspn(name, "=")) != NULL;
}

/* One word "--name", "--name=value", "-n", "-nvalue" or "-nmo"; takes the next one too if it must.
 */
static int take_word(struct parse *p, char **argv, int *at)
{
    const char *word = argv[*at], *next = argv[*at + 1];
    int is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word, "=") : 2;
    const struct option *option = find(word, len);
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
            option = find(flag, 2);
            if (!option || option->argument)
                return unknown(p, word, strlen(word));
            ret = apply(p, option, NULL);
        }
        return ret;
    }
    if (!value && option->argument[0] != '[') {
        if (!next || find(next, strcspn(next, "=")))
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
    const char *names[COMMANDS + 1] = {NULL};
    const char *near;

    for (uint32_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
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
