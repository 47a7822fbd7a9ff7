/* SPDX-License-Identifier: MIT
 *
 * program/signals.h - signals as bytes in a pipe, for the one place that waits.
 */
#ifndef PROGRAM_SIGNALS_H
#define PROGRAM_SIGNALS_H

/* Catches what asks the program to end or to be suspended, ignores SIGPIPE. 0 or -errno. Once a
 * process. */
int signals_open(void);
/* Readable when a signal has come. */
int signals_fd(void);
/* The next signal's number, 0 if there is none. */
int signals_next(void);
/* Suspends the process as SIGTSTP would have; returns when it is continued. */
void signals_suspend(void);

#endif
