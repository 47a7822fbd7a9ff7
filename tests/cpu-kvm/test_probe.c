/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_probe.c - the probe on this very host, whatever its KVM is.
 *
 * It proves that the probe comes to an end and leaves nothing behind; the sentences are
 * test_device.c's.
 */
#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void the_probe_accepts_or_says_why_not(void **state)
{
    int64_t got;

    (void)state;
    alarm(RIG_SECONDS);
    rig_forget();
    got = rig_ops()->probe(rig_host(), rig_node());
    if (got >= 0) {
        assert_int_equal(got, BP_CPU_IRQCHIP | BP_CPU_SNAPSHOT);
        assert_string_equal(rig_failure(), "");
        print_message("this host's KVM is accepted\n");
    } else {
        assert_true(got == -ENODEV || got == -EACCES || got == -ENOTSUP || got == -EBUSY);
        assert_memory_equal(rig_failure(), "/dev/kvm ", 9);
        print_message("%s\n", rig_failure());
    }
}

/* What the host is known to be, told by whoever runs the test: the lab, whose KVM is a real one. */
static void the_probe_comes_to_the_result_that_is_known(void **state)
{
    const char *known = getenv("BACKPLANE_TEST_KVM");
    int64_t got;

    (void)state;
    if (!known) {
        print_message("skipped: BACKPLANE_TEST_KVM is neither good nor bad\n");
        skip();
        return;
    }
    alarm(RIG_SECONDS);
    got = rig_ops()->probe(rig_host(), rig_node());
    assert_int_equal(got >= 0, strcmp(known, "good") == 0);
}

static void the_probe_leaves_nothing_behind(void **state)
{
    sigset_t before, after, pending;
    unsigned files;

    (void)state;
    alarm(RIG_SECONDS);
    rig_ops()->probe(rig_host(), rig_node()); /* what the C library opens, it opens once */
    files = open_files();
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (unsigned i = 0; i < 3; i++)
        rig_ops()->probe(rig_host(), rig_node());
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(open_files(), files);
    for (int sig = 1; sig < SIGRTMAX; sig++)
        assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGRTMIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_probe_accepts_or_says_why_not),
        cmocka_unit_test(the_probe_comes_to_the_result_that_is_known),
        cmocka_unit_test(the_probe_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
