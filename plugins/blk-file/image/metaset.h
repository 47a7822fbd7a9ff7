/* SPDX-License-Identifier: MIT
 *
 * image/metaset.h - the clusters that hold metadata, so that no data are ever written over them: a
 * set of numbers.
 */
#ifndef IMAGE_METASET_H
#define IMAGE_METASET_H

#include <stdint.h>

struct metaset {
    uint64_t *slots; /* cluster + 1, or 0; open addressing */
    uint64_t capacity, count;
};

void metaset_free(struct metaset *m);
/* 0; -EEXIST if it is in; -ENOMEM. */
int metaset_add(struct metaset *m, uint64_t cluster);
int metaset_has(const struct metaset *m, uint64_t cluster);
void metaset_remove(struct metaset *m, uint64_t cluster);

#endif
