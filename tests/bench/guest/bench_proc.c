/* SPDX-License-Identifier: MIT
 *
 * Page tables: processes made and replaced, pages faulted in, protection changed. Pages are of 4
 * KiB throughout.
 */
#include "bench.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 4096u

static uint64_t status_of(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        bench_die("waitpid");
    return (uint64_t)WEXITSTATUS(status);
}

static uint8_t *map_pages(size_t length)
{
    uint8_t *pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        bench_die("mmap");
    madvise(pages, length, MADV_NOHUGEPAGE);
    return pages;
}

/* A child that exits at once, of a parent with 1 MiB of written pages. work: children. */
static uint64_t fork_exit(unsigned scale, uint64_t *work)
{
    const size_t length = 1u << 20;
    uint8_t *pages = map_pages(length);
    uint64_t sum = 0;
    unsigned i;

    memset(pages, 1, length);
    for (i = 0; i < 250 * scale; i++) {
        pid_t child = fork();

        if (child < 0)
            bench_die("fork");
        if (child == 0)
            _exit((int)(i & 63));
        sum += status_of(child);
    }
    munmap(pages, length);
    *work = i;
    return sum;
}

/* A child that becomes this very program, which exits at once then. work: children. */
static uint64_t fork_exec(unsigned scale, uint64_t *work)
{
    char name[] = "bench-proc", option[] = "--exit";
    char *const words[] = {name, option, NULL};
    uint64_t sum = 0;
    unsigned i;

    for (i = 0; i < 125 * scale; i++) {
        pid_t child = fork();

        if (child < 0)
            bench_die("fork");
        if (child == 0) {
            execv("/proc/self/exe", words);
            _exit(127);
        }
        sum += status_of(child);
    }
    *work = i;
    return sum;
}

/* 2 MiB mapped, each page touched twice, unmapped. work: faults. */
static uint64_t map_touch(unsigned scale, uint64_t *work)
{
    const size_t length = 2u << 20;
    unsigned rounds = 40 * scale;
    uint64_t sum = 0;

    for (unsigned round = 0; round < rounds; round++) {
        uint8_t *pages = map_pages(length);

        for (size_t i = 0; i < length; i += PAGE)
            pages[i] = (uint8_t)(round + i / PAGE);
        for (size_t i = 0; i < length; i += PAGE)
            sum += pages[i];
        munmap(pages, length);
    }
    *work = rounds * (length / PAGE);
    return sum;
}

/* One page of many made read-only and writable again: a translation to be forgotten each time.
 * work: pages. */
static uint64_t protect(unsigned scale, uint64_t *work)
{
    const size_t length = 1u << 20;
    uint8_t *pages = map_pages(length);
    unsigned rounds = 10000 * scale;
    uint64_t sum = 0;

    memset(pages, 1, length);
    for (unsigned round = 0; round < rounds; round++) {
        uint8_t *page = pages + round % (length / PAGE) * PAGE;

        if (mprotect(page, PAGE, PROT_READ))
            bench_die("mprotect");
        sum += *page;
        if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
            bench_die("mprotect");
        *page = (uint8_t)(*page + 1);
    }
    munmap(pages, length);
    *work = rounds;
    return sum;
}

int main(int argc, char **argv)
{
    static const struct bench list[] = {
        {"proc-fork", fork_exit},
        {"proc-exec", fork_exec},
        {"proc-mmap", map_touch},
        {"proc-mprotect", protect},
    };

    if (argc > 1 && strcmp(argv[1], "--exit") == 0)
        return 3;
    return bench_main(argc, argv, list, sizeof(list) / sizeof(list[0]));
}
