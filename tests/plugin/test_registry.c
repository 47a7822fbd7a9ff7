/* SPDX-License-Identifier: MIT
 *
 * Tests of plugin/registry.c: the plugin path, names and paths, what is loaded once, did-you-mean.
 */
#include "plugin/plugin.h"
#include "plugin/temp.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define USER "/nonexistent/.local/lib/backplane/plugins"

static struct plugins *registry(const char *extra)
{
    struct plugins *p = NULL;
    struct error e = {""};

    if (plugins_new(extra, NULL, &p, &e))
        fail_msg("%s", e.text);
    return p;
}

static const struct plugin *load(struct plugins *p, const char *name, const char *base)
{
    const struct plugin *plugin = NULL;
    struct error e = {""};

    if (plugins_load(p, name, base, &plugin, &e))
        fail_msg("%s", e.text);
    return plugin;
}

static void refuses_path(const char *extra, const char *text)
{
    struct plugins *p = NULL;
    struct error e = {""};

    assert_int_equal(plugins_new(extra, NULL, &p, &e), -EINVAL);
    assert_string_equal(e.text, text);
    assert_null(p);
}

static void refuses(struct plugins *p, const char *name, const char *base, int err,
                    const char *text)
{
    const struct plugin *plugin = NULL;
    struct error e = {""};

    assert_int_equal(plugins_load(p, name, base, &plugin, &e), -err);
    assert_string_equal(e.text, text);
    assert_null(plugin);
    plugins_free(p);
}

/* ---- the path ------------------------------------------------------------------------------- */

static void folders_are_searched_in_the_documented_order(void **state)
{
    struct plugins *p;

    (void)state;
    setenv("BACKPLANE_PLUGIN_PATH", "/c:/d", 1);
    p = registry("/a:/b/");
    setenv("BACKPLANE_PLUGIN_PATH", "", 1);
    assert_string_equal(plugins_folder(p, 0), "/a");
    assert_string_equal(plugins_folder(p, 1), "/b");
    assert_string_equal(plugins_folder(p, 2), "/c");
    assert_string_equal(plugins_folder(p, 3), "/d");
    assert_string_equal(plugins_folder(p, 4), USER);
    assert_string_equal(plugins_folder(p, 5), INSTALLED);
    assert_null(plugins_folder(p, 6));
    plugins_free(p);
}

static void a_program_that_was_moved_names_its_own_folder(void **state)
{
    struct plugins *p = NULL;
    struct error e = {""};

    (void)state;
    assert_int_equal(plugins_new("/a", "/moved/lib:64/", &p, &e), 0);
    assert_string_equal(plugins_folder(p, 0), "/a");
    assert_string_equal(plugins_folder(p, 1), USER);
    assert_string_equal(plugins_folder(p, 2), "/moved/lib:64");
    assert_null(plugins_folder(p, 3));
    plugins_free(p);
}

static void bad_98_relative_installed_folder_is_refused(void **state)
{
    struct plugins *p = NULL;
    struct error e = {""};

    (void)state;
    assert_int_equal(plugins_new(NULL, "lib/plugins", &p, &e), -EINVAL);
    assert_string_equal(e.text,
                        "the installed plugin folder is said to be 'lib/plugins'; expected an "
                        "absolute path of less than 4096 bytes");
    assert_int_equal(plugins_new(NULL, "", &p, &e), -EINVAL);
    assert_string_equal(e.text,
                        "the installed plugin folder is said to be ''; expected an absolute path "
                        "of less than 4096 bytes");
    assert_null(p);
}

static void folder_that_is_named_twice_is_searched_once(void **state)
{
    struct plugins *p = registry("/a:/a/:/b");

    (void)state;
    assert_string_equal(plugins_folder(p, 1), "/b");
    plugins_free(p);
}

static void relative_home_is_not_searched(void **state)
{
    struct plugins *p;

    (void)state;
    setenv("HOME", "here", 1);
    p = registry(NULL);
    setenv("HOME", "/nonexistent", 1);
    assert_string_equal(plugins_folder(p, 0), INSTALLED);
    assert_null(plugins_folder(p, 1));
    plugins_free(p);
}

static void bad_98_empty_plugin_path_is_refused(void **state)
{
    (void)state;
    refuses_path("", "--plugin-path has an empty part; expected absolute folders separated by ':'");
}

