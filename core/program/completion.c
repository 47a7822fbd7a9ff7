/* SPDX-License-Identifier: MIT
 *
 * program/completion.c - `backplane completion bash|zsh|fish`: the script by which a shell
 * completes the command line, made from the table of options.
 *
 * All three do the same: commands, options of the command, and for an option with an argument what
 * it can be: one of some words, a file, a folder. The scripts call the program for one thing only,
 * the names of plugins.
 */
#include "program/program.h"

#include <string.h>

#ifdef PROGRAM_VALIDATES
#include "validate/validate.h"
#endif

#define ALL UINT32_MAX

/* What arguments can be, where they are few. */
static const struct {
    const char *option, *values;
} choices[] = {
    {"--mode", "16 32 64"},
    {"--backend", "auto interp kvm hvf"},
    {"--level", "v2 v3 host"},
    {"--cpu", "auto interp kvm hvf v2 v3 host"},
    {"--serial", "stdio pty null none file: unix: tcp:"},
    {"--net", "user tap= none"},
    {"--nic", "e1000 virtio"},
    {"--log", "0 1 2 3 4"},
    {"--trace", "bus insn int mmio pio msr"},
    {"--trace-privilege", "user kernel all"},
    {"--format", "tree dot svg"},
    {"--kind", "device cpu net char block service"},
    {"--language", "c c++ rust"},
};

static const struct {
    uint32_t command;
    const char *words; /* that may come first; NULL: a file that ends in `suffix` */
    const char *suffix;
} operands[] = {
    {OPTIONS_RUN, NULL, "ini"},
    {OPTIONS_CHECK, NULL, "ini"},
    {OPTIONS_GRAPH, NULL, "ini"},
    {OPTIONS_PLUGINS, "show", NULL},
    {OPTIONS_NEW, "plugin", NULL},
    {OPTIONS_VALIDATE, NULL, "so"},
    {OPTIONS_IMG, "create info resize", NULL},
    {OPTIONS_COMPLETION, "bash zsh fish", NULL},
};
#define OPERANDS (sizeof(operands) / sizeof(operands[0]))

enum argument { NONE, OPTIONAL, ANY, CHOICE, FILES, FOLDERS };

/* What the option takes; with CHOICE, the words in `words`. */
static enum argument argument_of(const struct option_info *o, char *words, size_t room)
{
    words[0] = '\0';
    if (!o->argument)
        return NONE;
    if (o->argument[0] == '[')
        return OPTIONAL;
    if (!strcmp(o->argument, "FILE") || !strcmp(o->argument, "IMAGE"))
        return FILES;
    if (!strcmp(o->argument, "FOLDERS"))
        return FOLDERS;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        if (!strcmp(choices[i].option, o->names[0]))
            snprintf(words, room, "%s", choices[i].values);
#ifdef PROGRAM_VALIDATES
    const char *name, *what;

    for (uint32_t i = 0; !strcmp(o->names[0], "--check") && (name = validate_check_name(i, &what));
         i++)
        snprintf(words + strlen(words), room - strlen(words), "%s%s", i ? " " : "", name);
#endif
    return words[0] ? CHOICE : ANY;
}

/* The names, each after `before`, with `between` between them. */
static void put_names(const struct option_info *o, const char *before, const char *between)
{
    for (unsigned i = 0; i < 3 && o->names[i]; i++)
        printf("%s%s%s", i ? between : "", before, o->names[i]);
}

/* `text` inside of single quotes, which bash and zsh end for one, and fish escapes. */
static void put_quoted(const char *text, const char *quote)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs(quote, stdout);
        else
            putchar(*text);
}

static void put_commands(const char *between)
{
    const char *name, *help;

    for (uint32_t i = 0; (name = options_command(i, &help)); i++)
        printf("%s%s", i ? between : "", name);
}

/* How a shell says what an option's argument can be: `case NAME in`. */
struct dialect {
    const char *open, *between;        /* before the names, and between them */
    const char *words, *end;           /* around the words of a choice */
    const char *files, *folders, *any; /* what completes these */
};

/* Each option with an argument as a branch of `case $prev`. */
static void put_arguments(const struct dialect *d)
{
    struct option_info o;
    char words[512];

    for (uint32_t i = 0; !options_info(i, &o); i++) {
        enum argument what = argument_of(&o, words, sizeof(words));

        if (what == NONE || what == OPTIONAL)
            continue;
        printf("    %s", d->open);
        put_names(&o, "", d->between);
        if (what == CHOICE)
            printf(") %s%s%s ;;\n", d->words, words, d->end);
        else
            printf(") %s; return ;;\n", what == FILES     ? d->files
                                        : what == FOLDERS ? d->folders
                                                          : d->any);
    }
}

/* ---- bash ---- */

