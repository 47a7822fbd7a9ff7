/* SPDX-License-Identifier: MIT
 *
 * mmu/rig.h - processors without instructions: an engine whose memory, bus and page tables are
 * there, and nothing else. What the rest of the engine would do (raise, drop blocks) is noted.
 */
#ifndef TESTS_MMU_RIG_H
#define TESTS_MMU_RIG_H

#include "engine.h"
#include "mmu/access.h"
#include "remote.h"

#define RIG_CPUS 4u
#define RAM_BYTES 0x1000000u
#define ROM_BASE 0xfff00000u
#define ROM_BYTES 0x10000u
/* Remembers what is written to it; what else is no memory reads as ones. */
#define MMIO_BASE 0xd0000000u
#define MMIO_BYTES 0x4000u
#define APIC_BASE 0xfee00000u

/* Where the tables are that rig_paging() and rig_map() make. */
#define TABLE_PML4 0x10000u
#define TABLE_PDPT 0x11000u
#define TABLE_PD 0x12000u
#define TABLE_PT 0x13000u

#define P 0x1u
#define W 0x2u
#define U 0x4u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define G 0x100u
#define NX ((uint64_t)1 << 63)

enum paging { NONE, LEGACY, PAE, LONG };

struct rig_access {
    bool write;
    uint32_t width;
    uint64_t gpa, value;
};

struct rig {
    struct engine e;
    struct cpu *cpu[RIG_CPUS];
    uint8_t *ram, *rom;
    uint8_t mmio[MMIO_BYTES];
    struct rig_access access[32];
    uint32_t accesses;
    uint32_t apic_accesses, deadlines;
    uint32_t smc_calls;
    uint64_t smc_gpa;
    uint32_t smc_bytes;
    uint32_t jumps[RIG_CPUS], drop_all[RIG_CPUS], drops[RIG_CPUS]; /* calls */
    uint32_t chunks[RIG_CPUS];                                     /* all that were dropped */
    uint32_t mode_changes;
    /* Called in the middle of an access to the bus, if not NULL. */
    void (*in_bus)(struct rig *r, struct cpu *c);
    struct cpu *bus_cpu;
    void *context;
    const char *log;
};

struct rig *rig_create(uint32_t cpus);
void rig_destroy(struct rig *r);
/* Gives processor 0 a local APIC at APIC_BASE that answers all with 0x5a. */
void rig_chip(struct rig *r);

/* 64-bit mode, 32-bit protected mode, ...: control registers of the first processor; CPL 0. */
struct cpu *rig_paging(struct rig *r, enum paging paging);
/* Maps the page of `la` at `gpa` with `entry`'s flags at every level; `shift` 12, 21, 22 or 30.
 * Returns how many entries there are; their addresses from the root in where[]. */
uint32_t rig_map(struct rig *r, uint64_t la, uint64_t gpa, uint32_t shift, uint64_t flags,
                 uint64_t where[4]);

void rig_poke(struct rig *r, uint64_t gpa, uint64_t value, uint32_t bytes);
uint64_t rig_peek(const struct rig *r, uint64_t gpa, uint32_t bytes);

/* One call of the room, with what may leave it by longjmp(). The vector that it raised, or -1. */
enum call_kind {
    LOAD,
    STORE,
    FETCH,
    LOAD_BYTES,
    STORE_BYTES,
    PROBE_READ,
    PROBE_WRITE,
    RW,
    RUN,
    LD_SYSTEM,
    ST_SYSTEM,
    EA,
    SEGMENT
};

struct call {
    enum call_kind kind;
    uint8_t seg;
    uint32_t access, size;
    uint64_t la;    /* or offset */
    uint64_t value; /* in and out; selector */
    void *bytes;    /* in and out */
    const struct uop *u;
};

int rig_call(struct cpu *c, struct call *call);
/* The same in one line. */
int rig_load(struct cpu *c, uint64_t la, uint32_t size, uint64_t *value);
int rig_store(struct cpu *c, uint64_t la, uint64_t value, uint32_t size);

#endif
