/* SPDX-License-Identifier: MIT
 *
 * validate/test_validate.c - each check of the validator finds the defect that it is for, says so
 * in a clear sentence, and says the same with the same seed; a device without a defect passes all.
 *
 * Plugins with one defect each are made of tests/fakes/plugins/invalid.c. Not shown: that nothing
 * else is found in plugins of other people.
 */
#include "validate/validate.h"

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *answer;

/* Validates INVALID/`name`.so; the answer is in `answer` until the next call. */
static int validate(const char *name, struct validate_options options)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    char path[1024];
    size_t size;
    FILE *f;
    int result;

    /* cmocka's handlers are not for the processes that are made here. */
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        signal(deadly[i], SIG_DFL);
    snprintf(path, sizeof(path), "%s/%s.so", INVALID, name);
    options.path = path;
    options.seed = options.seed ? options.seed : 1;
    free(answer);
    f = open_memstream(&answer, &size);
    assert_non_null(f);
    result = validate_plugin(&options, f);
    fclose(f);
    return result;
}

/* The check `check` fails with a sentence that begins with `sentence`, which may leave out how the
 * process ended: a sanitizer ends it in a way of its own. */
static void finds(const char *name, const char *check, const char *sentence, int whole)
{
    char wanted[1024];
    const char *at;

    assert_int_equal(
        validate(name,
                 (struct validate_options){.check = check, .format = VALIDATE_TAP, .limit_s = 2}),
        VALIDATE_FAILED);
    snprintf(wanted, sizeof(wanted), "\n# %s%s", sentence, whole ? "\n" : "");
    at = strstr(answer, wanted);
    if (!at)
        fail_msg("expected:%s\ngot:\n%s", wanted, answer);
    assert_non_null(strstr(answer, "\n# again: backplane validate "));
    assert_non_null(strstr(answer, " --seed 1\n"));
}

static void a_device_without_a_defect_passes_every_check(void **state)
{
    (void)state;
    if (validate("NONE", (struct validate_options){.format = VALIDATE_TAP}) != VALIDATE_PASSED)
        fail_msg("%s", answer);
    assert_null(strstr(answer, "not ok"));
    assert_null(strstr(answer, "SKIP"));
}

static void a_backend_without_a_defect_passes_every_check(void **state)
{
    (void)state;
    if (validate("char-NO_DEFECT", (struct validate_options){.format = VALIDATE_TAP}) !=
        VALIDATE_PASSED)
        fail_msg("%s", answer);
    assert_null(strstr(answer, "not ok"));
}

static void leaked_memory_is_told(void **state)
{
    (void)state;
    finds("LEAK_MEMORY", "life", "it leaks memory: ", 0);
}

static void a_leaked_descriptor_is_named(void **state)
{
    (void)state;
    finds("LEAK_FD", "life", "destroy() leaves 1 file descriptor open after 1 life: descriptor ",
          0);
    assert_non_null(strstr(answer, " is /dev/zero\n"));
}

static void a_leaked_thread_is_told(void **state)
{
    (void)state;
    finds("LEAK_THREAD", "life", "destroy() leaves 1 thread running after 1 life", 1);
}

static void a_field_that_reset_forgets_is_named(void **state)
{
    (void)state;
    finds("RESET_FORGETS", "reset",
          "reset(COLD) does not make it as it was when it was new: value is 0x0, then 0x", 0);
}

static void what_reset_forgets_and_no_field_shows_is_found_by_what_it_does(void **state)
{
    (void)state;
    finds("RESET_FORGETS_HIDDEN", "reset",
          "after reset(COLD) it does not do what a new one does: a read of 1 byte at offset 0x0 of "
          "region registers gives 0x0, and 0x",
          0);
}

static void a_crash_names_the_access(void **state)
{
    (void)state;
    finds("CRASH_ON_8", "traffic",
          "a read of 8 bytes at offset 0x0 of region registers ends the process ", 0);
}

static void a_call_that_does_not_come_back_is_ended(void **state)
{
    (void)state;
    finds("HANG_IN_READ", "traffic",
          "a read of 1 byte at offset 0x8 of region registers does not come back: it took longer "
          "than 2 seconds",
          1);
}

