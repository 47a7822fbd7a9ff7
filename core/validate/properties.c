/* SPDX-License-Identifier: MIT
 *
 * validate/properties.c - the check of a model's keys: each at its bounds, beyond them, and with
 * garbage makes an instance that lives, or a sentence.
 */
#include "validate/check.h"

#include <stdio.h>
#include <string.h>

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

void check_properties(struct world *w)
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
