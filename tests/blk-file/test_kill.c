/* SPDX-License-Identifier: MIT
 *
 * blk-file/test_kill.c - a process that writes to a qcow2 image at random is killed at a moment
 * that nobody chose. qemu-img check has nothing against the image but leaks, and what was flushed
 * is there.
 *
 * Each block of 4 KiB has the number of its last write in it, throughout. Parent and child share
 * the numbers that were issued, and those that were flushed. In the upper half of the disk clusters
 * come and go, by discard and zeroes; there only the metadata count.
 *
 * Usage: blk_kill [ROUNDS], default 10. It says nothing of a host that loses power: there what
 * qcow2.h says about flushes in between counts too.
 */
#include "disk.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCK 4096u
#define DISK_BYTES (256u << 20)
#define BLOCKS (DISK_BYTES / 2 / BLOCK)
#define BATCH 24u

static unsigned rounds = 10;

/* The child's writes until it dies of one; 0: it is killed from outside. */
static _Atomic uint32_t writes_left;

__attribute__((visibility("default"))) ssize_t pwritev64(int fd, const struct iovec *iov, int count,
                                                         off64_t at);

/* The plugin's writes come by here. The fatal one is done in part, by whole pages, as the system
 * would leave it, or not at all. */
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{
    if (atomic_load(&writes_left) && atomic_fetch_sub(&writes_left, 1) == 1) {
        if (count == 1 && iov->iov_len > 4096)
            (void)syscall(SYS_pwrite64, fd, iov->iov_base, iov->iov_len / 2 & ~4095ul, at);
        kill(getpid(), SIGKILL);
    }
    return syscall(SYS_pwritev, fd, iov, count, (long)at, 0L);
}

struct record {
    _Atomic uint32_t issued[BLOCKS], durable[BLOCKS];
    _Atomic uint32_t least[BLOCKS]; /* in any part of the block, if all that was issued completes */
    _Atomic uint32_t batches;
};

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed % below;
}

static void batch(struct disk *d, struct record *record, uint64_t *seed, uint32_t *number)
{
    static uint32_t data[BATCH][BLOCK / 4];
    static uint8_t junk[65536];
    struct disk_request r[BATCH], others[3];
    uint32_t blocks[BATCH], last[BATCH];

    for (unsigned i = 0; i < BATCH; i++) {
        int again = 0;

        blocks[i] = (uint32_t)draw(seed, BLOCKS);
        for (unsigned j = 0; j < i; j++)
            again |= blocks[j] == blocks[i];
        r[i].status = 0;
        last[i] = 0;
        if (again)
            continue;
        last[i] = ++*number;
        for (unsigned w = 0; w < BLOCK / 4; w++)
            data[i][w] = last[i];
        atomic_store(&record->issued[blocks[i]], last[i]);
        atomic_store(&record->least[blocks[i]], last[i]);
        disk_start(d, &r[i], BP_BLOCK_WRITE, (uint64_t)blocks[i] * BLOCK, data[i], BLOCK);
    }
    for (unsigned i = 0; i < 3; i++) {
        static const uint16_t types[] = {BP_BLOCK_WRITE, BP_BLOCK_DISCARD, BP_BLOCK_WRITE_ZEROES};
        uint64_t at = DISK_BYTES / 2 + draw(seed, DISK_BYTES / 2 / 65536 / 16) * 65536 * 16 +
                      (draw(seed, 4) ? 0 : BLOCK);
        uint64_t length = types[i] == BP_BLOCK_WRITE ? sizeof(junk) : 65536ull * 8;

        disk_start(d, &others[i], types[i], at, types[i] == BP_BLOCK_WRITE ? junk : NULL, length);
    }
    for (unsigned i = 0; i < BATCH; i++)
        if (disk_wait(d, &r[i]))
            _exit(1);
    for (unsigned i = 0; i < 3; i++)
        if (disk_wait(d, &others[i]))
            _exit(1);
    if (draw(seed, 3))
        return;
    if (disk_flush(d))
        _exit(1);
    /* All that was issued has completed, and so it is durable. */
    for (uint32_t i = 0; i < BLOCKS; i++)
        atomic_store(&record->durable[i], atomic_load(&record->least[i]));
}

