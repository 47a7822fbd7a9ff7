/* SPDX-License-Identifier: MIT
 *
 * machine/settings.c - [machine], [cpu] and [boot]: their keys, and what these demand of each
 * other.
 *
 * Their tables are of the same kind as a plugin's, so that parsing, errors, defaults and the manual
 * are.
 */
#include "machine/parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const boards[] = {"pc", "none", NULL};
static const char *const resets[] = {"restart", "exit", NULL};
static const char *const traces[] = {"bus", NULL};
static const char *const levels[] = {"v2", "v3", "host", NULL};
static const char *const protocols[] = {"auto", "linux", "elf", "pvh", "multiboot", "raw", NULL};
static const char *const modes[] = {"16", "32", "64", NULL};

#define MEMORY_MIN (1ull << 20)
#define MEMORY_MAX (1ull << 40)
#define DEFAULT_ADDRESS 0x1000u /* clear of the real-mode vectors and the BIOS data area */

const struct bp_prop settings_machine[] = {
    {.name = "memory",
     .help = "guest RAM, a multiple of 4K",
     .initial = "512M",
     .type = BP_PROP_SIZE,
     .min = MEMORY_MIN,
     .max = MEMORY_MAX,
     BP_PROP_AT(struct plan_machine, memory)},
    {.name = "cpus",
     .help = "virtual CPUs",
     .initial = "1",
     .type = BP_PROP_UINT,
     .min = 1,
     .max = 255,
     BP_PROP_AT(struct plan_machine, cpus)},
    {.name = "board",
     .help = "pc brings the clock, ACPI power management and reset of dev-pc, and interrupt "
             "controllers where the CPU backend has none; none brings nothing",
     .initial = "pc",
     .type = BP_PROP_ENUM,
     .choices = boards,
     BP_PROP_AT(struct plan_machine, board)},
    {.name = "on-reset",
     .help = "what a reset by the guest does: restart the machine, or end the program",
     .initial = "restart",
     .type = BP_PROP_ENUM,
     .choices = resets,
     BP_PROP_AT(struct plan_machine, on_reset)},
    {.name = "log",
     .help = "how much is told: 0 nothing, 1 errors, 2 warnings, 3 information, 4 everything",
     .initial = "2",
     .type = BP_PROP_UINT,
     .max = 4,
     BP_PROP_AT(struct plan_machine, log)},
    {.name = "log-file",
     .help = "file that messages are appended to, instead of standard error",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_CREATES,
     BP_PROP_AT(struct plan_machine, log_file)},
    {.name = "log-guest",
     .help = "tell of what the guest does against its hardware's rules",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct plan_machine, log_guest)},
    {.name = "trace",
     .help = "what is traced, whatever the CPU backend: bus, every access to a device",
     .choices = traces,
     .type = BP_PROP_ENUM,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct plan_machine, trace)},
    {.name = "trace-file",
     .help = "file that gets this trace; standard error unless given, if that is no terminal",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_CREATES,
     BP_PROP_AT(struct plan_machine, trace_file)},
    {.name = "shared",
     .help = "guest RAM is a memfd, for plugins that hand it to other processes",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct plan_machine, shared)},
    {0},
};

const struct bp_prop settings_cpu[] = {
    {.name = "level",
     .help = "what the guest's CPUs can do: x86-64-v2, x86-64-v3, or all that the backend offers; "
             "unless given, v2 where the backend cannot offer v3",
     .initial = "v3",
     .type = BP_PROP_ENUM,
     .choices = levels,
     BP_PROP_AT(struct plan_cpu, level)},
    {0},
};

