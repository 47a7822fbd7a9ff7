/* SPDX-License-Identifier: MIT
 *
 * machine/ini.c - the text of a machine file, read by inih.
 *
 * inih cuts lines after 200 bytes and section names after 49, takes an indented line for the
 * continuation of the one before, drops what follows " ;", and says of all errors but the first
 * nothing; some builds change these by global variables, which are not ours to touch. So our reader
 * hands it lines that no limit and no option of it concerns: without indentation and comments, with
 * the value replaced by one byte, MARK, that stands for "the rest of the line being read". inih
 * splits lines into sections and keys, we know the place, and the value never passes through it.
 *
 * The rules for a value, which docs tell the user:
 *   blanks around it do not belong to it;
 *   " ;" (a blank, then a semicolon) begins a comment, '#' and a ';' after anything else do not;
 *   in double quotes everything is kept, \" and \\ stand for " and \, and a comment may follow;
 *   a quote that does not begin the value has no meaning.
 */
#include "machine/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A control character: cannot come from the file, which may hold none. */
#define MARK "\x01"

/* What the reader hands out next. inih does not tell of a section header, nor whether it took
 * it, so each is given as three lines. */
enum step {
    STEP_LINE,     /* the next line of the file */
    STEP_HEADER,   /* after "[]", which empties inih's section: the header itself */
    STEP_ANNOUNCE, /* a key MARK, with which inih calls back and tells the section */
};

