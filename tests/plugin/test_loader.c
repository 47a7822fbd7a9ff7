/* SPDX-License-Identifier: MIT
 *
 * Tests of plugin/loader.c, descriptor.c and copy_props.c: each file that is no good plugin is
 * refused with its own sentence and leaves nothing behind. Row 98 of the list of bad inputs.
 *
 * Not shown here: that a create() that fails half way is unwound, which is the services' affair.
 */
#include "plugin/loader.h"
#include "plugin/temp.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void refuses(const char *path, int err, const char *rest)
{
    struct loaded *loaded = NULL;
    struct error e = {""};
    char text[1024];
    struct stat st;

    snprintf(text, sizeof(text), "%s%s", path, rest);
    assert_int_equal(loader_open(path, NULL, &loaded, &e), -err);
    assert_string_equal(e.text, text);
    assert_null(loaded);
    /* What is no file dlopen() may wait for. */
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
        assert_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD));
}

#define REFUSES(name, file, err, text)                                                             \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        refuses(BAD "/bad-" file ".so", err, text);                                                \
    }

/* ---- what is in the plugin ------------------------------------------------------------------ */

/* clang-format off */
REFUSES(bad_98_shared_object_without_entry_symbol_is_refused, "no-symbol", ENOEXEC, " is a shared object, but no plugin: it lacks the symbol bp_plugin_v0; export it, as bp_add_plugin() does")
REFUSES(bad_98_plugin_of_another_major_is_refused, "other-major", ENOTSUP, " is a plugin of another ABI major: it has bp_plugin_v1, this host reads bp_plugin_v0; build it with this host's headers")
REFUSES(bad_98_plugin_that_needs_a_newer_minor_is_refused, "newer-minor", ENOTSUP, ": it needs ABI 0.1 or newer, this host has 0.0; update Backplane, or use an older version of the plugin")
REFUSES(bad_98_truncated_plugin_table_is_refused, "plugin-truncated", EINVAL, ": table bp_plugin is truncated: its size says 24 bytes, and no version has less than 40; set size to sizeof its struct")
REFUSES(bad_98_plugin_table_without_size_is_refused, "plugin-size-zero", EINVAL, ": table bp_plugin is truncated: its size says 0 bytes, and no version has less than 40; set size to sizeof its struct")
REFUSES(bad_98_plugin_table_of_absurd_size_is_refused, "plugin-absurd", EINVAL, ": table bp_plugin has an absurd size of 4294967295 bytes; set size to sizeof its struct")
REFUSES(bad_98_null_name_is_refused, "name-null", EINVAL, ": its name is NULL; expected a string")
REFUSES(bad_98_name_that_is_a_path_is_refused, "name-odd", EINVAL, ": its name '../bad?' is malformed; expected 1 to 64 letters, digits, '.', '_', '+' and '-', a letter or digit first")
REFUSES(bad_98_null_version_is_refused, "version-null", EINVAL, ": its version is NULL; expected a string")
REFUSES(bad_98_version_that_is_not_utf8_is_refused, "version-not-utf8", EINVAL, ": its version is no line of UTF-8 without control characters")
REFUSES(bad_98_version_with_terminal_escape_is_refused, "version-escape", EINVAL, ": its version is no line of UTF-8 without control characters")
REFUSES(bad_98_null_model_list_is_refused, "models-null", EINVAL, ": it has no models; list at least one, then NULL")
REFUSES(bad_98_empty_model_list_is_refused, "models-none", EINVAL, ": it has no models; list at least one, then NULL")
REFUSES(bad_98_truncated_model_table_is_refused, "model-truncated", EINVAL, ": table bp_model is truncated: its size says 56 bytes, and no version has less than 64; set size to sizeof its struct")
REFUSES(bad_98_model_table_of_absurd_size_is_refused, "model-absurd", EINVAL, ": table bp_model has an absurd size of 73 bytes; set size to sizeof its struct")
REFUSES(bad_98_null_model_id_is_refused, "id-null", EINVAL, ": its model id is NULL; expected a string")
REFUSES(bad_98_malformed_model_id_is_refused, "id-odd", EINVAL, ": its model id 'Model_1' is malformed; expected 1 to 64 of a-z, 0-9 and '-'")
REFUSES(bad_98_empty_model_id_is_refused, "id-empty", EINVAL, ": its model id '' is malformed; expected 1 to 64 of a-z, 0-9 and '-'")
REFUSES(bad_98_duplicate_model_id_is_refused, "id-twice", EINVAL, ": model 'model': this id is there twice; rename one")
REFUSES(bad_98_null_summary_is_refused, "summary-null", EINVAL, ": model 'model': its summary is NULL; expected a string")
REFUSES(bad_98_unknown_kind_is_refused, "kind-unknown", EINVAL, ": model 'model': its kind 7 is unknown; this host knows 1 to 6: use BP_KIND_*, or a newer Backplane")
REFUSES(bad_98_thread_of_a_backend_is_refused, "thread-backend", EINVAL, ": model 'model': it has the flag THREAD, but is of kind char; backends have the thread of the device that names them")
REFUSES(bad_98_key_thread_beside_the_hosts_is_refused, "thread-key", EINVAL, ": model 'model': it has a key `thread`, which the host gives to models with BP_MODEL_THREAD; remove one of the two")
REFUSES(bad_98_unknown_model_flags_are_refused, "model-flags", EINVAL, ": model 'model': its flags 0x40 are unknown; this host knows 0x3f: use BP_MODEL_*")
REFUSES(bad_98_absurd_config_size_is_refused, "config-huge", EINVAL, ": model 'model': its config_size is 2147483647 bytes; at most 1048576 are given: set it to sizeof the config struct")
REFUSES(bad_98_null_property_table_is_refused, "props-null", EINVAL, ": model 'model': its property table is NULL; a model without keys has one with only the end, {0}")
REFUSES(bad_98_property_stride_below_minor_0_is_refused, "prop-stride", EINVAL, ": model 'model': the stride of its property table is 80 bytes; expected a multiple of 8 from 88 to 4096: set it to sizeof an entry")
REFUSES(bad_98_property_stride_that_is_no_multiple_of_8_is_refused, "prop-stride-odd", EINVAL, ": model 'model': the stride of its property table is 91 bytes; expected a multiple of 8 from 88 to 4096: set it to sizeof an entry")
REFUSES(bad_98_device_without_instance_table_is_refused, "instance-null", EINVAL, ": model 'model': it is of kind device, but its member `instance` is NULL; set it")
REFUSES(bad_98_cpu_model_without_cpu_table_is_refused, "cpu-null", EINVAL, ": model 'model': it is of kind cpu, but its member `cpu` is NULL; set it")
REFUSES(bad_98_cpu_table_with_null_slots_is_refused, "cpu-hollow", EINVAL, ": model 'model': vm_create of table bp_cpu_ops is NULL; it is required: set it")
REFUSES(bad_98_truncated_instance_table_is_refused, "ops-truncated", EINVAL, ": model 'model': table bp_instance_ops is truncated: its size says 96 bytes, and no version has less than 104; set size to sizeof its struct")
REFUSES(bad_98_instance_table_of_absurd_size_is_refused, "ops-absurd", EINVAL, ": model 'model': table bp_instance_ops has an absurd size of 65536 bytes; set size to sizeof its struct")
REFUSES(bad_98_null_create_is_refused, "create-null", EINVAL, ": model 'model': create of table bp_instance_ops is NULL; it is required: set it")
REFUSES(bad_98_malformed_key_is_refused, "key-odd", EINVAL, ": model 'model': a property: its name 'Bad Key' is malformed; expected 1 to 64 of a-z, 0-9 and '-'")
REFUSES(bad_98_key_of_the_machine_file_itself_is_refused, "key-own", EINVAL, ": model 'model': property 'model': this key is the machine file's own; choose another name")
REFUSES(bad_98_duplicate_key_is_refused, "key-twice", EINVAL, ": model 'model': property 'key': it is there twice; remove one")
REFUSES(bad_98_unknown_property_type_is_refused, "type-unknown", EINVAL, ": model 'model': property 'key': its type 12 is unknown; this host knows 1 to 11: use BP_PROP_*, or a newer Backplane")
REFUSES(bad_98_null_help_is_refused, "help-null", EINVAL, ": model 'model': property 'key': its help is NULL; expected a string")
REFUSES(bad_98_needs_of_a_number_is_refused, "needs-number", EINVAL, ": model 'model': property 'key': it has `needs`, but is UINT; only REF may")
REFUSES(bad_98_malformed_interface_id_is_refused, "needs-odd", EINVAL, ": model 'model': property 'key': its needs 'chardev' is no interface id such as bp.char/1")
REFUSES(bad_98_unknown_claim_is_refused, "claim-unknown", EINVAL, ": model 'model': property 'key': its claim 4 is unknown; this host knows 0 to 3: use BP_CLAIM_*")
REFUSES(bad_98_claim_of_a_text_is_refused, "claim-text", EINVAL, ": model 'model': property 'key': it claims something, but is STRING; only UINT can")
REFUSES(bad_98_interrupt_claim_of_two_lines_is_refused, "claim-irq", EINVAL, ": model 'model': property 'key': its claim_length is 2; an interrupt's is 0 (for itself) or 1 (may be shared)")
REFUSES(bad_98_port_claim_without_length_is_refused, "claim-pio", EINVAL, ": model 'model': property 'key': its claim_length is 0; ports need 1 to 65536")
REFUSES(bad_98_memory_claim_without_length_is_refused, "claim-mmio", EINVAL, ": model 'model': property 'key': its claim_length is 0; say how many bytes it claims")
REFUSES(bad_98_unknown_property_flags_are_refused, "prop-flags", EINVAL, ": model 'model': property 'key': its flags 0x40 are unknown; this host knows 0xf: use BP_PROP_*")
REFUSES(bad_98_creates_flag_of_a_number_is_refused, "creates-number", EINVAL, ": model 'model': property 'key': it has the flag CREATES, but is UINT; only PATH may")
REFUSES(bad_98_reserves_flag_without_memory_claim_is_refused, "reserves-number", EINVAL, ": model 'model': property 'key': it has the flag RESERVES, but claims no MMIO; only that may")
REFUSES(bad_98_number_of_three_bytes_is_refused, "width-uint", EINVAL, ": model 'model': property 'key': its member has 3 bytes; UINT needs 1, 2, 4 or 8")
REFUSES(bad_98_bool_of_eight_bytes_is_refused, "width-bool", EINVAL, ": model 'model': property 'key': its member has 8 bytes; BOOL needs 1")
REFUSES(bad_98_range_of_eight_bytes_is_refused, "width-range", EINVAL, ": model 'model': property 'key': its member has 8 bytes; RANGE needs 16")
REFUSES(bad_98_list_in_a_number_is_refused, "width-list", EINVAL, ": model 'model': property 'key': its member has 8 bytes; a list is a struct bp_list of 16")
REFUSES(bad_98_member_beyond_the_config_struct_is_refused, "beyond-config", EINVAL, ": model 'model': property 'key': its member ends at byte 8, but the config struct has 7; set config_size to its sizeof")
REFUSES(bad_98_member_offset_that_overflows_is_refused, "beyond-overflow", EINVAL, ": model 'model': property 'key': its member ends at byte 4294967296, but the config struct has 32; set config_size to its sizeof")
REFUSES(bad_98_misaligned_member_is_refused, "misaligned", EINVAL, ": model 'model': property 'key': its member at byte 4 is not aligned to 8; do not pack it")
REFUSES(bad_98_min_above_max_is_refused, "min-above-max", EINVAL, ": model 'model': property 'key': its min 5 is above its max 4")
REFUSES(bad_98_max_wider_than_the_member_is_refused, "max-too-wide", EINVAL, ": model 'model': property 'key': its max 4294967296 does not fit in a member of 4 bytes")
REFUSES(bad_98_enum_with_null_choices_is_refused, "enum-without-choices", EINVAL, ": model 'model': property 'key': it is ENUM without choices; list at least one, then NULL")
REFUSES(bad_98_enum_with_no_choice_is_refused, "enum-no-choices", EINVAL, ": model 'model': property 'key': it is ENUM without choices; list at least one, then NULL")
REFUSES(bad_98_duplicate_choice_is_refused, "enum-twice", EINVAL, ": model 'model': property 'key': its choice 'raw' is there twice; remove one")
REFUSES(bad_98_choices_of_a_number_are_refused, "choices-number", EINVAL, ": model 'model': property 'key': it has choices, but is UINT; only ENUM may")
REFUSES(bad_98_field_stride_below_minor_0_is_refused, "field-stride", EINVAL, ": model 'model': the stride of its field table is 16 bytes; expected a multiple of 8 from 32 to 4096: set it to sizeof an entry")
REFUSES(bad_98_field_of_six_bytes_is_refused, "field-width", EINVAL, ": model 'model': field 'first': its elements have 6 bytes; 1, 2, 4 or 8 can be saved: use BP_ARRAY for an array")
REFUSES(bad_98_field_without_elements_is_refused, "field-none", EINVAL, ": model 'model': field 'first': it has 0 elements every 4 bytes; expected at least one, and no overlap")
REFUSES(bad_98_field_with_overlapping_elements_is_refused, "field-over", EINVAL, ": model 'model': field 'first': it has 2 elements every 2 bytes; expected at least one, and no overlap")
REFUSES(bad_98_field_beyond_4_gib_is_refused, "field-far", EINVAL, ": model 'model': field 'first': it ends at byte 17179869180; no instance struct is so large")
REFUSES(bad_98_field_from_a_future_state_version_is_refused, "field-since", EINVAL, ": model 'model': field 'first': it is there since state version 2, but versions go from 1 to 1; set state_version")
REFUSES(bad_98_region_table_below_minor_0_is_refused, "region-truncated", EINVAL, ": model 'model': a region: its size says 24 bytes, and no version has less than 32; set size to sizeof its struct")
REFUSES(bad_98_region_without_a_name_is_refused, "region-name", EINVAL, ": model 'model': a region: its name is NULL; expected a string")
REFUSES(bad_98_register_stride_below_minor_0_is_refused, "register-stride", EINVAL, ": model 'model': region 'registers': the stride of its register table is 16 bytes; expected a multiple of 8 from 24 to 4096: set it to sizeof an entry")
REFUSES(bad_98_register_without_bytes_is_refused, "register-width", EINVAL, ": model 'model': register 'RING': it has 0 bytes at offset 0x1000; expected at least one")
REFUSES(bad_98_register_of_unknown_access_is_refused, "register-access", EINVAL, ": model 'model': register 'RING': its access 4 is unknown; this host knows 0 to 3: use BP_REG_*")
REFUSES(bad_98_register_whose_name_is_no_line_is_refused, "register-name", EINVAL, ": model 'model': a register: its name is no line of UTF-8 without control characters")
REFUSES(bad_98_duplicate_field_is_refused, "field-twice", EINVAL, ": model 'model': field 'first': it is there twice; remove one")
REFUSES(bad_98_unresolved_symbol_is_refused, "unresolved", ENOEXEC, " has an unresolved symbol (undefined symbol: backplane_nowhere); link it with every library that it uses, -Wl,-z,defs finds what is missing")
REFUSES(bad_98_plugin_whose_library_is_absent_is_refused, "library-absent", ENOEXEC, " needs a library that is not there (libbackplane_absent.so: cannot open shared object file: No such file or directory); install it")
/* clang-format on */