const struct bp_prop settings_boot[] = {
    {.name = "kernel",
     .help = "bzImage, ELF vmlinux, PVH or multiboot kernel",
     .type = BP_PROP_PATH,
     BP_PROP_AT(struct plan_boot, kernel)},
    {.name = "initrd",
     .help = "initial RAM disk for the kernel",
     .type = BP_PROP_PATH,
     BP_PROP_AT(struct plan_boot, initrd)},
    {.name = "cmdline",
     .help = "the kernel's command line; nothing is ever added to it",
     .type = BP_PROP_STRING,
     BP_PROP_AT(struct plan_boot, cmdline)},
    {.name = "modules",
     .help = "multiboot modules: paths, each with its arguments after a blank; \\, is a comma",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_LIST,
     BP_PROP_AT(struct plan_boot, modules)},
    {.name = "protocol",
     .help = "how the kernel is started; auto looks at the file",
     .initial = "auto",
     .type = BP_PROP_ENUM,
     .choices = protocols,
     BP_PROP_AT(struct plan_boot, protocol)},
    {.name = "binary",
     .help = "raw file that is put at `address` and entered at `entry`, instead of a kernel",
     .type = BP_PROP_PATH,
     BP_PROP_AT(struct plan_boot, binary)},
    {.name = "firmware",
     .help = "ROM image that ends at 4 GiB and is entered at the reset vector, instead of a kernel",
     .type = BP_PROP_PATH,
     BP_PROP_AT(struct plan_boot, firmware)},
    {.name = "address",
     .help = "guest-physical address of the binary's first byte; entry, or else 0x1000",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct plan_boot, address)},
    {.name = "entry",
     .help = "guest-physical address of the binary's first instruction; by default its first byte",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct plan_boot, entry)},
    {.name = "mode",
     .help = "bits of the processor mode in which the binary begins; by default 16",

     .type = BP_PROP_ENUM,
     .choices = modes,
     BP_PROP_AT(struct plan_boot, mode)},
    {0},
};

const char *const settings_sections[] = {"machine", "cpu", "boot", NULL};

int settings_is_section(const char *name)
{
    for (unsigned i = 0; settings_sections[i]; i++)
        if (!strcmp(settings_sections[i], name))
            return 1;
    return 0;
}

static struct props_job job_for(struct planning *p, const char *name, const char *what)
{
    return (struct props_job){
        .section = config_section(p->config, name),
        .name = name,
        .what = what,
        .arena = p->plan->arena,
        .report = p->report,
        .find = plan_ref,
        .context = p,
    };
}

/* ---- [machine] ---- */

int settings_fill_machine(struct planning *p)
{
    struct props_job job = job_for(p, "machine", "[machine]");
    struct plan_machine *machine = &p->plan->machine;
    struct props_text from = props_text(job.section, &settings_machine[0]);
    int ret = props_fill(&job, settings_machine, machine, sizeof(*machine));

    props_tell_unknown(&job, settings_machine);
    if (!ret && machine->memory % RAM_PAGE) {
        report_error(p->report, from.file, from.line, job.name,
                     "[machine] memory = %s: expected a multiple of 4K", quoted(from.text).text);
        ret = -EINVAL;
    }
    return ret;
}

/* ---- [boot] ---- */

static void boot_error(struct planning *p, const struct config_value *at, const char *why)
{
    report_error(p->report, at->file, at->line, "boot", "[boot] %s = %s: %s", at->key,
                 quoted(at->text).text, why);
}

/* "path arguments" -> "/folder/path arguments". */
static const char *module_path(struct planning *p, const struct config_value *at, const char *text)
{
    size_t len = strcspn(text, " \t"), room = 0;
    char *path = plan_arena_text(p->plan->arena, text, len), *whole = NULL;
    struct error e;

    if (path)
        path = props_path(p->plan->arena, at->base, path);
    if (path && (props_check_path(path, 0, &e) || boot_check_file(path, &e))) {
        boot_error(p, at, e.text);
        return text;
    }
    if (path) {
        room = strlen(path) + strlen(text + len) + 1;
        whole = plan_arena_alloc(p->plan->arena, room);
    }
    if (!whole) {
        boot_error(p, at, "out of memory");
        return text;
    }
    snprintf(whole, room, "%s%s", path, text + len);
    return whole;
}

static void resolve_modules(struct planning *p, const struct config_section *section)
{
    const struct config_value *at = config_value(section, "modules");
    struct bp_list *list = &p->plan->boot.modules;
    const char **paths;

    if (!at || !list->count)
        return;
    paths = plan_arena_alloc(p->plan->arena, list->count * sizeof(*paths));
    if (!paths) {
        boot_error(p, at, "out of memory");
        return;
    }
    for (uint64_t i = 0; i < list->count; i++)
        paths[i] = module_path(p, at, ((const char *const *)list->items)[i]);
    list->items = paths;
}

