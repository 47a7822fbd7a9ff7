/* SPDX-License-Identifier: MIT
 *
 * net-pcap/test_output.c - captures into what fails, stalls or goes away: frames pass, records are
 * lost, counted and spoken of, and what is in the file can be read.
 */
#include "blocks.h"
#include "folder.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static void send_many(struct link *l, unsigned count, uint32_t len)
{
    static uint8_t frame[60000];

    for (unsigned i = 0; i < count; i++) {
        link_udp(frame, len, (uint16_t)i);
        assert_int_equal(link_send(l, frame, len), 1);
    }
}

/* Does `body` in a process of its own, which ends as `body` says: limits, mounts and standard
 * output are a process's. */
static int in_child(int (*body)(struct fixture *f), struct fixture *f)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (!pid)
        _exit(body(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void bad_97_full_device_costs_records_and_one_warning(void **state)
{
    struct fixture *f = *state;
    uint32_t level;

    f->config.file = "/dev/full";
    link_start(f->link, "capture", &f->config);
    for (int i = 0; i < 50; i++) {
        send_many(f->link, 10, 60);
        usleep(1000);
    }
    LINK_WAIT(fake_log_count(f->link->host) > 0);
    assert_non_null(strstr(fake_log(f->link->host, &level),
                           "cannot write '/dev/full': No space left on device; "));
    assert_non_null(strstr(fake_log(f->link->host, NULL),
                           " frames so far are not in the capture, and traffic goes on"));
    assert_int_equal(level, BP_LOG_WARN);
    fake_ops(f->link->host)->stop(f->link->self);
    assert_string_equal(fake_log(f->link->host, NULL), "500 of 500 frames are not in the capture");
    assert_int_equal(f->link->sent, 500);
}

/* A limit of the file's size stands for a full disk: the write that passes it is cut. */
static int capture_up_to_a_limit(struct fixture *f)
{
    struct rlimit limit = {.rlim_cur = 20000, .rlim_max = RLIM_INFINITY};

    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    link_start(f->link, "capture", &f->config);
    for (int i = 0; i < 40; i++) {
        send_many(f->link, 1, 1000);
        usleep(10000);
    }
    LINK_WAIT(fake_log_count(f->link->host) > 0);
    if (!strstr(fake_log(f->link->host, NULL), "': File too large; "))
        return 2;
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 3;
    send_many(f->link, 1, 1000);
    link_stop(f->link);
    return f->link->sent == 41 ? 0 : 4;
}

static void bad_97_full_disk_leaves_whole_blocks_and_the_count_of_what_is_missing(void **state)
{
    struct fixture *f = *state;
    struct blocks b;
    uint64_t missing = 0;

    f->config.file = in_folder(f, "a.pcapng");
    assert_int_equal(in_child(capture_up_to_a_limit, f), 0);
    blocks_read(&b, f->path);
    assert_int_equal(count_frames(f->path), b.packets);
    for (uint32_t i = 0; i < b.packets; i++)
        missing += block_number(blocks_packet(&b, i), 4); /* epb_dropcount */
    assert_true(missing > 0);
    assert_int_equal(b.packets + missing, 41);
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 5), missing); /* isb_ifdrop */
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 4), 41);
    blocks_free(&b);
}

/* Room for a header and a frame, so that the same frames are lost in two places: in the buffer,
 * which is small, and at the file, which takes no more. */
static int capture_with_two_kinds_of_losses(struct fixture *f)
{
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};

    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 3, 50000); /* the buffer has no room for all of them */
    fake_ops(f->link->host)->stop(f->link->self);
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 2;
    fake_ops(f->link->host)->start(f->link->self);
    for (int i = 0; i < 5; i++) {
        send_many(f->link, 1, 1000);
        fake_ops(f->link->host)->stop(f->link->self);
        fake_ops(f->link->host)->start(f->link->self);
    }
    link_stop(f->link);
    return 0;
}

static void losses_in_the_buffer_and_at_the_file_are_told_once_and_together(void **state)
{
    struct fixture *f = *state;
    struct blocks b;

    f->config.buffer = 65536;
    f->config.flush = 60000;
    f->config.file = in_folder(f, "a.pcapng");
    assert_int_equal(in_child(capture_with_two_kinds_of_losses, f), 0);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 5);
    assert_int_equal(block_number(blocks_packet(&b, 0), 4), 3);
    for (uint32_t i = 1; i < b.packets; i++)
        assert_null(block_option(blocks_packet(&b, i), 4, NULL));
    blocks_free(&b);
}

