/* SPDX-License-Identifier: MIT
 *
 * fakes/net.h - both ends of a network link for unit tests: an adapter at the near end of a
 * backend under test, and a backend behind an adapter under test. Each records frames, takes as
 * many as the test says, and fails the test when it is called back from inside a call of its own.
 */
#ifndef FAKES_NET_H
#define FAKES_NET_H

#include "fakes/host.h"

#include <backplane/util/frame.h>

#define FAKE_NET_QUEUES 16u
#define FAKE_NET_FRAMES 4096u /* recorded at most; more fail the test */
#define FAKE_NET_ANY UINT32_MAX

struct fake_frame {
    struct bp_frame header; /* as received, but nbufs 0: the bytes are in `data` */
    uint32_t queue;
    uint32_t len;
    uint8_t *data;
};

/* What either end recorded, oldest first. */
struct fake_frames {
    struct fake_frame *frames; /* FAKE_NET_FRAMES */
    uint32_t count;
};

/* Forgets what was recorded. */
void fake_frames_clear(struct fake_frames *f);

/* ---- an adapter, for tests of backends and filters ---- */

struct fake_nic {
    const struct bp_net *ops;
    void *self;
    struct fake_host *host;
    struct fake_frames got;
    uint32_t room[FAKE_NET_QUEUES]; /* frames that receive() still takes; FAKE_NET_ANY: all */
    uint32_t refused, unwanted;     /* -EAGAINs so far; frames given after one without resume() */
    uint32_t sent[FAKE_NET_QUEUES]; /* calls of port->sent() */
    uint8_t held[FAKE_NET_QUEUES];  /* receive() gave -EAGAIN, resume() has not been called */
    uint8_t more[FAKE_NET_QUEUES];  /* the last receive() said that another one follows */
    uint32_t links, up;             /* calls of port->link(), and what the last one said */
    int error;                      /* receive() gives this when not 0, and records nothing */
    int inside;                     /* the adapter is in a call of the backend */
    int is_guest;                   /* the host is another's */
    void (*on_sent)(void *context, uint32_t queue); /* called by port->sent(), if not NULL */
    void *context;
};

/* An adapter attached to the instance of `h`, with room for all frames. The tables went through
 * the normaliser. */
struct fake_nic *fake_nic_new(struct fake_host *h);
/* A further adapter at the same instance, which is BP_MODEL_JOINS. Free it before the first. */
struct fake_nic *fake_nic_beside(struct fake_nic *first);
/* Frees the host, too. NULL is allowed. */
void fake_nic_free(struct fake_nic *n);

/* Sends one plain frame: 1 if it was taken. */
uint32_t fake_nic_send(struct fake_nic *n, uint32_t queue, const void *data, uint64_t len);
/* The same with all that send() can have. */
uint32_t fake_nic_send_frames(struct fake_nic *n, uint32_t queue, const struct bp_frame *frames,
                              uint32_t count);
/* There is room for `room` more frames on `queue`: resume(). */
void fake_nic_resume(struct fake_nic *n, uint32_t queue, uint32_t room);
/* The loop runs for one turn: `ms` of guest time, and what is ready within `ms`. */
void fake_nic_turn(struct fake_nic *n, int ms);
/* Fails the test unless nothing happens on the loop any more, but for frames that come: no busy
 * loop. */
void fake_nic_expect_quiet(struct fake_nic *n);

/* Runs the loop until `condition`, or fails. Bounded by turns, not by the clock. */
#define FAKE_NIC_WAIT(n, condition)                                                                \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
                                                                                                   \
        while (!(condition)) {                                                                     \
            if (turns_++ == 2000)                                                                  \
                fail_msg("waited in vain for: %s", #condition);                                    \
            fake_nic_turn(n, 5);                                                                   \
        }                                                                                          \
    } while (0)

/* ---- a backend, for tests of adapters and filters ---- */

struct fake_net {
    struct bp_node *node; /* for the REF property of the instance under test */
    struct fake_frames sent;
    uint32_t room;     /* frames that send() still takes; FAKE_NET_ANY: all */
    uint32_t can;      /* offloads() */
    uint32_t offloads; /* set_offloads(), and how often it was called */
    uint32_t offload_calls;
    uint32_t queues, queues_max; /* set_queues(); 1 of FAKE_NET_QUEUES at first */
    uint32_t resumed[FAKE_NET_QUEUES];
    int inside;
};

/* A backend that takes everything and has no offloads. Create the instance with config.net =
 * net->node afterwards. */
struct fake_net *fake_net_new(void);
void fake_net_free(struct fake_net *n);

/* Gives a plain frame to the adapter, and what receive() said. */
int fake_net_deliver(struct fake_net *n, uint32_t queue, const void *data, uint64_t len);
int fake_net_deliver_frame(struct fake_net *n, uint32_t queue, const struct bp_frame *frame);
/* There is room for `room` more frames: port->sent(). */
void fake_net_sent(struct fake_net *n, uint32_t queue, uint32_t room);
void fake_net_link(struct fake_net *n, uint32_t up);

#endif
