/* SPDX-License-Identifier: MIT
 *
 * boot/loader.h - what the protocols share: the load in progress, the loader's own structures below
 * 640 KiB, modules, and the processor's first state. Private to core/boot.
 */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include "boot/boot.h"
#include "boot/image.h"
#include "boot/place.h"

#include <stdbool.h>

#define LOADER_MODULES_MAX 64u      /* the initrd included */
#define LOADER_INFO_BYTES 0x2000u   /* room at BOOT_INFO_GPA */
#define LOADER_HIGH_FIRST 0x100000u /* kernels and modules go above the first MiB */
#define LOADER_LAST 0xffffffffu     /* and below 4 GiB, which is what the page tables map */

#define GIB_MAPPED 4u /* by the page tables of the kernels' protocols */

struct loader {
    const struct boot_request *request;
    const struct image *kernel;
    const struct boot_target *target;
    struct boot_state *state;
    struct error *e;
    uint64_t gdt_gpa, tables_gpa;
    uint8_t *gdt, *tables; /* host addresses of the two above */
    uint64_t strings_gpa;  /* of the next string, and the end of their room */
    uint64_t strings_end;
    uint8_t *strings;
    struct place place;
};

/* A protocol: loads l->kernel and fills l->state. Errors as boot_load(). [main] */
int bzimage_load(struct loader *l);
int elf_load(struct loader *l);
int pvh_load(struct loader *l);
int multiboot_load(struct loader *l);
int raw_load(struct loader *l);

/* Whether the file is of the kind, for BOOT_AUTO: 1 or 0; or -errno with a sentence when the file
 * cannot be read, or is of the kind but so damaged that no other protocol may be tried. [main] */
int bzimage_detect(const struct image *image, struct error *e);
int elf_detect(const struct image *image, struct error *e);
int pvh_detect(const struct image *image, struct error *e); /* an ELF file */
int multiboot_detect(const struct image *image, struct error *e);

/* boot_load() of firmware, into target->rom. [main] */
int firmware_load(const char *path, const struct boot_target *target, struct boot_state *state,
                  struct error *e);

/* boot_load() of an image that is open already; request->kernel is not looked at. [main] */
int loader_run(const struct boot_request *request, const struct image *kernel,
               const struct boot_target *target, struct boot_state *state, struct error *e);

/* The request's command line, "" for none. */
const char *loader_cmdline(const struct loader *l);

/* -EINVAL if the command line has more than `max` bytes, the terminating 0 not counted. */
int loader_check_cmdline(struct loader *l, uint64_t max);

/* -EINVAL if modules were asked for: `protocol` has none. */
int loader_no_modules(struct loader *l, const char *protocol);

/* Takes the room of the GDT and, if `gib` is not 0, of page tables that map the first `gib` GiB one
 * to one, at their fixed addresses. gib <= GIB_MAPPED. [main] */
int loader_take_tables(struct loader *l, uint32_t gib);
/* The same wherever below 4 GiB there is room, the fixed addresses first. gib <= 512. [main] */
int loader_find_tables(struct loader *l, uint32_t gib);

/* Takes room for the command line and, with `modules`, the strings of initrd and modules. [main] */
int loader_take_strings(struct loader *l, bool modules);
/* Writes a string there and gives its guest-physical address. The room was counted before. [main]
 */
uint64_t loader_string(struct loader *l, const char *text);

/* Takes `length` bytes at BOOT_INFO_GPA, zeroed. length <= LOADER_INFO_BYTES. [main] */
int loader_take_info(struct loader *l, uint64_t length, uint8_t **info);

/* One loaded module. `string` is the request's. */
struct loader_module {
    uint64_t gpa, length;
    const char *string;
};

/* Loads the file at `path` at a page of RAM in [first, last]. [main] */
int loader_file(struct loader *l, const char *path, const char *what, enum place_end end,
                uint64_t first, uint64_t last, struct loader_module *out);

/* How many loader_modules() will load; -EINVAL if they are too many. */
int loader_module_count(struct loader *l, uint32_t *count);
/* Loads the initrd and the modules, in this order. [main] */
int loader_modules(struct loader *l, enum place_end end, uint64_t first,
                   struct loader_module modules[LOADER_MODULES_MAX]);

/* The processor's first state (state.c). They write the GDT and page tables that were taken. */
void state_real(struct loader *l, uint16_t cs, uint16_t ip);
void state_flat32(struct loader *l, uint64_t entry);
void state_long(struct loader *l, uint64_t entry, uint32_t gib);

/* Bytes of page tables for `gib` GiB. */
uint64_t state_table_bytes(uint32_t gib);

#define STATE_GDT_BYTES 32u

#endif