/* A reader that takes odd parts gets every frame whole, though the buffer is given back while they
 * are under way. */
static void a_pipe_takes_frames_in_parts(void **state)
{
    struct fixture *f = *state;
    static uint8_t frame[60000], part[999];
    char copy[512];
    struct blocks b;
    int reader, file;
    ssize_t n = 1;

    f->config.buffer = 65536;
    f->config.flush = 1;
    f->config.file = in_folder(f, "pipe");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK);
    snprintf(copy, sizeof(copy), "%s/copy", f->folder);
    file = open(copy, O_RDWR | O_CREAT, 0600);
    link_start(f->link, "capture", &f->config);
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t wanted = 50000 * (uint64_t)(i + 1);
        int turns = 0;

        link_udp(frame, 50000 + i, (uint16_t)i);
        memset(frame + 42, (int)i, sizeof(frame) - 42);
        assert_int_equal(link_send(f->link, frame, 50000 + i), 1);
        while ((uint64_t)lseek(file, 0, SEEK_CUR) < wanted) {
            n = read(reader, part, sizeof(part));
            if (n > 0)
                assert_int_equal(write(file, part, (size_t)n), n);
            else
                usleep(1000);
            assert_true(turns++ < 60000);
        }
    }
    fake_ops(f->link->host)->stop(f->link->self);
    while ((n = read(reader, part, sizeof(part))) > 0)
        assert_int_equal(write(file, part, (size_t)n), n);
    close(file);
    close(reader);
    blocks_read(&b, copy);
    assert_int_equal(b.packets, 20);
    for (uint32_t i = 0; i < 20; i++) {
        link_udp(frame, 50000 + i, (uint16_t)i);
        memset(frame + 42, (int)i, sizeof(frame) - 42);
        assert_int_equal(bp_le32(blocks_packet(&b, i)->data + 20), 50000 + i);
        assert_memory_equal(blocks_packet(&b, i)->data + 28, frame, 50000 + i);
    }
    blocks_free(&b);
}

static void slow_reader_of_a_pipe_costs_records_only(void **state)
{
    struct fixture *f = *state;
    char copy[512];
    static uint8_t data[1 << 16];
    struct blocks b;
    uint64_t missing = 0;
    int reader, file;
    ssize_t n;

    f->config.buffer = 65536;
    f->config.file = in_folder(f, "pipe");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK);
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 2000, 1000); /* two megabytes */
    assert_int_equal(f->link->sent, 2000);
    LINK_WAIT(fake_log_count(f->link->host) > 0);
    assert_non_null(strstr(fake_log(f->link->host, NULL),
                           "' takes frames too slowly, and the buffer of 65536 bytes is full; "));
    /* The reader goes on: what it gets are whole blocks, and what is missing is told there. */
    snprintf(copy, sizeof(copy), "%s/copy", f->folder);
    file = open(copy, O_WRONLY | O_CREAT, 0600);
    for (int turns = 0; turns < 100;) {
        n = read(reader, data, sizeof(data));
        if (n > 0)
            assert_int_equal(write(file, data, (size_t)n), n);
        else
            turns++;
        usleep(1000);
        if (turns == 50)
            send_many(f->link, 1, 60);
    }
    fake_ops(f->link->host)->stop(f->link->self);
    while ((n = read(reader, data, sizeof(data))) > 0)
        assert_int_equal(write(file, data, (size_t)n), n);
    close(file);
    close(reader);
    blocks_read(&b, copy);
    for (uint32_t i = 0; i < b.packets; i++)
        missing += block_number(blocks_packet(&b, i), 4);
    assert_true(missing > 0);
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 5), missing);
    assert_int_equal(block_number(blocks_of(&b, 5, 0), 4), f->link->sent);
    assert_int_equal(b.packets + missing, f->link->sent);
    blocks_free(&b);
}

static void the_end_does_not_wait_for_a_reader_that_stalls(void **state)
{
    struct fixture *f = *state;
    int reader;

    f->config.file = in_folder(f, "pipe");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK);
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 500, 1000);
    link_stop(f->link);
    close(reader);
}