static void bad_98_empty_part_of_the_path_is_refused(void **state)
{
    (void)state;
    refuses_path("/a::/b",
                 "--plugin-path has an empty part; expected absolute folders separated by ':'");
    refuses_path("/a:",
                 "--plugin-path has an empty part; expected absolute folders separated by ':'");
}

static void bad_98_relative_part_of_the_path_is_refused(void **state)
{
    (void)state;
    refuses_path("/a:plugins",
                 "--plugin-path names 'plugins', which is relative; expected absolute folders: "
                 "plugins are never taken from the current folder by accident");
}

static void bad_98_relative_part_of_the_variable_is_refused(void **state)
{
    (void)state;
    setenv("BACKPLANE_PLUGIN_PATH", ".", 1);
    refuses_path(NULL,
                 "BACKPLANE_PLUGIN_PATH names '.', which is relative; expected absolute folders: "
                 "plugins are never taken from the current folder by accident");
    setenv("BACKPLANE_PLUGIN_PATH", "", 1);
}

static void bad_98_endless_path_is_refused(void **state)
{
    char *extra = calloc(1, 4 * 70 + 1);

    (void)state;
    for (size_t i = 0; i < 70; i++)
        snprintf(extra + 4 * i, 5, "/%02zu%s", i, i < 69 ? ":" : "");
    refuses_path(extra, "the plugin path has more than 64 folders; name fewer");
    free(extra);
}

/* ---- names and paths ------------------------------------------------------------------------ */

static void name_is_looked_up_on_the_path(void **state)
{
    struct plugins *p = registry("/nonexistent:" GOOD);
    const struct plugin *plugin = load(p, "fake-parts", NULL);

    (void)state;
    assert_string_equal(plugin->path, GOOD "/fake-parts.so");
    assert_string_equal(plugin->name, "fake-parts");
    plugins_free(p);
}

static void first_folder_with_the_file_wins(void **state)
{
    const char *copy = temp_copy(state, GOOD "/fake-parts.so", "fake-parts.so");
    char extra[PATH_MAX];
    struct plugins *p;

    snprintf(extra, sizeof(extra), "%s:" GOOD, temp_path(state, ""));
    p = registry(extra);
    assert_string_equal(load(p, "fake-parts", NULL)->path, copy);
    plugins_free(p);
}

static void path_is_relative_to_the_base(void **state)
{
    struct plugins *p = registry(NULL);

    (void)state;
    assert_string_equal(load(p, "./fake-parts.so", GOOD)->path, GOOD "/fake-parts.so");
    plugins_free(p);
}

static void absolute_path_needs_no_base(void **state)
{
    struct plugins *p = registry(NULL);

    (void)state;
    assert_string_equal(load(p, GOOD "/fake-parts.so", "/elsewhere")->path, GOOD "/fake-parts.so");
    plugins_free(p);
}

static void path_may_name_a_renamed_plugin(void **state)
{
    const char *copy = temp_copy(state, GOOD "/fake-parts.so", "old-parts.so");
    struct plugins *p = registry(NULL);

    assert_string_equal(load(p, copy, NULL)->name, "fake-parts");
    plugins_free(p);
}

static void file_is_loaded_once_by_whatever_path(void **state)
{
    struct plugins *p = registry(GOOD);
    const struct plugin *first = load(p, "fake-parts", NULL);
    const char *link = temp_path(state, "link.so");

    assert_int_equal(symlink(GOOD "/fake-parts.so", link), 0);
    assert_ptr_equal(load(p, "fake-parts", NULL), first);
    assert_ptr_equal(load(p, GOOD "/fake-parts.so", NULL), first);
    assert_ptr_equal(load(p, "../good/fake-parts.so", GOOD), first);
    assert_ptr_equal(load(p, link, NULL), first);
    plugins_free(p);
}

static void two_registries_do_not_disturb_each_other(void **state)
{
    struct plugins *a = registry(GOOD), *b = registry(GOOD);
    const struct plugin *in_a = load(a, "fake-parts", NULL);

    (void)state;
    assert_ptr_not_equal(load(b, "fake-parts", NULL), in_a);
    plugins_free(b);
    assert_int_equal(in_a->models[0].instance.start(NULL), 0);
    assert_string_equal(in_a->name, "fake-parts");
    plugins_free(a);
}

