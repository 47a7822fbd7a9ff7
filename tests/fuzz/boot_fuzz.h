/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets of the loaders share.
 */
#ifndef TESTS_FUZZ_BOOT_FUZZ_H
#define TESTS_FUZZ_BOOT_FUZZ_H

#include "boot/loader.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Loads the input by `protocol` into `mib` MiB of RAM, with a command line and a hole in RAM. Stops
 * the program if an error has no sentence, or if what was loaded cannot be started: an entry point,
 * a stack of tables or parameters that are no RAM. */
void fuzz_boot(enum boot_protocol protocol, uint64_t mib, const uint8_t *data, size_t size);

#endif
