/* SPDX-License-Identifier: MIT
 *
 * program/terminal.c - the terminal comes back.
 *
 * The state here is the process's, as the terminal and signal handlers are: this is the program,
 * not the library.
 */
#include "program/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios found;
static volatile sig_atomic_t has_terminal;

/* From the background it would stop this process (SIGTTOU) instead of ending it, and take the
 * settings away from whoever is in the foreground. */
static int is_ours(void)
{
    pid_t group = tcgetpgrp(STDIN_FILENO);

    return group < 0 || group == getpgrp();
}

void terminal_restore(void)
{
    if (has_terminal && is_ours())
        tcsetattr(STDIN_FILENO, TCSANOW, &found);
}

/* The handler was installed with SA_RESETHAND: raising the signal again kills as it would have. */
static void on_fatal(int signal_number)
{
    terminal_restore();
    raise(signal_number);
}

void terminal_keep(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGXCPU, SIGXFSZ};
    struct sigaction action;

    if (tcgetattr(STDIN_FILENO, &found))
        return;
    has_terminal = 1;
    atexit(terminal_restore);
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_fatal;
    action.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        sigaction(fatal[i], &action, NULL);
}
