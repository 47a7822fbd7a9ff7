/* SPDX-License-Identifier: MIT
 *
 * backplane/util/log.h - printf-style wrappers around host->log and host->fail.
 */
#ifndef BACKPLANE_UTIL_LOG_H
#define BACKPLANE_UTIL_LOG_H

#include "../host.h"

#include <stdarg.h>
#include <stdio.h>

#define BP_LINE_MAX 512 /* bytes; longer lines are cut */

__attribute__((format(printf, 4, 5))) static inline void
bp_logf(const struct bp_host *host, struct bp_node *node, uint32_t level, const char *format, ...)
{
    char line[BP_LINE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    host->log(node, level, line);
}

/* Returns `err`, so that `return bp_failf(host, node, -EINVAL, ...)` ends a create(). */
__attribute__((format(printf, 4, 5))) static inline int
bp_failf(const struct bp_host *host, struct bp_node *node, int err, const char *format, ...)
{
    char line[BP_LINE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    return host->fail(node, err, line);
}

#endif
