/* SPDX-License-Identifier: MIT
 *
 * sys/sysctl.h - Darwin's sysctlbyname(), which knows machdep.tsc.frequency here.
 */
#ifndef BACKPLANE_STANDIN_SYSCTL_H
#define BACKPLANE_STANDIN_SYSCTL_H

#include <stddef.h>

__attribute__((visibility("default"))) int
sysctlbyname(const char *name, void *old, size_t *old_length, void *fresh, size_t length);

#endif
