/* SPDX-License-Identifier: MIT
 *
 * plugin/macho_check.h - elf_check.h's question for Darwin's format: can dlopen() be given this
 * file at all?
 */
#ifndef PLUGIN_MACHO_CHECK_H
#define PLUGIN_MACHO_CHECK_H

#include "plugin/elf_check.h"

/* Processors as Mach-O numbers them (mach/machine.h). */
#define MACHO_X86_64 0x01000007u
#define MACHO_ARM64 0x0100000cu

#if defined(__aarch64__)
#define MACHO_HOST MACHO_ARM64
#else
#define MACHO_HOST MACHO_X86_64
#endif

/* 0 if it is a bundle or a library for processor `machine` (MACHO_*), alone or in a universal file,
 * whose load commands and segments lie inside the file. Errors as elf_check(). mach-o/loader.h and
 * mach-o/fat.h of Apple's SDK. [any] */
int macho_check(const struct elf_source *file, uint32_t machine, const char *path, struct error *e);

#endif
