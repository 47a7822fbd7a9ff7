/* SPDX-License-Identifier: MIT
 *
 * net-pcap/blocks.h - a reader of pcapng of the tests' own, for what libpcap's does not show.
 */
#ifndef TESTS_NET_PCAP_BLOCKS_H
#define TESTS_NET_PCAP_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define BLOCKS_MAX 20000u

struct block {
    uint32_t type, len;
    const uint8_t *data; /* the whole block */
    size_t options;      /* offset of its options */
};

struct blocks {
    uint8_t *file;
    size_t len;
    struct block *blocks;
    uint32_t count, packets;
};

/* Reads a file, and fails the test unless it is whole blocks of pcapng with both their lengths. */
void blocks_read(struct blocks *b, const char *path);
void blocks_free(struct blocks *b);

/* The n-th packet, from 0. */
const struct block *blocks_packet(const struct blocks *b, uint32_t n);
/* The n-th block of a type, or NULL. */
const struct block *blocks_of(const struct blocks *b, uint32_t type, uint32_t n);
/* An option's value, or NULL; *len may be NULL. */
const uint8_t *block_option(const struct block *block, uint32_t code, uint32_t *len);
/* An option that is a text, "" if there is none. Good until the next call. */
const char *block_text(const struct block *block, uint32_t code);
/* An option of 32 or 64 bits, 0 if there is none. */
uint64_t block_number(const struct block *block, uint32_t code);
uint64_t packet_time(const struct block *packet);

/* How many frames libpcap reads of a file, pcap or pcapng; -1 if it ends with an error. */
int64_t count_frames(const char *path);

#endif
