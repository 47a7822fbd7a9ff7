/* SPDX-License-Identifier: MIT
 *
 * memory/ram.c - guest RAM.
 *
 * Anonymous memory that is 2 MiB aligned and advised MADV_HUGEPAGE is backed by huge pages: a boot
 * then takes some hundred nested page faults instead of tens of thousands. A memfd gets huge pages
 * only where the host's shmem_enabled allows it, so it is used only when somebody has to share the
 * memory.
 */
#include "memory/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE 0x200000ull

/* Maps `size` bytes at a multiple of HUGE_PAGE: a mapping with room to spare, whose ends are given
 * back. MAP_FAILED with errno. */
static void *map_aligned(uint64_t size, int fd)
{
    uint64_t span = size + HUGE_PAGE;
    uint8_t *all = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (all == MAP_FAILED)
        return all;
    uint64_t head = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE;
    int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *base =
        mmap(all + head, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) {
        int err = errno;
        munmap(all, span);
        errno = err;
        return MAP_FAILED;
    }
    if (head)
        munmap(all, head);
    uint64_t tail = span - head - size;
    if (tail)
        munmap(all + head + size, tail);
#ifdef MADV_HUGEPAGE
    madvise(base, size,
            MADV_HUGEPAGE); /* refused by kernels without: smaller pages serve as well */
#endif
    return base;
}

/* Memory with an fd and no name. */
static int nameless_memory(void)
{
#if defined(MFD_CLOEXEC) && !defined(BACKPLANE_PORTABLE)
    return memfd_create("backplane-ram", MFD_CLOEXEC);
#else
    /* POSIX gives it a name, which is taken away at once; O_EXCL: another process may have it just
     * now. Darwin's names are short. */
    for (uint32_t i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof(name), "/backplane-%ld-%u", (long)getpid(), i);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0)
            shm_unlink(name);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
#endif
}

static int shared_memory(uint64_t size, struct error *e)
{
    int fd = nameless_memory();
    if (fd < 0)
        return error_set(e, -errno, "cannot create shared guest memory: %s", strerror(errno));
    if (ftruncate(fd, (off_t)size)) {
        int err = -errno;
        close(fd);
        return error_set(e, err, "cannot size shared guest memory to %llu bytes: %s",
                         (unsigned long long)size, strerror(-err));
    }
    return fd;
}

/* Appends [gpa, gpa + length) less what is reserved in it; `offset` is its place in the mapping. */
static void add_extents(struct ram *ram, uint64_t gpa, uint64_t length, uint64_t offset,
                        const struct ram_reserved *reserved, uint32_t count)
{
    while (length) {
        const struct ram_reserved *next = NULL; /* the first stretch that begins or lies here */
        for (uint32_t i = 0; i < count; i++) {
            const struct ram_reserved *r = &reserved[i];
            if (r->length && r->gpa < gpa + length && r->gpa + r->length > gpa &&
                (!next || r->gpa < next->gpa))
                next = r;
        }
        uint64_t keep = next ? (next->gpa > gpa ? next->gpa - gpa : 0) : length;
        if (keep)
            ram->extents[ram->count++] =
                (struct ram_extent){.gpa = gpa, .length = keep, .host = ram->base + offset};
        if (!next)
            return;
        uint64_t skip = next->gpa + next->length - gpa;
        if (skip > length)
            skip = length;
        gpa += skip;
        offset += skip;
        length -= skip;
    }
}

int ram_create(struct ram *ram, uint64_t size, bool shared, const struct ram_reserved *reserved,
               uint32_t reserved_count, struct error *e)
{
    *ram = (struct ram){.fd = -1, .size = size};
    if (!size || size % RAM_PAGE || size > UINT64_MAX / 4)
        return error_set(e, -EINVAL, "memory of %llu bytes is not a multiple of %u",
                         (unsigned long long)size, RAM_PAGE);
    for (uint32_t i = 0; i < reserved_count; i++) {
        const struct ram_reserved *r = &reserved[i];
        if (r->gpa % RAM_PAGE || r->length % RAM_PAGE || r->length > UINT64_MAX - r->gpa)
            return error_set(e, -EINVAL, "reserved memory at 0x%llx is not made of whole pages",
                             (unsigned long long)r->gpa);
    }
    int err = -ENOMEM;
    uint64_t words = (size / RAM_PAGE + 63) / 64;
    ram->extents = calloc((size_t)reserved_count + 2, sizeof(*ram->extents));
    ram->dirty = calloc(words, sizeof(*ram->dirty));
    if (!ram->extents || !ram->dirty) {
        error_set(e, err, "out of memory");
        goto fail;
    }
    if (shared) {
        ram->fd = shared_memory(size, e);
        if (ram->fd < 0) {
            err = ram->fd;
            goto fail;
        }
    }
    void *base = map_aligned(size, ram->fd);
    if (base == MAP_FAILED) {
        err = -errno;
        error_set(e, err, "cannot map %llu MiB of guest memory: %s (use less memory)",
                  (unsigned long long)(size >> 20), strerror(-err));
        goto fail;
    }
    ram->base = base;
    uint64_t low = size < RAM_LOW_END ? size : RAM_LOW_END;
    add_extents(ram, 0, low, 0, reserved, reserved_count);
    if (size > low)
        add_extents(ram, RAM_HIGH_BASE, size - low, low, reserved, reserved_count);
    return 0;
fail:
    ram_destroy(ram);
    return err;
}

