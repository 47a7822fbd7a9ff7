/* SPDX-License-Identifier: MIT
 *
 * The program on a terminal: signals, job control, a terminal that comes back, missing standard
 * fds.
 *
 * The real program runs on a pty, in a session of its own, with the CPU of
 * tests/fakes/plugins/cpu_fake.c. What this does not prove is that a real CPU backend lets itself
 * be interrupted: tests/cpu-kvm does.
 */
#include "program/signals.h"

#include <backplane/util/le.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define RUNS_WITHOUT_EXEC 99 /* exit status of a child that could not even start */
#define WAS_STOPPED 98

/* The bytecode of tests/fakes/plugins/cpu_fake.c. */
enum op { OUT = 1, IN, WRITE, READ, LOAD, JUMP, HLT };

struct instruction {
    uint8_t op, width;
    uint64_t operand;
};

struct fixture {
    char folder[32], code[64], file[64], out[64];
    int master, slave;
    pid_t pid;
};

/* "R" on the serial port, then nothing for ever; or a power-off; or resets for ever. */
static const struct instruction waits[] = {
    {LOAD, 0, 'R'}, {OUT, 1, 0x3f8}, {HLT, 0, 0}, {JUMP, 0, 0x1020}};
static const struct instruction leaves[] = {
    {LOAD, 0, 'R'}, {OUT, 1, 0x3f8}, {LOAD, 0, 0x2000}, {OUT, 2, 0x604}, {HLT, 0, 0}};
static const struct instruction resets[] = {
    {LOAD, 0, 'R'}, {OUT, 1, 0x3f8}, {LOAD, 0, 6}, {OUT, 1, 0xcf9}, {HLT, 0, 0}};

#define STDIO "[terminal]\nplugin = chr-host\nmodel = stdio\n"
#define COM1 "[com1]\nplugin = dev-uart\nchardev = terminal\n"

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void describe(struct fixture *f, const struct instruction *code, size_t count,
                     const char *more)
{
    uint8_t bytes[16 * 8] = {0};
    char text[1024];

    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        bytes[16 * i] = code[i].op;
        bytes[16 * i + 1] = code[i].width;
        bp_put_le64(bytes + 16 * i + 8, code[i].operand);
    }
    write_file(f->code, bytes, 16 * count);
    int len = snprintf(text, sizeof(text),
                       "[machine]\nmemory = 2M\n[boot]\nbinary = %s\n[cpu]\nplugin = cpu-fake\n%s",
                       f->code, more);
    write_file(f->file, text, (size_t)len);
}

