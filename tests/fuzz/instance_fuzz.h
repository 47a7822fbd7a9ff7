/* SPDX-License-Identifier: MIT
 *
 * fuzz/instance_fuzz.h - what the fuzz targets of whole instances on the host of unit tests share:
 * the input as a program, and state as a file brings it that somebody changed.
 */
#ifndef INSTANCE_FUZZ_H
#define INSTANCE_FUZZ_H

#include "fakes/host.h"

#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
    const uint8_t *data;
    size_t left;
};

/* The next `bytes` bytes, up to 8, little-endian; zeroes beyond the end. */
uint64_t fuzz_take(struct fuzz_input *in, uint32_t bytes);

/* Stops the instance, gives some members of its state values of the input's, and has it load them:
 * what after_load() says. The instance stands still on return. */
int fuzz_damage(struct fake_host *h, struct fuzz_input *in);
void fuzz_start(struct fake_host *h);
/* Stops it, resets it (BP_RESET_*) and starts it again. */
void fuzz_reset(struct fake_host *h, uint32_t kind);

#endif
