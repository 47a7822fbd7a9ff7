/* SPDX-License-Identifier: MIT
 *
 * machine/log.c - one line at a time, to the embedding program or to the log file.
 *
 * `[machine] log` says how much. What the guest did wrong (BP_LOG_GUEST) is a category of its own:
 * shown with `log-guest = yes`, or at the level of debugging.
 */
#include "machine/machine_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_LINES 10u /* a window */
#define LIMIT_WINDOW_NS 1000000000ull

static const char *level_name(uint32_t level)
{
    static const char *const names[] = {"", "error: ", "warning: ", "", "debug: "};
    uint32_t plain = level & ~BP_LOG_GUEST;

    if (level & BP_LOG_GUEST)
        return "guest: ";
    return plain < sizeof(names) / sizeof(names[0]) ? names[plain] : "";
}

/* "machine.ini:12: error: com1: text\n", cut to `size`. The length. */
static size_t format_line(char *line, size_t size, const struct bp_message *message)
{
    int n = 0;

    line[0] = 0;
    if (message->file && message->line)
        n = snprintf(line, size, "%s:%u: ", message->file, message->line);
    else if (message->file)
        n = snprintf(line, size, "%s: ", message->file);
    else
        n = snprintf(line, size, "backplane: ");
    if (n < 0 || (size_t)n >= size - 1)
        return strlen(line);
    /* What stands in a file names its section itself. */
    const char *speaker = message->section && !message->file ? message->section : "";
    int more = snprintf(line + n, size - (size_t)n - 1, "%s%s%s%s", level_name(message->level),
                        speaker, *speaker ? ": " : "", message->text);
    if (more < 0)
        return strlen(line);
    size_t length = strlen(line);
    line[length] = '\n';
    line[length + 1] = 0;
    return length + 1;
}

static void write_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a full disk or a closed pipe must not stop the machine */
        text += n;
        length -= (size_t)n;
    }
}

void machine_tell(void *machine, const struct bp_message *message)
{
    struct bp_machine *m = machine;
    char line[MESSAGE_LINE_MAX];

    if (m->log_fd >= 0)
        write_all(m->log_fd, line, format_line(line, sizeof(line), message));
    if (m->log_fd >= 0 && (message->level & ~BP_LOG_GUEST) != BP_LOG_ERROR)
        return;
    if (m->options.message)
        m->options.message(m->options.context, message);
    else
        write_all(STDERR_FILENO, line, format_line(line, sizeof(line), message));
}

void machine_message(struct bp_machine *m, uint32_t level, const char *section, const char *text)
{
    uint32_t limit = m->planned ? m->plan.machine.log : BP_LOG_WARN;
    bool shown = level & BP_LOG_GUEST
                     ? limit >= BP_LOG_DEBUG || (m->planned && m->plan.machine.log_guest)
                     : level <= limit;

    if (!shown)
        return;
    struct bp_message message = {
        .size = sizeof(message), .level = level, .section = section, .text = text};
    machine_tell(m, &message);
}

void machine_log(struct bp_machine *m, uint32_t level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    machine_message(m, level, NULL, text);
}

bool limit_passes(struct limit *limit, uint32_t *missed)
{
    uint64_t now = clock_host_ns();
    uint64_t since = __atomic_load_n(&limit->since_ns, __ATOMIC_RELAXED);
    uint32_t said = 0;

    if (now - since >= LIMIT_WINDOW_NS &&
        __atomic_compare_exchange_n(&limit->since_ns, &since, now, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        said = __atomic_exchange_n(&limit->count, 0, __ATOMIC_RELAXED);
    if (missed)
        *missed = said > LIMIT_LINES ? said - LIMIT_LINES : 0;
    return __atomic_fetch_add(&limit->count, 1, __ATOMIC_RELAXED) < LIMIT_LINES;
}

int machine_open_log(struct bp_machine *m)
{
    const char *path = m->plan.machine.log_file;

    if (!path)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0) {
        int err = -errno;
        machine_log(m, BP_LOG_ERROR, "%s: cannot open the log file for writing: %s", path,
                    strerror(-err));
        return err;
    }
    m->log_fd = fd;
    return 0;
}
