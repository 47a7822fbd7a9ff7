/* SPDX-License-Identifier: MIT
 *
 * A machine's life through the embedding API: start, pause, resume, reset, the ways it ends, two at
 * once.
 *
 * The CPU is a fake that runs a bytecode; devices, bus, loop, loader and threads are the real ones.
 * What this does not prove is that a real processor runs: tests/lab and tests/guest do.
 */
#include "machine/rig.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#define POWER_OFF                                                                                  \
    {LOAD, 0, 0x2000}, {OUT, 2, 0x604},                                                            \
    {                                                                                              \
        HLT, 0, 0                                                                                  \
    } /* SLP_EN, type 0 */
#define DEBUG_EXIT "[exit]\nplugin = dev-pc\nmodel = debug-exit\n"
#define SERIAL                                                                                     \
    "[line]\nplugin = chr-host\nmodel = null\n"                                                    \
    "[com1]\nplugin = dev-uart\nchardev = line\n"

static void a_guest_that_powers_off_ends_the_machine(void **state)
{
    struct rig *r = started(make(CODE(POWER_OFF), ""));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_POWER_OFF);
    assert_string_equal(r->said, "");
    discard(r);
}

static void debug_exit_gives_the_status_that_qemu_gives(void **state)
{
    struct rig *r = started(make(CODE({LOAD, 0, 0x2a}, {OUT, 1, 0x501}, {HLT, 0, 0}), DEBUG_EXIT));
    struct bp_exit ended = wait_end(r);
    (void)state;

    assert_int_equal(ended.reason, BP_EXIT_DEBUG);
    assert_int_equal(ended.code, 0x55);
    discard(r);
}

static void the_default_level_gives_way_to_what_the_backend_can_offer(void **state)
{
    struct rig *r = make(CODE(POWER_OFF), "");
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.log", "3", "--log"), 0);
    r = started(r);
    assert_int_equal(wait_end(r).reason, BP_EXIT_POWER_OFF);
    assert_non_null(
        strstr(r->said, "cpu-fake cannot offer x86-64-v3, the default: the guest has v2\n"));
    discard(r);
}

static void a_level_that_was_asked_for_does_not(void **state)
{
    struct rig *r = make(CODE(POWER_OFF), "level = v3\n");
    (void)state;

    assert_int_equal(bp_machine_start(r->m), -ENOTSUP);
    assert_non_null(strstr(r->said, "cpu-fake: the CPU backend cannot offer x86-64-v3: it lacks "
                                    "fma, movbe, "));
    assert_non_null(strstr(r->said, " (use level = v2)\n"));
    discard(r);
}

static void a_triple_fault_tells_the_registers(void **state)
{
    struct rig *r = started(make(CODE({TRIPLE, 0, 0}), ""));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_TRIPLE_FAULT);
    assert_non_null(strstr(r->said, "vCPU 0: triple fault at rip 0x1000 rsp "));
    discard(r);
}

static void a_backend_that_gives_up_says_why(void **state)
{
    struct rig *r = started(make(CODE({FAIL, 0, 0}), ""));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_FAILED);
    assert_string_equal(r->said, "vCPU 0: KVM_RUN of this fake failed at 0x1000\n");
    discard(r);
}

static void vcpus_that_give_up_together_each_say_why(void **state)
{
    struct rig *r = make(CODE({FAIL, 0, 0}), "together = yes\n");
    const char *line = "KVM_RUN of this fake failed at 0x1000\n";
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.cpus", "4", "--cpus"), 0);
    assert_int_equal(wait_end(started(r)).reason, BP_EXIT_FAILED);
    /* The first request parks the others, so that some may never have run. */
    assert_memory_equal(r->said, "vCPU ", 5);
    assert_non_null(strstr(r->said, line));
    discard(r);
}

static void a_stop_that_nobody_asked_for_is_told(void **state)
{
    struct rig *r = started(make(CODE({STOP, 0, 2}), ""));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_FAILED);
    assert_string_equal(r->said,
                        "vCPU 0: cpu-fake stopped it for reason 2, which nothing here asked for\n");
    discard(r);
}

