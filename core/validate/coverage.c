/* SPDX-License-Identifier: MIT
 *
 * validate/coverage.c - the callbacks of the compilers' coverage.
 *
 * Clang documentation, "SanitizerCoverage"; gcc manual, -fsanitize-coverage=trace-pc. How often an
 * edge ran counts in eight steps, as fuzzers do it, so that one more turn of a loop is news a few
 * times and no more. Edges beyond the map's size share its entries.
 */
#include "validate/coverage.h"

#include <stddef.h>
#include <string.h>

#define MAP_BYTES (1u << 16)
#define RANGES 64u

#define CALLBACK __attribute__((visibility("default"), used))

static uint8_t map[MAP_BYTES]; /* of guards and of program counters */
static uint8_t known[MAP_BYTES];
static uint32_t guards; /* given out */
static bool counts_pcs;

/* inline-8bit-counters: the plugin's own bytes. */
static struct range {
    uint8_t *start, *stop;
    uint32_t known_at; /* where theirs begin in `known`, modulo its size */
} ranges[RANGES];
static uint32_t range_count;

CALLBACK void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop);
CALLBACK void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
CALLBACK void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop);
CALLBACK void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop);
CALLBACK void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
    if (start == stop || *start)
        return;
    for (uint32_t *g = start; g < stop; g++)
        *g = ++guards;
}

void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
    uint8_t *at = &map[*guard % MAP_BYTES];

    *at = (uint8_t)(*at + (*at != UINT8_MAX));
}

void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop)
{
    if (start == stop || range_count == RANGES)
        return;
    for (uint32_t i = 0; i < range_count; i++)
        if (ranges[i].start == start)
            return;
    ranges[range_count++] = (struct range){start, stop, guards};
    guards += (uint32_t)(stop - start);
}

void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop)
{
    (void)start, (void)stop;
}

void __sanitizer_cov_trace_pc(void)
{
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    uint8_t *at = &map[(pc ^ pc >> 16) % MAP_BYTES];

    counts_pcs = true;
    *at = (uint8_t)(*at + (*at != UINT8_MAX));
}

bool coverage_is_there(void)
{
    return guards || counts_pcs;
}

void coverage_clear(void)
{
    memset(map, 0, sizeof(map));
    for (uint32_t i = 0; i < range_count; i++)
        memset(ranges[i].start, 0, (size_t)(ranges[i].stop - ranges[i].start));
}

/* One bit for each step of how often. */
static uint8_t step(uint8_t count)
{
    return count == 0    ? 0
           : count == 1  ? 1
           : count == 2  ? 2
           : count == 3  ? 4
           : count < 8   ? 8
           : count < 16  ? 16
           : count < 32  ? 32
           : count < 128 ? 64
                         : 128;
}

static bool add(uint32_t at, uint8_t count)
{
    uint8_t bit = step(count), *to = &known[at % MAP_BYTES];
    bool news = bit & ~*to;

    *to |= bit;
    return news;
}

bool coverage_collect(void)
{
    bool news = false;

    for (uint32_t word = 0; word < MAP_BYTES; word += 8) {
        uint64_t any;

        memcpy(&any, map + word, sizeof(any)); /* most are 0 */
        for (uint32_t i = word; any && i < word + 8; i++)
            if (map[i])
                news |= add(i, map[i]);
    }
    for (uint32_t i = 0; i < range_count; i++)
        for (uint32_t j = 0; ranges[i].start + j < ranges[i].stop; j++)
            if (ranges[i].start[j])
                news |= add(ranges[i].known_at + j, ranges[i].start[j]);
    return news;
}

uint64_t coverage_edges(void)
{
    return guards;
}

uint64_t coverage_seen(void)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < MAP_BYTES; i++)
        count += known[i] != 0;
    return count;
}
