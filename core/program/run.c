/* SPDX-License-Identifier: MIT
 *
 * program/run.c - `backplane run`: a machine in the foreground.
 */
#include "program/program.h"
#include "program/signals.h"
#include "program/terminal.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int status_of(const struct bp_exit *ended)
{
    switch (ended->reason) {
    case BP_EXIT_POWER_OFF:
    case BP_EXIT_QUIT:
        return STATUS_OK;
    case BP_EXIT_RESET:
        return STATUS_RESET;
    case BP_EXIT_DEBUG:
        return (int)ended->code;
    case BP_EXIT_PANIC:
        return STATUS_PANIC;
    case BP_EXIT_TRIPLE_FAULT:
        return STATUS_TRIPLE_FAULT;
    default:
        return STATUS_FAILED;
    }
}

/* Job control: the machine stands, and the terminal is the shell's, until SIGCONT. -errno if it
 * does not go on after that. */
static int suspend(struct bp_machine *m)
{
    if (bp_machine_pause(m))
        return 0; /* it is about to end */
    signals_suspend();
    return bp_machine_resume(m);
}

/* Lets the machine run to its end. */
static int attend(struct bp_machine *m)
{
    int killed_by = 0;

    for (;;) {
        struct pollfd fds[2] = {{.fd = bp_machine_fd(m), .events = POLLIN},
                                {.fd = signals_fd(), .events = POLLIN}};
        struct bp_exit ended;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return STATUS_FAILED;
        for (int number = signals_next(); number; number = signals_next()) {
            if (number == SIGTSTP) {
                if (suspend(m))
                    return STATUS_FAILED;
            } else {
                killed_by = number;
                bp_machine_stop(m);
            }
        }
        int err = bp_machine_wait(m, 0, &ended);
        if (!err)
            return killed_by && ended.reason == BP_EXIT_QUIT ? 128 + killed_by : status_of(&ended);
        if (err != -ETIMEDOUT && err != -EINTR)
            return STATUS_FAILED;
    }
}

static int print_config(struct bp_machine *m)
{
    int err = bp_machine_check(m);
    char *text = err ? NULL : bp_machine_print(m);

    if (!text)
        return program_status(err ? err : -ENOMEM);
    int failed = fputs(text, stdout) < 0 || fflush(stdout);
    free(text);
    return failed ? STATUS_FAILED : STATUS_OK;
}

int command_run(const struct options *o)
{
    int status;
    struct bp_machine *m = program_machine(o, NULL, NULL, &status);

    if (!m)
        return status;
    if (o->print_config) {
        status = print_config(m);
    } else {
        terminal_keep();
        int err = signals_open();
        if (!err)
            err = bp_machine_start(m);
#ifdef __GLIBC__
        /* Reading the file and making the machine took memory that running it does not. */
        malloc_trim(0);
#endif
        status = err ? program_status(err) : attend(m);
    }
    bp_machine_free(m);
    return status;
}
