/* SPDX-License-Identifier: MIT
 *
 * fuzz/fuzz_qcow2.c - hostile qcow2 images: opened, read in places, then opened anew to be written,
 * discarded, zeroed and flushed.
 *
 * Backing files are forbidden, so that nothing but the input is opened. What is held against the
 * image: no crash, no hang, and what is read again is what was written.
 */
#include "image/image.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE 2048u

static struct image *open_image(int fd, int readonly)
{
    const struct image_options o = {.path = "fuzz",
                                    .format = IMAGE_QCOW2,
                                    .readonly = (uint8_t)readonly,
                                    .no_backing = 1,
                                    .unsafe = 1};
    struct image_error e;
    struct image *i;
    int copy = dup(fd);

    if (copy < 0)
        return NULL;
    if (!img_open_fd(&o, copy, &i, &e))
        return i;
    close(copy);
    return NULL;
}

static uint64_t place(const struct image *i, unsigned n)
{
    uint64_t at = i->length / 7 * n & ~511ull;

    return at + PIECE <= i->length ? at : 0;
}

static int transfer(struct image *i, uint64_t at, void *data, int is_write)
{
    const struct iovec iov = {.iov_base = data, .iov_len = PIECE};
    struct cursor c = {.iov = &iov};

    return is_write ? i->ops->write(i, &c, at, PIECE) : i->ops->read(i, &c, at, PIECE);
}

static void use(struct image *i)
{
    uint8_t wrote[PIECE], found[PIECE];

    for (unsigned n = 0; n < 8; n++) {
        uint64_t at = place(i, n);

        memset(wrote, (int)n + 1, sizeof(wrote));
        if (!transfer(i, at, wrote, 1) &&
            (transfer(i, at, found, 0) || memcmp(wrote, found, PIECE) != 0))
            abort();
        if (n == 3)
            (void)i->ops->flush(i);
        if (n == 4)
            (void)i->ops->discard(i, 0, i->length < 65536 ? i->length : 65536);
        if (n == 5)
            (void)i->ops->zero(i, place(i, 2), PIECE, 1);
    }
    (void)i->ops->flush(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("qcow2", MFD_CLOEXEC);
    uint8_t found[PIECE];
    struct image *i;

    if (fd < 0 || size > (1u << 20) || write(fd, data, size) != (ssize_t)size)
        goto end;
    i = open_image(fd, 1);
    for (unsigned n = 0; i && i->length >= PIECE && n < 8; n++)
        (void)transfer(i, place(i, n), found, 0);
    if (i)
        img_close(i);
    i = open_image(fd, 0);
    if (i && i->length >= PIECE)
        use(i);
    if (i)
        img_close(i);
end:
    if (fd >= 0)
        close(fd);
    return 0;
}
