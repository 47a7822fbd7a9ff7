/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/ring/queue.h - a virtqueue, split or packed (virtio 1.2, 2.6 to 2.8), as devices use
 * it: take a chain of buffers, read from it, write to it, give it back.
 *
 * The guest may change any of its memory at any time. Descriptors are therefore copied once, by
 * chain.c, and checked in the copy; nothing is read again. Every address goes through the host's
 * DMA functions, which refuse what is not RAM. A queue never has more buffers under way than it has
 * entries, so that no queue makes the device work or remember without bound.
 *
 * All functions are [dom].
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <backplane/host.h>

#define QUEUE_SIZE_MAX 256u /* entries */
#define QUEUE_STAGED 64u    /* buffers that become used at the same moment, at most */

/* The feature bits that concern rings (6). */
#define VIRTIO_F_INDIRECT_DESC 28u
#define VIRTIO_F_EVENT_IDX 29u
#define VIRTIO_F_VERSION_1 32u
#define VIRTIO_F_RING_PACKED 34u
#define VIRTIO_F_IN_ORDER 35u
#define VIRTIO_F_RING_RESET 40u

/* One buffer of a chain, as it was when it was copied. */
struct segment {
    uint64_t gpa;
    uint32_t len;
    uint32_t reserved;
};

/* A chain that the device has taken: first what it may read, then what it may write (2.6.4.2). */
struct chain {
    uint16_t id;                 /* what the used ring shall say */
    uint16_t slots;              /* packed: places in the ring that it took; split: 1 */
    uint16_t readable, writable; /* segments of either kind */
    uint32_t readable_bytes, writable_bytes;
    struct segment segments[QUEUE_SIZE_MAX];
};

struct queue_used {
    uint16_t id, slots;
    uint32_t written; /* bytes */
};

/* Where a queue stands; queue_rewind() goes back there. */
struct queue_mark {
    uint32_t staged_count;
    uint16_t next_avail, in_flight;
    uint8_t avail_wrap;
};

struct queue {
    const struct bp_host *host;
    struct bp_node *node;
    const char *error; /* after -EPROTO: which rule the guest broke, a sentence */

    /* As the driver configured it. Guest-physical: descriptor table or ring, driver area (available
     * ring or driver event suppression), device area (used ring or device event suppression). */
    uint64_t desc, driver, device;
    uint16_t size, max_size; /* entries */
    uint16_t vector;         /* MSI-X */
    uint8_t enabled;
    uint8_t packed, event_idx, indirect; /* negotiated */
    uint8_t resetting;                   /* queue reset asked for, buffers still under way */

    /* Split: counts of entries since the queue was enabled, modulo 2^16. Packed: places in the
     * ring, with the wrap counters (2.8.1). */
    uint8_t avail_wrap, used_wrap;
    uint16_t next_avail, next_used;
    uint16_t in_flight; /* chains (split) or places (packed) taken and not given back */
    uint32_t
        unsignalled; /* entries made used since the last interrupt, or since it was suppressed */

    uint32_t staged_count;
    struct queue_used staged[QUEUE_STAGED];
};

/* Sets all but host, node and max_size to what they are at reset. */
void queue_reset(struct queue *q);
/* Checks size, alignment and place of a queue that the driver wants enabled, and enables it.
 * -EINVAL with q->error if it cannot be (2.6: a power of two; 2.8.10.1: packed, any size). */
int queue_enable(struct queue *q, uint64_t features);
/* Checks the numbers of a queue that a snapshot brought, its addresses' alignment among them:
 * -EINVAL if they cannot be. */
int queue_check(const struct queue *q);

/* Takes the next available chain into *out: 1; 0 if there is none; -EPROTO if the guest broke the
 * rules of the ring: DEVICE_NEEDS_RESET is due then, with q->error. */
int queue_pop(struct queue *q, struct chain *out);
struct queue_mark queue_mark(const struct queue *q);
/* Undoes every pop and every stage since `mark`; nothing may have been published since. */
void queue_rewind(struct queue *q, const struct queue_mark *mark);
/* The driver shall notify when buffers come. Nonzero if some are there already. */
int queue_arm(struct queue *q);

/* Says that a taken chain is done, with `written` bytes from its start of the writable part. The
 * driver sees it after queue_publish(). -ENOSPC beyond QUEUE_STAGED. */
int queue_stage(struct queue *q, uint16_t id, uint16_t slots, uint32_t written);
/* Shows the driver all that is staged, at once. 1 if it wants an interrupt, 0 if not; -EPROTO. */
int queue_publish(struct queue *q);

/* Copies from the readable, or to the writable, part at byte `offset`. Returns how many bytes there
 * were, up to `len`; -EFAULT if a segment is not in RAM (what precedes it has been copied). */
int64_t chain_read(const struct queue *q, const struct chain *c, uint32_t offset, void *to,
                   uint32_t len);
int64_t chain_write(const struct queue *q, const struct chain *c, uint32_t offset, const void *from,
                    uint32_t len);

#define CHAIN_READABLE 0u
#define CHAIN_WRITABLE 1u

/* A stretch of guest memory that is mapped (dma_map). */
struct chain_map {
    void *data;
    uint64_t len;
};

/* Maps `len` bytes at `offset` of one part, all or nothing: returns the number of stretches, at
 * most `max`; -EFAULT if it is not all RAM, -E2BIG. */
int chain_map(const struct queue *q, const struct chain *c, uint32_t part, uint32_t offset,
              uint32_t len, struct chain_map *out, uint32_t max);
/* Ends the mappings; the first `written` bytes of them were changed. */
void chain_unmap(const struct queue *q, const struct chain_map *maps, uint32_t count,
                 uint64_t written);

/* ---- between the files of ring/ ---- */

/* Aligned little-endian words of guest memory that the driver accesses at the same time: one
 * access, sequentially consistent, as each side writes one word and then reads the other's. -EFAULT
 * unless it is RAM. */
int ring_load16(const struct queue *q, uint64_t gpa, uint16_t *out);
int ring_store16(const struct queue *q, uint64_t gpa, uint16_t value);

int chain_from_split(struct queue *q, uint16_t head, struct chain *out);
int chain_from_packed(struct queue *q, struct chain *out);

int split_pop(struct queue *q, struct chain *out);
int split_arm(struct queue *q);
int split_publish(struct queue *q);
int packed_pop(struct queue *q, struct chain *out);
int packed_arm(struct queue *q);
int packed_publish(struct queue *q);

/* What the packed ring's flags say of a descriptor (2.8.1). */
#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define DESC_F_INDIRECT 4u
#define DESC_F_AVAIL 0x80u
#define DESC_F_USED 0x8000u

#define DESC_BYTES 16u

#endif
