/* SPDX-License-Identifier: MIT
 *
 * bench-disk - reads and writes a disk of the guest's past its page cache (O_DIRECT), with a number
 * of requests under way (Linux AIO), for scripts/bench disk.
 *
 *     bench-disk DEVICE SCALE [PHASE]...
 *
 * The first half of the disk is read, the second is written, so that what was read has the same
 * checksum each time. As many requests as have completed are begun by one call. Around each phase
 * are the lines of bench.h; at its end also the requests, and the interrupts of virtio devices
 * meanwhile:
 *
 *     BENCH-END NAME us=N ops=N irqs=N check=HEX
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define DEPTH_MAX 32u
#define LARGE 131072u
#define SMALL 4096u

struct phase {
    const char *name;
    uint64_t ops; /* times the scale; 0: nothing is done for a second, times the scale */
    uint32_t bytes, depth;
    uint8_t writes, random;
    uint8_t reserved[6];
};

static const struct phase phases[] = {
    {.name = "idle"},
    {.name = "read-seq", .ops = 256, .bytes = LARGE, .depth = 4},
    {.name = "read-rand-1", .ops = 1000, .bytes = SMALL, .depth = 1, .random = 1},
    {.name = "read-rand-32", .ops = 4000, .bytes = SMALL, .depth = 32, .random = 1},
    {.name = "write-seq", .ops = 256, .bytes = LARGE, .depth = 4, .writes = 1},
};

struct disk {
    int fd;
    uint32_t reserved;
    uint64_t half; /* bytes, a multiple of LARGE */
    aio_context_t context;
    uint8_t *buffers[DEPTH_MAX];
    struct iocb requests[DEPTH_MAX];
};

/* Interrupts of virtio devices, all processors'. */
static uint64_t interrupts(void)
{
    FILE *file = fopen("/proc/interrupts", "re");
    uint64_t sum = 0;
    char line[1024];

    while (file && fgets(line, sizeof(line), file)) {
        char *word = strchr(line, ':'), *end;

        if (!word || !strstr(line, "virtio"))
            continue;
        for (word++;; word = end) {
            uint64_t count = strtoull(word, &end, 10);

            if (end == word)
                break;
            sum += count;
        }
    }
    if (file)
        fclose(file);
    return sum;
}

/* What was read and where, in any order. */
static uint64_t fold(uint64_t offset, const uint8_t *data)
{
    uint64_t word;

    memcpy(&word, data, sizeof(word));
    return (word ^ offset) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t do_phase(struct disk *d, const struct phase *p, uint64_t ops)
{
    struct iocb *batch[DEPTH_MAX];
    struct io_event events[DEPTH_MAX];
    uint64_t begun = 0, ended = 0, sum = 0, random = UINT64_C(0x2545f4914f6cdd1d);
    long ready = 0;

    for (uint32_t i = 0; i < p->depth; i++)
        batch[ready++] = &d->requests[i];
    while (ended < ops) {
        long count = 0;

        for (long i = 0; i < ready && begun < ops; i++) {
            struct iocb *r = batch[i];
            uint64_t place = (p->random ? bench_random(&random) : begun) % (d->half / p->bytes);

            *r = (struct iocb){.aio_data = (uint64_t)(r - d->requests),
                               .aio_lio_opcode = p->writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                               .aio_fildes = (uint32_t)d->fd,
                               .aio_buf = (uint64_t)(uintptr_t)d->buffers[r - d->requests],
                               .aio_nbytes = p->bytes,
                               .aio_offset =
                                   (int64_t)(place * p->bytes + (p->writes ? d->half : 0))};
            batch[count++] = r;
            begun++;
        }
        for (long done = 0; done < count;) {
            long taken = syscall(SYS_io_submit, d->context, count - done, batch + done);

            if (taken <= 0)
                bench_die("io_submit");
            done += taken;
        }
        ready = syscall(SYS_io_getevents, d->context, 1L, (long)p->depth, events, NULL);
        if (ready < 0)
            bench_die("io_getevents");
        for (long i = 0; i < ready; i++) {
            struct iocb *r = &d->requests[events[i].data];

            if (events[i].res != (int64_t)p->bytes) {
                errno = events[i].res < 0 ? (int)-events[i].res : EIO;
                bench_die(p->name);
            }
            if (!p->writes)
                sum += fold((uint64_t)r->aio_offset, d->buffers[events[i].data]);
            batch[i] = r;
        }
        ended += (uint64_t)ready;
    }
    if (p->writes && fsync(d->fd))
        bench_die("fsync");
    return sum;
}

static void open_disk(struct disk *d, const char *path)
{
    uint64_t bytes;

    d->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (d->fd < 0 || ioctl(d->fd, BLKGETSIZE64, &bytes))
        bench_die(path);
    d->half = bytes / 2 / LARGE * LARGE;
    if (!d->half) {
        errno = ENOSPC;
        bench_die(path);
    }
    if (syscall(SYS_io_setup, DEPTH_MAX, &d->context))
        bench_die("io_setup");
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        d->buffers[i] = aligned_alloc(SMALL, LARGE);
        if (!d->buffers[i])
            bench_die("aligned_alloc");
        memset(d->buffers[i], (int)i + 1, LARGE);
    }
}

static void one(struct disk *d, const struct phase *p, unsigned scale)
{
    const struct timespec rest = {.tv_sec = scale};
    struct timespec began, ended;
    uint64_t before, sum = 0;
    int64_t us;

    printf("BENCH-START %s\n", p->name);
    bench_rest();
    before = interrupts();
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (p->ops)
        sum = do_phase(d, p, p->ops * scale);
    else
        nanosleep(&rest, NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    us = (int64_t)(ended.tv_sec - began.tv_sec) * 1000000 + (ended.tv_nsec - began.tv_nsec) / 1000;
    printf("BENCH-END %s us=%" PRId64 " ops=%" PRIu64 " irqs=%" PRIu64 " check=%016" PRIx64 "\n",
           p->name, us, p->ops * scale, interrupts() - before, sum);
    bench_rest();
}

int main(int argc, char **argv)
{
    static struct disk disk;
    unsigned scale = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;

    if (argc < 2) {
        fprintf(stderr, "usage: bench-disk DEVICE SCALE [PHASE]...\n");
        return 2;
    }
    open_disk(&disk, argv[1]);
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        int wanted = argc <= 3;

        for (int arg = 3; arg < argc; arg++)
            wanted |= strcmp(argv[arg], phases[i].name) == 0;
        if (wanted)
            one(&disk, &phases[i], scale ? scale : 1);
    }
    return 0;
}
