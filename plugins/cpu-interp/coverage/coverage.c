/* SPDX-License-Identifier: MIT
 *
 * coverage/coverage.c - how often each handler ran, in builds with BACKPLANE_COVERAGE; no other has
 * this file.
 * this file.
 *
 * The counts are a process's, not a machine's, which is what a mutable global is for here. When the
 * process, or the plugin, goes, they are written to a file of their own in INTERP_COVERAGE_FOLDER:
 * a line "OBJECT OFFSET COUNT" a handler. tests/cpu-interp/coverage.py gives them their names.
 */
#include "engine/coverage.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(!INTERP_TAIL, "handlers are counted where they are called, and with tail calls the "
                            "run loop calls only the first of many");

#define ENTRIES 16384u /* a power of two, some times the number of handlers */

static struct {
    uintptr_t fn;   /* atomic; 0: free */
    uint64_t count; /* atomic */
} entries[ENTRIES];

void coverage_count(op_fn *fn)
{
    uintptr_t key = (uintptr_t)fn;

    for (uint32_t i = (uint32_t)(key >> 4), n = 0; n < ENTRIES; i++, n++) {
        uintptr_t *at = &entries[i % ENTRIES].fn, found = __atomic_load_n(at, __ATOMIC_RELAXED);

        if (!found &&
            __atomic_compare_exchange_n(at, &found, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            found = key;
        if (found == key) {
            __atomic_fetch_add(&entries[i % ENTRIES].count, 1, __ATOMIC_RELAXED);
            return;
        }
    }
}

static void __attribute__((destructor)) write_counts(void)
{
    struct timespec now;
    char path[4096];
    FILE *out = NULL;

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(path, sizeof(path), "%s/%ld-%" PRIx64, INTERP_COVERAGE_FOLDER, (long)getpid(),
             (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    mkdir(INTERP_COVERAGE_FOLDER, 0777);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        Dl_info object;

        if (!entries[i].fn)
            continue;
        if (!out)
            out = fopen(path, "we");
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): it was one */
        if (!out || !dladdr((void *)entries[i].fn, &object))
            break;
        fprintf(out, "%s %" PRIxPTR " %" PRIu64 "\n", object.dli_fname,
                entries[i].fn - (uintptr_t)object.dli_fbase, entries[i].count);
    }
    if (out)
        fclose(out);
}
