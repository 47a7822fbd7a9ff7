/* SPDX-License-Identifier: MIT
 *
 * `plugin = auto`: the first backend that can run the machine, and what is said of those that
 * cannot.
 *
 * The backends are fakes under the real ones' names: in the folder `both` cpu-kvm refuses and
 * cpu-interp accepts, in `none` both refuse. In `interp` and `chipless`
 * cpu-interp has no interrupt controllers; cpu-kvm refuses in the former and accepts in the latter.
 */
#include "machine/rig.h"

#include <errno.h>

#define CODE_THAT_LEAVES CODE({LOAD, 0, 0x2000}, {OUT, 2, 0x604}, {HLT, 0, 0}) /* ACPI soft-off */

static struct rig *automatic(const struct instruction *code, size_t count, const char *more)
{
    struct rig *r = make(code, count, more);

    assert_int_equal(bp_machine_set(r->m, "cpu.plugin", "auto", "--backend"), 0);
    return r;
}

#ifdef FOLDER_both
static void a_backend_that_refuses_is_passed_over_with_one_line(void **state)
{
    struct rig *r = started(automatic(CODE_THAT_LEAVES, ""));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_POWER_OFF);
    assert_string_equal(r->said, "the CPU backend is cpu-interp; passed over: cpu-kvm: this one "
                                 "runs nothing here\n");
    discard(r);
}

#define TESTS cmocka_unit_test(a_backend_that_refuses_is_passed_over_with_one_line)
#elif defined(FOLDER_interp)
/* The fake's local APIC is there if the board brought controllers. */
#define CODE_THAT_TELLS CODE({CHIP, 0, 0}, {OUT, 1, 0x501}, {HLT, 0, 0})
#define DEBUG_EXIT "[exit]\nplugin = dev-pc\nmodel = debug-exit\n"

static void the_chosen_backend_gets_controllers_whenever_it_starts(void **state)
{
    struct rig *r = automatic(CODE_THAT_TELLS, DEBUG_EXIT);
    char *before, *within, *after;
    (void)state;

    before = bp_machine_print(r->m);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wait_end(started(r)).code, 3);
    after = bp_machine_print(r->m);
    assert_string_equal(after, before); /* which backend it will be is not known */
    assert_null(strstr(before, "[irqchip]"));
    started(r);
    within = bp_machine_print(r->m);
    assert_non_null(strstr(within, "[irqchip]"));
    assert_int_equal(wait_end(r).code, 3);
    free(before);
    free(within);
    free(after);
    discard(r);
}

static void bad_98_what_a_board_brings_may_be_in_the_way(void **state)
{
    struct rig *r =
        automatic(CODE_THAT_TELLS, DEBUG_EXIT "port = 0xfe\n[port]\nplugin = dev-pc\n"
                                              "model = pvpanic\nport = 0x501\n"
                                              "[h]\nplugin = dev-uart\n"
                                              "model = mmio-console\nbase = 0xfed00000\n");
    (void)state;

    assert_int_equal(bp_machine_check(r->m), 0);
    assert_int_equal(bp_machine_start(r->m), -EINVAL);
    assert_non_null(strstr(r->said, "[hpet] base = 0xfed00000 (0xfed00000-0xfed003ff, the default) "
                                    "overlaps [h] base = 0xfed00000"));
    assert_int_equal(bp_machine_check(r->m), 0);
    discard(r);
}

#define TESTS                                                                                      \
    cmocka_unit_test(the_chosen_backend_gets_controllers_whenever_it_starts),                      \
        cmocka_unit_test(bad_98_what_a_board_brings_may_be_in_the_way)
#elif defined(FOLDER_chipless)
static void a_backend_with_controllers_is_taken_and_gets_none(void **state)
{
    struct rig *r = started(automatic(CODE_THAT_LEAVES, ""));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_POWER_OFF);
    assert_string_equal(r->said, "");
    discard(r);
}

static void written_controllers_pass_over_a_backend_that_has_its_own(void **state)
{
    struct rig *r = automatic(CODE_THAT_LEAVES, "[chips]\nplugin = dev-pc\nmodel = irqchip\n");
    (void)state;

    assert_int_equal(wait_end(started(r)).reason, BP_EXIT_POWER_OFF);
    assert_string_equal(r->said, "the CPU backend is cpu-interp; passed over: cpu-kvm has "
                                 "interrupt controllers of its own, beside [chips]\n");
    discard(r);
}

#define TESTS                                                                                      \
    cmocka_unit_test(a_backend_with_controllers_is_taken_and_gets_none),                           \
        cmocka_unit_test(written_controllers_pass_over_a_backend_that_has_its_own)
#else
static void bad_98_no_usable_backend_is_told_with_every_reason(void **state)
{
    struct rig *r = automatic(CODE_THAT_LEAVES, "");
    (void)state;

    assert_int_equal(bp_machine_start(r->m), -ENODEV);
    assert_string_equal(r->said, "no CPU backend can run this machine: cpu-kvm: this one runs "
                                 "nothing here; cpu-interp: this one runs nothing here\n");
    discard(r);
}

#define TESTS cmocka_unit_test(bad_98_no_usable_backend_is_told_with_every_reason)
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