static void bad_98_absent_plugin_names_the_folders(void **state)
{
    (void)state;
    refuses(registry("/nonexistent"), "net-tap", NULL, ENOENT,
            "plugin 'net-tap' was not found; searched: /nonexistent, " USER ", " INSTALLED
            "; install it, or name its folder with --plugin-path or BACKPLANE_PLUGIN_PATH");
}

static void bad_98_absent_plugin_has_a_suggestion(void **state)
{
    (void)state;
    refuses(registry(GOOD), "fake-prats", NULL, ENOENT,
            "plugin 'fake-prats' was not found; did you mean 'fake-parts'? searched: " GOOD
            ", " USER ", " INSTALLED
            "; install it, or name its folder with --plugin-path or BACKPLANE_PLUGIN_PATH");
}

static void bad_98_name_with_suffix_has_a_suggestion(void **state)
{
    (void)state;
    refuses(registry(GOOD), "fake-parts.so", NULL, ENOENT,
            "plugin 'fake-parts.so' was not found; did you mean 'fake-parts'? searched: " GOOD
            ", " USER ", " INSTALLED
            "; install it, or name its folder with --plugin-path or BACKPLANE_PLUGIN_PATH");
}

static void bad_98_absent_plugin_on_a_long_path_keeps_its_remedy(void **state)
{
    char extra[20 * 102], folder[102];
    const struct plugin *plugin;
    struct error e = {""};
    struct plugins *p;

    (void)state;
    extra[0] = '\0';
    for (int i = 0; i < 20; i++) {
        memset(folder, 'a' + i, sizeof(folder));
        folder[0] = '/';
        folder[100] = i < 19 ? ':' : '\0';
        folder[101] = '\0';
        strcat(extra, folder); /* NOLINT(*strcpy): sized above */
    }
    p = registry(extra);
    assert_int_equal(plugins_load(p, "net-tap", NULL, &plugin, &e), -ENOENT);
    assert_non_null(strstr(e.text,
                           " and 16 more; install it, or name its folder with --plugin-path "
                           "or BACKPLANE_PLUGIN_PATH"));
    plugins_free(p);
}

static void current_folder_is_never_searched(void **state)
{
    char was[PATH_MAX];

    (void)state;
    assert_non_null(getcwd(was, sizeof(was)));
    assert_int_equal(chdir(GOOD), 0);
    refuses(registry("/nonexistent"), "fake-parts", GOOD, ENOENT,
            "plugin 'fake-parts' was not found; searched: /nonexistent, " USER ", " INSTALLED
            "; install it, or name its folder with --plugin-path or BACKPLANE_PLUGIN_PATH");
    assert_int_equal(chdir(was), 0);
}

static void bad_98_absent_path_is_refused(void **state)
{
    (void)state;
    refuses(registry(GOOD), "./fake-parts.so", "/nonexistent", ENOENT,
            "/nonexistent/fake-parts.so does not exist; expected the file of a plugin");
}

#define NAME_RULE                                                                                  \
    " is no plugin's name; expected 1 to 64 letters, digits, '.', '_', '+' and '-', a letter or "  \
    "digit first, no '..'; a path has a '/'"

static void bad_98_name_of_two_dots_is_refused(void **state)
{
    (void)state;
    refuses(registry(GOOD), "..", GOOD, EINVAL, "'..'" NAME_RULE);
}

static void bad_98_name_with_two_dots_is_refused(void **state)
{
    (void)state;
    refuses(registry(GOOD), "fake..parts", GOOD, EINVAL, "'fake..parts'" NAME_RULE);
}

static void bad_98_empty_name_is_refused(void **state)
{
    (void)state;
    refuses(registry(GOOD), "", GOOD, EINVAL, "''" NAME_RULE);
}

static void bad_98_name_with_control_characters_is_refused(void **state)
{
    (void)state;
    refuses(registry(GOOD), "fake\033[2J\n", GOOD, EINVAL, "'fake?[2J?'" NAME_RULE);
}

static void bad_98_long_name_is_refused(void **state)
{
    char name[101];

    (void)state;
    memset(name, 'x', 100);
    name[100] = '\0';
    refuses(registry(GOOD), name, GOOD, EINVAL,
            "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" NAME_RULE);
}

static void bad_98_long_path_is_refused(void **state)
{
    char *name = calloc(1, 5001);

    (void)state;
    memset(name, 'x', 5000);
    name[0] = '/';
    refuses(
        registry(GOOD), name, GOOD, EINVAL,
        "the path of plugin '/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"
        " is longer than 4095 bytes");
    free(name);
}

