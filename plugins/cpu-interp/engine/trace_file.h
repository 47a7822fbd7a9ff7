/* SPDX-License-Identifier: MIT
 *
 * engine/trace_file.h - where a trace goes: a file, a named pipe or standard error, buffered, and
 * compressed by zstd (RFC 8878) if its name ends in .zst.
 */
#ifndef INTERP_TRACE_FILE_H
#define INTERP_TRACE_FILE_H

#include <stdint.h>

struct trace_file;

/* NULL: standard error. 0, -ENOMEM, or what open() says; -ENXIO: a named pipe that nobody reads.
 * [any] */
int trace_file_open(const char *path, struct trace_file **out);
/* Appends. 0, or -errno: -ENOSPC, -EPIPE, ...; -ETIMEDOUT if a pipe was full for ten seconds. It is
 * broken then, and every further call says the same. One thread at a time. [any] */
int trace_file_write(struct trace_file *f, const char *text, uint32_t bytes);
/* Hands all over to the system. [any] */
int trace_file_flush(struct trace_file *f);
/* Writes what is left, and frees. NULL: nothing. [any] */
int trace_file_close(struct trace_file *f);
/* Whether it is compressed: flushing often spoils that. */
int trace_file_is_compressed(const struct trace_file *f);

#endif
