/* SPDX-License-Identifier: MIT
 *
 * validate/world.h - the host that a plugin under validation sees.
 *
 * It lives in a process of its own and never returns an error to a check that found one: verdict()
 * writes the sentence where the parent reads it, and ends the process. So a rule of the ABI that is
 * broken deep inside a callback needs no way back, and what the plugin left behind does no harm.
 *
 * It is not the fake host of the unit tests: that one serves assertions of one test about one
 * instance on one thread; this one has several instances, threads, hostile far ends, guest memory
 * with guard pages, and reports instead of asserting. Common to both is the ABI only.
 */
#ifndef VALIDATE_WORLD_H
#define VALIDATE_WORLD_H

#include "machine/arena.h"
#include "plugin/plugin.h"

#include <backplane/ext/machine_control.h>
#include <pthread.h>
#include <stdbool.h>

#define WORLD_RAM_BYTES (4u << 20) /* from guest-physical 0, a guard page behind it */
#define WORLD_TIMERS 64u
#define WORLD_WATCHES 64u
#define WORLD_REGIONS 64u
#define WORLD_MAPS 64u
#define WORLD_PEERS 8u
#define WORLD_LINES 64u
#define INPUT_MAX 4096u /* bytes of one input of fuzzing */

/* What the process of a check and its parent share. */
struct shared {
    uint64_t progress; /* atomic; grows with every call into the plugin */
    uint32_t verdict;  /* atomic; VERDICT_* */
    uint32_t input_len;
    char doing[256]; /* the call that is under way, for when it does not come back */
    char text[1024];
    uint8_t input[INPUT_MAX];
    uint64_t executions, edges, edges_seen, corpus;
};

#define VERDICT_NONE 0u
#define VERDICT_PASS 1u
#define VERDICT_FAIL 2u
#define VERDICT_SKIP 3u

/* Bytes that decide what happens: random ones, or an input's until it ends. */
struct tape {
    const uint8_t *data; /* NULL: random */
    uint64_t len, at;
    uint64_t state; /* of the generator */
    bool ended;     /* an input has no more; zeroes come */
};

struct bp_region {
    struct bp_node *node;
    uint32_t space, flags;
    uint64_t base; /* atomic */
    uint64_t length;
    struct bp_region_ops ops;
    void *self;
    uint8_t *ram; /* memory, or NULL */
    bool bar;     /* the guest places it: always there */
};

struct watch {
    int fd;
    uint32_t events, generation;
    void (*ready)(void *self, int fd, uint32_t events);
    void *self;
};

struct map {
    uint8_t *at;
    uint64_t length;
    pthread_t thread;
    bool in_domain;
};

struct peer;
struct pci_bus;

/* An instance of the plugin, or the far end of one (then `peer` is set). */
struct bp_node {
    struct world *world;
    const char *name;
    const struct model *model;
    struct peer *peer;
    struct bp_node *domain; /* the node whose lock this one uses: a far end's owner */
    void *self;
    struct bp_instance_ops ops;
    void *config;
    struct plan_arena *arena;
    struct tape *tape; /* what far ends decide by: `far`, or the input; NULL: they are willing */
    struct tape far;

    pthread_mutex_t lock; /* the domain */
    uint64_t owner;       /* atomic; the thread inside, as pthread_self() gives it; 0: none */
    bool running;
    bool placed;    /* by a key of its own, where on PCI it is: no fault of the plugin */
    bool restoring; /* its configuration space was loaded: reset() is that of loading */
    uint32_t depth; /* of calls into a backend under test: its port must not be called back */

    struct bp_region *regions[WORLD_REGIONS];
    uint32_t region_count;
    struct watch watches[WORLD_WATCHES];
    uint32_t generation;
    uint64_t timers[WORLD_TIMERS]; /* atomic; UINT64_MAX: not armed */
    struct map maps[WORLD_MAPS];
    struct bp_node *peers[WORLD_PEERS];
    uint32_t peer_count;
    uint32_t lines[WORLD_LINES]; /* atomic; levels that it holds */
    pthread_mutex_t tables;      /* watches and maps, for plugins with threads */
    struct pci_bus *pci;         /* once it has asked for one, or NULL */
    bool no_master;              /* atomic; on PCI, and no function may do DMA */
    uint64_t dma_count;          /* atomic */
    uint64_t failures;           /* atomic; calls of fail() */
    char failure[512];

