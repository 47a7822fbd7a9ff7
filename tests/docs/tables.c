/* SPDX-License-Identifier: MIT
 *
 * tests/docs/tables.c - the core's own tables as JSON, for scripts/make-docs: what no plugin
 * declares and no command prints.
 *
 *     docs-tables sections   the keys of [machine], [cpu] and [boot], in the form of `backplane
 *                            plugins show NAME --json` with a model for each section
 *     docs-tables features   the CPUID bits that the levels v2 and v3 know
 */
#include "machine/parts.h"
#include "platform/cpuid_features.h"
#include "plugin/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t count_props(const struct bp_prop *props)
{
    uint32_t count = 0;

    while (props[count].name)
        count++;
    return count;
}

static int print_sections(void)
{
    struct model models[] = {
        {.id = "machine", .props = settings_machine, .summary = "the machine as a whole"},
        {.id = "cpu", .props = settings_cpu, .summary = "the processors"},
        {.id = "boot", .props = settings_boot, .summary = "what is started"},
    };
    enum { MODELS = sizeof(models) / sizeof(models[0]) };
    const struct plugin core = {.path = "",
                                .name = "core",
                                .version = bp_version(),
                                .model_count = MODELS,
                                .models = models};

    for (uint32_t i = 0; i < MODELS; i++) {
        models[i].plugin = &core;
        models[i].kind = BP_KIND_DEVICE;
        models[i].prop_count = count_props(models[i].props);
        if (!settings_sections[i] || strcmp(models[i].id, settings_sections[i]) != 0) {
            fputs("docs-tables: the core has other sections than this program\n", stderr);
            return 1;
        }
    }
    if (settings_sections[MODELS]) {
        fputs("docs-tables: the core has more sections than this program\n", stderr);
        return 1;
    }

    char *text = plugins_describe_one(&core, true);

    if (!text)
        return 1;
    int failed = fputs(text, stdout) < 0 || fflush(stdout);
    free(text);
    return failed;
}

static int print_features(void)
{
    static const char *const kinds[] = {[CPUID_NEED_V2] = "need-v2",
                                        [CPUID_MAY_V2] = "may-v2",
                                        [CPUID_NEED_V3] = "need-v3",
                                        [CPUID_MAY_V3] = "may-v3"};

    puts("[");
    for (const struct cpuid_feature *f = cpuid_features; f->name; f++)
        printf("  {\"name\": \"%s\", \"leaf\": %u, \"kind\": \"%s\"}%s\n", f->name, f->leaf,
               kinds[f->kind], f[1].name ? "," : "");
    puts("]");
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "sections"))
        return print_sections();
    if (argc == 2 && !strcmp(argv[1], "features"))
        return print_features();
    fputs("usage: docs-tables sections|features\n", stderr);
    return 2;
}
