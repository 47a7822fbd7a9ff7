/* SPDX-License-Identifier: MIT
 *
 * validate/fuzz.c - inputs that reach new code of a model are kept, and changed to reach more.
 *
 * An input is a tape of drive(): the life of one instance from create() to destroy(). With coverage
 * (coverage.h) those that ran something new are the stock from which the next are made; without,
 * each input is made anew. The input that is under way stands in the memory that the parent shares,
 * so that it survives what it did. How fuzzers do it is told in Zalewski, "Technical whitepaper for
 * afl-fuzz".
 */
#include "validate/check.h"
#include "validate/coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STOCK_MAX 4096u
#define THINGS 512u /* in one life */
#define RECENT 4u

struct input {
    uint8_t *data;
    uint32_t len;
};

struct stock {
    struct input inputs[STOCK_MAX];
    uint32_t count;
};

static void run(struct world *w, const uint8_t *data, uint64_t len)
{
    struct tape tape;
    struct bp_node *n;

    w->now_ns = 0;
    tape_input(&tape, data, len);
    n = node_running(w, &tape);
    drive(n, &tape, THINGS);
    node_end(n);
}

void fuzz_input(struct world *w, const uint8_t *data, uint64_t len)
{
    run(w, data, len);
    world_pass(w);
}

/* Every second time one of the last: what was reached a moment ago is where there may be more. */
static const struct input *pick(const struct stock *stock, struct tape *t)
{
    uint32_t from = tape_below(t, 2) && stock->count > RECENT ? stock->count - RECENT : 0;

    return stock->count ? &stock->inputs[from + tape_below(t, stock->count - from)] : NULL;
}

static void mutate(struct shared *s, const struct stock *stock, struct tape *t)
{
    const struct input *from = pick(stock, t), *other = pick(stock, t);

    s->input_len = 0;
    if (from && from->data && other && other->data && tape_below(t, 8)) {
        memcpy(s->input, from->data, from->len);
        s->input_len = from->len;
        /* The end of another one. */
        if (tape_below(t, 4) == 0 && other->len && s->input_len) {
            uint32_t cut = (uint32_t)tape_below(t, s->input_len);
            uint32_t at = (uint32_t)tape_below(t, other->len);
            uint32_t len = other->len - at;

            len = len > INPUT_MAX - cut ? INPUT_MAX - cut : len;
            memcpy(s->input + cut, other->data + at, len);
            s->input_len = cut + len;
        }
        for (uint64_t n = 1 + tape_below(t, 8); n && s->input_len; n--)
            s->input[tape_below(t, s->input_len)] = tape_byte(t);
    }
    /* Something more to happen. */
    if (!s->input_len || tape_below(t, 3) == 0)
        for (uint64_t n = 1 + tape_below(t, 256); n && s->input_len < INPUT_MAX; n--)
            s->input[s->input_len++] = tape_byte(t);
}

static void keep(struct stock *stock, const struct shared *s)
{
    struct input *to;

    if (stock->count == STOCK_MAX)
        return;
    to = &stock->inputs[stock->count];
    to->len = s->input_len;
    to->data = malloc(s->input_len + 1u);
    if (!to->data)
        return;
    memcpy(to->data, s->input, s->input_len);
    stock->count++;
}

static uint64_t seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

void fuzz(struct world *w, uint32_t seconds)
{
    struct shared *s = w->shared;
    struct stock *stock = calloc(1, sizeof(*stock));
    uint64_t end = seconds_now() + seconds;
    struct tape t;

    if (!stock)
        world_skip(w, "out of memory");
    tape_random(&t, w->seed);
    do {
        mutate(s, stock, &t);
        coverage_clear();
        run(w, s->input, s->input_len);
        s->executions++;
        if (coverage_collect()) {
            keep(stock, s);
            s->corpus = stock->count;
            s->edges = coverage_edges();
            s->edges_seen = coverage_seen();
        }
    } while (seconds_now() < end);
    s->input_len = 0;
    world_pass(w);
}