struct ini {
    struct config *config;
    struct report *report;
    const char *file, *base;
    uint32_t errors_before; /* of the report, when this file began */
    uint32_t number;        /* of the current line, from 1 */
    const char *next, *end; /* unread text */
    const char *line;       /* current line without indentation */
    uint64_t length;        /* of it, without its end */
    enum step step;
    bool pending;    /* inih was given a key line and has not called back */
    bool in_section; /* some header was seen, perhaps a bad one */
    bool have_section;
    bool stop;
    uint32_t section; /* index in config, with have_section */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

#define ini_error(ini, ...)                                                                        \
    report_error((ini)->report, (ini)->file, (ini)->number, NULL, __VA_ARGS__)

/* ---- bytes: what may stand in a line at all ---- */

/* Length of the UTF-8 character at `s` (RFC 3629: no overlong forms, no surrogates), 0 if it is
 * none. */
static unsigned utf8_length(const unsigned char *s, uint64_t left)
{
    unsigned need = s[0] < 0x80                   ? 1
                    : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                    : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                    : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                  : 0;

    if (!need || need > left)
        return 0;
    for (unsigned i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return need;
}

/* A file with a NUL is no text at all: one sentence, instead of one for each line of a program. */
static bool has_no_nul(struct ini *ini)
{
    const char *nul = memchr(ini->next, 0, (size_t)(ini->end - ini->next)), *line = ini->next;

    if (!nul)
        return true;
    ini->number = 1;
    for (const char *at = line; at < nul; at++) {
        if (*at == '\n') {
            ini->number++;
            line = at + 1;
        }
    }
    ini_error(ini, "byte %llu of the line is NUL: this is no text, and so no machine file",
              (unsigned long long)(nul - line) + 1);
    return false;
}

/* Tells the first byte that cannot stand in a machine file. */
static bool bytes_are_text(struct ini *ini, const char *line, uint64_t length)
{
    const unsigned char *s = (const unsigned char *)line;

    for (uint64_t i = 0; i < length;) {
        unsigned step = utf8_length(s + i, length - i);

        if (!step) {
            ini_error(ini,
                      "byte %llu of the line, 0x%02x, is not UTF-8: save the machine file as UTF-8",
                      (unsigned long long)i + 1, s[i]);
            return false;
        }
        if ((s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f) {
            ini_error(ini, "byte %llu of the line is the control character 0x%02x: remove it",
                      (unsigned long long)i + 1, s[i]);
            return false;
        }
        i += step;
    }
    return true;
}

/* ---- lines ---- */

/* Moves to the next line that says something; false at the end. */
static bool next_line(struct ini *ini)
{
    while (ini->next < ini->end && !ini->stop) {
        const char *start = ini->next;
        const char *newline = memchr(start, '\n', (size_t)(ini->end - start));
        const char *stop = newline ? newline : ini->end;

        ini->next = newline ? newline + 1 : ini->end;
        ini->number++;
        if (ini->report->errors - ini->errors_before >= CONFIG_ERRORS_MAX) {
            ini_error(ini, "more than %u errors: the rest of the file was not read",
                      CONFIG_ERRORS_MAX);
            ini->stop = true;
            return false;
        }
        if (stop > start && stop[-1] == '\r')
            stop--;
        if ((uint64_t)(stop - start) > CONFIG_LINE_MAX) {
            ini_error(ini, "the line is %llu bytes long, the longest allowed is %u",
                      (unsigned long long)(stop - start), CONFIG_LINE_MAX);
            continue;
        }
        if (!bytes_are_text(ini, start, (uint64_t)(stop - start)))
            continue;
        while (start < stop && is_blank(*start))
            start++;
        if (start == stop || *start == ';' || *start == '#')
            continue;
        ini->line = start;
        ini->length = (uint64_t)(stop - start);
        return true;
    }
    return false;
}

/* Gives inih `length` bytes and `tail`; or, if that is too long to mean anything, the bytes that
 * fit. */
static char *hand_out(char *to, int room, const char *bytes, uint64_t length, const char *tail)
{
    size_t space = (size_t)room - strlen(tail) - 1;
    size_t len = length < space ? (size_t)length : space;

    memcpy(to, bytes, len);
    snprintf(to + len, (size_t)room - len, "%s", len < length ? "\n" : tail);
    return to;
}

/* A line that inih was given, and refused by silence. */
static void tell_refused(struct ini *ini)
{
    if (ini->pending)
        ini_error(ini, "\"%s\" is neither [section] nor key = value",
                  quoted_bytes(ini->line, ini->length).text);
    ini->pending = false;
}

/* The reader for ini_parse_stream(): fgets()'s contract. */
static char *read_line(char *to, int room, void *stream)
{
    struct ini *ini = stream;
    const char *equals, *key_end;

    switch (ini->step) {
    case STEP_HEADER:
        ini->step = STEP_ANNOUNCE;
        return hand_out(to, room, ini->line, ini->length, "\n");
    case STEP_ANNOUNCE:
        ini->step = STEP_LINE;
        return hand_out(to, room, MARK "=", 2, "\n");
    case STEP_LINE:
        break;
    }
    tell_refused(ini);
    if (!next_line(ini))
        return NULL;
    if (ini->line[0] == '[') {
        ini->step = STEP_HEADER;
        return hand_out(to, room, "[]", 2, "\n");
    }
    ini->pending = true;
    equals = memchr(ini->line, '=', ini->length);
    if (!equals)
        return hand_out(to, room, ini->line, ini->length, "\n");
    for (key_end = equals; key_end > ini->line && is_blank(key_end[-1]);)
        key_end--;
    return hand_out(to, room, ini->line, (uint64_t)(key_end - ini->line), "=" MARK "\n");
}

/* ---- sections ---- */

/* Only a comment may follow the bracket; inih would take anything. */
static bool rest_is_comment(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at == end || *at == ';' || *at == '#';
}

static void take_section(struct ini *ini, const char *name)
{
    const char *end = ini->line + ini->length;
    const char *bracket = memchr(ini->line, ']', ini->length);
    const struct config_section *first;
    struct error e;

    ini->in_section = true;
    ini->have_section = false;
    if (!bracket) {
        ini_error(ini, "\"%s\" lacks the closing bracket of [section]",
                  quoted_bytes(ini->line, ini->length).text);
        return;
    }
    /* inih keeps 49 bytes of a name, one more than is allowed. */
    if (!config_is_section(name)) {
        ini_error(ini, "\"%s\" is no name for a section: 1 to %u letters, digits and - _ . are",
                  quoted_bytes(ini->line + 1, (uint64_t)(bracket - ini->line) - 1).text,
                  CONFIG_NAME_MAX);
        return;
    }
    if (!rest_is_comment(bracket + 1, end)) {
        ini_error(ini, "\"%s\" follows [%s]: a key stands on a line of its own",
                  quoted_bytes(bracket + 1, (uint64_t)(end - bracket) - 1).text, name);
        return;
    }
    first = config_section(ini->config, name);
    if (first) {
        ini_error(ini, "[%s] is a section already, in line %u of %s: give this one another name",
                  name, first->line, first->file);
        return;
    }
    if (!config_add_section(ini->config, name, ini->file, ini->number, &e)) {
        ini_error(ini, "%s", e.text);
        ini->stop = true;
        return;
    }
    ini->section = ini->config->count - 1;
    ini->have_section = true;
}

/* ---- values ---- */

/* The text between the quotes, without its escapes, in `out`; NULL and a sentence if they do not
 * close. */
static char *unquote(const char *at, const char *end, char *out, const char **problem)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\'))
            at++;
        *out++ = *at;
    }
    if (at == end) {
        *problem = "the closing quote is missing";
        return NULL;
    }
    if (!rest_is_comment(at + 1, end)) {
        *problem =
            "text follows the closing quote: to keep quotes, put all of the value in quotes and "
            "write each inner one as \\\"";
        return NULL;
    }
    return out;
}

/* The value in [at, end), in `out`, which has room for all of it. */
static char *plain(const char *at, const char *end, char *out)
{
    for (const char *c = at + 1; c < end; c++) {
        if (*c == ';' && is_blank(c[-1])) {
            end = c;
            break;
        }
    }
    while (at < end && is_blank(*at))
        at++;
    while (end > at && is_blank(end[-1]))
        end--;
    memcpy(out, at, (size_t)(end - at));
    return out + (end - at);
}

/* Writes the meaning of what stands after '=' to `out`; its end, or NULL and *problem. */
static char *value_text(const char *at, const char *end, char *out, const char **problem)
{
    const char *first = at;

    while (first < end && is_blank(*first))
        first++;
    if (first < end && *first == '"')
        return unquote(first, end, out, problem);
    return plain(at, end, out);
}

static void take_value(struct ini *ini, const char *key)
{
    struct config_section *section = &ini->config->sections[ini->section];
    const char *equals = memchr(ini->line, '=', ini->length);
    const struct config_value *first = config_value(section, key);
    const char *problem = "out of memory";
    char *text, *end;
    struct error e;

    if (first) {
        ini_error(ini, "[%s] %s has a value already, from line %u of %s: remove one of the two",
                  section->name, key, first->line, first->file);
        return;
    }
    text = malloc((size_t)ini->length + 1);
    end = text ? value_text(equals + 1, ini->line + ini->length, text, &problem) : NULL;
    if (!end)
        ini_error(ini, "[%s] %s: %s", section->name, key, problem);
    else if (config_add_value(ini->config, section, key, text, (uint64_t)(end - text), ini->file,
                              ini->base, ini->number, &e))
        ini_error(ini, "%s", e.text);
    free(text);
}

/* The handler for ini_parse_stream(). */
#if INI_HANDLER_LINENO
static int take(void *user, const char *section, const char *name, const char *value, int line)
#else
static int take(void *user, const char *section, const char *name, const char *value)
#endif
{
    struct ini *ini = user;

#if INI_HANDLER_LINENO
    (void)line; /* counts what the reader made, not the file's lines */
#endif
    ini->pending = false;
    if (!strcmp(name, MARK))
        take_section(ini, section);
    else if (!value || strcmp(value, MARK) != 0)
        ini_error(ini, "\"%s\" has a colon after the key: write key = value",
                  quoted_bytes(ini->line, ini->length).text);
    else if (!ini->in_section)
        ini_error(ini, "\"%s\" stands before any section: write [machine] or another above it",
                  quoted_bytes(ini->line, ini->length).text);
    else if (ini->have_section)
        take_value(ini, name);
    return 1;
}

int config_read_text(struct config *config, const char *text, uint64_t length, const char *name,
                     const char *base, struct report *report)
{
    struct ini ini = {
        .config = config,
        .report = report,
        .file = name,
        .base = base,
        .errors_before = report->errors,
        .next = text,
        .end = text + length,
    };

    if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        ini.next += 3;
    if (has_no_nul(&ini) && ini_parse_stream(read_line, &ini, take, &ini) == -2)
        ini_error(&ini, "out of memory");
    return report->errors == ini.errors_before ? 0 : -EINVAL;
}

/* ---- files ---- */

/* Opens a regular file; never waits, as opening a FIFO would. */
static int open_regular(const char *path, struct report *report)
{
    struct stat st;
    int fd, err;

    if (stat(path, &st)) {
        err = errno;
        report_error(report, path, 0, NULL, "the machine file cannot be read: %s", strerror(err));
        return -err;
    }
    if (S_ISDIR(st.st_mode)) {
        report_error(report, path, 0, NULL, "this is a folder, not a machine file");
        return -EISDIR;
    }
    if (!S_ISREG(st.st_mode)) {
        report_error(report, path, 0, NULL,
                     "this is a %s, not a machine file: a machine file is a regular file",
                     S_ISFIFO(st.st_mode)   ? "FIFO"
                     : S_ISSOCK(st.st_mode) ? "socket"
                                            : "device");
        return -EINVAL;
    }
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        err = errno;
        report_error(report, path, 0, NULL, "the machine file cannot be read: %s", strerror(err));
        return -err;
    }
    return fd;
}

