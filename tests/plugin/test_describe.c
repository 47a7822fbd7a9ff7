/* SPDX-License-Identifier: MIT
 *
 * Tests of plugin/describe.c: the text against golden files, the JSON by parsing it back.
 *
 * After a wanted change of the text: run this program with UPDATE_GOLDEN=1 in the environment, and
 * look at the difference before committing it.
 */
#include "plugin/describe.h"
#include "plugin/temp.h"

#include <json-c/json.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* `text` with every `from` replaced by `to`, to be freed. Frees `text`. */
static char *replaced(char *text, const char *from, const char *to)
{
    size_t size = 0;
    char *out = NULL, *at;
    const char *rest = text;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    while ((at = strstr(rest, from))) {
        fprintf(f, "%.*s%s", (int)(at - rest), rest, to);
        rest = at + strlen(from);
    }
    fprintf(f, "%s", rest);
    fclose(f);
    free(text);
    return out;
}

static void is_golden(char *text, const char *path)
{
    char *golden;
    size_t len;
    FILE *f;

    assert_non_null(text);
    if (getenv("UPDATE_GOLDEN")) {
        f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
    }
    golden = (char *)temp_read(path, &len);
    if (strcmp(text, golden) != 0)
        print_error("%s has other text; if this change is wanted, run with UPDATE_GOLDEN=1\n",
                    path);
    assert_string_equal(text, golden);
    free(golden);
    free(text);
}

static struct plugins *registry(const char *extra)
{
    struct plugins *p = NULL;
    struct error e = {""};

    if (plugins_new(extra, NULL, &p, &e))
        fail_msg("%s", e.text);
    return p;
}

/* A folder with one good plugin and one that is none. */
static struct plugins *mixed(void **state)
{
    temp_copy(state, GOOD "/fake-parts.so", "fake-parts.so");
    temp_copy(state, BAD "/bad-none.so", "bad.so");
    temp_write(state, "text.so", "text", 4);
    return registry(temp_path(state, ""));
}

static void list_is_as_in_the_golden_file(void **state)
{
    struct plugins *p = mixed(state);

    is_golden(replaced(plugins_describe(p, false), temp_path(state, ""), "FOLDER"),
              GOLDEN "/list.golden");
    plugins_free(p);
}

static void list_of_nothing_names_the_folders(void **state)
{
    struct plugins *p = registry("/nonexistent/a");
    char *text = plugins_describe(p, false);

    (void)state;
    assert_string_equal(
        text,
        "no plugins in /nonexistent/a, /nonexistent/.local/lib/backplane/plugins, " INSTALLED "\n");
    free(text);
    plugins_free(p);
}

static const struct plugin *parts(struct plugins *p)
{
    const struct plugin *plugin = NULL;
    struct error e = {""};

    if (plugins_load(p, "fake-parts", NULL, &plugin, &e))
        fail_msg("%s", e.text);
    return plugin;
}

static void plugin_is_shown_as_in_the_golden_file(void **state)
{
    struct plugins *p = registry(GOOD);

    (void)state;
    is_golden(replaced(plugins_describe_one(parts(p), false), GOOD, "FOLDER"),
              GOLDEN "/show.golden");
    plugins_free(p);
}

/* Loaded from BAD, where good ones of the same template are, too. */
static const struct plugin *template(struct plugins *p, const char *path)
{
    const struct plugin *plugin = NULL;
    struct error e = {""};

    if (plugins_load(p, path, NULL, &plugin, &e))
        fail_msg("%s", e.text);
    return plugin;
}

static void registers_are_shown(void **state)
{
    struct plugins *p = registry(GOOD);
    char *text = plugins_describe_one(template(p, BAD "/bad-regions.so"), false);

    (void)state;
    assert_non_null(strstr(text, "    region registers: accesses of 1 to 8 bytes\n"
                                 "        0x1000  RING    RW  8 bytes, DMA address\n"
                                 "        0x0008  STATUS  RC  1 byte\n"));
    free(text);
    plugins_free(p);
}

