/* SPDX-License-Identifier: MIT
 *
 * Links between instances of a real machine: net, block and char backends, what one lock domain
 * keeps apart, what is shared, and what is said when a link fails.
 *
 * The parts are tests/fakes/plugins/link_*.c, whose device notices two threads in one domain; the
 * guest is a bytecode that waits for its registers and leaves with what they say.
 */
#include "machine/rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#define NIC 0x1000u
#define DEBUG_EXIT "[exit]\nplugin = dev-pc\nmodel = debug-exit\n"
#define PART(name, model) "[" name "]\nplugin = link-parts\nmodel = " model "\n"
#define NET PART("net", "loop")
#define DISK PART("disk", "ramdisk")
#define LINE "[line]\nplugin = chr-host\nmodel = null\n"
#define STATUS(n) (((n) << 1 | 1) & 0xff) /* what debug-exit makes of a value */
#define LEAVE                                                                                      \
    {OUT, 1, 0x501},                                                                               \
    {                                                                                              \
        HLT, 0, 0                                                                                  \
    }

static uint32_t code_of(struct rig *r)
{
    struct bp_exit ended = wait_end(r);

    if (ended.reason != BP_EXIT_DEBUG)
        fail_msg("the machine ended with reason %u: %s", ended.reason, r->said);
    assert_string_equal(r->said, "");
    return ended.code;
}

/* ---- links that work ---- */

static void frames_come_back_in_order_though_both_ends_are_full_at_times(void **state)
{
    struct rig *r = started(make(CODE({LOAD, 0, 500}, {OUT, 4, NIC}, {IN, 4, NIC}, {IN, 4, NIC + 4},
                                      {JUMP_ZERO, 0, AT(2)}, LEAVE),
                                 DEBUG_EXIT NET PART("nic", "nic") "net = net\n"));
    (void)state;

    /* All there, the NIC refused some, the backend took fewer than given, none out of order. */
    assert_int_equal(code_of(r), STATUS(1 | 2 | 4));
    discard(r);
}

static void sectors_written_are_read_back(void **state)
{
    struct rig *r = started(make(
        CODE({LOAD, 0, 100}, {OUT, 4, NIC + 8}, {IN, 4, NIC + 8}, {JUMP_ZERO, 0, AT(2)}, LEAVE),
        DEBUG_EXIT DISK PART("nic", "nic") "disk = disk\n"));
    (void)state;

    assert_int_equal(code_of(r), STATUS(1));
    discard(r);
}

static void sectors_beyond_the_disk_complete_with_an_error(void **state)
{
    struct rig *r = started(make(
        CODE({LOAD, 0, 129}, {OUT, 4, NIC + 8}, {IN, 4, NIC + 8}, {JUMP_ZERO, 0, AT(2)}, LEAVE),
        DEBUG_EXIT DISK PART("nic", "nic") "disk = disk\n"));
    (void)state;

    assert_int_equal(code_of(r), STATUS(0x80));
    discard(r);
}

static void bytes_go_both_ways(void **state)
{
    char log[] = "/tmp/bp-test-XXXXXX", more[512], got[4] = "";
    int fd = mkstemp(log);
    (void)state;

    assert_true(fd >= 0);
    snprintf(more, sizeof(more), DEBUG_EXIT LINE "log = %s\n" PART("nic", "nic") "line = line\n",
             log);
    struct rig *r =
        started(make(CODE({LOAD, 0, 'h'}, {OUT, 4, NIC + 12}, {LOAD, 0, 'i'}, {OUT, 4, NIC + 12},
                          {IN, 4, NIC + 12}, {JUMP_ZERO, 0, AT(4)}, LEAVE),
                     more));
    assert_int_equal(bp_machine_inject(r->m, "line", "\x2a", 1), 1);
    assert_int_equal(code_of(r), STATUS(0x2a));
    discard(r);
    assert_int_equal(read(fd, got, sizeof(got)), 2);
    assert_string_equal(got, "hi");
    close(fd);
    unlink(log);
}

/* ---- domains ---- */

static void device_and_backends_never_run_at_once(void **state)
{
    /* All three links busy, the network's timer every 20 us, the guest in the registers all the
     * time. */
    struct rig *r = started(
        make(CODE({LOAD, 0, 400}, {OUT, 4, NIC}, {LOAD, 0, 120}, {OUT, 4, NIC + 8}, {IN, 4, NIC},
                  {IN, 4, NIC + 4}, {JUMP_ZERO, 0, AT(4)}, {IN, 4, NIC + 8}, {JUMP_ZERO, 0, AT(7)},
                  {IN, 4, NIC + 0x18}, LEAVE),
             DEBUG_EXIT NET DISK LINE PART("nic", "nic") "net = net\ndisk = disk\nline = line\n"));
    (void)state;

    assert_int_equal(code_of(r), STATUS(0));
    discard(r);
}

