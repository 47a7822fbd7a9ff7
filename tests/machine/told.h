/* SPDX-License-Identifier: MIT
 *
 * machine/told.h - for tests: what was told to a report, as lines "file:line: text".
 */
#ifndef TESTS_MACHINE_TOLD_H
#define TESTS_MACHINE_TOLD_H

#include "machine/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define TOLD_MAX 64u

struct told {
    struct report report;
    unsigned count;
    char lines[TOLD_MAX][1600];
};

static inline void told_message(void *context, const struct bp_message *message)
{
    struct told *told = context;
    char place[300] = "";

    if (told->count == TOLD_MAX)
        return;
    if (message->file && message->line)
        snprintf(place, sizeof(place), "%.250s:%u: ", message->file, message->line);
    else if (message->file)
        snprintf(place, sizeof(place), "%.250s: ", message->file);
    snprintf(told->lines[told->count++], sizeof(told->lines[0]), "%s%s", place, message->text);
}

static inline void told_init(struct told *told)
{
    memset(told, 0, sizeof(*told));
    told->report.tell = told_message;
    told->report.context = told;
}

/* The whole of what was told, one message a line, is `expected`. */
static inline void told_is(const struct told *told, const char *expected)
{
    static char all[TOLD_MAX * 1600];
    size_t used = 0;

    all[0] = 0;
    for (unsigned i = 0; i < told->count; i++)
        used +=
            (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? "\n" : "", told->lines[i]);
    assert_string_equal(all, expected);
}

#endif