static void a_reset_starts_the_guest_again(void **state)
{
    /* First: leaves a mark in RAM and resets. Then: finds it, and exits with it. */
    struct rig *r = started(
        make(CODE({READ, 4, 0x9000}, {JUMP_ZERO, 0, AT(4)}, {OUT, 1, 0x501}, {HLT, 0, 0},
                  {LOAD, 0, 7}, {WRITE, 4, 0x9000}, {LOAD, 0, 6}, {OUT, 1, 0xcf9}, {HLT, 0, 0}),
             DEBUG_EXIT));
    struct bp_exit ended = wait_end(r);
    (void)state;

    assert_int_equal(ended.reason, BP_EXIT_DEBUG);
    assert_int_equal(ended.code, 15);
    discard(r);
}

static void on_reset_exit_ends_the_machine(void **state)
{
    struct rig *r = make(CODE({LOAD, 0, 6}, {OUT, 1, 0xcf9}, {HLT, 0, 0}), "");
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.on-reset", "exit", "--no-reboot"), 0);
    assert_int_equal(wait_end(started(r)).reason, BP_EXIT_RESET);
    discard(r);
}

static void a_paused_guest_stands(void **state)
{
    /* Writes to RAM for ever. */
    struct rig *r = started(make(CODE({LOAD, 0, 1}, {WRITE, 8, 0x9000}, {JUMP, 0, AT(0)}), ""));
    uint64_t now = 3;
    struct bp_exit ended;
    (void)state;

    assert_int_equal(bp_machine_pause(r->m), 0);
    assert_int_equal(bp_machine_pause(r->m), 0);
    assert_int_equal(bp_machine_write(r->m, 0x9000, &now, sizeof(now)), 0);
    usleep(20000);
    assert_int_equal(bp_machine_read(r->m, 0x9000, &now, sizeof(now)), 0);
    assert_int_equal(now, 3);
    assert_int_equal(bp_machine_resume(r->m), 0);
    for (int i = 0; i < PATIENCE_MS && now == 3; i++) {
        usleep(1000);
        assert_int_equal(bp_machine_pause(r->m), 0); /* a guest's memory is its own while it runs */
        assert_int_equal(bp_machine_read(r->m, 0x9000, &now, sizeof(now)), 0);
        assert_int_equal(bp_machine_resume(r->m), 0);
    }
    assert_int_equal(now, 1);
    assert_int_equal(bp_machine_wait(r->m, 0, &ended), -ETIMEDOUT);
    bp_machine_stop(r->m);
    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    discard(r);
}

static void freeing_a_running_machine_ends_it(void **state)
{
    struct rig *r = started(make(CODE({JUMP, 0, AT(0)}), ""));
    (void)state;

    discard(r);
    r = started(make(CODE({HLT, 0, 0}), ""));
    assert_int_equal(bp_machine_pause(r->m), 0);
    discard(r);
}

/* Waits for a byte on COM1 and exits with it. */
#define LISTENER                                                                                   \
    {IN, 1, 0x3fd}, {OUT, 1, 0x80}, {IN, 1, 0x3f8}, {JUMP_ZERO, 0, AT(0)}, {OUT, 1, 0x501},        \
    {                                                                                              \
        HLT, 0, 0                                                                                  \
    }

static void two_machines_run_in_one_process(void **state)
{
    struct rig *a = started(make(CODE(LISTENER), DEBUG_EXIT SERIAL));
    struct rig *b = started(make(CODE(LISTENER), DEBUG_EXIT SERIAL));
    struct bp_exit ended;
    (void)state;

    assert_int_equal(bp_machine_inject(b->m, "line", "\x02", 1), 1);
    ended = wait_end(b);
    assert_int_equal(ended.code, 5);
    assert_int_equal(bp_machine_wait(a->m, 0, &ended), -ETIMEDOUT);
    assert_int_equal(bp_machine_inject(a->m, "line", "\x03", 1), 1);
    ended = wait_end(a);
    assert_int_equal(ended.code, 7);
    assert_int_equal(bp_machine_inject(a->m, "line", "x", 1), -ENOENT);
    discard(a);
    discard(b);
}

static void only_char_backends_take_input(void **state)
{
    struct rig *r = started(make(CODE({HLT, 0, 0}), SERIAL));
    (void)state;

    assert_int_equal(bp_machine_inject(r->m, "com1", "x", 1), -ENOTSUP);
    assert_int_equal(bp_machine_inject(r->m, "com2", "x", 1), -ENOENT);
    discard(r);
}

