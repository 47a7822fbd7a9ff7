/* SPDX-License-Identifier: MIT
 *
 * lab-console - types at a program and watches what it says, by a script: what a person at a
 * terminal would do.
 *
 *     lab-console [-p] [-t SECONDS] SCRIPT PROGRAM ARGUMENT...
 *
 * The program runs on a pseudo-terminal of its own, as the leader of a session (-p: its standard
 * input and output are pipes instead). All that it writes is copied to standard output. The script
 * has one command a line:
 *
 *     expect TEXT      wait until TEXT appears after what was matched last
 *     never TEXT       TEXT must not appear up to the end
 *     send TEXT        type TEXT
 *     signal NAME      TERM, INT, HUP, QUIT, TSTP, CONT or KILL to the program
 *     eof              hang up the input (with -p)
 *     status N         the program must end by itself with exit status N; default 0
 *     terminal same    the terminal's settings must be, at the end, those from before
 *     terminal raw     the terminal is now without echo and line editing
 *
 * TEXT goes to the end of the line, with \n \r \t \e \\ \s (space) and \xHH. Each wait lasts until
 * nothing has come for -t seconds, default 60; then the program is killed. Exit status: 0 all was
 * as the script says; 1 it was not, with one line on standard error; 2 usage.
 *
 * It leaves out regular expressions and branches: a test that needs them says so by needing two
 * scripts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

struct console {
    const char *script;
    unsigned line;
    int in, out;  /* ours: to and from the program */
    int terminal; /* the program's side of the pseudo-terminal, held open, or -1 */
    struct termios before;
    pid_t pid;
    bool ended; /* the program was waited for */
    int wait_status;
    int limit_ms;
    char *seen; /* everything that the program wrote, NUL behind it */
    size_t seen_len, seen_room, matched;
    char *never[16];
    unsigned never_count;
};

__attribute__((format(printf, 2, 3))) static int complain(const struct console *c,
                                                          const char *format, ...)
{
    va_list args;

    fprintf(stderr, "\nlab-console: %s:%u: ", c->script, c->line);
    va_start(args, format);
    vfprintf(stderr, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized): it is */
    va_end(args);
    fputc('\n', stderr);
    return -1;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Resolves escapes in place; the length, which counts NUL bytes made by \x00. */
static size_t unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from != '\\' || !from[1]) {
            *to++ = *from;
            continue;
        }
        switch (*++from) {
        case 'n':
            *to++ = '\n';
            break;
        case 'r':
            *to++ = '\r';
            break;
        case 't':
            *to++ = '\t';
            break;
        case 'e':
            *to++ = '\033';
            break;
        case 's':
            *to++ = ' ';
            break;
        case 'x': {
            char digits[3] = {0};

            strncpy(digits, from + 1, 2);
            *to++ = (char)strtoul(digits, NULL, 16);
            from += strlen(digits);
            break;
        }
        default:
            *to++ = *from;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

/* Takes what the program wrote, waiting up to `wait_ms`. 1: something came; 0: nothing; -1: it hung
 * up. */
static int take(struct console *c, int wait_ms)
{
    struct pollfd p = {.fd = c->out, .events = POLLIN};
    ssize_t n;

    if (c->out < 0)
        return -1;
    if (poll(&p, 1, wait_ms) <= 0)
        return 0;
    if (c->seen_len + 4096 > c->seen_room) {
        c->seen_room = c->seen_room * 2 + 65536;
        c->seen = realloc(c->seen, c->seen_room);
        if (!c->seen)
            abort();
    }
    n = read(c->out, c->seen + c->seen_len, c->seen_room - c->seen_len - 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0)
        return -1;
    fwrite(c->seen + c->seen_len, 1, (size_t)n, stdout);
    fflush(stdout);
    c->seen_len += (size_t)n;
    c->seen[c->seen_len] = 0;
    return 1;
}

/* Has the program ended? Its output may still wait to be taken. */
static bool has_ended(struct console *c)
{
    if (!c->ended && waitpid(c->pid, &c->wait_status, WNOHANG) == c->pid)
        c->ended = true;
    return c->ended;
}

static int expect(struct console *c, const char *text, size_t len)
{
    int64_t end = now_ms() + c->limit_ms;

    for (;;) {
        const char *at =
            c->seen ? memmem(c->seen + c->matched, c->seen_len - c->matched, text, len) : NULL;
        bool ended;
        int got;

        if (at) {
            c->matched = (size_t)(at - c->seen) + len;
            return 0;
        }
        if (now_ms() >= end)
            return complain(c, "expected '%s', and nothing came for %d s", text,
                            c->limit_ms / 1000);
        /* Asked before taking, so that nothing written before the end is missed. */
        ended = has_ended(c);
        got = take(c, 50);
        if (got < 0 || (got == 0 && ended))
            return complain(c, "expected '%s', and the program ended without it", text);
        /* Slow is no fault where others use the machine: silence is. */
        if (got > 0)
            end = now_ms() + c->limit_ms;
    }
}

static int type(struct console *c, const char *text, size_t len)
{
    int64_t end = now_ms() + c->limit_ms;

    while (len > 0) {
        ssize_t n = write(c->in, text, len);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return complain(c, "cannot type to the program: %s", strerror(errno));
        if (now_ms() >= end)
            return complain(c, "the program takes no input");
        /* It may wait for its output to be read before it reads on. */
        take(c, 20);
    }
    return 0;
}

static int send_signal(struct console *c, const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"HUP", SIGHUP},  {"QUIT", SIGQUIT},
                   {"TSTP", SIGTSTP}, {"CONT", SIGCONT}, {"KILL", SIGKILL}};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strcmp(name, signals[i].name) == 0)
            return kill(c->pid, signals[i].number)
                       ? complain(c, "cannot send SIG%s: %s", name, strerror(errno))
                       : 0;
    }
    return complain(c, "unknown signal '%s'", name);
}

