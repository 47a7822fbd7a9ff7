/* SPDX-License-Identifier: MIT
 *
 * CRC-32 (IEEE 802.3, 3.2.9) and the compression of SHA-256 (FIPS 180-4, 6.2.2) as plain C. Leaves
 * out: padding, and SHA-256's own constants.
 */
#include "work.h"

#include <string.h>

#include "bench.h"

void crc_prepare(uint8_t *buffer, uint32_t table[256])
{
    uint64_t random = 88172645463325252u;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
        table[i] = crc;
    }
    for (size_t i = 0; i < CRC_BYTES; i++)
        buffer[i] = (uint8_t)bench_random(&random);
}

uint32_t crc_bytes(uint32_t crc, const uint8_t *buffer, size_t length, const uint32_t table[256])
{
    for (size_t i = 0; i < length; i++)
        crc = table[(crc ^ buffer[i]) & 0xff] ^ crc >> 8;
    return crc;
}

static inline uint32_t rotate_right(uint32_t value, unsigned count)
{
    return value >> count | value << (32 - count);
}

void sha_prepare(uint32_t k[64])
{
    uint64_t random = 0x123456789abcdefu;

    for (unsigned i = 0; i < 64; i++)
        k[i] = (uint32_t)bench_random(&random);
}

void sha_block(uint32_t h[8], const uint32_t k[64], uint32_t number)
{
    uint32_t w[64], v[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = h[i & 7] * 2654435761u + number + i;
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) +
               (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof(v));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t s1 = rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25);
        uint32_t s0 = rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22);
        uint32_t t1 = v[7] + k[i] + w[i] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6]));
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

        v[7] = v[6];
        v[6] = v[5];
        v[5] = v[4];
        v[4] = v[3] + t1;
        v[3] = v[2];
        v[2] = v[1];
        v[1] = v[0];
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        h[i] += v[i];
}