/* Marks RAM and resets. */
#define RESETTER                                                                                   \
    {LOAD, 0, 1}, {WRITE, 8, 0x9000}, {LOAD, 0, 6}, {OUT, 1, 0xcf9},                               \
    {                                                                                              \
        HLT, 0, 0                                                                                  \
    }

/* Waits until the machine asks for something, and leaves it asking. */
static void await_request(struct rig *r)
{
    struct pollfd fd = {.fd = bp_machine_fd(r->m), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
}

static void who_wants_to_leave_is_heard_beside_a_reset(void **state)
{
    struct rig *r = started(make(CODE(RESETTER), ""));
    (void)state;

    await_request(r);
    assert_int_equal(bp_machine_stop(r->m), 0);
    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    discard(r);
}

static void bad_a_guest_that_resets_for_ever_keeps_nobody(void **state)
{
    struct rig *r = make(CODE(RESETTER), "");
    struct bp_exit ended;
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.log", "3", "--log"), 0);
    started(r);
    for (int i = 0; i < 20; i++)
        assert_int_equal(bp_machine_wait(r->m, 10, &ended), -ETIMEDOUT);
    /* Some hundred resets; what is said of them is bounded. */
    assert_true(strlen(r->said) < sizeof(r->said) - 256);
    await_request(r);
    discard(r);
}

static void a_reset_of_a_paused_machine_leaves_it_paused(void **state)
{
    struct rig *r = started(make(CODE(RESETTER), ""));
    uint64_t mark = 0;
    struct bp_exit ended;
    (void)state;

    await_request(r);
    assert_int_equal(bp_machine_pause(r->m), 0);
    assert_int_equal(bp_machine_write(r->m, 0x9000, &mark, sizeof(mark)), 0);
    assert_int_equal(bp_machine_wait(r->m, 0, &ended), -ETIMEDOUT);
    assert_int_equal(bp_machine_wait(r->m, 20, &ended), -ETIMEDOUT);
    assert_int_equal(bp_machine_read(r->m, 0x9000, &mark, sizeof(mark)), 0);
    assert_int_equal(mark, 0);
    assert_int_equal(bp_machine_resume(r->m), 0);
    await_request(r);
    assert_int_equal(bp_machine_read(r->m, 0x9000, &mark, sizeof(mark)), 0);
    assert_int_equal(mark, 1);
    discard(r);
}

static void bad_a_flood_of_port_writes_ends_when_asked(void **state)
{
    struct rig *r =
        started(make(CODE({LOAD, 0, 'A'}, {OUT, 1, 0xe9}, {OUT, 4, 0xe7}, {JUMP, 0, AT(1)}),
                     "[line]\nplugin = chr-host\nmodel = null\n"
                     "[debug]\nplugin = dev-pc\nmodel = debug-port\nchardev = line\n"));
    struct bp_exit ended;
    (void)state;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(bp_machine_wait(r->m, 5, &ended), -ETIMEDOUT);
        assert_int_equal(bp_machine_pause(r->m), 0);
        assert_int_equal(bp_machine_resume(r->m), 0);
    }
    assert_int_equal(bp_machine_stop(r->m), 0);
    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    discard(r);
}

static void bad_98_wherever_fds_run_out_start_says_so_and_can_be_tried_again(void **state)
{
    struct rig *r = make(CODE(POWER_OFF), SERIAL "[spy]\nplugin = service-fake\nexpect = 0\n");
    struct rlimit before, low;
    uint32_t failures = 0;
    int err = -EMFILE;
    (void)state;

    assert_int_equal(bp_machine_check(r->m), 0); /* plugins are loaded */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    for (low.rlim_cur = 3; err && low.rlim_cur < before.rlim_cur && low.rlim_cur < 200;
         low.rlim_cur++) {
        r->said[0] = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        err = bp_machine_start(r->m);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (err) {
            failures++;
            assert_string_not_equal(r->said, "");
        }
    }
    assert_int_equal(err, 0);
    assert_true(failures > 3);
    uint32_t reason =
        wait_end(r).reason; /* the service, which is there for its loop, may be first */
    assert_true(reason == BP_EXIT_POWER_OFF || reason == BP_EXIT_QUIT);
    discard(r);
}

