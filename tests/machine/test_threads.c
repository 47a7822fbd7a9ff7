/* SPDX-License-Identifier: MIT
 *
 * Devices with an event loop of their own: whose thread calls timers and watches, that a domain is
 * still a lock, and that pause and reset hold these loops as well.
 */
#include "machine/rig.h"

#include <errno.h>

#define TICKER(name, port, more)                                                                   \
    "[" name "]\nplugin = pci-parts\nmodel = ticker\nport = " port "\n" more
#define WAIT_FOR(port, at)                                                                         \
    {IN, 4, port},                                                                                 \
    {                                                                                              \
        JUMP_ZERO, 0, AT(at)                                                                       \
    }
#define DEBUG_EXIT "[exit]\nplugin = dev-pc\nmodel = debug-exit\n"

/* The thread that `section` said for `what`, or 0. */
static long thread_of(const struct rig *r, const char *section, const char *what)
{
    char line[64];
    const char *at;

    snprintf(line, sizeof(line), "%s: %s on ", section, what);
    at = strstr(r->said, line);
    return at ? strtol(at + strlen(line), NULL, 10) : 0;
}

static void leave_when_all_ticked(struct rig *r)
{
    struct bp_exit ended = wait_end(started(r));

    if (ended.reason != BP_EXIT_DEBUG)
        fail_msg("the machine ended with reason %u: %s", ended.reason, r->said);
}

static void thread_yes_gives_a_domain_its_own(void **state)
{
    struct rig *r = make(CODE(WAIT_FOR(0x1100, 0), WAIT_FOR(0x1104, 2), WAIT_FOR(0x1108, 4),
                              WAIT_FOR(0x110c, 6), {OUT, 1, 0x501}, {HLT, 0, 0}),
                         DEBUG_EXIT TICKER("a", "0x1100", "thread = yes\n")
                             TICKER("b", "0x1104", "thread = yes\n") TICKER("c", "0x1108", "")
                                 TICKER("d", "0x110c", "thread = no\n"));
    (void)state;

    leave_when_all_ticked(r);
    long a = thread_of(r, "a", "timer"), b = thread_of(r, "b", "timer");
    long c = thread_of(r, "c", "timer"), d = thread_of(r, "d", "timer");
    assert_true(a && b && c && d);
    assert_true(a != b && a != c && b != c);
    assert_int_equal(c, d);
    assert_int_equal(thread_of(r, "a", "watch"), a);
    assert_int_equal(thread_of(r, "b", "watch"), b);
    assert_int_equal(thread_of(r, "c", "watch"), c);
    discard(r);
}

static void pause_holds_threads_and_resume_lets_them_go(void **state)
{
    struct rig *r =
        started(make(CODE({JUMP, 0, AT(0)}), TICKER("a", "0x1100", "thread = yes\n")
                                                 TICKER("b", "0x1104", "thread = yes\n")));
    (void)state;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(bp_machine_pause(r->m), 0);
        assert_int_equal(bp_machine_resume(r->m), 0);
    }
    assert_int_equal(bp_machine_stop(r->m), 0);
    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    discard(r);
}

static void guest_reset_starts_them_over(void **state)
{
    /* Waits for a tick, then resets, until it was told to end. */
    struct rig *r = make(CODE(WAIT_FOR(0x1100, 0), {LOAD, 0, 6}, {OUT, 1, 0xcf9}, {HLT, 0, 0}),
                         TICKER("a", "0x1100", "thread = yes\n"));
    struct bp_exit ended;
    (void)state;

    started(r);
    assert_int_equal(bp_machine_wait(r->m, 300, &ended), -ETIMEDOUT);
    assert_int_equal(bp_machine_stop(r->m), 0);
    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    discard(r);
}

static void bad_94_thread_is_yes_or_no(void **state)
{
    struct rig *r = make(CODE({HLT, 0, 0}), TICKER("a", "0x1100", "thread = 2\n"));
    (void)state;

    assert_int_equal(bp_machine_check(r->m), -EINVAL);
    assert_string_equal(r->said, "[a] thread = 2: expected yes or no\n");
    discard(r);
}

static void bad_94_thread_is_no_key_of_others(void **state)
{
    struct rig *r =
        make(CODE({HLT, 0, 0}), "[a]\nplugin = dev-pc\nmodel = debug-exit\nthread = yes\n");
    (void)state;

    assert_int_equal(bp_machine_check(r->m), -EINVAL);
    assert_non_null(strstr(r->said, "[a] thread: dev-pc (model debug-exit) knows no such key"));
    discard(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_yes_gives_a_domain_its_own),
        cmocka_unit_test(pause_holds_threads_and_resume_lets_them_go),
        cmocka_unit_test(guest_reset_starts_them_over),
        cmocka_unit_test(bad_94_thread_is_yes_or_no),
        cmocka_unit_test(bad_94_thread_is_no_key_of_others),
    };

    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
