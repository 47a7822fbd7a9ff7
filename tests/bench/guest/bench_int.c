/* SPDX-License-Identifier: MIT
 *
 * Integer work: tables, strided stores, indirect calls, rotations, recursion, indirect jumps.
 * Nearly all of it in user mode and in the first-level cache.
 */
#include "bench.h"

#include "work.h"

#define SIEVE_SIZE (1u << 20)
#define SORT_COUNT (1u << 16)
#define CODE_SIZE 4096u

/* work: bytes. */
static uint64_t crc32(unsigned scale, uint64_t *work)
{
    uint8_t *buffer = bench_alloc(CRC_BYTES, 1);
    uint32_t table[256], crc = ~0u;
    unsigned round;

    crc_prepare(buffer, table);
    for (round = 0; round < 300 * scale; round++)
        crc = crc_bytes(crc, buffer, CRC_BYTES, table);
    free(buffer);
    *work = (uint64_t)round * CRC_BYTES;
    return crc;
}

/* work: numbers looked at. */
static uint64_t sieve(unsigned scale, uint64_t *work)
{
    uint8_t *composite = bench_alloc(SIEVE_SIZE, 1);
    uint64_t found = 0;
    unsigned round;

    for (round = 0; round < 10 * scale; round++) {
        memset(composite, 0, SIEVE_SIZE);
        for (unsigned i = 2; i * i < SIEVE_SIZE; i++)
            if (!composite[i])
                for (unsigned j = i * i; j < SIEVE_SIZE; j += i)
                    composite[j] = 1;
        for (unsigned i = 2; i < SIEVE_SIZE; i++)
            found += !composite[i];
    }
    free(composite);
    *work = (uint64_t)round * SIEVE_SIZE;
    return found;
}

static int compare(const void *left, const void *right)
{
    uint32_t x = *(const uint32_t *)left, y = *(const uint32_t *)right;

    return (x > y) - (x < y);
}

/* Calls through a pointer, branches that nothing foresees. work: elements sorted. */
static uint64_t sort(unsigned scale, uint64_t *work)
{
    uint32_t *values = bench_alloc(SORT_COUNT, sizeof(*values));
    uint64_t random = 0x9e3779b97f4a7c15u, sum = 0;
    unsigned round;

    for (round = 0; round < 3 * scale; round++) {
        for (unsigned i = 0; i < SORT_COUNT; i++)
            values[i] = (uint32_t)bench_random(&random);
        qsort(values, SORT_COUNT, sizeof(values[0]), compare);
        for (unsigned i = 0; i < SORT_COUNT; i += 997)
            sum = sum * 31 + values[i];
    }
    free(values);
    *work = (uint64_t)round * SORT_COUNT;
    return sum;
}

/* work: blocks. */
static uint64_t sha256(unsigned scale, uint64_t *work)
{
    uint32_t k[64], h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned number;

    sha_prepare(k);
    for (number = 0; number < 45000 * scale; number++)
        sha_block(h, k, number);
    *work = number;
    return (uint64_t)h[0] << 32 | h[7];
}

/* The barrier keeps a compiler from turning the recursion into loops. */
static __attribute__((noinline)) uint64_t fibonacci(uint64_t n)
{
    uint64_t before;

    if (n < 2)
        return n;
    before = fibonacci(n - 1);
    __asm__ volatile("" : "+r"(before), "+r"(n));
    return before + fibonacci(n - 2);
}

/* Calls, returns, pushes, pops. work: rounds. */
static uint64_t fib(unsigned scale, uint64_t *work)
{
    uint64_t sum = 0;
    unsigned round;

    for (round = 0; round < scale; round++) {
        uint64_t n = 34;

        __asm__ volatile("" : "+r"(n));
        sum += fibonacci(n);
    }
    *work = round;
    return sum;
}

/* Byte code: an indirect jump for each operation. work: operations. */
static uint64_t dispatch(unsigned scale, uint64_t *work)
{
    static const void *const labels[8] = {&&add,      &&shift_xor, &&rotate, &&subtract,
                                          &&multiply, &&xor_shift, &&branch, &&invert};
    uint64_t random = 42, value = 1, done = 0, limit = 15000000u * (uint64_t)scale;
    uint8_t code[CODE_SIZE];
    unsigned pc = 0;

    for (unsigned i = 0; i < CODE_SIZE; i++)
        code[i] = (bench_random(&random) >> 20) & 7;
#define NEXT()                                                                                     \
    do {                                                                                           \
        if (++done >= limit)                                                                       \
            goto out;                                                                              \
        pc = (pc + 1) & (CODE_SIZE - 1);                                                           \
        goto *labels[code[pc]];                                                                    \
    } while (0)
    goto *labels[code[pc]];
add:
    value += 7;
    NEXT();
shift_xor:
    value ^= value << 3;
    NEXT();
rotate:
    value = value << 5 | value >> 59;
    NEXT();
subtract:
    value -= pc;
    NEXT();
multiply:
    value *= 3;
    NEXT();
xor_shift:
    value ^= value >> 9;
    NEXT();
branch:
    if (value & 1)
        value += 11;
    NEXT();
invert:
    value = ~value;
    NEXT();
#undef NEXT
out:
    *work = done;
    return value;
}

int main(int argc, char **argv)
{
    static const struct bench list[] = {
        {"int-crc32", crc32},   {"int-sieve", sieve}, {"int-qsort", sort},
        {"int-sha256", sha256}, {"int-fib", fib},     {"int-dispatch", dispatch},
    };

    return bench_main(argc, argv, list, sizeof(list) / sizeof(list[0]));
}