static void template_without_a_fault_is_loaded(void **state)
{
    struct loaded *loaded = NULL;
    struct error e = {""};

    (void)state;
    assert_int_equal(loader_open(BAD "/bad-none.so", "bad", &loaded, &e), 0);
    assert_string_equal(loaded->plugin.name, "bad");
    loader_close(loaded);
}

/* ---- what is no plugin at all --------------------------------------------------------------- */

static void bad_98_empty_file_is_refused(void **state)
{
    refuses(temp_write(state, "empty.so", "", 0), ENOEXEC,
            " is empty; expected a shared object: build or copy it again");
}

static void bad_98_text_file_is_refused(void **state)
{
    refuses(temp_write(state, "text.so", "#!/bin/sh\n", 10), ENOEXEC,
            " is not an ELF file (it begins with 23 21 2f 62); expected a shared object, as "
            "bp_add_plugin() or cc -shared builds it");
}

static void bad_98_one_byte_is_refused(void **state)
{
    refuses(temp_write(state, "byte.so", "\x7f", 1), ENOEXEC,
            " is not an ELF file (it begins with 7f 00 00 00); expected a shared object, as "
            "bp_add_plugin() or cc -shared builds it");
}

static void bad_98_truncated_plugin_is_refused(void **state)
{
    size_t len;
    unsigned char *bytes = temp_read(GOOD "/fake-parts.so", &len);
    char rest[256];

    snprintf(rest, sizeof(rest),
             " is truncated: it has %zu bytes, but its section headers reach to byte %zu; build or "
             "copy it again",
             len - 1, len);
    refuses(temp_write(state, "cut.so", bytes, len - 1), ENOEXEC, rest);
    free(bytes);
}

