/* SPDX-License-Identifier: MIT
 *
 * e1000_world.h - the host of the simplest kind that the fuzz targets of dev-e1000 share. The
 * device's sources are part of the program. The host checks what a device must not do: reach
 * outside memory, work without end in one call, call the backend from inside its own.
 */
#ifndef TESTS_FUZZ_E1000_WORLD_H
#define TESTS_FUZZ_E1000_WORLD_H

#include <stddef.h>
#include <stdint.h>

#define WORLD_RAM_BYTES 0x20000u

struct input {
    const uint8_t *data;
    size_t left;
};

/* The next `bytes` of the input, little-endian; zeroes behind its end. */
uint32_t take(struct input *in, uint32_t bytes);

/* A card after power-on, with a cable; what must hold at the end. */
void world_begin(void);
void world_end(void);

uint8_t *world_ram(uint32_t at);
void world_write(uint32_t offset, uint32_t value);
uint32_t world_read(uint32_t offset);
/* IOADDR and IODATA. */
void world_io(uint32_t offset, uint32_t value);
/* Guest time passes. */
void world_advance(uint64_t ns);
/* The network has a frame of a length, with a beginning, that the input says. */
void world_receive(struct input *in);
/* Bytes of the input go to where a descriptor may be. */
void world_poke(struct input *in);
/* The backend refuses some of the next frames, as the input says, and takes what it owes. */
void world_backend(struct input *in);
void world_link(uint32_t up);
/* The power state, 0 to 3. */
void world_power(uint32_t state);
/* Members of the state get values of the input's, as if a snapshot had brought them. */
void world_damage(struct input *in);

#endif
