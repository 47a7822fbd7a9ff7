/* SPDX-License-Identifier: MIT
 *
 * validate/coverage.h - which code of a plugin ran, if it was built to tell:
 * -fsanitize-coverage=trace-pc-guard or inline-8bit-counters (clang), trace-pc (gcc and clang).
 *
 * The compiler's code calls functions of fixed names, which the program exports. They are the one
 * place with globals here: the process that calls them was made for one plugin.
 */
#ifndef VALIDATE_COVERAGE_H
#define VALIDATE_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

/* True if a plugin with coverage was loaded, or (trace-pc) has run. */
bool coverage_is_there(void);
/* Forgets what ran. */
void coverage_clear(void);
/* Adds what ran since coverage_clear() to what is known; true if there was something new. */
bool coverage_collect(void);
uint64_t coverage_edges(void); /* that can be told apart; 0: not known (trace-pc) */
uint64_t coverage_seen(void);  /* that ran at least once */

#endif
