/* SPDX-License-Identifier: MIT
 *
 * platform/aml.c - AML encodings (ACPI 6.4, 20.2) and resource descriptors (6.4) on a growing
 * buffer.
 *
 * A PkgLength counts itself, so its own size depends on the value; it is inserted when the content
 * is complete, by moving the content up. Tables are small and written once, so that costs nothing
 * that matters.
 */
#include "platform/aml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXTENDED = 0x5b,
    OP_EXTENDED_DEVICE = 0x82,
    OP_RETURN = 0xa4,
};

/* Tags of resource descriptors (6.4.2, 6.4.3). */
enum {
    TAG_IO = 0x47,
    TAG_END = 0x79,
    TAG_MEMORY32_FIXED = 0x86,
    TAG_DWORD_ADDRESS = 0x87,
    TAG_WORD_ADDRESS = 0x88,
    TAG_INTERRUPT = 0x89,
    TAG_QWORD_ADDRESS = 0x8a,
};

enum { RESOURCE_MEMORY, RESOURCE_IO, RESOURCE_BUS };

/* General flags of an address space descriptor (6.4.3.5). */
enum { ADDRESS_CONSUMER = 1, ADDRESS_FIXED = 1 << 2 | 1 << 3 };

#define MEMORY_READ_WRITE 1u
#define IO_ENTIRE_RANGE 3u /* ISA and non-ISA addresses alike */

#define FIRST_CAPACITY 4096u

static void set_err(struct aml *a, int err)
{
    if (a->err == 0)
        a->err = err;
}

void aml_init(struct aml *a, uint64_t limit)
{
    memset(a, 0, sizeof(*a));
    a->limit = limit;
}

void aml_free(struct aml *a)
{
    free(a->bytes);
    memset(a, 0, sizeof(*a));
}

/* Makes room for `len` more bytes. */
static bool reserve(struct aml *a, uint64_t len)
{
    if (a->err != 0)
        return false;
    if (len > a->limit - a->length) {
        set_err(a, -ENOSPC);
        return false;
    }
    if (len <= a->capacity - a->length)
        return true;

    uint64_t capacity = a->capacity != 0 ? a->capacity : FIRST_CAPACITY;
    while (capacity - a->length < len) {
        if (capacity > UINT64_MAX / 2) {
            set_err(a, -ENOMEM);
            return false;
        }
        capacity *= 2;
    }
    uint8_t *bytes = realloc(a->bytes, capacity);
    if (bytes == NULL) {
        set_err(a, -ENOMEM);
        return false;
    }
    a->bytes = bytes;
    a->capacity = capacity;
    return true;
}

void aml_bytes(struct aml *a, const void *from, uint64_t len)
{
    if (len == 0 || !reserve(a, len))
        return;
    memcpy(a->bytes + a->length, from, len);
    a->length += len;
}

static void byte(struct aml *a, uint32_t value)
{
    uint8_t b = (uint8_t)value;
    aml_bytes(a, &b, 1);
}

void aml_le(struct aml *a, uint64_t value, uint32_t width)
{
    uint8_t b[8];

    if (width > sizeof(b)) {
        set_err(a, -EINVAL);
        return;
    }
    for (uint32_t i = 0; i < width; i++)
        b[i] = (uint8_t)(value >> 8 * i);
    aml_bytes(a, b, width);
}

void aml_align(struct aml *a, uint64_t alignment)
{
    while (a->err == 0 && (a->length & (alignment - 1)) != 0)
        byte(a, 0);
}

