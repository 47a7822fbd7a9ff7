/* SPDX-License-Identifier: MIT
 *
 * chr-host/test_file.c - the models `file` and `null`, and what all models share: log, inject,
 * buffer.
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
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[32];
    char out[64], in[64], log[64];
    struct device *device;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/chr-file-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->out, sizeof(f->out), "%s/out", f->folder);
    snprintf(f->in, sizeof(f->in), "%s/in", f->folder);
    snprintf(f->log, sizeof(f->log), "%s/log", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    device_free(f->device);
    unlink(f->out);
    unlink(f->in);
    unlink(f->log);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const char *path, const char *text)
{
    char data[4096];
    FILE *file = fopen(path, "r");
    size_t n;

    assert_non_null(file);
    n = fread(data, 1, sizeof(data) - 1, file);
    fclose(file);
    data[n] = '\0';
    assert_string_equal(data, text);
}

static void output_reaches_the_file_within_milliseconds(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out};

    write_file(f->out, "old content");
    f->device = device_new("file", &config);
    assert_int_equal(device_write(f->device, "hello ", 6), 6);
    assert_int_equal(device_write(f->device, "world", 5), 5);
    fake_advance_ns(f->device->host, 2000000);
    expect_file(f->out, "hello world");
}

static void append_keeps_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out, .append = 1};

    write_file(f->out, "old ");
    f->device = device_new("file", &config);
    device_write(f->device, "new", 3);
    fake_ops(f->device->host)->stop(f->device->self);
    expect_file(f->out, "old new");
}

static void stop_flushes_output_and_log(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out, .log = f->log};

    f->device = device_new("file", &config);
    device_write(f->device, "last words", 10);
    fake_ops(f->device->host)->stop(f->device->self);
    expect_file(f->out, "last words");
    expect_file(f->log, "last words");
    /* What comes after a stop is kept for the next start. */
    device_write(f->device, "!", 1);
    assert_int_equal(fake_ops(f->device->host)->start(f->device->self), 0);
    fake_advance_ns(f->device->host, 2000000);
    expect_file(f->out, "last words!");
}

static void input_comes_from_the_file_as_the_device_takes_it(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out, .input = f->in};
    FILE *file = fopen(f->in, "w");

    assert_non_null(file);
    for (int i = 0; i < 20000; i++)
        fputc(i % 251, file);
    fclose(file);
    f->device = device_new("file", &config);
    f->device->room = 10;
    WAIT_FOR(f->device, f->device->len == 10);
    fake_advance_ns(f->device->host, UINT64_C(1000000000));
    assert_int_equal(f->device->len, 10);
    while (f->device->len < 20000) {
        uint64_t before = f->device->len;

        device_resume(f->device, 777);
        WAIT_FOR(f->device, f->device->len > before);
    }
    for (int i = 0; i < 20000; i++)
        assert_int_equal(f->device->input[i], i % 251);
    device_resume(f->device, UINT64_MAX);
    fake_advance_ns(f->device->host,
                    UINT64_C(1000000000)); /* the end of the file is no busy loop */
    assert_int_equal(f->device->len, 20000);
}

static void says_once_that_it_is_open(void **state)
{
    struct fixture *f = *state;
    struct null_config config = {0};

    f->device = device_new("null", &config);
    fake_advance_ns(f->device->host, 1000000);
    assert_string_equal(f->device->events, "O");
}

static void null_takes_everything_and_gives_nothing(void **state)
{
    struct fixture *f = *state;
    struct null_config config = {0};
    uint8_t data[4096] = {0};

    f->device = device_new("null", &config);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(device_write(f->device, data, sizeof(data)), sizeof(data));
    fake_advance_ns(f->device->host, UINT64_C(1000000000));
    assert_int_equal(f->device->len, 0);
}

static void log_copies_the_output_of_null_and_not_the_input(void **state)
{
    struct fixture *f = *state;
    struct null_config config = {.log = f->log};

    f->device = device_new("null", &config);
    assert_int_equal(f->device->ops->inject(f->device->self, (const uint8_t *)"input", 5), 5);
    device_write(f->device, "output", 6);
    fake_advance_ns(f->device->host, 2000000);
    expect_file(f->log, "output");
    assert_true(device_has(f->device, "input"));
}

static void injected_input_waits_for_the_device(void **state)
{
    struct fixture *f = *state;
    struct null_config config = {0};
    uint8_t data[6000];
    uint64_t taken;

    memset(data, 'i', sizeof(data));
    f->device = device_new("null", &config);
    f->device->room = 3;
    taken = f->device->ops->inject(f->device->self, data, sizeof(data));
    assert_int_equal(taken, 4096);       /* bounded */
    assert_int_equal(f->device->len, 0); /* on the loop, not from inside */
    fake_advance_ns(f->device->host, 1000000);
    assert_int_equal(f->device->len, 3);
    device_resume(f->device, UINT64_MAX);
    fake_advance_ns(f->device->host, 1000000);
    assert_int_equal(f->device->len, 4096);
}

