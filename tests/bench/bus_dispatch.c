/* SPDX-License-Identifier: MIT
 *
 * bus-dispatch - the cost of one access through the bus with 10 to 10,000 regions, in ns of cpu.
 *
 * same: every access to one region, as a guest polls a register. random: each to another one, which
 * is what a search over the view costs with its cache misses. The median of seven turns.
 */
#include "bus/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCESSES 1000000u
#define TURNS 7u
#define FIRST 0xc0000000ull
#define STEP 0x2000ull

static uint64_t sink;

static uint64_t read_register(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return (uintptr_t)self + offset;
}

static void write_register(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)self;
    (void)width;
    sink += offset + value;
}

static const struct bp_region_ops ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 8,
    .name = "registers",
    .read = read_register,
    .write = write_register,
};

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Median ns of an access; `mask` 0: always the same region. */
static double turn(struct bus_reader *reader, uint32_t regions, uint32_t mask)
{
    double ns[TURNS];

    for (unsigned t = 0; t < TURNS; t++) {
        uint32_t random = 12345;
        double began = cpu_ns();

        for (unsigned i = 0; i < ACCESSES; i++) {
            random = random * 1664525u + 1013904223u; /* Numerical Recipes' generator */
            bus_write(reader, BP_SPACE_MMIO,
                      FIRST + ((random >> 8) & mask) % regions * STEP + (i & 0x7f8), i, 4);
        }
        ns[t] = (cpu_ns() - began) / ACCESSES;
    }
    qsort(ns, TURNS, sizeof(ns[0]), compare_doubles);
    return ns[TURNS / 2];
}

static int measure(uint32_t regions, double *same, double *random)
{
    struct bus_reader reader;
    struct domain *domain;
    struct bus *bus;
    int e = bus_new(NULL, &bus);

    if (e)
        return e;
    domain = domain_new();
    if (!domain) {
        bus_free(bus);
        return -1;
    }
    bus_batch_begin(bus);
    for (uint32_t i = 0; !e && i < regions; i++) {
        const struct bp_region *other;
        struct bp_region *region;
        const char *why;

        e = bus_region_new(bus, &ops, domain, BP_SPACE_MMIO, 0x1000, &ops, NULL, BUS_LAYER_FIXED,
                           &region, &why);
        if (!e)
            e = bus_place(region, FIRST + i * STEP, &other);
    }
    if (!e)
        e = bus_batch_end(bus);
    bus_reader_init(&reader, bus);
    if (!e) {
        *same = turn(&reader, regions, 0);
        *random = turn(&reader, regions, 0xffffff);
    }
    bus_reader_exit(&reader);
    bus_free(bus);
    domain_free(domain);
    return e;
}

int main(void)
{
    double same, random, first_same = 0, first_random = 0;

    for (uint32_t regions = 10; regions <= 10000; regions *= 10) {
        int e = measure(regions, &same, &random);

        if (e) {
            fprintf(stderr, "bus-dispatch: %u regions: %s\n", regions, strerror(-e));
            return 1;
        }
        if (regions == 10) {
            first_same = same;
            first_random = random;
        }
        printf("bus: %6u regions: same %5.1f ns (%.2f of 10's; goal: at most 2), random %5.1f ns "
               "(%.2f)\n",
               regions, same, same / first_same, random, random / first_random);
    }
    return 0;
}
