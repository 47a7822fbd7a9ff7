/* SPDX-License-Identifier: MIT
 *
 * Fuzz target of the multiboot loader with flat kernels, and of detection.
 */
#include "fuzz/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_boot(BOOT_MULTIBOOT, 3, data, size);
    fuzz_boot(BOOT_AUTO, 3, data, size);
    return 0;
}
