/* SPDX-License-Identifier: MIT
 *
 * chr-host/test_stdio.c - the model `stdio`, with ptys, pipes, sockets and files in the place of
 * fds 0 and 1.
 *
 * It does not prove that signals restore the terminal: that is the program's affair.
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct device *device;
    int saved_in, saved_out; /* the test program's own */
    int in, out;             /* far ends: what is written to `in` is the guest's input */
    struct stdio_config config;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    fflush(stdout);
    f->saved_in = fcntl(0, F_DUPFD_CLOEXEC, 100);
    f->saved_out = fcntl(1, F_DUPFD_CLOEXEC, 100);
    f->in = f->out = -1;
    f->config.raw = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fflush(stdout);
    device_free(f->device);
    if (f->saved_in >= 0)
        dup2(f->saved_in, 0);
    dup2(f->saved_out, 1);
    close(f->saved_in);
    close(f->saved_out);
    if (f->in >= 0)
        close(f->in);
    if (f->out >= 0 && f->out != f->in)
        close(f->out);
    free(f);
    return 0;
}

static void install(int in, int out)
{
    assert_int_equal(dup2(in, 0), 0);
    assert_int_equal(dup2(out, 1), 1);
    if (in > 1)
        close(in);
    if (out > 1 && out != in)
        close(out);
}

static void with_pipes(struct fixture *f)
{
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    install(in[0], out[1]);
    f->in = in[1];
    f->out = out[0];
    fcntl(f->out, F_SETFL, O_NONBLOCK);
}

static void with_terminal(struct fixture *f)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    int slave;

    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    install(slave, slave);
    f->in = f->out = master;
}

static void run(struct fixture *f)
{
    f->device = device_new("stdio", &f->config);
}

static void type(struct fixture *f, const char *keys)
{
    assert_int_equal(write(f->in, keys, strlen(keys)), strlen(keys));
}

/* Everything that came out so far must be `text`, in the end. */
static void expect_output(struct fixture *f, const char *text)
{
    uint8_t data[4096];
    uint64_t len = 0, want = strlen(text);

    WAIT_FOR(f->device, (len += drain_fd(f->out, data + len, sizeof(data) - len)) >= want);
    assert_int_equal(len, want);
    assert_memory_equal(data, text, len);
}

/* ---- terminals
 * ----------------------------------------------------------------------------------- */