static void bad_full_disk_costs_output_and_one_warning(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = "/dev/full"};
    uint32_t level;

    f->device = device_new("file", &config);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(device_write(f->device, "x", 1), 1);
        if (i % 1000 == 0)
            fake_advance_ns(f->device->host, 2000000);
    }
    assert_int_equal(fake_log_count(f->device->host), 1);
    assert_string_equal(fake_log(f->device->host, &level),
                        "cannot write '/dev/full': No space left on device; output is lost while "
                        "that is so");
    assert_int_equal(level, BP_LOG_WARN);
}

static void bad_full_log_costs_the_log_only(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out, .log = "/dev/full"};

    f->device = device_new("file", &config);
    device_write(f->device, "hello", 5);
    fake_advance_ns(f->device->host, 2000000);
    device_write(f->device, "hello", 5);
    fake_advance_ns(f->device->host, 2000000);
    expect_file(f->out, "hellohello");
    assert_int_equal(fake_log_count(f->device->host), 1);
    assert_string_equal(fake_log(f->device->host, NULL),
                        "cannot write the log: No space left on device; what does not fit is "
                        "missing from it");
}

static void bad_path_is_told(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = "/nonexistent/out"};
    struct fake_host *h;

    assert_int_equal(fake_host_try(PLUGIN_FILE, "file", &config, &h), -ENOENT);
    assert_string_equal(fake_failure(), "cannot open '/nonexistent/out' for output: No such file "
                                        "or directory; give `path` a file that can be written");
    config.path = f->out;
    config.input = "/nonexistent/in";
    assert_int_equal(fake_host_try(PLUGIN_FILE, "file", &config, &h), -ENOENT);
    assert_string_equal(fake_failure(), "cannot open '/nonexistent/in' for input: No such file or "
                                        "directory; give `input` a file that can be read");
    config.input = NULL;
    config.log = "/nonexistent/log";
    assert_int_equal(fake_host_try(PLUGIN_FILE, "file", &config, &h), -ENOENT);
    assert_string_equal(fake_failure(),
                        "cannot open the log '/nonexistent/log': No such file or directory; give "
                        "`log` a file that can be written");
}

static void bad_named_pipe_without_a_reader_is_told_and_does_not_hang(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out};
    struct fake_host *h;
    char expect[256];

    assert_int_equal(mkfifo(f->out, 0600), 0);
    assert_int_equal(fake_host_try(PLUGIN_FILE, "file", &config, &h), -ENXIO);
    snprintf(expect, sizeof(expect),
             "cannot open '%s' for output: No such device or address; give `path` a file that can "
             "be written",
             f->out);
    assert_string_equal(fake_failure(), expect);
}

static void slow_named_pipe_holds_the_device_back(void **state)
{
    struct fixture *f = *state;
    struct file_config config = {.path = f->out};
    static uint8_t data[300000], back[300000];
    uint64_t sent = 0, got = 0;
    int reader;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 + i / 1000);
    assert_int_equal(mkfifo(f->out, 0600), 0);
    reader = open(f->out, O_RDONLY | O_NONBLOCK);
    f->device = device_new("file", &config);
    for (int i = 0; i < 50; i++) {
        sent += device_write(f->device, data + sent, sizeof(data) - sent);
        device_turn(f->device, 2);
    }
    assert_true(sent <= 65536 + 65536 + 4096); /* our buffer and the pipe's: bounded */
    assert_int_equal(f->device->writables <= 2, 1);
    device_expect_quiet(f->device);
    while (got < sizeof(data)) {
        got += drain_fd(reader, back + got, 1000 < sizeof(data) - got ? 1000 : sizeof(data) - got);
        sent += device_write(f->device, data + sent, sizeof(data) - sent);
        device_turn(f->device, 1);
    }
    assert_memory_equal(data, back, sizeof(data));
    assert_true(f->device->writables > 1);
    close(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_reaches_the_file_within_milliseconds),
        TEST(append_keeps_what_is_there),
        TEST(stop_flushes_output_and_log),
        TEST(input_comes_from_the_file_as_the_device_takes_it),
        TEST(says_once_that_it_is_open),
        TEST(null_takes_everything_and_gives_nothing),
        TEST(log_copies_the_output_of_null_and_not_the_input),
        TEST(injected_input_waits_for_the_device),
        TEST(bad_full_disk_costs_output_and_one_warning),
        TEST(bad_full_log_costs_the_log_only),
        TEST(bad_path_is_told),
        TEST(bad_named_pipe_without_a_reader_is_told_and_does_not_hang),
        TEST(slow_named_pipe_holds_the_device_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
