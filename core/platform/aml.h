/* SPDX-License-Identifier: MIT
 *
 * platform/aml.h - a growing byte buffer and, on it, the few AML encodings that Backplane's tables
 * need (ACPI 6.4, 20.2 for the byte stream, 6.4 for resource descriptors).
 *
 * What has a length (Device, Scope, Package, Method, ResourceTemplate) is written between a begin
 * and an end: begin notes where its content starts, end inserts the PkgLength in front. Errors are
 * sticky: after the first one every call does nothing, and the caller looks at `err` once. Left
 * out: what no table here needs (fields, conditions, GPIO and serial bus descriptors).
 */
#ifndef PLATFORM_AML_H
#define PLATFORM_AML_H

#include <stdbool.h>
#include <stdint.h>

struct aml {
    uint8_t *bytes;
    uint64_t length, capacity; /* bytes */
    uint64_t limit;            /* `length` never exceeds it */
    int err;                   /* 0, -ENOMEM, -ENOSPC (limit), -EINVAL (a name, a range) */
    uint32_t reserved;
};

/* Where the content of something with a length begins; given by a begin, taken by its end. */
struct aml_mark {
    uint64_t at;
};

/* An empty buffer that may grow to `limit` bytes. [main] */
void aml_init(struct aml *a, uint64_t limit);
void aml_free(struct aml *a);

/* ---- bytes ---- */

void aml_bytes(struct aml *a, const void *from, uint64_t len);
/* The low `width` bytes (1, 2, 4, 8) of `value`, little endian. */
void aml_le(struct aml *a, uint64_t value, uint32_t width);
/* Zeroes up to the next multiple of `alignment`, a power of two, counted from the buffer's start.
 */
void aml_align(struct aml *a, uint64_t alignment);
/* Overwrites bytes already written; -EINVAL if they are not all there. */
void aml_patch(struct aml *a, uint64_t at, uint64_t value, uint32_t width);

/* ---- data objects (20.2.3) ---- */

/* A path such as "_HID", "\\_SB.PCI0" or "^X" (20.2.2). Segments of 1-4 characters are filled up
 * with
 * '_'. -EINVAL for anything else. */
void aml_path(struct aml *a, const char *path);
/* The shortest encoding: Zero, One, or a constant of 1, 2, 4, 8 bytes. */
void aml_integer(struct aml *a, uint64_t value);
/* ASCII 0x01-0x7f; -EINVAL otherwise. */
void aml_string(struct aml *a, const char *text);
/* True if `id` has the form of an EISA ID, three capitals and four hex digits (capitals):
 * "PNP0501". */
bool aml_is_eisa_id(const char *id);
/* True if `id` has the form of an ACPI ID, four capitals or digits and four hex digits: "ACPI0007".
 */
bool aml_is_acpi_id(const char *id);
/* EisaId("PNP0501") (19.6.36); -EINVAL if it is none. */
void aml_eisa_id(struct aml *a, const char *id);

/* ---- named objects (20.2.5) ---- */

/* Name (path, ...): the value is what is written next. */
void aml_name(struct aml *a, const char *path);
void aml_name_integer(struct aml *a, const char *path, uint64_t value);

struct aml_mark aml_scope_begin(struct aml *a, const char *path);
struct aml_mark aml_device_begin(struct aml *a, const char *path);
/* `arguments` 0..7, not serialized. The term list is written by the caller: aml_return() ... */
struct aml_mark aml_method_begin(struct aml *a, const char *path, uint32_t arguments);
/* `elements` 0..255: as many values are to be written before the end. */
struct aml_mark aml_package_begin(struct aml *a, uint32_t elements);
/* Ends any of the four above. -EINVAL if it is too long for a PkgLength (2^28). */
void aml_end(struct aml *a, struct aml_mark mark);
/* Return (...): the value is what is written next (20.2.5.3). */
void aml_return(struct aml *a);

/* ---- resource templates (6.4) ---- */

struct aml_mark aml_resources_begin(struct aml *a);
/* Adds the end tag and the buffer's size. */
void aml_resources_end(struct aml *a, struct aml_mark mark);

/* `count` ports from `port` on, decoded in 16 bits. IO up to 255 ports (6.4.2.5), WordIO as a
 * consumer above. -EINVAL unless 1 <= count <= 65536 - port. */
void aml_io(struct aml *a, uint32_t port, uint32_t count);

#define AML_LEVEL 0u
#define AML_EDGE 1u
#define AML_ACTIVE_HIGH 0u
#define AML_ACTIVE_LOW 1u
#define AML_EXCLUSIVE 0u
#define AML_SHARED 1u

/* An interrupt by its GSI: extended interrupt descriptor, consumer (6.4.3.6). */
void aml_interrupt(struct aml *a, uint32_t gsi, uint32_t edge, uint32_t low, uint32_t shared);
/* Memory32Fixed, read-write (6.4.3.4). -EINVAL if it is empty or ends above 4 GiB. */
void aml_memory32_fixed(struct aml *a, uint64_t base, uint64_t length);
/* Memory that is consumed, anywhere: Memory32Fixed below 4 GiB, QWordMemory above. */
void aml_memory_fixed(struct aml *a, uint64_t base, uint64_t length);

/* What a bridge passes on (6.4.3.5): inclusive ranges, fixed, positively decoded. -EINVAL if first
 * > last or `last` does not fit the descriptor. */
void aml_word_bus(struct aml *a, uint64_t first, uint64_t last);
void aml_word_io(struct aml *a, uint64_t first, uint64_t last);
void aml_dword_memory(struct aml *a, uint64_t first, uint64_t last);
void aml_qword_memory(struct aml *a, uint64_t first, uint64_t last);

#endif