static void terminal_is_raw_while_it_runs_and_restored_by_stop(void **state)
{
    struct fixture *f = *state;
    struct termios before = {0}, during = {0}, after = {0};

    with_terminal(f);
    assert_int_equal(tcgetattr(0, &before), 0);
    assert_true(before.c_lflag & ECHO);
    run(f);
    assert_int_equal(tcgetattr(0, &during), 0);
    assert_int_equal(during.c_lflag & (ECHO | ICANON | ISIG), 0);
    assert_true(during.c_oflag & OPOST);
    fake_ops(f->device->host)->stop(f->device->self);
    assert_int_equal(tcgetattr(0, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(fake_ops(f->device->host)->start(f->device->self), 0);
    assert_int_equal(tcgetattr(0, &after), 0);
    assert_int_equal(after.c_lflag & ECHO, 0);
    device_free(f->device);
    f->device = NULL;
    assert_int_equal(tcgetattr(0, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
}

static void raw_and_signals_do_as_they_say(void **state)
{
    struct fixture *f = *state;
    struct termios t;

    with_terminal(f);
    f->config.signals = 1;
    run(f);
    assert_int_equal(tcgetattr(0, &t), 0);
    assert_int_equal(t.c_lflag & (ECHO | ISIG), ISIG);
    device_free(f->device);
    f->config.raw = 0;
    run(f);
    assert_int_equal(tcgetattr(0, &t), 0);
    assert_true(t.c_lflag & ECHO);
}

static void o_nonblock_does_not_leak_to_the_shell(void **state)
{
    struct fixture *f = *state;

    with_terminal(f);
    run(f);
    assert_int_equal(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(1, F_GETFL) & O_NONBLOCK, 0);
}

static void keys_reach_the_guest_and_output_the_screen(void **state)
{
    struct fixture *f = *state;

    with_terminal(f);
    run(f);
    type(f, "ls\r\x03\x1a");
    WAIT_FOR(f->device, device_has(f->device, "ls\r\x03\x1a"));
    device_write(f->device, "file\r", 5);
    expect_output(f, "file\r");
}

static void ctrl_a_x_asks_to_quit(void **state)
{
    struct fixture *f = *state;
    uint32_t request = 0;

    with_terminal(f);
    run(f);
    type(f, "ab\x01xcd");
    WAIT_FOR(f->device, (request = fake_request(f->device->host, NULL)) != 0);
    assert_int_equal(request, BP_REQUEST_QUIT);
    WAIT_FOR(f->device, device_has(f->device, "abcd"));
}

static void ctrl_a_twice_sends_it_and_b_breaks(void **state)
{
    struct fixture *f = *state;

    with_terminal(f);
    run(f);
    type(f, "1\x01\x01");
    type(f, "2\x01");
    WAIT_FOR(f->device, device_has(f->device, "1\x01"
                                              "2"));
    type(f, "a\x01z");
    WAIT_FOR(f->device, device_has(f->device, "1\x01"
                                              "2\x01z"));
    type(f, "\x01"
            "b");
    WAIT_FOR(f->device, f->device->events[f->device->event_count - 1] == 'B');
    assert_int_equal(fake_request(f->device->host, NULL), 0);
}

static void ctrl_a_h_prints_help(void **state)
{
    struct fixture *f = *state;
    uint8_t data[1024] = {0};
    uint64_t len = 0;

    with_terminal(f);
    run(f);
    type(f, "\x01h");
    WAIT_FOR(f->device, (len += drain_fd(f->out, data + len, sizeof(data) - 1 - len)) > 100);
    assert_non_null(strstr((char *)data, "Ctrl-A x"));
    assert_int_equal(f->device->len, 0);
}

static void escape_no_passes_ctrl_a(void **state)
{
    struct fixture *f = *state;

    with_terminal(f);
    f->config.escape = ESCAPE_NO;
    run(f);
    type(f, "\x01x");
    WAIT_FOR(f->device, device_has(f->device, "\x01x"));
    assert_int_equal(fake_request(f->device->host, NULL), 0);
}

static void window_size_is_told_at_start_and_after_a_key(void **state)
{
    struct fixture *f = *state;
    struct winsize w = {.ws_col = 132, .ws_row = 43};

    with_terminal(f);
    assert_int_equal(ioctl(f->in, TIOCSWINSZ, &w), 0);
    run(f);
    WAIT_FOR(f->device, f->device->columns == 132 && f->device->rows == 43);
    w.ws_col = 80;
    assert_int_equal(ioctl(f->in, TIOCSWINSZ, &w), 0);
    type(f, "x");
    WAIT_FOR(f->device, f->device->columns == 80);
}

static void bad_100_terminal_that_goes_away_is_no_busy_loop(void **state)
{
    struct fixture *f = *state;

    with_terminal(f);
    run(f);
    device_turn(f->device, 5);
    close(f->in);
    f->in = f->out = -1;
    for (int i = 0; i < 10; i++) {
        device_write(f->device, "x", 1);
        device_turn(f->device, 2);
    }
    device_expect_quiet(f->device);
}

/* ---- pipes, files, sockets
 * ------------------------------------------------------------------------ */

static void pipes_work_and_ctrl_a_is_data(void **state)
{
    struct fixture *f = *state;

    with_pipes(f);
    run(f);
    type(f, "in\x01x");
    WAIT_FOR(f->device, device_has(f->device, "in\x01x"));
    device_write(f->device, "out", 3);
    expect_output(f, "out");
}

static void escape_yes_holds_for_pipes_too(void **state)
{
    struct fixture *f = *state;

    with_pipes(f);
    f->config.escape = ESCAPE_YES;
    run(f);
    type(f, "\x01x");
    WAIT_FOR(f->device, fake_request(f->device->host, NULL) == BP_REQUEST_QUIT);
}

static void bad_100_end_of_input_leaves_the_guest_running(void **state)
{
    struct fixture *f = *state;

    with_pipes(f);
    run(f);
    type(f, "bye");
    close(f->in);
    f->in = -1;
    WAIT_FOR(f->device, device_has(f->device, "bye"));
    device_turn(f->device, 5);
    device_expect_quiet(f->device);
    device_write(f->device, "still here", 10);
    expect_output(f, "still here");
    assert_int_equal(fake_request(f->device->host, NULL), 0);
    assert_null(strchr(f->device->events, 'H'));
    /* Nor does it come back after a pause. */
    fake_ops(f->device->host)->stop(f->device->self);
    assert_int_equal(fake_ops(f->device->host)->start(f->device->self), 0);
    device_turn(f->device, 5);
    device_expect_quiet(f->device);
}

static void dev_null_as_input_ends_at_once(void **state)
{
    struct fixture *f = *state;

    with_pipes(f);
    install(open("/dev/null", O_RDONLY | O_CLOEXEC), dup(1));
    run(f);
    device_turn(f->device, 5);
    device_expect_quiet(f->device);
    device_write(f->device, "ok", 2);
    expect_output(f, "ok");
    assert_int_equal(f->device->len, 0);
}

static void regular_file_as_input_is_read_to_its_end(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/chr-stdio-XXXXXX";
    int file = mkstemp(path);

    assert_true(file >= 0);
    unlink(path);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(write(file, "abcd", 4), 4);
    lseek(file, 0, SEEK_SET);
    with_pipes(f);
    install(file, dup(1));
    run(f);
    f->device->room = 100;
    WAIT_FOR(f->device, f->device->len == 100);
    device_resume(f->device, UINT64_MAX);
    WAIT_FOR(f->device, f->device->len == 40000);
    assert_memory_equal(f->device->input + 39996, "abcd", 4);
}

static void sockets_as_standard_streams_work(void **state)
{
    struct fixture *f = *state;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    install(pair[0], pair[0]);
    f->in = f->out = pair[1];
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    run(f);
    type(f, "in");
    WAIT_FOR(f->device, device_has(f->device, "in"));
    device_write(f->device, "out", 3);
    expect_output(f, "out");
    assert_int_equal(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
}

static void bad_100_closed_standard_streams_are_no_error(void **state)
{
    struct fixture *f = *state;

    close(0);
    close(1);
    f->device = device_new("stdio", &f->config);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(device_write(f->device, "x", 1), 1);
    device_turn(f->device, 2);
    device_expect_quiet(f->device);
}

static void bad_reader_that_leaves_costs_output_and_one_warning(void **state)
{
    struct fixture *f = *state;

    with_pipes(f);
    run(f);
    device_turn(f->device, 2);
    close(f->out);
    f->out = -1;
    for (int i = 0; i < 200000; i++) {
        assert_int_equal(device_write(f->device, "x", 1), 1);
        if (i % 1000 == 0)
            device_turn(f->device, 0);
        if (i % 1000 == 1)
            fake_advance_ns(f->device->host, 2000000);
    }
    assert_int_equal(fake_log_count(f->device->host), 1);
    assert_string_equal(fake_log(f->device->host, NULL),
                        "cannot write standard output: Broken pipe; output is discarded from now "
                        "on");
    device_expect_quiet(f->device);
}

static void bad_67_flood_of_a_blocked_pipe_is_bounded_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[400000], back[400000];
    uint64_t sent = 0, got = 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 17 + i / 999);
    with_pipes(f);
    run(f);
    for (int i = 0; i < 100; i++) {
        sent += device_write(f->device, data + sent, sizeof(data) - sent);
        device_turn(f->device, 1);
    }
    assert_true(sent < 200000);
    device_expect_quiet(f->device);
    for (unsigned turn = 0; got < sizeof(data); turn++) {
        uint64_t cap = 1 + turn * 7919u % 20000u;

        got += drain_fd(f->out, back + got, cap < sizeof(data) - got ? cap : sizeof(data) - got);
        sent += device_write(f->device, data + sent, sizeof(data) - sent);
        device_turn(f->device, 1);
    }
    assert_memory_equal(data, back, sizeof(data));
}

static void bad_68_input_is_not_read_while_the_guest_reads_nothing(void **state)
{
    struct fixture *f = *state;
    static const uint8_t chunk[4096];
    uint64_t written = 0;

    with_pipes(f);
    fcntl(f->in, F_SETFL, O_NONBLOCK);
    run(f);
    f->device->room = 5;
    for (int i = 0; i < 500; i++) {
        ssize_t n = write(f->in, chunk, sizeof(chunk));

        if (n > 0)
            written += (uint64_t)n;
        device_turn(f->device, 1);
    }
    assert_true(written <= 65536 + 2 * 4096); /* the pipe's buffer, and ours */
    assert_int_equal(f->device->len, 5);
    device_expect_quiet(f->device);
    device_resume(f->device, 60000);
    WAIT_FOR(f->device, f->device->len == 60005);
}

static void stop_flushes_what_was_printed_last(void **state)
{
    struct fixture *f = *state;
    uint8_t data[64];

    with_pipes(f);
    run(f);
    device_write(f->device, "Kernel panic", 12);
    fake_ops(f->device->host)->stop(f->device->self);
    assert_int_equal(drain_fd(f->out, data, sizeof(data)), 12);
    assert_memory_equal(data, "Kernel panic", 12);
}

static void stop_gives_up_on_a_blocked_pipe(void **state)
{
    struct fixture *f = *state;
    static const uint8_t data[65536];
    uint64_t sent = 0;

    with_pipes(f);
    run(f);
    for (int i = 0; i < 20; i++) {
        sent += device_write(f->device, data, sizeof(data));
        device_turn(f->device, 1);
    }
    fake_ops(f->device->host)->stop(f->device->self); /* bounded: this returns */
    assert_int_equal(fake_log_count(f->device->host), 0);
    assert_true(sent > 65536);
}

static void boot_log_costs_few_writes(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    char data[4096];
    unsigned messages = 0;
    uint64_t len = 0;

    /* A sequenced-packet socket keeps each write apart. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    install(pair[0], pair[0]);
    f->in = f->out = pair[1];
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    run(f);
    for (int i = 0; i < 20000; i++) {
        device_write(f->device, "x", 1);
        if (i % 1000 == 999)
            fake_advance_ns(f->device->host, 1000000);
    }
    fake_ops(f->device->host)->stop(f->device->self);
    for (;;) {
        ssize_t n = read(pair[1], data, sizeof(data));

        if (n <= 0)
            break;
        messages++;
        len += (uint64_t)n;
    }
    assert_int_equal(len, 20000);
    assert_true(messages <= 25);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(terminal_is_raw_while_it_runs_and_restored_by_stop),
        TEST(raw_and_signals_do_as_they_say),
        TEST(o_nonblock_does_not_leak_to_the_shell),
        TEST(keys_reach_the_guest_and_output_the_screen),
        TEST(ctrl_a_x_asks_to_quit),
        TEST(ctrl_a_twice_sends_it_and_b_breaks),
        TEST(ctrl_a_h_prints_help),
        TEST(escape_no_passes_ctrl_a),
        TEST(window_size_is_told_at_start_and_after_a_key),
        TEST(bad_100_terminal_that_goes_away_is_no_busy_loop),
        TEST(pipes_work_and_ctrl_a_is_data),
        TEST(escape_yes_holds_for_pipes_too),
        TEST(bad_100_end_of_input_leaves_the_guest_running),
        TEST(dev_null_as_input_ends_at_once),
        TEST(regular_file_as_input_is_read_to_its_end),
        TEST(sockets_as_standard_streams_work),
        TEST(bad_100_closed_standard_streams_are_no_error),
        TEST(bad_reader_that_leaves_costs_output_and_one_warning),
        TEST(bad_67_flood_of_a_blocked_pipe_is_bounded_and_loses_nothing),
        TEST(bad_68_input_is_not_read_while_the_guest_reads_nothing),
        TEST(stop_flushes_what_was_printed_last),
        TEST(stop_gives_up_on_a_blocked_pipe),
        TEST(boot_log_costs_few_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
