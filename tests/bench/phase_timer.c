/* SPDX-License-Identifier: MIT
 *
 * phase-timer - what a machine costs its host between two lines of its guest.
 *
 *     phase-timer NAME SECONDS COMMAND ARGUMENT...
 *
 * The guest's serial port is the command's output. For "BENCH-START PHASE" ... "BENCH-END PHASE
 * KEY=VALUE..." one line:
 *
 *     PHASE NAME PHASE wall_us= cpu_us= rest_us= exits=... KEY=VALUE...
 *
 *   cpu_us   cpu time of the whole process, with KVM the guest's, too, and of its vhost threads
 *   rest_us  of all threads but those that run virtual processors
 *   exits, ...  KVM's counters in debugfs; right only while no other VM runs
 *
 * A line with "login:" is the end: "PHASE NAME login ..." counts from the start, and the command is
 * killed. So is one that says nothing for longer than SECONDS. Exit status 0 after login: or
 * "BENCH-DONE", 1 without: then the end of the command's output is shown.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const counters[] = {"exits",       "io_exits",       "mmio_exits",
                                       "halt_exits",  "irq_injections", "insn_emulation",
                                       "signal_exits"};
#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

struct reading {
    int64_t wall_us, cpu_us, rest_us;
    int64_t kvm[COUNTERS]; /* -1: there is none */
};

struct watch {
    const char *name;
    pid_t pid;
    uint32_t reserved;
    struct reading began, phase;
    char line[512]; /* under way */
    size_t line_len;
    char tail[3000];
    size_t tail_len;
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;

    return clock_gettime(clock, &t) ? 0 : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The first line of a file of /proc or debugfs; nonzero if there is none. */
static int first_line(char *out, size_t size, const char *path)
{
    FILE *file = fopen(path, "re");
    int err;

    if (!file)
        return -1;
    err = !fgets(out, (int)size, file);
    fclose(file);
    return err;
}

/* Is it a thread that runs a virtual processor: Backplane's bp-vcpuN, QEMU's "CPU N/KVM" with
 * debug-threads=on? */
static int is_vcpu(const char *name)
{
    return strncmp(name, "bp-vcpu", 7) == 0 || strncmp(name, "CPU ", 4) == 0;
}

/* sum_exec_runtime in the schedstat of `path`'s folder. */
static int64_t ran_us(const char *folder)
{
    char path[96], text[128];

    snprintf(path, sizeof(path), "%s/schedstat", folder);
    return first_line(text, sizeof(text), path) ? 0 : (int64_t)(strtoull(text, NULL, 10) / 1000);
}

/* Cpu time of the kernel's threads that do the work of vhost for the process: "vhost-PID". */
static int64_t vhost_us(pid_t pid)
{
    char wanted[32], path[64], text[128];
    int64_t sum = 0;
    struct dirent *e;
    DIR *dir = opendir("/proc");

    snprintf(wanted, sizeof(wanted), "vhost-%d\n", (int)pid);
    while (dir && (e = readdir(dir))) {
        int tid = (int)strtol(e->d_name, NULL, 10);

        snprintf(path, sizeof(path), "/proc/%d/comm", tid);
        if (!tid || first_line(text, sizeof(text), path) || strcmp(text, wanted) != 0)
            continue;
        snprintf(path, sizeof(path), "/proc/%d", tid);
        sum += ran_us(path);
    }
    if (dir)
        closedir(dir);
    return sum;
}

/* Cpu time of the process's virtual processors. */
static int64_t vcpus_us(pid_t pid)
{
    char path[64], text[128];
    int64_t sum = 0;
    struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        int tid = (int)strtol(e->d_name, NULL, 10);

        snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, tid);
        if (!tid || first_line(text, sizeof(text), path) || !is_vcpu(text))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, tid);
        sum += ran_us(path);
    }
    if (dir)
        closedir(dir);
    return sum;
}

static void take(struct reading *r, pid_t pid)
{
    char path[64], text[64];
    clockid_t clock;

    r->wall_us = clock_us(CLOCK_MONOTONIC);
    r->cpu_us = (clock_getcpuclockid(pid, &clock) ? 0 : clock_us(clock)) + vhost_us(pid);
    r->rest_us = r->cpu_us - vcpus_us(pid);
    for (size_t i = 0; i < COUNTERS; i++) {
        snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", counters[i]);
        r->kvm[i] = first_line(text, sizeof(text), path) ? -1 : (int64_t)strtoull(text, NULL, 10);
    }
}

