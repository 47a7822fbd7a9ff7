/* SPDX-License-Identifier: MIT
 *
 * boot-timer - times a machine from its program's start to a line of its guest, and looks at both
 * then.
 *
 *     boot-timer NAME MARKER SECONDS COMMAND ARGUMENT...
 *
 * Prints one line of key=value pairs:
 *   marker_ms        from just before fork() to MARKER's whole line on the command's output; -1: it
 * did not come user_ms, sys_ms  cpu time of the command up to then, a little more rss_kib peak
 * resident set pss_kib          proportional set at the marker without the mappings of 64 MiB and
 * more: without guest RAM exits, ...       KVM's counters in debugfs at the marker; right only
 * while no other VM runs line             the rest of MARKER's line, blanks as underscores The
 * command is killed at the marker. Exit status 0 if it came, 1 if not: then its output is shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RAM_MAPPING_KIB 65536u

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double timeval_ms(const struct timeval *t)
{
    return (double)t->tv_sec * 1e3 + (double)t->tv_usec * 1e-3;
}

static void print_kvm_counters(void)
{
    static const char *const names[] = {"exits",          "io_exits",   "mmio_exits",
                                        "halt_exits",     "irq_exits",  "pf_taken",
                                        "irq_injections", "hypercalls", "insn_emulation"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128], text[32] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", names[i]);
        file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(text, sizeof(text), file))
            printf(" %s=%lu", names[i], strtoul(text, NULL, 10));
        fclose(file);
    }
}

/* The process's proportional set size without its large mappings, KiB; -1 if it cannot be read. */
static long pss_without_ram(pid_t pid)
{
    char path[64], line[512];
    unsigned long size = 0, total = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, "Size:", 5) == 0)
            size = strtoul(line + 5, NULL, 10);
        else if (strncmp(line, "Pss:", 4) == 0 && size < RAM_MAPPING_KIB)
            total += strtoul(line + 4, NULL, 10);
    fclose(file);
    return (long)total;
}

static pid_t start(char **argv, int *output)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC))
        return -1;
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);

        dup2(null, 0);
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
    static char seen[1 << 20];
    char *marker = NULL, *end = NULL;
    double began, came = -1, limit_ms;
    struct rusage usage;
    size_t len = 0;
    int output;
    pid_t pid;

    if (argc < 5 || strtol(argv[3], NULL, 10) <= 0) {
        fprintf(stderr, "usage: boot-timer NAME MARKER SECONDS COMMAND ARGUMENT...\n");
        return 2;
    }
    limit_ms = (double)strtol(argv[3], NULL, 10) * 1e3;
    began = now_ms();
    pid = start(argv + 4, &output);
    if (pid < 0) {
        perror("boot-timer");
        return 2;
    }
    while (!end && len < sizeof(seen) - 1) {
        struct pollfd p = {.fd = output, .events = POLLIN};
        double left = began + limit_ms - now_ms();
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left + 1) <= 0)
            break;
        n = read(output, seen + len, sizeof(seen) - 1 - len);
        if (n <= 0)
            break;
        came = now_ms();
        len += (size_t)n;
        seen[len] = 0;
        marker = strstr(seen, argv[2]);
        end = marker ? strchr(marker, '\n') : NULL;
    }
    printf("BOOT %s marker_ms=%.1f", argv[1], end ? came - began : -1.0);
    if (end) {
        print_kvm_counters();
        printf(" pss_kib=%ld", pss_without_ram(pid));
    }
    kill(pid, SIGKILL);
    if (wait4(pid, NULL, 0, &usage) == pid)
        printf(" user_ms=%.1f sys_ms=%.1f rss_kib=%ld", timeval_ms(&usage.ru_utime),
               timeval_ms(&usage.ru_stime), usage.ru_maxrss);
    if (end) {
        *end = 0;
        printf(" line=");
        for (const char *c = marker + strlen(argv[2]); *c; c++)
            if (*c > ' ')
                putchar(*c);
            else if (*c == ' ')
                putchar('_');
    }
    putchar('\n');
    if (!end)
        fprintf(stderr, "boot-timer: %s: no '%s'; its output:\n%s\n", argv[1], argv[2],
                len > 3000 ? seen + len - 3000 : seen);
    return end ? 0 : 1;
}
