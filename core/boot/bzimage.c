/* SPDX-License-Identifier: MIT
 *
 * boot/bzimage.c - Linux bzImage, by the boot protocol 2.06 to 2.15
 * (Documentation/arch/x86/boot.rst): the 64-bit entry where the kernel has one (XLF_KERNEL_64),
 * else the 32-bit entry. The real-mode code in front is not run.
 *
 * Left out: zImage (loaded low), protocols before 2.06 (before Linux 2.6.22), setup_data, the EFI
 * stub's hand-over, loading above 4 GiB.
 */
#include "boot/params.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SECTOR 512u
#define HEAD_BYTES 0x302u      /* 0x202 and the longest jump: all of any setup header */
#define ENTRY_64 0x200u        /* from the start of the protected-mode code */
#define DEFAULT_LOAD 0x100000u /* where a kernel goes that is not relocatable */

/* A setup header that was checked. */
struct setup {
    uint8_t bytes[HEAD_BYTES]; /* the file's beginning */
    uint32_t end;              /* of the header */
    uint32_t version;
    uint64_t code_offset, code_bytes; /* protected-mode code in the file */
    uint64_t pref_address, init_size; /* 0 before 2.10 */
    uint64_t alignment;
    bool relocatable, entry_64;
};

/* The file's first bytes, zeros after its end. */
static int read_head(const struct image *image, uint8_t head[HEAD_BYTES], struct error *e)
{
    uint64_t n = image->size < HEAD_BYTES ? image->size : HEAD_BYTES;

    memset(head, 0, HEAD_BYTES);
    return image_read(image, 0, head, n, e);
}

static bool has_magic(const uint8_t *head)
{
    return bp_le16(head + SETUP_BOOT_FLAG) == BOOT_FLAG_VALUE &&
           bp_le32(head + SETUP_HEADER) == HEADER_MAGIC;
}

int bzimage_detect(const struct image *image, struct error *e)
{
    uint8_t head[HEAD_BYTES];
    int err = read_head(image, head, e);

    return err ? err : has_magic(head);
}

/* The fixed part: magic, version, and that the header is as long as its version says. */
static int check_header(const struct loader *l, struct setup *s)
{
    const char *path = l->kernel->path;
    uint32_t needed;

    if (!has_magic(s->bytes))
        return error_set(l->e, -EINVAL,
                         "%s: is no Linux bzImage: expected 0xaa55 at 0x1fe and \"HdrS\" at 0x202",
                         path);
    s->version = bp_le16(s->bytes + SETUP_VERSION);
    if (s->version < 0x206)
        return error_set(l->e, -EINVAL,
                         "%s: has boot protocol %u.%02u, expected 2.06 or later (Linux 2.6.22)",
                         path, s->version >> 8, s->version & 0xff);
    s->end = SETUP_HEADER + s->bytes[SETUP_JUMP + 1];
    needed = s->version >= 0x20a ? SETUP_END_2_10 : SETUP_END_2_06;
    if (s->end < needed || s->end > SETUP_END_MAX)
        return error_set(
            l->e, -EINVAL,
            "%s: the setup header ends at 0x%x, expected 0x%x to 0x%x with boot protocol "
            "%u.%02u",
            path, s->end, needed, SETUP_END_MAX, s->version >> 8, s->version & 0xff);
    if (s->end > l->kernel->size)
        return error_set(l->e, -EINVAL,
                         "%s: the file ends after %" PRIu64
                         " bytes, within the setup header, which ends at 0x%x; it is truncated",
                         path, l->kernel->size, s->end);
    if (!(s->bytes[SETUP_LOADFLAGS] & LOADFLAGS_LOADED_HIGH))
        return error_set(l->e, -EINVAL, "%s: is a zImage (loaded low), expected a bzImage", path);
    return 0;
}

static int check_code(const struct loader *l, struct setup *s)
{
    uint32_t sectors = s->bytes[SETUP_SETUP_SECTS] ? s->bytes[SETUP_SETUP_SECTS] : 4;
    const char *path = l->kernel->path;

    s->code_offset = (sectors + 1ull) * SECTOR;
    s->code_bytes = (uint64_t)bp_le32(s->bytes + SETUP_SYSSIZE) * 16;
    if (s->code_offset >= l->kernel->size)
        return error_set(l->e, -EINVAL,
                         "%s: the setup code has %u sectors and ends at byte %" PRIu64
                         ", but the file has only %" PRIu64 " bytes; it is truncated",
                         path, sectors, s->code_offset, l->kernel->size);
    if (s->code_bytes > l->kernel->size - s->code_offset)
        return error_set(l->e, -EINVAL,
                         "%s: the kernel has %" PRIu64 " bytes from byte %" PRIu64
                         " on, but the file has only %" PRIu64 " bytes; it is truncated",
                         path, s->code_bytes, s->code_offset, l->kernel->size);
    if (s->code_bytes <= ENTRY_64)
        return error_set(l->e, -EINVAL,
                         "%s: the kernel has %" PRIu64 " bytes (syssize), expected more than %u",
                         path, s->code_bytes, ENTRY_64);
    return 0;
}

