/* SPDX-License-Identifier: MIT
 *
 * net-pcap/reader.h - the frames of a pcap or pcapng file, one after the other.
 *
 * The formats are libpcap's affair; here is what a file must be for a network of Ethernet: the link
 * type, lengths that can be, times that can be counted.
 */
#ifndef NET_PCAP_READER_H
#define NET_PCAP_READER_H

#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>

struct reader {
    pcap_t *pcap;                    /* NULL: closed */
    uint64_t read;                   /* frames so far */
    char why[PCAP_ERRBUF_SIZE + 64]; /* what was wrong, the end of a sentence */
};

struct reader_frame {
    const uint8_t *data;  /* until the next call */
    uint32_t caplen, len; /* bytes that are there, and that the frame had; caplen <= len */
    uint64_t when_ns;     /* since 1970; saturates */
};

/* Begins to read `file`, which becomes the reader's. 0, or -EINVAL with r->why. */
int reader_open(struct reader *r, FILE *file);
/* As reader_open() of the file at `path`; -errno with r->why. */
int reader_open_path(struct reader *r, const char *path);
void reader_close(struct reader *r);

/* 1 and *out; 0 at the end of the file; -EINVAL with r->why when it is broken here. */
int reader_next(struct reader *r, struct reader_frame *out);

#endif
