/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/dirty_log.h - "bp.dirty-log/1", offered by a CPU backend: which pages of a memory
 * slot the guest wrote. Writes by devices are the host's to know (dma_unmap).
 */
#ifndef BACKPLANE_EXT_DIRTY_LOG_H
#define BACKPLANE_EXT_DIRTY_LOG_H

#include "../abi.h"
BP_BEGIN

#define BP_DIRTY_LOG_ID "bp.dirty-log/1"

struct bp_dirty_log {
    uint32_t size;
    uint32_t reserved;
    /* Starts (1) or ends (0) logging on the slot. -ENOENT for an unknown slot. [main] */
    int (*enable)(void *vm, uint32_t slot_index, uint32_t on);
    /* Copies and clears the log: bit n of `bitmap` (little endian, n / 64 is the word) is page n of
     * the slot. `bitmap_bytes` is at least a bit a page, rounded up to 8 bytes; -EINVAL otherwise.
     * [main] */
    int (*fetch)(void *vm, uint32_t slot_index, uint64_t *bitmap, uint64_t bitmap_bytes);
};

BP_END
#endif
