/* SPDX-License-Identifier: MIT
 *
 * base/wake.h - an fd that becomes readable when somebody says so: an eventfd, or a pipe where
 * there are none.
 */
#ifndef BASE_WAKE_H
#define BASE_WAKE_H

struct wake {
    int fd;       /* readable after wake_signal(), until wake_clear(); -1: there is none */
    int write_fd; /* the same for an eventfd */
};

#define WAKE_NONE                                                                                  \
    (struct wake)                                                                                  \
    {                                                                                              \
        -1, -1                                                                                     \
    }

/* 0 or -errno, WAKE_NONE then. */
int wake_open(struct wake *w);
/* WAKE_NONE is allowed, and what it is afterwards. */
void wake_close(struct wake *w);
/* Never blocks; nothing for WAKE_NONE. From any thread, and from a signal's handler. */
void wake_signal(const struct wake *w);
/* 0, also if it was not readable; or -errno. */
int wake_clear(const struct wake *w);

#endif
