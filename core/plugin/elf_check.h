/* SPDX-License-Identifier: MIT
 *
 * plugin/elf_check.h - can dlopen() be given this file at all?
 *
 * The system's own loader says "invalid ELF header" for a dozen causes, and a truncated file kills
 * the process with SIGBUS when it is first touched. So the headers are read here first, and no more
 * than the headers.
 */
#ifndef PLUGIN_ELF_CHECK_H
#define PLUGIN_ELF_CHECK_H

#include "base/error.h"

#include <stdint.h>

/* Where the bytes come from. */
struct elf_source {
    uint64_t length; /* bytes of the whole file */
    /* Reads [offset, offset + length), which is inside the file. 0 or -errno. */
    int (*read)(void *context, uint64_t offset, void *to, uint64_t length);
    void *context;
};

/* 0 if it is a complete shared object for this host's processor. -ENOEXEC if it is not, -EIO (or
 * what `read` says) if it cannot be read; the sentence begins with `path`. It proves nothing about
 * what the code does. ELF-64 and gABI 4.1, chapters 4 and 5. [any] */
int elf_check(const struct elf_source *file, const char *path, struct error *e);

#endif
