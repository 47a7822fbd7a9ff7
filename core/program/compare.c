/* SPDX-License-Identifier: MIT
 *
 * program/compare.c - `backplane compare`: one machine under two CPU backends.
 *
 * Step by step is the library's work. With --serial-only each backend's machine runs as `run` would
 * run it, in a process of its own without input, and what is compared are the lines that it writes
 * to standard output: where they come from, which is most often a serial port, is the machine
 * file's affair. Times in brackets that begin a line are the kernel's, and left out.
 */
#include "program/program.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX (64u << 20)

/* The plugin that `name`, "interp" or "cpu-interp", stands for. */
static void plugin_name(char *to, size_t room, const char *name, size_t len)
{
    int whole = (len > 4 && !strncmp(name, "cpu-", 4)) || memchr(name, '/', len) != NULL;

    snprintf(to, room, "%s%.*s", whole ? "" : "cpu-", (int)len, name);
}

/* The machine with this backend, whatever the file says. */
static struct bp_machine *machine_with(const struct options *o, const char *backend, int *status)
{
    struct bp_machine *m = program_machine(o, NULL, NULL, status);

    if (m && bp_machine_set(m, "cpu.plugin", backend, "--backends")) {
        *status = STATUS_USAGE;
        bp_machine_free(m);
        return NULL;
    }
    return m;
}

/* ---- step by step --------------------------------------------------------------------------- */

static int compare_steps(const struct options *o, const char *first, const char *second)
{
    const struct bp_compare what = {.size = sizeof(what),
                                    .patience_s = o->compare.patience_s,
                                    .second = second,
                                    .marker = o->compare.until,
                                    .instructions = o->compare.instructions};
    static const char *const ends[] = {"", ", and the guest has ended"};
    struct bp_compare_end end = {.size = sizeof(end)};
    int status;
    struct bp_machine *m = machine_with(o, first, &status);

    if (!m)
        return status;
    int err = bp_machine_compare(m, &what, &end);
    bp_machine_free(m);
    if (err)
        return program_status(err);
    fflush(stdout);
    if (end.flags_differed)
        fprintf(stderr,
                "backplane: after %llu instructions arithmetic flags alone differed, first at "
                "0x%llx, and the second went on with the first's\n",
                (unsigned long long)end.flags_differed, (unsigned long long)end.flags_address);
    if (end.how == BP_COMPARE_DIFFERENT) {
        fprintf(stderr, "backplane: %s", end.text);
        return STATUS_DIFFERENT;
    }
    fprintf(stderr, "backplane: %s and %s do the same for %llu instructions%s\n", first, second,
            (unsigned long long)end.instructions, ends[end.how == BP_COMPARE_ENDED]);
    return STATUS_OK;
}

/* ---- by what they write --------------------------------------------------------------------- */

struct output {
    char *text; /* ends with a NUL */
    size_t used, room;
};

/* Reads one line's worth and more. 1; 0 at the end; -errno. */
static int read_more(struct output *out, int fd)
{
    ssize_t got;

    if (out->room - out->used < 4096) {
        size_t room = out->room ? 2 * out->room : 65536;
        char *text = room <= OUTPUT_MAX ? realloc(out->text, room) : NULL;

        if (!text)
            return -ENOMEM;
        out->text = text;
        out->room = room;
    }
    do
        got = read(fd, out->text + out->used, out->room - out->used - 1);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    for (ssize_t i = 0; i < got; i++)
        if (!out->text[out->used + (size_t)i])
            out->text[out->used + (size_t)i] = '?'; /* text it shall be */
    out->used += (size_t)got;
    out->text[out->used] = '\0';
    return got > 0;
}

/* The child: the machine, as `run` runs it. */
static int run_child(const struct options *o, const char *backend, int to)
{
    struct bp_exit ended;
    int status = STATUS_FAILED;

    if (!freopen("/dev/null", "r", stdin) || dup2(to, STDOUT_FILENO) < 0)
        return STATUS_FAILED;
    struct bp_machine *m = machine_with(o, backend, &status);
    if (!m)
        return status;
    int err = bp_machine_start(m);
    while (!err) {
        err = bp_machine_wait(m, -1, &ended);
        if (err == -EINTR)
            err = 0;
        else
            break;
    }
    bp_machine_free(m);
    fflush(stdout);
    return program_status(err);
}