/* A plugin compiled before the member existed: what stands behind its table is not looked at. */
static void model_of_minor_0_is_shown_without_registers(void **state)
{
    struct plugins *p = registry(GOOD);
    char *text = plugins_describe_one(template(p, BAD "/bad-regions-absent.so"), false);

    (void)state;
    assert_null(strstr(text, "    region "));
    assert_non_null(strstr(text, "model model (device, the default): a model\n"));
    free(text);
    plugins_free(p);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static struct json_object *get(struct json_object *o, const char *key, enum json_type type)
{
    struct json_object *value = NULL;

    assert_true(json_object_is_type(o, json_type_object));
    if (!json_object_object_get_ex(o, key, &value))
        fail_msg("the member \"%s\" is absent", key);
    if (!json_object_is_type(value, type))
        fail_msg("the member \"%s\" is %s, not %s", key,
                 json_type_to_name(json_object_get_type(value)), json_type_to_name(type));
    return value;
}

/* Fails if `o` has a member that is not in `keys`, a list separated by spaces. */
static void only(struct json_object *o, const char *keys)
{
    json_object_object_foreach(o, key, value)
    {
        char word[64];

        (void)value;
        snprintf(word, sizeof(word), " %s ", key);
        if (!strstr(keys, word))
            fail_msg("the member \"%s\" is not documented", key);
    }
}

static void has_shape_of_property(struct json_object *p)
{
    struct json_object *claim;

    only(p, " key type list required default min max choices needs creates claim help ");
    get(p, "key", json_type_string);
    get(p, "type", json_type_string);
    get(p, "list", json_type_boolean);
    get(p, "required", json_type_boolean);
    get(p, "creates", json_type_boolean);
    get(p, "help", json_type_string);
    if (!json_object_object_get_ex(p, "claim", &claim))
        return;
    only(claim, " what length shared reserves ");
    get(claim, "what", json_type_string);
    get(claim, "length", json_type_int);
    get(claim, "shared", json_type_boolean);
    get(claim, "reserves", json_type_boolean);
}

static void has_shape_of_plugin(struct json_object *o)
{
    struct json_object *models = get(o, "models", json_type_array);

    only(o, " name version file abi models ");
    get(o, "name", json_type_string);
    get(o, "version", json_type_string);
    get(o, "file", json_type_string);
    get(o, "abi", json_type_string);
    assert_true(json_object_array_length(models) > 0);
    for (size_t i = 0; i < json_object_array_length(models); i++) {
        struct json_object *m = json_object_array_get_idx(models, i), *props, *fields;

        only(m, " id kind summary default shared once shares-ram irqchip thread joins properties "
                "regions "
                "state ");
        get(m, "id", json_type_string);
        get(m, "kind", json_type_string);
        get(m, "summary", json_type_string);
        get(m, "shared", json_type_boolean);
        get(m, "once", json_type_boolean);
        get(m, "shares-ram", json_type_boolean);
        get(m, "irqchip", json_type_boolean);
        get(m, "thread", json_type_boolean);
        get(m, "joins", json_type_boolean);
        get(m, "joins", json_type_boolean);
        assert_int_equal(json_object_get_boolean(get(m, "default", json_type_boolean)), i == 0);
        props = get(m, "properties", json_type_array);
        for (size_t j = 0; j < json_object_array_length(props); j++)
            has_shape_of_property(json_object_array_get_idx(props, j));
        if (json_object_object_get_ex(m, "state", &fields)) {
            get(fields, "version", json_type_int);
            get(fields, "fields", json_type_array);
        }
    }
}

static void has_shape_of_region(struct json_object *o)
{
    struct json_object *registers = get(o, "registers", json_type_array);

    only(o, " name min-access max-access registers ");
    get(o, "name", json_type_string);
    get(o, "min-access", json_type_int);
    get(o, "max-access", json_type_int);
    for (size_t i = 0; i < json_object_array_length(registers); i++) {
        struct json_object *r = json_object_array_get_idx(registers, i);

        only(r, " name offset width access dma ");
        get(r, "name", json_type_string);
        get(r, "offset", json_type_int);
        get(r, "width", json_type_int);
        get(r, "access", json_type_string);
    }
}

static struct json_object *parsed(char *text)
{
    struct json_object *o;

    assert_non_null(text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    o = json_tokener_parse(text);
    assert_non_null(o);
    free(text);
    return o;
}

static void json_of_the_list_has_the_documented_members(void **state)
{
    struct plugins *p = mixed(state);
    struct json_object *all = parsed(plugins_describe(p, true)), *o = all, *list;
    char reason[1024];

    only(o, " folders plugins unusable ");
    list = get(o, "folders", json_type_array);
    assert_int_equal(json_object_array_length(list), 3);
    assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 0)),
                        temp_path(state, ""));
    list = get(o, "plugins", json_type_array);
    assert_int_equal(json_object_array_length(list), 2);
    for (size_t i = 0; i < 2; i++)
        has_shape_of_plugin(json_object_array_get_idx(list, i));
    list = get(o, "unusable", json_type_array);
    assert_int_equal(json_object_array_length(list), 1);
    o = json_object_array_get_idx(list, 0);
    only(o, " file reason ");
    assert_string_equal(json_object_get_string(get(o, "file", json_type_string)),
                        temp_path(state, "text.so"));
    snprintf(reason, sizeof(reason),
             "%s is not an ELF file (it begins with 74 65 78 74); expected a shared object, as "
             "bp_add_plugin() or cc -shared builds it",
             temp_path(state, "text.so"));
    assert_string_equal(json_object_get_string(get(o, "reason", json_type_string)), reason);
    json_object_put(all);
    plugins_free(p);
}