/* All of the file, at most CONFIG_FILE_MAX bytes; to be freed. */
static char *read_all(int fd, const char *path, uint64_t *length, struct report *report)
{
    uint64_t capacity = 1u << 16;
    char *text = malloc(capacity);
    ssize_t got;

    *length = 0;
    while (text) {
        if (*length > CONFIG_FILE_MAX) {
            report_error(report, path, 0, NULL,
                         "the file is longer than %u MiB, the most that a machine file may have",
                         CONFIG_FILE_MAX >> 20);
            break;
        }
        if (*length == capacity) {
            char *grown = realloc(text, capacity * 2);

            if (!grown)
                break;
            text = grown;
            capacity *= 2;
        }
        got = read(fd, text + *length, capacity - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            report_error(report, path, 0, NULL, "the machine file cannot be read: %s",
                         strerror(errno));
        if (got < 0)
            break;
        if (!got)
            return text;
        *length += (uint64_t)got;
    }
    free(text);
    return NULL;
}

/* The folder that `path` stands in, absolute; to be freed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("."), *absolute;

    absolute = folder ? realpath(folder, NULL) : NULL;
    if (!absolute)
        return folder;
    free(folder);
    return absolute;
}

int config_read_file(struct config *config, const char *path, struct report *report)
{
    uint64_t length;
    char *text, *base;
    int fd = open_regular(path, report), ret;

    if (fd < 0)
        return fd;
    text = read_all(fd, path, &length, report);
    close(fd);
    if (!text)
        return -EIO;
    base = folder_of(path);
    ret = base ? config_read_text(config, text, length, path, base, report) : -ENOMEM;
    free(base);
    free(text);
    return ret;
}
