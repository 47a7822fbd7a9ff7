/* SPDX-License-Identifier: MIT
 *
 * machine/compare.h - what the files of bp_machine_compare() share.
 *
 * The machine itself runs under the first backend, one instruction at a time, and what its vCPU
 * asks of the world is written down: struct recording. A second backend has a VM of its own with a
 * copy of the memory and no devices, struct replica: it runs the same steps, and is answered what
 * was written down. Only core/machine includes it.
 *
 *     record.c   the first: its bus and interrupt controllers with a scribe in between
 *     replica.c  the second: its VM and registers, and its steps
 *     replica_repeat.c  its bus, which repeats
 *     replica_given.c  what the second does not run
 *     replica_memory.c, replica_chip.c, replica_watch.c, difference.c  parts of it
 *     compare.c  turns of some hundred steps, first one, then the other; what differs
 */
#ifndef MACHINE_COMPARE_H
#define MACHINE_COMPARE_H

#include "machine/machine_private.h"

#include <backplane/ext/debug.h>
#include <backplane/ext/x86.h>

#define TURN_STEPS 512u    /* of one turn, at most */
#define LINGER_STEPS 1040u /* more, where the second needs them: KVM repeats 1024 times at once */
#define TURN_EVENTS 8192u  /* a turn ends before there is no room for those of another step */
#define STEP_EVENTS 2048u
#define FPU_BYTES 832u /* x87, SSE and AVX, as XSAVE's standard format has them */
#define CODE_BYTES 16u
#define FRAME_BYTES 64u
#define MARKER_BYTES 64u
#define MARKER_PLACES 8u

/* What a vCPU asks of the world. */
enum event_kind {
    EVENT_PORT_READ,
    EVENT_PORT_WRITE,
    EVENT_MEMORY_READ,
    EVENT_MEMORY_WRITE,
    EVENT_APIC_READ, /* the page of the local APIC */
    EVENT_APIC_WRITE,
    EVENT_MSR_READ, /* of the local APIC's */
    EVENT_MSR_WRITE,
    EVENT_CR8_READ,
    EVENT_CR8_WRITE,
    EVENT_INTERRUPT, /* one was taken; value: its vector */
    EVENT_TAKE,      /* NMI, INIT or SIPI; address: the bits asked for, value: those taken */
    EVENT_FERR,      /* FERR# is told; value: its level, result: IGNNE# */
};

struct event {
    uint32_t kind; /* enum event_kind */
    uint32_t width;
    uint64_t address, value;
    int32_t result;  /* of the controllers' functions */
    uint32_t vector; /* EVENT_TAKE: SIPI's */
};

/* The vCPU after a step. */
struct state {
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;
    uint8_t code[CODE_BYTES]; /* of the instruction that was run; zeroes where it cannot be read */
    uint32_t code_bytes;
    uint32_t end;  /* events[] up to here came by this step and those before it */
    uint32_t stop; /* BP_STOP_* that vcpu_run() gave */
    uint32_t has_fpu;
    uint32_t is_delivery; /* the step was one of an exception or interrupt */
    uint32_t frame_bytes;
    uint64_t frame_gpa;
    uint8_t frame[FRAME_BYTES]; /* of a delivery or PUSHF: what lies on the stack since */
    uint8_t fpu[FPU_BYTES];
};

/* Where text appears: one address that single bytes are written to. */
struct marker_place {
    uint64_t address;
    uint32_t kind, used;
    char last[MARKER_BYTES]; /* the bytes before now, the newest at the end */
};

struct recording {
    struct bp_machine *machine;
    struct bp_bus bus;      /* the machine's own */
    struct bp_irqchip chip; /* likewise, if it has one */
    struct bp_debug debug;  /* of the first backend */
    struct event *events;   /* TURN_EVENTS */
    struct state *states;   /* TURN_STEPS */
    uint32_t event_count, state_count;
    struct state before; /* the first state of the turn */
    const char *marker;
    uint32_t marker_bytes;
    bool active; /* a step runs: what is asked is written down */
    bool ended;  /* the machine has: nothing comes after the last state */
    bool by_tf;  /* so the second steps: a turn ends where such a step does */
    bool marker_met;
    uint64_t flags_at; /* where arithmetic flags alone first differed */
    uint64_t flags_differ;
    bool overflow; /* one step asked for more than STEP_EVENTS */
    struct marker_place places[MARKER_PLACES];
    uint32_t place_count;
};

/* Ends a step that does not end. */
struct watch {
    pthread_t thread;
    struct wake wake; /* to its end */
    struct bp_vcpu *vcpu;
    uint32_t seconds;
    uint64_t step; /* atomic; written by the vCPU's thread */
    bool over;     /* atomic: no step came */
    bool open;
};

struct replica {
    struct bp_node node; /* first: the host's functions get it */
    struct bp_host host;
    struct bp_machine *machine;
    const struct model *model;
    const struct bp_cpu_ops *ops;
    struct bp_debug debug;
    void *vm;
    struct vcpus *vcpus;
    struct bp_bus bus;
    struct bp_irqchip chip;
    struct bp_peer chip_peer;
    uint32_t generation, pending; /* atomic */
    uint64_t deadline_ns, apic_base;
    struct bp_irqchip_vcpu user; /* what the backend gave to attach() */
    struct bp_mem_slot slots[64];
    struct bp_mem_slot first_slots[64]; /* those of the machine that they are copies of */
    uint32_t slot_count;
    bool own_chip; /* its interrupt controllers are its own: they are left alone */
    bool active;   /* a step runs: what is asked is repeated */
    const struct recording *recording;
    uint32_t at, limit;   /* events[at, limit) may be repeated now */
    uint32_t from;        /* the first event of the step */
    struct event differs; /* what was asked instead of events[at] */
    uint32_t differs_at;
    bool has_differed;
    struct watch watch;
    struct error why; /* why it could not be made */
};