/* The loader takes less than a path can name; whether the path leads anywhere was told already. */
static void check_files(struct planning *p, const struct config_section *section)
{
    const struct {
        const char *key, *path;
    } files[] = {{"kernel", p->plan->boot.kernel},
                 {"initrd", p->plan->boot.initrd},
                 {"binary", p->plan->boot.binary}};
    struct plan_boot *boot = &p->plan->boot;
    struct error e;

    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (files[i].path && boot_check_file(files[i].path, &e))
            boot_error(p, config_value(section, files[i].key), e.text);
    if (boot->firmware && boot_check_firmware(boot->firmware, &boot->firmware_bytes, &e)) {
        boot_error(p, config_value(section, "firmware"), e.text);
        boot->firmware_bytes = 0;
    }
}

/* Firmware finds what it boots by itself. */
static void check_firmware(struct planning *p, const struct config_section *section)
{
    static const char *const others[] = {"initrd",  "cmdline", "modules", "protocol",
                                         "address", "entry",   "mode"};

    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const struct config_value *at = config_value(section, others[i]);

        if (at)
            boot_error(p, at,
                       "it has no meaning for firmware, which is entered at the reset vector");
    }
}

/* Keys that have no meaning beside each other. */
static void check_boot(struct planning *p, const struct config_section *section)
{
    static const struct {
        const char *key;
        int of_kernel; /* 1: goes with kernel, 0: with binary */
    } rules[] = {{"initrd", 1},  {"cmdline", 1}, {"modules", 1},
                 {"address", 0}, {"entry", 0},   {"mode", 0}};
    const struct config_value *kernel = config_value(section, "kernel");
    const struct config_value *binary = config_value(section, "binary");
    const struct config_value *firmware = config_value(section, "firmware");
    const struct config_value *protocol = config_value(section, "protocol");
    int raw = binary || p->plan->boot.protocol == BOOT_RAW;

    if (kernel && binary) {
        boot_error(p, binary, "kernel is given too: only one of the two can be booted");
        return;
    }
    if (firmware && (kernel || binary)) {
        boot_error(p, firmware,
                   kernel ? "kernel is given too: only one of the two can be booted"
                          : "binary is given too: only one of the two can be booted");
        return;
    }
    if (firmware) {
        check_firmware(p, section);
        return;
    }
    if (!kernel && !binary) {
        /* Without [boot], the file that there is. */
        const struct config_section *at = section ? section : p->config->sections;
        int has_place = at && p->config->count && (section || at->line);

        report_error(p->report, has_place ? at->file : NULL, section ? section->line : 0, "boot",
                     "nothing to boot: [boot] has none of kernel, binary and firmware");
    }
    if (binary && protocol && p->plan->boot.protocol != BOOT_AUTO &&
        p->plan->boot.protocol != BOOT_RAW)
        boot_error(p, protocol, "a binary is started by no protocol but raw");
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct config_value *at = config_value(section, rules[i].key);

        if (at && rules[i].of_kernel && raw)
            boot_error(p, at, "a raw binary takes no such thing: it is for a kernel");
        else if (at && rules[i].of_kernel && !kernel)
            boot_error(p, at, "there is no kernel that could take it");
        else if (at && !rules[i].of_kernel && !raw && kernel)
            boot_error(p, at, "it has no meaning for a kernel, only for binary or protocol = raw");
    }
}

static void make_request(struct plan *plan)
{
    static const uint32_t bits[] = {16, 32, 64};
    struct plan_boot *boot = &plan->boot;

    if (!boot->has_address)
        boot->address = boot->has_entry ? boot->entry : DEFAULT_ADDRESS;
    if (!boot->has_entry)
        boot->entry = boot->address;
    plan->boot_request = (struct boot_request){
        .protocol = boot->binary ? BOOT_RAW : (enum boot_protocol)boot->protocol,
        .kernel = boot->binary ? boot->binary : boot->kernel,
        .firmware = boot->firmware,
        .initrd = boot->initrd,
        .cmdline = boot->cmdline,
        .modules = boot->modules.items,
        .module_count = (uint32_t)boot->modules.count,
        .raw_mode = bits[boot->mode],
        .raw_address = boot->address,
        .raw_entry = boot->entry,
    };
}