static void taking_cut_state_is_told(void **state)
{
    (void)state;
    finds("TAKES_CUT_STATE", "state", "load() takes 'history' of 16 bytes, cut to ", 0);
    assert_non_null(strstr(answer, "; it must refuse what is shorter than what it saves\n"));
}

static void trusting_a_snapshot_is_found_by_the_crash(void **state)
{
    (void)state;
    finds("TRUSTS_STATE", "state", "", 0);
    assert_non_null(strstr(answer, " of region registers ends the process "));
}

static void a_missing_field_is_found_by_what_a_loaded_one_does(void **state)
{
    (void)state;
    finds("MISSING_FIELD", "snapshot",
          "after loading it does not do what the one that was saved does: a read of 1 byte at "
          "offset 0x0 of region registers gives 0x",
          0);
    assert_non_null(strstr(answer, "; is a field missing, or a timer not armed again?\n"));
}

static void a_call_from_outside_the_domain_is_told(void **state)
{
    (void)state;
    finds("OUTSIDE_DOMAIN", "threads",
          "timer_set() was called on a thread of the plugin's own, outside its domain; a thread "
          "asks for a callback instead, by an fd that fd_watch() watches",
          1);
}

static void a_second_symbol_is_named(void **state)
{
    (void)state;
    finds("TWO_SYMBOLS", "symbols",
          "it exports helper_of_mine beside bp_plugin_v0; two plugins with one name for something "
          "would get in each other's way: compile with -fvisibility=hidden",
          1);
}

static void a_symbol_of_the_program_is_named(void **state)
{
    (void)state;
    finds(
        "TAKES_FROM_PROGRAM", "symbols",
        "it takes the symbol json_object_new_object from the program that loads it, which another "
        "program need not have; link it with the library that has it, -Wl,-z,defs finds what is "
        "missing",
        1);
}

static void calling_exit_is_told(void **state)
{
    (void)state;
    finds("ENDS_PROGRAM", "symbols",
          "it calls exit(), which would end the program with all its machines; host->fail() tells "
          "of an error, host->request() ends a machine",
          1);
    finds("ENDS_PROGRAM", "properties", "create() ends the process with status 3", 1);
}

static void an_error_without_a_sentence_is_told(void **state)
{
    (void)state;
    finds("SILENT", "properties",
          "create() gave -22 (Invalid argument) and no sentence; it calls host->fail() with one "
          "first",
          1);
}

static void a_table_for_an_unknown_extension_is_told(void **state)
{
    (void)state;
    finds("ANY_EXTENSION", "extensions",
          "extension(\"\") gives a table; for an id that it does not know it gives NULL", 1);
}

static void writing_behind_a_mapping_is_found(void **state)
{
    (void)state;
    finds("DMA_BEYOND", "dma", "a write of 0x", 0);
    assert_non_null(strstr(answer, " at offset 0x8 of region registers ends the process "));
}

static void a_mapping_that_is_kept_is_told(void **state)
{
    (void)state;
    finds("DMA_KEEPS", "dma",
          "a mapping of dma_map() outlives the callback that made it: dma_unmap() ends it before "
          "the callback returns",
          1);
}

static void a_timer_that_stops_time_is_told(void **state)
{
    (void)state;
    finds("TIMER_STORM", "timers",
          "timer 0 is armed again and again for a time that is past: guest time could never go on",
          1);
}

static void state_that_instances_share_is_found(void **state)
{
    (void)state;
    finds("SHARED_GLOBAL", "reset",
          "after reset(COLD) it does not do what a new one does: a read of ", 0);
}

static void a_second_port_that_is_attached_is_told(void **state)
{
    (void)state;
    finds("char-ATTACHES_TWICE", "traffic", "attach() of a second port gave 0; expected -EBUSY", 1);
}

static void a_backend_that_calls_back_from_a_call_is_told(void **state)
{
    (void)state;
    finds(
        "char-CALLS_BACK", "traffic",
        "receive() of the port was called from inside a call of the port's owner; a backend calls "
        "back on the loop",
        1);
}

