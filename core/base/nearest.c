/* SPDX-License-Identifier: MIT
 *
 * base/nearest.c - "did you mean": optimal string alignment distance over bytes.
 *
 * Bytes and not characters: the words are keys and names, ASCII by their own rules.
 */
#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 64u

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Three rows of the usual table suffice: a swap of neighbours looks two rows back. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_MAX + 1];

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(least(row[j - 1], up[j]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], up2[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *nearest_word(const char *word, const char *const *words)
{
    size_t len = strnlen(word, WORD_MAX + 1);
    unsigned best = len == 2 ? 1 : (unsigned)(len / 3);
    const char *found = NULL;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        size_t other = strnlen(*words, WORD_MAX + 1);
        unsigned d;

        if (other > WORD_MAX)
            continue;
        d = distance(word, len, *words, other);
        if (d < best + !found) {
            best = d;
            found = *words;
        }
    }
    return found;
}
