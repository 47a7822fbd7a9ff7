/* SPDX-License-Identifier: MIT
 *
 * boot/raw.c - a flat binary at any address of RAM, entered at any of its bytes in real mode, flat
 * 32-bit protected mode or 64-bit mode. The binary is placed first; GDT, page tables and stack go
 * where it is not.
 *
 * The processor's registers are 0 but for RIP, RFLAGS and RSP: in the 32-bit and 64-bit modes RSP
 * is the end of a free page; in real mode SS is CS and SP 0, so that the stack grows down from the
 * segment's end.
 */
#include "boot/loader.h"

#include <errno.h>
#include <inttypes.h>

#define REAL_LAST 0xfffffu /* what CS:IP reaches without wrapping tricks */
#define LOW_LAST 0x9ffffu
#define GIB_SHIFT 30u
#define GIB_MAX 512u /* one PDPT */

static int check_request(const struct loader *l)
{
    const struct boot_request *r = l->request;
    const char *path = l->kernel->path;

    if (r->raw_mode != 16 && r->raw_mode != 32 && r->raw_mode != 64)
        return error_set(l->e, -EINVAL,
                         "%s: mode %" PRIu32 " is not possible, expected 16, 32 or 64", path,
                         r->raw_mode);
    if (r->initrd || r->module_count)
        return error_set(l->e, -EINVAL,
                         "%s: a raw binary is not told about initrd or modules; remove them", path);
    if (r->cmdline && *r->cmdline)
        return error_set(l->e, -EINVAL,
                         "%s: a raw binary is not told about a command line; remove it", path);
    if (r->raw_entry < r->raw_address || r->raw_entry - r->raw_address >= l->kernel->size)
        return error_set(l->e, -EINVAL,
                         "%s: the entry 0x%" PRIx64 " is outside the binary, which has %" PRIu64
                         " bytes at 0x%" PRIx64,
                         path, r->raw_entry, l->kernel->size, r->raw_address);
    if (r->raw_mode == 16 && r->raw_entry > REAL_LAST)
        return error_set(l->e, -EINVAL,
                         "%s: the entry 0x%" PRIx64
                         " is out of real mode's reach, expected at most 0x%x",
                         path, r->raw_entry, REAL_LAST);
    if (r->raw_mode == 32 && r->raw_entry > LOADER_LAST)
        return error_set(l->e, -EINVAL,
                         "%s: the entry 0x%" PRIx64
                         " is out of 32-bit mode's reach, expected at most 0x%x",
                         path, r->raw_entry, LOADER_LAST);
    if (r->raw_entry >> GIB_SHIFT >= GIB_MAX)
        return error_set(l->e, -EINVAL,
                         "%s: the entry 0x%" PRIx64 " is above the 512 GiB that are mapped", path,
                         r->raw_entry);
    return 0;
}

/* The highest free page below 640 KiB, or any other. */
static int take_stack(struct loader *l, uint64_t *gpa)
{
    const char *path = l->kernel->path;

    if (!place_take_free(&l->place, path, "the stack", PLACE_HIGHEST, RAM_PAGE, RAM_PAGE, RAM_PAGE,
                         LOW_LAST, gpa, NULL, l->e))
        return 0;
    return place_take_free(&l->place, path, "the stack", PLACE_LOWEST, RAM_PAGE, RAM_PAGE, RAM_PAGE,
                           LOADER_LAST, gpa, NULL, l->e);
}

int raw_load(struct loader *l)
{
    const struct boot_request *r = l->request;
    uint64_t stack = 0;
    uint32_t gib = 0;
    uint8_t *host = NULL;
    int err = check_request(l);

    if (!err)
        err = place_take(&l->place, l->kernel->path, "the binary", r->raw_address, l->kernel->size,
                         &host, l->e);
    if (!err && r->raw_mode == 64) {
        uint64_t last = (r->raw_address + l->kernel->size - 1) >> GIB_SHIFT;

        gib = last < GIB_MAPPED ? GIB_MAPPED : last < GIB_MAX ? (uint32_t)last + 1 : GIB_MAX;
    }
    if (!err && r->raw_mode != 16)
        err = loader_find_tables(l, gib);
    if (!err && r->raw_mode != 16)
        err = take_stack(l, &stack);
    if (!err)
        err = image_read(l->kernel, 0, host, l->kernel->size, l->e);
    if (err)
        return err;
    if (r->raw_mode == 16)
        state_real(l, (uint16_t)((r->raw_entry & 0xf0000u) >> 4), (uint16_t)r->raw_entry);
    else if (r->raw_mode == 32)
        state_flat32(l, r->raw_entry);
    else
        state_long(l, r->raw_entry, gib);
    l->state->gpr.rsp = stack ? stack + RAM_PAGE : 0;
    l->state->protocol = r->raw_mode == 16   ? "raw 16-bit"
                         : r->raw_mode == 32 ? "raw 32-bit"
                                             : "raw 64-bit";
    return 0;
}