void ram_destroy(struct ram *ram)
{
    if (ram->base)
        munmap(ram->base, ram->size);
    if (ram->fd >= 0)
        close(ram->fd);
    free(ram->extents);
    free(ram->dirty);
    *ram = (struct ram){.fd = -1};
}

uint8_t *ram_map(const struct ram *ram, uint64_t gpa, uint64_t *len)
{
    if (*len > UINT64_MAX - gpa)
        return NULL;
    for (uint32_t i = 0; i < ram->count; i++) {
        const struct ram_extent *x = &ram->extents[i];
        uint64_t offset = gpa - x->gpa;
        if (gpa >= x->gpa && offset < x->length) {
            if (*len > x->length - offset)
                *len = x->length - offset;
            return x->host + offset;
        }
    }
    return NULL;
}

uint8_t *ram_at(const struct ram *ram, uint64_t gpa, uint64_t len)
{
    uint64_t got = len;
    uint8_t *p = ram_map(ram, gpa, &got);
    return p && got == len ? p : NULL;
}

/* True if [gpa, gpa + len) is RAM throughout, in however many extents. */
static bool all_ram(const struct ram *ram, uint64_t gpa, uint64_t len)
{
    if (len > UINT64_MAX - gpa)
        return false;
    while (len) {
        uint64_t part = len;
        if (!ram_map(ram, gpa, &part))
            return false;
        gpa += part;
        len -= part;
    }
    return true;
}

/* Of the mapping's bytes from `offset` on; len > 0. */
static void mark_pages(struct ram *ram, uint64_t offset, uint64_t len)
{
    uint64_t first = offset / RAM_PAGE;
    uint64_t last = (offset + len - 1) / RAM_PAGE;

    for (uint64_t page = first; page <= last; page++) {
        uint64_t *word = &ram->dirty[page / 64], bit = 1ull << page % 64;
        if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
            __atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
    }
}

int ram_read(const struct ram *ram, uint64_t gpa, void *to, uint64_t len)
{
    uint8_t *out = to;
    uint64_t first = len;
    const uint8_t *host = ram_map(ram, gpa, &first);

    if (host && first == len && len) { /* nearly always */
        memcpy(out, host, len);
        return 0;
    }
    if (!all_ram(ram, gpa, len))
        return -EFAULT;
    while (len) {
        uint64_t part = len;
        memcpy(out, ram_map(ram, gpa, &part), part);
        out += part;
        gpa += part;
        len -= part;
    }
    return 0;
}

int ram_write(struct ram *ram, uint64_t gpa, const void *from, uint64_t len)
{
    const uint8_t *in = from;
    uint64_t first = len;
    uint8_t *host = ram_map(ram, gpa, &first);

    if (host && first == len && len) { /* nearly always */
        mark_pages(ram, (uintptr_t)host - (uintptr_t)ram->base, len);
        memcpy(host, in, len);
        return 0;
    }
    if (!all_ram(ram, gpa, len))
        return -EFAULT;
    ram_mark_dirty(ram, gpa, len);
    while (len) {
        uint64_t part = len;
        memcpy(ram_map(ram, gpa, &part), in, part);
        in += part;
        gpa += part;
        len -= part;
    }
    return 0;
}

/* A private page that is dropped is a zeroed one at the next access; of a shared mapping the file
 * would bring the old one back, so a hole is made there. */
static int drop(const struct ram *ram, uint8_t *host, uint64_t len)
{
#ifdef MADV_REMOVE
    return madvise(host, len, ram->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED) ? -errno : 0;
#else /* MADV_DONTNEED is a hint elsewhere: the memory is cleared, and stays */
    (void)ram;
    memset(host, 0, len);
    return 0;
#endif
}

int ram_discard(struct ram *ram, uint64_t gpa, uint64_t len)
{
    if (gpa % RAM_PAGE || len % RAM_PAGE)
        return -EINVAL;
    if (!all_ram(ram, gpa, len))
        return -EFAULT;
    ram_mark_dirty(ram, gpa, len);
    while (len) {
        uint64_t part = len;
        uint8_t *host = ram_map(ram, gpa, &part);
        int err = drop(ram, host, part);

        if (err)
            return err;
        gpa += part;
        len -= part;
    }
    return 0;
}

int ram_written(struct ram *ram, const void *host, uint64_t len, uint64_t *gpa)
{
    uintptr_t at = (uintptr_t)host;

    for (uint32_t i = 0; i < ram->count; i++) {
        const struct ram_extent *x = &ram->extents[i];
        uintptr_t base = (uintptr_t)x->host;
        if (at < base || at - base >= x->length)
            continue;
        if (len > x->length - (at - base))
            len = x->length - (at - base);
        if (len)
            mark_pages(ram, at - (uintptr_t)ram->base, len);
        *gpa = x->gpa + (at - base);
        return 0;
    }
    return -ENOENT;
}

void ram_mark_dirty(struct ram *ram, uint64_t gpa, uint64_t len)
{
    while (len) {
        uint64_t part = len;
        const uint8_t *host = ram_map(ram, gpa, &part);
        if (!host)
            return;
        mark_pages(ram, (uint64_t)(host - ram->base), part);
        gpa += part;
        len -= part;
    }
}
