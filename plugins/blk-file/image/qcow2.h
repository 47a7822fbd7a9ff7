/* SPDX-License-Identifier: MIT
 *
 * image/qcow2.h - private to the qcow2 code: an open image, and what its parts offer each other.
 *
 * Metadata live in memory and go to the file by qcow2_commit(), in an order that leaves nothing but
 * leaked clusters behind if the process, or the host, dies in between:
 *
 *     1. refcounts that were raised, new L2 tables, then the refcount table     (and new data)
 *     2. L2 entries, L1 entries
 *     3. refcounts of what nothing refers to any more, which only now can be given away anew
 *
 * with the disk's cache flushed before 2 and before 3. Data are written before their L2 entry is
 * changed in memory.
 *
 * Locks: a request holds its clusters in `ranges`, then `lock` for as long as it looks at metadata
 * or changes them, reading and writing them included; never over the transfer of data.
 */
#ifndef IMAGE_QCOW2_H
#define IMAGE_QCOW2_H

#include "image.h"
#include "metaset.h"
#include "qcow2_format.h"

/* Tables of a cluster each, kept as they are in the file. */
struct table {
    uint8_t *data;
    uint64_t offset;               /* in the file; 0: empty */
    uint64_t used;                 /* when, by table_cache.clock */
    uint32_t dirty_from, dirty_to; /* bytes; equal: clean */
    uint32_t is_new;               /* never written: no table refers to it in the file */
    uint32_t reserved;
};

struct table_cache {
    struct table *tables;
    uint64_t clock;
    uint32_t count, bytes; /* tables; bytes of one */
    uint32_t last;         /* found last */
    uint32_t reserved;
};

struct freed {
    uint64_t first, count; /* clusters of the file */
    uint32_t is_meta, reserved;
};

struct compressed;

struct qcow2 {
    struct image image; /* first */

    /* fixed after opening, but by qcow2_grow() */
    uint32_t version, cluster_bits, l2_bits, refcount_order;
    uint32_t compression_type, snapshot_count, header_length;
    uint32_t backing_format;
    uint64_t cluster_size;
    uint64_t short_cluster; /* the file ends inside of it, the rest is zeroes; UINT64_MAX: none */
    uint64_t compatible;
    char backing_name[IMAGE_NAME_MAX + 1];

    pthread_mutex_t lock; /* over all that follows, but `ranges` and `compressed` */
    uint64_t incompatible;
    uint64_t *l1; /* host order */
    uint64_t l1_offset;
    uint32_t l1_size;
    uint32_t l1_dirty_from, l1_dirty_to; /* entries */
    uint32_t reftable_entries;
    uint64_t *reftable;       /* host order */
    uint64_t reftable_offset; /* in the file's header */
    uint64_t reftable_clusters;
    uint64_t reftable_new; /* where it goes by the next commit; 0: it stays */
    uint32_t reftable_dirty_from, reftable_dirty_to; /* entries */
    struct table_cache l2, refblocks;
    struct metaset meta; /* clusters of the file that hold metadata */
    struct freed *freed; /* references that are gone since the last commit */
    uint32_t freed_count, freed_capacity;
    uint64_t free_hint;     /* no cluster below is free */
    uint64_t file_clusters; /* none from here on was ever used */
    uint32_t corrupt;       /* nothing is written any more */
    uint32_t writing;       /* the header has been told */

    struct ranges ranges; /* of the disk, in clusters */
    struct compressed *compressed;
};

static inline uint64_t cluster_of(const struct qcow2 *q, uint64_t offset)
{
    return offset >> q->cluster_bits;
}

static inline uint64_t in_cluster(const struct qcow2 *q, uint64_t offset)
{
    return offset & (q->cluster_size - 1);
}

uint64_t get_be64(const void *at);
uint32_t get_be32(const void *at);
void put_be64(void *at, uint64_t value);
void put_be32(void *at, uint32_t value);

/* ---- qcow2_cache.c: [lock] for all ---- */

int cache_init(struct table_cache *c, uint32_t count, uint32_t bytes);
void cache_end(struct table_cache *c);
/* The table at `offset`, or NULL. */
struct table *cache_find(struct table_cache *c, uint64_t offset);
/* The table to be replaced next. It may be dirty. NULL: no memory. */
struct table *cache_oldest(struct table_cache *c);
void cache_take(struct table_cache *c, struct table *t, uint64_t offset);
void table_dirty(struct table *t, uint64_t from, uint64_t to);
int table_write(struct qcow2 *q, struct table *t);
/* Gives the table at `offset`, read if need be. What was given before may be gone. -ENOMEM, -EIO
 * and the like. */
