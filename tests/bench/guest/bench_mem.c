/* SPDX-License-Identifier: MIT
 *
 * Memory: loads that depend on the load before, within the caches and beyond them and the TLB; a
 * stream; REP MOVS and REP STOS. chase-large needs 64 MiB, whose faults are part of it.
 */
#include "bench.h"

#define STREAM_COUNT (1u << 20)
#define STRING_BYTES 65536u

struct node {
    struct node *next;
    uint64_t value;
    uint64_t rest_of_line[6];
};

/* Walks one cycle through all nodes, in an order made by Sattolo's algorithm. */
static uint64_t chase(size_t count, uint64_t steps)
{
    struct node *nodes = bench_alloc(count, sizeof(*nodes)), *node = nodes;
    uint32_t *order = bench_alloc(count, sizeof(*order));
    uint64_t random = 0xdeadbeefcafef00du, sum = 0;

    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = bench_random(&random) % i;
        uint32_t swapped = order[i];

        order[i] = order[other];
        order[other] = swapped;
    }
    for (size_t i = 0; i < count; i++) {
        nodes[i].next = &nodes[order[i]];
        nodes[i].value = i;
    }
    for (uint64_t i = 0; i < steps; i++) {
        node = node->next;
        sum += node->value;
    }
    free(order);
    free(nodes);
    return sum;
}

/* 256 KiB. work: steps. */
static uint64_t chase_small(unsigned scale, uint64_t *work)
{
    *work = 15000000u * (uint64_t)scale;
    return chase(4096, *work);
}

/* 64 MiB. work: steps. */
static uint64_t chase_large(unsigned scale, uint64_t *work)
{
    *work = 3000000u * (uint64_t)scale;
    return chase(1u << 20, *work);
}

/* 8 MiB, read, changed and written a quadword at a time: the barrier keeps vectors out. work:
 * bytes. */
static uint64_t stream(unsigned scale, uint64_t *work)
{
    uint64_t *values = bench_alloc(STREAM_COUNT, sizeof(*values)), sum = 0;
    unsigned round;

    for (round = 0; round < 15 * scale; round++)
        for (unsigned i = 0; i < STREAM_COUNT; i++) {
            uint64_t value = values[i] * 3 + i;

            __asm__ volatile("" : "+r"(value));
            values[i] = value;
            sum ^= value;
        }
    free(values);
    *work = (uint64_t)round * STREAM_COUNT * sizeof(*values);
    return sum;
}

/* REP MOVSB and REP STOSQ of 64 bytes, and of 4 KiB each fourth time. work: bytes. */
static uint64_t string(unsigned scale, uint64_t *work)
{
    uint8_t *source = bench_alloc(STRING_BYTES, 1), *target = bench_alloc(STRING_BYTES, 1);
    uint64_t bytes = 0, random = 7, sum = 0;

    for (size_t i = 0; i < STRING_BYTES; i++)
        source[i] = (uint8_t)bench_random(&random);
    for (unsigned round = 0; round < 25000 * scale; round++) {
        size_t length = round % 4 ? 64 : 4096, count = length;
        size_t offset = round * 64u % (STRING_BYTES - 4096u);
        const void *from = source + (STRING_BYTES - 4096u - offset);
        void *to = target + offset;

        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        to = source + offset;
        count = length / 8;
        __asm__ volatile("rep stosq"
                         : "+D"(to), "+c"(count)
                         : "a"((uint64_t)round * 0x0101010101010101u)
                         : "memory");
        bytes += 2 * length;
    }
    for (size_t i = 0; i < STRING_BYTES; i++)
        sum = sum * 31 + target[i];
    free(source);
    free(target);
    *work = bytes;
    return sum;
}

int main(int argc, char **argv)
{
    static const struct bench list[] = {
        {"mem-chase-small", chase_small},
        {"mem-chase-large", chase_large},
        {"mem-stream", stream},
        {"mem-repmovs", string},
    };

    return bench_main(argc, argv, list, sizeof(list) / sizeof(list[0]));
}
