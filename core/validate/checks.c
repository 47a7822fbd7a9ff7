/* SPDX-License-Identifier: MIT
 *
 * validate/checks.c - the checks of every kind but CPU.
 *
 * Each runs in a process of its own, against a world of its own, and ends by a verdict. What is
 * random comes from the seed of the world. Bounds are fixed, or, like the number of lives, nothing
 * depends on them, so that a seed says it all.
 */
#include "validate/check.h"

#include "plugin/normalise.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/irqchip.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVES_FIRST 20u
#define LIVES 1000u
/* Of those that take longer than LIFE_SLOW_NS each: an interface of the host's, say. */
#define LIVES_SLOW 200u
#ifdef __SANITIZE_THREAD__ /* some ten times as slow */
#define ACCESSES 5000u
#define LIFE_SLOW_NS 1000000u
#else
#define ACCESSES 20000u
#define LIFE_SLOW_NS 5000000u
#endif
#define COMPARED 1000u
#define SEEN 8192u
#define MUTATIONS 200u

/* ---- properties ------------------------------------------------------------------------------ */

/* One instance with this value: it lives, or create() says why not. `outside`: the host must have
 * refused it. */
static void try_value(struct world *w, const struct bp_prop *prop, const char *text, bool outside)
{
    struct resources before;
    struct tape tape;
    struct error why;
    struct bp_node *n;

    resources_take(&before);
    tape_random(&tape, w->seed);
    n = node_new(w, prop->name, text, &why);
    if (!n)
        return; /* the host said why, as it would in a machine file */
    if (outside)
        world_fail(w, "%s = %s is taken, although it lies outside of %llu to %llu", prop->name,
                   text, (unsigned long long)prop->min, (unsigned long long)prop->max);
    n->tape = &tape;
    if (!node_create(n)) {
        backend_attach(n);
        node_reset(n, BP_RESET_COLD);
        if (!node_start(n)) {
            drive(n, &tape, 50);
            node_stop(n);
        }
        node_destroy(n);
    }
    node_free(n);
    resources_compare(w, &before, 1);
}

static void try_numbers(struct world *w, const struct bp_prop *prop)
{
    static const char *const garbage[] = {"",    "-1", "0x", "1e3", "99999999999999999999",
                                          "1 2", "x"};
    uint64_t widest = prop->type == BP_PROP_SIZE || prop->width >= 8 || prop->flags & BP_PROP_LIST
                          ? UINT64_MAX
                          : (UINT64_C(1) << 8 * prop->width) - 1;
    uint64_t max = prop->max && prop->max < widest ? prop->max : widest;
    uint64_t at[6] = {prop->min, max, prop->min + 1, max - 1, prop->min / 2 + max / 2, 0};
    char text[32];

    for (size_t i = 0; i < 6; i++) {
        if (at[i] < prop->min || at[i] > max)
            continue;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)at[i]);
        try_value(w, prop, text, false);
    }
    if (max != UINT64_MAX) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)max + 1);
        try_value(w, prop, text, true);
    }
    if (prop->min) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)prop->min - 1);
        try_value(w, prop, text, true);
    }
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
        if (*garbage[i] || !(prop->flags & BP_PROP_LIST)) /* no text is a list of none */
            try_value(w, prop, garbage[i], true);
}

static void try_texts(struct world *w, const struct bp_prop *prop)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "%s%n%s%n",
                                        "a b",
                                        "\xc3\xa4",
                                        "../x",
                                        ",",
                                        "created",
                                        "file",
                                        ".",
                                        "unix:socket",
                                        "unix:/nowhere/socket",
                                        "unix:",
                                        "tcp:",
                                        "tcp:127.0.0.1:1",
                                        "0-1",
                                        "1-0",
                                        "0x0-0xffffffffffffffff",
                                        "52:54:00:12:34:56",
                                        "ff:ff:ff:ff:ff:ff",
                                        "1f", /* function 0: without it no other is found */
                                        "20",
                                        "yes",
                                        "no"};
    static char lengthy[4001];
    char address[600];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        try_value(w, prop, texts[i], false);
    memset(lengthy, 'a', sizeof(lengthy) - 1);
    try_value(w, prop, lengthy, false);
    snprintf(address, sizeof(address), "unix:%s/%.100s", w->folder, lengthy);
    if (prop->type == BP_PROP_ADDRESS)
        try_value(w, prop, address, false);
    for (uint32_t i = 0; prop->choices && prop->choices[i]; i++)
        try_value(w, prop, prop->choices[i], false);
}

