/* SPDX-License-Identifier: MIT
 *
 * blk-file/disk.h - the device at the near end of a backend, and images to test it with.
 */
#ifndef BLK_FILE_DISK_H
#define BLK_FILE_DISK_H

#include "backend.h"
#include "fakes/host.h"

#define DISK_PENDING 1 /* status of a request that has not completed */

struct disk {
    const struct bp_block *ops;
    void *self;
    struct fake_host *host;
    struct bp_block_info info;
    unsigned completed;
    int inside;   /* the device is in a call of the backend */
    int brackets; /* submit() comes between begin() and end() */
    int reserved;
};

struct disk_request {
    struct bp_block_request request;
    struct bp_iovec iov;
    int status;
    int reserved;
};

/* The keys' defaults, for `path`. */
struct file_config disk_config(const char *path);
/* A started instance with a device attached. To be freed with disk_free(). */
struct disk *disk_new(const struct file_config *config);
void disk_free(struct disk *d);
/* Fails the test unless such an instance is refused with `err` and this sentence, in which "DIR"
 * stands for `folder`. */
void disk_refuses(const struct file_config *config, const char *folder, int err,
                  const char *expected);

/* A request of one buffer, under way on return; `r` is the caller's until it has completed. */
void disk_start(struct disk *d, struct disk_request *r, uint16_t type, uint64_t offset, void *data,
                uint64_t length);
/* Runs the loop until it has completed; its status. */
int disk_wait(struct disk *d, struct disk_request *r);
/* Both. */
int disk_do(struct disk *d, uint16_t type, uint64_t offset, void *data, uint64_t length);
int disk_flush(struct disk *d);
/* Fails the test unless [offset, offset + length) is `byte` throughout. */
void disk_expect(struct disk *d, uint64_t offset, uint64_t length, uint8_t byte);
void disk_fill(struct disk *d, uint64_t offset, uint64_t length, uint8_t byte);

/* A folder of the test's own, removed with all in it by folder_remove(). */
char *folder_new(void);
void folder_remove(char *folder);
/* "FOLDER/NAME": one of sixteen static texts. */
const char *in(const char *folder, const char *name);
void make_file(const char *path, uint64_t length);
void patch_file(const char *path, uint64_t at, const void *bytes, uint64_t count);
void patch32(const char *path, uint64_t at, uint32_t value); /* big-endian */
void patch64(const char *path, uint64_t at, uint64_t value);
uint64_t peek64(const char *path, uint64_t at);

/* Runs a command of the shell, printf-style, without output; its status. */
int sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* skip() unless qemu-img is there. */
void need_qemu_img(void);
/* Fails the test unless qemu-img check finds nothing, or only leaks if `leaks`. */
void expect_sound(const char *path, int leaks);

#endif