static int check_terminal(struct console *c, const char *how)
{
    struct termios now;

    if (c->terminal < 0 || tcgetattr(c->terminal, &now))
        return complain(c, "the program has no terminal");
    if (strcmp(how, "raw") == 0)
        return now.c_lflag & (ICANON | ECHO) ? complain(c, "the terminal is not raw") : 0;
    if (strcmp(how, "same") != 0)
        return complain(c, "unknown: terminal %s", how);
    if (now.c_iflag != c->before.c_iflag || now.c_oflag != c->before.c_oflag ||
        now.c_cflag != c->before.c_cflag || now.c_lflag != c->before.c_lflag ||
        memcmp(now.c_cc, c->before.c_cc, sizeof(now.c_cc)) != 0)
        return complain(c,
                        "the terminal's settings changed: input %#x, was %#x; output %#x, was %#x; "
                        "local %#x, was %#x",
                        now.c_iflag, c->before.c_iflag, now.c_oflag, c->before.c_oflag, now.c_lflag,
                        c->before.c_lflag);
    return 0;
}

/* Waits for the program's end and compares its exit status; a signal N counts as 128 + N. */
static int finish(struct console *c, int want)
{
    int64_t end = now_ms() + c->limit_ms;
    int got;

    while (!has_ended(c)) {
        if (now_ms() >= end)
            return complain(c, "the program did not end within %d s", c->limit_ms / 1000);
        if (take(c, 50) < 0)
            usleep(1000);
    }
    while (take(c, 0) > 0)
        ;
    got = WIFEXITED(c->wait_status) ? WEXITSTATUS(c->wait_status) : 128 + WTERMSIG(c->wait_status);
    if (got != want)
        return complain(c, "exit status %d, expected %d", got, want);
    for (unsigned i = 0; i < c->never_count; i++)
        if (c->seen && strstr(c->seen, c->never[i]))
            return complain(c, "'%s' was there, and must not be", c->never[i]);
    return 0;
}