int qcow2_l2_table(struct qcow2 *q, uint64_t offset, struct table **out);
int qcow2_refblock(struct qcow2 *q, uint64_t offset, struct table **out);
/* An empty one that replaces nothing dirty. */
int qcow2_l2_slot(struct qcow2 *q, struct table **out);
int qcow2_refblock_slot(struct qcow2 *q, struct table **out);

/* ---- qcow2_commit.c: [lock] for all ---- */

/* Writes all metadata that are dirty, in order. */
int qcow2_commit(struct qcow2 *q);
/* One reference to each of `count` clusters from the one at `offset` is gone. Their refcounts
 * follow with the next commit. -EIO where they are metadata and `is_meta` is 0, or the other way
 * round: the image is corrupt. */
int qcow2_forget(struct qcow2 *q, uint64_t offset, uint64_t count, int is_meta);
/* The metadata contradict themselves: says so, in the header too, and ends all writing. -EIO. */
int qcow2_is_corrupt(struct qcow2 *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Before the first write: clears what says that others' additions fit. */
int qcow2_begin_writing(struct qcow2 *q);

/* ---- qcow2_refcount.c: [lock] for all ---- */

/* Takes free clusters that are neighbours: `want`, or fewer unless `exactly`. Their refcounts are 1
 * from now on. `*fresh`: the file has never been so long, they read as zeroes. -ENOSPC, -EFBIG. */
int qcow2_alloc(struct qcow2 *q, uint64_t want, int exactly, uint64_t *offset, uint64_t *got,
                int *fresh);
/* Takes one reference of cluster `cluster` away; *left is how many there still are. */
int qcow2_refcount_drop(struct qcow2 *q, uint64_t cluster, uint64_t *left);

/* ---- qcow2_map.c: [lock] for all ---- */

#define RUN_UNALLOCATED 0u /* the backing image's */
#define RUN_ZERO 1u
#define RUN_DATA 2u
#define RUN_COMPRESSED 3u

/* A piece of the disk that lies in one piece. */
struct run {
    uint64_t bytes;
    uint64_t host;     /* DATA: where in the file its first byte is */
    uint64_t entry;    /* of its first cluster */
    uint32_t kind;     /* RUN_* */
    uint32_t in_place; /* DATA: no reference but this one */
};

/* What is at `offset`, as far as it is of one kind within `length` and one L2 table. `cached_only`:
 * -EAGAIN instead of reading. */
int qcow2_run(struct qcow2 *q, uint64_t offset, uint64_t length, int cached_only, struct run *out);
/* Where a compressed cluster is, in bytes. */
void qcow2_compressed_place(const struct qcow2 *q, uint64_t entry, uint64_t *at, uint64_t *bytes);
/* Sets the entries of `count` clusters from the one of `offset`, in one L2 table, to `entry`, the
 * next cluster for each if it has an offset; what they referred to is forgotten. */
int qcow2_map_set(struct qcow2 *q, uint64_t offset, uint64_t count, uint64_t entry);

/* ---- qcow2_io.c, qcow2_zero.c, qcow2_compressed.c ---- */

int qcow2_read(struct image *i, struct cursor *to, uint64_t offset, uint64_t length);
int qcow2_write(struct image *i, struct cursor *from, uint64_t offset, uint64_t length);
int qcow2_zero(struct image *i, uint64_t offset, uint64_t length, int unmap);
int qcow2_discard(struct image *i, uint64_t offset, uint64_t length);
/* Reads within one cluster, of which `r` is the run, held by the caller. */
int qcow2_read_run(struct qcow2 *q, const struct run *r, struct cursor *to, uint64_t offset,
                   uint64_t length);

int compressed_new(struct qcow2 *q);
void compressed_free(struct qcow2 *q);
/* Bytes [from, from + length) of the compressed cluster that `entry` is of. [any] */
int compressed_read(struct qcow2 *q, uint64_t entry, uint64_t from, uint64_t length,
                    struct cursor *to);

/* ---- qcow2_header.c, qcow2_check.c ---- */

/* Reads and checks the header of q->image.fd. */
int qcow2_header_read(struct qcow2 *q, struct qcow2_header *h, uint64_t file_bytes,
                      struct image_error *e);
/* Reads the tables that stay in memory, and sees to it that nothing overlaps. */
int qcow2_tables_read(struct qcow2 *q, const struct qcow2_header *h, uint64_t file_bytes,
                      struct image_error *e);

#endif
