/* SPDX-License-Identifier: MIT
 *
 * chr-host/stream.h - "bp.char/1" over file descriptors: what all models of this plugin share.
 *
 * Output goes into a buffer and leaves it on the loop, a millisecond later, so that a console that
 * is written a byte at a time does not cost a system call for each, and a vCPU never waits for a
 * terminal. When the buffer is full the device waits. Input is read when the device has taken what
 * was read before.
 *
 * A model embeds struct stream as its first member, so that `self` is both. It owns the fds.
 * Everything is [dom] or [main].
 */
#ifndef CHR_HOST_STREAM_H
#define CHR_HOST_STREAM_H

#include <backplane/char.h>
#include <backplane/util/fifo.h>
#include <stddef.h>

#define STREAM_OUT 65536u /* bytes of output that wait at most; a power of two */
#define STREAM_IN 4096u   /* bytes read ahead at most */
#define STREAM_TEE 4096u

#define STREAM_FLUSH_MS 1000 /* stop() waits that long for a slow reader */

/* How bytes are put into the output fd. */
#define STREAM_PLAIN 0u  /* write(): non-blocking, or a file */
#define STREAM_SOCKET 1u /* send() */
#define STREAM_SHARED 2u /* blocking, and other processes' too: poll(), then a little at a time */

#define STREAM_TIMER_MODEL 3u /* the first timer that is the model's own */

struct stream;

struct stream_hooks {
    /* Looks at input before the device does, may change it in place, and returns what is left of
     * `len`. NULL: nothing to look for. [dom] */
    size_t (*filter)(struct stream *s, uint8_t *data, size_t len);
    /* The input fd has ended (err 0) or failed (an errno). It is watched no longer. [dom] */
    void (*input_ended)(struct stream *s, int err);
    /* Output failed with errno `err`; what waits is still there. [dom], [main] from stream_stop()
     */
    void (*output_failed)(struct stream *s, int err);
};

/* The copy of the output: `log =`. */
struct tee {
    int fd; /* -1: none */
    uint32_t len;
    uint64_t dropped;
    uint8_t data[STREAM_TEE];
};

struct watch {
    int fd;
    uint32_t events; /* BP_FD_*; 0: not watched */
};

struct stream {
    const struct bp_host *host;
    struct bp_node *node;
    const struct stream_hooks *hooks;
    const struct bp_char_port *port; /* NULL: no device */
    void *port_self;
    int in_fd, out_fd; /* -1: none, and output is discarded */
    uint32_t out_kind; /* STREAM_PLAIN, ... */
    uint8_t running;
    uint8_t told;    /* the device: 0 nothing yet, or which of BP_CHAR_OPENED and _HANGUP */
    uint8_t opened;  /* somebody is at the other end */
    uint8_t keep;    /* output waits in the buffer although there is no out_fd yet */
    uint8_t held;    /* the device took less than it was given */
    uint8_t owes;    /* the device was taken less from than it gave: writable() is due */
    uint8_t armed;   /* the output timer runs */
    uint8_t blocked; /* the fd takes nothing at the moment */
    uint8_t in_slow, out_slow; /* the loop cannot watch the fd: a file */
    uint8_t reserved[2];
    uint64_t dropped; /* bytes of output that were thrown away after an error */
    struct watch in_watch, out_watch;
    struct bp_fifo in, out;
    struct tee tee;
    uint8_t in_data[STREAM_IN];
    uint8_t out_data[STREAM_OUT];
};

/* Makes a stream without fds and opens the log, if any. Negative errno after host->fail(). [main]
 */
int stream_init(struct stream *s, const struct bp_host *host, struct bp_node *node,
                const struct stream_hooks *hooks, const char *log);
/* Closes the log and tells how many bytes were lost. The model closes its fds after it. [main] */
void stream_end(struct stream *s);

/* Gives the stream other fds, -1 for none; the old ones are watched no longer. Without an output
 * fd, what waited is dropped, unless s->keep. */
void stream_set(struct stream *s, int in_fd, int out_fd, uint32_t out_kind);
/* Throws away what waits, and counts it as lost. */
void stream_drop(struct stream *s);
/* Somebody came, or the other end is gone: tells the device if that is news. */
void stream_opened(struct stream *s, int opened);
/* Hands an event to the device, after the input that came before it. [dom] */
void stream_event(struct stream *s, uint32_t what, uint32_t columns, uint32_t rows);
/* Output that is not the guest's: as much as has room. */
void stream_print(struct stream *s, const char *text);
/* Calls the model's timer `ms` milliseconds of guest time from now. */
void stream_model_timer(struct stream *s, uint64_t ms);

/* The parts of the instance table. stream_timer() handles every timer but STREAM_TIMER_MODEL. */
void stream_start(struct stream *s);
void stream_stop(struct stream *s);
void stream_timer(struct stream *s, uint32_t id);
void stream_reset(void *self, uint32_t kind);
const void *stream_extension(void *self, const char *id);

#endif
