/* SPDX-License-Identifier: MIT
 *
 * program/option_table.c - the table of options and that of commands, and the help, which is made
 * of them.
 *
 * An option that concerns one key says so there; one that does more has a function
 * (option_take.c).
 */
#include "program/option_table.h"

#include "base/nearest.h"
#include "program/option_take.h"

#include <errno.h>
#include <string.h>

#define HELP_COLUMN 30
#define HELP_WIDTH 100

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
     option_take_memory,
     "RAM: 512M, 2G; a bare number is MiB here, and bytes in a machine file"},
    {"--cpus", {"--cores", "--smp"}, "COUNT", "machine.cpus", NULL, NULL, "virtual CPUs, 1 to 255"},
    {"--backend",
     {NULL},
     "NAME",
     NULL,
     NULL,
     option_take_backend,
     "CPU backend: kvm, interp, hvf or auto"},
    {"--level", {NULL}, "LEVEL", "cpu.level", NULL, NULL, "what the CPUs can do: v2, v3 or host"},
    {"--cpu",
     {NULL},
     "NAME",
     NULL,
     NULL,
     option_take_cpu,
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
     option_take_serial,
     "first serial port: stdio, pty, null, none, file:PATH, or a socket to listen on: unix:PATH or "
     "tcp:HOST:PORT; stdio unless a machine file is given"},
    {"--no-serial",
     {NULL},
     NULL,
     NULL,
     NULL,
     option_take_no_serial,
     "no serial port: --serial none"},
    {"--console",
     {NULL},
     "[=WHERE]",
     NULL,
     NULL,
     option_take_console,
     "debug console at 0x9000000, on stdio or elsewhere as for --serial"},
    {"--disk", {NULL}, "IMAGE", NULL, NULL, option_take_disk, "a disk; once for each"},
    {"--snapshot",
     {NULL},
     NULL,
     NULL,
     NULL,
     option_take_snapshot,
     "throw away what is written to the disks"},
    {"--net",
     {NULL},
     "WHERE",
     NULL,
     NULL,
     option_take_net,
     "a network: user, tap=INTERFACE, socket=ADDRESS, listen=ADDRESS or none; once for each"},
    {"--network",
     {NULL},
     "INTERFACE",
     NULL,
     NULL,
     option_take_network,
     "a network on an interface of the host, as in --network eth0"},
    {"--nic",
     {NULL},
     "MODEL",
     NULL,
     NULL,
     option_take_nic,
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
    {"--verbose", {"-v"}, NULL, NULL, NULL, option_take_verbose, "--log 3; twice, --log 4"},
    {"--debug", {NULL}, NULL, "machine.log", "4", NULL, "--log 4"},
    {"--trace",
     {NULL},
     "LIST",
     NULL,
     NULL,
     option_take_trace,
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
     option_take_trace_file,
     "where the trace goes, compressed if it ends in .zst; standard error if that is no terminal"},
    {"--trace-range",
     {NULL},
     "LOW-HIGH",
     NULL,
     NULL,
     option_take_trace_range,
     "trace only instructions at these linear addresses, and what they do"},
    {"--trace-vcpus",
     {NULL},
     "LIST",
     NULL,
     NULL,
     option_take_trace_vcpus,
     "trace only these vCPUs"},
    {"--trace-privilege",
     {NULL},
     "WHO",
     NULL,
     NULL,
     option_take_trace_privilege,
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
     option_take_set,
     "any key of the machine file, as in --set com1.irq=3"},
    {"--plugin-path",
     {NULL},
     "FOLDERS",
     NULL,
     NULL,
     option_take_plugin_path,
     "where plugins are searched first, separated by colons"},
    {"--print-config",
     {NULL},
     NULL,
     NULL,
     NULL,
     option_take_print_config,
     "print the machine as a machine file, and do not run it"},
    {"--json",
     {NULL},
     NULL,
     NULL,
     NULL,
     option_take_json,
     "check, plugins, validate: answer in JSON"},
    {"--help", {"-h"}, NULL, NULL, NULL, option_take_help, "print this"},
    {"--version", {"-V"}, NULL, NULL, NULL, option_take_version, "print the version"},
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

_Static_assert(sizeof(commands) / sizeof(commands[0]) == OPTIONS_COMMANDS, "each has its line");
#define COMMAND_COLUMN 25

/* ---- looking things up ---- */

const char *options_command(uint32_t command, const char **help)
{
    if (command >= OPTIONS_COMMANDS)
        return NULL;
    *help = commands[command].help;
    return commands[command].name;
}

const struct option *option_find(const char *word, size_t len)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const char *const names[] = {table[i].name, table[i].aliases[0], table[i].aliases[1]};

        for (unsigned n = 0; n < 3; n++)
            if (names[n] && strlen(names[n]) == len && !strncmp(names[n], word, len))
                return &table[i];
    }
    return NULL;
}

const char *option_nearest(const char *word)
{
    const char *words[3 * TABLE_SIZE + 1];
    size_t count = 0;

    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (table[i].name)
            words[count++] = table[i].name;
        /* Every letter is near to every other. */
        for (unsigned n = 0; n < 2 && table[i].aliases[n]; n++)
            if (table[i].aliases[n][1] == '-')
                words[count++] = table[i].aliases[n];
    }
    words[count] = NULL;
    return nearest_word(word, words);
}

int option_is_of_machine(const struct option *option, uint32_t command)
{
    if (option->take == option_take_set)
        return command != OPTIONS_VALIDATE;
    return option->take != option_take_json && option->take != option_take_plugin_path &&
           option->take != parse_kit;
}

static uint32_t commands_of(const struct option *option)
{
    uint32_t machine =
        1u << OPTIONS_RUN | 1u << OPTIONS_CHECK | 1u << OPTIONS_GRAPH | 1u << OPTIONS_COMPARE;

    if (option->take == parse_kit)
        return parse_kit_commands(option->name);
    if (option->take == option_take_json)
        return 1u << OPTIONS_CHECK | 1u << OPTIONS_PLUGINS | 1u << OPTIONS_VALIDATE;
    if (option->take == option_take_print_config)
        return 1u << OPTIONS_RUN;
    if (option->take == option_take_set)
        return machine | 1u << OPTIONS_VALIDATE;
    if (option->take == option_take_plugin_path)
        return machine | 1u << OPTIONS_PLUGINS;
    if (option->take == option_take_help || option->take == option_take_version)
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

    for (size_t i = 0; i < OPTIONS_COMMANDS; i++) {
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