void settings_fill_boot(struct planning *p)
{
    struct props_job job = job_for(p, "boot", "[boot]");
    struct plan_boot *boot = &p->plan->boot;

    if (!props_fill(&job, settings_boot, boot, sizeof(*boot)))
        resolve_modules(p, job.section);
    check_files(p, job.section);
    props_tell_unknown(&job, settings_boot);
    boot->has_address = config_value(job.section, "address") != NULL;
    boot->has_entry = config_value(job.section, "entry") != NULL;
    check_boot(p, job.section);
    make_request(p->plan);
}

/* ---- [cpu] ---- */

const char *const plan_auto_backends[] = {
#ifdef __APPLE__
    "cpu-hvf",
#else
    "cpu-kvm",
#endif
    "cpu-interp", NULL};

/* The backend that `auto` may choose and that has the key; NULL if none that is installed has. */
static const char *backend_with(struct planning *p, const char *key)
{
    for (const char *const *name = plan_auto_backends; *name; name++) {
        const struct plugin *plugin;
        const struct model *model;
        struct error ignored;

        if (p->source->load(p->source->context, *name, ".", &plugin, &ignored) ||
            p->source->model(p->source->context, plugin, NULL, &model, &ignored))
            continue;
        for (const struct bp_prop *prop = model->props; prop && prop->name; prop++)
            if (!strcmp(prop->name, key))
                return *name;
    }
    return NULL;
}

/* Backends' keys can only be checked against one backend. */
static void tell_auto_keys(struct planning *p, const struct props_job *job)
{
    static const char *const known[] = {"plugin", "level", NULL};

    for (uint32_t i = 0; job->section && i < job->section->count; i++) {
        const struct config_value *value = &job->section->values[i];
        const char *near, *backend;

        if (!strcmp(value->key, known[0]) || !strcmp(value->key, known[1]))
            continue;
        backend = backend_with(p, value->key);
        near = backend ? NULL : config_nearest(value->key, known);
        if (near)
            report_error(job->report, value->file, value->line, "cpu",
                         "[cpu] %s: [cpu] knows no such key; did you mean %s?", value->key, near);
        else
            report_error(
                job->report, value->file, value->line, "cpu",
                "[cpu] %s: with plugin = auto only level can be set, as a backend's keys are "
                "its own: name the backend%s%s",
                value->key, backend ? ", as in plugin = " : "", backend ? backend : "");
    }
}

void settings_find_backend(struct planning *p)
{
    const struct config_section *section = config_section(p->config, "cpu");
    const struct config_value *plugin = config_value(section, "plugin");
    const struct model *model;

    if (!plugin || !strcmp(plugin->text, "auto")) {
        p->backend = p->plan->auto_model = p->source->auto_model;
        return;
    }
    model = plan_model(p, section);
    if (!model)
        return;
    if (model->kind != BP_KIND_CPU) {
        report_error(
            p->report, plugin->file, plugin->line, "cpu",
            "[cpu] plugin = %s: this is no CPU backend; expected auto, or a backend such as "
            "cpu-kvm",
            quoted(plugin->text).text);
        return;
    }
    p->backend = p->plan->cpu_model = model;
}

static void fill_backend(struct planning *p, struct props_job *job)
{
    static const char *const own[] = {"plugin", "model", "level", NULL};
    const struct model *model = p->plan->cpu_model;

    if (!model)
        return;
    job->what = plan_model_name(p, model);
    job->ignore = own;
    p->plan->cpu_config = plan_arena_alloc(p->plan->arena, model->config_size);
    if (!p->plan->cpu_config)
        report_error(p->report, NULL, 0, "cpu", "[cpu]: out of memory");
    else
        props_fill(job, model->props, p->plan->cpu_config, model->config_size);
    props_tell_unknown(job, model->props);
}

void settings_fill_cpu(struct planning *p)
{
    struct props_job job = job_for(p, "cpu", "[cpu]");
    const struct config_value *plugin = config_value(job.section, "plugin");

    props_fill(&job, settings_cpu, &p->plan->cpu, sizeof(p->plan->cpu));
    p->plan->cpu.level_given = config_value(job.section, "level") != NULL;
    if (plugin && strcmp(plugin->text, "auto") != 0)
        fill_backend(p, &job);
    else
        tell_auto_keys(p, &job);
}
