/* SPDX-License-Identifier: MIT
 *
 * chr-host/stdio.c - the program's own standard input and output: a terminal in raw mode, or files
 * and pipes.
 *
 * O_NONBLOCK belongs to an open file that other processes may share, the shell to begin with; so
 * terminals and pipes are opened a second time, and where that fails poll() comes before every
 * small write. The terminal's settings are changed by start() and restored by stop(); signals are
 * the program's affair. With the program in the background the terminal is left alone until it is
 * in the foreground.
 */
#include "chr_host.h"
#include "stream.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A 0x01u
#define BACKGROUND_MS 500 /* how often to look whether the terminal is ours */

static const char help[] = "\r\nCtrl-A x  leave the machine\r\n"
                           "Ctrl-A a  send Ctrl-A (as Ctrl-A Ctrl-A)\r\n"
                           "Ctrl-A b  send a break\r\n"
                           "Ctrl-A h  this help\r\n";

struct stdio {
    struct stream stream; /* first */
    const struct stdio_config *config;
    int in_fd, out_fd; /* of our own, or 0 and 1; -1: none */
    uint32_t out_kind;
    uint8_t is_terminal;       /* standard input is one */
    uint8_t escapes, prefixed; /* Ctrl-A means something; it was the last byte */
    uint8_t raw;               /* `saved` is to be restored */
    uint8_t ended;             /* input */
    struct termios saved;
    struct winsize window;
};

/* ---- the terminal
 * -------------------------------------------------------------------------------- */

/* Changing a terminal, or reading it, from the background would stop the whole program. */
static int in_foreground(void)
{
    pid_t group = tcgetpgrp(STDIN_FILENO);

    return group < 0 || group == getpgrp();
}

static void make_raw(struct stdio *t)
{
    struct termios raw;

    if (t->raw || !t->config->raw || tcgetattr(STDIN_FILENO, &t->saved))
        return;
    raw = t->saved;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST; /* the program's own lines go to the same screen */
    if (t->config->signals)
        raw.c_lflag |= ISIG;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0)
        t->raw = 1;
}

static void restore(struct stdio *t)
{
    sigset_t ttou, before;

    if (!t->raw)
        return;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU); /* would stop a program that is in the background by now */
    pthread_sigmask(SIG_BLOCK, &ttou, &before);
    tcsetattr(STDIN_FILENO, TCSANOW, &t->saved);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->raw = 0;
}

/* SIGWINCH is the program's: the size is looked at whenever there is a reason to. [dom] */
static void look_at_window(struct stdio *t)
{
    struct winsize w;

    if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && ioctl(STDIN_FILENO, TIOCGWINSZ, &w)) ||
        (w.ws_col == t->window.ws_col && w.ws_row == t->window.ws_row))
        return;
    t->window = w;
    stream_event(&t->stream, BP_CHAR_RESIZED, w.ws_col, w.ws_row);
}

/* ---- hooks
 * --------------------------------------------------------------------------------------- */

/* Handles the byte after Ctrl-A; returns how many bytes at `out` it stands for. */
static size_t command(struct stdio *t, uint8_t byte, uint8_t *out)
{
    struct stream *s = &t->stream;

    switch (byte) {
    case 'x':
    case 'X':
        s->host->request(s->node, BP_REQUEST_QUIT, 0);
        return 0;
    case 'h':
    case 'H':
    case '?':
        stream_print(s, help);
        return 0;
    case 'a':
    case 'A':
    case CTRL_A:
        out[0] = CTRL_A;
        return 1;
    default:
        out[0] = byte; /* no command: only the prefix is gone */
        return 1;
    }
}

static size_t stdio_filter(struct stream *s, uint8_t *data, size_t len)
{
    struct stdio *t = (struct stdio *)s;
    size_t kept = 0;

    if (t->is_terminal)
        look_at_window(t);
    if (!t->escapes)
        return len;
    for (size_t i = 0; i < len; i++) {
        if (t->prefixed && (data[i] == 'b' || data[i] == 'B')) {
            t->prefixed = 0;
            for (size_t k = 0; k < kept; k++) /* what was typed before it comes first */
                bp_fifo_push(&s->in, data[k]);
            kept = 0;
            stream_event(s, BP_CHAR_BREAK, 0, 0);
        } else if (t->prefixed) {
            t->prefixed = 0;
            kept += command(t, data[i], data + kept);
        } else if (data[i] == CTRL_A) {
            t->prefixed = 1;
        } else {
            data[kept++] = data[i];
        }
    }
    return kept;
}

