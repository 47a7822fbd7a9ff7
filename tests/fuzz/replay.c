/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target over files and over all files of folders: the committed seeds, or what a
 * fuzzer found. Needs no fuzzer, so that every build does it. It proves that the seeds crash
 * nothing, not that nothing else does.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is in a block of exactly its size, so that a sanitizer sees one byte too many. */
static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;
    int err = -1;

    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
        fprintf(stderr, "%s: cannot be read\n", path);
        goto out;
    }
    data = malloc(size ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        goto out;
    }
    printf("%s: %ld bytes\n", path, size);
    fflush(stdout); /* so that a crash shows which it was */
    err = LLVMFuzzerTestOneInput(data, (size_t)size);
out:
    free(data);
    if (f)
        fclose(f);
    return err;
}

/* The number of files replayed, or -1. */
static int replay(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!folder)
        return replay_file(path) ? -1 : 1;
    while (count >= 0 && (entry = readdir(folder))) {
        char file[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        count = replay_file(file) ? -1 : count + 1;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int count = replay(argv[i]);

        if (count <= 0) {
            fprintf(stderr, "%s: nothing was replayed\n", argv[i]);
            return 1;
        }
        total += count;
    }
    printf("%d inputs\n", total);
    return total ? 0 : 1;
}
