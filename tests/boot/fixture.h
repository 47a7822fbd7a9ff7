/* SPDX-License-Identifier: MIT
 *
 * A machine's memory to load into, for the tests of core/boot; and files to load from.
 */
#ifndef TESTS_BOOT_FIXTURE_H
#define TESTS_BOOT_FIXTURE_H

#include "boot/images.h"
#include "boot/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB 0x100000ull
#define GIB 0x40000000ull

struct machine {
    struct ram ram;
    struct e820 map;
    struct boot_target target;
    struct boot_request request;
    struct boot_state state;
    struct error e;
    struct blob kernel;
    char initrd[64]; /* path of the file, if machine_initrd() made it */
};

/* `bytes` of RAM filled with 0xcc where the loader writes by default (RAM is not zero after a
 * restart), the RSDP at 0xe0000. */
struct machine *machine_new(uint64_t bytes);
/* The same with [gpa, gpa + length) cut out of RAM. */
struct machine *machine_with_hole(uint64_t bytes, uint64_t gpa, uint64_t length);
void machine_free(struct machine *m);

/* Makes a file of `length` bytes, each (uint8_t)(i * 3), and requests it as the initrd. */
void machine_initrd(struct machine *m, uint64_t length);
/* Whether the initrd's bytes stand at `gpa`. */
void assert_initrd_at(struct machine *m, uint64_t gpa, uint64_t length);

/* Loads m->kernel, called "kernel" in sentences. */
int machine_load(struct machine *m);
/* Fails the test unless m->kernel loads. */
void machine_must_load(struct machine *m);
/* Fails the test unless loading gives `err` and exactly this sentence. */
void machine_must_fail(struct machine *m, int err, const char *sentence);

/* RAM at `gpa`; fails the test if it is none. */
uint8_t *machine_at(struct machine *m, uint64_t gpa, uint64_t length);

/* Writes a file into a folder of its own and puts its path into `path`; file_remove() removes both.
 */
void file_make(char path[64], const void *bytes, uint64_t length);
void file_remove(const char *path);

/* What every protected-mode start has in common. */
void assert_flat(const struct boot_state *s, unsigned bits);

#endif