#define GUEST(f, code, more) describe(f, code, sizeof(code) / sizeof((code)[0]), more)

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    strcpy(f->folder, "/tmp/bp-signals-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->code, sizeof(f->code), "%s/code", f->folder);
    snprintf(f->file, sizeof(f->file), "%s/machine.ini", f->folder);
    snprintf(f->out, sizeof(f->out), "%s/out", f->folder);
    f->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(f->master >= 0);
    assert_int_equal(grantpt(f->master), 0);
    assert_int_equal(unlockpt(f->master), 0);
    /* Held open, or the pty would lose its settings with the last process that has it. */
    f->slave = open(ptsname(f->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(f->slave >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    close(f->master);
    close(f->slave);
    unlink(f->code);
    unlink(f->file);
    unlink(f->out);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* ---- running it ---------------------------------------------------------------------------------
 */

static void exec_program(const struct fixture *f)
{
    execl(PROGRAM, "backplane", "run", "--plugin-path", TEST_PLUGIN_PATH, f->file, (char *)NULL);
    _exit(RUNS_WITHOUT_EXEC);
}

/* In the child: a session of its own, with the pty as its terminal and standard fds. */
static void take_terminal(const struct fixture *f)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int fd = open(ptsname(f->master), O_RDWR);
    ioctl(fd, TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
}

static void run(struct fixture *f)
{
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (!f->pid) {
        take_terminal(f);
        exec_program(f);
    }
}

/* Reads the terminal until `text` has come. */
static void await(const struct fixture *f, const char *text)
{
    char got[4096] = "";
    size_t used = 0;

    while (!strstr(got, text)) {
        struct pollfd p = {.fd = f->master, .events = POLLIN};
        if (used + 1 >= sizeof(got) || poll(&p, 1, PATIENCE_MS) != 1)
            fail_msg("no \"%s\" but \"%s\"", text, got);
        ssize_t n = read(f->master, got + used, sizeof(got) - used - 1);
        if (n <= 0)
            fail_msg("no \"%s\" but \"%s\"", text, got);
        used += (size_t)n;
        got[used] = 0;
    }
}

static int is_raw(const struct fixture *f)
{
    struct termios t;

    assert_int_equal(tcgetattr(f->slave, &t), 0);
    assert_int_equal(!(t.c_lflag & ICANON), !(t.c_lflag & ECHO));
    return !(t.c_lflag & ICANON);
}

/* The status as waitpid() has it; with WUNTRACED also of one that stopped. */
static int wait_status(struct fixture *f, int options)
{
    int status = 0;
    pid_t got = 0;

    for (int ms = 0; ms < PATIENCE_MS && !got; ms++) {
        got = waitpid(f->pid, &status, options | WNOHANG);
        if (!got)
            usleep(1000);
    }
    assert_int_equal(got, f->pid);
    if (WIFEXITED(status) || WIFSIGNALED(status))
        f->pid = 0;
    return status;
}

static int exit_status(struct fixture *f)
{
    int status = wait_status(f, 0);

    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- signals ------------------------------------------------------------------------------------
 */

static void a_signal_ends_the_machine_and_the_terminal_comes_back(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct fixture *f = *state;

    GUEST(f, waits, STDIO COM1);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        run(f);
        await(f, "R");
        assert_true(is_raw(f));
        assert_int_equal(kill(f->pid, signals[i]), 0);
        assert_int_equal(exit_status(f), 128 + signals[i]);
        assert_false(is_raw(f));
    }
}

static void bad_100_a_guest_that_resets_for_ever_can_be_interrupted(void **state)
{
    struct fixture *f = *state;

    GUEST(f, resets, STDIO COM1);
    run(f);
    await(f, "RRRR");
    assert_int_equal(kill(f->pid, SIGINT), 0);
    assert_int_equal(exit_status(f), 128 + SIGINT);
    assert_false(is_raw(f));
}

static void bad_100_signals_at_any_time_of_the_start_leave_the_terminal_right(void **state)
{
    struct fixture *f = *state;

    GUEST(f, waits, STDIO COM1);
    for (useconds_t delay_us = 0; delay_us < 40000; delay_us += 2000) {
        run(f);
        usleep(delay_us);
        assert_int_equal(kill(f->pid, SIGTERM), 0);
        int status = wait_status(f, 0);
        /* Before the program catches it, it is the kernel that ends it. */
        assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 128 + SIGTERM
                                      : WTERMSIG(status) == SIGTERM);
        assert_false(is_raw(f));
    }
}

static void ctrl_a_x_leaves(void **state)
{
    struct fixture *f = *state;

    GUEST(f, waits, STDIO COM1);
    run(f);
    await(f, "R");
    assert_int_equal(write(f->master, "\001x", 2), 2);
    assert_int_equal(exit_status(f), 0);
    assert_false(is_raw(f));
}

static void bad_100_a_suspended_machine_gives_the_terminal_back_and_goes_on(void **state)
{
    struct fixture *f = *state;

    GUEST(f, waits, STDIO COM1);
    run(f);
    await(f, "R");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kill(f->pid, SIGTSTP), 0);
        int status = wait_status(f, WUNTRACED);
        assert_true(WIFSTOPPED(status));
        assert_false(is_raw(f));
        assert_int_equal(kill(f->pid, SIGCONT), 0);
        for (int ms = 0; ms < PATIENCE_MS && !is_raw(f); ms++)
            usleep(1000);
        assert_true(is_raw(f));
    }
    assert_int_equal(write(f->master, "\001x", 2), 2);
    assert_int_equal(exit_status(f), 0);
    assert_false(is_raw(f));
}

/* The kernel thread id of the program's thread `name`; -1: none. */
static pid_t thread_named(pid_t pid, const char *name)
{
    char path[320], comm[32];
    pid_t found = -1;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, e->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(comm, sizeof(comm), file)) {
            comm[strcspn(comm, "\n")] = 0;
            if (!strcmp(comm, name))
                found = (pid_t)strtol(e->d_name, NULL, 10);
        }
        if (file)
            fclose(file);
    }
    closedir(dir);
    return found;
}

static void bad_100_a_crash_on_any_thread_leaves_the_terminal_right(void **state)
{
    static const char *const threads[] = {"backplane", "bp-loop", "bp-vcpu0"};
    struct fixture *f = *state;

#ifdef __SANITIZE_THREAD__
    skip(); /* its runtime holds signals back from threads that sleep */
#endif
    GUEST(f, waits, STDIO COM1);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        run(f);
        await(f, "R");
        pid_t thread = thread_named(f->pid, threads[i]);
        assert_int_not_equal(thread, -1);
        assert_int_equal(syscall(SYS_tgkill, f->pid, thread, SIGSEGV), 0);
        int status = wait_status(f, 0);
        /* The sanitizers' handler exits instead. */
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) != 0);
        assert_false(is_raw(f));
    }
}

static void bad_100_a_start_that_fails_half_way_leaves_the_terminal_right(void **state)
{
    struct fixture *f = *state;

    GUEST(f, waits, STDIO COM1 "[spy]\nplugin = service-fake\nfail-start = yes\n");
    run(f);
    await(f, "spy: this service was told to refuse");
    assert_int_equal(exit_status(f), 6);
    assert_false(is_raw(f));
}

