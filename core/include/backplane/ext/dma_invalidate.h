/* SPDX-License-Identifier: MIT
 *
 * backplane/ext/dma_invalidate.h - "bp.dma-invalidate/1", offered by an instance that keeps what
 * dma_map() gave it beyond the callback in which it asked: a disk whose backend reads into guest
 * memory while the guest runs on. Between stop() and start() it keeps nothing.
 */
#ifndef BACKPLANE_EXT_DMA_INVALIDATE_H
#define BACKPLANE_EXT_DMA_INVALIDATE_H

#include "../abi.h"
BP_BEGIN

#define BP_DMA_INVALIDATE_ID "bp.dma-invalidate/1"

struct bp_dma_invalidate {
    uint32_t size;
    uint32_t reserved;
    /* Guest memory is about to be mapped elsewhere: on return no mapping is in use or kept. A host
     * whose RAM stays where it is while the machine lives never calls it. [main] */
    void (*invalidate)(void *self);
};

BP_END
#endif
