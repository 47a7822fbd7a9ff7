/* SPDX-License-Identifier: MIT
 *
 * sys/event.h - as much of kqueue(2) as loop/poller_kqueue.c uses, for hosts that have none: so
 * that it is run, and not only compiled, before anybody has a Mac at hand. kqueue.c beside this is
 * behind it. What it does not prove: that a real kqueue behaves as its manual says.
 */
#ifndef TEST_SYS_EVENT_H
#define TEST_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_TIMER (-7)
#define EVFILT_USER (-10)

#define EV_ADD 0x0001u
#define EV_DELETE 0x0002u
#define EV_ONESHOT 0x0010u
#define EV_CLEAR 0x0020u
#define EV_ERROR 0x4000u
#define EV_EOF 0x8000u

#define NOTE_TRIGGER 0x01000000u
#define NOTE_NSECONDS 0x00000004u

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    int64_t data;
    void *udata;
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_)                             \
    (*(event) = (struct kevent){.ident = (ident_),                                                 \
                                .filter = (int16_t)(filter_),                                      \
                                .flags = (uint16_t)(flags_),                                       \
                                .fflags = (fflags_),                                               \
                                .data = (data_),                                                   \
                                .udata = (udata_)})

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
           const struct timespec *timeout);

#endif
