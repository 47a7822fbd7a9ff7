/* SPDX-License-Identifier: MIT
 *
 * The two pieces of integer work that both bench_int and bench_par do.
 */
#ifndef WORK_H
#define WORK_H

#include <stddef.h>
#include <stdint.h>

#define CRC_BYTES 65536u

/* Fills a buffer of CRC_BYTES and the table of the CRC-32 of Ethernet (IEEE 802.3, 3.2.9),
 * reflected. */
void crc_prepare(uint8_t *buffer, uint32_t table[256]);

/* Carries a CRC over the buffer, a byte at a time: one load that depends on the one before. */
uint32_t crc_bytes(uint32_t crc, const uint8_t *buffer, size_t length, const uint32_t table[256]);

/* Fills 64 round constants: not SHA-256's own, which are of no matter to the time. */
void sha_prepare(uint32_t k[64]);

/* One block that is made from the state and number, compressed into the state as SHA-256 does (FIPS
 * 180-4, 6.2.2): shifts, rotations, sums and logic in registers. */
void sha_block(uint32_t h[8], const uint32_t k[64], uint32_t number);

#endif