static void print(const struct watch *w, const struct reading *from, const char *phase,
                  const char *words)
{
    struct reading now;

    take(&now, w->pid);
    printf("PHASE %s %s wall_us=%lld cpu_us=%lld rest_us=%lld", w->name, phase,
           (long long)(now.wall_us - from->wall_us), (long long)(now.cpu_us - from->cpu_us),
           (long long)(now.rest_us - from->rest_us));
    for (size_t i = 0; i < COUNTERS; i++)
        if (now.kvm[i] >= 0 && from->kvm[i] >= 0)
            printf(" %s=%lld", counters[i], (long long)(now.kvm[i] - from->kvm[i]));
    printf("%s\n", words);
    fflush(stdout);
}

/* A whole line, or the beginning of one: nonzero if it was the last. */
static int line(struct watch *w)
{
    char *at, *phase, *rest;

    w->line[w->line_len] = 0;
    if (strstr(w->line, "login:")) {
        print(w, &w->began, "login", "");
        return 1;
    }
    if (strstr(w->line, "BENCH-DONE"))
        return 1;
    at = strstr(w->line, "BENCH-START ");
    if (at) {
        take(&w->phase, w->pid);
        return 0;
    }
    at = strstr(w->line, "BENCH-END ");
    if (!at)
        return 0;
    phase = at + strlen("BENCH-END ");
    rest = phase + strcspn(phase, " ");
    if (*rest)
        *rest++ = 0;
    for (char *c = rest; *c; c++)
        if (*c == '\r')
            *c = 0;
    memmove(rest + 1, rest, strlen(rest) + 1);
    *rest = ' ';
    print(w, &w->phase, phase, rest);
    return 0;
}

static int feed(struct watch *w, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (w->tail_len == sizeof(w->tail)) {
            memmove(w->tail, w->tail + sizeof(w->tail) / 2, sizeof(w->tail) / 2);
            w->tail_len = sizeof(w->tail) / 2;
        }
        w->tail[w->tail_len++] = data[i];
        /* A prompt has no end of a line. */
        if (data[i] != '\n' && w->line_len < sizeof(w->line) - 2) {
            w->line[w->line_len++] = data[i];
            if (data[i] != ':' || w->line_len < 6 ||
                memcmp(w->line + w->line_len - 6, "login:", 6) != 0)
                continue;
        }
        if (line(w))
            return 1;
        w->line_len = 0;
    }
    return 0;
}

static pid_t start(char **argv, int *output)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC))
        return -1;
    pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execvp(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *output = ends[0];
    return pid;
}

int main(int argc, char **argv)
{
    static struct watch w;
    int64_t limit_ms;
    int output, last = 0;

    if (argc < 4 || strtol(argv[2], NULL, 10) <= 0) {
        fprintf(stderr, "usage: phase-timer NAME SECONDS COMMAND ARGUMENT...\n");
        return 2;
    }
    w.name = argv[1];
    w.pid = getpid();
    take(&w.began, w.pid);
    w.began.cpu_us = w.began.rest_us = 0;
    limit_ms = (int64_t)strtol(argv[2], NULL, 10) * 1000;
    w.pid = start(argv + 3, &output);
    if (w.pid < 0) {
        perror("phase-timer");
        return 2;
    }
    while (!last) {
        struct pollfd p = {.fd = output, .events = POLLIN};
        char data[4096];
        ssize_t n;

        if (poll(&p, 1, (int)limit_ms) <= 0)
            break;
        n = read(output, data, sizeof(data));
        if (n <= 0)
            break;
        last = feed(&w, data, (size_t)n);
    }
    kill(w.pid, SIGKILL);
    waitpid(w.pid, NULL, 0);
    if (!last)
        fprintf(stderr,
                "phase-timer: %s: the guest did not get to its end; its last words:\n%.*s\n",
                argv[1], (int)w.tail_len, w.tail);
    return !last;
}
