/* SPDX-License-Identifier: MIT
 *
 * boot/firmware.c - a ROM image instead of a kernel. The processor begins at its reset vector, 16
 * bytes below 4 GiB, in the state of Intel SDM vol. 3A, 9.1.4 and table 9-1; what is loaded
 * afterwards, and by which protocol, is the firmware's affair. Nothing is written to RAM.
 *
 * What of it is seen below 1 MiB, and when RAM is instead, is in machine/firmware.c. Left out:
 * flash memory that can be written.
 */
#include "boot/boot.h"
#include "boot/image.h"
#include "boot/loader.h"

#include <errno.h>
#include <inttypes.h>

#define RESET_VECTOR 0xfffffff0u

static int check_size(const char *path, uint64_t bytes, struct error *e)
{
    if (bytes % RAM_PAGE == 0 && bytes <= BOOT_ROM_MAX)
        return 0;
    return error_set(e, -EINVAL,
                     "%s: has %" PRIu64 " bytes, which no firmware image has: expected a multiple "
                     "of %u, and at most %u",
                     path, bytes, RAM_PAGE, BOOT_ROM_MAX);
}

int boot_check_firmware(const char *path, uint64_t *bytes, struct error *e)
{
    int err = image_check_size(path, bytes, e);

    return err ? err : check_size(path, *bytes, e);
}

int firmware_load(const char *path, const struct boot_target *target, struct boot_state *state,
                  struct error *e)
{
    struct image image;
    int err = image_open(&image, path, e);

    if (err)
        return err;
    if (image.size != target->rom_bytes)
        err = error_set(e, -EINVAL,
                        "%s: has %" PRIu64 " bytes, but had %" PRIu64
                        " when the machine was made; its size must not change",
                        path, image.size, target->rom_bytes);
    if (!err)
        err = image_read(&image, 0, target->rom, image.size, e);
    image_close(&image);
    if (err)
        return err;
    *state =
        (struct boot_state){.protocol = "firmware", .power_on = true, .gpr = {.rip = RESET_VECTOR}};
    return 0;
}
