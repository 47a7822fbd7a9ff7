/* SPDX-License-Identifier: MIT
 *
 * net-user/net_user.h - what the files of this plugin share.
 *
 * The guest's network ends in libslirp, a TCP/IP stack in this process, which turns the guest's
 * connections into sockets of the host: no rights are needed. A turn on the loop hands frames to
 * the adapter, lets libslirp look at its sockets and arms what wakes the next turn:
 *
 *     adapter --send--> filter --> libslirp --> sockets       on the vCPU, inside send()
 *     sockets --watch--> turn --> libslirp --> queue --receive--> adapter      on the loop
 *
 * libslirp is called inside the instance's domain only. Its clock is guest time: while the machine
 * stands nothing in it expires.
 */
#ifndef NET_USER_NET_USER_H
#define NET_USER_NET_USER_H

#include "config.h"

#include <backplane/plugin.h>
#include <backplane/util/frame.h>
#include <libslirp.h>

#define USER_TIMER_TURN 0u
#define USER_TIMERS 4u /* libslirp 4.7 has one: router advertisements */

/* A socket of libslirp's, by the number of its fd. */
struct user_socket {
    uint8_t watched; /* SLIRP_POLL_* that are waited for */
    uint8_t wanted;  /* SLIRP_POLL_* of the last fill */
    uint8_t ready;   /* SLIRP_POLL_* that came */
    uint8_t open;    /* libslirp said that it has it */
};

struct user_sockets {
    struct user *user;
    int epoll; /* -1: the loop watches each socket */
    uint8_t listening;
    uint8_t reserved[3];
    struct user_socket *by_fd;
    int *wanted; /* the fds of the last fill, in libslirp's order */
    uint32_t by_fd_size, wanted_size;
    uint32_t count; /* of `wanted` */
    uint32_t open;  /* sockets that libslirp has, those that it does not wait for included */
};

struct user_timer {
    SlirpTimerCb fire; /* NULL: free */
    void *opaque;
    int64_t when_ms; /* guest time; INT64_MAX: not armed */
};

#define USER_DATAGRAMS 16u /* that are put together at a time, of 65 KiB each */

struct user_datagram;
struct user_fragments {
    struct user_datagram *datagrams[USER_DATAGRAMS]; /* NULL: none was needed yet */
};

struct user {
    const struct bp_host *host;
    struct bp_node *node;
    const struct user_config *config;
    const struct bp_net_port *port; /* NULL: no adapter */
    void *port_self;
    Slirp *slirp;
    struct bp_frame_queue to_guest;
    struct user_sockets sockets;
    struct user_timer timers[USER_TIMERS];
    struct user_fragments fragments;
    uint64_t turn_ns; /* guest time that the turn is armed for; UINT64_MAX: it is not */
    uint8_t held;     /* the adapter has no buffers */
    uint64_t dropped_to_guest, dropped_from_guest;
    uint32_t mss;                /* of the guest's latest SYN; 0: none yet */
    uint8_t part[BP_FRAME_MAX];  /* of a segment that is cut for the guest */
    uint8_t frame[BP_FRAME_MAX]; /* the frame that libslirp is given, in one piece */
};

/* ---- sockets.c: libslirp's sockets. [main] [dom] ---- */

/* Negative errno; nothing to end then. */
int user_sockets_init(struct user_sockets *s, struct user *u);
void user_sockets_end(struct user_sockets *s);
/* Whether the loop is to have a turn when a socket is ready. */
void user_sockets_listen(struct user_sockets *s, int on);
/* Asks libslirp what it waits for. Returns the milliseconds that it can wait; UINT32_MAX: for ever.
 */
uint32_t user_sockets_fill(struct user_sockets *s, Slirp *slirp);
/* Lets libslirp do what the sockets are ready for, and what is due. */
void user_sockets_work(struct user_sockets *s, Slirp *slirp);
/* libslirp has opened the fd; it is about to close it. */
void user_sockets_opened(struct user_sockets *s, int fd);
void user_sockets_forget(struct user_sockets *s, int fd);

/* ---- watch_epoll.c, watch_fds.c: what waits for the sockets. [main] [dom] ---- */

int user_watch_init(struct user_sockets *s);
void user_watch_end(struct user_sockets *s);
/* Waits for `events`, SLIRP_POLL_*, of `fd` instead of those of by_fd[fd].watched. 0 or nonzero. */
int user_watch(struct user_sockets *s, int fd, uint8_t events);
/* After a change of s->listening. */
void user_watch_listen(struct user_sockets *s);
/* Notes what is ready. */
void user_sockets_look(struct user_sockets *s);

/* ---- user.c: turns on the loop. [dom] ---- */

void user_turn(struct user *u);
/* After the current callback. */
void user_turn_soon(struct user *u);

/* ---- settings.c, forward.c: from keys to libslirp. [main] ---- */

/* The addresses of the guest's network, checked. Texts are the config's own. */
struct user_settings {
    SlirpConfig slirp;
    struct in_addr dhcp_start;
};
/* Negative errno after host->fail(). */
int user_settings(const struct bp_host *host, struct bp_node *node,
                  const struct user_config *config, struct user_settings *out);
/* Opens the listening sockets of `forward`. Negative errno after host->fail(). */
int user_forward(struct user *u, const struct user_settings *settings);

/* ---- filter.c: what a hostile guest must not make libslirp do. [dom] ---- */

/* Nonzero if libslirp may be given the frame of `len` bytes, at least BP_FRAME_MIN, at u->frame. */
int user_filter(struct user *u, uint32_t len);

/* ---- fragments.c: IPv4 datagrams put together. [main] [dom] ---- */

/* Nonzero if the frame is a fragment of an IPv4 datagram. */
int user_is_ipv4_fragment(const uint8_t *frame, uint32_t len);
/* Takes in such a frame of `len` bytes at u->frame. Returns the length of the whole datagram, which
 * is at u->frame then; 0: nothing is complete, or the fragment was none, and was dropped. */
uint32_t user_fragment(struct user *u, uint32_t len);
void user_fragments_end(struct user_fragments *f);

/* ---- mss.c: segments no longer than the guest asked for. [dom] ---- */

struct bp_segments;
/* Looks for a SYN in the guest's frame of `len` bytes at u->frame. */
void user_mss_listen(struct user *u, uint32_t len);
/* Prepares to cut a frame for the guest (util/offload.h); -1 if it can have it as it is. */
int user_mss_begin(const struct user *u, struct bp_segments *s, const uint8_t *frame, uint32_t len);

extern const struct bp_instance_ops user_ops;

#endif