static void bad_98_plugin_for_aarch64_is_refused(void **state)
{
    static const unsigned char header[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 3, [18] = 183};

#ifndef __x86_64__
    skip();
#endif
    refuses(temp_write(state, "arm.so", header, sizeof(header)), ENOEXEC,
            " is built for aarch64 (183), 64-bit, little-endian; this host is x86-64 (62), 64-bit, "
            "little-endian: build it for this host");
}

static void bad_98_folder_is_refused(void **state)
{
    const char *path = temp_path(state, "folder.so");

    assert_int_equal(mkdir(path, 0700), 0);
    refuses(path, EISDIR, " is a folder; expected the file of a plugin");
}

static void bad_98_fifo_is_refused(void **state)
{
    const char *path = temp_path(state, "fifo.so");

    assert_int_equal(mkfifo(path, 0600), 0);
    refuses(path, EINVAL, " is a FIFO; expected the file of a plugin");
}

static void bad_98_device_is_refused(void **state)
{
    (void)state;
    refuses("/dev/null", EINVAL, " is a device; expected the file of a plugin");
}

static void bad_98_absent_file_is_refused(void **state)
{
    refuses(temp_path(state, "absent.so"), ENOENT,
            " does not exist; expected the file of a plugin");
}

static void bad_98_dangling_link_is_refused(void **state)
{
    const char *path = temp_path(state, "dangling.so");

    assert_int_equal(symlink("nowhere", path), 0);
    refuses(path, ENOENT, " does not exist; expected the file of a plugin");
}

