/* SPDX-License-Identifier: MIT
 *
 * validate/report.h - what the checks found, for people, as TAP, and as JSON.
 */
#ifndef VALIDATE_REPORT_H
#define VALIDATE_REPORT_H

#include "validate/validate.h"

#include <json-c/json.h>

struct finding {
    const char *model; /* NULL: it is about the file */
    const char *check, *what;
    uint32_t verdict; /* VERDICT_* */
    uint32_t reserved;
    const char *text;   /* the sentence; "" if it passed */
    const char *output; /* what the plugin wrote to standard output and error; "" for nothing */
    const char *note;   /* figures of fuzzing, or NULL */
    uint64_t seed;      /* not 0: the seed of the options runs it again */
};

struct results {
    FILE *out;
    const struct validate_options *options;
    const char *plugin, *version;
    uint32_t number, passed, failed, skipped;
    struct json_object *list; /* with VALIDATE_JSON */
};

void results_begin(struct results *r, uint32_t planned);
void results_add(struct results *r, const struct finding *f);
void results_end(struct results *r);

#endif