static void a_backend_that_takes_more_than_there_is_is_told(void **state)
{
    (void)state;
    finds("char-TAKES_TOO_MUCH", "traffic", "write() says that it took ", 0);
}

static void a_backend_that_does_not_wait_for_resume_is_told(void **state)
{
    (void)state;
    finds("char-IGNORES_HELD", "traffic",
          "receive() was called again before resume(), although less was taken than was given", 1);
}

static void a_crash_behind_a_ring_is_found_if_the_registers_are_told(void **state)
{
    int result = VALIDATE_PASSED;

    (void)state;
    /* Two of three seeds find it; fewer in a build that is so slow that it tries less. */
    for (uint64_t seed = 1; seed <= 20 && result == VALIDATE_PASSED; seed++)
        result = validate(
            "BEHIND_RING",
            (struct validate_options){.check = "traffic", .format = VALIDATE_TAP, .seed = seed});
    assert_int_equal(result, VALIDATE_FAILED);
    assert_non_null(strstr(answer, "\n# a write of 0x"));
    assert_non_null(
        strstr(answer, ", 4 bytes, at offset 0x1c of region registers ends the process "));
}

/* What the hints are for: the same device without them, by the same seeds. */
static void a_crash_behind_a_ring_of_which_nothing_is_told_is_not_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_int_equal(validate("BEHIND_RING_UNTOLD",
                                  (struct validate_options){.check = "traffic", .seed = seed}),
                         VALIDATE_PASSED);
}

static void the_same_seed_finds_the_same(void **state)
{
    const struct validate_options o = {.check = "reset", .format = VALIDATE_JSON, .seed = 77};
    char *first;

    (void)state;
    assert_int_equal(validate("RESET_FORGETS", o), VALIDATE_FAILED);
    first = strdup(answer);
    assert_non_null(first);
    assert_int_equal(validate("RESET_FORGETS", o), VALIDATE_FAILED);
    assert_string_equal(first, answer);
    free(first);
}

static void the_json_tells_of_every_check(void **state)
{
    struct json_object *root, *list, *value;

    (void)state;
    assert_int_equal(validate("TWO_SYMBOLS", (struct validate_options){.format = VALIDATE_JSON}),
                     VALIDATE_FAILED);
    root = json_tokener_parse(answer);
    assert_non_null(root);
    assert_true(json_object_object_get_ex(root, "ok", &value));
    assert_false(json_object_get_boolean(value));
    assert_true(json_object_object_get_ex(root, "failed", &value));
    assert_int_equal(json_object_get_int(value), 1);
    assert_true(json_object_object_get_ex(root, "checks", &list));
    assert_int_equal(json_object_array_length(list), 12);
    value = json_object_object_get(json_object_array_get_idx(list, 0), "verdict");
    assert_string_equal(json_object_get_string(value), "failed");
    json_object_put(root);
}

/* The inputs that fuzzing left in the folder; the name of one in `name`. */
static int inputs_in(const char *folder, char *name, size_t room)
{
    DIR *d = opendir(folder);
    int count = 0;

    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strncmp(e->d_name, "input-", 6) != 0)
            continue;
        snprintf(name, room, "%s/%s", folder, e->d_name);
        count++;
    }
    closedir(d);
    return count;
}

static void coverage_leads_to_a_buried_defect_whose_input_is_kept(void **state)
{
    char folder[] = "/tmp/validate-XXXXXX", input[512];

    (void)state;
#ifdef TOO_SLOW_TO_FUZZ
    skip();
#endif
    assert_non_null(mkdtemp(folder));
    assert_int_equal(validate("BURIED", (struct validate_options){.check = "symbols",
                                                                  .fuzz_s = 60,
                                                                  .artifacts = folder,
                                                                  .format = VALIDATE_TAP}),
                     VALIDATE_FAILED);
    assert_non_null(strstr(answer, " edges reached"));
    assert_non_null(strstr(answer, " at offset 0x0 of region registers ends the process "));
    assert_int_equal(inputs_in(folder, input, sizeof(input)), 1);
    assert_int_equal(
        validate("BURIED", (struct validate_options){.input = input, .format = VALIDATE_TAP}),
        VALIDATE_FAILED);
    assert_non_null(strstr(answer, "not ok 1 - device: input\n"));
    unlink(input);
    rmdir(folder);
}