/* What the machine writes until its end or the marker. 0, or the status of what went wrong. */
static int collect(const struct options *o, const char *backend, struct output *out)
{
    int fds[2], status = 0, more = 1, met = 0;
    size_t from = 0, len = o->compare.until ? strlen(o->compare.until) : 0;

    if (pipe(fds))
        return STATUS_FAILED;
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        _exit(run_child(o, backend, fds[1]));
    }
    close(fds[1]);
    while (child > 0 && more > 0 && !met) {
        more = read_more(out, fds[0]);
        met = len && out->text && strstr(out->text + from, o->compare.until);
        from = out->used > len ? out->used - len : 0;
    }
    close(fds[0]);
    if (child < 0)
        return STATUS_FAILED;
    if (more)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (more < 0) {
        fprintf(stderr, "backplane: %s: what it writes cannot be kept: %s\n", backend,
                strerror(-more));
        return STATUS_FAILED;
    }
    if (!more && WIFEXITED(status))
        return WEXITSTATUS(status);
    return more ? 0 : STATUS_FAILED;
}

/* Past "[   12.345678] " at the begin of a line. */
static const char *past_time(const char *line)
{
    const char *at = line;

    if (*at++ != '[')
        return line;
    while (*at == ' ')
        at++;
    if (*at < '0' || *at > '9')
        return line;
    at += strspn(at, "0123456789.");
    return at[0] == ']' ? at + 1 + (at[1] == ' ') : line;
}

/* Lengths up to the end of the line, CR aside. */
static size_t line_bytes(const char *line)
{
    size_t len = strcspn(line, "\n");

    while (len && line[len - 1] == '\r')
        len--;
    return len;
}

static int compare_texts(const char *first, const char *second, const char *a, const char *b)
{
    for (unsigned long number = 1; *a || *b; number++) {
        const char *x = past_time(a), *y = past_time(b);
        size_t x_len = line_bytes(x), y_len = line_bytes(y);

        if (x_len != y_len || memcmp(x, y, x_len) != 0 || !*a != !*b) {
            fprintf(stderr, "backplane: %s and %s differ in line %lu:\n", first, second, number);
            fprintf(stderr, "  %.*s\n  %.*s\n", *a ? (int)x_len : 20,
                    *a ? x : "(nothing is written)", *b ? (int)y_len : 20,
                    *b ? y : "(nothing is written)");
            return STATUS_DIFFERENT;
        }
        a += strcspn(a, "\n");
        b += strcspn(b, "\n");
        a += *a == '\n';
        b += *b == '\n';
    }
    return STATUS_OK;
}

static int compare_output(const struct options *o, const char *first, const char *second)
{
    const char *const names[2] = {first, second};
    struct output out[2] = {{0}};
    int status = STATUS_OK;

    for (unsigned i = 0; i < 2 && !status; i++) {
        status = collect(o, names[i], &out[i]);
        const char *end =
            out[i].text && o->compare.until ? strstr(out[i].text, o->compare.until) : NULL;
        if (!status && o->compare.until && !end) {
            fprintf(stderr, "backplane: under %s the guest does not write \"%s\"\n", names[i],
                    o->compare.until);
            status = STATUS_DIFFERENT;
        }
        /* How much more was read is chance. */
        if (end)
            out[i].text[(size_t)(end - out[i].text) + strlen(o->compare.until)] = '\0';
    }
    if (!status)
        status = compare_texts(first, second, out[0].text ? out[0].text : "",
                               out[1].text ? out[1].text : "");
    if (!status)
        fprintf(stderr, "backplane: %s and %s write the same\n", first, second);
    free(out[0].text);
    free(out[1].text);
    return status;
}

int command_compare(const struct options *o)
{
    const char *comma = strchr(o->compare.backends, ',');
    char first[PATH_MAX], second[PATH_MAX];

    plugin_name(first, sizeof(first), o->compare.backends, (size_t)(comma - o->compare.backends));
    plugin_name(second, sizeof(second), comma + 1, strlen(comma + 1));
    return o->compare.serial_only ? compare_output(o, first, second)
                                  : compare_steps(o, first, second);
}
