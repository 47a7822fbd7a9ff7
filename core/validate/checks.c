/* SPDX-License-Identifier: MIT
 *
 * validate/checks.c - the list of checks, and those of one instance at a time but its properties.
 *
 * Each runs in a process of its own, against a world of its own, and ends by a verdict. What is
 * random comes from the seed of the world. Bounds are fixed, or, like the number of lives, nothing
 * depends on them, so that a seed says it all.
 */
#include "validate/check.h"

#include "plugin/normalise.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/irqchip.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LIVES_FIRST 20u
#define LIVES 1000u
/* Of those that take longer than LIFE_SLOW_NS each: an interface of the host's, say. */
#define LIVES_SLOW 200u
#ifdef __SANITIZE_THREAD__ /* some ten times as slow */
#define LIFE_SLOW_NS 1000000u
#else
#define LIFE_SLOW_NS 5000000u
#endif
#define MUTATIONS 200u

/* ---- life ------------------------------------------------------------------------------------ */

static void live(struct world *w)
{
    struct tape tape;
    struct bp_node *n;

    tape_random(&tape, w->seed);
    n = node_running(w, &tape);
    drive(n, &tape, 10);
    node_end(n);
}

static uint64_t host_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check_life(struct world *w)
{
    uint64_t start_ns = host_ns();

    resources_start();
    for (uint32_t i = 0; i < LIVES_FIRST; i++)
        live(w);
    /* All lives are the same, so that their number changes nothing of what a seed finds. */
    resources_watch(
        w, host_ns() - start_ns > (uint64_t)LIVES_FIRST * LIFE_SLOW_NS ? LIVES_SLOW : LIVES, live);
    world_pass(w);
}

/* ---- extensions ------------------------------------------------------------------------------ */

static void check_extensions(struct world *w)
{
    static const char *const nobodys[] = {"", "bp.no-such/1", "bp.char/999", "%n", "x86.gpr/1"};
    static const char *const known[] = {BP_CHAR_ID, BP_NET_ID, BP_BLOCK_ID, BP_ACPI_ID,
                                        BP_IRQCHIP_ID};
    struct tape tape;
    struct bp_node *n;
    char longest[300];

    tape_random(&tape, w->seed);
    n = node_running(w, &tape);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (size_t i = 0; i <= sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        const char *id = i < sizeof(nobodys) / sizeof(nobodys[0]) ? nobodys[i] : longest;

        doing(w, "extension(\"%.40s\")", id);
        if (n->ops.extension(n->self, id))
            world_fail(w,
                       "extension(\"%.40s\") gives a table; for an id that it does not know it "
                       "gives NULL",
                       id);
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct interface *interface = interface_find(known[i]);
        const void *table;
        struct error why;
        uint64_t whole[128];

        doing(w, "extension(\"%s\")", known[i]);
        table = n->ops.extension(n->self, known[i]);
        if (table && interface && interface->size <= sizeof(whole) &&
            normalise(whole, interface->table, table, &why))
            world_fail(w, "extension(\"%s\") gives a bad table: %s", known[i], why.text);
    }
    node_end(n);
    world_pass(w);
}

/* ---- traffic --------------------------------------------------------------------------------- */

/* Every width at both ends of every region and at every register, which chance may leave out. */
static void every_width(struct bp_node *n)
{
    for (uint32_t i = 0; i < n->region_count; i++) {
        struct bp_region *r = n->regions[i];

        if (r->ram || !region_is_mapped(r))
            continue;
        for (uint32_t width = r->ops.min_access; width <= r->ops.max_access; width *= 2) {
            for (uint64_t at = 0; at + width <= r->length && at < 4096; at += width) {
                drive_read(r, at, width);
                drive_write(r, at, 0, width);
                drive_write(r, at, UINT64_MAX, width);
            }
            if (r->length >= width)
                drive_read(r, (r->length - width) / width * width, width);
            world_advance(n, 1000);
        }
    }
}

static void check_traffic(struct world *w)
{
    struct tape tape;
    struct bp_node *n;

    tape_random(&tape, w->seed);
    n = node_running(w, &tape);
    every_width(n);
    drive(n, &tape, ACCESSES);
    node_end(n);
    world_pass(w);
}

/* ---- bad state ------------------------------------------------------------------------------- */

/* Spoils one record; true if it was cut. */
static bool spoil(struct state *s, struct tape *t, char *what, size_t room)
{
    struct record *r = &s->records[tape_below(t, s->count)];
    uint64_t kind = tape_below(t, 4);

    if (kind == 0 && !r->field && r->len) {
        uint64_t len = tape_below(t, r->len);

        snprintf(what, room, "'%s' of %llu bytes, cut to %llu", r->name, (unsigned long long)r->len,
                 (unsigned long long)len);
        r->len = len;
        return true;
    }
    snprintf(what, room, "'%s' with other bytes", r->name);
    if (kind == 1) {
        memset(r->data, 0xff, r->len);
    } else {
        for (uint64_t i = 0; i < r->len; i++)
            if (kind == 2 || tape_below(t, 8) == 0)
                r->data[i] = tape_byte(t);
    }
    return false;
}