static void bad_98_renamed_plugin_on_the_path_is_refused(void **state)
{
    const char *path = temp_copy(state, GOOD "/fake-parts.so", "dev-other.so");
    char text[1024];

    snprintf(
        text, sizeof(text),
        "%s holds the plugin 'fake-parts', not 'dev-other'; rename it to fake-parts.so, or name "
        "it by its path",
        path);
    refuses(registry(temp_path(state, "")), "dev-other", NULL, EINVAL, text);
}

static void bad_98_renamed_plugin_is_refused_when_loaded_by_path_before(void **state)
{
    const char *path = temp_copy(state, GOOD "/fake-parts.so", "dev-other.so");
    struct plugins *p = registry(temp_path(state, ""));
    char text[1024];

    load(p, path, NULL);
    snprintf(
        text, sizeof(text),
        "%s holds the plugin 'fake-parts', not 'dev-other'; rename it to fake-parts.so, or name "
        "it by its path",
        path);
    refuses(p, "dev-other", NULL, EINVAL, text);
}

static void bad_98_bad_first_file_is_not_passed_over(void **state)
{
    const char *path = temp_write(state, "fake-parts.so", "", 0);
    char extra[PATH_MAX], text[1024];

    snprintf(extra, sizeof(extra), "%s:" GOOD, temp_path(state, ""));
    snprintf(text, sizeof(text), "%s is empty; expected a shared object: build or copy it again",
             path);
    refuses(registry(extra), "fake-parts", NULL, ENOEXEC, text);
}

static void failure_leaves_the_registry_usable(void **state)
{
    struct plugins *p = registry(GOOD);
    const struct plugin *plugin = NULL;
    struct error e = {""};

    (void)state;
    assert_int_equal(plugins_load(p, BAD "/bad-create-null.so", NULL, &plugin, &e), -EINVAL);
    assert_non_null(load(p, "fake-parts", NULL));
    plugins_free(p);
}

/* ---- scan ----------------------------------------------------------------------------------- */

struct scan {
    char found[512], broken[2048];
};

static void on_found(void *context, const struct plugin *plugin)
{
    struct scan *s = context;
    size_t at = strlen(s->found);

    snprintf(s->found + at, sizeof(s->found) - at, "%s\n", plugin->path);
}

static void on_broken(void *context, const char *path, const char *why)
{
    struct scan *s = context;
    size_t at = strlen(s->broken);

    assert_memory_equal(why, path, strlen(path));
    snprintf(s->broken + at, sizeof(s->broken) - at, "%s\n", why);
}

static void scan_finds_good_ones_and_tells_why_others_are_broken(void **state)
{
    const char *folder = temp_path(state, "");
    char extra[PATH_MAX], expected[2048];
    struct scan s = {"", ""};
    struct plugins *p;

    temp_copy(state, GOOD "/fake-parts.so", "fake-parts.so");
    temp_copy(state, BAD "/bad-none.so", "bad.so");
    temp_write(state, "a-text.so", "text", 4);
    temp_write(state, "odd name.so", "text", 4);
    temp_write(state, "README", "no plugin, and no harm", 22);
    temp_write(state, ".hidden.so", "", 0);
    assert_int_equal(mkdir(temp_path(state, "folder.so"), 0700), 0);
    snprintf(extra, sizeof(extra), "/nonexistent:%s:" GOOD, folder);
    p = registry(extra);
    assert_int_equal(plugins_scan(p, on_found, on_broken, &s), 0);
    snprintf(expected, sizeof(expected), "%s/bad.so\n%s/fake-parts.so\n", folder, folder);
    assert_string_equal(s.found, expected);
    snprintf(
        expected, sizeof(expected),
        "%s/a-text.so is not an ELF file (it begins with 74 65 78 74); expected a shared object, "
        "as bp_add_plugin() or cc -shared builds it\n" GOOD
        "/fake-parts.so is not used: %s comes first on the plugin path and has 'fake-parts' too; "
        "name it by its path to use it\n"
        "%s/folder.so is a folder; expected the file of a plugin\n"
        "%s/odd name.so cannot be named in a machine file; rename it to letters, digits, '.', "
        "'_', '+' and '-', a letter or digit first\n",
        folder, folder, folder, folder);
    assert_string_equal(s.broken, expected);
    plugins_free(p);
}

