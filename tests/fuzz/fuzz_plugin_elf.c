/* SPDX-License-Identifier: MIT
 *
 * Fuzz target of the checker that sees a plugin's file before dlopen() does.
 *
 * Stops the program if it reads outside of the file, refuses without a sentence, or accepts what is
 * not an ELF file. What dlopen() makes of an accepted file is not run: it would execute it.
 */
#include "plugin/elf_check.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static int read_input(void *context, uint64_t offset, void *to, uint64_t length)
{
    const struct input *in = context;

    if (offset > in->size || length > in->size - offset)
        abort();
    memcpy(to, in->data + offset, length);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct elf_source source = {.length = size, .read = read_input, .context = &in};
    struct error e = {""};
    int err = elf_check(&source, "x.so", &e);

    if (err ? err != -ENOEXEC || !e.text[0] : size < 64 || memcmp(data, "\177ELF", 4) != 0)
        abort();
    return 0;
}
