/* SPDX-License-Identifier: MIT
 *
 * Double precision by SSE2: scalar with data-dependent branches, scalar with division and square
 * root, packed. Sums are compared by their bits, so an emulator that rounds in another way is found
 * out. No x87, no single precision.
 */
#include "bench.h"

#include <emmintrin.h>

#define MANDEL_WIDTH 128u
#define BODIES 5u
#define MATRIX 128u

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static unsigned mandel_escape(double cr, double ci)
{
    double zr = 0, zi = 0;
    unsigned i;

    for (i = 0; i < 1000; i++) {
        double r2 = zr * zr, i2 = zi * zi;

        if (r2 + i2 > 4.0)
            break;
        zi = 2.0 * zr * zi + ci;
        zr = r2 - i2 + cr;
    }
    return i;
}

/* work: iterations. */
static uint64_t mandel(unsigned scale, uint64_t *work)
{
    uint64_t total = 0;

    for (unsigned round = 0; round < scale; round++)
        for (unsigned y = 0; y < MANDEL_WIDTH; y++)
            for (unsigned x = 0; x < MANDEL_WIDTH; x++)
                total += mandel_escape(3.0 * x / MANDEL_WIDTH - 2.25, 3.0 * y / MANDEL_WIDTH - 1.5);
    *work = total;
    return total;
}

struct body {
    double at[3], speed[3], mass;
};

static void attract(struct body *a, struct body *b)
{
    double way[3], square = 0.01, pull;

    for (unsigned k = 0; k < 3; k++) {
        way[k] = a->at[k] - b->at[k];
        square += way[k] * way[k];
    }
    pull = 0.001 / (square * __builtin_sqrt(square));
    for (unsigned k = 0; k < 3; k++) {
        a->speed[k] -= way[k] * b->mass * pull;
        b->speed[k] += way[k] * a->mass * pull;
    }
}

/* work: steps of the five bodies. */
static uint64_t nbody(unsigned scale, uint64_t *work)
{
    struct body bodies[BODIES];
    uint64_t random = 3;
    double sum = 0;
    unsigned step;

    for (unsigned i = 0; i < BODIES; i++) {
        bodies[i].mass = 1.0 + i;
        for (unsigned k = 0; k < 3; k++) {
            bodies[i].at[k] = (double)(bench_random(&random) % 2000) / 100 - 10;
            bodies[i].speed[k] = (double)(bench_random(&random) % 200) / 1000 - 0.1;
        }
    }
    for (step = 0; step < 100000 * scale; step++) {
        for (unsigned i = 0; i < BODIES; i++)
            for (unsigned j = i + 1; j < BODIES; j++)
                attract(&bodies[i], &bodies[j]);
        for (unsigned i = 0; i < BODIES; i++)
            for (unsigned k = 0; k < 3; k++)
                bodies[i].at[k] += 0.001 * bodies[i].speed[k];
    }
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned k = 0; k < 3; k++)
            sum += bodies[i].at[k];
    *work = step;
    return bits_of(sum);
}

/* work: floating point operations. */
static uint64_t matmul(unsigned scale, uint64_t *work)
{
    double(*a)[MATRIX] = bench_alloc(MATRIX, sizeof(*a));
    double(*b)[MATRIX] = bench_alloc(MATRIX, sizeof(*b));
    double(*c)[MATRIX] = bench_alloc(MATRIX, sizeof(*c));
    double sum = 0;
    unsigned round;

    for (unsigned i = 0; i < MATRIX; i++)
        for (unsigned j = 0; j < MATRIX; j++) {
            a[i][j] = (double)((i * 7 + j) % 13) / 13;
            b[i][j] = (double)((i + j * 5) % 17) / 17;
        }
    for (round = 0; round < 15 * scale; round++)
        for (unsigned i = 0; i < MATRIX; i++)
            for (unsigned k = 0; k < MATRIX; k++) {
                __m128d factor = _mm_set1_pd(a[i][k] + round);

                for (unsigned j = 0; j < MATRIX; j += 2) {
                    __m128d product = _mm_mul_pd(factor, _mm_loadu_pd(&b[k][j]));

                    _mm_storeu_pd(&c[i][j], _mm_add_pd(_mm_loadu_pd(&c[i][j]), product));
                }
            }
    for (unsigned i = 0; i < MATRIX; i++)
        for (unsigned j = 0; j < MATRIX; j++)
            sum += c[i][j];
    free(a);
    free(b);
    free(c);
    *work = (uint64_t)round * MATRIX * MATRIX * MATRIX * 2;
    return bits_of(sum);
}

int main(int argc, char **argv)
{
    static const struct bench list[] = {
        {"fp-mandel", mandel},
        {"fp-nbody", nbody},
        {"fp-matmul", matmul},
    };

    return bench_main(argc, argv, list, sizeof(list) / sizeof(list[0]));
}
