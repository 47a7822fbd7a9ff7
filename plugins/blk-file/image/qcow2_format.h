/* SPDX-License-Identifier: MIT
 *
 * image/qcow2_format.h - what stands in a qcow2 file: versions 2 and 3, after QEMU's
 * docs/interop/qcow2.txt. All integers are big-endian.
 */
#ifndef IMAGE_QCOW2_FORMAT_H
#define IMAGE_QCOW2_FORMAT_H

#include <stdint.h>

#define QCOW2_MAGIC "QFI\xfb"
#define QCOW2_MAGIC_NUMBER 0x514649fbu /* the same */

struct qcow2_header {
    uint32_t magic, version;
    uint64_t backing_offset; /* 0: none; not terminated */
    uint32_t backing_length;
    uint32_t cluster_bits;
    uint64_t length; /* bytes of the disk */
    uint32_t crypt_method;
    uint32_t l1_size; /* entries */
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t snapshot_count;
    uint64_t snapshot_offset;
    /* version 3 */
    uint64_t incompatible, compatible, autoclear;
    uint32_t refcount_order;
    uint32_t header_length;
    uint8_t compression_type;
    uint8_t padding[7];
};

#define QCOW2_HEADER_V2 72u
#define QCOW2_HEADER_V3 104u
#define QCOW2_HEADER_MAX 112u /* bytes of it that have a meaning to us */

#define QCOW2_DIRTY 1ull       /* refcounts may be stale */
#define QCOW2_CORRUPT 2ull     /* may be read only */
#define QCOW2_DATA_FILE 4ull   /* the data are in another file */
#define QCOW2_COMPRESSION 8ull /* compression_type is not 0 */
#define QCOW2_EXTENDED_L2 16ull
#define QCOW2_LAZY 1ull /* compatible: lazy refcounts */

#define QCOW2_DEFLATE 0u
#define QCOW2_ZSTD 1u

/* Header extensions. */
#define QCOW2_EXT_END 0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_CRYPTO 0x0537be77u

/* Entries of L1 and L2 tables.
 *
 *      63        62         61..56    55..9    8..1      0
 *      COPIED    COMPRESSED reserved  offset   reserved  ZERO (L2, version 3)
 */
#define QCOW2_COPIED (1ull << 63) /* the refcount is 1: may be written in place */
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO 1ull
#define QCOW2_OFFSET 0x00fffffffffffe00ull

#define QCOW2_CLUSTER_BITS_MIN 9u
#define QCOW2_CLUSTER_BITS_MAX 21u
#define QCOW2_L1_BYTES_MAX (32u << 20)
#define QCOW2_REFTABLE_BYTES_MAX (8u << 20)
#define QCOW2_SNAPSHOTS_MAX 65536u
#define QCOW2_SNAPSHOT_TABLES_MAX (256u << 20) /* L1 tables of all snapshots, bytes */
#define QCOW2_REFCOUNT_ORDER_MAX 6u

#endif
