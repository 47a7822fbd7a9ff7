/* SPDX-License-Identifier: MIT
 *
 * backplane/util/le.h - little-endian memory, at any alignment, on any host.
 */
#ifndef BACKPLANE_UTIL_LE_H
#define BACKPLANE_UTIL_LE_H

#include <stdint.h>

static inline uint16_t bp_le16(const void *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t bp_le32(const void *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t bp_le64(const void *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint64_t)bp_le32(b) | (uint64_t)bp_le32(b + 4) << 32;
}

static inline void bp_put_le16(void *at, uint16_t v)
{
    uint8_t *b = (uint8_t *)at;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void bp_put_le32(void *at, uint32_t v)
{
    uint8_t *b = (uint8_t *)at;
    bp_put_le16(b, (uint16_t)v);
    bp_put_le16(b + 2, (uint16_t)(v >> 16));
}

static inline void bp_put_le64(void *at, uint64_t v)
{
    uint8_t *b = (uint8_t *)at;
    bp_put_le32(b, (uint32_t)v);
    bp_put_le32(b + 4, (uint32_t)(v >> 32));
}

#endif
