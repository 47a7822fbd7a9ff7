/* SPDX-License-Identifier: MIT
 *
 * engine/trace_names.h - names for people: exceptions and MSRs.
 */
#ifndef INTERP_TRACE_NAMES_H
#define INTERP_TRACE_NAMES_H

#include <stdint.h>

/* "#PF"; NULL for a vector without one (SDM 3, table 6-1). */
const char *exception_name(uint8_t vector);
/* "IA32_EFER", as SDM 4 (AMD's APM 2 for AMD's) and Linux' documentation of KVM have it; NULL if
 * none is known. */
const char *msr_name(uint32_t index);

#endif