static int parse_setup(const struct loader *l, struct setup *s)
{
    int err = read_head(l->kernel, s->bytes, l->e);

    if (!err)
        err = check_header(l, s);
    if (!err)
        err = check_code(l, s);
    if (err)
        return err;
    s->relocatable = s->bytes[SETUP_RELOCATABLE_KERNEL] != 0;
    s->alignment = bp_le32(s->bytes + SETUP_KERNEL_ALIGNMENT);
    if (s->relocatable && (!s->alignment || (s->alignment & (s->alignment - 1))))
        return error_set(l->e, -EINVAL,
                         "%s: kernel_alignment is 0x%" PRIx64 ", expected a power of two",
                         l->kernel->path, s->alignment);
    if (s->version >= 0x20a) {
        s->pref_address = bp_le64(s->bytes + SETUP_PREF_ADDRESS);
        s->init_size = bp_le32(s->bytes + SETUP_INIT_SIZE);
    }
    if (s->pref_address > LOADER_LAST)
        return error_set(l->e, -EINVAL,
                         "%s: prefers the load address 0x%" PRIx64
                         " (pref_address), expected an address below 4 GiB",
                         l->kernel->path, s->pref_address);
    if (s->version >= 0x20c)
        s->entry_64 = bp_le16(s->bytes + SETUP_XLOADFLAGS) & XLOADFLAGS_KERNEL_64;
    return 0;
}

/* A relocatable kernel runs where it was loaded, but never below pref_address: there it would first
 * move itself up (boot.rst, "init_size"). So addresses below are of no use where pref_address is
 * not. */
static int place_relocatable(struct loader *l, const struct setup *s, uint64_t bytes, uint64_t *gpa,
                             uint8_t **host)
{
    uint64_t first = s->pref_address > DEFAULT_LOAD ? s->pref_address : DEFAULT_LOAD;

    return place_take_free(&l->place, l->kernel->path, "the kernel (init_size)", PLACE_LOWEST,
                           bytes, s->alignment, first, LOADER_LAST, gpa, host, l->e);
}

/* A kernel that is not relocatable is loaded at 1 MiB and moves itself to pref_address, whose
 * init_size bytes must be its own too. */
static int place_fixed(struct loader *l, const struct setup *s, uint64_t bytes, uint64_t *gpa,
                       uint8_t **host)
{
    const char *path = l->kernel->path;
    uint64_t load_end = DEFAULT_LOAD + s->code_bytes, run = s->pref_address, end;
    int err;

    *gpa = DEFAULT_LOAD;
    if (!run || run == DEFAULT_LOAD)
        return place_take(&l->place, path, "the kernel (init_size)", *gpa, bytes, host, l->e);
    if (run > DEFAULT_LOAD && run <= load_end && !__builtin_add_overflow(run, bytes, &end))
        return place_take(&l->place, path, "the kernel (init_size)", *gpa, end - *gpa, host, l->e);
    err = place_take(&l->place, path, "the kernel", *gpa, s->code_bytes, host, l->e);
    if (!err)
        err = place_take(&l->place, path, "the kernel (init_size)", run, bytes, NULL, l->e);
    return err;
}

static int load_initrd(struct loader *l, const struct setup *s, struct loader_module *initrd)
{
    uint64_t last = bp_le32(s->bytes + SETUP_INITRD_ADDR_MAX);

    if (!l->request->initrd)
        return 0;
    return loader_file(l, l->request->initrd, "the initrd", PLACE_HIGHEST, LOADER_HIGH_FIRST, last,
                       initrd);
}

static void write_params(struct loader *l, const struct setup *s, uint64_t load, uint8_t *params,
                         const struct loader_module *initrd)
{
    memcpy(params + SETUP_START, s->bytes + SETUP_START, s->end - SETUP_START);
    /* The loader's to write, so whatever the file has there is not to be believed. */
    if (s->end >= SETUP_HARDWARE_SUBARCH + 4)
        bp_put_le32(params + SETUP_HARDWARE_SUBARCH, 0);
    if (s->end >= SETUP_SETUP_DATA + 8)
        bp_put_le64(params + SETUP_SETUP_DATA, 0);
    bp_put_le32(params + SETUP_CODE32_START, (uint32_t)load);
    params_write(l, params, initrd);
}

int bzimage_load(struct loader *l)
{
    struct loader_module initrd = {0};
    struct setup s = {0};
    uint8_t *params = NULL, *code = NULL;
    uint64_t load = 0, bytes;
    int err = parse_setup(l, &s);

    if (!err)
        err = loader_no_modules(l, "the Linux boot protocol");
    if (!err)
        err = loader_check_cmdline(l, bp_le32(s.bytes + SETUP_CMDLINE_SIZE));
    if (!err)
        err = loader_take_tables(l, s.entry_64 ? GIB_MAPPED : 0);
    if (!err)
        err = loader_take_info(l, PARAMS_BYTES, &params);
    if (!err)
        err = loader_take_strings(l, false);
    if (err)
        return err;
    bytes = s.init_size > s.code_bytes ? s.init_size : s.code_bytes;
    if (s.relocatable)
        err = place_relocatable(l, &s, bytes, &load, &code);
    else
        err = place_fixed(l, &s, bytes, &load, &code);
    if (!err)
        err = image_read(l->kernel, s.code_offset, code, s.code_bytes, l->e);
    if (!err)
        err = load_initrd(l, &s, &initrd);
    if (err)
        return err;
    write_params(l, &s, load, params, l->request->initrd ? &initrd : NULL);
    if (s.entry_64)
        state_long(l, load + ENTRY_64, GIB_MAPPED);
    else
        state_flat32(l, load);
    l->state->gpr.rsi = BOOT_INFO_GPA;
    l->state->protocol = s.entry_64 ? "Linux 64-bit" : "Linux 32-bit";
    return 0;
}
