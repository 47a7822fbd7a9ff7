/* SPDX-License-Identifier: MIT
 *
 * Integer work for four processors: four processes take pieces from one counter in shared memory
 * until there are none left. Each piece is CRC and SHA work of its own, so the sum over all pieces
 * is the same whoever did them.
 */
#include "bench.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "work.h"

#define WORKERS 4u

struct shared {
    atomic_uint next; /* the first piece that nobody has taken */
    _Atomic uint64_t sum;
};

static uint64_t piece(uint32_t number, const uint8_t *buffer, const uint32_t table[256],
                      const uint32_t k[64])
{
    uint32_t h[8], crc = number;

    for (unsigned round = 0; round < 4; round++)
        crc = crc_bytes(crc, buffer, CRC_BYTES, table);
    for (uint32_t i = 0; i < 8; i++)
        h[i] = crc + i;
    for (uint32_t i = 0; i < 500; i++)
        sha_block(h, k, i);
    return (uint64_t)h[0] << 32 | crc;
}

static void take_pieces(struct shared *shared, unsigned pieces)
{
    uint8_t *buffer = bench_alloc(CRC_BYTES, 1);
    uint32_t table[256], k[64];
    unsigned number;

    crc_prepare(buffer, table);
    sha_prepare(k);
    while ((number = atomic_fetch_add(&shared->next, 1)) < pieces)
        atomic_fetch_add(&shared->sum, piece(number, buffer, table, k));
    free(buffer);
}

/* work: pieces. */
static uint64_t parallel(unsigned scale, uint64_t *work)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned pieces = 160 * scale;
    uint64_t sum;

    if (shared == MAP_FAILED)
        bench_die("mmap");
    for (unsigned i = 0; i < WORKERS; i++) {
        pid_t child = fork();

        if (child < 0)
            bench_die("fork");
        if (child == 0) {
            take_pieces(shared, pieces);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        ;
    sum = shared->sum;
    munmap(shared, sizeof(*shared));
    *work = pieces;
    return sum;
}

int main(int argc, char **argv)
{
    static const struct bench list[] = {{"par-int", parallel}};

    return bench_main(argc, argv, list, 1);
}
