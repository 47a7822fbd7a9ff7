/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets of the loaders share. The memory is made anew for each input: a byte that
 * is written where no RAM is would be found, and inputs do not see each other.
 */
#include "fuzz/boot_fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 0x100000ull

static void check(int truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "fuzz_boot: %s\n", what);
    abort();
}

static void check_state(const struct ram *ram, const struct boot_state *state)
{
    const struct bp_x86_sys *sys = &state->sys;
    uint64_t info = state->gpr.rsi | state->gpr.rbx;

    check(state->protocol != NULL, "the protocol has no name");
    check(ram_at(ram, sys->cs.base + state->gpr.rip, 1) != NULL, "the entry point is no RAM");
    check(info == BOOT_INFO_GPA, "no boot information");
    check(ram_at(ram, sys->gdt.base, sys->gdt.limit + 1ull) != NULL, "the GDT is no RAM");
    if (sys->efer)
        check(ram_at(ram, sys->cr3, state_table_bytes(GIB_MAPPED)) != NULL, "CR3 is no RAM");
}

void fuzz_boot(enum boot_protocol protocol, uint64_t mib, const uint8_t *data, size_t size)
{
    const struct ram_reserved hole = {.gpa = (mib - 1) * MIB, .length = RAM_PAGE};
    const struct boot_request request = {
        .protocol = protocol, .kernel = "fuzz", .cmdline = "console=ttyS0"};
    struct boot_state state = {0};
    struct error e = {0};
    struct image image;
    struct e820 map;
    struct ram ram;
    struct boot_target target = {.ram = &ram, .map = &map, .rsdp_gpa = 0xe0000};
    int err;

    if (!size)
        return; /* image_open() refuses empty files */
    check(!ram_create(&ram, mib * MIB, false, &hole, 1, &e), "no memory");
    check(!e820_from_ram(&map, &ram), "no memory map");
    image_from_memory(&image, "fuzz", data, size);
    err = loader_run(&request, &image, &target, &state, &e);
    if (err)
        check(err < 0 && !strncmp(e.text, "fuzz: ", 6), "an error without its sentence");
    else
        check_state(&ram, &state);
    ram_destroy(&ram);
}
