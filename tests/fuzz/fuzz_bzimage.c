/* SPDX-License-Identifier: MIT
 *
 * Fuzz target of the bzImage loader.
 */
#include "fuzz/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_boot(BOOT_LINUX, 24, data, size);
    return 0;
}