static struct json_object *property(struct json_object *plugin, size_t model, const char *key)
{
    struct json_object *m =
        json_object_array_get_idx(get(plugin, "models", json_type_array), model);
    struct json_object *props = get(m, "properties", json_type_array);

    for (size_t i = 0; i < json_object_array_length(props); i++) {
        struct json_object *p = json_object_array_get_idx(props, i);

        if (strcmp(json_object_get_string(get(p, "key", json_type_string)), key) == 0)
            return p;
    }
    fail_msg("no property \"%s\"", key);
    return NULL;
}

static const char *text_of(struct json_object *o, const char *key)
{
    return json_object_get_string(get(o, key, json_type_string));
}

static void json_of_registers_says_what_the_table_says(void **state)
{
    struct plugins *p = registry(GOOD);
    struct json_object *o = parsed(plugins_describe_one(template(p, BAD "/bad-regions.so"), true));
    struct json_object *model = json_object_array_get_idx(get(o, "models", json_type_array), 0);
    struct json_object *region =
        json_object_array_get_idx(get(model, "regions", json_type_array), 0);
    struct json_object *ring =
        json_object_array_get_idx(get(region, "registers", json_type_array), 0);

    (void)state;
    has_shape_of_region(region);
    assert_string_equal(json_object_get_string(get(ring, "name", json_type_string)), "RING");
    assert_int_equal(json_object_get_int(get(ring, "offset", json_type_int)), 0x1000);
    assert_string_equal(json_object_get_string(get(ring, "access", json_type_string)), "RW");
    assert_string_equal(json_object_get_string(get(ring, "dma", json_type_string)), "address");
    json_object_put(o);
    plugins_free(p);
}

static void json_of_a_plugin_says_what_the_table_says(void **state)
{
    struct plugins *p = registry(GOOD);
    struct json_object *o = parsed(plugins_describe_one(parts(p), true)), *prop, *inner;

    (void)state;
    has_shape_of_plugin(o);
    assert_string_equal(text_of(o, "name"), "fake-parts");
    assert_string_equal(text_of(o, "file"), GOOD "/fake-parts.so");
    prop = property(o, 3, "size");
    assert_string_equal(text_of(prop, "type"), "size");
    assert_string_equal(text_of(prop, "default"), "4K");
    assert_int_equal(json_object_get_uint64(get(prop, "min", json_type_int)), 4096);
    assert_int_equal(json_object_get_uint64(get(prop, "max", json_type_int)), 1u << 30);
    prop = property(o, 3, "text");
    assert_string_equal(text_of(prop, "help"), "what, \u201cin words\u201d");
    assert_false(json_object_object_get_ex(prop, "min", &inner));
    prop = property(o, 3, "choice");
    inner = get(prop, "choices", json_type_array);
    assert_int_equal(json_object_array_length(inner), 2);
    assert_string_equal(json_object_get_string(json_object_array_get_idx(inner, 1)), "cooked");
    prop = property(o, 1, "chardev");
    assert_string_equal(text_of(prop, "needs"), "bp.char/1");
    assert_true(json_object_get_boolean(get(prop, "required", json_type_boolean)));
    inner = get(property(o, 1, "irq"), "claim", json_type_object);
    assert_string_equal(text_of(inner, "what"), "interrupt");
    assert_true(json_object_get_boolean(get(inner, "shared", json_type_boolean)));
    inner = get(property(o, 3, "port"), "claim", json_type_object);
    assert_int_equal(json_object_get_uint64(get(inner, "length", json_type_int)), 8);
    json_object_put(o);
    plugins_free(p);
}

#define TEMP(name) cmocka_unit_test_setup_teardown(name, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP(list_is_as_in_the_golden_file),
        cmocka_unit_test(list_of_nothing_names_the_folders),
        cmocka_unit_test(plugin_is_shown_as_in_the_golden_file),
        TEMP(json_of_the_list_has_the_documented_members),
        cmocka_unit_test(registers_are_shown),
        cmocka_unit_test(model_of_minor_0_is_shown_without_registers),
        cmocka_unit_test(json_of_registers_says_what_the_table_says),
        cmocka_unit_test(json_of_a_plugin_says_what_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
