/* SPDX-License-Identifier: MIT
 *
 * program/terminal.h - the terminal comes back, whatever ends the program.
 *
 * Plugins put the terminal into raw mode and back. This is the net below them: the state that the
 * program found is restored at exit, and by the handlers of signals that kill it.
 */
#ifndef PROGRAM_TERMINAL_H
#define PROGRAM_TERMINAL_H

/* Remembers the terminal on standard input, if it is one, and installs the handlers. Once a
 * process. */
void terminal_keep(void);
/* Puts it back, if this process is in the terminal's foreground. Safe in a signal handler; any
 * number of times. */
void terminal_restore(void);

#endif
