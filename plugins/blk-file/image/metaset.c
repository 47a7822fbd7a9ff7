/* SPDX-License-Identifier: MIT
 *
 * image/metaset.c - open addressing with linear probing, at most half full.
 */
#include "metaset.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_FIRST 64u

static uint64_t home(const struct metaset *m, uint64_t cluster)
{
    return (cluster * 0x9e3779b97f4a7c15ull >> 20) & (m->capacity - 1);
}

void metaset_free(struct metaset *m)
{
    free(m->slots);
    m->slots = NULL;
    m->capacity = m->count = 0;
}

/* The slot of `cluster`, or the empty one where it would be. */
static uint64_t find(const struct metaset *m, uint64_t cluster)
{
    uint64_t at = home(m, cluster);

    while (m->slots[at] && m->slots[at] != cluster + 1)
        at = (at + 1) & (m->capacity - 1);
    return at;
}

static int grow(struct metaset *m)
{
    struct metaset wider = {.capacity = m->capacity ? m->capacity * 2 : CAPACITY_FIRST,
                            .count = m->count};

    wider.slots = calloc(wider.capacity, sizeof(*wider.slots));
    if (!wider.slots)
        return -ENOMEM;
    for (uint64_t i = 0; i < m->capacity; i++)
        if (m->slots[i])
            wider.slots[find(&wider, m->slots[i] - 1)] = m->slots[i];
    free(m->slots);
    *m = wider;
    return 0;
}

int metaset_add(struct metaset *m, uint64_t cluster)
{
    uint64_t at;

    if (m->count * 2 >= m->capacity && grow(m))
        return -ENOMEM;
    at = find(m, cluster);
    if (m->slots[at])
        return -EEXIST;
    m->slots[at] = cluster + 1;
    m->count++;
    return 0;
}

int metaset_has(const struct metaset *m, uint64_t cluster)
{
    return m->capacity && m->slots[find(m, cluster)];
}

void metaset_remove(struct metaset *m, uint64_t cluster)
{
    uint64_t hole, at;

    if (!m->capacity)
        return;
    hole = find(m, cluster);
    if (!m->slots[hole])
        return;
    m->slots[hole] = 0;
    m->count--;
    /* What was pushed past the hole moves up, so that a search still finds it. */
    for (at = (hole + 1) & (m->capacity - 1); m->slots[at]; at = (at + 1) & (m->capacity - 1)) {
        uint64_t moved = m->slots[at];

        m->slots[at] = 0;
        m->slots[find(m, moved - 1)] = moved;
    }
}