static void bad_98_link_to_itself_is_refused(void **state)
{
    const char *path = temp_path(state, "loop.so");

    assert_int_equal(symlink("loop.so", path), 0);
    refuses(path, ELOOP,
            " cannot be looked at: Too many levels of symbolic links; check the permissions of its "
            "folders");
}

/* Root may read everything: shown only where the tests run as somebody else. */
static void bad_98_unreadable_file_is_refused(void **state)
{
    const char *path = temp_copy(state, GOOD "/fake-parts.so", "unreadable.so");

    if (geteuid() == 0)
        skip();
    assert_int_equal(chmod(path, 0), 0);
    refuses(path, EACCES,
            " cannot be read: Permission denied; expected a file that this user may read");
}

static void bad_98_other_name_than_asked_for_is_refused(void **state)
{
    const char *path = temp_copy(state, GOOD "/fake-parts.so", "renamed.so");
    struct loaded *loaded = NULL;
    struct error e = {""};
    char text[512];

    snprintf(text, sizeof(text),
             "%s holds the plugin 'fake-parts', not 'renamed'; rename it to fake-parts.so, or name "
             "it by its path",
             path);
    assert_int_equal(loader_open(path, "renamed", &loaded, &e), -EINVAL);
    assert_string_equal(e.text, text);
    assert_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD));
}