static void *nothing(void *argument)
{
    return argument;
}

static void check_properties(struct world *w)
{
    pthread_t first;

    /* With the first thread that is made a sanitizer makes one of its own, which stays: before
     * threads are counted. */
    if (!pthread_create(&first, NULL, nothing, NULL))
        pthread_join(first, NULL);
    for (uint32_t i = 0; i < w->model->prop_count; i++) {
        const struct bp_prop *prop = &w->model->props[i];

        if (prop->type == BP_PROP_UINT || prop->type == BP_PROP_SIZE)
            try_numbers(w, prop);
        else if (prop->type != BP_PROP_REF)
            try_texts(w, prop);
    }
    world_pass(w);
}

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

/* ---- two instances that should be the same --------------------------------------------------- */

/* Reads every register, or the first bytes where there is no table: what differs shows best before
 * anything is written. */
static void read_all(struct bp_node *n)
{
    for (uint32_t i = 0; i < n->region_count; i++) {
        struct bp_region *r = n->regions[i];
        uint32_t width = r->ram ? 0 : r->ops.min_access;

        if (r->ram || !region_is_mapped(r))
            continue;
        for (uint64_t at = 0; at + width <= r->length && at < 256; at += width) {
            uint64_t value = drive_read(r, at, width);

            note(n, r, at, width, value);
        }
    }
}

/* Lets both do the same, each from `now_ns` on. NULL, or what the second did otherwise. */
static const char *compare_behaviour(struct bp_node *a, struct bp_node *b, char *text, size_t room)
{
    struct world *w = a->world;
    uint64_t now_ns = w->now_ns;
    struct bp_node *const both[2] = {a, b};

    for (uint32_t i = 0; i < 2; i++) {
        struct tape tape;

        free(both[i]->seen);
        both[i]->seen = calloc(SEEN, sizeof(*both[i]->seen));
        both[i]->seen_count = 0;
        both[i]->seen_max = both[i]->seen ? SEEN : 0;
        w->now_ns = now_ns;
        memset(w->ram, 0x5a, WORLD_RAM_BYTES);
        tape_random(&tape, w->seed ^ 0x5eed);
        tape_random(&both[i]->far, w->seed ^ 0xfa5);
        world_pci_start(both[i]);
        read_all(both[i]);
        drive(both[i], &tape, COMPARED);
    }
    for (uint32_t i = 0; i < a->seen_count && i < b->seen_count; i++) {
        const struct seen *x = &a->seen[i], *y = &b->seen[i];

        if (x->offset == y->offset && x->width == y->width && x->value != y->value) {
            snprintf(
                text, room, "a read of %u byte%s at offset 0x%llx of %s%s gives 0x%llx, and 0x%llx",
                x->width, x->width == 1 ? "" : "s", (unsigned long long)x->offset,
                x->region ? "region " : "configuration space", x->region ? x->region->ops.name : "",
                (unsigned long long)x->value, (unsigned long long)y->value);
            return text;
        }
    }
    return NULL;
}

static const char *compare_lines(const struct bp_node *a, const struct bp_node *b, char *text,
                                 size_t room)
{
    for (uint32_t i = 0; i < WORLD_LINES; i++) {
        if (a->lines[i] != b->lines[i]) {
            snprintf(text, room, "interrupt line %u is %u, and %u", i, a->lines[i], b->lines[i]);
            return text;
        }
    }
    return NULL;
}

static struct bp_node *fresh(struct world *w, struct tape *tape)
{
    struct error why;
    struct bp_node *n = node_new(w, NULL, NULL, &why);

    if (!n || (n->tape = tape, node_create(n)))
        world_skip(w, "a second instance cannot be created beside the first: %s",
                   n ? n->failure : why.text);
    backend_attach(n);
    node_reset(n, BP_RESET_COLD);
    return n;
}

/* A moment of running, in which the far ends say that they are there. */
static void settle(struct bp_node *n)
{
    if (node_start(n))
        world_skip(n->world, "a second instance cannot be started beside the first: %s",
                   n->failure);
    peers_settle(n);
    node_stop(n);
}