static void stdio_input_ended(struct stream *s, int err)
{
    struct stdio *t = (struct stdio *)s;

    t->ended = 1;
    if (err)
        bp_logf(s->host, s->node, BP_LOG_WARN,
                "cannot read standard input: %s; the guest goes on without", strerror(err));
    else
        s->host->log(s->node, BP_LOG_DEBUG, "standard input has ended; the guest goes on without");
}

static void stdio_output_failed(struct stream *s, int err)
{
    bp_logf(s->host, s->node, BP_LOG_WARN,
            "cannot write standard output: %s; output is discarded from now on", strerror(err));
    stream_drop(s);
    stream_set(s, s->in_fd, -1, STREAM_PLAIN);
}

static const struct stream_hooks hooks = {
    .filter = stdio_filter, .input_ended = stdio_input_ended, .output_failed = stdio_output_failed};

/* ---- life
 * ---------------------------------------------------------------------------------------- */

/* Standard input or output as an open file of our own, non-blocking; `fd` itself where that cannot
 * be (a socket, a terminal of another user, a system without /proc); -1 if it is closed. */
static int open_own(int fd, int mode)
{
    struct stat st;
    char path[64];
    int own;

    if (fstat(fd, &st))
        return -1;
    if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
        return fd;
    if (isatty(fd)) {
        if (ttyname_r(fd, path, sizeof(path)))
            return fd;
    } else {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own < 0 ? fd : own;
}

/* How to write to `fd`, which is STDOUT_FILENO itself if it could not be opened again. */
static uint32_t kind_of(int fd)
{
    struct stat st;

    if (fd != STDOUT_FILENO || fstat(fd, &st) || S_ISREG(st.st_mode))
        return STREAM_PLAIN;
    return S_ISSOCK(st.st_mode) ? STREAM_SOCKET : STREAM_SHARED;
}

static void stdio_destroy(void *self)
{
    struct stdio *t = self;

    restore(t);
    stream_end(&t->stream);
    if (t->in_fd > STDERR_FILENO)
        close(t->in_fd);
    if (t->out_fd > STDERR_FILENO)
        close(t->out_fd);
    free(t);
}

static int stdio_create(const struct bp_host *host, struct bp_node *node, const void *config,
                        void **self)
{
    const struct stdio_config *c = config;
    struct stdio *t = calloc(1, sizeof(*t));
    int err;

    if (!t)
        return bp_failf(host, node, -ENOMEM, "no memory for a character backend");
    t->config = c;
    t->in_fd = t->out_fd = -1;
    err = stream_init(&t->stream, host, node, &hooks, c->log);
    if (err) {
        stdio_destroy(t);
        return err;
    }
    t->in_fd = open_own(STDIN_FILENO, O_RDONLY);
    t->out_fd = open_own(STDOUT_FILENO, O_WRONLY);
    t->out_kind = kind_of(t->out_fd);
    t->is_terminal = isatty(STDIN_FILENO) == 1;
    t->escapes = c->escape == ESCAPE_YES || (c->escape == ESCAPE_AUTO && t->is_terminal);
    t->stream.opened = 1;
    stream_set(&t->stream, -1, t->out_fd, t->out_kind);
    *self = t;
    return 0;
}

/* Takes the terminal, or waits until it is ours. */
static void take_input(struct stdio *t)
{
    if (t->is_terminal && !in_foreground()) {
        stream_model_timer(&t->stream, BACKGROUND_MS);
        return;
    }
    if (t->is_terminal)
        make_raw(t);
    if (!t->ended && t->in_fd >= 0)
        stream_set(&t->stream, t->in_fd, t->stream.out_fd, t->stream.out_kind);
}

static int stdio_start(void *self)
{
    struct stdio *t = self;

    stream_start(&t->stream);
    take_input(t);
    memset(&t->window, 0, sizeof(t->window));
    if (!t->is_terminal || in_foreground())
        stream_model_timer(&t->stream, 0);
    return 0;
}

static void stdio_stop(void *self)
{
    struct stdio *t = self;

    stream_set(&t->stream, -1, t->stream.out_fd, t->stream.out_kind);
    stream_stop(&t->stream);
    restore(t);
}

static void stdio_timer(void *self, uint32_t id)
{
    struct stdio *t = self;

    if (id != STREAM_TIMER_MODEL) {
        stream_timer(&t->stream, id);
        return;
    }
    if (t->stream.in_fd < 0)
        take_input(t);
    look_at_window(t);
}

const struct bp_instance_ops stdio_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = stdio_create,
    .destroy = stdio_destroy,
    .reset = stream_reset,
    .start = stdio_start,
    .stop = stdio_stop,
    .timer = stdio_timer,
    .extension = stream_extension,
};
