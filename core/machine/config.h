/* SPDX-License-Identifier: MIT
 *
 * machine/config.h - a machine file as text: sections, keys, values, and where each was written.
 *
 * Filled by the INI reader, by --set and by options; read by the plan, which gives it meaning.
 */
#ifndef MACHINE_CONFIG_H
#define MACHINE_CONFIG_H

#include "base/error.h"

#include <backplane/machine.h>

#define CONFIG_FILE_MAX (8u << 20) /* bytes of a machine file */
#define CONFIG_LINE_MAX 65535u     /* bytes of a line, without its end */
#define CONFIG_NAME_MAX 48u        /* bytes of a section's or key's name */
#define CONFIG_SECTIONS_MAX 4096u
#define CONFIG_KEYS_MAX 256u  /* of one section */
#define CONFIG_ERRORS_MAX 50u /* of one file, after which reading it ends */

struct config_value {
    char *key, *text;
    const char *file; /* owned by the config: path, "--set", "--kernel", "the pc board" */
    const char *base; /* owned by the config: folder against which a relative path is resolved */
    uint32_t line;    /* 0: none */
    uint32_t used;    /* set by whoever understood the key */
};

struct config_section {
    char *name;
    const char *file;
    uint32_t line;
    uint32_t count;
    struct config_value *values; /* in the order written */
};

struct config {
    uint32_t count, capacity;
    struct config_section *sections; /* in the order written */
    char **strings;                  /* what `file` and `base` point to */
    uint32_t string_count;
    uint32_t reserved;
};

/* Where errors go: any number of them, each with its place. */
struct report {
    void (*tell)(void *context, const struct bp_message *message);
    void *context;
    uint32_t errors; /* told so far */
};

/* Tells one error at file:line; `file` may be NULL. The text names the section by itself. */
void report_error(struct report *report, const char *file, uint32_t line, const char *section,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

void config_init(struct config *config);
void config_free(struct config *config);

/* Reads INI text. Every error is told; -EINVAL if there was one, -ENOENT, -EISDIR ... for the file.
 */
int config_read_file(struct config *config, const char *path, struct report *report);
int config_read_text(struct config *config, const char *text, uint64_t length, const char *name,
                     const char *base, struct report *report);

/* NULL if there is none. */
struct config_section *config_section(const struct config *config, const char *name);
struct config_value *config_value(const struct config_section *section, const char *key);

/* "section.key" = value, replacing an earlier value unless `keep`. The key is what follows the last
 * dot. -EINVAL for a malformed key or control characters in the value, -ENOSPC, -ENOMEM. [main] */
int config_set(struct config *config, const char *section_key, const char *value,
               const char *origin, const char *base, int keep, struct error *e);

/* Adds an empty section, which must not exist yet; NULL and *e at a limit, for a malformed name, or
 * out of memory. Pointers to sections are good until the next one is added. [main] */
struct config_section *config_add_section(struct config *config, const char *name, const char *file,
                                          uint32_t line, struct error *e);
/* Adds a value, whose key must not exist yet. `text` has `length` bytes. [main] */
int config_add_value(struct config *config, struct config_section *section, const char *key,
                     const char *text, uint64_t length, const char *file, const char *base,
                     uint32_t line, struct error *e);
/* Takes out every section that `file` (the pointer's text) began. [main] */
void config_remove_from(struct config *config, const char *file);

/* [a-z0-9-]+, or letters, digits and "-_." for a section; at most CONFIG_NAME_MAX bytes. [any] */
int config_is_key(const char *key);
int config_is_section(const char *name);

/* The name among `names` (ends with NULL) nearest to `word`, if near enough for "did you mean"; or
 * NULL. */
const char *config_nearest(const char *word, const char *const *names);

/* Untrusted text for a message: cut after 80 bytes between two characters, controls made visible as
 * '?'.
 *     "... %s ...", quoted(text).text */
struct quoted {
    char text[88];
};
struct quoted quoted(const char *text);
struct quoted quoted_bytes(const char *text, uint64_t length);

#endif