    /* What reads gave, to compare two instances by. */
    struct seen *seen;
    uint32_t seen_count, seen_max;

    /* A backend's, that the check drives: what it offers, and the port it was given. */
    const void *backend;
    uint32_t backend_kind;
    struct port *port;
};

struct seen {
    const struct bp_region *region;
    uint64_t offset, value;
    uint32_t width, reserved;
};

struct world {
    struct shared *shared;
    const struct model *model;
    const char *folder; /* for files and sockets of the check */
    const struct validate_setting *settings;
    uint32_t setting_count;
    pthread_t main_thread;
    uint64_t now_ns; /* atomic */
    uint8_t *ram;
    bool dma_dead; /* all of guest memory is refused, as of a PCI device without bus mastering */
    bool threads;  /* other threads call the plugin too */
    const struct bp_prop *given; /* an optional key that is given a value all the same, or NULL */
    uint64_t seed;
};

/* ---- verdicts -------------------------------------------------------------------------------- */

/* Ends the process with what the check found. */
_Noreturn void verdict(struct world *w, uint32_t what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define world_fail(w, ...) verdict(w, VERDICT_FAIL, __VA_ARGS__)
#define world_skip(w, ...) verdict(w, VERDICT_SKIP, __VA_ARGS__)
#define world_pass(w) verdict(w, VERDICT_PASS, "%s", "")

/* Notes the call into the plugin that comes next. */
void doing(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- random ---------------------------------------------------------------------------------- */

void tape_random(struct tape *t, uint64_t seed);
void tape_input(struct tape *t, const uint8_t *data, uint64_t len);
uint8_t tape_byte(struct tape *t);
uint64_t tape_bits(struct tape *t, uint32_t bytes);
uint64_t tape_below(struct tape *t, uint64_t bound); /* 0 if bound is 0 */

/* ---- life ------------------------------------------------------------------------------------ */

struct world *world_new(struct shared *shared, const struct model *model, const char *folder,
                        uint64_t seed);

/* A node with the model's config in it, far ends for the backends that it names included. `key` and
 * `text` replace the value of one key (NULL: none). NULL and *why, if the host refuses the values.
 */
struct bp_node *node_new(struct world *w, const char *key, const char *text, struct error *why);
/* create() and what follows it: a negative errno as create() gave it, its sentence in
 * node->failure. Breaking a rule is told by verdict(). */
int node_create(struct bp_node *n);
void node_reset(struct bp_node *n, uint32_t kind);
int node_start(struct bp_node *n);
void node_stop(struct bp_node *n);
void node_destroy(struct bp_node *n);
void node_free(struct bp_node *n);
/* All of these up to start(); ends the check with SKIP if the values that the validator chose are
 * refused. Gives a running instance. */
struct bp_node *node_running(struct world *w, struct tape *tape);
void node_end(struct bp_node *n); /* stop, destroy, free */

/* The plugin's code runs between these. */
void node_enter(struct bp_node *n);
void node_leave(struct bp_node *n);
/* Whether the caller is inside; `n` is the domain's own node. [any] */
bool node_is_inside(const struct bp_node *n);
/* Fails unless the caller is inside the node's domain, or nothing runs and it is the main thread.
 * `what` is the function that the plugin called. */
void must_be_inside(struct bp_node *n, const char *what);

/* Fails unless nothing runs and it is the main thread. */
void must_be_main(struct bp_node *n, const char *what);

extern const struct bp_host world_host; /* host.c */

/* Whether the guest can reach the region. [any] */
bool region_is_mapped(const struct bp_region *r);

/* Fires every timer that is due up to `ns` from now, in order, then that is the time. */
void world_advance(struct bp_node *n, uint64_t ns);
/* Calls what is ready; how many calls. */
uint32_t world_poll(struct bp_node *n, int timeout_ms);
bool world_armed(const struct bp_node *n);

/* ---- far ends and backends (peers.c) --------------------------------------------------------- */

/* A far end that offers `id`, for `owner`; NULL if the validator has none of this id. */
struct bp_node *peer_new(struct bp_node *owner, const char *id);
void peer_free(struct bp_node *peer);
int peer_find(struct bp_node *peer, const char *id, struct bp_peer *out);
int peer_link(struct bp_node *peer, const char *id, const void *port, void *port_self,
              struct bp_peer *out);
/* Something comes from the far end: input, an event, completions. */
void peer_act(struct bp_node *n, struct tape *t);
/* Before stop(): disks have done what they were asked. */
void peers_quiesce(struct bp_node *n);
/* Brings all far ends into the same state: somebody is there, before a window of one
 * size, the line is up, nothing is owed. The instance runs. */
void peers_settle(struct bp_node *n);
/* Makes what far ends remember equal: none waits for a resume(), `to`'s owe what `from`'s do. */
void peers_equal(struct bp_node *to, struct bp_node *from);

/* Attaches a port of the validator's to the backend under test; a second one must be refused. */
void backend_attach(struct bp_node *n);
/* Uses the backend as a device would. */
void backend_act(struct bp_node *n, struct tape *t);
/* With reset(): the device at its other end is reset as well. */
void backend_reset(struct bp_node *n);
/* Before stop(): what must have come to an end. */
void backend_quiesce(struct bp_node *n);

/* ---- PCI (pci.c) ----------------------------------------------------------------------------- */

/* The table of "bp.pci/1"; NULL: out of memory. */
const void *world_pci(struct bp_node *n);
void world_pci_created(struct bp_node *n); /* after create() */
void world_pci_reset(struct bp_node *n);   /* before reset() */
void world_pci_destroy(struct bp_node *n); /* before destroy() */
void world_pci_free(struct bp_node *n);
/* Configuration space is the host's, so that a snapshot has it without the device. */
void world_pci_copy(struct bp_node *to, const struct bp_node *from);
/* What firmware and a driver's first lines do. The instance runs. */
void world_pci_start(struct bp_node *n);
/* An access to configuration space. */
void world_pci_act(struct bp_node *n, struct tape *t);

/* ---- driving (drive.c) ----------------------------------------------------------------------- */

/* Up to `count` things that can happen to a running instance, as `t` says; ends with the tape. */
void drive(struct bp_node *n, struct tape *t, uint32_t count);
/* One access of the guest's to region `r`, taken at the width that the bus would give. */
uint64_t drive_read(struct bp_region *r, uint64_t offset, uint32_t width);
void drive_write(struct bp_region *r, uint64_t offset, uint64_t value, uint32_t width);
/* Notes what a read gave; `r` NULL: of configuration space. */
void note(struct bp_node *n, const struct bp_region *r, uint64_t offset, uint32_t width,
          uint64_t value);

/* ---- DMA (rings.c) --------------------------------------------------------------------------- */

/* Whether a region that the guest can reach tells what a driver puts into which register. */
bool rings_known(const struct bp_node *n);
/* Makes structures in guest memory and leads the device to them, or lets it go on. */
void rings_act(struct bp_node *n, struct tape *t);

/* ---- state (state.c) ------------------------------------------------------------------------- */

struct record {
    char *name;
    uint8_t *data;
    uint64_t len;
    bool field; /* of the model's table, not of save() */
};

struct state {
    struct record *records;
    uint32_t count, capacity;
};

bool state_has(const struct model *m);
void state_take(struct bp_node *n, struct state *s); /* the node is stopped */
/* reset(COLD), fields, load(), after_load(): the first error, or 0. The node is stopped. */
int state_put(struct bp_node *n, const struct state *s);
/* The first record that differs, described; NULL if none does. */
const char *state_difference(const struct state *a, const struct state *b, char *text, size_t room);
void state_free(struct state *s);

#endif