static void check_reset(struct world *w)
{
    struct state after, never;
    struct tape tape, other;
    struct bp_node *a, *b;
    char text[400];
    const char *what;

    tape_random(&tape, w->seed);
    tape_random(&other, w->seed);
    a = node_running(w, &tape);
    drive(a, &tape, ACCESSES / 10);
    peers_settle(a);
    node_stop(a);
    node_reset(a, BP_RESET_COLD);
    b = fresh(w, &other);
    settle(b);
    node_reset(b, BP_RESET_COLD);
    state_take(a, &after);
    state_take(b, &never);
    what = state_difference(&never, &after, text, sizeof(text));
    if (what)
        world_fail(w, "reset(COLD) does not make it as it was when it was new: %s", what);
    what = compare_lines(b, a, text, sizeof(text));
    if (what)
        world_fail(w, "reset(COLD) does not make it as it was when it was new: %s", what);
    state_free(&after);
    state_free(&never);
    peers_equal(a, b);
    if (node_start(a) || node_start(b))
        world_skip(w, "it cannot be started again: %s", a->failure[0] ? a->failure : b->failure);
    if (w->model->kind == BP_KIND_DEVICE) {
        what = compare_behaviour(b, a, text, sizeof(text));
        if (what)
            world_fail(w, "after reset(COLD) it does not do what a new one does: %s", what);
    }
    node_end(a);
    node_end(b);
    world_pass(w);
}

static void check_snapshot(struct world *w)
{
    struct state first, second;
    struct tape tape, other;
    struct bp_node *a, *b;
    char text[400];
    const char *what;
    int err;

    if (!state_has(w->model))
        world_skip(w, "it has no state: neither fields nor save()");
    tape_random(&tape, w->seed);
    tape_random(&other, w->seed);
    a = node_running(w, &tape);
    drive(a, &tape, ACCESSES / 10);
    peers_settle(a);
    node_stop(a);
    state_take(a, &first);
    b = fresh(w, &other);
    settle(b);
    world_pci_reset(b);
    world_pci_copy(b, a);
    err = state_put(b, &first);
    if (err)
        world_fail(w, "load() or after_load() refuses what save() gave: %d (%s)%s%s", err,
                   strerror(-err), b->failure[0] ? ": " : "", b->failure);
    state_take(b, &second);
    what = state_difference(&first, &second, text, sizeof(text));
    if (what)
        world_fail(w, "what is saved after it was loaded is not what was saved before: %s", what);
    peers_equal(b, a);
    if (node_start(a) || node_start(b))
        world_skip(w, "it cannot be started again: %s", a->failure[0] ? a->failure : b->failure);
    what = compare_lines(a, b, text, sizeof(text));
    if (what)
        world_fail(w, "after loading, interrupts are not as they were when it was saved: %s", what);
    if (w->model->kind == BP_KIND_DEVICE) {
        what = compare_behaviour(a, b, text, sizeof(text));
        if (what)
            world_fail(w,
                       "after loading it does not do what the one that was saved does: %s; is a "
                       "field missing, or a timer not armed again?",
                       what);
    }
    node_end(a);
    node_end(b);
    state_free(&first);
    state_free(&second);
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

/* ---- two instances --------------------------------------------------------------------------- */

static void check_instances(struct world *w)
{
    struct state before, after;
    struct tape tape, other;
    struct bp_node *a, *b;
    char text[400];
    const char *what;

    tape_random(&tape, w->seed);
    tape_random(&other, w->seed + 1);
    a = node_running(w, &tape);
    b = fresh(w, &other);
    state_take(b, &before);
    drive(a, &tape, ACCESSES / 10);
    state_take(b, &after);
    what = state_difference(&before, &after, text, sizeof(text));
    if (what)
        world_fail(w, "what happens to one instance changes another: %s", what);
    state_free(&before);
    state_free(&after);
    if (node_start(b))
        world_skip(w, "a second instance cannot be started beside the first: %s", b->failure);
    for (uint32_t i = 0; i < 200; i++) {
        drive(a, &tape, 10);
        drive(b, &other, 10);
    }
    node_end(a);
    drive(b, &other, ACCESSES / 10);
    node_end(b);
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