static const struct dialect bash_dialect = {.open = "",
                                            .between = " | ",
                                            .words = "words='",
                                            .end = "'",
                                            .files = "_backplane_files",
                                            .folders = "_backplane_files -d",
                                            .any = ":"};

/* Each set of options as a branch of `case $command`. */
static void bash_options(void)
{
    struct option_info o;
    const char *name, *help;

    for (uint32_t c = 0; (name = options_command(c, &help)); c++) {
        printf("        %s) words='", name);
        for (uint32_t i = 0; !options_info(i, &o); i++) {
            if (!(o.commands >> c & 1))
                continue;
            put_names(&o, "", " ");
            putchar(' ');
        }
        puts("' ;;");
    }
}

static void bash_operands(void)
{
    for (size_t i = 0; i < OPERANDS; i++) {
        const char *help, *name = options_command(operands[i].command, &help);

        if (operands[i].words)
            printf("        %s) words='%s' ;;\n", name, operands[i].words);
        else
            printf("        %s) _backplane_files -X '!*.%s'; return ;;\n", name,
                   operands[i].suffix);
    }
}

static void bash(void)
{
    puts(
        "# Completion of backplane for bash; made by `backplane completion bash`.\n\n"
        "# Names of files that begin with what is typed, and of folders.\n"
        "_backplane_files() {\n"
        "    compopt -o filenames 2>/dev/null\n"
        "    mapfile -t COMPREPLY < <(compgen -f \"$@\" -- \"$cur\"; compgen -d -- \"$cur\")\n"
        "    mapfile -t COMPREPLY < <(printf '%s\\n' \"${COMPREPLY[@]}\" | sort -u | sed '/^$/d')\n"
        "}\n\n"
        "_backplane() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=run "
        "words=\n"
        "    COMPREPLY=()\n"
        "    # Readline splits --name=value into three words.\n"
        "    if [ \"$cur\" = = ]; then\n"
        "        cur=\n"
        "    elif [ \"$prev\" = = ]; then\n"
        "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
        "    fi\n"
        "    case ${COMP_WORDS[1]} in\n"
        "    -*) ;;\n"
        "    *) [ \"$COMP_CWORD\" -gt 1 ] && command=${COMP_WORDS[1]} ;;\n"
        "    esac\n"
        "    case $prev in");
    put_arguments(&bash_dialect);
    puts("    show) [ \"$command\" = plugins ] &&\n"
         "        words=$(backplane plugins 2>/dev/null | sed -n 's/^\\([a-z][^ ]*\\) [0-9][^ "
         "]*$/\\1/p') ;;\n"
         "    esac\n"
         "    if [ -z \"$words\" ] && [ \"${cur:0:1}\" = - ]; then\n"
         "        case $command in");
    bash_options();
    puts("        esac\n"
         "    elif [ -z \"$words\" ] && [ \"$COMP_CWORD\" = 1 ]; then");
    fputs("        words='", stdout);
    put_commands(" ");
    puts("'\n"
         "    elif [ -z \"$words\" ]; then\n"
         "        case $command in");
    bash_operands();
    puts("        esac\n"
         "    fi\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "    case ${COMPREPLY[0]} in\n"
         "    *[=:]) compopt -o nospace 2>/dev/null ;;\n"
         "    esac\n"
         "    return 0\n"
         "}\n\n"
         "complete -F _backplane backplane");
}

/* ---- zsh ---- */

static const struct dialect zsh_dialect = {.open = "(",
                                           .between = "|",
                                           .words = "compadd -- ",
                                           .end = "; return",
                                           .files = "_files",
                                           .folders = "_files -/",
                                           .any = "_message argument"};

static void zsh_options(void)
{
    struct option_info o;
    const char *name, *help;

    for (uint32_t c = 0; (name = options_command(c, &help)); c++) {
        printf("        (%s) options=(", name);
        for (uint32_t i = 0; !options_info(i, &o); i++) {
            for (unsigned n = 0; n < 3 && o.commands >> c & 1 && o.names[n]; n++) {
                printf("\n            '%s:", o.names[n]);
                put_quoted(o.help, "'\\''");
                putchar('\'');
            }
        }
        puts(") ;;");
    }
}

