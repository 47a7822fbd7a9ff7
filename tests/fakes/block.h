/* SPDX-License-Identifier: MIT
 *
 * fakes/block.h - a disk in memory under the test's control: requests wait until it completes them,
 * or are completed by drain().
 */
#ifndef FAKES_BLOCK_H
#define FAKES_BLOCK_H

#include <backplane/block.h>

#define FAKE_BLOCK_PENDING 256u

struct fake_block {
    struct bp_block_info info;
    uint8_t *data; /* info.length bytes */
    int fails;     /* 0, or the status of each request from now on */
    int attached;
    int at_once; /* what is submitted completes in end() */
    int bracket; /* between begin() and end() */
    uint32_t pending_count;
    struct bp_block_request *pending[FAKE_BLOCK_PENDING];
    uint32_t seen[5];    /* requests by type */
    uint16_t last_flags; /* of the last request */
    const struct bp_block_port *port;
    void *port_self;
};

extern const struct bp_block fake_block_ops;

/* A disk of `length` bytes with sectors of 512 that can do everything. To be freed with
 * fake_block_free(). */
struct fake_block *fake_block_new(uint64_t length);
void fake_block_free(struct fake_block *b);
/* Does and completes what waits, the newest first if `backwards`; how many there were. */
uint32_t fake_block_complete(struct fake_block *b, int backwards);

#endif