static void in_the_background_it_ends_and_leaves_the_terminal_alone(void **state)
{
    struct fixture *f = *state;
    struct termios mine, after;

    GUEST(f, leaves, STDIO COM1);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (!f->pid) {
        int status;
        take_terminal(f);
        pid_t job = fork();
        if (!job) {
            setpgid(0, 0);
            exec_program(f);
        }
        setpgid(job, job);
        /* What another program in the foreground makes of the terminal meanwhile. */
        usleep(2000);
        tcgetattr(0, &mine);
        mine.c_cc[VEOF] = 7;
        tcsetattr(0, TCSANOW, &mine);
        waitpid(job, &status, WUNTRACED);
        if (WIFSTOPPED(status))
            kill(job, SIGKILL);
        _exit(WIFSTOPPED(status) ? WAS_STOPPED : WEXITSTATUS(status));
    }
    assert_int_equal(exit_status(f), 0);
    assert_int_equal(tcgetattr(f->slave, &after), 0);
    assert_int_equal(after.c_cc[VEOF], 7);
}

/* ---- standard fds -------------------------------------------------------------------------------
 */

static void bad_100_without_standard_fds_no_file_gets_what_is_not_its_own(void **state)
{
    struct fixture *f = *state;
    char more[256], got[16] = "";

    snprintf(more, sizeof(more), "[terminal]\nplugin = chr-host\nmodel = file\npath = %s\n" COM1,
             f->out);
    /* With --log 4 it says much on a standard error that is not there. */
    GUEST(f, leaves, more);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (!f->pid) {
        setsid();
        for (int i = 0; i < 3; i++)
            close(i);
        execl(PROGRAM, "backplane", "run", "--log", "4", "--plugin-path", TEST_PLUGIN_PATH, f->file,
              (char *)NULL);
        _exit(RUNS_WITHOUT_EXEC);
    }
    assert_int_equal(exit_status(f), 0);
    int fd = open(f->out, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof(got) - 1), 1);
    assert_string_equal(got, "R");
    close(fd);
}

static void bad_100_a_reader_that_goes_away_does_not_end_the_guest(void **state)
{
    struct fixture *f = *state;
    int p[2];

    GUEST(f, leaves, STDIO COM1);
    assert_int_equal(pipe(p), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (!f->pid) {
        setsid();
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(p[1], 1);
        dup2(null, 2);
        close(p[0]);
        close(p[1]);
        exec_program(f);
    }
    close(p[0]);
    close(p[1]);
    assert_int_equal(exit_status(f), 0);
}

/* ---- the module itself --------------------------------------------------------------------------
 */

/* Raises the signals in a child that has opened signals; its exit status, 0 if it lived. */
static int raise_in_child(const int *numbers, size_t count)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (!pid) {
        if (signals_open())
            _exit(RUNS_WITHOUT_EXEC);
        for (size_t i = 0; i < count; i++)
            raise(numbers[i]);
        for (size_t i = 0; i < count; i++)
            if (signals_next() != numbers[i])
                _exit(1);
        _exit(signals_next() ? 2 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RAISED(...)                                                                                \
    raise_in_child((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void a_second_request_to_end_is_impatience(void **state)
{
    (void)state;
    assert_int_equal(RAISED(SIGINT, SIGINT), 128 + SIGINT);
    assert_int_equal(RAISED(SIGTERM, SIGQUIT), 128 + SIGQUIT);
    assert_int_equal(RAISED(SIGINT), 0);
    assert_int_equal(RAISED(SIGTSTP, SIGINT, SIGTSTP), 0);
}

static void a_terminal_that_hangs_up_twice_is_not(void **state)
{
    (void)state;
    assert_int_equal(RAISED(SIGHUP, SIGHUP), 0);
    assert_int_equal(RAISED(SIGHUP, SIGTERM), 0);
    assert_int_equal(RAISED(SIGTERM, SIGHUP), 0);
}

static void signals_that_were_ignored_stay_so(void **state)
{
    (void)state;
    signal(SIGHUP, SIG_IGN); /* nohup */
    assert_int_equal(RAISED(SIGHUP), 1);
    signal(SIGHUP, SIG_DFL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_signal_ends_the_machine_and_the_terminal_comes_back),
        TEST(bad_100_a_guest_that_resets_for_ever_can_be_interrupted),
        TEST(bad_100_signals_at_any_time_of_the_start_leave_the_terminal_right),
        TEST(ctrl_a_x_leaves),
        TEST(bad_100_a_suspended_machine_gives_the_terminal_back_and_goes_on),
        TEST(bad_100_a_crash_on_any_thread_leaves_the_terminal_right),
        TEST(bad_100_a_start_that_fails_half_way_leaves_the_terminal_right),
        TEST(in_the_background_it_ends_and_leaves_the_terminal_alone),
        TEST(bad_100_without_standard_fds_no_file_gets_what_is_not_its_own),
        TEST(bad_100_a_reader_that_goes_away_does_not_end_the_guest),
        cmocka_unit_test(a_second_request_to_end_is_impatience),
        cmocka_unit_test(a_terminal_that_hangs_up_twice_is_not),
        cmocka_unit_test(signals_that_were_ignored_stay_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
