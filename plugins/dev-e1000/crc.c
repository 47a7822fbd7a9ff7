/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/crc.c - the frame check sequence (IEEE 802.3, 3.2.9): CRC-32, eight bytes at a time.
 *
 * A guest sees the FCS of what it receives unless RCTL.SECRC strips it, and Linux's driver does not
 * set that. The tables are the instance's: 8 KiB, made once.
 */
#include "e1000.h"

#include <backplane/util/le.h>

#define POLYNOMIAL 0xedb88320u /* bits reversed, as they are on the wire */

void crc_init(struct e1000 *e)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (uint32_t bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1u ? POLYNOMIAL : 0u);
        e->crc[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (uint32_t t = 1; t < 8; t++)
            e->crc[t][i] = e->crc[t - 1][i] >> 8 ^ e->crc[0][e->crc[t - 1][i] & 0xffu];
}

uint32_t crc_frame(const struct e1000 *e, const uint8_t *data, uint32_t len)
{
    uint32_t c = 0xffffffffu;

    for (; len >= 8; len -= 8, data += 8) {
        uint32_t low = bp_le32(data) ^ c, high = bp_le32(data + 4);

        c = e->crc[7][low & 0xffu] ^ e->crc[6][low >> 8 & 0xffu] ^ e->crc[5][low >> 16 & 0xffu] ^
            e->crc[4][low >> 24] ^ e->crc[3][high & 0xffu] ^ e->crc[2][high >> 8 & 0xffu] ^
            e->crc[1][high >> 16 & 0xffu] ^ e->crc[0][high >> 24];
    }
    while (len--)
        c = c >> 8 ^ e->crc[0][(c ^ *data++) & 0xffu];
    return ~c;
}
