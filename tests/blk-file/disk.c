/* SPDX-License-Identifier: MIT
 *
 * blk-file/disk.c - the device at the near end of a backend.
 */
#include "disk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void complete(void *self, struct bp_block_request *request, int status)
{
    struct disk *d = self;
    struct disk_request *r = (struct disk_request *)request;

    assert_false(d->inside);
    assert_int_equal(r->status, DISK_PENDING);
    assert_true(status <= 0);
    r->status = status;
    d->completed++;
}

static const struct bp_block_port port = {.size = sizeof(struct bp_block_port),
                                          .complete = complete};

struct file_config disk_config(const char *path)
{
    return (struct file_config){.file = path, .threads = 4, .backing = 1};
}

struct disk *disk_new(const struct file_config *config)
{
    struct disk *d = calloc(1, sizeof(*d));

    assert_non_null(d);
    d->host = fake_host_new(PLUGIN_FILE, NULL, config);
    d->self = fake_self(d->host);
    d->ops = fake_ops(d->host)->extension(d->self, BP_BLOCK_ID);
    assert_non_null(d->ops);
    assert_int_equal(d->ops->attach(d->self, &port, d), 0);
    assert_int_not_equal(d->ops->attach(d->self, &port, d), 0);
    d->info.size = sizeof(d->info);
    d->ops->info(d->self, &d->info);
    return d;
}

void disk_free(struct disk *d)
{
    if (!d)
        return;
    fake_host_free(d->host);
    free(d);
}

void disk_refuses(const struct file_config *config, const char *folder, int err,
                  const char *expected)
{
    struct fake_host *h;
    char text[4096] = "";
    const char *at, *found;

    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, config, &h), err);
    at = fake_failure();
    while ((found = strstr(at, folder))) {
        size_t n = strlen(text);

        snprintf(text + n, sizeof(text) - n, "%.*sDIR", (int)(found - at), at);
        at = found + strlen(folder);
    }
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", at);
    assert_string_equal(text, expected);
}

void disk_start(struct disk *d, struct disk_request *r, uint16_t type, uint64_t offset, void *data,
                uint64_t length)
{
    struct bp_block_request *request = &r->request;

    memset(r, 0, sizeof(*r));
    r->iov = (struct bp_iovec){.data = data, .len = length};
    r->request = (struct bp_block_request){.size = sizeof(r->request),
                                           .type = type,
                                           .offset = offset,
                                           .length = length,
                                           .iovecs = data ? &r->iov : NULL,
                                           .niovecs = data ? 1 : 0};
    r->status = DISK_PENDING;
    d->inside = 1;
    if (d->brackets)
        d->ops->begin(d->self);
    d->ops->submit(d->self, &request, 1);
    d->inside = 0;
    if (d->brackets)
        d->ops->end(d->self);
}

int disk_wait(struct disk *d, struct disk_request *r)
{
    for (int turns = 0; r->status == DISK_PENDING; turns++) {
        if (turns == 30000)
            fail_msg("a request of type %u does not complete", r->request.type);
        fake_poll(d->host, 10);
    }
    return r->status;
}

int disk_do(struct disk *d, uint16_t type, uint64_t offset, void *data, uint64_t length)
{
    struct disk_request r;

    disk_start(d, &r, type, offset, data, length);
    return disk_wait(d, &r);
}

int disk_flush(struct disk *d)
{
    return disk_do(d, BP_BLOCK_FLUSH, 0, NULL, 0);
}

void disk_expect(struct disk *d, uint64_t offset, uint64_t length, uint8_t byte)
{
    uint8_t *data = malloc(length);

    assert_non_null(data);
    memset(data, ~byte, length);
    assert_int_equal(disk_do(d, BP_BLOCK_READ, offset, data, length), 0);
    for (uint64_t i = 0; i < length; i++)
        if (data[i] != byte)
            fail_msg("byte %llu is 0x%02x, expected 0x%02x", (unsigned long long)(offset + i),
                     data[i], byte);
    free(data);
}

void disk_fill(struct disk *d, uint64_t offset, uint64_t length, uint8_t byte)
{
    uint8_t *data = malloc(length);

    assert_non_null(data);
    memset(data, byte, length);
    assert_int_equal(disk_do(d, BP_BLOCK_WRITE, offset, data, length), 0);
    free(data);
}

/* ---- files ---- */

char *folder_new(void)
{
    char *folder = strdup("/tmp/blk-file-XXXXXX");

    assert_non_null(folder);
    assert_non_null(mkdtemp(folder));
    return folder;
}

void folder_remove(char *folder)
{
    sh("rm -rf '%s'", folder);
    free(folder);
}

const char *in(const char *folder, const char *name)
{
    static char texts[16][256];
    static unsigned next;
    char *text = texts[next++ % 16];

    snprintf(text, sizeof(texts[0]), "%s/%s", folder, name);
    return text;
}

void make_file(const char *path, uint64_t length)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)length), 0);
    close(fd);
}

void patch_file(const char *path, uint64_t at, const void *bytes, uint64_t count)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, count, (off_t)at), count);
    close(fd);
}

void patch32(const char *path, uint64_t at, uint32_t value)
{
    value = __builtin_bswap32(value);
    patch_file(path, at, &value, sizeof(value));
}

void patch64(const char *path, uint64_t at, uint64_t value)
{
    value = __builtin_bswap64(value);
    patch_file(path, at, &value, sizeof(value));
}

uint64_t peek64(const char *path, uint64_t at)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t value = 0;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &value, sizeof(value), (off_t)at), sizeof(value));
    close(fd);
    return __builtin_bswap64(value);
}

/* ---- QEMU's programs ---- */

int sh(const char *format, ...)
{
    char command[4096], quiet[4200];
    va_list args;
    int status;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    snprintf(quiet, sizeof(quiet), "(%s) >/dev/null 2>&1", command);
    status = system(quiet); /* NOLINT(cert-env33-c): a test's own words */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void need_qemu_img(void)
{
    if (sh("command -v qemu-img && command -v qemu-io")) {
        print_message("there is no qemu-img (package qemu-utils)\n");
        skip();
    }
}

void expect_sound(const char *path, int leaks)
{
    int status = sh("qemu-img check -f qcow2 '%s'", path);

    /* The kernel gives up what a killed process had in its io_uring, and the locks with it, a while
     * after the process is gone: status 1 until then. */
    for (int i = 0; i < 400 && status == 1; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 25000000}, NULL);
        status = sh("qemu-img check -f qcow2 '%s'", path);
    }
    if (status && !(leaks && status == 3))
        fail_msg("qemu-img check of %s ends with status %d", path, status);
}