static void zsh(void)
{
    const char *name, *help;

    puts("#compdef backplane\n"
         "# Completion of backplane for zsh; made by `backplane completion zsh`.\n\n"
         "_backplane() {\n"
         "    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} command=run\n"
         "    local -a options commands\n"
         "    if [[ $cur == --*=* ]]; then\n"
         "        prev=${cur%%=*}\n"
         "        compset -P '*='\n"
         "        cur=\n"
         "    fi\n"
         "    if (( CURRENT > 2 )) && [[ ${words[2]} != -* ]]; then\n"
         "        command=${words[2]}\n"
         "    fi\n"
         "    case $prev in");
    put_arguments(&zsh_dialect);
    puts("    (show)\n"
         "        if [[ $command == plugins ]]; then\n"
         "            compadd -- ${(f)\"$(backplane plugins 2>/dev/null | sed -n "
         "'s/^\\([a-z][^ ]*\\) [0-9][^ ]*$/\\1/p')\"}\n"
         "            return\n"
         "        fi ;;\n"
         "    esac\n"
         "    if [[ $cur == -* ]]; then\n"
         "        case $command in");
    zsh_options();
    puts("        esac\n"
         "        _describe -o option options\n"
         "    elif (( CURRENT == 2 )); then\n"
         "        commands=(");
    for (uint32_t i = 0; (name = options_command(i, &help)); i++) {
        printf("            '%s:", name);
        put_quoted(help, "'\\''");
        puts("'");
    }
    puts("        )\n"
         "        _describe command commands\n"
         "    else\n"
         "        case $command in");
    for (size_t i = 0; i < OPERANDS; i++) {
        name = options_command(operands[i].command, &help);
        if (operands[i].words)
            printf("        (%s) compadd -- %s ;;\n", name, operands[i].words);
        else
            printf("        (%s) _files -g '*.%s(-.)' ;;\n", name, operands[i].suffix);
    }
    puts("        esac\n"
         "    fi\n"
         "}\n\n"
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
         "    _backplane \"$@\"\n"
         "elif (( $+functions[compdef] )); then\n"
         "    compdef _backplane backplane\n"
         "fi");
}

/* ---- fish ---- */

/* The condition that the option's commands stand there; `run` is also what no command means. */
static void fish_condition(uint32_t commands)
{
    const char *name, *help;

    if (commands == ALL)
        return;
    fputs(" -n '", stdout);
    if (commands >> OPTIONS_RUN & 1)
        fputs("__fish_use_subcommand; or ", stdout);
    fputs("__fish_seen_subcommand_from", stdout);
    for (uint32_t c = 0; (name = options_command(c, &help)); c++)
        if (commands >> c & 1)
            printf(" %s", name);
    putchar('\'');
}

static void fish_option(const struct option_info *o)
{
    char words[512];
    enum argument what = argument_of(o, words, sizeof(words));

    fputs("complete -c backplane", stdout);
    fish_condition(o->commands);
    for (unsigned i = 0; i < 3 && o->names[i]; i++)
        printf(" %s %s", o->names[i][1] == '-' ? "-l" : "-s",
               o->names[i] + (o->names[i][1] == '-' ? 2 : 1));
    if (what == CHOICE)
        printf(" -x -a '%s'", words);
    else if (what == FILES)
        fputs(" -r -F", stdout);
    else if (what == FOLDERS)
        fputs(" -x -a '(__fish_complete_directories)'", stdout);
    else if (what == ANY)
        fputs(" -x", stdout);
    fputs(" -d '", stdout);
    put_quoted(o->help, "\\'");
    puts("'");
}

static void fish(void)
{
    struct option_info o;
    const char *name, *help;

    puts("# Completion of backplane for fish; made by `backplane completion fish`.\n\n"
         "complete -c backplane -f");
    for (uint32_t i = 0; (name = options_command(i, &help)); i++) {
        printf("complete -c backplane -n __fish_use_subcommand -a %s -d '", name);
        put_quoted(help, "\\'");
        puts("'");
    }
    for (size_t i = 0; i < OPERANDS; i++) {
        name = options_command(operands[i].command, &help);
        printf("complete -c backplane -n '__fish_seen_subcommand_from %s", name);
        if (operands[i].words)
            printf("; and not __fish_seen_subcommand_from %s' -a '%s'\n", operands[i].words,
                   operands[i].words);
        else
            printf("' -a '(__fish_complete_suffix .%s)'\n", operands[i].suffix);
    }
    puts("complete -c backplane -n '__fish_seen_subcommand_from plugins; and "
         "__fish_seen_subcommand_from show' -a '(backplane plugins 2>/dev/null | "
         "string replace -rf \"^([a-z]\\S*) [0-9]\\S*\\$\" \"\\$1\")'");
    for (uint32_t i = 0; !options_info(i, &o); i++)
        fish_option(&o);
}

int command_completion(const struct options *o)
{
    const char *shell = o->arguments[0];

    if (!strcmp(shell, "bash"))
        bash();
    else if (!strcmp(shell, "zsh"))
        zsh();
    else if (!strcmp(shell, "fish"))
        fish();
    else {
        fprintf(stderr,
                "backplane: completion: \"%.100s\" is no shell that it knows; expected "
                "bash, zsh or fish\n",
                shell);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}
