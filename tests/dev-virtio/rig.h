/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/rig.h - a driver for unit tests: it sets up a virtio device by either transport, and
 * puts chains into split or packed rings, right or wrong.
 *
 * Guest memory: queue n's rings at RIG_RING(n), its indirect tables at RIG_TABLE(n), data from
 * RIG_DATA on. A test of all four combinations is listed with RIG_EACH().
 */
#ifndef RIG_H
#define RIG_H

#include "fakes/host.h"
#include "fakes/pci.h"
#include "virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RIG_QUEUE_SIZE 16u
#define RIG_QUEUE_LARGE 128u /* rig_new_large(): more than a device shows used at once */
#define RIG_RING(n) (0x10000u + (n)*0x2000u)
#define RIG_DESC(n) RIG_RING(n)
#define RIG_DRIVER(n) (RIG_RING(n) + 0x800u)
#define RIG_DEVICE(n) (RIG_RING(n) + 0xa00u)
#define RIG_TABLE(n) (RIG_RING(n) + 0x1000u)
#define RIG_DATA 0x80000u

#define RIG_MMIO_BASE 0xd0000000u
#define RIG_IRQ 5u

struct rig_kind {
    uint32_t transport;
    int packed;
};
extern const struct rig_kind rig_kinds[4]; /* mmio split, mmio packed, pci split, pci packed */

/* What a queue's driver remembers. */
struct rig_queue {
    uint16_t next, used; /* split: indexes; packed: places */
    uint8_t wrap, used_wrap;
    uint16_t free_desc;             /* split: the next descriptor to use */
    uint16_t free_id;               /* packed */
    uint16_t slots[QUEUE_SIZE_MAX]; /* packed: of each id */
};

struct rig {
    struct rig_kind kind;
    struct fake_host *host;
    uint32_t devfn;
    uint64_t bar;
    uint16_t size; /* of each queue, entries */
    uint16_t reserved[3];
    void *context; /* the test's */
    struct rig_queue queues[VIRTIO_QUEUES_MAX];
};

/* A buffer of a chain. */
struct rig_buffer {
    uint64_t gpa;
    uint32_t len, writes;
};

/* Makes the device `model` with `config`, whose `virtio` it fills in. */
struct rig *rig_new(const char *model, void *config, const struct rig_kind *kind);
/* The same with queues of RIG_QUEUE_LARGE entries instead of RIG_QUEUE_SIZE. */
struct rig *rig_new_large(const char *model, void *config, const struct rig_kind *kind);
void rig_free(struct rig *r);

/* The transport's registers. */
uint8_t rig_status(struct rig *r);
void rig_set_status(struct rig *r, uint8_t status);
uint64_t rig_features(struct rig *r);
void rig_accept(struct rig *r, uint64_t features);
void rig_select(struct rig *r, uint32_t n);
void rig_size(struct rig *r, uint32_t size);
/* `area` QUEUE_DESC, ... */
void rig_address(struct rig *r, uint32_t area, uint64_t gpa);
void rig_enable(struct rig *r);
uint32_t rig_enabled(struct rig *r);
void rig_queue_reset(struct rig *r);
uint32_t rig_queue_resetting(struct rig *r);
void rig_notify(struct rig *r, uint32_t n);
uint32_t rig_config(struct rig *r, uint32_t offset, uint32_t width);
void rig_set_config(struct rig *r, uint32_t offset, uint32_t value, uint32_t width);
/* Interrupts of used buffers and of the configuration since the last call; acknowledges them. */
int rig_interrupted(struct rig *r, uint32_t n);
int rig_config_interrupted(struct rig *r);

/* Up to FEATURES_OK with `features`, VERSION_1 and the kind's RING_PACKED. */
void rig_negotiate(struct rig *r, uint64_t features);
/* Sets up and enables queue `n` with r->size entries. */
void rig_setup(struct rig *r, uint32_t n);
/* All of it: negotiation, `count` queues, DRIVER_OK. */
void rig_start(struct rig *r, uint64_t features, uint32_t count);

/* Makes a chain available; returns the id that its used entry will have. */
uint16_t rig_add(struct rig *r, uint32_t n, const struct rig_buffer *buffers, uint32_t count);
/* The same through an indirect table of `table_len` bytes. */
uint16_t rig_add_indirect(struct rig *r, uint32_t n, const struct rig_buffer *buffers,
                          uint32_t count, uint32_t table_len, uint16_t extra_flags);
/* Puts a raw descriptor, available at once: for what a driver would not do. */
void rig_add_raw(struct rig *r, uint32_t n, uint64_t gpa, uint32_t len, uint16_t flags,
                 uint16_t next);
/* Overwrites descriptor `index` of queue n's ring, flags as given. */
void rig_put_desc(struct rig *r, uint64_t at, uint64_t gpa, uint32_t len, uint16_t flags,
                  uint16_t next);
/* Takes the next used entry: 1, or 0 if there is none. Either may be NULL. */
int rig_used(struct rig *r, uint32_t n, uint16_t *id, uint32_t *len);
/* rig_add(), notify, and the used entry that must be there: its length. */
uint32_t rig_do(struct rig *r, uint32_t n, const struct rig_buffer *buffers, uint32_t count);

/* Fails the test unless the device needs a reset; resets it, and sees that it works no more until
 * then. */
void rig_expect_broken(struct rig *r);

uint8_t *rig_ram(struct rig *r, uint64_t gpa);

#define RIG_EACH(test, setup_, teardown_)                                                          \
    {#test "_mmio_split", test, setup_, teardown_, (void *)&rig_kinds[0]},                         \
        {#test "_mmio_packed", test, setup_, teardown_, (void *)&rig_kinds[1]},                    \
        {#test "_pci_split", test, setup_, teardown_, (void *)&rig_kinds[2]},                      \
    {                                                                                              \
#test "_pci_packed", test, setup_, teardown_, (void *)&rig_kinds[3]                        \
    }

#endif
