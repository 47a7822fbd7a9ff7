/* SPDX-License-Identifier: MIT
 *
 * validate/twins.c - the checks of two instances beside each other: one that was reset and a new
 * one, one that was saved and the one that was loaded, and two that must not know of each other.
 */
#include "validate/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARED 1000u
#define SEEN 8192u

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

/* One that was driven at random and stands again. */
static struct bp_node *used(struct world *w, struct tape *tape)
{
    struct bp_node *n = node_running(w, tape);

    drive(n, tape, ACCESSES / 10);
    peers_settle(n);
    node_stop(n);
    return n;
}

static void start_both(struct bp_node *a, struct bp_node *b)
{
    if (node_start(a) || node_start(b))
        world_skip(a->world, "it cannot be started again: %s",
                   a->failure[0] ? a->failure : b->failure);
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

/* ---- the checks ------------------------------------------------------------------------------ */

void check_reset(struct world *w)
{
    struct state after, never;
    struct tape tape, other;
    struct bp_node *a, *b;
    char text[400];
    const char *what;

    tape_random(&tape, w->seed);
    tape_random(&other, w->seed);
    a = used(w, &tape);
    node_reset(a, BP_RESET_COLD);
    b = fresh(w, &other);
    settle(b);
    node_reset(b, BP_RESET_COLD);
    state_take(a, &after);
    state_take(b, &never);
    what = state_difference(&never, &after, text, sizeof(text));
    if (!what)
        what = compare_lines(b, a, text, sizeof(text));
    if (what)
        world_fail(w, "reset(COLD) does not make it as it was when it was new: %s", what);
    state_free(&after);
    state_free(&never);
    peers_equal(a, b);
    start_both(a, b);
    if (w->model->kind == BP_KIND_DEVICE) {
        what = compare_behaviour(b, a, text, sizeof(text));
        if (what)
            world_fail(w, "after reset(COLD) it does not do what a new one does: %s", what);
    }
    node_end(a);
    node_end(b);
    world_pass(w);
}

void check_snapshot(struct world *w)
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
    a = used(w, &tape);
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
    start_both(a, b);
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

void check_instances(struct world *w)
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
