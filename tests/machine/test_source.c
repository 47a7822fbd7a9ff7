/* SPDX-License-Identifier: MIT
 *
 * Plans with plugins from the registry: the built dev-uart, and one that is not there.
 */
#include "machine/planned.h"

static int make(struct planned *p, const char *text)
{
    struct plugins *plugins;
    struct error e;
    int ret;

    assert_int_equal(plugins_new(PLUGIN_FOLDER, NULL, &plugins, &e), 0);
    assert_int_equal(
        config_read_text(&p->config, text, strlen(text), "m.ini", PLANNED_FOLDER, &p->told.report),
        0);
    ret = plan_make(&p->plan, &p->config, plugins, NULL, &p->told.report);
    /* What is asked of the plan is asked while its plugins are loaded. */
    if (!ret) {
        const struct plan_instance *com1 = plan_find(&p->plan, "com1");

        assert_non_null(com1);
        assert_string_equal(com1->model->plugin->name, "dev-uart");
        assert_string_equal(com1->model->id, "16550a");
        assert_int_equal(p->plan.reserved_count, 1);
    }
    plan_free(&p->plan);
    plugins_free(plugins);
    return ret;
}

static void built_plugin_is_found_by_name_and_by_path(void **state)
{
    struct planned *p = *state;
    int ret =
        make(p, BARE "[com1]\nplugin = dev-uart\n"
                     "[console]\nplugin = " PLUGIN_FOLDER "/dev-uart.so\nmodel = mmio-console\n");

    told_is(&p->told, "");
    assert_int_equal(ret, 0);
}

static void bad_94_plugin_is_not_installed(void **state)
{
    struct planned *p = *state;
    int ret = make(p, BARE "[disk0]\nplugin = dev-absent\n");

    assert_int_equal(ret, -ENOENT);
    assert_int_equal(p->told.count, 1);
    /* The rest is the loader's sentence, whose folders depend on who runs this. */
    assert_memory_equal(p->told.lines[0], "m.ini:6: [disk0] plugin = dev-absent: ", 38);
    assert_non_null(strstr(p->told.lines[0], PLUGIN_FOLDER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANNED_TEST(built_plugin_is_found_by_name_and_by_path),
        PLANNED_TEST(bad_94_plugin_is_not_installed),
    };

    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