/* ---- a good one ----------------------------------------------------------------------------- */

static struct loaded *open_good(void)
{
    struct loaded *loaded = NULL;
    struct error e = {""};

    assert_int_equal(loader_open(GOOD "/fake-parts.so", "fake-parts", &loaded, &e), 0);
    return loaded;
}

static void descriptor_is_copied_with_all_its_models(void **state)
{
    struct loaded *l = open_good();

    (void)state;
    assert_string_equal(l->plugin.version, "1.2.3");
    assert_string_equal(l->plugin.path, GOOD "/fake-parts.so");
    assert_int_equal(l->plugin.model_count, 4);
    assert_string_equal(l->plugin.models[1].id, "user");
    assert_int_equal(l->plugin.models[1].kind, BP_KIND_DEVICE);
    assert_int_equal(l->plugin.models[0].flags, BP_MODEL_SHARED);
    assert_ptr_equal(l->plugin.models[1].plugin, &l->plugin);
    loader_close(l);
}

static void nothing_of_the_descriptor_is_left_in_the_plugin(void **state)
{
    struct loaded *l = open_good();
    const struct model *m = &l->plugin.models[3];
    const void *code;
    Dl_info info;

    (void)state;
    assert_int_not_equal(dladdr(m->id, &info), 1);
    assert_int_not_equal(dladdr(m->summary, &info), 1);
    assert_int_equal(m->prop_count, 12);
    for (const struct bp_prop *p = m->props; p->name; p++) {
        assert_int_not_equal(dladdr(p->name, &info), 1);
        assert_int_not_equal(dladdr(p->help, &info), 1);
        for (uint32_t i = 0; p->choices && p->choices[i]; i++)
            assert_int_not_equal(dladdr(p->choices[i], &info), 1);
        assert_false(p->needs && dladdr(p->needs, &info));
        assert_false(p->initial && dladdr(p->initial, &info));
    }
    m = &l->plugin.models[0];
    assert_int_equal(m->instance.field_stride, sizeof(struct bp_field));
    assert_string_equal(m->instance.fields[1].name, "count");
    assert_int_not_equal(dladdr(m->instance.fields[1].name, &info), 1);
    assert_null(m->instance.fields[2].name);
    /* Its code, of course, is there: the test above can tell. */
    memcpy(&code, &m->instance.create, sizeof(code));
    assert_int_equal(dladdr(code, &info), 1);
    loader_close(l);
}

