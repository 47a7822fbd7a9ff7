/* SPDX-License-Identifier: MIT
 *
 * boot/boot.h - puts a kernel, its initrd and its parameters into guest RAM, and says in which
 * state the boot processor begins. Files are untrusted: every offset and size is checked before it
 * is used.
 *
 * Guest-physical addresses of what the loader itself writes, all below 640 KiB:
 *
 *     0x00500  GDT                       0x07000  boot_params, hvm_start_info or multiboot info
 *     0x09000  page tables (24 KiB)      0x20000  command line, modules' strings
 *
 * Or puts firmware into ROM, which is all that it does then.
 *
 * A raw binary may stand there itself; the GDT and page tables then go elsewhere.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "base/error.h"
#include "memory/ram.h"
#include "platform/e820.h"

#include <backplane/ext/x86.h>
#include <stdbool.h>

#define BOOT_GDT_GPA 0x500u
#define BOOT_INFO_GPA 0x7000u
#define BOOT_PAGE_TABLES_GPA 0x9000u
#define BOOT_CMDLINE_GPA 0x20000u
/* Bytes of the command line and the modules' strings with their 0: what the loader has room for. */
#define BOOT_CMDLINE_MAX 0x10000u

/* How to start what [boot] names; the order is that of the key's choices. BOOT_AUTO goes by the
 * file's content: a bzImage, an ELF file with a PVH note, a multiboot header, any other ELF file.
 */
enum boot_protocol {
    BOOT_AUTO,
    BOOT_LINUX,
    BOOT_ELF,
    BOOT_PVH,
    BOOT_MULTIBOOT,
    BOOT_RAW,
};

struct boot_request {
    enum boot_protocol protocol;
    const char *kernel;         /* path; the raw binary with BOOT_RAW; not used with firmware */
    const char *firmware;       /* path of a ROM image, instead of a kernel, or NULL */
    const char *initrd;         /* path or NULL; the first module with PVH and multiboot */
    const char *cmdline;        /* or NULL */
    const char *const *modules; /* PVH and multiboot: further "path [arguments]" */
    uint32_t module_count;
    uint32_t raw_mode;    /* 16, 32 or 64 */
    uint64_t raw_address; /* guest-physical address of the binary's first byte */
    uint64_t raw_entry;
};

/* What the loader may use. */
struct boot_target {
    struct ram *ram;
    const struct e820 *map;
    uint64_t rsdp_gpa; /* 0: no ACPI */
    uint8_t *rom;      /* what the guest sees as ROM, for firmware; or NULL */
    uint64_t rom_bytes;
};

/* The boot processor's first state, complete: what a processor has after a reset, changed to what
 * the protocol demands. sys.apic_base is 0, which means "leave it as it is": its address and BSP
 * bit are the backend's.
 *
 * With `power_on` the boot processor begins as the backend's reset leaves it, and `sys` and `gpr`
 * say nothing but where that is, for the log: firmware. */
struct boot_state {
    const char *protocol; /* "Linux 64-bit", for the log */
    bool power_on;
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;
};

/* Looks whether `path` is a file that boot_load() would open, a regular one that is not empty,
 * without opening it: there is no effect, and a FIFO does not wait. -ENOENT, -EACCES, -EISDIR,
 * -EINVAL, with the sentence of boot_load(). What is in it is not looked at. [main] */
int boot_check_file(const char *path, struct error *e);

/* Firmware is a ROM that ends at 4 GiB. The part of it that PCs show below 1 MiB as well is its
 * last 128 KiB, or all of it. */
#define BOOT_ROM_MAX 0x1000000u     /* 16 MiB: above the local APICs */
#define BOOT_ROM_LOW_MAX 0x20000u   /* bytes */
#define BOOT_ROM_LOW_END 0x100000u  /* guest-physical address */
#define BOOT_ROM_END 0x100000000ull /* the same */

/* As boot_check_file() for a firmware image, whose size has to be a multiple of 4096 and at most
 * BOOT_ROM_MAX; it is put into *bytes. [main] */
int boot_check_firmware(const char *path, uint64_t *bytes, struct error *e);

/* Loads everything. Files are opened and checked before RAM is written, but after an error some of
 * it may be. RAM need not be zero. -ENOENT, -EACCES, -EISDIR, -EINVAL (not what was expected,
 * truncated), -ENOSPC (does not fit RAM, or stands over something else), -ENODATA (shrank
 * meanwhile), -EIO; with a sentence that begins with the path of the file to blame. [main] */
int boot_load(const struct boot_request *request, const struct boot_target *target,
              struct boot_state *state, struct error *e);

#endif
