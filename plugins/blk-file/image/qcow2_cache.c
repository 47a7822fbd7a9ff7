/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_cache.c - L2 tables and refcount blocks in memory: some of each, the least recently
 * used is replaced.
 *
 * A dirty refcount block may be written at any time, as qcow2.h's order lets refcounts come first;
 * a dirty L2 table only as part of a commit.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cache_init(struct table_cache *c, uint32_t count, uint32_t bytes)
{
    c->tables = calloc(count, sizeof(*c->tables));
    c->count = count;
    c->bytes = bytes;
    return c->tables ? 0 : -ENOMEM;
}

void cache_end(struct table_cache *c)
{
    for (uint32_t i = 0; c->tables && i < c->count; i++)
        free(c->tables[i].data);
    free(c->tables);
    c->tables = NULL;
}

struct table *cache_find(struct table_cache *c, uint64_t offset)
{
    if (c->tables[c->last].offset != offset) {
        uint32_t i = 0;

        while (i < c->count && c->tables[i].offset != offset)
            i++;
        if (i == c->count)
            return NULL;
        c->last = i;
    }
    c->tables[c->last].used = ++c->clock;
    return &c->tables[c->last];
}

struct table *cache_oldest(struct table_cache *c)
{
    struct table *oldest = c->tables;

    for (uint32_t i = 1; i < c->count; i++)
        if (c->tables[i].used < oldest->used)
            oldest = &c->tables[i];
    if (!oldest->data)
        oldest->data = malloc(c->bytes);
    return oldest->data ? oldest : NULL;
}

void cache_take(struct table_cache *c, struct table *t, uint64_t offset)
{
    t->offset = offset;
    t->used = ++c->clock;
    t->is_new = 0;
    t->dirty_from = t->dirty_to = 0;
    c->last = (uint32_t)(t - c->tables);
}

void table_dirty(struct table *t, uint64_t from, uint64_t to)
{
    if (t->dirty_from == t->dirty_to) {
        t->dirty_from = (uint32_t)from;
        t->dirty_to = (uint32_t)to;
        return;
    }
    if (from < t->dirty_from)
        t->dirty_from = (uint32_t)from;
    if (to > t->dirty_to)
        t->dirty_to = (uint32_t)to;
}

int table_write(struct qcow2 *q, struct table *t)
{
    int err = 0;

    if (t->offset && t->dirty_from != t->dirty_to)
        err = file_write(q->image.fd, t->data + t->dirty_from, t->offset + t->dirty_from,
                         t->dirty_to - t->dirty_from);
    if (err)
        return err;
    t->dirty_from = t->dirty_to = 0;
    t->is_new = 0;
    return 0;
}

static int fill(struct qcow2 *q, struct table_cache *c, struct table *t, uint64_t offset)
{
    int err;

    t->offset = 0;
    err = file_read(q->image.fd, t->data, offset, c->bytes, 0);
    if (err)
        return err;
    cache_take(c, t, offset);
    return 0;
}

int qcow2_l2_slot(struct qcow2 *q, struct table **out)
{
    struct table *t = cache_oldest(&q->l2);
    int err = 0;

    if (!t)
        return -ENOMEM;
    if (t->offset && t->dirty_from != t->dirty_to)
        err = qcow2_commit(q);
    *out = t;
    return err;
}

int qcow2_l2_table(struct qcow2 *q, uint64_t offset, struct table **out)
{
    int err;

    *out = cache_find(&q->l2, offset);
    if (*out)
        return 0;
    err = qcow2_l2_slot(q, out);
    return err ? err : fill(q, &q->l2, *out, offset);
}

int qcow2_refblock_slot(struct qcow2 *q, struct table **out)
{
    *out = cache_oldest(&q->refblocks);
    return *out ? table_write(q, *out) : -ENOMEM;
}

int qcow2_refblock(struct qcow2 *q, uint64_t offset, struct table **out)
{
    int err;

    *out = cache_find(&q->refblocks, offset);
    if (*out)
        return 0;
    err = qcow2_refblock_slot(q, out);
    return err ? err : fill(q, &q->refblocks, *out, offset);
}
