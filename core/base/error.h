/* SPDX-License-Identifier: MIT
 *
 * base/error.h - why something failed, as one sentence for people.
 *
 * Functions of the core that can fail on input take a `struct error *` and return a negative errno.
 * The sentence says what was found, what was expected, and what to do.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

struct error {
    char text[1024]; /* UTF-8, no newline; longer sentences are cut */
};

/* Sets the sentence and returns `err`, so that a failure is one line:
 *     return error_set(e, -EINVAL, "%s: ...", path);
 * [any] */
int error_set(struct error *e, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
