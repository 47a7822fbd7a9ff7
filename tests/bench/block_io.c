/* SPDX-License-Identifier: MIT
 *
 * bench/block_io.c - 4 KiB requests through blk-file: raw and qcow2, by io_uring and by threads,
 * one after the other and sixteen at a time, beside a plain loop of pread() or pwrite(), and beside
 * qemu-img bench on the same file.
 *
 * The file is in the host's page cache, so what is measured is the way there. Thousands of requests
 * a second; columns are ways, and the last two are ratios. Usage: block-io PLUGIN FOLDER
 */
#include "backend.h"
#include "fakes/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES (256u << 20)
#define BLOCK 4096u
#define REQUESTS 60000u
#define DEPTH_MAX 16u

struct job {
    const struct bp_block *ops;
    void *self;
    unsigned started, done;
    int is_write, is_random, fd; /* fd: of the plain loop */
    uint64_t seed;
    struct slot {
        struct bp_block_request request;
        struct bp_iovec iov;
        uint8_t data[BLOCK];
    } slots[DEPTH_MAX];
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_offset(struct job *j)
{
    uint64_t block = j->started++;

    if (j->is_random) {
        j->seed ^= j->seed << 13;
        j->seed ^= j->seed >> 7;
        j->seed ^= j->seed << 17;
        block = j->seed;
    }
    return block % (FILE_BYTES / BLOCK) * BLOCK;
}

static void start(struct job *j, struct slot *s)
{
    struct bp_block_request *r = &s->request;

    s->iov = (struct bp_iovec){.data = s->data, .len = BLOCK};
    *r = (struct bp_block_request){.size = sizeof(*r),
                                   .type = j->is_write ? BP_BLOCK_WRITE : BP_BLOCK_READ,
                                   .offset = next_offset(j),
                                   .length = BLOCK,
                                   .iovecs = &s->iov,
                                   .niovecs = 1};
    j->ops->submit(j->self, &r, 1);
}

static void complete(void *self, struct bp_block_request *request, int status)
{
    struct job *j = self;

    if (status) {
        fprintf(stderr, "block-io: a request failed with %d\n", status);
        exit(1);
    }
    j->done++;
    if (j->started < REQUESTS)
        start(j, (struct slot *)request);
}

static double through_plugin(struct job *j, const char *plugin, const char *path, uint32_t io,
                             unsigned depth)
{
    static const struct bp_block_port port = {.size = sizeof(port), .complete = complete};
    const struct file_config config = {.file = path, .io = io, .threads = 4, .backing = 1};
    struct fake_host *h = fake_host_new(plugin, NULL, &config);
    double began;

    j->self = fake_self(h);
    j->ops = fake_ops(h)->extension(j->self, BP_BLOCK_ID);
    j->ops->attach(j->self, &port, j);
    j->started = j->done = 0;
    began = now();
    for (unsigned i = 0; i < depth; i++)
        start(j, &j->slots[i]);
    while (j->done < REQUESTS)
        fake_poll(h, 1000);
    began = now() - began;
    fake_host_free(h);
    return REQUESTS / began / 1000;
}

static double plain_loop(struct job *j, const char *path)
{
    double began = now();

    j->fd = open(path, O_RDWR | O_CLOEXEC);
    j->started = 0;
    while (j->started < REQUESTS) {
        uint64_t at = next_offset(j);
        ssize_t n = j->is_write ? pwrite(j->fd, j->slots[0].data, BLOCK, (off_t)at)
                                : pread(j->fd, j->slots[0].data, BLOCK, (off_t)at);

        if (n != BLOCK)
            exit(1);
    }
    close(j->fd);
    return REQUESTS / (now() - began) / 1000;
}

/* Of the same format; only one after the other in the file. 0: there is no qemu-img. */
static double qemu(const struct job *j, const char *path, const char *format, unsigned depth)
{
    char command[600], line[256];
    double seconds = 0;
    FILE *p;

    if (j->is_random)
        return 0;
    snprintf(command, sizeof(command),
             "qemu-img bench -c %u -d %u -s %u -f %s -t writeback %s '%s' 2>/dev/null", REQUESTS,
             depth, BLOCK, format, j->is_write ? "-w" : "", path);
    p = popen(command, "r"); /* NOLINT(cert-env33-c): our own words */
    while (p && fgets(line, sizeof(line), p))
        (void)sscanf(line, "Run completed in %lf", &seconds); /* NOLINT(cert-err34-c) */
    if (p)
        pclose(p);
    return seconds > 0 ? REQUESTS / seconds / 1000 : 0;
}

static void make_images(const char *raw, const char *qcow2)
{
    const struct qcow2_create c = {.length = FILE_BYTES};
    const struct image_options o = {.path = qcow2, .format = IMAGE_QCOW2, .unsafe = 1};
    static uint8_t data[1 << 20];
    const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    int fd = open(raw, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct image_error e;
    struct image *i;

    memset(data, 0x5a, sizeof(data));
    for (uint64_t at = 0; fd >= 0 && at < FILE_BYTES; at += sizeof(data))
        if (file_write(fd, data, at, sizeof(data)))
            exit(1);
    close(fd);
    fd = open(qcow2, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || qcow2_create(fd, &c, &e) || img_open_fd(&o, fd, &i, &e)) {
        fprintf(stderr, "block-io: cannot make the images\n");
        exit(1);
    }
    for (uint64_t at = 0; at < FILE_BYTES; at += sizeof(data)) {
        struct cursor from = {.iov = &iov};

        if (i->ops->write(i, &from, at, sizeof(data)))
            exit(1);
    }
    img_close(i);
}

int main(int argc, char **argv)
{
    static struct job j;
    char raw[256], qcow2[256];

    if (argc != 3)
        return fprintf(stderr, "usage: block-io PLUGIN FOLDER\n"), 2;
    snprintf(raw, sizeof(raw), "%s/block-io.raw", argv[2]);
    snprintf(qcow2, sizeof(qcow2), "%s/block-io.qcow2", argv[2]);
    make_images(raw, qcow2);
    printf("4 KiB requests in the page cache, thousands a second\n"
           "                         depth  io_uring  threads  plain loop  qemu-img  "
           "uring/plain  best/qemu-img\n");
    for (unsigned n = 0; n < 16; n++) {
        const char *path = n & 8 ? qcow2 : raw;
        unsigned depth = n & 1 ? DEPTH_MAX : 1;
        double ring, threads, plain, peer;

        j.is_write = n >> 2 & 1;
        j.is_random = n >> 1 & 1;
        j.seed = 88172645463325252ull;
        ring = through_plugin(&j, argv[1], path, IO_AUTO, depth);
        threads = through_plugin(&j, argv[1], path, IO_THREADS, depth);
        plain = plain_loop(&j, raw);
        peer = qemu(&j, path, n & 8 ? "qcow2" : "raw", depth);
        printf("%-5s %-10s %-5s  %5u  %8.1f  %7.1f  %10.1f  ", n & 8 ? "qcow2" : "raw",
               j.is_random ? "random" : "sequential", j.is_write ? "write" : "read", depth, ring,
               threads, plain);
        if (peer > 0)
            printf("%8.1f  %11.2f  %13.2f\n", peer, ring / plain,
                   (ring > threads ? ring : threads) / peer);
        else
            printf("       -  %11.2f              -\n", ring / plain);
        fflush(stdout);
    }
    unlink(raw);
    unlink(qcow2);
    return 0;
}
