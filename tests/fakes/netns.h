/* SPDX-License-Identifier: MIT
 *
 * fakes/netns.h - a network of the test's own: the host's interfaces are never touched.
 */
#ifndef FAKES_NETNS_H
#define FAKES_NETNS_H

/* Puts the program into a new network and mount namespace, with nothing but a loopback that is up;
 * without root's rights it is executed anew in a user namespace. To be called first in main().
 * Where that is refused the program goes on where it was, and netns_why() has the reason. */
void netns_enter(char **argv);
/* NULL inside of a namespace of its own, otherwise why there is none. */
const char *netns_why(void);
/* Skips the running test, with the reason, outside of a namespace of its own. */
void netns_need(void);
/* Runs a command, by the shell: 0 if it succeeds. */
int netns_try(const char *command);
/* The same, and fails the test unless it succeeds. */
void netns_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