static int start(struct console *c, bool pipes, char **argv)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};

    if (pipes) {
        if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
            return complain(c, "pipe: %s", strerror(errno));
        c->terminal = -1;
    } else {
        struct winsize size = {.ws_row = 25, .ws_col = 80};
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

        if (master < 0 || grantpt(master) || unlockpt(master))
            return complain(c, "no pseudo-terminal: %s", strerror(errno));
        c->terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (c->terminal < 0 || tcgetattr(c->terminal, &c->before) ||
            ioctl(c->terminal, TIOCSWINSZ, &size))
            return complain(c, "%s: %s", ptsname(master), strerror(errno));
        to[0] = from[1] = c->terminal;
        to[1] = from[0] = master;
    }
    c->pid = fork();
    if (c->pid < 0)
        return complain(c, "fork: %s", strerror(errno));
    if (c->pid == 0) {
        setsid();
        if (!pipes)
            ioctl(c->terminal, TIOCSCTTY, 0);
        dup2(to[0], 0);
        dup2(from[1], 1);
        dup2(from[1], 2);
        execvp(argv[0], argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    if (pipes) {
        close(to[0]);
        close(from[1]);
    }
    c->in = to[1];
    c->out = from[0];
    fcntl(c->in, F_SETFL, O_NONBLOCK);
    return 0;
}

static int run_line(struct console *c, char *line, int *want)
{
    char *text = strchr(line, ' ');
    size_t len = 0;

    if (text) {
        *text++ = 0;
        len = unescape(text);
    } else {
        text = line + strlen(line);
    }
    if (!*line || *line == '#')
        return 0;
    if (strcmp(line, "expect") == 0 && len)
        return expect(c, text, len);
    if (strcmp(line, "send") == 0)
        return type(c, text, len);
    if (strcmp(line, "signal") == 0)
        return send_signal(c, text);
    if (strcmp(line, "never") == 0 && len && c->never_count < 16)
        return (c->never[c->never_count++] = strdup(text)) ? 0 : -1;
    if (strcmp(line, "status") == 0 && len) {
        *want = (int)strtol(text, NULL, 10);
        return 0;
    }
    if (strcmp(line, "eof") == 0 && c->terminal < 0) {
        close(c->in);
        c->in = -1;
        return 0;
    }
    /* "same" is judged when the program has ended: then `want` is known, too. */
    if (strcmp(line, "terminal") == 0 && strcmp(text, "same") == 0)
        return 1;
    if (strcmp(line, "terminal") == 0)
        return check_terminal(c, text);
    return complain(c, "unknown command '%s %s'", line, text);
}

static int run_script(struct console *c, FILE *file)
{
    bool same = false;
    char *line = NULL;
    size_t room = 0;
    int want = 0, e = 0;

    while (e >= 0 && getline(&line, &room, file) >= 0) {
        c->line++;
        line[strcspn(line, "\n")] = 0;
        e = run_line(c, line, &want);
        same |= e == 1;
    }
    free(line);
    if (e >= 0)
        e = finish(c, want);
    if (e >= 0 && same)
        e = check_terminal(c, "same");
    return e;
}

int main(int argc, char **argv)
{
    struct console c = {.in = -1, .out = -1, .terminal = -1, .limit_ms = 60000};
    bool pipes = false;
    FILE *file;
    int option, e;

    while ((option = getopt(argc, argv, "+pt:")) >= 0)
        if (option == 'p')
            pipes = true;
        else if (option == 't' && strtol(optarg, NULL, 10) > 0)
            c.limit_ms = (int)strtol(optarg, NULL, 10) * 1000;
        else
            optind = argc;
    if (argc - optind < 2) {
        fprintf(stderr, "usage: lab-console [-p] [-t SECONDS] SCRIPT PROGRAM ARGUMENT...\n");
        return 2;
    }
    c.script = argv[optind];
    file = fopen(c.script, "re");
    if (!file) {
        fprintf(stderr, "lab-console: %s: %s\n", c.script, strerror(errno));
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    e = start(&c, pipes, argv + optind + 1);
    if (e >= 0)
        e = run_script(&c, file);
    fclose(file);
    if (c.pid > 0 && !has_ended(&c)) {
        kill(c.pid, SIGKILL);
        waitpid(c.pid, NULL, 0);
    }
    for (unsigned i = 0; i < c.never_count; i++)
        free(c.never[i]);
    free(c.seen);
    return e < 0 ? 1 : 0;
}
