/* SPDX-License-Identifier: MIT
 *
 * What the guest benchmarks share: names, checksums and the two lines around each workload, by
 * which whoever reads the serial port knows when to look at the emulator's clock.
 *
 *     BENCH-START NAME
 *     BENCH-END NAME cpu_ns=N work=N check=HEX
 *
 * cpu_ns is user and system time of the process and its children, which is what counts when the
 * program runs on the host itself; what a guest thinks that it took means nothing on an emulated
 * processor.
 */
#ifndef BENCH_H
#define BENCH_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* A fixed amount of work. Returns a checksum, the same on every machine; work gets the number of
 * units done, whose kind is the workload's own. scale, at least 1, multiplies the work. */
typedef uint64_t (*bench_fn)(unsigned scale, uint64_t *work);

struct bench {
    const char *name;
    bench_fn run;
};

static inline uint64_t bench_usage_ns(int who)
{
    struct rusage usage;

    getrusage(who, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static inline uint64_t bench_cpu_ns(void)
{
    struct timespec own;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    return (uint64_t)own.tv_sec * 1000000000u + (uint64_t)own.tv_nsec +
           bench_usage_ns(RUSAGE_CHILDREN);
}

/* Has what was said leave the UART, and the machine idle for long enough for a reader to be
 * scheduled: what the emulator does before the reader has looked would count for the wrong side of
 * the line. */
static inline void bench_rest(void)
{
    const struct timespec rest = {.tv_nsec = 10000000};

    fflush(stdout);
    if (isatty(STDOUT_FILENO)) {
        tcdrain(STDOUT_FILENO);
        nanosleep(&rest, NULL);
    }
}

static inline void bench_one(const struct bench *bench, unsigned scale)
{
    uint64_t work = 0, check, began, ended;

    printf("BENCH-START %s\n", bench->name);
    bench_rest();
    began = bench_cpu_ns();
    check = bench->run(scale, &work);
    ended = bench_cpu_ns();
    printf("BENCH-END %s cpu_ns=%" PRIu64 " work=%" PRIu64 " check=%016" PRIx64 "\n", bench->name,
           ended - began, work, check);
    bench_rest();
}

/* main() of a program with such benchmarks: PROGRAM [SCALE [NAME]...], all of them without names.
 */
static inline int bench_main(int argc, char **argv, const struct bench *list, size_t count)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;

    for (size_t i = 0; i < count; i++) {
        int wanted = argc <= 2;

        for (int arg = 2; arg < argc; arg++)
            wanted |= strcmp(argv[arg], list[i].name) == 0;
        if (wanted)
            bench_one(&list[i], scale ? scale : 1);
    }
    return 0;
}

/* xorshift64 (Marsaglia, "Xorshift RNGs", 2003): *state must not be 0. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Ends a benchmark that cannot do its work: a line without BENCH-END is no result. */
static inline _Noreturn void bench_die(const char *what)
{
    perror(what);
    _exit(1);
}

static inline void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (!memory)
        bench_die("calloc");
    return memory;
}

#endif
