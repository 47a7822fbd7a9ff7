/* SPDX-License-Identifier: MIT
 *
 * config_set(): what --set and options do to a config, and the sentences against malformed keys.
 */
#include "machine/told.h"

#include <errno.h>
#include <stdlib.h>

static int set_up(void **state)
{
    struct config *config = calloc(1, sizeof(*config));

    config_init(config);
    *state = config;
    return 0;
}

static int tear_down(void **state)
{
    config_free(*state);
    free(*state);
    return 0;
}

static const char *value(const struct config *config, const char *section, const char *key)
{
    const struct config_value *v = config_value(config_section(config, section), key);

    return v ? v->text : NULL;
}

static void set_adds_sections_and_keys(void **state)
{
    struct config *config = *state;
    const struct config_value *v;
    struct error e;

    assert_int_equal(config_set(config, "a.b.key", "1", "--set", "/cwd", 0, &e), 0);
    v = config_value(config_section(config, "a.b"), "key");
    assert_string_equal(v->text, "1");
    assert_string_equal(v->file, "--set");
    assert_string_equal(v->base, "/cwd");
    assert_int_equal(v->line, 0);
}

static void set_replaces_unless_it_keeps(void **state)
{
    struct config *config = *state;
    struct error e;

    config_set(config, "a.x", "1", "m.ini", "/", 0, &e);
    assert_int_equal(config_set(config, "a.x", "2", "--set", "/cwd", 1, &e), 0);
    assert_string_equal(value(config, "a", "x"), "1");
    assert_int_equal(config_set(config, "a.x", "3", "--set", "/cwd", 0, &e), 0);
    assert_string_equal(value(config, "a", "x"), "3");
    assert_string_equal(config_value(config_section(config, "a"), "x")->file, "--set");
    assert_int_equal(config_section(config, "a")->count, 1);
}

static void sections_of_one_origin_can_be_removed(void **state)
{
    struct config *config = *state;
    struct error e;

    config_set(config, "a.x", "1", "m.ini", "/", 0, &e);
    config_set(config, "b.x", "2", "the board", "/", 0, &e);
    config_set(config, "c.x", "3", "m.ini", "/", 0, &e);
    config_remove_from(config, "the board");
    assert_int_equal(config->count, 2);
    assert_null(config_section(config, "b"));
    assert_string_equal(value(config, "c", "x"), "3");
}

static void many_keys_and_sections_are_kept(void **state)
{
    struct config *config = *state;
    char key[64], text[16];
    struct error e;

    for (unsigned i = 0; i < 100 * 100; i++) {
        snprintf(key, sizeof(key), "s%u.k%u", i / 100, i % 100);
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(config_set(config, key, text, "--set", "/", 0, &e), 0);
    }
    assert_int_equal(config->count, 100);
    assert_string_equal(value(config, "s42", "k17"), "4217");
}

static void refuses(struct config *config, const char *key, const char *text, const char *sentence)
{
    struct error e;

    assert_int_equal(config_set(config, key, text, "--set", "/", 0, &e), -EINVAL);
    assert_string_equal(e.text, sentence);
    assert_int_equal(config->count, 0);
}

static void bad_94_set_with_a_malformed_key(void **state)
{
    refuses(*state, "memory", "1", "\"memory\" names no key: expected SECTION.KEY, as in com1.irq");
    refuses(*state, ".x", "1",
            "\"\" is no name for a section: 1 to 48 letters, digits and - _ . are");
    refuses(*state, "a b.x", "1",
            "\"a b\" is no name for a section: 1 to 48 letters, digits and - _ . are");
    refuses(*state, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn.x", "1",
            "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\" is no name for a section: at "
            "most 48 "
            "bytes are");
    refuses(*state, "a.", "1", "\"\" is no key: 1 to 48 of a-z, 0-9 and - are");
    refuses(*state, "a.X", "1", "\"X\" is no key: 1 to 48 of a-z, 0-9 and - are");
}

static void bad_94_set_with_a_value_no_file_could_hold(void **state)
{
    char *text = calloc(1, 70000);

    refuses(*state, "a.x", "1\n2",
            "the value of a.x contains the control character 0x0a: a value is one line of text");
    memset(text, 'x', 65536);
    refuses(*state, "a.x", text, "the value of a.x is longer than 65535 bytes");
    free(text);
}

static void nearest_name_is_found(void **state)
{
    static const char *const names[] = {"memory", "cpus", "board", NULL};

    (void)state;
    assert_string_equal(config_nearest("memroy", names), "memory");
    assert_string_equal(config_nearest("cpu", names), "cpus");
    assert_null(config_nearest("zebra", names));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(set_adds_sections_and_keys),
        TEST(set_replaces_unless_it_keeps),
        TEST(sections_of_one_origin_can_be_removed),
        TEST(many_keys_and_sections_are_kept),
        TEST(bad_94_set_with_a_malformed_key),
        TEST(bad_94_set_with_a_value_no_file_could_hold),
        TEST(nearest_name_is_found),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
