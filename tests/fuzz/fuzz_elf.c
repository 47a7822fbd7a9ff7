/* SPDX-License-Identifier: MIT
 *
 * Fuzz target of everything that starts with an ELF file: detection, plain, PVH, multiboot.
 */
#include "fuzz/boot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_boot(BOOT_AUTO, 6, data, size);
    fuzz_boot(BOOT_ELF, 6, data, size);
    fuzz_boot(BOOT_PVH, 6, data, size);
    fuzz_boot(BOOT_MULTIBOOT, 6, data, size);
    return 0;
}