/* The counter-proof: outside of the domain the guard does notice. */
static void callbacks_outside_of_the_domain_do_meet(void **state)
{
    struct rig *r =
        started(make(CODE({IN, 4, NIC + 0x40}, {JUMP_ZERO, 0, AT(0)}, {LOAD, 0, 1}, LEAVE),
                     DEBUG_EXIT NET PART("nic", "nic") "net = net\n"));
    (void)state;

    assert_int_equal(code_of(r), STATUS(1));
    discard(r);
}

static void shared_instance_serves_two_devices(void **state)
{
    struct rig *r =
        started(make(CODE({LOAD, 0, 3}, {OUT, 4, NIC + 16}, {LOAD, 0, 4},
                          {OUT, 4, NIC + 0x100 + 16}, {IN, 4, NIC + 16}, LEAVE),
                     DEBUG_EXIT PART("sum", "counter") PART("a", "nic") "counter = sum\n" PART(
                         "b", "nic") "counter = sum\nport = 0x1100\n"));
    (void)state;

    assert_int_equal(code_of(r), STATUS(7));
    discard(r);
}

static void backend_that_is_not_shared_is_refused_to_a_second_device(void **state)
{
    struct rig *r =
        make(CODE({HLT, 0, 0}),
             NET PART("a", "nic") "net = net\n" PART("b", "nic") "port = 0x1100\nnet = net\n");
    (void)state;

    assert_int_equal(bp_machine_start(r->m), -EINVAL);
    assert_string_equal(r->said,
                        "[b] net = net: [net] has a user already, [a] net (test.ini:13), and "
                        "link-parts (model loop) serves only one\n");
    discard(r);
}

static void doorbells_that_the_backend_lacks_are_not_offered(void **state)
{
    struct rig *r = started(make(CODE({IN, 4, NIC + 0x14}, LEAVE), DEBUG_EXIT PART("nic", "nic")));
    (void)state;

    assert_int_equal(code_of(r), STATUS(1));
    discard(r);
}

/* ---- what is said when it fails ---- */

static void refuses(const char *more, int err, const char *sentence)
{
    struct rig *r = make(CODE({HLT, 0, 0}), more);
    int got = bp_machine_start(r->m);

    assert_string_equal(r->said, sentence);
    assert_int_equal(got, err);
    discard(r);
}

#define REFUSED(name, more, err, sentence)                                                         \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        refuses(more, err, "[nic] nic cannot be made: " sentence "\n");                            \
    }
/* clang-format off */
REFUSED(bad_98_second_link_to_a_backend_is_refused, NET PART("nic", "nic") "net = net\nmistake = twice\n", -EBUSY,
        "[net] has a user already, and its bp.net/1 serves only one")
REFUSED(bad_98_backend_that_refuses_is_quoted, PART("net", "loop") "fault = refuses\n" PART("nic", "nic") "net = net\n", -EPERM,
        "[net]: this end wants nobody")
REFUSED(bad_98_backend_that_refuses_silently_is_named, PART("net", "loop") "fault = silent\n" PART("nic", "nic") "net = net\n", -EPERM,
        "[net] refuses to be linked by bp.net/1: Operation not permitted")
REFUSED(bad_98_table_without_a_required_function_is_told, PART("net", "loop") "fault = no-send\n" PART("nic", "nic") "net = net\n", -EINVAL,
        "what [net] offers as bp.net/1 is broken: send of table bp_net is NULL; it is required: set it")
REFUSED(bad_98_truncated_table_is_told, PART("net", "loop") "fault = short\n" PART("nic", "nic") "net = net\n", -EINVAL,
        "what [net] offers as bp.net/1 is broken: table bp_net is truncated: its size says 24 bytes, and no version has less than 56; set size to sizeof its struct")
REFUSED(bad_98_truncated_port_is_told, NET PART("nic", "nic") "net = net\nmistake = short-port\n", -EINVAL,
        "the port for bp.net/1 of [net] is broken: table bp_net_port is truncated: its size says 16 bytes, and no version has less than 32; set size to sizeof its struct")
REFUSED(bad_98_port_without_a_required_function_is_told, NET PART("nic", "nic") "net = net\nmistake = no-receive\n", -EINVAL,
        "the port for bp.net/1 of [net] is broken: receive of table bp_net_port is NULL; it is required: set it")
REFUSED(bad_98_link_without_a_port_is_told, NET PART("nic", "nic") "net = net\nmistake = no-port\n", -EINVAL,
        "link() of bp.net/1 was given no port; use peer(), or give one")