void aml_patch(struct aml *a, uint64_t at, uint64_t value, uint32_t width)
{
    if (a->err != 0)
        return;
    if (width > 8 || width > a->length || at > a->length - width) {
        set_err(a, -EINVAL);
        return;
    }
    for (uint32_t i = 0; i < width; i++)
        a->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

/* Puts `len` bytes at `at`, moving what follows. */
static void insert(struct aml *a, uint64_t at, const void *from, uint64_t len)
{
    if (a->err != 0)
        return;
    if (at > a->length) {
        set_err(a, -EINVAL);
        return;
    }
    if (!reserve(a, len))
        return;
    memmove(a->bytes + at + len, a->bytes + at, a->length - at);
    memcpy(a->bytes + at, from, len);
    a->length += len;
}

/* PkgLength (20.2.4): the count of further bytes in bits 7:6 of the first, which holds 6 bits of
 * the length if it stands alone and 4 if not. */
void aml_end(struct aml *a, struct aml_mark mark)
{
    if (a->err != 0)
        return;
    if (mark.at > a->length) {
        set_err(a, -EINVAL);
        return;
    }
    uint64_t content = a->length - mark.at;
    uint8_t b[4];
    uint32_t n;

    if (content + 1 < 1u << 6) {
        b[0] = (uint8_t)(content + 1);
        n = 1;
    } else {
        n = content + 2 < 1u << 12 ? 2 : content + 3 < 1u << 20 ? 3 : 4;
        uint64_t total = content + n;
        if (total >= 1u << 28) {
            set_err(a, -EINVAL);
            return;
        }
        b[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
        for (uint32_t i = 1; i < n; i++)
            b[i] = (uint8_t)(total >> (8 * i - 4));
    }
    insert(a, mark.at, b, n);
}

static bool lead_char(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool hex_digit(char c)
{
    return digit(c) || (c >= 'A' && c <= 'F');
}

/* The length of the name segment at `s`, 0 if there is none. */
static uint32_t segment_length(const char *s)
{
    uint32_t n = 0;

    if (!lead_char(s[0]))
        return 0;
    while (lead_char(s[n]) || digit(s[n]))
        n++;
    return n <= 4 ? n : 0;
}

void aml_path(struct aml *a, const char *path)
{
    const char *s = path;
    uint32_t segments = 0;

    if (*s == '\\')
        byte(a, (uint8_t)*s++);
    else
        while (*s == '^')
            byte(a, (uint8_t)*s++);
    for (const char *at = s;;) {
        uint32_t n = segment_length(at);
        if (n == 0 || ++segments > 255) {
            set_err(a, -EINVAL);
            return;
        }
        at += n;
        if (*at == '\0')
            break;
        if (*at++ != '.') {
            set_err(a, -EINVAL);
            return;
        }
    }
    if (segments == 2) {
        byte(a, OP_DUAL_NAME);
    } else if (segments > 2) {
        byte(a, OP_MULTI_NAME);
        byte(a, segments);
    }
    for (; segments > 0; segments--) {
        uint32_t n = segment_length(s);
        aml_bytes(a, s, n);
        aml_bytes(a, "____", 4 - n);
        s += n + 1;
    }
}

void aml_integer(struct aml *a, uint64_t value)
{
    if (value == 0) {
        byte(a, OP_ZERO);
    } else if (value == 1) {
        byte(a, OP_ONE);
    } else if (value <= UINT8_MAX) {
        byte(a, OP_BYTE);
        aml_le(a, value, 1);
    } else if (value <= UINT16_MAX) {
        byte(a, OP_WORD);
        aml_le(a, value, 2);
    } else if (value <= UINT32_MAX) {
        byte(a, OP_DWORD);
        aml_le(a, value, 4);
    } else {
        byte(a, OP_QWORD);
        aml_le(a, value, 8);
    }
}

void aml_string(struct aml *a, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((uint8_t)*c > 0x7f) {
            set_err(a, -EINVAL);
            return;
        }
    }
    byte(a, OP_STRING);
    aml_bytes(a, text, strlen(text) + 1);
}

static bool is_id(const char *id, uint32_t vendor, bool digits)
{
    for (uint32_t i = 0; i < vendor; i++)
        if (!(id[i] >= 'A' && id[i] <= 'Z') && !(digits && digit(id[i])))
            return false;
    for (uint32_t i = vendor; i < vendor + 4; i++)
        if (!hex_digit(id[i]))
            return false;
    return id[vendor + 4] == '\0';
}

bool aml_is_eisa_id(const char *id)
{
    return is_id(id, 3, false);
}

bool aml_is_acpi_id(const char *id)
{
    return is_id(id, 4, true);
}

/* Three letters of 5 bits, then four hex digits; the bytes in the order of the ISA PnP
 * specification, which is big endian. */
void aml_eisa_id(struct aml *a, const char *id)
{
    if (!aml_is_eisa_id(id)) {
        set_err(a, -EINVAL);
        return;
    }
    uint32_t value = 0;
    for (uint32_t i = 0; i < 3; i++)
        value = value << 5 | (uint32_t)(id[i] - 'A' + 1);
    for (uint32_t i = 3; i < 7; i++)
        value = value << 4 | (uint32_t)(digit(id[i]) ? id[i] - '0' : id[i] - 'A' + 10);
    byte(a, OP_DWORD);
    aml_le(a, __builtin_bswap32(value), 4);
}

void aml_name(struct aml *a, const char *path)
{
    byte(a, OP_NAME);
    aml_path(a, path);
}

void aml_name_integer(struct aml *a, const char *path, uint64_t value)
{
    aml_name(a, path);
    aml_integer(a, value);
}

static struct aml_mark mark_here(const struct aml *a)
{
    return (struct aml_mark){a->length};
}

struct aml_mark aml_scope_begin(struct aml *a, const char *path)
{
    byte(a, OP_SCOPE);
    struct aml_mark mark = mark_here(a);
    aml_path(a, path);
    return mark;
}

struct aml_mark aml_device_begin(struct aml *a, const char *path)
{
    byte(a, OP_EXTENDED);
    byte(a, OP_EXTENDED_DEVICE);
    struct aml_mark mark = mark_here(a);
    aml_path(a, path);
    return mark;
}

struct aml_mark aml_method_begin(struct aml *a, const char *path, uint32_t arguments)
{
    if (arguments > 7)
        set_err(a, -EINVAL);
    byte(a, OP_METHOD);
    struct aml_mark mark = mark_here(a);
    aml_path(a, path);
    byte(a, arguments);
    return mark;
}

struct aml_mark aml_package_begin(struct aml *a, uint32_t elements)
{
    if (elements > 255)
        set_err(a, -EINVAL);
    byte(a, OP_PACKAGE);
    struct aml_mark mark = mark_here(a);
    byte(a, elements);
    return mark;
}

void aml_return(struct aml *a)
{
    byte(a, OP_RETURN);
}

struct aml_mark aml_resources_begin(struct aml *a)
{
    byte(a, OP_BUFFER);
    return mark_here(a);
}

void aml_resources_end(struct aml *a, struct aml_mark mark)
{
    byte(a, TAG_END);
    byte(a, 0); /* a checksum of 0 is taken as correct (6.4.2.9) */
    if (a->err != 0)
        return;
    if (mark.at > a->length) {
        set_err(a, -EINVAL);
        return;
    }

    /* BufferSize stands between the PkgLength and the bytes. */
    struct aml size;
    aml_init(&size, 16);
    aml_integer(&size, a->length - mark.at);
    if (size.err != 0)
        set_err(a, size.err);
    else
        insert(a, mark.at, size.bytes, size.length);
    aml_free(&size);
    aml_end(a, mark);
}

/* One address space descriptor with fields of `width` bytes. */
static void address_space(struct aml *a, uint32_t width, uint32_t type, uint32_t flags,
                          uint32_t type_flags, uint64_t first, uint64_t last)
{
    uint64_t max = width == 8 ? UINT64_MAX : (1ull << 8 * width) - 1;
    uint32_t tag = width == 2   ? TAG_WORD_ADDRESS
                   : width == 4 ? TAG_DWORD_ADDRESS
                                : TAG_QWORD_ADDRESS;

    /* A length of the whole field's range would not fit the field, except in 64 bits where nothing
     * asks. */
    if (first > last || last > max || (first == 0 && last == max)) {
        set_err(a, -EINVAL);
        return;
    }
    byte(a, tag);
    aml_le(a, 3 + 5 * width, 2); /* bytes that follow */
    byte(a, type);
    byte(a, flags);
    byte(a, type_flags);
    aml_le(a, 0, width); /* granularity: 0 for a fixed range, as firmware writes it */
    aml_le(a, first, width);
    aml_le(a, last, width);
    aml_le(a, 0, width); /* translation offset */
    aml_le(a, last - first + 1, width);
}

void aml_io(struct aml *a, uint32_t port, uint32_t count)
{
    if (count == 0 || port > 0xffff || count > 0x10000 - port) {
        set_err(a, -EINVAL);
        return;
    }
    if (count > 255) {
        address_space(a, 2, RESOURCE_IO, ADDRESS_FIXED | ADDRESS_CONSUMER, IO_ENTIRE_RANGE, port,
                      port + count - 1);
        return;
    }
    byte(a, TAG_IO);
    byte(a, 1); /* decodes 16 bits */
    aml_le(a, port, 2);
    aml_le(a, port, 2);
    byte(a, 1); /* alignment */
    byte(a, count);
}

void aml_interrupt(struct aml *a, uint32_t gsi, uint32_t edge, uint32_t low, uint32_t shared)
{
    if (edge > 1 || low > 1 || shared > 1) {
        set_err(a, -EINVAL);
        return;
    }
    byte(a, TAG_INTERRUPT);
    aml_le(a, 6, 2);
    byte(a, 1u | edge << 1 | low << 2 | shared << 3); /* bit 0: consumer */
    byte(a, 1);
    aml_le(a, gsi, 4);
}

void aml_memory32_fixed(struct aml *a, uint64_t base, uint64_t length)
{
    if (length == 0 || base > UINT32_MAX || length > (1ull << 32) - base || length > UINT32_MAX) {
        set_err(a, -EINVAL);
        return;
    }
    byte(a, TAG_MEMORY32_FIXED);
    aml_le(a, 9, 2);
    byte(a, MEMORY_READ_WRITE);
    aml_le(a, base, 4);
    aml_le(a, length, 4);
}

void aml_memory_fixed(struct aml *a, uint64_t base, uint64_t length)
{
    if (length == 0 || length - 1 > UINT64_MAX - base) {
        set_err(a, -EINVAL);
        return;
    }
    if (length <= UINT32_MAX && base + (length - 1) <= UINT32_MAX)
        aml_memory32_fixed(a, base, length);
    else
        address_space(a, 8, RESOURCE_MEMORY, ADDRESS_FIXED | ADDRESS_CONSUMER, MEMORY_READ_WRITE,
                      base, base + (length - 1));
}

void aml_word_bus(struct aml *a, uint64_t first, uint64_t last)
{
    address_space(a, 2, RESOURCE_BUS, ADDRESS_FIXED, 0, first, last);
}

void aml_word_io(struct aml *a, uint64_t first, uint64_t last)
{
    address_space(a, 2, RESOURCE_IO, ADDRESS_FIXED, IO_ENTIRE_RANGE, first, last);
}

void aml_dword_memory(struct aml *a, uint64_t first, uint64_t last)
{
    address_space(a, 4, RESOURCE_MEMORY, ADDRESS_FIXED, MEMORY_READ_WRITE, first, last);
}

void aml_qword_memory(struct aml *a, uint64_t first, uint64_t last)
{
    address_space(a, 8, RESOURCE_MEMORY, ADDRESS_FIXED, MEMORY_READ_WRITE, first, last);
}
