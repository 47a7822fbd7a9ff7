/* SPDX-License-Identifier: MIT
 *
 * program/signals.c - signals as bytes in a pipe.
 *
 * A second signal that asks to end is taken as impatience: the terminal is restored and the process
 * ends at once, even if a device does not come to rest. SIGHUP does not count: when a terminal
 * goes, kernel and shell both send it, and service managers send it after SIGTERM.
 */
#include "program/signals.h"

#include "program/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int pipe_fds[2] = {-1, -1};
static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;

    if (number != SIGTSTP && number != SIGHUP) {
        if (asked_to_end) {
            terminal_restore();
            _exit(128 + number);
        }
        asked_to_end = 1;
    }
    if (write(pipe_fds[1], &byte, 1) < 0) {
        /* Full: signals enough are waiting. */
    }
    errno = saved;
}

int signals_open(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    struct sigaction action;

    if (pipe(pipe_fds))
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(pipe_fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(pipe_fds[i], F_SETFL, O_NONBLOCK);
    }
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        struct sigaction before;
        /* What the parent told us to ignore (nohup) stays ignored. */
        if (!sigaction(caught[i], NULL, &before) && before.sa_handler == SIG_IGN)
            continue;
        sigaction(caught[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    return 0;
}

int signals_fd(void)
{
    return pipe_fds[0];
}

int signals_next(void)
{
    unsigned char byte;

    return read(pipe_fds[0], &byte, 1) == 1 ? byte : 0;
}

void signals_suspend(void)
{
    raise(SIGSTOP);
}
