/* SPDX-License-Identifier: MIT
 *
 * fakes/host_private.h - the fake host from the inside, for its own files only.
 */
#ifndef FAKES_HOST_PRIVATE_H
#define FAKES_HOST_PRIVATE_H

#include "fakes/host.h"
#include "fakes/normal.h"

#include <backplane/ext/pci.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define REGIONS_MAX 32
#define WATCHES_MAX 32
#define BELLS_MAX 32
#define TIMERS_MAX 16
#define PIO_PORTS 0x10000u

struct bp_region {
    struct fake_host *host;
    uint32_t space, flags;
    uint64_t base, length; /* base BP_UNMAPPED: nowhere */
    uint64_t serial;       /* of the last mapping: of BARs the earlier wins */
    bool is_bar;
    const struct bp_region_ops *ops; /* NULL: memory at `ram` */
    void *self;
    uint8_t *ram;
};

/* An instance under test, or a peer that the test made. */
struct bp_node {
    struct fake_host *host; /* NULL: a peer */
    const char *id;
    const void *ops, *port;
    void *self, *port_self;
    struct bp_node *linked_by; /* a peer: the instance whose port this is */
    struct bp_node *next;
};

struct watch {
    int fd;
    uint32_t events, generation;
    void (*ready)(void *self, int fd, uint32_t events);
    void *self;
};

/* A doorbell: ring_fd(). */
struct bell {
    struct bp_region *region;
    uint64_t offset, value;
    uint32_t width;
    int fd;
};

struct fake_host {
    struct bp_node node;
    const struct bp_model *model;
    struct bp_instance_ops ops, wrapped;
    void *self;
    struct fake_host *next;
    int setting_up; /* [main] functions may be called */
    int running;
    unsigned depth; /* callbacks of the instance that are active */

    struct bp_region regions[REGIONS_MAX];
    unsigned region_count;
    uint64_t next_serial;
    struct watch watches[WATCHES_MAX];
    uint32_t generation;
    int epoll;
    uint64_t timers[TIMERS_MAX]; /* UINT64_MAX: not armed */
    uint64_t now_ns, utc_ns;
    uint8_t *ram;
    void *maps[1024]; /* of dma_map(), until dma_unmap() */
    unsigned map_count;

    struct bell bells[BELLS_MAX]; /* fd 0: none */
    struct fake_pci *pci;         /* pci.c's */
    bool masters_off;             /* dma_*() find no memory */
    uint64_t rom_gpa, rom_len;    /* memory that they do not write */
    void (*after_dma_read)(struct fake_host *h, uint64_t gpa, uint64_t len);

    uint8_t irq[FAKE_IRQS];
    uint32_t edges[FAKE_IRQS];
    uint64_t msi_address;
    uint32_t msi_data;
    unsigned msi_count;
    uint32_t request, request_code;
    /* Written on any thread, looked at under the lock. */
    pthread_mutex_t log_lock;
    char log[1024], log_seen[1024];
    uint32_t log_level;
    unsigned log_count;
};

/* ---- table.c ---- */

extern const struct bp_host fake_host_table;
extern char fake_failure_text[1024]; /* a test program's, not a plugin's: what fail() was given */
/* Fails the test if `what` is called while the guest runs. */
void fake_must_be_main(struct bp_node *node, const char *what);
struct bp_region *fake_new_region(struct bp_node *node, uint32_t space, uint64_t length);
int fake_in_ram(uint64_t gpa, uint64_t len);
int fake_watch(struct bp_node *node, int fd, uint32_t events,
               void (*ready)(void *self, int fd, uint32_t events), void *self);

/* ---- doorbells.c ---- */

/* The table, if they are offered. */
const void *fake_doorbell_extension(void);
/* Rings the bell that the write is for: 1, or 0 if there is none. */
int fake_ring(struct fake_host *h, const struct bp_region *region, uint64_t offset, uint64_t value,
              uint32_t width);

/* ---- guest.c ---- */

/* Around every callback of the instance. */
void fake_enter(struct fake_host *h);
void fake_leave(struct fake_host *h);

/* ---- pci.c ---- */

const void *fake_pci_extension(struct fake_host *h);
/* What create() has set up is the power-on state; then a reset. */
void fake_pci_power_on(struct fake_host *h);
void fake_pci_reset(struct fake_host *h);
void fake_pci_end_fds(struct fake_host *h);
void fake_pci_free(struct fake_host *h);
void fake_pci_move_state(struct fake_host *from, struct fake_host *to);

#endif