static _Noreturn void child(const char *image, struct record *record, uint64_t seed,
                            uint32_t number, uint32_t writes)
{
    struct file_config config = disk_config(image);
    struct disk *d;

    config.io = seed & 1 && !writes ? IO_AUTO : IO_THREADS;
    d = disk_new(&config);
    atomic_store(&writes_left, writes);
    for (;;) {
        batch(d, record, &seed, &number);
        atomic_fetch_add(&record->batches, 1);
    }
}

static uint32_t highest(const struct record *record)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < BLOCKS; i++)
        if (atomic_load(&record->issued[i]) > most)
            most = atomic_load(&record->issued[i]);
    return most;
}

static void expect_flushed(const char *image, struct record *record)
{
    struct file_config config = disk_config(image);
    struct disk *d;
    static uint32_t data[BLOCK / 4];

    config.readonly = 1;
    d = disk_new(&config);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint32_t issued = atomic_load(&record->issued[i]), least = UINT32_MAX, most = 0;

        if (!issued)
            continue;
        assert_int_equal(disk_do(d, BP_BLOCK_READ, (uint64_t)i * BLOCK, data, BLOCK), 0);
        /* A killed write may have got through in part. */
        for (unsigned w = 0; w < BLOCK / 4; w++) {
            if (data[w] < atomic_load(&record->durable[i]) || data[w] > issued)
                fail_msg("block %u has write %u, expected %u to %u", i, data[w],
                         atomic_load(&record->durable[i]), issued);
            least = data[w] < least ? data[w] : least;
            most = data[w] > most ? data[w] : most;
        }
        /* The next round counts from what is there: of clusters smaller than a block, some may have
         * a later write than others. */
        atomic_store(&record->issued[i], most);
        atomic_store(&record->least[i], least);
        atomic_store(&record->durable[i], 0);
    }
    disk_free(d);
}

/* Kills a child `rounds` times: after a time, or in the middle of a write. */
static void killed(unsigned times, int by_writes)
{
    static const char *const options[] = {"cluster_size=64k", "cluster_size=4k",
                                          "cluster_size=512,refcount_bits=8"};
    char *folder = folder_new();
    const char *image = in(folder, "image.qcow2");
    struct record *record =
        mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();

    assert_true(record != MAP_FAILED);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < times; round++) {
        uint32_t number = highest(record);
        uint32_t writes = by_writes ? 1 + (uint32_t)draw(&seed, 300) : 0;
        struct timespec wait = {.tv_nsec = (long)(1000000 * draw(&seed, 60))};
        int status = 0;
        pid_t pid;

        /* A new image each fifth round; between them one that was killed before, leaks and all. */
        if (round % 5 == 0) {
            unlink(image);
            assert_int_equal(sh("qemu-img create -f qcow2 -o %s '%s' %u", options[round / 5 % 3],
                                image, DISK_BYTES),
                             0);
            memset(record, 0, sizeof(*record));
            number = 0;
        }
        atomic_store(&record->batches, 0);
        pid = fork();
        assert_true(pid >= 0);
        if (!pid)
            child(image, record, seed | (round & 1), number, writes);
        if (!by_writes) {
            /* It has begun, however slow this host is. */
            while (atomic_load(&record->batches) < 2 && !kill(pid, 0))
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            nanosleep(&wait, NULL);
            kill(pid, SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        expect_sound(image, 1);
        expect_flushed(image, record);
    }
    munmap(record, sizeof(*record));
    folder_remove(folder);
}

static void killed_at_any_moment_it_is_sound_and_has_what_was_flushed(void **state)
{
    (void)state;
    need_qemu_img();
    killed(rounds, 0);
}

static void killed_in_any_write_it_is_sound_and_has_what_was_flushed(void **state)
{
    (void)state;
    need_qemu_img();
    killed(3 * rounds, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment_it_is_sound_and_has_what_was_flushed),
        cmocka_unit_test(killed_in_any_write_it_is_sound_and_has_what_was_flushed),
    };

    if (argc > 1)
        rounds = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