/* ---- models --------------------------------------------------------------------------------- */

static void first_model_is_the_default(void **state)
{
    struct plugins *p = registry(GOOD);
    const struct plugin *plugin = load(p, "fake-parts", NULL);
    const struct model *m = NULL;
    struct error e = {""};

    (void)state;
    assert_int_equal(plugin_model(plugin, NULL, &m, &e), 0);
    assert_string_equal(m->id, "echo");
    assert_int_equal(plugin_model(plugin, "types", &m, &e), 0);
    assert_string_equal(m->id, "types");
    plugins_free(p);
}

static void bad_98_absent_model_names_those_there_are(void **state)
{
    struct plugins *p = registry(GOOD);
    const struct plugin *plugin = load(p, "fake-parts", NULL);
    const struct model *m = NULL;
    struct error e = {""};

    (void)state;
    assert_int_equal(plugin_model(plugin, "usr", &m, &e), -ENOENT);
    assert_string_equal(e.text, "plugin 'fake-parts' has no model 'usr'; it has echo, user, half, "
                                "types; did you mean 'user'?");
    assert_int_equal(plugin_model(plugin, "16550a", &m, &e), -ENOENT);
    assert_string_equal(e.text,
                        "plugin 'fake-parts' has no model '16550a'; it has echo, user, half, "
                        "types");
    assert_null(m);
    plugins_free(p);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(plugin_kind_name(BP_KIND_CPU), "cpu");
    assert_string_equal(plugin_kind_name(BP_KIND_SERVICE), "service");
    assert_null(plugin_kind_name(0));
    assert_null(plugin_kind_name(7));
}

#define TEMP(name) cmocka_unit_test_setup_teardown(name, temp_make, temp_remove)

/* The argument is the name of one test. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_searched_in_the_documented_order),
        cmocka_unit_test(a_program_that_was_moved_names_its_own_folder),
        cmocka_unit_test(bad_98_relative_installed_folder_is_refused),
        cmocka_unit_test(folder_that_is_named_twice_is_searched_once),
        cmocka_unit_test(relative_home_is_not_searched),
        cmocka_unit_test(bad_98_empty_plugin_path_is_refused),
        cmocka_unit_test(bad_98_empty_part_of_the_path_is_refused),
        cmocka_unit_test(bad_98_relative_part_of_the_path_is_refused),
        cmocka_unit_test(bad_98_relative_part_of_the_variable_is_refused),
        cmocka_unit_test(bad_98_endless_path_is_refused),
        cmocka_unit_test(name_is_looked_up_on_the_path),
        TEMP(first_folder_with_the_file_wins),
        cmocka_unit_test(path_is_relative_to_the_base),
        cmocka_unit_test(absolute_path_needs_no_base),
        TEMP(path_may_name_a_renamed_plugin),
        TEMP(file_is_loaded_once_by_whatever_path),
        cmocka_unit_test(two_registries_do_not_disturb_each_other),
        cmocka_unit_test(bad_98_absent_plugin_names_the_folders),
        cmocka_unit_test(bad_98_absent_plugin_has_a_suggestion),
        cmocka_unit_test(bad_98_name_with_suffix_has_a_suggestion),
        cmocka_unit_test(bad_98_absent_plugin_on_a_long_path_keeps_its_remedy),
        cmocka_unit_test(current_folder_is_never_searched),
        cmocka_unit_test(bad_98_absent_path_is_refused),
        cmocka_unit_test(bad_98_name_of_two_dots_is_refused),
        cmocka_unit_test(bad_98_name_with_two_dots_is_refused),
        cmocka_unit_test(bad_98_empty_name_is_refused),
        cmocka_unit_test(bad_98_name_with_control_characters_is_refused),
        cmocka_unit_test(bad_98_long_name_is_refused),
        cmocka_unit_test(bad_98_long_path_is_refused),
        TEMP(bad_98_renamed_plugin_on_the_path_is_refused),
        TEMP(bad_98_renamed_plugin_is_refused_when_loaded_by_path_before),
        TEMP(bad_98_bad_first_file_is_not_passed_over),
        cmocka_unit_test(failure_leaves_the_registry_usable),
        TEMP(scan_finds_good_ones_and_tells_why_others_are_broken),
        cmocka_unit_test(first_model_is_the_default),
        cmocka_unit_test(bad_98_absent_model_names_those_there_are),
        cmocka_unit_test(kinds_have_names),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
