/* SPDX-License-Identifier: MIT
 *
 * plugin/temp.c - a folder of a test's own, and files in it. Fails the test on any error.
 */
#include "plugin/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <ftw.h>

#define PATHS 8

struct temp {
    char folder[64];
    char paths[PATHS][512];
    unsigned next;
};

int temp_make(void **state)
{
    struct temp *t = calloc(1, sizeof(*t));

    if (!t)
        return -1;
    strcpy(t->folder, "/tmp/backplane-test-XXXXXX"); /* NOLINT(*strcpy): fits */
    *state = t;
    return mkdtemp(t->folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int temp_remove(void **state)
{
    struct temp *t = *state;
    int err = nftw(t->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(t);
    return err;
}

const char *temp_path(void **state, const char *name)
{
    struct temp *t = *state;
    char *path = t->paths[t->next++ % PATHS];
    char folder[sizeof(t->folder)];

    /* A copy, because gcc at -O2 takes the index for one that could reach back into `folder`. */
    memcpy(folder, t->folder, sizeof(folder));
    assert_true((size_t)snprintf(path, sizeof(t->paths[0]), "%s%s%s", folder, *name ? "/" : "",
                                 name) < sizeof(t->paths[0]));
    return path;
}

const char *temp_write(void **state, const char *name, const void *data, size_t len)
{
    const char *path = temp_path(state, name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return path;
}

unsigned char *temp_read(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes;
    struct stat st;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *len = (size_t)st.st_size;
    bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *len, f), *len);
    fclose(f);
    bytes[*len] = 0;
    return bytes;
}

const char *temp_copy(void **state, const char *from, const char *name)
{
    size_t len;
    unsigned char *bytes = temp_read(from, &len);
    const char *path = temp_write(state, name, bytes, len);

    free(bytes);
    return path;
}