static void a_service_pauses_looks_and_stops(void **state)
{
    struct rig *r = started(
        make(CODE({LOAD, 0, 5}, {JUMP, 0, AT(0)}), "[spy]\nplugin = service-fake\nexpect = 5\n"));
    (void)state;

    assert_int_equal(wait_end(r).reason, BP_EXIT_QUIT);
    discard(r);
}

static void a_model_that_shares_ram_gets_ram_that_can_be_shared(void **state)
{
    /* The guest finds what was written through the second mapping: 2, for 2 MiB. */
    struct rig *r = started(make(CODE({READ, 4, 0x9000}, {OUT, 1, 0x501}, {HLT, 0, 0}),
                                 DEBUG_EXIT "[other]\nplugin = service-fake\nmodel = sharer\n"));
    struct bp_exit ended = wait_end(r);
    (void)state;

    assert_int_equal(ended.reason, BP_EXIT_DEBUG);
    assert_int_equal(ended.code, 5);
    discard(r);
}

static void a_machine_can_be_started_again(void **state)
{
    struct rig *r = make(CODE(POWER_OFF), "");
    (void)state;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(bp_machine_start(r->m), 0);
        assert_int_equal(bp_machine_start(r->m), -EBUSY);
        assert_int_equal(wait_end(r).reason, BP_EXIT_POWER_OFF);
    }
    discard(r);
}

static void bad_98_a_constructor_that_fails_leaves_nothing_behind(void **state)
{
    /* Two UARTs at overlapping ports pass no check, so the file backend's path is what fails: a
     * folder that check() finds writable, and a name that is too long. */
    char more[1024], name[300];
    struct bp_exit ended;
    (void)state;

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    snprintf(more, sizeof(more),
             "[line]\nplugin = chr-host\nmodel = file\npath = /tmp/%s\n"
             "[com1]\nplugin = dev-uart\nchardev = line\n",
             name);
    struct rig *r = make(CODE({HLT, 0, 0}), more);
    assert_int_not_equal(bp_machine_start(r->m), 0);
    assert_string_not_equal(r->said, "");
    assert_int_equal(bp_machine_wait(r->m, 0, &ended), -EINVAL);
    discard(r);
}

static void a_backend_that_refuses_is_told(void **state)
{
    struct rig *r = make(CODE({HLT, 0, 0}), "usable = no\n");
    (void)state;

    assert_int_equal(bp_machine_start(r->m), -ENODEV);
    assert_string_equal(r->said, "cpu-fake: this backend was told to refuse\n");
    discard(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_powers_off_ends_the_machine),
        cmocka_unit_test(debug_exit_gives_the_status_that_qemu_gives),
        cmocka_unit_test(the_default_level_gives_way_to_what_the_backend_can_offer),
        cmocka_unit_test(a_level_that_was_asked_for_does_not),
        cmocka_unit_test(a_triple_fault_tells_the_registers),
        cmocka_unit_test(a_backend_that_gives_up_says_why),
        cmocka_unit_test(vcpus_that_give_up_together_each_say_why),
        cmocka_unit_test(a_stop_that_nobody_asked_for_is_told),
        cmocka_unit_test(a_reset_starts_the_guest_again),
        cmocka_unit_test(on_reset_exit_ends_the_machine),
        cmocka_unit_test(a_paused_guest_stands),
        cmocka_unit_test(freeing_a_running_machine_ends_it),
        cmocka_unit_test(two_machines_run_in_one_process),
        cmocka_unit_test(only_char_backends_take_input),
        cmocka_unit_test(who_wants_to_leave_is_heard_beside_a_reset),
        cmocka_unit_test(bad_a_guest_that_resets_for_ever_keeps_nobody),
        cmocka_unit_test(a_reset_of_a_paused_machine_leaves_it_paused),
        cmocka_unit_test(bad_a_flood_of_port_writes_ends_when_asked),
        cmocka_unit_test(bad_98_wherever_fds_run_out_start_says_so_and_can_be_tried_again),
        cmocka_unit_test(a_service_pauses_looks_and_stops),
        cmocka_unit_test(a_model_that_shares_ram_gets_ram_that_can_be_shared),
        cmocka_unit_test(a_machine_can_be_started_again),
        cmocka_unit_test(bad_98_a_constructor_that_fails_leaves_nothing_behind),
        cmocka_unit_test(a_backend_that_refuses_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