static void fuzzing_without_coverage_says_so(void **state)
{
    (void)state;
    assert_int_equal(validate("NONE", (struct validate_options){.check = "symbols",
                                                                .fuzz_s = 1,
                                                                .format = VALIDATE_TAP}),
                     VALIDATE_PASSED);
    assert_non_null(
        strstr(answer, " at random: the plugin was built without -fsanitize-coverage\n"));
}

static void settings_reach_the_config(void **state)
{
    const struct validate_setting settings[] = {{"device.level", "9"}};

    (void)state;
    assert_int_equal(validate("SILENT", (struct validate_options){.check = "traffic",
                                                                  .settings = settings,
                                                                  .setting_count = 1}),
                     VALIDATE_FAILED);
}

static void bad_names_and_files_are_refused(void **state)
{
    (void)state;
    assert_int_equal(validate("NONE", (struct validate_options){.check = "trafic"}),
                     VALIDATE_NO_SUCH);
    assert_int_equal(validate("NONE", (struct validate_options){.model = "nobody"}),
                     VALIDATE_NO_SUCH);
    assert_int_equal(validate("NO_SUCH_FILE", (struct validate_options){0}), VALIDATE_NO_PLUGIN);
    assert_int_equal(validate("NONE", (struct validate_options){.input = "/nowhere/input"}),
                     VALIDATE_NOT_STARTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_without_a_defect_passes_every_check),
        cmocka_unit_test(a_backend_without_a_defect_passes_every_check),
        cmocka_unit_test(leaked_memory_is_told),
        cmocka_unit_test(a_leaked_descriptor_is_named),
        cmocka_unit_test(a_leaked_thread_is_told),
        cmocka_unit_test(a_field_that_reset_forgets_is_named),
        cmocka_unit_test(what_reset_forgets_and_no_field_shows_is_found_by_what_it_does),
        cmocka_unit_test(a_crash_names_the_access),
        cmocka_unit_test(a_call_that_does_not_come_back_is_ended),
        cmocka_unit_test(taking_cut_state_is_told),
        cmocka_unit_test(trusting_a_snapshot_is_found_by_the_crash),
        cmocka_unit_test(a_missing_field_is_found_by_what_a_loaded_one_does),
        cmocka_unit_test(a_call_from_outside_the_domain_is_told),
        cmocka_unit_test(a_second_symbol_is_named),
        cmocka_unit_test(a_symbol_of_the_program_is_named),
        cmocka_unit_test(calling_exit_is_told),
        cmocka_unit_test(an_error_without_a_sentence_is_told),
        cmocka_unit_test(a_table_for_an_unknown_extension_is_told),
        cmocka_unit_test(writing_behind_a_mapping_is_found),
        cmocka_unit_test(a_mapping_that_is_kept_is_told),
        cmocka_unit_test(a_timer_that_stops_time_is_told),
        cmocka_unit_test(state_that_instances_share_is_found),
        cmocka_unit_test(a_second_port_that_is_attached_is_told),
        cmocka_unit_test(a_backend_that_calls_back_from_a_call_is_told),
        cmocka_unit_test(a_backend_that_takes_more_than_there_is_is_told),
        cmocka_unit_test(a_backend_that_does_not_wait_for_resume_is_told),
        cmocka_unit_test(a_crash_behind_a_ring_is_found_if_the_registers_are_told),
        cmocka_unit_test(a_crash_behind_a_ring_of_which_nothing_is_told_is_not_found),
        cmocka_unit_test(the_same_seed_finds_the_same),
        cmocka_unit_test(the_json_tells_of_every_check),
        cmocka_unit_test(coverage_leads_to_a_buried_defect_whose_input_is_kept),
        cmocka_unit_test(fuzzing_without_coverage_says_so),
        cmocka_unit_test(settings_reach_the_config),
        cmocka_unit_test(bad_names_and_files_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(answer);
    return failed;
}
