/* SPDX-License-Identifier: MIT
 *
 * net-pcap/output.h - where a capture goes: a file, numbered files in turn, a named pipe, standard
 * output.
 */
#ifndef NET_PCAP_OUTPUT_H
#define NET_PCAP_OUTPUT_H

#include "net_pcap.h"

#define OUTPUT_FILE 0u   /* regular: what was written in part is taken back */
#define OUTPUT_PIPE 1u   /* its reader may stall and leave */
#define OUTPUT_SOCKET 2u /* standard output may be one */
#define OUTPUT_DEVICE 3u /* such as /dev/null */

struct output {
    const struct bp_host *host;
    struct bp_node *node;
    const char *path; /* as configured */
    uint32_t kind;    /* OUTPUT_* */
    int fd;           /* -1: output_open() opens it */

    uint8_t numbered; /* there are several, with names of their own */
    uint32_t number;  /* of the file that is open, or of the last one; from 1 */
    uint32_t keep;
    char *name;           /* of the file that is open */
    size_t name_size;     /* bytes at `name` */
    uint64_t rotate_size; /* bytes; 0: never */
    uint64_t rotate_ns;   /* 0: never */
    uint64_t opened_ns;   /* CLOCK_MONOTONIC */

    uint64_t begin;   /* OUTPUT_FILE: offset of its first byte; standard output may be further on */
    uint64_t written; /* bytes, whole blocks */
};

/* Looks at the path and opens it, but for named pipes and numbered files. -errno after
 * host->fail(). `o->fd` is to be closed by output_end() in either case. [main] */
int output_init(struct output *o, const struct bp_host *host, struct bp_node *node,
                const struct capture_config *config);
void output_end(struct output *o);

/* Opens what is not open yet: a pipe once there is a reader, the next numbered file. 0 or -errno;
 * -ENXIO: no reader yet. */
int output_open(struct output *o);

/* Writes `len` bytes, and returns how many, at least 1; or -errno: -EAGAIN, a pipe is full. Of a
 * file it writes all or nothing. */
int64_t output_write(struct output *o, const uint8_t *data, size_t len);

/* Bytes that the file still takes: UINT64_MAX if it takes all; 0 if its time is over. */
uint64_t output_room(const struct output *o);
/* Ends the numbered file that is open; output_open() opens the next one. */
void output_next(struct output *o);

uint64_t output_now_ns(void); /* CLOCK_MONOTONIC */

#endif
