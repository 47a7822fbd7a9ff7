/* SPDX-License-Identifier: MIT
 *
 * `plugin = auto`: the first backend that can run the machine, and what is said of those that
 * cannot.
 *
 * The backends are fakes under the real ones' names: in the folder `both` cpu-kvm refuses and
 * cpu-interp accepts, in `none` there is only a cpu-kvm that refuses.
 */
#include "machine/rig.h"

#include <errno.h>

#define CODE_THAT_LEAVES CODE({LOAD, 0, 0x2000}, {OUT, 2, 0x604}, {HLT, 0, 0}) /* ACPI soft-off */

static struct rig *automatic(void)
{
    struct rig *r = make(CODE_THAT_LEAVES, "");

    assert_int_equal(bp_machine_set(r->m, "cpu.plugin", "auto", "--backend"), 0);
    return r;
}

#ifdef FOLDER_both
static void a_backend_that_refuses_is_passed_over_with_one_line(void **state)
{
    struct rig *r = started(automatic());
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_POWER_OFF);
    assert_string_equal(r->said, "the CPU backend is cpu-interp; passed over: cpu-kvm: this one "
                                 "runs nothing here\n");
    discard(r);
}

#define TESTS cmocka_unit_test(a_backend_that_refuses_is_passed_over_with_one_line)
#else
static void bad_98_no_usable_backend_is_told_with_every_reason(void **state)
{
    struct rig *r = automatic();
    (void)state;

    assert_int_equal(bp_machine_start(r->m), -ENODEV);
    assert_string_equal(r->said, "no CPU backend can run this machine: cpu-kvm: this one runs "
                                 "nothing here; cpu-interp is not installed\n");
    discard(r);
}

#define TESTS cmocka_unit_test(bad_98_no_usable_backend_is_told_with_every_reason)
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