static void absent_optional_functions_may_be_called(void **state)
{
    struct loaded *l = open_good();
    const struct bp_instance_ops *ops = &l->plugin.models[1].instance;

    (void)state;
    assert_int_equal(ops->start(NULL), 0);
    ops->stop(NULL);
    ops->timer(NULL, 0);
    assert_null(ops->extension(NULL, "bp.char/1"));
    loader_close(l);
}

static void closing_unloads_the_code(void **state)
{
    (void)state;
    loader_close(open_good());
    assert_null(dlopen(GOOD "/fake-parts.so", RTLD_NOW | RTLD_NOLOAD));
}

/* The argument is the name of one test. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_98_shared_object_without_entry_symbol_is_refused),
        cmocka_unit_test(bad_98_plugin_of_another_major_is_refused),
        cmocka_unit_test(bad_98_plugin_that_needs_a_newer_minor_is_refused),
        cmocka_unit_test(bad_98_truncated_plugin_table_is_refused),
        cmocka_unit_test(bad_98_plugin_table_without_size_is_refused),
        cmocka_unit_test(bad_98_plugin_table_of_absurd_size_is_refused),
        cmocka_unit_test(bad_98_null_name_is_refused),
        cmocka_unit_test(bad_98_name_that_is_a_path_is_refused),
        cmocka_unit_test(bad_98_null_version_is_refused),
        cmocka_unit_test(bad_98_version_that_is_not_utf8_is_refused),
        cmocka_unit_test(bad_98_version_with_terminal_escape_is_refused),
        cmocka_unit_test(bad_98_null_model_list_is_refused),
        cmocka_unit_test(bad_98_empty_model_list_is_refused),
        cmocka_unit_test(bad_98_truncated_model_table_is_refused),
        cmocka_unit_test(bad_98_model_table_of_absurd_size_is_refused),
        cmocka_unit_test(bad_98_null_model_id_is_refused),
        cmocka_unit_test(bad_98_malformed_model_id_is_refused),
        cmocka_unit_test(bad_98_empty_model_id_is_refused),
        cmocka_unit_test(bad_98_duplicate_model_id_is_refused),
        cmocka_unit_test(bad_98_null_summary_is_refused),
        cmocka_unit_test(bad_98_unknown_kind_is_refused),
        cmocka_unit_test(bad_98_unknown_model_flags_are_refused),
        cmocka_unit_test(bad_98_thread_of_a_backend_is_refused),
        cmocka_unit_test(bad_98_key_thread_beside_the_hosts_is_refused),
        cmocka_unit_test(bad_98_absurd_config_size_is_refused),
        cmocka_unit_test(bad_98_null_property_table_is_refused),
        cmocka_unit_test(bad_98_property_stride_below_minor_0_is_refused),
        cmocka_unit_test(bad_98_property_stride_that_is_no_multiple_of_8_is_refused),
        cmocka_unit_test(bad_98_device_without_instance_table_is_refused),
        cmocka_unit_test(bad_98_cpu_model_without_cpu_table_is_refused),
        cmocka_unit_test(bad_98_cpu_table_with_null_slots_is_refused),
        cmocka_unit_test(bad_98_truncated_instance_table_is_refused),
        cmocka_unit_test(bad_98_instance_table_of_absurd_size_is_refused),
        cmocka_unit_test(bad_98_null_create_is_refused),
        cmocka_unit_test(bad_98_malformed_key_is_refused),
        cmocka_unit_test(bad_98_key_of_the_machine_file_itself_is_refused),
        cmocka_unit_test(bad_98_duplicate_key_is_refused),
        cmocka_unit_test(bad_98_unknown_property_type_is_refused),
        cmocka_unit_test(bad_98_null_help_is_refused),
        cmocka_unit_test(bad_98_needs_of_a_number_is_refused),
        cmocka_unit_test(bad_98_malformed_interface_id_is_refused),
        cmocka_unit_test(bad_98_unknown_claim_is_refused),
        cmocka_unit_test(bad_98_claim_of_a_text_is_refused),
        cmocka_unit_test(bad_98_interrupt_claim_of_two_lines_is_refused),
        cmocka_unit_test(bad_98_port_claim_without_length_is_refused),
        cmocka_unit_test(bad_98_memory_claim_without_length_is_refused),
        cmocka_unit_test(bad_98_unknown_property_flags_are_refused),
        cmocka_unit_test(bad_98_creates_flag_of_a_number_is_refused),
        cmocka_unit_test(bad_98_reserves_flag_without_memory_claim_is_refused),
        cmocka_unit_test(bad_98_number_of_three_bytes_is_refused),
        cmocka_unit_test(bad_98_bool_of_eight_bytes_is_refused),
        cmocka_unit_test(bad_98_range_of_eight_bytes_is_refused),
        cmocka_unit_test(bad_98_list_in_a_number_is_refused),
        cmocka_unit_test(bad_98_member_beyond_the_config_struct_is_refused),
        cmocka_unit_test(bad_98_member_offset_that_overflows_is_refused),
        cmocka_unit_test(bad_98_misaligned_member_is_refused),
        cmocka_unit_test(bad_98_min_above_max_is_refused),
        cmocka_unit_test(bad_98_max_wider_than_the_member_is_refused),
        cmocka_unit_test(bad_98_enum_with_null_choices_is_refused),
        cmocka_unit_test(bad_98_enum_with_no_choice_is_refused),
        cmocka_unit_test(bad_98_duplicate_choice_is_refused),
        cmocka_unit_test(bad_98_choices_of_a_number_are_refused),
        cmocka_unit_test(bad_98_field_stride_below_minor_0_is_refused),
        cmocka_unit_test(bad_98_field_of_six_bytes_is_refused),
        cmocka_unit_test(bad_98_field_without_elements_is_refused),
        cmocka_unit_test(bad_98_field_with_overlapping_elements_is_refused),
        cmocka_unit_test(bad_98_field_beyond_4_gib_is_refused),
        cmocka_unit_test(bad_98_field_from_a_future_state_version_is_refused),
        cmocka_unit_test(bad_98_region_table_below_minor_0_is_refused),
        cmocka_unit_test(bad_98_region_without_a_name_is_refused),
        cmocka_unit_test(bad_98_register_stride_below_minor_0_is_refused),
        cmocka_unit_test(bad_98_register_without_bytes_is_refused),
        cmocka_unit_test(bad_98_register_of_unknown_access_is_refused),
        cmocka_unit_test(bad_98_register_whose_name_is_no_line_is_refused),
        cmocka_unit_test(bad_98_duplicate_field_is_refused),
        cmocka_unit_test(bad_98_unresolved_symbol_is_refused),
        cmocka_unit_test(bad_98_plugin_whose_library_is_absent_is_refused),
        cmocka_unit_test(template_without_a_fault_is_loaded),
        cmocka_unit_test(bad_98_empty_file_is_refused),
        cmocka_unit_test(bad_98_text_file_is_refused),
        cmocka_unit_test(bad_98_one_byte_is_refused),
        cmocka_unit_test(bad_98_truncated_plugin_is_refused),
        cmocka_unit_test(bad_98_plugin_for_aarch64_is_refused),
        cmocka_unit_test(bad_98_folder_is_refused),
        cmocka_unit_test(bad_98_fifo_is_refused),
        cmocka_unit_test(bad_98_device_is_refused),
        cmocka_unit_test(bad_98_absent_file_is_refused),
        cmocka_unit_test(bad_98_dangling_link_is_refused),
        cmocka_unit_test(bad_98_link_to_itself_is_refused),
        cmocka_unit_test(bad_98_unreadable_file_is_refused),
        cmocka_unit_test(bad_98_other_name_than_asked_for_is_refused),
        cmocka_unit_test(descriptor_is_copied_with_all_its_models),
        cmocka_unit_test(nothing_of_the_descriptor_is_left_in_the_plugin),
        cmocka_unit_test(absent_optional_functions_may_be_called),
        cmocka_unit_test(closing_unloads_the_code),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, temp_make, temp_remove);
}
