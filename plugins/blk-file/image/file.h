/* SPDX-License-Identifier: MIT
 *
 * image/file.h - reads and writes that are whole or have failed, and what systems do each in their
 * own way: holes, flushes and the lock of an image file (host_linux.c, host_portable.c).
 */
#ifndef IMAGE_FILE_H
#define IMAGE_FILE_H

#include <stdint.h>
#include <sys/uio.h>

/* A place in a list of buffers. */
struct cursor {
    const struct iovec *iov;
    uint64_t skip; /* bytes of iov[0] that are done */
};

/* Points `iov`, of `max` elements, at the next bytes of `c`, at most `length`. Returns how many it
 * took, and their bytes in *bytes. Does not move `c`. */
int cursor_slice(const struct cursor *c, uint64_t length, struct iovec *iov, int max,
                 uint64_t *bytes);
void cursor_advance(struct cursor *c, uint64_t length);
void cursor_put(struct cursor *c, const void *from, uint64_t length);
void cursor_get(struct cursor *c, void *to, uint64_t length);
void cursor_zero(struct cursor *c, uint64_t length);

/* Whole transfers: they go on after EINTR and after short ones. Beyond the end of the file `zeroes`
 * says whether there are zeroes or it is -EIO. 0 or a negative errno. [any] */
int file_readv(int fd, struct cursor *to, uint64_t at, uint64_t length, int zeroes);
int file_writev(int fd, struct cursor *from, uint64_t at, uint64_t length);
int file_read(int fd, void *to, uint64_t at, uint64_t length, int zeroes);
int file_write(int fd, const void *from, uint64_t at, uint64_t length);
int file_write_zeroes(int fd, uint64_t at, uint64_t length);
/* Bytes of a file or a block device, or a negative errno. */
int64_t file_length(int fd);
/* By the file system if it can, else by writing zeroes; `unmap`: the space may go. */
int file_zero(int fd, uint64_t at, uint64_t length, int unmap);
/* Gives space back if the file system can; what was there is undefined. */
int file_discard(int fd, uint64_t at, uint64_t length);
/* What was written is on the disk, and not in its cache: fdatasync(), F_FULLFSYNC of macOS. */
int file_sync(int fd);

/* Takes a lock that belongs to the open file: `exclusive` for whoever writes, else against writers.
 * On Linux it is on the bytes that QEMU's programs lock, so that both see each other. -EAGAIN:
 * somebody else has it; other errors: the file system has no locks. [any] */
int file_lock(int fd, int exclusive);

#endif
