/* SPDX-License-Identifier: MIT
 *
 * --print-config: the golden text, and that printing, reading and printing again gives the same.
 *
 * With BACKPLANE_UPDATE_GOLDEN set in the environment the golden file is written instead.
 */
#include "machine/planned.h"

#define MACHINE                                                                                    \
    "[machine]\nlog-guest = on\n[cpu]\nplugin = ./plugins/cpu-kvm\n"                               \
    "[boot]\nkernel = image\ncmdline = \"a ; \\\"b\\\" \\\\ c\"\nmodules = image x\\,y, image\n"   \
    "[com1]\nplugin = dev-uart\nport = 0x2f8\nchardev = terminal\n"                                \
    "[rtc]\nplugin = chr-host\nmodel = file\npath = image\n"                                       \
    "[all]\nplugin = dev-all\nstring = \" \"\npaths = image,/dev/zero\nstrings = a\\,b, c\\\\, "   \
    "d\n"                                                                                          \
    "mac = 52:54:00:12:34:56\nrefs = hub, hub\nuints = 0x10,2\n"                                   \
    "[terminal]\nplugin = chr-host\n[hub]\nplugin = net-hub\n"

static char *read_golden(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 65536);

    if (!in || !text)
        fail_msg("cannot read %s", path);
    fread(text, 1, 65535, in);
    fclose(in);
    return text;
}

static void print_config_is_the_golden_text(void **state)
{
    struct planned *p = *state;
    char *text, *golden;

    planned_accepts(p, MACHINE);
    text = plan_print(&p->plan, &p->config);
    if (getenv("BACKPLANE_UPDATE_GOLDEN")) {
        FILE *out = fopen(GOLDEN, "w");

        fputs(text, out);
        fclose(out);
    }
    golden = read_golden(GOLDEN);
    assert_string_equal(text, golden);
    free(golden);
    free(text);
}

/* Prints the machine of `text`, reads that, and compares what it prints. */
static void goes_round(struct planned *p, const char *text)
{
    char *first, *second;

    planned_accepts(p, text);
    first = plan_print(&p->plan, &p->config);
    planned_accepts(p, first);
    second = plan_print(&p->plan, &p->config);
    assert_string_equal(second, first);
    free(first);
    free(second);
}

static void printed_machine_prints_the_same(void **state)
{
    goes_round(*state, MACHINE);
    goes_round(*state, BARE);
    goes_round(*state, "[boot]\nbinary = image\nentry = 0x1234\n[rtc]\nplugin = dev-uart\n");
    goes_round(*state, "[cpu]\nplugin = cpu-bare\n[boot]\nkernel = image\n");
    goes_round(*state, "[cpu]\nplugin = auto\nlevel = host\n[boot]\nkernel = image\n");
}

static void printed_machine_is_the_same_plan(void **state)
{
    struct planned *p = *state;
    const struct all_config *all;
    char *text;

    planned_accepts(p, MACHINE);
    text = plan_print(&p->plan, &p->config);
    planned_accepts(p, text);
    free(text);
    assert_string_equal(p->plan.boot.cmdline, "a ; \"b\" \\ c");
    assert_int_equal(p->plan.boot.modules.count, 2);
    assert_string_equal(((const char *const *)p->plan.boot.modules.items)[0],
                        "/proc/self/cwd/image x,y");
    all = plan_find(&p->plan, "all")->config;
    assert_string_equal(all->string, " ");
    assert_int_equal(all->strings.count, 3);
    assert_string_equal(((const char *const *)all->strings.items)[0], "a,b");
    assert_string_equal(((const char *const *)all->strings.items)[1], "c\\");
    assert_string_equal(((const char *const *)all->paths.items)[1], "/dev/zero");
    assert_string_equal(plan_find(&p->plan, "rtc-2")->model->id, "rtc");
    assert_int_equal(p->plan.count, 8);
}

/* A level that was not asked for may give way to v2, of the printed machine too. */
static void printed_level_is_given_if_it_was(void **state)
{
    static const char *const levels[] = {"", "level = v3\n", "level = v2\n"};
    struct planned *p = *state;

    for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        char machine[128], *text;

        snprintf(machine, sizeof(machine), "[cpu]\nplugin = auto\n%s[boot]\nkernel = image\n",
                 levels[i]);
        planned_accepts(p, machine);
        text = plan_print(&p->plan, &p->config);
        assert_non_null(strstr(text, i ? levels[i] : "\n; level = v3\n"));
        planned_accepts(p, text);
        free(text);
        assert_int_equal(p->plan.cpu.level_given, i > 0);
    }
}

/* Every value that must be quoted, as a command line, which is the wildest that users write. */
static void any_value_survives_printing(void **state)
{
    static const char *const values[] = {
        "",    " ",     "a",    " a",  "a ",     "\"",       "\"a\"", "a \"b\"",
        "\\",  "a\\",   "\\\"", ";",   "a;b",    "a ;b",     "a\t;b", ";a",
        "# a", "a # b", "=",    "[x]", "\\\\ ;", "\xc3\xa4", "a\tb",  "\t",
    };
    struct planned *p = *state;

    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct error e;
        char *text;

        planned_accepts(p, "[machine]\nboard = none\n[boot]\nkernel = image\n");
        plan_free(&p->plan);
        assert_int_equal(config_set(&p->config, "boot.cmdline", values[i], "--set", "/", 0, &e), 0);
        assert_int_equal(plan_make_from(&p->plan, &p->config, p->source, &p->told.report), 0);
        text = plan_print(&p->plan, &p->config);
        planned_accepts(p, text);
        assert_string_equal(p->plan.boot.cmdline, values[i]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANNED_TEST(print_config_is_the_golden_text),
        PLANNED_TEST(printed_machine_prints_the_same),
        PLANNED_TEST(printed_machine_is_the_same_plan),
        PLANNED_TEST(printed_level_is_given_if_it_was),
        PLANNED_TEST(any_value_survives_printing),
    };

    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
