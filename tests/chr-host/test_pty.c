/* SPDX-License-Identifier: MIT
 *
 * chr-host/test_pty.c - the model `pty`, with real ptys.
 */
#include "chr_host.h"
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[32], link[64];
    struct device *device;
    const char *name;
    int user; /* -1: nobody is connected */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct pty_config config = {0};

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/chr-pty-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->link, sizeof(f->link), "%s/link", f->folder);
    f->user = -1;
    f->device = device_new("pty", &config);
    assert_memory_equal(fake_log(f->device->host, NULL), "connect to /", 12);
    f->name = fake_log(f->device->host, NULL) + strlen("connect to ");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    device_free(f->device);
    if (f->user >= 0)
        close(f->user);
    unlink(f->link);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void user_opens(struct fixture *f)
{
    unsigned before = f->device->event_count;

    f->user = open(f->name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(f->user >= 0);
    WAIT_FOR(f->device, f->device->event_count > before &&
                            f->device->events[f->device->event_count - 1] == 'O');
}

static void user_leaves(struct fixture *f)
{
    close(f->user);
    f->user = -1;
    WAIT_FOR(f->device, f->device->events[f->device->event_count - 1] == 'H');
}

static void bytes_pass_both_ways_unchanged(void **state)
{
    struct fixture *f = *state;
    uint8_t all[256], back[256];
    uint64_t got = 0;

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    user_opens(f);
    assert_int_equal(device_write(f->device, all, 256), 256);
    WAIT_FOR(f->device, (got += drain_fd(f->user, back + got, 256 - got)) == 256);
    assert_memory_equal(all, back, 256);
    assert_int_equal(write(f->user, all, 256), 256);
    WAIT_FOR(f->device, f->device->len == 256);
    assert_memory_equal(f->device->input, all, 256);
}

static void output_with_nobody_connected_is_discarded(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4096] = {0}, back[16];

    for (int i = 0; i < 100; i++) {
        assert_int_equal(device_write(f->device, data, sizeof(data)), sizeof(data));
        device_turn(f->device, 1);
    }
    device_expect_quiet(f->device);
    user_opens(f);
    device_write(f->device, "new", 3);
    WAIT_FOR(f->device, drain_fd(f->user, back, 3) == 3);
    assert_memory_equal(back, "new", 3);
}

static void users_come_and_go_without_a_busy_loop(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        device_expect_quiet(f->device);
        user_opens(f);
        device_expect_quiet(f->device);
        assert_int_equal(write(f->user, "x", 1), 1);
        WAIT_FOR(f->device, f->device->len == (uint64_t)i + 1);
        user_leaves(f);
    }
    assert_string_equal(f->device->events, "HOHOHOH");
}

static void what_was_typed_before_leaving_arrives(void **state)
{
    struct fixture *f = *state;

    user_opens(f);
    f->device->room = 0;
    assert_int_equal(write(f->user, "parting words", 13), 13);
    device_turn(f->device, 5);
    close(f->user);
    f->user = -1;
    device_turn(f->device, 5);
    device_resume(f->device, UINT64_MAX);
    WAIT_FOR(f->device, device_has(f->device, "parting words"));
    WAIT_FOR(f->device, f->device->events[f->device->event_count - 1] == 'H');
}

static void slow_user_holds_the_device_back_and_a_leaving_one_lets_it_go(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4096] = {0};
    uint64_t taken = 0;

    user_opens(f);
    for (int i = 0; i < 200; i++) {
        taken += device_write(f->device, data, sizeof(data));
        device_turn(f->device, 1);
    }
    assert_true(taken < 200u * sizeof(data));
    device_expect_quiet(f->device);
    f->device->writables = 0;
    f->device->room = 0; /* not even input is read */
    user_leaves(f);
    WAIT_FOR(f->device, f->device->writables > 0);
    assert_int_equal(device_write(f->device, data, sizeof(data)), sizeof(data));
}

static void link_is_there_while_it_runs(void **state)
{
    struct fixture *f = *state;
    struct pty_config config = {.link = f->link};
    struct device *d;
    char target[64] = {0};

    assert_int_equal(symlink("/dead/end", f->link), 0); /* a crashed machine's */
    d = device_new("pty", &config);
    assert_true(readlink(f->link, target, sizeof(target) - 1) > 0);
    assert_string_equal(target, fake_log(d->host, NULL) + strlen("connect to "));
    fake_ops(d->host)->stop(d->self);
    assert_int_equal(access(f->link, F_OK), -1);
    assert_int_equal(fake_ops(d->host)->start(d->self), 0);
    assert_int_equal(access(f->link, F_OK), 0);
    device_free(d);
    assert_int_equal(readlink(f->link, target, sizeof(target)), -1);
}

static void bad_link_that_is_a_file_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct pty_config config = {.link = f->link};
    struct fake_host *h;
    char expect[256];

    close(open(f->link, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(fake_host_try(PLUGIN_FILE, "pty", &config, &h), -EEXIST);
    snprintf(expect, sizeof(expect),
             "'%s' exists and is no symbolic link; remove it, or give `link` another path",
             f->link);
    assert_string_equal(fake_failure(), expect);
    assert_int_equal(access(f->link, F_OK), 0);
}

static void bad_link_in_no_folder_is_told(void **state)
{
    struct pty_config config = {.link = "/nonexistent/link"};
    struct fake_host *h;

    (void)state;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "pty", &config, &h), -ENOENT);
    assert_string_equal(fake_failure(),
                        "cannot make the link '/nonexistent/link': No such file or directory; "
                        "give `link` a path in a folder that can be written");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_pass_both_ways_unchanged),
        TEST(output_with_nobody_connected_is_discarded),
        TEST(users_come_and_go_without_a_busy_loop),
        TEST(what_was_typed_before_leaving_arrives),
        TEST(slow_user_holds_the_device_back_and_a_leaving_one_lets_it_go),
        TEST(link_is_there_while_it_runs),
        TEST(bad_link_that_is_a_file_is_left_alone),
        TEST(bad_link_in_no_folder_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
