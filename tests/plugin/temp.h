/* SPDX-License-Identifier: MIT
 *
 * plugin/temp.h - a folder of a test's own, and files in it.
 */
#ifndef TESTS_PLUGIN_TEMP_H
#define TESTS_PLUGIN_TEMP_H

#include <stddef.h>

/* Makes the folder and enters nothing; cmocka set-up and teardown functions. */
int temp_make(void **state);
int temp_remove(void **state);

/* "FOLDER/name" in a buffer that the next 8 calls leave alone. */
const char *temp_path(void **state, const char *name);
/* Writes `len` bytes of `data` to the file `name`, and gives its path as above. */
const char *temp_write(void **state, const char *name, const void *data, size_t len);
/* The bytes of the file `path`, to be freed. */
unsigned char *temp_read(const char *path, size_t *len);
/* Copies the file `from` to `name`. */
const char *temp_copy(void **state, const char *from, const char *name);

#endif
