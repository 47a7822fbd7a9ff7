/* SPDX-License-Identifier: MIT
 *
 * validate/resources.c - memory, file descriptors and threads of this process.
 *
 * The heap by mallinfo2(), or by the sanitizer's own count where one stands in for malloc();
 * mappings by /proc/self/statm, where no sanitizer makes its own. What a plugin allocates by other
 * means than these two is not seen.
 */
#include "validate/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LEAK_BYTES                                                                                 \
    12u /* a life: what malloc(1) costs is 32, of which some may come from a cache                 \
         */
#define LEAK_FEW_BYTES 24u /* a life of few, among which a cache that grows counts for more */
#define FEW_LIVES 1000u
#define LEAK_PAGE 4096u
/* What the C library keeps of the stack of a thread comes once, what leaks in each round. */
#define LEAK_ROUNDS 3u

/* Of the sanitizers' common interface; absent without them. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static uint32_t count_entries(const char *folder)
{
    DIR *d = opendir(folder);
    uint32_t count = 0;

    while (d && readdir(d))
        count++;
    if (d)
        closedir(d);
    return count;
}

static uint64_t mapped_bytes(void)
{
    char text[128] = "";
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (!fgets(text, sizeof(text), f))
        text[0] = '\0';
    fclose(f);
    return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void resources_start(void)
{
    /* A thread that finds the heap busy makes one of its own, 64 MiB of address space: that is how
     * malloc() scales, and no leak. */
    mallopt(M_ARENA_MAX, 1);
}

void resources_take(struct resources *r)
{
    memset(r->open, 0, sizeof(r->open));
    r->fds = 0;
    for (uint32_t fd = 0; fd < 8 * sizeof(r->open); fd++) {
        if (fcntl((int)fd, F_GETFD) < 0)
            continue;
        r->open[fd / 8] = (uint8_t)(r->open[fd / 8] | 1u << fd % 8);
        r->fds++;
    }
    r->threads = count_entries("/proc/self/task");
    r->mapped = 0;
    if (__sanitizer_get_current_allocated_bytes) {
        r->heap = __sanitizer_get_current_allocated_bytes();
    } else {
        struct mallinfo2 info = mallinfo2();

        r->heap = info.uordblks + info.hblkhd;
        r->mapped = mapped_bytes();
    }
}

/* What the first descriptor is that was not open before. */
static void name_descriptor(const struct resources *before, const struct resources *now, char *text,
                            size_t room)
{
    char path[64], target[256];
    uint32_t fd = 0;
    ssize_t len;

    while (fd < 8 * sizeof(now->open) - 1 &&
           !(now->open[fd / 8] & ~before->open[fd / 8] & 1u << fd % 8))
        fd++;
    snprintf(path, sizeof(path), "/proc/self/fd/%u", fd);
    len = readlink(path, target, sizeof(target) - 1);
    target[len > 0 ? len : 0] = '\0';
    snprintf(text, room, "descriptor %u is %s", fd, target);
}

void resources_compare(struct world *w, const struct resources *before, uint32_t lives)
{
    struct resources now;
    char text[320];

    resources_take(&now);
    if (now.fds > before->fds) {
        name_descriptor(before, &now, text, sizeof(text));
        world_fail(w, "destroy() leaves %u file descriptor%s open after %u li%s: %s",
                   now.fds - before->fds, now.fds == before->fds + 1 ? "" : "s", lives,
                   lives == 1 ? "fe" : "ves", text);
    }
    /* A thread that was joined is seen for a moment longer. */
    for (int i = 0; i < 200 && now.threads > before->threads; i++) {
        doing(w, "the end of a thread after destroy()");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        resources_take(&now);
    }
    if (now.threads > before->threads)
        world_fail(w, "destroy() leaves %u thread%s running after %u li%s",
                   now.threads - before->threads, now.threads == before->threads + 1 ? "" : "s",
                   lives, lives == 1 ? "fe" : "ves");
}

/* Whether memory grew as much as a leak in each life would make it, and the sentence that says so.
 */
static bool memory_grew(const struct resources *before, uint32_t lives, char *text, size_t room)
{
    uint64_t least = (uint64_t)lives * (lives < FEW_LIVES ? LEAK_FEW_BYTES : LEAK_BYTES);
    struct resources now;

    resources_take(&now);
    if (now.heap > before->heap && now.heap - before->heap >= least)
        snprintf(text, room,
                 "it leaks memory: %llu bytes more are allocated after %u lives, %llu a life",
                 (unsigned long long)(now.heap - before->heap), lives,
                 (unsigned long long)((now.heap - before->heap) / lives));
    else if (now.mapped > before->mapped &&
             now.mapped - before->mapped >= (uint64_t)LEAK_PAGE * lives)
        snprintf(text, room, "it leaks mappings: %llu bytes more are mapped after %u lives",
                 (unsigned long long)(now.mapped - before->mapped), lives);
    else
        return false;
    return true;
}

void resources_watch(struct world *w, uint32_t lives, void (*life)(struct world *w))
{
    struct resources before;
    uint32_t rounds = 0;
    char text[160];
    bool grew;

    do {
        resources_take(&before);
        for (uint32_t i = 0; i < lives; i++) {
            life(w);
            if (i < 10 || i % 50 == 49)
                resources_compare(w, &before, i + 1);
        }
        grew = lives && memory_grew(&before, lives, text, sizeof(text));
    } while (grew && ++rounds < LEAK_ROUNDS);
    if (grew)
        world_fail(w, "%s", text);
}