static void check_state(struct world *w)
{
    struct tape tape;
    struct bp_node *n;
    struct state s;

    if (!state_has(w->model))
        world_skip(w, "it has no state: neither fields nor save()");
    tape_random(&tape, w->seed);
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        char what[128] = "";
        bool cut = false;

        n = node_running(w, &tape);
        drive(n, &tape, 100);
        node_stop(n);
        state_take(n, &s);
        if (!s.count)
            world_skip(w, "it saves nothing");
        for (uint64_t j = 1 + tape_below(&tape, 3); j && !cut; j--)
            cut = spoil(&s, &tape, what, sizeof(what));
        if (!state_put(n, &s)) {
            if (cut)
                world_fail(w, "load() takes %s; it must refuse what is shorter than what it saves",
                           what);
            /* Taken: then it has to live with it. */
            if (!node_start(n)) {
                drive(n, &tape, 100);
                node_stop(n);
            }
        }
        node_destroy(n);
        node_free(n);
        state_free(&s);
    }
    world_pass(w);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void check_timers(struct world *w)
{
    struct tape tape;
    struct bp_node *n;
    bool armed = false;

    tape_random(&tape, w->seed);
    n = node_running(w, &tape);
    for (uint32_t i = 0; i < ACCESSES / 20; i++) {
        drive(n, &tape, 5);
        armed |= world_armed(n);
        if (!armed)
            continue;
        world_advance(n, 0);
        world_advance(n, tape_bits(&tape, 8) >> tape_below(&tape, 64));
        /* Late by far, as after a night in suspend. */
        __atomic_fetch_add(&w->now_ns, tape_bits(&tape, 4), __ATOMIC_RELAXED);
        world_advance(n, 0);
    }
    if (!armed)
        world_skip(w, "it armed no timer");
    node_end(n);
    world_pass(w);
}

/* ---- DMA ------------------------------------------------------------------------------------- */

static void check_dma(struct world *w)
{
    struct tape tape;
    struct bp_node *n;

    tape_random(&tape, w->seed);
    n = node_running(w, &tape);
    for (uint32_t i = 0; i < 20; i++) {
        w->dma_dead = i & 1;
        for (uint64_t at = 0; at < WORLD_RAM_BYTES; at += 8) {
            uint64_t value = tape_bits(&tape, 8);

            memcpy(w->ram + at, &value, sizeof(value));
        }
        drive(n, &tape, ACCESSES / 20);
    }
    if (!n->dma_count)
        world_skip(w, "it did no DMA");
    node_end(n);
    world_pass(w);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct guest {
    struct bp_node *node;
    uint64_t seed;
    uint32_t done; /* atomic */
    uint32_t reserved;
};

static void *guest_thread(void *argument)
{
    struct guest *g = argument;
    struct tape tape;

    tape_random(&tape, g->seed);
    drive(g->node, &tape, ACCESSES / 4);
    __atomic_store_n(&g->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void check_threads(struct world *w)
{
    struct guest guests[2];
    pthread_t threads[2];
    struct tape tape;
    struct bp_node *n;

    tape_random(&tape, w->seed);
    n = node_running(w, &tape);
    n->tape = &n->far; /* used inside the domain only */
    w->threads = true;
    snprintf(w->shared->doing, sizeof(w->shared->doing), "accesses of two vCPUs beside the loop");
    for (uint32_t i = 0; i < 2; i++) {
        guests[i] = (struct guest){.node = n, .seed = w->seed + i + 1};
        if (pthread_create(&threads[i], NULL, guest_thread, &guests[i]))
            world_skip(w, "no thread can be made here");
    }
    while (!__atomic_load_n(&guests[0].done, __ATOMIC_ACQUIRE) ||
           !__atomic_load_n(&guests[1].done, __ATOMIC_ACQUIRE)) {
        world_advance(n, 100000);
        world_poll(n, 1);
    }
    for (uint32_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    w->threads = false;
    node_end(n);
    world_pass(w);
}

const struct check checks[] = {
    {"symbols", "exports one symbol, takes none from the program", 0, 0, NULL, check_symbols},
    {"properties", "every key at its bounds, beyond them, and with garbage", KINDS_INSTANCE, 0,
     check_properties, NULL},
    {"life", "many lives leave no memory, file descriptor or thread behind", KINDS_INSTANCE, 0,
     check_life, NULL},
    {"extensions", "unknown extensions give NULL, known ones whole tables", KINDS_INSTANCE, 0,
     check_extensions, NULL},
    {"traffic", "registers at every width, random accesses, time and events", KINDS_INSTANCE, 0,
     check_traffic, NULL},
    {"reset", "after reset it is as it was when it was new", KINDS_INSTANCE, 0, check_reset, NULL},
    {"snapshot", "saved, loaded and saved again is the same, and does the same", KINDS_INSTANCE, 0,
     check_snapshot, NULL},
    {"state", "cut state is refused, mutated state does no harm", KINDS_INSTANCE, 0, check_state,
     NULL},
    {"timers", "timers in storms, late, and at the end of time", KINDS_INSTANCE, 0, check_timers,
     NULL},
    {"dma", "DMA to nowhere, to the end of memory, and while it is refused", KIND(DEVICE), 0,
     check_dma, NULL},
    {"threads", "two vCPUs and the loop at once; host calls only where they may be", KINDS_INSTANCE,
     0, check_threads, NULL},
    {"instances", "two at once do not know of each other", KINDS_INSTANCE, 0, check_instances,
     NULL},
    {"cpu-life", "VMs and vCPUs come and go and leave nothing behind", KIND(CPU), 0, check_cpu_life,
     NULL},
    {"cpu-registers", "register sets come back as they were set; bad ones are refused", KIND(CPU),
     0, check_cpu_registers, NULL},
    {"cpu-kick", "a kick before the run is not lost", KIND(CPU), 0, check_cpu_kick, NULL},
    {"cpu-extensions", "unknown extensions and register sets are none", KIND(CPU), 0,
     check_cpu_extensions, NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};