/* What differs, and where: after step `step` of the turn. */
struct difference {
    uint32_t step;
    bool found;
    char text[1024]; /* lines */
};

/* ---- compare.c ------------------------------------------------------------------------------ */

/* Did devices write to memory in this turn? [any] */
bool compare_has_writes(const struct bp_machine *m);

/* ---- record.c ------------------------------------------------------------------------------- */

/* Puts the scribe into the machine's tables, before its vCPU runs. 0 or -errno. [main] */
int record_begin(struct recording *r, struct bp_machine *m);
void record_end(struct recording *r);
/* Runs up to `steps` steps on the machine's vCPU, from where it stands: fills states and events.
 * 0 or -errno; r->state_count may be less, or 0 when the machine has ended. [main] */
int record_turn(struct recording *r, uint32_t steps);
/* The registers of a vCPU, and FPU state if `fpu`. 0 or -errno. [vcpu] */
int record_state(struct bp_vcpu *vcpu, struct state *s, bool fpu);

/* ---- replica.c ------------------------------------------------------------------------------ */

/* Makes the second VM with the first's memory and registers as they are now, which stands. A step
 * of its may last `patience_s` seconds. -errno, and why in r->why. [main] */
int replica_new(struct bp_machine *m, const struct model *model, const struct recording *recording,
                uint32_t patience_s, struct replica *r);
void replica_free(struct replica *r);
/* Repeats the recording's turn until it has run out or something differs, which *out then says. 0,
 * or -errno with r->why. [main] */
int replica_turn(struct replica *r, struct recording *recording, struct difference *out);

/* ---- replica_repeat.c ----------------------------------------------------------------------- */

extern const struct bp_bus replica_bus; /* `generation` is the replica's to set */
/* This thread is the vCPU's: what it asks of the bus is asked by `r`. [vcpu] */
void replica_adopt(struct replica *r);

/* The recorded event that this one is, or NULL: it differs, which is noted. Outside a step one of
 * zeroes. [vcpu] */
const struct event *replica_repeat(struct replica *r, enum event_kind kind, uint64_t address,
                                   uint64_t value, uint32_t width);

/* FERR# of the second is told: gives IGNNE#. [vcpu] */
uint32_t replica_ferr(const struct replica *r, uint32_t level);

/* What the second asked of the world in a step that ends with event `end` and the first did not, or
 * the other way round. [vcpu] */
void replica_compare_events(struct replica *r, struct difference *d, uint32_t end);

/* ---- replica_given.c ------------------------------------------------------------------------ */

/* Of the instruction that was run its opcode, past legacy and REX prefixes; `left` bytes of it. */
const uint8_t *state_opcode(const struct state *s, uint32_t *left);
/* RDTSC, RDTSCP, RDPMC, RDRAND, RDSEED, RDMSR of the TSC: what they give is the first's. */
bool state_reads_the_world(const struct state *s, const struct bp_x86_gpr *before);
/* Was the step from `from` to `s` a task switch, or to a more privileged ring? */
bool state_enters_task(const struct state *from, const struct state *s);
bool state_enters_ring(const struct state *from, const struct state *s);
/* Does a second that steps by TF not run the step from `from` to `s`? */
bool replica_is_given(const struct recording *first, const struct state *from,
                      const struct state *s);
/* Gives it the registers of `s` instead, and what lies on the stack. 0 or -errno. [vcpu] */
int replica_give(struct replica *r, struct bp_vcpu *v, const struct state *s);

/* ---- replica_watch.c ------------------------------------------------------------------------ */

/* A step may last `seconds`. watch->vcpu is set. 0 or -errno. [main] */
int watch_open(struct watch *w, uint32_t seconds);
void watch_close(struct watch *w);
/* A step begins, and has ended. [vcpu] */
void watch_begins(struct watch *w);
void watch_ends(struct watch *w);
/* Has a step lasted too long? The vCPU was kicked then. [vcpu] */
bool watch_is_over(const struct watch *w);

/* ---- replica_memory.c ----------------------------------------------------------------------- */

/* A device wrote to the machine's memory: so it is in the copy. [main] */
void replica_written(struct replica *r, uint64_t gpa, uint64_t bytes);
/* Copies memory, where the machine's memory map has changed. [main] */
int replica_follow(struct replica *r);
/* The host address of guest memory there, if all of it is in one slot; else NULL. [vcpu] */
uint8_t *replica_memory(const struct replica *r, uint64_t gpa, uint64_t bytes);
/* Takes all of it from the backend, and frees it. [main] */
void replica_forget_memory(struct replica *r);

/* ---- replica_chip.c ------------------------------------------------------------------------- */

extern const struct bp_irqchip replica_chip; /* `self` is the replica */

/* ---- difference.c --------------------------------------------------------------------------- */

/* Adds a line. */
void difference_add(struct difference *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds what differs. */
void difference_gpr(struct difference *d, const struct bp_x86_gpr *a, const struct bp_x86_gpr *b);
void difference_states(struct difference *d, const struct state *a, const struct state *b);

#endif