static void a_pipe_may_get_its_reader_later(void **state)
{
    struct fixture *f = *state;
    uint8_t magic[4];
    int reader;

    f->config.file = in_folder(f, "pipe");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 10, 60);
    usleep(20000);
    reader = open(f->path, O_RDONLY);
    assert_int_equal(read(reader, magic, 4), 4);
    assert_true(bp_le32(magic) == 0x0a0d0d0a);
    assert_int_equal(fake_log_count(f->link->host), 0);
    link_stop(f->link);
    close(reader);
}

static void bad_97_reader_that_leaves_ends_the_capture_and_traffic_goes_on(void **state)
{
    struct fixture *f = *state;
    uint8_t magic[4];
    char expect[1024];
    int reader;

    f->config.file = in_folder(f, "pipe");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    link_start(f->link, "capture", &f->config);
    reader = open(f->path, O_RDONLY);
    assert_int_equal(read(reader, magic, 4), 4);
    close(reader);
    for (int i = 0; !fake_log_count(f->link->host); i++) {
        assert_true(i < 60000);
        send_many(f->link, 1, 60);
        usleep(1000);
    }
    snprintf(expect, sizeof(expect),
             "'%s': its reader is gone; the capture ends, and traffic goes on", f->path);
    assert_string_equal(fake_log(f->link->host, NULL), expect);
    f->link->sent = 0;
    send_many(f->link, 1000, 60);
    assert_int_equal(f->link->sent, 1000);
    assert_int_equal(link_receive(f->link, magic, 4), 0);
}

static void bad_97_file_that_is_moved_or_removed_costs_nothing(void **state)
{
    struct fixture *f = *state;
    char moved[512];

    snprintf(moved, sizeof(moved), "%s/moved", f->folder);
    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 5, 60);
    assert_int_equal(rename(f->path, moved), 0);
    send_many(f->link, 5, 60);
    fake_ops(f->link->host)->stop(f->link->self);
    assert_int_equal(count_frames(moved), 10);
    unlink(moved);
    assert_int_equal(fake_ops(f->link->host)->start(f->link->self), 0);
    send_many(f->link, 5, 60);
    fake_ops(f->link->host)->stop(f->link->self);
    assert_int_equal(fake_log_count(f->link->host), 0);
}

static void bad_97_unwritable_path_is_told(void **state)
{
    struct fixture *f = *state;
    struct fake_host *h;

    f->config.file = "/nonexistent/a.pcapng";
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -ENOENT);
    assert_string_equal(fake_failure(), "cannot open '/nonexistent/a.pcapng' for the capture: No "
                                        "such file or directory; give `file` a file that can be "
                                        "written");
    f->config.rotate_size = 1000;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "capture", &f->config, &h), -ENOENT);
    assert_string_equal(fake_failure(), "cannot open '/nonexistent/a-00001.pcapng' for the "
                                        "capture: No such file or directory; give `file` a file "
                                        "that can be written");
}

static void frame_larger_than_the_buffer_is_a_dropped_record(void **state)
{
    struct fixture *f = *state;
    uint8_t *frame = calloc(1, 100000);
    struct blocks b;

    assert_non_null(frame);
    f->config.buffer = 65536;
    f->config.file = in_folder(f, "a.pcapng");
    link_start(f->link, "capture", &f->config);
    assert_int_equal(link_send(f->link, frame, 100000), 1);
    send_many(f->link, 1, 60);
    link_stop(f->link);
    blocks_read(&b, f->path);
    assert_int_equal(b.packets, 1);
    assert_int_equal(block_number(blocks_packet(&b, 0), 4), 1);
    blocks_free(&b);
    free(frame);
}

static int capture_and_die(struct fixture *f)
{
    link_start(f->link, "capture", &f->config);
    for (unsigned i = 0; i < 120000; i++) { /* a minute */
        send_many(f->link, 10, 700);
        usleep(500);
    }
    return 1;
}

static void bad_97_killed_process_leaves_a_file_that_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    pid_t pid;
    int status;

    f->config.flush = 1;
    f->config.file = in_folder(f, "a.pcapng");
    pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        _exit(capture_and_die(f));
    LINK_WAIT(!stat(f->path, &st) && st.st_size > 50000);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    /* A write that the kill cut short would be an error at the very end, after all these. */
    assert_true(count_frames(f->path) > 50 || count_frames(f->path) == -1);
    if (count_frames(f->path) >= 0) {
        struct blocks b;

        blocks_read(&b, f->path);
        assert_null(blocks_of(&b, 5, 0));
        blocks_free(&b);
    }
}

/* ---- standard output ---- */

