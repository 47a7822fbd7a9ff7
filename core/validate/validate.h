/* SPDX-License-Identifier: MIT
 *
 * validate/validate.h - does a plugin keep the rules of the ABI? Each check runs in a process of
 * its own, against a host that is no machine: no vCPU, guest time that moves when the check says
 * so, guest memory of some MiB, and a far end for each backend that a device names.
 *
 * What a plugin passes here shows that it breaks none of the rules that were tried. It does not
 * show that it models what it says it models.
 */
#ifndef VALIDATE_VALIDATE_H
#define VALIDATE_VALIDATE_H

#include <stdint.h>
#include <stdio.h>

#define VALIDATE_TEXT 0u /* for people */
#define VALIDATE_TAP 1u  /* Test Anything Protocol, version 13 */
#define VALIDATE_JSON 2u

/* "MODEL.KEY" = value, instead of what the validator would choose. */
struct validate_setting {
    const char *key, *value;
};

struct validate_options {
    const char *path;  /* of the plugin's file */
    const char *check; /* this one only; NULL: all */
    const char *model; /* this one only; NULL: all */
    const struct validate_setting *settings;
    uint32_t setting_count;
    uint32_t format;       /* VALIDATE_* */
    uint64_t seed;         /* of all that is random */
    uint32_t limit_s;      /* seconds that one call of the plugin may take; 0: 10 */
    uint32_t fuzz_s;       /* seconds of fuzzing after the checks; 0: none */
    const char *input;     /* a file that fuzzing left: it alone is run, or NULL */
    const char *artifacts; /* folder for inputs that a plugin failed on; NULL: the current one */
};

/* What validate_plugin() gives beside a negative errno. */
#define VALIDATE_PASSED 0
#define VALIDATE_FAILED 1      /* a check found something; it was told */
#define VALIDATE_NO_PLUGIN 2   /* the file could not be loaded; why was told */
#define VALIDATE_NO_SUCH 3     /* no check or model of that name; what there is was told */
#define VALIDATE_NOT_STARTED 4 /* the validator itself could not go on; why was told */

/* Runs the checks, and tells `out` of each. The calling process must have one thread. VALIDATE_*.
 * [main] */
int validate_plugin(const struct validate_options *options, FILE *out);

/* Name and one line of check number `index`, in the order in which they run; NULL past the last. */
const char *validate_check_name(uint32_t index, const char **what);

#endif
