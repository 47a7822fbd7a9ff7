/* SPDX-License-Identifier: MIT
 *
 * engine/coverage.h - counts of how often each handler ran, with the build option
 * BACKPLANE_COVERAGE. Without it nothing is there to cost anything.
 */
#ifndef INTERP_COVERAGE_H
#define INTERP_COVERAGE_H

#include "uop.h"

#ifdef INTERP_COVERAGE_FOLDER
/* The handler is about to run. [vcpu] */
void coverage_count(op_fn *fn);
#else
static inline void coverage_count(op_fn *fn)
{
    (void)fn;
}
#endif

#endif