static int capture_to_stdout(struct fixture *f)
{
    int out = open(in_folder(f, "out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || write(out, "", 0))
        return 1;
    f->config.file = "/dir/-";
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 3, 60);
    link_stop(f->link);
    return 0;
}

static void dash_is_standard_output(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in_child(capture_to_stdout, f), 0);
    assert_int_equal(count_frames(in_folder(f, "out")), 3);
}

static int capture_into_a_pipe(struct fixture *f)
{
    uint8_t data[4096];
    int pipes[2], file;
    ssize_t n;

    if (pipe(pipes) || dup2(pipes[1], STDOUT_FILENO) < 0)
        return 1;
    close(pipes[1]);
    f->config.file = "/dir/-";
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 3, 60);
    link_stop(f->link);
    close(STDOUT_FILENO);
    file = open(in_folder(f, "out"), O_WRONLY | O_CREAT, 0600);
    while ((n = read(pipes[0], data, sizeof(data))) > 0)
        if (write(file, data, (size_t)n) != n)
            return 2;
    return 0;
}

static int capture_into_a_socket(struct fixture *f)
{
    uint8_t data[4096];
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || dup2(pair[1], STDOUT_FILENO) < 0)
        return 1;
    close(pair[1]);
    f->config.file = "-";
    link_start(f->link, "capture", &f->config);
    send_many(f->link, 1, 60);
    if (read(pair[0], data, sizeof(data)) < 28 || bp_le32(data) != 0x0a0d0d0a)
        return 2;
    close(pair[0]);
    while (!fake_log_count(f->link->host)) {
        send_many(f->link, 1, 60);
        usleep(1000);
    }
    return strcmp(fake_log(f->link->host, NULL),
                  "'-': its reader is gone; the capture ends, and traffic goes on") != 0;
}

static void standard_output_may_be_a_pipe_or_a_socket(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in_child(capture_into_a_pipe, f), 0);
    assert_int_equal(count_frames(in_folder(f, "out")), 3);
    assert_int_equal(in_child(capture_into_a_socket, f), 0);
}

static int capture_to_a_terminal(struct fixture *f)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), line;
    struct fake_host *h;

    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal))
        return 1;
    line = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    if (line < 0 || dup2(line, STDOUT_FILENO) < 0)
        return 2;
    f->config.file = "/dir/-";
    if (fake_host_try(PLUGIN_FILE, "capture", &f->config, &h) != -EINVAL ||
        strcmp(fake_failure(),
               "`file = -` is standard output, which is a terminal, and a capture is no text: pipe "
               "it into a program, as in `backplane run ... | wireshark -k -i -`, or name a "
               "file") != 0)
        return 3;
    f->config.file = ptsname(terminal);
    if (fake_host_try(PLUGIN_FILE, "capture", &f->config, &h) != -EINVAL ||
        !strstr(fake_failure(), "is a terminal, and a capture is no text: name a file or a named "
                                "pipe"))
        return 4;
    return 0;
}

static void bad_terminal_is_told(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in_child(capture_to_a_terminal, f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(bad_97_full_device_costs_records_and_one_warning),
        FOLDER_TEST(bad_97_full_disk_leaves_whole_blocks_and_the_count_of_what_is_missing),
        FOLDER_TEST(losses_in_the_buffer_and_at_the_file_are_told_once_and_together),
        FOLDER_TEST(a_pipe_takes_frames_in_parts),
        FOLDER_TEST(slow_reader_of_a_pipe_costs_records_only),
        FOLDER_TEST(the_end_does_not_wait_for_a_reader_that_stalls),
        FOLDER_TEST(a_pipe_may_get_its_reader_later),
        FOLDER_TEST(bad_97_reader_that_leaves_ends_the_capture_and_traffic_goes_on),
        FOLDER_TEST(bad_97_file_that_is_moved_or_removed_costs_nothing),
        FOLDER_TEST(bad_97_unwritable_path_is_told),
        FOLDER_TEST(frame_larger_than_the_buffer_is_a_dropped_record),
        FOLDER_TEST(bad_97_killed_process_leaves_a_file_that_can_be_read),
        FOLDER_TEST(dash_is_standard_output),
        FOLDER_TEST(standard_output_may_be_a_pipe_or_a_socket),
        FOLDER_TEST(bad_terminal_is_told),
    };

    signal(SIGPIPE, SIG_DFL); /* the writer must not need the program's help */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