REFUSED(bad_98_link_of_a_one_way_interface_is_told, NET PART("nic", "nic") "net = net\nmistake = one-way\n", -EINVAL,
        "test.guard/1 has no port, so it cannot be linked; use peer()")
REFUSED(bad_98_interface_that_is_missing_is_told, LINE PART("nic", "nic") "line = line\nmistake = peer\n", -ENOENT,
        "[line] is chr-host (model null), which does not offer bp.block/1")
REFUSED(bad_98_reference_that_is_not_set_is_told, PART("nic", "nic") "mistake = unset\n", -ENOENT,
        "no section is named that could offer bp.block/1")
REFUSED(bad_98_ports_of_another_instance_are_told, "[com1]\nplugin = dev-uart\n" PART("nic", "nic") "mistake = taken\n", -EBUSY,
        "ports 0x3f0-0x40f cannot be had: [com1] has some of it")
REFUSED(bad_98_region_beyond_the_ports_is_told, PART("nic", "nic") "mistake = beyond\n", -EINVAL,
        "a region of 0x20 ports at 0xfff0 ends beyond the address space")
REFUSED(bad_98_memory_region_of_odd_length_is_told, PART("nic", "nic") "mistake = memory\n", -EINVAL,
        "a memory region's length must be a multiple of 4096, not 0")
REFUSED(bad_98_create_without_an_instance_is_told, PART("nic", "nic") "mistake = nothing\n", -EINVAL,
        "create() succeeded without giving an instance")
/* clang-format on */

/* ---- what failed leaves nothing ---- */

static int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Threads and fds of the process are as before. A thread that was joined may be listed for a
 * moment. */
static void nothing_is_left(const char *more, int err, const char *sentence)
{
    refuses(more, err, sentence); /* what is opened once and for all is opened now */
    int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");

    for (int i = 0; i < 10; i++)
        refuses(more, err, sentence);
    assert_int_equal(entries("/proc/self/fd"), fds);
    for (int i = 0; i < PATIENCE_MS && entries("/proc/self/task") != threads; i++)
        usleep(1000);
    assert_int_equal(entries("/proc/self/task"), threads);
}

static void bad_98_create_that_fails_half_way_leaves_nothing(void **state)
{
    (void)state;
    nothing_is_left(NET PART("nic", "nic") "net = net\n"
                                           "[half]\nplugin = " FAKE_PARTS "\nmodel = half\n",
                    -EIO, "[half] half cannot be made: half of it is enough\n");
}

static void bad_98_create_that_fails_with_its_links_made_leaves_nothing(void **state)
{
    (void)state;
    nothing_is_left(
        NET DISK LINE PART("nic", "nic") "net = net\ndisk = disk\nline = line\nmistake = late\n",
        -EIO, "[nic] nic cannot be made: everything is linked, and then this\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_in_order_though_both_ends_are_full_at_times),
        cmocka_unit_test(sectors_written_are_read_back),
        cmocka_unit_test(sectors_beyond_the_disk_complete_with_an_error),
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(device_and_backends_never_run_at_once),
        cmocka_unit_test(callbacks_outside_of_the_domain_do_meet),
        cmocka_unit_test(shared_instance_serves_two_devices),
        cmocka_unit_test(backend_that_is_not_shared_is_refused_to_a_second_device),
        cmocka_unit_test(doorbells_that_the_backend_lacks_are_not_offered),
        cmocka_unit_test(bad_98_second_link_to_a_backend_is_refused),
        cmocka_unit_test(bad_98_backend_that_refuses_is_quoted),
        cmocka_unit_test(bad_98_backend_that_refuses_silently_is_named),
        cmocka_unit_test(bad_98_table_without_a_required_function_is_told),
        cmocka_unit_test(bad_98_truncated_table_is_told),
        cmocka_unit_test(bad_98_truncated_port_is_told),
        cmocka_unit_test(bad_98_port_without_a_required_function_is_told),
        cmocka_unit_test(bad_98_link_without_a_port_is_told),
        cmocka_unit_test(bad_98_link_of_a_one_way_interface_is_told),
        cmocka_unit_test(bad_98_interface_that_is_missing_is_told),
        cmocka_unit_test(bad_98_reference_that_is_not_set_is_told),
        cmocka_unit_test(bad_98_ports_of_another_instance_are_told),
        cmocka_unit_test(bad_98_region_beyond_the_ports_is_told),
        cmocka_unit_test(bad_98_memory_region_of_odd_length_is_told),
        cmocka_unit_test(bad_98_create_without_an_instance_is_told),
        cmocka_unit_test(bad_98_create_that_fails_half_way_leaves_nothing),
        cmocka_unit_test(bad_98_create_that_fails_with_its_links_made_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
